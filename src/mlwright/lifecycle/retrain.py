"""Retrain, promote, roll back: a challenger serves only if the gate lets it through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlwright.core.clock import Deadline
from mlwright.core.errors import RefusedError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.data.fingerprint import row_hashes
from mlwright.data.table import Table
from mlwright.lifecycle.gate import Verdict, against_champion
from mlwright.lifecycle.measure import resampled_units
from mlwright.lifecycle.paired import can_be_paired, paired
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.recorded import Recorded, StoredFiles, recorded
from mlwright.lifecycle.result import RunResult
from mlwright.lifecycle.run import Champion, Trained, result_of, train
from mlwright.lifecycle.source import project_of, provide
from mlwright.lifecycle.without_target import compare_unlabelled
from mlwright.serving.predictor import Predictor
from mlwright.tracking.registry import resolve
from mlwright.tracking.store import Store, find_store
from mlwright.tracking.tracker import Tracker

__all__ = ["Promotion", "promote", "retrain", "rollback"]

_LEAST_ROWS = 30  # below so many no interval is worth the name


@dataclass(frozen=True, slots=True)
class Promotion:
    """Who serves now, and why.

    Parameters
    ----------
    model : str
        The registered name.
    before, champion : int or None and int
        The version that served, and the one that serves now.
    verdict : Verdict
        What the gate said.
    """

    model: str
    before: int | None
    champion: int
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "before": self.before,
            "champion": self.champion,
            "gate": self.verdict.to_json(),
        }


def retrain(
    name: str,
    source: Any = None,
    *,
    budget: str | float | None = None,
    store: str | Path | None = None,
    elapsed: float = 0.0,
    listener: Listener = silent,
) -> RunResult:
    """Train a challenger on new data, compare it with the champion, and promote it only if the gate says so.

    Findings that the champion was accepted with stop the challenger no more, and its report names them. Where `name` is a
    project's folder its file decides: what was taken out of ``accept`` there stops again.

    Parameters
    ----------
    name : str
        A registered model, or a project's folder.
    source : str, Path or table, optional
        The new table; by default the champion's own source, read again.
    budget : str or float, optional
        Wall clock; the project's by default.
    elapsed : float, default=0.0
        Seconds of it that are gone already.

    Returns
    -------
    RunResult
        ``alias`` is ``champion`` if it was promoted; ``gate`` says why or why not.
    """
    clock = Deadline(np.inf, elapsed=elapsed)
    opened = find_store(named=store)
    folder = Path(name)
    project = project_of(folder) if (folder / "mlwright.toml").is_file() else None
    model = project.name if project is not None else name
    champion = resolve(opened, f"{model}@champion")
    past = recorded(StoredFiles(opened), opened, champion.run_id)
    chosen = _project(project or past.project, source, budget).having(
        accepted=_accepted(project, past.project)
    )
    provide(chosen, listener)
    listener(Event("note", f"version {champion.version} of {model} serves; training a challenger"))
    whom = Champion(champion.version, past.pinned, past.prepared.table.schema)

    def decide(trained: Trained) -> tuple[str, Verdict]:
        listener(Event("step", "comparing"))
        verdict = _compare(trained.path, champion.path, trained.prepared, past, chosen)
        trained.tracker.set_version_tag(model, trained.version, "mlwright.gate", verdict.reason)
        if verdict.passed:
            trained.tracker.promote(model, trained.version)
            return "champion", verdict
        trained.tracker.set_alias(model, "challenger", trained.version)
        return "challenger", verdict

    deadline = Deadline(chosen.budget, elapsed=clock.elapsed)
    trained = train(chosen, lambda: opened, decide, deadline=deadline, champion=whom, listener=listener)
    return result_of(trained, clock.elapsed)


def _accepted(now: Project | None, past: Project) -> tuple[str, ...]:
    """Return the codes that the champion was accepted with, less those that a project's file no longer accepts."""
    return tuple(code for code in past.accepts if now is None or code in now.checks_accept)


def _project(project: Project, source: Any, budget: str | float | None) -> Project:
    changed = project.having(task_budget=budget)
    if source is None:
        if changed.data_source is None:
            raise UsageError("the champion was trained on a table in memory", fix="name the new table")
        return changed
    named = (
        str(Path(source).resolve())
        if isinstance(source, (str, Path)) and "://" not in str(source)
        else source
    )
    return changed.having(data_source=named)


def _compare(
    challenger: Path, champion: Path, prepared: Prepared, past: Recorded, project: Project
) -> Verdict:
    """Hold two bundles against each other on rows that neither was trained on."""
    rows, task = prepared.evaluated, prepared.task
    if rows is None:
        return Verdict(False, "no rows were kept to compare on: set holdout above 0")
    seen = np.isin(row_hashes(Table(rows.arrow, past.prepared.table.schema)), past.pinned.train_hashes)
    rows = rows.take(np.flatnonzero(~seen))
    if rows.n_rows < _LEAST_ROWS:
        return Verdict(
            False,
            f"only {rows.n_rows} rows were never trained on; at least {_LEAST_ROWS} are needed to compare",
        )
    old, new = Predictor.load(champion), Predictor.load(challenger)
    if old.task.kind is task.kind and not task.kind.needs_target:
        return compare_unlabelled(old, new, rows, project)
    if not can_be_paired(task, old.task):
        return Verdict(
            False,
            f"the champion predicts {list(old.task.labels) or 'numbers'}, the challenger {list(task.labels) or 'numbers'}: decide by hand with `--force`",
        )
    units = resampled_units(rows, prepared.split)
    found = paired(rows, task, (new, old), [task.metric], units=units, seed=project.task_seed)
    difference = found[task.metric].difference
    return against_champion(difference, margin=project.gate_margin, metric=task.metric, n_rows=rows.n_rows)


def promote(
    name: str, version: int | None = None, *, force: bool = False, store: str | Path | None = None
) -> Promotion:
    """Let a version serve, by default the challenger, if it holds against the champion.

    Raises
    ------
    RefusedError
        If the gate says no and `force` is not given.
    """
    opened = find_store(named=store)
    tracker = Tracker.prepare(opened).result()
    wanted = resolve(opened, f"{name}@challenger" if version is None else f"{name}/{version}")
    before = tracker.get_alias(name, "champion")
    if before == wanted.version:
        raise UsageError(f"version {before} of {name} serves already")
    verdict = Verdict(None, "by hand, the gate was not asked")
    if not force and before is not None:
        verdict = _verdict(tracker, opened, wanted.run_id, wanted.path, f"{name}@champion")
    if verdict.passed is False:
        raise RefusedError(
            f"version {wanted.version} of {name} was not promoted: {verdict.reason}",
            details={"model": name, "version": wanted.version, "champion": before, "gate": verdict.to_json()},
            fix="retrain on more data, set a margin under [gate], or promote it all the same with --force",
        )
    tracker.promote(name, wanted.version)
    return Promotion(name, before, wanted.version, verdict)


def _verdict(tracker: Tracker, store: Store, run_id: str, path: Path, champion: str) -> Verdict:
    serving = resolve(store, champion)
    past, candidate = recorded(tracker, store, serving.run_id), recorded(tracker, store, run_id)
    return _compare(path, serving.path, candidate.prepared, past, candidate.project)


def rollback(name: str, *, store: str | Path | None = None) -> Promotion:
    """Let the version serve again that served before.

    Raises
    ------
    UsageError
        If no version served before.
    """
    opened = find_store(named=store)
    before, now = Tracker.prepare(opened).result().rollback(name)
    return Promotion(name, before, now, Verdict(None, "rolled back by hand"))
