"""Conformance kit of checks: what every member of the closed table must keep.

`check_check` gives the named checks of one kind; any test runner can call them. It builds its own tables, one of them
clean, and needs no test framework.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.contract import Contract, Expected
from mlwright.data.findings import Severity
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = [
    "check_check",
    "context_of",
    "finds_nothing_in_a_clean_table",
    "gives_json",
    "is_deterministic",
    "is_documented",
    "leaves_its_input_alone",
    "sample_context",
    "takes_a_table_without_features",
    "takes_tables_without_values",
    "takes_tiny_tables",
]

_LABELS = {TaskKind.BINARY: ("no", "yes"), TaskKind.MULTICLASS: ("a", "b", "c"), TaskKind.REGRESSION: ()}
_METRICS = {TaskKind.BINARY: "roc_auc", TaskKind.MULTICLASS: "log_loss", TaskKind.REGRESSION: "rmse"}
_NO_METRIC = "stability"  # of a task without a target, as `lifecycle.unlabelled` has it
_TARGET = "target"


def context_of(
    data: dict[str, Any],
    columns: tuple[Column, ...],
    y: np.ndarray,
    task: Task,
    banned: tuple[str, ...] = (),
) -> CheckContext:
    """Return a context over values that are given by column.

    Parameters
    ----------
    data : dict of str to sequence of n_rows
        Raw values, the target included; Arrow arrays are taken as they are.
    columns : tuple of Column
        One a column of `data`, same order.
    y : ndarray of shape (n_rows,)
        The target: values, or class codes.
    task : Task
        What is predicted.
    banned : tuple of str
        Columns that the project bans.
    """
    import pyarrow as pa

    table = Table(pa.table(data), Schema(columns))
    return CheckContext(table, table.columns(), np.asarray(y, np.float64), task, banned)


def sample_context(
    kind: TaskKind = TaskKind.BINARY, n_rows: int = 400, seed: int = 0, *, empty: bool = False
) -> CheckContext:
    """Return a context on a clean table: every kind of feature, a target that they tell in part, nothing to find.

    Parameters
    ----------
    kind : TaskKind
        Of the target; a kind that needs none has none.
    n_rows : int, default=400
        From 0; a table of few rows may give cause for findings.
    seed : int
        For the values.
    empty : bool, default=False
        Whether every feature is missing in every row.

    Examples
    --------
    >>> sorted(sample_context().columns)
    ['amount', 'member', 'note', 'plan', 'since']
    """
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    amount = rng.normal(50.0, 10.0, n_rows)
    plan = rng.integers(0, 3, n_rows)
    signal = (amount - 50.0) / 10.0 + plan - 1.0 + rng.normal(0.0, 1.0, n_rows)
    labels = _LABELS.get(kind, ())
    if labels:
        y = np.digitize(signal, np.linspace(-1.0, 1.0, len(labels) + 1)[1:-1]).astype(np.float64)
        target: list[Any] = [labels[int(code)] for code in y]
    else:
        y, target = signal, signal.tolist()
    data: dict[str, list[Any]] = {
        "amount": amount.tolist(),
        "plan": [("basic", "more", "full")[code] for code in plan],
        "member": (rng.random(n_rows) < 0.4).tolist(),
        "since": [1_600_000_000_000_000 + int(day) * 86_400_000_000 for day in rng.integers(0, 900, n_rows)],
        "note": [f"call {int(word)} about {int(other)}" for word, other in rng.integers(0, 500, (n_rows, 2))],
    }
    types = {"amount": pa.float64(), "member": pa.bool_(), "since": pa.timestamp("us")}
    arrays = {
        name: pa.array([None] * n_rows if empty else values, types.get(name, pa.string()))
        for name, values in data.items()
    }
    columns: tuple[Column, ...] = (
        Column("amount", Kind.NUMERIC, dtype="float"),
        Column("plan", Kind.CATEGORICAL),
        Column("member", Kind.BOOLEAN, dtype="bool"),
        Column("since", Kind.DATETIME, dtype="timestamp"),
        Column("note", Kind.TEXT),
    )
    if not kind.needs_target:
        return context_of(arrays, columns, np.zeros(n_rows), Task(kind, "", _NO_METRIC))
    arrays[_TARGET] = pa.array(target, pa.string() if labels else pa.float64())
    of_target = (Kind.CATEGORICAL, Role.TARGET, "str") if labels else (Kind.NUMERIC, Role.TARGET, "float")
    columns = (*columns, Column(_TARGET, *of_target))
    return context_of(arrays, columns, y, Task(kind, _TARGET, _METRICS[kind], labels))


def check_check(kind: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the named checks of one kind of the closed table: ``(id, function)``, the id as ``member:check``.

    Each function raises `AssertionError` if the member does not keep what it says.

    Parameters
    ----------
    kind : str
        A kind of `mlwright.core.kinds.CHECKS`.

    Examples
    --------
    >>> dict(check_check("leak"))["leak:is_documented"]()
    """
    cls = load(CHECKS, kind, family="check")
    checks: tuple[Callable[[type[Check], str], None], ...] = (
        is_documented,
        finds_nothing_in_a_clean_table,
        is_deterministic,
        leaves_its_input_alone,
        takes_tiny_tables,
        takes_tables_without_values,
        takes_a_table_without_features,
        gives_json,
    )
    for function in checks:
        yield f"{kind}:{function.__name__}", _bound(function, cls, kind)


def _bound(function: Callable[[type[Check], str], None], cls: type[Check], kind: str) -> Callable[[], None]:
    return lambda: function(cls, kind)


def _expect(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def is_documented(cls: type[Check], kind: str) -> None:
    """Expect the kind it is listed under, and docstrings of the class and its `run`."""
    _expect(issubclass(cls, Check), f"{cls.__name__} is not a Check")
    _expect(cls.kind == kind, f"{cls.__name__}.kind is {cls.kind!r}, and the closed table says {kind!r}")
    _expect(cls.__dict__.get("__doc__"), f"{cls.__name__} has no docstring")
    _expect(cls.__dict__["run"].__doc__, f"{cls.__name__}.run has no docstring")


def finds_nothing_in_a_clean_table(cls: type[Check], kind: str) -> None:
    """Expect no finding in a clean table of each task, with a split by rows and without one."""
    for task_kind in TaskKind:
        for seed in range(3):
            clean = sample_context(task_kind, seed=seed)
            for context in (clean, replace(clean, split=_split(clean.table.n_rows))):
                found = cls().run(context)
                _expect(not found, f"{kind}: found in a clean {task_kind} table (seed {seed}): {found}")


def is_deterministic(cls: type[Check], kind: str) -> None:
    """Expect two instances to find the same, and an instance to find the same twice."""
    for context in _dirty_contexts():
        check = cls()
        first = check.run(context)
        _expect(first == check.run(context), f"{kind}: a second look finds something else")
        _expect(first == cls().run(context), f"{kind}: another instance finds something else")


def leaves_its_input_alone(cls: type[Check], kind: str) -> None:
    """Expect columns, target and table unchanged."""
    for context in _dirty_contexts():
        table, y = context.table.arrow.slice(0), context.y.copy()
        copies = {
            name: values.codes.copy() if isinstance(values, Coded) else values.copy()
            for name, values in context.columns.items()
        }
        cls().run(context)
        _expect(table.equals(context.table.arrow), f"{kind}: changed the table")
        _expect(np.array_equal(y, context.y, equal_nan=True), f"{kind}: changed the target")
        for name, values in context.columns.items():
            now = values.codes if isinstance(values, Coded) else values
            _expect(np.array_equal(copies[name], now, equal_nan=True), f"{kind}: changed the column {name}")


def takes_tiny_tables(cls: type[Check], kind: str) -> None:
    """Expect tables of 0, 1, 2, 5 and 12 rows to raise nothing and never to be stopped."""
    for task_kind in TaskKind:
        for n_rows in (0, 1, 2, 5, 12):
            found = cls().run(sample_context(task_kind, n_rows))
            stops = [finding.code for finding in found if finding.severity is Severity.STOP]
            _expect(not stops, f"{kind}: stops a {task_kind} table of {n_rows} rows: {stops}")


def takes_tables_without_values(cls: type[Check], kind: str) -> None:
    """Expect no error and no stop from features without any value, or from a target of one value."""
    for task_kind in TaskKind:
        context = sample_context(task_kind, 50, empty=True)
        found = cls().run(context)
        found += cls().run(CheckContext(context.table, context.columns, np.zeros(50), context.task))
        stops = [finding.code for finding in found if finding.severity is Severity.STOP]
        _expect(not stops, f"{kind}: stops a {task_kind} table without values: {stops}")


def takes_a_table_without_features(cls: type[Check], kind: str) -> None:
    """Expect no error and no stop from a table that holds the target only."""
    context = sample_context()
    only = Table(context.table.arrow.select([_TARGET]), Schema((context.table.schema[_TARGET],)))
    found = cls().run(CheckContext(only, only.columns(), context.y, context.task))
    stops = [finding.code for finding in found if finding.severity is Severity.STOP]
    _expect(not stops, f"{kind}: stops a table without features: {stops}")


def gives_json(cls: type[Check], kind: str) -> None:
    """Expect JSON trees that say their check, name columns of the table and speak in sentences."""
    n_found = 0
    for context in _dirty_contexts():
        for finding in cls().run(context):
            n_found += 1
            tree = finding.to_json()
            _expect(json.loads(json.dumps(tree, allow_nan=False)) == tree, f"{kind}: not JSON: {tree}")
            _expect(finding.check == kind, f"{kind}: a finding says it is of {finding.check!r}")
            foreign = [name for name in finding.columns if name not in context.table.schema]
            _expect(not foreign, f"{kind}: names columns that are not there: {foreign}")
            _expect(finding.what.endswith("."), f"{kind}: not a sentence: {finding.what!r}")
            _expect(finding.advice.endswith((".", "?")), f"{kind}: not a sentence: {finding.advice!r}")
    _expect(n_found, f"{kind}: finds nothing in the kit's faulty tables; plant what it looks for")


def _dirty_contexts() -> Iterator[CheckContext]:
    """Tables in which every check of the closed table finds something."""
    import pyarrow as pa

    for kind in TaskKind:
        clean = sample_context(kind, 300)
        arrow = clean.table.arrow
        arrow = pa.concat_tables([arrow, arrow.slice(0, 60)])  # copies of rows
        y = np.concatenate([clean.y, clean.y[:60]])
        n_rows = len(y)
        draw = np.random.default_rng(1)
        measured = draw.normal(size=(300, 3))
        measured = np.concatenate(
            [measured, measured[:30], measured[30:60] + 1e-9]
        )  # the latter nearly copies
        numbered = np.argsort(np.argsort(y, kind="stable"), kind="stable")
        mixed: list[str | None] = [str(row % 300) for row in range(n_rows)]
        mixed[250], mixed[251] = "about 7", None
        extra: dict[str, tuple[Any, Column]] = {
            "copy": (pa.array(y), Column("copy", Kind.NUMERIC, dtype="float")),
            "same": (pa.array(["x"] * n_rows), Column("same", Kind.CATEGORICAL)),
            "void": (pa.nulls(n_rows, pa.float64()), Column("void", Kind.NUMERIC, dtype="float")),
            "mixed": (pa.array(mixed), Column("mixed", Kind.NUMERIC)),
            "gaps": (
                pa.array([float(row % 300) if row % 5 == 0 else None for row in range(n_rows)]),
                Column("gaps", Kind.NUMERIC, dtype="float"),
            ),
            "key": (pa.array(range(n_rows)), Column("key", Kind.ID, Role.IGNORED, "int")),
            "contact": (
                pa.array([f"user{row % 300}@example.com" for row in range(n_rows)]),
                Column("contact", Kind.CATEGORICAL),
            ),
            **{
                f"measured {i}": (
                    pa.array(measured[:, i]),
                    Column(f"measured {i}", Kind.NUMERIC, dtype="float"),
                )
                for i in range(3)
            },
            "numbered": (pa.array(numbered), Column("numbered", Kind.ID, Role.IGNORED, "int")),
            "customer_id": (
                pa.array([f"c{row % 50}" for row in range(n_rows)]),
                Column("customer_id", Kind.CATEGORICAL),
            ),
            "created_at": (
                pa.array([row % 300 * 86_400_000_000 for row in range(n_rows)], pa.timestamp("us")),
                Column("created_at", Kind.DATETIME, dtype="timestamp"),
            ),
        }
        place = np.concatenate([np.arange(300), np.arange(60)])
        amount = np.asarray(clean.columns["amount"], np.float64)[place]
        high = amount > np.median(amount)
        tested = np.isin(np.arange(n_rows), _split(n_rows).test).astype(float)
        extra |= {
            "twin": (
                pa.array(2.0 * amount),
                Column("twin", Kind.NUMERIC, dtype="float"),
            ),
            "half": (pa.array(np.where(high, "upper", "lower")), Column("half", Kind.CATEGORICAL)),
            "answer": (
                pa.array([None if gone else float(row) for row, gone in zip(place, high, strict=True)]),
                Column("answer", Kind.NUMERIC, dtype="float"),
            ),
            "later": (pa.array(tested[place]), Column("later", Kind.NUMERIC, dtype="float")),
        }
        columns = list(clean.table.schema.columns)
        for name, (values, column) in extra.items():
            arrow = arrow.append_column(name, values)
            columns.append(column)
        table = Table(arrow, Schema(tuple(columns)))
        task = clean.task
        if task.labels:  # one class more, which no row has: as rare as can be
            task = Task(task.kind, task.target, task.metric, (*task.labels, "rare"))
        contract = Contract((Expected("amount", Kind.NUMERIC, high=1.0), Expected("same", Kind.CATEGORICAL)))
        yield CheckContext(
            table,
            table.columns(),
            y,
            task,
            ("plan", "key", "half"),
            _split(n_rows),
            contract=contract,
            now=86_400.0,
        )


def _split(n_rows: int) -> Split:
    """Return a split at random, a quarter to test on."""
    order = np.random.default_rng(0).permutation(n_rows)
    return Split("random", None, "Random.", np.sort(order[n_rows // 4 :]), np.sort(order[: n_rows // 4]), ())
