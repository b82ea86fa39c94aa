"""Numbered dates: numbers that write moments: 20140131, 201401, seconds since 1970, days of a spreadsheet.

Which numbers are moments is told by their column's name, by their being real days without exception, or by the
project. What is found is a `Column.format` of `mlwright.data.scalars`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwright.core.types import Floats

__all__ = ["IN_DIGITS", "TIME_WORDS", "DateFound", "dates_in", "told_dates"]

_FEWEST = 20  # different numbers, all of them real days, need no name to be seen as days
TIME_WORDS = frozenset(
    [
        "time",
        "timestamp",
        "date",
        "datetime",
        "ts",
        "epoch",
        "created",
        "updated",
        "at",
        "dt",
        "when",
        "day",
        "ymd",
    ]
)
# Beside these, words of names whose large numbers are moments: no other measure lies in the years 1980 to 2100.
_MOMENTS = TIME_WORDS | frozenset(
    [
        *(
            "start",
            "started",
            "end",
            "ended",
            "begin",
            "since",
            "until",
            "expires",
            "expiry",
            "due",
            "deadline",
        ),
        *(
            "modified",
            "changed",
            "joined",
            "seen",
            "login",
            "signup",
            "registered",
            "born",
            "birth",
            "birthday",
        ),
        *("dob", "unix", "utc", "posted", "published", "opened", "closed", "sent", "received"),
    ]
)
_MONTHLY = TIME_WORDS | frozenset(["month", "ym", "yyyymm", "yearmonth", "yearmon", "period"])
_DIGITS = (  # dates in digits alone, in what range they lie; the last one only where the name speaks of months
    (18000101, 22001231, "%Y%m%d"),
    (180001010000, 220012312359, "%Y%m%d%H%M"),
    (18000101000000, 22001231235959, "%Y%m%d%H%M%S"),
    (180001, 220012, "%Y%m"),
)
IN_DIGITS = (["%Y"], *([form] for _, _, form in _DIGITS))
_SPREADSHEET_1970 = 25569.0  # days from a spreadsheet's day 0 to 1970
_EPOCH_RANGE, _EPOCH_UNITS = (315532800.0, 4102444800.0), (1.0, 1e-3, 1e-6, 1e-9)


@dataclass(frozen=True, slots=True)
class DateFound:
    """A reading of dates that was found, with a remark for people."""

    format: dict[str, Any]
    remark: str = ""


def dates_in(distinct: Floats, words: AbstractSet[str], *, code: bool = False) -> DateFound | None:
    """Return how whole numbers write dates, or None if they are none.

    Parameters
    ----------
    distinct : ndarray of shape (n_distinct,)
        The different numbers, rising; one at least.
    words : set of str
        The words of the column's name.
    code : bool, default=False
        The name says that the numbers are codes: only a word for time makes moments of them.

    Examples
    --------
    >>> dates_in(np.array([201401.0, 201412.0]), {"month"}).format, dates_in(np.array([7.0]), {"day"})
    ({'formats': ['%Y%m']}, None)
    """
    monthly = bool(words & _MONTHLY)
    found = _numbered_dates(distinct, monthly=monthly) if monthly or words & _MOMENTS else None
    return _evident_dates(distinct) if found is None and not code else found


def _numbered_dates(distinct: Floats, *, epoch: bool = True, monthly: bool = True) -> DateFound | None:
    """Return how whole numbers write dates: as 20191231 (and hours), 201912, or as a count since 1970."""
    low, high = distinct[0], distinct[-1]
    for first, last, form in _DIGITS if monthly else _DIGITS[:-1]:
        if low >= first and high <= last:
            read = sum(_is_moment(str(int(value)), form) for value in distinct)
            return DateFound({"formats": [form]}) if read == distinct.size else None
    for unit in _EPOCH_UNITS if epoch else ():
        if _EPOCH_RANGE[0] <= low * unit and high * unit <= _EPOCH_RANGE[1]:
            return DateFound({"epoch": unit})
    return None


def _evident_dates(distinct: Floats) -> DateFound | None:
    """Return dates that need no name to be seen: 20 or more numbers of the last hundred years, each a real day."""
    if distinct.size < _FEWEST or distinct[0] < 19000101:
        return None
    return _numbered_dates(distinct, epoch=False, monthly=False)


def _is_moment(digits: str, form: str) -> bool:
    try:
        dt.datetime.strptime(digits, form)  # noqa: DTZ007 - only asked whether it can be read
    except ValueError:
        return False
    return True


def told_dates(distinct: Floats) -> DateFound | None:
    """Return how numbers write dates where the project says that they do: also as a spreadsheet's days or years."""
    if (found := _numbered_dates(distinct)) is not None or not distinct.size:
        return found
    if distinct[0] >= 1000 and distinct[-1] <= 2999 and bool(np.all(distinct == np.floor(distinct))):
        return DateFound({"formats": ["%Y"]})
    if distinct[0] >= 1 and distinct[-1] < 80000:  # up to the year 2119
        return DateFound({"epoch": 86400.0, "origin": _SPREADSHEET_1970})
    return None
