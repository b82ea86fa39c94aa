"""Slices: where a model is worse than elsewhere, one and two columns deep. Knows predictions and raw columns, no model.

Two questions are asked of every slice. Is its loss higher than that of all other rows? And is it higher than that of
rows with like predictions, so that the model does not know how often it is wrong there? Both are answered by a test
that counts every slice that was tried (Bonferroni), so that the chance of even one false slice is at most one in
twenty. A slice is left out if what is wrong there is gone once the rows of those before it are left out.

References
----------
Y. Chung, T. Kraska, N. Polyzotis, K. Tae, S. Whang, "Automated Data Slicing for Model Validation", IEEE TKDE 32 (2020).
U. Hebert-Johnson, M. Kim, O. Reingold, G. Rothblum, "Multicalibration", ICML (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Column, Task, TaskKind
from mlwright.data.values import Columns, take
from mlwright.evaluate.cuts import Condition, Cut, cuts
from mlwright.evaluate.means import mean_difference
from mlwright.evaluate.slice_rows import Rows, judged_rows, row_losses
from mlwright.evaluate.slice_tests import Population
from mlwright.metrics.intervals import Interval

__all__ = ["Slice", "Slices", "find_slices"]

_ERROR = 0.05  # the chance of a false slice, over all that are tried and both questions
_MOST_ROWS = 20_000
_MOST_COLUMNS, _MOST_PAIRED = 200, 20  # looked at alone; looked at two by two, with dates in parts
_WIDE, _NARROW = 0.8, 0.5  # the share of the rows that a category, and anything else, may be at most
_SURPRISE, _HARDER = 0.2, 2.0  # of the mean loss more than like predictions; times the loss of all others
_MUCH_WORSE = 0.0005  # the chance that a slice within a slice is no worse than what is around it
_MOST_TRIED, _MOST_FOUND = 300, 8


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows on which the model is worse than elsewhere.

    Parameters
    ----------
    conditions : tuple of Condition
        One or two; a row of the slice fulfils all.
    n_rows : int
        Rows of the slice among those that were looked at.
    share : float
        Their share of the rows.
    loss, rest : float
        The mean loss in the slice and of all other rows.
    difference : Interval
        The first minus the second, with the interval of this slice by itself.
    expected : float
        The mean loss that rows with like predictions have.
    surprising : bool
        The loss is higher than that of rows with like predictions too: the model does not know that it is worse here.
    wrong, wrong_rest : float or None
        The share of rows that are called wrong (classes), or the mean absolute error (numbers).
    wrong_difference : Interval
        The first minus the second.
    predicted, observed : float or None
        The mean prediction and truth: of the second class (binary), of the value (regression).
    chance : float
        The chance of such a slice where there is none, after counting all that were tried.
    """

    conditions: tuple[Condition, ...]
    n_rows: int
    share: float
    loss: float
    rest: float
    difference: Interval
    expected: float
    surprising: bool
    wrong: float
    wrong_rest: float
    wrong_difference: Interval
    predicted: float | None
    observed: float | None
    chance: float


@dataclass(frozen=True, slots=True)
class Slices:
    """What a search for slices gave.

    Parameters
    ----------
    found : tuple of Slice
        Those that the model does not know of first, each group by how sure it is.
    n_tried, n_rows : int
        How many slices were tried, on how many rows.
    loss : str
        What is averaged: a metric's name, or ``"wrong"`` (1 for a wrong call) or ``"absolute_error"``.
    smallest : int
        Rows that a slice had to have.
    """

    found: tuple[Slice, ...] = ()
    n_tried: int = 0
    n_rows: int = 0
    loss: str = ""
    smallest: int = 0


class _Tried(NamedTuple):
    """Slices of one cut or of two: where each begins and ends in its codes, and what its rows add up to."""

    cuts: tuple[Cut, ...]
    parts: list[tuple[tuple[int, int], ...]]  # a range of codes a cut, both ends in it
    counts: Ints  # shape (n_slices, n_strata)
    sums: Floats  # shape (n_slices, 2): of the losses, and of the losses beyond those of like predictions


def find_slices(
    task: Task,
    y: Floats,
    predicted: Floats,
    described: Sequence[Column],
    columns: Columns,
    *,
    weights: Floats | None = None,
    clusters: np.ndarray | None = None,
) -> Slices:
    """Return the slices on which predictions are worse than elsewhere.

    Parameters
    ----------
    task : Task
        What is predicted; its metric says which loss counts.
    y : ndarray of shape (n_rows,)
        The truth.
    predicted : ndarray of shape (n_rows, n_outputs)
        Predictions of rows that the model was not fitted on.
    described : sequence of Column
        The columns to look at, the most promising first: only the first 20 are looked at two by two.
    columns : Columns
        Their canonical values.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    clusters : ndarray of shape (n_rows,), optional
        Rows that belong together (groups, blocks of time): they count as one draw.

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> draw = np.random.default_rng(0)
    >>> town = draw.integers(0, 20, 2000)
    >>> y = draw.integers(0, 2, 2000).astype(float)
    >>> told = np.where((town == 3) & (draw.random(2000) < 0.5), 1 - y, y)  # half is wrong in one town
    >>> task = Task(TaskKind.BINARY, "y", "accuracy", ("no", "yes"))
    >>> levels = [f"town {i}" for i in range(20)]
    >>> looked = find_slices(
    ...     task, y, told[:, None], [Column("town", "categorical")], {"town": Coded(town, levels)}
    ... )
    >>> [part.conditions[0].level for part in looked.found]
    ['town 3']
    """
    some = _thinned(len(y))
    own = take({column.name: columns[column.name] for column in described[:_MOST_COLUMNS]}, some)
    name, losses = row_losses(task, y[some], predicted[some])
    rows = judged_rows(
        task,
        y[some],
        predicted[some],
        losses,
        np.ones(len(some)) if weights is None else weights[some],
        None if clusters is None else np.unique(clusters[some], return_inverse=True)[1].ravel(),
    )
    if len(some) < 4 * rows.smallest or not np.ptp(losses) > 0:
        return Slices(n_rows=len(some), loss=name, smallest=rows.smallest)
    single = [_ranges(rows, cut) for column in described[:_MOST_COLUMNS] for cut in _cut(rows, column, own)]
    coarse = [cut for column in described[:_MOST_PAIRED] for cut in _cut(rows, column, own, n_bins=4)]
    pairs = [
        _crossed(rows, one, other)
        for one, other in combinations(coarse[:_MOST_PAIRED], 2)
        if one.column != other.column
    ]
    depths = [[part for part in depth if part.parts] for depth in (single, pairs)]
    found: list[Slice] = []
    known = np.zeros(len(some), bool)
    for surprise in (True, False):
        found += _found(rows, depths, known, surprise=surprise)
    n_tried = sum(len(part.parts) for depth in depths for part in depth)
    return Slices(tuple(found[:_MOST_FOUND]), n_tried, len(some), name, rows.smallest)


def _thinned(n_rows: int) -> Ints:
    if n_rows <= _MOST_ROWS:
        return np.arange(n_rows)
    return np.linspace(0, n_rows - 1, _MOST_ROWS).astype(np.int64)


def _cut(rows: Rows, column: Column, values: Columns, n_bins: int = 8) -> list[Cut]:
    return cuts(column, values[column.name], fewest=rows.smallest, n_bins=n_bins)


def _table(rows: Rows, codes: Ints, size: int) -> tuple[Ints, Floats]:
    """Return counts by code and stratum, and sums by code; rows with code -1 are in none."""
    stratum = rows.alike.stratum
    n_strata = int(stratum.max()) + 1
    shifted = codes + 1
    counts = np.bincount(shifted * n_strata + stratum, minlength=(size + 1) * n_strata)
    sums = [np.bincount(shifted, population.values, size + 1) for population in (rows.plain, rows.alike)]
    return counts.reshape(size + 1, n_strata)[1:].astype(np.int64), np.stack(sums, axis=1)[1:].astype(
        np.float64
    )


def _ranges(rows: Rows, cut: Cut) -> _Tried:
    """Try the parts of a cut, and its neighbouring ranges joined."""
    counts, sums = _table(rows, cut.codes, len(cut.conditions))
    n, n_all = cut.n_ordered, len(rows.y)
    ends = [(low, high) for low in range(n) for high in range(low, n)]
    ends += [(code, code) for code in range(n, len(cut.conditions))]
    total = np.concatenate([np.zeros((1, counts.shape[1]), counts.dtype), np.cumsum(counts, axis=0)])
    summed = np.concatenate([np.zeros((1, 2)), np.cumsum(sums, axis=0)])
    low, high = np.array(ends).T
    own, added = total[high + 1] - total[low], summed[high + 1] - summed[low]
    size = own.sum(axis=1)
    most = np.where(low < n, _NARROW, _WIDE) * n_all
    kept = np.flatnonzero((size >= rows.smallest) & (size <= most))
    return _Tried((cut,), [(ends[i],) for i in kept], own[kept], added[kept])


def _crossed(rows: Rows, one: Cut, other: Cut) -> _Tried:
    """Try the parts of two cuts together that are smaller than either alone."""
    width = len(other.conditions)
    codes = np.where((one.codes < 0) | (other.codes < 0), -1, one.codes * width + other.codes)
    counts, sums = _table(rows, codes, len(one.conditions) * width)
    size = counts.sum(axis=1)
    alone = [np.bincount(cut.codes + 1, minlength=len(cut.conditions) + 1)[1:] for cut in (one, other)]
    parent = np.minimum(np.repeat(alone[0], width), np.tile(alone[1], len(one.conditions)))
    kept = np.flatnonzero((size >= rows.smallest) & (size <= _NARROW * len(rows.y)) & (size <= 0.95 * parent))
    parts: list[tuple[tuple[int, int], ...]] = [((int(i) // width,) * 2, (int(i) % width,) * 2) for i in kept]
    return _Tried((one, other), parts, counts[kept], sums[kept])


class _Candidate(NamedTuple):
    """A slice that passes the test by itself; `chance` counts all that were tried."""

    z: float
    chance: float
    times: int
    tried: _Tried
    place: int


def _candidates(rows: Rows, depths: list[list[_Tried]], *, surprise: bool) -> list[_Candidate]:
    """Return the slices that pass one of the two questions, the surest first."""
    found: list[_Candidate] = []
    for depth in depths:
        if not depth:
            continue
        counts = np.concatenate([part.counts for part in depth])
        sums = np.concatenate([part.sums[:, int(surprise)] for part in depth])
        times = len(sums) * 2 * len(depths)  # two questions at every depth
        z, chance = (
            rows.alike.tail(sums, counts)
            if surprise
            else rows.plain.tail(sums, counts.sum(axis=1, keepdims=True))
        )
        places = [(part, i) for part in depth for i in range(len(part.parts))]
        found += [
            _Candidate(float(z[i]), float(chance[i]) * times, times, *places[i])
            for i in np.flatnonzero(chance * times <= _ERROR)
        ]
    return sorted(found, key=lambda each: -each.z)[:_MOST_TRIED]


def _found(rows: Rows, depths: list[list[_Tried]], known: np.ndarray, *, surprise: bool) -> list[Slice]:
    """Return the slices that are worse still once the rows of those before them are left out.

    `known` gathers the rows of all that are found.
    """
    whole = rows.alike if surprise else rows.plain
    found: list[Slice] = []
    for each in _candidates(rows, depths, surprise=surprise):
        for simple in (*_parents(each, whole, depths, known), each):
            inside, left = _inside(simple), ~known
            new = inside & left
            if new.sum() < max(rows.smallest, 0.5 * inside.sum()):
                continue
            chance = max(simple.chance, simple.times * _chance_left(whole, new, left, rows.clusters))
            if chance <= _ERROR and _matters(rows, new, left, surprise=surprise):
                found.append(_slice(rows, simple, inside, chance=chance, surprise=surprise))
                known |= inside
                break
        if len(found) == _MOST_FOUND:
            break
    return found


def _parents(
    each: _Candidate, whole: Population, depths: list[list[_Tried]], known: np.ndarray
) -> list[_Candidate]:
    """Return the slices of one column that hold a slice of two and are hardly better: one of them says it in less."""
    if len(each.tried.cuts) == 1:
        return []
    inside, found = _inside(each), []
    times = 2 * len(depths) * sum(len(part.parts) for part in depths[0])
    for cut, ends in zip(each.tried.cuts, each.tried.parts[each.place], strict=True):
        alone = _Tried((cut,), [(ends,)], each.tried.counts[:0], each.tried.sums[:0])
        parent = _Candidate(each.z, 0.0, times, alone, 0)
        around = _inside(parent) & ~known
        if (inside & around).any() and around.sum() <= _NARROW * len(inside):
            deeper = _chance_left(whole, inside & around, around, None)
            if deeper > _MUCH_WORSE:
                found.append((-deeper, parent))
    return [parent for _, parent in sorted(found, key=lambda item: item[0])]


def _chance_left(whole: Population, new: np.ndarray, left: np.ndarray, clusters: Ints | None) -> float:
    """Return the chance of a slice among the rows that no slice before it holds, clusters counted."""
    rest, inside = whole.take(left), new[left]
    counts = np.bincount(rest.stratum[inside], minlength=int(rest.stratum.max()) + 1)[None, :]
    alone = float(rest.tail(np.array([rest.values[inside].sum()]), counts)[1][0])
    return alone if clusters is None else max(alone, rest.clustered_tail(inside, clusters[left]))


def _inside(each: _Candidate) -> np.ndarray:
    part = each.tried
    found = np.ones(len(part.cuts[0].codes), bool)
    for cut, (low, high) in zip(part.cuts, part.parts[each.place], strict=True):
        found &= (cut.codes >= low) & (cut.codes <= high)
    return found


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values / weights.sum())


def _matters(rows: Rows, new: np.ndarray, left: np.ndarray, *, surprise: bool) -> bool:
    """Say whether it is worse by enough to matter: among the rows that are left, and among all."""
    everywhere = np.ones_like(left)
    return all(_worse(rows, new, among, surprise=surprise) for among in (left, everywhere))


def _worse(rows: Rows, new: np.ndarray, among: np.ndarray, *, surprise: bool) -> bool:
    values = rows.beyond if surprise else rows.losses
    others = among & ~new
    inside, outside = _mean(values[new], rows.weights[new]), _mean(values[others], rows.weights[others])
    if surprise:
        enough = inside - outside >= _SURPRISE * abs(_mean(rows.losses, rows.weights))
    else:
        enough = inside >= _HARDER * outside if outside > 0 else inside > outside
    if not enough:
        return False
    clusters = None if rows.clusters is None else rows.clusters[among]
    gap = mean_difference(values[among], new[among], weights=rows.weights[among], clusters=clusters)
    return gap.low > 0


def _slice(rows: Rows, each: _Candidate, inside: np.ndarray, *, chance: float, surprise: bool) -> Slice:
    conditions = []
    for cut, (low, high) in zip(each.tried.cuts, each.tried.parts[each.place], strict=True):
        first = cut.conditions[low]
        conditions.append(first if low == high else first.joined(cut.conditions[high]))

    def against(values: Floats) -> tuple[float, float, Interval]:
        difference = mean_difference(values, inside, weights=rows.weights, clusters=rows.clusters)
        others = _mean(values[~inside], rows.weights[~inside])
        return _mean(values[inside], rows.weights[inside]), others, difference

    loss, rest, difference = against(rows.losses)
    wrong, wrong_rest, wrong_difference = against(rows.wrong)
    several = rows.task.kind is TaskKind.MULTICLASS
    means = [_mean(values[inside], rows.weights[inside]) for values in (rows.predicted[:, 0], rows.y)]
    return Slice(
        conditions=tuple(conditions),
        n_rows=int(inside.sum()),
        share=float(inside.mean()),
        loss=loss,
        rest=rest,
        difference=difference,
        expected=loss - _mean(rows.beyond[inside], rows.weights[inside]),
        surprising=surprise,
        wrong=wrong,
        wrong_rest=wrong_rest,
        wrong_difference=wrong_difference,
        predicted=None if several else means[0],
        observed=None if several else means[1],
        chance=min(1.0, chance),
    )
