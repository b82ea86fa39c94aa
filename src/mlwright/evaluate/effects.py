"""Effects: how a model's answer goes with its most important columns, one by one and two together.

Partial dependence [1]_: some rows are asked again with one column set to each of a few values; the mean over the rows is
the curve, and where four of five rows' own curves go is its spread. Where a column goes together with another, such
rows may be like none that exist: there accumulated local effects [2]_ are told too, which only move rows to
the ends of the interval that they lie in. Two columns interact as far as their joint curve is no sum of two: Friedman's
H [3]_, here over a thinned grid whose places count by the rows near them. Nothing is told where no data are.

References
----------
.. [1] J. Friedman (2001), "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29.
.. [2] D. Apley, J. Zhu (2020), "Visualizing the effects of predictor variables in black box supervised learning
   models", Journal of the Royal Statistical Society B 82.
.. [3] J. Friedman, B. Popescu (2008), "Predictive learning via rule ensembles", Annals of Applied Statistics 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import msgspec
import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.values import Coded, Columns, take
from mlwright.evaluate.association import association

__all__ = ["MOST_ASKED", "Curve", "Effects", "Pair", "effects"]

MOST_ASKED = 5000  # predictions of single rows, about
_CELLS = 4_000_000  # of all of them
_MOST_CURVES, _MOST_PAIRED = 6, 4  # columns
_MOST_OUTPUTS = 3
_POINTS, _PAIR_POINTS = 10, 4
_FEWEST_ROWS, _MOST_ROWS, _MOST_ALE = 16, 64, 200
_EDGE = 0.025  # of a number's rows on either side: no curve goes there
_FEWEST_OF_A_LEVEL = 5
_TIED = 0.6  # rank correlation from which on a curve is told by its local effects too


@dataclass(frozen=True, slots=True)
class Curve:
    """How the answer goes with one column.

    Parameters
    ----------
    column : str
    points : tuple of float or str
        The values that rows were set to: numbers in rising order, or categories.
    means : tuple of tuple of float
        For each output that is told the mean answer at each point.
    errors : tuple of float
        Standard errors of the first output's means, by the rows that were asked.
    low, high : tuple of float
        Of the first output: where the middle four of five rows' own curves lie around the mean.
    local : tuple of float
        The first output's accumulated local effects, with the same mean; empty where the column goes with no other.
    tied : str
        The column that it goes with most, "" if with none.
    """

    column: str
    points: tuple[float | str, ...]
    means: tuple[tuple[float, ...], ...]
    errors: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    local: tuple[float, ...] = ()
    tied: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """How the first output goes with two columns together.

    Parameters
    ----------
    columns : (str, str)
    strength : float
        Friedman's H from 0 (their effects add up) to 1 (all is interaction).
    low, high : float
        Its middle 90 % over draws of the rows.
    points : (tuple, tuple)
        Values of either column.
    means : tuple of tuple of float
        The mean answer, a row for each value of the first column.
    counts : tuple of tuple of int
        Rows near each place.
    """

    columns: tuple[str, str]
    strength: float
    low: float
    high: float
    points: tuple[tuple[float | str, ...], tuple[float | str, ...]]
    means: tuple[tuple[float, ...], ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """Curves of the most important columns, and the pairs of the first four of them, the strongest first.

    Parameters
    ----------
    labels : tuple
        The classes whose probability is told, the most frequent first; empty for a number.
    n_rows : int
        Rows that each curve is the mean of.
    curves, pairs : tuple of Curve, tuple of Pair
    """

    key: ClassVar[str] = "effects"

    labels: tuple[Any, ...]
    n_rows: int
    curves: tuple[Curve, ...]
    pairs: tuple[Pair, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return msgspec.to_builtins(self)


def effects(
    predict: Callable[[Columns], Floats],
    columns: Columns,
    names: Sequence[str],
    *,
    labels: Sequence[Any] = (),
    outputs: Sequence[int] = (0,),
    seed: int,
    most: int = MOST_ASKED,
) -> Effects:
    """Measure curves and interactions of the columns `names`, the most important first.

    Parameters
    ----------
    predict : callable
        Canonical columns in, predictions of shape (n_rows, n_outputs) out.
    columns : Columns
        All that `predict` reads.
    names : sequence of str
        The first six get curves, the first four are paired.
    labels, outputs : sequence, sequence of int
        The classes that are told, and their places among the outputs; three at most.
    seed : int
        For the rows that are asked.
    most : int, default=5000
        Predictions of single rows, about: rows give way.
    """
    first = next(iter(columns.values()))
    n = len(first.codes) if isinstance(first, Coded) else len(first)
    most = min(most, _CELLS // max(1, len(columns)))
    grids = {name: grid for name in names if len(grid := _grid(columns[name], _POINTS)) > 1}
    shown = list(grids)[:_MOST_CURVES]
    n_curves = max(1, sum(len(grids[name]) for name in shown))
    rows = _drawn(n, int(np.clip(most * 0.55 / n_curves, _FEWEST_ROWS, _MOST_ROWS)), seed)
    ties = _ties(columns)
    asker = _Asker(predict, columns, list(outputs[:_MOST_OUTPUTS]))
    curves = []
    for name, asked in zip(shown, asker.curves(shown, grids, rows), strict=True):
        tied = ties.get(name, "")
        local: tuple[float, ...] = ()
        if tied and not isinstance(columns[name], Coded):
            local = _local(asker, name, grids[name], asked[:, :, 0], _drawn(n, _MOST_ALE, seed))
        curves.append(_curve(columns[name], name, grids[name], asked, local, tied))
    some = _drawn(n, int(np.clip(most * 0.4 / 96, _FEWEST_ROWS, 24)), seed)
    asked = (_pair(asker, pair, columns, some, seed) for pair in combinations(shown[:_MOST_PAIRED], 2))
    pairs = [pair for pair in asked if pair is not None]
    pairs.sort(key=lambda pair: -pair.strength)
    return Effects(tuple(labels[:_MOST_OUTPUTS]), len(rows), tuple(curves), tuple(pairs))


def _drawn(n: int, most: int, seed: int) -> np.ndarray:
    return np.sort(generator(seed, "effects").permutation(n)[:most])


def _grid(values: Floats | Coded, most: int) -> np.ndarray:
    """Return values, or codes, that rows can be set to: quantiles of numbers, levels that are not rare."""
    if isinstance(values, Coded):
        counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
        often = [c for c in np.argsort(-counts, kind="stable")[:most] if counts[c] >= _FEWEST_OF_A_LEVEL]
        return np.array(often, dtype=np.int64)
    present = values[~np.isnan(values)]
    if not len(present):
        return present
    few = np.unique(present)
    if len(few) <= most:
        return few[[(present == value).sum() >= _FEWEST_OF_A_LEVEL for value in few]]
    return np.unique(np.quantile(present, np.linspace(_EDGE, 1 - _EDGE, most), method="nearest"))


def _ties(columns: Columns) -> dict[str, str]:
    """Return for each column the one whose ranks go with its own most, if they do."""
    first = next(iter(columns.values()))
    n = len(first.codes) if isinstance(first, Coded) else len(first)
    numbers = {name: values for name, values in columns.items() if not isinstance(values, Coded)}
    told = association(numbers, np.zeros((n, 1))) if len(numbers) > 1 else {}
    best: dict[str, tuple[float, str]] = {}
    names = told.get("columns", ())
    for row, values in enumerate(told.get("ranks", ())):
        for place, value in enumerate(values):
            if abs(value) >= _TIED:
                for one, other in ((row, place), (place, row)):
                    best[names[one]] = max(best.get(names[one], (0.0, "")), (abs(value), names[other]))
    return {name: other for name, (_, other) in best.items()}


class _Asker:
    """Asks for rows with some columns set to values."""

    def __init__(
        self, predict: Callable[[Columns], Floats], columns: Columns, outputs: Sequence[int]
    ) -> None:
        self.predict, self.columns, self.outputs = predict, columns, outputs

    def ask(self, rows: np.ndarray, changes: Sequence[tuple[slice, str, np.ndarray]]) -> Floats:
        """Return predictions of `rows`, in each slice of which a column is set to values or codes."""
        table = take(self.columns, rows)
        for place, name, values in changes:
            cells = table[name]
            (cells.codes if isinstance(cells, Coded) else cells)[place] = values
        return self.predict(table)[:, self.outputs]

    def curves(self, names: Sequence[str], grids: dict[str, np.ndarray], rows: np.ndarray) -> list[Floats]:
        """Return for each column answers of shape (n_points, n_rows, n_outputs), by one call."""
        changes, start = [], 0
        for name in names:
            size = len(grids[name]) * len(rows)
            changes.append((slice(start, start + size), name, np.repeat(grids[name], len(rows))))
            start += size
        if not changes:
            return []
        answers = self.ask(np.tile(rows, start // len(rows)), changes)
        return [answers[place].reshape(len(grids[name]), len(rows), -1) for place, name, _ in changes]


def _curve(
    values: Floats | Coded, name: str, grid: np.ndarray, asked: Floats, local: tuple[float, ...], tied: str
) -> Curve:
    own = asked[:, :, 0]
    means = asked.mean(axis=1)
    centred = own - own.mean(axis=0) + own.mean()  # each row's curve about the common middle
    low, high = np.quantile(centred, [0.1, 0.9], axis=1)
    errors = centred.std(axis=1, ddof=1) / np.sqrt(own.shape[1])
    return Curve(
        name,
        _named(values, grid),
        tuple(tuple(map(float, means[:, place])) for place in range(means.shape[1])),
        tuple(map(float, errors)),
        tuple(map(float, low)),
        tuple(map(float, high)),
        local,
        tied,
    )


def _named(values: Floats | Coded, grid: np.ndarray) -> tuple[float | str, ...]:
    if isinstance(values, Coded):
        return tuple(values.levels[int(code)] for code in grid)
    return tuple(map(float, grid))


def _local(asker: _Asker, name: str, grid: np.ndarray, asked: Floats, rows: np.ndarray) -> tuple[float, ...]:
    """Return accumulated local effects at the points of `grid`, with the mean of the partial dependence."""
    values = asker.columns[name]
    if isinstance(values, Coded):
        return ()
    own = values[rows]
    inside = (own >= grid[0]) & (own <= grid[-1])
    rows, own = rows[inside], own[inside]
    if not len(rows):
        return ()
    place = np.clip(np.searchsorted(grid, own, side="left"), 1, len(grid) - 1)
    n = len(rows)
    ends = [(slice(0, n), name, grid[place - 1]), (slice(n, 2 * n), name, grid[place])]
    answers = asker.ask(np.tile(rows, 2), ends)[:, 0]
    steps = np.zeros(len(grid))
    counts = np.bincount(place, minlength=len(grid))
    sums = np.bincount(place, answers[n:] - answers[:n], minlength=len(grid))
    steps[counts > 0] = sums[counts > 0] / counts[counts > 0]
    path = np.cumsum(steps)
    weights = np.bincount(np.abs(own[:, None] - grid).argmin(axis=1), minlength=len(grid))
    middle = float(np.average(asked.mean(axis=1), weights=weights))
    return tuple(map(float, path - np.average(path, weights=weights) + middle))


def _pair(
    asker: _Asker, names: tuple[str, ...], columns: Columns, rows: np.ndarray, seed: int
) -> Pair | None:
    """Return how two columns act together; None where too few places of the grid have rows to tell."""
    one, two = names
    grids = [_grid(columns[name], _PAIR_POINTS) for name in names]
    counts = _counts(columns[one], columns[two], grids)
    if np.linalg.matrix_rank(_design(*counts.shape)[counts.ravel() > 0]) >= (counts > 0).sum():
        return None
    n_one, n_two, n = len(grids[0]), len(grids[1]), len(rows)
    everywhere = slice(0, n_one * n_two * n)
    first, second = np.repeat(grids[0], n_two * n), np.tile(np.repeat(grids[1], n), n_one)
    answers = asker.ask(np.tile(rows, n_one * n_two), [(everywhere, one, first), (everywhere, two, second)])
    own = answers[:, 0].reshape(n_one, n_two, n)
    strength = _strength(own.mean(axis=2), counts)
    draw = generator(seed, "pairs", one, two)
    drawn = [_strength(own[:, :, draw.integers(0, n, n)].mean(axis=2), counts) for _ in range(50)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    return Pair(
        (one, two),
        strength,
        float(low),
        float(high),
        (_named(columns[one], grids[0]), _named(columns[two], grids[1])),
        tuple(tuple(map(float, row)) for row in own.mean(axis=2)),
        tuple(tuple(map(int, row)) for row in counts),
    )


def _counts(one: Floats | Coded, two: Floats | Coded, grids: Sequence[np.ndarray]) -> np.ndarray:
    """Return how many rows lie nearest to each place of the grid; levels that are not on it count nowhere."""
    places = []
    for values, grid in zip((one, two), grids, strict=True):
        if isinstance(values, Coded):
            place = np.full(len(values.levels) + 1, -1)
            place[grid] = np.arange(len(grid))
            places.append(place[values.codes])
        else:
            middles = (grid[1:] + grid[:-1]) / 2
            places.append(np.where(np.isnan(values), -1, np.searchsorted(middles, values)))
    known = (places[0] >= 0) & (places[1] >= 0)
    cells = places[0][known] * len(grids[1]) + places[1][known]
    return np.bincount(cells, minlength=len(grids[0]) * len(grids[1])).reshape(len(grids[0]), -1)


def _strength(means: Floats, counts: np.ndarray) -> float:
    """Return Friedman's H: the root of the share of the joint curve's variance that no sum of two curves has."""
    rows, columns = means.shape
    weights = counts.ravel() / max(1, counts.sum())
    design = _design(rows, columns)
    root = np.sqrt(weights)
    values = means.ravel()
    fitted = design @ np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    whole = float(weights @ (values - weights @ values) ** 2)
    rest = float(weights @ (values - fitted) ** 2)
    return float(np.sqrt(min(1.0, rest / whole))) if whole > 1e-24 else 0.0


def _design(rows: int, columns: int) -> Floats:
    """Return which row and which column of a grid each of its places is in, shape (places, rows + columns)."""
    return np.hstack([np.repeat(np.eye(rows), columns, axis=0), np.tile(np.eye(columns), (rows, 1))])
