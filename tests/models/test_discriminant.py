"""Discriminants against scikit-learn and against normal densities from SciPy."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import scale

from mlwright.data.schema import Task, TaskKind
from mlwright.models import discriminant
from mlwright.models.base import FitContext
from mlwright.models.discriminant import Discriminant

WINE = Task(TaskKind.MULTICLASS, "y", "log_loss", (0, 1, 2))
BINARY = Task(TaskKind.BINARY, "y", "log_loss", (0, 1))


@pytest.fixture
def wine():
    X, y = load_wine(return_X_y=True)
    return scale(X), y.astype(float)


@pytest.fixture
def sure(monkeypatch):
    """As sure as normal distributions are: no temperature."""
    monkeypatch.setattr(discriminant, "_TEMPERATURES", np.ones(1))


@pytest.mark.usefixtures("sure")
@pytest.mark.parametrize("shrinkage", [0.0, 0.2, 1.0])
def test_linear_is_that_of_scikit_learn(wine, shrinkage):
    X, y = wine
    got = Discriminant(shrinkage=shrinkage).fit(X, y, FitContext(WINE)).predict(X)
    want = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-12)


@pytest.mark.usefixtures("sure")
def test_shrinkage_is_that_of_ledoit_and_wolf(wine):
    X, y = wine
    residuals = X - np.array([X[y == c].mean(axis=0) for c in range(3)])[y.astype(int)]
    shrinkage = ledoit_wolf_shrinkage(residuals, assume_centered=True)
    got = Discriminant().fit(X, y, FitContext(WINE)).predict(X)
    want = Discriminant(shrinkage=shrinkage).fit(X, y, FitContext(WINE)).predict(X)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.usefixtures("sure")
@pytest.mark.parametrize("task", [WINE, BINARY], ids=lambda task: task.kind)
@pytest.mark.parametrize(("alpha", "shrinkage"), [(1.0, 0.0), (0.5, 0.1)])
def test_quadratic_is_that_of_normal_densities(wine, task, alpha, shrinkage):
    X, y = wine
    kept = y < len(task.labels)
    X, y = X[kept], y[kept]
    got = Discriminant(alpha=alpha, shrinkage=shrinkage).fit(X, y, FitContext(task)).predict(X)
    classes = range(len(task.labels))
    own = [np.cov(X[y == c].T, bias=True) for c in classes]
    shares = [np.mean(y == c) for c in classes]
    pooled = sum(share * each for share, each in zip(shares, own, strict=True))
    logs = []
    for c in classes:
        mixed = (1 - alpha) * pooled + alpha * own[c]
        mixed = (1 - shrinkage) * mixed + shrinkage * np.trace(mixed) / len(mixed) * np.eye(len(mixed))
        density = multivariate_normal(X[y == c].mean(axis=0), mixed)
        logs.append(density.logpdf(X) + np.log(shares[c]))
    powers = np.exp(np.array(logs).T - np.max(logs, axis=0)[:, None])
    want = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got, want[:, -task.n_outputs :], rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_weights_count_as_repeated_rows(wine, alpha, sure):
    X, y = wine
    times = np.random.default_rng(0).integers(1, 4, len(y))
    params = {"alpha": alpha, "shrinkage": 0.1}
    got = Discriminant(**params).fit(X, y, FitContext(WINE, weights=times.astype(float))).predict(X)
    want = (
        Discriminant(**params)
        .fit(np.repeat(X, times, axis=0), np.repeat(y, times), FitContext(WINE))
        .predict(X)
    )
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-12)


def test_temperature_makes_noise_unsure():
    """Forty columns of noise and 60 rows: each class's own covariance is sure of everything, and wrong."""
    random = np.random.default_rng(1)
    X, y = random.normal(size=(660, 40)), random.integers(0, 2, 660).astype(float)
    model = Discriminant(alpha=1.0, shrinkage=0.01).fit(X[:60], y[:60], FitContext(BINARY))
    shares = model.predict(X[60:])[:, 0]
    loss = -np.mean(np.log(np.where(y[60:] == 1, shares, 1 - shares)))
    assert loss < 0.9  # of a coin: 0.69


def test_many_columns_are_projected(monkeypatch, wine):
    X, y = wine
    monkeypatch.setattr(discriminant, "_NUMBERS", 3 * 4**2)
    monkeypatch.setattr(discriminant, "_WIDEST", 12)
    model = Discriminant(alpha=0.5).fit(X, y, FitContext(WINE))
    arrays = model.state().arrays
    assert arrays["base"].shape == (13, 4)
    assert (np.abs(arrays["base"]).sum(axis=1) == 0).sum() == 1
    assert np.mean(model.predict(X).argmax(axis=1) == y) > 0.9
    linear = Discriminant().fit(X, y, FitContext(WINE))
    assert (np.abs(linear.state().arrays["weights"]).sum(axis=0) == 0).sum() == 1
    assert np.mean(linear.predict(X).argmax(axis=1) == y) > 0.9


def test_numbers_have_no_classes():
    assert not Discriminant.fits(Task(TaskKind.REGRESSION, "y", "rmse"))
    assert Discriminant.fits(BINARY)
