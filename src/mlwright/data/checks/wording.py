"""The wording of findings: names and shares as people read them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["named", "plural", "share", "shown"]


def named(names: Sequence[object], most: int = 5) -> str:
    """Return quoted names in a row, those after `most` as a count.

    Examples
    --------
    >>> named(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = [f"'{str(name)[:60]}'" for name in names[:most]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(part: float) -> str:
    """Return a share as percent, never rounded to none or all where it is neither.

    Examples
    --------
    >>> share(0.256), share(0.0004), share(1.0), share(0.9999)
    ('25.6 %', '0.04 %', '100 %', '99.99 %')
    """
    percent = 100.0 * part
    if 0 < percent < 1 or 99 < percent < 100:
        nearest = min(percent, 100.0 - percent)
        digits = 2 if nearest >= 0.01 else 5
        return f"{percent:.{digits}f}".rstrip("0").rstrip(".") + " %"
    return f"{percent:.3g} %"


def shown(score: float) -> str:
    """Return an AUC or R2 with as many digits as tell it from 1.

    Examples
    --------
    >>> shown(0.75), shown(0.99995), shown(1.0)
    ('0.7500', '0.999950', '1')
    """
    return "1" if score >= 1 - 1e-9 else f"{score:.{4 if score < 0.9999 else 6}f}"
