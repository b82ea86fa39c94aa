"""Losses of neural nets: targets, first scores, value and derivative for each objective."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import TWEEDIE_POWER, Objective

__all__ = ["Loss"]

_RARE = 1e-15
_NEAR = 0.02  # of the target's deviation: nearer misses count for a quantile as squares
_FAR = 15.0  # logarithms of a mean in means of the target; beyond, the slope is that at the border


@dataclass(frozen=True, slots=True)
class Loss:
    """One objective on scaled targets.

    Parameters
    ----------
    objective : Objective
        ABSOLUTE is the quantile of a half.
    first : ndarray of shape (n_outputs,)
        The scores to start from.
    quantile : float, default=0.5
        For the objective QUANTILE.
    """

    objective: Objective
    first: Floats
    quantile: float = 0.5

    def slope_for(
        self, targets: np.ndarray, weights: np.ndarray | None
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return what gives the derivative of the batch's mean loss by its scores, (members, n_rows, n_outputs)."""
        share = np.float32(1 / targets.shape[1])
        factor = share if weights is None else weights[:, :, None] * share

        def slope(scores: np.ndarray) -> np.ndarray:
            found = self._slope(scores, targets)
            found *= factor
            return found

        return slope

    def _slope(self, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        kind = self.objective
        if kind is Objective.SOFTMAX:
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            powers /= powers.sum(axis=-1, keepdims=True)
            return powers - targets
        if kind is Objective.LOGISTIC:
            return (np.tanh(scores * np.float32(0.5)) + np.float32(1)) * np.float32(0.5) - targets
        if kind in (Objective.ABSOLUTE, Objective.QUANTILE):
            near = np.clip((scores - targets) * np.float32(1 / _NEAR), -1, 1)
            return near * np.float32(0.5) + np.float32(0.5 - self.quantile)
        scores = np.clip(scores, -_FAR, _FAR) if kind is not Objective.SQUARED else scores
        if kind is Objective.POISSON:
            return np.exp(scores) - targets
        if kind is Objective.GAMMA:
            return 1 - targets * np.exp(-scores)
        if kind is Objective.TWEEDIE:
            low, high = np.float32(1 - TWEEDIE_POWER), np.float32(2 - TWEEDIE_POWER)
            return np.exp(high * scores) - targets * np.exp(low * scores)
        return scores - targets

    def value(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the mean loss, up to what does not depend on the scores; infinite where scores are not finite."""
        raw, truth = scores.astype(np.float64), targets.astype(np.float64)
        kind = self.objective
        if kind is Objective.SOFTMAX:
            raw -= raw.max(axis=1, keepdims=True)
            each = np.log(np.exp(raw).sum(axis=1, keepdims=True)) - (raw * truth).sum(axis=1, keepdims=True)
        elif kind is Objective.LOGISTIC:
            each = np.logaddexp(0.0, raw) - truth * raw
        elif kind in (Objective.ABSOLUTE, Objective.QUANTILE):
            miss = truth - raw
            each = np.maximum(self.quantile * miss, (self.quantile - 1) * miss)
        elif kind is Objective.SQUARED:
            each = (truth - raw) ** 2 / 2
        else:
            raw = np.clip(raw, -_FAR, _FAR)
            if kind is Objective.POISSON:
                each = np.exp(raw) - truth * raw
            elif kind is Objective.GAMMA:
                each = truth * np.exp(-raw) + raw
            else:
                low, high = 1 - TWEEDIE_POWER, 2 - TWEEDIE_POWER
                each = np.exp(high * raw) / high - truth * np.exp(low * raw) / low
        found = float(np.average(each[:, 0], weights=weights))
        return found if math.isfinite(found) else math.inf
