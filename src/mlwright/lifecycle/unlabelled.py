"""Unlabelled: from a table without a target to the contents of a bundle. Knows no store, no registry and no files.

What comes out has the parts of `mlwright.lifecycle.build.Built` that a run reads, so that proof, registration and
reproduction are the same for all tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.bundle import Contents, State
from mlwright.core.errors import DataError, MlwrightError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Ints, Json, Record
from mlwright.data.checks.base import CheckContext
from mlwright.data.schema import Role, Task, TaskKind
from mlwright.data.split import Pinned, make_split
from mlwright.data.table import Table
from mlwright.data.target import infer_task, target_values
from mlwright.data.values import Columns, take
from mlwright.evaluate.datasheet import datasheet
from mlwright.evaluate.unlabelled import UnlabelledContext
from mlwright.evaluate.unlabelled_card import card
from mlwright.evaluate.unlabelled_report import render
from mlwright.features import unlabelled as recipes
from mlwright.features.plan import FeaturePlan
from mlwright.lifecycle.build import golden_records
from mlwright.lifecycle.gate import Verdict
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.records import records
from mlwright.lifecycle.understand import checked, contract_of, raw_schema, without_group
from mlwright.metrics.intervals import Interval
from mlwright.models.ensemble import Ensemble, Member
from mlwright.search import Trial, TrialResult
from mlwright.serving.predictor import Predictor
from mlwright.unlabelled.anomaly import fitted_rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "METRIC",
    "VIEW",
    "Found",
    "Judged",
    "Measured",
    "Survey",
    "Taken",
    "label_of",
    "pack",
    "prepare",
    "taken",
]

METRIC = "stability"
VIEW = "unlabelled"
_MOST_PROVEN = 500
_MOST_JUDGED = 5000
_FEWEST = 5  # rows


@dataclass(frozen=True, slots=True)
class Survey:
    """What stands where a study stands: the plans, and what was tried."""

    plans: Mapping[str, FeaturePlan]
    results: list[TrialResult]
    weights: dict[int, float]
    choices: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """What stands where an evaluation stands: the stability, and what was found as a JSON tree and in words."""

    score: Interval
    basis: str
    found: Json
    sentences: tuple[str, ...]
    baselines: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {"metric": METRIC, "basis": self.basis, "score": self.score.to_json(), **self.found}


@dataclass(frozen=True, slots=True)
class Found:
    """What a build without a target gives; see `mlwright.lifecycle.build.Built`.

    `verdict` is what the gate says of a first version; `notes` are what was read and left out before anything was fitted.
    """

    contents: Contents
    study: Survey
    evaluation: Measured
    verdict: Verdict
    proof: tuple[Floats, Columns, list[Record]] = field(repr=False)
    notes: tuple[str, ...] = ()


def prepare(
    raw: pa.Table,
    project: Project,
    *,
    test: pa.Table | None = None,
    pinned: Pinned | None = None,
    hashes: np.ndarray | None = None,
    notes: Sequence[str] = (),
    listener: Listener = silent,
) -> Prepared:
    """Understand, check and split a raw table whose rows nobody has judged; see `mlwright.lifecycle.prepared.prepare`.

    A target, if the project names one, is left out of what a model sees and only compared with afterwards; rows
    without it stay. Checks that need a target find nothing.

    Raises
    ------
    DataError, UsageError
        If there is nothing to learn from.
    RefusedError
        If a check says stop.
    """
    kind = TaskKind(project.task_kind or "")
    if project.task_metric is not None:
        raise UsageError(
            f"a task of kind {kind} has no metric to choose",
            got=project.task_metric,
            fix="leave the metric out",
        )
    table = Table(raw, raw_schema(raw, project))
    target = project.task_target or ""
    if target and table.schema[target].role is not Role.TARGET:
        table = table.with_schema(table.schema.with_role(target, Role.TARGET))
    cut = 1.0 - project.task_contamination if kind is TaskKind.ANOMALY else None
    task = Task(kind, target, METRIC, threshold=cut)
    if not table.schema.features or table.n_rows < _FEWEST:
        raise DataError(
            "nothing to learn from",
            got=f"{table.n_rows} rows, {len(table.schema.features)} columns that vary and are no identifiers",
            allowed=f"at least {_FEWEST} rows and one such column",
            fix="name the kinds of columns under [data] kinds where they were read wrongly",
        )
    listener(Event("step", "checking"))
    nothing = np.zeros(table.n_rows)
    split = make_split(
        table,
        nothing,
        task,
        spec=project.task_split,
        holdout=0.0 if test is not None else project.task_holdout,
        n_folds=1,
        seed=project.task_seed,
        pinned=pinned,
        hashes=hashes,
    )
    table = without_group(table, split)
    own = None
    if test is not None:
        absent = [c.name for c in table.schema.features if c.required and c.name not in test.column_names]
        if absent:
            raise DataError(
                "the test table lacks columns", got=absent, fix="give it the training table's columns"
            )
        own = Table(test, table.schema)
    bare = replace(task, target="")
    contract = contract_of(project)
    context = CheckContext(table, table.columns(), nothing, bare, project.checks_ban, split, own, contract)
    findings = checked(context, project, listener=listener)
    listener(Event("note", f"split: {split.reason}", split.to_json()))
    return Prepared(table, task, findings, split, own, tuple(notes), contract)


@dataclass(frozen=True, slots=True)
class Judged:
    """Known labels of rows: codes of `labels` with NaN where unknown; empty where there is nothing to compare with."""

    labels: tuple[Any, ...]
    codes: Floats
    note: str = ""


def label_of(table: Table, task: Task) -> Judged | None:
    """Return what is known of the rows by the task's label; None if the project names none.

    Where it cannot be read as classes (for anomalies: as two), `note` says so and nothing is known.
    """
    if not task.target or task.target not in table.arrow.column_names:
        return None
    nothing = np.full(table.n_rows, math.nan)
    try:
        read = infer_task(table, task.target, strict=False)
    except MlwrightError as error:
        return Judged((), nothing, f"'{task.target}' was left out and not compared with: {error.what}")
    if not read.kind.has_classes or (task.kind is TaskKind.ANOMALY and read.kind is not TaskKind.BINARY):
        what = "two values, usual and unusual" if task.kind is TaskKind.ANOMALY else "classes"
        return Judged(
            (), nothing, f"'{task.target}' was left out and not compared with: it does not hold {what}"
        )
    return Judged(read.labels, target_values(table, read))


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows that a model is fitted on and judged by.

    Parameters
    ----------
    plan : FeaturePlan
        Fitted on training rows.
    fitted, X : ndarray
        Numbers of training rows within the table, and their matrix.
    judged, judged_columns : Table and Columns
        Rows that no fit sees (a sample of many), with their canonical columns; None if none were kept.
    judged_rows : ndarray
        Their numbers within the table, empty if they are the user's own.
    matrix : ndarray
        Their matrix.
    fitted_columns : Columns
        The canonical columns of the fitted rows.
    notes : tuple of str
        What was sampled.
    """

    plan: FeaturePlan
    fitted: Ints
    X: Floats
    judged: Table | None
    judged_columns: Columns
    judged_rows: Ints
    matrix: Floats
    fitted_columns: Columns
    notes: tuple[str, ...]


def taken(prepared: Prepared, project: Project) -> Taken:
    """Fit the plan and lay out the matrices.

    Raises
    ------
    DataError
        If no column gives anything to look at.
    """
    table, split, seed = prepared.table, prepared.split, project.task_seed
    columns, n_train = table.columns(), len(split.train)
    plan = recipes.build(table.schema, prepared.task.kind, n_rows=n_train)
    chosen = fitted_rows(n_train, len(columns), seed)
    fitted_columns = take(columns, split.train[chosen])
    X = plan.fit_batch(fitted_columns, np.zeros(len(chosen)), n_classes=0, seed=seed)
    if not X.shape[1]:
        raise DataError(
            "no column has two different values that occur twice",
            got=[column.name for column in table.schema.features][:20],
            fix="bring more rows, or name the kinds of columns under [data] kinds",
        )
    again = fitted_rows(len(chosen), X.shape[1], seed)
    if len(again) < len(chosen):
        chosen, X = chosen[again], X[again]
        fitted_columns = take(columns, split.train[chosen])
    kept, kept_rows = prepared.evaluated, split.test
    if prepared.test is not None:
        kept_rows = np.empty(0, np.int64)
    notes = list(prepared.notes)
    if len(chosen) < n_train:
        notes.append(f"fitted on a random sample of {len(chosen):,} of {n_train:,} training rows")
    if kept is not None and kept.n_rows > _MOST_JUDGED:
        some = np.linspace(0, kept.n_rows - 1, _MOST_JUDGED).astype(np.int64)
        notes.append(f"judged by {_MOST_JUDGED:,} of {kept.n_rows:,} rows that were kept aside")
        kept, kept_rows = kept.take(some), kept_rows[some] if len(kept_rows) else kept_rows
    judged_columns = {} if kept is None else kept.columns()
    matrix = np.empty((0, X.shape[1])) if kept is None else plan.batch(judged_columns)
    fitted = split.train[chosen]
    return Taken(plan, fitted, X, kept, judged_columns, kept_rows, matrix, fitted_columns, tuple(notes))


def pack(
    prepared: Prepared,
    project: Project,
    rows: Taken,
    task: Task,
    model: Any,
    context: UnlabelledContext,
    results: Sequence[tuple[Trial, float, tuple[float, ...]]],
    chosen: int,
    verdict: Verdict,
    found: Json,
    sentences: tuple[str, ...],
    *,
    lineage: Mapping[str, Any],
    reference: Json,
) -> Found:
    """Put a fitted model into the contents of a bundle, with golden records and documents."""
    ensemble = Ensemble([Member(VIEW, model, 1.0)])
    trials = [TrialResult(trial, score, each, (1,), 0.0, np.empty((0, 0))) for trial, score, each in results]
    told = [result.to_json() for result in trials]
    contents = Contents(
        name=project.name,
        task=task.to_json(),
        schema=prepared.table.schema.to_json(),
        plan=State.nest({VIEW: rows.plan.state()}),
        models=ensemble.states(),
        ensemble=ensemble.places(),
        lineage={
            **lineage,
            "seed": project.task_seed,
            "split": prepared.split.to_json(),
            "trials": told,
            "choices": {},
        },
        reference=reference,
    )
    shown = rows.judged
    if shown is None or not shown.n_rows:
        shown = prepared.table.take(rows.fitted)
    some = np.linspace(0, shown.n_rows - 1, min(shown.n_rows, _MOST_PROVEN)).astype(np.int64)
    shown = shown.take(some)
    columns = shown.columns()
    predicted = ensemble.predict({VIEW: rows.plan.batch(columns)})
    json_rows = records(shown.arrow, prepared.table.schema)
    golden = golden_records(Predictor.from_contents(contents), json_rows)
    documents = {
        "report.html": render(context).encode(),
        "card.md": card(context).encode(),
        "datasheet.md": datasheet(context).encode(),
    }
    contents = replace(contents, golden=golden, documents=documents)
    basis = "test" if rows.judged is not None else "training rows"
    survey = Survey({VIEW: rows.plan}, trials, {chosen: 1.0})
    noted = context.notes[len(prepared.notes) :]  # what was sampled or left out
    measured = Measured(context.stability, basis, found, (*sentences, *noted))
    proof = predicted, columns, json_rows
    return Found(contents, survey, measured, verdict, proof, prepared.notes)
