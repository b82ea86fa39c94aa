"""Money: costs by hand and by scikit-learn, and told in the report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.money import money
from mlwright.evaluate.report import render
from mlwright.metrics import of
from mlwright.metrics.intervals import interval

TASK = Task(TaskKind.BINARY, "left", "cost", ("no", "yes"), costs=(5.0, 100.0), capacity=0.1, threshold=0.08)


def rows(random, n):
    chance = random.beta(0.6, 6, n)
    return (random.random(n) < chance).astype(float), chance[:, None]


def test_ten_rows_by_hand():
    y = np.array([1.0, 1.0, 0, 0, 0, 0, 0, 0, 0, 0])
    chance = np.array([0.9, 0.05, 0.5, 0.3, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
    found = money(TASK, y, chance[:, None])
    # Called are 0.9, 0.5 and 0.3: two false alarms and a miss on ten rows.
    assert found.chosen.cost == pytest.approx(100 * (2 * 5 + 100))
    assert (found.called.count, found.called.total, found.right.count, found.right.total) == (3, 10, 1, 3)
    assert {way.name: way.cost for way in found.ways} == pytest.approx({"none": 20_000, "all": 4_000})
    assert {way.name: way.saved for way in found.ways} == pytest.approx({"none": 9_000, "all": -7_000})


def test_every_point_of_the_curve_is_what_the_confusion_matrix_costs():
    y, chance = rows(np.random.default_rng(0), 2000)
    found = money(TASK, y, chance)
    assert [point.threshold for point in found.curve] == sorted({point.threshold for point in found.curve})
    assert TASK.threshold in [point.threshold for point in found.curve]
    for point in found.curve:
        (_, alarms), (misses, _) = confusion_matrix(y, chance[:, 0] >= point.threshold, labels=[0, 1])
        assert point.cost == pytest.approx((5 * alarms + 100 * misses) / 2)
        assert point.low <= point.cost <= point.high
    # True probabilities are cheapest near 5 / 105.
    assert 0.02 < min(found.curve, key=lambda point: point.cost).threshold < 0.1
    for way in found.ways:
        assert way.saved == pytest.approx(way.cost - found.chosen.cost)
        assert 0 < way.low < way.saved < way.high


def test_weights_count_in_costs_and_groups_widen_ranges():
    y, chance = rows(np.random.default_rng(1), 600)
    weights = np.random.default_rng(2).integers(1, 4, 600)
    weighed, repeated = (
        money(TASK, y, chance, weights=weights.astype(float)),
        money(TASK, np.repeat(y, weights), np.repeat(chance, weights, axis=0)),
    )
    assert weighed.chosen.cost == pytest.approx(repeated.chosen.cost)
    assert [w.cost for w in weighed.ways] == pytest.approx([w.cost for w in repeated.ways])
    alone = money(TASK, y, chance).chosen
    groups = np.repeat(np.arange(600), 8)
    grouped = money(TASK, np.repeat(y, 8), np.repeat(chance, 8, axis=0), groups=groups).chosen
    assert grouped.cost == pytest.approx(alone.cost)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_ranges_hold_the_true_cost():
    """Of 400 tables of 400 rows; the truth is of 400,000 rows."""
    metric = of(TASK)
    y, chance = rows(np.random.default_rng(3), 400_000)
    truth = metric.score(y, chance)
    random = np.random.default_rng(4)
    found = [interval(metric, *rows(random, 400)) for _ in range(400)]
    assert np.mean([one.low <= truth <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)
    y, chance = rows(random, 400)
    alone, told = interval(metric, y, chance), money(TASK, y, chance).chosen
    assert [told.cost, told.low, told.high] == pytest.approx(
        [1000 * value for value in (alone.estimate, alone.low, alone.high)]
    )


def test_a_capacity_alone_has_no_curve():
    y, chance = rows(np.random.default_rng(5), 500)
    found = money(replace(TASK, costs=None), y, chance)
    assert found.chosen is None
    assert (found.curve, found.ways) == ((), ())
    assert found.called.count == np.count_nonzero(chance >= 0.08)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["capacity"] == 0.1


def test_the_report_draws_the_curve_and_agrees_with_json(binary_context):
    y, chance = rows(np.random.default_rng(6), 2000)
    found = money(TASK, y, chance)
    page = render(replace(binary_context, parts=(found,)))
    tree = json.loads(json.dumps({"money": found.to_json()}, allow_nan=False))["money"]
    assert '<section id="money">' in page
    assert f'<data value="{tree["chosen"]["cost"]:.12g}" data-path="parts.money.chosen.cost">' in page
    assert f'<data value="{tree["ways"][1]["saved"]:.12g}" data-path="parts.money.ways.1.saved">' in page
    assert 'class="band a0"' in page.partition('<section id="money">')[2].partition("</section>")[0]
    assert "It calls more rows than there is capacity for" in page.partition("<nav ")[0]
    assert "It does not surely save money" not in page
    poor = money(replace(TASK, capacity=None), y, np.random.default_rng(7).random((2000, 1)))
    assert (
        "It does not surely save money"
        in render(replace(binary_context, parts=(poor,))).partition("<nav ")[0]
    )
