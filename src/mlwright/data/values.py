"""Cells: the one reading of raw values, for training, batch and single record alike.

`reader` gives the scalar reading of one column; `columns` reads whole Arrow columns and gives the same cells: strings
are read once a distinct value by the very same scalar function, plain numbers, dates and typed Arrow values by a
vectorised cast that a property test holds against it. This file imports pyarrow only where a table comes in, so
that a server that reads records never loads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.scalars import (
    END,
    FIRST,
    MISSING_WORDS,
    Cell,
    CellReader,
    number,
    reader,
    text,
    truth_words,
)
from mlwright.data.schema import Column, Kind, Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MISSING_WORDS",
    "Cell",
    "CellReader",
    "Coded",
    "Columns",
    "columns",
    "encode",
    "matches",
    "number",
    "numbers",
    "reader",
    "take",
    "text",
    "truth_words",
]

_PLAIN = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$"  # what Arrow's cast reads as `float` does
_PLAIN_ISO = r"^(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_NO_NUMBER = r"[A-DF-Za-df-z:/_]"  # none of these stands in a number without a unit
_NAN = math.nan


class Coded(NamedTuple):
    """A column of strings: ``levels[codes[i]]``, or missing where the code is -1. Levels are distinct."""

    codes: np.ndarray  # int32, shape (n_rows,)
    levels: list[str]


Columns: TypeAlias = Mapping[str, "Floats | Coded"]


def columns(table: pa.Table, schema: Schema, names: list[str] | None = None) -> dict[str, Floats | Coded]:
    """Read Arrow columns into canonical ones; an absent column is all missing.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        Raw values of any type.
    schema : Schema
        How to read them.
    names : list of str, optional
        Which columns; by default those with the role of a feature.
    """
    wanted = [column.name for column in schema.features] if names is None else names
    # One name is looked up as it is: a table of thousands of columns would be walked through for each of them.
    if len(wanted) == 1:
        return {name: _read_one(table, schema[name]) for name in wanted}
    of_name = {column.name: column for column in schema.columns}
    return {name: _read_one(table, of_name.get(name) or schema[name]) for name in wanted}


def _read_one(table: pa.Table, column: Column) -> Floats | Coded:
    if not table.schema.get_all_field_indices(column.name):
        return _absent(column, table.num_rows)
    return _read_column(table.column(column.name), column)


def _absent(column: Column, n_rows: int) -> Floats | Coded:
    if _is_coded(column):
        return Coded(np.full(n_rows, -1, np.int32), [])
    return np.full(n_rows, _NAN)


def _is_coded(column: Column) -> bool:
    return column.kind not in {Kind.NUMERIC, Kind.BOOLEAN, Kind.DATETIME}


def _read_column(raw: pa.ChunkedArray, column: Column) -> Floats | Coded:
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type
    if types.is_dictionary(kind):
        raw = _plain_dictionary(raw)
        kind = raw.type
    if column.kind is Kind.NUMERIC and (types.is_integer(kind) or types.is_floating(kind)):
        values = raw.cast(pa.float64(), safe=False).to_numpy().astype(np.float64, copy=True)
        values[~np.isfinite(values)] = _NAN
        return values
    if types.is_timestamp(kind) or types.is_date(kind):
        micros, present = _micros(raw)
        if column.kind is Kind.DATETIME:
            return np.where(present, micros / 1e6, _NAN)
        moments = pa.array(micros, mask=~present).cast(pa.timestamp("us"))
        raw = pa.chunked_array([moments.cast(pa.date32()) if types.is_date(kind) else moments])
    elif types.is_decimal(kind) and column.kind is Kind.NUMERIC:
        return _from_strings(encode(raw.cast(pa.string())), {})
    # Everything else is read once a distinct value, by the scalar reader itself.
    encoded = encode(raw)
    if column.kind is Kind.NUMERIC and types.is_string(encoded.type.value_type):
        return _from_strings(encoded, column.format)
    if column.kind is Kind.DATETIME and not column.format and types.is_string(encoded.type.value_type):
        return np.append(_iso_seconds(encoded.dictionary, column), _NAN)[_codes(encoded)]
    codes = _codes(encoded)
    if _is_coded(column) and types.is_integer(encoded.type.value_type):
        # Arrow spells whole numbers as `text` does, and they are distinct.
        return Coded(codes.astype(np.int32), encoded.dictionary.cast(pa.string()).to_pylist())
    read = reader(column)
    cells = [read(value) for value in encoded.dictionary.to_pylist()]
    if not _is_coded(column):
        return np.array([*cells, _NAN], dtype=np.float64)[codes]
    order: dict[str, int] = {}
    mapping = np.array(
        [-1 if c is None else order.setdefault(c, len(order)) for c in cells] + [-1], dtype=np.int32
    )
    return Coded(mapping[codes], list(order))


def _plain_dictionary(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary of strings by int32, whatever layout another library chose, or the values themselves."""
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type.value_type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        return raw.cast(kind)
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.string()))
        for chunk in raw.chunks
    ]
    return pa.chunked_array(chunks, type=pa.dictionary(pa.int32(), pa.string()))


def _micros(raw: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return microseconds since 1970 UTC, and which of them are there and within the years 1 to 9999."""
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type
    unit = "day" if types.is_date32(kind) else "ms" if types.is_date64(kind) else kind.unit
    whole = raw.cast(pa.int32()) if unit == "day" else raw
    ticks = whole.cast(pa.int64()).fill_null(0).to_numpy()
    present = ~raw.is_null().to_numpy()
    if unit == "ns":
        return ticks // 1000, present
    micros_a_tick = {"day": 86400 * 10**6, "s": 10**6, "ms": 1000, "us": 1}[unit]
    first, end = FIRST * 10**6 // micros_a_tick, END * 10**6 // micros_a_tick
    present &= (ticks >= first) & (ticks < end)
    return np.where(present, ticks, 0) * micros_a_tick, present


def _codes(encoded: pa.DictionaryArray) -> np.ndarray:
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _from_strings(encoded: pa.DictionaryArray, form: Mapping[str, Any]) -> Floats:
    return np.append(numbers(encoded.dictionary, form), _NAN)[_codes(encoded)]


def numbers(strings: pa.Array, form: Mapping[str, Any]) -> Floats:
    """Return `number` of every string of an Arrow array; the plain ones, most of a file, by Arrow's cast."""
    import pyarrow as pa

    parsed = np.full(len(strings), _NAN)
    plain = np.zeros(len(strings), bool)
    # A number alone is the same number in every form that has a decimal point.
    if form.get("decimal", ".") == "." and not any(unit[:1].isdigit() for unit in form.get("strip", ())):
        plain = matches(strings, _PLAIN)
        parsed[plain] = strings.filter(pa.array(plain)).cast(pa.float64()).to_numpy()
    odd = ~plain
    if not form:  # dates and words need no second look
        odd &= ~matches(strings, _NO_NUMBER)
    odd = np.flatnonzero(odd)
    parsed[odd] = [number(value, form) for value in strings.take(pa.array(odd)).to_pylist()]
    return parsed


def _iso_seconds(strings: pa.Array, column: Column) -> Floats:
    """Return the moments in ISO 8601 strings; the plain ones by Arrow's cast."""
    import pyarrow as pa

    seconds = np.full(len(strings), _NAN)
    plain = matches(strings, _PLAIN_ISO)
    try:
        moments = strings.filter(pa.array(plain)).cast(pa.timestamp("us"))
        seconds[plain] = moments.cast(pa.int64()).to_numpy() / 1e6
    except pa.ArrowInvalid:  # a 30th of February somewhere: one by one, then
        plain[:] = False
    odd = np.flatnonzero(~plain)
    read = reader(column)
    seconds[odd] = [read(value) for value in strings.take(pa.array(odd)).to_pylist()]
    return seconds


def matches(strings: pa.Array, pattern: str) -> np.ndarray:
    """Return which strings of an Arrow array hold `pattern` (RE2's syntax); a missing one does not."""
    from pyarrow import compute

    options = compute.MatchSubstringOptions(pattern)
    found = compute.call_function("match_substring_regex", [strings], options)
    return found.fill_null(False).to_numpy(zero_copy_only=False)


def encode(raw: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a raw Arrow column as one dictionary array with distinct values; nested values are all missing."""
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type
    if types.is_large_string(kind) or types.is_string_view(kind):
        raw = raw.cast(pa.string())
    if types.is_null(kind):
        raw = raw.cast(pa.string())
    try:
        whole = (
            raw if types.is_dictionary(kind) else _one_chunk(raw)
        )  # one pass over the values, not one a chunk
        encoded = whole if types.is_dictionary(kind) else whole.dictionary_encode()
        if not len(encoded):
            empty = pa.array([], encoded.type.value_type)
            return pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), empty)
        if isinstance(encoded, pa.DictionaryArray):
            return encoded
        return (
            encoded.chunk(0)
            if encoded.num_chunks == 1
            else pa.concat_arrays(encoded.unify_dictionaries().chunks)
        )
    except pa.ArrowNotImplementedError:  # nested: no cell holds such a value
        return pa.DictionaryArray.from_arrays(pa.nulls(len(raw), pa.int32()), pa.array([], pa.string()))


def _one_chunk(raw: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return `raw` in one piece, unless more than 2 GiB of text would not fit into one."""
    import pyarrow as pa

    try:
        return raw.combine_chunks()
    except pa.ArrowInvalid:
        return raw


def take(table: Columns, rows: np.ndarray) -> dict[str, Floats | Coded]:
    """Return the canonical columns of `rows` (indices or a mask)."""
    return {
        name: Coded(values.codes[rows], values.levels) if isinstance(values, Coded) else values[rows]
        for name, values in table.items()
    }
