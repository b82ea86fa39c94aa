"""Conform: intervals and sets that hold the truth as often as they say, from predictions out of fold.

The residuals are those of models that did not see the row, fitted on the other folds; the served model is refitted on all
rows. It has seen more, so its intervals hold the truth at least about as often, but no theorem says so (that of CV+ needs
the folds' models at serving; Barber et al. 2021). The report measures it on the test rows.
"""

from __future__ import annotations

import math

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.models.conformal import Conformal, Residuals, Sets, wide

__all__ = ["COVERAGE", "conform"]

COVERAGE = 0.9
_FEWEST, _FEWEST_OF_A_CLASS = 60, 20  # rows
_ROWS_A_KNOT, _MOST_KNOTS = 50, 10
_LEAST_SCALE = 0.1  # of the mean one: where the folds' predictions happened to hit, others will not
_SLACK = 1e-9  # of a probability: the row and the batch path may differ by rounding


def conform(y: Floats, predicted: Floats, task: Task, *, coverage: float = COVERAGE) -> Conformal | None:
    """Return what gives intervals (regression) or sets (classes); None of too few rows or without a target.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Values, or class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out of fold, by the blend; NaN where no fold validates.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> y = random.uniform(-1, 1, size=2000)
    >>> found = conform(y, np.zeros((2000, 1)), Task(TaskKind.REGRESSION, "y", "rmse"))
    >>> [round(float(end[0]), 1) for end in found.ends(np.zeros(1))]  # nine tenths of what there is
    [-0.9, 0.9]
    """
    rows = np.isfinite(predicted).all(axis=1)
    if not task.kind.needs_target or np.count_nonzero(rows) < _FEWEST:
        return None
    y, predicted = y[rows], predicted[rows]
    if task.kind is not TaskKind.REGRESSION:
        return _sets(y, predicted, coverage)
    value = predicted[:, 0]
    knots, scales = _scale(value, y - value)
    scaled = (y - value) / np.interp(value, knots, scales)
    tail = (1 - coverage) / 2
    return Residuals(
        coverage,
        knots,
        scales,
        -_quantile(-scaled, 1 - tail),
        _quantile(scaled, 1 - tail),
        lowest=0.0 if y.min() >= 0 else None,
    )


def _quantile(scores: Floats, level: float) -> float:
    """Return the score at rank ``ceil((n + 1) level)``: a further one is at most that with probability `level`."""
    rank = min(len(scores), math.ceil((len(scores) + 1) * level - 1e-9))
    return float(np.partition(scores, rank - 1)[rank - 1])


def _scale(value: Floats, residual: Floats) -> tuple[Floats, Floats]:
    """Return knots of the prediction, and the mean absolute residual around each."""
    n_bins = max(1, min(_MOST_KNOTS, len(value) // _ROWS_A_KNOT))
    inner = np.quantile(value, np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else np.empty(0)
    codes = np.unique(np.searchsorted(inner, value), return_inverse=True)[1]
    count = np.bincount(codes)
    knots = np.bincount(codes, value) / count
    sizes = np.bincount(codes, np.abs(residual)) / count
    overall = float(np.abs(residual).mean()) or 1.0
    rising = np.append(True, np.diff(knots) > 0)  # means of neighbouring bins may agree to the last digit
    return knots[rising], np.maximum(sizes, _LEAST_SCALE * overall)[rising]


def _sets(y: Floats, predicted: Floats, coverage: float) -> Sets:
    chances, codes = wide(predicted), y.astype(np.int64)
    own = chances[np.arange(len(y)), codes]
    n_classes = chances.shape[1]
    rare = np.bincount(codes, minlength=n_classes) < _FEWEST_OF_A_CLASS
    # The rare ones share what their rows say together: a threshold of all rows would hold them far less often.
    shared = own[rare[codes]]
    thresholds = np.full(n_classes, -_quantile(-(shared if len(shared) else own), coverage))
    for code in np.flatnonzero(~rare):
        thresholds[code] = -_quantile(-own[codes == code], coverage)
    return Sets(coverage, np.clip(thresholds - _SLACK, -1.0, 1.0))
