"""The Open Inference Protocol, version 2, as KServe, Seldon and Triton's clients speak it: JSON, and binary tensors.

One named tensor a column, of shape [n] or [n, 1]; what comes out is named too: ``prediction``, ``probability_<class>``
and ``prediction_id``. NaN and an empty string are a missing value, as everywhere.

References
----------
https://github.com/kserve/open-inference-protocol and Triton's extension for binary tensor data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from typing import Any

import msgspec
import numpy as np

from mlwright.core.types import Json
from mlwright.data.schema import Column, Kind, TaskKind
from mlwright.serving.answers import label_key
from mlwright.serving.columnar import Answering, Predictions, predict_columns
from mlwright.serving.responses import Response, as_json

__all__ = ["TensorError", "about_model", "about_server", "infer"]

_DTYPES = {
    "BOOL": "?",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
_LENGTH = b"inference-header-content-length"
_OCTETS = (b"content-type", b"application/octet-stream")
_size = struct.Struct("<I")
_encode = msgspec.json.Encoder().encode


class TensorError(Exception):
    """A request that is not of the protocol; the message says why."""


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    parameters: dict[str, Any] = {}


class _Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str = ""
    outputs: list[_Wanted] | None = None
    parameters: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Request).decode


def about_server() -> Json:
    """Return what ``/v2`` says."""
    return {"name": "mlwright", "version": installed("mlwright"), "extensions": ["binary_tensor_data"]}


def about_model(served: Answering) -> Json:
    """Return the model's tensors, in and out."""
    predictor = served.predictor
    outputs = [("prediction", _label_type(predictor.task.labels)), ("prediction_id", "BYTES")]
    outputs[1:1] = [(f"probability_{label_key(label)}", "FP64") for label in predictor.task.labels]
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "mlwright",
        "inputs": [
            {"name": column.name, "datatype": _type(column), "shape": [-1]}
            for column in predictor.reader.columns
        ],
        "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in outputs],
    }


def _type(column: Column) -> str:
    if column.kind is Kind.NUMERIC:
        return "FP64"
    if column.kind is Kind.BOOLEAN:
        return "BOOL"
    return "INT64" if column.dtype == "int" and column.kind is not Kind.DATETIME else "BYTES"


def _label_type(labels: Sequence[Any]) -> str:
    kinds = {type(label) for label in labels}
    if not labels:
        return "FP64"
    return (
        {bool: "BOOL", int: "INT64", float: "FP64"}.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"
    )


def infer(served: Answering, body: bytes, headers: Mapping[bytes, bytes]) -> Response:
    """Answer an inference request.

    Raises
    ------
    TensorError
        If the request is not of the protocol.
    RecordError
        If a column does not fit the schema.
    """
    given = headers.get(_LENGTH)
    head, rest = body, b""
    if given is not None:
        if not given.isdigit() or len(given) > 12 or int(given) > len(body):
            raise TensorError("inference-header-content-length is not the length of the body's JSON")
        head, rest = body[: int(given)], body[int(given) :]
    try:
        request = _decode(head)
    except msgspec.ValidationError as error:
        raise TensorError(f"not an inference request: {error}") from error
    values = _values(request, rest)
    n_rows = len(next(iter(values.values()), ()))
    if n_rows > served.limits.bulk_records:
        raise TensorError(f"more than {served.limits.bulk_records:,} rows: got {n_rows:,}")
    predictions = predict_columns(served.predictor, values)
    ids = served.note(lambda: values, predictions)
    return _response(served, request, predictions, ids)


def _values(request: _Request, rest: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    start = 0
    for tensor in request.inputs:
        shape = tensor.shape
        if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or min(shape) < 0:
            raise TensorError(f"input '{tensor.name[:100]}': got shape {shape[:8]}; allowed: [n] or [n, 1]")
        if tensor.name in values:
            raise TensorError(f"input '{tensor.name[:100]}' is given twice")
        size = tensor.parameters.get("binary_data_size")
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(rest) - start:
                raise TensorError(f"input '{tensor.name[:100]}': its binary data goes beyond the body")
            values[tensor.name] = _from_bytes(tensor, rest[start : start + size])
            start += size
        else:
            values[tensor.name] = _from_json(tensor)
        if len(values[tensor.name]) != shape[0]:
            got = len(values[tensor.name])
            raise TensorError(f"input '{tensor.name[:100]}': its shape says {shape[0]} values; got {got}")
    if start != len(rest):
        raise TensorError(f"the body has {len(rest) - start} bytes that belong to no input")
    return values


def _from_json(tensor: _Tensor) -> Any:
    data = tensor.data
    if not isinstance(data, list):
        raise TensorError(f"input '{tensor.name[:100]}': data must be a list, or binary_data_size be said")
    if len(tensor.shape) == 2 and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if tensor.datatype != "BYTES" and tensor.datatype not in _DTYPES:
        raise TensorError(
            f"input '{tensor.name[:100]}': unknown datatype '{tensor.datatype[:20]}'; {_allowed()}"
        )
    return data


def _from_bytes(tensor: _Tensor, raw: bytes) -> Any:
    if tensor.datatype == "BYTES":
        return _strings(tensor, raw)
    code = _DTYPES.get(tensor.datatype)
    if code is None:
        raise TensorError(
            f"input '{tensor.name[:100]}': unknown datatype '{tensor.datatype[:20]}'; {_allowed()}"
        )
    if len(raw) % np.dtype(code).itemsize:
        raise TensorError(
            f"input '{tensor.name[:100]}': {len(raw)} bytes are no whole number of {tensor.datatype}"
        )
    return np.frombuffer(raw, dtype=code)


def _strings(tensor: _Tensor, raw: bytes) -> list[str]:
    """Return the texts of a binary tensor: a length of four bytes before each."""
    texts: list[str] = []
    place = 0
    while place < len(raw):
        if place + 4 > len(raw) or place + 4 + (size := _size.unpack_from(raw, place)[0]) > len(raw):
            raise TensorError(f"input '{tensor.name[:100]}': a text goes beyond its binary data")
        try:
            texts.append(raw[place + 4 : place + 4 + size].decode())
        except UnicodeDecodeError as error:
            raise TensorError(f"input '{tensor.name[:100]}': value {len(texts)} is not UTF-8") from error
        place += 4 + size
    return texts


def _allowed() -> str:
    return f"allowed: BYTES, {', '.join(_DTYPES)}"


def _response(served: Answering, request: _Request, predictions: Predictions, ids: list[str]) -> Response:
    labels = served.predictor.task.labels
    kind = _label_type(labels)
    decisions = predictions.decisions
    if kind == "BYTES":
        decisions = [label_key(label) for label in decisions]
    columns: dict[str, tuple[str, Sequence[Any]]] = {"prediction": (kind, decisions)}
    columns |= {f"probability_{key}": ("FP64", chances) for key, chances in predictions.probabilities.items()}
    columns["prediction_id"] = ("BYTES", ids)
    wanted = request.outputs or [_Wanted(name) for name in columns]
    unknown = [output.name for output in wanted if output.name not in columns]
    if unknown:
        raise TensorError(f"unknown output '{unknown[0][:100]}'; allowed: {', '.join(columns)}")
    as_binary = request.parameters.get("binary_data_output") is True
    outputs: list[Json] = []
    parts: list[bytes] = []
    for output in wanted:
        datatype, values = columns[output.name]
        told: Json = {"name": output.name, "datatype": datatype, "shape": [len(values)]}
        if output.parameters.get("binary_data", as_binary) is True:
            parts.append(_to_bytes(datatype, values))
            told["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            told["data"] = values
        outputs.append(told)
    tree: Json = {"model_name": served.name, "model_version": served.version, "outputs": outputs}
    if request.id:
        tree["id"] = request.id
    if predictions.warnings or predictions.marks or served.predictor.task.kind is TaskKind.BINARY:
        tree["parameters"] = _parameters(served, predictions)
    if not parts:
        return as_json(tree)
    head = _encode(tree)
    length = (_LENGTH, b"%d" % len(head))
    return Response(200, (_OCTETS, length), b"".join([head, *parts]))


def _parameters(served: Answering, predictions: Predictions) -> Json:
    """Return what the protocol has no tensor for."""
    told: Json = dict(predictions.marks)
    if served.predictor.task.kind is TaskKind.BINARY:
        told["threshold"] = served.predictor.task.cut
    if predictions.warnings:
        told["warnings"] = _encode(
            predictions.warnings
        ).decode()  # the protocol's parameters are plain values
    return told


def _to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [text.encode() for text in values]
        return b"".join(part for text in texts for part in (_size.pack(len(text)), text))
    return np.array(values, dtype=_DTYPES[datatype]).tobytes()
