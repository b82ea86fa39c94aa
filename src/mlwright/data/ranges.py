"""Ranges: "18-25", "65+", "under 10", "$0-$10k", "emp_ge_10" as numbers that keep their order.

A range is its middle. One without an upper end is its lower end, and half as much again where that end itself does
not belong to it ("over 5" beside "5"); one without a lower end is half of its upper end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Ranged", "are_ranges", "read_range"]

_ZEROS = re.compile(r"\s*0[0-9]")  # a code
_LONGEST = 60  # characters; no range is longer
_CLEAN = str.maketrans(
    {"\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2264": "<=", "\u2265": ">=", "_": " ", "\u00a0": " "}
    | dict.fromkeys("$\u20ac\u00a3\u00a5\u20b9[]()", "")
)
_NUMBER = re.compile(r"([0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?)(?:\s*(k|m|mn|bn?|thousand|million)(?![a-z0-9]))?")
_FACTORS = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9}
_WORDS = r"(?:[a-z/%'.][a-z/%'. ]{0,15}?)?"
_BETWEEN = re.compile(rf"\s*{_WORDS}\s*(?:-|to|until|till|through|thru|\.\.+|~|<=?\s*[a-z]?\s*<=?)\s*")
_AND = re.compile(r"\s*(?:and|&|,)\s*")
_OPENING = re.compile(r"\b(?:between|from)\s*$")
_LESS = re.compile(
    r"(?:<=?|\b(?:under|below|less than|fewer than|lower than|younger than|up to|at most|no more than|max|maximum|lt"
    r"|le|until|-))\s*$"
)
_MORE = re.compile(r"(?:>=|\b(?:at least|from|min|minimum|ge|starting at))\s*$")
_BEYOND = re.compile(
    r"(?:>|\b(?:over|above|more than|greater than|higher than|older than|exceeding|beyond|gt))\s*$"
)
_OR_LESS = re.compile(rf"\s*{_WORDS}\s*\b(?:or|and)\s*(?:less|fewer|under|below|younger|lower|smaller)\b.*")
_OR_MORE = re.compile(
    rf"\s*{_WORDS}\s*(?:\+|-$|\bplus\b|\b(?:or|and)\s*(?:more|over|above|older|higher|greater|up|larger)\b).*"
)


class Ranged(NamedTuple):
    """A text that holds a number or a range of numbers."""

    value: float
    form: str  # "number", "range", "less" or "more"
    around: str  # what stands around it: a unit or a word, without digits


def read_range(text: str) -> Ranged | None:
    """Return the number or range in a text; None if it holds none, or more than two numbers.

    Examples
    --------
    >>> [read_range(text).value for text in ("18-25", "26 to 35", "65+", "under 10", "$0-$10k", "emp_ge_10")]
    [21.5, 30.5, 65.0, 5.0, 5000.0, 10.0]
    >>> read_range("0<=X<200").value, read_range("11 - 23%").form, read_range("Wednesday")
    (100.0, 'range', None)
    """
    text = text.strip().lower()
    if len(text) > _LONGEST:
        return None
    bracketed = text[:1] in "[(" and text[-1:] in "])"
    text = text.translate(_CLEAN).strip()
    found = list(_NUMBER.finditer(text))
    if not 1 <= len(found) <= 2:
        return None
    before, after = text[: found[0].start()], text[found[-1].end() :]
    values = [_value(number) for number in found]
    if not all(map(math.isfinite, values)):
        return None
    if len(found) == 2:
        between = text[found[0].end() : found[1].start()]
        return _pair(values, found, (before, between, after), bracketed=bracketed)
    return _one(values[0], before, after)


def _value(number: re.Match[str]) -> float:
    return float(number[1].replace(",", "")) * _FACTORS.get(number[2] or "", 1.0)


def _pair(
    values: list[float], found: list[re.Match[str]], parts: tuple[str, str, str], *, bracketed: bool
) -> Ranged | None:
    before, between, after = parts
    opening = _OPENING.search(before)
    named = _AND.fullmatch(between) is not None and (bracketed or opening is not None)
    if not named and _BETWEEN.fullmatch(between) is None:
        return None
    low, high = values
    if found[1][2] and not found[0][2] and low * _FACTORS[found[1][2]] <= high:
        low *= _FACTORS[found[1][2]]  # "10-20k" starts at 10,000
    if low > high:
        return None
    before = before[: opening.start()] if opening else before
    return Ranged(low / 2 + high / 2, "range", _around(before, after))


def _one(value: float, before: str, after: str) -> Ranged:
    if found := _LESS.search(before):
        return Ranged(value / 2 if value > 0 else value - 1, "less", _around(before[: found.start()], after))
    if before.strip() == "-" and after.strip():  # "-1 year": up to a year
        return Ranged(value / 2, "less", _around("", after))
    if _OR_LESS.fullmatch(after):
        return Ranged(value / 2 if value > 0 else value - 1, "less", _around(before, ""))
    if found := _MORE.search(before):
        return Ranged(value, "more", _around(before[: found.start()], after))
    if found := _BEYOND.search(before):
        return Ranged(
            value * 1.5 if value > 0 else value + 1, "more", _around(before[: found.start()], after)
        )
    if _OR_MORE.fullmatch(after):
        return Ranged(value, "more", _around(before, ""))
    if before.endswith("-") and (len(before) == 1 or before[-2].isspace()):
        return Ranged(-value, "number", _around(before[:-1], after))
    return Ranged(value, "number", _around(before, after))


def _around(before: str, after: str) -> str:
    return f"{before.strip()} {after.strip()}".strip()


def are_ranges(levels: Sequence[str]) -> bool:
    """Return whether the levels of a category are ranges or numbers beside words, but for one in three.

    They may stand beside a few different words, as units do; many different ones make codes of them.

    Examples
    --------
    >>> are_ranges(["18-25", "26-35", "65+"]), are_ranges(["term_36", "term_60"]), are_ranges(["A17", "B18", "C2"])
    (True, True, False)
    """
    found = [one for one in map(read_range, levels) if one is not None]
    if len(found) < 2 or 3 * len(found) < 2 * len(levels) or any(_ZEROS.match(level) for level in levels):
        return False
    plain = all(one.form == "number" and not one.around for one in found)
    if len({one.value for one in found}) < 2 or (plain and len(found) == len(levels)):
        return False  # numbers alone are a category where somebody said so
    return len({one.around for one in found} - {""}) <= max(2, len(levels) // 2)
