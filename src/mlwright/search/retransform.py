"""Retransformation: what was fitted to logarithms predicts too little in the mean, and by how much is seen out of fold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.metrics.base import Metric

__all__ = ["log_shift", "shifted"]

_DIGITS = 6  # of a shift, so that it is the same wherever it was written down in between


def log_shift(
    y: Floats,
    predicted: Floats,
    metric: Metric,
    weights: Floats | None = None,
    folds: Ints | None = None,
) -> float:
    """Return what to add to the logarithms that a model is fitted to, 0 where that helps the metric by nothing.

    The exponential of a mean of logarithms lies below the mean (retransformation bias; a smearing factor makes up for
    it: N. Duan, "Smearing estimate: a nonparametric retransformation method", JASA 78, 1983). Here the factor is that
    of means, ``mean(1 + y) / mean(1 + predicted)``. It is kept if, taken from the first half of the folds and applied to
    the others, and the other way round, it improves the metric: root mean squared error wants means, absolute error
    medians; and where folds follow one another in time, what drifted between two of them is no guide to the next.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        What was.
    predicted : ndarray of shape (n_rows, 1)
        What was predicted out of fold by a model of ``log1p(y)``.
    metric : Metric
        What is to be improved.
    weights : ndarray of shape (n_rows,), optional
        Of the rows.
    folds : ndarray of int of shape (n_rows,), optional
        In which fold each row was predicted; without it, or with a single one, every other two rows are a half.

    Examples
    --------
    >>> from mlwright.metrics import get
    >>> y = np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0])
    >>> predicted = np.full((8, 1), np.expm1(np.log1p(y).mean()))
    >>> log_shift(y, predicted, get("rmse")), log_shift(y, predicted, get("rmsle"))
    (0.058892, 0.0)
    """
    if len(y) < 4:
        return 0.0
    weighed = np.ones(len(y)) if weights is None else weights

    def of(rows: NDArray[np.bool_]) -> float:
        total = float(weighed[rows] @ (1.0 + predicted[rows, 0]))
        return math.log(float(weighed[rows] @ (1.0 + y[rows])) / total) if total > 0 else 0.0

    halves = _first_half(len(y), folds)
    crossed = np.empty_like(predicted)
    for half in (halves, ~halves):
        crossed[half] = shifted(predicted[half], of(~half))
    if metric.gain(y, crossed, weights) > metric.gain(y, predicted, weights):
        return round(of(np.ones(len(y), dtype=bool)), _DIGITS)
    return 0.0


def _first_half(n_rows: int, folds: Ints | None) -> NDArray[np.bool_]:
    if folds is not None and len(known := np.unique(folds)) > 1:
        return folds <= known[(len(known) - 1) // 2]
    # Pairs of neighbours, so that rows that come in turns do not all fall into one half.
    return np.arange(n_rows) // 2 % 2 == 0


def shifted(predicted: Floats, shift: float, bounds: tuple[float, float] | None = None) -> Floats:
    """Return predictions as if `shift` had been added to their ``log1p`` before it was turned back, and bounded."""
    turned = np.maximum((1.0 + predicted) * math.exp(shift) - 1.0, 0.0)
    return turned if bounds is None else np.clip(turned, *bounds)
