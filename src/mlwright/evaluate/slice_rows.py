"""Slice rows: the loss of each row that suits a task, and what rows of like prediction lose. Knows no columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.slice_tests import Population, strata
from mlwright.metrics import MeanMetric, decide, get, of

__all__ = ["Rows", "judged_rows", "row_losses"]

_FEWEST = 10  # rows of a slice, and at least one in a hundred
_FURTHEST = 0.995  # quantile at which losses are capped, so that a few rows alone make no slice


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that slices are sought in.

    Parameters
    ----------
    task : Task
        What is predicted.
    y, predicted, weights : ndarray
        Truth, predictions, and how much each row counts.
    clusters : ndarray of int64 or None
        Which rows belong together.
    losses, beyond, wrong : ndarray of shape (n_rows,)
        The loss of each row; how much more it is than that of like predictions; 1 for a wrong call, or how far off the
        value is.
    plain, alike : Population
        `losses` among all rows, and `beyond` among rows of like prediction.
    smallest : int
        Rows that a slice must have.
    """

    task: Task
    y: Floats
    predicted: Floats
    weights: Floats
    clusters: Ints | None
    losses: Floats
    beyond: Floats
    wrong: Floats
    plain: Population
    alike: Population
    smallest: int


def row_losses(task: Task, y: Floats, predicted: Floats) -> tuple[str, Floats]:
    """Return the loss of each row that suits the task, and its name.

    Metrics that are a mean over rows give their own; squared errors, of which a few rows are most, give way to
    absolute ones, and metrics of an order or of classes as a whole to log loss.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        The truth: values, or class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        As a model gives them.
    """
    metric = of(task)
    if task.metric == "accuracy":
        return "wrong", (decide(predicted, task) != y).astype(np.float64)
    squared = task.metric in ("rmse", "r2") or not isinstance(metric, MeanMetric)
    if task.kind is TaskKind.REGRESSION and squared:
        return "absolute_error", np.abs(predicted[:, 0] - y)
    if isinstance(metric, MeanMetric):
        losses = metric.losses(y, predicted)
        return task.metric, -losses if metric.greater_is_better else losses
    fallback = get("log_loss")
    assert isinstance(fallback, MeanMetric)  # noqa: S101 - it is one
    return "log_loss", fallback.losses(y, predicted)


def judged_rows(
    task: Task, y: Floats, predicted: Floats, losses: Floats, weights: Floats, clusters: Ints | None
) -> Rows:
    """Return the rows with what they lose beyond like predictions."""
    losses = np.minimum(losses, np.quantile(losses, _FURTHEST)) if np.unique(losses).size > 2 else losses
    score = predicted.max(axis=1) if task.kind is TaskKind.MULTICLASS else predicted[:, 0]
    stratum = strata(score)
    beyond = losses - _like(score, losses, weights, stratum)
    wrong = (
        np.abs(predicted[:, 0] - y)
        if task.kind is TaskKind.REGRESSION
        else (decide(predicted, task) != y).astype(np.float64)
    )
    return Rows(
        task,
        y,
        predicted,
        weights,
        clusters,
        losses,
        beyond,
        wrong,
        Population.of(losses, weights, np.zeros_like(stratum)),
        Population.of(beyond, weights, stratum),
        max(_FEWEST, -(-len(y) // 100)),
    )


def _like(score: Floats, losses: Floats, weights: Floats, stratum: Ints) -> Floats:
    """Return the mean loss of rows with like predictions: straight lines between the means of the strata."""
    total = np.bincount(stratum, weights)
    return np.interp(
        score, np.bincount(stratum, weights * score) / total, np.bincount(stratum, weights * losses) / total
    )
