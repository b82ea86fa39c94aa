"""Files and frames become raw tables, letter by letter, or an error says what is wrong and what to do."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwright.core.errors import MlwrightError, SourceError, UsageError
from mlwright.data.frames import unique_names
from mlwright.data.read import iter_batches, read, read_noted

TABLE = b'id,price,day\n007,"1,204.50",03/04/2020\n008,,\n'
ROWS = [{"id": "007", "price": "1,204.50", "day": "03/04/2020"}, {"id": "008", "price": None, "day": None}]


def put(folder: Path, name: str, body: bytes) -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", TABLE),
        ("a.csv", TABLE.replace(b"\n", b"\r\n")),
        ("a.csv", TABLE.replace(b"\n", b"\r")),
        ("a.csv", b"\xef\xbb\xbf" + TABLE),
        ("a.csv", TABLE.decode().encode("utf-16")),
        ("a.csv", TABLE.decode().encode("utf-16-le")),
        ("a.csv", TABLE.decode().encode("utf-16-be")),
        ("a.csv", b"id;price;day\n007;1,204.50;03/04/2020\n008;;\n"),
        ("a.txt", b"id|price|day\n007|1,204.50|03/04/2020\n008||\n"),
        ("a.tsv", b"id\tprice\tday\n007\t1,204.50\t03/04/2020\n008\t\t\n"),
        ("a.csv.gz", gzip.compress(TABLE, mtime=0)),
        ("a.csv.bz2", bz2.compress(TABLE)),
        ("a.csv.xz", lzma.compress(TABLE)),
        ("a.csv.zst", pa.compress(TABLE, codec="zstd", asbytes=True)),
        ("gzip whatever its name.csv", gzip.compress(TABLE, mtime=0)),
        ("we[ird]?*.csv", TABLE),
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)).encode()),
        ("a.jsonl", b"\xef\xbb\xbf" + "\n".join(map(json.dumps, ROWS)).encode()),
        ("a.jsonl.gz", gzip.compress("\n".join(map(json.dumps, ROWS)).encode(), mtime=0)),
        ("a.jsonl.zst", pa.compress("\n".join(map(json.dumps, ROWS)).encode(), codec="zstd", asbytes=True)),
        ("a.json", json.dumps(ROWS, indent=1).encode()),
    ],
)
def test_text_stays_as_it_is(tmp_path: Path, name: str, body: bytes) -> None:
    path = put(tmp_path, name, body)
    assert read(path).to_pylist() == ROWS
    assert [row for batch in iter_batches(path, rows=1) for row in batch.to_pylist()] == ROWS


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.csv", b"", ["empty", "a.csv"]),
        ("a.csv", b"a,b\n", ["no rows"]),
        ("a.csv", b"a,b\n1,2\n3,4,5\n", ["line 3", "3 fields", "header has 2", "3,4,5"]),
        ("a.csv", b"a,b\n1,2\n3\n", ["line 3", "1 fields"]),
        ("a.csv", b'a,b\n1,2\n3,"x\n', ["line 3", "quote"]),
        ("a.csv", b'"a,b"\n"1,2"\n', ["one column only", "a,b"]),
        ("a.csv", bytes(range(256)), ["binary"]),
        ("a.csv", b"<!DOCTYPE html><html>", ["web page"]),
        ("a.csv.gz", gzip.compress(TABLE * 1000, mtime=0)[:-30], ["cut short"]),
        ("a.csv.xz", lzma.compress(TABLE * 1000)[:-30], ["cut short"]),
        ("a.zip", b"PK\x03\x04....", ["zip archive", "unzip"]),
        ("a.xlsx", b"PK\x03\x04....xl/workbook.xml", ["Excel", "CSV"]),
        ("a.db", b"SQLite format 3\x00....", ["sqlite:///"]),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid", ["git lfs pull"]),
        ("a.parquet", b"PAR1....", ["damaged"]),
        ("a.json", b'{"a":1}\n{"a":2', ["Malformed", "line 3"]),
        ("a.json", b'{"a":1}\n[3]\n', ["no record", "one object a line"]),
        ("a.json", b'{"a":1,"A":2}\n', ["differ only", "'a', 'A'"]),
    ],
)
def test_errors_say_what_and_where(tmp_path: Path, name: str, body: bytes, words: list[str]) -> None:
    with pytest.raises(SourceError) as error:
        read(put(tmp_path, name, body))
    for word in words:
        assert word in str(error.value)


def test_a_wrong_path_names_the_nearest(tmp_path: Path) -> None:
    put(tmp_path, "customers.csv", TABLE)
    for source, word in (
        (tmp_path / "custmers.csv", "customers.csv"),
        (tmp_path / "cust*.parquet", "customers.csv"),
        (tmp_path / "no" / "folder" / "a.csv", "customers.csv"),
        (tmp_path, "*.csv"),
    ):
        with pytest.raises(SourceError, match="customers.csv" if word != "*.csv" else r"\*\.csv"):
            read(source)


@pytest.mark.parametrize("source", [3, "", None, "https://example.org/a.csv", "s3://bucket/a.csv", b"a.csv"])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(UsageError):
        read(source)


def test_a_query_is_for_databases(tmp_path: Path) -> None:
    for source in (put(tmp_path, "a.csv", TABLE), pa.table({"a": [1]})):
        with pytest.raises(UsageError, match="database only"):
            read(source, query="SELECT 1")
        with pytest.raises(UsageError, match="database only"):
            list(iter_batches(source, query="SELECT 1"))
    with pytest.raises(UsageError, match="at least one row"):
        list(iter_batches(tmp_path / "a.csv", rows=0))


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", "cp1252"), ("latin-1", "latin-1")])
def test_old_encodings_are_found_and_noted(tmp_path: Path, encoding: str, said: str) -> None:
    word = "é€" if encoding == "cp1252" else "é\x81"
    body = "name\n" + "plain\n" * 50_000 + word + "\n"  # far behind the first bytes
    found = read_noted(put(tmp_path, "a.csv", body.encode(encoding)))
    assert found.table["name"][-1].as_py() == word
    assert any(said in note for note in found.notes)
    assert sum(batch.num_rows for batch in iter_batches(tmp_path / "a.csv")) == 50_001


def test_names_are_mended_and_noted(tmp_path: Path) -> None:
    found = read_noted(put(tmp_path, "a.csv", b"a, a ,,b,column_3\n1,2,3,4,5\n"))
    assert found.table.column_names == ["a", "a_2", "column_3_2", "b", "column_3"]
    assert len(found.notes) == 3
    assert read_noted(put(tmp_path, "b.csv", TABLE)).notes == ()


@given(st.lists(st.sampled_from(["a", " a", "a_2", "a_3", "", "column_1", "column_2"]), max_size=7))
def test_names_are_unique(names: list[str]) -> None:
    made, _ = unique_names(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(made)


def test_a_file_is_what_its_bytes_say(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.csv")
    for path in (
        tmp_path / "a.csv",
        put(tmp_path, "b.parquet", b"a,b\n1,2\n"),
        put(tmp_path, "c.csv", b'{"a":1}\n'),
    ):
        assert len(read_noted(path).notes) == 1


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_csv_equals_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([("a", "b", "c"), *rows])
    expected = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline="")))[1:]
    table = read(path)
    assert [[cell or "" for cell in row.values()] for row in table.to_pylist()] == expected


def test_json_keeps_types_and_texts(tmp_path: Path) -> None:
    records = [
        {"i": 1, "f": 1.5, "b": True, "d": "2020-01-01", "m": 1, "n": None, "z": 12345678901234567890},
        {"i": 2, "f": 2, "b": None, "d": "2020-01-02", "m": "x", "late": "007"},
    ]
    table = read(put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, records)).encode()))
    assert [str(field.type) for field in table.schema] == [
        "int64",
        "double",
        "bool",
        "string",
        "string",
        "string",
        "string",
        "string",
    ]
    assert table.to_pylist()[1] == {
        "i": 2, "f": 2.0, "b": None, "d": "2020-01-02", "m": "x", "n": None, "z": None, "late": "007",
    }  # fmt: skip
    assert table["m"].to_pylist() == ["1", "x"]
    assert table["z"].to_pylist()[0] == "12345678901234567890"


def test_many_keys_stay_columns(tmp_path: Path) -> None:
    body = "\n".join(json.dumps({f"k{i}": i}) for i in range(300)).encode()
    assert read(put(tmp_path, "a.jsonl", body)).shape == (300, 300)


def test_a_glob_is_one_table_in_order(tmp_path: Path) -> None:
    put(tmp_path, "part-1.csv", b"a,b\n1,x\n2,y\n")
    put(tmp_path, "part-2.csv", b"b,a\nz,3\n")
    rows = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"a": "3", "b": "z"}]
    source = str(tmp_path / "part-*.csv")
    assert read(source).to_pylist() == rows
    assert [row for batch in iter_batches(source) for row in batch.to_pylist()] == rows
    put(tmp_path, "part-3.csv", b"a,c\n1,x\n")
    with pytest.raises(SourceError, match=r"part-3.csv.*other columns"):
        read(source)
    put(tmp_path, "part-3.csv", b'{"a":1}')
    with pytest.raises(SourceError, match="two formats"):
        read(source)


def test_parquet_keeps_types_and_order(tmp_path: Path) -> None:
    first = pa.table({"a": [1, 2], "c": pa.array(["x", "y"]).dictionary_encode(), "A": [0.5, None]})
    second = pa.table({"A": [1.0], "a": [2.5], "c": pa.array(["z"])})
    pq.write_table(first, tmp_path / "1.parquet")
    pq.write_table(second, tmp_path / "2.parquet")
    assert read(tmp_path / "1.parquet").equals(first)
    rows = first.to_pylist() + second.select(["a", "c", "A"]).to_pylist()
    assert read(str(tmp_path / "*.parquet")).to_pylist() == rows
    assert [
        row for batch in iter_batches(str(tmp_path / "*.parquet"), rows=1) for row in batch.to_pylist()
    ] == rows
    pq.write_table(second.drop_columns("A"), tmp_path / "3.parquet")
    with pytest.raises(SourceError, match="other columns"):
        read(str(tmp_path / "*.parquet"))


def test_long_files_keep_order_and_stream(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(300_000)))
    expected = [str(n) for n in range(300_000)]
    assert read(path)["n"].to_pylist() == expected
    sizes, got = [], []
    for batch in iter_batches(path, rows=10_000):
        sizes.append(batch.num_rows)
        got += batch["n"].to_pylist()
    assert got == expected
    assert max(sizes) <= 10_000


def test_frames_of_other_libraries() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame({"a": [1.0, None], "b": ["x", None], "mixed": [1, "y"]}, index=[7, 9])
    frame["c"] = frame["b"].astype("category")
    assert read(frame).to_pylist() == [
        {"a": 1.0, "b": "x", "mixed": "1", "c": "x"},
        {"a": None, "b": None, "mixed": "y", "c": None},
    ]
    other = polars.DataFrame({"a": [1, None], "b": ["x", None]}).with_columns(
        polars.col("b").cast(polars.Categorical).alias("c")
    )
    assert read(other).to_pylist() == [{"a": 1, "b": "x", "c": "x"}, {"a": None, "b": None, "c": None}]
    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), [])
    with pytest.raises(SourceError, match="no rows"):
        read(reader)
    assert next(iter_batches(other, rows=1)).to_pylist() == [{"a": 1, "b": "x", "c": "x"}]


def test_odd_arrow_types_become_plain() -> None:
    table = pa.table(
        {
            "view": pa.array(["x"], pa.string_view()),
            "large": pa.array(["x"], pa.large_string()),
            "bytes": pa.array([b"x"]),
            "junk": pa.array([b"\xff"]),
            "time": pa.array([3600], pa.time32("s")),
            "wait": pa.array([1500], pa.duration("ms")),
            "half": pa.array([0.5], pa.float16()),
            "null": pa.nulls(1),
        }
    )
    assert read(table).to_pylist() == [
        {"view": "x", "large": "x", "bytes": "x", "junk": b"\xff", "time": "01:00:00", "wait": 1.5, "half": 0.5, "null": None}
    ]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    body=st.binary(max_size=300) | st.text(max_size=100).map(lambda t: t.encode()),
    name=st.sampled_from(["a.csv", "a.json", "a.parquet", "a.csv.gz"]),
)
def test_junk_gives_our_errors_only(tmp_path_factory: pytest.TempPathFactory, body: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("junk") / name
    path.write_bytes(body)
    with contextlib.suppress(MlwrightError):
        assert read(path).num_rows > 0


def test_a_header_of_ten_thousand_columns_is_read(tmp_path):
    names = [f"column_{number}" for number in range(10_000)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join(names), *[",".join(["7"] * 10_000)] * 3]))
    table = read(path)
    assert table.column_names == names
    assert table.num_rows == 3


@pytest.mark.parametrize("body", [b"\x00", "a,b\n1,2\n".encode("utf-16-le") + b"\x31"])
def test_half_a_character_at_the_end_is_our_error(tmp_path, body):
    (tmp_path / "a.csv").write_bytes(body)
    with pytest.raises(SourceError, match=r"a\.csv"):
        read(tmp_path / "a.csv")


def test_batches_of_a_long_file_never_hold_it_whole(tmp_path):
    path, draw = tmp_path / "long.parquet", np.random.default_rng(0)
    schema = pa.schema([("x", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(30):
            writer.write_table(pa.table({"x": draw.normal(size=100_000)}, schema=schema))
    before, most = pa.total_allocated_bytes(), 0
    rows = 0
    for batch in iter_batches(path):
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 3_000_000
    assert most < path.stat().st_size / 4
