"""Cells: the one reading of a raw value, for training, batch and single record alike.

A canonical cell is a ``float`` (numeric, boolean: 0 or 1, datetime: seconds since 1970 UTC; NaN is missing) or a
``str | None`` (categorical, text, id). `reader` gives the scalar reading of one column; `columns` reads whole Arrow
columns and gives the same cells: strings are read once a distinct value by the very same scalar function, typed
Arrow values by a vectorised cast that a property test holds against it. This file imports pyarrow only where a
table comes in, so that a server that reads records never loads it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from mlwright.core.types import Floats
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
    "number",
    "numbers",
    "reader",
    "take",
    "text",
]

MISSING_WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "?",
        "-",
        "--",
        ".",
        "missing",
        "<na>",
        "(null)",
        "\\n",
    }
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_PLAIN = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$"  # what Arrow's cast reads as `float` does
_PLAIN_ISO = r"^(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_NO_NUMBER = r"[A-DF-Za-df-z:/_]"  # none of these stands in a number without a unit
_HUGE = 10**300
_FIRST, _END = -62135596800, 253402300800  # seconds: the years 1 to 9999
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NAN = math.nan
_MICROSECOND = dt.timedelta(microseconds=1)

Cell: TypeAlias = "float | str | None"
CellReader: TypeAlias = Callable[[Any], Any]


class Coded(NamedTuple):
    """A column of strings: ``levels[codes[i]]``, or missing where the code is -1. Levels are distinct."""

    codes: np.ndarray  # int32, shape (n_rows,)
    levels: list[str]


Columns: TypeAlias = Mapping[str, "Floats | Coded"]


def text(value: Any, dtype: str = "str") -> str | None:
    """Return the canonical string of a value, or None where it is missing.

    Parameters
    ----------
    value : object
        What JSON, Arrow or a data frame gives.
    dtype : str, default="str"
        The column's source type: where it is a number, ``"1.0"`` and ``1`` are both spelled ``"1"``.

    Examples
    --------
    >>> text(" Yes "), text(3.0), text("3.0", "int"), text(True), text("N/A")
    ('Yes', '3', '3', 'true', None)
    """
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in MISSING_WORDS:
            return None
        return value if dtype == "str" or dtype == "bool" else _respelled(value, dtype)
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        if dtype in {"int", "float"}:
            return "1" if value else "0"
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value)) if abs(int(value)) < _HUGE else None
    if isinstance(value, (float, np.floating, Decimal)):
        value = float(value)
        if not math.isfinite(value):
            return None
        if value.is_integer():
            return str(int(value)) if abs(value) < _HUGE else None
        return repr(value)
    if isinstance(value, dt.datetime):
        return _moment_text(value, dtype)
    if isinstance(value, dt.date):
        return value.isoformat() if dtype != "timestamp" else f"{value.isoformat()}T00:00:00"
    if isinstance(value, bytes):
        return text(value.decode("utf-8", "replace"), dtype)
    return None


def _respelled(value: str, dtype: str) -> str | None:
    """Return the one spelling of a text in a column whose source type is a number or a time."""
    if dtype in {"date", "timestamp"}:
        try:
            return _moment_text(dt.datetime.fromisoformat(value), dtype)
        except ValueError:
            return value
    if _INTEGER.fullmatch(value):  # exact beyond 2**53, where a float is not
        return text(int(value))
    parsed = number(value)
    return value if math.isnan(parsed) else text(parsed)


def _moment_text(moment: dt.datetime, dtype: str) -> str | None:
    """Return a moment in ISO 8601, in UTC if it has a zone, as a date alone if the column holds dates."""
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        except OverflowError:
            return None
    midnight = moment.time() == dt.time()
    return moment.date().isoformat() if dtype == "date" and midnight else moment.isoformat()


def number(value: Any, format: Mapping[str, Any] | None = None) -> float:  # noqa: A002 - the field's name
    """Return the number in a value, NaN where it is missing, infinite or holds none.

    Parameters
    ----------
    value : object
        A number, a boolean (1 or 0) or a text.
    format : mapping, optional
        ``decimal`` and ``thousands`` (characters, default ``"."`` and ``","``), ``strip`` (a list of units or signs
        that may stand around the number: ``["bhp", "$", "%"]``) and ``scale`` (a factor by unit).

    Examples
    --------
    >>> number("1,204.50"), number("74 bhp", {"strip": ["bhp"]}), number("1.204,5", {"decimal": ",", "thousands": "."})
    (1204.5, 74.0, 1204.5)
    """
    if isinstance(value, str):
        return _number_in(value, format or {})
    if value is None:
        return _NAN
    if isinstance(value, (int, float, np.integer, np.floating, np.bool_, Decimal)):
        try:
            parsed = float(value)
        except OverflowError:
            return _NAN
        return parsed if math.isfinite(parsed) else _NAN
    return _NAN


def _number_in(value: str, form: Mapping[str, Any]) -> float:
    value = value.strip()
    factor = 1.0
    for unit in form.get("strip", ()):
        if value.endswith(unit):
            value = value[: -len(unit)].rstrip()
            factor = float(form.get("scale", {}).get(unit, 1.0))
        elif value.startswith(unit):
            value = value[len(unit) :].lstrip()
    thousands, decimal = form.get("thousands", ","), form.get("decimal", ".")
    if thousands and thousands in value:
        whole, mark, fraction = value.partition(decimal)
        parts = whole.lstrip("+-").split(thousands)
        if not (
            1 <= len(parts[0]) <= 3
            and parts[0][0] != "0"  # "0,125" is no thousands
            and all(len(part) in (2, 3) for part in parts[1:-1])
            and len(parts[-1]) == 3
        ):
            return _NAN
        value = whole.replace(thousands, "") + mark + fraction
    if decimal != ".":
        if "." in value:
            return _NAN
        value = value.replace(decimal, ".")
    if len(value) > 400 or not value.isascii() or not _NUMBER.fullmatch(value):
        return _NAN
    parsed = float(value) * factor
    return parsed if math.isfinite(parsed) else _NAN


def _boolean(column: Column) -> Callable[[Any], float]:
    true = frozenset(column.format.get("true", ("true", "yes", "y", "t", "1")))
    false = frozenset(column.format.get("false", ("false", "no", "n", "f", "0")))

    def read(value: Any) -> float:
        if value is True:
            return 1.0
        if value is False:
            return 0.0
        spelled = text(value, "float")
        if spelled is None:
            return _NAN
        spelled = spelled.lower()
        return 1.0 if spelled in true else 0.0 if spelled in false else _NAN

    return read


def _seconds(moment: dt.datetime) -> float:
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
    seconds = ((moment - _EPOCH) // _MICROSECOND) / 1e6
    return seconds if _FIRST <= seconds < _END else _NAN


def _datetime(column: Column) -> Callable[[Any], float]:
    formats = tuple(column.format.get("formats", ()))
    epoch = column.format.get("epoch")  # seconds a unit, where numbers are times

    def from_text(value: str) -> float:
        value = value.strip()
        if not value or len(value) > 64:
            return _NAN
        for form in formats:
            try:
                return _seconds(dt.datetime.strptime(value, form))  # noqa: DTZ007 - `_seconds` says UTC
            except (ValueError, OverflowError):
                continue
        if epoch is not None:
            return from_number(number(value))
        try:
            return _seconds(dt.datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            return _NAN

    def from_number(value: float) -> float:
        seconds = value * (epoch or _NAN)
        return seconds if _FIRST <= seconds < _END else _NAN

    def read(value: Any) -> float:
        if isinstance(value, str):
            return from_text(value)
        if isinstance(value, dt.datetime):
            return _seconds(value)
        if isinstance(value, dt.date):
            return _seconds(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC))
        if isinstance(value, (int, float, np.integer, np.floating, Decimal)) and not isinstance(value, bool):
            if epoch is not None:
                return from_number(number(value))
            spelled = text(value)
            return from_text(spelled) if formats and spelled is not None else _NAN  # 20191231
        return _NAN

    return read


def reader(column: Column) -> CellReader:
    """Return the function that reads one raw value of `column` into a canonical cell. It never raises.

    Examples
    --------
    >>> reader(Column("price", Kind.NUMERIC))("1,204.50")
    1204.5
    """
    if column.kind is Kind.NUMERIC:
        form = column.format
        return lambda value: number(value, form)
    if column.kind is Kind.BOOLEAN:
        return _boolean(column)
    if column.kind is Kind.DATETIME:
        return _datetime(column)
    dtype = column.dtype
    return lambda value: text(value, dtype)


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
    present = set(table.column_names)
    return {
        name: _read_column(table.column(name), schema[name])
        if name in present
        else _absent(schema[name], table.num_rows)
        for name in wanted
    }


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
    first, end = _FIRST * 10**6 // micros_a_tick, _END * 10**6 // micros_a_tick
    present &= (ticks >= first) & (ticks < end)
    return np.where(present, ticks, 0) * micros_a_tick, present


def _codes(encoded: pa.DictionaryArray) -> np.ndarray:
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _from_strings(encoded: pa.DictionaryArray, form: Mapping[str, Any]) -> Floats:
    return np.append(numbers(encoded.dictionary, form), _NAN)[_codes(encoded)]


def numbers(strings: pa.Array, form: Mapping[str, Any]) -> Floats:
    """Return `number` of every string of an Arrow array; the plain ones, most of a file, by Arrow's cast."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parsed = np.full(len(strings), _NAN)
    plain = np.zeros(len(strings), bool)
    if form.get("decimal", ".") == "." and not any(unit[:1].isdigit() for unit in form.get("strip", ())):
        plain = pc.match_substring_regex(strings, _PLAIN).fill_null(False).to_numpy(zero_copy_only=False)
        parsed[plain] = strings.filter(pa.array(plain)).cast(pa.float64()).to_numpy()
    odd = ~plain
    if not form:  # dates and words need no second look
        odd &= ~pc.match_substring_regex(strings, _NO_NUMBER).fill_null(True).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero(odd)
    parsed[odd] = [number(value, form) for value in strings.take(pa.array(odd)).to_pylist()]
    return parsed


def _iso_seconds(strings: pa.Array, column: Column) -> Floats:
    """Return the moments in ISO 8601 strings; the plain ones by Arrow's cast."""
    import pyarrow as pa
    import pyarrow.compute as pc

    seconds = np.full(len(strings), _NAN)
    plain = pc.match_substring_regex(strings, _PLAIN_ISO).fill_null(False).to_numpy(zero_copy_only=False)
    try:
        moments = strings.filter(pa.array(plain)).cast(pa.timestamp("us"))
        seconds[plain] = moments.cast(pa.int64()).to_numpy() / 1e6
    except pa.ArrowInvalid:  # a 30th of February somewhere: one by one, then
        plain[:] = False
    odd = np.flatnonzero(~plain)
    read = reader(column)
    seconds[odd] = [read(value) for value in strings.take(pa.array(odd)).to_pylist()]
    return seconds


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
