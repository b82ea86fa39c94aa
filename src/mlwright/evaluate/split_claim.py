"""What a random split would have claimed: the same rows predicted by a small model under both splits.

Each row of the comparison is predicted twice, by a few boosted trees that have seen rows of its group, or of later times,
and by the same that have not, with as many rows to learn from. So the difference is the split's alone. No clock is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task
from mlwright.data.split import Split
from mlwright.data.split_draw import fold_groups, fold_rows
from mlwright.data.values import Coded, Columns, take
from mlwright.metrics import of
from mlwright.metrics.intervals import paired_interval
from mlwright.models.base import FitContext
from mlwright.models.lightgbm import LightGBM

__all__ = ["random_claim"]

_MOST_ROWS, _CELLS, _FEWEST_ROWS = 4_000, 120_000, 200
_N_FOLDS, _TREES, _MOST_LEVELS = 3, 25, 50
_STRETCHES = 20


def random_claim(
    columns: Columns, y: Floats, keys: Floats, task: Task, split: Split, *, seed: int
) -> dict[str, Any] | None:
    """Return the scores under both splits and their difference with its range; None where there is nothing to compare.

    Parameters
    ----------
    columns : Columns
        Canonical features of n_rows.
    y : ndarray of shape (n_rows,)
        Values, or class codes.
    keys : ndarray of shape (n_rows,)
        The group's code, or the time, of each row; NaN rows are left out.
    """
    rows = split.train[~np.isnan(keys[split.train])]
    most = int(np.clip(_CELLS // max(1, len(columns)), _FEWEST_ROWS * 5, _MOST_ROWS))
    rng = generator(seed, "split claim")
    rows = _whole_groups(rows, keys, most, rng) if split.kind == "group" else _stretches(rows, keys, most)
    names = {
        name: v for name, v in columns.items() if not isinstance(v, Coded) or len(v.levels) <= len(y) / 5
    }
    if len(rows) < _FEWEST_ROWS or not names or (task.kind.has_classes and len(np.unique(y[rows])) < 2):
        return None
    X, categorical = _matrix(take(names, rows))
    truth, units = y[rows], np.unique(keys[rows], return_inverse=True)[1].astype(np.int64)
    apart = _groups_apart(units, rng) if split.kind == "group" else _times_apart(units)
    if not apart:
        return None
    free = np.zeros(len(rows), np.int64)
    honest, told = np.full((2, len(rows), task.n_outputs), np.nan)
    random = fold_rows(free, _N_FOLDS, rng)
    for fit, valid in apart:
        honest[valid] = _fitted(X, truth, fit, valid, task, categorical)
    if split.kind == "group":
        for others, within in random:
            told[within] = _fitted(X, truth, others, within, task, categorical)
    for fit, valid in apart if split.kind == "time" else ():
        for others, within in random:
            asked = np.intersect1d(within, valid)
            some = rng.permutation(others)[: len(fit)]
            if len(asked):
                told[asked] = _fitted(X, truth, some, asked, task, categorical)
    shown = ~np.isnan(honest[:, 0]) & ~np.isnan(told[:, 0])
    metric = of(task)
    if task.kind.has_classes and len(np.unique(truth[shown])) < task.n_outputs:
        return None
    by_group = split.kind == "group"
    gain = paired_interval(
        metric,
        truth[shown],
        told[shown],
        honest[shown],
        groups=units[shown] if by_group else None,
        blocks=None if by_group else _blocks(units[shown]),
        seed=seed,
    )
    scores = [metric.score(truth[shown], predicted[shown]) for predicted in (told, honest)]
    if not np.isfinite([*scores, gain.estimate, gain.low, gain.high]).all():
        return None
    return {
        "said": (
            f"A random split would have claimed {metric.title} {scores[0]:.4g} where this one finds {scores[1]:.4g}, by the "
            f"same small model on the same {shown.sum():,} rows (better by {gain.low:.3g} to {gain.high:.3g})."
        ),
        "metric": task.metric,
        "random": float(scores[0]),
        "chosen": float(scores[1]),
        "flattery": gain.to_json(),
        "n_rows": int(shown.sum()),
        "model": f"{_TREES} boosted trees",
    }


def _whole_groups(rows: Ints, keys: Floats, most: int, rng: np.random.Generator) -> Ints:
    """Return rows of whole groups, drawn until there are `most`."""
    code = np.unique(keys[rows], return_inverse=True)[1]
    size = np.bincount(code)
    order = rng.permutation(len(size))
    chosen = order[np.cumsum(size[order]) <= most]
    return rows[np.isin(code, chosen)]


def _stretches(rows: Ints, keys: Floats, most: int) -> Ints:
    """Return rows in order of time: all, or equal stretches of neighbours over the whole time."""
    ordered = rows[np.argsort(keys[rows], kind="stable")]
    if len(ordered) <= most:
        return ordered
    starts = np.linspace(0, len(ordered) - most // _STRETCHES, _STRETCHES).astype(np.int64)
    return ordered[np.unique(starts[:, None] + np.arange(most // _STRETCHES))]


def _groups_apart(units: Ints, rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    if units.max() + 1 < _N_FOLDS:
        return []
    return list(fold_groups(units, np.zeros_like(units), _N_FOLDS, rng))


def _times_apart(units: Ints) -> list[tuple[Ints, Ints]]:
    """Return the last two fifths of the time as two blocks, each after all that it is predicted from."""
    pairs = []
    at = np.arange(len(units))
    for low, high in ((0.6, 0.8), (0.8, 1.0)):
        start = units[int(low * len(units))]
        end = units[min(int(high * len(units)), len(units) - 1)] if high < 1 else units[-1] + 1
        fit, valid = at[units < start], at[(units >= start) & (units < end)]
        if len(fit) and len(valid):
            pairs.append((fit, valid))
    return pairs


def _blocks(units: Ints) -> Ints:
    return np.arange(len(units)) * _STRETCHES // max(1, len(units))


def _matrix(columns: Columns) -> tuple[Floats, tuple[int, ...]]:
    parts, categorical = [], []
    for place, values in enumerate(columns.values()):
        if isinstance(values, Coded):
            size = np.bincount(values.codes + 1, minlength=len(values.levels) + 1)[1:]
            rank = np.argsort(np.argsort(-size, kind="stable"), kind="stable")
            level = np.minimum(rank, _MOST_LEVELS).astype(np.float64)
            parts.append(
                np.where(values.codes >= 0, level[values.codes], np.nan)
                if len(level)
                else np.full(len(values.codes), np.nan)
            )
            categorical.append(place)
        else:
            parts.append(values)
    return np.column_stack(parts), tuple(categorical)


def _fitted(X: Floats, y: Floats, fit: Ints, ask: Ints, task: Task, categorical: tuple[int, ...]) -> Floats:
    context = FitContext(task, categorical=categorical, n_iterations=_TREES)
    model = LightGBM(num_leaves=15, learning_rate=0.15).fit(X[fit], y[fit], context)
    return model.predict(X[ask])
