"""Whole numbers of few values: when they are read as codes, and what becomes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.code_signs import are_codes
from mlwright.features.numeric_codes import NumericCodes
from mlwright.features.recipes import build
from mlwright.testing.transforms import column_of

DRAWS = 100
ORDERED = {
    "noise": lambda v: 0 * v,
    "line": lambda v: v,
    "logarithm": np.log1p,
    "step": lambda v: v > 4,
    "hump": lambda v: -((v - 5) ** 2) / 5,
    "waves": lambda v: 3 * np.sin(v / 1.5),
}


def drawn(random, course, *, n_classes=0, n_rows=600, n_levels=12):
    values = random.integers(0, n_levels, n_rows).astype(float)
    signal = course(values) + random.normal(0, 1, n_rows)
    if not n_classes:
        return values, signal
    cuts = np.quantile(signal, np.arange(1, n_classes) / n_classes)
    return values, np.searchsorted(cuts, signal).astype(float)


@pytest.mark.parametrize("n_classes", [0, 2, 4])
@pytest.mark.parametrize("course", ORDERED.values(), ids=ORDERED)
def test_an_ordered_effect_is_hardly_ever_a_code(course, n_classes):
    random = np.random.default_rng(11)
    found = sum(
        are_codes(*drawn(random, course, n_classes=n_classes), n_classes=n_classes) for _ in range(DRAWS)
    )
    assert found <= 1


@pytest.mark.parametrize("n_classes", [0, 2, 4])
def test_an_effect_without_order_is_mostly_found(n_classes):
    random = np.random.default_rng(12)
    found = 0
    for _ in range(DRAWS):
        effects = 1.5 * random.normal(0, 1, 12)
        course = lambda v, effects=effects: effects[v.astype(int)]  # noqa: E731
        found += are_codes(*drawn(random, course, n_classes=n_classes), n_classes=n_classes)
    assert found >= 0.75 * DRAWS


def zigzag(values):
    return 3.0 * (values.astype(int) % 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v + 0.5,
        lambda v: np.where(v > 2, np.nan, v),  # three values
        lambda v: v + 12 * np.arange(len(v)),  # all differ
        lambda v: np.where(v == 3, np.inf, v),
        lambda v: v * 2.0**52,
        lambda v: np.full(len(v), np.nan),
    ],
)
def test_values_that_cannot_be_codes_are_none(change):
    values, y = drawn(np.random.default_rng(1), zigzag)
    assert are_codes(values, y, n_classes=0)
    assert not are_codes(change(values), y, n_classes=0)
    assert not are_codes(values[:100], y[:100], n_classes=0)  # twelve values need 240 rows
    assert not are_codes(values, y, n_classes=0, most_levels=11)
    assert not are_codes(values[:0], y[:0], n_classes=0)


def test_a_shift_a_unit_and_missing_values_change_nothing():
    values, y = drawn(np.random.default_rng(2), zigzag)
    assert are_codes(values * 100 - 700, y * 1e6 + 5, n_classes=0)
    values[::7] = np.nan
    assert are_codes(values, y, n_classes=0)
    assert not are_codes(values, np.full(len(y), 3.0), n_classes=0)


def test_exact_effects_have_no_noise_to_divide_by():
    values = np.tile(np.arange(6.0), 50)
    assert are_codes(values, values % 2, n_classes=2)
    assert not are_codes(values, values > 2, n_classes=2)


def test_codes_are_those_of_the_same_category():
    values, y = drawn(np.random.default_rng(3), zigzag)
    values[:40] = np.nan
    values[40] = 77.0
    codes = NumericCodes("x").fit({"x": values}, y, n_classes=0, seed=0)
    same = CategoryCodes("x")
    texts = [None if math.isnan(v) else f"{int(v):02d}" for v in values.tolist()]
    same.fit(column_of(same, texts), y, n_classes=0, seed=0)
    np.testing.assert_array_equal(codes.batch({"x": values}), same.batch(column_of(same, texts)))
    assert codes.tags == same.tags
    assert [codes.row(cell) for cell in (None, math.nan, 77.0, 78.0, 0.5)] == [
        pytest.approx((expected,), nan_ok=True) for expected in (math.nan, math.nan, 12.0, 12.0, 12.0)
    ]
    assert codes.row(-0.0) == codes.row(0.0)


def test_numbers_stay_as_they_are():
    values, y = drawn(np.random.default_rng(4), np.log1p)
    plain = NumericCodes("x").fit({"x": values}, y, n_classes=0, seed=0)
    np.testing.assert_array_equal(plain.batch({"x": values})[:, 0], values)
    assert plain.is_identity
    assert not plain.tags[0].categorical
    again = NumericCodes("x").fit({"x": values}, zigzag(values), n_classes=0, seed=0)
    assert not again.is_identity


def test_a_state_that_names_a_value_twice_is_refused():
    values, y = drawn(np.random.default_rng(5), zigzag)
    state = NumericCodes("x").fit({"x": values}, y, n_classes=0, seed=0).state()
    state.tree["levels"] = [1.0, 1.0]
    with pytest.raises(BundleContentError, match="distinct numbers"):
        NumericCodes.from_state(state)


@pytest.mark.parametrize("recipe", ["native", "encoded", "linear"])
def test_a_search_reads_codes_both_ways(recipe):
    schema = Schema((Column("shop", Kind.NUMERIC, dtype="int"), Column("sum", Kind.NUMERIC, dtype="float")))
    values, y = drawn(np.random.default_rng(6), zigzag)
    plan = build(schema, recipe, n_rows=len(y), task=Task(TaskKind.REGRESSION, "y", "rmse"))
    plan.fit({"shop": values, "sum": y}, y, n_classes=0, seed=0)
    assert plan.categorical == ((0,) if recipe == "native" else ())
