"""Ordered words, ranges and differences of dates: what they read, and when they are taken."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.errors import BundleContentError
from mlwright.data.infer import infer
from mlwright.data.ordinal import SCALES, find_scale
from mlwright.data.ranges import are_ranges, read_range
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.data.values import Coded, columns
from mlwright.features.datetime_difference import DatetimeDifference
from mlwright.features.ordinal_words import OrdinalWords
from mlwright.features.plan import FeaturePlan
from mlwright.features.range_value import RangeValue
from mlwright.features.recipes import build

TASK = Task(TaskKind.REGRESSION, "y", "rmse")


@pytest.mark.parametrize(
    "levels",
    [
        ["under 18", "18-25", "26 to 35", "36\u201350", "51 and over"],
        ["<0", "0<=X<200", ">=200", "no checking"],
        ["0%", "1 - 10%", "11 - 23%", "100%"],
        ["f 0", "f 1-49", "f 50-99", "f 1000-4999"],
        ["emp_lt_1", "emp_1", "emp_2", "emp_ge_10", "emp_unk"],
        ["$0-$10k", "$10k-$20k", "$20k+"],
        ["1-9km/h", "10-24", "25-39", "55+"],
        ["[0, 10)", "[10, 20)", "[20, 40)"],
        ["3 or less", "4", "5", "more than 5"],
        ["-1 year", "1-3 years", "4-6 years", "10+ years"],
    ],
)
def test_ranges_rise_with_their_order(levels):
    assert are_ranges(levels)
    found = [read_range(level) for level in levels]
    values = [one.value for one in found if one is not None]
    assert values == sorted(set(values))
    assert len(values) >= 3


@pytest.mark.parametrize(
    "levels",
    [
        ["red", "green", "3"],
        ["A17", "B18", "C2", "D9"],
        ["007", "012", "100"],
        ["1", "2", "3"],
        ["192.168.0.1", "10.0.0.1"],
        ["same 5", "also 5"],
        [],
    ],
)
def test_what_is_no_range(levels):
    assert not are_ranges(levels)


@pytest.mark.parametrize(
    ("levels", "scale"),
    [
        (["Low", "Medium", "High", "Very_High"], "amounts"),
        (["never", "rarely", "sometimes", "often", "always"], "frequencies"),
        (["Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"], "agreement"),
        (["Poor", "Fair", "Good", "Very good", "Excellent"], "grades"),
        (["TA", "Gd", "Ex", "Fa", "Po"], "quality codes"),
        (["Fair", "Good", "Very Good", "Premium", "Ideal"], "grades"),
        (["SI1", "VS2", "SI2", "VS1", "VVS2", "VVS1", "IF", "I1"], "clarity"),
        (["jan", "feb", "mar", "dec"], "months"),
        (["Sat", "Sun", "Mon", "Thurs"], "weekdays"),
        (["S", "M", "L", "XL"], "sizes"),
        (["two", "four", "six", "eight"], "numbers"),
        (["primary", "secondary", "tertiary", "unknown"], "schooling"),
    ],
)
def test_scales_are_found_and_rise(levels, scale):
    assert find_scale(levels) == scale
    steps = [SCALES[scale][level.lower().replace("_", " ")] for level in levels if level != "unknown"]
    assert len(set(steps)) == len(steps)
    if scale not in {"weekdays", "quality codes", "clarity"}:
        assert steps == sorted(steps)


def test_words_without_an_order_have_no_scale():
    for levels in (
        ["red", "green", "blue"],
        ["low", "red", "blue"],
        ["Male", "Female"],
        ["yes", "no"],
        ["low"],
    ):
        assert find_scale(levels) is None


def schema_of(**columns_of):
    return Schema(
        tuple(Column(name, Kind.CATEGORICAL, levels=tuple(levels)) for name, levels in columns_of.items())
    )


def test_recipes_put_the_number_beside_the_category():
    ages = [f"{low}-{low + 2}" for low in range(0, 93, 3)]  # 31 of them
    schema = schema_of(age=ages, risk=["low", "medium", "high"], town=["Bern", "Chur", "Genf"])
    both = {("age", "range_value"), ("risk", "ordinal_words")}
    for recipe, n_rows, expected in (
        ("native", 100, both),
        ("encoded", 100, {("age", "range_value")}),
        ("encoded", 10_000, both),
        ("linear", 10_000, {("age", "range_value")}),
    ):
        made = build(schema, recipe, n_rows=n_rows, task=TASK).transforms
        numbers = {(t.column, t.kind) for t in made if t.kind in {"range_value", "ordinal_words"}}
        assert numbers == expected
        assert {t.column for t in made if t.kind not in {"range_value", "ordinal_words"}} == {
            "age",
            "risk",
            "town",
        }
        assert all(t.scaled == (recipe == "linear") for t in made if t.kind == "range_value")


def test_scaled_steps_have_mean_zero_and_deviation_one():
    column = {"x": Coded(np.array([0, 1, 2, 2, -1], np.int32), ["low", "high", "medium"])}
    scaled = OrdinalWords("x", scaled=True).fit(column, np.zeros(5), n_classes=0, seed=0).batch(column)[:, 0]
    assert scaled[4] == 0.0
    assert np.allclose([scaled[:4].mean(), scaled[:4].std()], [0, 1])
    assert scaled[0] < scaled[2] < scaled[1]


def test_a_stored_scale_does_not_follow_the_list():
    state = (
        OrdinalWords("x")
        .fit({"x": Coded(np.array([0], np.int32), ["low"])}, np.zeros(1), n_classes=0, seed=0)
        .state()
    )
    state.tree["words"] = ["tiny"]
    state.arrays["steps"] = np.array([7.0])
    again = OrdinalWords.from_state(state)
    assert again.row("Tiny") == (7.0,)
    assert again.row("low") == again.row(None) == (3.0,)  # as the step that all rows of the fit had
    state.arrays["steps"] = np.array([math.inf])
    with pytest.raises(BundleContentError):
        OrdinalWords.from_state(state)


def test_differences_of_dates_are_days():
    starts = [dt.datetime.fromisoformat("2020-01-01") + dt.timedelta(days=3 * i) for i in range(40)]
    ends = [start + dt.timedelta(hours=36 * (i % 4)) for i, start in enumerate(starts)]
    table = pa.table(
        {"start": [s.isoformat() for s in starts], "end": [e.isoformat() for e in ends], "y": range(40)}
    )
    schema = infer(table, target="y")
    plan = build(schema, "native", n_rows=40, task=TASK)
    matrix = plan.fit_batch(columns(table, schema), np.arange(40.0), n_classes=0, seed=0)
    (place,) = [i for i, tag in enumerate(plan.tags) if tag.name == "days from start to end"]
    assert matrix[:, place].tolist() == [
        (e - s) / dt.timedelta(days=1) for s, e in zip(starts, ends, strict=True)
    ]
    assert FeaturePlan.from_state(plan.state()).row({"start": 0.0, "end": 43200.0})[place] == 0.5
    assert plan.row({"start": 0.0})[place] == 1.5  # the median: the fit saw no stay without an end
    gone = plan.batch({"start": np.array([0.0])})
    assert gone[0, place] == 1.5


def test_differences_are_bounded_and_audited():
    moments = Schema(tuple(Column(f"d{i}", Kind.DATETIME) for i in range(30)))
    made = [
        t
        for t in build(moments, "encoded", n_rows=9, task=TASK).transforms
        if isinstance(t, DatetimeDifference)
    ]
    assert len(made) == 10
    assert len({(t.column, t.other) for t in made}) == 10
    state = DatetimeDifference("a", "b").set_learned(0.0, 1.0).state()
    for name, value in (("other", 3), ("deviation", 0.0), ("kind", "number")):
        broken = type(state)({**state.tree, name: value}, {})
        with pytest.raises(BundleContentError):
            DatetimeDifference.from_state(broken)


def test_range_value_reads_what_training_never_saw():
    ages = {"age": Coded(np.array([0, 1], np.int32), ["18-25", "65+"])}
    fitted = RangeValue("age").fit(ages, np.zeros(2), n_classes=0, seed=0)
    assert fitted.row("26-35") == (30.5,)
    assert fitted.row("n/s") == (21.5,)  # the median, of two the lower: the fit saw none without a number
