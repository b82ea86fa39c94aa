"""Metrics of regressions. Those of targets above 0 take what is below for the least that they know."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from mlwright.core.errors import ParameterError
from mlwright.core.types import Floats
from mlwright.data.schema import TWEEDIE_POWER, Task, TaskKind
from mlwright.metrics.base import DrawsMetric, MeanMetric, ratio

__all__ = [
    "MAE",
    "MAPE",
    "R2",
    "RMSE",
    "RMSLE",
    "GammaDeviance",
    "Pinball",
    "PoissonDeviance",
    "TweedieDeviance",
]

_REGRESSION = frozenset({TaskKind.REGRESSION})
_EPSILON = float(np.finfo(np.float64).eps)  # what a deviance takes a mean of 0 or less for
_ABOVE_ZERO = float(np.nextafter(0.0, 1.0))


class MAE(MeanMetric):
    """Mean absolute error, in the target's units."""

    name: ClassVar[str] = "mae"
    title: ClassVar[str] = "mean absolute error"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

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
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return relative errors."""
        return np.abs(predicted[:, 0] - y) / np.maximum(np.abs(y), np.finfo(np.float64).eps)


class RMSE(MeanMetric):
    """Root of the mean squared error, in the target's units."""

    name: ClassVar[str] = "rmse"
    title: ClassVar[str] = "RMSE"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

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
    bounds: ClassVar[tuple[float, float]] = (-np.inf, 1.0)

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


class RMSLE(MeanMetric):
    """Root of the mean squared error of ``log(1 + value)``: about the typical relative error.

    Predictions below 0 count as 0.
    """

    name: ClassVar[str] = "rmsle"
    title: ClassVar[str] = "RMSLE"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    lowest: ClassVar[float] = 0.0
    plain: ClassVar[bool] = False

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return squared errors of logarithms."""
        return (np.log1p(np.maximum(predicted[:, 0], 0.0)) - np.log1p(np.maximum(y, 0.0))) ** 2

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return the roots of the weighted means."""
        return np.sqrt(super().scores(y, predicted, weights))


class Pinball(MeanMetric):
    """Mean pinball loss of a quantile, in the target's units: the least where a share `quantile` lies below.

    Parameters
    ----------
    quantile : float, default=0.5
        More than 0 and less than 1. A miss from below costs so much a unit, one from above the rest to 1.

    References
    ----------
    R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46 (1978).
    """

    name: ClassVar[str] = "pinball"
    title: ClassVar[str] = "pinball loss"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    plain: ClassVar[bool] = False

    def __init__(self, quantile: float = 0.5) -> None:
        if not 0 < quantile < 1:
            raise ParameterError("pinball: quantile", got=quantile, allowed="more than 0 and less than 1")
        self.quantile = quantile

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return the metric of the task's quantile."""
        return cls() if task.quantile is None else cls(task.quantile)

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return what each miss costs."""
        miss = y - predicted[:, 0]
        return np.maximum(self.quantile * miss, (self.quantile - 1) * miss)


class PoissonDeviance(MeanMetric):
    """Mean deviance of counts with a Poisson's spread; predictions below 2.2e-16 count as that."""

    name: ClassVar[str] = "poisson_deviance"
    title: ClassVar[str] = "Poisson deviance"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    lowest: ClassVar[float] = 0.0
    plain: ClassVar[bool] = False

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return deviances."""
        mean, y = np.maximum(predicted[:, 0], _EPSILON), np.maximum(y, 0.0)
        return 2 * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mean), 0.0) - y + mean)


class GammaDeviance(MeanMetric):
    """Mean deviance of amounts above 0 whose spread grows with their mean; predictions below 2.2e-16 count as that."""

    name: ClassVar[str] = "gamma_deviance"
    title: ClassVar[str] = "gamma deviance"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    lowest: ClassVar[float] = _ABOVE_ZERO
    plain: ClassVar[bool] = False

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return deviances."""
        mean, y = np.maximum(predicted[:, 0], _EPSILON), np.maximum(y, _EPSILON)
        return 2 * (np.log(mean / y) + y / mean - 1)


class TweedieDeviance(MeanMetric):
    """Mean deviance of sums of a random number of amounts, zeros among them: Tweedie's with power 1.5.

    Predictions below 2.2e-16 count as that.
    """

    name: ClassVar[str] = "tweedie_deviance"
    title: ClassVar[str] = "Tweedie deviance"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _REGRESSION
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    lowest: ClassVar[float] = 0.0
    plain: ClassVar[bool] = False

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return deviances."""
        mean, y = np.maximum(predicted[:, 0], _EPSILON), np.maximum(y, 0.0)
        one, two = 1 - TWEEDIE_POWER, 2 - TWEEDIE_POWER
        return 2 * (y**two / (one * two) - y * mean**one / one + mean**two / two)
