"""Columns in JSON and in an Arrow stream: the answers of records, in bulk."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_predictors import BINARY, MULTI, RECORD, REGRESSION, SCHEMA, build, rows
from serving_fakes import PROPERTY, Client
from serving_fakes import make as make_fake

from mlwright.core.errors import RecordError
from mlwright.serving import App, Limits, PredictionLog, read_log
from mlwright.serving.columnar import predict_columns

PREDICTORS = {str(task.kind): build(task) for task in (BINARY, MULTI, REGRESSION)}
PREDICTOR = PREDICTORS["binary"]
ARROW = "application/vnd.apache.arrow.stream"


def as_columns(records):
    return {name: [record[name] for record in records] for name in records[0]}


def stream(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.fixture
def client(client_of):
    return client_of(App(PREDICTOR, version="3"))


@pytest.mark.parametrize("kind", PREDICTORS)
@pytest.mark.parametrize("n", [0, 1, 40])
def test_columns_are_the_records_answers(client_of, kind, n):
    predictor = PREDICTORS[kind]
    client = client_of(App(predictor, version="3"))
    records = rows(max(n, 1))
    columns = as_columns(records) if n else {name: [] for name in records[0]}
    tree = client.predict(columns).json()
    expected = [predictor.predict_one(record) for record in records[:n]]
    decided = [answer["prediction"] for answer in expected]
    if predictor.task.labels:
        assert tree["prediction"] == decided
        for label, chances in tree["probability"].items():
            assert chances == pytest.approx([answer["probability"][label] for answer in expected], rel=1e-12)
    else:
        assert tree["prediction"] == pytest.approx(decided, rel=1e-12)
    assert len(set(tree["prediction_id"])) == n
    assert (tree["model"], tree["version"], tree["warnings"]) == ("telco", "3", [])


def test_warnings_have_their_row(client):
    records = rows(5)
    records[1]["plan"] = "weekly"
    records[3] |= {"age": 900, "spend": "$7"}
    tree = client.predict(as_columns(records)).json()
    assert [(w["record"], w["field"], w["got"]) for w in tree["warnings"]] == [
        (1, "plan", "weekly"),
        (3, "age", 900),
    ]
    assert tree["prediction"] == [PREDICTOR.predict_one(record)["prediction"] for record in records]


def test_problems_have_their_row_and_all_are_listed(client):
    records = rows(4)
    records[0]["age"], records[2]["plan"], records[3]["age"] = "x", [], "y"
    error = client.predict(as_columns(records)).json()["error"]
    assert [(p["record"], p["field"]) for p in error["problems"]] == [(0, "age"), (2, "plan"), (3, "age")]


@pytest.mark.parametrize("gap", [None, "NA"])
def test_a_gap_as_in_no_row_of_training_is_answered_with_a_warning(client, gap):
    records = rows(4)
    records[1]["age"], records[2]["plan"] = gap, gap
    answer = client.predict(as_columns(records)).json()
    assert [(w["record"], w["field"], w["warning"]) for w in answer["warnings"]] == [
        (1, "age", "missing, as in no row of training"),
        (2, "plan", "missing, as in no row of training"),
    ]
    alone = [PREDICTOR.predict_one(record) for record in records]
    assert answer["prediction"] == [one["prediction"] for one in alone]
    assert [len(one["warnings"]) for one in alone] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ages": [1, 2]}, "did you mean 'age'"),
        ({"age": [44]}, "another length"),
        ({"plan": [["year"], {}]}, "of the wrong type: a list"),
        ({"age": [True, False]}, "of the wrong type: a truth value"),
    ],
)
def test_columns_that_do_not_fit(client, change, message):
    reply = client.predict(as_columns([RECORD, RECORD]) | change)
    assert reply.status == 422
    assert message in reply.body.decode()


def test_absent_columns(client):
    assert client.predict({"age": [30, 31]}).json()["error"]["problems"][0]["field"] == "plan"
    columns = {"age": [30, 31], "plan": ["year", "month"]}
    found = client.predict(columns).json()["prediction"]
    assert found == [
        PREDICTOR.predict_one({"age": a, "plan": p})["prediction"]
        for a, p in zip(*columns.values(), strict=True)
    ]


def test_too_many_rows(client_of):
    client = client_of(App(PREDICTOR, limits=Limits(bulk_records=3)))
    assert client.predict(as_columns([RECORD] * 4)).status == 413
    assert client.predict(as_columns([RECORD] * 3)).status == 200
    table = pa.Table.from_pylist([RECORD] * 4)
    assert client.request("POST", "/predict", stream(table), {"content-type": ARROW}).status == 413


VALUES = {
    "age": st.one_of(st.integers(0, 200), st.floats(), st.sampled_from(["33", "x", None, True])),
    "spend": st.one_of(st.none(), st.floats(), st.sampled_from(["$3.5", "NA"])),
    "plan": st.sampled_from(["month", "weekly", "NA", 5, None]),
    "zone": st.one_of(st.none(), st.integers(-3, 12), st.sampled_from(["2", "2.0", 2.0])),
    "flag": st.sampled_from([True, False, "true", "yes", 1, None]),
    "senior": st.one_of(st.none(), st.booleans(), st.sampled_from(["yes", 2])),
    "since": st.one_of(st.none(), st.dates().map(str), st.just("x")),
    "note": st.one_of(st.none(), st.text("ab ", max_size=5)),
}


def problems_of(predict, records):
    try:
        predict(records)
    except RecordError as error:
        return sorted((p["record"], p["field"], p["problem"]) for p in error.problems)
    return []


@PROPERTY
@given(st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=6))
def test_columns_say_what_records_say(records):
    problems = problems_of(PREDICTOR.predict_many, records)
    assert problems_of(lambda given_: predict_columns(PREDICTOR, as_columns(given_)), records) == problems
    if problems:
        return
    expected = PREDICTOR.predict_many(records)
    found = predict_columns(PREDICTOR, as_columns(records))
    assert found.decisions == [answer["prediction"] for answer in expected]
    assert found.outputs[:, 0].tolist() == pytest.approx(
        [a["probability"]["yes"] for a in expected], rel=1e-12
    )
    warned = [(i, w["field"], w["warning"]) for i, a in enumerate(expected) for w in a["warnings"]]
    assert sorted((w["record"], w["field"], w["warning"]) for w in found.warnings) == sorted(warned)


# Arrow


def test_an_arrow_stream_is_answered_as_arrow_when_asked(client):
    records = rows(30)
    table = pa.Table.from_pylist(records)
    expected = [PREDICTOR.predict_one(record) for record in records]
    headers = {"content-type": ARROW, "accept": ARROW}
    reply = client.request("POST", "/predict", stream(table), headers)
    assert (reply.status, reply.headers[b"content-type"]) == (200, ARROW.encode())
    found = pa.ipc.open_stream(reply.body).read_all()
    assert found["prediction"].to_pylist() == [a["prediction"] for a in expected]
    assert found["probability_yes"].to_pylist() == pytest.approx(
        [a["probability"]["yes"] for a in expected], rel=1e-12
    )
    assert len(set(found["prediction_id"].to_pylist())) == 30
    about = json.loads(found.schema.metadata[b"mlwright"])
    assert (about["model"], about["version"], about["warnings"], about["threshold"]) == (
        "telco",
        "3",
        [],
        0.5,
    )
    as_json = client.request("POST", "/predict", stream(table), {"content-type": ARROW}).json()
    assert as_json["prediction"] == [a["prediction"] for a in expected]


def test_json_columns_can_be_answered_as_arrow(client):
    columns = as_columns(rows(3))
    reply = client.request("POST", "/predict", json.dumps(columns).encode(), {"accept": ARROW})
    assert pa.ipc.open_stream(reply.body).read_all().num_rows == 3


def test_arrow_counts_what_is_odd(client):
    table = pa.table(
        {
            "age": pa.array([30.0, None, 900.0, float("nan")]),
            "plan": ["year", "weekly", "weekly", "month"],
            "spend": ["$3", "x", None, "5"],
        }
    )
    tree = client.request("POST", "/predict", stream(table), {"content-type": ARROW}).json()
    found = {(w["field"], w["warning"].partition(":")[0]): w["rows"] for w in tree["warnings"]}
    assert found == {
        ("age", "far outside what training saw"): 1,
        ("age", "could not be read, or means missing"): 1,
        ("age", "missing, as in no row of training"): 2,
        ("plan", "a category that training never saw"): 2,
        ("spend", "could not be read, or means missing"): 1,
    }
    careful = [PREDICTOR.raw_one(record)[0] for record in table.to_pylist()]
    assert tree["probability"]["yes"] == pytest.approx(careful, rel=1e-12)


def test_arrow_that_is_none(client):
    good = stream(pa.Table.from_pylist([RECORD]))
    for body in (b"\xff\xff\xff\xff", good[:50], good[: len(good) // 2], b"{}", b""):
        reply = client.request("POST", "/predict", body, {"content-type": ARROW})
        assert (reply.status, "Arrow" in reply.json()["error"]["message"]) == (422, True)
    lacking = client.request("POST", "/predict", stream(pa.table({"age": [1]})), {"content-type": ARROW})
    assert lacking.status == 422
    assert "plan" in lacking.json()["error"]["message"]
    doubled = pa.Table.from_arrays(
        [pa.array([1]), pa.array([1]), pa.array(["year"])], names=["age", "age", "plan"]
    )
    reply = client.request("POST", "/predict", stream(doubled), {"content-type": ARROW})
    assert (reply.status, "same name" in reply.body.decode()) == (422, True)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_streams_are_no_5xx(seed):
    rng = np.random.default_rng(seed)
    body = bytearray(stream(pa.Table.from_pylist(rows(4))))
    for _ in range(int(rng.integers(1, 6))):
        body[int(rng.integers(len(body)))] = int(rng.integers(256))
    reply = CLIENT.request("POST", "/predict", bytes(body), {"content-type": ARROW})
    assert reply.status in {200, 413, 422}, reply.body


CLIENT = Client(App(PREDICTOR))


def test_bulk_is_logged_row_by_row(tmp_path, client_of):
    app = App(PREDICTOR, log=PredictionLog(tmp_path), version="3")
    client = client_of(app)
    records = rows(12)
    by_columns = client.predict(as_columns(records)).json()
    table = pa.Table.from_pylist(records)
    by_arrow = client.request("POST", "/predict", stream(table), {"content-type": ARROW}).json()
    app.close()
    logged = {row["prediction_id"]: row for row in read_log(tmp_path).to_pylist()}
    assert set(logged) == {*by_columns["prediction_id"], *by_arrow["prediction_id"]}
    for record, id_, decision in zip(
        records, by_columns["prediction_id"], by_columns["prediction"], strict=True
    ):
        assert json.loads(logged[id_]["record"]) == record
        assert json.loads(logged[id_]["prediction"])["prediction"] == decision


def test_a_predictor_of_fakes_answers_columns_too(client_of):
    fake = make_fake()
    fake.verify_golden()
    record = {"age": 44, "plan": "year", "spend": 3.5}
    tree = client_of(App(fake)).predict(as_columns([record] * 3)).json()
    assert tree["probability"]["yes"] == pytest.approx([fake.predict_one(record)["probability"]["yes"]] * 3)
    assert [column.name for column in SCHEMA.features][:2] == ["age", "spend"]
