"""Why a trained model predicts what it does, through the command line and in Python."""

from __future__ import annotations

import json
import math

import pytest
from commands import command

import mlwright
from customers import write
from mlwright import bundle
from mlwright.cli.alternatives import ways
from mlwright.cli.explained import explained
from mlwright.cli.main import main
from mlwright.core.clock import Deadline
from mlwright.core.errors import RecordError, UsageError
from mlwright.data.schema import Column, Kind
from mlwright.lifecycle.build import build
from mlwright.lifecycle.counterfactual import _sent, counterfactuals
from mlwright.lifecycle.explain import Explanation, Whole, explain
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.what_if import what_if


def test_a_prediction_is_explained(made, tmp_path):
    predictor = mlwright.load(made.printed["bundle"])
    record = predictor.golden[0]["record"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    told = json.loads(command("explain", "churn", str(path), "--json", folder=made.folder).stdout)
    answer = predictor.predict_one(record)
    assert {key: told[key] for key in answer} == answer
    whole = told["whole"]
    assert (whole["unit"], whole["label"]) == ("probability", predictor.task.labels[1])
    assert whole["answer"] == pytest.approx(answer["probability"]["Yes"], abs=1e-12)
    assert whole["base"] + math.fsum(whole["contributions"].values()) == pytest.approx(
        whole["answer"], abs=1e-9
    )
    assert whole["exact"] == (max(whole["standard_errors"].values()) == 0)
    parts = [abs(size) for size in whole["contributions"].values()]
    assert parts == sorted(parts, reverse=True)
    assert 0 < told["share"] <= 1
    assert told["scale"] == "log-odds"
    assert told["label"] == predictor.task.labels[1]
    assert told["expected"] + math.fsum(told["contributions"].values()) == pytest.approx(
        told["margin"], abs=1e-6
    )
    ties = predictor.reference["association"]
    assert set(ties["columns"]) == {column.name for column in predictor.schema.features}
    assert set(ties["order"]["contract"]) == {"monthly", "one year", "two years"}
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
    sizes = {"tenure": -0.2, "a column with quite a long name": 0.1, "none": 0.0}
    told = {"label": "Yes", "answer": 0.4, "base": 0.5, "contributions": sizes}
    whole = Whole(
        "probability", "churn", ({**told, "standard_errors": dict.fromkeys(sizes, 0.01)},), False, 32, 99
    )
    output = {"label": "Yes", "margin": -0.5, "expected": 0.5, "contributions": sizes}
    answer = {"prediction": "No", "probability": {"No": 0.6, "Yes": 0.4}, "warnings": []}
    found = Explanation(
        *("churn", "", answer, {"tenure": 3}, "log-odds", 0.6, ("lightgbm", "linear"), ("mlp", "mlp"), "Yes"),
        (output,),
        whole,
    )
    lines = explained(found).splitlines()
    assert lines[0] == 'churn predicts "No"'
    (first,) = (line for line in lines if line.split()[:1] == ["tenure"])
    (second,) = (line for line in lines if "quite" in line)
    assert (first.count("-") - 1, second.count("+") - 1) == (22, 11)
    assert first.split()[1:3] == ["3", "-20.00"]
    assert "from 50.00 for made-up records" in lines[5]
    assert "standard errors up to 1.00" in lines
    assert "60.0% of the blend (lightgbm, linear; without 2 mlp)" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def record_of(made, tmp_path):
    """A record that is nearly called the other class, and its file."""
    predictor = mlwright.load(made.printed["bundle"])
    chances = [row["prediction"]["probability"]["Yes"] for row in predictor.golden]
    record = predictor.golden[min(range(len(chances)), key=lambda i: abs(chances[i] - 0.5))]["record"]
    (tmp_path / "record.json").write_text(json.dumps(record))
    return predictor, record, tmp_path / "record.json"


def test_what_if_shows_both_answers_and_what_each_change_makes(made, tmp_path):
    predictor, record, path = record_of(made, tmp_path)
    words = ["--set", "tenure=71", "--set", "contract=two years"]
    told = json.loads(command("explain", "churn", path, *words, "--json", folder=made.folder).stdout)
    changed = {**record, "tenure": 71, "contract": "two years"}
    assert told["before"] == predictor.predict_one(record)
    assert told["after"] == predictor.predict_one(changed)
    assert told["changes"]["tenure"] == {"from": record["tenure"], "to": 71}
    apart = told["after"]["probability"]["Yes"] - told["before"]["probability"]["Yes"]
    assert told["difference"] == pytest.approx(apart, abs=1e-9)
    assert math.fsum(told["contributions"].values()) == pytest.approx(apart, abs=1e-9)
    assert told["exact"]
    assert set(told["contributions"]) == {"tenure", "contract"}
    one = predictor.predict_one({**record, "tenure": 71})["probability"]["Yes"]
    two = predictor.predict_one({**record, "contract": "two years"})["probability"]["Yes"]
    before, after = (told[when]["probability"]["Yes"] for when in ("before", "after"))
    assert told["contributions"]["tenure"] == pytest.approx((one - before + after - two) / 2, abs=1e-9)
    spoken = command("explain", "churn", path, *words, folder=made.folder).stdout
    assert f"tenure: {record['tenure']} -> 71" in spoken
    assert what_if(made.printed["bundle"], record, {"tenure": 71}).difference == pytest.approx(one - before)


def test_counterfactuals_change_the_decision_of_the_row_path(made, tmp_path):
    predictor, record, path = record_of(made, tmp_path)
    told = json.loads(
        command(
            "explain", "churn", path, "--counterfactual", "--keep", "signed", "--json", folder=made.folder
        ).stdout
    )
    assert told["found"]
    assert told["kept"] == ["signed"]
    for one in told["found"]:
        new = {**record, **{name: change["to"] for name, change in one["changes"].items()}}
        answer = predictor.predict_one(new)
        assert answer == one["after"]
        assert answer["prediction"] == told["goal"] != told["before"]["prediction"]
        assert not answer["warnings"]
        assert all(record[name] == change["from"] for name, change in one["changes"].items())
    spoken = command("explain", "churn", path, "--counterfactual", folder=made.folder).stdout
    assert "found that give" in " ".join(spoken.split())
    assert max(map(len, spoken.splitlines())) <= 80
    names = predictor.schema.names
    none = counterfactuals(made.printed["bundle"], record, keep=names)
    assert (none.found, none.movable) == ((), ())
    assert "That none exists is not proven" in " ".join(ways(none).split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "tenure"], "COLUMN=VALUE"),
        (["--set", "tenur=3"], "no such column"),
        (["--set", "tenure=3", "--counterfactual"], "two questions"),
        (["--keep", "tenure"], "belong to --counterfactual"),
        (["--counterfactual", "--keep", "tenur"], "no such column"),
        (["--counterfactual", "--goal", "Maybe"], "no class of the model"),
        (["--set", "tenure=many"], "cannot be read as a number"),
    ],
)
def test_wrong_questions_are_errors_in_words(made, tmp_path, capsys, words, said):
    _, _, path = record_of(made, tmp_path)
    assert main(["explain", made.printed["bundle"], str(path), *words]) in (1, 2)
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("kind", "dtype", "before", "cell", "sent"),
    [
        (Kind.BOOLEAN, "bool", False, 1.0, True),
        (Kind.BOOLEAN, "int", 0, 1.0, 1),
        (Kind.BOOLEAN, "str", "no", 1.0, True),
        (Kind.NUMERIC, "int", 3, 4.0, 4),
        (Kind.NUMERIC, "float", 3.0, 4.0, 4.0),
        (Kind.CATEGORICAL, "str", "a", "b", "b"),
    ],
)
def test_changes_are_told_as_a_client_sends_them(kind, dtype, before, cell, sent):
    told = _sent(Column("x", kind, dtype=dtype), cell, before)
    assert told == sent
    assert type(told) is type(sent)


def test_a_number_is_moved_across_a_goal(tmp_path):
    source = write(tmp_path / "customers.csv", n=300)
    project = Project(task_target="charges", name="pay", task_trials=2)
    built = build(prepare(mlwright.read(source), project), project, Deadline(20.0), lineage={"data": "none"})
    path = tmp_path / "bundle"
    bundle.write(built.contents, path)
    predictor = mlwright.load(path)
    record = predictor.golden[0]["record"]
    now = predictor.predict_one(record)["prediction"]
    for goal in (now * 1.02, now * 0.98):
        found = counterfactuals(path, record, goal=goal)
        for one in found.found:
            got = predictor.predict_one({**record, **one.changes})["prediction"]
            assert got == one.answer["prediction"]
            assert got >= goal if goal > now else got <= goal
        assert max(map(len, ways(found).splitlines())) <= 80
    for wrong in (None, "much", now):
        with pytest.raises(UsageError, match="goal"):
            counterfactuals(path, record, goal=wrong)
    told = explain(path, record)
    assert told.whole.unit == "value"
    assert told.shown["label"] is None
    assert "charges" in explained(told)
