"""Which kind of split a table asks for: what the user said, else roles, else what names and values show.

Knows names, kinds and row order; draws no rows. The detection is modest on purpose: it takes a split that is not
random only on two signs at once (a telling name or order, and values that bear it out) and else says what it saw.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mlwright.core.errors import SchemaError, UsageError
from mlwright.core.types import Floats
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = ["Choice", "choose", "is_entity_name", "is_event_time_name", "plain"]

_ENTITIES = frozenset(
    [
        "account",
        "athlete",
        "block",
        "card",
        "case",
        "client",
        "customer",
        "cust",
        "device",
        "donor",
        "driver",
        "employee",
        "household",
        "individual",
        "machine",
        "member",
        "participant",
        "passenger",
        "patient",
        "person",
        "player",
        "respondent",
        "session",
        "student",
        "subject",
        "unit",
        "user",
        "vehicle",
        "visitor",
        "worker",
    ]
)
_KEYS = frozenset(["id", "ids", "key", "nbr", "no", "nr", "num", "number", "uuid", "guid", "code", "hash"])
_EVENTS = frozenset(
    [
        "admission",
        "booking",
        "checkin",
        "created",
        "event",
        "invoice",
        "log",
        "logged",
        "measured",
        "measurement",
        "observation",
        "observed",
        "order",
        "ordered",
        "payment",
        "pickup",
        "posted",
        "purchase",
        "reading",
        "recorded",
        "request",
        "sale",
        "sales",
        "sold",
        "start",
        "started",
        "transaction",
        "trip",
        "visit",
    ]
)
_MOMENTS = frozenset(["at", "date", "datetime", "day", "on", "time", "timestamp", "ts"])
_MOMENTS_ALONE = frozenset(["date", "datetime", "ds", "time", "timestamp", "ts"])
_COUNTED = _MOMENTS_ALONE | {"day", "days", "hour", "minute", "month", "period", "step", "t", "week", "year"}
# The parts of a date that tables give a column each, by what they may be called, the longest first.
_CALENDAR = (("year", "yr"), ("month", "mnth", "mon"), ("day",), ("hour", "hr"), ("minute",))
_ENOUGH_TIMES = 50
_FEWEST_YEARS = 4  # so that the last one is no more than about a quarter of the rows


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
    """

    kind: str
    column: str | None
    reason: str
    detected: bool = False


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]


def is_entity_name(name: str) -> bool:
    """Whether a column's name says that it names a person or thing with several rows.

    Examples
    --------
    >>> [is_entity_name(name) for name in ("customer_id", "PatientID", "userid", "id", "num_users", "zone_id")]
    [True, True, True, True, False, False]
    """
    words = _words(name)
    if words == ["id"]:
        return True  # where it repeats, it names no row but what the rows are about
    if len(words) == 1:
        return words[0] in _ENTITIES or (words[0].endswith("id") and words[0][:-2] in _ENTITIES)
    return len(words) > 1 and words[-1] in _KEYS and words[-2] in _ENTITIES


def is_event_time_name(name: str) -> bool:
    """Whether a column's name says when the row happened.

    Examples
    --------
    >>> [is_event_time_name(name) for name in ("timestamp", "date_time", "createdAt", "birth_date", "expiry")]
    [True, True, True, False, False]
    """
    words = _words(name)
    if len(words) == 1:
        return words[0] in _MOMENTS_ALONE
    if words and set(words) <= _MOMENTS_ALONE:
        return True
    return len(words) > 1 and words[-1] in _MOMENTS and (words[-2] in _EVENTS or words[-2] == "time")


def choose(table: Table, task: Task, spec: str) -> Choice:
    """Return the kind of split that `spec` asks for, or that the table does where `spec` is "auto".

    Raises
    ------
    UsageError
        If `spec` is not understood, or names no column, or one that cannot bear the split.
    """
    word, colon, name = spec.partition(":")
    if word in {"group", "time"} and colon:
        column = _named(table, task, spec, name)
        if word == "group":
            return Choice("group", name, f"group split, because the project names '{name}' as the group")
        if column.kind not in {Kind.DATETIME, Kind.NUMERIC}:
            others = [c.name for c in table.schema.columns if c.kind is Kind.DATETIME]
            raise UsageError(
                f"the time column '{name}' has no order in time: its kind is {column.kind}",
                got=spec,
                allowed="a datetime or numeric column",
                fix=f"use 'time:{others[0]}'" if others else "use 'random', 'stratified' or 'group:COLUMN'",
            )
        return Choice("time", name, f"time split, because the project names '{name}' as the time")
    if spec == "random":
        return Choice("random", None, "random split, because the project asks for it")
    if spec == "stratified":
        if not task.kind.has_classes:
            number = f"the target '{task.target}' is a number"
            raise UsageError(
                f"a stratified split needs classes, and {number if task.kind.needs_target else 'there is no target'}",
                got=spec,
                allowed=_ALLOWED,
                fix="use 'random'",
            )
        return Choice("stratified", None, "stratified split, because the project asks for it")
    if spec == "auto":
        return _auto(table, task)
    near = difflib.get_close_matches(word, ["auto", "random", "stratified", "group", "time"], n=1)
    suffix = ":COLUMN" if near and near[0] in {"group", "time"} else ""
    raise UsageError(
        "unknown split",
        got=spec,
        allowed=_ALLOWED,
        fix=f"did you mean '{near[0]}{suffix}'?" if near else None,
    )


_ALLOWED = "auto, random, stratified, group:COLUMN, time:COLUMN"


def _named(table: Table, task: Task, spec: str, name: str) -> Column:
    if name not in table.schema or name not in table.arrow.column_names:
        names = [n for n in table.schema.names if n != task.target]
        folded = {n.lower(): n for n in names}
        near = difflib.get_close_matches(name.lower(), folded, n=1)
        raise SchemaError(
            f"the split names the column '{name}', which the table does not have",
            got=spec,
            allowed=names[:50],
            fix=f"did you mean '{folded[near[0]]}'?" if near else "name one of the columns",
        )
    if name == task.target:
        raise UsageError(
            f"the split names the target '{name}' as its column",
            got=spec,
            allowed=_ALLOWED,
            fix="name a column other than the target",
        )
    return table.schema[name]


def _auto(table: Table, task: Task) -> Choice:
    for role, kind in ((Role.TIME, "time"), (Role.GROUP, "group")):
        for column in table.schema.having(role):
            if column.name in table.arrow.column_names:
                return Choice(kind, column.name, f"{kind} split, because '{column.name}' has the role {role}")
    seen: list[str] = []
    time = _event_time(table, task, seen)
    group = _entity(table, task, seen)
    if time is not None:
        also = "" if group is None else f"; {group.reason.partition('because ')[2]}, too"
        return Choice("time", time.column, time.reason + also, detected=True)
    return group if group is not None else plain(task, seen)


def plain(task: Task, seen: list[str]) -> Choice:
    """Return the split for rows that stand for themselves; `seen` is said in the reason."""
    note = "".join(f"; {text}" for text in seen)
    if not task.kind.needs_target:
        return Choice("random", None, f"random split, because rows look independent{note}")
    if task.kind is TaskKind.REGRESSION:
        return Choice(
            "random", None, f"random split, because the target is a number and rows look independent{note}"
        )
    return Choice(
        "stratified",
        None,
        f"stratified split, because the target has classes and rows look independent{note}",
    )


def _candidates(table: Table, task: Task) -> list[Column]:
    roles = {Role.FEATURE, Role.ENTITY, Role.IGNORED}
    present = set(table.arrow.column_names)
    return [
        c for c in table.schema.columns if c.role in roles and c.name in present and c.name != task.target
    ]


def _entity(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Find a column that names an entity and has several rows a value; note in `seen` what falls short."""
    n_rows = table.n_rows
    for column in _candidates(table, task):
        keyed = column.kind in {Kind.ID, Kind.CATEGORICAL, Kind.TEXT} or column.role is Role.ENTITY
        keyed = keyed or (
            column.kind is Kind.NUMERIC and column.dtype == "int" and len(_words(column.name)) > 1
        )
        if not keyed or not (is_entity_name(column.name) or column.role is Role.ENTITY):
            continue
        values = table.columns([column.name])[column.name]
        raw = values.codes[values.codes >= 0] if isinstance(values, Coded) else values[~np.isnan(values)]
        distinct = len(np.unique(raw))
        if len(raw) < 0.5 * n_rows or distinct in {0, 1, len(raw)}:
            continue
        text = f"'{column.name}' has {len(raw) / distinct:.3g} rows a value ({distinct:,} values)"
        # A bare noun with a handful of values is more likely a category (device: phone, tablet) than a key.
        fewest = 2 if len(_words(column.name)) > 1 or column.kind is Kind.ID else 8
        if fewest <= distinct <= n_rows / 5:
            return Choice("group", column.name, f"group split, because {text}", detected=True)
        seen.append(f"{text}, name it as 'group:{column.name}' if predictions are for new ones")
    return None


def _event_time(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Find a datetime column in which rows are ordered, or whose name and resolution say event time."""
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
        if is_event_time_name(column.name) and distinct >= min(_ENOUGH_TIMES, table.n_rows / 2):
            text = f"'{column.name}' says when each row happened ({distinct:,} different times)"
            return Choice("time", column.name, f"time split, because {text}", detected=True)
        seen.append(
            f"'{column.name}' holds dates, name it as 'time:{column.name}' if predictions are for later rows"
        )
    return _counted_time(table, task, seen)


def _counted_time(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Find a number that counts time and in whose order the rows are: a day, or the parts of a date."""
    numbers = {
        column.name: table.columns([column.name])[column.name]
        for column in _candidates(table, task)
        if column.kind is Kind.NUMERIC and _one_of(column.name, _COUNTED | set().union(*_CALENDAR))
    }
    whole = {name: v for name, v in numbers.items() if not isinstance(v, Coded) and not np.isnan(v).any()}
    for name, values in whole.items():
        distinct = len(np.unique(values))
        if _one_of(name, _COUNTED) and distinct >= _ENOUGH_TIMES and _one_way(values):
            text = f"the rows are in the order of '{name}' ({distinct:,} different values)"
            return Choice("time", name, f"time split, because {text}", detected=True)
    parts = [name for names in _CALENDAR for name in whole if _one_of(name, names)]
    if len(parts) < 2 or not _one_of(parts[0], _CALENDAR[0]):
        return None
    moments = np.unique(np.stack([whole[name] for name in parts], axis=1), axis=0, return_inverse=True)[1]
    if len(np.unique(moments)) < _ENOUGH_TIMES or not _one_way(moments.astype(np.float64)):
        return None
    text = f"the rows are in the order of {', '.join(map(repr, parts))}"
    years = len(np.unique(whole[parts[0]]))
    if years >= _FEWEST_YEARS:
        why = f"time split, because {text} ({years} years)"
        return Choice("time", parts[0], why, detected=True)
    seen.append(
        f"{text}, join them into one column and name it as 'time:COLUMN' if predictions are for later rows"
    )
    return None


def _one_of(name: str, words: Collection[str]) -> bool:
    """Whether a name is one word, and that one of `words`."""
    return len(_words(name)) == 1 and _words(name)[0] in words


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
