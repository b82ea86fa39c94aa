"""Records: rows of an Arrow table as the plain JSON that a client would send."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlwright.core.types import Record
from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.values import number

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["records"]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def records(table: pa.Table, schema: Schema, more: Sequence[str] = ()) -> list[Record]:
    """Return one dict a row with the feature columns that the table has, and `more`: text, numbers, booleans and None only.

    A number that the source holds as plain text becomes a number, since that is what a client sends.
    """
    wanted = {column.name for column in schema.features}.union(more).intersection(table.column_names)
    present = [column for column in schema.columns if column.name in wanted]
    names = [column.name for column in present]
    columns = [
        [_plain(value, column) for value in table.column(column.name).to_pylist()] for column in present
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any, column: Column) -> Any:
    if isinstance(value, str):
        if column.kind is Kind.NUMERIC and not column.format:
            return _number(value, column)
        if column.kind is not Kind.NUMERIC and column.dtype == "int" and _INTEGER.fullmatch(value):
            return int(value)
        return value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _number(value: str, column: Column) -> float | int | None:
    parsed = number(value)
    if math.isnan(parsed):
        return None
    return int(parsed) if column.dtype == "int" and parsed.is_integer() else parsed
