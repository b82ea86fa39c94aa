"""DatetimeDifference: the days between two moments of one record."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Flag, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, PairTransform
from mlwright.features.number import as_matrix, gapless_median

__all__ = ["DatetimeDifference"]

_DAY = 86400.0
_CLIP = 10.0


class DatetimeDifference(PairTransform):
    """The second moment less the first, in days with their fraction.

    Where one is missing NaN, but the median where the fit saw neither missing.

    Scaled, for linear models: in standard deviations from the mean, clipped at 10, and 0 where one is missing; then
    it is finite.

    Parameters
    ----------
    column, other : str
        The raw columns' names; their cells are seconds since 1970 UTC.
    scaled : bool, default=False
        See above.

    Examples
    --------
    >>> stays = {"in": np.array([0.0, 86400.0]), "out": np.array([259200.0, np.nan])}
    >>> stay = DatetimeDifference("in", "out").fit(stays, np.zeros(2), n_classes=0, seed=0)
    >>> stay.batch(stays).tolist(), stay.row(0.0, 43200.0)
    ([[3.0], [nan]], (0.5,))
    """

    kind: ClassVar[str] = "datetime_difference"
    rules: ClassVar[dict[str, Rule]] = {"scaled": Flag()}
    added: ClassVar[frozenset[str]] = frozenset({"gap"})

    def __init__(self, column: str, other: str, *, scaled: bool = False) -> None:
        super().__init__(column, other)
        check("DatetimeDifference", {"scaled": scaled}, self.rules)
        self.scaled = scaled

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn mean and deviation of the days, and what stands in for a gap."""
        days = self._days(columns)
        gap = gapless_median(days)
        days = days[np.isfinite(days)]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(days.mean()) if days.size else 0.0
            deviation = float(days.std()) if days.size else 0.0
        usable = math.isfinite(mean) and math.isfinite(deviation) and deviation > 1e-12 * abs(mean)
        return self.set_learned(mean if usable else 0.0, deviation if usable else 1.0, gap)

    def set_learned(self, mean: float, deviation: float, gap: float = math.nan) -> Self:
        """Hold what was learned, and return self."""
        self.mean_, self.deviation_, self.gap = mean, deviation, gap
        return self

    def _days(self, columns: Columns) -> Floats:
        first: Any = columns[self.column]
        second: Any = columns[self.other]
        with np.errstate(over="ignore", invalid="ignore"):
            days = (second - first) / _DAY
        return np.where(np.isfinite(days), days, math.nan)

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, 1)."""
        days = self._days(columns)
        if self.scaled:
            with np.errstate(over="ignore"):
                distance = np.clip((days - self.mean_) / self.deviation_, -_CLIP, _CLIP)
            return np.where(np.isnan(days), 0.0, distance).reshape(-1, 1)
        return as_matrix(days, self.gap)

    def row(self, cell: Cell, other: Cell = None) -> tuple[float]:
        """Return the days between two moments."""
        days = math.nan if cell is None or other is None else (float(other) - float(cell)) / _DAY
        if not math.isfinite(days):
            return (0.0 if self.scaled else self.gap,)
        if not self.scaled:
            return (days,)
        distance = (days - self.mean_) / self.deviation_
        return (_CLIP if distance > _CLIP else max(distance, -_CLIP),)

    @property
    def tags(self) -> list[OutputTag]:
        """One tag; its source is the first column."""
        return [OutputTag(f"days from {self.column} to {self.other}", self.column)]

    def state(self) -> State:
        """Return two numbers, and what stands in for a gap; null where gaps were seen."""
        gap = audit.null_for_nan(self.gap)
        return State({**self.tree(), "mean": self.mean_, "deviation": self.deviation_, "gap": gap})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; the deviation must be above zero."""
        deviation = audit.number(state, "deviation", positive=True)
        mean, gap = audit.number(state, "mean"), audit.number_or_null(state, "gap")
        return audit.build_pair(cls, state).set_learned(mean, deviation, gap)
