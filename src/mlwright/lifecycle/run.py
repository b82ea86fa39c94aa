"""Run: from a source to a registered version. It goes on where a killed run stopped."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlwright import bundle
from mlwright.core.clock import Deadline
from mlwright.core.events import Event, Listener, silent
from mlwright.core.files import canonical_json
from mlwright.data.fingerprint import fingerprint, row_hashes
from mlwright.data.read import read_noted
from mlwright.data.schema import Schema
from mlwright.data.snapshot import save
from mlwright.data.split import Pinned
from mlwright.data.table import Table
from mlwright.lifecycle.afterwards import Detail, seconds_to_search
from mlwright.lifecycle.build import Built, build
from mlwright.lifecycle.equality import prove_equal
from mlwright.lifecycle.gate import Verdict, against_baseline
from mlwright.lifecycle.prepared import Prepared, prepare
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.result import RunResult
from mlwright.lifecycle.run_record import judged, parts_of, record_run, split_bytes
from mlwright.lifecycle.source import project_of, provide
from mlwright.lifecycle.unlabelled import Found
from mlwright.lifecycle.unlabelled import prepare as prepare_unlabelled
from mlwright.lifecycle.without_target import build_unlabelled
from mlwright.search import Journal, load_learners
from mlwright.serving.predictor import Predictor
from mlwright.tracking.beside import Beside, tracker_for
from mlwright.tracking.lineage import git_commit, lock_hash
from mlwright.tracking.store import Store, open_store
from mlwright.tracking.tracker import Tracker

__all__ = ["Champion", "RunResult", "Trained", "result_of", "run", "train"]


@dataclass(frozen=True, slots=True)
class Champion:
    """Whom a challenger will be compared with.

    Parameters
    ----------
    version : int
        The registered version.
    pinned : Pinned
        The rows that it trained and was tested on, by content.
    schema : Schema
        How it reads columns; rows are recognised by its reading.
    """

    version: int
    pinned: Pinned
    schema: Schema


@dataclass(frozen=True, slots=True)
class Trained:
    """A registered version, and all that made it; `alias` and `verdict` once it is decided."""

    project: Project
    prepared: Prepared
    built: Built | Found
    run_id: str
    version: int
    path: Path
    sha256: str
    tracker: Tracker
    proven_rows: int
    alias: str = ""
    verdict: Verdict = field(default=Verdict(None, "not decided"))


def run(
    source: Any,
    target: str | None = None,
    *,
    budget: str | float | None = None,
    test: Any = None,
    holdout: float | None = None,
    trials: int | None = None,
    project: Project | None = None,
    store: str | Path | None = None,
    elapsed: float = 0.0,
    listener: Listener = silent,
) -> RunResult:
    """Take a table to a validated, packaged, registered model.

    Parameters
    ----------
    source : str, Path or table
        A project's folder, a CSV, TSV, JSON lines or Parquet file or glob, a database URL, or an Arrow, pandas or
        polars table.
    target : str, optional
        The column to predict; a project file may say it.
    budget : str or float, optional
        Wall clock for all of it: ``"60s"``, ``"10m"``, or seconds. 60 s if nothing says otherwise.
    test : str, Path or table, optional
        Your own test rows; then all of `source` is for training.
    holdout : float, optional
        The share of rows that no search sees (0.2); 0 keeps none and scores by cross-validation.
    trials : int, optional
        Try at most so many configurations; by default as many as the budget holds.
    project : Project, optional
        All further settings for a plain source, by the names of ``mlwright.toml``: ``Project(task_split="time:day")``.
    store : str or Path, optional
        The store; by default the nearest ``.mlwright`` upwards, else a new one here.
    elapsed : float, default=0.0
        Seconds of the budget that are gone already: what a program took to start.
    listener : callable
        Hears what goes on.

    Returns
    -------
    RunResult
        With the bundle's path, the score with its interval, and the registered version.

    Raises
    ------
    UsageError, DataError
        If the source, target or a setting cannot be used.
    RefusedError
        If a check says stop.
    """
    clock = Deadline(np.inf, elapsed=elapsed)
    chosen = project_of(source, base=project).having(
        task_target=target, task_budget=budget, task_holdout=holdout, task_trials=trials
    )
    provide(chosen, listener)
    deadline = Deadline(chosen.budget, elapsed=clock.elapsed)

    def place() -> Store:
        return open_store(named=store, create=True)

    trained = train(chosen, place, _alias_first, deadline=deadline, test=test, listener=listener)
    return result_of(trained, clock.elapsed)


def train(
    project: Project,
    place: Callable[[], Store],
    decide: Callable[[Trained], tuple[str, Verdict]],
    *,
    deadline: Deadline,
    test: Any = None,
    champion: Champion | None = None,
    listener: Listener = silent,
) -> Trained:
    """Read, build, prove and register a version, and let `decide` say which alias it gets.

    A killed run is continued up to and including that decision.

    Parameters
    ----------
    place : callable
        Gives the store; asked once the data have been read and checked, so that a refused run leaves nothing behind.
    decide : callable
        Sets an alias on the registered version, and returns it with the gate's verdict.
    champion : Champion, optional
        Whom a retraining will be compared with: its rows keep their side of the split.
    """
    # Where MLflow is not loaded yet, a process beside loads it while this one reads and fits.
    beside = Beside() if "mlflow" not in sys.modules and sys.executable else None
    try:
        with ThreadPoolExecutor(1) as aside:  # what needs a core, and not Python's lock
            return _train(
                project,
                place,
                decide,
                beside,
                aside,
                deadline=deadline,
                test=test,
                champion=champion,
                listener=listener,
            )
    finally:
        if beside is not None:
            beside.close()


def _train(
    project: Project,
    place: Callable[[], Store],
    decide: Callable[[Trained], tuple[str, Verdict]],
    beside: Beside | None,
    aside: ThreadPoolExecutor,
    *,
    deadline: Deadline,
    test: Any,
    champion: Champion | None,
    listener: Listener,
) -> Trained:
    listener(Event("step", "reading"))
    got = read_noted(project.source, query=project.data_query)
    loading = aside.submit(load_learners) if project.needs_target else None
    own_test = None if test is None else read_noted(test).table
    hashes = None if champion is None else row_hashes(Table(got.table, champion.schema))
    understand = prepare if project.needs_target else prepare_unlabelled
    prepared = understand(
        got.table,
        project,
        test=own_test,
        pinned=None if champion is None else champion.pinned,
        hashes=hashes,
        notes=[*got.notes, *_accepted_once(project)],
        listener=listener,
    )
    store = place()
    opening = tracker_for(beside, store)
    data = {
        "data": fingerprint(prepared.table),
        "test": None if prepared.test is None else fingerprint(prepared.test),
    }
    lock, packages = lock_hash()
    lineage = {
        **data,
        "git_commit": git_commit(project.folder or Path.cwd()),
        "lock": lock,
        "packages": packages,
        "project": project.to_json(),
    }
    if prepared.contract is not None:
        lineage["contract"] = prepared.contract.to_json()
    key = _study_key(prepared, project, data, lock, champion)
    journal = Journal(store.journal / f"{project.name}-{key[:16]}.jsonl", key)
    saving = [
        aside.submit(save, table, store.snapshots)
        for table in (prepared.table, prepared.test)
        if table is not None
    ]
    try:
        if journal.results:
            listener(Event("note", f"going on from {len(journal.results)} finished trials of an earlier run"))
        if loading is not None:
            loading.result()
        detail = Detail.of(project.budget)
        left = seconds_to_search(deadline, prepared, detail, len(project.fairness_groups))
        search_time = Deadline(max(0.0, left - journal.seconds))
        built = (
            build(prepared, project, search_time, lineage=lineage, journal=journal, listener=listener)
            if prepared.task.kind.needs_target
            else build_unlabelled(prepared, project, lineage=lineage, listener=listener)
        )
        listener(Event("step", "proving"))
        for saved in saving:
            saved.result()
        tracker = opening.result()
        path, sha256, proven = _prove(built, store.tmp / f"{journal.study}.bundle")
        listener(Event("step", "registering"))
        begun = tracker.find_run("mlwright.study", journal.study)
        registered = None if begun is None else tracker.version_of(begun, project.name)
        if begun is None or registered is None:
            run_id = record_run(tracker, project, prepared, built, journal.study, sha256)
            version = tracker.register(run_id, project.name, path, schema=prepared.table.schema)
        else:  # killed after it was registered: measured times would make another bundle of the same model
            run_id, version = begun, registered
            sha256 = bundle.read(tracker.bundle_path(run_id)).sha256
        tracker.finish(run_id, "FINISHED")
        shutil.rmtree(path)
        where = tracker.bundle_path(run_id)
        trained = Trained(project, prepared, built, run_id, version, where, sha256, tracker, proven)
        alias, verdict = decide(trained)
        journal.finish(run_id)
    finally:
        journal.close()
    return replace(trained, alias=alias, verdict=verdict)


def _study_key(
    prepared: Prepared, project: Project, data: Mapping[str, Any], lock: str, champion: Champion | None
) -> str:
    """Name what a study depends on: equal keys may share finished trials."""
    tree = {
        **data,
        "schema": prepared.table.schema.to_json(),
        "task": prepared.task.to_json(),
        "seed": project.task_seed,
        "budget": project.budget,
        "search": [project.task_quality, project.latency, project.task_trials],
        "lock": lock,
        "champion": None if champion is None else champion.version,
    }
    digest = hashlib.sha256(canonical_json(tree))
    digest.update(split_bytes(prepared))
    return digest.hexdigest()


def _prove(built: Built | Found, path: Path) -> tuple[Path, str, int]:
    """Write the bundle, load it as a server would, and hold all three paths against each other."""
    if path.exists():
        shutil.rmtree(path)
    sha256 = bundle.write(built.contents, path)
    predictor = Predictor.load(path)
    predicted, columns, rows = built.proof
    proven = prove_equal(predictor, built.study.plans, predicted, columns, rows)
    return path, sha256, proven


def _accepted_once(project: Project) -> list[str]:
    """Return what to say for good of findings that earlier versions were accepted with."""
    codes = ", ".join(project.accepted)
    return [f"earlier versions of this model were accepted with these findings: {codes}"] if codes else []


def _told(built: Built | Found) -> dict[str, Any]:
    if not isinstance(built, Built):
        return {}
    scores = {name: score.to_json() for name, score in built.evaluation.scores.items()}
    return {"scores": scores, "shares": built.shares, "in_words": built.in_words}


def _alias_first(trained: Trained) -> tuple[str, Verdict]:
    """Make the first sound version of a name the champion; any later one waits as challenger."""
    tracker, name = trained.tracker, trained.project.name
    serving = tracker.get_alias(name, "champion")
    if serving not in (None, trained.version):
        tracker.set_alias(name, "challenger", trained.version)
        reason = f"version {serving} serves; `mlwright promote {name}` compares the two"
        return "challenger", Verdict(None, reason)
    verdict = _first_verdict(trained)
    if verdict.passed:
        tracker.promote(name, trained.version)
        return "champion", verdict
    tracker.set_alias(name, "challenger", trained.version)
    return "challenger", verdict


def _first_verdict(trained: Trained) -> Verdict:
    """Hold a first version against the baseline, or where there is no target against what it said of itself."""
    built, required = trained.built, trained.project.gate_beats_baseline
    if isinstance(built, Found):
        return replace(built.verdict, passed=True) if not required else built.verdict
    baseline = built.evaluation.baselines.get("dummy")
    return against_baseline(
        None if baseline is None else baseline.difference,
        metric=trained.prepared.task.metric,
        required=required,
    )


def result_of(trained: Trained, seconds: float) -> RunResult:
    """Sum a registered version up."""
    evaluation, prepared = trained.built.evaluation, trained.prepared
    split = prepared.split.to_json()
    if prepared.test is not None:
        split["n_test"] = prepared.test.n_rows
    built = trained.built
    found = built.findings if isinstance(built, Built) else prepared.findings
    weights = built.study.weights
    heaviest = max(trained.built.study.results, key=lambda r: weights.get(r.trial.number, 0.0))
    return RunResult(
        run_id=trained.run_id,
        model=trained.project.name,
        version=trained.version,
        bundle=trained.path,
        report=trained.path / "report.html",
        sha256=trained.sha256,
        task=prepared.task.to_json(),
        metric=prepared.task.metric,
        test_score=evaluation.score.estimate,
        test_interval=(evaluation.score.low, evaluation.score.high),
        basis=evaluation.basis,
        baselines={
            name: {
                "score": baseline.score.estimate,
                "interval": [baseline.score.low, baseline.score.high],
                "difference": baseline.difference.to_json(),
            }
            for name, baseline in evaluation.baselines.items()
        },
        split=split,
        findings=judged(found, trained.project),
        seconds=round(seconds, 3),
        trials=len(trained.built.study.results),
        alias=trained.alias,
        gate=trained.verdict.to_json(),
        notes=trained.built.notes,
        proven_rows=trained.proven_rows,
        best_trial=heaviest.to_json(),
        found=trained.built.evaluation.sentences if isinstance(trained.built, Found) else (),
        parts=parts_of(trained.built),
        **_told(trained.built),
    )
