import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, BundleKindError
from mlwright.metrics import get
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.ensemble import Ensemble, Member, greedy_weights
from mlwright.models.lightgbm import LightGBM
from mlwright.models.linear import Linear
from mlwright.testing.models import TASKS, training

BINARY, MULTICLASS, REGRESSION = TASKS


def blend(task, links=("identity", "identity", "identity")):
    X, y = training(task)
    y = np.abs(y)
    members = []
    for model, weight, view, link in zip(
        (LightGBM(), CatBoost(depth=3), Linear()), (3.0, 2.0, 1.0), ("raw", "raw", "half"), links, strict=True
    ):
        target = np.log1p(y) if link == "log" else y
        own = X if view == "raw" else X[:, :2].copy()
        members.append(Member(view, model.fit(own, target, FitContext(task, n_iterations=8)), weight, link))
    return Ensemble(members), {"raw": X, "half": X[:, :2].copy()}


@pytest.mark.parametrize(
    ("task", "links"),
    [(BINARY, ("identity",) * 3), (MULTICLASS, ("identity",) * 3), (REGRESSION, ("log", "identity", "log"))],
    ids=["binary", "multiclass", "regression"],
)
def test_it_is_the_weighted_mean(task, links):
    ensemble, views = blend(task, links)
    parts = []
    for member in ensemble.members:
        values = member.model.predict(views[member.view])
        parts.append(np.maximum(np.exp(values) - 1, 0) if member.link == "log" else values)
    got = ensemble.predict(views)
    np.testing.assert_allclose(got, np.average(parts, axis=0, weights=[3, 2, 1]), rtol=1e-12)
    for i in range(30):
        alone = ensemble.predict_row({view: X[i] for view, X in views.items()})
        np.testing.assert_allclose(alone, got[i], rtol=1e-12, atol=1e-12)
    assert ensemble.views == ["raw", "half"]


def test_states_round_trip():
    ensemble, views = blend(REGRESSION, ("log", "identity", "log"))
    again = Ensemble.from_states(ensemble.states(), ensemble.places())
    assert again.predict(views).tobytes() == ensemble.predict(views).tobytes()
    assert [place["view"] for place in ensemble.places()] == ["raw", "raw", "half"]


@pytest.mark.parametrize(
    "member",
    [
        None,
        {"view": "raw", "weight": 1.0},
        {"view": 3, "weight": 1.0, "link": "identity"},
        {"view": "raw", "weight": -1.0, "link": "identity"},
        {"view": "raw", "weight": True, "link": "identity"},
        {"view": "raw", "weight": float("inf"), "link": "identity"},
        {"view": "raw", "weight": 0.0, "link": "identity"},
        {"view": "raw", "weight": 1.0, "link": "exp"},
        {"view": "raw", "weight": 1.0, "link": ["log"]},
    ],
)
def test_malformed_members_are_refused(member):
    X, y = training(BINARY)
    state = Linear().fit(X, y, FitContext(BINARY)).state()
    with pytest.raises(BundleContentError):
        Ensemble.from_states([state], [member])


def test_unknown_kinds_and_mixed_outputs_are_refused():
    one, two = blend(BINARY)[0].states(), blend(MULTICLASS)[0].states()
    place = {"view": "raw", "weight": 1.0, "link": "identity"}
    with pytest.raises(BundleContentError, match="number of outputs"):
        Ensemble.from_states([one[2], two[2]], [place, place])
    with pytest.raises(BundleContentError, match="at least one"):
        Ensemble.from_states([], [])
    with pytest.raises(BundleKindError):
        Ensemble.from_states([State({**one[2].tree, "kind": "os:system"}, one[2].arrays)], [place])
    with pytest.raises(BundleContentError, match="1 models, 2 places"):
        Ensemble.from_states([one[2]], [place, place])


def test_the_greedy_choice_finds_the_best_mix():
    random = np.random.default_rng(0)
    y = random.normal(size=4000)
    noise = random.normal(size=(4000, 3))
    good, other, bad = (y[:, None] + noise[:, i : i + 1] * s for i, s in enumerate((1.0, 1.0, 5.0)))
    weights = greedy_weights(y, [good, other, bad], get("rmse"))
    assert sum(weights) == pytest.approx(1)
    assert weights[0] == pytest.approx(0.5, abs=0.06)  # independent errors of equal size weigh the same
    assert weights[2] < 0.08


def test_ties_go_to_the_first_and_bad_rows_do_not_count():
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    p = np.array([[0.1], [0.7], [0.6], [0.4], [0.9]])
    assert greedy_weights(y, [p, p.copy()], get("log_loss")) == [1.0, 0.0]
    wrong, missing = 1 - p, p.copy()
    missing[0] = np.nan
    assert greedy_weights(y, [wrong, missing], get("log_loss")) == [0.0, 1.0]
    only = np.zeros(5, dtype=bool)
    only[0] = True
    with pytest.raises(ValueError, match="no row"):
        greedy_weights(y, [wrong, missing], get("log_loss"), mask=only)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["rmse", "mae", "r2"]))
def test_the_mix_is_never_worse_than_the_best_alone(seed, name):
    random = np.random.default_rng(seed)
    y = random.normal(size=30)
    candidates = [y[:, None] + random.normal(size=(30, 1)) * s for s in (0.5, 1, 2)]
    metric = get(name)
    weights = greedy_weights(y, candidates, metric, n_steps=10)
    mixed = sum(w * c for w, c in zip(weights, candidates, strict=True))
    assert metric.gain(y, mixed) >= max(metric.gain(y, c) for c in candidates) - 1e-12
