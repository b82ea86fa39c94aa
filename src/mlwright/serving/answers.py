"""Answers: the ensemble's numbers in the user's own labels, and whether two answers are the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import Any

import msgspec

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Json
from mlwright.data.schema import Task, TaskKind

__all__ = [
    "ANOMALY",
    "NORMAL",
    "NO_CLUSTER",
    "TOLERANCE",
    "anomaly_or_not",
    "answerer",
    "called",
    "difference",
    "encoder",
    "label_key",
]

TOLERANCE = 1e-6
ANOMALY, NORMAL = "anomaly", "normal"
NO_CLUSTER = "none"  # what rows that belong to no cluster are called
_encode = msgspec.json.Encoder().encode


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
    {'prediction': 'Yes', 'probability': {'No': 0.25, 'Yes': 0.75}, 'threshold': 0.5, 'warnings': []}
    """
    if not task.kind.needs_target:
        return _unlabelled(task)
    keys, labels = _keys(task), task.labels
    if task.kind is TaskKind.REGRESSION:
        return lambda outputs, warnings: {"prediction": outputs[0], "warnings": warnings}
    if task.kind is TaskKind.BINARY:
        (no, yes), (no_key, yes_key), cut = labels, keys, task.cut

        def binary(outputs: Sequence[float], warnings: list[Json]) -> Json:
            chance = outputs[0]
            return {
                "prediction": yes if chance >= cut else no,
                "probability": {no_key: 1.0 - chance, yes_key: chance},
                "threshold": cut,
                "warnings": warnings,
            }

        return binary
    choose = _choice(task)

    def multiclass(outputs: Sequence[float], warnings: list[Json]) -> Json:
        return {
            "prediction": labels[choose(outputs)],
            "probability": dict(zip(keys, outputs, strict=True)),
            "warnings": warnings,
        }

    return multiclass


def anomaly_or_not(task: Task, score: float) -> str:
    """Return what a row of this score is called."""
    return ANOMALY if score >= task.cut else NORMAL


def called(task: Task) -> list[Any]:
    """Return what may be predicted, where it can be listed.

    Examples
    --------
    >>> called(Task(TaskKind.ANOMALY, "", "stability"))
    ['normal', 'anomaly']
    """
    return [NORMAL, ANOMALY] if task.kind is TaskKind.ANOMALY else list(task.labels)


def _unlabelled(task: Task) -> Callable[[Sequence[float], list[Json]], Json]:
    """Return the same for a task without a target; why it is so is told by `mlwright.serving.reasons`."""
    cut, labels = task.cut, task.labels

    def anomaly(outputs: Sequence[float], warnings: list[Json]) -> Json:
        score = outputs[0]
        return {
            "prediction": anomaly_or_not(task, score),
            "score": score,
            "threshold": cut,
            "warnings": warnings,
        }

    def cluster(outputs: Sequence[float], warnings: list[Json]) -> Json:
        score = max(outputs)
        return {"prediction": labels[list(outputs).index(score)], "score": score, "warnings": warnings}

    return anomaly if task.kind is TaskKind.ANOMALY else cluster


def encoder(
    task: Task,
    model: str,
    version: str,
    counts: tuple[MutableSequence[float], Sequence[int]] | None = None,
) -> Callable[[Sequence[float], bytes], bytes]:
    """Return the function from the ensemble's outputs and a prediction's id to the whole answer's JSON.

    It is what `answerer` gives for a record without warnings, completed and encoded, with all that never changes laid
    out before.

    Parameters
    ----------
    task : Task
        The bundle's.
    model, version : str
        What the answer names.
    counts : tuple, optional
        Where answers are counted: numbers, and the place among them of each class.

    Examples
    --------
    >>> encode_answer = encoder(Task(TaskKind.REGRESSION, "price", "rmse"), "house", "3")
    >>> encode_answer([1.5], b"019ab1c2")
    b'{"prediction":1.5,"warnings":[],"prediction_id":"019ab1c2","model":"house","version":"3"}'
    """
    keys = _keys(task)
    values, places = counts or ([0.0], [0] * max(1, len(keys)))
    if not task.kind.needs_target:
        return _unlabelled_encoder(task, {"model": model, "version": version}, values, places)
    tail = b'"warnings":[],"prediction_id":"%b",' + _constant({"model": model, "version": version})[1:]
    if task.kind is TaskKind.REGRESSION:
        whole = b'{"prediction":%b,' + tail

        def regression(outputs: Sequence[float], id_: bytes) -> bytes:
            values[places[0]] += 1
            return whole % (_encode(outputs[0]), id_)

        return regression
    if task.kind is TaskKind.BINARY:
        cut = task.cut
        wholes = [
            b'{"prediction":%b,"probability":{%b:%%b,%b:%%b},"threshold":%b,%b'
            % (_constant(label), _constant(keys[0]), _constant(keys[1]), _encode(cut), tail)
            for label in task.labels
        ]

        def binary(outputs: Sequence[float], id_: bytes) -> bytes:
            chance = outputs[0]
            code = chance >= cut
            values[places[code]] += 1
            return wholes[code] % (_encode(1.0 - chance), _encode(chance), id_)

        return binary
    choose = _choice(task)
    wholes = [b'{"prediction":%b,"probability":%%b,%b' % (_constant(label), tail) for label in task.labels]

    def multiclass(outputs: Sequence[float], id_: bytes) -> bytes:
        code = choose(outputs)
        values[places[code]] += 1
        return wholes[code] % (_encode(dict(zip(keys, outputs, strict=True))), id_)

    return multiclass


def _unlabelled_encoder(
    task: Task, about: Json, values: Any, places: Sequence[int]
) -> Callable[[Sequence[float], bytes], bytes]:
    answer = _unlabelled(task)

    def encode(outputs: Sequence[float], id_: bytes) -> bytes:
        told = answer(outputs, [])
        values[places[task.labels.index(told["prediction"]) if task.labels else 0]] += 1
        return _encode({**told, "prediction_id": id_.decode(), **about})

    return encode


def _keys(task: Task) -> list[str]:
    keys = [label_key(label) for label in task.labels]
    if len(set(keys)) != len(keys):
        raise BundleContentError("two classes have the same name", got=list(task.labels))
    return keys


def _choice(task: Task) -> Callable[[Sequence[float]], int]:
    """Return the function from the classes' probabilities to the code of the one that is called."""
    if task.is_ordinal:
        last = len(task.labels) - 1
        return lambda chances: min(last, math.floor(sum(i * p for i, p in enumerate(chances)) + 0.5))
    return lambda chances: chances.index(max(chances))


def _constant(tree: Any) -> bytes:
    """Return JSON that can stand in a template."""
    return _encode(tree).replace(b"%", b"%%")


def difference(golden: Json, found: Json) -> str | None:
    """Say how the answer `found` differs from the recorded one by more than `TOLERANCE`; None if it does not.

    Examples
    --------
    >>> difference({"prediction": 2.0}, {"prediction": 2.5, "warnings": []})
    'prediction 2.0 was recorded and 2.5 found, 0.5 apart'
    """
    if "score" in found:
        return _score_difference(golden, found)
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
    cut = found.get("threshold")
    if cut is not None:
        is_tie = min(abs(chance - cut) for chance in found["probability"].values()) <= 2 * TOLERANCE
    label = golden.get("prediction")
    if not is_tie and (type(label) is not type(found["prediction"]) or label != found["prediction"]):
        return f"prediction {label!r} was recorded and {found['prediction']!r} found"
    return None


def _score_difference(golden: Json, found: Json) -> str | None:
    apart = _apart("score", golden.get("score"), found["score"])
    near = abs(found["score"] - found.get("threshold", math.inf)) <= 2 * TOLERANCE
    if apart is None and not near and golden.get("prediction") != found["prediction"]:
        return f"prediction {golden.get('prediction')!r} was recorded and {found['prediction']!r} found"
    return apart


def _apart(what: str, expected: Any, found: float) -> str | None:
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return f"{what} is recorded as {expected!r}, which is no number"
    if math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=1e-9):
        return None
    return f"{what} {expected!r} was recorded and {found!r} found, {abs(expected - found):.3g} apart"
