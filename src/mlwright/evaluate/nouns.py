"""Nouns: what a row of the table is called, where a column says so."""

from __future__ import annotations

import re

from mlwright.data.schema import Kind, Role, Schema

__all__ = ["ROWS", "rows_called"]

ROWS = "rows"
_ENDINGS = re.compile(
    r"[\s_.-]*(?:(?<=[a-z])(?:ID|Id|No|Nr|Key|Number|Code)|(?<![a-z])(?:id|no|nr|key|number|code))$"
)
_NO_NOUN = frozenset(
    [
        "case",
        "entity",
        "entry",
        "example",
        "idx",
        "index",
        "instance",
        "item",
        "key",
        "line",
        "num",
        "number",
        "obs",
        "observation",
        "record",
        "row",
        "sample",
        "seq",
        "serial",
        "unique",
        "unnamed",
        "uuid",
        "guid",
        "hash",
    ]
)


def rows_called(schema: Schema) -> str:
    """Return what the rows are, in the plural: ``customers`` for a table with a column ``customer_id``, else ``rows``.

    Parameters
    ----------
    schema : Schema
        Only a column of the kind ``id`` that no model sees names the rows.

    Examples
    --------
    >>> from mlwright.data.schema import Column
    >>> rows_called(Schema((Column("customerID", Kind.ID, Role.IGNORED),)))
    'customers'
    >>> rows_called(Schema((Column("company_id", Kind.ID, Role.IGNORED),)))
    'companies'
    >>> rows_called(Schema((Column("row_id", Kind.ID, Role.IGNORED), Column("age", Kind.NUMERIC))))
    'rows'
    """
    words = [
        word
        for column in schema.columns
        if column.kind is Kind.ID and column.role is Role.IGNORED
        if (word := _noun(column.name))
    ]
    return words[0] if len(words) == 1 else ROWS


def _noun(name: str) -> str:
    """Return the plural of the word before ``id``; "" where that is no plain word."""
    word = _ENDINGS.sub("", name)
    if word == name or not re.fullmatch(r"[A-Za-z]{4,20}", word) or word.lower() in _NO_NOUN:
        return ""
    word = word.lower()
    if word.endswith("s"):
        return word if not word.endswith("ss") else f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "ch", "sh")) else f"{word}s"
