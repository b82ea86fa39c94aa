"""Curves and interactions of functions whose curves and interactions are known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.values import Coded
from mlwright.evaluate.effects import Effects, effects
from mlwright.evaluate.effects_section import EFFECTS


def table(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)
    c[::10] = np.nan
    twin = a + 0.05 * rng.normal(size=n)
    plan = Coded(rng.choice(3, n, p=[0.6, 0.399, 0.001]).astype(np.int32), ["x", "y", "rare"])
    return {"a": a, "b": b, "c": c, "twin": twin, "plan": plan}


def of(function, names, columns=None, **options):
    columns = table() if columns is None else columns
    return effects(lambda rows: function(rows)[:, None], columns, names, seed=0, **options)


def test_the_curve_of_a_sum_is_its_part():
    found = of(lambda t: t["a"] ** 2 + 3 * t["b"] + (t["plan"].codes == 1) * 2.0, ["b", "a", "plan"])
    b, a, plan = found.curves
    points, means = np.array(b.points), np.array(b.means[0])
    np.testing.assert_allclose(means - means.mean(), 3 * (points - points.mean()), atol=1e-9)
    points, means = np.array(a.points), np.array(a.means[0])
    np.testing.assert_allclose(means - means.mean(), points**2 - (points**2).mean(), atol=1e-9)
    assert plan.points == ("x", "y")  # no level of fewer than five rows
    assert plan.means[0][1] - plan.means[0][0] == pytest.approx(2)
    np.testing.assert_allclose(b.low, b.means[0], atol=1e-9)  # all rows go the same way
    np.testing.assert_allclose(b.high, b.means[0], atol=1e-9)
    assert max(pair.strength for pair in found.pairs) < 1e-6


def test_curves_stay_where_data_are():
    columns = table()
    columns["a"][:3] = 1e6
    (curve,) = of(lambda t: t["a"], ["a"], columns).curves
    low, high = np.quantile(columns["a"], [0.02, 0.98])
    assert low <= min(curve.points) < max(curve.points) <= high
    assert all(one < other for one, other in pairwise(curve.points))
    assert set(curve.points) <= set(columns["a"].tolist())


def test_rows_that_go_different_ways_have_a_spread():
    found = of(lambda t: t["a"] * np.sign(t["b"]), ["a"])
    (curve,) = found.curves
    assert max(np.abs(curve.means[0])) < 0.4
    assert curve.high[-1] - curve.low[-1] == pytest.approx(2 * curve.points[-1], rel=0.15)
    rows = np.array([curve.errors[0] * np.sqrt(found.n_rows)])
    assert rows[0] == pytest.approx(abs(curve.points[0]), rel=0.15)  # every row is that far off, either way


def test_local_effects_do_not_leave_the_data():
    """A model that is odd where a column and its twin part: no row is there, but partial dependence asks for it."""

    def function(t):
        return t["a"] + 50 * np.maximum(np.abs(t["a"] - t["twin"]) - 0.4, 0)

    (curve,) = of(function, ["a"]).curves
    assert curve.tied == "twin"
    points, local, means = (np.array(v) for v in (curve.points, curve.local, curve.means[0]))
    np.testing.assert_allclose(np.diff(local), np.diff(points), atol=0.05)
    assert np.ptp(means) > 5
    assert of(lambda t: t["b"], ["b"]).curves[0].local == ()


@pytest.mark.parametrize(("share", "strength"), [(0.0, 0.0), (1.0, 1.0), (0.5, None)])
def test_the_interaction_is_friedman_s(share, strength):
    """Against H with the definition's own sums: over all rows, without a grid."""
    rows = table()

    def function(t):
        return share * 3 * t["a"] * t["b"] + (1 - share) * (t["a"] + t["b"])

    found = of(function, ["a", "b"])
    (pair,) = found.pairs
    if strength is None:
        a, b = rows["a"], rows["b"]
        joint = function(rows) - function(rows).mean()
        alone = [
            function({"a": a, "b": np.full(len(a), b.mean())}),
            function({"a": np.full(len(b), a.mean()), "b": b}),
        ]
        rest = joint - sum(one - one.mean() for one in alone)
        strength = np.sqrt((rest**2).sum() / (joint**2).sum())
    assert pair.strength == pytest.approx(strength, abs=0.08)
    assert pair.low <= pair.strength + 1e-9
    assert pair.strength <= pair.high + 1e-9
    assert sum(map(sum, pair.counts)) == 2000


def test_a_pair_without_rows_to_tell_it_is_left_out():
    columns = table()
    columns["b"] = np.round(columns["a"] * 2)
    columns["a"] = columns["b"] * 10
    assert of(lambda t: t["a"] * t["b"], ["a", "b"], columns).pairs == ()


def test_the_work_is_bounded_and_repeats():
    asked = []

    def predict(rows):
        asked.append(len(rows["a"]))
        return rows["a"][:, None]

    columns = {**table(), **{f"n{i}": np.random.default_rng(i).normal(size=2000) for i in range(15)}}
    names = ["a", "b", "c", "twin", "plan", "n0", "n1", "n2"]
    found = effects(predict, columns, names, seed=0)
    assert sum(asked) <= 6000
    assert len(found.curves) == 6
    assert effects(predict, columns, names, seed=0).to_json() == found.to_json()
    asked.clear()
    effects(predict, columns, names, seed=0, most=500)
    assert sum(asked) <= 5200  # at least 16 rows a point
    assert effects(predict, columns, [], seed=0).curves == ()


def some(labels, names=("a", "twin", "plan", "b")):
    columns = dict(zip(names, (table()[name] for name in ("a", "twin", "plan", "b")), strict=True))
    a, _, plan, b = names

    def predict(t):
        return (t[a] * t[b] + (t[plan].codes == 1))[:, None]

    found = effects(predict, columns, list(columns), labels=labels, seed=0)
    kinds = [Kind.NUMERIC, Kind.DATETIME, Kind.CATEGORICAL, Kind.NUMERIC]
    return found, Schema(tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True)))


def test_the_section_draws_them(context):
    labels = context.task.labels[1:2]
    found, schema = some(labels)
    drawn = EFFECTS.draw(replace(context, parts=(found,), schema=schema))
    assert drawn.count("<svg") == 5  # four curves and the strongest pair
    assert "neighbours only" in drawn
    assert f"{found.pairs[0].strength:.2f}" in drawn
    assert ("probability of" in drawn) == bool(labels)
    assert EFFECTS.draw(context) == ""
    assert EFFECTS.draw(replace(context, parts=(Effects((), 0, (), ()),))) == ""


def test_names_are_no_markup(hostile):
    bad = hostile.schema.columns[0].name
    found, schema = some([bad], names=("a", bad, "plan", "b"))
    assert "<script" not in EFFECTS.draw(replace(hostile, parts=(found,), schema=schema))
