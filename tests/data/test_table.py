"""Table: canonical columns are read once, and no reader can spoil them for the next."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from mlwright.data import table as tables
from mlwright.data.checks import redundant
from mlwright.data.infer import infer
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.data.table import Table
from mlwright.data.values import Coded


@pytest.fixture
def table():
    raw = pa.table({"age": [30, 40, None], "plan": ["year", "month", "year"], "code": [7, 8, 7]})
    return Table(raw, infer(raw, kinds={"age": Kind.NUMERIC, "code": Kind.CATEGORICAL}))


def test_a_column_is_read_once(table):
    first, again = table.columns(), table.columns(["age", "plan"])
    assert first["age"] is again["age"]
    assert first["plan"] is again["plan"]
    assert list(again) == ["age", "plan"]
    np.testing.assert_array_equal(first["age"], [30.0, 40.0, np.nan])
    assert first["code"] == Coded(first["code"].codes, ["7", "8"])


def test_nobody_writes_into_what_others_read(table):
    columns = table.columns()
    with pytest.raises(ValueError, match="read-only"):
        columns["age"][0] = 31.0
    with pytest.raises(ValueError, match="read-only"):
        columns["plan"].codes[0] = 1
    columns["age"] = np.zeros(3)  # the mapping is the caller's own
    np.testing.assert_array_equal(table.columns()["age"], [30.0, 40.0, np.nan])


def test_another_role_is_no_other_reading_and_another_kind_is(table):
    before = table.columns(["age", "code"])
    grouped = table.with_schema(table.schema.with_role("code", Role.GROUP))
    assert grouped.columns(["code"])["code"] is before["code"]
    assert "code" not in grouped.columns()
    raw = infer(table.arrow, kinds={"age": Kind.NUMERIC, "code": Kind.NUMERIC})
    np.testing.assert_array_equal(table.with_schema(raw).columns(["code"])["code"], [7.0, 8.0, 7.0])


def test_more_than_there_is_room_for_is_read_again(table, monkeypatch):
    monkeypatch.setattr(tables, "_KEPT_BYTES", 30)  # one number of three rows
    first = table.columns()
    assert table.columns()["age"] is first["age"]
    assert table.columns()["plan"] is not first["plan"]
    np.testing.assert_array_equal(table.columns()["plan"].codes, first["plan"].codes)


def test_copies_are_found_beyond_the_first_rows(monkeypatch):
    """Columns that pair in the first rows only are no copies; those that pair in all of them are."""
    draw = np.random.default_rng(0)
    a = draw.normal(size=300)
    almost = np.where(np.arange(300) < 250, a, draw.normal(size=300))
    columns = {"a": a, "almost": almost, "other": draw.normal(size=300), "copy": a.copy()}
    monkeypatch.setattr(redundant, "_FIRST_ROWS", 200)
    assert [(p.later, p.earlier) for p in redundant._renamed(columns)] == [("copy", "a")]


def test_checks_side_by_side_may_read_at_once():
    """Each reads columns that no other has read yet, while the others look at what is kept."""
    names = [f"c{i}" for i in range(400)]
    raw = pa.table({name: [1.0, 2.0] for name in names})
    schema = Schema(tuple(Column(name, Kind.NUMERIC) for name in names))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            table = Table(raw, schema)
            with ThreadPoolExecutor(4) as threads:
                found = list(threads.map(lambda name, table=table: table.columns([name])[name], names))
            assert all(values.tolist() == [1.0, 2.0] for values in found)
    finally:
        sys.setswitchinterval(interval)
