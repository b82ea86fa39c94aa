"""A model that is split by group knows the groups that it has seen, in every path, and no others."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from commands import command

import mlwright
from mlwright.core.clock import Deadline
from mlwright.core.errors import BundleContentError
from mlwright.evaluate.known_groups_gain import KnownGroupsGain
from mlwright.lifecycle.build import build
from mlwright.lifecycle.equality import prove_equal
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.serving import Predictor
from mlwright.sklearn import AutoClassifier, AutoRegressor


def shops(n_groups=40, n_rows=12, *, deviation=4.0, seed=0):
    """Return sales whose shops differ by `deviation`, and each shop's own."""
    random = np.random.default_rng(seed)
    shop = np.repeat(np.arange(n_groups), n_rows)
    own = random.normal(scale=deviation, size=n_groups)
    size = random.normal(size=len(shop))
    paid = 20.0 + 2.0 * size + own[shop] + random.normal(scale=0.5, size=len(shop))
    return pa.table({"shop": [f"shop {i}" for i in shop.tolist()], "size": size, "paid": paid}), own


def made(table, again=None, **settings):
    """Build; with `again`, from the trials and choices of an earlier study, which then no clock can alter."""
    told = {
        "task_target": "paid",
        "task_kind": "regression",
        "data_group": "shop",
        "task_trials": 4,
        **settings,
    }
    project = Project(name="shops", task_budget="20s", **told)
    prepared = prepare(table, project)
    recorded = {} if again is None else {"replay": again.results, "choices": again.choices}
    return build(prepared, project, Deadline(20), lineage={}, rough=True, **recorded)


@pytest.fixture(scope="module")
def sold():
    table, own = shops()
    built = made(table, task_holdout=0.0)
    return built, Predictor.from_contents(built.contents), own


def test_known_shops_get_their_own_answer_and_others_the_usual_one(sold):
    _, predictor, own = sold
    usual = predictor.predict_one({"size": 0.5})["prediction"]
    for stranger in ({"shop": "shop 99"}, {"shop": None}):
        answer = predictor.predict_one({"size": 0.5, **stranger})
        assert (answer["prediction"], answer["warnings"]) == (usual, [])
    known = [predictor.predict_one({"size": 0.5, "shop": f"shop {i}"})["prediction"] for i in range(40)]
    assert np.sqrt(np.mean((np.array(known) - 21.0 - own) ** 2)) < 0.5  # 4.0 without
    assert usual == pytest.approx(21.0, abs=3.0)


def test_it_is_proven_equal_in_all_paths(sold):
    built, predictor, _ = sold
    predicted, columns, records = built.proof
    assert "shop" in columns
    assert "shop" in records[0]
    assert prove_equal(predictor, built.study.plans, predicted, columns, records) == len(records)
    assert predictor.verify_golden() == len(predictor.golden) > 0


def test_the_run_says_what_is_known_and_the_reference_does_not_watch_it(sold):
    built, predictor, _ = sold
    (gain,) = (part for part in built.parts if isinstance(part, KnownGroupsGain))
    assert gain.n_groups == 40
    assert gain.after < 0.5 * gain.before
    said = gain.sentence()
    assert f"{gain.after:.4g}" in said
    assert built.in_words["lead"].endswith(said)
    for page in ("card.md", "report.html"):
        assert "Of 40 that it knows" in built.contents.documents[page].decode()
    assert "shop" not in built.contents.reference["columns"]
    assert not predictor.schema["shop"].required


@pytest.mark.parametrize("view", ["native", "nowhere"])
def test_an_offset_that_names_another_view_is_refused(sold, view):
    built, _, _ = sold
    torn = replace(built.contents, offset={**built.contents.offset, "view": view})
    with pytest.raises(BundleContentError):  # at the latest, its golden records do not come out
        Predictor.from_contents(torn).verify_golden()


def test_an_explanation_gives_the_shop_its_part(sold, tmp_path):
    built, predictor, own = sold
    mlwright.bundle.write(built.contents, tmp_path / "bundle")
    best = int(own.argmax())
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"size": 0.5, "shop": f"shop {best}"}))
    told = json.loads(
        command("explain", str(tmp_path / "bundle"), str(record), "--json", folder=tmp_path).stdout
    )
    gain = predictor.predict_one({"size": 0.5, "shop": f"shop {best}"})["prediction"]
    gain -= predictor.predict_one({"size": 0.5})["prediction"]
    assert told["whole"]["contributions"]["shop"] == pytest.approx(gain, abs=1e-9)
    assert told["contributions"]["shop"] == pytest.approx(gain, abs=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"task_known_groups": False}, {"data_pii": ("shop",)}, {"task_metric": "mae"}, {"task_split": "random"}],
    ids=str,
)
def test_nothing_is_kept_where_it_should_not_be(settings):
    table, _ = shops()
    built = made(table, **settings)
    assert built.contents.offset is None
    assert not any(isinstance(part, KnownGroupsGain) for part in built.parts)


def test_numbers_stay_near_those_of_training_unless_time_goes_on():
    table, _ = shops()
    paid = table["paid"].to_numpy()
    low, high = Predictor.from_contents(made(table, task_holdout=0.0).contents).ensemble.bounds
    assert (low, high) == pytest.approx((paid.min() - 0.1 * np.ptp(paid), paid.max() + 0.1 * np.ptp(paid)))
    days = table.append_column("day", pa.array(np.arange(table.num_rows)))
    assert made(days, data_group=None, data_time="day").contents.bounds is None
    large = table.drop_columns("paid").append_column("large", pa.array(paid > 20))
    assert made(large, task_target="large", task_kind="binary").contents.bounds is None


def test_nothing_is_kept_of_shops_that_are_alike():
    table, _ = shops(deviation=0.0)
    assert made(table).contents.offset is None


def test_the_test_rows_are_of_shops_that_nobody_has_seen():
    table, _ = shops()
    with_groups = made(table)
    without = made(table, again=with_groups.study, task_known_groups=False)
    assert with_groups.contents.offset is not None
    assert with_groups.evaluation.score == without.evaluation.score


def test_estimators_know_them_too():
    table, own = shops()
    frame = table.to_pandas()
    X, y = frame[["shop", "size"]].rename(columns={"shop": "shop_id"}), frame["paid"].to_numpy()
    model = AutoRegressor(budget_s=20, n_trials=4, random_state=0).fit(X, y)
    new = X.iloc[::12].assign(size=0.0)
    assert np.sqrt(np.mean((model.predict(new) - 20.0 - own) ** 2)) < 0.5
    chosen = AutoClassifier(budget_s=20, n_trials=4, random_state=0).fit(
        X, np.where(y > 20, "much", "little")
    )
    shares = chosen.predict_proba(new)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert ((shares[:, 1] > 0.5) == (own > 0)).mean() > 0.85
