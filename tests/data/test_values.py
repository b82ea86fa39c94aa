"""A cell has one reading: whole Arrow columns and single values give the same canonical cells."""

# ruff: noqa: DTZ001 - moments without a zone are what is tested

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.data.values import Coded, columns, number, reader, take, text

WORDS = [
    "",
    " ",
    "NA",
    "nan",
    "yes",
    "No",
    "TRUE",
    "f",
    "0",
    "1",
    "1.0",
    "-0",
    "007",
    "1e400",
    "1e-400",
    "inf",
]
WORDS += [
    "1,204.50",
    "1.204,50",
    "1 204",
    "0,125",
    "12%",
    "$5",
    "5 kg",
    "5kg",
    ".5",
    "5.",
    "+3",
    "1_000",
    "\uff11\uff12",
]
WORDS += [
    "2020-02-30",
    "2020-01-01",
    "2020-01-01T10:00:00Z",
    "2020-01-01 10:00:00.123456+02:00",
    "31.12.2019",
]
WORDS += [
    "12/31/2019",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "20191231",
    "🙂",
    "x" * 5000,
]
WORDS += [
    "9" * 301,
    "9" * 500,
    "-" + "9" * 25,
    "12345678901234567890",
    "0.1234567890123456789",
    "\x00",
    "a\nb",
]
STRINGS = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.from_regex(r"\A *[+-]?[0-9]{0,22}([.,][0-9]{0,20})?([eE][+-]?[0-9]{1,3})? *\Z"),
    st.floats().map(repr),
    st.integers().map(str),
    st.datetimes().map(str),
)
ZONED = st.datetimes(timezones=st.sampled_from([dt.UTC]))
ARROW = {
    "string": (pa.string(), STRINGS),
    "large_string": (pa.large_string(), STRINGS),
    "string_view": (pa.string_view(), STRINGS),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(WORDS)),
    "dictionary of int": (pa.dictionary(pa.int8(), pa.int64()), st.integers(0, 3)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "int8": (pa.int8(), st.integers(-128, 127)),
    "float64": (pa.float64(), st.floats()),
    "float32": (pa.float32(), st.floats(width=32)),
    "decimal": (
        pa.decimal128(38, 9),
        st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=9),
    ),
    "bool": (pa.bool_(), st.booleans()),
    "date32": (pa.date32(), st.dates()),
    "date64": (pa.date64(), st.dates()),
    "timestamp s": (pa.timestamp("s"), st.datetimes().map(lambda t: t.replace(microsecond=0))),
    "timestamp us": (pa.timestamp("us"), st.datetimes()),
    "timestamp ns": (
        pa.timestamp("ns"),
        st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
    ),
    "timestamp zone": (pa.timestamp("us", "UTC"), ZONED),
    "binary": (pa.binary(), st.one_of(st.binary(max_size=8), STRINGS.map(lambda t: t.encode()))),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=2)),
    "null": (pa.null(), st.none()),
}
COLUMNS = [
    Column("x", Kind.NUMERIC),
    Column("x", Kind.NUMERIC, format={"decimal": ",", "thousands": "."}),
    Column("x", Kind.NUMERIC, format={"strip": ["$", "%", "kg", "K"], "scale": {"K": 1000.0}}),
    Column("x", Kind.BOOLEAN),
    Column("x", Kind.BOOLEAN, format={"true": ["🙂"], "false": ["x", "0"]}),
    Column("x", Kind.DATETIME),
    Column("x", Kind.DATETIME, format={"formats": ["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d"]}),
    Column("x", Kind.DATETIME, format={"epoch": 0.001}),
    *(
        Column("x", Kind.CATEGORICAL, dtype=dtype)
        for dtype in ("str", "int", "float", "bool", "date", "timestamp")
    ),
    Column("x", Kind.TEXT),
    Column("x", Kind.ID, dtype="int"),
    Column("x", Kind.CONSTANT),
]


def same(batch: Any, single: Any) -> bool:
    if isinstance(batch, (float, np.floating)):
        return batch == single or (math.isnan(batch) and math.isnan(single))
    return batch == single and type(batch) is type(single)


def cells(read: Any) -> list[Any]:
    if isinstance(read, Coded):
        assert len(set(read.levels)) == len(read.levels)
        return [None if code < 0 else read.levels[code] for code in read.codes]
    assert read.dtype == np.float64
    return list(read)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{c.dtype}-{'-'.join(c.format)}")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_batch_equals_scalar(column: Column, data: st.DataObject) -> None:
    kind, values = ARROW[data.draw(st.sampled_from(sorted(ARROW)))]
    raw = data.draw(st.lists(st.none() | values, max_size=8))
    cut = data.draw(st.integers(0, len(raw)))
    chunks = [pa.array(part, type=kind) for part in (raw[:cut], raw[cut:])]
    got = cells(columns(pa.table({"x": pa.chunked_array(chunks, type=kind)}), Schema((column,)))["x"])
    read = reader(column)
    expected = (
        [read(chunk.as_py()) for chunk in pa.chunked_array(chunks, type=kind)]
        if "ns" not in str(kind)
        else [read(v) for v in raw]
    )
    assert len(got) == len(expected)
    assert all(same(a, b) for a, b in zip(got, expected, strict=True)), (raw, got, expected)


@given(st.floats(), st.sampled_from(["str", "float", "int"]))
@example(1e15, "int")
@example(1e22, "int")
@example(-0.0, "float")
def test_a_float_and_its_text_are_one_category(value: float, dtype: str) -> None:
    if dtype != "str":
        assert text(repr(value), dtype) == text(value, dtype) or not math.isfinite(value)
    elif math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        assert text(value) == text(int(value)) == str(int(value))


@given(st.integers(-(10**30), 10**30))
def test_an_integer_and_its_text_are_one_category(value: int) -> None:
    assert text(str(value), "int") == text(value, "int") == str(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_as_python_reads_them(value: float) -> None:
    assert number(repr(value)) == value
    assert number(f"  {value:,.3f} ") == float(f"{value:.3f}")


@given(st.dates())
def test_a_date_column_spells_dates_one_way(day: dt.date) -> None:
    midnight = dt.datetime(day.year, day.month, day.day)
    spellings = {text(v, "date") for v in (day, midnight, str(day), str(midnight), midnight.isoformat())}
    assert spellings == {day.isoformat()}


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("0,125", {}, math.nan),
        ("12,34,567", {}, 1234567.0),
        ("1,23", {}, math.nan),
        ("(12)", {}, math.nan),
        ("1.204.567,5", {"decimal": ",", "thousands": "."}, 1204567.5),
        ("1 204,5", {"decimal": ",", "thousands": " "}, 1204.5),
        ("$ 1,200", {"strip": ["$"]}, 1200.0),
        ("5 K", {"strip": ["K"], "scale": {"K": 1000}}, 5000.0),
        (Decimal("1.5"), {}, 1.5),
        (True, {}, 1.0),
        (10**400, {}, math.nan),
        (b"5", {}, math.nan),
    ],
)
def test_numbers(value: Any, form: dict[str, Any], expected: float) -> None:
    assert same(number(value, form), expected)


@pytest.mark.parametrize("value", [20191231, 20191231.0, "20191231", Decimal(20191231)])
def test_a_day_written_as_a_number(value: Any) -> None:
    column = Column("day", Kind.DATETIME, format={"formats": ["%Y%m%d"]})
    assert reader(column)(value) == dt.datetime(2019, 12, 31, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize("value", [1577836800, 1577836800.0, "1577836800", "1577836800.0"])
def test_epoch_seconds_in_any_dress(value: Any) -> None:
    column = Column("ts", Kind.DATETIME, format={"epoch": 1})
    assert reader(column)(value) == dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()


def test_times_out_of_range_are_missing() -> None:
    far = pa.chunked_array([pa.array([2**62, 0, None], pa.int64()).cast(pa.timestamp("s"))])
    days = pa.chunked_array([pa.array([2**31 - 1, 1, None], pa.int32()).cast(pa.date32())])
    for raw, expected in ((far, 0.0), (days, 86400.0)):
        for kind in (Kind.DATETIME, Kind.CATEGORICAL):
            read = cells(columns(pa.table({"x": raw}), Schema((Column("x", kind, dtype="date"),)))["x"])
            assert [cell is None or cell != cell for cell in read] == [True, False, True]
        seconds = columns(pa.table({"x": raw}), Schema((Column("x", Kind.DATETIME),)))["x"]
        assert seconds[1] == expected


def test_absent_columns_are_missing_and_only_features_are_read() -> None:
    schema = Schema(
        (Column("a", Kind.NUMERIC), Column("b", Kind.CATEGORICAL), Column("c", Kind.ID, Role.IGNORED))
    )
    read = columns(pa.table({"c": ["x"]}), schema)
    assert list(read) == ["a", "b"]
    assert cells(read["a"])[0] != cells(read["a"])[0]
    assert cells(read["b"]) == [None]


def test_take_keeps_levels() -> None:
    read = columns(
        pa.table({"a": ["x", "y", None], "b": [1, 2, 3]}),
        Schema((Column("a", Kind.CATEGORICAL), Column("b", Kind.NUMERIC))),
    )
    part = take(read, np.array([2, 1]))
    assert cells(part["a"]) == [None, "y"]
    assert cells(part["b"]) == [3.0, 2.0]


def test_categories_of_polars_are_read() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"a": ["x", None, "y"], "b": ["x", None, "y"], "c": ["x", None, "y"]}
    ).with_columns(polars.col("a").cast(polars.Categorical), polars.col("b").cast(polars.Enum(["y", "x"])))
    read = columns(pa.table(frame), Schema(tuple(Column(name, Kind.CATEGORICAL) for name in "abc")))
    assert [cells(column) for column in read.values()] == [["x", None, "y"]] * 3
