"""Agreement: how far two models that saw different rows say the same of a third set of rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.metrics.intervals import Interval

__all__ = ["FEWEST", "adjusted_rand", "agreement", "rank_correlation"]

FEWEST = 10  # rows, below which no interval is worth the name
_DRAWS = 200
_LEVEL = 0.95


def rank_correlation(one: Floats, other: Floats) -> float:
    """Return Spearman's rank correlation, ties sharing their mean rank; NaN where one side is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    a, b = _ranks(one), _ranks(other)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def _ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[places]


def adjusted_rand(one: Ints, other: Ints) -> float:
    """Return the adjusted Rand index of two groupings: 1 for the same groups, about 0 for unrelated ones.

    L. Hubert, P. Arabie (1985), "Comparing partitions", Journal of Classification 2.

    Examples
    --------
    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3]))
    1.0
    """
    a, b = (np.unique(each, return_inverse=True)[1] for each in (one, other))
    table = np.bincount(a * (int(b.max(initial=0)) + 1) + b).astype(np.float64)
    pairs = _pairs(table)
    rows, columns = _pairs(np.bincount(a)), _pairs(np.bincount(b))
    expected = rows * columns / max(1.0, len(a) * (len(a) - 1) / 2)
    most = (rows + columns) / 2
    return (pairs - expected) / (most - expected) if most != expected else 1.0


def _pairs(counts: Floats | Ints) -> float:
    return float((counts * (counts - 1.0) / 2.0).sum())


def agreement(
    measure: Callable[[np.ndarray, np.ndarray], float], one: np.ndarray, other: np.ndarray, *, seed: int
) -> Interval:
    """Return how far two answers for the same rows agree, with the bootstrap's 95 % interval over the rows.

    Parameters
    ----------
    measure : callable
        `rank_correlation` or `adjusted_rand`.
    one, other : ndarray of shape (n_rows,)
        What the two say.
    seed : int
        For the draws.
    """
    if len(one) < FEWEST:
        return Interval(math.nan, math.nan, math.nan, _LEVEL)
    draw, n = generator(seed, "agreement"), len(one)
    found = []
    for _ in range(_DRAWS):
        rows = draw.integers(0, n, n)
        found.append(measure(one[rows], other[rows]))
    known = np.array(found)
    known = known[~np.isnan(known)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (math.nan, math.nan)
    return Interval(measure(one, other), float(low), float(high), _LEVEL)
