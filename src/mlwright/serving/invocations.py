"""MLflow's ``/invocations``: the four JSON shapes and CSV that MLflow's clients send, and the answer that they read."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from mlwright.core.errors import RecordError
from mlwright.core.types import Json
from mlwright.serving.answers import label_key
from mlwright.serving.columnar import Answering, predict_columns
from mlwright.serving.responses import Response, as_json, failure

__all__ = ["invoke", "invoke_csv"]

_SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")


def invoke(served: Answering, tree: Any) -> Response:
    """Answer a JSON request: an object with exactly one of MLflow's four shapes.

    Raises
    ------
    RecordError
        If a row does not fit the schema.
    """
    shapes = [name for name in _SHAPES if isinstance(tree, dict) and name in tree]
    if len(shapes) != 1:
        return failure(
            400, "the body must have exactly one of MLflow's shapes", got=shapes, allowed=list(_SHAPES)
        )
    if tree.get("params"):
        return failure(400, "a bundle takes no inference parameters", allowed="no params")
    shape = shapes[0]
    rows = tree[shape]
    if shape == "dataframe_split":
        columns = _split(rows)
        if columns is None:
            return failure(
                400,
                "dataframe_split is malformed",
                allowed='{"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, columns distinct, rows of their length',
            )
        return _answer_columns(served, columns)
    if isinstance(rows, dict) and shape in {"inputs", "instances"}:
        if all(isinstance(values, list) for values in rows.values()):
            return _answer_columns(served, rows)
        return _answer_rows(served, [rows])  # one record
    if not isinstance(rows, list):
        return failure(400, f"{shape} must be a list of records", allowed='[{"field": value}, ..]')
    return _answer_rows(served, rows)


def _split(tree: Any) -> dict[str, list[Any]] | None:
    if not isinstance(tree, dict):
        return None
    names, rows = tree.get("columns"), tree.get("data")
    if not (
        isinstance(names, list) and isinstance(rows, list) and all(isinstance(name, str) for name in names)
    ):
        return None
    if len(set(names)) != len(names) or not all(isinstance(r, list) and len(r) == len(names) for r in rows):
        return None
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def invoke_csv(served: Answering, body: bytes) -> Response:
    """Answer a CSV request: a header, then rows; an empty cell is missing.

    Raises
    ------
    RecordError
        If a row does not fit the schema.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return failure(400, f"the body is not UTF-8, at byte {error.start}")
    try:
        names, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
    except csv.Error as error:
        return failure(400, f"the body is not CSV: {error}")
    columns = _split({"columns": names, "data": rows}) if names else None
    if columns is None:
        return failure(
            400, "the CSV is malformed", allowed="a header of distinct names, and rows of its length"
        )
    return _answer_columns(served, columns)


def _answer_columns(served: Answering, columns: Mapping[str, list[Any]]) -> Response:
    n_rows = len(next(iter(columns.values()), ()))
    if n_rows > served.limits.bulk_records:
        return failure(413, f"more than {served.limits.bulk_records:,} rows", got=n_rows)
    predictions = predict_columns(served.predictor, columns)
    served.note(lambda: columns, predictions)
    rows: list[Json] = [{"prediction": decision} for decision in predictions.decisions]
    for key, chances in predictions.probabilities.items():
        name = f"probability_{key}"
        for row, chance in zip(rows, chances, strict=True):
            row[name] = chance
    return as_json({"predictions": rows})


def _answer_rows(served: Answering, records: list[Any]) -> Response:
    if len(records) > served.limits.records:
        return failure(413, f"more than {served.limits.records:,} records", got=len(records))
    wrong = [i for i, record in enumerate(records) if not isinstance(record, dict)]
    if wrong:
        allowed = 'an object, as in {"field": value}'
        problem = {"record": wrong[0], "field": "", "problem": "a record is an object", "got": None}
        raise RecordError([{**problem, "allowed": allowed}])
    keys = [label_key(label) for label in served.predictor.task.labels]
    return as_json(
        {
            "predictions": [
                {
                    "prediction": answer["prediction"],
                    **{f"probability_{key}": answer["probability"][key] for key in keys},
                }
                for answer in served.predict_records(records)
            ]
        }
    )
