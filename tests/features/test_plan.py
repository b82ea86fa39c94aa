"""The plan: order, tags, absent inputs, and its state."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, BundleKindError, SchemaError
from mlwright.core.files import canonical_json
from mlwright.data.values import Coded
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.number import Number
from mlwright.features.one_hot import OneHot
from mlwright.features.plan import FeaturePlan
from mlwright.features.scaled_number import ScaledNumber
from mlwright.features.target_encoding import TargetEncoding
from mlwright.testing.transforms import assert_same_bits

COLUMNS = {
    "age": np.array([30.0, np.nan, 50.0, 41.0]),
    "town": Coded(np.array([0, 1, -1, 0], np.int32), ["Bern", "Chur"]),
    "empty": np.full(4, np.nan),
    "other": np.zeros(4),
}
Y = np.array([0.0, 1.0, 1.0, 0.0])


def a_plan():
    return FeaturePlan(
        [
            Number("age"),
            CategoryCodes("town", min_count=1),
            ScaledNumber("empty"),
            TargetEncoding("town"),
            ScaledNumber("age"),
            OneHot("town", min_count=1),
        ]
    )


@pytest.fixture
def plan():
    return a_plan().fit(COLUMNS, Y, n_classes=2, seed=0)


def cells_of(columns, i):
    return {
        name: (values.levels[values.codes[i]] if values.codes[i] >= 0 else None)
        if isinstance(values, Coded)
        else float(values[i])
        for name, values in columns.items()
    }


def test_outputs_stand_in_the_order_of_the_transforms(plan):
    assert [tag.name for tag in plan.tags] == [
        "age",
        "town",
        "mean target of town",
        "log count of town",
        "age",
        "age is missing",
        "town=Bern",
        "town=Chur",
        "town is missing",
    ]
    assert plan.categorical == (1,)
    assert plan.inputs == ("age", "town", "empty")
    matrix = plan.batch(COLUMNS)
    assert matrix.flags.c_contiguous
    assert_same_bits(matrix[:, 0], COLUMNS["age"])
    assert matrix[:, 6:].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_a_record_gives_the_bits_of_its_row(plan):
    matrix = plan.batch(COLUMNS)
    for i in range(4):
        assert_same_bits(plan.row(cells_of(COLUMNS, i)), matrix[i])


def test_fit_batch_is_out_of_fold_only_where_the_target_is_used(plan):
    other = a_plan()
    matrix = other.fit_batch(COLUMNS, Y, n_classes=2, seed=0)
    rest = [0, 1, 3, 4, 5, 6, 7, 8]
    assert_same_bits(matrix[:, rest], plan.batch(COLUMNS)[:, rest])
    assert (matrix[:, 2] != plan.batch(COLUMNS)[:, 2]).any()
    assert_same_bits(other.batch(COLUMNS), plan.batch(COLUMNS))


def test_a_further_transform_moves_no_other():
    random = np.random.default_rng(0)
    columns = {"a": Coded(random.integers(0, 3, 60).astype(np.int32), ["x", "y", "z"])}
    columns["b"] = columns["a"]
    y = random.integers(0, 2, 60).astype(float)
    alone = FeaturePlan([TargetEncoding("a")]).fit_batch(columns, y, n_classes=2, seed=4)
    both = FeaturePlan([TargetEncoding("b"), TargetEncoding("a")]).fit_batch(columns, y, n_classes=2, seed=4)
    assert_same_bits(both[:, 2:], alone)
    assert (both[:, 0] != alone[:, 0]).any()


def test_an_absent_input_is_missing_in_both_paths(plan):
    rest = {"age": COLUMNS["age"]}
    matrix = plan.batch(rest)
    assert_same_bits(matrix, plan.batch({**rest, "town": Coded(np.full(4, -1, np.int32), [])}))
    assert_same_bits(plan.row({"age": 30.0}), matrix[0])
    assert_same_bits(plan.row({}), plan.batch({"other": np.zeros(1)})[0])
    assert math.isnan(plan.row({})[0])


def test_rows_of_the_matrix_are_fresh(plan):
    one = plan.row({"age": 30.0})
    kept = one.copy()
    plan.row({"age": 31.0})
    assert_same_bits(one, kept)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"age": COLUMNS["age"]}, r"columns are absent: got \['town', 'empty'\]"),
        ({**COLUMNS, "town": np.zeros(4)}, "column 'town' does not fit .* got 'numbers'; allowed: strings"),
        ({**COLUMNS, "age": COLUMNS["town"]}, "column 'age' does not fit .* got 'strings'; allowed: numbers"),
    ],
)
def test_fit_names_the_column_that_does_not_fit(columns, match):
    with pytest.raises(SchemaError, match=match):
        a_plan().fit(columns, Y, n_classes=2, seed=0)


def test_batch_needs_something_to_count(plan):
    with pytest.raises(SchemaError, match="no column to count the rows by"):
        plan.batch({})
    with pytest.raises(SchemaError, match="'town' does not fit"):
        plan.batch({"town": np.zeros(2)})


def test_no_transforms_and_no_outputs():
    empty = FeaturePlan([]).fit({}, np.zeros(2), n_classes=0, seed=0)
    assert empty.batch({"x": np.zeros(2)}).shape == (2, 0)
    assert empty.row({"x": 1.0}).shape == (0,)
    useless = FeaturePlan([DatetimeParts("empty")]).fit(COLUMNS, Y, n_classes=0, seed=0)
    assert useless.batch(COLUMNS).shape == (4, 0)
    assert useless.row({"empty": 3.0}).shape == (0,)


def through_json(state):
    return State(msgspec.json.decode(canonical_json(state.tree)), dict(state.arrays))


def test_state_round_trip_keeps_the_order_of_more_than_ten_transforms():
    names = [f"c{i}" for i in range(13)]
    columns = {name: np.arange(3.0) + i for i, name in enumerate(names)}
    plan = FeaturePlan([Number(name) for name in names]).fit(columns, np.zeros(3), n_classes=0, seed=0)
    again = FeaturePlan.from_state(through_json(plan.state()))
    assert again.inputs == tuple(names)
    assert again.row({name: float(i) for i, name in enumerate(names)}).tolist() == list(range(13))


def test_state_round_trip(plan):
    again = FeaturePlan.from_state(through_json(plan.state()))
    assert again.tags == plan.tags
    assert again.categorical == plan.categorical
    assert_same_bits(again.batch(COLUMNS), plan.batch(COLUMNS))
    assert_same_bits(again.row({"town": "Chur"}), plan.row({"town": "Chur"}))
    assert canonical_json(again.state().tree) == canonical_json(plan.state().tree)


def test_an_unknown_kind_is_refused(plan):
    state = through_json(plan.state())
    state.tree["children"]["0"]["kind"] = "numbers"
    with pytest.raises(BundleKindError, match="did you mean 'number'"):
        FeaturePlan.from_state(state)


def drop(state, key):
    del state.tree[key]


def swap(state):
    first, second = state.tree["children"]["0"], state.tree["children"]["3"]
    state.tree["children"].update({"0": second, "3": first})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: drop(s, "children"),
        lambda s: drop(s, "n_outputs"),
        lambda s: s.tree.update(n_outputs=3),
        lambda s: s.tree.update(children=[]),
        lambda s: s.tree["children"].update(x=s.tree["children"]["0"]),
        lambda s: s.tree["children"].pop("2"),
        lambda s: s.tree["children"].update({"1": None}),
        lambda s: s.arrays.update(stray=np.zeros(1)),
        lambda s: s.arrays.pop("3/encodings"),
        swap,
    ],
)
def test_a_malformed_state_is_refused(plan, spoil):
    state = through_json(plan.state())
    spoil(state)
    with pytest.raises(BundleContentError):
        FeaturePlan.from_state(state)
