"""Transform: fitted column work with two paths, a batch path over columns and a row path over one record."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mlwright.bundle.state import State
from mlwright.core.params import Rule
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns

__all__ = ["OutputTag", "PairTransform", "Transform"]


@dataclass(frozen=True, slots=True)
class OutputTag:
    """What one column of the matrix is.

    Parameters
    ----------
    name : str
        For people: ``"tenure"``, ``"Contract=Two year"``.
    source : str
        The raw column that it comes from.
    categorical : bool
        True if the numbers are codes 0..n-1 (NaN is missing) without an order.
    n_levels : int
        How many codes there are; 0 if not categorical.
    """

    name: str
    source: str
    categorical: bool = False
    n_levels: int = 0


class Transform(ABC):
    """One raw column in, some columns of the matrix out.

    Hyperparameters stand in ``__init__`` only and are stored unchanged; what is learned ends in ``_``. `batch` and
    `row` must give bit-equal numbers for every cell, which `mlwright.testing.transforms` checks.

    Parameters
    ----------
    column : str
        The raw column's name.
    """

    kind: ClassVar[str]
    coded: ClassVar[bool] = False  # True if it reads a column of strings (`Coded`), else one of floats
    is_identity: bool = False  # True if the one number is the cell itself
    gap: float = math.nan  # what stands in for a missing cell, where the one number is the cell itself
    rules: ClassVar[Mapping[str, Rule]] = {}
    added: ClassVar[frozenset[str]] = frozenset()  # fields of the state that bundles of earlier versions lack

    def __init__(self, column: str) -> None:
        self.column = column

    @abstractmethod
    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Learn from canonical columns.

        Parameters
        ----------
        columns : mapping of str to ndarray or Coded
            As `mlwright.data.values.columns` gives them.
        y : ndarray of shape (n_rows,)
            The target; class codes (0.0, 1.0, ..) for classes.
        n_classes : int
            0 for regression.
        seed : int
            For whatever is drawn.
        """

    def fit_batch(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Floats:
        """Fit, and return the training rows' matrix; out-of-fold where the target is used, else like `batch`."""
        return self.fit(columns, y, n_classes=n_classes, seed=seed).batch(columns)

    @abstractmethod
    def batch(self, columns: Columns) -> Floats:
        """Return the matrix of shape (n_rows, n_outputs), float64, C order."""

    @abstractmethod
    def row(self, cell: Cell) -> Sequence[float]:
        """Return `n_outputs` numbers for one canonical cell (a float, or a string or None)."""

    def scalar(self) -> Callable[[Any], float] | None:
        """Return a quicker `row` that gives its one number alone; None where there is none, or not one number."""
        return None

    @property
    @abstractmethod
    def tags(self) -> list[OutputTag]:
        """One tag a matrix column."""

    @abstractmethod
    def state(self) -> State:
        """Return all that `from_state` needs; ``tree`` holds ``kind`` and ``column``."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: State) -> Self:
        """Build a fitted transform; raise `BundleContentError` on a malformed state."""

    def params(self) -> dict[str, Any]:
        """Return the hyperparameters."""
        return {name: getattr(self, name) for name in self.rules}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.column,)


class PairTransform(Transform):
    """Two raw columns of one type in, some columns of the matrix out. A plan has these after all others.

    Parameters
    ----------
    column, other : str
        The raw columns' names.
    """

    def __init__(self, column: str, other: str) -> None:
        super().__init__(column)
        self.other = other

    @abstractmethod
    def row(self, cell: Cell, other: Cell = None) -> Sequence[float]:
        """Return `n_outputs` numbers for two canonical cells."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The two raw columns."""
        return (self.column, self.other)

    def tree(self) -> dict[str, Any]:
        """Return what the tree of its state starts with."""
        return {"kind": self.kind, "column": self.column, "other": self.other, "params": self.params()}
