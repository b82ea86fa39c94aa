"""Masking: what the prediction log may not hold of a record, because its column is marked ``pii``."""

from __future__ import annotations

from typing import Any

import msgspec

from mlwright.core.types import Json
from mlwright.data.schema import Schema

__all__ = ["Mask"]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Mask:
    """Puts null in the place of values of columns marked ``pii``.

    Parameters
    ----------
    schema : Schema
        The bundle's.

    Examples
    --------
    >>> from mlwright.data.schema import Column, Kind
    >>> mask = Mask(Schema((Column("name", Kind.TEXT, pii=True), Column("age", Kind.NUMERIC))))
    >>> mask.record(b'{"name": "Ann", "age": 30}')
    b'{"name":null,"age":30}'
    """

    def __init__(self, schema: Schema) -> None:
        self.names = schema.personal
        self.is_empty = not self.names

    def record(self, body: bytes) -> bytes:
        """Return a record's JSON without the values of marked columns."""
        record = _decode(body)
        for name in self.names.intersection(record):
            record[name] = None
        return _encode(record)

    def answer(self, answer: Json) -> Json:
        """Return an answer whose warnings and reasons repeat no value of a marked column."""
        warnings: list[Any] = [
            {**warning, "got": None} if warning["field"] in self.names else warning
            for warning in answer["warnings"]
        ]
        masked = {**answer, "warnings": warnings}
        if "why" in answer:
            masked["why"] = [
                {**why, "got": None} if why["column"] in self.names else why for why in answer["why"]
            ]
        return masked
