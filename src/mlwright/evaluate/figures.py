"""Figures: what is counted on rows that a model never saw, as frozen records. No metric and no word for people.

All shares come with a Wilson interval. Where rows come in clusters (groups, blocks of time), the interval is that of
the effective number of rows, so that a hundred rows of one customer do not count as a hundred customers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.schema import Task
from mlwright.metrics import decide

__all__ = [
    "LEVEL",
    "Bin",
    "ClassFigures",
    "Confusion",
    "Histogram",
    "Lift",
    "Residuals",
    "Share",
    "bins",
    "confusion",
    "histogram",
    "lifts",
    "residuals",
    "roc",
    "share",
    "wilson",
]

LEVEL = 0.95
_LIFT_TOPS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_MOST_POINTS = 300


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total` rows, and the interval of the share from `low` to `high` (0 to 1)."""

    count: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share itself, NaN of no rows."""
        return self.count / self.total if self.total else math.nan


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: of the rows called so how many are (`precision`), of those that are how many are found (`recall`)."""

    label: Any
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Confusion:
    """Truth (rows) against decision (columns), in the order of the task's labels.

    Parameters
    ----------
    threshold : float or None
        The probability from which on a row is called positive; None where the most probable class is taken.
    matrix : tuple of tuple of int
        ``matrix[truth][decision]`` counts rows.
    classes : tuple of ClassFigures
        One a label.
    """

    threshold: float | None
    matrix: tuple[tuple[int, ...], ...]
    classes: tuple[ClassFigures, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like prediction: their mean prediction and what was observed, with a range from `low` to `high`."""

    n_rows: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Lift:
    """The rows with the highest scores, `top` of all: how many are positive, and how many times more than by chance."""

    top: float
    hits: Share
    lift: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between `edges`, one tuple of ``len(edges) - 1`` counts a series."""

    edges: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far off predicted values are, in the target's unit.

    Parameters
    ----------
    bias, bias_error : float
        The mean of prediction minus truth, and that mean's standard error.
    quantiles : dict of str to float
        The absolute error that 10, 25, 50, 75, 90 and 95 % of the rows stay within, by ``"0.5"``.
    half_low, half_high : float
        The interval of the 50 % quantile.
    within_tenth : Share
        Rows whose prediction is at most 10 % of the truth away from it.
    points : tuple of (float, float)
        Truth and prediction of up to 300 rows, drawn by the seed.
    """

    bias: float
    bias_error: float
    quantiles: dict[str, float]
    half_low: float
    half_high: float
    within_tenth: Share
    points: tuple[tuple[float, float], ...]


def wilson(count: float, total: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a share.

    Parameters
    ----------
    count, total : float
        Hits, and how many they are of; an effective number of rows need not be whole.
    level : float, default=0.95
        The interval's coverage.

    References
    ----------
    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).

    Examples
    --------
    >>> low, high = wilson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if total <= 0:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf(0.5 + level / 2) ** 2
    middle = (count + z2 / 2) / (total + z2)
    half = math.sqrt(z2 * (count * (total - count) / total + z2 / 4)) / (total + z2)
    return (
        0.0 if count <= 0 else max(0.0, middle - half),
        1.0 if count >= total else min(1.0, middle + half),
    )


def share(hits: np.ndarray, clusters: np.ndarray | None = None, *, level: float = LEVEL) -> Share:
    """Return the share of True in `hits` with its interval.

    Parameters
    ----------
    hits : ndarray of bool, shape (n_rows,)
        What is counted.
    clusters : ndarray of shape (n_rows,), optional
        Which rows belong together; the interval is then that of the effective number of rows.
    level : float, default=0.95
        The interval's coverage.

    References
    ----------
    N. Dean, M. Pagano, "Evaluating Confidence Interval Methods for Binomial Proportions in Clustered Surveys",
    Journal of Survey Statistics and Methodology 3 (2015): Wilson's interval with the effective sample size.

    Examples
    --------
    >>> share(np.array([True, True, False, True])).share
    0.75
    """
    count, total = int(np.count_nonzero(hits)), len(hits)
    effective = total / _design_effect(hits, clusters)
    low, high = wilson(count * effective / total if total else 0.0, effective, level=level)
    return Share(count, total, low, high)


def _design_effect(hits: np.ndarray, clusters: np.ndarray | None) -> float:
    """Variance of the mean under clusters over that of as many independent rows, at least 1."""
    if clusters is None or len(hits) < 2:
        return 1.0
    mean = float(np.mean(hits))
    codes = np.unique(clusters, return_inverse=True)[1].ravel()
    n_clusters = int(codes.max()) + 1
    if not 0 < mean < 1:  # no spread to see: as if the rows of a cluster were one
        return len(hits) / n_clusters
    if n_clusters < 2:
        return float(len(hits))
    sums = np.bincount(codes, weights=hits - mean, minlength=n_clusters)
    variance = n_clusters / (n_clusters - 1) * float(sums @ sums) / len(hits) ** 2
    return min(max(1.0, variance / (mean * (1 - mean) / len(hits))), float(len(hits)))


def confusion(y: Floats, predicted: Floats, task: Task, clusters: np.ndarray | None = None) -> Confusion:
    """Return the confusion matrix of the task's decision, with precision and recall a class."""
    labels = task.labels
    truth, called, n = y.astype(np.int64), decide(predicted, task), len(labels)
    matrix = np.bincount(truth * n + called, minlength=n * n).reshape(n, n)

    def part(rows: np.ndarray, hits: np.ndarray) -> Share:
        return share(hits[rows], None if clusters is None else clusters[rows])

    return Confusion(
        task.cut if predicted.shape[1] == 1 else None,
        tuple(tuple(int(count) for count in row) for row in matrix),
        tuple(
            ClassFigures(label, part(called == code, truth == code), part(truth == code, called == code))
            for code, label in enumerate(labels)
        ),
    )


def bins(
    score: Floats, observed: Floats, *, n_bins: int = 10, clusters: np.ndarray | None = None, rate: bool
) -> tuple[Bin, ...]:
    """Return up to `n_bins` bins of about as many rows each, by rising score.

    Parameters
    ----------
    score, observed : ndarray of shape (n_rows,)
        The prediction, and what came of it.
    n_bins : int, default=10
        Fewer where scores are tied or rows are few (at least 10 a bin).
    clusters : ndarray of shape (n_rows,), optional
        Which rows belong together.
    rate : bool
        True where `observed` is 0 or 1: the range is the share's interval; else it is the middle 80 % of the values.
    """
    n_bins = max(1, min(n_bins, len(score) // 10))
    inner = np.quantile(score, np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else np.empty(0)
    codes = np.searchsorted(inner, score)
    found = []
    for code in np.unique(codes):
        rows = codes == code
        if rate:
            part = share(observed[rows] > 0.5, None if clusters is None else clusters[rows])
            low, high = part.low, part.high
        else:
            low, high = (float(q) for q in np.quantile(observed[rows], (0.1, 0.9)))
        found.append(Bin(int(rows.sum()), float(score[rows].mean()), float(observed[rows].mean()), low, high))
    return tuple(found)


def lifts(y: Floats, score: Floats, *, clusters: np.ndarray | None = None, seed: int) -> tuple[Lift, ...]:
    """Return how rich in positives the highest scores are; ties are broken by a draw."""
    order = np.lexsort((generator(seed, "ties").permutation(len(y)), -score))
    positive, base = y > 0.5, float(np.mean(y > 0.5))
    found = []
    for top in _LIFT_TOPS:
        rows = order[: round(top * len(y))]
        if len(rows) >= 10 and base > 0:
            hits = share(positive[rows], None if clusters is None else clusters[rows])
            found.append(Lift(top, hits, hits.share / base))
    return tuple(found)


def roc(y: Floats, score: Floats, *, most: int = 80) -> tuple[tuple[float, float], ...]:
    """Return points (false alarms, found) of the ROC curve, thinned to about `most`; empty if a class is absent."""
    order = np.argsort(-score, kind="stable")
    positive = (y > 0.5)[order]
    n_positive = int(positive.sum())
    if not 0 < n_positive < len(y):
        return ()
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # the last row of each tied score
    found, alarms = np.cumsum(positive)[last], np.cumsum(~positive)[last]
    x = np.concatenate([[0.0], alarms / (len(y) - n_positive)])
    rise = np.concatenate([[0.0], found / n_positive])
    keep = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).round().astype(np.int64))
    return tuple((float(a), float(b)) for a, b in zip(x[keep], rise[keep], strict=True))


def histogram(
    series: dict[str, Floats], *, n_bins: int = 20, limits: tuple[float, float] | None = None
) -> Histogram:
    """Return counts of each series over common edges; without `limits`, the outer 0.5 % falls into the end bins."""
    if limits is None:
        both = np.concatenate(list(series.values()))
        low, high = (float(q) for q in np.quantile(both, (0.005, 0.995)))
        limits = (low, high) if low < high else (low - 0.5, high + 0.5)
    edges = np.linspace(*limits, n_bins + 1)
    return Histogram(
        tuple(edges.tolist()),
        {
            name: tuple(np.histogram(np.clip(values, *limits), edges)[0].tolist())
            for name, values in series.items()
        },
    )


def residuals(y: Floats, value: Floats, *, clusters: np.ndarray | None = None, seed: int) -> Residuals:
    """Return how far `value` is off the truth `y`, both of shape (n_rows,) with at least two rows.

    The interval of the median absolute error is Woodruff's: the quantiles at the ends of the interval of one half.
    """
    error = value - y
    size = np.abs(error)
    quantiles = {str(q): float(np.quantile(size, q)) for q in _QUANTILES}
    half = share(size <= quantiles["0.5"], clusters)
    rows = np.sort(generator(seed, "points").permutation(len(y))[:_MOST_POINTS])
    low, high = (float(q) for q in np.quantile(size, (half.low, half.high)))
    return Residuals(
        bias=float(error.mean()),
        bias_error=float(error.std(ddof=1) / math.sqrt(len(y))),
        quantiles=quantiles,
        half_low=min(low, quantiles["0.5"]),
        half_high=max(high, quantiles["0.5"]),
        within_tenth=share(size <= 0.1 * np.abs(y), clusters),
        points=tuple((float(f"{y[i]:.6g}"), float(f"{value[i]:.6g}")) for i in rows),
    )
