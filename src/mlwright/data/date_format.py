"""Date formats: how a column of text writes its dates, and whether day or month comes first.

What is found here are ``strptime`` formats for `mlwright.data.values`. The rule for ``03/04/2020``: the whole column
decides; where no value says (none has a number above 12), the day comes first.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mlwright.data.scalars import tidy_date

__all__ = ["FAMILIES", "DateFormat", "date_format", "shape"]

_NUMERIC = (
    *(
        f"{first}{mark}{second}{mark}{year}"
        for mark in "/.-"
        for year in ("%Y", "%y")
        for first, second in (("%d", "%m"), ("%m", "%d"))
    ),
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y", "%Y%m%d", "%Y-%j"),
)
_NAMED = (
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%d-%B-%Y", "%d/%b/%Y", "%d. %B %Y", "%d. %b %Y"),
    *("%d %b %y", "%d %b, %Y", "%d %B, %Y", "%d%b%Y", "%d%b%y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%b-%d-%Y", "%b/%d/%Y"),
    *("%a, %d %b %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%a, %b %d, %Y", "%a %d %b %Y", "%a %b %d %Y"),
    *("%Y %b %d", "%Y %B %d", "%Y-%b-%d", "%Y/%b/%d"),
    *("%b %Y", "%B %Y", "%b, %Y", "%B, %Y", "%b-%Y", "%B-%Y", "%b-%y", "%b %y", "%b%Y", "%b/%Y"),
    *("%Y %b", "%Y %B", "%Y-%b", "%Y%b", "%y-%b"),
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
_TIMES = (
    *("", *(f" {clock}" for clock in _CLOCKS), *(f", {clock}" for clock in _CLOCKS)),
    *(" %H:%M:%S %z", " %H:%M:%S.%f %z", " %H:%M:%S GMT", " %H:%M:%S UTC", " %H:%M:%S.%f UTC", " %H:%M UTC"),
    *(" %z", "T%H%M%S", "T%H%M%SZ", "T%H:%M:%S", ":%H:%M:%S", " at %H:%M", " at %I:%M %p", " %H"),
)
_WITH_TIME = (["%a %b %d %H:%M:%S %Y"], ["%a %b %d %H:%M:%S %z %Y"], ["%d/%b/%Y:%H:%M:%S %z"])
_FAMILIES_NUMERIC = tuple([part + time for time in _TIMES] for part in _NUMERIC)
_FAMILIES_NAMED = (*([part + time for time in _TIMES] for part in _NAMED), *_WITH_TIME)
FAMILIES = (*_FAMILIES_NUMERIC, *_FAMILIES_NAMED)
"""Every format that is tried; those of one family differ in their time alone."""
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
# What a date starts with; a word that does not is asked no further.
_NAMED_START = re.compile(
    rf"(?:[a-z]{{3,9}},?\s+)?(?:[0-9]{{1,4}}[ ./,-]*{_MONTH}|{_MONTH}[ ./,-]*[0-9])",
    re.IGNORECASE,
)
_NUMERIC_DATE = re.compile(r"[0-9]{1,4}[/.-][0-9]{1,4}(?:[/.-][0-9]{1,4})?(?![0-9/.-])|[0-9]{8}(?![0-9])")
_QUARTERED = re.compile(r"[0-9]{4}[ -]?[Qq][1-4]|[Qq][1-4][ -]?[0-9]{4}")
_CHARACTERS = re.compile(r"[0-9A-Za-z.,:/+\- ]+")
# All that `strptime` reads, and a little more: it compiles a format anew each time, so it is only asked where these fit.
_SHAPES = {
    **{f"%{code}": r"\s?\d{1,2}" for code in "dmyHIMS"},
    **{f"%{code}": r"[^\d\s]{3,12}" for code in "aAbB"},
    "%Y": r"\d{4}",
    "%j": r"\d{1,3}",
    "%f": r"\d{1,6}",
    "%p": r"[^\d\s]{1,8}",
    "%z": r"(?:[+-][\d:.]+|z)",
}
_NUMERIC_START = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d")


class DateFormat(NamedTuple):
    """How a column writes its dates: ``strptime`` formats (none: ISO 8601), and a remark for people."""

    formats: list[str]
    remark: str = ""


def date_format(words: Sequence[str]) -> DateFormat | None:
    """Return how `words` write dates, or None if fewer than 95 % of a sample of them are dates.

    Parameters
    ----------
    words : sequence of str
        Distinct texts without blanks around them.

    Examples
    --------
    >>> date_format(["31.12.2019", "01.02.2020"]).formats
    ['%d.%m.%Y']
    >>> date_format(["2019-12-31", "2020-02-01 10:00"]).formats
    []
    >>> date_format(["3rd Mar. 2019", "21st Sept. 2020"]).formats
    ['%d %b %Y']
    """
    ordered = sorted(words)
    sample = ordered[:: max(1, len(ordered) // 500)]
    if not sample or sum(map(_may_be, sample)) < 0.95 * len(sample):
        return None
    if sum(_is_iso(word) for word in sample) >= 0.95 * len(sample):
        return DateFormat([])
    if sum(_QUARTERED.fullmatch(word) is not None for word in sample) >= 0.95 * len(sample):
        return DateFormat(["%Y-%m"], "a quarter is read as its first day")
    sample = [tidy_date(word) for word in sample]
    probes = sample[:: max(1, len(sample) // 20)]
    families = next(
        (
            families
            for start, families in ((_NUMERIC_DATE, _FAMILIES_NUMERIC), (_NAMED_START, _FAMILIES_NAMED))
            if sum(start.match(word) is not None for word in probes) >= 0.9 * len(probes)
        ),
        (),
    )
    best: tuple[int, list[str]] | None = None
    for family in families:
        # One format after the other over all words: `strptime` keeps only a few formats compiled.
        starting = [word for word in probes if shape(family[0]).match(word) is not None]
        if not any(_reads(word, form) for form in family for word in starting):
            continue
        left, used = sample, []
        for form in family:
            rest = [word for word in left if not _reads(word, form)]
            if len(rest) < len(left):
                used.append(form)
            left = rest
        if best is None or len(sample) - len(left) > best[0]:
            best = len(sample) - len(left), used
    if best is None or best[0] < 0.95 * len(sample):
        return None
    return _ordered(best[1], words)


def _ordered(formats: list[str], words: Sequence[str]) -> DateFormat:
    """Let every value of the column say whether day or month comes first."""
    part = formats[0]
    if part[:2] not in {"%d", "%m"} or part[3:5] not in {"%d", "%m"}:
        return DateFormat(formats)
    starts = [match for match in map(_NUMERIC_START.match, words) if match is not None]
    day_first = sum(int(match.group(1)) > 12 for match in starts)
    month_first = sum(int(match.group(2)) > 12 for match in starts)
    if not day_first and not month_first:
        remark = "no value says whether day or month comes first: read day first"
        return DateFormat([_turned(form, "%d", "%m") for form in formats], remark)
    if day_first and month_first:
        remark = f"{min(day_first, month_first)} values have day and month the other way round"
        formats = [
            _turned(form, *(("%d", "%m") if day_first >= month_first else ("%m", "%d"))) for form in formats
        ]
        return DateFormat(formats, remark)
    return DateFormat([_turned(form, *(("%d", "%m") if day_first else ("%m", "%d"))) for form in formats])


def _turned(form: str, first: str, second: str) -> str:
    return f"{first}{form[2]}{second}{form[5:]}"


def _may_be(word: str) -> bool:
    return (
        6 <= len(word) <= 40
        and _CHARACTERS.fullmatch(word) is not None
        and sum(map(str.isdigit, word)) >= 2
        and not word.isdigit()
    )


def _is_iso(word: str) -> bool:
    if word.count("-") < 2:
        return False
    try:
        dt.datetime.fromisoformat(word)
    except ValueError:
        return False
    return True


@cache
def shape(form: str) -> re.Pattern[str]:
    """Return a pattern that fits all that ``strptime`` reads by this format, and perhaps more.

    Examples
    --------
    >>> bool(shape("%d %b %Y").fullmatch("3 Jan 2019")), bool(shape("%d %b %Y").fullmatch("3.1.2019"))
    (True, False)
    """
    parts = (
        _SHAPES[part] if part[0] == "%" else r"\s+" if part.isspace() else re.escape(part)
        for part in re.findall(r"%.|\s+|[^%\s]+", form)
    )
    return re.compile("".join(parts), re.IGNORECASE)


def _reads(word: str, form: str) -> bool:
    if shape(form).fullmatch(word) is None:
        return False
    try:
        dt.datetime.strptime(word, form)  # noqa: DTZ007 - only asked whether it can be read
    except ValueError:
        return False
    return True
