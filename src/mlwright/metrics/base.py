"""Metric: a score with a direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind

__all__ = ["DrawsMetric", "MeanMetric", "Metric", "mean_over_classes", "ratio"]

_CELLS = 4_000_000  # weights held at a time: 32 MB


class Metric(ABC):
    """A score of predictions against the truth.

    ``name`` is the kind in `mlwright.core.kinds.METRICS`, ``title`` is for people, ``greater_is_better`` the
    direction, ``tasks`` where it applies, ``bounds`` between which it lies, ``lowest`` the least target that it can score,
    ``plain`` whether a report shows it without being asked. A metric is given class probabilities, never labels; those that need labels call the
    second class from the task's threshold on (0.5 if nothing says otherwise), or the most probable class.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    greater_is_better: ClassVar[bool]
    tasks: ClassVar[frozenset[TaskKind]]
    bounds: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    lowest: ClassVar[float] = -np.inf  # the smallest double above 0 where 0 itself has no score
    plain: ClassVar[bool] = True

    @classmethod
    def of(cls, task: Task) -> Self:  # noqa: ARG003 - the seam's; a metric with options reads them from the task
        """Return the metric with the options that `task` says: its quantile, costs or threshold."""
        return cls()

    @abstractmethod
    def score(self, y: Floats, predicted: Floats, weights: Floats | None = None) -> float:
        """Return the score; NaN where it has no meaning (no rows, or one class only for `roc_auc`).

        Parameters
        ----------
        y : ndarray of shape (n_rows,)
            Values, or class codes 0..n-1.
        predicted : ndarray of shape (n_rows, n_outputs)
            The value; P(second class) for binary; one probability a class for multiclass.
        weights : ndarray of shape (n_rows,), optional
            Row weights, at least 0; none is the same as all ones. 0 leaves a row out.
        """

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one score for each row of `weights`: many draws, or parts left out, at once.

        Parameters
        ----------
        y, predicted : ndarray
            As for `score`.
        weights : ndarray of shape (n_draws, n_rows)
            At least 0.
        """
        return np.array([self.score(y, predicted, each) for each in weights])

    def without_each(
        self, y: Floats, predicted: Floats, part: Ints, n_parts: int, weights: Floats | None = None
    ) -> Floats:
        """Return the score without each part of the rows in turn, shape (n_parts,).

        Parameters
        ----------
        y, predicted, weights : ndarray
            As for `score`.
        part : ndarray of int, shape (n_rows,)
            The part of each row, from 0 to ``n_parts - 1``.
        """
        size = max(1, _CELLS // max(1, len(y)))
        left = []
        for first in range(0, n_parts, size):
            others = np.arange(first, min(n_parts, first + size))[:, None]
            kept = (part != others).astype(np.float64)
            left.append(self.scores(y, predicted, kept if weights is None else kept * weights))
        return np.concatenate(left)

    def gain(self, y: Floats, predicted: Floats, weights: Floats | None = None) -> float:
        """Return the score turned so that more is better."""
        score = self.score(y, predicted, weights)
        return score if self.greater_is_better else -score

    def fits(self, y: Floats) -> bool:
        """Whether the metric can score such a target: none of its values is less than `lowest`."""
        return bool(np.all(y >= self.lowest))


class DrawsMetric(Metric):
    """A metric that scores many draws as fast as one: `scores` does the work."""

    def score(self, y: Floats, predicted: Floats, weights: Floats | None = None) -> float:
        """Return the score of one draw."""
        one = np.ones((1, len(y))) if weights is None else np.asarray(weights, dtype=np.float64)[None, :]
        return float(self.scores(y, predicted, one)[0])

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


def mean_over_classes(values: Floats) -> Floats:
    """Return the mean of each row without its NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))
