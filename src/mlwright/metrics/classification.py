"""Metrics of class probabilities that decide nothing: of the numbers themselves, or of the order that they give.

With two classes `predicted` has one column, P(second class); with more it has one a class. What is defined for two
classes alone (ROC AUC, average precision) is, for more, the unweighted mean of one class against the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import TaskKind
from mlwright.metrics.base import DrawsMetric, MeanMetric, mean_over_classes, ratio

__all__ = ["PRAUC", "ROCAUC", "Brier", "LogLoss", "TopKAccuracy"]

_CLASSES = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS})
_EPSILON = float(np.finfo(np.float64).eps)
_TOP = 5


class LogLoss(MeanMetric):
    """Mean negative logarithm of the true class's probability, in nats; probabilities are kept off 0 and 1 by 2.2e-16."""

    name: ClassVar[str] = "log_loss"
    title: ClassVar[str] = "log loss"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

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
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return squared errors."""
        if predicted.shape[1] == 1:
            return (predicted[:, 0] - y) ** 2
        truth = np.arange(predicted.shape[1]) == y[:, None]
        return ((predicted - truth) ** 2).sum(axis=1)


class TopKAccuracy(MeanMetric):
    """Share of rows whose class is among the five most probable; of equal probabilities the later class comes first.

    With five classes or fewer it is 1.
    """

    name: ClassVar[str] = "top_k_accuracy"
    title: ClassVar[str] = "top-5 accuracy"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = frozenset({TaskKind.MULTICLASS})
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    plain: ClassVar[bool] = False

    def losses(self, y: Floats, predicted: Floats) -> Floats:
        """Return 1 where the class is among them, else 0."""
        codes = y.astype(np.int64)[:, None]
        own = np.take_along_axis(predicted, codes, axis=1) if len(y) else predicted[:, :1]
        later = np.arange(predicted.shape[1]) > codes
        ahead = ((predicted > own) | ((predicted == own) & later)).sum(axis=1)
        return (ahead < _TOP).astype(np.float64)


class _Ranking(DrawsMetric):
    """A metric of the order in which probabilities put the rows; one against the rest for more than two classes."""

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        if predicted.shape[1] == 1:
            return self._one(y == 1, predicted[:, 0], weights)
        each = [self._one(y == code, predicted[:, code], weights) for code in range(predicted.shape[1])]
        return mean_over_classes(np.stack(each, axis=1))

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
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def _from_groups(self, hits: Floats, drawn: Floats) -> Floats:
        misses = drawn - hits
        above = np.cumsum(hits, axis=1)
        pairs = np.einsum("dn,dn->d", misses, above - hits / 2)
        return ratio(pairs, above[:, -1] * misses.sum(axis=1))

    def without_each(
        self, y: Floats, predicted: Floats, part: Ints, n_parts: int, weights: Floats | None = None
    ) -> Floats:
        """Return the area without each part in turn, as fast as one area: pairs are taken away, not counted again.

        Without a part go the pairs of its rows with all others; those of two of its own rows go once and not twice.
        """
        given = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        if predicted.shape[1] == 1:
            return _area_without_each(y == 1, predicted[:, 0], given, part, n_parts)
        codes = range(predicted.shape[1])
        each = [_area_without_each(y == code, predicted[:, code], given, part, n_parts) for code in codes]
        return mean_over_classes(np.stack(each, axis=1))


def _area_without_each(
    positive: np.ndarray, score: Floats, weight: Floats, part: Ints, n_parts: int
) -> Floats:
    hit, miss = weight * positive, weight * ~positive
    levels = np.unique(score, return_inverse=True)[1]
    hits, misses = np.bincount(levels, hit), np.bincount(levels, miss)
    below = np.cumsum(misses) - misses / 2  # the weight of others under each score; of equal ones half
    over = hits.sum() - np.cumsum(hits) + hits / 2
    pairs = float(hits @ below)
    taken = np.bincount(part, hit * below[levels] + miss * over[levels], minlength=n_parts)
    kept = pairs - taken + _pairs_within(hit, miss, levels, part, n_parts)
    return ratio(kept, _rest(hit, part, n_parts) * _rest(miss, part, n_parts))


def _rest(weight: Floats, part: Ints, n_parts: int) -> Floats:
    """Return the weight of all parts but each; exactly 0 where they have none."""
    rows = np.count_nonzero(weight) - np.bincount(part, weight > 0, minlength=n_parts)
    return np.where(rows > 0, weight.sum() - np.bincount(part, weight, minlength=n_parts), 0.0)


def _pairs_within(hit: Floats, miss: Floats, levels: Ints, part: Ints, n_parts: int) -> Floats:
    """Return the weight of the pairs in right order whose two rows are of one part, shape (n_parts,)."""
    n_levels = int(levels.max()) + 1
    cells, cell = np.unique(part * n_levels + levels, return_inverse=True)  # by part, then by score
    hits, misses = np.bincount(cell, hit), np.bincount(cell, miss)
    owner = cells // n_levels
    run = np.cumsum(misses)
    before = np.concatenate([[0.0], np.cumsum(np.bincount(owner, misses, minlength=n_parts))])[owner]
    pairs: Floats = hits * (run - before - misses / 2)
    return np.bincount(owner, pairs, minlength=n_parts).astype(np.float64)


class PRAUC(_Ranking):
    """Average precision: the mean precision at each row of the class, most probable first (no interpolation).

    NaN where the class has no rows.
    """

    name: ClassVar[str] = "pr_auc"
    title: ClassVar[str] = "average precision"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def _from_groups(self, hits: Floats, drawn: Floats) -> Floats:
        found, seen = np.cumsum(hits, axis=1), np.cumsum(drawn, axis=1)
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return ratio(np.einsum("dn,dn->d", hits, precision), found[:, -1])
