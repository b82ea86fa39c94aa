"""The service in this process, without a network: routes, errors, limits, documents."""

from __future__ import annotations

import asyncio
import json
import time

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_fakes import PROPERTY, RECORD, SCHEMA, Client, SumPlan, make

from mlwright.core.errors import UsageError
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.serving import App, Limits, Predictor
from mlwright.serving.endpoint import ROUTES, new_id

PREDICTOR = make()
PREDICTOR.verify_golden()
CLIENT = Client(App(PREDICTOR))


def test_one_record(client):
    reply = client.predict(RECORD)
    assert reply.status == 200
    assert reply.headers[b"content-type"] == b"application/json"
    assert int(reply.headers[b"content-length"]) == len(reply.body)
    answer = reply.json()
    expected = PREDICTOR.predict_one(RECORD)
    assert {k: answer[k] for k in expected} == expected
    assert (answer["model"], answer["version"]) == ("telco", "abababababab")
    assert len(answer["prediction_id"]) == 32


@pytest.mark.parametrize("n", [0, 1, 7, 8, 300])
def test_lists(client, n):
    records = [{**RECORD, "age": 18 + i % 60} for i in range(n)]
    reply = client.predict(records)
    assert reply.status == 200
    found = reply.json()
    assert [a["prediction"] for a in found] == [PREDICTOR.predict_one(r)["prediction"] for r in records]
    assert len({a["prediction_id"] for a in found}) == n


def test_a_large_body_goes_through_the_thread(client_of):
    records = [{**RECORD, "age": 18 + i % 60} for i in range(5)]
    replies = [
        client_of(App(PREDICTOR, limits=Limits(inline_bytes=size))).predict(records) for size in (0, 10**6)
    ]
    first, second = ([{**a, "prediction_id": ""} for a in reply.json()] for reply in replies)
    assert first == second


def test_warnings_are_given(client):
    (warning,) = client.predict({**RECORD, "plan": "weekly"}).json()["warnings"]
    assert (warning["field"], warning["got"]) == ("plan", "weekly")


def test_422_lists_all_problems(client):
    reply = client.predict({"age": "x", "plans": "year"})
    assert reply.status == 422
    problems = reply.json()["error"]["problems"]
    assert [p["field"] for p in problems] == ["age", "plan", "plans"]
    reply = client.predict([RECORD, 5])
    assert reply.status == 422
    assert reply.json()["error"]["problems"][0]["record"] == 1
    assert client.predict("a string").status == 422
    assert client.predict(None).status == 422


@pytest.mark.parametrize(
    ("body", "byte", "line", "column"),
    [
        (b"", 0, 1, 1),
        (b'{"age": NaN}', 8, 1, 9),
        (b'{\n "age": 4,\n "plan": year}', 22, 3, 10),
        (b'{"age": 4', 9, 1, 10),
        (b'[{"age": 4}, {"age": x}]', 21, 1, 22),
        (b'{"note": "\xff"}', 10, 1, 11),
        ('{"note": "é", "age": ?}'.encode(), 22, 1, 22),
    ],
)
def test_400_says_where(client, body, byte, line, column):
    reply = client.predict(body)
    assert reply.status == 400
    assert reply.json()["error"]["position"] == {"byte": byte, "line": line, "column": column}


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b'{"age": 1e999}', b"1" * 10_000])
def test_400_without_a_place(client, body):
    assert client.predict(body).status == 400


def test_deep_values_are_a_wrong_type(client):
    body = b'{"age":' + b"[" * 700 + b"]" * 700 + b"}"
    assert client.predict(body).status == 422


def test_413(client_of):
    client = client_of(App(PREDICTOR, limits=Limits(body_bytes=1000, records=3)))
    assert client.predict([RECORD] * 4).status == 413
    assert client.predict(b" " * 1001).status == 413
    assert client.request("POST", "/predict", b"", {"content-length": "1001"}, chunks=[]).status == 413
    assert client.request("POST", "/predict", b"", {"content-length": "9" * 30}, chunks=[]).status == 413
    assert client.predict(b"", chunks=[b" " * 600, b" " * 600, b"{}"]).status == 413
    assert client.predict([{"age": 3, "plan": "year"}] * 3).status == 200


def test_chunked_bodies(client):
    body = json.dumps(RECORD).encode()
    assert client.predict(b"", chunks=[body[:10], b"", body[10:]]).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, 200),  # what curl -d says
        ({"content-type": "application/x-www-form-urlencoded", "origin": "http://evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "Application/Problem+JSON"}, 200),
        ({}, 200),
        ({"content-encoding": "gzip"}, 415),
    ],
)
def test_content_types(client, headers, status):
    assert client.request("POST", "/predict", json.dumps(RECORD).encode(), headers).status == status


def test_a_slow_body_ends(client_of):
    app = App(PREDICTOR, limits=Limits(body_seconds=0.02))
    client_of(app)
    sent = []
    first = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        if first:
            return first.pop()
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_a_client_that_leaves_gets_nothing(client):
    assert client.predict(b"", chunks=[]) is None

    async def gone(_):
        raise OSError("the peer has gone")

    async def receive():
        return {"type": "http.request", "body": json.dumps(RECORD).encode()}

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    asyncio.run(client.app(scope, receive, gone))


def test_routes_are_closed(client):
    for pattern, route in ROUTES.items():
        path, method = pattern.format(name="telco", version="abababababab"), route.method
        for tried in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            reply = client.request(tried, path, json.dumps(RECORD).encode())
            if tried == method or (tried == "HEAD" and method == "GET"):
                # A record alone is no request of the two protocols.
                other = method == "POST" and path != "/predict"
                assert reply.status in ({400} if other else {200, 307})
            else:
                assert reply.status == 405
                assert tried == "HEAD" or set(reply.json()) == {"error"}
                assert method in reply.headers[b"allow"].decode().split(", ")
    for path in ("/predict/", "/x", "", "//", "/../etc/passwd", "/docs/../ready"):
        reply = client.get(path)
        assert reply.status == 404
        assert reply.json()["error"]["message"] == "no such address"


def test_head_has_the_headers_and_no_body(client):
    head, get = client.request("HEAD", "/docs"), client.get("/docs")
    assert head.headers == get.headers
    assert head.body == b""


def test_health_and_ready(client, client_of):
    assert client.get("/health").json() == {"status": "alive"}
    ready = client.get("/ready")
    assert ready.status == 200
    assert ready.json() == {
        "ready": True,
        "model": "telco",
        "version": "abababababab",
        "sha256": "ab" * 32,
        "golden": 1,
        "log": False,
        "log_written": 0,
        "log_dropped": 0,
        "log_error": None,
        "swaps": 0,
        "swap_faults": 0,
        "last_fault": "",
        "stopped": False,
        "degraded": 0,
    }
    unverified = client_of(App(make(), name="other", version="3")).get("/ready")
    assert unverified.status == 503
    assert unverified.json()["ready"] is False


def lifespan(app):
    sent = []
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "lifespan"}, receive, send))
    return [message["type"] for message in sent], sent


def test_lifespan_verifies_golden():
    predictor = make()
    assert lifespan(App(predictor))[0] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert predictor.verified
    kinds, messages = lifespan(App(make(golden=False)))
    assert kinds == ["lifespan.startup.failed"]
    assert "golden" in messages[0]["message"]


def test_an_unforeseen_error_is_a_500_without_its_reason(client_of, capsys):
    class Broken(SumPlan):
        def row(self, cells):
            raise ZeroDivisionError("secret reason")

    predictor = Predictor(PREDICTOR.manifest, {"all": Broken()}, PREDICTOR.ensemble)
    reply = client_of(App(predictor)).predict(RECORD)
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    line = json.loads(capsys.readouterr().err)
    assert line["error"] == "ZeroDivisionError: secret reason"
    assert "Traceback" in line["traceback"]


TOKEN = "correct horse battery"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (None, 401),
        ("Bearer é", 401),
    ],
)
def test_token(client_of, header, status):
    client = client_of(App(PREDICTOR, token=TOKEN))
    headers = {} if header is None else {"authorization": header}
    assert client.request("POST", "/predict", json.dumps(RECORD).encode(), headers).status == status
    for path in ("/schema", "/docs", "/openapi.json"):
        assert client.get(path, headers=headers).status == status
    assert client.get("/nowhere", headers=headers).status == (404 if status == 200 else 401)
    assert client.get("/health", headers=headers).status == 200
    assert client.get("/ready", headers=headers).status == 200


@pytest.mark.parametrize("token", ["", "short", "with a \n newline in it", "ééééééééééééééééé"])
def test_weak_tokens_are_refused(token):
    with pytest.raises(UsageError, match="token"):
        App(PREDICTOR, token=token)


@pytest.mark.parametrize("name", ["x" * 101])
def test_names_that_cannot_be_used(name):
    with pytest.raises(UsageError, match="name"):
        App(PREDICTOR, name=name)


def test_schema(client):
    tree = client.get("/schema").json()
    assert [f["name"] for f in tree["input"]] == [c.name for c in SCHEMA.features]
    assert tree["input"][2]["levels"] == ["month", "year", "two year"]
    assert tree["input"][0]["required"] is True
    assert (tree["input"][0]["low"], tree["input"][0]["high"]) == (18, 90)
    assert tree["output"] == {
        "name": "churn",
        "kind": "categorical",
        "labels": ["no", "yes"],
        "threshold": 0.5,
    }
    assert tree["ignored"] == ["customer", "churn"]


TASKS = [
    PREDICTOR.task,
    Task(TaskKind.MULTICLASS, "churn", "log_loss", (1, 2, 3)),
    Task(TaskKind.BINARY, "churn", "roc_auc", (False, True)),
    Task(TaskKind.REGRESSION, "churn", "rmse"),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: f"{t.kind}-{len(t.labels)}")
def test_openapi_describes_what_happens(client_of, task):
    client = client_of(App(make(task)))
    tree = client.get("/openapi.json").json()
    assert tree["openapi"] == "3.1.0"
    assert set(tree["paths"]) == set(ROUTES) - {"/", "/docs", "/openapi.json"}
    operation = tree["paths"]["/predict"]["post"]

    def validator(schema):
        return jsonschema_rs.Draft202012Validator({**schema, "components": tree["components"]})

    request = validator(operation["requestBody"]["content"]["application/json"]["schema"])
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert example == RECORD
    for body in (example, [example, example], {**example, "age": None}):
        assert request.is_valid(body)
        reply = client.predict(body)
        assert reply.status == 200
        validator(operation["responses"]["200"]["content"]["application/json"]["schema"]).validate(
            reply.json()
        )
    without = {name: value for name, value in example.items() if name != "age"}
    for body in ({}, {**example, "other": 1}, without, 3):
        assert not request.is_valid(body)
        reply = client.predict(body)
        assert reply.status == 422
        validator(operation["responses"]["422"]["content"]["application/json"]["schema"]).validate(
            reply.json()
        )


def test_docs_page_stands_alone(client):
    reply = client.get("/docs")
    page = reply.body.decode()
    assert reply.headers[b"content-type"] == b"text/html; charset=utf-8"
    assert "{{" not in page
    for column in SCHEMA.features:
        assert f"<td>{column.name}</td>" in page
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in page.replace("http://localhost:8000/predict", "")
    assert client.get("/").status == 307
    assert client.get("/").headers[b"location"] == b"docs"


def test_docs_page_escapes_names(client_of):
    evil = "<script>alert(1)</script>{{name}}"
    columns = (
        Column("age", Kind.NUMERIC),
        Column(evil, Kind.CATEGORICAL, levels=("</textarea><b>",)),
        Column("churn", Kind.CATEGORICAL, Role.TARGET),
    )

    class Plan(SumPlan):
        inputs = ("age", evil)

    manifest = {"name": evil, "task": PREDICTOR.task.to_json(), "schema": Schema(columns).to_json()}
    predictor = Predictor(manifest, {"all": Plan()}, PREDICTOR.ensemble)
    page = client_of(App(predictor)).get("/docs").body.decode()
    assert page.count("<script>") == 1
    assert "<b>&" not in page
    assert page.count("</textarea>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{name}}" in page


def test_ids_are_uuid_7_in_order_of_time():
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1000
    for id_ in ids:
        assert len(id_) == 32
        assert before <= int(id_[:12], 16) <= after
        assert id_[12] == "7"
        assert id_[16] in "89ab"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["age", "plan", "spend", "zone", "since", "note", "x", ""]), inner, max_size=6
        )
    ),
    max_leaves=8,
)


@PROPERTY
@given(JSON)
def test_no_json_makes_a_5xx(value):
    reply = CLIENT.predict(value)
    assert reply.status in {200, 400, 413, 422}
    json.loads(reply.body)


@PROPERTY
@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=6).map(lambda b: b'{"age": 4, "plan": "' + b + b'"}'),
        st.text('[]{}":,1eE+-.\\u0dtrfalsn ', max_size=40).map(str.encode),
    )
)
def test_no_bytes_make_a_5xx(body):
    reply = CLIENT.predict(body)
    assert reply.status in {200, 400, 413, 422}
    json.loads(reply.body)
