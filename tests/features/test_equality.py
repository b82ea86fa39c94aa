"""From raw values to the matrix: one record through `reader` and the row path, a table through Arrow and the batch path."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwright.bundle.state import State
from mlwright.core.files import canonical_json
from mlwright.data import values
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.features.plan import FeaturePlan
from mlwright.features.recipes import RECIPES, build
from mlwright.testing.transforms import assert_same_bits

SCHEMA = Schema(
    (
        Column("price", Kind.NUMERIC, dtype="float"),
        Column("income", Kind.NUMERIC, dtype="str", format={"strip": ["$", "k"], "scale": {"k": 1000.0}}),
        Column("count", Kind.NUMERIC, dtype="int"),
        Column("active", Kind.BOOLEAN, dtype="bool"),
        Column("plan", Kind.CATEGORICAL, levels=("month", "year", "é")),
        Column("town", Kind.CATEGORICAL),
        Column("level", Kind.CATEGORICAL, dtype="float", levels=("1", "2")),
        Column("since", Kind.DATETIME, dtype="timestamp"),
        Column("at", Kind.DATETIME, dtype="str"),
        Column("note", Kind.TEXT),
    )
)
TASKS = {
    0: Task(TaskKind.REGRESSION, "y", "rmse"),
    2: Task(TaskKind.BINARY, "y", "roc_auc", (0, 1)),
    3: Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c")),
}
TYPES = {
    "price": pa.float64(),
    "income": pa.string(),
    "count": pa.int64(),
    "active": pa.bool_(),
    "plan": pa.string(),
    "town": pa.string(),
    "level": pa.float64(),
    "since": pa.timestamp("us"),
    "at": pa.string(),
    "note": pa.string(),
}
ODD_TEXT = st.text(max_size=12) | st.sampled_from(
    ["", " ", "NaN", "inf", "null", "\U0001f600", "No heat", "heat, no light", "month", " year ", "é", "1,204.50", "$3k",
     "1e400", "word " * 5000, "0" * 500, "2024-02-29", "0001-01-01T00:00:00", "9999-12-31 23:59:59.999999",
     "1969-12-31T23:59:59.999999", "2024-02-30", "2024-01-01T00:00:00+14:00", "10000-01-01"]
)  # fmt: skip
ODD_FLOAT = st.floats() | st.sampled_from([1e300, -1e308, 5e-324, 1e15, 2.0**63])
VALUES = {
    "price": ODD_FLOAT,
    "income": ODD_TEXT,
    "count": st.integers(-(2**63), 2**63 - 1),
    "active": st.booleans(),
    "plan": ODD_TEXT,
    "town": ODD_TEXT,
    "level": ODD_FLOAT,
    "since": st.datetimes(),
    "at": ODD_TEXT,
    "note": ODD_TEXT,
}
RECORDS = st.lists(
    st.fixed_dictionaries({name: st.none() | strategy for name, strategy in VALUES.items()}),
    min_size=1,
    max_size=8,
)
READERS = {column.name: values.reader(column) for column in SCHEMA.columns}


def arrow(records):
    return pa.table({n: pa.array([r.get(n) for r in records], kind) for n, kind in TYPES.items()})


def training_records(n=120):
    random = np.random.default_rng(0)
    day = dt.datetime.fromisoformat("1999-12-01")

    def one(i):
        record = {
            "price": float(np.exp(random.normal() * 2)),
            "income": f"${random.integers(1, 99)}k",
            "count": int(random.poisson(3)),
            "active": bool(random.integers(0, 2)),
            "plan": ["month", "year", "é"][random.integers(0, 3)],
            "town": f"town {random.integers(0, 40)}",
            "level": float(random.integers(1, 3)),
            "since": day + dt.timedelta(seconds=int(random.integers(0, 10**8))),
            "at": (day + dt.timedelta(hours=int(random.integers(0, 10**4)))).isoformat(),
            "note": " ".join(random.choice(["no", "heat", "light", "today", "\U0001f600", "大きい"], 4)),
        }
        return {k: None if random.random() < 0.1 else v for k, v in record.items()}

    return [one(i) for i in range(n)]


def fitted(recipe, n_classes):
    records = training_records()
    y = np.array([i % n_classes if n_classes else i / 7 for i in range(len(records))], dtype=np.float64)
    plan = build(SCHEMA, recipe, n_rows=len(records), task=TASKS[n_classes])
    return plan.fit(values.columns(arrow(records), SCHEMA), y, n_classes=n_classes, seed=0)


PLANS = {(recipe, n): fitted(recipe, n) for recipe in RECIPES for n in TASKS}


def rows(plan, records):
    return np.array([plan.row({n: read(r.get(n)) for n, read in READERS.items()}) for r in records])


@pytest.mark.parametrize("n_classes", list(TASKS))
@pytest.mark.parametrize("recipe", RECIPES)
def test_training_rows_are_equal_in_both_paths(recipe, n_classes):
    plan = PLANS[recipe, n_classes]
    records = training_records()
    matrix = plan.batch(values.columns(arrow(records), SCHEMA))
    assert matrix.shape == (120, len(plan.tags))
    assert_same_bits(rows(plan, records), matrix)
    assert set(SCHEMA.names) == {tag.source for tag in plan.tags}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=RECORDS)
def test_odd_records_are_equal_in_both_paths(records):
    columns = values.columns(arrow(records), SCHEMA)
    for recipe in RECIPES:
        plan = PLANS[recipe, 3]
        matrix = plan.batch(columns)
        assert_same_bits(rows(plan, records), matrix, recipe)
        if recipe == "linear":
            assert np.isfinite(matrix).all()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=RECORDS, n_classes=st.sampled_from(list(TASKS)), recipe=st.sampled_from(RECIPES))
def test_a_plan_fitted_on_odd_records_keeps_equality_and_its_state(records, n_classes, recipe):
    columns = values.columns(arrow(records), SCHEMA)
    y = np.array([i % max(1, n_classes) for i in range(len(records))], dtype=np.float64)
    plan = build(SCHEMA, recipe, n_rows=len(records), task=TASKS[n_classes])
    training = plan.fit_batch(columns, y, n_classes=n_classes, seed=0)
    matrix = plan.batch(columns)
    assert training.shape == matrix.shape
    assert_same_bits(rows(plan, records), matrix)
    state = plan.state()
    again = FeaturePlan.from_state(State(msgspec.json.decode(canonical_json(state.tree)), state.arrays))
    assert_same_bits(again.batch(columns), matrix)
    if recipe == "linear":
        assert np.isfinite(training).all()
        assert np.isfinite(matrix).all()


def test_absent_columns_are_missing_ones():
    records = training_records(5)
    for plan in PLANS.values():
        for absent in SCHEMA.names:
            table = arrow(records).drop_columns([absent])
            thin = [{k: v for k, v in r.items() if k != absent} for r in records]
            matrix = plan.batch(values.columns(table, SCHEMA))
            assert_same_bits(rows(plan, thin), matrix)
            cells = [{n: read(r[n]) for n, read in READERS.items() if n != absent} for r in records]
            assert_same_bits(np.array([plan.row(c) for c in cells]), matrix)


def test_a_large_batch_has_the_bits_of_its_rows():
    """Long arrays take other machine paths (vector units, blocks) than short ones."""
    random = np.random.default_rng(3)
    n = 10_007
    x = np.exp(random.normal(size=n) * 5) * random.choice([-1, 1], n)
    seconds = random.uniform(-62135596800, 253402300799, n)
    schema = Schema((Column("x", Kind.NUMERIC), Column("at", Kind.DATETIME)))
    columns = {"x": x, "at": seconds}
    for recipe in RECIPES:
        plan = build(schema, recipe, n_rows=n, task=TASKS[0])
        matrix = plan.fit_batch(columns, x, n_classes=0, seed=0)
        one = np.array(
            [plan.row({"x": a, "at": b}) for a, b in zip(x.tolist(), seconds.tolist(), strict=True)]
        )
        assert_same_bits(one, matrix)
        assert_same_bits(plan.batch({k: v[1:][::3] for k, v in columns.items()}), matrix[1:][::3])
