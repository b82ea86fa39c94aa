"""Afterwards: what a run does once its search is over, in how much detail, and about how long that takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core import seeds
from mlwright.metrics import for_task, of
from mlwright.metrics.intervals import PARTS

if TYPE_CHECKING:
    from mlwright.lifecycle.build import Prepared

__all__ = ["MOST_PROVEN", "MOST_PROVEN_KEPT", "Detail", "seconds_after"]

MOST_PROVEN, MOST_PROVEN_KEPT = 500, 10_000  # training or kept rows that go through the three paths
_WHOLE_BUDGET = 60.0  # seconds; with less, what can be done on fewer rows is done on fewer
_FEWEST_PROVEN, _PROOF_SECONDS = 200, 2.4
_PROVEN_ROW, _PROVEN_CELL = 5e-5, 4e-6  # seconds
_MOST_CELLS, _FEWEST_PARTS = 6_000_000, 50  # rows and outputs times parts of the jackknife
_MOST_GROUPED, _FEWEST_GROUPED, _GROUPED_COLUMNS = 20_000, 2_000, 20
# Seconds: of a row and a column; of a column of groups that a project names.
_GROUP_CELL, _GROUP_NAMED = 1.3e-6, 0.3

# What no row or column moves: writing, registering, drawing the report, timing a prediction, and the program's end.
_FIXED_SECONDS = 1.8
# Intervals of the metric: of each of two baselines its own, and two models' for the difference.
_BASELINES = 6
_PROBED = 4  # parts of the jackknife
_LOOPS, _TURNS, _LOOP_SECONDS = 10, 20_000, 0.0018


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of what can be looked at in samples a run looks at: less where its budget is short, so that it keeps it.

    Parameters
    ----------
    share : float
        Of the rows and repeats that there would be time for with a minute or more: at most 1.
    """

    share: float = 1.0

    @classmethod
    def of(cls, budget: float, choices: Mapping[str, int] | None = None) -> Detail:
        """Return the detail for a budget in seconds and, once the search is over, what time it had left.

        Both are kept with a run, so that a replay looks at the same rows.

        Examples
        --------
        >>> Detail.of(15.0, {"detail": 50}).share
        0.125
        """
        return cls(min(1.0, budget / _WHOLE_BUDGET) * (choices or {}).get("detail", 100) / 100)

    def at_most(self, most: int, least: int) -> int:
        """Return the share of `most`, but no less than `least`."""
        return min(most, max(least, round(self.share * most)))

    def parts(self, n_rows: int, n_outputs: int) -> int:
        """Return the parts of the jackknife: as many as there is time for, at least 50."""
        most = int(self.share * _MOST_CELLS) // max(1, n_rows * n_outputs)
        return max(_FEWEST_PARTS, min(PARTS, most))

    def proven(self, n_columns: int) -> int:
        """Return how many kept rows go through the three paths."""
        most = self.share * _PROOF_SECONDS / (_PROVEN_ROW + _PROVEN_CELL * n_columns)
        return max(_FEWEST_PROVEN, min(MOST_PROVEN_KEPT, int(most)))

    @property
    def grouped(self) -> int:
        """How many rows are looked at for slices and groups."""
        return self.at_most(_MOST_GROUPED, _FEWEST_GROUPED)

    @property
    def note(self) -> tuple[str, ...]:
        """What the report says of it."""
        if self.share >= 1:
            return ()
        told = f"to keep the time, importances, effects, slices and the proof saw {100 * self.share:.0f} % of the rows"
        return (f"{told} that they see with a longer budget",)


def seconds_after(prepared: Prepared, detail: Detail, n_named: int = 0) -> float:
    """Return about how long evaluation, proof and registration will take on this machine, apart from predicting.

    Parameters
    ----------
    n_named : int, default=0
        Columns of groups that the project names.
    """
    kept = prepared.evaluated
    rows = len(prepared.split.train) if kept is None else kept.n_rows
    n_columns = len(prepared.table.schema.features)
    proven = MOST_PROVEN if kept is None else min(rows, detail.proven(n_columns))
    proof = proven * (_PROVEN_ROW + _PROVEN_CELL * n_columns)
    looked = min(rows, detail.grouped)
    grouped = _GROUP_CELL * looked * min(_GROUPED_COLUMNS, n_columns) + _GROUP_NAMED * n_named
    return _slowness() * (_FIXED_SECONDS + proof + grouped) + _interval_seconds(prepared, rows, detail)


def _slowness() -> float:
    """Return how much longer plain Python takes here, and now, than where the seconds above were measured: 1 to 3."""
    took = []
    for _ in range(_LOOPS):
        begun = time.perf_counter()
        sum(i * i % 7 for i in range(_TURNS))
        took.append(time.perf_counter() - begun)
    return min(3.0, max(1.0, statistics.median(took) / _LOOP_SECONDS))


def _interval_seconds(prepared: Prepared, n_rows: int, detail: Detail) -> float:
    """Measure some parts of the jackknife of the task's metric on made-up predictions, and reckon up all of them."""
    task = prepared.task
    if not task.kind.needs_target or n_rows < 2:
        return 0.0
    draw = seeds.generator(0, "probe")
    y = (
        draw.integers(0, len(task.labels), n_rows).astype(np.float64)
        if task.labels
        else draw.random(n_rows) + 0.5
    )
    predicted = draw.random((n_rows, task.n_outputs)) + 1e-3
    if task.n_outputs > 1:
        predicted /= predicted.sum(axis=1, keepdims=True)
    elif task.labels:
        predicted = np.minimum(predicted, 1.0)
    weights = (draw.random((_PROBED, n_rows)) > 1 / PARTS).astype(np.float64)

    def took(metric: str) -> float:
        begun = time.perf_counter()
        of(replace(task, metric=metric)).scores(y, predicted, weights)
        return (time.perf_counter() - begun) / _PROBED

    others = sum(took(name) for name in for_task(task.kind, plain=True) if name != task.metric)
    return (others + (1 + _BASELINES) * took(task.metric)) * detail.parts(n_rows, task.n_outputs)
