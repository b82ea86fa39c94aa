"""Build: from a table to the contents of a bundle. Knows no store, no registry and no files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.bundle import Contents, State
from mlwright.core import seeds
from mlwright.core.clock import Deadline
from mlwright.core.errors import RecordError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Ints, Json, Record
from mlwright.data.checks.base import CheckContext
from mlwright.data.contract import Contract
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Role, Schema, Task
from mlwright.data.split import Pinned, Split, make_split
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.data.values import Coded, Columns, take
from mlwright.evaluate.association import association
from mlwright.evaluate.context import Part, ReportContext
from mlwright.evaluate.datasheet import datasheet
from mlwright.evaluate.evaluation import Evaluation
from mlwright.evaluate.label_noise import LabelNoise
from mlwright.evaluate.reference import reference
from mlwright.evaluate.report import card, render
from mlwright.evaluate.split_claim import random_claim
from mlwright.evaluate.summary import figures, summary
from mlwright.lifecycle.afterwards import MOST_PROVEN, Detail, slowness
from mlwright.lifecycle.groups import checked_groups
from mlwright.lifecycle.measure import measure, predictor_of, shuffled_rows
from mlwright.lifecycle.parts import measured_parts
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.quickness import clock_of
from mlwright.lifecycle.records import records
from mlwright.lifecycle.task import decided, learnable, own_test, task_of, weights_of
from mlwright.lifecycle.understand import checked, contract_of, raw_schema, without_group
from mlwright.search import Journal, StudyData, StudyResult, TrialResult, run_study
from mlwright.search.conform import conform
from mlwright.search.costs import After
from mlwright.serving.predictor import Predictor

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Built",
    "Prepared",
    "build",
    "evenly",
    "golden_records",
    "missing_shares",
    "prepare",
    "stand_in",
]

_N_GOLDEN = 20
_IMPORTANCE_SECONDS = 5.0
_CELLS_A_SECOND = 100_000  # of a search: what trials can get through
_FEWEST_SEARCHED = 20_000  # training rows that trials always see
_MOST_TESTED = 100_000  # test rows that the score is of
_MOST_REFERENCE = 50_000  # training rows that a monitor compares with
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
            return self.test.take(evenly(self.test.n_rows, _MOST_TESTED))
        rows = self.split.test
        return self.table.take(rows[evenly(len(rows), _MOST_TESTED)]) if len(rows) else None


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
    parts : tuple of Part
        What was measured beside the evaluation.
    findings : tuple of Finding
        What the checks said, and what the fitted models say of the labels.
    in_words, shares : dict
        The first screen of the report as plain sentences, and the shares that they speak of.
    """

    contents: Contents
    study: StudyResult
    evaluation: Evaluation
    proof: tuple[Floats, Columns, list[Record]] = field(repr=False)
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    in_words: Json = field(default_factory=dict)
    shares: Json = field(default_factory=dict)


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


def build(
    prepared: Prepared,
    project: Project,
    deadline: Deadline,
    *,
    lineage: Mapping[str, Any],
    journal: Journal | None = None,
    replay: Sequence[TrialResult] | None = None,
    choices: Mapping[str, int] | None = None,
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
    train_weights = weights_of(table.take(split.train), task)
    data = StudyData(
        train_columns,
        train_y,
        table.schema,
        task,
        split.folds,
        project.task_seed,
        weights=train_weights,
        quality=project.task_quality,
        latency=project.latency,
        clock=clock_of(prepared, project),
        limit=project.latency_limit,
        slowness=slowness if project.task_latency is None else None,
        rows=_searched(len(train_y), len(columns), project),
    )
    kept = prepared.evaluated
    listener(Event("step", "searching"))
    reference_rows = evenly(len(train_y), _MOST_REFERENCE)
    detail = Detail.of(project.budget)
    after = _after(len(reference_rows), 0 if kept is None else kept.n_rows, len(columns), detail, rough=rough)
    study = run_study(
        data,
        deadline,
        most_trials=project.task_trials,
        journal=journal,
        replay=replay,
        choices=choices,
        after=after,
        listener=listener,
    )
    detail = Detail.of(project.budget, study.choices)
    task = decided(task, train_y, study.predicted, train_weights)
    conformal = conform(train_y, study.misses, task)

    listener(Event("step", "evaluating"))
    predict = predictor_of(study)
    seen_columns = take(train_columns, reference_rows)
    seen = predict(seen_columns)
    rows_columns = train_columns if kept is None else kept.columns()
    truth = train_y if kept is None else target_values(kept, task)
    predicted = seen if kept is None else predict(rows_columns)
    measured = measure(
        prepared,
        project,
        task=task,
        study=study,
        judged=(truth, predicted, rows_columns),
        detail=detail,
        rough=rough,
    )
    evaluation, parts = measured.evaluation, measured_parts(measured)

    worst = list(Severity)[::-1]
    found = [*prepared.findings, *_of_labels(parts, listener)]
    findings = tuple(sorted(found, key=lambda finding: worst.index(finding.severity)))

    listener(Event("step", "packaging"))
    trials = [result.to_json() for result in study.results]
    contents = Contents(
        name=project.name,
        task=task.to_json(),
        schema=table.schema.to_json(),
        plan=State.nest({view: plan.state() for view, plan in sorted(study.plans.items())}),
        models=study.ensemble.states(),
        ensemble=study.ensemble.places(),
        calibration=None if study.ensemble.calibration is None else study.ensemble.calibration.to_json(),
        conformal=None if conformal is None else conformal.to_json(),
        lineage={
            **lineage,
            "seed": project.task_seed,
            "split": split.to_json(),
            "trials": trials,
            "choices": study.choices,
        },
        reference=reference(seen_columns, seen, task, personal=table.schema.personal)
        | {"association": association(_told(seen_columns, table.schema), seen)},
    )
    if kept is None:  # no row was kept back: some of the training rows stand in
        some = evenly(len(seen), MOST_PROVEN)
        proof_rows = table.take(split.train[reference_rows[some]])
        predicted, rows_columns = seen[some], take(seen_columns, some)
    else:
        some = evenly(kept.n_rows, detail.proven(len(columns)))
        proof_rows, predicted, rows_columns = kept.take(some), predicted[some], take(rows_columns, some)
    json_rows = records(proof_rows.arrow, table.schema)
    predictor = Predictor.from_contents(contents)
    golden = golden_records(predictor, json_rows)
    document = ReportContext(
        name=project.name,
        task=task,
        schema=table.schema,
        n_rows=table.n_rows,
        findings=findings,
        split=split.to_json()
        | ({"n_test": kept.n_rows} if prepared.test is not None and kept is not None else {}),
        trials=tuple(tree | {"weight": study.weights.get(tree["number"], 0.0)} for tree in trials),
        evaluation=evaluation,
        lineage=dict(lineage) | {"seed": project.task_seed},
        notes=(*prepared.notes, *study.notes, *_thinned_note(prepared), *detail.note),
        missing=missing_shares(columns),
        parameters=study.parameters,
        parts=parts,
    )
    contents = replace(
        contents,
        golden=golden,
        documents={
            "report.html": render(document).encode(),
            "card.md": card(document).encode(),
            "datasheet.md": datasheet(document).encode(),
        },
    )
    proof = predicted, rows_columns, json_rows
    return Built(
        contents, study, evaluation, proof, parts, findings, summary(document).to_json(), figures(document)
    )


def _of_labels(parts: Sequence[Part], listener: Listener) -> list[Finding]:
    """Return what is to be found of wrong labels, and tell it."""
    found = [part.finding for part in parts if isinstance(part, LabelNoise) and part.finding is not None]
    for finding in found:
        listener(Event("finding", finding.what, finding.to_json() | {"accepted": False}))
    return found


def _told(columns: Columns, schema: Schema) -> Columns:
    """Return the columns that are not personal."""
    return {name: values for name, values in columns.items() if not schema[name].pii}


def _after(n_train: int, n_test: int, n_columns: int, detail: Detail, *, rough: bool) -> After:
    """Return what is predicted after the search: about so many rows for reference, test and proof, and for importances."""
    shuffled = shuffled_rows(n_test or n_train, n_columns, detail, rough=rough)
    proven = min(n_test, detail.proven(n_columns))
    return After(n_train + 2 * n_test + proven, shuffled, _IMPORTANCE_SECONDS * detail.share)


def evenly(n_rows: int, most: int) -> Ints:
    """Return at most so many row numbers, evenly spaced, in order."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.linspace(0, n_rows - 1, most).astype(np.int64)


def _thinned_note(prepared: Prepared) -> tuple[str, ...]:
    n_kept = len(prepared.split.test) if prepared.test is None else prepared.test.n_rows
    if n_kept <= _MOST_TESTED:
        return ()
    return (f"the score is of {_MOST_TESTED:,} of the {n_kept:,} test rows, evenly spaced",)


def _searched(n_rows: int, n_columns: int, project: Project) -> Ints | None:
    """Return the training rows that trials see: a random sample where all would take too long for the budget."""
    most = int(max(_FEWEST_SEARCHED, project.budget * _CELLS_A_SECOND / (10 + n_columns)))
    if n_rows <= most:
        return None
    draw = seeds.generator(project.task_seed, "searched rows")
    return np.sort(draw.choice(n_rows, most, replace=False))


def missing_shares(columns: Columns) -> dict[str, float]:
    """Return the share of rows without a value, by column."""
    return {
        name: float(np.mean(values.codes < 0 if isinstance(values, Coded) else np.isnan(values)))
        for name, values in columns.items()
    }


def golden_records(predictor: Predictor, rows: list[Record]) -> list[Json]:
    """Return the first records that a client could send, with their answers; values of personal columns are made up."""
    golden: list[Json] = []
    made_up = {column.name: stand_in(predictor, column) for column in predictor.reader.columns if column.pii}
    for row in rows:
        record = row | {name: value for name, value in made_up.items() if name in row}
        try:
            golden.append({"record": record, "prediction": predictor.predict_one(record)})
        except RecordError:  # your own test rows may miss what training never missed
            continue
        if len(golden) == _N_GOLDEN:
            break
    return golden


def stand_in(predictor: Predictor, column: Column) -> Any:
    """Return a made-up value that a request may hold in a personal column: the first that its reader takes."""
    candidates = ("masked", 0, "2000-01-01", False, "1") if column.required else (None,)
    for value in candidates:
        problems: list[Json] = []
        predictor.reader.examine(column.name, value, problems, [])
        if not problems:
            return value
    return None
