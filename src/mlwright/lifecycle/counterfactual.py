"""Counterfactual: the smallest plausible changes of a record that change a model's answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlwright.core.errors import RecordError, UsageError
from mlwright.core.types import Floats, Json, Record
from mlwright.data.schema import Column, Kind, Task, TaskKind
from mlwright.data.values import Cell
from mlwright.evaluate.counterfactual import Change, moves
from mlwright.evaluate.counterfactual import counterfactuals as search
from mlwright.lifecycle.explain import loaded, read_record
from mlwright.metrics import decide
from mlwright.serving.answers import label_key
from mlwright.serving.predictor import Predictor

__all__ = ["Counterfactual", "Counterfactuals", "counterfactuals"]

_ASKED = 3
_NEARLY = -1e-12  # of what is not reached but lies on the border


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """One change, and the answer to the record with it, by the model's own row path.

    Parameters
    ----------
    changes : dict
        New values by column, as a client sends them.
    answer : dict
        The model's.
    way : float
        How far it is; see `mlwright.evaluate.counterfactual`.
    staying : tuple of str
        Columns that stay although, in training, they go with a changed one.
    """

    changes: Record
    answer: Json
    way: float
    staying: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counterfactuals:
    """Changes that reach a goal.

    Parameters
    ----------
    model, sha256 : str
        Who predicts.
    record, answer : dict
        What was asked, and the answer to it.
    goal : object
        The class that is to be predicted (None: any other), or the number to reach.
    kept : tuple of str
        Columns that were not to be changed.
    movable : tuple of str
        Those that could be.
    found : tuple of Counterfactual
        The smallest first; none holds all columns of another. Empty where none was found.
    n_tried : int
        Records that were asked.
    """

    model: str
    sha256: str
    record: Record
    answer: Json
    goal: Any
    kept: tuple[str, ...]
    movable: tuple[str, ...]
    found: tuple[Counterfactual, ...]
    n_tried: int

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "before": self.answer,
            "goal": self.goal,
            "kept": list(self.kept),
            "movable": list(self.movable),
            "found": [
                {
                    "changes": {
                        name: {"from": self.record.get(name), "to": to} for name, to in one.changes.items()
                    },
                    "after": one.answer,
                    "way": one.way,
                    "staying": list(one.staying),
                }
                for one in self.found
            ],
            "n_tried": self.n_tried,
        }


def counterfactuals(
    model: str | Path,
    record: Record | str | Path,
    *,
    goal: Any = None,
    keep: Sequence[str] = (),
    store: str | Path | None = None,
) -> Counterfactuals:
    """Look for the smallest changes of a record that change a model's decision, or move its number across a goal.

    Only numbers, truth values and categories are changed, never dates, texts or personal columns, and only to values
    that training saw. Each column is changed by itself: whether the change can be made in the world, and whether others
    would follow, is for people to judge; `keep` names columns that cannot be changed.

    Parameters
    ----------
    model : str or Path
        As `mlwright.lifecycle.predict.load` takes it.
    record : dict or path
        One field a feature, or a JSON file that holds one such object.
    goal : object, optional
        The class that is to be predicted, by default any other; a number for a regression, which needs it.
    keep : sequence of str
        Columns that are not changed.

    Raises
    ------
    UsageError
        If the goal is no class or number of the model, or is reached already; if a kept column does not exist.
    RecordError
        If the record does not fit the schema.
    """
    asked = read_record(record)
    predictor = loaded(model, store)
    for name in keep:
        if name not in predictor.schema:
            raise UsageError("no such column to keep", got=name, allowed=predictor.schema.names[:50])
    answer = predictor.predict_one(asked)
    goal = _goal(goal, predictor.task, answer["prediction"])
    cells = predictor.reader.cells(asked)
    beyond = _beyond(predictor.task, goal, answer["prediction"])

    def score(rows: Sequence[Mapping[str, Cell]]) -> Floats:
        return beyond(predictor.raw_columns(predictor.stacked(rows)))

    movable = moves(predictor.reader.columns, predictor.reference, keep)
    found, n_tried = search(score, cells, movable, most=_ASKED)
    proven = [
        one for change in found if (one := _proven(predictor, asked, change, beyond, answer)) is not None
    ]
    names = tuple(move.column.name for move in movable)
    return Counterfactuals(
        predictor.name, predictor.sha256, asked, answer, goal, tuple(keep), names, tuple(proven), n_tried
    )


def _goal(goal: Any, task: Task, now: Any) -> Any:
    """Return the goal as a label of the task, or a number; None for any other class."""
    if task.kind is TaskKind.REGRESSION:
        try:
            number = math.nan if goal is None else float(goal)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(
                "a number's counterfactual needs a goal",
                got=goal,
                allowed="a number",
                fix="say `--goal NUMBER`",
            )
        if number == now:
            raise UsageError("the goal is what the model answers already", got=goal)
        return number
    if goal is None:
        return next(label for label in task.labels if label != now) if len(task.labels) == 2 else None
    found = next((label for label in task.labels if goal == label or str(goal) == label_key(label)), None)
    if found is None:
        raise UsageError(
            "the goal is no class of the model", got=goal, allowed=[*map(label_key, task.labels)]
        )
    if found == now:
        raise UsageError("the goal is what the model answers already", got=goal)
    return found


def _beyond(task: Task, goal: Any, now: Any) -> Any:
    """Return the function from outputs to how far each row is beyond the goal: at least 0 where it is reached."""

    def beyond(outputs: Floats) -> Floats:
        if task.kind is TaskKind.REGRESSION:
            far = outputs[:, 0] - goal if now < goal else goal - outputs[:, 0]
            return np.where(far >= 0, far, np.minimum(far, _NEARLY))
        code = task.labels.index(now if goal is None else goal)
        decided = decide(outputs, task) == code
        if outputs.shape[1] == 1:
            far = (outputs[:, 0] - task.cut) * (1 if code else -1)
        else:
            others = np.delete(outputs, code, axis=1).max(axis=1)
            far = outputs[:, code] - others
        if goal is None:
            decided, far = ~decided, -far
        return np.where(decided, np.maximum(far, 0.0), np.minimum(far, _NEARLY))

    return beyond


def _proven(
    predictor: Predictor, asked: Record, change: Change, beyond: Any, before: Json
) -> Counterfactual | None:
    """Return the change with the answer of the model's row path; None where that does not reach the goal."""
    changes = {
        name: _sent(predictor.schema[name], cell, asked.get(name)) for name, cell in change.cells.items()
    }
    record = {**asked, **changes}
    try:
        answer = predictor.predict_one(record)
    except RecordError:
        return None
    if len(answer["warnings"]) > len(before["warnings"]):
        return None
    if beyond(np.array([predictor.raw_one(record)]))[0] < 0:
        return None
    return Counterfactual(changes, answer, change.way, change.staying)


def _sent(column: Column, cell: Cell, before: Any) -> Any:
    """Return a cell as a client would send it: truth values as the record has them."""
    if column.kind is Kind.BOOLEAN and not (isinstance(before, int) and not isinstance(before, bool)):
        return bool(cell)
    if (
        isinstance(cell, float)
        and (column.kind is Kind.BOOLEAN or column.dtype == "int")
        and cell.is_integer()
    ):
        return int(cell)
    return cell
