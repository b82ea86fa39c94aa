"""What is written is there and whole, and can be read again."""

# ruff: noqa: DTZ001 - moments without a zone are what is tested

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from mlwright.core.errors import DataError, UsageError
from mlwright.data.read import read
from mlwright.data.write import Writer

TABLE = pa.table(
    {
        "id": ["007", 'a "quoted", one', None, "line\nbreak"],
        "score": [0.1, None, 1e-300, 3.0],
        "n": [1, None, -(2**31), 0],
        "yes": [True, False, None, True],
        "level": pa.array(["x", "y", None, "é🙂"]).dictionary_encode(),
    }
)


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.pq", "a.jsonl", "a.json", "a.ndjson.gz", "a.jsonl.zst", "A.JSONL"]
)
def test_typed_formats_come_back_equal(tmp_path: Path, name: str) -> None:
    with Writer(tmp_path / "new" / name) as writer:
        writer.write(TABLE.slice(0, 1))
        writer.write(TABLE.slice(1))
    assert read(tmp_path / "new" / name).to_pylist() == TABLE.to_pylist()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.zst", "a.tab"])
def test_text_formats_come_back_as_text(tmp_path: Path, name: str) -> None:
    with Writer(tmp_path / name) as writer:
        writer.write(TABLE.slice(0, 2))
        writer.write(TABLE.slice(2))
    back = read(tmp_path / name)
    assert back.select(["id", "level"]).to_pylist() == TABLE.select(["id", "level"]).to_pylist()
    assert [None if v is None else float(v) for v in back["score"].to_pylist()] == TABLE["score"].to_pylist()
    assert [None if v is None else int(v) for v in back["n"].to_pylist()] == TABLE["n"].to_pylist()
    assert back["yes"].to_pylist() == ["true", "false", None, "true"]


def test_gzip_is_gzip_and_json_lines_are_lines(tmp_path: Path) -> None:
    moment = pa.array([dt.datetime(2020, 1, 31, 10)], pa.timestamp("ns", "UTC"))
    with Writer(tmp_path / "a.jsonl.gz") as writer:
        writer.write(pa.table({"a": [1], "t": moment, "nan": [float("nan")], "list": [[1, 2]]}))
    line = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes())
    assert json.loads(line) == {"a": 1, "t": "2020-01-31T10:00:00Z", "nan": None, "list": [1, 2]}
    assert line.endswith(b"}\n")


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def half(name: str) -> None:
        with Writer(tmp_path / name) as writer:
            writer.write(TABLE)
            raise RuntimeError

    for name in ("a.csv", "b.parquet", "c.jsonl.gz"):
        with pytest.raises(RuntimeError):
            half(name)
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for name in ("a", "a.xlsx", "a.gz", "a.parquet.gz", "a.csv.bz2"):
        with pytest.raises(UsageError, match=r"\.parquet"):
            Writer(tmp_path / name)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(UsageError, match="folder"):
        Writer(tmp_path / "d.csv")
    with pytest.raises(UsageError, match="not open"):
        Writer(tmp_path / "a.csv").write(TABLE)
    with pytest.raises(DataError, match="'list' holds lists"), Writer(tmp_path / "a.csv") as writer:
        writer.write(pa.table({"list": [[1]]}))

    def two(name: str) -> None:
        with Writer(tmp_path / name) as writer:
            writer.write(pa.table({"a": [1]}))
            writer.write(pa.table({"b": [1]}))

    for name in ("a.csv", "a.jsonl", "a.parquet"):
        with pytest.raises(DataError, match="one layout"):
            two(name)
    assert [each.name for each in tmp_path.iterdir()] == ["d.csv"]


def test_no_rows_is_a_file_too(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        with Writer(tmp_path / name) as writer:
            writer.write(TABLE.slice(0, 0))
        assert (tmp_path / name).stat().st_size > 0
