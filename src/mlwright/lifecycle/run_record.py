"""Run record: what MLflow keeps of a run, beside its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlwright.bundle.arrays import encode
from mlwright.core.files import canonical_json
from mlwright.data.findings import Finding
from mlwright.lifecycle.build import Built
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.unlabelled import Found
from mlwright.tracking.tracker import Tracker

__all__ = ["judged", "parts_of", "record_run", "split_bytes"]


def record_run(
    tracker: Tracker, project: Project, prepared: Prepared, built: Built | Found, study: str, sha256: str
) -> str:
    """Put the run into MLflow; a run that an interrupted process began is continued."""
    run_id = tracker.find_run("mlwright.study", study) or tracker.start_run(
        project.name,
        name=f"{project.name}-{study[:8]}",
        tags={"mlwright.study": study, "mlwright.data": built.contents.lineage["data"]},
        params={
            **{key: value for key, value in project.to_json().items() if value not in (None, [], {})},
            "task.kind": str(prepared.task.kind),
            "task.metric": prepared.task.metric,
            "split.kind": prepared.split.kind,
            "data.fingerprint": built.contents.lineage["data"],
            "git_commit": built.contents.lineage["git_commit"],
            "lock": built.contents.lineage["lock"],
            "seed": project.task_seed,
        },
    )
    evaluation = built.evaluation
    tracker.log_trials(
        run_id,
        [{**r.to_json(), **r.told, "seconds": r.seconds} for r in built.study.results],
        prepared.task.metric,
    )
    tracker.log_metrics(
        run_id,
        {
            f"test_{prepared.task.metric}": evaluation.score.estimate,
            f"test_{prepared.task.metric}_low": evaluation.score.low,
            f"test_{prepared.task.metric}_high": evaluation.score.high,
            **{
                f"baseline_{name}": baseline.score.estimate for name, baseline in evaluation.baselines.items()
            },
        },
    )
    plan = {
        "project": project.to_json(),
        "folder": str(project.folder or Path.cwd()),
        "lineage": {
            k: v for k, v in built.contents.lineage.items() if k not in ("trials", "choices", "split", "seed")
        },
        "schema": prepared.table.schema.to_json(),
        "task": prepared.task.to_json(),
        "split": prepared.split.to_json(),
        "findings": judged(prepared.findings, project),
        "accepted": list(project.accepted),
        "notes": list(prepared.notes),
        "trials": built.contents.lineage["trials"],
        "choices": built.study.choices,
        "sha256": sha256,
    }
    tracker.log_documents(
        run_id,
        {
            "plan.json": canonical_json(plan),
            "split.safetensors": split_bytes(prepared),
            "evaluation.json": canonical_json(evaluation.to_json()),
            "parameters.json": canonical_json(built.study.parameters),
            "parts.json": canonical_json(parts_of(built)),
            **built.contents.documents,
        },
    )
    return run_id


def split_bytes(prepared: Prepared) -> bytes:
    """Return the split's row numbers as an artefact that `reproduce` reads."""
    split = prepared.split
    arrays = {"train": split.train, "test": split.test}
    if prepared.numbers is not None:
        arrays["numbers"] = prepared.numbers
    for index, (fit, valid) in enumerate(split.folds):
        arrays |= {f"fold_{index}_fit": fit, f"fold_{index}_valid": valid}
    for index, (fit, valid) in enumerate(split.repeated):
        arrays |= {f"repeated_{index}_fit": fit, f"repeated_{index}_valid": valid}
    return encode({name: np.asarray(rows, np.int64) for name, rows in arrays.items()})


def judged(found: Sequence[Finding], project: Project) -> list[dict[str, Any]]:
    """Return findings as JSON trees, each with whether the project accepts it."""
    accepts = project.accepts
    return [finding.to_json() | {"accepted": finding.code in accepts} for finding in found]


def parts_of(built: Built | Found) -> dict[str, Any]:
    """Return what was measured beside the evaluation, by name."""
    return {part.key: part.to_json() for part in built.parts} if isinstance(built, Built) else {}
