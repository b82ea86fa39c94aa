"""Answers: the ensemble's numbers in the user's own labels, and whether two answers are the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Json
from mlwright.data.schema import Task, TaskKind

__all__ = ["THRESHOLD", "TOLERANCE", "answerer", "difference", "label_key"]

THRESHOLD = 0.5  # the second class is predicted from it on
TOLERANCE = 1e-6


def label_key(label: Any) -> str:
    """Return a label as a JSON key and as the end of a column's name.

    Examples
    --------
    >>> label_key("Yes"), label_key(True), label_key(1), label_key(2.0)
    ('Yes', 'true', '1', '2')
    """
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def answerer(task: Task) -> Callable[[Sequence[float], list[Json]], Json]:
    """Return the function from the ensemble's outputs and a record's warnings to the answer.

    Examples
    --------
    >>> answer = answerer(Task(TaskKind.BINARY, "Churn", "roc_auc", ("No", "Yes")))
    >>> answer([0.75], [])
    {'prediction': 'Yes', 'probability': {'No': 0.25, 'Yes': 0.75}, 'warnings': []}
    """
    keys = [label_key(label) for label in task.labels]
    labels = task.labels
    if task.kind is TaskKind.REGRESSION:
        return lambda outputs, warnings: {"prediction": outputs[0], "warnings": warnings}
    if len(set(keys)) != len(keys):
        raise BundleContentError("two classes have the same name", got=list(labels))
    if task.kind is TaskKind.BINARY:
        (no, yes), (no_key, yes_key) = labels, keys

        def binary(outputs: Sequence[float], warnings: list[Json]) -> Json:
            chance = outputs[0]
            return {
                "prediction": yes if chance >= THRESHOLD else no,
                "probability": {no_key: 1.0 - chance, yes_key: chance},
                "warnings": warnings,
            }

        return binary

    def multiclass(outputs: Sequence[float], warnings: list[Json]) -> Json:
        chances = list(outputs)
        return {
            "prediction": labels[chances.index(max(chances))],
            "probability": dict(zip(keys, chances, strict=True)),
            "warnings": warnings,
        }

    return multiclass


def difference(golden: Json, found: Json) -> str | None:
    """Say how the answer `found` differs from the recorded one by more than `TOLERANCE`; None if it does not.

    Examples
    --------
    >>> difference({"prediction": 2.0}, {"prediction": 2.5, "warnings": []})
    'prediction 2.0 was recorded and 2.5 found, 0.5 apart'
    """
    expected = golden.get("probability")
    if "probability" not in found or not isinstance(expected, Mapping):
        if "probability" in found:
            return "it has no probabilities"
        return _apart("prediction", golden.get("prediction"), found["prediction"])
    if set(expected) != set(found["probability"]):
        return f"its classes are {sorted(expected)} and not {sorted(found['probability'])}"
    for key, chance in expected.items():
        apart = _apart(f"probability of {key}", chance, found["probability"][key])
        if apart is not None:
            return apart
    top = sorted(found["probability"].values())[-2:]
    is_tie = top[1] - top[0] <= 4 * TOLERANCE  # rounding decides, so the label proves nothing
    label = golden.get("prediction")
    if not is_tie and (type(label) is not type(found["prediction"]) or label != found["prediction"]):
        return f"prediction {label!r} was recorded and {found['prediction']!r} found"
    return None


def _apart(what: str, expected: Any, found: float) -> str | None:
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return f"{what} is recorded as {expected!r}, which is no number"
    if math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=1e-9):
        return None
    return f"{what} {expected!r} was recorded and {found!r} found, {abs(expected - found):.3g} apart"
