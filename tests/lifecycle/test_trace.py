"""From a prediction's id back to how it came about."""

from __future__ import annotations

import json

import pytest
from commands import command

import mlwright
from mlwright.serving import App, PredictionLog
from mlwright.serving.log_reading import find_prediction


def test_a_prediction_is_traced_to_its_parts(copied):
    predictor = mlwright.load(copied.printed["bundle"])
    log = PredictionLog(copied.folder / ".mlwright" / "log")
    app = App(predictor, name="churn", version="1", log=log)
    record = predictor.golden[0]["record"]
    response = app.endpoint.respond("/predict", json.dumps(record).encode())
    assert response.status == 200
    answer = json.loads(response.body)
    app.close()
    done = command("trace", answer["prediction_id"], "--json", folder=copied.folder)
    told = json.loads(done.stdout)
    assert told["record"] == record
    assert told["prediction"] == {key: answer[key] for key in ("prediction", "probability")}
    assert (told["model"], told["version"], told["sha256"]) == ("churn", "1", predictor.sha256)
    assert (told["reproduced"], told["masked"]) == (True, [])
    assert told["run"] == copied.printed["run_id"]
    assert told["data"] == predictor.manifest["lineage"]["data"]
    for view, row in predictor.rows(record).items():
        numbers = [v for v in row.tolist() if v == v]
        assert [v for v in told["features"][view].values() if v is not None] == pytest.approx(numbers)
    assert sum(part["share"] for part in told["parts"]) == pytest.approx(1.0)
    spoken = command("trace", answer["prediction_id"], folder=copied.folder).stdout
    assert "gives the same answer again" in spoken
    unknown = command("trace", "f" * 32, "--json", folder=copied.folder, check=False)
    assert unknown.returncode == 1
    assert command("trace", "x", folder=copied.folder, check=False).returncode == 2
    command("gc", folder=copied.folder)
    assert not list((copied.folder / ".mlwright" / "log").rglob("*.frames"))
    assert find_prediction(copied.folder / ".mlwright" / "log", answer["prediction_id"])["record"] == record
