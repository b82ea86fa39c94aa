"""LevelNumber: what transforms share that read an ordinal number from each text of a category."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.levels import by_level
from mlwright.features.number import gapless_median

__all__ = ["LevelNumber"]

_MOST_KNOWN = 1000


class LevelNumber(Transform):
    """One number a text; a subclass says which by `read`, and has a hyperparameter `scaled`.

    As it is: where the text holds none NaN, but the median where all texts of the fit held one. Scaled, for linear
    models: as a distance from the mean in standard deviations, clipped at 10, and 0 where the text holds none.
    """

    coded: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset({"gap"})
    label: ClassVar[str]
    scaled: bool

    @abstractmethod
    def read(self, text: str) -> float:
        """Return the number in `text`, NaN if it holds none."""

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn mean and deviation of the numbers, and what stands in for a gap."""
        column: Any = columns[self.column]
        values = by_level(column, self._read_cell, 1)[:, 0]
        gap = gapless_median(values)
        values = values[~np.isnan(values)]
        mean = float(values.mean()) if values.size else 0.0
        deviation = float(values.std()) if values.size else 0.0
        usable = math.isfinite(mean) and math.isfinite(deviation) and deviation > 1e-12 * abs(mean)
        return self.set_learned(mean if usable else 0.0, deviation if usable else 1.0, gap)

    def set_learned(self, mean: float, deviation: float, gap: float = math.nan) -> Self:
        """Hold what was learned, and return self."""
        self.mean_, self.deviation_, self.gap = mean, deviation, gap
        self._known: dict[Cell, tuple[float]] = {}  # the texts come again and again, and reading one is slow
        return self

    def _read_cell(self, cell: Cell) -> tuple[float]:
        return (math.nan if cell is None else self.read(str(cell)),)

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, 1)."""
        column: Any = columns[self.column]
        return by_level(column, self.row, 1)

    def row(self, cell: Cell) -> tuple[float]:
        """Return the number."""
        known = self._known.get(cell)
        if known is None:
            known = self._number(cell)
            if len(self._known) < _MOST_KNOWN:
                self._known[cell] = known
        return known

    def _number(self, cell: Cell) -> tuple[float]:
        value = self._read_cell(cell)[0]
        if math.isnan(value):
            return (0.0 if self.scaled else self.gap,)
        if not self.scaled:
            return (value,)
        return (min(max((value - self.mean_) / self.deviation_, -10.0), 10.0),)

    @property
    def tags(self) -> list[OutputTag]:
        """One tag."""
        return [OutputTag(f"{self.column}: {self.label}", self.column)]

    def state(self) -> State:
        """Return two numbers, and what stands in for a gap; null where gaps were seen."""
        gap = audit.null_for_nan(self.gap)
        return State({**audit.tree(self), "mean": self.mean_, "deviation": self.deviation_, "gap": gap})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; the deviation must be above zero."""
        deviation = audit.number(state, "deviation", positive=True)
        mean, gap = audit.number(state, "mean"), audit.number_or_null(state, "gap")
        return audit.build(cls, state).set_learned(mean, deviation, gap)
