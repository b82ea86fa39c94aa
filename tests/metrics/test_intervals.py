"""Intervals: do they hold the truth as often as they say?"""

import math

import numpy as np
import pytest
from scipy.signal import lfilter
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
        found = interval(metric, *draw(random, 200), seed=int(random.integers(2**31)))
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_rare_classes_hold_the_truth_of_average_precision():
    """Fourteen of 200 rows: the expanded percentile bootstrap covered some 92 % here."""
    random, metric, inside = np.random.default_rng(11), get("pr_auc"), 0

    def rare(n):
        y = (random.random(n) < 0.07).astype(float)
        return y, (random.normal(size=n) + 1.5 * y)[:, None]

    truth = metric.score(*rare(400_000))
    for _ in range(400):
        found = interval(metric, *rare(200))
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_paired_intervals_hold_the_truth(name):
    """Two models of the same rows, one noisier; the truth is the difference on very many rows."""
    random, metric, inside = np.random.default_rng(13), get(name), 0

    def two(n):
        y = (random.random(n) < SHARE).astype(float)
        odds = random.normal(size=n) + SHIFT * y - 1
        return y, *(
            1 / (1 + np.exp(-(odds + noise * random.normal(size=n))))[:, None] for noise in (0.3, 0.8)
        )

    y, a, b = two(400_000)
    truth = metric.gain(y, a) - metric.gain(y, b)
    for _ in range(300):
        found = paired_interval(metric, *two(200))
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 300 <= 0.98


def test_blocks_of_time_hold_the_truth_where_errors_linger():
    """Errors of an autoregression, whose neighbours correlate at 0.8: blocks of 50 rows see it, single rows do not."""
    random, metric, blocked, alone = np.random.default_rng(17), get("rmse"), 0, 0
    blocks = np.arange(1000) // 50
    for _ in range(300):
        error = lfilter([0.6], [1, -0.8], random.normal(size=1100))[100:]  # of variance 1
        y = np.zeros(1000)
        by_block = interval(metric, y, error[:, None], blocks=blocks)
        by_row = interval(metric, y, error[:, None], n_parts=50)
        blocked += by_block.low <= 1 <= by_block.high
        alone += by_row.low <= 1 <= by_row.high
    assert 0.92 <= blocked / 300 <= 0.98
    assert alone / 300 < 0.85


def test_delong_s_variance_is_the_jackknife_s():
    """DeLong's interval on the log-odds scale, from the definition of its structural components."""
    y, p = binary(np.random.default_rng(2), 150)
    yes, no = p[y == 1, 0], p[y == 0, 0]
    above = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    area = above.mean()
    variance = above.mean(axis=1).var(ddof=1) / len(yes) + above.mean(axis=0).var(ddof=1) / len(no)
    half = 1.98 * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-(math.log(area / (1 - area)) + turn * half))) for turn in (-1, 1))
    found = interval(get("roc_auc"), y, p)
    assert found.estimate == pytest.approx(area)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))


def test_parts_of_unequal_size_agree_with_single_rows():
    random = np.random.default_rng(8)
    y, p = binary(random, 310)  # 200 parts of one row or two
    fine = interval(get("log_loss"), y, p, n_parts=310)
    coarse = [interval(get("log_loss"), y, p, seed=seed) for seed in range(20)]
    widths = [found.high - found.low for found in coarse]
    assert np.mean(widths) == pytest.approx(fine.high - fine.low, rel=0.04)
    assert len({found.low for found in coarse}) > 1  # seeds are used


def test_groups_hold_the_truth_where_rows_do_not():
    """Errors shared within groups of ten: drawing rows alone is far too sure."""
    random, metric, grouped, alone = np.random.default_rng(3), get("mae"), 0, 0
    groups = np.repeat(np.arange(40), 10)
    for _ in range(300):
        y = np.zeros(400)
        predicted = np.repeat(random.exponential(size=40), 10)[:, None]
        grouped_one = interval(metric, y, predicted, groups=groups)
        row_one = interval(metric, y, predicted)
        grouped += grouped_one.low <= 1 <= grouped_one.high
        alone += row_one.low <= 1 <= row_one.high
    assert 0.92 <= grouped / 300 <= 0.98
    assert alone / 300 < 0.75


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "rmse"])
def test_forty_groups_of_fifty_rows_hold_the_truth(name):
    """Noise of which a group's rows share 40 %: over many groups the truth is that of rows alone."""
    random, metric, inside = np.random.default_rng(5), get(name), 0
    groups = np.repeat(np.arange(40), 50)
    truth = {"roc_auc": norm.cdf(SHIFT / math.sqrt(2)), "log_loss": true_log_loss(), "rmse": 1.0}[name]
    for _ in range(250):
        noise = math.sqrt(0.4) * random.normal(size=40)[groups] + math.sqrt(0.6) * random.normal(size=2000)
        if name == "rmse":
            y, predicted = np.zeros(2000), noise
        else:
            y = (random.random(2000) < SHARE).astype(float)
            predicted = 1 / (
                1 + np.exp(-((noise + SHIFT * y) * SHIFT - SHIFT**2 / 2 + np.log(SHARE / (1 - SHARE))))
            )
        found = interval(metric, y, predicted[:, None], groups=groups)
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 250 <= 0.98


def test_the_mean_s_interval_is_the_t_interval():
    """For a mean of many rows the interval must agree with the closed form."""
    random = np.random.default_rng(0)
    error = random.normal(size=2000) ** 2
    found = interval(get("mae"), np.zeros(2000), error[:, None])
    half = t.ppf(0.975, 1999) * error.std(ddof=1) / math.sqrt(2000)
    assert found.low == pytest.approx(error.mean() - half, abs=0.12 * half)
    assert found.high == pytest.approx(error.mean() + half, abs=0.12 * half)
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


def test_many_small_steps_are_the_same_as_few_large_ones(monkeypatch):
    """How many parts are held at a time must not be seen in the result, nor a metric without `scores` of its own."""

    class Plain(Metric):
        name, title, greater_is_better, tasks = "mae", "plain", False, frozenset()
        bounds = (0.0, math.inf)

        def score(self, y, predicted, weight=None):
            return float(np.average(np.abs(predicted[:, 0] - y), weights=weight))

    y, p = regression(np.random.default_rng(0), 100)
    want = interval(get("mae"), y, p, seed=3)
    monkeypatch.setattr("mlwright.metrics.base._CELLS", 700)
    got = interval(Plain(), y, p, seed=3)
    assert (got.low, got.high) == (pytest.approx(want.low), pytest.approx(want.high))


def test_edges():
    one = interval(get("mae"), np.zeros(1), np.ones((1, 1)))
    assert one.estimate == 1
    assert math.isnan(one.low)
    assert Interval.from_json(one.to_json()).estimate == 1
    assert one.to_json() == {"estimate": 1.0, "low": None, "high": None, "level": 0.95}
    rare = interval(get("roc_auc"), np.array([0.0] * 30 + [1.0]), np.linspace(0, 1, 31)[:, None])
    assert (rare.estimate, rare.low, rare.high) == (1, 0, 1)  # without that one row there is no score
    even = np.arange(40.0) % 2
    perfect = interval(get("roc_auc"), np.array([0.0] * 30 + [1.0] * 5), np.linspace(0, 1, 35)[:, None])
    assert (perfect.estimate, perfect.high) == (1, 1)
    assert perfect.low == pytest.approx(0.025 ** (1 / 5))  # Clopper and Pearson, five of five
    assert interval(get("accuracy"), even, 1 - even[:, None]).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert interval(get("rmse"), even, even[:, None]).high == 0
    alone = interval(get("roc_auc"), np.zeros(30), np.linspace(0, 1, 30)[:, None])
    assert math.isnan(alone.estimate)
    assert math.isnan(alone.high)
    y, p = binary(np.random.default_rng(0), 100)
    narrow, wide = interval(get("brier"), y, p, level=0.5), interval(get("brier"), y, p, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    first, again, other = (interval(get("brier"), y, p, n_parts=30, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


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
        found = paired_interval(get("mae"), y, a, b, weights=weights, n_parts=2000)
    else:
        found = interval(get("mae"), y, a, weights=weights, n_parts=2000)
    assert found.estimate == pytest.approx(mean)
    wanted = mean + 1.96 * error * np.array([-1, 1])
    if not paired:  # symmetric in its logarithm
        wanted = mean * np.exp(1.96 * error / mean * np.array([-1, 1]))
    np.testing.assert_allclose([found.low, found.high], wanted, atol=0.05 * error)


def test_weights_of_one_change_no_interval():
    random = np.random.default_rng(5)
    y, p = binary(random, 120)
    plain = interval(get("roc_auc"), y, p, groups=np.arange(120) // 3, seed=4)
    assert plain == interval(get("roc_auc"), y, p, weights=np.ones(120), groups=np.arange(120) // 3, seed=4)
