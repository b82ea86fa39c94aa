"""Metrics of decisions: probabilities become labels first, by a threshold, the most probable class or the mean grade."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np

from mlwright.core.errors import ParameterError
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.metrics.base import DrawsMetric, mean_over_classes, ratio

__all__ = [
    "F1",
    "MCC",
    "Accuracy",
    "BalancedAccuracy",
    "Cost",
    "DecisionMetric",
    "QuadraticKappa",
    "decide",
    "grades",
]

_CLASSES = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS})


def decide(predicted: Floats, task: Task | None = None) -> Ints:
    """Return the class code of each row, as serving decides it.

    Parameters
    ----------
    predicted : ndarray of shape (n_rows, n_outputs)
        P(second class), or one probability a class.
    task : Task, optional
        Its threshold counts for two classes; grades are decided by their mean. By default 0.5, and the most probable
        class (the first of equals).

    Examples
    --------
    >>> decide(np.array([[0.2], [0.5]])).tolist(), decide(np.array([[0.2, 0.1, 0.7]])).tolist()
    ([0, 1], [2])
    """
    if task is not None and task.is_ordinal:
        return grades(predicted)
    return _codes(predicted, 0.5 if task is None else task.cut)


def grades(predicted: Floats) -> Ints:
    """Return the mean grade of each row, rounded: what makes the expected squared distance least.

    Examples
    --------
    >>> grades(np.array([[0.4, 0.2, 0.4], [0.6, 0.3, 0.1]])).tolist()
    [1, 1]
    """
    return np.floor(predicted @ np.arange(predicted.shape[1]) + 0.5).astype(np.int64)


def _codes(predicted: Floats, threshold: float) -> Ints:
    if predicted.shape[1] == 1:
        return (predicted[:, 0] >= threshold).astype(np.int64)
    return predicted.argmax(axis=1)


class DecisionMetric(DrawsMetric):
    """A metric of how often each class is meant, called, and both.

    Parameters
    ----------
    threshold : float, default=0.5
        With two classes the second one is called from this probability on.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return the metric with the task's threshold."""
        return cls(threshold=task.cut)

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one score for each row of `weights`."""
        classes = np.arange(max(2, predicted.shape[1]))
        truth = y[:, None] == classes
        called = _codes(predicted, self.threshold)[:, None] == classes
        true, named, right = (weights @ part.astype(np.float64) for part in (truth, called, truth & called))
        return self.from_counts(true, named, right)

    @abstractmethod
    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        """Return the scores from the weight of rows of each class, called so, and both: shape (n_draws, n_classes)."""


class Accuracy(DecisionMetric):
    """Share of rows whose label is right."""

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one share for each row of `weights`, without a look at single classes."""
        right = (_codes(predicted, self.threshold) == y).astype(np.float64)
        return ratio(weights @ right, weights.sum(axis=1))

    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:  # noqa: ARG002  the base's signature
        """Return what is right of all."""
        return ratio(right.sum(axis=1), true.sum(axis=1))


class BalancedAccuracy(DecisionMetric):
    """Mean share found of each class; classes without rows do not count."""

    name: ClassVar[str] = "balanced_accuracy"
    title: ClassVar[str] = "balanced accuracy"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:  # noqa: ARG002  the base's signature
        """Return the means of what is found."""
        return mean_over_classes(ratio(right, true))


class F1(DecisionMetric):
    """Harmonic mean of precision and recall: of the second class with two classes, else the mean over classes.

    With two classes it is 0 where the second class is neither there nor called; with more, such classes do not count.
    """

    name: ClassVar[str] = "f1"
    title: ClassVar[str] = "F1"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        """Return twice what is right, of all that is meant or called."""
        values = ratio(2 * right, true + named)
        if values.shape[1] == 2:
            return np.where(true.sum(axis=1) > 0, np.nan_to_num(values[:, 1], nan=0.0), np.nan)
        return mean_over_classes(values)


class MCC(DecisionMetric):
    """Matthews's correlation of truth and call: 1 is perfect, 0 is chance; 0 too where one of both is constant.

    For more classes it is Gorodkin's R_K.

    References
    ----------
    J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", Computational Biology
    and Chemistry 28 (2004), equation 8.
    """

    name: ClassVar[str] = "mcc"
    title: ClassVar[str] = "MCC"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = _CLASSES
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        """Return the correlations, from shares, so that weights of any size keep their digits."""
        total = true.sum(axis=1)
        t, p = ratio(true, total[:, None]), ratio(named, total[:, None])
        together = ratio(right.sum(axis=1), total) - (t * p).sum(axis=1)
        spread = (1 - (t**2).sum(axis=1)) * (1 - (p**2).sum(axis=1))
        # One class alone has no spread; what its shares leave of it is rounding.
        constant = (np.count_nonzero(true, axis=1) < 2) | (np.count_nonzero(named, axis=1) < 2)
        values = ratio(together, np.sqrt(np.maximum(spread, 0.0)))
        return np.where(total > 0, np.where(constant, 0.0, values), np.nan)


class Cost(DecisionMetric):
    """What decisions cost, on average a row: 0 where all are right.

    Parameters
    ----------
    false_positive, false_negative : float, default=1
        What it costs to call the second class where it is not, and not to call it where it is.
    threshold : float, optional
        By default the one that is best for true probabilities: false positive / (false positive + false negative).
    """

    name: ClassVar[str] = "cost"
    title: ClassVar[str] = "cost a row"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[frozenset[TaskKind]] = frozenset({TaskKind.BINARY})
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)
    plain: ClassVar[bool] = False

    def __init__(
        self, false_positive: float = 1.0, false_negative: float = 1.0, threshold: float | None = None
    ) -> None:
        total = false_positive + false_negative
        if not (false_positive >= 0 and false_negative >= 0 and 0 < total < np.inf):
            raise ParameterError(
                "cost: false_positive and false_negative",
                got=(false_positive, false_negative),
                allowed="numbers of at least 0, one of them more",
            )
        super().__init__(false_positive / total if threshold is None else threshold)
        self.false_positive, self.false_negative = false_positive, false_negative

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return the metric with the task's costs and threshold."""
        return cls(*(task.costs or (1.0, 1.0)), threshold=task.cut)

    def from_counts(self, true: Floats, named: Floats, right: Floats) -> Floats:
        """Return the mean costs."""
        false_alarms, missed = named[:, 1] - right[:, 1], true[:, 1] - right[:, 1]
        spent = self.false_positive * false_alarms + self.false_negative * missed
        return ratio(spent, true.sum(axis=1))


class QuadraticKappa(DrawsMetric):
    """Cohen's kappa of grades, a miss by two counting four times a miss by one: 1 is perfect, 0 is chance.

    The grade that is called is the mean grade, rounded. NaN where truth and call are one and the same grade throughout.
    """

    name: ClassVar[str] = "quadratic_kappa"
    title: ClassVar[str] = "quadratic kappa"
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[frozenset[TaskKind]] = frozenset({TaskKind.MULTICLASS})
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    plain: ClassVar[bool] = False

    def scores(self, y: Floats, predicted: Floats, weights: Floats) -> Floats:
        """Return one minus the ratio of squared misses to those of chance with the same shares of grades."""
        if not len(y):
            return np.full(len(weights), np.nan)
        truth, called = y - y[0], grades(predicted) - y[0]  # so that constant grades have no rounding
        total = weights.sum(axis=1)
        chance = weights @ (truth**2 + called**2) - 2 * ratio((weights @ truth) * (weights @ called), total)
        return 1 - ratio(weights @ (truth - called) ** 2, np.where(total > 0, chance, 0.0))
