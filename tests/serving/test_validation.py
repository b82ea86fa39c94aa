"""A record in, cells or all its problems out; the oracle for cells is `mlwright.data.values.reader`."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_fakes import PROPERTY, RECORD, SCHEMA

from mlwright.core.errors import RecordError
from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.values import reader as cell_reader
from mlwright.serving.validation import RecordReader, shown

READER = RecordReader(SCHEMA)


def problems(record, reader=READER):
    with pytest.raises(RecordError) as caught:
        reader.read(record)
    return caught.value.problems


def test_a_good_record():
    cells, warnings = READER.read(RECORD)
    assert cells == {
        "age": 44.0,
        "spend": 12.5,
        "plan": "year",
        "zone": "2",
        "senior": 0.0,
        "since": 1577923200.0,
        "note": "calls often",
    }
    assert warnings == []


def test_all_problems_are_collected():
    found = problems({"agee": 3, "senior": "perhaps", "since": "soon", "note": 5, "zone": {}})
    assert {p["field"]: p["problem"] for p in found} == {
        "age": "required, but missing",
        "plan": "required, but missing",
        "zone": "of the wrong type: an object",
        "senior": "cannot be read as true or false",
        "since": "cannot be read as a date or a time, as in 2026-11-22 or 2026-11-22T18:30:00",
        "note": "of the wrong type: a number",
        "agee": "unknown field; did you mean 'age'?",
    }
    assert all(set(p) == {"field", "problem", "got", "allowed"} for p in found)
    assert next(p for p in found if p["field"] == "agee")["allowed"] == ["age"]


def test_fields_of_other_roles_are_not_looked_at():
    assert READER.read({**RECORD, "customer": [1, {}], "churn": "yes"}) == READER.read(RECORD)


@pytest.mark.parametrize("missing", [None, math.nan, "", " ", "NA", "n/a", "?", np.float64("nan")])
def test_missing_has_one_meaning(missing):
    absent = {k: v for k, v in RECORD.items() if k not in {"spend", "zone", "senior", "since", "note"}}
    given_missing = {**absent, **dict.fromkeys(["spend", "zone", "senior", "since", "note"], missing)}
    cells, warnings = READER.read(given_missing)
    assert warnings == []
    assert repr(cells) == repr(READER.read(absent)[0])
    assert math.isnan(cells["spend"])
    assert math.isnan(cells["senior"])
    assert math.isnan(cells["since"])
    assert cells["zone"] is None
    assert cells["note"] is None


@pytest.mark.parametrize("missing", [None, math.nan, "", " ", "NA", "n/a", "?", np.float64("nan")])
def test_what_training_never_missed_must_be_there_and_may_be_empty(missing):
    cells, warnings = READER.read({**RECORD, "age": missing, "plan": missing})
    assert math.isnan(cells["age"])
    assert cells["plan"] is None
    assert [(w["field"], w["warning"]) for w in warnings] == [
        ("age", "missing, as in no row of training"),
        ("plan", "missing, as in no row of training"),
    ]
    (problem,) = problems({k: v for k, v in RECORD.items() if k != "age"})
    assert (problem["field"], problem["problem"]) == ("age", "required, but missing")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age", True),
        ("age", "old"),
        ("age", [1]),
        ("age", math.inf),
        ("age", 10**400),
        ("spend", "1e999"),
        ("spend", np.True_),
        ("plan", 3),
        ("plan", True),
        ("plan", "x" * 100_001),
        ("zone", math.inf),
        ("senior", 2),
        ("senior", "maybe"),
        ("since", 5),
        ("since", "31/31/2020"),
        ("note", 1.5),
        ("note", b"raw"),
    ],
)
def test_what_is_refused(field, value):
    (problem,) = problems({**RECORD, field: value})
    assert problem["field"] == field
    assert problem["allowed"]
    json.dumps(problem, allow_nan=False)


@pytest.mark.parametrize(
    ("field", "value", "cell"),
    [
        ("age", "1,044", 1044.0),
        ("age", 44.0, 44.0),
        ("age", np.int32(44), 44.0),
        ("spend", "$ 9.50", 9.5),
        ("plan", " two year ", "two year"),
        ("zone", 10, "10"),
        ("zone", "10", "10"),
        ("zone", 10.0, "10"),
        ("zone", True, "1"),
        ("senior", 1, 1.0),
        ("senior", "Yes", 1.0),
        ("senior", 0.0, 0.0),
        ("since", dt.date(1970, 1, 2), 86400.0),
        ("since", "1970-01-01T01:00:00+01:00", 0.0),
    ],
)
def test_what_is_accepted(field, value, cell):
    assert READER.read({**RECORD, field: value})[0][field] == cell


def test_warnings():
    _, warnings = READER.read({**RECORD, "age": 500, "plan": "week", "spend": -50})
    assert [(w["field"], w["got"]) for w in warnings] == [("age", 500), ("plan", "week")]
    # The training range of spend is -5 to 100, so -110 and 205 are its ends widened by its width.
    for spend, n_warnings in ((-110, 0), (-110.1, 1), (205, 0), (205.1, 1)):
        assert len(READER.read({**RECORD, "spend": spend})[1]) == n_warnings


def test_a_flood_of_unknown_fields_is_cut():
    found = problems({**RECORD, **{f"field {i}": i for i in range(5000)}})
    assert len(found) == 50
    assert "4950 more" in found[-1]["problem"]


@pytest.mark.parametrize("record", [None, 3, "x", [], [1]])
def test_no_record(record):
    assert problems(record)[0]["problem"] == "a record is an object of fields and values"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 12),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["year", "1", "2 ", "true", "No", "NA", "2020-01-02", "$5", "1,000", "-0"]),
    st.dates(),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
)
KINDS = [
    Column("c", Kind.NUMERIC, low=0.0, high=5.0),
    Column("c", Kind.NUMERIC, format={"decimal": ",", "thousands": "."}),
    Column("c", Kind.CATEGORICAL, levels=("year", "1", "2", "true", "007")),
    Column("c", Kind.CATEGORICAL, dtype="int", levels=("1", "2", "10", "true")),
    Column("c", Kind.CATEGORICAL, dtype="float", levels=("1", "2.5")),
    Column("c", Kind.CATEGORICAL, dtype="bool", levels=("true", "false", "1", "True")),
    Column("c", Kind.CATEGORICAL, dtype="date", levels=("2020-01-02",)),
    Column("c", Kind.CATEGORICAL),
    Column("c", Kind.TEXT),
    Column("c", Kind.BOOLEAN),
    Column("c", Kind.BOOLEAN, format={"true": ["j"], "false": ["n"]}),
    Column("c", Kind.DATETIME),
    Column("c", Kind.DATETIME, format={"epoch": 0.001, "formats": ["%d.%m.%Y"]}),
]


@pytest.mark.parametrize("column", KINDS, ids=lambda c: f"{c.kind}-{c.dtype}-{len(c.format)}")
@PROPERTY
@given(value=SCALARS)
def test_accepted_cells_are_those_of_training(column, value):
    try:
        cells, _ = RecordReader(Schema((column,))).read({"c": value})
    except RecordError as error:
        json.dumps(error.problems, allow_nan=False)
        return
    expected = cell_reader(column)(value)
    assert repr(cells["c"]) == repr(expected)
    assert type(cells["c"]) is type(expected)


@PROPERTY
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)))
def test_shown_is_short_json(value):
    assert len(json.dumps(shown(value), allow_nan=False)) < 1300
