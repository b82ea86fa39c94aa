"""Conform: do intervals and sets hold the truth of new rows as often as they say?"""

import numpy as np
import pytest

from mlwright.data.schema import Task, TaskKind
from mlwright.search.conform import conform

NUMBER = Task(TaskKind.REGRESSION, "y", "rmse")
CLASSES = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
TWO = Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes"))


def numbers(random, n):
    """Predictions that are off to one side, and the further the larger they are."""
    value = random.exponential(size=n)
    return 100 + value + (0.1 + value) * random.exponential(size=n), (100 + value)[:, None]


def classes(random, n):
    """Probabilities that are right on average, of three classes of unequal size."""
    chances = random.dirichlet([4.0, 1.5, 0.5], n)
    codes = (random.random(n)[:, None] > chances.cumsum(axis=1)[:, :2]).sum(axis=1)
    return codes.astype(float), chances


def two(random, n):
    """Probabilities that are far too sure, of a rare class."""
    chance = random.beta(1, 8, n)
    sure = 1 / (1 + np.exp(-3 * np.log(chance / (1 - chance))))
    return (random.random(n) < chance).astype(float), sure[:, None]


def held(found, y, predicted, *, strict=True):
    if found.kind == "residuals":
        low, high = found.ends(predicted[:, 0])
        return (low <= y) & (y <= high)
    inside = found.strict(predicted) if strict else found.members(predicted)
    return inside[np.arange(len(y)), y.astype(int)]


@pytest.mark.parametrize(
    ("task", "draw"), [(NUMBER, numbers), (CLASSES, classes), (TWO, two)], ids=["numbers", "classes", "two"]
)
@pytest.mark.parametrize("n", [100, 400])
def test_new_rows_are_held_as_often_as_promised(task, draw, n):
    """Over 200 tables: the mean share of new rows; finite-sample conformal is exact but for 1 / n and ties."""
    random = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        found = conform(*draw(random, n), task)
        shares.append(held(found, *draw(random, 400)).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert 0.9 - 3 * error <= np.mean(shares) <= 0.9 + 3 * error + 4 / n


def test_each_class_is_held_as_often_as_promised():
    """One threshold for all would hold the rare class in far less than nine of ten."""
    random = np.random.default_rng(2)
    y, predicted = two(random, 20_000)
    found = conform(*two(random, 4_000), TWO)
    for code in (0, 1):
        rows = y == code
        assert held(found, y[rows], predicted[rows]).mean() == pytest.approx(0.9, abs=0.035)
    assert held(found, y, predicted, strict=False).mean() >= held(found, y, predicted).mean()


def test_intervals_are_wide_where_misses_are_large_and_as_often_above_as_below():
    random = np.random.default_rng(3)
    found = conform(*numbers(random, 4000), NUMBER)
    y, predicted = numbers(random, 20_000)
    low, high = found.ends(predicted[:, 0])
    assert np.mean(y < low) == pytest.approx(0.05, abs=0.012)
    assert np.mean(y > high) == pytest.approx(0.05, abs=0.012)
    small, large = predicted[:, 0] < 100.3, predicted[:, 0] > 101.5
    for rows in (small, large):
        assert np.mean((low <= y)[rows] & (y <= high)[rows]) == pytest.approx(0.9, abs=0.03)
    assert (high - low)[large].mean() > 3 * (high - low)[small].mean()


def test_no_interval_is_below_0_where_no_truth_is():
    random = np.random.default_rng(4)
    y = random.exponential(size=300)
    assert conform(y, np.full((300, 1), 0.1), NUMBER).ends(np.zeros(1))[0] == 0
    assert conform(y - 1, np.full((300, 1), 0.1), NUMBER).lowest is None


def test_edges():
    random = np.random.default_rng(5)
    y, predicted = numbers(random, 100)
    assert conform(y[:50], predicted[:50], NUMBER) is None
    predicted[:50] = np.nan  # rows that no fold validates
    assert conform(y, predicted, NUMBER) is None
    assert conform(np.zeros(100), np.zeros((100, 1)), NUMBER).ends(np.zeros(1)) == (0, 0)
    assert conform(np.zeros(100), np.zeros((100, 1)), Task(TaskKind.ANOMALY, "", "stability")) is None
    rare = np.array([0.0] * 95 + [2.0] * 5)  # too few of a class, and none of another
    found = conform(rare, random.dirichlet(np.ones(3), 100), CLASSES)
    assert found.thresholds[1] == found.thresholds[2]
