"""Threshold: the probability from which on the second class should be called, chosen on rows with known truth."""

from __future__ import annotations

import numpy as np

from mlwright.core.errors import ParameterError
from mlwright.core.types import Floats
from mlwright.metrics.base import Metric
from mlwright.metrics.decision import DecisionMetric

__all__ = ["best_threshold", "capacity_threshold"]


def best_threshold(y: Floats, probability: Floats, metric: Metric, weights: Floats | None = None) -> float:
    """Return the threshold at which `metric` is best on these rows.

    Every decision that a threshold from 0 to 1 can make is scored: one cut between any two neighbouring
    probabilities, one before and one after all of them. Of equally good cuts the one nearest to the metric's own
    threshold is taken, which is that threshold itself if it makes the same decision, else the middle between the two
    probabilities. The rows should be out of fold: rows that a model was fitted on look surer than new ones.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        0 or 1.
    probability : ndarray of shape (n_rows,) or (n_rows, 1)
        P(second class), 0 to 1.
    metric : Metric
        One that decides by a threshold: `mlwright.metrics.decision.DecisionMetric`.
    weights : ndarray of shape (n_rows,), optional
        At least 0.

    Raises
    ------
    ParameterError
        If the metric decides nothing, there are no rows, or there are more than two classes.

    Examples
    --------
    >>> from mlwright.metrics.decision import Cost
    >>> y, probability = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.25, 0.9])
    >>> round(best_threshold(y, probability, Cost(), None), 3)
    0.225
    """
    if not isinstance(metric, DecisionMetric):
        raise ParameterError("a threshold changes nothing for this metric", got=metric.name)
    probability = np.asarray(probability, dtype=np.float64)
    probability = probability[:, 0] if probability.ndim == 2 and probability.shape[1] == 1 else probability
    if probability.ndim != 1 or len(probability) != len(y) or not len(y):
        raise ParameterError(
            "best_threshold: probability", got=np.shape(probability), allowed="one for each row, and a row"
        )
    weight = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    levels, place = np.unique(probability, return_inverse=True)
    positive = np.bincount(place, weight * (y == 1), len(levels)).astype(np.float64)
    every = np.bincount(place, weight, len(levels)).astype(np.float64)
    # Cut i calls the levels from i on; the last one calls none.
    hits, called = _from_each_on(positive), _from_each_on(every)
    below, above = np.concatenate([[0.0], levels]), np.concatenate([levels, [1.0]])
    gains = _gains(metric, hits, called)
    # Decisions of a cut: below < threshold <= above. 0 itself is a threshold of the first one.
    middles = below + (above - below) / 2
    cuts = np.where(middles > below, middles, above)
    own = metric.threshold
    cuts[(below < own) & (own <= above)] = own
    gains[
        (below >= above) & (np.arange(len(cuts)) > 0)
    ] = -np.inf  # none is called from 1 on where one is at 1
    best = np.flatnonzero(gains >= gains.max())
    return float(cuts[best[np.argmin(np.abs(cuts[best] - own))]])


def capacity_threshold(probability: Floats, capacity: float) -> float:
    """Return the lowest threshold that calls at most a share `capacity` of the rows: the highest probabilities.

    It lies in the middle between the lowest probability that is called and the next below it. Where too many rows share
    the highest probability, none is called; where that is 1, there is no such threshold and 1 is returned.

    Parameters
    ----------
    probability : ndarray of shape (n_rows,)
        P(second class) of rows that the model was not fitted on, 0 to 1.
    capacity : float
        Above 0 and below 1.

    Raises
    ------
    ParameterError
        If there are no rows or `capacity` is out of range.

    Examples
    --------
    >>> round(capacity_threshold(np.array([0.1, 0.2, 0.3, 0.4, 0.8]), 0.4), 3)
    0.35
    """
    if not 0 < capacity < 1:
        raise ParameterError(
            "capacity_threshold: capacity", got=capacity, allowed="more than 0 and less than 1"
        )
    if not len(probability):
        raise ParameterError("capacity_threshold: probability", got="no rows", allowed="a row or more")
    levels, counts = np.unique(probability, return_counts=True)
    called = _from_each_on(
        counts.astype(np.float64)
    )  # cut i calls the levels from i on; the last one calls none
    cut = int(np.argmax(called <= capacity * len(probability) * (1 + 1e-12)))
    below, above = levels[cut - 1], levels[cut] if cut < len(levels) else 1.0
    middle = below + (above - below) / 2
    return float(middle if middle > below else above)


def _from_each_on(values: Floats) -> Floats:
    """Return the sum from each place to the end, and 0 after it."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def _gains(metric: DecisionMetric, hits: Floats, called: Floats) -> Floats:
    """Return the gain of each cut from the weight of positives and of all rows that it calls."""
    total, positive = called[0], hits[0]
    n_cuts = len(called)
    true = np.tile([total - positive, positive], (n_cuts, 1))
    named = np.column_stack([total - called, called])
    right = np.column_stack([(total - positive) - (called - hits), hits])
    scores = metric.from_counts(true, named, right)
    return np.nan_to_num(scores if metric.greater_is_better else -scores, nan=-np.inf)
