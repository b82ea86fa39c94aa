"""Contributions against the learners' own packages, against the definition, and against the margins they add up to."""

import itertools
import math

import catboost
import lightgbm
import numpy as np
import pytest

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.contributions import contributions
from mlwright.models.discriminant import Discriminant
from mlwright.models.ensemble import Ensemble, Member
from mlwright.models.kernel import Kernel
from mlwright.models.lightgbm import LightGBM
from mlwright.models.lightgbm_audit import is_explainable
from mlwright.models.linear import Linear
from mlwright.models.oblivious_shap import row_contributions, tree_contributions
from mlwright.testing.models import TASKS, training

BINARY, MULTICLASS, REGRESSION = TASKS[:3]
POISSON = Task(TaskKind.REGRESSION, "y", "poisson_deviance")
BY_TASK = pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION, POISSON], ids=lambda t: t.metric)


def linked(margins, scale):
    if scale == "log-odds":
        return 1 / (1 + np.exp(-margins))
    if scale == "score":
        return np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    return np.exp(margins) if scale == "log" else margins


def table(task, n_rows=400):
    X, y = training(task, n_rows)
    X[::7, 1] = np.nan
    return X, np.round(np.abs(y)) if task is POISSON else y


@BY_TASK
@pytest.mark.parametrize("learner", [LightGBM, CatBoost, Linear], ids=lambda kind: kind.kind)
def test_they_add_up_to_the_margin_whose_link_is_the_prediction(learner, task):
    X, y = table(task)
    fitted = learner().fit(X, y, FitContext(task, n_iterations=20))
    model = learner.from_state(fitted.state())
    odd = np.vstack([X, np.full((1, X.shape[1]), np.nan), training(task, 100, seed=5)[0] * 3])
    parts, margins = model.contributions(odd), model.margins(odd)
    assert parts.shape == (len(odd), task.n_outputs, X.shape[1] + 1)
    np.testing.assert_allclose(parts.sum(axis=2), margins, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(linked(margins, model.margin_scale), model.predict(odd), rtol=1e-9)
    assert np.ptp(parts[..., :-1], axis=0).max() > 0.01
    assert np.ptp(parts[..., -1], axis=0).max() < 1e-9  # what is expected depends on no row
    assert parts.tobytes() == fitted.contributions(odd).tobytes()
    np.testing.assert_allclose(model.contributions(odd[7:8]), parts[7:8], rtol=1e-9, atol=1e-12)


@BY_TASK
def test_lightgbm_s_are_the_package_s(task):
    X, y = table(task)
    model = LightGBM().fit(X, y, FitContext(task, (2,), n_iterations=15))
    own = lightgbm.Booster(model_str=model.state().blobs["lgb"].decode()).predict(X, pred_contrib=True)
    assert np.array_equal(model.contributions(X).reshape(len(X), -1), own)


@pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION], ids=lambda t: t.kind)
@pytest.mark.parametrize("params", [{}, {"depth": 9, "rsm": 0.7}], ids=["plain", "deep"])
def test_catboost_s_are_the_package_s(task, params, monkeypatch):
    kept, save = [], catboost.CatBoost.save_model

    def keep(self, *args, **kwargs):
        kept.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(catboost.CatBoost, "save_model", keep)
    X, y = table(task)
    model = CatBoost(learning_rate=0.2, **params).fit(X, y, FitContext(task, n_iterations=12))
    rows = np.vstack([X[:60], training(task, 60, seed=7)[0]])
    want = kept[-1].get_feature_importance(catboost.Pool(rows.astype(np.float32)), type="ShapValues")
    want = want.reshape(len(rows), task.n_outputs, -1)
    np.testing.assert_allclose(model.contributions(rows), want, rtol=0, atol=1e-6)


def by_definition(features, values, weights, leaf):
    """Shapley's sum over all sets of columns, the value of a set by walking the tree down from its last level."""
    columns = sorted(set(features))
    worth = {}

    def worth_of(known):
        if known not in worth:
            worth[known] = value(known, len(features) - 1, 0)
        return worth[known]

    def value(known, level, place):
        if level < 0:
            return values[place]
        down = [place, place | 1 << level]
        if features[level] in known:
            return value(known, level - 1, down[leaf >> level & 1])
        heavy = [weights[d : d + 2**level].sum() for d in down]
        shares = [h / sum(heavy) for h in heavy] if sum(heavy) else [0.5, 0.5]
        return sum(s * value(known, level - 1, d) for s, d in zip(shares, down, strict=True))

    found = {}
    for column in columns:
        others = [c for c in columns if c != column]
        found[column] = sum(
            (worth_of(frozenset({*chosen, column})) - worth_of(frozenset(chosen)))
            / (len(columns) * math.comb(len(others), size))
            for size in range(len(others) + 1)
            for chosen in itertools.combinations(others, size)
        )
    return found, worth_of(frozenset())


@pytest.mark.parametrize("seed", range(6))
def test_a_tree_s_values_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 5, 6)
    values, weights = rng.normal(size=(1, 64)), rng.integers(0, 4, 64).astype(np.float64)
    parts = tree_contributions(features, values, weights, np.arange(64))
    for leaf in (0, 21, 63):
        want, mean = by_definition(features.tolist(), values[0], weights, leaf)
        got = {c: parts[leaf, 0, :-1][features == c].sum() for c in want}
        assert got == pytest.approx(want, abs=1e-12)
        assert parts[leaf, 0, -1] == pytest.approx(mean, abs=1e-12)


def test_one_row_through_all_trees_at_once_gives_what_many_rows_do():
    rng = np.random.default_rng(3)
    features = rng.integers(0, 4, (9, 5))
    values, weights = rng.normal(size=(2, 9, 32)), rng.integers(0, 4, (9, 32)).astype(np.float64)
    reached = rng.integers(0, 32, 9)
    together = row_contributions(features, values, weights, reached)
    for tree in range(9):
        want = tree_contributions(features[tree], values[:, tree], weights[tree], reached[tree : tree + 1])
        np.testing.assert_allclose(together[tree], want[0], atol=1e-12)


def test_ten_columns_are_still_exact():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(1, 1024)), rng.integers(0, 4, 1024).astype(np.float64)
    parts = tree_contributions(np.arange(10), values, weights, np.array([700]))[0, 0]
    want, mean = by_definition(list(range(10)), values[0], weights, 700)
    np.testing.assert_allclose(parts, [*want.values(), mean], atol=1e-12)


def test_models_that_cannot_say_so():
    X, y = table(BINARY)
    state = CatBoost().fit(X, y, FitContext(BINARY, n_iterations=5)).state()
    tree = {name: value for name, value in state.tree.items() if name != "weighed"}
    arrays = {name: array for name, array in state.arrays.items() if name != "leaf_weights"}
    older = CatBoost.from_state(State(tree, arrays))
    assert older.margin_scale is None
    with pytest.raises(NotImplementedError, match="catboost"):
        older.contributions(X)
    assert np.array_equal(older.predict(X), CatBoost.from_state(state).predict(X))
    bad = {**state.arrays, "leaf_weights": -state.arrays["leaf_weights"]}
    with pytest.raises(BundleContentError, match="leaf's weight"):
        CatBoost.from_state(State(state.tree, bad))


def test_a_text_with_empty_or_endless_trees_is_not_asked():
    X, y = table(BINARY)
    model = LightGBM().fit(X, y, FitContext(BINARY, n_iterations=3))
    text = model.state().blobs["lgb"].decode()
    assert is_explainable(text)
    start = text.index("leaf_count=") + len("leaf_count=")
    assert not is_explainable(text[:start] + "0" + text[text.index(" ", start) :])
    n = 1200
    chain = {
        "num_leaves": str(n),
        "left_child": " ".join(str(i + 1 if i < n - 2 else -1) for i in range(n - 1)),
        "right_child": " ".join(str(-(i + 2)) for i in range(n - 1)),
        "leaf_count": " ".join("1" * n),
        "internal_count": " ".join(str(n - i) for i in range(n - 1)),
    }
    lines = "\n".join(f"{key}={value}" for key, value in chain.items())
    head = "max_feature_idx=0\nnum_tree_per_iteration=1\nobjective=regression\n"
    assert not is_explainable(f"{head}\nTree=0\n{lines}\n\nend of trees\n")


def blend(task, members):
    X, y = table(task)
    fitted = [
        Member(view, model.fit(X[:, columns].copy(), y, FitContext(task, n_iterations=8)), weight, link)
        for model, view, columns, weight, link in members
    ]
    return Ensemble(fitted), {view: X[:, columns].copy() for _, view, columns, _, _ in members}


ALL, TWO = [0, 1, 2, 3], [1, 0]


@pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION], ids=lambda t: t.kind)
def test_a_blend_s_add_up_to_the_weighted_mean_of_the_margins(task):
    members = [
        (LightGBM(), "raw", ALL, 3.0, "identity"),
        (Linear(), "half", TWO, 1.0, "identity"),
        (Discriminant() if task.labels else Kernel(), "raw", ALL, 4.0, "identity"),
    ]
    ensemble, matrices = blend(task, members)
    found = contributions(ensemble, matrices, {"raw": ["a", "b", "a", "c"], "half": ["b", "a"]})
    assert (found.columns, found.share, found.explained) == (("a", "b", "c"), 0.5, ("lightgbm", "linear"))
    assert found.left_out == (ensemble.members[2].model.kind,)
    one, two = (member.model for member in ensemble.members[:2])
    margins = 0.75 * one.margins(matrices["raw"]) + 0.25 * two.margins(matrices["half"])
    np.testing.assert_allclose(found.margins, margins, rtol=1e-12)
    np.testing.assert_allclose(found.values.sum(axis=2), margins, atol=1e-6, rtol=0)
    of_one, of_two = one.contributions(matrices["raw"]), two.contributions(matrices["half"])
    want = 0.75 * (of_one[..., 0] + of_one[..., 2]) + 0.25 * of_two[..., 1]
    np.testing.assert_allclose(found.values[..., 0], want, rtol=1e-12)


def test_margins_on_other_scales_are_left_out():
    members = [
        (LightGBM(), "raw", ALL, 2.0, "identity"),
        (Linear(), "raw", ALL, 1.0, "log"),
        (CatBoost(), "raw", ALL, 1.5, "log"),
    ]
    ensemble, matrices = blend(REGRESSION, members)
    found = contributions(ensemble, matrices, {"raw": list("abcd")})
    assert (found.scale, found.explained, found.left_out) == ("log1p", ("linear", "catboost"), ("lightgbm",))
    assert found.share == pytest.approx(2.5 / 4.5)


def test_a_blend_of_the_silent_is_silent():
    ensemble, matrices = blend(BINARY, [(Discriminant(), "raw", ALL, 1.0, "identity")])
    assert contributions(ensemble, matrices, {"raw": list("abcd")}) is None
