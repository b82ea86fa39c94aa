"""Frames: tables that already live in memory, and the one form that every source's table takes.

Knows how to get Arrow out of a data frame, how odd column names are mended, and which Arrow types are kept. It
imports neither pandas nor polars: a frame is asked for its own Arrow stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlwright.core.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_frame", "is_frame", "plain", "unique_names"]


def is_frame(source: object) -> bool:
    """Return whether `source` is a table in memory: anything that gives an Arrow stream."""
    return hasattr(source, "__arrow_c_stream__") or _is_pandas(source)


def _is_pandas(source: object) -> bool:
    return type(source).__module__.partition(".")[0] == "pandas"


def from_frame(source: Any) -> pa.Table:
    """Return the Arrow table in a pandas, polars, Arrow or other frame with ``__arrow_c_stream__``.

    The index of a pandas frame is left out; a pandas column of mixed types becomes text.

    Raises
    ------
    SourceError
        If the frame gives no table.
    """
    import pyarrow as pa

    try:
        if isinstance(source, pa.Table):
            return source
        if _is_pandas(source):
            return _from_pandas(source)
        return pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SourceError(
            f"no table can be made of this {type(source).__name__} ({error})",
            fix="pass an Arrow table, or a pandas or polars DataFrame with one type a column",
        ) from error


def _from_pandas(frame: Any) -> pa.Table:
    import pyarrow as pa

    names = [str(name) for name in frame.columns]
    columns = []
    for position in range(len(names)):
        series = frame.iloc[:, position]
        try:
            columns.append(pa.chunked_array([pa.array(series, from_pandas=True)]))
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # an object column of mixed types
            missing = series.isna().tolist()
            cells = [None if gone else str(v) for v, gone in zip(series.tolist(), missing, strict=True)]
            columns.append(pa.chunked_array([cells], type=pa.string()))
    return pa.Table.from_arrays(columns, names=names)


def unique_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return usable column names and a note for each that had to change.

    Blanks around a name go, an empty name becomes its position, and a name that stands twice is numbered.

    Examples
    --------
    >>> unique_names(["a", " b ", "", "a"])[0]
    ['a', 'b', 'column_3', 'a_2']
    """
    notes: list[str] = []
    stripped = [name.strip().strip("\ufeff") for name in names]
    taken = set(stripped)
    seen: set[str] = set()
    made: list[str] = []
    for position, name in enumerate(stripped, start=1):
        usable = name or f"column_{position}"
        if not name:
            notes.append(f"column {position} has no name: it is called '{usable}'")
        if usable in seen or (not name and usable in taken):
            number = 2
            while f"{usable}_{number}" in taken | seen:
                number += 1
            notes.append(f"two columns are called '{usable}': one is called '{usable}_{number}'")
            usable = f"{usable}_{number}"
        seen.add(usable)
        made.append(usable)
    return made, notes


def plain(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Return `table` with usable names, without field metadata, and with one Arrow type for one thing.

    Text of any layout becomes ``string`` (a dictionary stays one, of ``string``), bytes that are UTF-8 become
    text, UUID, JSON, time of day and PostgreSQL's numeric become text, a duration becomes seconds. Numbers,
    booleans, dates, timestamps and nested values stay as they are.

    Returns
    -------
    table : pyarrow.Table
    notes : list of str
    """
    import pyarrow as pa

    names, notes = unique_names(table.column_names)
    columns = [_plain_column(column) for column in table.columns]
    if not columns:  # a table without columns still has a length
        return table.replace_schema_metadata(None), notes
    return pa.Table.from_arrays(columns, names=names), notes


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute, types

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        if "uuid" in str(kind):
            return pa.chunked_array([[_text(value) for value in column.to_pylist()]], type=pa.string())
        inner = [chunk.storage for chunk in column.chunks]
        return _plain_column(pa.chunked_array(inner, type=kind.storage_type))
    if types.is_dictionary(kind):
        values = kind.value_type
        if types.is_string(values):
            return column
        if types.is_large_string(values) or types.is_string_view(values):
            chunks = [
                pa.DictionaryArray.from_arrays(
                    chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.string())
                )
                for chunk in column.chunks
            ]
            return pa.chunked_array(chunks, type=pa.dictionary(pa.int32(), pa.string()))
        return _plain_column(column.cast(values))
    if (
        types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
        or types.is_time(kind)
    ):
        return column.cast(pa.string())
    if types.is_duration(kind):
        micros = column.cast(pa.duration("us"), safe=False).cast(pa.int64()).cast(pa.float64())
        return compute.call_function("divide", [micros, pa.scalar(1e6)])
    if types.is_float16(kind):
        return column.cast(pa.float64())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        try:
            return column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # real bytes: no cell holds them
            return column
    return column


def _text(value: object) -> str | None:
    return None if value is None else str(value)
