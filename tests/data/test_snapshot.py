"""A snapshot comes back as it went in, or is refused."""

# ruff: noqa: DTZ001 - moments without a zone are what is tested

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlwright.core.errors import StoreError, UsageError
from mlwright.data.fingerprint import fingerprint
from mlwright.data.infer import infer
from mlwright.data.snapshot import load, save
from mlwright.data.table import Table


@pytest.fixture
def table() -> Table:
    raw = pa.table(
        {
            "id": [f"{i:03d}" for i in range(30)],
            "f": [i / 7 for i in range(30)],
            "c": pa.array(["x", "y", None] * 10).dictionary_encode(),
            "t": [dt.datetime(2020, 1, 1) + dt.timedelta(hours=i) for i in range(30)],
            "list": [[i] for i in range(30)],
            "null": pa.nulls(30),
            "y": [True, False] * 15,
        }
    )
    return Table(raw, infer(raw, target="y"))


def test_it_comes_back_whole(tmp_path: Path, table: Table) -> None:
    path = save(table, tmp_path / "data")
    assert path.name == f"{fingerprint(table)}.parquet"
    back = load(tmp_path / "data", fingerprint(table))
    assert back.schema == table.schema
    assert back.arrow.equals(table.arrow)
    assert list(path.parent.iterdir()) == [path]
    before = path.stat().st_mtime_ns
    assert save(table, tmp_path / "data") == path
    assert path.stat().st_mtime_ns == before


def test_damage_is_found(tmp_path: Path, table: Table) -> None:
    path = save(table, tmp_path)
    mark = fingerprint(table)
    whole = path.read_bytes()
    kept = pq.read_table(path)
    for damaged in (whole[:-100], whole[: len(whole) // 2], b"", b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            load(tmp_path, mark)
    pq.write_table(kept.slice(1), path)
    with pytest.raises(StoreError, match="not what its name says"):
        load(tmp_path, mark)
    pq.write_table(kept.replace_schema_metadata(None), path)
    with pytest.raises(StoreError, match="damaged"):
        load(tmp_path, mark)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is missing"):
        load(tmp_path, "0" * 64)
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        load(tmp_path, "../secret")
