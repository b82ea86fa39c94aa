"""Which kind of split a table asks for: what the user said, else roles, else what names and values show.

Knows what is said (`mlwright.data.split_names`) and what is seen (`mlwright.data.split_signs`), and which of them wins.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from mlwright.core.errors import SchemaError, UsageError
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.data.split_names import gap_seconds, looks_ahead, with_gap, words_of
from mlwright.data.split_signs import Choice, entity, event_time
from mlwright.data.table import Table

__all__ = ["Choice", "choose", "detected", "plain"]


def choose(table: Table, task: Task, spec: str) -> Choice:
    """Return the kind of split that `spec` asks for, or that the table does where `spec` is "auto".

    Raises
    ------
    UsageError
        If `spec` is not understood, or names no column, or one that cannot bear the split.
    """
    word, colon, name = spec.partition(":")
    if word in {"group", "time"} and colon:
        told = with_gap(name) if word == "time" and name not in table.schema else None
        name = name if told is None else told[0]
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
        choice = Choice("time", name, f"time split, because the project names '{name}' as the time")
        return _ahead(choice, column, task) if told is None else _gapped(choice, column, spec, told)
    if spec == "random":
        return Choice(
            "random", None, f"random split, because the project asks for it{_although(table, task)}"
        )
    if spec == "stratified":
        if not task.kind.has_classes:
            number = f"the target '{task.target}' is a number"
            raise UsageError(
                f"a stratified split needs classes, and {number if task.kind.needs_target else 'there is no target'}",
                got=spec,
                allowed=_ALLOWED,
                fix="use 'random'",
            )
        why = f"stratified split, because the project asks for it{_although(table, task)}"
        return Choice("stratified", None, why)
    if spec == "auto":
        return _auto(table, task)
    if spec == "shuffled":
        return _shuffled(table, task)
    near = difflib.get_close_matches(word, ["auto", "shuffled", "random", "stratified", "group", "time"], n=1)
    suffix = ":COLUMN" if near and near[0] in {"group", "time"} else ""
    raise UsageError(
        "unknown split",
        got=spec,
        allowed=_ALLOWED,
        fix=f"did you mean '{near[0]}{suffix}'?" if near else None,
    )


_ALLOWED = "auto, shuffled, random, stratified, group:COLUMN, time:COLUMN, 'time:COLUMN gap 7d'"


def _although(table: Table, task: Task) -> str:
    """Return what a split by rows passes over, so that it is said wherever the split is."""
    found = detected(table, task, [])
    return "" if found is None else f", although {found.reason.partition('because ')[2]}"


def _gapped(choice: Choice, column: Column, spec: str, told: tuple[str, float, str]) -> Choice:
    """Return a time split with the gap that the project names."""
    _, number, unit = told
    said = f"{number:g} {unit}".strip()
    if column.kind is not Kind.DATETIME:
        if unit:
            raise UsageError(
                f"'{column.name}' counts and has no {unit}",
                got=spec,
                allowed=f"'time:{column.name} gap {number:g}', in what '{column.name}' counts",
            )
        return replace(choice, gap=number, gap_said=said)
    seconds = gap_seconds(unit)
    if seconds is None:
        raise UsageError(
            "the gap of a time split has no unit of time",
            got=spec,
            allowed="s, min, h, d, w, month, year, as in gap 7d",
        )
    return replace(choice, gap=number * seconds, gap_said=said)


def _ahead(choice: Choice, column: Column, task: Task) -> Choice:
    """Return a time split with a gap as wide as the target looks ahead by its name."""
    found = looks_ahead(task.target)
    if found is None:
        return choice
    seconds, said = found
    why = f"{choice.reason}; the target '{task.target}' looks ahead by {said}"
    if column.kind is Kind.DATETIME:
        return replace(choice, reason=why, gap=seconds, gap_said=said)
    counted = gap_seconds(words_of(column.name)[-1]) if words_of(column.name) else None
    if counted is None or choice.parts:
        return replace(
            choice, reason=f"{why}, name the gap as 'time:{column.name} gap N' if '{column.name}' can say it"
        )
    return replace(choice, reason=why, gap=seconds / counted, gap_said=said)


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
    seen: list[str] = []
    roles = ((Role.TIME, "time"), (Role.GROUP, "group"))
    return _by_role(table, task, roles) or detected(table, task, seen) or plain(task, seen)


def _shuffled(table: Table, task: Task) -> Choice:
    """Return what the table asks for where no time counts: what is predicted happened in the midst of its rows."""
    seen: list[str] = []
    choice = _by_role(table, task, ((Role.GROUP, "group"),)) or entity(table, task, seen) or plain(task, seen)
    times = [column.name for column in table.schema.having(Role.TIME)]
    time = event_time(table, task, [])
    passed_over = times[0] if times else None if time is None else time.column
    why = f"{choice.reason}; the project says that rows are shuffled"
    return replace(choice, reason=why if passed_over is None else f"{why}, so '{passed_over}' is passed over")


def _by_role(table: Table, task: Task, roles: Sequence[tuple[Role, str]]) -> Choice | None:
    for role, kind in roles:
        for column in table.schema.having(role):
            if column.name in table.arrow.column_names:
                why = f"{kind} split, because '{column.name}' has the role {role}"
                choice = Choice(kind, column.name, why)
                return _ahead(choice, column, task) if kind == "time" else choice
    return None


def detected(table: Table, task: Task, seen: list[str]) -> Choice | None:
    """Return the split that names and values ask for where nobody says anything; None if rows look independent.

    Parameters
    ----------
    seen : list of str
        Gets a phrase for what may be a sign and is not enough.
    """
    time = event_time(table, task, seen)
    group = entity(table, task, seen)
    if time is None:
        return group
    also = "" if group is None else f"; {group.reason.partition('because ')[2]}, too"
    return _ahead(replace(time, reason=time.reason + also), table.schema[time.column or ""], task)


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
