"""CatBoost's arrays against the catboost package itself."""

import catboost
import numpy as np
import pytest

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.oblivious import ObliviousTrees, _thresholds
from mlwright.testing.models import TASKS, same_bits, training

BINARY, MULTICLASS, REGRESSION = TASKS[:3]


@pytest.fixture
def trained(monkeypatch):
    """The package's own models, as they were when they were saved."""
    kept, save = [], catboost.CatBoost.save_model

    def keep(self, *args, **kwargs):
        kept.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(catboost.CatBoost, "save_model", keep)
    return kept


def probe(X, trees):
    """Rows on and next to each border, and missing, huge and infinite numbers."""
    columns, borders = trees.features.ravel(), trees.borders.ravel()
    kept = np.isfinite(borders)
    columns, borders = columns[kept], borders[kept]
    rows = X[np.arange(2 * len(borders)) % len(X)].copy()
    on = np.arange(len(borders))
    rows[on, columns] = borders
    rows[on + len(borders), columns] = np.nextafter(borders, np.float32(np.inf)).astype(np.float64)
    odd = X[:9].copy()
    odd[0] = np.nan
    for i, value in enumerate([1e300, -1e300, np.inf, -np.inf, 3.5e38, -3.4028235e38, 1e-320, -0.0]):
        odd[i + 1 if i < 8 else 0] = value
    return np.concatenate([X, rows, odd])


@pytest.mark.parametrize(
    "params", [{}, {"depth": 8, "rsm": 0.6, "bagging_temperature": 0.5}], ids=["plain", "deep"]
)
@pytest.mark.parametrize("task", TASKS[:3], ids=lambda task: task.kind)
def test_predictions_are_the_package_s(task, params, trained):
    X, y = training(task, 400)
    X[3, 0], X[4, 0] = 1e300, -1e300
    model = CatBoost(learning_rate=0.2, **params).fit(X, y, FitContext(task, n_iterations=30, seed=2))
    rows = probe(X, model._trees)
    if task.kind is TaskKind.REGRESSION:
        want = trained[-1].predict(rows)[:, None]
    else:
        want = trained[-1].predict(rows, prediction_type="Probability")
    want = want[:, 1:] if task.kind is TaskKind.BINARY else want
    np.testing.assert_allclose(model.predict(rows), want, rtol=1e-12, atol=1e-9)
    assert [list(model.predict_row(row)) for row in rows[-60:]] == model.predict(rows)[-60:].tolist()


@pytest.mark.parametrize("objective", ["l1", "l2"])
def test_early_stopping_keeps_the_best_iteration_that_it_looked_at(objective, trained):
    X, y = training(REGRESSION)
    valid = training(REGRESSION, 150, seed=1)
    model = CatBoost(learning_rate=0.3, objective=objective).fit(X, y, FitContext(REGRESSION, valid=valid))
    longer = CatBoost(learning_rate=0.3, objective=objective)
    longer.fit(X, y, FitContext(REGRESSION, n_iterations=model.n_iterations_ + 20))
    stages = list(trained[-1].staged_predict(valid[0]))
    errors = [
        np.abs(s - valid[1]).mean() if objective == "l1" else ((s - valid[1]) ** 2).mean() for s in stages
    ]
    best = 5 * int(np.argmin(errors[::5]))
    assert model.n_iterations_ == best + 1 > 1
    np.testing.assert_allclose(model.predict(valid[0])[:, 0], stages[best], rtol=1e-12)


def test_the_number_of_iterations_changes_no_earlier_tree():
    X, y = training(BINARY)
    short = CatBoost().fit(X, y, FitContext(BINARY, n_iterations=10))
    long = CatBoost().fit(X, y, FitContext(BINARY, n_iterations=600))
    assert np.array_equal(long.state().arrays["leaves"][:, :10], short.state().arrays["leaves"])


def test_a_constant_target_needs_no_trees():
    X, _ = training(REGRESSION)
    model = CatBoost().fit(X, np.full(len(X), 4.5), FitContext(REGRESSION))
    assert model.predict(X[:2]).tolist() == [[4.5], [4.5]]
    assert same_bits(model, CatBoost.from_state(model.state()))


def test_fit_prints_and_writes_nothing(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = training(MULTICLASS)
    CatBoost().fit(X[y != 2], y[y != 2], FitContext(MULTICLASS, valid=(X, y), n_iterations=3))
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_hand_made_trees():
    trees = ObliviousTrees(
        np.array([[0, 1], [1, 0]], np.int32),
        np.array([[0.5, 1.5], [2.5, np.inf]], np.float32),
        np.array([[[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 0.0, 0.0]]]),
        np.array([100.0]),
        "identity",
    )
    rows = np.array([[0, 0], [1, 0], [0, 2], [1, 2], [1, 3], [0.5, 1.5], [np.nan, 3]], np.float32)
    want = [111.0, 112.0, 113.0, 114.0, 124.0, 111.0, 123.0]
    assert trees.predict(rows)[:, 0].tolist() == want
    assert [trees.predict_row(row)[0] for row in rows] == want


@pytest.mark.parametrize(
    "change",
    [
        {"link": "cubic"},
        {"link": "identity", "features": np.full((30, 3), 5, np.int32)},
        {"features": np.zeros((30, 11), np.int32)},
        {"leaves": np.full((1, 30, 8), np.inf)},
    ],
)
def test_malformed_trees_are_refused(change):
    X, y = training(BINARY)
    state = CatBoost(depth=3).fit(X, y, FitContext(BINARY, n_iterations=30)).state()
    tree = {**state.tree, **{k: v for k, v in change.items() if k == "link"}}
    arrays = {**state.arrays, **{k: v for k, v in change.items() if k != "link"}}
    with pytest.raises(BundleContentError):
        CatBoost.from_state(State(tree, arrays))


def test_no_labels_are_needed_for_two_classes():
    X, y = training(BINARY)
    task = Task(TaskKind.BINARY, "y", "roc_auc")
    assert CatBoost().fit(X, y, FitContext(task, n_iterations=3)).predict(X).shape == (len(X), 1)


def test_a_threshold_of_doubles_answers_as_the_float32_border_does():
    random = np.random.default_rng(0)
    borders = np.concatenate(
        [
            random.normal(size=300).astype(np.float32) * np.float32(10.0) ** random.integers(-44, 38, 300),
            np.array([0.0, -0.0, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38, np.inf, -np.inf], np.float32),
        ]
    ).astype(np.float32)
    with np.errstate(over="ignore"):
        around = borders[:, None].astype(np.float64)
        after = np.nextafter(borders, np.float32(np.inf))[:, None].astype(np.float64)
        middle = np.where(np.isfinite(after), (around + after) / 2, 2.0**128 - 2.0**103)
        values = np.concatenate(
            [around, after, middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), 2 * around]
            + [np.broadcast_to(each, around.shape) for each in (0.0, 1e300, -1e300, np.inf, -np.inf, np.nan)],
            axis=1,
        )
        rounded = values.astype(np.float32)
    found = values > _thresholds(borders)[:, None]
    assert np.array_equal(found, rounded > borders[:, None])
    assert found.any()
