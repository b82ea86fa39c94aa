"""Calibrate: whether the blend's probabilities gain by a calibration, judged on other rows, and what every class is left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mlwright.core import seeds
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.calibration import LEAST, Calibration, Isotonic, LeastChance, Temperature

__all__ = ["calibrate"]

_ROWS_FOR_ANY = 50
_ROWS_FOR_ISOTONIC = 3000
_LEAST_GAIN = 1e-3  # of the loss: less is not worth a step at serving
_KNOTS = 200
_STEPS = 25  # of the search for a temperature: then its logarithm is known to 1e-5
_RANKED = ("roc_auc", "pr_auc")  # an isotonic curve makes ties, which rank as nothing


def calibrate(
    y: Floats, predicted: Floats, task: Task, *, weights: Floats | None = None, seed: int = 0
) -> Calibration | None:
    """Return what a blend's chances go through; None where nothing has a chance.

    n rows leave every class a chance of 1 / n**2 at least. Where classes lie apart, nets and logistic regression answer
    1e-90 for one: no table of n rows tells that from a class that comes once in n such tables.

    Before it, a temperature or an isotonic curve is fitted on one half of the rows and judged on the other, both ways
    round; the one that lowers the log loss most is kept, and only where the loss falls in both halves, and in the mean
    by more than twice the standard error of the difference.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out-of-fold probabilities, without NaN.
    """
    if not task.kind.has_classes:
        return None
    weights = np.ones(len(y)) if weights is None else weights
    least = 1.0 / max(len(y), len(task.labels)) ** 2
    plain = LeastChance(least)
    if len(y) < _ROWS_FOR_ANY:
        return plain
    ways: list[Callable[[Floats, Floats, Floats], Calibration]] = [partial(_temperature, least=least)]
    if task.kind is TaskKind.BINARY and len(y) >= _ROWS_FOR_ISOTONIC and task.metric not in _RANKED:
        ways.append(_isotonic)
    half = seeds.generator(seed, "calibrate").permutation(len(y)) % 2
    before = _losses(y, plain.apply(predicted))
    best, found = 0.0, None
    for way in ways:
        after = np.empty(len(y))
        for side in (0, 1):
            mine, other = np.flatnonzero(half == side), np.flatnonzero(half != side)
            fitted = LeastChance(least, way(y[mine], predicted[mine], weights[mine]))
            after[other] = _losses(y[other], fitted.apply(predicted[other]))
        gain = _sure_gain(before - after, before, weights, half)
        if gain > best:
            best, found = gain, way
    return plain if found is None else LeastChance(least, found(y, predicted, weights))


def _sure_gain(gains: Floats, before: Floats, weights: Floats, half: Ints) -> float:
    mean = float(np.average(gains, weights=weights))
    error = float(np.std(gains)) / np.sqrt(len(gains))
    halves = [float(np.average(gains[half == side], weights=weights[half == side])) for side in (0, 1)]
    sure = (
        min(halves) > 0
        and mean > 2 * error
        and mean > _LEAST_GAIN * float(np.average(before, weights=weights))
    )
    return mean if sure else 0.0


def _losses(y: Floats, predicted: Floats) -> Floats:
    if predicted.shape[1] == 1:
        right = np.where(y > 0.5, predicted[:, 0], 1.0 - predicted[:, 0])
    else:
        right = predicted[np.arange(len(y)), y.astype(np.int64)]
    return -np.log(right)


def _temperature(y: Floats, predicted: Floats, weights: Floats, least: float) -> Temperature:
    """Return the best factor by golden-section search over its logarithm: that of the valley it ends in, if there are two."""
    # As `_losses` of what `Temperature` and `LeastChance` give; the logarithms are the same for every factor.
    known = np.clip(predicted, LEAST, 1.0)
    share = 1.0 - max(2, predicted.shape[1]) * least
    if predicted.shape[1] == 1:
        odds = (np.log(known) - np.log(np.maximum(1.0 - predicted, LEAST)))[:, 0]
        against = np.where(y > 0.5, -odds, odds)
    else:
        logs = np.log(known)
        logs -= logs.max(axis=1, keepdims=True)
        own = logs[np.arange(len(y)), y.astype(np.int64)]

    def loss(log_factor: float) -> float:
        scale = float(np.exp(-log_factor))
        if predicted.shape[1] == 1:
            right = 1.0 / (1.0 + np.exp(scale * against))
        else:
            right = np.exp(scale * own) / np.exp(scale * logs).sum(axis=1)
        return -float(weights @ np.log(least + share * right))

    low, high, golden = np.log(0.1), np.log(10.0), (np.sqrt(5.0) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    return Temperature(float(np.exp((low + high) / 2)))


def _isotonic(y: Floats, predicted: Floats, weights: Floats) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    edge = 1.0 / (len(y) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge, out_of_bounds="clip").fit(
        predicted[:, 0], y, sample_weight=weights
    )
    knots, values = fitted.X_thresholds_, fitted.y_thresholds_
    if len(knots) > _KNOTS:
        kept = np.unique(np.linspace(0, len(knots) - 1, _KNOTS).round().astype(np.int64))
        knots, values = knots[kept], values[kept]
    if len(knots) < 2:
        knots, values = np.array([0.0, 1.0]), np.repeat(values[:1], 2)
    return Isotonic(knots, np.maximum.accumulate(values))
