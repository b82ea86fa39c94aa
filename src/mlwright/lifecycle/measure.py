"""Measure: what a run finds out about its model on rows that no search saw. Knows the fitted study, and no files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core.types import Floats, Json
from mlwright.data.schema import Task
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.data.values import Columns, take
from mlwright.evaluate.effects import MOST_ASKED
from mlwright.evaluate.evaluation import evaluate
from mlwright.evaluate.importance import permutation_importance
from mlwright.lifecycle.afterwards import ROUGH_PARTS, Detail
from mlwright.lifecycle.number_parts import selected
from mlwright.lifecycle.parts import Measured
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.task import weights_of
from mlwright.metrics import of
from mlwright.search import StudyResult

if TYPE_CHECKING:
    from mlwright.lifecycle.prepared import Prepared

__all__ = ["measure", "predictor_of", "resampled_units", "shuffled_rows"]

_ROUGH, _THOROUGH = (2, 1000), (5, 2000)  # repeats and rows of the importances
_MOST_PREDICTIONS = 400_000  # for importances; and of one row by one tree: about five seconds
_MOST_WALKS = 100_000_000
_N_BLOCKS = 20  # of time, for intervals that respect the order


def predictor_of(study: StudyResult) -> Callable[[Columns], Floats]:
    """Return a function from canonical columns to the predictions of the study's model."""

    def predict(columns: Columns) -> Floats:
        return study.ensemble.predict({view: plan.batch(columns) for view, plan in study.plans.items()})

    return predict


def shuffled_rows(n_rows: int, n_columns: int, detail: Detail, *, rough: bool) -> int:
    """Return about how many rows are predicted for the importances and the effects."""
    repeats, most = _ROUGH if rough else _THOROUGH
    shuffled = min(round(detail.share * _MOST_PREDICTIONS), n_columns * repeats * min(most, n_rows))
    return MOST_ASKED + shuffled


def measure(
    prepared: Prepared,
    project: Project,
    *,
    task: Task,
    study: StudyResult,
    judged: tuple[Floats, Floats, Columns],
    detail: Detail,
    rough: bool = False,
) -> Measured:
    """Evaluate a study's model beside its baselines, with what each column is worth.

    Parameters
    ----------
    task : Task
        As `mlwright.lifecycle.task.decided` left it: with its threshold.
    judged : tuple
        Truth, predictions and canonical columns of the kept rows; of the training rows where none are kept, which
        are then judged by their predictions out of fold.
    detail : Detail
        How many rows and repeats are looked at.
    rough : bool, default=False
        Whether a quarter of the work is enough.
    """
    truth, predicted, columns = judged
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
    seed, units = project.task_seed, resampled_units(rows, split)
    trained = prepared.table.take(split.train)
    train_units, train_weights = resampled_units(trained, split), weights_of(trained, task)
    evaluation = evaluate(
        task,
        truth[shown],
        scored,
        baselines,
        basis=basis,
        seed=seed,
        n_parts=ROUGH_PARTS if rough else detail.parts(len(shown), task.n_outputs),
        weights=weights_of(rows, task),
        **units,
    )
    if kept is None:  # the search chose by these rows
        luck = selected(task, study, truth, units=train_units, weights=train_weights, seed=seed)
        evaluation = evaluation.lowered(0.0 if luck is None else luck.optimism)
    repeats, most = _ROUGH if rough else _THOROUGH
    walks = sum(m.model.n_iterations_ for m in study.ensemble.members if m.model.grows)
    predict = predictor_of(study)
    every = prepared.table.take(split.train) if kept is None else kept
    evaluation = evaluation.with_importance(
        permutation_importance(
            predict,
            columns,
            truth,
            of(task),
            weights=weights_of(every, task),
            units=next(iter(resampled_units(every, split).values()), None),
            n_repeats=repeats,
            seed=seed,
            max_rows=most,
            max_predictions=round(
                detail.share * min(_MOST_PREDICTIONS, _MOST_WALKS // max(1, walks * task.n_outputs))
            ),
        )
    )
    return Measured(
        task,
        project,
        split,
        study,
        evaluation,
        rows=rows,
        columns=columns if kept is not None else take(columns, shown),
        truth=truth[shown],
        predicted=scored,
        train_numbers=1 + (split.train if prepared.numbers is None else prepared.numbers[split.train]),
        train_truth=target_values(prepared.table, task)[split.train],
        train_units=train_units,
        train_weights=train_weights,
        units=units,
        predict=predict,
        detail=detail,
        rough=rough,
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
