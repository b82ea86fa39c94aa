"""Slices: planted ones are found, and where none is planted hardly ever one is shown."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from trust_draws import BINARY, CLASSES, NUMBER, columns, predictions

from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded
from mlwright.evaluate.cuts import Condition
from mlwright.evaluate.slice_rows import row_losses
from mlwright.evaluate.slice_tests import Population, strata
from mlwright.evaluate.slices import find_slices

TASKS = pytest.mark.parametrize("task", [BINARY, NUMBER, CLASSES], ids=["binary", "number", "classes"])


def named(found):
    return [Condition("town", level="town 0")] == list(found.conditions)


@TASKS
def test_a_planted_slice_of_3_percent_is_found_in_nine_of_ten_draws(task):
    found = covered = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        table, described, bad = columns(draw, 2000)
        looked = find_slices(task, *predictions(task, draw, 2000, bad), described, table)
        own = [part for part in looked.found if named(part)]
        found += bool(own)
        assert len(looked.found) <= 2  # and little else
        for part in own:
            assert part.n_rows == bad.sum()
            assert part.surprising
            assert part.difference.low > 0
            covered += part.expected < part.loss
    assert found >= 18
    assert covered == found


@TASKS
def test_where_none_is_planted_one_report_in_twenty_shows_one_at_most(task):
    false = 0
    for seed in range(40):
        draw = np.random.default_rng(1000 + seed)
        table, described, _ = columns(draw, 1000, 3)
        false += bool(find_slices(task, *predictions(task, draw, 1000), described, table).found)
    assert false <= 4  # of 40 at one in twenty: more has a chance of 5 %, and the seeds are fixed


def test_what_a_model_knows_to_be_hard_does_not_surprise():
    """The probability is true everywhere, and near one half in one category: worse there, and known to be."""
    shown = known = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        table, described, hard = columns(draw, 2000)
        share = np.where(hard, 0.5, 0.03) + draw.uniform(-0.02, 0.02, 2000)
        y = (draw.random(2000) < share).astype(float)
        looked = find_slices(BINARY, y, share[:, None], described, table)
        shown += any(named(part) for part in looked.found)
        known += any(part.surprising for part in looked.found)
    assert shown >= 18
    assert known <= 2


def test_two_columns_are_found_together_and_neither_alone():
    draw = np.random.default_rng(5)
    codes = draw.integers(0, 4, (2, 4000)).astype(np.int32)
    table = {name: Coded(own, list("abcd")) for name, own in zip("pq", codes, strict=True)}
    bad = (codes[0] == 1) & (codes[1] == 2)
    described = [Column(name, Kind.CATEGORICAL) for name in "pq"]
    looked = find_slices(BINARY, *predictions(BINARY, draw, 4000, bad), described, table)
    assert [part.conditions for part in looked.found] == [
        (Condition("p", level="b"), Condition("q", level="c"))
    ]
    part = looked.found[0]
    y, predicted = predictions(BINARY, np.random.default_rng(5), 4000)
    assert part.n_rows == bad.sum()
    assert part.wrong > 0.4 > part.wrong_rest + 0.2
    assert (looked.n_rows, len(y), len(predicted)) == (4000,) * 3


def test_a_copy_of_a_column_and_what_lies_within_are_no_slices_of_their_own():
    draw = np.random.default_rng(6)
    table, described, bad = columns(draw, 3000, 2)
    table["again"], table["bad"] = table["town"], bad.astype(float)
    described += [Column("again", Kind.CATEGORICAL), Column("bad", Kind.BOOLEAN)]
    looked = find_slices(BINARY, *predictions(BINARY, draw, 3000, bad), described, table)
    assert len(looked.found) == 1


def test_ranges_missing_values_and_parts_of_dates_are_looked_at():
    draw = np.random.default_rng(7)
    n_rows = 3000
    age = draw.uniform(20, 80, n_rows)
    age[draw.random(n_rows) < 0.05] = np.nan
    moments = draw.integers(0, 2 * 365 * 86400, n_rows).astype(float)
    weekday = (moments // 86400 + 3) % 7  # 1970 began on a Thursday
    table = {"age": age, "seen": moments}
    described = [Column("age", Kind.NUMERIC), Column("seen", Kind.DATETIME)]
    for bad, wanted in (
        (np.isnan(age), Condition("age")),
        (age > 72.5, None),
        (weekday == 6, Condition("seen", "weekday", "Sunday")),
    ):
        looked = find_slices(BINARY, *predictions(BINARY, draw, n_rows, bad), described, table)
        first = looked.found[0].conditions
        assert len(first) == 1
        if wanted is None:
            assert first[0].low == pytest.approx(72.5, abs=1)
            assert first[0].high == np.nanmax(age)
        else:
            assert first[0] == wanted


def test_rows_of_a_group_are_not_independent():
    """Each customer has 20 rows, one town and a difficulty of its own: no town is worse, but some have bad luck."""
    naive = counted = 0
    for seed in range(25):
        draw = np.random.default_rng(seed)
        group = np.repeat(np.arange(80), 20)
        town = draw.integers(0, 12, 80)[group].astype(np.int32)
        spread = np.exp(draw.normal(size=80))[group]
        value = draw.normal(size=1600)
        y = value + spread * draw.normal(size=1600)
        table = {"town": Coded(town, [f"town {i}" for i in range(12)])}
        given = (NUMBER, y, value[:, None], [Column("town", Kind.CATEGORICAL)], table)
        naive += bool(find_slices(*given).found)
        counted += bool(find_slices(*given, clusters=group).found)
    assert counted <= 3
    assert naive >= 10


def test_a_planted_slice_is_found_over_groups_too():
    found = 0
    for seed in range(10):
        draw = np.random.default_rng(seed)
        table, described, bad = columns(draw, 3000)
        looked = find_slices(
            BINARY,
            *predictions(BINARY, draw, 3000, bad),
            described,
            table,
            clusters=draw.integers(0, 600, 3000),
        )
        found += any(named(part) for part in looked.found)
    assert found >= 9


def test_weights_count():
    draw = np.random.default_rng(9)
    table, described, bad = columns(draw, 3000, 2)
    y, predicted = predictions(BINARY, draw, 3000, bad)
    weights = np.where(
        bad & ((predicted[:, 0] > 0.5) != y), 1e-6, 1.0
    )  # what is wrong there counts for nothing
    assert find_slices(BINARY, y, predicted, described, table).found
    assert not find_slices(BINARY, y, predicted, described, table, weights=weights).found
    doubled = find_slices(BINARY, y, predicted, described, table, weights=np.full(3000, 2.0))
    assert doubled.found[0].loss == pytest.approx(
        find_slices(BINARY, y, predicted, described, table).found[0].loss
    )


def test_a_slice_says_what_its_rows_say():
    draw = np.random.default_rng(10)
    table, described, bad = columns(draw, 2500, 2)
    task = replace(BINARY, metric="accuracy")
    y, predicted = predictions(task, draw, 2500, bad)
    looked = find_slices(task, y, predicted, described, table)
    part = looked.found[0]
    wrong = (predicted[:, 0] >= 0.5) != (y > 0.5)
    assert looked.loss == "wrong"
    assert (part.loss, part.rest) == pytest.approx((wrong[bad].mean(), wrong[~bad].mean()))
    low, high = stats.ttest_ind(wrong[bad], wrong[~bad], equal_var=False).confidence_interval()
    assert (part.difference.low, part.difference.high) == pytest.approx((low, high))
    assert (part.predicted, part.observed) == pytest.approx((predicted[bad, 0].mean(), y[bad].mean()))


@pytest.mark.parametrize("n_rows", [2, 9, 30])
def test_few_rows_give_no_slices(n_rows):
    draw = np.random.default_rng(0)
    table, described, _ = columns(draw, n_rows, 1)
    assert find_slices(BINARY, *predictions(BINARY, draw, n_rows), described, table).found == ()


def test_without_a_difference_in_loss_nothing_is_tried():
    table = {"x": np.arange(500.0)}
    looked = find_slices(NUMBER, np.ones(500), np.ones((500, 1)), [Column("x", Kind.NUMERIC)], table)
    assert (looked.n_tried, looked.found) == (0, ())


@pytest.mark.parametrize("metric", ["rmse", "mae", "mape", "poisson_deviance", "pinball", "r2"])
def test_a_loss_suits_the_metric(metric):
    task = replace(NUMBER, metric=metric, quantile=0.9 if metric == "pinball" else None)
    name, losses = row_losses(task, np.array([1.0, 4.0]), np.array([[1.0], [2.0]]))
    assert losses[0] == pytest.approx(0, abs=1e-12)
    assert losses[1] > 0
    assert name == ("absolute_error" if metric in ("rmse", "r2") else metric)


def test_the_chance_of_a_sum_is_that_of_permutations():
    """The gamma tail beside 40,000 permutations of a skewed loss, in two strata."""
    draw = np.random.default_rng(11)
    stratum = np.repeat([0, 1], [300, 100])
    population = Population.of(draw.exponential(size=400) * (1 + stratum), np.ones(400), stratum)
    inside = np.zeros(400, bool)
    inside[[*range(20), *range(300, 310)]] = True
    sums = np.zeros(40_000)
    for i in range(2):
        own, taken = population.values[stratum == i], int(inside[stratum == i].sum())
        order = np.argpartition(draw.random((40_000, len(own))), taken, axis=1)[:, :taken]
        sums += own[order].sum(axis=1)
    for high in (0.8, 0.95, 0.99, 0.999):
        asked = np.quantile(sums, high)
        _, chance = population.tail(np.array([asked]), np.array([[20, 10]]))
        assert 0.8 * (1 - high) < chance[0] < 1.6 * (1 - high)  # rather too great than too small


def test_the_chance_of_wrong_calls_is_not_less_than_exact():
    draw = np.random.default_rng(12)
    wrong = (draw.random(500) < 0.1).astype(float)
    population = Population.of(wrong, np.ones(500), np.zeros(500, np.int64))
    for count in (15, 40):
        for hits in range(int(0.2 * count) + 1, int(0.6 * count)):
            _, chance = population.tail(np.array([hits - count * wrong.mean()]), np.array([[count]]))
            exact = stats.hypergeom.sf(hits, 500, int(wrong.sum()), count)  # of more than so many
            assert chance[0] >= exact


def test_strata_hold_like_predictions():
    score = np.random.default_rng(0).random(1000)
    found = strata(score)
    tops = [score[found == i].max() for i in range(found.max() + 1)]
    assert tops == sorted(tops)
    assert max(np.ptp(score[found == i]) for i in range(found.max() + 1)) <= 0.05
    assert max(np.bincount(found)) <= 50
    assert np.unique(strata(np.ones(500))).tolist() == [0]
