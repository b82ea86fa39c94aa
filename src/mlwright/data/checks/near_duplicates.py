"""Near duplicates: test rows that are a training row but for a trifle, or but for one column or two.

What is near is said by the table itself: nearer than a hundredth of what lies between an ordinary test row and the
training row nearest to it. Three numbers that have many values can say so, or many columns of any sort by which ordinary
rows lie far apart; and so can one value that all but names its row, where the rest of the row goes with it. In a table of few
levels rows are alike by chance, and nothing is said. Pairs are found among neighbours in several orders of the rows, each by another half of
the columns, so that a change in one column leaves some orders as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.sides import Sides, sides
from mlwright.data.checks.wording import named, plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.values import Coded

__all__ = ["NearDuplicates"]

_MOST_ROWS, _MOST_COLUMNS = 20_000, 60
_FEWEST_TRAIN, _FEWEST_TEST = 50, 20
_FINE = 0.05  # two rows have the same value with at most this chance
_FEWEST_FINE, _MOST_KEYS = 3, 5
_ROOM = 1_000.0  # times as many values as training rows, by the columns that must agree
_ORDERS, _APART, _BINS = 8, 4, 16
_SPARED = ((20, 2), (6, 1), (0, 0))  # from so many finely graded columns on, so many may differ
_SPARED_OF_ALL = ((16, 2), (8, 1))  # from so many columns of any sort on
_KEY, _HOLDERS = 2.0, 3  # rows of a value as a row meets them on average; rows of a value that is asked
_ROWS_DRAWN, _LIKELIER = 20_000, 10.0  # pairs; times that chance would make
_FAR = 2.5  # columns that are not the same in the nearest ordinary row
_SHARE_OF_OTHERS = 0.1  # of the other columns may differ, and at least one
_NEAR, _BETWEEN, _BETWEEN_OF_ALL = 0.01, 0.1, 0.5  # of the usual distance
_ORDINARY, _AMONG = 100, 2_000  # rows by which the usual distance is told
_FEWEST, _WORTH_A_LOOK, _WORTH_A_WARNING = 5, 0.005, 0.02  # test rows, and shares of them


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as numbers.

    Parameters
    ----------
    fine : ndarray of shape (n_rows, n_fine)
        Finely graded columns in units of their spread, NaN where missing.
    other : ndarray of int64, shape (n_rows, n_others)
        The others as codes.
    names : tuple of str
        First those of `fine`.
    spared : int
        How many of the columns that are measured may differ.
    whole : bool
        Whether all columns are measured, and not only the finely graded ones.
    keys : tuple of int
        The columns, numbered as `names`, of which a value all but names its row.
    """

    fine: Floats
    other: Ints
    names: tuple[str, ...]
    spared: int
    whole: bool
    keys: tuple[int, ...] = ()

    @property
    def others_spared(self) -> int:
        """How many of the columns that are not measured may differ."""
        return (
            0
            if self.whole or not self.other.shape[1]
            else max(1, int(_SHARE_OF_OTHERS * self.other.shape[1]))
        )

    def steps(self, one: Ints | int, other: Ints) -> Floats:
        """Return how far rows are apart in each column that is measured, from 0 to 1; a gap is 1 away from a value."""
        a, b = self.fine[one], self.fine[other]
        steps = np.nan_to_num(np.minimum(np.abs(a - b), 1.0), nan=0.0)
        steps = np.where(np.isnan(a) != np.isnan(b), 1.0, steps)
        if not self.whole:
            return steps
        return np.concatenate([steps, self.other[one] != self.other[other]], axis=1)

    def distance(self, one: Ints | int, other: Ints) -> Floats:
        """Return the sum of the steps, the longest that are spared left out."""
        steps = self.steps(one, other)
        if self.spared:
            steps = np.partition(steps, -self.spared, axis=1)[:, : -self.spared]
        return np.asarray(steps.sum(axis=1), np.float64)

    def unlike(self, one: Ints, other: Ints) -> Ints:
        """Return in how many of the columns that are not finely graded rows differ."""
        return np.asarray((self.other[one] != self.other[other]).sum(axis=1), np.int64)


class NearDuplicates(Check):
    """Test rows that a training row equals but for tiny changes, or in all but a few columns.

    It needs a split, and three columns with many values, or eight columns by which ordinary rows are not alike or one of
    which has a value for nearly every row. It says so from 0.5 % of the test rows (and 5) on and warns from 2 % on. Rows that
    are equal in every column are counted by `duplicate_rows`. Looked at are up to 20,000 rows and 60 columns.
    """

    kind: ClassVar[str] = "near_duplicates"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding, or none."""
        both = sides(context, list(context.columns)[:_MOST_COLUMNS], most=_MOST_ROWS)
        if both is None or both.is_test.sum() < _FEWEST_TEST or (~both.is_test).sum() < _FEWEST_TRAIN:
            return []
        rows = _rows(both)
        alike, keyed = _alike(rows, both.is_test), _keyed(rows, both.is_test)
        one, other = (np.concatenate(pair) for pair in zip(alike, keyed, strict=True))
        equal = (rows.steps(one, other) == 0).all(axis=1) & (rows.unlike(one, other) == 0)
        equal &= both.y[one] == both.y[other]
        one, other = one[~equal], other[~equal]
        copies = np.unique(one)
        part = len(copies) / both.is_test.sum()
        if len(copies) < _FEWEST or part < _WORTH_A_LOOK:
            return []
        what = (
            f"{plural(len(copies), 'test row')} of {both.is_test.sum():,} ({share(part)}) {'equals' if len(copies) == 1 else 'equal'} a training row "
            f"but for {_differing(rows, one, other)}."
        )
        advice = (
            "Find out why rows come again (measured twice, copied and changed); drop the copies, or name a column that "
            "tells which belong together and split by 'group:COLUMN'."
        )
        severity = Severity.WARN if part >= _WORTH_A_WARNING else Severity.INFO
        return [Finding(self.kind, severity, (), what, advice)]


def _rows(both: Sides) -> _Rows:
    """Return the columns as numbers."""
    fine: dict[str, Floats] = {}
    others: list[str] = []
    other: list[Ints] = []
    room: list[float] = []
    key_names: list[str] = []
    for name, values in both.columns.items():
        raw = values.codes if isinstance(values, Coded) else values
        _, place, size = np.unique(raw, return_inverse=True, return_counts=True)
        if len(size) < 2:
            continue
        same = float(((size / len(raw)) ** 2).sum())
        if same * len(raw) <= _KEY:
            key_names.append(name)
        if not isinstance(values, Coded) and same <= _FINE:
            low, high = np.nanquantile(values, [0.05, 0.95])
            spread = float(high - low)
            if np.isfinite(spread) and spread > 0:
                with np.errstate(over="ignore"):
                    fine[name] = np.clip((values - np.nanmedian(values)) / spread, -1e6, 1e6)
                room.append(same)
                continue
        others.append(name)
        other.append(place.astype(np.int64))
    codes = np.stack(other, axis=1) if other else np.zeros((len(both.y), 0), np.int64)
    numbers = np.stack(list(fine.values()), axis=1) if fine else np.zeros((len(both.y), 0))
    columns = (*fine, *others)
    keys = tuple(columns.index(name) for name in key_names[:_MOST_KEYS])
    spared = next(count for least, count in _SPARED if len(fine) >= least)
    told = np.sort(-np.log(room))[: len(room) - spared]
    if len(fine) >= _FEWEST_FINE and told.sum() >= np.log(_ROOM * (~both.is_test).sum()):
        return _Rows(numbers, codes, columns, spared, whole=False, keys=keys)
    spared = next((count for least, count in _SPARED_OF_ALL if len(columns) >= least), 0)
    return _Rows(numbers, codes, columns, spared, whole=True, keys=keys)


def _alike(rows: _Rows, is_test: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return pairs of test and training rows that are far nearer to each other than the nearest rows usually are."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if rows.whole and not rows.spared:
        return nothing
    usual, between = _ordinary(rows, is_test)
    if usual <= (_FAR if rows.whole else 0.0):
        return nothing
    one, other = _neighbours(rows, is_test)
    near = rows.distance(one, other) <= _NEAR * usual
    near &= rows.whole | (rows.unlike(one, other) <= rows.others_spared)
    # In honest data the nearest come nearer and nearer without a gap: more would lie a little further off.
    if len(np.unique(one[near])) < between * is_test.sum():
        return nothing
    return one[near], other[near]


def _keyed(rows: _Rows, is_test: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return pairs that share a value that all but names a row, and are the same in all but a column or two."""
    spared = next((count for least, count in _SPARED_OF_ALL if len(rows.names) >= least), 0)
    pairs = [np.zeros((2, 0), np.int64)]
    whole, n_fine = replace(rows, whole=True), rows.fine.shape[1]
    draw = generator(0, "near duplicates", "by key")
    tested, trained = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    some = draw.choice(tested, _ROWS_DRAWN), draw.choice(trained, _ROWS_DRAWN)
    by_chance = _n_unlike(whole, *some) <= spared
    for key in rows.keys if spared else ():
        values = rows.fine[:, key] if key < n_fine else rows.other[:, key - n_fine]
        _, lot, holders = np.unique(values, return_inverse=True, return_counts=True)
        held = np.flatnonzero(holders[lot] <= _HOLDERS)
        order = held[np.argsort(lot[held], kind="stable")]
        one, other = _beside(order, lot, is_test)
        near = _n_unlike(whole, one, other) <= spared
        if near.sum() >= _LIKELIER * by_chance.mean() * len(one):
            pairs.append(np.stack([one[near], other[near]]))
    found = np.concatenate(pairs, axis=1)
    return found[0], found[1]


def _n_unlike(rows: _Rows, one: Ints, other: Ints) -> Ints:
    return np.asarray((rows.steps(one, other) > _NEAR).sum(axis=1), np.int64)


def _beside(order: Ints, lot: NDArray[np.generic], is_test: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return pairs of a test and a training row of one lot that stand near each other in an order."""
    tested, trained = [], []
    for step in range(1, _APART + 1):
        first, second = order[:-step], order[step:]
        beside = (is_test[first] != is_test[second]) & (lot[first] == lot[second])
        first, second = first[beside], second[beside]
        swap = is_test[second]
        tested.append(np.where(swap, second, first))
        trained.append(np.where(swap, first, second))
    return np.concatenate(tested), np.concatenate(trained)


def _ordinary(rows: _Rows, is_test: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the median distance of test rows to the nearest training row, and the share that is near but not nearest."""
    tested, trained = _some(np.flatnonzero(is_test), _ORDINARY), _some(np.flatnonzero(~is_test), _AMONG)
    nearest = np.array([rows.distance(np.array([row]), trained).min() for row in tested.tolist()])
    usual = float(np.median(nearest))
    most = (_BETWEEN_OF_ALL if rows.whole else _BETWEEN) * usual
    return usual, float(((nearest > _NEAR * usual) & (nearest <= most)).mean())


def _some(rows: Ints, most: int) -> Ints:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _neighbours(rows: _Rows, is_test: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return pairs of a test and a training row that stand beside each other in some order of the rows."""
    draw = generator(0, "near duplicates")
    n_rows, n_fine = rows.fine.shape
    filled = np.nan_to_num(rows.fine, nan=0.0)
    edges = np.quantile(filled, np.arange(1, _BINS) / _BINS, axis=0)
    bins = [np.searchsorted(edges[:, c], filled[:, c]).astype(np.int64) for c in range(n_fine)]
    if rows.whole:
        bins += list(rows.other.T)
    n_used = max(min(len(bins) - rows.spared, 3), len(bins) // 2)
    pairs = []
    for _ in range(_ORDERS):
        used = np.sort(draw.permutation(len(bins))[:n_used])
        lot = np.zeros(n_rows, np.uint64)
        for column in used:
            lot = lot * np.uint64(0x9E3779B97F4A7C15) + bins[column].astype(np.uint64)
        numbers = used[used < n_fine]
        along = filled[:, numbers] @ draw.normal(size=len(numbers))
        order = np.lexsort((along, lot))
        one, other = _beside(order, lot, is_test)
        pairs.append(one * n_rows + other)
    both = np.unique(np.concatenate(pairs))
    return both // n_rows, both % n_rows


def _differing(rows: _Rows, one: Ints, other: Ints) -> str:
    """Return in words what sets pairs apart: the columns that differ beyond a trifle, or trifles."""
    large = (rows.steps(one, other) > _NEAR).mean(axis=0)
    most = [rows.names[column] for column in np.argsort(-large, kind="stable")[:2] if large[column] >= 0.1]
    if most:
        return f"single columns, most often {named(most)}"
    if rows.unlike(one, other).any() or large.any():
        return "tiny steps of numbers, or single columns"
    return "tiny steps of numbers, or the target"
