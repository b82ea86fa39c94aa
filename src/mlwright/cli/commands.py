"""One function a command: call the verb, show what it gave, return the exit code."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

from mlwright.cli import show
from mlwright.cli.serving_commands import serve, start, stop
from mlwright.core.errors import UsageError

__all__ = [
    "contract",
    "doctor",
    "explain",
    "export",
    "gc",
    "init",
    "models",
    "predict",
    "promote",
    "report",
    "reproduce",
    "retrain",
    "rollback",
    "run",
    "runs",
    "score",
    "serve",
    "start",
    "stop",
    "trace",
    "verify",
]


def run(options: argparse.Namespace) -> int:
    """``mlwright run``."""
    from mlwright.cli.progress import progress
    from mlwright.lifecycle.run import run as verb
    from mlwright.lifecycle.source import project_of

    project = project_of(options.source or _project_here()).having(
        name=options.name,
        task_target=options.target,
        task_budget=options.budget,
        task_trials=options.trials,
        task_metric=options.metric,
        task_kind=options.kind,
        task_quantile=options.quantile,
        costs_false_positive=options.false_positive,
        costs_false_negative=options.false_negative,
        costs_capacity=options.capacity,
        task_contamination=options.contamination,
        task_split=options.split,
        task_holdout=options.holdout,
        task_seed=options.seed,
        data_query=options.query,
        data_time=options.time,
        data_group=options.group,
        data_weight=options.weight,
        data_exposure=options.exposure,
        data_ignore=_tuple(options.ignore),
        data_contract=options.contract,
        checks_accept=_tuple(options.accept),
        checks_ban=_tuple(options.ban),
        fairness_groups=_tuple(options.fairness),
    )
    with progress(project.budget, quiet=options.json) as listener:
        result = verb(
            None,
            project=project,
            test=options.test,
            store=options.store,
            elapsed=time.monotonic() - options.began,
            listener=listener,
        )
    show.result(result, options, _store_flag(options))
    return 3 if result.gate["passed"] is False else 0


def _project_here() -> str:
    """Return the current folder if it is a project: then nothing has to be named."""
    if Path("mlwright.toml").is_file():
        return "."
    raise UsageError(
        "nothing to train on: name a data file, a database URL, or a project's folder",
        fix="for example `mlwright run customers.csv --target churned`, or `mlwright init` to write a project here",
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None


def _store_flag(options: argparse.Namespace) -> str:
    return f" --store {shlex.quote(options.store)}" if options.store else ""


def export(options: argparse.Namespace) -> int:
    """``mlwright export``."""
    from mlwright.lifecycle.export import export as verb

    done = verb(
        options.target,
        options.model,
        options.output,
        image=options.image,
        force=options.force,
        store=options.store,
    )
    show.plain(options, done.to_json(), "\n".join(f"wrote {file}" for file in done.files))
    return 0


def predict(options: argparse.Namespace) -> int:
    """``mlwright predict``."""
    from mlwright.cli.progress import progress
    from mlwright.lifecycle.predict import predict as verb

    with progress(None, quiet=options.json) as listener:
        done = verb(
            options.model,
            options.input,
            options.output,
            query=options.query,
            interval=options.interval,
            store=options.store,
            listener=listener,
        )
    lines = [f"{done.rows:,} rows predicted by {done.model}, written to {done.output}"]
    lines += [f"warning: {breach.sentence}" for breach in done.breaches]
    show.plain(options, done.to_json(), "\n".join(lines))
    return 0


def explain(options: argparse.Namespace) -> int:
    """``mlwright explain``."""
    if options.changes and options.counterfactual:
        raise UsageError("--set and --counterfactual are two questions", fix="ask one of them")
    if (options.keep or options.goal is not None) and not options.counterfactual:
        raise UsageError("--keep and --goal belong to --counterfactual", fix="add --counterfactual")
    if options.changes:
        from mlwright.cli.alternatives import compared
        from mlwright.lifecycle.what_if import what_if

        other = what_if(options.model, options.record, options.changes, store=options.store)
        show.plain(options, other.to_json(), compared(other))
        return 0
    if options.counterfactual:
        from mlwright.cli.alternatives import ways
        from mlwright.lifecycle.counterfactual import counterfactuals

        others = counterfactuals(
            options.model, options.record, goal=options.goal, keep=options.keep or (), store=options.store
        )
        show.plain(options, others.to_json(), ways(others))
        return 0
    from mlwright.cli.explained import explained
    from mlwright.lifecycle.explain import explain as verb

    found = verb(options.model, options.record, store=options.store)
    show.plain(options, found.to_json(), explained(found))
    return 0


def trace(options: argparse.Namespace) -> int:
    """``mlwright trace``."""
    from mlwright.cli.traced import traced
    from mlwright.lifecycle.trace import trace as verb

    found = verb(options.prediction_id, store=options.store)
    show.plain(options, found.to_json(), traced(found))
    return 1 if found.reproduced is False else 0


def verify(options: argparse.Namespace) -> int:
    """``mlwright verify``."""
    from mlwright.lifecycle.verify import verify as verb

    told = verb(options.path)
    show.plain(
        options,
        told,
        "the bundle is whole: every hash fits, and its "
        f"{told['golden_rows']} golden records give the same predictions\n"
        f"sha256 {told['sha256']}\n"
        f"bundle {told['bundle']}",
    )
    return 0


def retrain(options: argparse.Namespace) -> int:
    """``mlwright retrain``."""
    from mlwright.cli.progress import progress
    from mlwright.lifecycle.retrain import retrain as verb

    with progress(None, quiet=options.json) as listener:
        result = verb(
            options.model,
            options.source,
            budget=options.budget,
            store=options.store,
            elapsed=time.monotonic() - options.began,
            listener=listener,
        )
    show.result(result, options, _store_flag(options))
    return 0 if result.gate["passed"] else 3


def promote(options: argparse.Namespace) -> int:
    """``mlwright promote``."""
    from mlwright.lifecycle.retrain import promote as verb

    done = verb(options.model, options.version, force=options.force, store=options.store)
    show.plain(
        options, done.to_json(), f"{done.model}: version {done.champion} serves now. {done.verdict.reason}"
    )
    return 0


def rollback(options: argparse.Namespace) -> int:
    """``mlwright rollback``."""
    from mlwright.lifecycle.retrain import rollback as verb

    done = verb(options.model, store=options.store)
    show.plain(
        options,
        done.to_json(),
        f"{done.model}: version {done.champion} serves again, version {done.before} does not",
    )
    return 0


def reproduce(options: argparse.Namespace) -> int:
    """``mlwright reproduce``."""
    from mlwright.cli.progress import progress
    from mlwright.lifecycle.reproduce import reproduce as verb

    with progress(None, quiet=options.json) as listener:
        done = verb(options.run, store=options.store, listener=listener)
    same = "the same bundle, byte by byte" if done.equal else "ANOTHER bundle than recorded"
    text = f"{same}\nsha256   {done.sha256}\nrecorded {done.recorded}\nbundle   {done.bundle}"
    if done.changed_packages:
        text += "\npackages changed since: " + "; ".join(done.changed_packages)
    show.plain(options, done.to_json(), text)
    return 0 if done.equal else 1


def runs(options: argparse.Namespace) -> int:
    """``mlwright runs``."""
    from mlwright.tracking.registry import runs as listing
    from mlwright.tracking.store import find_store

    show.runs(listing(find_store(named=options.store), options.model), options)
    return 0


def models(options: argparse.Namespace) -> int:
    """``mlwright models``."""
    from mlwright.tracking.registry import models as listing
    from mlwright.tracking.store import find_store

    show.models(listing(find_store(named=options.store)), options)
    return 0


def report(options: argparse.Namespace) -> int:
    """``mlwright report``."""
    if options.compare is not None:
        from mlwright.cli.compared import compare

        path, tree, text = compare(options)
    else:
        from mlwright.lifecycle.predict import find_report

        if options.output is not None:
            raise UsageError("-o goes with --compare only", fix="copy the file that `mlwright report` names")
        path = find_report(options.model, store=options.store)
        tree, text = {"report": str(path)}, str(path)
    if options.open:
        import webbrowser

        webbrowser.open(path.as_uri())
    show.plain(options, tree, text)
    return 0


def score(options: argparse.Namespace) -> int:
    """``mlwright score``."""
    import sys

    from mlwright.cli.paint import Paint
    from mlwright.cli.progress import progress
    from mlwright.cli.scored import scored
    from mlwright.lifecycle.predict import find_report
    from mlwright.lifecycle.score import score as verb

    with progress(None, quiet=options.json) as listener:
        card = verb(options.model, quick=options.quick, store=options.store, listener=listener)
    path = str(find_report(options.model, store=options.store))
    show.plain(options, card.to_json() | {"report": path}, scored(card, path, Paint(sys.stdout)))
    return 0


def contract(options: argparse.Namespace) -> int:
    """``mlwright contract``."""
    from mlwright.lifecycle.contract import contract as verb

    done = verb(
        options.source,
        output=options.output,
        form=options.format,
        force=options.force,
        target=options.target,
        store=options.store,
    )
    learned = f", learned from {done.n_rows:,} rows" if done.n_rows else ""
    show.plain(
        options,
        done.to_json(),
        f"wrote {done.path}: {len(done.contract.columns)} columns{learned}\n"
        "next: read it, edit it, and keep it beside mlwright.toml",
    )
    return 0


def init(options: argparse.Namespace) -> int:
    """``mlwright init``."""
    from mlwright.lifecycle.upkeep import init as verb

    path = verb(options.folder, source=options.source, target=options.target)
    show.plain(
        options,
        {"project": str(path)},
        f"wrote {path}\nnext: say there where the data is, then mlwright run {path.parent}",
    )
    return 0


def doctor(options: argparse.Namespace) -> int:
    """``mlwright doctor``."""
    from mlwright.lifecycle.upkeep import doctor as verb

    told = verb(store=options.store)
    show.doctor(told, options)
    return 1 if told["problems"] else 0


def gc(options: argparse.Namespace) -> int:
    """``mlwright gc``."""
    from mlwright.lifecycle.upkeep import gc as verb

    found = verb(dry_run=options.dry_run, store=options.store)
    tree: dict[str, Any] = {"dry_run": options.dry_run, "found": [garbage.to_json() for garbage in found]}
    word = "would remove" if options.dry_run else "removed"
    lines = [f"{word} {garbage.path} ({garbage.size:,} bytes): {garbage.why}" for garbage in found]
    show.plain(options, tree, "\n".join(lines) or "nothing to remove")
    return 0
