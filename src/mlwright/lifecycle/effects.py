"""Effects of a run's model: which columns and classes are told, and how much is asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwright.data.schema import Kind, TaskKind
from mlwright.evaluate.effects import MOST_ASKED, Effects
from mlwright.evaluate.effects import effects as measured_effects

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured

__all__ = ["effects"]

_MOST_WALKS = 6_000_000  # of one row by one tree: about a third of a second
_ASKED_A_SECOND = 250  # of the budget


def effects(measured: Measured) -> Effects | None:
    """Return the curves and pairs of the most important columns that are neither texts nor personal."""
    task, schema = measured.task, measured.rows.schema
    names = [
        item.column
        for item in measured.evaluation.importance
        if not schema[item.column].pii and schema[item.column].kind is not Kind.TEXT
    ]
    if not names or not len(measured.truth):
        return None
    labels, outputs = list(task.labels[1:2]), [0]
    if task.kind is TaskKind.MULTICLASS:
        counts = np.bincount(measured.truth.astype(np.int64), minlength=len(task.labels))
        outputs = np.argsort(-counts, kind="stable")[:3].tolist()
        labels = [task.labels[code] for code in outputs]
    walks = sum(m.model.n_iterations_ for m in measured.study.ensemble.members if m.model.grows)
    most = min(
        MOST_ASKED,
        int(_ASKED_A_SECOND * measured.project.budget),
        _MOST_WALKS // max(1, walks * task.n_outputs),
    )
    return measured_effects(
        measured.predict,
        measured.columns,
        names,
        labels=labels,
        outputs=outputs,
        seed=measured.project.task_seed,
        most=most // 4 if measured.rough else most,
    )
