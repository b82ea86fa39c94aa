"""Redundant: columns that say the same as another one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, shown
from mlwright.data.findings import Finding, Severity
from mlwright.data.values import Coded, Columns

__all__ = ["Redundant"]

_FEWEST_ROWS, _MOST_ROWS, _MOST_COLUMNS = 30, 5_000, 1_000
_FIRST_ROWS = 2_000  # of all columns; the other rows only where these pair
_SAME_ORDER = 0.999  # Spearman's rank correlation
_FEWEST_VALUES = 20  # of a number, for its order to say something
_FEWEST_SHARED = 30  # rows that have both values
_EXACT = 1e-9  # of a number's spread: how far a straight line may be off
# The power of ten against which two columns pair by chance, counted over all pairs of 1,000 columns.
_SURPRISE = 14.0
_MOST_TOLD = 5
_RENAMED = "is {} with other names for its values"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A column that says the same as an earlier one."""

    later: str
    earlier: str
    how: str


class Redundant(Check):
    """Columns that are copies of another: equal, on another scale, in the same order, or categories under other names.

    Models do not suffer from them, but importances and explanations are divided among copies, and each has to be given
    with a record. Order is compared on up to 5,000 rows and, of numbers, in the first 1,000 columns.
    """

    kind: ClassVar[str] = "redundant"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding for a column with copies, those with most copies first; the sixth and later are one."""
        if context.table.n_rows < _FEWEST_ROWS:
            return []
        copies: dict[str, list[_Pair]] = {}
        for pair in _pairs(context.columns):
            copies.setdefault(pair.earlier, []).append(pair)
        order = sorted(copies, key=lambda name: -len(copies[name]))
        findings = [self._finding(name, copies[name]) for name in order[:_MOST_TOLD]]
        rest = order[_MOST_TOLD:]
        if rest:
            names = tuple(pair.later for name in rest for pair in copies[name])
            what = f"{named(names)} say the same as other columns."
            advice = "Leave out of each group of copies all but one."
            findings.append(Finding(self.kind, Severity.INFO, names, what, advice))
        return findings

    def _finding(self, kept: str, pairs: list[_Pair]) -> Finding:
        ways = list(dict.fromkeys(pair.how for pair in pairs))
        said = [
            _sentence([pair.later for pair in pairs if pair.how == how], how).format(named([kept]))
            for how in ways
        ]
        names = tuple(pair.later for pair in pairs)
        advice = (
            f"Leave {'it' if len(names) == 1 else 'them'} out (`--ignore {names[0]}`): what '{kept}' is worth is divided "
            "among its copies in importances and explanations."
        )
        return Finding(self.kind, Severity.INFO, (*names, kept), f"{'; '.join(said)}.", advice)


def _sentence(names: list[str], how: str) -> str:
    verb, rest = how.split(" ", 1)
    several = {"is": "are", "equals": "equal", "has": "have", "puts": "put"}
    quoted = named(names).replace("{", "{{").replace("}", "}}")
    return f"{quoted} {several[verb] if len(names) > 1 else verb} {rest}"


def _pairs(columns: Columns) -> Iterator[_Pair]:
    """Yield each column that says the same as an earlier one, once."""
    taken: set[str] = set()
    for look in (_renamed, _ordered):
        for pair in look({name: values for name, values in columns.items() if name not in taken}):
            if pair.later not in taken and pair.earlier not in taken:
                taken.add(pair.later)
                yield pair


def _renamed(columns: Columns) -> Iterator[_Pair]:
    """Yield columns whose values pair one to one with those of another, beyond chance, or equal them."""
    seen: dict[bytes, str] = {}
    for name, values in _alike_at_first(columns).items():
        codes = _numbered(values)
        counts = np.bincount(codes)
        if len(counts) < 2:
            continue
        key = codes.tobytes()
        if _surprise(counts) < _SURPRISE:  # nearly every row has a value of its own: these must be equal
            key = b"=" + (
                "\0".join(_texts(values)).encode() if isinstance(values, Coded) else values.tobytes()
            )
        earlier = seen.setdefault(key, name)
        if earlier != name:
            yield _Pair(name, earlier, _how(values, columns[earlier]))


def _alike_at_first(columns: Columns) -> Columns:
    """Return the columns whose first rows pair one to one with another's: of a long table few need be read whole."""
    first: dict[str, bytes] = {}
    for name, values in columns.items():
        head = (
            Coded(values.codes[:_FIRST_ROWS], values.levels)
            if isinstance(values, Coded)
            else values[:_FIRST_ROWS]
        )
        first[name] = _numbered(head).tobytes()
    times = Counter(first.values())
    return {name: values for name, values in columns.items() if times[first[name]] > 1}


def _numbered(values: Floats | Coded) -> Ints:
    """Return the values numbered in the order in which they first come, gaps among them, so that names do not matter."""
    raw = values.codes if isinstance(values, Coded) else values
    _, first, place = np.unique(raw, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[place.ravel()]


def _surprise(counts: Ints) -> float:
    """Return the power of ten of how many ways there are to put the rows together in groups of these sizes."""
    sizes, times = np.unique(counts, return_counts=True)
    within = sum(t * math.lgamma(size + 1.0) for size, t in zip(sizes.tolist(), times.tolist(), strict=True))
    alike = sum(math.lgamma(t + 1.0) for t in times.tolist())
    return (math.lgamma(float(counts.sum()) + 1.0) - within - alike) / math.log(10.0)


def _texts(values: Coded) -> list[str]:
    return ["\1" if code < 0 else values.levels[code] for code in values.codes.tolist()]


def _how(later: Floats | Coded, earlier: Floats | Coded) -> str:
    if isinstance(later, Coded) and isinstance(earlier, Coded):
        return "equals {} in every row" if _texts(later) == _texts(earlier) else _RENAMED
    if isinstance(later, Coded) or isinstance(earlier, Coded):
        return _RENAMED
    if np.array_equal(later, earlier, equal_nan=True):
        return "equals {} in every row"
    return "is {} on another scale" if _is_line(later, earlier) else "has one value for each value of {}"


def _is_line(one: Floats, other: Floats) -> bool:
    """Return whether two numbers lie on a straight line, as far as doubles can tell."""
    known = np.isfinite(one) & np.isfinite(other)
    x, y = one[known], other[known]
    top = max(float(np.abs(x).max(initial=0.0)), float(np.abs(y).max(initial=0.0)))
    if len(x) < 2 or top == 0.0 or top > 1e150:
        return False
    x, y = x - x.mean(), y - y.mean()
    moves = float(x @ x)
    return moves > 0 and float(np.abs(y - x * (float(x @ y) / moves)).max()) <= _EXACT * float(
        np.abs(y).max()
    )


def _ordered(columns: Columns) -> Iterator[_Pair]:
    """Yield numbers that put the rows in the order of another one, rising or falling."""
    numbers = {name: values for name, values in columns.items() if not isinstance(values, Coded)}
    n_rows = len(next(iter(numbers.values()), np.empty(0)))
    rows = (
        np.arange(n_rows) if n_rows <= _MOST_ROWS else np.linspace(0, n_rows - 1, _MOST_ROWS).astype(np.int64)
    )
    some = {name: values[rows] for name, values in numbers.items()}
    names = [name for name, values in some.items() if _has_order(values)][:_MOST_COLUMNS]
    if len(names) < 2:
        return
    ranked = np.stack([_ranks(some[name]) for name in names])
    near = np.abs(ranked @ ranked.T)
    for i, j in np.argwhere(np.triu(near >= _SAME_ORDER - 0.05, 1)):
        one, other = some[names[i]], some[names[j]]
        both = ~np.isnan(one) & ~np.isnan(other)
        # Where one has gaps that the other has not, it says less than the other.
        if both.sum() < _FEWEST_SHARED or (np.isnan(one) ^ np.isnan(other)).mean() > 1 - _SAME_ORDER:
            continue
        if len(np.unique(one[both])) < _FEWEST_VALUES or len(np.unique(other[both])) < _FEWEST_VALUES:
            continue
        rho = float(_ranks(one[both]) @ _ranks(other[both]))
        if abs(rho) >= _SAME_ORDER:
            way = "the same order as" if rho > 0 else "the reverse order of"
            straight = _is_line(numbers[names[j]], numbers[names[i]])
            how = (
                "is {} on another scale"
                if straight
                else f"puts the rows in {way} {{}} (rank correlation {shown(abs(rho))})"
            )
            yield _Pair(names[j], names[i], how)


def _has_order(values: Floats) -> bool:
    known = values[~np.isnan(values)]
    return len(known) >= _FEWEST_SHARED and len(np.unique(known)) >= _FEWEST_VALUES


def _ranks(values: Floats) -> Floats:
    """Return ranks of mean 0 and length 1, equal values alike; a gap has the mean rank."""
    _, place, size = np.unique(values, return_inverse=True, return_counts=True, equal_nan=True)
    middle = np.cumsum(size) - (size - 1) / 2.0
    ranks = middle[place.ravel()]
    known = ~np.isnan(values)
    ranks = np.where(known, ranks - ranks[known].mean(), 0.0)
    length = float(np.sqrt(ranks @ ranks))
    return ranks / length if length > 0 else ranks
