"""Linear and Dummy against scikit-learn."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from mlwright.data.schema import TaskKind
from mlwright.models.base import FitContext
from mlwright.models.dummy import Dummy
from mlwright.models.linear import Linear
from mlwright.testing.models import TASKS, training

BINARY, MULTICLASS, REGRESSION = TASKS


def filled(task, n_rows=240):
    X, y = training(task, n_rows)
    return np.nan_to_num(X), y


@pytest.mark.parametrize("alpha", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("task", [BINARY, MULTICLASS], ids=lambda task: task.kind)
def test_logistic(task, alpha):
    X, y = filled(task)
    got = Linear(alpha=alpha).fit(X, y, FitContext(task)).predict(X)
    want = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=5000).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(got, want[:, -task.n_outputs :], atol=3e-4)


@pytest.mark.parametrize("n_rows", [240, 4], ids=["tall", "wide"])
@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
def test_ridge(n_rows, alpha):
    X, y = filled(REGRESSION, n_rows)
    got = Linear(alpha=alpha).fit(X, y, FitContext(REGRESSION)).predict(X)
    np.testing.assert_allclose(got[:, 0], Ridge(alpha=alpha).fit(X, y).predict(X), rtol=1e-9)


def test_repeated_columns_without_a_penalty():
    X, y = filled(REGRESSION)
    X = np.column_stack([X, X])
    got = Linear(alpha=0).fit(X, y, FitContext(REGRESSION)).predict(X)[:, 0]
    design = np.column_stack([X, np.ones(len(X))])
    want = design @ np.linalg.lstsq(design, y)[0]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_missing_and_infinite_count_as_zero():
    X, y = filled(BINARY)
    model = Linear().fit(X, y, FitContext(BINARY))
    row = X[0].copy()
    row[1] = 0
    want = model.predict_row(row)
    for odd in (np.nan, np.inf, -np.inf):
        row[1] = odd
        assert model.predict_row(row) == want
        assert model.predict(row[None])[0].tolist() == pytest.approx(want)


def test_long_fits_replay_across_chunks():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 60)) * np.logspace(-3, 3, 60)
    y = (X[:, 30] + random.normal(size=300) > 0).astype(float)
    model = Linear(alpha=1e-6).fit(X, y, FitContext(BINARY))
    assert model.n_iterations_ > 50
    again = Linear(alpha=1e-6).fit(X, y, FitContext(BINARY, n_iterations=model.n_iterations_))
    assert np.array_equal(model.weights_, again.weights_)


def test_extreme_scores_stay_probabilities():
    X, y = filled(BINARY)
    model = Linear(alpha=0.001).fit(X, y, FitContext(BINARY))
    far = np.array([[1e9, -1e9, 0, 0, 0], [-1e9, 1e9, 0, 0, 0]])
    assert sorted(model.predict(far)[:, 0].tolist()) == [0.0, 1.0]
    assert sorted(model.predict_row(row)[0] for row in far) == [0.0, 1.0]


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_dummy_regression(statistic):
    X, y = filled(REGRESSION)
    got = Dummy(statistic=statistic).fit(X, y, FitContext(REGRESSION)).predict(X)
    np.testing.assert_allclose(got[:, 0], DummyRegressor(strategy=statistic).fit(X, y).predict(X), rtol=1e-14)


@pytest.mark.parametrize("task", [BINARY, MULTICLASS], ids=lambda task: task.kind)
def test_dummy_classes(task):
    X, y = filled(task)
    want = DummyClassifier(strategy="prior").fit(X, y).predict_proba(X)
    want = want[:, 1:] if task.kind is TaskKind.BINARY else want
    np.testing.assert_allclose(Dummy().fit(X, y, FitContext(task)).predict(X), want, rtol=1e-14)
