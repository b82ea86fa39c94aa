"""Build: from a prepared table to the contents of a bundle. Knows no store, no registry and no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlwright.bundle import Contents, State
from mlwright.core import seeds
from mlwright.core.clock import Deadline
from mlwright.core.errors import RecordError
from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Ints, Json, Record
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Schema, TaskKind
from mlwright.data.target import target_values
from mlwright.data.values import Coded, Columns, take
from mlwright.evaluate.association import association
from mlwright.evaluate.context import Part, ReportContext
from mlwright.evaluate.datasheet import datasheet
from mlwright.evaluate.evaluation import Evaluation
from mlwright.evaluate.label_noise import LabelNoise
from mlwright.evaluate.reference import reference
from mlwright.evaluate.report import card, render
from mlwright.evaluate.summary import figures, summary
from mlwright.lifecycle.afterwards import MOST_PROVEN, Detail, slowness
from mlwright.lifecycle.measure import measure, predictor_of, shuffled_rows
from mlwright.lifecycle.parts import measured_parts
from mlwright.lifecycle.prepared import MOST_TESTED, Prepared, evenly
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.quickness import clock_of
from mlwright.lifecycle.records import records
from mlwright.lifecycle.remembered import remember
from mlwright.lifecycle.task import decided, weights_of
from mlwright.search import Journal, StudyData, StudyResult, TrialResult, run_study
from mlwright.search.conform import conform
from mlwright.search.costs import After
from mlwright.serving.predictor import Predictor

__all__ = [
    "Built",
    "build",
    "golden_records",
    "missing_shares",
    "stand_in",
]

_N_GOLDEN = 20
_IMPORTANCE_SECONDS = 5.0
_CELLS_A_SECOND = 100_000  # of a search: what trials can get through
_BEYOND = 0.1  # of the range of the training targets; `mlwright.models.ensemble` fades members there
_FEWEST_SEARCHED = 20_000  # training rows that trials always see
_MOST_REFERENCE = 50_000  # training rows that a monitor compares with


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
    notes : tuple of str
        What was read, sampled, left out or failed, as the report tells it.
    in_words, shares : dict
        The first screen of the report as plain sentences, and the shares that they speak of.
    """

    contents: Contents
    study: StudyResult
    evaluation: Evaluation
    proof: tuple[Floats, Columns, list[Record]] = field(repr=False)
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    in_words: Json = field(default_factory=dict)
    shares: Json = field(default_factory=dict)


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
        bounds=_bounds(train_y, prepared),
        repeated=split.repeated,
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
    known = remember(prepared, project, study, reference_rows, predict(seen_columns), train_weights)
    study, schema, seen = known.study, known.schema, known.seen
    predict = predictor_of(study)
    rows_columns = train_columns if kept is None else kept.columns()
    truth = train_y if kept is None else target_values(kept, task)
    predicted = seen if kept is None else predict(known.columns(kept, rows_columns))
    measured = measure(
        prepared,
        project,
        task=task,
        study=study,
        judged=(truth, predicted, rows_columns),
        detail=detail,
        rough=rough,
    )
    evaluation = measured.evaluation
    parts = (*measured_parts(measured), *(() if known.gain is None else (known.gain,)))

    worst = list(Severity)[::-1]
    found = [*prepared.findings, *_of_labels(parts, listener)]
    findings = tuple(sorted(found, key=lambda finding: worst.index(finding.severity)))

    listener(Event("step", "packaging"))
    trials = [result.to_json() for result in study.results]
    contents = Contents(
        name=project.name,
        task=task.to_json(),
        schema=schema.to_json(),
        plan=State.nest({view: plan.state() for view, plan in sorted(study.plans.items())}),
        models=study.ensemble.states(),
        ensemble=study.ensemble.places(),
        calibration=None if study.ensemble.calibration is None else study.ensemble.calibration.to_json(),
        bounds=None if study.ensemble.bounds is None else list(study.ensemble.bounds),
        offset=None if study.ensemble.offset is None else study.ensemble.offset.to_json(),
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
        predicted, rows_columns = seen[some], known.columns(proof_rows, take(seen_columns, some))
    else:
        some = evenly(kept.n_rows, detail.proven(len(columns)))
        proof_rows, predicted = kept.take(some), predicted[some]
        rows_columns = known.columns(proof_rows, take(rows_columns, some))
    json_rows = records(proof_rows.arrow, schema, () if known.column is None else [known.column])
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
        contents,
        study,
        evaluation,
        proof,
        parts,
        findings,
        document.notes,
        summary(document).to_json(),
        figures(document),
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


def _thinned_note(prepared: Prepared) -> tuple[str, ...]:
    n_kept = len(prepared.split.test) if prepared.test is None else prepared.test.n_rows
    if n_kept <= MOST_TESTED:
        return ()
    return (f"the score is of {MOST_TESTED:,} of the {n_kept:,} test rows, evenly spaced",)


def _bounds(y: Floats, prepared: Prepared) -> tuple[float, float] | None:
    """Return between which numbers predictions lie: a little beyond all of training, unless later rows may go on from it."""
    if prepared.task.kind is not TaskKind.REGRESSION or prepared.split.kind == "time":
        return None
    low, high = float(y.min()), float(y.max())
    return low - _BEYOND * (high - low), high + _BEYOND * (high - low)


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
