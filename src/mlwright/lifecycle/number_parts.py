"""Number parts: how sure the figures and the answers are, measured on the rows that the model was judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwright.core import seeds
from mlwright.core.types import Floats, Json
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.calibration_error import CalibrationError, calibration_error
from mlwright.evaluate.coverage import Coverage, coverage
from mlwright.evaluate.money import Money, money
from mlwright.evaluate.selection import Selection, selection
from mlwright.lifecycle.task import weights_of
from mlwright.metrics import of
from mlwright.search import StudyResult
from mlwright.search.conform import conform

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured

__all__ = ["calibration_part", "coverage_part", "money_part", "selected", "selection_part"]


def _clusters(measured: Measured) -> np.ndarray | None:
    """Return which rows belong together; None if each is its own."""
    return measured.units.get("groups", measured.units.get("blocks"))


def coverage_part(measured: Measured) -> Coverage | None:
    """Return how often the bundle's intervals or sets hold the truth.

    Without test rows one half of the rows is judged by what was made from the other half, and the other way round is not
    asked: they are the training rows, out of fold.
    """
    task, study = measured.task, measured.study
    truth, predicted, clusters = measured.truth, measured.predicted, _clusters(measured)
    if measured.evaluation.basis == "test":
        made = conform(measured.train_truth, study.misses, task)
    else:
        judged = _half(truth, clusters, measured.project.task_seed)
        made = conform(truth[~judged], predicted[~judged], task)
        truth, predicted = truth[judged], predicted[judged]
        clusters = None if clusters is None else clusters[judged]
    if made is None or len(truth) < 2:
        return None
    return coverage(made, truth, predicted, task, clusters=clusters, split=measured.split.kind)


def selection_part(measured: Measured) -> Selection | None:
    """Return what choosing among the trials adds to the best one's score, from their predictions out of fold."""
    return selected(
        measured.task,
        measured.study,
        measured.train_truth,
        units=measured.train_units,
        weights=measured.train_weights,
        seed=measured.project.task_seed,
    )


def selected(
    task: Task, study: StudyResult, y: Floats, *, units: Json, weights: Floats | None, seed: int
) -> Selection | None:
    """Return the same of a study's trials that were fitted on all folds; the dummy was no choice, nor what was repeated.

    Parameters
    ----------
    y : ndarray of shape (n_train,)
    units : dict
        ``groups`` or ``blocks`` of the training rows, which are drawn together; {} if each row is its own.
    weights : ndarray of shape (n_train,), optional
        How much each row counts.
    """
    tried = [
        r.predicted for r in study.results if r.complete and r.trial.model != "dummy" and not r.trial.repeat
    ]
    if len(tried) < 2:
        return None
    rows = np.flatnonzero(np.all([np.isfinite(one).all(axis=1) for one in tried], axis=0))
    together = next(iter(units.values()), None)
    return selection(
        of(task),
        y[rows],
        [one[rows] for one in tried],
        units=None if together is None else together[rows],
        weights=None if weights is None else weights[rows],
        seed=seed,
    )


def calibration_part(measured: Measured) -> CalibrationError | None:
    """Return how far probabilities are off beside what chance shows: of the second class, or of the class that is called."""
    task, predicted, truth = measured.task, measured.predicted, measured.truth
    if task.kind is TaskKind.REGRESSION:
        return None
    if task.kind is TaskKind.BINARY:
        chance, came = predicted[:, 0], truth
    else:
        chance, came = predicted.max(axis=1), (predicted.argmax(axis=1) == truth).astype(np.float64)
    return calibration_error(chance, came, seed=measured.project.task_seed)


def money_part(measured: Measured) -> Money | None:
    """Return what decisions cost at every threshold, and how many there are; None where nobody said what counts."""
    task = measured.task
    if task.kind is not TaskKind.BINARY or (task.costs is None and task.capacity is None):
        return None
    return money(
        task,
        measured.truth,
        measured.predicted,
        weights=weights_of(measured.rows, task),
        seed=measured.project.task_seed,
        **measured.units,
    )


def _half(truth: Floats, clusters: np.ndarray | None, seed: int) -> np.ndarray:
    """Return a mask of about half the rows, whole clusters each."""
    of_row = np.arange(len(truth)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units = int(of_row.max()) + 1 if len(of_row) else 0
    return (seeds.generator(seed, "coverage").permutation(n_units) % 2 == 0)[of_row]
