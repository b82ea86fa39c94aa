"""Task: what the project says of it, put together with what the table says, and which rows can be learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core.errors import DataError, UsageError
from mlwright.core.kinds import METRICS, OWN
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Kind, Role, Schema, Task, TaskKind
from mlwright.data.table import Table
from mlwright.data.target import infer_task, target_values
from mlwright.data.weights import row_weights
from mlwright.lifecycle.project import Project
from mlwright.metrics import DecisionMetric, best_threshold, get, of
from mlwright.metrics.threshold import capacity_threshold

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["decided", "learnable", "own_test", "roles_of", "task_of", "weights_of"]

_LEAST_OF_A_CLASS = 30


def roles_of(project: Project) -> dict[str, Role]:
    """Return what the project says that columns are for.

    Raises
    ------
    UsageError
        If one column is to be two things.
    """
    roles: dict[str, Role] = dict.fromkeys(project.data_ignore, Role.IGNORED)
    named = {
        Role.TIME: project.data_time,
        Role.GROUP: project.data_group,
        Role.WEIGHT: project.data_weight,
        Role.EXPOSURE: project.data_exposure,
    }
    for role, name in named.items():
        if name is None:
            continue
        other = Role.TARGET if name == project.task_target else roles.get(name)
        if other in (Role.TARGET, Role.WEIGHT, Role.EXPOSURE):
            raise UsageError(f"'{name}' cannot be both {other} and {role}", fix="name another column for one")
        roles[name] = role
    return roles


def task_of(table: Table, target: str, project: Project, *, strict: bool = True) -> Task:
    """Return the task: its kind, classes and metric, and the options that go with them.

    Raises
    ------
    UsageError
        If an option does not fit the kind of task or the metric.
    """
    metric = project.task_metric or ("pinball" if project.task_quantile is not None else None)
    task = infer_task(table, target, kind=_kind(table, target, project, metric), metric=metric, strict=strict)
    costs = _costs(project)
    if costs is not None and metric is None and task.kind is TaskKind.BINARY:
        task = replace(task, metric="cost")
    task = replace(
        task,
        quantile=project.task_quantile,
        weight=project.data_weight,
        exposure=project.data_exposure,
        costs=costs,
        capacity=project.capacity,
    )
    _refuse_metric(task)
    if (task.metric == "pinball") != (task.quantile is not None):
        raise UsageError(
            "the metric pinball and a quantile go together",
            got=f"metric {task.metric}, quantile {task.quantile}",
            fix="say which one is predicted by `--quantile 0.9`, or quantile = 0.9 under [task]",
        )
    if costs is not None and task.kind is not TaskKind.BINARY:
        raise UsageError(
            "costs are of two classes", got=f"a task of kind {task.kind}", fix="leave [costs] out"
        )
    if task.capacity is not None and task.kind is not TaskKind.BINARY:
        raise UsageError(
            "a capacity limits how many rows are called one of two classes",
            got=f"a task of kind {task.kind}",
            fix="leave costs.capacity out",
        )
    if task.exposure is not None and task.kind is not TaskKind.REGRESSION:
        raise UsageError(
            "an exposure divides a number",
            got=f"a task of kind {task.kind}",
            fix="say `--kind regression`, or leave the exposure out",
        )
    return task


def _kind(table: Table, target: str, project: Project, metric: str | None) -> str | None:
    """Return the kind that is said, or that a metric or an option of numbers alone asks of a target of numbers."""
    if project.task_kind is not None or target not in table.schema:
        return project.task_kind
    column = table.schema[target]
    numbers = column.kind is Kind.NUMERIC or (column.kind is Kind.BOOLEAN and column.dtype == "int")
    asked = project.task_quantile is not None or project.data_exposure is not None
    if metric is not None and (metric in METRICS or metric.startswith(OWN)):
        asked = asked or get(metric).tasks == {TaskKind.REGRESSION}
    return str(TaskKind.REGRESSION) if asked and numbers else None


def _costs(project: Project) -> tuple[float, float] | None:
    said = (project.costs_false_positive, project.costs_false_negative)
    if said == (None, None):
        return None
    false_positive, false_negative = (1.0 if cost is None else float(cost) for cost in said)
    if not false_positive + false_negative > 0:
        raise UsageError("both costs are 0: then no decision is better than another", fix="say one above 0")
    return false_positive, false_negative


def _refuse_metric(task: Task) -> None:
    if task.kind not in get(task.metric).tasks:
        raise UsageError(
            f"the metric does not fit a task of kind {task.kind}",
            got=task.metric,
            allowed=[name for name in METRICS if task.kind in get(name).tasks],
            fix="name one of these, or leave it out",
        )


def learnable(table: Table, task: Task) -> tuple[Ints, list[str]]:
    """Return which rows have a target and a weight above 0, and what to say of the others.

    Raises
    ------
    DataError
        If a weight or an exposure cannot be used, no row is left, or the metric cannot score such a target.
    """
    y = target_values(table, task)
    known, notes = ~np.isnan(y), []
    if not known.all():
        notes.append(f"{(~known).sum():,} of {len(y):,} rows have no '{task.target}' and were left out")
    rows = np.flatnonzero(known)
    weights = row_weights(table.take(rows), task)
    if weights is not None and not weights.all():
        notes.append(f"{(weights == 0).sum():,} of {len(y):,} rows have a weight of 0 and were left out")
        rows = rows[weights > 0]
    _refuse_target(task, y[rows])
    return rows, notes


def _refuse_target(task: Task, y: Floats) -> None:
    metric = of(task)
    if metric.fits(y):
        if task.kind is TaskKind.REGRESSION and len(y) and y.min() == y.max():
            raise DataError(
                f"the target '{task.target}' has one value only in the rows that count: there is nothing to learn",
                got=float(y[0]),
                fix="name another target, or give more rows",
            )
        return
    raise DataError(
        f"{metric.title} cannot score the target '{task.target}'",
        got=float(y.min()),
        allowed=f"numbers {'of at least 0' if metric.lowest == 0 else 'above 0'}",
        fix="take another metric, or leave these rows out",
    )


def weights_of(table: Table, task: Task) -> Floats | None:
    """Return how much each row counts, on average 1; None if all count alike."""
    weights = row_weights(table, task)
    return None if weights is None else weights / weights.mean()


def own_test(raw: pa.Table, schema: Schema, task: Task) -> Table:
    """Return the rows of the user's own test table that can be scored.

    Raises
    ------
    DataError
        If columns are absent, or no row can be scored.
    """
    absent = [c.name for c in schema.features if c.required and c.name not in raw.column_names]
    scored = (task.target, task.weight, task.exposure)
    absent += [name for name in scored if name is not None and name not in raw.column_names]
    if absent:
        raise DataError(
            "the test table lacks columns",
            got=absent,
            fix="give it the training table's columns",
        )
    own = Table(raw, schema)
    rows, _ = learnable(own, task)
    if not len(rows):
        raise DataError(
            f"no row of the test table has a known '{task.target}'",
            allowed=[str(v) for v in task.labels] or "numbers",
        )
    return own.take(rows)


def decided(task: Task, y: Floats, predicted: Floats, weights: Floats | None) -> Task:
    """Return the task with the threshold that is best on out-of-fold predictions, where its metric is of decisions.

    With less than 30 rows of a class the threshold stays what the costs say, or 0.5. A capacity that it would exceed
    raises it; without costs and a metric of decisions the whole capacity is used.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    predicted : ndarray of shape (n_rows, n_outputs)
        NaN where no fold validates.
    weights : ndarray of shape (n_rows,), optional
    """
    metric = of(task)
    if task.kind is not TaskKind.BINARY or task.threshold is not None:
        return task
    rows = ~np.isnan(predicted[:, 0])
    decides, chosen = isinstance(metric, DecisionMetric), None
    if decides and min((y[rows] == code).sum() for code in (0, 1)) >= _LEAST_OF_A_CLASS:
        chosen = best_threshold(y[rows], predicted[rows], metric, None if weights is None else weights[rows])
    if task.capacity is not None and rows.any():
        own = task.cut if chosen is None and (decides or task.costs is not None) else chosen
        chosen = max(own or 0.0, capacity_threshold(predicted[rows, 0], task.capacity))
    return replace(task, threshold=chosen)
