"""Read: the one door for data: files, globs, databases and frames become Arrow tables of raw values.

Raw means as the source has it: what a value is, is decided by `mlwright.data.infer`, and read by
`mlwright.data.values`. Rows keep their order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwright.core.errors import SourceError, UsageError
from mlwright.data.database import is_database, stream_database
from mlwright.data.files import paths_of, read_files, stream_files
from mlwright.data.frames import from_frame, is_frame, plain

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Read", "iter_batches", "read", "read_noted"]


@dataclass(frozen=True, slots=True)
class Read:
    """A table as it was read.

    Parameters
    ----------
    table : pyarrow.Table
        Raw values.
    notes : tuple of str
        One sentence for everything that had to be guessed or mended: an encoding, a name, a wrong ending.
    """

    table: pa.Table
    notes: tuple[str, ...] = ()


def read(source: Any, *, query: str | None = None) -> pa.Table:
    """Return the raw values of a source.

    Parameters
    ----------
    source : str, path, or a frame
        A CSV, TSV, JSON lines, JSON or Parquet file, text also compressed (.gz, .zst, .bz2, .xz); a glob of such
        files; ``sqlite:///path`` or ``postgresql://...``; an Arrow table, a pandas or polars DataFrame, or any
        object with ``__arrow_c_stream__``.
    query : str, optional
        For a database: a SELECT or a table's name; without it the only table.

    Returns
    -------
    pyarrow.Table
        CSV columns are text, letter by letter; columns of other sources have the source's own types.

    Raises
    ------
    SourceError
        If the source is missing, damaged or no table; the message names the line or the nearest name.
    UsageError
        If the call is wrong: a query for a file, a database of many tables without a query.

    Examples
    --------
    >>> import pyarrow as pa
    >>> read(pa.table({"age": [31, 45]})).num_rows
    2
    """
    return read_noted(source, query=query).table


def read_noted(source: Any, *, query: str | None = None) -> Read:
    """Return the raw values of a source and notes on how it was read; see `read`."""
    import pyarrow as pa

    if is_frame(source):
        _no_query(query)
        table, notes = plain(from_frame(source))
    else:
        name = _name(source)
        if is_database(name):
            with stream_database(name, query, 1 << 16) as reader:
                batches = _database_batches(reader)
                table, notes = plain(pa.Table.from_batches(list(batches), reader.schema))
        else:
            _no_query(query)
            table, notes = read_files(paths_of(name))
    _refuse_empty(table, source)
    return Read(table, tuple(notes))


def iter_batches(source: Any, *, query: str | None = None, rows: int = 65536) -> Iterator[pa.RecordBatch]:
    """Yield the raw values of a source in batches of up to `rows` rows, never holding the whole table.

    The values equal those of `read`. A source without rows yields nothing.

    Parameters
    ----------
    source, query
        As for `read`.
    rows : int, default=65536
        How many rows a batch has at most (a PostgreSQL server sends batches of its own size, which are cut).

    Examples
    --------
    >>> import pyarrow as pa
    >>> [batch.num_rows for batch in iter_batches(pa.table({"age": [31, 45, 52]}), rows=2)]
    [2, 1]
    """
    if rows < 1:
        raise UsageError("a batch needs at least one row", got=rows, fix="give rows=65536")
    if is_frame(source):
        _no_query(query)
        yield from _cut([plain(from_frame(source))[0]], rows)
        return
    name = _name(source)
    if is_database(name):
        import pyarrow as pa

        with stream_database(name, query, rows) as reader:
            tables = (plain(pa.Table.from_batches([b]))[0] for b in _database_batches(reader))
            yield from _cut(tables, rows)
        return
    _no_query(query)
    with stream_files(paths_of(name), rows) as tables:
        yield from _cut(tables, rows)


def _cut(tables: Any, rows: int) -> Iterator[pa.RecordBatch]:
    for table in tables:
        for start in range(0, table.num_rows, rows):
            yield table.slice(start, rows).combine_chunks().to_batches()[0]


def _database_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"the database stopped answering ({error})", fix="try again") from error


def _name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if isinstance(name, str) and name:
            if "://" in name and not is_database(name):
                raise UsageError(
                    "a source of this kind is not read",
                    got=name,
                    allowed="a file, a glob, sqlite:///path, postgresql://...",
                    fix="download the data and name the file",
                )
            return name
    raise UsageError(
        "not a source of data",
        got=source if isinstance(source, (str, Path)) else type(source).__name__,
        allowed="a path, a glob, a database URL, an Arrow table, a pandas or polars DataFrame",
    )


def _no_query(query: str | None) -> None:
    if query is not None:
        raise UsageError("a query is for a database only", got=query, fix="leave it out")


def _refuse_empty(table: pa.Table, source: Any) -> None:
    shown = source if isinstance(source, (str, os.PathLike)) else type(source).__name__
    if table.num_columns == 0:
        raise SourceError("the source has no columns", got=str(shown))
    if table.num_rows == 0:
        raise SourceError(
            "the source has a header and no rows", got=str(shown), fix="check how it was written"
        )
