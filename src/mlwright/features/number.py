"""Number: a column of floats as it is, for trees, which need no scale and know what to do with NaN."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform

__all__ = ["Number"]


class Number(Transform):
    """A numeric, boolean or datetime column as it is; NaN stays NaN.

    Parameters
    ----------
    column : str
        The raw column's name.

    Examples
    --------
    >>> plain = Number("tenure").fit({"tenure": np.array([1.0, np.nan])}, np.zeros(2), n_classes=0, seed=0)
    >>> plain.batch({"tenure": np.array([1.0, np.nan])}).tolist()
    [[1.0], [nan]]
    """

    kind: ClassVar[str] = "number"
    is_identity = True

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn nothing."""
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return the column as a matrix of shape (n_rows, 1)."""
        return np.array(columns[self.column], dtype=np.float64).reshape(-1, 1)

    def row(self, cell: Cell) -> tuple[float]:
        """Return the number itself."""
        return (math.nan if cell is None else float(cell),)

    @property
    def tags(self) -> list[OutputTag]:
        """One tag."""
        return [OutputTag(self.column, self.column)]

    def state(self) -> State:
        """Return the kind and the column."""
        return State(audit.tree(self))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again."""
        return audit.build(cls, state)
