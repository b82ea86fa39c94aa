"""Why a trained model predicts what it does, through the command line and in Python."""

from __future__ import annotations

import json
import math

import pytest
from commands import command

import mlwright
from mlwright.cli.explained import explained
from mlwright.core.errors import RecordError, UsageError
from mlwright.lifecycle.explain import Explanation, explain


def test_a_prediction_is_explained(made, tmp_path):
    predictor = mlwright.load(made.printed["bundle"])
    record = predictor.golden[0]["record"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    told = json.loads(command("explain", "churn", str(path), "--json", folder=made.folder).stdout)
    answer = predictor.predict_one(record)
    assert {key: told[key] for key in answer} == answer
    assert 0 < told["share"] <= 1
    assert told["scale"] == "log-odds"
    assert told["label"] == predictor.task.labels[1]
    assert told["expected"] + math.fsum(told["contributions"].values()) == pytest.approx(
        told["margin"], abs=1e-6
    )
    sizes = [abs(size) for size in told["contributions"].values()]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0
    assert set(told["contributions"]) <= set(predictor.schema.names)
    members = predictor.ensemble.members
    assert len(told["explained"]) + len(told["left_out"]) == sum(member.weight > 0 for member in members)
    spoken = command("explain", "churn", str(path), folder=made.folder).stdout
    assert next(iter(told["contributions"])) in spoken
    assert max(map(len, spoken.splitlines())) <= 80


@pytest.mark.parametrize("text", ["[1]", "{", "7"])
def test_a_file_that_holds_no_record_is_named(made, tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match=r"record|r\.json"):
        explain(made.printed["bundle"], tmp_path / "r.json")


def test_what_cannot_be_explained_is_an_error(made, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        explain(made.printed["bundle"], tmp_path / "none.json")
    with pytest.raises(RecordError):
        explain(made.printed["bundle"], {"tenure": "many"})


def test_bars_are_as_long_as_contributions_are_large():
    sizes = {"tenure": -2.0, "a column with quite a long name": 1.0, "none": 0.0}
    output = {"label": "Yes", "margin": -0.5, "expected": 0.5, "contributions": sizes}
    answer = {"prediction": "No", "probability": {"No": 0.6, "Yes": 0.4}, "warnings": []}
    found = Explanation(
        *(
            "churn",
            "",
            answer,
            {"tenure": 3},
            "log-odds",
            0.6,
            ("lightgbm", "linear"),
            ("mlp",),
            "Yes",
            (output,),
        )
    )
    lines = explained(found).splitlines()
    assert lines[0] == 'churn predicts "No"'
    (first,) = (line for line in lines if line.split()[:1] == ["tenure"])
    (second,) = (line for line in lines if "quite" in line)
    assert (first.count("-") - 1, second.count("+") - 1) == (24, 12)
    assert first.split()[1:3] == ["3", "-2.0000"]
    assert "60.0% of the blend is explained; left out: mlp" in lines[-1]
    assert max(map(len, lines)) <= 80
