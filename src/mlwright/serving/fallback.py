"""Fallback: a predictor that answers every sound record alike, marked ``degraded``, when the model cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlwright.core.errors import RecordError, UsageError
from mlwright.core.types import Floats, Json, Record
from mlwright.data.schema import Task, TaskKind
from mlwright.serving.answers import label_key
from mlwright.serving.predictor import Predictor

__all__ = ["Degraded", "constant_outputs"]

_BASELINE = "baseline"


def constant_outputs(task: Task, fallback: str | float, reference: Mapping[str, Any]) -> list[float]:
    """Return the numbers that a fallback stands for, as a model's ensemble would give them.

    Parameters
    ----------
    task : Task
        Of the model.
    fallback : str or number
        ``"baseline"`` for what the model predicted on average over the training rows, which is the share of each class
        or the mean; else one of the classes, or a number.
    reference : mapping
        The bundle's statistics.

    Raises
    ------
    UsageError
        If the task has no such answer.

    Examples
    --------
    >>> constant_outputs(Task(TaskKind.BINARY, "Churn", "roc_auc", ("No", "Yes")), "No", {})
    [0.0]
    """
    if fallback == _BASELINE:
        return _baseline(task, reference)
    if task.kind is TaskKind.REGRESSION:
        if isinstance(fallback, (str, bool)) or not math.isfinite(fallback):
            raise UsageError("the fallback cannot be this", got=fallback, allowed="'baseline' or a number")
        return [float(fallback)]
    keys = [label_key(label) for label in task.labels]
    key = label_key(fallback)
    if key not in keys:
        raise UsageError("the fallback is no class of the model", got=fallback, allowed=[_BASELINE, *keys])
    chances = [float(known == key) for known in keys]
    return chances[1:] if task.kind is TaskKind.BINARY else chances


def _baseline(task: Task, reference: Mapping[str, Any]) -> list[float]:
    predictions = reference.get("predictions", {})
    names = [str(label) for label in task.labels[-task.n_outputs :]] if task.labels else ["value"]
    try:
        means = [float(predictions[name]["mean"]) for name in names]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the bundle does not say what its model predicts on average",
            fix="name a constant as the fallback, or make the bundle again",
        ) from error
    if not all(map(math.isfinite, means)):
        raise UsageError("the bundle's average predictions are no numbers", got=means)
    return means


class _Constant:
    """An ensemble that looks at nothing."""

    def __init__(self, outputs: Sequence[float]) -> None:
        self.outputs = list(outputs)

    def predict_row(self, rows: Mapping[str, Floats]) -> Sequence[float]:  # noqa: ARG002 - the seam's signature
        return self.outputs

    def predict(self, matrices: Mapping[str, Floats]) -> Floats:
        n_rows = max((len(matrix) for matrix in matrices.values()), default=1)
        return np.repeat(np.array([self.outputs]), n_rows, axis=0)


class Degraded(Predictor):
    """A predictor of the same schema that gives one answer, with ``degraded`` in it.

    Parameters
    ----------
    model : Predictor
        What it stands in for; records are validated as it validates them.
    outputs : sequence of float
        From `constant_outputs`.
    """

    def __init__(self, model: Predictor, outputs: Sequence[float]) -> None:
        super().__init__(model.manifest, {}, _Constant(outputs), golden=model.golden, sha256=model.sha256)
        self.verified = True
        self.marks = {"degraded": True}
        self._outputs = list(outputs)

    def predict_one(self, record: Record, *, interval: bool = False) -> Json:  # noqa: ARG002  the base's signature; it has none
        """Return the one answer, if the record fits the schema."""
        _, warnings = self.reader.read(record)
        return {**self._answer(self._outputs, warnings), **self.marks}

    def predict_many(self, records: Sequence[Record]) -> list[Json]:
        """Return the one answer for each record."""
        answers: list[Json] = []
        problems: list[Json] = []
        for index, record in enumerate(records):
            try:
                answers.append(self.predict_one(record))
            except RecordError as error:
                problems += [{"record": index, **problem} for problem in error.problems]
        if problems:
            raise RecordError(problems[:100])
        return answers
