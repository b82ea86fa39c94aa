"""A run without a target, from the table to answers."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.errors import DataError, UsageError
from mlwright.lifecycle.predict import load, predict
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.reproduce import reproduce
from mlwright.lifecycle.retrain import retrain
from mlwright.lifecycle.run import run
from mlwright.lifecycle.verify import verify
from mlwright.serving.endpoint import Endpoint

ODD = 7  # a row whose age and plan no other row has together


def table(n=160):
    random = np.random.default_rng(4)
    young = random.random(n) < 0.5
    age = np.where(young, random.normal(25, 3, n), random.normal(60, 4, n))
    plan = np.where(young, "month", np.where(random.random(n) < 0.9, "year", "<b>&"))
    pay = age * 100 + random.normal(0, 200, n)
    age[ODD], pay[ODD] = 190.0, 0.0
    label = ["odd" if i == ODD else None if i % 3 else "fine" for i in range(n)]
    return pa.table({"age": age, "plan": plan, "pay": pay, "label": label})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("unlabelled") / "store"


@pytest.fixture(scope="module")
def anomaly(store):
    project = Project(name="odd", task_kind="anomaly", task_target="label", task_contamination=0.02)
    return run(table(), project=project, store=store)


@pytest.fixture(scope="module")
def cluster(store):
    return run(
        table(), project=Project(name="groups", task_kind="cluster", data_ignore=("label",)), store=store
    )


def test_the_odd_row_is_called_an_anomaly_and_told_why(anomaly, store):
    assert anomaly.alias == "champion"
    assert anomaly.task["threshold"] == 0.98
    assert anomaly.metric == "stability"
    record = {"age": 190.0, "plan": "month", "pay": 0.0}
    answer = load("odd", store=store).predict_one(record)
    assert answer["prediction"] == "anomaly"
    assert {why["column"] for why in answer["why"]} >= {"age", "pay"}
    assert {why["column"]: why["got"] for why in answer["why"]}["age"] == 190.0
    usual = load("odd", store=store).predict_one({"age": 25.0, "plan": "month", "pay": 2500.0})
    assert usual["prediction"] == "normal"
    assert usual["score"] < 0.9 < answer["score"] <= 1


def test_the_label_is_no_column_that_the_model_sees(anomaly, store):
    predictor = load("odd", store=store)
    assert [column.name for column in predictor.reader.columns] == ["age", "plan", "pay"]
    assert any("label" in line for line in anomaly.found)


def test_one_many_and_a_file_give_the_same_numbers(anomaly, store, tmp_path):
    predictor, rows = load("odd", store=store), table().drop_columns(["label"])
    one = [predictor.predict_one(row) for row in rows.to_pylist()]
    many = predictor.predict_many(rows.to_pylist())
    assert [a["score"] for a in many] == pytest.approx([a["score"] for a in one], abs=1e-12)
    assert [a["why"] for a in many] == [a["why"] for a in one]
    predict("odd", rows, tmp_path / "out.csv", store=store)
    with (tmp_path / "out.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["score"]) for row in written] == pytest.approx([a["score"] for a in one], abs=1e-9)
    assert [row["prediction"] for row in written] == [a["prediction"] for a in one]
    assert [bool(row["why"]) for row in written] == [a["prediction"] == "anomaly" for a in one]


@pytest.mark.parametrize("name", ["anomaly", "cluster"])
def test_it_can_be_made_again_byte_by_byte(name, store, request):
    made = request.getfixturevalue(name)
    assert reproduce(made.run_id, store=store).equal
    assert verify(made.bundle)["verified"]


def test_two_groups_are_found_and_told_in_words(cluster, store):
    assert cluster.alias == "champion"
    assert len(cluster.found) == 2
    predictor = load("groups", store=store)
    old = predictor.predict_one({"age": 61.0, "plan": "year", "pay": 6100.0})
    young = predictor.predict_one({"age": 24.0, "plan": "month", "pay": 2400.0})
    assert old["prediction"] != young["prediction"]
    assert {old["prediction"], young["prediction"]} == set(predictor.task.labels)
    assert min(old["score"], young["score"]) > 0.9
    told = {line.split(" (")[0]: line for line in cluster.found}
    assert "age high" in told[old["prediction"]] or "pay high" in told[old["prediction"]]
    assert old["why"][0]["says"].startswith(("typical of", "nearer to"))


@pytest.mark.parametrize("name", ["odd", "groups"])
def test_the_service_says_what_it_does(anomaly, cluster, store, name):
    endpoint = Endpoint(load(name, store=store), name=name, version="1")
    record = {"age": 25.0, "plan": "month", "pay": 2500.0}
    one = json.loads(endpoint.respond("/predict", json.dumps(record).encode()).body)
    assert {"prediction", "score", "why", "warnings", "prediction_id", "model", "version"} <= one.keys()
    columns = {key: [value] for key, value in record.items()}
    several = json.loads(endpoint.respond("/predict", json.dumps(columns).encode()).body)
    assert several["prediction"] == [one["prediction"]]
    schema = json.loads(endpoint.respond("/schema").body)
    assert one["prediction"] in schema["output"]["labels"]
    answer = json.loads(endpoint.respond("/openapi.json").body)["components"]["schemas"]["Answer"]
    assert set(answer["required"]) <= one.keys()
    assert one["prediction"] in answer["properties"]["prediction"]["enum"]


@pytest.mark.parametrize("name", ["anomaly", "cluster"])
def test_the_report_holds_no_mark_from_the_data(name, request):
    page = request.getfixturevalue(name).report.read_text()
    assert "<b>&" not in page.replace("&lt;b&gt;&amp;", "")
    assert "principal component analysis" in page
    assert "<script" not in page
    assert (request.getfixturevalue(name).bundle / "card.md").read_text().startswith("# Model card")


def test_a_challenger_without_a_label_is_left_to_people(cluster, store):
    again = retrain("groups", table(400), store=store)
    assert again.alias == "challenger"
    assert "--force" in again.gate["reason"]
    assert "adjusted Rand index" in again.gate["reason"]


def test_nothing_to_learn_from_is_said(store):
    flat = pa.table({"a": [1.0] * 20, "b": ["x"] * 20})
    with pytest.raises(DataError, match="nothing to learn from"):
        run(flat, project=Project(name="flat", task_kind="anomaly"), store=store)
    with pytest.raises(UsageError, match="no metric"):
        run(table(), project=Project(name="flat", task_kind="anomaly", task_metric="rmse"), store=store)
