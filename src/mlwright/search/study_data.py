"""StudyData: the rows that a study trains on, and what it is to hold to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlwright.core import seeds
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Schema, Task, TaskKind
from mlwright.data.values import Columns
from mlwright.features.plan import FeaturePlan
from mlwright.models.ensemble import Ensemble

__all__ = ["StudyData", "fewer_folds", "folds_note", "rows_of_refit", "sample_note", "telling_rows"]


@dataclass(frozen=True, slots=True)
class StudyData:
    """The training rows.

    Parameters
    ----------
    columns : Columns
        Canonical feature columns of the training rows.
    y : ndarray of shape (n_rows,)
        Values or class codes.
    schema, task : Schema, Task
        What the columns are and what is predicted.
    folds : sequence of (ndarray, ndarray)
        Positions to fit on and to validate on.
    seed : int
        The run's seed.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    quality : {"refit", "bag"}
        Whether the chosen are fitted again on all rows, or the folds' models are kept and averaged.
    latency : float
        Microseconds that a blend may take for a row by its models' prices. Below it time is only dear, above it a
        blend is not taken if a cheaper one exists.
    rows : ndarray of int, optional
        Positions that trials fit and validate on, where the table is too long for the budget; all rows otherwise.
    clock : callable, optional
        From a fitted blend and its plans to the microseconds that a record takes as a server would predict it. Without
        one only prices count.
    limit : float
        Microseconds by that clock, above which the blend is thinned.
    bounds : (float, float), optional
        Beyond which no prediction of a number can be right; see `mlwright.models.ensemble.Ensemble`.
    slowness : callable, optional
        How many times as long as on a usual machine things take here and now. Given where nobody asked for `limit`: it is
        as many times as long then, and is not held at the cost of what the model is worth, nor of the time.
    repeated : sequence of (ndarray, ndarray), optional
        As many folds in a second draw, see `mlwright.search.repeats`.
    """

    columns: Columns
    y: Floats
    schema: Schema
    task: Task
    folds: Sequence[tuple[Ints, Ints]]
    seed: int = 0
    weights: Floats | None = None
    quality: str = "refit"
    latency: float = 300.0
    rows: Ints | None = None
    clock: Callable[[Ensemble, Mapping[str, FeaturePlan]], float] | None = None
    limit: float = math.inf
    slowness: Callable[[], float] | None = None
    bounds: tuple[float, float] | None = None
    repeated: Sequence[tuple[Ints, Ints]] = ()


def telling_rows(data: StudyData) -> int:
    """Return how many rows tell configurations apart: of two classes the rarer one decides."""
    y = data.y
    if data.task.kind is not TaskKind.BINARY:
        return len(y)
    return min(len(y), 4 * int(np.bincount(y.astype(np.int64), minlength=2).min()))


def rows_of_refit(data: StudyData, choices: Mapping[str, int]) -> Ints | None:
    """Return the rows that the chosen are refitted on, those that trials saw among them; None for all."""
    n_rows, wanted = len(data.y), choices.get("refit_rows", len(data.y))
    if wanted >= n_rows or data.rows is None:
        return None
    others = np.setdiff1d(np.arange(n_rows), data.rows, assume_unique=True)
    draw = seeds.generator(data.seed, "refit rows")
    more = draw.choice(others, wanted - len(data.rows), replace=False)
    return np.sort(np.concatenate([data.rows, more]))


def fewer_folds(folds: Sequence[tuple[Ints, Ints]], n: int) -> list[tuple[Ints, Ints]]:
    """Return those `n` folds, in their order, that fit on most rows: with folds in time, the latest.

    Examples
    --------
    >>> folds = [(np.arange(k), np.arange(k, k + 2)) for k in (4, 6, 8)]
    >>> [len(fit) for fit, _ in fewer_folds(folds, 2)]
    [6, 8]
    """
    largest = sorted(range(len(folds)), key=lambda i: (-len(folds[i][0]), i))[:n]
    return [folds[i] for i in sorted(largest)]


def sample_note(data: StudyData, rows: Ints | None) -> tuple[str, ...]:
    """Return what the report says of a table that trials saw a sample of; `rows` are those of the refit."""
    if data.rows is None:
        return ()
    n_rows = len(data.y)
    used = n_rows if rows is None else len(rows)
    fitted = "all of them" if used == n_rows else f"{used:,} of them"
    seen = f"trials saw a random sample of {len(data.rows):,} of the {n_rows:,} training rows"
    return (f"{seen}; the model itself was fitted on {fitted}",)


def folds_note(data: StudyData, n_folds: int) -> tuple[str, ...]:
    """Return what the report says where trials were fitted on some of the folds only."""
    if not 0 < n_folds < len(data.folds):
        return ()
    return (
        f"trials were judged on {n_folds} of the {len(data.folds)} folds, so that more of them ended in time",
    )
