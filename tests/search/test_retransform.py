"""What was fitted to logarithms predicts the mean and not the median, where the metric wants means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_study import study_data

from mlwright.core.clock import Deadline
from mlwright.data.schema import TaskKind
from mlwright.execution import Local
from mlwright.metrics import get
from mlwright.search import Trial
from mlwright.search.fitter import Fitter
from mlwright.search.retransform import log_shift, shifted


def lognormal(n, sigma, seed=0):
    """Targets whose logarithm is normal around known places, and what a perfect model of the logarithms gives."""
    draw = np.random.default_rng(seed)
    place = draw.normal(5.0, 0.5, n)
    return np.exp(place + draw.normal(0.0, sigma, n)) - 1.0, np.expm1(place)[:, None]


@pytest.mark.parametrize("sigma", [0.2, 0.5])
def test_the_shift_of_a_log_normal_target_is_half_its_variance(sigma):
    y, predicted = lognormal(200_000, sigma)
    shift = log_shift(y, predicted, get("rmse"))
    assert shift == pytest.approx(sigma**2 / 2, abs=0.005)  # the mean of a log-normal variable
    assert np.mean(shifted(predicted, shift)) == pytest.approx(np.mean(y), rel=1e-5)


@pytest.mark.parametrize("metric", ["mae", "rmsle", "mape"])
def test_metrics_that_want_medians_get_none(metric):
    y, predicted = lognormal(5000, 0.5)
    assert log_shift(y, predicted, get(metric)) == 0.0


def test_what_is_right_in_the_mean_is_hardly_shifted():
    """Nothing is to be gained: a half keeps chance from looking like a gain, and what it lets through is small."""
    shifts = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        predicted = draw.gamma(5.0, 20.0, 300)
        y = np.maximum(predicted + draw.normal(0.0, 10.0, 300), 0.0)
        shifts.append(log_shift(y, predicted[:, None], get("rmse")))
    assert np.mean(np.array(shifts) != 0.0) < 0.4
    assert np.max(np.abs(shifts)) < 0.03


def test_what_drifted_between_two_folds_is_no_shift():
    place = np.random.default_rng(0).normal(5.0, 0.5, 4000)
    predicted, folds = np.expm1(place)[:, None], np.repeat([0, 1], 2000)
    y = np.expm1(place + np.where(folds == 1, 0.3, -0.2))
    assert log_shift(y, predicted, get("rmse")) > 0.02
    assert log_shift(y, predicted, get("rmse"), folds=folds) == 0.0
    # What all folds have is kept.
    y = np.expm1(place + np.where(folds == 1, 0.3, 0.2))
    assert log_shift(y, predicted, get("rmse"), folds=folds) == pytest.approx(0.25, abs=0.02)


def test_rows_without_weight_do_not_count():
    y, predicted = lognormal(4000, 0.4)
    weights = np.ones(4000)
    weights[2000:] = 0.0
    y[2000:] *= 7.0
    half = log_shift(y[:2000], predicted[:2000], get("rmse"))
    assert half > 0
    assert log_shift(y, predicted, get("rmse"), weights) == pytest.approx(half, abs=1e-6)


def test_few_rows_and_rows_of_nothing_get_none():
    assert log_shift(np.array([1.0, 9.0, 2.0]), np.ones((3, 1)), get("rmse")) == 0.0
    assert log_shift(np.ones(8), np.ones((8, 1)), get("rmse"), np.zeros(8)) == 0.0


def skewed():
    """A table whose target is log-normal around what its columns say a little about."""
    data = study_data(TaskKind.REGRESSION, n=1200)
    noise = np.random.default_rng(1).normal(scale=0.8, size=1200)
    return replace(data, y=100.0 * np.exp(noise + 0.5 * np.tanh(data.columns["a"])))


@pytest.mark.parametrize(
    ("model", "view"),
    [("lightgbm", "native"), ("catboost", "encoded"), ("linear", "linear"), ("mlp", "linear")],
)
def test_a_refit_is_shifted_by_what_the_folds_told(model, view):
    data = skewed()
    fitter = Fitter(data, Local(2))
    logs = fitter.trial(Trial(0, model, view, {}, "log"), Deadline(60.0))
    shift = logs.log_shift
    assert shift == pytest.approx(0.32, abs=0.1)  # half of the variance of the noise
    assert np.mean(logs.predicted) == pytest.approx(np.mean(data.y), rel=0.01)
    raw = fitter.metric.score(data.y, shifted(logs.predicted, -shift))
    assert logs.score < raw
    logs = replace(logs, told=logs.told | {"refit_iterations": 10})
    means = []
    for told in (logs.told, logs.told | {"log_shift": 0.0}):
        ensemble, plans = Fitter(data, Local(2)).refit([(replace(logs, told=told), 1.0)])
        means.append(ensemble.predict({view: plans[view].batch(data.columns)}))
    np.testing.assert_allclose(np.log1p(means[0]) - np.log1p(means[1]), shift, atol=1e-3)


def test_others_are_not_shifted():
    data, trial = skewed(), Trial(0, "lightgbm", "native", {"num_leaves": 4}, "log")
    plain = Fitter(data, Local(2)).trial(replace(trial, link="identity"), Deadline(60.0))
    assert "log_shift" not in plain.told
    # A bag ships the folds' models, which have been fitted.
    bag = Fitter(replace(data, quality="bag"), Local(2)).trial(trial, Deadline(60.0))
    assert bag.log_shift == 0.0
