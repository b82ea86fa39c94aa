"""ScaledNumber: a column of floats for linear models: imputed, tamed, standardised, and always finite."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform

__all__ = ["ScaledNumber"]

# A normal column has a ratio of 3.8, an exponential one 8, a log-normal one 15.
_HEAVY = 10.0


class ScaledNumber(Transform):
    """A number as a distance from the mean in standard deviations, with the median in place of missing values.

    A column is heavy-tailed if, among the values that differ from the median, the 99th percentile of the distance
    from it is more than ten times the median distance. Such a column goes through ``sign(x) log1p(|x| / unit)``
    first, where ``unit`` is the median of the absolute values that are not zero, so that the outcome does not depend
    on the unit of measurement. A second output says where a value is missing, if some were at fit. A column without
    two different values gives no scaled output. All outputs are finite.

    Parameters
    ----------
    column : str
        The raw column's name.
    clip : float, default=10.0
        The largest distance, in standard deviations, so that a wild value at serving cannot move a linear model far.

    Examples
    --------
    >>> heights = {"height": np.array([160.0, 180.0, np.nan, 170.0])}
    >>> ScaledNumber("height").fit(heights, np.zeros(4), n_classes=0, seed=0).row(180.0)
    (1.224744871391589, 0.0)
    """

    kind: ClassVar[str] = "scaled_number"
    rules: ClassVar[dict[str, Rule]] = {"clip": Number(1, 1e6)}

    def __init__(self, column: str, clip: float = 10.0) -> None:
        super().__init__(column)
        check("ScaledNumber", {"clip": clip}, self.rules)
        self.clip = clip

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn the median, the unit, the mean and the standard deviation from the present values."""
        values: Any = columns[self.column]
        missing = np.isnan(values)
        present = values[~missing]
        median, unit, mean, deviation = 0.0, None, 0.0, None
        if len(present):
            median = float(np.median(present / 2) * 2)  # halves: two huge middle values have a finite mean
            if _is_heavy(present, median):
                unit = _unit(present)
            mean, deviation = _moments(_squash(present, unit))
            if deviation is None and unit is None and present.min() < present.max():
                unit = _unit(present)  # the squares overflowed
                mean, deviation = _moments(_squash(present, unit))
        self.has_flag_ = bool(missing.any() and len(present))
        return self.set_learned(median, unit, mean, deviation)

    def set_learned(self, median: float, unit: float | None, mean: float, deviation: float | None) -> Self:
        """Hold what was learned, and return self."""
        self.median_, self.unit_, self.mean_, self.deviation_ = median, unit, mean, deviation
        return self.set_limits(-float(self.clip), float(self.clip))

    def set_limits(self, low: float, high: float) -> Self:
        """Let no distance lie below `low` or above `high`, and return self."""
        self.low_, self.high_ = low, high
        self._of_missing = (*self._scaled(self.median_), *((1.0,) if self.has_flag_ else ()))
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, 0, 1 or 2)."""
        values: Any = columns[self.column]
        missing = np.isnan(values)
        out = np.empty((len(values), len(self.tags)))
        if self.deviation_ is not None:
            tamed = _squash(np.where(missing, self.median_, values), self.unit_)
            with np.errstate(over="ignore"):  # an infinite distance is clipped
                out[:, 0] = np.clip((tamed - self.mean_) / self.deviation_, self.low_, self.high_)
        if self.has_flag_:
            out[:, -1] = missing
        return out

    def row(self, cell: Cell) -> tuple[float, ...]:
        """Return 0, 1 or 2 numbers."""
        if cell is None or cell != cell:  # noqa: PLR0124 - NaN is the float that is not itself
            return self._of_missing
        return (*self._scaled(float(cell)), 0.0) if self.has_flag_ else self._scaled(float(cell))

    def scalar(self) -> Callable[[Any], float] | None:
        """Return `row` with all that was learned at hand, for a column without a flag."""
        mean, deviation, unit, low, high = self.mean_, self.deviation_, self.unit_, self.low_, self.high_
        if deviation is None or self.has_flag_:
            return None
        most, (missing,) = sys.float_info.max, self._of_missing

        def plain(cell: Any) -> float:
            if cell is None or cell != cell:  # noqa: PLR0124 - NaN
                return missing
            distance = (cell - mean) / deviation
            return high if distance > high else low if distance < low else distance  # noqa: FURB136 - quicker

        def tamed(cell: Any) -> float:
            if cell is None or cell != cell:  # noqa: PLR0124 - NaN
                return missing
            size = math.log1p(min(abs(cell) / unit, most))
            distance = (math.copysign(size, cell) - mean) / deviation
            return high if distance > high else low if distance < low else distance  # noqa: FURB136 - quicker

        return plain if unit is None else tamed

    def _scaled(self, value: float) -> tuple[float, ...]:
        """Do what `batch` does, with the same operations in the same order."""
        deviation, unit = self.deviation_, self.unit_
        if deviation is None:
            return ()
        if unit is not None:
            value = math.copysign(math.log1p(min(abs(value) / unit, sys.float_info.max)), value)
        distance = (value - self.mean_) / deviation
        return (self.high_ if distance > self.high_ else max(distance, self.low_),)

    @property
    def tags(self) -> list[OutputTag]:
        """The scaled number (if it varied), then the flag (if values were missing)."""
        tags = [] if self.deviation_ is None else [OutputTag(self.column, self.column)]
        return [*tags, OutputTag(f"{self.column} is missing", self.column)] if self.has_flag_ else tags

    def state(self) -> State:
        """Return what was learned as plain numbers."""
        learned = {
            "median": self.median_,
            "unit": self.unit_,
            "mean": self.mean_,
            "deviation": self.deviation_,
            "has_flag": self.has_flag_,
        }
        return State({**audit.tree(self), **learned})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; numbers must be finite, unit and deviation above zero or null."""
        new = audit.build(cls, state)
        new.has_flag_ = audit.flag(state, "has_flag")
        unit, deviation = (
            None if state.tree.get(name, 0) is None else audit.number(state, name, positive=True)
            for name in ("unit", "deviation")
        )
        return new.set_learned(audit.number(state, "median"), unit, audit.number(state, "mean"), deviation)


def _is_heavy(present: Floats, median: float) -> bool:
    with np.errstate(over="ignore"):
        distance = np.abs(present - median)
    distance = distance[distance > 0]
    if not len(distance):
        return False
    half, most = np.quantile(np.minimum(distance, sys.float_info.max / 4), [0.5, 0.99])
    return bool(most / _HEAVY > half)


def _unit(present: Floats) -> float:
    size = np.abs(present[present != 0])
    return float(np.quantile(size, 0.5, method="lower"))


def _squash(values: Floats, unit: float | None) -> Floats:
    """Return the signed log1p; `math.log1p` and not `np.log1p`, whose bits depend on the processor."""
    if unit is None:
        return values
    with np.errstate(over="ignore"):
        size = np.minimum(np.abs(values) / unit, sys.float_info.max)
    return np.copysign(np.fromiter(map(math.log1p, size.tolist()), np.float64, len(size)), values)


def _moments(values: Floats) -> tuple[float, float | None]:
    """Return the mean and the standard deviation, None in its place where there is none to divide by."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not math.isfinite(mean) or not math.isfinite(deviation):
        return 0.0, None
    # Rounding alone gives a constant column a deviation of some last bits of its mean.
    return mean, deviation if deviation > 1e-14 * abs(mean) else None
