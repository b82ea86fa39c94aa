"""Parts: what a run measures beside the evaluation, on the same rows, for the report, the card and ``--json``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mlwright.core.types import Floats, Ints, Json
from mlwright.data.schema import Task
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.data.values import Columns
from mlwright.evaluate.context import Part
from mlwright.evaluate.evaluation import Evaluation
from mlwright.lifecycle.afterwards import Detail
from mlwright.lifecycle.effects import effects
from mlwright.lifecycle.groups import fairness_of, slices_of
from mlwright.lifecycle.label_noise import label_noise_of
from mlwright.lifecycle.number_parts import calibration_part, coverage_part, money_part, selection_part
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.quickness import quickness
from mlwright.search import StudyResult

__all__ = ["MEASURES", "Measured", "measured_parts"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows that the model was judged on, and all that is known of them.

    Parameters
    ----------
    task, project, split : Task, Project and Split
        What is predicted, the settings, and which rows train and test.
    study : StudyResult
        The fitted models, and the out-of-fold predictions of the training rows.
    evaluation : Evaluation
        The figures that are there already.
    rows : Table
        The rows that were evaluated; training rows where none are kept.
    columns : Columns
        Their canonical columns.
    truth : ndarray of shape (n_rows,)
        Values, or class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        By the final model, or out of fold where none are kept.
    train_truth : ndarray of shape (n_train,)
        Of the training rows, in the order of ``study.predicted``.
    train_units : dict
        As `units`, of the training rows.
    train_weights : ndarray of shape (n_train,) or None
        How much each of them counts.
    train_numbers : ndarray of int64, shape (n_train,)
        What the training rows are called: their numbers in the source, from 1.
    units : dict
        ``groups`` or ``blocks``: rows that intervals draw together.
    predict : callable
        From canonical columns to predictions by the final model.
    detail : Detail
        How many rows are looked at where there are very many.
    rough : bool
        Whether a fifth of the draws is enough.
    """

    task: Task
    project: Project
    split: Split
    study: StudyResult
    evaluation: Evaluation
    rows: Table
    columns: Columns
    truth: Floats = field(repr=False)
    predicted: Floats = field(repr=False)
    train_truth: Floats = field(repr=False)
    train_units: Json = field(repr=False)
    train_weights: Floats | None = field(repr=False)
    train_numbers: Ints = field(repr=False)
    units: Json = field(repr=False)
    predict: Callable[[Columns], Floats] = field(repr=False)
    detail: Detail = field(default=Detail())
    rough: bool = False


# Each gives its part, or None where it does not apply. In the order of the report.
MEASURES: tuple[Callable[[Measured], Part | None], ...] = (
    label_noise_of,
    selection_part,
    money_part,
    calibration_part,
    slices_of,
    fairness_of,
    coverage_part,
    effects,
    quickness,
)


def measured_parts(measured: Measured) -> tuple[Part, ...]:
    """Return what each of `MEASURES` has to say."""
    return tuple(part for measure in MEASURES if (part := measure(measured)) is not None)
