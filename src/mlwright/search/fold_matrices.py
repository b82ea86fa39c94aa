"""Fold matrices: what trials are fitted and judged on, by view and fold, kept while there is room for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from mlwright.core import seeds
from mlwright.core.types import Floats, Ints
from mlwright.data.values import take
from mlwright.features.plan import FeaturePlan
from mlwright.features.recipes import build
from mlwright.search.costs import Costs
from mlwright.search.study_data import StudyData

__all__ = ["FoldMatrices"]

_CACHE_BYTES = 2**29


class FoldMatrices:
    """Makes each view's matrices of each fold once, where they fit into memory, and tells `Costs` what they took.

    Parameters
    ----------
    data : StudyData
        The training rows.
    costs : Costs
        Has the folds.
    """

    def __init__(self, data: StudyData, costs: Costs) -> None:
        self.data, self.costs = data, costs
        self._kept: dict[tuple[str, int, int], tuple[FeaturePlan, Floats, Floats]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, view: str, index: int, repeat: int = 0) -> tuple[FeaturePlan, Floats, Floats]:
        """Return the fold's plan, and the matrices of the rows that it fits on and of those that it validates."""
        found = self._kept.get((view, repeat, index))
        if found is not None:
            return found
        data = self.data
        fit_rows, valid_rows = self.folds(repeat)[index]
        plan = self.plan(view)
        seed = seeds.derive(data.seed, "plan", view, index, *([repeat] if repeat else []))
        start = time.monotonic()
        fit_matrix = plan.fit_batch(
            take(data.columns, fit_rows), data.y[fit_rows], n_classes=len(data.task.labels), seed=seed
        )
        asked = time.monotonic()
        made = plan, fit_matrix, plan.batch(take(data.columns, valid_rows))
        self.costs.note_row(view, (time.monotonic() - asked) / max(1, len(valid_rows)))
        size = made[1].nbytes + made[2].nbytes
        self.costs.note_view(view, (asked - start) / max(1, len(fit_rows)))
        with self._lock:
            if self._bytes + size <= _CACHE_BYTES or data.quality == "bag":
                self._kept[view, repeat, index] = made
                self._bytes += size
        return made

    def folds(self, repeat: int) -> Sequence[tuple[Ints, Ints]]:
        """Return the folds of the first draw, or of the second one."""
        return self.data.repeated if repeat else self.costs.folds

    def plan(self, view: str) -> FeaturePlan:
        """Return the view's plan, not fitted yet."""
        data = self.data
        # No prediction goes beyond the targets of training, so what leads there need not be followed either.
        held = data.bounds is not None
        return build(data.schema, view, n_rows=len(data.y), task=data.task, winsorized=held)

    def seconds_to_prepare(self, view: str, repeat: int = 0) -> float:
        """Return how long it will take until the view's matrices of all folds are there, once those of one are."""
        folds = self.folds(repeat)
        missing = sum((view, repeat, index) not in self._kept for index in range(len(folds)))
        n_fitted = float(np.mean([len(fit) for fit, _ in folds])) if folds else 0.0
        waves = -(-missing // self.costs.workers)
        return waves * n_fitted * self.costs.view_seconds.get(view, 0.0)

    def forget(self) -> None:
        """Give the matrices back."""
        self._kept.clear()
        self._bytes = 0
