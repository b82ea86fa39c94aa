"""Linear and Dummy against scikit-learn."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge, TweedieRegressor
from sklearn.metrics import mean_pinball_loss

from mlwright.core.errors import ParameterError
from mlwright.data.schema import Objective, Task, TaskKind
from mlwright.metrics import of
from mlwright.models.base import FitContext
from mlwright.models.dummy import Dummy
from mlwright.models.linear import Linear
from mlwright.models.losses import best_constant, loss_of, weighted_quantile
from mlwright.testing.models import TASKS, training

BINARY, MULTICLASS, REGRESSION = TASKS[:3]


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


def asked(metric, quantile=None):
    return Task(TaskKind.REGRESSION, "y", metric, quantile=quantile)


def weights_for(y):
    return np.random.default_rng(1).uniform(0.1, 3.0, len(y))


@pytest.mark.parametrize("task", [BINARY, MULTICLASS], ids=lambda task: task.kind)
def test_logistic_with_weights(task):
    X, y = filled(task)
    weights = weights_for(y)
    got = Linear(alpha=2.0).fit(X, y, FitContext(task, weights=weights)).predict(X)
    oracle = LogisticRegression(C=1 / 2, tol=1e-10, max_iter=5000).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(got, oracle.predict_proba(X)[:, -task.n_outputs :], atol=3e-4)


@pytest.mark.parametrize("n_rows", [240, 4], ids=["tall", "wide"])
def test_ridge_with_weights(n_rows):
    X, y = filled(REGRESSION, n_rows)
    weights = weights_for(y)
    got = Linear(alpha=2.0).fit(X, y, FitContext(REGRESSION, weights=weights)).predict(X)
    oracle = Ridge(alpha=2.0).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(got[:, 0], oracle.predict(X), rtol=1e-9)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.03])
@pytest.mark.parametrize("weighted", [False, True])
def test_quantiles_lose_as_little_as_linear_programming(quantile, weighted):
    X, y = filled(REGRESSION)
    weights = weights_for(y) if weighted else None
    task = asked("mae") if quantile == 0.5 else asked("pinball", quantile)
    got = Linear(alpha=0.0).fit(X, y, FitContext(task, weights=weights)).predict(X)[:, 0]
    oracle = QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y, sample_weight=weights)
    least = mean_pinball_loss(y, oracle.predict(X), alpha=quantile, sample_weight=weights)
    assert mean_pinball_loss(y, got, alpha=quantile, sample_weight=weights) == pytest.approx(least, rel=1e-4)


def test_a_quantile_s_penalty_ends_at_the_constant_in_any_unit():
    X, y = filled(REGRESSION)
    task = asked("pinball", 0.7)
    near = Linear(alpha=1e9).fit(X, y, FitContext(task)).predict(X)[:, 0]
    loss = mean_pinball_loss(y, near, alpha=0.7)
    assert loss == pytest.approx(
        mean_pinball_loss(y, np.full(len(y), np.quantile(y, 0.7)), alpha=0.7), rel=1e-3
    )
    one = Linear(alpha=3.0).fit(X, y, FitContext(task)).predict(X)
    other = Linear(alpha=3.0).fit(X, 1000 * y, FitContext(task)).predict(X)
    np.testing.assert_allclose(other, 1000 * one, rtol=1e-6)


@pytest.mark.parametrize(
    ("metric", "power"), [("poisson_deviance", 1), ("tweedie_deviance", 1.5), ("gamma_deviance", 2)]
)
@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_log_linear_models_are_scikit_learn_s(metric, power, scale):
    X, y = filled(REGRESSION)
    y = scale * np.exp((y - 100) / 15)
    weights = weights_for(y)
    model = Linear(alpha=3.0).fit(X, y, FitContext(asked(metric), weights=weights))
    oracle = TweedieRegressor(power=power, link="log", alpha=3.0 / weights.sum(), max_iter=10_000, tol=1e-9)
    want = oracle.fit(X, y, sample_weight=weights).predict(X)
    np.testing.assert_allclose(model.predict(X)[:, 0], want, rtol=2e-3)
    np.testing.assert_allclose([model.predict_row(row)[0] for row in X[:5]], model.predict(X[:5])[:, 0])
    far = np.full(5, 1e9)
    assert np.isfinite(model.predict_row(far)[0])
    assert np.isfinite(model.predict(far[None])).all()


def test_counts_divided_by_exposure_are_counts_with_an_offset():
    """Weighted rates give the score equations of counts with an offset: both sums vanish at the same coefficients."""
    random = np.random.default_rng(0)
    X, exposure = random.normal(size=(4000, 2)), random.uniform(0.1, 5.0, 4000)
    counts = random.poisson(exposure * np.exp(X @ [0.5, -0.3] - 1))
    context = FitContext(asked("poisson_deviance"), weights=exposure)
    model = Linear(alpha=0.0).fit(X, counts / exposure, context)
    residual = counts - exposure * model.predict(X)[:, 0]
    np.testing.assert_allclose(np.column_stack([X, np.ones(4000)]).T @ residual / counts.sum(), 0, atol=1e-4)


@pytest.mark.parametrize("metric", ["poisson_deviance", "tweedie_deviance"])
def test_all_zeros_are_predicted_as_zero(metric):
    X, y = filled(REGRESSION)
    for model in (Linear(), Dummy()):
        assert np.allclose(model.fit(X, 0 * y, FitContext(asked(metric))).predict(X), 0)


def test_targets_that_a_loss_does_not_know():
    X, y = filled(REGRESSION)
    with pytest.raises(ParameterError, match="at least 0"):
        Linear().fit(X, y - 1000, FitContext(asked("poisson_deviance")))
    with pytest.raises(ParameterError, match="more than 0"):
        Linear().fit(X, 0 * y, FitContext(asked("gamma_deviance")))


def test_a_relative_error_is_an_absolute_one_with_weights():
    y, own = np.array([0.0, 1.0, -2.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0])
    objective, weights = loss_of(asked("mape"), y, own)
    assert objective is Objective.ABSOLUTE
    assert weights.tolist() == [50.0, 1.0, 1.5, 0.25]  # a truth of 0 counts as 1 % of the median size, 2
    assert loss_of(asked("mape"), np.zeros(3), None)[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.8, 1.0])
def test_weighted_quantiles_are_those_of_repeated_rows(share):
    random = np.random.default_rng(2)
    y, times = np.round(random.normal(size=21), 1), random.integers(1, 5, 21)
    repeated = np.repeat(y, times)
    want = np.quantile(repeated, share, method="averaged_inverted_cdf")
    assert weighted_quantile(y, times.astype(float), share) == pytest.approx(want)
    assert weighted_quantile(repeated, None, share) == pytest.approx(want)


@pytest.mark.parametrize(
    ("metric", "quantile"),
    [("rmse", None), ("mae", None), ("mape", None), ("pinball", 0.9), ("poisson_deviance", None)],
)
def test_no_constant_beats_the_dummy(metric, quantile):
    X, y = filled(REGRESSION)
    y, weights, task = np.abs(y), weights_for(y), asked(metric, quantile)
    best = Dummy().fit(X, y, FitContext(task, weights=weights)).predict(X)
    for other in np.linspace(y.min(), y.max(), 300):
        assert (
            of(task).score(y, best, weights)
            <= of(task).score(y, np.full((len(y), 1), other), weights) + 1e-12
        )
    objective, rows = loss_of(task, y, weights)
    assert best[0, 0] == best_constant(objective, y, rows, quantile)


def test_a_long_fit_is_asked_sooner_whether_its_time_is_over():
    draw = np.random.default_rng(0)
    X = np.cumsum(draw.normal(size=(42_000, 48)), axis=1)  # columns alike: many iterations
    y = (X[:, 5] - X[:, 9] + draw.normal(size=len(X)) > 0).astype(float)
    for rows, at_least in ((1_000, 50), (42_000, 20)):
        asked = iter([False])
        context = FitContext(
            Task(TaskKind.BINARY, "y", "log_loss", ("a", "b")), stop=lambda a=asked: next(a, True)
        )
        assert Linear().fit(X[:rows], y[:rows], context).n_iterations_ == at_least
