"""DatetimeParts: what a calendar and a clock say of a moment (UTC), as plain numbers or as points on circles."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Flag, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.number import gapless_median

__all__ = ["DatetimeParts"]

_PARTS = ("days", "year", "month", "day", "weekday", "day_of_year", "hour")
_FIRST, _END = -62135596800.0, 253402300800.0  # the years 1 to 9999, in seconds since 1970
_EPOCH = dt.date(1970, 1, 1).toordinal()
_DAY = 86400
_CLIP = 10.0


def _circle(n: int) -> list[tuple[float, float]]:
    """Return sine and cosine of `n` equal steps; rounded, so that no processor's last bit shows."""
    angles = [2 * math.pi * step / n for step in range(n)]
    return [(round(math.sin(angle), 12), round(math.cos(angle), 12)) for angle in angles]


# By part: its circle, and the part's first value. A month's days are left to the day of the year.
_CIRCLES = {"weekday": (_circle(7), 0), "day_of_year": (_circle(366), 1), "hour": (_circle(24), 0)}


class DatetimeParts(Transform):
    """The parts of a moment that varied in training, in UTC; a moment outside the years 1 to 9999 is missing.

    Plain: days since 1970 with their fraction, year, month (1 to 12), day (1 to 31), weekday (0 is Monday), day of the
    year (1 to 366) and hour (0 to 23). Where missing NaN in all, but the parts of the median moment where the fit saw
    none missing. Cyclic: days since 1970 in standard deviations from their mean, clipped at 10, then sine and cosine of
    weekday, day of the year and hour; where missing 0 in all, and 1 in one more output if values were missing at fit.
    Cyclic outputs are finite.

    Parameters
    ----------
    column : str
        The raw column's name; its cells are seconds since 1970 UTC.
    cyclic : bool, default=False
        For linear models.

    Examples
    --------
    >>> moments = {"at": np.array([0.0, 951_782_400.0])}  # 1 January 1970, 29 February 2000
    >>> parts = DatetimeParts("at").fit(moments, np.zeros(2), n_classes=0, seed=0)
    >>> [tag.name for tag in parts.tags]
    ['at: days', 'at: year', 'at: month', 'at: day', 'at: weekday', 'at: day_of_year']
    >>> parts.row(951_782_400.0)
    [11016.0, 2000, 2, 29, 1, 60]
    """

    kind: ClassVar[str] = "datetime_parts"
    rules: ClassVar[dict[str, Rule]] = {"cyclic": Flag()}
    added: ClassVar[frozenset[str]] = frozenset({"gap"})

    def __init__(self, column: str, *, cyclic: bool = False) -> None:
        super().__init__(column)
        check("DatetimeParts", {"cyclic": cyclic}, self.rules)
        self.cyclic = cyclic

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Find the parts that vary; for the cyclic option also the mean and deviation of the days."""
        seconds: Any = columns[self.column]
        present = _present(seconds)
        table = _table(seconds[present])
        allowed = ("days", *_CIRCLES) if self.cyclic else _PARTS
        varying = [name for name in allowed if len(np.unique(table[name])) > 1]
        self.has_flag_ = bool(self.cyclic and present.any() and not present.all())
        gap = math.nan if self.cyclic or not present.all() else gapless_median(seconds)
        days = table["days"]
        mean, deviation = (float(days.mean()), float(days.std())) if len(days) else (0.0, 1.0)
        return self.set_learned(varying, mean, deviation if deviation > 0 else 1.0, gap)

    def set_learned(self, parts: list[str], mean: float, deviation: float, gap: float = math.nan) -> Self:
        """Hold what was learned, and return self."""
        self.parts_, self.mean_, self.deviation_, self.gap = parts, mean, deviation, gap
        self._indices = [_PARTS.index(part) for part in parts]
        self._circles = [(_PARTS.index(part), *_CIRCLES[part]) for part in parts if part in _CIRCLES]
        width = len(self.tags)
        if self.cyclic:
            self._of_missing = [0.0] * (width - self.has_flag_) + [1.0] * self.has_flag_
        elif math.isnan(gap):
            self._of_missing = [math.nan] * width
        else:
            middle = _parts(gap)
            self._of_missing = [middle[i] for i in self._indices]
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        seconds: Any = columns[self.column]
        present = _present(seconds)
        table = _table(np.where(present, seconds, 0.0))
        if not self.cyclic:
            outputs = [table[part] for part in self.parts_]
        else:
            outputs = []
            for part in self.parts_:
                if part == "days":
                    outputs.append(np.clip((table[part] - self.mean_) / self.deviation_, -_CLIP, _CLIP))
                else:
                    circle, first = _CIRCLES[part]
                    outputs.extend(np.array(circle)[table[part] - first].T)
            outputs.extend([np.zeros(len(seconds))] * self.has_flag_)
        out = np.empty((len(seconds), len(outputs)))
        for j, values in enumerate(outputs):
            out[:, j] = values
        out[~present] = self._of_missing
        return out

    def row(self, cell: Cell) -> list[float]:
        """Return one number an output."""
        if cell is None or not _FIRST <= (seconds := float(cell)) < _END:
            return self._of_missing
        parts = _parts(seconds)
        if not self.cyclic:
            return [parts[i] for i in self._indices]
        out = []
        if 0 in self._indices:
            distance = (parts[0] - self.mean_) / self.deviation_
            out.append(_CLIP if distance > _CLIP else max(distance, -_CLIP))
        for i, circle, first in self._circles:
            out += circle[int(parts[i]) - first]
        if self.has_flag_:
            out.append(0.0)
        return out

    @property
    def tags(self) -> list[OutputTag]:
        """One tag a part; sine and cosine each for a cyclic one; the flag last."""
        names = []
        for part in self.parts_:
            if self.cyclic and part in _CIRCLES:
                names += [f"{self.column}: sine of {part}", f"{self.column}: cosine of {part}"]
            else:
                names.append(f"{self.column}: {part}")
        if self.has_flag_:
            names.append(f"{self.column} is missing")
        return [OutputTag(name, self.column) for name in names]

    def state(self) -> State:
        """Return the parts' names and two numbers."""
        learned = {
            "parts": self.parts_,
            "mean": self.mean_,
            "deviation": self.deviation_,
            "has_flag": self.has_flag_,
            "gap": audit.null_for_nan(self.gap),
        }
        return State({**audit.tree(self), **learned})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; parts must be known ones, in their order."""
        new = audit.build(cls, state)
        parts = audit.strings(state, "parts")
        allowed = ("days", *_CIRCLES) if new.cyclic else _PARTS
        if parts != [part for part in allowed if part in parts]:
            raise BundleContentError("datetime_parts: parts", got=parts, allowed=allowed)
        new.has_flag_ = audit.flag(state, "has_flag")
        if new.has_flag_ and not new.cyclic:
            raise BundleContentError("datetime_parts: has_flag", got=True, allowed="False unless cyclic")
        deviation = audit.number(state, "deviation", positive=True)
        gap = audit.number_or_null(state, "gap")
        if not (math.isnan(gap) or _FIRST <= gap < _END):
            raise audit.wrong(state, "gap", gap, "a moment of the years 1 to 9999, or null")
        return new.set_learned(parts, audit.number(state, "mean"), deviation, gap)


def _present(seconds: Floats) -> np.ndarray:
    return (seconds >= _FIRST) & (seconds < _END)


def _table(seconds: Floats) -> dict[str, np.ndarray]:
    """Return all parts of moments that are in range, by whole-number arithmetic."""
    days, second = np.divmod(np.floor(seconds).astype(np.int64), _DAY)
    date = days.astype("datetime64[D]")
    month, year = date.astype("datetime64[M]"), date.astype("datetime64[Y]")
    return {
        "days": seconds / _DAY,
        "year": year.astype(np.int64) + 1970,
        "month": month.astype(np.int64) % 12 + 1,
        "day": (date - month.astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": (days + 3) % 7,
        "day_of_year": (date - year.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": second // 3600,
    }


def _parts(seconds: float) -> tuple[float, ...]:
    """Return all parts of one moment that is in range, in the order of `_PARTS`."""
    days, second = divmod(math.floor(seconds), _DAY)
    date = dt.date.fromordinal(days + _EPOCH)
    day_of_year = days + _EPOCH - dt.date(date.year, 1, 1).toordinal() + 1
    return (
        seconds / _DAY,
        date.year,
        date.month,
        date.day,
        (days + 3) % 7,
        day_of_year,
        second // 3600,
    )
