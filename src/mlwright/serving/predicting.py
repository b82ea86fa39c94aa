"""Predicting: what ``POST /predict`` reads (a record, a list of them, columns, an Arrow stream), and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mlwright.core.errors import UsageError
from mlwright.core.types import Json
from mlwright.data.schema import TaskKind
from mlwright.data.values import Columns
from mlwright.serving.answers import anomaly_or_not
from mlwright.serving.columnar import Answering, Predictions, predictions_of, read_columns
from mlwright.serving.options import Option, tell
from mlwright.serving.responses import JSON, Response, as_json, failure
from mlwright.serving.routes import ARROW

__all__ = ["predict"]

_ARROW_MARK = b"\xff\xff\xff\xff"
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw])
_decode = msgspec.json.Decoder().decode


def predict(
    served: Answering, body: bytes, headers: Mapping[bytes, bytes], options: Sequence[Option] = ()
) -> Response:
    """Answer a request's body.

    Raises
    ------
    RecordError
        If a record does not fit the schema.
    DataError
        If an Arrow stream is damaged or lacks columns.
    UsageError
        If an option is asked where it is not told.
    """
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    as_arrow = ARROW in headers.get(b"accept", b"").lower()
    is_arrow = kind == ARROW or body[:4] == _ARROW_MARK
    if options and (is_arrow or as_arrow):
        raise UsageError(f"the option '{options[0].name}' is told of JSON, in JSON", got="an Arrow stream")
    if is_arrow:
        return _predict_arrow(served, body, as_arrow=as_arrow)
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        return _predict_list(served, body, options)
    record = _decode(body)
    if isinstance(record, dict) and record and all(isinstance(v, list) for v in record.values()):
        return _predict_columns(served, record, options, as_arrow=as_arrow)
    (answer,) = served.predict_records([record], [body])
    return as_json(answer | _tell_of(served, [record], options)[0])


def _predict_list(served: Answering, body: bytes, options: Sequence[Option]) -> Response:
    raws = _RECORDS.decode(body)
    refusal = _too_many("records", len(raws), served.limits.records, options)
    if refusal is not None:
        return refusal
    quick = None if options else served.answer_ordinary(raws)
    if quick is not None:
        return Response(200, (JSON,), b"[" + b",".join(quick) + b"]")
    records = [_decode(raw) for raw in raws]
    answers = served.predict_records(records, raws)
    told = _tell_of(served, records, options)
    return as_json([answer | more for answer, more in zip(answers, told, strict=True)])


def _predict_columns(
    served: Answering, values: Mapping[str, Any], options: Sequence[Option], *, as_arrow: bool
) -> Response:
    n_rows = len(next(iter(values.values())))
    refusal = _too_many("rows", n_rows, served.limits.bulk_records, options)
    if refusal is not None:
        return refusal
    columns, n_rows, warnings = read_columns(served.predictor, values)
    predictions = predictions_of(served.predictor, columns, n_rows, warnings)
    ids = served.note(lambda: values, predictions)
    told = _tell(served, columns, options) if n_rows else {option.key: [] for option in options}
    return _as_columns(served, predictions, ids, as_arrow=as_arrow, told=told)


def _predict_arrow(served: Answering, body: bytes, *, as_arrow: bool) -> Response:
    from mlwright.serving.arrow import NO_ARROW, answer_stream, has_arrow, read_stream

    if not has_arrow():
        return failure(415, NO_ARROW, allowed="application/json")
    table = read_stream(body)
    refusal = _too_many("rows", table.num_rows, served.limits.bulk_records, ())
    if refusal is not None:
        return refusal
    return _as_columns(served, *answer_stream(served, table), as_arrow=as_arrow)


def _too_many(what: str, n_rows: int, limit: int, options: Sequence[Option]) -> Response | None:
    """Return the 413 of too many rows, or of too many for an option."""
    if n_rows > limit:
        return failure(413, f"more than {limit:,} {what}", got=n_rows)
    for option in options:
        if option.most is not None and n_rows > option.most:
            message = f"more than {option.most:,} {what} with the option '{option.name}'"
            return failure(413, message, got=n_rows)
    return None


def _tell_of(served: Answering, records: Sequence[Any], options: Sequence[Option]) -> list[Json]:
    """Return for each record, that has been predicted, what the options add to its answer."""
    if not options or not records:
        return [{}] * len(records)
    told = _tell(served, served.predictor.columns(records), options)
    return [{key: values[row] for key, values in told.items()} for row in range(len(records))]


def _tell(served: Answering, columns: Columns, options: Sequence[Option]) -> dict[str, list[Json]]:
    predictor = served.predictor
    if not options or predictor.marks:  # a fallback looks at nothing, so there is nothing more to tell
        return {}
    matrices = predictor.matrices(columns)
    return tell(options, predictor, matrices, predictor.ensemble.predict(matrices))


def _as_columns(
    served: Answering,
    predictions: Predictions,
    ids: list[str],
    *,
    as_arrow: bool,
    told: Mapping[str, list[Json]] | None = None,
) -> Response:
    """Return the predictions of columns as columns, with what options have told."""
    if as_arrow:
        from mlwright.serving.arrow import has_arrow, write_stream

        if has_arrow():  # else JSON, as its type says
            return write_stream(served, predictions, ids)
    task = served.predictor.task
    tree: Json = {"prediction": predictions.decisions}
    if task.kind is TaskKind.ANOMALY:
        said = [anomaly_or_not(task, score) for score in predictions.decisions]
        tree = {"prediction": said, "score": predictions.decisions, "threshold": task.cut}
    if task.labels:
        tree["probability"] = predictions.probabilities
    if len(task.labels) == 2 and predictions.outputs.shape[1] == 1:
        tree["threshold"] = task.cut
    tree |= {"warnings": predictions.warnings, "prediction_id": ids}
    tree |= {"model": served.name, "version": served.version, **predictions.marks, **(told or {})}
    return as_json(tree)
