"""Intervals: do they hold the truth as often as they say?"""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from mlwright.core.errors import ParameterError
from mlwright.metrics import get
from mlwright.metrics.base import Metric
from mlwright.metrics.intervals import Interval, _student, interval, paired_interval

SHIFT, SHARE = 1.2, 0.3


def binary(random, n):
    """Calibrated predictions of two normal classes, `SHIFT` apart."""
    y = (random.random(n) < SHARE).astype(float)
    x = random.normal(size=n) + SHIFT * y
    p = 1 / (1 + np.exp(-(x * SHIFT - SHIFT**2 / 2 + np.log(SHARE / (1 - SHARE)))))
    return y, p[:, None]


def true_log_loss():
    x = np.linspace(-12, 14, 200_001)
    p = 1 / (1 + np.exp(-(x * SHIFT - SHIFT**2 / 2 + np.log(SHARE / (1 - SHARE)))))
    density = -(SHARE * norm.pdf(x - SHIFT) * np.log(p) + (1 - SHARE) * norm.pdf(x) * np.log1p(-p))
    return np.trapezoid(density, x)


def regression(random, n):
    y = random.normal(size=n)
    return y, (y + 2 * random.normal(size=n))[:, None]


@pytest.mark.parametrize(
    ("name", "draw", "truth"),
    [
        ("roc_auc", binary, norm.cdf(SHIFT / math.sqrt(2))),
        ("log_loss", binary, true_log_loss()),
        ("rmse", regression, 2.0),
    ],
    ids=["roc_auc", "log_loss", "rmse"],
)
def test_95_percent_hold_the_truth(name, draw, truth):
    random, metric, inside = np.random.default_rng(7), get(name), 0
    for _ in range(400):
        found = interval(metric, *draw(random, 200), n_draws=300, seed=int(random.integers(2**31)))
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_groups_hold_the_truth_where_rows_do_not():
    """Errors shared within groups of ten: drawing rows alone is far too sure."""
    random, metric, grouped, alone = np.random.default_rng(3), get("mae"), 0, 0
    groups = np.repeat(np.arange(40), 10)
    for _ in range(300):
        y = np.zeros(400)
        predicted = np.repeat(random.exponential(size=40), 10)[:, None]
        grouped_one = interval(metric, y, predicted, groups=groups, n_draws=300)
        row_one = interval(metric, y, predicted, n_draws=300)
        grouped += grouped_one.low <= 1 <= grouped_one.high
        alone += row_one.low <= 1 <= row_one.high
    assert 0.92 <= grouped / 300 <= 0.98
    assert alone / 300 < 0.75


def test_the_mean_s_interval_is_the_t_interval():
    """For a mean of many rows the bootstrap must agree with the closed form."""
    random = np.random.default_rng(0)
    error = random.normal(size=2000) ** 2
    found = interval(get("mae"), np.zeros(2000), error[:, None], n_draws=4000)
    half = t.ppf(0.975, 1999) * error.std(ddof=1) / math.sqrt(2000)
    assert found.low == pytest.approx(error.mean() - half, abs=0.06 * half * 2)
    assert found.high == pytest.approx(error.mean() + half, abs=0.06 * half * 2)
    assert found.estimate == pytest.approx(error.mean())


@pytest.mark.parametrize("freedom", [5, 10, 39, 1000])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.995])
def test_students_quantiles(freedom, probability):
    assert _student(probability, freedom) == pytest.approx(t.ppf(probability, freedom), rel=0.01)


def test_pairs_see_what_single_intervals_cannot():
    random = np.random.default_rng(1)
    y = random.normal(size=500) * 10
    hard = random.normal(size=500) * 5
    a, b = (y + hard)[:, None], (y + hard * 1.02)[:, None]
    gain = paired_interval(get("rmse"), y, a, b)
    assert gain.low > 0
    assert gain.estimate == pytest.approx(get("rmse").score(y, b) - get("rmse").score(y, a))
    one, other = interval(get("rmse"), y, a), interval(get("rmse"), y, b)
    assert one.high > other.low
    back = paired_interval(get("rmse"), y, b, a)
    assert (back.low, back.high) == (pytest.approx(-gain.high), pytest.approx(-gain.low))
    y, p = binary(random, 400)
    assert paired_interval(get("roc_auc"), y, p, 1 - p).low > 0


def test_blocks_are_groups():
    y, p = binary(np.random.default_rng(0), 300)
    blocks = np.arange(300) // 30
    assert interval(get("roc_auc"), y, p, blocks=blocks) == interval(
        get("roc_auc"), y, p, groups=blocks.astype(str)
    )


def test_many_small_draws_are_the_same_as_few_large_ones(monkeypatch):
    """How many draws are held at a time must not be seen in the result, nor a metric without `scores` of its own."""

    class Plain(Metric):
        name, title, greater_is_better, tasks = "mae", "plain", False, frozenset()

        def score(self, y, predicted, weight=None):
            return float(np.average(np.abs(predicted[:, 0] - y), weights=weight))

    y, p = regression(np.random.default_rng(0), 100)
    want = interval(get("mae"), y, p, seed=3)
    monkeypatch.setattr("mlwright.metrics.intervals._CELLS", 700)
    got = interval(Plain(), y, p, seed=3)
    assert (got.low, got.high) == (pytest.approx(want.low), pytest.approx(want.high))


def test_edges():
    one = interval(get("mae"), np.zeros(1), np.ones((1, 1)))
    assert one.estimate == 1
    assert math.isnan(one.low)
    assert Interval.from_json(one.to_json()).estimate == 1
    assert one.to_json() == {"estimate": 1.0, "low": None, "high": None, "level": 0.95}
    rare = interval(get("roc_auc"), np.array([0.0] * 30 + [1.0]), np.linspace(0, 1, 31)[:, None])
    assert (rare.estimate, rare.low, rare.high) == (1, 1, 1)
    alone = interval(get("roc_auc"), np.zeros(30), np.linspace(0, 1, 30)[:, None])
    assert math.isnan(alone.estimate)
    assert math.isnan(alone.high)
    y, p = binary(np.random.default_rng(0), 100)
    narrow, wide = interval(get("brier"), y, p, level=0.5), interval(get("brier"), y, p, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert interval(get("brier"), y, p, seed=1) == interval(get("brier"), y, p, seed=1)
    assert interval(get("brier"), y, p, seed=1) != interval(get("brier"), y, p, seed=2)


def test_wrong_calls():
    y, p = binary(np.random.default_rng(0), 20)
    with pytest.raises(ParameterError, match="level"):
        interval(get("brier"), y, p, level=95)
    with pytest.raises(ParameterError, match="not both"):
        interval(get("brier"), y, p, groups=y, blocks=y)
    with pytest.raises(ParameterError, match="one for each"):
        interval(get("brier"), y, p, groups=y[:3])


@pytest.mark.parametrize("paired", [False, True])
def test_the_interval_of_a_weighted_mean_is_the_delta_method_s(paired):
    random = np.random.default_rng(5)
    y, weights = np.zeros(2000), random.exponential(size=2000)
    a, b = random.exponential(size=(2, 2000, 1))
    losses = b[:, 0] - a[:, 0] if paired else a[:, 0]
    mean = np.average(losses, weights=weights)
    error = np.sqrt(np.sum((weights * (losses - mean)) ** 2)) / weights.sum()
    if paired:
        found = paired_interval(get("mae"), y, a, b, weights=weights, n_draws=4000)
    else:
        found = interval(get("mae"), y, a, weights=weights, n_draws=4000)
    assert found.estimate == pytest.approx(mean)
    np.testing.assert_allclose(
        [found.low, found.high], mean + 1.96 * error * np.array([-1, 1]), atol=0.1 * error
    )


def test_weights_of_one_change_no_interval():
    random = np.random.default_rng(5)
    y, p = binary(random, 120)
    plain = interval(get("roc_auc"), y, p, groups=np.arange(120) // 3, seed=4)
    assert plain == interval(get("roc_auc"), y, p, weights=np.ones(120), groups=np.arange(120) // 3, seed=4)
