"""Number: a column of floats as it is, for trees, which need no scale and know what to do with gaps that they have seen."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform

__all__ = ["Number", "as_matrix", "gapless_median"]

_MOST_LOOKED_AT = 100_000  # values, evenly spaced: a median need not be exact


def gapless_median(values: Floats) -> float:
    """Return the median of a column without gaps, of two middle values the lower; NaN of one with gaps, or without values.

    Trees that never saw a gap take one for the lowest of all values. For such a column the median says less.

    Examples
    --------
    >>> gapless_median(np.array([4.0, 1.0, 2.0, 9.0])), gapless_median(np.array([4.0, np.nan]))
    (2.0, nan)
    """
    if not len(values) or np.isnan(values).any():
        return math.nan
    looked_at = values[:: -(-len(values) // _MOST_LOOKED_AT)]
    middle = (len(looked_at) - 1) // 2
    return float(np.partition(looked_at, middle)[middle])


def as_matrix(values: Floats, gap: float) -> Floats:
    """Return a copy of a column, of shape (n_rows, 1), with `gap` for NaN."""
    matrix = np.array(values, dtype=np.float64).reshape(-1, 1)
    if not math.isnan(gap):
        matrix[np.isnan(matrix)] = gap
    return matrix


class Number(Transform):
    """A numeric, boolean or datetime column as it is; NaN stays NaN, but becomes the median where the fit saw none.

    Parameters
    ----------
    column : str
        The raw column's name.

    Examples
    --------
    >>> plain = Number("tenure").fit({"tenure": np.array([1.0, np.nan])}, np.zeros(2), n_classes=0, seed=0)
    >>> plain.batch({"tenure": np.array([1.0, np.nan])}).tolist()
    [[1.0], [nan]]
    >>> whole = Number("tenure").fit({"tenure": np.array([1.0, 5.0, 9.0])}, np.zeros(3), n_classes=0, seed=0)
    >>> whole.batch({"tenure": np.array([1.0, np.nan])}).tolist()
    [[1.0], [5.0]]
    """

    kind: ClassVar[str] = "number"
    added: ClassVar[frozenset[str]] = frozenset({"gap"})
    is_identity = True

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn what stands in for a gap."""
        values: Any = columns[self.column]
        self.gap = gapless_median(values)
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return the column as a matrix of shape (n_rows, 1)."""
        values: Any = columns[self.column]
        return as_matrix(values, self.gap)

    def row(self, cell: Cell) -> tuple[float]:
        """Return the number itself."""
        return (self.gap if cell is None or cell != cell else float(cell),)  # noqa: PLR0124 - NaN is not itself

    @property
    def tags(self) -> list[OutputTag]:
        """One tag."""
        return [OutputTag(self.column, self.column)]

    def state(self) -> State:
        """Return the kind, the column and what stands in for a gap; null where gaps were seen."""
        return State({**audit.tree(self), "gap": audit.null_for_nan(self.gap)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again."""
        new = audit.build(cls, state)
        new.gap = audit.number_or_null(state, "gap")
        return new
