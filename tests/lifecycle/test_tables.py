"""Tables as they come: rare classes, gaps in the target, rows of one thing, dates in parts. Each runs end to end."""

import argparse
import math

import numpy as np
import pyarrow as pa
import pytest

import mlwright
from mlwright.cli import show
from mlwright.core.errors import RefusedError

N = 400
DRAW = np.random.default_rng(0)
X = {f"x{i}": DRAW.normal(size=N) for i in range(4)}
SIGNAL = X["x0"] + 0.5 * X["x1"] + DRAW.normal(scale=0.3, size=N)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for all tables of this file."""
    return tmp_path_factory.mktemp("tables") / ".mlwright"


def proven(table, target, store, **options):
    """Run, replay, and ask for records one by one and as a table."""
    done = mlwright.run(table, target, budget="30s", trials=4, store=store, **options)
    assert math.isfinite(done.test_score)
    assert all(math.isfinite(baseline["score"]) for baseline in done.baselines.values())
    again = mlwright.reproduce(done.run_id, store=store)
    assert again.sha256 == done.sha256
    model = mlwright.load(done.bundle)
    asked = table.drop_columns([target]).slice(0, 12)
    together = model.predict(asked).to_pylist()
    for record, answer in zip(asked.to_pylist(), together, strict=True):
        one = model.predict_one(record)["prediction"]
        assert one == (answer["prediction"] if isinstance(one, str) else pytest.approx(answer["prediction"]))
    return done, model


def test_rare_classes_cost_nobody_a_fold(store):
    names = np.where(SIGNAL > 0.4, "high", np.where(SIGNAL < -0.4, "low", "mid")).tolist()
    names[:2], names[2:4], names[4:14] = ["rare"] * 2, ["once", "alone"], [None] * 10
    done, model = proven(pa.table({**X, "y": names}), "y", store)
    assert set(model.task.labels) == {"high", "low", "mid", "rare", "once", "alone"}
    assert done.split["n_folds"] == 8
    assert done.split["n_train"] + done.split["n_test"] == N - 10
    assert any("10 of 400 rows have no 'y'" in note for note in done.notes)
    assert done.test_score < done.baselines["dummy"]["score"]


def test_a_number_with_gaps_is_learned_from_the_other_rows_and_comes_again_bit_by_bit(store):
    wide = {f"w{i}": DRAW.normal(size=N) for i in range(40)}
    y = np.where(np.arange(N) % 7 == 0, np.nan, SIGNAL)
    done, _ = proven(pa.table({**X, **wide, "y": pa.array(y, from_pandas=True)}), "y", store)
    assert done.split["n_train"] + done.split["n_test"] == np.isfinite(y).sum()
    assert done.test_score < done.baselines["dummy"]["score"]


def test_rows_of_one_thing_stay_together_and_its_name_is_not_learned_by_heart(store):
    person = np.arange(N) // 8
    outcome = np.where(DRAW.random(N // 8) < 0.5, "well", "ill")[person]  # one outcome a person
    done, model = proven(pa.table({"id": person + 100, **X, "y": outcome}), "y", store)
    assert (done.split["kind"], done.split["column"]) == ("group", "id")
    assert not [finding for finding in done.findings if finding["severity"] == "stop"]
    assert model.schema["id"].role == "group"
    record = dict.fromkeys(X, 0.5)
    assert model.predict_one(record) == model.predict_one({"id": 999, **record})


def test_classes_come_and_go_with_the_time(store):
    names = np.where(SIGNAL > 0, "a", "b").astype(object)
    names[: N // 4 : 5], names[-N // 20 :: 3] = "early", "late"
    done, _ = proven(pa.table({"day": np.arange(N) // 2, **X, "y": names}), "y", store)
    assert (done.split["kind"], done.split["column"]) == ("time", "day")


def test_a_total_of_two_columns_is_refused_and_may_be_accepted(store):
    casual, registered = DRAW.integers(0, 90, N), DRAW.integers(0, 900, N)
    table = pa.table({**X, "casual": casual, "registered": registered, "bikers": casual + registered})
    with pytest.raises(RefusedError, match="leak:casual"):
        mlwright.run(table, "bikers", budget="6s", store=store)


def test_what_was_sampled_is_told_wherever_a_run_is_told_of(store, monkeypatch, capsys):
    monkeypatch.setattr("mlwright.lifecycle.build._FEWEST_SEARCHED", 100)
    monkeypatch.setattr("mlwright.lifecycle.build._CELLS_A_SECOND", 1)
    done, _ = proven(pa.table({**X, "y": SIGNAL}), "y", store)
    said = [note for note in done.notes if "random sample of 100 of the" in note]
    assert len(said) == 1
    assert said[0] in done.report.read_text()
    assert said[0] in done.to_json()["notes"]
    show.result(done, argparse.Namespace(json=False), "")
    assert "random sample of 100 of the" in " ".join(capsys.readouterr().out.split())
