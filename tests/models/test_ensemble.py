import numpy as np
import pytest

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, BundleKindError
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.ensemble import Ensemble, Member, weighted_mean
from mlwright.models.lightgbm import LightGBM
from mlwright.models.linear import Linear
from mlwright.testing.models import TASKS, training

BINARY, MULTICLASS, REGRESSION = TASKS[:3]


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


def faded(values, weights, low, high):
    """What `weighted_mean` says of one row, step by step."""
    values = [min(max(value, low), high) for value in values]
    edge = (high - low) / 12
    says = [w * min(1.0, (v - low) / edge, (high - v) / edge) for v, w in zip(values, weights, strict=True)]
    if sum(says) == 0.0:
        says = weights
    return sum(v * say for v, say in zip(values, says, strict=True)) / sum(says)


def test_no_member_goes_beyond_the_bounds_and_near_them_it_counts_less():
    """A line, and more so one through logarithms, says anything of a row that is unlike all others."""
    ensemble, views = blend(REGRESSION, ("identity", "identity", "log"))
    low, high = 0.5, 2.0
    bounded = Ensemble(ensemble.members, bounds=(low, high))
    far = {view: X * 100 for view, X in views.items()}
    for matrices in (views, far):
        parts = []
        for member in ensemble.members:
            values = member.model.predict(matrices[member.view])
            parts.append(np.expm1(values) if member.link == "log" else values)
        expected = [[faded(row, [3 / 6, 2 / 6, 1 / 6], low, high)] for row in np.hstack(parts).tolist()]
        got = bounded.predict(matrices)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        for i in range(30):
            alone = bounded.predict_row({view: X[i] for view, X in matrices.items()})
            np.testing.assert_allclose(alone, got[i], rtol=1e-12)
    assert ensemble.predict(far).max() > 10 * high
    assert bounded.predict(far).max() <= high
    single = Ensemble(ensemble.members[2:], bounds=(low, high))
    assert single.predict_row({"half": far["half"][0]})[0] in (low, high)
    again = Ensemble.from_states(ensemble.states(), ensemble.places(), bounds=[low, high])
    assert again.predict(far).tobytes() == bounded.predict(far).tobytes()


def test_who_leaves_what_was_seen_is_not_asked_where_others_stay():
    """Targets were from 0 to 10, so bounds are -1 and 11."""
    stays = np.full(6001, 5.0)
    goes = np.linspace(5.0, 35.0, 6001)
    both = weighted_mean([stays[:, None], goes[:, None]], [0.25, 0.75], (-1.0, 11.0))[:, 0]
    inside, beyond = goes <= 10.0, goes >= 11.0
    np.testing.assert_allclose(both[inside], 0.25 * 5.0 + 0.75 * goes[inside])
    np.testing.assert_allclose(both[beyond], 5.0)
    assert np.abs(np.diff(both)).max() < 0.1  # no step anywhere: rows are 0.005 apart
    alone = weighted_mean([goes[:, None]], [1.0], (-1.0, 11.0))[:, 0]
    np.testing.assert_allclose(alone, np.minimum(goes, 11.0))
    together = weighted_mean([goes[:, None], goes[:, None] * 2], [0.5, 0.5], (-1.0, 11.0))
    assert together.max() == 11.0
    nothing = weighted_mean([np.full((3, 1), np.nan), stays[:3, None]], [0.5, 0.5], (-1.0, 11.0))
    assert np.isnan(nothing).all()
    same = weighted_mean([stays[:, None], goes[:, None]], [0.5, 0.5], (5.0, 5.0))
    assert (same == 5.0).all()


@pytest.mark.parametrize(
    "bounds", [[1.0], [2.0, 1.0], ["a", "b"], [0.0, float("inf")], [True, 2.0], {}], ids=str
)
def test_malformed_bounds_are_refused(bounds):
    ensemble, _ = blend(REGRESSION)
    with pytest.raises(BundleContentError, match="bounds"):
        Ensemble.from_states(ensemble.states(), ensemble.places(), bounds=bounds)


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
