"""Recorded: a past run as it was written down, and its table from the kept snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlwright.bundle.arrays import decode
from mlwright.core.errors import StoreError
from mlwright.core.files import read_json
from mlwright.core.types import Ints
from mlwright.data.findings import Finding, Severity
from mlwright.data.fingerprint import row_hashes
from mlwright.data.schema import Schema, Task
from mlwright.data.snapshot import load
from mlwright.data.split import Pinned, Split
from mlwright.data.table import Table
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.search import TrialResult
from mlwright.tracking import registry
from mlwright.tracking.store import Store

__all__ = ["Files", "Recorded", "StoredFiles", "recorded"]


class Files(Protocol):
    """Says where a run's files lie: a `Tracker`, or the registry alone, which opens no MLflow."""

    def artifact_path(self, run_id: str, path: str) -> Path:
        """Return the place of a run's file on this machine."""
        ...


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """Finds a run's files without opening MLflow."""

    place: Store

    def artifact_path(self, run_id: str, path: str) -> Path:
        """Return the place of a run's file on this machine."""
        return registry.artifact_path(self.place, run_id, path)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A past run.

    Parameters
    ----------
    run_id : str
        MLflow's run.
    project : Project
        Its settings.
    prepared : Prepared
        Its table, read back from the snapshot, with the very rows of its split.
    trials : list of TrialResult
        What it fitted, with iterations and without predictions.
    choices : dict
        What the clock decided besides.
    lineage : dict
        As the bundle's manifest holds it.
    sha256 : str
        The bundle that it made.
    """

    run_id: str
    project: Project
    prepared: Prepared
    trials: list[TrialResult]
    choices: dict[str, int]
    lineage: dict[str, Any]
    sha256: str

    @property
    def pinned(self) -> Pinned:
        """The rows that it trained and was tested on, by content."""
        hashes = row_hashes(self.prepared.table)
        split = self.prepared.split
        return Pinned(test_hashes=hashes[split.test], train_hashes=hashes[split.train])


def recorded(tracker: Files, store: Store, run_id: str) -> Recorded:
    """Read a past run back.

    Raises
    ------
    StoreError
        If its plan or its snapshot is gone.
    """
    plan_path = tracker.artifact_path(run_id, "plan.json")
    split_path = tracker.artifact_path(run_id, "split.safetensors")
    if not (plan_path.is_file() and split_path.is_file()):
        raise StoreError(
            "the run has no recorded plan",
            got=run_id,
            fix="name a run that `mlwright runs` shows as finished",
        )
    plan = read_json(plan_path)
    arrays = decode(split_path.read_bytes(), "split.safetensors")
    schema = Schema.from_json(plan["schema"])
    lineage = plan["lineage"]
    table = Table(load(store.snapshots, lineage["data"]).arrow, schema)
    test = None if lineage["test"] is None else Table(load(store.snapshots, lineage["test"]).arrow, schema)
    told = plan["split"]

    def folds(draw: str, n_folds: int) -> tuple[tuple[Ints, Ints], ...]:
        return tuple((arrays[f"{draw}_{i}_fit"], arrays[f"{draw}_{i}_valid"]) for i in range(n_folds))

    split = Split(
        told["kind"],
        told["column"],
        told["reason"],
        arrays["train"],
        arrays["test"],
        folds("fold", told["n_folds"]),
        gap=told.get("gap"),
        n_gap=told.get("n_gap", 0),
        claim=told.get("random_would_claim"),
        repeated=folds("repeated", told["n_folds"] if "repeated_0_fit" in arrays else 0),
    )
    findings = [
        Finding(f["check"], Severity(f["severity"]), tuple(f["columns"]), f["what"], f["advice"])
        for f in plan["findings"]
    ]
    project = Project.from_json(plan["project"], Path(plan["folder"]))
    project = project.having(accepted=tuple(plan.get("accepted", ())))
    prepared = Prepared(
        table,
        Task.from_json(plan["task"]),
        findings,
        split,
        test,
        tuple(plan["notes"]),
        numbers=arrays.get("numbers"),
    )
    trials = [TrialResult.from_json(tree) for tree in plan["trials"]]
    return Recorded(run_id, project, prepared, trials, plan.get("choices", {}), lineage, plan["sha256"])
