"""Signs in a table of how it should be split: entities with several rows, blocks, and the time at which rows happened.

A name alone decides nothing and is borne out by values: an id repeats, and its rows stand together or share what else is
known of it; a date orders the rows, or stretches of them. Draws no rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Column, Kind, Role, Task
from mlwright.data.split_names import (
    CALENDAR,
    COUNTED,
    is_block_name,
    is_date_of_life,
    is_entity_name,
    is_event_time_name,
    is_id_name,
    words_of,
)
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = ["Choice", "entity", "event_time"]

_ENOUGH_TIMES = 50
_IN_STRETCHES = 0.2  # of what steps would be in a random order
_FEWEST_A_VALUE, _FEWEST_REPEATED = 1.5, 0.5  # rows; the share of rows whose value comes again
_FEWEST_BLOCKS, _FEWEST_IDS = 8, 10
_RUNS = 1.2  # a value, where its rows stand together
_FEWEST_SHARING, _FEWEST_TO_SHARE = 2, 50  # columns that are the same in all rows of a value; values
_LOOKED_AT, _MOST_ATTRIBUTES = 4_000, 60  # rows and columns
_SAME, _USUAL = 0.98, 0.8


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of split, its column and why.

    Parameters
    ----------
    kind : {"random", "stratified", "group", "time"}
        How to draw.
    column : str or None
        The group or time column.
    reason : str
        One sentence without its full stop.
    detected : bool
        True where neither the user nor a role asked for it.
    parts : tuple of str
        Columns that order moments where `column` has the same value: the month and the day beside a year.
    gap : float
        How far before the test training ends, in seconds, or in what the column counts; 0 for no gap.
    gap_said : str
        The gap as people say it.
    """

    kind: str
    column: str | None
    reason: str
    detected: bool = False
    parts: tuple[str, ...] = ()
    gap: float = 0.0
    gap_said: str = ""


def _candidates(table: Table, task: Task) -> list[Column]:
    roles = {Role.FEATURE, Role.ENTITY, Role.IGNORED}
    present = set(table.arrow.column_names)
    return [
        c for c in table.schema.columns if c.role in roles and c.name in present and c.name != task.target
    ]


def entity(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Find a column whose values have several rows that belong together; note in `seen` what falls short.

    Parameters
    ----------
    seen : list of str
        Gets a phrase for a column that may be one and whose values do not say so.
    """
    candidates = [c for c in _candidates(table, task) if COUNTED.isdisjoint(words_of(c.name))]
    # What is named like an entity comes before what is only called an id.
    for column in sorted(candidates, key=lambda c: not (is_entity_name(c.name) or c.role is Role.ENTITY)):
        named = is_entity_name(column.name) or column.role is Role.ENTITY
        block, id_ = is_block_name(column.name), is_id_name(column.name)
        keyed = column.kind in {Kind.ID, Kind.CATEGORICAL, Kind.TEXT} or column.role is Role.ENTITY
        keyed = keyed or (column.kind is Kind.NUMERIC and column.dtype == "int" and (id_ or block))
        if not keyed or not (named or block or id_):
            continue
        codes = _codes(table, column.name)
        known = codes[codes >= 0]
        if len(known) < 0.5 * table.n_rows:
            continue
        size = np.bincount(known)
        distinct = len(size)
        if distinct in {0, 1, len(known)}:
            continue
        text = f"'{column.name}' has {len(known) / distinct:.3g} rows a value ({distinct:,} values)"
        repeats = len(known) / distinct >= _FEWEST_A_VALUE and (
            size[size > 1].sum() >= _FEWEST_REPEATED * len(known)
        )
        if repeats and (sign := _sign(table, column, codes, named=named, block=block)) is not None:
            return Choice("group", column.name, f"group split, because {text}{sign}", detected=True)
        if named or block:
            seen.append(f"{text}, name it as 'group:{column.name}' if predictions are for new ones")
    return None


def _sign(table: Table, column: Column, codes: Ints, *, named: bool, block: bool) -> str | None:
    """Return in words what bears a repeating id out, besides its name; None if nothing does."""
    distinct = int(codes.max()) + 1
    if named:
        # A bare noun with a handful of values is more likely a category (device: phone, tablet) than a key.
        fewest = 2 if len(words_of(column.name)) > 1 or column.kind is Kind.ID else _FEWEST_BLOCKS
        if distinct >= fewest:
            return ""
    if distinct < (_FEWEST_BLOCKS if block else _FEWEST_IDS):
        return None
    runs = 1 + int(np.count_nonzero(np.diff(codes)))
    if runs <= _RUNS * distinct and runs < 0.5 * len(codes):
        return " that stand together"
    if not block and distinct < _FEWEST_TO_SHARE:
        return None
    same = _shared(table, column.name, codes)
    if len(same) >= (1 if block else _FEWEST_SHARING):
        return f" with the same {', '.join(map(repr, same[:2]))}"
    return None


def _codes(table: Table, name: str) -> Ints:
    """Return a column as codes from 0, -1 where it is missing."""
    values = table.columns([name])[name]
    raw = values.codes.astype(np.float64) if isinstance(values, Coded) else values
    known = raw >= 0 if isinstance(values, Coded) else ~np.isnan(raw)
    codes = np.full(len(raw), -1, np.int64)
    codes[known] = np.unique(raw[known], return_inverse=True)[1]
    return codes


def _shared(table: Table, by: str, codes: Ints) -> list[str]:
    """Return the columns of several values that are the same in all rows of a value of `by`."""
    size = np.bincount(codes[codes >= 0])
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    order = order[size[codes[order]] > 1]
    # Whole values, from the middle of the table's, so that a sorted table does not show its first ones only.
    start = max(0, (len(order) - _LOOKED_AT) // 2)
    rows = order[start : start + _LOOKED_AT]
    group = np.unique(codes[rows], return_inverse=True)[1].astype(np.int64)
    some = table.take(np.asarray(rows))
    names = [c.name for c in table.schema.columns if c.name != by and c.role in {Role.FEATURE, Role.IGNORED}]
    found = []
    for name in [n for n in names if n in table.arrow.column_names][:_MOST_ATTRIBUTES]:
        values = _codes(some, name)
        counts = np.bincount(values[values >= 0]) if (values >= 0).any() else np.zeros(1)
        if len(counts) < 5 or counts.max() > _USUAL * len(rows) or len(counts) > 0.9 * len(rows):
            continue
        pairs = np.unique(group * (int(values.max()) + 2) + values + 1)
        several = len(pairs) - (int(group.max()) + 1)
        if several <= (1 - _SAME) * (int(group.max()) + 1):
            found.append(name)
    return found


def event_time(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Find the time at which rows happened, by their order, or by name and resolution."""
    for column in _candidates(table, task):
        if column.kind is not Kind.DATETIME:
            continue
        times = table.columns([column.name])[column.name]
        if isinstance(times, Coded):
            continue
        known = times[~np.isnan(times)]
        distinct = len(np.unique(known))
        if len(known) < max(10, 0.9 * table.n_rows) or distinct < 10:
            continue
        if _ordered(known):
            text = f"the rows are in the order of '{column.name}'"
            return Choice("time", column.name, f"time split, because {text}", detected=True)
        fine = distinct >= min(_ENOUGH_TIMES, table.n_rows / 2)
        if fine and is_event_time_name(column.name):
            text = f"'{column.name}' says when each row happened ({distinct:,} different times)"
            return Choice("time", column.name, f"time split, because {text}", detected=True)
        if fine and not is_date_of_life(column.name) and _in_stretches(known):
            text = f"stretches of rows are in the order of '{column.name}' ({distinct:,} different times)"
            return Choice("time", column.name, f"time split, because {text}", detected=True)
        seen.append(
            f"'{column.name}' holds dates, name it as 'time:{column.name}' if predictions are for later rows"
        )
    return _counted_time(table, task)


def _counted_time(table: Table, task: Task) -> Choice | None:
    """Find a number that counts time and in whose order the rows are: a day, or the parts of a date."""
    numbers = {
        column.name: table.columns([column.name])[column.name]
        for column in _candidates(table, task)
        if column.kind is Kind.NUMERIC and _one_of(column.name, COUNTED | set().union(*CALENDAR))
    }
    whole = {name: v for name, v in numbers.items() if not isinstance(v, Coded) and not np.isnan(v).any()}
    for name, values in whole.items():
        distinct = len(np.unique(values))
        if _one_of(name, COUNTED) and distinct >= _ENOUGH_TIMES and _one_way(values):
            text = f"the rows are in the order of '{name}' ({distinct:,} different values)"
            return Choice("time", name, f"time split, because {text}", detected=True)
    parts = [name for names in CALENDAR for name in whole if _one_of(name, names)]
    if len(parts) < 2 or not _one_of(parts[0], CALENDAR[0]):
        return None
    moments = np.unique(np.stack([whole[name] for name in parts], axis=1), axis=0, return_inverse=True)[1]
    if len(np.unique(moments)) < _ENOUGH_TIMES or not _one_way(moments.astype(np.float64)):
        return None
    text = f"the rows are in the order of {', '.join(map(repr, parts))}"
    return Choice("time", parts[0], f"time split, because {text}", detected=True, parts=tuple(parts))


def _one_of(name: str, words: Collection[str]) -> bool:
    """Whether a name is one word, and that one of `words`."""
    return len(words_of(name)) == 1 and words_of(name)[0] in words


def _one_way(values: Floats) -> bool:
    """Whether the values are in order and do not start anew, as the hours of a day do."""
    steps = np.diff(values)
    back = min(steps[steps > 0].sum(), -steps[steps < 0].sum())
    return _ordered(values) and bool(back <= 0.05 * np.ptp(values))


def _ordered(times: Floats) -> bool:
    """Whether at least 98 % of the steps, ties aside, go one way."""
    steps = np.diff(times)
    steps = steps[steps != 0]
    return len(steps) >= 9 and bool(max((steps > 0).mean(), (steps < 0).mean()) >= 0.98)


def _in_stretches(times: Floats) -> bool:
    """Whether neighbours are far nearer to each other in time than two rows drawn at random.

    The mean distance of two rows drawn at random is Gini's mean difference, from the sorted times.
    """
    n = len(times)
    ordered = np.sort(times - times.min())
    between = 2.0 * float(ordered @ (2.0 * np.arange(n) - n + 1)) / (n * (n - 1.0))
    return between > 0 and float(np.abs(np.diff(times)).mean()) <= _IN_STRETCHES * between
