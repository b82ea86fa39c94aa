"""Afterwards: what a run does once its search is over, in how much detail, and about how long that takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core import seeds
from mlwright.core.clock import Deadline
from mlwright.data.schema import Task
from mlwright.metrics import Metric, for_task, of
from mlwright.metrics.intervals import PARTS

if TYPE_CHECKING:
    from mlwright.lifecycle.prepared import Prepared

__all__ = [
    "MOST_PROVEN",
    "MOST_PROVEN_KEPT",
    "ROUGH_PARTS",
    "Detail",
    "seconds_after",
    "seconds_to_search",
    "slowness",
]

MOST_PROVEN, MOST_PROVEN_KEPT = 500, 10_000  # training or kept rows that go through the three paths
ROUGH_PARTS = PARTS // 4  # of the jackknife, where the report is a by-product
_WHOLE_BUDGET = 60.0  # seconds; with less, what can be done on fewer rows is done on fewer
_FEWEST_PROVEN, _PROOF_SECONDS = 200, 2.4
_PROVEN_ROW, _PROVEN_CELL = 5e-5, 4e-6  # seconds
_MOST_CELLS, _FEWEST_PARTS = 6_000_000, 50  # rows and outputs times parts of the jackknife
_MOST_GROUPED, _FEWEST_GROUPED, _GROUPED_COLUMNS = 20_000, 2_000, 20
# Seconds: of a row and a column; of a column of groups that a project names.
_GROUP_CELL, _GROUP_NAMED = 1.3e-6, 0.3

# What no row or column moves: writing, registering, drawing the report, timing a prediction, and the program's end.
_FIXED_SECONDS = 1.8
_ROUGH_FIXED_SECONDS = 0.5  # where nothing is registered, and the program goes on
_MOST_AFTERWARDS = 0.5  # of the budget
# Intervals of the metric: of each of two baselines its own, and two models' for the difference.
_BASELINES = 6
_FEWEST_PROBED, _PROBED_SHARE, _TURNS_OF_PROBE = 200, 40, 2  # rows, one of how many, and how often
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


def seconds_to_search(
    deadline: Deadline,
    prepared: Prepared,
    detail: Detail,
    n_named: int = 0,
    *,
    rough: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return how long a search may go on: what is left, less `seconds_after`, which is at most half of the budget.

    Parameters
    ----------
    deadline : Deadline
        When all of it is to be over.
    n_named, rough, clock
        As for `seconds_after`.
    """
    after = seconds_after(prepared, detail, n_named, rough=rough, clock=clock)
    return max(0.0, deadline.left - min(after, _MOST_AFTERWARDS * deadline.seconds))


def seconds_after(
    prepared: Prepared,
    detail: Detail,
    n_named: int = 0,
    *,
    rough: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return about how long what comes after a search will take on this machine, apart from predicting.

    Parameters
    ----------
    n_named : int, default=0
        Columns of groups that the project names.
    rough : bool, default=False
        Whether the report is a by-product: then no groups are looked at, intervals have fewer parts, and nothing is
        registered.
    clock : callable
        The source of time, in seconds, for measuring the machine; tests pass their own.
    """
    kept = prepared.evaluated
    rows = len(prepared.split.train) if kept is None else kept.n_rows
    n_columns = len(prepared.table.schema.features)
    proven = MOST_PROVEN if kept is None else detail.proven(n_columns)
    proof = min(rows, proven) * (_PROVEN_ROW + _PROVEN_CELL * n_columns)
    parts = ROUGH_PARTS if rough else detail.parts(rows, prepared.task.n_outputs)
    intervals = _interval_seconds(prepared.task, rows, parts, clock)
    if rough:
        return slowness(clock) * (_ROUGH_FIXED_SECONDS + proof) + intervals
    looked = min(rows, detail.grouped)
    grouped = _GROUP_CELL * looked * min(_GROUPED_COLUMNS, n_columns) + _GROUP_NAMED * n_named
    return slowness(clock) * (_FIXED_SECONDS + proof + grouped) + intervals


def slowness(clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how much longer plain Python takes here, and now, than where the seconds above were measured: 1 to 3."""
    took = []
    for _ in range(_LOOPS):
        begun = clock()
        sum(i * i % 7 for i in range(_TURNS))
        took.append(clock() - begun)
    return min(3.0, max(1.0, statistics.median(took) / _LOOP_SECONDS))


def _interval_seconds(task: Task, n_rows: int, n_parts: int, clock: Callable[[], float]) -> float:
    """Measure the jackknife of the task's metrics on some rows of made-up predictions, and reckon up all of them."""
    if not task.kind.needs_target or n_rows < 2:
        return 0.0
    draw = seeds.generator(0, "probe")
    probed = min(n_rows, max(_FEWEST_PROBED, n_rows // _PROBED_SHARE))
    y = (
        draw.integers(0, len(task.labels), probed).astype(np.float64)
        if task.labels
        else draw.random(probed) + 0.5
    )
    predicted = draw.random((probed, task.n_outputs)) + 1e-3
    if task.n_outputs > 1:
        predicted /= predicted.sum(axis=1, keepdims=True)
    elif task.labels:
        predicted = np.minimum(predicted, 1.0)
    part = np.arange(probed) % n_parts

    def once(metric: Metric) -> float:
        begun = clock()
        metric.without_each(y, predicted, part, n_parts)
        return clock() - begun

    def took(name: str) -> float:
        metric = of(replace(task, metric=name))
        return min(once(metric) for _ in range(_TURNS_OF_PROBE))  # tables are being written beside

    others = sum(took(name) for name in for_task(task.kind, plain=True) if name != task.metric)
    return (others + (1 + _BASELINES) * took(task.metric)) * n_rows / probed
