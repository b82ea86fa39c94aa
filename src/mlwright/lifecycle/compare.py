"""Compare: two runs side by side, on the same rows where both can be judged there. Writes nothing but a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwright import bundle
from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import read_json, write_atomic
from mlwright.data.fingerprint import row_hashes
from mlwright.data.table import Table
from mlwright.evaluate.comparison import Comparison, Difference, Side
from mlwright.evaluate.comparison_report import render
from mlwright.evaluate.importance import Importance
from mlwright.lifecycle.build import missing_shares
from mlwright.lifecycle.measure import resampled_units
from mlwright.lifecycle.paired import can_be_paired, paired
from mlwright.lifecycle.recorded import Recorded, StoredFiles, recorded
from mlwright.metrics import for_task
from mlwright.metrics.intervals import Interval
from mlwright.serving.predictor import Predictor
from mlwright.tracking import registry
from mlwright.tracking.store import Store, find_store

__all__ = ["Compared", "compare"]

_LEAST_ROWS = 30  # below so many no interval is worth the name


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison and the report of it."""

    report: Path
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {"report": str(self.report), **self.comparison.to_json()}


def compare(
    first: str, second: str, *, output: str | Path | None = None, store: str | Path | None = None
) -> Compared:
    """Hold a run or version against another one, and write a report of it.

    Parameters
    ----------
    first, second : str
        A run's id (or its beginning), or a registered model: ``churn`` (its champion), ``churn@challenger``, ``churn/3``.
    output : str or Path, optional
        Where the report goes; by default ``reports/`` in the store.

    Raises
    ------
    UsageError, StoreError
        If one of the two is not there, or both are the same run.
    """
    opened = find_store(named=store)
    ids = [_run_id(opened, name) for name in (first, second)]
    if ids[0] == ids[1]:
        raise UsageError("both are the same run", got=f"{first}, {second}", fix="name two that differ")
    pasts = [recorded(StoredFiles(opened), opened, run_id) for run_id in ids]
    paths = [registry.bundle_path(opened, run_id) for run_id in ids]
    one, two = (
        _side(opened, label, past, path)
        for label, past, path in zip((first, second), pasts, paths, strict=True)
    )
    found = Comparison(one, two, *_differences(pasts, paths))
    place = (
        Path(output) if output is not None else opened.root / "reports" / f"{ids[0][:12]}-{ids[1][:12]}.html"
    )
    if output is None:
        place.parent.mkdir(exist_ok=True)
    write_atomic(place, render(found).encode())
    return Compared(place.resolve(), found)


def _run_id(store: Store, name: str) -> str:
    """Return the run that a name means: a registered model's version, or a run's id."""
    if "/" in name or "@" in name or any(model.name == name for model in registry.models(store)):
        return registry.resolve(store, name).run_id
    return registry.find_run_id(store, name)


def _side(store: Store, label: str, past: Recorded, path: Path) -> Side:
    evaluation = read_json(registry.artifact_path(store, past.run_id, "evaluation.json"))
    contents = bundle.read(path)
    table = past.prepared.table
    metric = evaluation["metric"]
    measured = evaluation.get("scores") or {metric: evaluation["score"]}
    scores = {name: measured[name] for name in (metric, *(name for name in measured if name != metric))}
    members = tuple(
        (str(model.tree["kind"]), str(place["view"]), float(place["weight"]))
        for model, place in zip(contents.models, contents.ensemble, strict=True)
    )
    split = past.prepared.split.to_json()
    if past.prepared.test is not None:
        split["n_test"] = past.prepared.test.n_rows
    return Side(
        label=label,
        run_id=past.run_id,
        sha256=past.sha256,
        task=past.prepared.task,
        schema=table.schema,
        basis=str(evaluation["basis"]),
        scores={name: Interval.from_json(tree) for name, tree in scores.items()},
        baselines={
            name: Interval.from_json(tree["score"]) for name, tree in evaluation.get("baselines", {}).items()
        },
        n_rows=table.n_rows,
        split=split,
        missing=missing_shares(table.columns()),
        findings=tuple(past.prepared.findings),
        importance=tuple(msgspec.convert(item, Importance) for item in evaluation.get("importance", ())),
        members=members,
        n_trials=len(past.trials),
        size=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        settings=past.project.to_json(),
        lineage=past.lineage,
        parts=_parts(store, past.run_id),
    )


def _parts(store: Store, run_id: str) -> dict[str, Any]:
    try:
        return read_json(registry.artifact_path(store, run_id, "parts.json"))
    except StoreError:  # a run of before there were parts
        return {}


def _differences(pasts: Sequence[Recorded], paths: Sequence[Path]) -> tuple[int, dict[str, Difference], str]:
    """Return how many rows both can be judged on, the scores there, and which rows these are or why there are none."""
    first, second = pasts
    task = first.prepared.task
    if not can_be_paired(task, second.prepared.task):
        return 0, {}, "The two do not answer the same question, so no row can judge them both."
    rows = first.prepared.evaluated
    if rows is None or second.prepared.evaluated is None:
        return 0, {}, "One of the two kept no rows aside, so there are no rows that neither was trained on."
    if set(second.prepared.table.schema.names) - set(rows.schema.names):
        return 0, {}, "The second reads columns that the first one's table does not have."
    hashes = row_hashes(Table(rows.arrow, second.prepared.table.schema))
    rows = rows.take(np.flatnonzero(~np.isin(hashes, second.pinned.train_hashes)))
    if rows.n_rows < _LEAST_ROWS:
        return (
            rows.n_rows,
            {},
            f"Only {rows.n_rows} rows were tested in one run and trained on in neither; {_LEAST_ROWS} are needed.",
        )
    models = Predictor.load(paths[0]), Predictor.load(paths[1])
    metrics = [task.metric, *(name for name in for_task(task.kind, plain=True) if name != task.metric)]
    found = paired(
        rows,
        models[0].task,
        models,
        metrics,
        units=resampled_units(rows, first.prepared.split),
        seed=first.project.task_seed,
    )
    told = {name: Difference(pair.first, pair.second, pair.difference) for name, pair in found.items()}
    return (
        rows.n_rows,
        told,
        f"{rows.n_rows:,} rows that were tested in the first run and trained on in neither.",
    )
