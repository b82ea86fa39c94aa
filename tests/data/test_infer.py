"""What columns are: one rule a test, and one schema for one content whatever the file."""

# ruff: noqa: DTZ001 - moments without a zone are what is tested

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwright.core.errors import SchemaError, UsageError
from mlwright.data.date_format import FAMILIES, date_format, shape
from mlwright.data.fingerprint import fingerprint
from mlwright.data.infer import infer
from mlwright.data.number_format import number_format
from mlwright.data.read import read
from mlwright.data.schema import Column, Kind, Role
from mlwright.data.table import Table

N = 200
ROWS = range(N)
ZONES = (dt.UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30)))


def one(values: Any, name: str = "x", **options: Any) -> Column:
    return infer(pa.table({name: values}), **options)[name]


def numbers(values: Any, column: Column) -> list[float]:
    from mlwright.data.schema import Schema
    from mlwright.data.values import columns

    return list(columns(pa.table({column.name: values}), Schema((column,)), [column.name])[column.name])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,204.50", "3.20"], [1204.5, 3.2]),
        (["1.204,50", "3,20"], [1204.5, 3.2]),
        (["1 204,50", "3,20"], [1204.5, 3.2]),
        (["$1,200", "$5"], [1200, 5]),
        (["74 bhp", "1,000.5 bhp"], [74, 1000.5]),
        (["12%", "3.5%"], [12, 3.5]),
        (["5 kg", "700 g"], [5000, 700]),
        (["1.2K", "700"], [1200, 700]),
        (["3M", "1.5K"], [3e6, 1500]),
        (["-1e-3", "+2.5"], [-0.001, 2.5]),
        (["36 months", "1 month"], [36, 1]),
        (["36 mo.", "1 mo."], [36, 1]),
        (["1 week", "3 days"], [7, 3]),
        (["45%", "3.5%"], [45, 3.5]),
        (["5'11\"", "6'0\""], [71, 72]),
        (["5 ft 11 in", "6 ft"], [71, 72]),
        (["17:30", "00:15:36"], [17.5, 0.26]),
        (["1:30 PM", "12:15 am"], [13.5, 0.25]),
        (["2h 30m", "45m", "1h"], [2.5, 0.75, 1]),
        (["< 1 year", "1 year", "2 years", "3 years", "4 years", "5+ years"], [0.5, 1, 2, 3, 4, 5]),
        (["1200", "1,350", "900", "1000 - 1500", "$800"], [1200, 1350, 900, 1250, 800]),
    ],
)
def test_numbers_written_as_text(values: list[str], expected: list[float]) -> None:
    column = one(values * 20)
    assert column.kind is Kind.NUMERIC
    assert numbers(values, column) == expected
    assert (column.low, column.high) == (min(expected), max(expected))
    assert column.required


@pytest.mark.parametrize(
    "values",
    [["A17", "B18"], ["1A", "2B"], ["1st", "2nd"], ["10+ years", "< 1 year"], ["$5", "€6"], ["1.2.3", "2.0.1"],
     ["555-1234", "555-9876"], ["007", "12"], ["192.168.0.1", "10.0.0.1"]],
)  # fmt: skip
def test_codes_are_no_numbers(values: list[str]) -> None:
    column = one(values * 20)
    assert column.kind is Kind.CATEGORICAL
    assert column.dtype == "str"
    assert set(column.levels or ()) == set(values)


@pytest.mark.parametrize(
    ("form", "formats"),
    [
        ("%Y-%m-%d", []),
        ("%Y-%m-%d %H:%M:%S", []),
        ("%Y-%m-%dT%H:%M:%S+00:00", []),
        ("%d.%m.%Y", ["%d.%m.%Y"]),
        ("%d/%m/%Y", ["%d/%m/%Y"]),
        ("%m/%d/%Y", ["%m/%d/%Y"]),
        ("%m/%d/%y", ["%m/%d/%y"]),
        ("%m-%d-%Y %H:%M", ["%m-%d-%Y %H:%M"]),
        ("%d/%m/%Y %I:%M %p", ["%d/%m/%Y %I:%M %p"]),
        ("%Y/%m/%d", ["%Y/%m/%d"]),
        ("%d %b %Y", ["%d %b %Y"]),
        ("%B %d, %Y", ["%B %d, %Y"]),
        ("%d-%b-%y", ["%d-%b-%y"]),
        ("%a, %d %b %Y %H:%M:%S GMT", ["%a, %d %b %Y %H:%M:%S GMT"]),
        ("%a, %d %b %Y %H:%M:%S +0000", ["%a, %d %b %Y %H:%M:%S %z"]),
        ("%a %b %d %H:%M:%S %Y", ["%a %b %d %H:%M:%S %Y"]),
        ("%b-%Y", ["%b-%Y"]),
        ("%Y %b", ["%Y %b"]),
        ("%Y-%m", ["%Y-%m"]),
        ("%Y-%m-%d %H:%M:%S UTC", ["%Y-%m-%d %H:%M:%S UTC"]),
        ("%Y%m%dT%H%M%S", ["%Y%m%dT%H%M%S"]),
        ("%Y-%m-%d %I:%M %p", ["%Y-%m-%d %I:%M %p"]),
        ("%d-%B-%Y", ["%d-%B-%Y"]),
        ("%Y-%b-%d", ["%Y-%b-%d"]),
        ("%d%b%Y:%H:%M:%S", ["%d%b%Y:%H:%M:%S"]),
        ("%m/%d/%Y, %I:%M %p", ["%m/%d/%Y, %I:%M %p"]),
        ("%a %b %d %Y", ["%a %b %d %Y"]),
        ("%B, %Y", ["%B, %Y"]),
        ("%m-%Y", ["%m-%Y"]),
        ("%b%Y", ["%b%Y"]),
    ],
)
def test_dates_written_as_text(form: str, formats: list[str]) -> None:
    moments = [dt.datetime(2019, 1, 30, 13, 45) + dt.timedelta(days=i) for i in ROWS]
    texts = [moment.strftime(form) for moment in moments]
    column = one(texts)
    assert (column.kind, column.format.get("formats", [])) == (Kind.DATETIME, formats)
    expected = [dt.datetime.strptime(t, form).replace(tzinfo=dt.UTC).timestamp() for t in texts]
    assert numbers(texts, column) == expected
    assert (column.low, column.high) == (min(expected), max(expected))
    assert column.dtype == ("timestamp" if "%H" in form or "%I" in form else "date")


def test_what_strptime_reads_fits_the_shape_that_is_looked_at_first() -> None:
    moments = (dt.datetime(2019, 1, 3, 4, 5, 6, 700), dt.datetime(2021, 9, 30, 23, 45))
    n_read = 0
    for family in FAMILIES:
        for form in family:
            loose = form.replace("%d", "%-d").replace("%I", "%-I")
            texts = [
                m.replace(tzinfo=zone).strftime(f) for m in moments for zone in ZONES for f in (form, loose)
            ]
            for text in {*texts, *map(str.upper, texts)}:
                try:
                    dt.datetime.strptime(text, form)  # noqa: DTZ007 - only asked whether it can be read
                except ValueError:
                    continue
                n_read += 1
                assert shape(form).fullmatch(text), (form, text)
                assert shape(family[0]).match(text), (form, text)
    assert n_read > 4 * len(FAMILIES)


def test_day_or_month_first_is_decided_by_the_whole_column() -> None:
    open_ones = [f"{day:02d}/{month:02d}/2020" for day in range(1, 13) for month in range(1, 13)]
    undecided = one(open_ones)
    assert undecided.format == {"formats": ["%d/%m/%Y"]}
    assert "no value says whether day or month comes first: read day first" in undecided.why
    assert one([*open_ones, "01/31/2020"]).format == {"formats": ["%m/%d/%Y"]}  # one value in 145 decides
    assert one([*open_ones, "31/01/2020"]).format == {"formats": ["%d/%m/%Y"]}
    mixed = one([*open_ones * 3, *["31/01/2020"] * 5, "01/31/2020"])
    assert mixed.format == {"formats": ["%d/%m/%Y"]}
    assert "other way round" in mixed.why
    assert "1 of 438 cannot be read and count as missing: '01/31/2020'" in mixed.why


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ([f"{day}{'st' if day == 1 else 'th'} Sept. 2014" for day in (1, 4, 30)], "2014-09-01", "2014-09-30"),
        (["2014Q1", "2014Q2", "2015Q4"], "2014-01-01", "2015-10-01"),
        (["Q1 2014", "Q2 2014", "Q4 2015"], "2014-01-01", "2015-10-01"),
        (["2014-1-30", "2014-2-3", "2014-12-11"], "2014-01-30", "2014-12-11"),
    ],
)
def test_dates_that_no_one_format_writes(values: list[str], first: str, last: str) -> None:
    column = one(values * 20)
    assert column.kind is Kind.DATETIME
    expected = [dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp() for day in (first, last)]
    assert [column.low, column.high] == expected
    assert numbers(values, column)[0] == expected[0]


def test_numbers_are_dates_where_the_project_says_so() -> None:
    raw = pa.table({"serial": [41640, 41641, 43831.5], "made": [1999, 2001, 2014], "n": [1, 2, 3]})
    schema = infer(raw, kinds={"serial": Kind.DATETIME, "made": Kind.DATETIME})
    moments = [dt.datetime.fromtimestamp(column.high or 0, dt.UTC) for column in schema.columns[:2]]
    assert [moment.isoformat() for moment in moments] == [
        "2020-01-01T12:00:00+00:00",
        "2014-01-01T00:00:00+00:00",
    ]
    assert "days of a spreadsheet" in schema["serial"].why
    assert infer(raw)["serial"].kind is Kind.NUMERIC


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("day8", [int(f"2014{1 + i % 12:02d}{1 + i % 28:02d}") for i in ROWS], {"formats": ["%Y%m%d"]}),
        ("stamp", [20140131000000 + 10000 * (i % 24) + i % 60 for i in ROWS], {"formats": ["%Y%m%d%H%M%S"]}),
        ("month", [201401 + i % 12 for i in ROWS], {"formats": ["%Y%m"]}),
        ("visits", [201401 + i % 12 for i in ROWS], None),
        ("lastSeen", [(1577836800 + 3600 * i) * 1000 for i in ROWS], {"epoch": 1e-3}),
        ("yearID", [1990 + i % 30 for i in ROWS], None),
    ],
)
def test_dates_in_digits(name: str, values: list[int], form: dict[str, Any] | None) -> None:
    column = one(values, name)
    assert column.kind is (Kind.NUMERIC if form is None else Kind.DATETIME)
    assert column.format == (form or {})


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("created_at", [1577836800 + 3600 * i for i in ROWS], {"epoch": 1.0}),
        ("event_time", [(1577836800 + 3600 * i) * 1000 for i in ROWS], {"epoch": 1e-3}),
        ("date", [20200101 + i % 28 for i in ROWS], {"formats": ["%Y%m%d"]}),
        ("visits", [1577836800 + 3600 * i for i in ROWS], None),
        ("time", [i * 7 % 199 for i in ROWS], None),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_times_written_as_numbers(
    name: str, values: list[int], form: dict[str, Any] | None, *, as_text: bool
) -> None:
    column = one([str(v) for v in values] if as_text else values, name)
    assert column.kind is (Kind.NUMERIC if form is None else Kind.DATETIME)
    assert column.format == (form or {})
    if form is not None:
        first = dt.datetime.fromtimestamp(column.low or 0, dt.UTC)
        assert first == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "pair",
    [
        ("no", "Yes"),
        ("FALSE", "True"),
        ("N", "Y"),
        ("f", "t"),
        ("0", "1"),
        (0, 1),
        (0.0, 1.0),
        (False, True),
        ("Off", "on"),
    ],
)
def test_two_words_of_truth_are_boolean(pair: tuple[Any, Any]) -> None:
    column = one([*pair, None] * 20)
    assert column.kind is Kind.BOOLEAN
    assert numbers(list(pair), column) == [0.0, 1.0]
    assert not column.required


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customerID", [f"{i:04d}-XK" for i in ROWS]),
        ("PassengerId", [i * 3 for i in ROWS]),
        ("rownames", [str(i) for i in ROWS]),
        ("n", list(range(1, N + 1))),
        ("shuffled", [(i * 77) % N for i in ROWS]),
        ("tweet", [10**18 + 7**9 * i for i in ROWS]),
        ("email", [f"p{i}@example.org" for i in ROWS]),
        ("plate", [f"AB {i:03d} XY" for i in ROWS]),
        ("Unnamed: 0", [7 * i % 1009 for i in ROWS]),
        ("row_number", [i * 3 for i in ROWS]),
        ("No", [25 + i + i // 3 for i in ROWS]),  # rows in order, some of them left out
    ],
)
def test_identifiers_are_ignored(name: str, values: list[Any]) -> None:
    column = one(values, name)
    assert (column.kind, column.role) == (Kind.ID, Role.IGNORED)
    assert "identifier" in column.why
    assert one(values, name, roles={name: Role.FEATURE}).kind is not Kind.ID
    assert one(values, name, roles={name: Role.FEATURE}).role is Role.FEATURE
    assert one(values, name, roles={name: Role.GROUP}).role is Role.GROUP


def test_what_looks_like_an_identifier_and_is_none() -> None:
    assert one(list(range(1900, 1900 + N)), "year").kind is Kind.NUMERIC
    assert one([i * 0.37 for i in ROWS], "price").kind is Kind.NUMERIC
    assert one([i * i for i in ROWS], "area").kind is Kind.NUMERIC
    assert one([i * 3 for i in ROWS], "No").kind is Kind.NUMERIC  # more gaps than rows
    assert one([7 * i % 997 for i in ROWS], "heat_index").kind is Kind.NUMERIC
    assert one([i // 10 for i in ROWS], "customer_id").kind is Kind.CATEGORICAL
    assert one(["a", "b", "c"], "id").kind is Kind.CATEGORICAL  # too few rows to say


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("zip_code", Kind.CATEGORICAL),
        ("roomType", Kind.CATEGORICAL),
        ("rooms", Kind.NUMERIC),
        ("paid", Kind.NUMERIC),
        ("centroid-row", Kind.NUMERIC),
        ("LeagueIndex", Kind.NUMERIC),
        ("unitid", Kind.CATEGORICAL),
        ("humid", Kind.NUMERIC),
    ],
)
def test_whole_numbers_are_codes_only_by_name(name: str, kind: Kind) -> None:
    column = one([i % 11 for i in ROWS], name)
    assert (column.kind, column.dtype) == (kind, "int")


def test_constants_are_ignored_and_say_why() -> None:
    for values in (["x"] * 9, [1.5] * 9, [True] * 9, [dt.date(2020, 1, 1)] * 9, ["true"] * 9):
        column = one(values)
        assert (column.kind, column.role) == (Kind.CONSTANT, Role.IGNORED)
    for values in ([None] * 9, ["", "NA"] * 9, [float("nan")] * 9):
        column = one(values)
        assert (column.kind, column.role, column.required) == (Kind.CONSTANT, Role.IGNORED, False)
        assert f"all {len(values)} values are missing" in column.why
    assert one(["x", None] * 9).kind is Kind.CATEGORICAL  # that it is missing says something


def test_text_and_categories() -> None:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "one", "lazy", "dog"]
    reviews = [" ".join(words[(i * k) % 9] for k in range(1, 9)) + f" {i}" for i in ROWS]
    assert one(reviews).kind is Kind.TEXT
    assert one([review.rsplit(" ", 1)[0] for review in reviews]).kind is Kind.CATEGORICAL
    contract = one(["Two year", "One year", "Two year", "Month-to-month"] * 50)
    assert contract.kind is Kind.CATEGORICAL
    assert contract.levels == ("Two year", "Month-to-month", "One year")
    assert contract.why == "categorical, 3 values, most often 'Two year'"
    assert (
        one([f"level {i // 2:04d}" for i in range(4000)]).levels is None
    )  # 2,000 levels are too many to list


def test_short_titles_that_mostly_differ_are_text() -> None:
    adjectives, nouns = ["lovely", "soft", "poor", "great"], ["dress", "fit", "colour", "top", "skirt"]
    titles = [f"{adjectives[i % 4]} {nouns[i % 5]} number {i // 2 if i % 3 else 0}" for i in range(400)]
    assert 0.6 < len(set(titles)) / 400 < 0.9
    assert one(titles, "Title").kind is Kind.TEXT
    assert one([f"{nouns[i % 5]} {i % 40}" for i in ROWS], "Title").kind is Kind.CATEGORICAL


def test_a_column_that_says_who_trains_and_who_tests_is_no_feature() -> None:
    parts = ["train", "train", "Test"] * 100
    column = one(parts, "split")
    assert (column.kind, column.role) == (Kind.CATEGORICAL, Role.IGNORED)
    assert "'train'" in column.why
    assert one(parts, "split", roles={"split": Role.FEATURE}).role is Role.FEATURE
    assert one(parts, "vehicle").role is Role.FEATURE
    assert one(["train", "bus", "car"] * 100, "set").role is Role.FEATURE


def test_slips_among_numbers() -> None:
    column = one(["oops" if i % 40 == 0 else str(i % 7) for i in ROWS])
    assert (column.kind, column.required) == (Kind.NUMERIC, False)
    assert column.why == "numeric, 7 values, 0 to 6; 5 of 200 cannot be read and count as missing: 'oops'"
    assert one(["oops" if i % 10 == 0 else str(i % 7) for i in ROWS]).kind is Kind.CATEGORICAL


def test_nested_values_are_ignored() -> None:
    for values in ([[1]] * 9, [{"a": 1}] * 9, [b"\xff"] * 9):
        column = one(values)
        assert column.role is Role.IGNORED
        assert "no single values" in column.why


def test_what_the_project_says_counts() -> None:
    raw = pa.table(
        {
            "n": [1, 2, 3] * 9,
            "s": ["1", "x", "y"] * 9,
            "v": ["ja", "nein", "ja"] * 9,
            "t": [2001, 2002, 2003] * 9,
        }
    )
    schema = infer(
        raw,
        target="n",
        roles={"t": Role.TIME, "v": Role.IGNORED},
        kinds={"n": Kind.CATEGORICAL, "v": Kind.BOOLEAN, "s": Kind.TEXT},
    )
    assert [column.kind for column in schema.columns] == [
        Kind.CATEGORICAL,
        Kind.TEXT,
        Kind.BOOLEAN,
        Kind.NUMERIC,
    ]
    assert [column.role for column in schema.columns] == [Role.TARGET, Role.FEATURE, Role.IGNORED, Role.TIME]
    assert schema["n"].levels == ("1", "2", "3")
    for kind in (Kind.DATETIME, Kind.BOOLEAN, Kind.NUMERIC):
        with pytest.raises(SchemaError, match=f"'s' cannot be read as {kind}"):
            infer(raw, kinds={"s": kind})
    for wrong in ({"target": "nn"}, {"roles": {"nn": Role.GROUP}}, {"kinds": {"nn": Kind.TEXT}}):
        with pytest.raises(UsageError, match="did you mean 'n'"):
            infer(raw, **wrong)  # type: ignore[arg-type]


MAKERS = {
    "ints": st.integers(-50, 10**6),
    "floats": st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    "whole floats": st.integers(0, 9).map(float),
    "bools": st.booleans(),
    "words": st.sampled_from(["red", "green", "dark blue", "A17", "007", "1,5"]),
    "yes": st.sampled_from(["Yes", "no"]),
    "dates": st.dates(dt.date(1990, 1, 1), dt.date(2030, 1, 1)),
    "times": st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)).map(
        lambda t: t.replace(microsecond=0)
    ),
    "zero one": st.integers(0, 1),
    "huge": st.integers(2**60, 2**61),
}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(1, 30))
def test_one_content_has_one_schema_and_one_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n: int
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=4, unique=True))
    raw = pa.table(
        {name: data.draw(st.lists(st.none() | MAKERS[name], min_size=n, max_size=n)) for name in names}
    )
    folder: Path = tmp_path_factory.mktemp("formats")
    pq.write_table(raw, folder / "a.parquet")
    pyarrow.csv.write_csv(raw, folder / "a.csv")
    lines = [json.dumps(row, default=str) for row in raw.to_pylist()]
    (folder / "a.jsonl").write_text("\n".join(lines))
    tables = [read(folder / f"a.{ending}") for ending in ("parquet", "csv", "jsonl")]
    schemas = [infer(table) for table in tables]
    assert schemas[0].to_json() == schemas[1].to_json()
    assert schemas[0].to_json() == schemas[2].to_json()
    marks = {fingerprint(Table(table, schema)) for table, schema in zip(tables, schemas, strict=True)}
    assert len(marks) == 1


def test_statistics_are_exact() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(size=50_000)
    values[33_333] = 1e6
    column = one([None if i == 44_444 else v for i, v in enumerate(values)])
    assert (column.low, column.high, column.required) == (np.delete(values, 44_444).min(), 1e6, False)


def test_number_format_and_date_format_know_when_they_do_not() -> None:
    assert number_format(["x", "5 kg"], np.array([1, 1])) is None
    assert date_format(["x", "2020-01-01"]) is None
    assert date_format([]) is None
