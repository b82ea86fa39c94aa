"""Single rows in compiled code: the same numbers as LightGBM's library and NumPy give."""

import numpy as np
import pytest

from mlwright.data.schema import Task, TaskKind
from mlwright.models import lightgbm, mlp, rows
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.kernel import Kernel
from mlwright.models.lightgbm import LightGBM
from mlwright.models.mlp import MLP

BINARY = Task(TaskKind.BINARY, "y", "log_loss", ("a", "b"))
CLASSES = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
NUMBER = Task(TaskKind.REGRESSION, "y", "rmse")
COUNT = Task(TaskKind.REGRESSION, "y", "poisson_deviance")
CATEGORICAL = (0, 1)
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, -0.5, 1e300, -1e300, 1e-36, 2.0**31, 2.5, 1e6]


@pytest.fixture(autouse=True)
def compiled():
    if not rows.is_compiled():
        pytest.skip("rows.c IS NOT COMPILED: install with a C compiler at hand, pip install -e '.[test]'")


@pytest.fixture
def without(monkeypatch):
    """A function that hides the compiled code from then on."""

    def hide():
        for module in (rows, lightgbm, mlp):
            monkeypatch.setattr(module, "is_compiled", lambda: False)
        monkeypatch.setattr(rows, "_library", lambda: None)

    return hide


def table(task, n_rows=600, seed=0):
    """Two columns of codes, four of numbers of which two miss some, and a target that needs all of them."""
    draw = np.random.default_rng(seed)
    X = np.column_stack(
        [draw.integers(0, 40, n_rows), draw.integers(0, 3, n_rows), draw.normal(size=(n_rows, 4))]
    )
    X[draw.random(n_rows) < 0.2, 2] = np.nan
    X[draw.random(n_rows) < 0.1, 0] = np.nan
    X[:, 5] = np.round(X[:, 5])
    score = np.sin(np.nan_to_num(X[:, 0])) + X[:, 1] * X[:, 3] + np.isnan(X[:, 2]) + X[:, 5]
    if task is BINARY:
        return X, (score > 1).astype(float)
    if task is CLASSES:
        return X, np.digitize(score, [0.0, 1.5]).astype(float)
    return X, np.exp(score / 4) if task is COUNT else score


def asked(X, seed=1):
    """Rows like those of training, and rows with what no column held."""
    draw = np.random.default_rng(seed)
    odd = X[:300].copy()
    odd[draw.random(odd.shape) < 0.3] = np.nan
    odd[draw.random(odd.shape) < 0.2] = draw.choice(ODD)
    return np.vstack([X[:200], odd, np.array([[value] * X.shape[1] for value in ODD])])


def as_for_many(model, X, without, *, rtol):
    """Single rows, compiled and not, are as the batch path has them."""
    many = model.predict(asked(X))
    own = [row.copy() for row in asked(X)]
    np.testing.assert_allclose([model.bind(row)() for row in own], many, rtol=rtol, atol=1e-290)
    without()
    np.testing.assert_allclose([model.bind(row)() for row in own], many, rtol=rtol, atol=1e-290)


@pytest.mark.parametrize("task", [BINARY, CLASSES, NUMBER, COUNT], ids=lambda task: task.metric + task.kind)
@pytest.mark.parametrize("params", [{}, {"num_leaves": 2}, {"num_leaves": 200, "min_data_in_leaf": 1}])
@pytest.mark.parametrize("categorical", [(), CATEGORICAL])
def test_lightgbm_goes_where_its_library_goes(task, params, categorical):
    X, y = table(task)
    model = LightGBM(**params).fit(X, y, FitContext(task, n_iterations=30, categorical=categorical))
    model.settle()
    for row in asked(X):
        mine, theirs = model.predict_row(row), model._loaded.bind(row)()
        np.testing.assert_allclose(mine, theirs, rtol=1e-14, atol=1e-300)


def test_lightgbm_parts_missing_from_infinite_values():
    X = np.array([[np.nan], [np.inf], [1.0], [2.0]] * 50)
    model = LightGBM(min_data_in_leaf=1).fit(X, np.isnan(X[:, 0]) * 1.0, FitContext(NUMBER, n_iterations=5))
    model.settle()
    for row in X[:4]:
        assert model.predict_row(row) == pytest.approx(model._loaded.bind(row)(), rel=1e-13)


@pytest.mark.parametrize("task", [BINARY, CLASSES, NUMBER, COUNT], ids=lambda task: task.metric + task.kind)
@pytest.mark.parametrize(("categorical", "depth"), [((), 6), ((), 3), (CATEGORICAL, 6)])
def test_catboost_gives_the_bits_of_many_rows(task, categorical, depth, without):
    X, y = table(task)
    if task is CLASSES:
        categorical = ()
    params = {"max_ctr_complexity": 2} if categorical else {}
    model = CatBoost(depth=depth, **params).fit(
        X, y, FitContext(task, n_iterations=40, categorical=categorical)
    )
    assert not categorical or model._categories is not None
    asked_for = asked(X)
    many = model.predict(asked_for)
    own = [row.copy() for row in asked_for]
    assert [model.bind(row)() for row in own] == many.tolist()
    without()
    assert [model.bind(row)() for row in own] == many.tolist()


@pytest.mark.parametrize("task", [BINARY, CLASSES, NUMBER, COUNT], ids=lambda task: task.metric + task.kind)
@pytest.mark.parametrize(
    "params", [{"n_layers": 1}, {"n_layers": 2, "n_pieces": 8}, {"width": 33, "members": 3}]
)
def test_nets_score_as_for_many_rows(task, params, without):
    X, y = table(task, n_rows=300)
    model = MLP(**params).fit(X, y, FitContext(task, n_iterations=3))
    as_for_many(model, X, without, rtol=1e-12)


@pytest.mark.parametrize("task", [BINARY, CLASSES, NUMBER, COUNT], ids=lambda task: task.metric + task.kind)
def test_kernels_score_as_for_many_rows(task, without):
    X, y = table(task, n_rows=400)
    model = Kernel(n_centres=50).fit(X, y, FitContext(task))
    as_for_many(model, X, without, rtol=1e-11)


def test_nets_of_the_steepest_scale():
    X = np.linspace(0, 1, 200)[:, None] * 1e-90
    model = MLP().fit(X, X[:, 0] * 1e90, FitContext(NUMBER, n_iterations=3))
    assert model._inputs.is_steep
    for value in (0.0, 1e-90, 1.0, 1e300):
        row = np.array([value])
        assert model.bind(row)() == pytest.approx(model.predict(row[None])[0], rel=1e-12)


def test_a_bound_function_follows_its_row():
    X, y = table(NUMBER)
    row = np.zeros(X.shape[1])
    for model in (LightGBM(), CatBoost(), MLP()):
        model.fit(X, y, FitContext(NUMBER, n_iterations=3))
        predict = model.bind(row)
        for each in X[:20]:
            row[:] = each
            assert predict() == pytest.approx(model.predict(each[None])[0], rel=1e-12)


@pytest.mark.parametrize("row", [np.zeros(6, np.int64), np.zeros((6, 2))[:, 0], np.zeros(6, ">f8")])
def test_a_row_of_another_form_is_refused(row):
    X, y = table(NUMBER)
    for model in (LightGBM(), MLP()):
        model.fit(X, y, FitContext(NUMBER, n_iterations=3))
        with pytest.raises(ValueError, match="in one piece"):
            model.bind(row)


@pytest.mark.parametrize("broken", [OSError("wrong ELF class"), AttributeError("no such symbol"), 7])
def test_a_library_that_does_not_fit_is_not_used_and_says_so(broken, monkeypatch):
    class Library:
        def __init__(self, path):
            if isinstance(broken, OSError):
                raise broken

        def mlwright_form(self):
            if isinstance(broken, AttributeError):
                raise broken
            return broken

    monkeypatch.setattr(rows.ctypes, "PyDLL", Library)
    rows._library.cache_clear()
    try:
        with pytest.warns(
            RuntimeWarning, match="is not used, and single rows are slower: .*; install mlwright again"
        ):
            assert not rows.is_compiled()
    finally:
        rows._library.cache_clear()


def test_learners_without_compiled_code_give_the_same(without):
    X, y = table(BINARY)
    model = LightGBM().fit(X, y, FitContext(BINARY, n_iterations=20, categorical=CATEGORICAL))
    model.settle()
    mine = [model.predict_row(row) for row in X[:50]]
    without()
    again = LightGBM.from_state(model.state())
    assert again._trees is None
    np.testing.assert_allclose(mine, [again.predict_row(row) for row in X[:50]], rtol=1e-13)
