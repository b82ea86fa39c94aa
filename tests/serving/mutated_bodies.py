"""Bodies that were sound and are so no more: bytes changed, cut, doubled, swapped with those of others."""

from __future__ import annotations

import io
import json
import random

import pyarrow as pa
from real_predictors import RECORD, rows

ARROW = "application/vnd.apache.arrow.stream"
JSON = {"content-type": "application/json"}
INFER = "/v2/models/telco/infer"
_TOKENS = [
    *(b"null", b"true", b"NaN", b"-0", b"1e999", b"1e-999", b"9" * 40, b'""', b"[]", b"{}", b"[[[[", b"}}"),
    *(b'"\\ud800"', b"\\u0000", b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b'"age"', b'"instances"', b'"inputs"'),
    *(
        b"-1",
        b"2147483648",
        b"18446744073709551616",
        b"0.1",
        b",",
        b":",
        b'"',
        b"\\",
        b"\n",
        b"\xff\xff\xff\xff",
    ),
]


def seeds():
    """Return ``(path, headers, body)`` of sound requests of every format."""
    records = rows(3)
    columns = {name: [record[name] for record in records] for name in records[0]}
    names = list(columns)
    table = pa.Table.from_pylist(records)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    tensors = [
        {"name": "age", "datatype": "FP64", "shape": [3], "data": columns["age"]},
        {"name": "plan", "datatype": "BYTES", "shape": [3, 1], "data": columns["plan"]},
    ]
    binary = [
        {"name": "age", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}},
        {"name": "plan", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}},
    ]
    head = json.dumps({"inputs": binary, "parameters": {"binary_data_output": True}}).encode()
    split = {"columns": names, "data": [[record[name] for name in names] for record in records]}
    lines = "age,plan\n30,year\n,\n".replace("\n,\n", "\n40,month\n")
    return [
        ("/predict", JSON, json.dumps(RECORD).encode()),
        ("/predict", JSON, json.dumps(records).encode()),
        ("/predict", JSON, json.dumps(columns).encode()),
        ("/predict?explain=true", JSON, json.dumps(RECORD).encode()),
        ("/predict?explain=true", JSON, json.dumps(records).encode()),
        ("/predict?explain=true", JSON, json.dumps(columns).encode()),
        ("/predict", JSON | {"accept": ARROW}, json.dumps(columns).encode()),
        ("/predict", {"content-type": ARROW}, sink.getvalue()),
        (
            INFER,
            JSON,
            json.dumps({"id": "a", "inputs": tensors, "outputs": [{"name": "prediction"}]}).encode(),
        ),
        (
            INFER,
            {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))},
            head + b"\x20\0\0\0" + b"\x04\0\0\0year",
        ),
        ("/invocations", JSON, json.dumps({"dataframe_split": split}).encode()),
        ("/invocations", JSON, json.dumps({"dataframe_records": records}).encode()),
        ("/invocations", JSON, json.dumps({"instances": records}).encode()),
        ("/invocations", JSON, json.dumps({"inputs": columns}).encode()),
        ("/invocations", {"content-type": "text/csv"}, lines.encode()),
    ]


_SEEDS = seeds()


def mutated(number: int):
    """Return ``(path, headers, body)`` number `number`; always the same."""
    draw = random.Random(number)
    path, headers, body = draw.choice(_SEEDS)
    changed = bytearray(body)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        place = draw.randrange(len(changed) + 1)
        way = draw.randrange(7)
        if way == 0 and changed:
            changed[place % len(changed)] = draw.randrange(256)
        elif way == 1:
            changed[place:place] = draw.choice(_TOKENS)
        elif way == 2:
            del changed[place : place + draw.randrange(1, 20)]
        elif way == 3:
            other = draw.choice(_SEEDS)[2]
            start = draw.randrange(len(other))
            changed[place : place + draw.randrange(20)] = other[start : start + draw.randrange(1, 40)]
        elif way == 4:
            changed[place:place] = changed[place : place + draw.randrange(1, 60)]
        elif way == 5 and changed:
            changed[place % len(changed)] ^= 1 << draw.randrange(8)
        else:
            end = min(len(changed), place + draw.randrange(1, 12))
            changed[place:end] = draw.choice(_TOKENS)
    if draw.random() < 0.05:
        path, headers, _ = draw.choice(_SEEDS)
    if "inference-header-content-length" in headers and draw.random() < 0.3:
        headers = headers | {"inference-header-content-length": str(draw.randrange(len(changed) + 2))}
    return path, headers, bytes(changed)


def sent(client, number):
    """Return the number, the path and the reply to the mutated body."""
    path, headers, body = mutated(number)
    return number, path, client.request("POST", path, body, headers)


def check(number, path, reply):
    """Return what is wrong with a reply, or None: a 4xx must name its cause in the shape of its protocol."""
    if reply.status == 200:
        return None
    if not 400 <= reply.status < 500:
        return number, path, reply.status
    error = json.loads(reply.body)["error"]
    message = error if path.startswith("/v2") else error["message"]
    return None if isinstance(message, str) and len(message) > 10 else (number, path, reply.body)
