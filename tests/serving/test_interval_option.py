"""Intervals and sets in answers: the same by every way, and words where there are none."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from real_predictors import BINARY, MULTI, REGRESSION, build, rows
from serving_fakes import Client

from mlwright.core.errors import UsageError
from mlwright.models.conformal import Residuals, Sets
from mlwright.serving import App
from mlwright.serving.interval import TellInterval

JSON = {"content-type": "application/json"}


def having(task):
    predictor = build(task)
    predictor.conformal = (
        Residuals(0.9, np.array([0.0, 50.0]), np.array([1.0, 4.0]), -1.5, 2.5)
        if task is REGRESSION
        else Sets(0.9, np.linspace(0.3, 0.45, len(task.labels)))
    )
    return predictor


PREDICTORS = {str(task.kind): having(task) for task in (BINARY, MULTI, REGRESSION)}


def ask(client, value, query="interval=true"):
    return client.request("POST", f"/predict?{query}", json.dumps(value).encode(), JSON)


@pytest.mark.parametrize("kind", PREDICTORS)
def test_every_way_tells_the_same(kind):
    predictor = PREDICTORS[kind]
    client, records = Client(App(predictor)), rows(60, seed=5)
    alone = [predictor.predict_one(record, interval=True) for record in records]
    assert [{k: v for k, v in one.items() if k != "interval"} for one in alone] == [
        predictor.predict_one(record) for record in records
    ]
    told = [one["interval"] for one in alone]
    assert len({json.dumps(one) for one in told}) > 1
    together = predictor.predict(records, interval=True)
    served = ask(client, records).json()
    names = {name for record in records for name in record}
    spread = ask(client, {name: [record[name] for record in records] for name in names}).json()["interval"]
    for others in ([one["interval"] for one in together], [one["interval"] for one in served], spread):
        for one, other in zip(told, others, strict=True):
            assert one.keys() == other.keys()
            if kind == "regression":
                assert [other["low"], other["high"]] == pytest.approx([one["low"], one["high"]], rel=1e-9)
            else:
                assert other == one
    table = predictor.predict(pa.Table.from_pylist(records), interval=True)
    frame = predictor.predict(pd.DataFrame(records), interval=True)
    if kind == "regression":
        np.testing.assert_allclose(table["interval_low"].to_numpy(), [one["low"] for one in told], rtol=1e-9)
        np.testing.assert_allclose(frame["interval_high"], [one["high"] for one in told], rtol=1e-9)
    else:
        for label in predictor.task.labels:
            inside = [label in one["set"] for one in told]
            assert table[f"in_set_{label}"].to_pylist() == frame[f"in_set_{label}"].tolist() == inside
    plain = predictor.predict(pa.Table.from_pylist(records))
    assert table.select(plain.column_names).equals(plain)


@pytest.mark.parametrize("kind", PREDICTORS)
def test_an_answer_keeps_its_schema(kind):
    client = Client(App(PREDICTORS[kind]))
    document = client.request("GET", "/openapi.json").json()
    offered = client.request("GET", "/schema").json()["options"]
    assert {option["name"] for option in offered} == {"explain", "interval"}
    text = json.dumps(document)
    assert "interval" in text
    told = ask(client, rows(1)[0]).json()["interval"]
    jsonschema.validate(told, TellInterval().schema(PREDICTORS[kind]))


def test_a_bundle_without_says_so():
    predictor = build(BINARY)
    reply = ask(Client(App(predictor)), rows(1)[0])
    assert reply.status == 400
    assert "no intervals" in reply.json()["error"]["message"]
    for call in (
        lambda: predictor.predict_one(rows(1)[0], interval=True),
        lambda: predictor.predict(rows(2), interval=True),
        lambda: predictor.predict(pa.Table.from_pylist(rows(2)), interval=True),
    ):
        with pytest.raises(UsageError, match="no intervals"):
            call()
    assert predictor.predict([], interval=True) == []
