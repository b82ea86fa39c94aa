"""Number formats: how a column of text writes its numbers: units, currency signs, thousands, decimal commas.

What is found here is a `Column.format` that `mlwright.data.values.number` reads. It does not know columns or tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlwright.data.values import number

__all__ = ["number_format"]

# A currency may stand before a number; no other letters may: "A17" and "Q3" are codes.
_CURRENCIES = frozenset(
    [
        "$",
        "€",
        "£",
        "¥",
        "₹",
        "₩",
        "₽",
        "₺",
        "USD",
        "EUR",
        "GBP",
        "JPY",
        "CHF",
        "INR",
        "AUD",
        "CAD",
        "US$",
        "A$",
        "C$",
        "R$",
        "Rs",
        "Rs.",
        "kr",
        "~",
        "≈",
    ]
)
# Several units may share a column only if their relation is known: factors within one family.
_FAMILIES: tuple[Mapping[str, float], ...] = (
    {
        "k": 1e3,
        "K": 1e3,
        "M": 1e6,
        "m": 1e6,
        "B": 1e9,
        "b": 1e9,
        "Mn": 1e6,
        "mn": 1e6,
        "Bn": 1e9,
        "bn": 1e9,
        "thousand": 1e3,
        "million": 1e6,
        "billion": 1e9,
        "lakh": 1e5,
        "Lakh": 1e5,
        "crore": 1e7,
        "Cr": 1e7,
    },
    {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3},
    {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6},
    {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    {
        "day": 1.0,
        "days": 1.0,
        "week": 7.0,
        "weeks": 7.0,
        **dict.fromkeys(("mo", "mos", "month", "months"), 365.25 / 12),
        **dict.fromkeys(("yr", "yrs", "year", "years"), 365.25),
    },
    {"ml": 1e-3, "mL": 1e-3, "cl": 1e-2, "l": 1.0, "L": 1.0},
)
_SHAPE = re.compile(
    r"([^\d.,+'-]*?)\s*([+-]?[.,]?\d(?:[\d.,'\u00a0\u202f ]*\d)?(?:[eE][+-]?\d+)?\.?)\s*(\D*)"
)
_CONVENTIONS = (
    (".", ","),
    (",", "."),
    (",", " "),
    (".", " "),
    (".", "'"),
    (",", "\u00a0"),
    (",", "\u202f"),
)


def number_format(words: Sequence[str], counts: np.ndarray) -> dict[str, Any] | None:
    """Return the format in which most of `words` are numbers, or None if they are none.

    Parameters
    ----------
    words : sequence of str
        Distinct texts without blanks around them.
    counts : ndarray of shape (n_words,)
        How many rows hold each.

    Returns
    -------
    dict or None
        Keys of `mlwright.data.values.number`: ``decimal``, ``thousands``, ``strip``, ``scale``; empty for plain
        numbers. At least 95 % of the rows can be read by it.

    Examples
    --------
    >>> number_format(["74 bhp", "1,204.5 bhp"], np.array([3, 1]))
    {'strip': ['bhp']}
    >>> number_format(["A17", "A18"], np.array([1, 1])) is None
    True
    """
    total = counts.sum()
    sample = words[:: max(1, len(words) // 1000)]
    if sum(_SHAPE.fullmatch(word) is not None for word in sample) < 0.5 * len(sample):
        return None
    shaped = [(_SHAPE.fullmatch(word), int(count)) for word, count in zip(words, counts, strict=True)]
    matched = [(match, count) for match, count in shaped if match is not None]
    if sum(count for _, count in matched) < 0.95 * total:
        return None
    units = _units(
        {match.group(1).strip() for match, _ in matched},
        {match.group(3).strip() for match, _ in matched},
        matched,
    )
    if units is None:
        return None
    best: tuple[int, dict[str, Any]] | None = None
    for decimal, thousands in _CONVENTIONS:
        form: dict[str, Any] = (
            {} if (decimal, thousands) == (".", ",") else {"decimal": decimal, "thousands": thousands}
        )
        form |= units
        read = sum(int(n) for word, n in zip(words, counts, strict=True) if not np.isnan(number(word, form)))
        if best is None or read > best[0]:
            best = read, form
    return best[1] if best is not None and best[0] >= 0.95 * total else None


def _units(
    before: set[str], after: set[str], matched: list[tuple[re.Match[str], int]]
) -> dict[str, Any] | None:
    """Return ``strip`` and ``scale``, or None if the signs around the numbers carry information of their own."""
    before, after = before - {""}, after - {""}
    if before - _CURRENCIES or len(before) > 1:
        return None
    if any(len(unit) > 16 or not (unit[0].isalpha() or unit[0] in "%‰°$€£¥₹") for unit in after):
        return None
    strip = sorted(before | after, key=lambda unit: (-len(unit), unit))  # "kg" is tried before "g"
    if not strip:
        return {}
    scale: dict[str, float] = {}
    family = next((known for known in _FAMILIES if after <= set(known)), None)
    multipliers = _FAMILIES[0]
    if len(after) == 1:
        bare = sum(count for match, count in matched if not match.group(3).strip())
        unit = next(iter(after))
        # "5K" beside "700": thousands; "5K" everywhere: one unit, nothing to convert.
        if unit in multipliers and bare:
            scale = {unit: multipliers[unit]}
    elif after and family is not None:
        if (
            len({family[unit] for unit in after}) > 1
        ):  # "1 month" beside "36 months": one unit in two spellings
            scale = {unit: family[unit] for unit in sorted(after)}
    elif after and not _same_measure(after, matched):
        return None
    return {"strip": strip, **({"scale": scale} if scale else {})}


def _same_measure(after: set[str], matched: list[tuple[re.Match[str], int]]) -> bool:
    """Return whether several units can stand for one measure: words apart from the number, three at most.

    "36 month" and "12 months" are; "1A" and "2B", or "1st" and "2nd", are not.
    """
    apart = all(
        match.group(0)[match.end(2) : match.end(2) + 1].isspace()
        for match, _ in matched
        if match.group(3).strip()
    )
    return apart and len(after) <= 3 and all(len(unit) > 1 for unit in after)
