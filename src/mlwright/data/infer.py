"""Infer: what the columns of a raw table are, and why we think so.

One schema for one content: a column is judged by the canonical cells that `mlwright.data.values` reads from it, never
by the type of the file that it came from, so that CSV, JSON lines and Parquet give equal schemas. The rules, in order:

1. no value at all, or one and the same value in every row: constant, ignored;
2. true and false in any of their usual words, or 0 and 1: boolean;
3. numbers, also with units, currency signs, thousands and decimal commas, if 95 % of the values can be read;
   so are times of day, durations, feet and inches, and numbers with some ranges among them;
   a text with a leading zero is a code and no number; whole numbers that number the rows are identifiers; those whose
   name says code, type or the like are categories; those whose name says time and whose range fits are times;
4. dates in ISO 8601 and the common written forms (`mlwright.data.date_format`), if 95 % can be read;
5. texts: nearly all different and one word each are identifiers, many words and mostly different is free text, and
   everything else is a category.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mlwright.core.errors import SchemaError, UsageError
from mlwright.data.cells import RawColumn
from mlwright.data.kinds import Judgement, judge, judge_as
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.data.target import has_target, infer_task, target_values

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["has_target", "infer", "infer_task", "target_values"]

_MAX_LEVELS = 1000
_MEASURED = {
    "clock": ", times of day in hours",
    "duration": ", durations in hours",
    "feet": ", feet and inches in inches",
}
_NEVER_IGNORED = (Role.TARGET, Role.TIME, Role.GROUP, Role.WEIGHT, Role.EXPOSURE, Role.ENTITY)


def infer(
    raw: pa.Table,
    *,
    target: str | None = None,
    roles: Mapping[str, Role] | None = None,
    kinds: Mapping[str, Kind] | None = None,
) -> Schema:
    """Return what every column of a raw table is.

    Parameters
    ----------
    raw : pyarrow.Table of n_rows
        As `mlwright.data.read.read` gives it.
    target : str, optional
        The column to predict.
    roles : mapping of str to Role, optional
        What the project says columns are for; all others are features, identifiers and constants are ignored.
    kinds : mapping of str to Kind, optional
        What the project says columns are.

    Returns
    -------
    Schema
        One column each, in the table's order. ``required``, ``low``, ``high`` and ``levels`` are exact.

    Raises
    ------
    UsageError
        If a named column is not there; the message names the nearest one.
    SchemaError
        If a column cannot be what the project says it is.

    Examples
    --------
    >>> import pyarrow as pa
    >>> schema = infer(pa.table({"id": ["007", "008"] * 20, "price": ["1,204.50", "3.20"] * 20}))
    >>> [f"{column.name}: {column.why}" for column in schema.columns]
    ["id: categorical, 2 values, most often '007'", 'price: numeric, 2 values, 3.2 to 1,204.5']
    """
    given = dict(roles or {}) | ({} if target is None else {target: Role.TARGET})
    forced = dict(kinds or {})
    names = raw.column_names
    for name in (*given, *forced):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            raise UsageError(
                "unknown target" if name == target else "no such column",
                got=name,
                allowed=names[:50],
                fix=f"did you mean '{near[0]}'?" if near else "name one of the columns",
            )
    return Schema(
        tuple(
            _infer_column(RawColumn(name, raw.column(name)), given.get(name), forced.get(name))
            for name in names
        )
    )


def _infer_column(raw: RawColumn, role: Role | None, kind: Kind | None) -> Column:
    found = judge(raw, plain=role in (Role.TARGET, Role.FEATURE)) if kind is None else judge_as(raw, kind)
    if role is Role.TIME and found.kind is not Kind.DATETIME and kind is None:
        found = _as_time(raw, found)
    column = Column(raw.name, found.kind, dtype=found.dtype, format=found.format)
    useless = found.kind in {Kind.ID, Kind.CONSTANT} or found.unusable
    chosen = role if role is not None else Role.IGNORED if useless else Role.FEATURE
    if useless and chosen not in _NEVER_IGNORED:
        chosen = Role.IGNORED
    return _measured(raw, replace(column, role=chosen), found)


def _as_time(raw: RawColumn, found: Judgement) -> Judgement:
    try:
        return judge_as(raw, Kind.DATETIME, told=False)
    except SchemaError:
        if found.kind is Kind.NUMERIC:  # a year, a step, a week: numbers order rows as well
            return found
        if found.kind in {Kind.ID, Kind.BOOLEAN, Kind.CATEGORICAL} and raw.share_of_numbers >= 0.95:
            return judge_as(raw, Kind.NUMERIC)
        raise


def _measured(raw: RawColumn, column: Column, found: Judgement) -> Column:
    """Return `column` with what its canonical cells say: required, levels, range, and the reason in words."""
    facts = raw.facts(column)
    why = found.why or _reason(column, facts.n_distinct, facts.low, facts.high, facts.levels)
    unread = raw.n_present - facts.n_present
    if unread > 0:
        examples = ", ".join(repr(word) for word in raw.unread(column)[:3])
        why += f"; {unread:,} of {raw.n_rows:,} cannot be read and count as missing: {examples}"
    if found.remark:
        why += f"; {found.remark}"
    return replace(
        column,
        why=why,
        required=facts.n_present == raw.n_rows and raw.n_rows > 0,
        levels=facts.levels if column.kind is Kind.CATEGORICAL and facts.n_distinct <= _MAX_LEVELS else None,
        low=facts.low,
        high=facts.high,
    )


def _reason(
    column: Column, n_distinct: int, low: float | None, high: float | None, levels: tuple[str, ...]
) -> str:
    values = f"{n_distinct:,} value{'' if n_distinct == 1 else 's'}"
    if column.kind is Kind.NUMERIC:
        span = "" if low is None or high is None else f", {_short(low)} to {_short(high)}"
        units = column.format.get("strip")
        without = f", without {', '.join(map(repr, units))}" if units else ""
        measure = _MEASURED.get(column.format.get("measure", ""), "")
        ranges = ", a range is read as its middle" if column.format.get("ranges") else ""
        return f"numeric, {values}{span}{without}{measure}{ranges}"
    if column.kind is Kind.DATETIME:
        span = "" if low is None or high is None else f", {_day(low)} to {_day(high)}"
        read = f", read as {' or '.join(column.format['formats'])}" if column.format.get("formats") else ""
        epoch = column.format.get("epoch")
        return f"datetime{span}{read}" + (f", a number counts {epoch:g} s since 1970" if epoch else "")
    if column.kind is Kind.CATEGORICAL:
        return f"categorical, {values}" + (f", most often {levels[0][:40]!r}" if levels else "")
    return f"{column.kind}, {values}"


def _short(value: float) -> str:
    return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.6g}"


def _day(seconds: float) -> str:
    import numpy as np

    return str(np.datetime64(int(seconds // 86400), "D"))
