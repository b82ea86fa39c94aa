"""Target: what is predicted, as a task, and the numbers that a model learns from."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwright.core.errors import DataError, UsageError
from mlwright.core.kinds import METRICS, OWN
from mlwright.core.types import Floats
from mlwright.data.cells import RawColumn
from mlwright.data.kinds import name_parts
from mlwright.data.labels import MAX_CLASSES, class_labels, refuse_no_order, spelled
from mlwright.data.schema import Column, Kind, Task, TaskKind
from mlwright.data.table import Table
from mlwright.data.weights import exposures

__all__ = ["has_target", "infer_task", "target_values"]

_METRIC = {TaskKind.BINARY: "roc_auc", TaskKind.MULTICLASS: "log_loss", TaskKind.REGRESSION: "rmse"}
_MIN_ROWS = 10  # with fewer there is nothing to hold back for a test
# Names of what is counted, measured or graded: 4 is nearer to 5 than 1 is, however few values there are.
_QUANTITIES = frozenset(
    [
        "age",
        "amount",
        "cnt",
        "cost",
        "count",
        "counts",
        "days",
        "duration",
        "hours",
        "minutes",
        "months",
        "price",
        "qty",
        "quality",
        "quantity",
        "rating",
        "ratings",
        "rings",
        "sales",
        "score",
        "scores",
        "stars",
        "years",
    ]
)


def infer_task(
    table: Table,
    target: str,
    *,
    kind: TaskKind | str | None = None,
    metric: str | None = None,
    strict: bool = True,
) -> Task:
    """Return what is predicted: the kind of task, its classes and its metric.

    Text, booleans and whole numbers of at most 20 values (each on average in 10 rows or more) are classes; all
    other numbers are quantities, and so are whole numbers whose name says that they are counted, measured or graded
    (rating, score, quality, count, price...) or of which one stands in one row only, if they are more than two. Of
    two classes the positive one, which stands second, is the one that says so (1 beside 0 or -1, true, yes, churned,
    fraud...), else the rarer.

    Parameters
    ----------
    table : Table
        Raw values and the schema of `mlwright.data.infer.infer`.
    target : str
        The target's name.
    kind : {"binary", "multiclass", "regression"}, optional
        What the user says the task is.
    metric : str, optional
        What the user says counts; by default ROC AUC, log loss or the root of the mean squared error.
    strict : bool, default=True
        False lets pass what can be learned but hardly means anything: a feature that is a copy of the target, and
        classes of one row.

    Raises
    ------
    UsageError
        If the target, the kind or the metric does not exist or does not fit.
    DataError
        If nothing can be learned: too few rows, one class, no feature, values that are no numbers, or a feature
        that is a copy of the target.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwright.data.infer import infer
    >>> raw = pa.table({"age": range(20, 40), "churn": ["No", "Yes", "No", "No"] * 5})
    >>> infer_task(Table(raw, infer(raw, target="churn")), "churn").labels
    ('No', 'Yes')
    """
    if target not in table.schema:
        near = difflib.get_close_matches(target, table.schema.names, n=1, cutoff=0.5)
        raise UsageError(
            "unknown target",
            got=target,
            allowed=table.schema.names[:50],
            fix=f"did you mean '{near[0]}'?" if near else "name one of the columns",
        )
    wanted = _task_kind(kind)
    if metric is not None and metric not in METRICS and not metric.startswith(OWN):
        near = difflib.get_close_matches(metric, METRICS, n=1)
        raise UsageError(
            "unknown metric",
            got=metric,
            allowed=sorted(METRICS),
            fix=f"did you mean '{near[0]}'?" if near else None,
        )
    column = table.schema[target]
    raw = RawColumn(target, table.arrow.column(target))
    _refuse_few_rows(raw)
    ordinal = metric == "quadratic_kappa"
    chosen = wanted or _chosen(raw, column, graded=ordinal)
    labels: tuple[Any, ...] = ()
    if chosen is TaskKind.REGRESSION:
        _refuse_no_numbers(raw, column)
    else:
        labels = class_labels(raw, column, strict=strict)
        chosen = _fitting(column, labels, wanted)
        if ordinal:
            refuse_no_order(column, labels)
    task = Task(chosen, target, metric or _METRIC[chosen], labels)
    _refuse_no_features(table, task)
    if strict:
        _refuse_copies(table, task)
    return task


def has_target(y: Floats) -> NDArray[np.bool_]:
    """Return which rows have a target: the others are dropped before anything is learned.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        From `target_values`.
    """
    return ~np.isnan(y)


def target_values(table: Table, task: Task) -> Floats:
    """Return the target as numbers.

    Parameters
    ----------
    table : Table of n_rows
        Raw values that hold the target.
    task : Task
        What is predicted.

    Returns
    -------
    ndarray of shape (n_rows,)
        Values for regression, for one unit of ``task.exposure`` where there is one; codes into ``task.labels`` for
        classes; NaN where the target is missing, or a class that the task does not know.

    Raises
    ------
    DataError
        If a row with a target has no exposure above 0.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwright.data.infer import infer
    >>> raw = pa.table({"churn": ["No", None, "Yes"]})
    >>> target_values(Table(raw, infer(raw)), Task(TaskKind.BINARY, "churn", "roc_auc", ("No", "Yes"))).tolist()
    [0.0, nan, 1.0]
    """
    column = table.schema[task.target]
    raw = RawColumn(task.target, table.arrow.column(task.target))
    if task.kind is TaskKind.REGRESSION:
        values = raw.numbers(column.format if column.kind is Kind.NUMERIC else {})
        return values if task.exposure is None else values / exposures(table, task.exposure, values)
    cells = raw.cells(_class_column(column))
    if isinstance(cells, np.ndarray):  # a boolean: the second label is the true one
        return cells
    codes = {spelled(label): code for code, label in enumerate(task.labels)}
    of_level = [codes.get(level, np.nan) for level in cells.levels]
    return np.array([*of_level, np.nan], dtype=np.float64)[cells.codes]


def _task_kind(kind: TaskKind | str | None) -> TaskKind | None:
    if kind is None:
        return None
    try:
        return TaskKind(kind)
    except ValueError as error:
        raise UsageError(
            "unknown kind of task", got=kind, allowed=[str(each) for each in TaskKind]
        ) from error


def _class_column(column: Column) -> Column:
    """Return how classes are read: a boolean by its words, everything else by its spelling."""
    return column if column.kind is Kind.BOOLEAN else replace(column, kind=Kind.CATEGORICAL, format={})


def _refuse_few_rows(raw: RawColumn) -> None:
    if raw.n_present == 0:
        raise DataError(
            f"the target '{raw.name}' is missing in all {raw.n_rows:,} rows", fix="name another target"
        )
    if raw.n_present < _MIN_ROWS:
        rows = f"{raw.n_present} row{'' if raw.n_present == 1 else 's'}"
        raise DataError(
            f"only {rows} of {raw.n_rows:,} have a target '{raw.name}'",
            allowed=f"{_MIN_ROWS} rows or more",
            fix="give more rows",
        )


def _chosen(raw: RawColumn, column: Column, *, graded: bool = False) -> TaskKind:
    if column.kind is Kind.DATETIME:
        raise DataError(
            f"the target '{column.name}' is a date",
            fix="predict a number instead: the days until then, or whether it happens in a month",
        )
    if column.kind is not Kind.NUMERIC:
        return TaskKind.BINARY  # or multiclass: `_fitting` counts the classes
    values = raw.numbers(column.format)
    present = values[~np.isnan(values)]
    counts = np.unique(present, return_counts=True)[1]
    n_distinct = counts.size
    whole = bool(np.all(present == np.floor(present)))
    if (
        graded and whole and n_distinct <= MAX_CLASSES
    ):  # however they are named, the user says that they are grades
        return TaskKind.MULTICLASS
    named = n_distinct > 2 and not _QUANTITIES.isdisjoint(name_parts(column.name))
    few = not named and n_distinct <= MAX_CLASSES and (n_distinct <= 2 or 10 * n_distinct <= present.size)
    if n_distinct > 2 and counts.min() == 1:  # the tail of a count, rather than a class that was seen once
        few = False
    return TaskKind.BINARY if whole and few and not column.format else TaskKind.REGRESSION


def _refuse_no_numbers(raw: RawColumn, column: Column) -> None:
    reading = column if column.kind is Kind.NUMERIC else Column(column.name, Kind.NUMERIC)
    values = raw.numbers(reading.format)
    n_read = int((~np.isnan(values)).sum())
    if n_read < raw.n_present:
        words = raw.unread(reading) or [str(value) for value in raw.raw.drop_null().slice(0, 5).to_pylist()]
        raise DataError(
            f"{raw.n_present - n_read:,} values of the target '{column.name}' are no numbers",
            got=words[:5],
            fix="mend these values, leave their rows out, or predict classes: `--kind multiclass`",
        )
    if np.nanmin(values) == np.nanmax(values):
        raise DataError(
            f"the target '{column.name}' has one value only: there is nothing to learn",
            got=float(np.nanmin(values)),
            fix="name another target",
        )


def _fitting(column: Column, labels: tuple[Any, ...], wanted: TaskKind | None) -> TaskKind:
    found = TaskKind.BINARY if len(labels) == 2 else TaskKind.MULTICLASS
    if wanted is not None and wanted is not found:
        raise UsageError(
            f"the task is not {wanted}: the target '{column.name}' has {len(labels)} classes",
            got=list(labels[:10]),
            fix=f"say `--kind {found}`, or leave it out",
        )
    return found


def _refuse_no_features(table: Table, task: Task) -> None:
    features = [column for column in table.schema.features if column.name != task.target]
    if not features:
        others = [f"{c.name} ({c.why})" for c in table.schema.columns if c.name != task.target]
        raise DataError(
            "no column is left to learn from",
            got=others[:10],
            fix="give more columns, or say what one of these is by kinds = { COLUMN = KIND } under [data]",
        )


def _refuse_copies(table: Table, task: Task) -> None:
    for column in table.schema.features:
        if column.name != task.target and _is_copy(table, table.schema[task.target], column, task):
            raise DataError(
                f"the column '{column.name}' is a copy of the target '{task.target}'",
                fix=f'leave it out: `--ignore {column.name}`, or ignore = ["{column.name}"] under [data]',
            )


def _is_copy(table: Table, target: Column, column: Column, task: Task) -> bool:
    """Return whether a column holds the target's own value in every row that has a target."""
    for arrow in (table.arrow.slice(0, 1000), table.arrow):  # most columns differ early
        if task.kind is TaskKind.REGRESSION:
            if column.kind is not Kind.NUMERIC:
                return False
            ours = RawColumn("", arrow.column(target.name)).numbers(
                target.format if target.kind is Kind.NUMERIC else {}
            )
            theirs = RawColumn("", arrow.column(column.name)).numbers(column.format)
            there = ~np.isnan(ours)
            same = bool(np.all(ours[there] == theirs[there]))
        else:
            same = _spelled_alike(arrow, target, column)
        if not same:
            return False
    return True


def _spelled_alike(arrow: Any, target: Column, column: Column) -> bool:
    ours, theirs = (
        RawColumn(each.name, arrow.column(each.name)).coded(replace(each, kind=Kind.CATEGORICAL, format={}))
        for each in (target, column)
    )
    of_level = {level: code for code, level in enumerate(ours.levels)}
    recoded = np.array([*(of_level.get(level, -2) for level in theirs.levels), -2])[theirs.codes]
    there = ours.codes >= 0
    return bool(np.all(recoded[there] == ours.codes[there]))
