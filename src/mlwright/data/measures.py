"""Measures: times of day, durations, and feet and inches, as people write them. One text in, one number out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["MEASURES", "clock", "duration", "feet"]

_LONGEST = 40  # characters; no measure is longer
_CLOCK = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,9})?))?(?:\s*([ap])\.?m\.?)?")
_FEET = re.compile(
    r"([0-9]{1,3})\s*(?:'|\u2019|\u2032|ft\.?|feet|foot)\s*"
    r"(?:([0-9]{1,2}(?:\.[0-9]{1,4})?)\s*(?:\"|''|\u201d|\u2033|in\.?|inch|inches)?)?"
)
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)\.?(?:\s*(?:,|and)?\s*)")
_UNITS = (
    (365.25 * 24, "y yr yrs year years"),
    (365.25 * 2, "mo mos mon mons mth mths month months"),
    (7 * 24, "w wk wks week weeks"),
    (24, "d day days"),
    (1, "h hr hrs hour hours"),
    (1 / 60, "m min mins minute minutes"),
    (1 / 3600, "s sec secs second seconds"),
)
_HOURS: Mapping[str, float] = MappingProxyType(
    {name: float(hours) for hours, names in _UNITS for name in names.split()}
)


def clock(text: str) -> float:
    """Return the hours in ``hours:minutes`` or ``hours:minutes:seconds``, NaN if it is none.

    Examples
    --------
    >>> clock("17:24:00"), clock("1:30 pm"), clock("12:15 AM"), clock("nine")
    (17.4, 13.5, 0.25, nan)
    """
    found = _CLOCK.fullmatch(text.lower()) if len(text) <= _LONGEST else None
    if found is None:
        return math.nan
    hours, half = int(found[1]), found[4]
    if half is not None:
        if not 1 <= hours <= 12:
            return math.nan
        hours = hours % 12 + 12 * (half == "p")
    return hours + int(found[2]) / 60 + float(found[3] or 0) / 3600


def feet(text: str) -> float:
    r"""Return the inches in feet and inches, NaN if it is neither.

    Examples
    --------
    >>> feet("5'11\""), feet("6 ft"), feet("5 ft 7.5 in"), feet("tall")
    (71.0, 72.0, 67.5, nan)
    """
    found = _FEET.fullmatch(text.lower()) if len(text) <= _LONGEST else None
    return math.nan if found is None else int(found[1]) * 12 + float(found[2] or 0)


def duration(text: str) -> float:
    """Return the hours in one or more numbers with units of time, NaN if it is none.

    A month has a twelfth of 365.25 days. Units must fall, so that "5 m 3 d" is none.

    Examples
    --------
    >>> duration("2h 30m"), duration("1yr 6mo") / 24 / 365.25, duration("1 day, 12 hours"), duration("2 bed 1 bath")
    (2.5, 1.5, 36.0, nan)
    """
    text = text.lower()
    if len(text) > _LONGEST:
        return math.nan
    place, total, last = 0, 0.0, math.inf
    while found := _PART.match(text, place):
        unit = _HOURS.get(found[2], math.inf)
        if unit >= last:
            return math.nan
        place, last = found.end(), unit
        total += float(found[1]) * unit
    return total if place == len(text) and place else math.nan


#: How a column may write its numbers, by the word that ``Column.format["measure"]`` holds.
MEASURES: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {"clock": clock, "duration": duration, "feet": feet}
)
