"""Cuts: raw columns cut into parts that can be said in words. Knows columns and values, no model and no score."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded

__all__ = ["Condition", "Cut", "cuts"]

_MOST_LEVELS = 60  # categories of a column that are looked at, the most frequent ones
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Condition:
    """What the rows of a part have in one column: a level, a range with both ends in it, or no value.

    Parameters
    ----------
    column : str
        Its name.
    part : {"", "year", "month", "weekday", "hour"}
        Of a moment, which part is meant.
    level : str or None
        The category.
    low, high : float or None
        The least and the greatest value of the rows. Without a level and a range the column has no value.
    """

    column: str
    part: str = ""
    level: str | None = None
    low: float | None = None
    high: float | None = None

    def joined(self, other: Condition) -> Condition:
        """Return the range from this one's low end to the other's high end."""
        return Condition(self.column, self.part, None, self.low, other.high)


@dataclass(frozen=True, slots=True)
class Cut:
    """A column in parts.

    Parameters
    ----------
    column : str
        Its name.
    codes : ndarray of int64, shape (n_rows,)
        The part of each row; -1 for rows that are in none.
    conditions : list of Condition
        What a part is, by code.
    n_ordered : int
        The first so many parts are ranges in rising order, which may be joined; the others stand alone.
    """

    column: str
    codes: Ints = field(repr=False)
    conditions: list[Condition]
    n_ordered: int = 0


def cuts(column: Column, values: Floats | Coded, *, fewest: int, n_bins: int = 8) -> list[Cut]:
    """Return the ways to cut a column: one, or one a part of the date for moments; none where nothing differs.

    Parameters
    ----------
    column : Column
        What the values are.
    values : ndarray or Coded of n_rows
        Canonical ones.
    fewest : int
        A category, or the rows without a value, are a part from so many rows on.
    n_bins : int, default=8
        Numbers are cut at quantiles into so many ranges; each value is a range where there are no more than that.

    Examples
    --------
    >>> found = cuts(Column("age", Kind.NUMERIC), np.array([20.0, 31.0, 45.0, 70.0]), fewest=1, n_bins=2)
    >>> [(part.low, part.high) for part in found[0].conditions]
    [(20.0, 31.0), (45.0, 70.0)]
    """
    if isinstance(values, Coded):
        absent = values.codes < 0
        made = [_of_levels(column.name, "", values.codes.astype(np.int64), values.levels, fewest)]
    elif column.kind is Kind.BOOLEAN:
        absent = np.isnan(values)
        words = {"int": ["0", "1"], "bool": ["false", "true"]}.get(column.dtype, ["no", "yes"])
        made = [_of_levels(column.name, "", np.where(absent, -1, values > 0.5), words, fewest)]
    elif column.kind is Kind.DATETIME:
        absent = np.isnan(values)
        made = _of_moments(column.name, values, fewest, n_bins)
    else:
        absent = np.isnan(values)
        made = [_of_numbers(column.name, "", values, n_bins)]
    if absent.sum() >= max(fewest, 1):
        first = made[0]
        codes = np.where(absent, len(first.conditions), first.codes)
        made[0] = Cut(first.column, codes, [*first.conditions, Condition(first.column)], first.n_ordered)
    return [found for found in made if len(found.conditions) > 1]


def _of_levels(name: str, part: str, codes: Ints, levels: list[str], fewest: int) -> Cut:
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    kept = [int(i) for i in np.argsort(-counts, kind="stable")[:_MOST_LEVELS] if counts[i] >= max(fewest, 1)]
    place = np.full(len(levels) + 1, -1, np.int64)  # the last one is where -1 looks
    place[kept] = np.arange(len(kept))
    return Cut(name, place[codes], [Condition(name, part, level=levels[i]) for i in kept])


def _of_numbers(name: str, part: str, values: Floats, n_bins: int) -> Cut:
    absent = np.isnan(values)
    codes = np.full(len(values), -1, np.int64)
    ordered = np.sort(values[~absent])
    if not len(ordered):
        return Cut(name, codes, [])
    starts = distinct = np.unique(ordered)
    if len(distinct) > n_bins:
        borders = np.quantile(ordered, np.linspace(0, 1, n_bins + 1)[1:-1], method="inverted_cdf")
        after = np.searchsorted(distinct, np.unique(borders), side="right")
        starts = distinct[np.unique([0, *after[after < len(distinct)]])]
    codes[~absent] = np.searchsorted(starts, values[~absent], side="right") - 1
    first = np.searchsorted(ordered, starts)
    last = [*(first[1:] - 1), len(ordered) - 1]
    conditions = [
        Condition(name, part, low=float(ordered[low]), high=float(ordered[high]))
        for low, high in zip(first, last, strict=True)
    ]
    return Cut(name, codes, conditions, len(conditions))


def _of_moments(name: str, seconds: Floats, fewest: int, n_bins: int) -> list[Cut]:
    absent = np.isnan(seconds)
    moments = np.where(absent, 0, seconds).astype(np.int64).astype("datetime64[s]")
    days = moments.astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)
    weekdays = (days.astype(np.int64) + 3) % 7
    hours = (moments - days).astype(np.int64) // 3600
    return [
        _of_numbers(name, "year", np.where(absent, np.nan, months // 12 + 1970), n_bins),
        _of_levels(name, "month", np.where(absent, -1, months % 12), list(_MONTHS), fewest),
        _of_levels(name, "weekday", np.where(absent, -1, weekdays), list(_WEEKDAYS), fewest),
        _of_numbers(name, "hour", np.where(absent, np.nan, hours), n_bins),
    ]
