"""Paired: two models held against each other on the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mlwright.core.types import Floats, Json
from mlwright.data.schema import Task, TaskKind
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.data.values import columns
from mlwright.lifecycle.task import weights_of
from mlwright.metrics import DecisionMetric, decide, of
from mlwright.metrics.intervals import Interval, interval, paired_interval
from mlwright.serving.predictor import Predictor

__all__ = ["Pair", "can_be_paired", "paired"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models' scores on the same rows, and the gain of the first over the second: above 0 the first is better."""

    first: Interval
    second: Interval
    difference: Interval

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {name: getattr(self, name).to_json() for name in ("first", "second", "difference")}


def can_be_paired(task: Task, other: Task) -> bool:
    """Return whether a model of `other` can be scored as one of `task`: same kind, and no class that is unknown there."""
    return other.kind is task.kind and task.kind.needs_target and set(other.labels) <= set(task.labels)


def paired(
    rows: Table,
    task: Task,
    models: tuple[Predictor, Predictor],
    metrics: Iterable[str],
    *,
    units: Json,
    seed: int,
) -> dict[str, Pair]:
    """Score two models on the same rows.

    Parameters
    ----------
    rows : Table
        Rows that neither was trained on, their target known.
    task : Task
        In whose terms the rows are judged.
    models : (Predictor, Predictor)
        Both `can_be_paired` with `task`.
    metrics : iterable of str
        By which to score.
    units : dict
        ``groups`` or ``blocks`` of the rows that intervals take together.
    seed : int
        For every draw.

    Returns
    -------
    dict of str to Pair
        By metric.
    """
    truth, weights = target_values(rows, task), weights_of(rows, task)
    given = [model.raw_columns(columns(rows.arrow, model.schema)) for model in models]

    def scored(name: str) -> Pair:
        metric = of(replace(task, metric=name))
        if isinstance(metric, DecisionMetric) and task.kind is TaskKind.BINARY:
            # Each decides by its own threshold: what is compared are calls.
            metric = of(replace(task, metric=name, threshold=0.5))
            outputs = [
                decide(values, model.task)[:, None].astype(np.float64)
                for values, model in zip(given, models, strict=True)
            ]
        else:
            outputs = given
        first, second = (
            _as_task(values, model.task, task) for values, model in zip(outputs, models, strict=True)
        )
        drawn: Json = {"weights": weights, "seed": seed, **units}
        return Pair(
            interval(metric, truth, first, **drawn),
            interval(metric, truth, second, **drawn),
            paired_interval(metric, truth, first, second, **drawn),
        )

    return {name: scored(name) for name in metrics}


def _as_task(predicted: Floats, old: Task, task: Task) -> Floats:
    """Give outputs in `task`'s order of classes; a class that `old` does not know gets zero."""
    if old.labels == task.labels:
        return predicted
    if old.n_outputs == 1 and task.n_outputs == 1:
        return 1.0 - predicted  # two classes, the other way round
    wide = np.column_stack([1.0 - predicted, predicted]) if old.n_outputs == 1 else predicted
    out = np.full((len(predicted), task.n_outputs), 0.0)
    for index, label in enumerate(old.labels):
        out[:, task.labels.index(label)] = wide[:, index]
    return out
