"""Prepared: a table that is read, understood, checked and split: what a build starts from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core.errors import UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import CheckContext
from mlwright.data.contract import Contract
from mlwright.data.findings import Finding
from mlwright.data.schema import Role, Task
from mlwright.data.split import Pinned, Split, make_split
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.data.values import Coded, Columns
from mlwright.evaluate.split_claim import random_claim
from mlwright.lifecycle.groups import checked_groups
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.task import learnable, own_test, task_of
from mlwright.lifecycle.understand import checked, contract_of, raw_schema, without_group

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_TESTED", "Prepared", "evenly", "prepare"]

MOST_TESTED = 100_000  # test rows that the score is of
_LEAST_BUDGET_OF_CLAIM = 30.0  # seconds; the comparison takes one or two


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table that is read, understood, checked and split.

    Parameters
    ----------
    table : Table
        The rows whose target is known; `split` numbers them.
    test : Table or None
        The user's own test rows; then ``split.test`` is empty.
    task : Task
        What is predicted.
    findings : list of Finding
        What the checks said.
    split : Split
        Which rows train, validate and test.
    notes : tuple of str
        What was seen while reading.
    contract : Contract, optional
        What the table was held against.
    numbers : ndarray of int64, shape (n_rows,), optional
        Where the rows of `table` stand in the source, from 0; None if all rows of it are there.
    """

    table: Table
    task: Task
    findings: list[Finding]
    split: Split
    test: Table | None = None
    notes: tuple[str, ...] = ()
    contract: Contract | None = None
    numbers: Ints | None = field(default=None, repr=False)

    @property
    def evaluated(self) -> Table | None:
        """The rows that no search sees, evenly thinned where there are very many; None if none are kept."""
        if self.test is not None:
            return self.test.take(evenly(self.test.n_rows, MOST_TESTED))
        rows = self.split.test
        return self.table.take(rows[evenly(len(rows), MOST_TESTED)]) if len(rows) else None


def prepare(
    raw: pa.Table,
    project: Project,
    *,
    test: pa.Table | None = None,
    pinned: Pinned | None = None,
    hashes: np.ndarray | None = None,
    notes: Sequence[str] = (),
    refuse: bool = True,
    listener: Listener = silent,
) -> Prepared:
    """Understand, check and split a raw table.

    Parameters
    ----------
    raw : pyarrow.Table
        As the source has it, target included.
    project : Project
        Target, roles, split, seed, and what is accepted.
    test : pyarrow.Table, optional
        The user's own test rows.
    pinned, hashes : Pinned and ndarray of uint64, optional
        For a retraining: the rows that the champion knows, and a content hash for each raw row.
    refuse : bool, default=True
        Whether a check that says stop stops; findings are kept in any case.

    Raises
    ------
    DataError, UsageError
        If it cannot be learned from; the message says what to do.
    RefusedError
        If a check says stop and the project does not accept it; the error's ``findings`` hold them all.
    """
    table = Table(raw, raw_schema(raw, project))
    target = _target(table, project)
    if table.schema[target].role is not Role.TARGET:
        table = table.with_schema(table.schema.with_role(target, Role.TARGET))
    task = task_of(table, target, project, strict=refuse)
    checked_groups(project, table.schema, target)
    rows, left_out = learnable(table, task)
    notes = [*notes, *left_out]
    numbers = rows if len(rows) < table.n_rows else None
    if numbers is not None:
        table = table.take(rows)
        hashes = None if hashes is None else hashes[rows]
    y = target_values(table, task)
    listener(Event("step", "checking"))
    split = make_split(
        table,
        y,
        task,
        spec=project.task_split,
        holdout=0.0 if test is not None else project.task_holdout,
        seed=project.task_seed,
        pinned=pinned,
        hashes=hashes,
    )
    table = without_group(table, split)
    columns = table.columns()
    own = None if test is None else own_test(test, table.schema, task)
    contract = contract_of(project)
    context = CheckContext(table, columns, y, task, project.checks_ban, split, own, contract, time.time())
    findings = checked(context, project, refuse=refuse, listener=listener)
    split = _with_claim(split, table, columns, y, task, project)
    listener(Event("note", f"split: {split.reason}", split.to_json()))
    return Prepared(table, task, findings, split, own, tuple(notes), contract, numbers)


def _with_claim(
    split: Split, table: Table, columns: Columns, y: Floats, task: Task, project: Project
) -> Split:
    """Add what a random split would have claimed, where another was chosen and the budget is not tiny."""
    if split.column is None or project.budget < _LEAST_BUDGET_OF_CLAIM:
        return split
    values = table.columns([split.column])[split.column]
    keys = np.where(values.codes >= 0, values.codes, np.nan) if isinstance(values, Coded) else values
    return replace(split, claim=random_claim(columns, y, keys, task, split, seed=project.task_seed))


def _target(table: Table, project: Project) -> str:
    if project.task_target:
        return project.task_target
    raise UsageError(
        "no target: which column should be predicted?",
        allowed=table.schema.names[:50],
        fix='say it with `--target COLUMN`, or target = "COLUMN" under [task]',
    )


def evenly(n_rows: int, most: int) -> Ints:
    """Return at most so many row numbers, evenly spaced, in order."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.linspace(0, n_rows - 1, most).astype(np.int64)
