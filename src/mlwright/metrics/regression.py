"""Metrics of regressions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import TaskKind
from mlwright.metrics.base import DrawsMetric, MeanMetric, ratio

__all__ = ["MAE", "MAPE", "R2", "RMSE"]

_REGRESSION = frozenset({TaskKind.REGRESSION})


class MAE(MeanMetric):
    """Mean absolute error, in the target's units."""

    name: ClassVar[str] = "mae"
    title: ClassVar[str] = "mean absolute error"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return absolute errors."""
        return np.abs(predicted[:, 0] - y)


class MAPE(MeanMetric):
    """Mean absolute error as a share of the true value: 0.1 is ten percent.

    A true value of 0 counts as the smallest double step from 1 (2.2e-16), so that one such row drowns all others: do not
    use it where the target can be 0.
    """

    name: ClassVar[str] = "mape"
    title: ClassVar[str] = "mean absolute percentage error"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return relative errors."""
        return np.abs(predicted[:, 0] - y) / np.maximum(np.abs(y), np.finfo(np.float64).eps)


class RMSE(MeanMetric):
    """Root of the mean squared error, in the target's units."""

    name: ClassVar[str] = "rmse"
    title: ClassVar[str] = "RMSE"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return squared errors."""
        return (predicted[:, 0] - y) ** 2

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return the roots of the weighted means."""
        return np.sqrt(super().scores(y, predicted, weights))


class R2(DrawsMetric):
    """Share of the target's variance that is explained: 1 is perfect, 0 is what the mean gives, less is worse.

    Where the target is constant it is 1 for perfect predictions and 0 otherwise; with less than two rows NaN.
    """

    name: ClassVar[str] = "r2"
    title: ClassVar[str] = "R²"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one minus the ratio of squared errors to squared deviations."""
        errors = weights @ (predicted[:, 0] - y) ** 2
        centred = y - y.mean() if len(y) else y  # keeps the digits of a target far from 0
        means = ratio(weights @ centred, weights.sum(axis=1))
        deviations = np.einsum("dn,dn->d", weights, (centred - means[:, None]) ** 2)
        result = 1 - ratio(errors, deviations)
        constant = deviations == 0
        result[constant] = np.where(errors[constant] == 0, 1.0, 0.0)
        result[(weights > 0).sum(axis=1) < 2] = np.nan
        return result
