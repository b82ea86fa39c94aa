"""Metric: a score with a direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import TaskKind

__all__ = ["DrawsMetric", "MeanMetric", "Metric", "ratio"]


class Metric(ABC):
    """A score of predictions against the truth.

    ``name`` is the kind in `mlwright.core.kinds.METRICS`, ``title`` is for people, ``greater_is_better`` the
    direction, ``tasks`` where it applies. A metric is given class probabilities, never labels; those that need labels
    take P(second class) >= 0.5, or the most probable class (the first of equals).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    greater_is_better: ClassVar[bool]
    tasks: ClassVar[frozenset[TaskKind]]

    @abstractmethod
    def score(self, y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
        """Return the score; NaN where it has no meaning (no rows, or one class only for `roc_auc`).

        Parameters
        ----------
        y : ndarray of shape (n_rows,)
            Values, or class codes 0..n-1.
        predicted : ndarray of shape (n_rows, n_outputs)
            The value; P(second class) for binary; one probability a class for multiclass.
        weight : ndarray of shape (n_rows,), optional
            Row weights, at least 0; none is the same as all ones. Counts of a bootstrap draw are weights.
        """

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one score for each row of `weights`: many draws of a bootstrap at once.

        Parameters
        ----------
        y, predicted : ndarray
            As for `score`.
        weights : ndarray of shape (n_draws, n_rows)
            At least 0.
        """
        return np.array([self.score(y, predicted, weight) for weight in weights])

    def gain(self, y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
        """Return the score turned so that more is better."""
        score = self.score(y, predicted, weight)
        return score if self.greater_is_better else -score


class DrawsMetric(Metric):
    """A metric that scores many draws as fast as one: `scores` does the work."""

    def score(self, y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
        """Return the score of one draw."""
        weights = np.ones((1, len(y))) if weight is None else np.asarray(weight, dtype=np.float64)[None, :]
        return float(self.scores(y, predicted, weights)[0])

    @abstractmethod
    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one score for each row of `weights`."""


class MeanMetric(DrawsMetric):
    """A metric that is a weighted mean over rows, or a function of one."""

    @abstractmethod
    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return what each row adds, shape (n_rows,)."""

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return the weighted means."""
        return ratio(weights @ self.losses(y, predicted), weights.sum(axis=1))


def ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where below is 0."""
    return np.divide(
        above, below, out=np.full(np.broadcast_shapes(above.shape, below.shape), np.nan), where=below != 0
    )
