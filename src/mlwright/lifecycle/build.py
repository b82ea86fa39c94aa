"""Build: from a table to the contents of a bundle. Knows no store, no registry and no files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.bundle import Contents, State
from mlwright.core.clock import Deadline
from mlwright.core.errors import DataError, RecordError, RefusedError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.kinds import METRICS
from mlwright.core.types import Floats, Json, Record
from mlwright.data.checks.base import CheckContext
from mlwright.data.checks.run import refused, run_checks
from mlwright.data.findings import Finding
from mlwright.data.infer import infer
from mlwright.data.schema import Kind, Role, Schema, Task
from mlwright.data.split import Pinned, Split, make_split
from mlwright.data.table import Table
from mlwright.data.target import infer_task, target_values
from mlwright.data.values import Coded, Columns, take
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.evaluation import Evaluation, evaluate
from mlwright.evaluate.importance import permutation_importance
from mlwright.evaluate.reference import reference
from mlwright.evaluate.report import card, render
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.records import records
from mlwright.metrics import get
from mlwright.search import Journal, StudyData, StudyResult, TrialResult, run_study
from mlwright.serving.predictor import Predictor

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Built", "Prepared", "build", "prepare", "resampled_units"]

_N_GOLDEN = 20
_MOST_PROVEN = 500  # training rows that go through the three paths where no row was kept back
_ROUGH, _THOROUGH = (2, 1000), (5, 2000)  # repeats and rows of the importances
_MOST_PREDICTIONS = 400_000  # for importances; and of one row by one tree: about five seconds
_MOST_WALKS = 100_000_000
_N_BLOCKS = 20  # of time, for intervals that respect the order


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
    """

    table: Table
    task: Task
    findings: list[Finding]
    split: Split
    test: Table | None = None
    notes: tuple[str, ...] = ()

    @property
    def evaluated(self) -> Table | None:
        """The rows that no search sees; None if none are kept."""
        if self.test is not None:
            return self.test
        return self.table.take(self.split.test) if len(self.split.test) else None


@dataclass(frozen=True, slots=True)
class Built:
    """What a build gives.

    Parameters
    ----------
    contents : Contents
        All of the bundle, golden records and report included.
    study : StudyResult
        The trials and the fitted models.
    evaluation : Evaluation
        On the test rows, or from the folds if none are kept.
    proof : tuple
        What `mlwright.lifecycle.equality.prove_equal` takes: predictions, canonical columns and JSON records.
    """

    contents: Contents
    study: StudyResult
    evaluation: Evaluation
    proof: tuple[Floats, Columns, list[Record]] = field(repr=False)


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
    table = Table(raw, _schema(raw, project))
    target = _target(table, project)
    table = Table(
        raw,
        table.schema
        if table.schema[target].role is Role.TARGET
        else table.schema.with_role(target, Role.TARGET),
    )
    task = infer_task(table, target, kind=project.task_kind, metric=project.task_metric, strict=refuse)
    _refuse_metric(task)
    y = target_values(table, task)
    known = ~np.isnan(y)
    notes = list(notes)
    if not known.all():
        rows = np.flatnonzero(known)
        notes.append(f"{len(y) - len(rows):,} of {len(y):,} rows have no '{target}' and were left out")
        table, y = table.take(rows), y[rows]
        hashes = None if hashes is None else hashes[rows]
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
    table = _without_group(table, split)
    columns = table.columns()
    context = CheckContext(table, columns, y, task, project.checks_ban)
    findings = run_checks(context, project.checks_accept)
    for finding in findings:
        accepted = finding.code in project.checks_accept
        listener(Event("finding", finding.what, finding.to_json() | {"accepted": accepted}))
    stopped = refused(findings, project.checks_accept)
    if stopped and refuse:
        raise RefusedError(
            f"{stopped[0].code}: {stopped[0].what.rstrip('.')}",
            details={"findings": [finding.to_json() for finding in findings]},
            fix=f'{stopped[0].advice} To accept it: `--accept {stopped[0].code}`, or accept = ["{stopped[0].code}"] under [checks]',
        )
    listener(Event("note", f"split: {split.reason}", split.to_json()))
    own = None if test is None else _own_test(test, table.schema, task)
    return Prepared(table, task, findings, split, own, tuple(notes))


def _without_group(table: Table, split: Split) -> Table:
    """Give the column that groups are split by the role of one: a model could only learn the groups by heart."""
    if split.kind != "group" or split.column is None:
        return table
    schema = table.schema.with_role(split.column, Role.GROUP)
    return Table(table.arrow, schema) if schema.features else table


def _schema(raw: pa.Table, project: Project) -> Schema:
    roles: dict[str, Role] = dict.fromkeys(project.data_ignore, Role.IGNORED)
    if project.data_time:
        roles[project.data_time] = Role.TIME
    if project.data_group:
        roles[project.data_group] = Role.GROUP
    for name in [*roles, *project.data_kinds]:
        if name not in raw.column_names:
            near = difflib.get_close_matches(name, raw.column_names, n=1, cutoff=0.5)
            raise UsageError(
                "a column is named that the data does not have",
                got=name,
                allowed=raw.column_names[:50],
                fix=f"did you mean '{near[0]}'?" if near else "name one of the columns",
            )
    kinds = {name: Kind(kind) for name, kind in project.data_kinds.items()}
    return infer(raw, target=project.task_target, roles=roles, kinds=kinds)


def _target(table: Table, project: Project) -> str:
    if project.task_target:
        return project.task_target
    raise UsageError(
        "no target: which column should be predicted?",
        allowed=table.schema.names[:50],
        fix='say it with `--target COLUMN`, or target = "COLUMN" under [task]',
    )


def _refuse_metric(task: Task) -> None:
    if task.kind not in get(task.metric).tasks:
        raise UsageError(
            f"the metric does not fit a task of kind {task.kind}",
            got=task.metric,
            allowed=[name for name in METRICS if task.kind in get(name).tasks],
            fix="name one of these, or leave it out",
        )


def _own_test(raw: pa.Table, schema: Schema, task: Task) -> Table:
    absent = [c.name for c in schema.features if c.required and c.name not in raw.column_names]
    if task.target not in raw.column_names or absent:
        raise DataError(
            "the test table lacks columns",
            got=absent or [task.target],
            fix="give it the training table's columns",
        )
    own = Table(raw, schema)
    known = ~np.isnan(target_values(own, task))
    if not known.any():
        raise DataError(
            f"no row of the test table has a known '{task.target}'",
            allowed=[str(v) for v in task.labels] or "numbers",
        )
    return own.take(np.flatnonzero(known))


def build(
    prepared: Prepared,
    project: Project,
    deadline: Deadline,
    *,
    lineage: Mapping[str, Any],
    journal: Journal | None = None,
    replay: Sequence[TrialResult] | None = None,
    rough: bool = False,
    listener: Listener = silent,
) -> Built:
    """Search, evaluate and package; with `replay`, from recorded trials and without a clock.

    Equal inputs and equal recorded trials give equal contents, byte by byte. With `rough`, intervals and importances
    come from a fifth of the draws: for callers to whom the report is a by-product.
    """
    table, task, split = prepared.table, prepared.task, prepared.split
    columns = table.columns()
    y = target_values(table, task)
    train_columns, train_y = take(columns, split.train), y[split.train]
    data = StudyData(train_columns, train_y, table.schema, task, split.folds, project.task_seed)
    kept = prepared.evaluated
    listener(Event("step", "searching"))
    after = _rows_after(len(train_y), 0 if kept is None else kept.n_rows, len(columns), rough=rough)
    study = run_study(data, deadline, journal=journal, replay=replay, rows_after=after, listener=listener)

    listener(Event("step", "evaluating"))
    rows_columns = train_columns if kept is None else kept.columns()
    truth = train_y if kept is None else target_values(kept, task)
    predict = _predictor(study)
    predicted = predict(rows_columns)
    evaluation = _evaluate(prepared, study, truth, predicted, rows_columns, project, rough=rough)

    listener(Event("step", "packaging"))
    trials = [result.to_json() for result in study.results]
    contents = Contents(
        name=project.name,
        task=task.to_json(),
        schema=table.schema.to_json(),
        plan=State.nest({view: plan.state() for view, plan in sorted(study.plans.items())}),
        models=study.ensemble.states(),
        ensemble=study.ensemble.places(),
        lineage={**lineage, "seed": project.task_seed, "split": split.to_json(), "trials": trials},
        reference=reference(train_columns, predicted if kept is None else predict(train_columns), task),
    )
    proof_rows = kept
    if proof_rows is None:  # no row was kept back: some of the training rows stand in
        some = np.linspace(0, len(train_y) - 1, min(len(train_y), _MOST_PROVEN)).astype(np.int64)
        proof_rows = table.take(split.train[some])
        predicted, rows_columns = predicted[some], take(train_columns, some)
    json_rows = records(proof_rows.arrow, table.schema)
    predictor = Predictor.from_contents(contents)
    golden = _golden(predictor, json_rows)
    document = ReportContext(
        name=project.name,
        task=task,
        schema=table.schema,
        n_rows=table.n_rows,
        findings=tuple(prepared.findings),
        split=split.to_json()
        | ({"n_test": kept.n_rows} if prepared.test is not None and kept is not None else {}),
        trials=tuple(tree | {"weight": study.weights.get(tree["number"], 0.0)} for tree in trials),
        evaluation=evaluation,
        lineage=dict(lineage) | {"seed": project.task_seed},
        notes=prepared.notes,
        missing=_missing_shares(columns),
    )
    contents = replace(
        contents,
        golden=golden,
        documents={"report.html": render(document).encode(), "card.md": card(document).encode()},
    )
    return Built(contents, study, evaluation, (predicted, rows_columns, json_rows))


def _rows_after(n_train: int, n_test: int, n_columns: int, *, rough: bool) -> tuple[int, int]:
    """Return about how many rows are predicted after the search: for reference, test and proof; for importances."""
    repeats, most = _ROUGH if rough else _THOROUGH
    shuffled = min(_MOST_PREDICTIONS, n_columns * repeats * min(most, n_test or n_train))
    return n_train + 4 * n_test, shuffled


def _missing_shares(columns: Columns) -> dict[str, float]:
    """Return the share of rows without a value, by column."""
    return {
        name: float(np.mean(values.codes < 0 if isinstance(values, Coded) else np.isnan(values)))
        for name, values in columns.items()
    }


def _golden(predictor: Predictor, rows: list[Record]) -> list[Json]:
    """Return the first records that a client could send, with their answers."""
    golden: list[Json] = []
    for row in rows:
        try:
            golden.append({"record": row, "prediction": predictor.predict_one(row)})
        except RecordError:  # your own test rows may miss what training never missed
            continue
        if len(golden) == _N_GOLDEN:
            break
    return golden


def _predictor(study: StudyResult) -> Any:
    def predict(columns: Columns) -> Floats:
        return study.ensemble.predict({view: plan.batch(columns) for view, plan in study.plans.items()})

    return predict


def _evaluate(
    prepared: Prepared,
    study: StudyResult,
    truth: Floats,
    predicted: Floats,
    columns: Columns,
    project: Project,
    *,
    rough: bool,
) -> Evaluation:
    kept, split = prepared.evaluated, prepared.split
    if kept is None:
        shown = np.flatnonzero(~np.isnan(study.predicted[:, 0]))
        baselines = {
            result.trial.model: result.predicted[shown]
            for result in reversed(study.results)
            if result.trial.model in study.baselines
        }
        rows = prepared.table.take(split.train[shown])
        scored, basis = study.predicted[shown], "cross-validation"
    else:
        matrices = {view: plan.batch(columns) for view, plan in study.baseline_plans.items()}
        baselines = {kind: ensemble.predict(matrices) for kind, ensemble in study.baselines.items()}
        rows, scored, basis = kept, predicted, "test"
        shown = np.arange(len(truth))
    seed = project.task_seed
    measured = evaluate(
        prepared.task,
        truth[shown],
        scored,
        baselines,
        basis=basis,
        seed=seed,
        n_draws=200 if rough else 1000,
        **resampled_units(rows, split),
    )
    metric = get(prepared.task.metric)
    repeats, most = _ROUGH if rough else _THOROUGH
    walks = sum(m.model.n_iterations_ for m in study.ensemble.members if m.model.grows)
    return measured.with_importance(
        permutation_importance(
            _predictor(study),
            columns,
            truth,
            metric,
            n_repeats=repeats,
            seed=seed,
            max_rows=most,
            max_predictions=min(_MOST_PREDICTIONS, _MOST_WALKS // max(1, walks * prepared.task.n_outputs)),
        )
    )


def resampled_units(rows: Table, split: Split) -> Json:
    """Return what intervals resample together: whole groups, or blocks of time."""
    if split.column is None:
        return {}
    values = rows.columns([split.column])[split.column]
    if split.kind == "group":
        codes = values if isinstance(values, np.ndarray) else values.codes
        return {"groups": np.unique(codes, return_inverse=True)[1]}
    if split.kind == "time" and isinstance(values, np.ndarray):
        rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        return {"blocks": rank * _N_BLOCKS // max(1, len(rank))}
    return {}
