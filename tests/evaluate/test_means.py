"""Means and rates against scipy, published examples and arithmetic."""

import numpy as np
import pytest
from scipy import stats

from mlwright.evaluate.means import Rate, mean_difference, mean_of, rate, rate_difference, rate_ratio


def test_a_mean_is_scipys():
    values = np.random.default_rng(0).exponential(size=40)
    found = mean_of(values, np.ones(40))
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("level", [0.95, 0.999])
def test_a_difference_is_welchs(level):
    random = np.random.default_rng(1)
    values, inside = random.exponential(size=60), np.arange(60) < 17
    values[inside] *= 3
    found = mean_difference(values, inside, weights=np.ones(60), level=level)
    test = stats.ttest_ind(values[inside], values[~inside], equal_var=False)
    low, high = test.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_equal_weights_change_nothing_and_clusters_of_one_are_rows():
    random = np.random.default_rng(2)
    values, inside = random.normal(size=50), np.arange(50) < 20
    plain = mean_difference(values, inside, weights=np.ones(50))
    assert mean_difference(values, inside, weights=np.full(50, 3.0)).low == pytest.approx(plain.low)
    weighted = mean_of(values, np.arange(1.0, 51.0))
    assert weighted.estimate == pytest.approx(np.average(values, weights=np.arange(1.0, 51.0)))
    assert mean_of(values, np.ones(50), np.arange(50)).high == pytest.approx(
        mean_of(values, np.ones(50)).high
    )


def test_rows_of_one_cluster_count_once():
    """Each row four times is not four times the knowledge: the interval is that of the rows once."""
    values = np.random.default_rng(3).normal(size=30)
    once = mean_of(values, np.ones(30))
    four = mean_of(np.repeat(values, 4), np.ones(120), np.repeat(np.arange(30), 4))
    assert (four.low, four.high) == pytest.approx((once.low, once.high))
    hits = values > 0
    assert rate(np.repeat(hits, 4), np.ones(120), np.repeat(np.arange(30), 4)).n_effective == pytest.approx(
        30, rel=0.05
    )


def test_newcombes_examples():
    """Newcombe 1998, table II, method 10: 56/70 against 48/80, and 9/10 against 3/10."""
    assert rate_difference(Rate(56 / 70, 70), Rate(48 / 80, 80)).low == pytest.approx(0.0524, abs=5e-5)
    found = rate_difference(Rate(0.9, 10), Rate(0.3, 10))
    assert (found.low, found.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_a_ratio_of_rates_is_covered():
    random, covered = np.random.default_rng(4), 0
    for _ in range(1000):
        one, other = random.binomial(300, 0.16) / 300, random.binomial(500, 0.2) / 500
        found = rate_ratio(Rate(one, 300), Rate(other, 500))
        covered += found.low <= 0.8 <= found.high
    assert 930 <= covered <= 970


def test_nothing_is_said_of_nothing():
    assert np.isnan(rate(np.zeros(0, bool), np.zeros(0)).interval().low)
    assert np.isnan(rate_ratio(Rate(0.2, 50), Rate(0.0, 50)).estimate)
    assert np.isnan(mean_difference(np.ones(3), np.array([True, False, False]), weights=np.ones(3)).low)
    assert rate_ratio(Rate(0.0, 50), Rate(0.3, 200)).low == 0
