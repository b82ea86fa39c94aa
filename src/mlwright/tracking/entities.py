"""What the tracking store holds, as plain records, and the seam that reads them. Imports no MLflow."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = [
    "BUNDLE_FOLDER",
    "BUNDLE_TAG",
    "CHALLENGER",
    "CHAMPION",
    "MODEL_FOLDER",
    "PLAN_FILE",
    "SHA256_TAG",
    "ModelInfo",
    "ResolvedVersion",
    "RunInfo",
    "Source",
    "VersionInfo",
    "unclipped",
]

CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_FOLDER = "model"
BUNDLE_FOLDER = "bundle"
PLAN_FILE = "plan.json"
SHA256_TAG = "mlwright.sha256"
BUNDLE_TAG = "mlwright.bundle"  # on a run: the path of its bundle among its artifacts


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a registered model.

    Parameters
    ----------
    name, version : str and int
        As in ``churn/3``.
    run_id : str
        The run that made it; empty if somebody else's tool did not say.
    source : str
        Where MLflow says that its files lie: a path or URI of the folder with ``MLmodel``.
    description : str
        One paragraph for people.
    created : float
        Seconds since 1970 UTC.
    aliases : tuple of str
        Sorted.
    tags : mapping of str to str
        The version's own tags.
    metrics : mapping of str to float
        The last value of each of the run's metrics.
    """

    name: str
    version: int
    run_id: str
    source: str
    description: str
    created: float
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A registered model: its aliases, its own tags and its versions, newest first."""

    name: str
    aliases: Mapping[str, int]
    tags: Mapping[str, str]
    versions: tuple[VersionInfo, ...]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run.

    Parameters
    ----------
    run_id, experiment, name : str
        MLflow's identifier, the experiment's name (the project's) and the run's own.
    status : {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}
        As MLflow has it.
    started, ended : float or None
        Seconds since 1970 UTC; `ended` is None while it runs.
    artifact_uri : str
        Where its files lie.
    metrics, params, tags : mapping
        The last value of each metric; parameters and tags as text.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    started: float
    ended: float | None
    artifact_uri: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResolvedVersion:
    """A version whose bundle lies on this machine at `path`."""

    name: str
    version: int
    run_id: str
    path: Path
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


class Source(Protocol):
    """Where models and runs are read from. Every call opens and closes what it needs; errors are `StoreError`."""

    def names(self) -> list[str]:
        """Return all registered models' names, sorted."""
        ...

    def model(self, name: str, *, metrics: bool = True) -> ModelInfo | None:
        """Return the model called `name` with all its versions, newest first, or None. `metrics` cost a little."""
        ...

    def runs(self, experiment: str | None, limit: int) -> list[RunInfo]:
        """Return the newest `limit` runs, newest first."""
        ...

    def run(self, run_id: str) -> RunInfo | None:
        """Return the run with this identifier, or None."""
        ...

    def run_ids(self, beginning: str) -> list[str]:
        """Return the ids of the runs that begin so, sorted, at most ten."""
        ...

    def fetch(self, uri: str, path: str, into: Path) -> Path:
        """Copy the file or folder `path` under the artifact address `uri` into the folder `into`; return it."""
        ...


def unclipped(value: float) -> float:
    """Return `value` as it was logged: MLflow's databases keep an infinity as the largest number.

    Examples
    --------
    >>> unclipped(1.7976931348623157e308), unclipped(0.5)
    (inf, 0.5)
    """
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value
