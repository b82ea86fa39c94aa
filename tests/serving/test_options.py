"""What a prediction's query may ask for: explanations that add up, and words for what it may not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from real_predictors import BINARY, MULTI, RECORD, REGRESSION, build, rows
from serving_fakes import Client, make
from wire_client import Raw, listening, request

from mlwright.serving import App
from mlwright.serving.endpoint import Endpoint
from mlwright.serving.fallback import Degraded
from mlwright.serving.service import Service

JSON = {"content-type": "application/json"}
CLIENTS = {str(task.kind): Client(App(build(task))) for task in (BINARY, MULTI, REGRESSION)}


def ask(client, value, query, path="/predict"):
    return client.request("POST", f"{path}?{query}", json.dumps(value).encode(), JSON)


def margins(predictor, record):
    """Return the weighted mean of the explained members' margins, from the models alone."""
    views = predictor.rows(record)
    parts = [(m.weight, m.model.margins(views[m.view][None])[0]) for m in predictor.ensemble.members]
    return sum(w * np.asarray(part) for w, part in parts) / sum(w for w, _ in parts)


@pytest.mark.parametrize("kind", CLIENTS)
def test_contributions_add_up_to_the_margin(kind):
    client = CLIENTS[kind]
    predictor = client.app.endpoint.predictor
    for record in rows(10, seed=3):
        plain = ask(client, record, "explain=false").json()
        told = ask(client, record, "explain=true").json()
        found = told.pop("explanation")
        assert {k: v for k, v in told.items() if k != "prediction_id"} == {
            k: v for k, v in plain.items() if k != "prediction_id"
        }
        assert (found["share"], sorted(found["explained"])) == (1.0, ["lightgbm", "linear"])
        total = found["expected"] + math.fsum(found["contributions"].values())
        assert total == pytest.approx(found["margin"], rel=1e-6, abs=1e-6)
        labels = predictor.task.labels
        if kind == "multiclass":
            assert found["label"] == told["prediction"]
            place = labels.index(found["label"])
        else:
            assert found["label"] == (labels[1] if labels else None)
            place = 0
        assert found["margin"] == pytest.approx(margins(predictor, record)[place], abs=1e-9)
        assert set(found["contributions"]) <= set(predictor.schema.names)


def test_lists_and_columns_are_explained_as_records_are():
    client, records = CLIENTS["binary"], rows(5, seed=4)
    one_by_one = [ask(client, record, "explain=1").json()["explanation"] for record in records]
    several = ask(client, records, "explain=true").json()
    columns = {name: [record[name] for record in records] for name in records[0]}
    spread = ask(client, columns, "explain=true").json()
    for expected, in_list, in_columns in zip(
        one_by_one, [answer["explanation"] for answer in several], spread["explanation"], strict=True
    ):
        for found in (in_list, in_columns):
            assert found["contributions"] == pytest.approx(expected["contributions"], abs=1e-9)
            assert found["margin"] == pytest.approx(expected["margin"], abs=1e-9)
    assert ask(client, [], "explain=true").json() == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("explian=true", ["explian", "explain"]),
        ("explain=yes", ["explain", "yes", "true"]),
        ("explain", ["explain", "true"]),
        ("explain=true&explain=false", ["explain", "twice"]),
        ("=", ["unknown option"]),
        ("%FF%00=1", ["unknown option"]),
        ("&".join(f"a{i}=1" for i in range(50)), ["more than 10"]),
    ],
)
def test_what_is_no_option_is_refused_by_name(query, names):
    reply = ask(CLIENTS["binary"], RECORD, query)
    assert reply.status == 400
    for name in names:
        assert name in reply.json()["error"]["message"]


def test_only_predict_takes_options_and_probes_are_left_alone():
    client = CLIENTS["binary"]
    for path in ("/invocations", "/v2/models/telco/infer"):
        reply = ask(client, {}, "explain=true", path)
        assert reply.status == 400
        assert "only /predict" in reply.json()["error"]["message"]
    assert client.get("/health?from=probe").status == 200


def test_many_records_and_arrow_are_refused_with_explain():
    client = CLIENTS["binary"]
    records = rows(101)
    columns = {name: [record[name] for record in records] for name in records[0]}
    for value in (records, columns):
        reply = ask(client, value, "explain=true")
        assert reply.status == 413
        assert "explain" in reply.json()["error"]["message"]
        assert ask(client, value, "explain=false").status == 200
    stream = "application/vnd.apache.arrow.stream"
    reply = client.request("POST", "/predict?explain=true", b"\xff\xff\xff\xff", {"content-type": stream})
    assert reply.status == 400
    assert "explain" in reply.json()["error"]["message"]


def test_what_no_member_can_explain_is_said():
    assert ask(Client(App(make())), {"age": 44, "plan": "year"}, "explain=true").json()["explanation"] == {
        "share": 0.0,
        "explained": [],
        "left_out": [],
    }


def test_a_fallback_explains_nothing():
    degraded = App(Degraded(build(), [0.25]))
    answer = ask(Client(degraded), RECORD, "explain=true").json()
    assert answer["degraded"] is True
    assert "explanation" not in answer


def test_the_description_lists_what_may_be_asked():
    client = CLIENTS["binary"]
    (parameter,) = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["parameters"]
    (option,) = client.get("/schema").json()["options"]
    assert (parameter["name"], option["name"], option["records"]) == ("explain", "explain", 100)
    assert 'data-option="explain"' in client.get("/docs").body.decode()


@pytest.mark.enable_socket
def test_the_wire_reads_the_query_of_each_request_anew():
    service = Service(Endpoint(build(), name="telco", version="1"))
    body = json.dumps(RECORD).encode()
    with listening(service) as box, Raw(box.port) as raw:
        raw.send(
            request(body),
            request(body, path="/predict?explain=true"),
            request(body),
            request(body, path="/predict?x=1"),
        )
        plain, told, again, refused = (raw.answer() for _ in range(4))
        assert "explanation" in told.json
        assert [set(a.json) ^ set(told.json) for a in (plain, again)] == [{"explanation"}] * 2
        assert (refused.status, "'x'" in refused.json["error"]["message"]) == (400, True)
        raw.send(request(body))
        assert raw.answer().status == 200
