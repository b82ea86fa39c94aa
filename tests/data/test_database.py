"""Tables of SQLite and of a real PostgreSQL server are read as they are, and never written."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import pytest

from databases import empty_database
from mlwright.core.errors import SourceError, UsageError
from mlwright.data.read import iter_batches, read


def make(path: Path, *scripts: str) -> str:
    with sqlite3.connect(path) as connection:
        for script in scripts:
            connection.executescript(script)
    connection.close()
    return f"sqlite:///{path}"


def test_sqlite_table_query_and_only_table(tmp_path: Path) -> None:
    url = make(
        tmp_path / "shop.db",
        "CREATE TABLE sales (id, price); INSERT INTO sales VALUES ('007', 1.5), ('x', 2)",
    )
    rows = [{"id": "007", "price": 1.5}, {"id": "x", "price": 2.0}]
    assert read(url).to_pylist() == rows
    assert read(url, query="sales").to_pylist() == rows
    assert read(url, query="SELECT price FROM sales WHERE id = 'x';").to_pylist() == [{"price": 2.0}]
    assert [row for batch in iter_batches(url, rows=1) for row in batch.to_pylist()] == rows


def test_sqlite_cells_of_many_types_and_late_surprises(tmp_path: Path) -> None:
    url = make(tmp_path / "t.db", "CREATE TABLE t (n, mixed, number, late, none, blob)")
    cells = [(i, i, i, None, None, b"\xff") for i in range(3000)] + [(3000, "x", 0.5, "y", None, b"\x00")]
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", cells)
    connection.close()
    expected = [(n, str(mixed), float(number), late, None, blob) for n, mixed, number, late, _, blob in cells]
    assert [tuple(row.values()) for row in read(url).to_pylist()] == expected
    streamed = [tuple(row.values()) for batch in iter_batches(url, rows=100) for row in batch.to_pylist()]
    assert streamed == expected


def test_sqlite_errors(tmp_path: Path) -> None:
    url = make(tmp_path / "shop.db", "CREATE TABLE sales (a); CREATE TABLE people (a); CREATE TABLE none (a)")
    for query, kind, words in (
        (None, UsageError, "3 tables.*people, sales"),
        ("sale", SourceError, "did you mean 'sales'"),
        ("DROP TABLE sales", UsageError, "only reads"),
        ("WITH x AS (SELECT 1) DELETE FROM sales", SourceError, "did not answer"),
        ("SELECT nope FROM sales", SourceError, "nope"),
        ("none", SourceError, "no rows"),
    ):
        with pytest.raises(kind, match=words):
            read(url, query=query)
    with pytest.raises(SourceError, match=r"did you mean .*shop\.db"):
        read(f"sqlite:///{tmp_path}/shp.db")
    assert not (tmp_path / "shp.db").exists()
    with pytest.raises(UsageError, match="sqlite:///relative"):
        read("sqlite://shop.db")
    (tmp_path / "junk.db").write_bytes(b"junk" * 100)
    with pytest.raises(SourceError):
        read(f"sqlite:///{tmp_path}/junk.db")
    with pytest.raises(SourceError, match="no table"):
        read(make(tmp_path / "empty.db", "CREATE TABLE t (a); DROP TABLE t"))


@pytest.fixture(scope="module")
def shop(postgres_url: str) -> str:
    import psycopg2

    url = empty_database(postgres_url)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.sales (id text, price numeric(10,2), n int, f real,"
            " yes boolean, day date, at timestamptz, key uuid, tags int[])"
        )
        cursor.execute(
            "INSERT INTO shop.sales SELECT to_char(i, 'FM000'), i / 4.0, i, 0.5, i % 2 = 0, '2020-01-31',"
            " '2020-01-31 10:00:00+02', '00000000-0000-0000-0000-000000000007', ARRAY[i]"
            " FROM generate_series(0, 4999) AS i"
        )
        cursor.execute('CREATE TABLE "Odd ""name" (a int); INSERT INTO "Odd ""name" VALUES (1), (NULL)')
    connection.close()
    return url


def test_postgres_types(shop: str) -> None:
    table = read(shop, query="SELECT * FROM shop.sales ORDER BY n")
    assert table.num_rows == 5000
    assert table.slice(6, 1).to_pylist() == [
        {
            "id": "006",
            "price": "1.50",
            "n": 6,
            "f": 0.5,
            "yes": True,
            "day": dt.date(2020, 1, 31),
            "at": dt.datetime(2020, 1, 31, 8, tzinfo=dt.UTC),
            "key": "00000000-0000-0000-0000-000000000007",
            "tags": [6],
        }
    ]


def test_postgres_names_and_streams(shop: str) -> None:
    assert read(shop, query='Odd "name').to_pylist() == [{"a": 1}, {"a": None}]
    assert read(shop, query="shop.sales").num_rows == 5000
    assert read(shop.replace("postgresql://", "postgresql+psycopg2://"), query="SELECT 1 AS a").num_rows == 1
    batches = list(iter_batches(shop, query="SELECT n FROM shop.sales ORDER BY n", rows=700))
    assert [n for batch in batches for n in batch["n"].to_pylist()] == list(range(5000))
    assert max(batch.num_rows for batch in batches) <= 700


def test_postgres_errors(shop: str) -> None:
    for query, kind, words in (
        (None, UsageError, r"2 tables.*shop\.sales"),
        ("shop.sale", SourceError, r"did you mean 'shop\.sales'"),
        ("SELECT nope FROM shop.sales", SourceError, "nope"),
        ("WITH x AS (DELETE FROM shop.sales RETURNING n) SELECT * FROM x", SourceError, "did not answer"),
        ("INSERT INTO shop.sales VALUES (1)", UsageError, "only reads"),
    ):
        with pytest.raises(kind, match=words):
            read(shop, query=query)
    assert read(shop, query="SELECT count(*) AS n FROM shop.sales").to_pylist() == [{"n": 5000}]


def test_no_password_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        read(f"postgresql://me:hunter2@/shop?host={tmp_path}", query="sales")
    assert "hunter2" not in str(error.value)
    assert "me:***@" in str(error.value)
