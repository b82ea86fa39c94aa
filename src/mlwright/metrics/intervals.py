"""Confidence intervals of scores, and of the difference of two models' scores, by the bootstrap.

Rows are drawn as counts, and counts are weights, so a metric sorts once and scores all draws at once. Draws are not
stratified by class: in simulations at 200 rows a stratified bootstrap covered the true log loss in 86 % of cases where
95 % were promised, because the share of the classes varies too; the plain one covered 93.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from mlwright.core.errors import ParameterError
from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.metrics.base import Metric

__all__ = ["Interval", "interval", "paired_interval"]

_CELLS = 4_000_000  # counts held at a time: 32 MB
_MOST = 200_000_000  # counts drawn at most; large tables get fewer draws, as their intervals are narrow
_FEWEST = 200  # draws, however large the table


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    Parameters
    ----------
    estimate : float
        The score on the rows themselves.
    low, high : float
        The ends; NaN where there are less than two units to draw.
    level : float
        The share of such intervals that hold the true score: 0.95.
    """

    estimate: float
    low: float
    high: float
    level: float

    def to_json(self) -> dict[str, float | None]:
        """Return a JSON tree; None stands for NaN."""
        values = {"estimate": self.estimate, "low": self.low, "high": self.high, "level": self.level}
        return {name: None if math.isnan(value) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Interval:
        """Build from `to_json`'s tree."""
        names = ("estimate", "low", "high", "level")
        return cls(*(math.nan if tree[name] is None else float(tree[name]) for name in names))


def interval(
    metric: Metric,
    y: Floats,
    predicted: Floats,
    *,
    weights: Floats | None = None,
    level: float = 0.95,
    groups: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return a metric's score with its interval.

    Expanded percentile bootstrap (Hesterberg 2015, section 5.3): the percentiles lie a little further out, as a
    t-interval's would, which matters for few rows or groups.

    Parameters
    ----------
    metric : Metric
        What is scored.
    y, predicted : ndarray
        As for `Metric.score`.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts in a score; which rows are drawn does not depend on it.
    level : float, default=0.95
        Confidence level, more than 0 and less than 1.
    groups : ndarray of shape (n_rows,), optional
        Rows of one group (customer, patient) are drawn together.
    blocks : ndarray of int, shape (n_rows,), optional
        Ids of stretches of time; rows of one block are drawn together. Give `groups` or `blocks`.
    n_draws : int, default=1000
        Fewer are made of more than 200,000 rows.
    seed : int, default=0
        Equal seeds give equal intervals.

    Raises
    ------
    ParameterError
        If `level` is out of range or both `groups` and `blocks` are given.

    Examples
    --------
    >>> from mlwright.metrics import get
    >>> y = np.arange(100.0)
    >>> found = interval(get("mae"), y, (y + np.tile([1.0, 3.0], 50))[:, None])
    >>> found.estimate, 1.7 < found.low < 1.9, 2.1 < found.high < 2.3
    (2.0, True, True)
    """
    units = _units(len(y), level, groups, blocks)
    scores = [metric.scores(y, predicted, drawn) for drawn in _draws(units, n_draws, seed, weights)]
    return _from_draws(metric.score(y, predicted, weights), scores, level, units)


def paired_interval(
    metric: Metric,
    y: Floats,
    a: Floats,
    b: Floats,
    *,
    weights: Floats | None = None,
    level: float = 0.95,
    groups: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return how much better `a` is than `b`: ``gain(a) - gain(b)``, more is better, with its interval.

    Both are scored on the same draws, so what is hard for both cancels. Parameters are `interval`'s.

    Examples
    --------
    >>> from mlwright.metrics import get
    >>> y = np.arange(100.0)
    >>> paired_interval(get("mae"), y, y[:, None] + 1, y[:, None] + 2)
    Interval(estimate=1.0, low=1.0, high=1.0, level=0.95)
    """
    units = _units(len(y), level, groups, blocks)
    sign = 1.0 if metric.greater_is_better else -1.0
    scores = [
        sign * (metric.scores(y, a, drawn) - metric.scores(y, b, drawn))
        for drawn in _draws(units, n_draws, seed, weights)
    ]
    difference = metric.gain(y, a, weights) - metric.gain(y, b, weights)
    return _from_draws(difference, scores, level, units)


@dataclass(frozen=True, slots=True)
class _Units:
    """What is drawn: rows, or groups of rows."""

    count: int
    n_rows: int
    of_row: np.ndarray | None  # the unit of each row; None if rows are units


def _units(n_rows: int, level: float, groups: np.ndarray | None, blocks: np.ndarray | None) -> _Units:
    if not 0 < level < 1:
        raise ParameterError("interval: level", got=level, allowed="more than 0 and less than 1")
    if groups is not None and blocks is not None:
        raise ParameterError("interval: give groups or blocks, not both")
    together = groups if groups is not None else blocks
    if together is None:
        return _Units(n_rows, n_rows, None)
    if len(together) != n_rows:
        raise ParameterError(
            "interval: groups or blocks", got=len(together), allowed=f"one for each of {n_rows} rows"
        )
    names, of_row = np.unique(together, return_inverse=True)
    return _Units(len(names), n_rows, of_row)


def _draws(units: _Units, n_draws: int, seed: int, weights: Floats | None) -> Iterator[Floats]:
    """Yield weights of shape (some draws, n_rows): how often each row was drawn, times its own weight."""
    if units.count < 2:
        return
    random = generator(seed, "bootstrap")
    left = min(n_draws, max(_FEWEST, _MOST // units.n_rows))
    while left > 0:
        size = max(1, min(left, _CELLS // units.n_rows))
        drawn = random.integers(0, units.count, (size, units.count))
        drawn += units.count * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units.count).reshape(size, units.count)
        times = counts.astype(np.float64) if units.of_row is None else counts[:, units.of_row].astype(float)
        yield times if weights is None else times * weights
        left -= size


def _from_draws(estimate: float, scores: list[Floats], level: float, units: _Units) -> Interval:
    known = np.concatenate([*scores, np.empty(0)])
    known = known[~np.isnan(known)]  # draws without one of the classes have no score
    if len(known) < 2 or math.isnan(estimate):
        return Interval(estimate, math.nan, math.nan, level)
    reach = _student((1 + level) / 2, units.count - 1) * math.sqrt(units.count / (units.count - 1))
    tail = NormalDist().cdf(-reach)
    low, high = np.quantile(known, [tail, 1 - tail]).tolist()
    return Interval(estimate, low, high, level)


def _student(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t by its expansion in 1 / freedom (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(probability)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
