"""Metrics of class probabilities.

With two classes `predicted` has one column, P(second class); with more it has one a class. What is defined for two
classes alone (ROC AUC, average precision, F1) is, for more, the unweighted mean of one class against the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import TaskKind
from mlwright.metrics.base import DrawsMetric, MeanMetric, ratio

__all__ = ["F1", "PRAUC", "ROCAUC", "Accuracy", "BalancedAccuracy", "Brier", "LogLoss"]

_CLASSES = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS})
_EPSILON = float(np.finfo(np.float64).eps)


def _labels(predicted: Floats) -> Ints:
    if predicted.shape[1] == 1:
        return (predicted[:, 0] >= 0.5).astype(np.int64)
    return predicted.argmax(axis=1)


class Accuracy(MeanMetric):
    """Share of rows whose label is right."""

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return 1 where the label is right, else 0."""
        return (_labels(predicted) == y).astype(np.float64)


class LogLoss(MeanMetric):
    """Mean negative logarithm of the true class's probability, in nats; probabilities are kept off 0 and 1 by 2.2e-16."""

    name: ClassVar[str] = "log_loss"
    title: ClassVar[str] = "log loss"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return minus the logarithms."""
        clipped = np.clip(predicted, _EPSILON, 1 - _EPSILON)
        if predicted.shape[1] == 1:
            true = np.where(y == 1, clipped[:, 0], 1 - clipped[:, 0])
        else:
            true = clipped[np.arange(len(y)), y.astype(np.int64)]
        return -np.log(true)


class Brier(MeanMetric):
    """Mean squared error of the probabilities: 0 to 1 for two classes, 0 to 2 (summed over classes) for more."""

    name: ClassVar[str] = "brier"
    title: ClassVar[str] = "Brier score"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return squared errors."""
        if predicted.shape[1] == 1:
            return (predicted[:, 0] - y) ** 2
        truth = np.arange(predicted.shape[1]) == y[:, None]
        return ((predicted - truth) ** 2).sum(axis=1)


class _Counts(DrawsMetric):
    """A metric of how often each class is meant, said, and both."""

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        classes = np.arange(max(2, predicted.shape[1]))
        truth, said = y[:, None] == classes, _labels(predicted)[:, None] == classes
        both = truth & said
        true, named, right = (weights @ part.astype(np.float64) for part in (truth, said, both))
        return self._from_counts(true, named, right)

    @abstractmethod
    def _from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        """Return the scores from arrays of shape (n_draws, n_classes)."""


class BalancedAccuracy(_Counts):
    """Mean share found of each class; classes without rows do not count."""

    name: ClassVar[str] = "balanced_accuracy"
    title: ClassVar[str] = "balanced accuracy"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def _from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:  # noqa: ARG002  the base's signature
        return _mean_over_classes(ratio(right, true))


class F1(_Counts):
    """Harmonic mean of precision and recall: of the second class with two classes, else the mean over classes.

    With two classes it is 0 where the second class is neither there nor said; with more, such classes do not count.
    """

    name: ClassVar[str] = "f1"
    title: ClassVar[str] = "F1"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def _from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        values = ratio(2 * right, true + named)
        if values.shape[1] == 2:
            return np.where(true.sum(axis=1) > 0, np.nan_to_num(values[:, 1], nan=0.0), np.nan)
        return _mean_over_classes(values)


class _Ranking(DrawsMetric):
    """A metric of the order in which probabilities put the rows; one against the rest for more than two classes."""

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        if predicted.shape[1] == 1:
            return self._one(y == 1, predicted[:, 0], weights)
        each = [self._one(y == code, predicted[:, code], weights) for code in range(predicted.shape[1])]
        return _mean_over_classes(np.stack(each, axis=1))

    def _one(self, positive: np.ndarray, score: Floats, weights: Floats) -> Floats:
        if len(score) == 0:
            return np.full(len(weights), np.nan)
        order = np.argsort(score)[::-1]
        ranked = score[order]
        starts = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1])
        drawn = weights[:, order]
        hits = drawn * positive[order]
        if len(starts) == len(score):
            return self._from_groups(hits, drawn)
        return self._from_groups(
            np.add.reduceat(hits, starts, axis=1), np.add.reduceat(drawn, starts, axis=1)
        )

    @abstractmethod
    def _from_groups(self, hits: Floats, drawn: Floats) -> Floats:
        """Return the scores from the weight of positives and of all rows in each group of equal probabilities.

        Both are of shape (n_draws, n_groups), the most probable first.
        """


class ROCAUC(_Ranking):
    """Area under the ROC curve: how often a row of the class is put above one that is not; equals count half.

    NaN where all rows are of one class. For more than two classes, classes without rows (or without others) do not
    count.
    """

    name: ClassVar[str] = "roc_auc"
    title: ClassVar[str] = "ROC AUC"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def _from_groups(self, hits: Floats, drawn: Floats) -> Floats:
        misses = drawn - hits
        above = np.cumsum(hits, axis=1)
        pairs = np.einsum("dn,dn->d", misses, above - hits / 2)
        return ratio(pairs, above[:, -1] * misses.sum(axis=1))


class PRAUC(_Ranking):
    """Average precision: the mean precision at each row of the class, most probable first (no interpolation).

    NaN where the class has no rows.
    """

    name: ClassVar[str] = "pr_auc"
    title: ClassVar[str] = "average precision"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES

    def _from_groups(self, hits: Floats, drawn: Floats) -> Floats:
        found, seen = np.cumsum(hits, axis=1), np.cumsum(drawn, axis=1)
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return ratio(np.einsum("dn,dn->d", hits, precision), found[:, -1])


def _mean_over_classes(values: Floats) -> Floats:
    """Return the mean of each row without its NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))
