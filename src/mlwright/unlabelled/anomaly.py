"""Anomaly: fit the consensus, and see whether two halves of the rows would have said the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlwright.core.seeds import derive, generator
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task
from mlwright.features.plan import FeaturePlan
from mlwright.metrics.intervals import Interval
from mlwright.models.base import FitContext
from mlwright.models.consensus import Consensus
from mlwright.unlabelled.agreement import agreement, rank_correlation

__all__ = ["fit", "fitted_rows", "groups_of", "sources_of", "stability"]

_MOST_ROWS, _CELLS = 50_000, 10_000_000
_FEWEST = 4  # rows of a half


def fitted_rows(n_rows: int, n_columns: int, seed: int) -> Ints:
    """Return the rows that models are fitted on: all, or a seeded sample of 50,000 (fewer of very wide tables).

    Examples
    --------
    >>> len(fitted_rows(1000, 10, 0)), len(fitted_rows(80_000, 10, 0)), len(fitted_rows(80_000, 500, 0))
    (1000, 50000, 20000)
    """
    most = min(_MOST_ROWS, max(2000, _CELLS // max(1, n_columns)))
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(generator(seed, "fitted rows").choice(n_rows, most, replace=False))


def sources_of(plan: FeaturePlan) -> list[str]:
    """Return the raw columns that a fitted plan's matrix comes from, each once."""
    return list(dict.fromkeys(tag.source for tag in plan.tags))


def groups_of(plan: FeaturePlan) -> tuple[int, ...]:
    """Return for each matrix column the place of its raw column in `sources_of`."""
    places = {source: place for place, source in enumerate(sources_of(plan))}
    return tuple(places[tag.source] for tag in plan.tags)


def fit(X: Floats, task: Task, groups: Sequence[int], seed: int) -> Consensus:
    """Fit the consensus on a matrix."""
    context = FitContext(task, groups=tuple(groups), seed=derive(seed, "consensus") % 2**31)
    return Consensus().fit(X, np.zeros(len(X)), context)


def stability(
    X: Floats, judged: Floats | None, task: Task, groups: Sequence[int], seed: int
) -> tuple[Interval, int]:
    """Fit on two halves of the rows, and return how far they agree on rows that neither saw, and on how many.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        The rows to halve.
    judged : ndarray, optional
        The rows to judge; by default a fifth of `X` is kept aside.

    Returns
    -------
    (Interval, int)
        Spearman's rank correlation of the two halves' scores; NaN where there are too few rows to tell.
    """
    order = generator(seed, "halves").permutation(len(X))
    if judged is None:
        kept = len(order) // 5
        judged, order = X[order[:kept]], order[kept:]
    middle = len(order) // 2
    if middle < _FEWEST or not len(judged):
        return Interval(math.nan, math.nan, math.nan, 0.95), len(judged)
    halves = (np.sort(order[:middle]), np.sort(order[middle:]))
    one, other = (fit(X[rows], task, groups, seed).predict(judged)[:, 0] for rows in halves)
    return agreement(rank_correlation, one, other, seed=seed), len(judged)
