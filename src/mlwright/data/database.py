"""Databases: tables and queries of SQLite and PostgreSQL, through Arrow's ADBC drivers, read only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mlwright.core.errors import SourceError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_database", "stream_database"]

_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
_SECRET = re.compile(r"://([^:/@\s]*):[^@\s]*@")
_TABLES = (
    "SELECT table_schema, table_name, table_schema = current_schema() FROM information_schema.tables"
    " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
)


def is_database(source: str) -> bool:
    """Return whether `source` is the URL of a database that can be read.

    Examples
    --------
    >>> is_database("sqlite:///shop.db"), is_database("data/part-*.csv")
    (True, False)
    """
    return source.startswith("sqlite:") or _POSTGRES.match(source) is not None


@contextmanager
def stream_database(url: str, query: str | None, rows: int) -> Iterator[pa.RecordBatchReader]:
    """Open the answer to a query as a stream of record batches.

    Parameters
    ----------
    url : str
        ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``postgresql://...``.
    query : str, optional
        A SELECT, or the name of a table; without it the only table.
    rows : int
        How many rows a batch has, where the driver can be told (SQLite).

    Raises
    ------
    SourceError
        If the database, the table or the query is not there, or the query would write.
    """
    opened = _sqlite(url, query, rows) if url.startswith("sqlite:") else _postgres(url, query)
    with opened as reader:
        yield reader


def _failed(url: str, error: Exception, fix: str) -> SourceError:
    said = _without_password(str(error).partition("\nquery:")[0].strip())
    return SourceError(f"the database {_without_password(url)} did not answer ({said})", fix=fix)


def _without_password(text: str) -> str:
    return _SECRET.sub(r"://\1:***@", text)


@contextmanager
def _postgres(url: str, query: str | None) -> Iterator[pa.RecordBatchReader]:
    import adbc_driver_postgresql.dbapi as driver

    plain = _POSTGRES.sub("postgresql://", url, count=1)  # SQLAlchemy's "+driver" is no word of PostgreSQL
    try:
        connection = driver.connect(plain)
    except driver.Error as error:
        raise _failed(url, error, "check the address, the user and that the server runs") from error
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(_TABLES)
        tables = {
            name if current else f"{schema}.{name}": f"{_quoted(schema)}.{_quoted(name)}"
            for schema, name, current in cursor.fetchall()
        }
        statement = _statement(query, tables, url)
        try:
            cursor.execute(statement)
            yield cursor.fetch_record_batch()
        except driver.Error as error:
            raise _failed(url, error, "try the query in psql") from error


@contextmanager
def _sqlite(url: str, query: str | None, rows: int) -> Iterator[pa.RecordBatchReader]:
    import adbc_driver_sqlite.dbapi as driver
    import pyarrow as pa

    path = _sqlite_path(url)
    options = {"adbc.sqlite.query.batch_rows": str(rows)}
    try:
        connection = driver.connect(f"file:{quote(str(path))}?mode=ro")
    except driver.Error as error:
        raise _failed(url, error, "check that the file is a SQLite database") from error
    with connection, connection.cursor(adbc_stmt_kwargs=options) as cursor:
        try:
            cursor.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name"
            )
            tables = {name: _quoted(name) for (name,) in cursor.fetchall()}
            statement = _statement(query, tables, url)
            typed = _typed(cursor, statement)
            cursor.execute(typed)
            reader = cursor.fetch_record_batch()
            yield pa.RecordBatchReader.from_batches(reader.schema, _without_first_row(reader))
        except (driver.Error, OSError) as error:
            raise _failed(url, error, "try the query in the sqlite3 shell") from error


def _typed(cursor: Any, statement: str) -> str:
    """Return `statement` with one type a column.

    SQLite types every cell by itself and the driver takes a column's type from the first batch, so a later text in
    a column of numbers would fail. We ask which types a column holds, cast where there are several, and put one
    row of that type first for the driver to see; `_without_first_row` takes it away again.
    """
    cursor.execute(f"SELECT * FROM ({statement}) LIMIT 0")  # noqa: S608 - quoted names, or the user's own query, read only
    names = [field[0] for field in cursor.description or ()]
    quoted = [_quoted(name) for name in names]
    asked = ", ".join(f"group_concat(DISTINCT typeof({name}))" for name in quoted)
    cursor.execute(f"SELECT {asked} FROM ({statement})")  # noqa: S608 - quoted names, or the user's own query, read only
    found = [set((kinds or "").split(",")) - {"null", ""} for kinds in cursor.fetchone() or ()]
    firsts, casts = [], []
    for name, kinds in zip(quoted, found, strict=True):
        if kinds <= {"integer"} and kinds:
            first, cast = "0", name
        elif kinds <= {"integer", "real"} and kinds:
            first, cast = "0.5", f"CAST({name} AS REAL)"
        elif kinds == {"blob"}:
            first, cast = "x''", name
        else:
            first, cast = "''", f"CAST({name} AS TEXT)"
        firsts.append(f"{first} AS {name}")
        casts.append(f"{cast} AS {name}")
    return f"SELECT {', '.join(firsts)} UNION ALL SELECT {', '.join(casts)} FROM ({statement})"  # noqa: S608 - quoted names, or the user's own query, read only


def _without_first_row(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    first = True
    for batch in reader:
        rest = batch.slice(1) if first and batch.num_rows else batch
        first = first and not batch.num_rows
        if rest.num_rows:
            yield rest


def _sqlite_path(url: str) -> Path:
    rest = url.removeprefix("sqlite:")
    if not rest.startswith("///") or rest == "///":
        raise UsageError(
            "not the URL of a SQLite file",
            got=url,
            allowed="sqlite:///relative/path or sqlite:////absolute/path",
        )
    path = Path(unquote(rest[3:]))
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
        raise SourceError(
            "no such database file",
            got=str(path),
            fix=f"did you mean '{folder / near[0]}'?" if near else "check the path",
        )
    return path


def _statement(query: str | None, tables: dict[str, str], url: str) -> str:
    if query is None:
        if len(tables) == 1:
            return f"SELECT * FROM {next(iter(tables.values()))}"  # noqa: S608 - quoted names, or the user's own query, read only
        where = _without_password(url)
        if not tables:
            raise SourceError(f"the database {where} holds no table", fix="check which database it is")
        raise UsageError(
            f"the database {where} holds {len(tables)} tables and none is named",
            allowed=list(tables)[:50],
            fix="give a query: a table's name or a SELECT",
        )
    asked = query.strip().rstrip(";").strip()
    if asked in tables:
        return f"SELECT * FROM {tables[asked]}"  # noqa: S608 - quoted names, or the user's own query, read only
    if re.match(r"(?i)(select|with|values)\b", asked):
        return asked
    if re.fullmatch(r'[\w.$"-]+', asked):
        near = difflib.get_close_matches(asked, tables, n=1)
        raise SourceError(
            "no such table",
            got=asked,
            allowed=list(tables)[:50] or "none: the database is empty",
            fix=f"did you mean '{near[0]}'?" if near else "name one of the tables, or give a SELECT",
        )
    raise UsageError("a query only reads", got=query, allowed="a SELECT, or the name of a table")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
