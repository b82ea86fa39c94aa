"""A tiny bundle in memory, reckoned by hand, and a client that speaks ASGI without a network."""

from __future__ import annotations

import asyncio
import json
import math
from types import SimpleNamespace

import numpy as np
from hypothesis import HealthCheck, settings

from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.values import Coded
from mlwright.serving.predictor import Predictor

SCHEMA = Schema(
    (
        Column("customer", Kind.ID, Role.IGNORED),
        Column("age", Kind.NUMERIC, dtype="int", required=True, low=18.0, high=90.0),
        Column("spend", Kind.NUMERIC, dtype="float", format={"strip": ["$"]}, low=-5.0, high=100.0),
        Column("plan", Kind.CATEGORICAL, required=True, levels=("month", "year", "two year")),
        Column("zone", Kind.CATEGORICAL, dtype="int", levels=("1", "2", "10")),
        Column("senior", Kind.BOOLEAN, dtype="bool"),
        Column("since", Kind.DATETIME, dtype="date", low=0.0, high=1.7e9),
        Column("note", Kind.TEXT),
        Column("churn", Kind.CATEGORICAL, Role.TARGET, levels=("no", "yes")),
    )
)
# A busy machine is no failure.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BINARY = Task(TaskKind.BINARY, "churn", "roc_auc", ("no", "yes"))
RECORD = {
    "age": 44,
    "spend": 12.5,
    "plan": "year",
    "zone": 2,
    "senior": False,
    "since": "2020-01-02",
    "note": "calls often",
}


def as_number(value):
    """The one number that a canonical cell stands for in the fake plan."""
    if value is None:
        return math.nan
    return float(sum(map(ord, value)) % 101) if isinstance(value, str) else value


class SumPlan:
    """One number a column: itself, or a checksum of its text."""

    inputs = tuple(column.name for column in SCHEMA.features)

    def row(self, cells):
        return np.array([as_number(cells[name]) for name in self.inputs])

    def batch(self, columns):
        def numbers(values):
            if isinstance(values, Coded):
                return [as_number(values.levels[code]) if code >= 0 else math.nan for code in values.codes]
            return values

        return np.column_stack([numbers(columns[name]) for name in self.inputs])


class FakeEnsemble:
    """Outputs that depend on every column, missing or not."""

    def __init__(self, task=BINARY):
        self.task = task

    def predict_row(self, rows):
        row = rows["all"]
        total = sum(
            (i + 1) * (math.atan(v / 50) if not math.isnan(v) else 0.3) for i, v in enumerate(row.tolist())
        )
        if self.task.kind is TaskKind.REGRESSION:
            return [total]
        if self.task.kind is TaskKind.BINARY:
            return [1 / (1 + math.exp(3 - total))]
        odds = [math.exp(math.sin(total + i)) for i in range(len(self.task.labels))]
        return [odd / sum(odds) for odd in odds]

    def predict(self, matrices):
        rows = [self.predict_row({"all": row}) for row in matrices["all"]]
        return np.array(rows).reshape(len(rows), self.task.n_outputs)


def make(task=BINARY, *, golden=True, schema=SCHEMA, plan=None):
    manifest = {"name": "telco", "format": 1, "task": task.to_json(), "schema": schema.to_json()}

    def build(rows):
        return Predictor(
            manifest, {"all": plan or SumPlan()}, FakeEnsemble(task), golden=rows, sha256="ab" * 32
        )

    rows = [{"record": RECORD, "prediction": build([]).predict_one(RECORD)}] if golden else []
    return build(rows)


class Client:
    """Calls an ASGI app in this process; each answer has ``status``, ``headers``, ``body`` and ``json()``."""

    def __init__(self, app):
        self.app = app

    def request(self, method, path, body=b"", headers=None, *, chunks=None, query=None):
        if query is None:
            path, _, query = path.partition("?")
        pairs = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
        scope = {"type": "http", "method": method, "path": path, "headers": pairs}
        scope["query_string"] = query.encode("latin-1")
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks or [0])}
            for i, chunk in enumerate(chunks if chunks is not None else [body])
        ]
        sent = []

        async def receive():
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        if not sent:
            return None
        start, *rest = sent
        whole = b"".join(message.get("body", b"") for message in rest)
        return SimpleNamespace(
            status=start["status"],
            headers=dict(start["headers"]),
            body=whole,
            json=lambda: json.loads(whole),
        )

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def predict(self, value, **more):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", "/predict", body, {"content-type": "application/json"}, **more)
