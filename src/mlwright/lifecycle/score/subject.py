"""Subject: the version under test, with all that was recorded of it, read once and when it is first asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mlwright.core.errors import StoreError
from mlwright.core.events import Event, Listener
from mlwright.core.files import read_json
from mlwright.core.types import Floats, Record
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.features.plan import FeaturePlan
from mlwright.lifecycle.prepared import evenly
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.recorded import Recorded, recorded
from mlwright.lifecycle.records import records
from mlwright.lifecycle.score.rehearsal import Rehearsal, rehearse
from mlwright.models.ensemble import Ensemble
from mlwright.serving.log import folder_name
from mlwright.serving.log_reading import read_log
from mlwright.serving.predictor import Predictor
from mlwright.tracking.entities import ResolvedVersion
from mlwright.tracking.registry import artifact_path, load_plan, runs
from mlwright.tracking.store import Store
from mlwright.tracking.tracker import Tracker

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Subject"]

_MOST_ROWS = 500


@dataclass
class Subject:
    """A registered version under test.

    Parameters
    ----------
    store : Store
        Where it is registered.
    version : ResolvedVersion
        The version, with its bundle.
    listener : callable
        Hears of the long tests.
    """

    store: Store
    version: ResolvedVersion
    listener: Listener

    @property
    def selector(self) -> str:
        """What to type for this very version."""
        return f"{self.version.name}/{self.version.version}"

    @cached_property
    def tracker(self) -> Tracker:
        """MLflow, opened."""
        return Tracker.prepare(self.store).result()

    @cached_property
    def past(self) -> Recorded:
        """The run, with its table from the kept snapshot."""
        return recorded(self.tracker, self.store, self.version.run_id)

    @cached_property
    def predictor(self) -> Predictor:
        """The bundle, audited and loaded; its golden records have been replayed."""
        return Predictor.load(self.version.path)

    @property
    def ensemble(self) -> Ensemble:
        """The models of the bundle."""
        return cast("Ensemble", self.predictor.ensemble)  # a bundle's parts are these

    @property
    def plans(self) -> dict[str, FeaturePlan]:
        """The feature plans of the bundle, by view."""
        return cast("dict[str, FeaturePlan]", self.predictor.plans)  # a bundle's parts are these

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What the run wrote down of itself."""
        return load_plan(self.store, self.version.run_id)

    @cached_property
    def project(self) -> Project:
        """The settings of the run."""
        return Project.from_json(self.plan["project"], self.folder)

    @property
    def folder(self) -> Path:
        """Where the run was started from: the project's folder."""
        return Path(self.plan["folder"])

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """What was measured on rows that no search saw."""
        return read_json(artifact_path(self.store, self.version.run_id, "evaluation.json"))

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What was measured beside the evaluation, by name; empty for runs that measured nothing else."""
        try:
            return read_json(artifact_path(self.store, self.version.run_id, "parts.json"))
        except StoreError:  # a run of an earlier version
            return {}

    @cached_property
    def started(self) -> float | None:
        """When the run began, in seconds since 1970 UTC."""
        found = [run.started for run in runs(self.store, limit=10_000) if run.run_id == self.version.run_id]
        return found[0] if found else None

    def artifact(self, name: str) -> str:
        """Return the path of one of the run's files, as people type it."""
        return str(artifact_path(self.store, self.version.run_id, name))

    @cached_property
    def untouched(self) -> Table:
        """Rows that no search saw, or where none were kept rows of the training; at most 500, evenly spaced."""
        kept = self.past.prepared.evaluated
        table = self.past.prepared.table if kept is None else kept
        return table.take(evenly(table.n_rows, _MOST_ROWS))

    @cached_property
    def rows(self) -> list[Record]:
        """The records of `untouched`, as a client would send them."""
        return records(self.untouched.arrow, self.predictor.schema)

    @cached_property
    def truth(self) -> Floats:
        """The targets of `untouched`."""
        return target_values(self.untouched, self.predictor.task)

    @cached_property
    def predicted(self) -> Floats:
        """What the bundle predicts for `untouched`, of shape (n_rows, n_outputs)."""
        return np.asarray(self.predictor.raw_columns(self.untouched.columns()))

    @cached_property
    def logged(self) -> pa.Table:
        """The predictions of this version that the log holds; see `mlwright.serving.log_reading.read_log`."""
        from pyarrow import compute

        self.store.log.mkdir(exist_ok=True)
        place = self.store.log / folder_name(self.version.name)
        log = read_log(place if place.is_dir() else self.store.log)
        mine = (compute.field("model") == self.version.name) & (
            compute.field("version") == str(self.version.version)
        )
        return log.filter(mine)

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """The whole pipeline on a small sample, in a store and a process of its own."""
        self.listener(Event("step", "rehearsing"))
        return rehearse(self.past)

    def git(self, *arguments: str) -> str | None:
        """Return what git says in the project's folder; None where it says nothing or is not there."""
        command = ["git", "-c", "core.fsmonitor=false", "-C", str(self.folder), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
                command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    @property
    def features(self) -> Sequence[str]:
        """The columns that the model may read."""
        return [column.name for column in self.predictor.schema.features]
