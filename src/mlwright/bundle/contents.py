"""What a bundle holds, and the limits that its reader keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlwright.bundle.state import State

__all__ = [
    "FORMAT",
    "MANIFEST",
    "MAX_FILES",
    "MAX_MANIFEST_BYTES",
    "MAX_TOTAL_BYTES",
    "SAFE_NAME",
    "Contents",
]

FORMAT = 1
MANIFEST = "manifest.json"
MAX_FILES = 1_000
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30
SAFE_NAME = re.compile(r"(?:models/)?[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Contents:
    """A bundle in memory.

    Parameters
    ----------
    name : str
        The project's name.
    task : dict
        `mlwright.data.schema.Task.to_json`.
    schema : list of dict
        `mlwright.data.schema.Schema.to_json`: every column of the training table with its role.
    plan : State
        One child a view, each the state of a feature plan.
    models : list of State
        One state a model.
    ensemble : list of dict
        ``{"view", "weight", "link"}`` for each model, in the same order.
    lineage : dict
        Data fingerprint, git commit, lock hash, seed, split and trial plan.
    reference : dict
        Statistics of columns and predictions that a monitor compares with.
    golden : list of dict
        ``{"record", "prediction"}``: plain JSON records and what the model answers.
    documents : dict of str to bytes
        ``report.html``, ``card.md``, ``datasheet.md``.
    calibration : dict, optional
        What the blend's probabilities go through at last.
    bounds : list of float, optional
        Beyond which no member's prediction lies.
    offset : dict, optional
        What is added to them after that for groups that training had; see `mlwright.models.offset`.
    conformal : dict, optional
        What gives a prediction its interval or its set of classes.
    path, sha256 : Path and str
        Where it was read from and the hash of its manifest, which names the hash of all else; None and ``""`` before
        it was written.
    """

    name: str
    task: dict[str, Any]
    schema: list[dict[str, Any]]
    plan: State
    models: list[State]
    ensemble: list[dict[str, Any]]
    lineage: dict[str, Any]
    reference: dict[str, Any] = field(default_factory=dict)
    golden: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    bounds: list[float] | None = None
    offset: dict[str, Any] | None = None
    conformal: dict[str, Any] | None = None
    path: Path | None = None
    sha256: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest without its list of files."""
        after = {
            "bounds": self.bounds,
            "calibration": self.calibration,
            "offset": self.offset,
            "conformal": self.conformal,
        }
        return {
            "format": FORMAT,
            "name": self.name,
            "task": self.task,
            "schema": self.schema,
            "ensemble": self.ensemble,
            **{name: tree for name, tree in after.items() if tree is not None},
            "lineage": self.lineage,
            "kinds": {
                "transforms": sorted(
                    {t["kind"] for v in self.plan.tree["children"].values() for t in _children(v)}
                ),
                "models": sorted({model.tree["kind"] for model in self.models}),
            },
        }


def _children(view: dict[str, Any]) -> list[dict[str, Any]]:
    return list(view["children"].values())
