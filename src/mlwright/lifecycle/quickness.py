"""Quickness: what a prediction of one record takes in process, measured as a server would make it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core.errors import RecordError
from mlwright.evaluate.quickness import Quickness
from mlwright.features.plan import FeaturePlan
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.records import records
from mlwright.models.ensemble import Ensemble
from mlwright.serving.predictor import Predictor

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured
    from mlwright.lifecycle.prepared import Prepared

__all__ = ["clock_of", "quickness"]

_MOST_RECORDS = 200  # that differ: the same one again and again would be foreseen by the processor
_MOST_PASSES, _MOST_SECONDS = 5, 0.12


def clock_of(prepared: Prepared, project: Project) -> Callable[[Ensemble, Mapping[str, FeaturePlan]], float]:
    """Return the clock of a study: from a blend and its plans to the microseconds of ``predict_one``.

    It is the median over training records, of the quickest pass over them: another process may have slowed the others.
    """
    table, train = prepared.table, prepared.split.train
    some = train[np.linspace(0, len(train) - 1, min(_MOST_RECORDS, len(train))).astype(np.int64)]
    asked = records(table.take(some).arrow, table.schema)
    manifest = {
        "name": project.name,
        "task": prepared.task.to_json(),
        "schema": table.schema.to_json(),
    }

    def clock(ensemble: Ensemble, plans: Mapping[str, FeaturePlan]) -> float:
        predict_one = Predictor(manifest, plans, ensemble).predict_one
        ordinary = []
        for record in asked:
            try:
                predict_one(record)
            except RecordError:
                continue
            ordinary.append(record)
        medians = []
        end = time.perf_counter() + _MOST_SECONDS
        while ordinary and len(medians) < _MOST_PASSES and (not medians or time.perf_counter() < end):
            took = []
            for record in ordinary:
                began = time.perf_counter_ns()
                predict_one(record)
                took.append(time.perf_counter_ns() - began)
            medians.append(statistics.median(took))
        return min(medians, default=0.0) / 1000

    return clock


def quickness(measured: Measured) -> Quickness | None:
    """Return what the study's clock told, for the report."""
    latency, project = measured.study.latency, measured.project
    if latency is None:
        return None
    return Quickness(
        budget=project.latency,
        is_asked=project.task_latency is not None,
        measured=latency.measured,
        first=latency.first,
        metric=measured.task.metric,
        score=latency.score,
        first_score=latency.first_score,
    )
