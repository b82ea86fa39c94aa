"""What commands print: one JSON object with ``--json``, else a few lines for people."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlwright.lifecycle.run import RunResult

__all__ = ["doctor", "models", "plain", "result", "runs", "serving"]

_MARKS = {"stop": "STOP", "warn": "look", "info": "note"}


def plain(options: argparse.Namespace, tree: Any, text: str) -> None:
    """Print `tree` as JSON or `text` for people."""
    if options.json:
        sys.stdout.write(json.dumps(tree, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def result(made: RunResult, options: argparse.Namespace, store: str) -> None:
    """Print what a run made."""
    if options.json:
        plain(options, made.to_json(), "")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    console.print()
    rows = [("data", f"{made.split['n_train'] + made.split['n_test']:,} rows")]
    rows += [("", note) for note in made.notes]
    rows += [(_MARKS[f["severity"]], f["what"]) for f in made.findings] or [("found", "nothing odd")]
    rows += [
        (
            "split",
            f"{made.split['reason']} ({made.split['n_train']:,} to train, {made.split['n_test']:,} to test)",
        )
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in rows:
        grid.add_row(name, Text(words))
    console.print(grid)

    from mlwright.metrics import get

    metric = get(made.metric)
    way = "more is better" if metric.greater_is_better else "less is better"
    where = "rows that no search saw" if made.basis == "test" else "folds"
    scores = Table(
        title=f"{metric.title} on {where} ({way}), 95 % interval",
        title_justify="left",
        box=None,
        padding=(0, 2),
    )
    for heading in ("", "score", "from", "to"):
        scores.add_column(heading, justify="left" if not heading else "right")
    scores.add_row(made.model, *map(_number, (made.test_score, *made.test_interval)), style="bold green")
    names = {"dummy": "always the same answer", "linear": "linear model"}
    for name, baseline in made.baselines.items():
        scores.add_row(names.get(name, name), *map(_number, (baseline["score"], *baseline["interval"])))
    console.print()
    console.print(scores)
    console.print()
    proof = f"{made.proven_rows:,} rows gave the same features and predictions in training, batch and serving"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("proven", Text(proof))
    grid.add_row(
        "model",
        Text(
            f"{made.model} version {made.version}, {made.alias}; {made.trials} trials in {made.seconds:.0f} s"
        ),
    )
    grid.add_row("gate", Text(made.gate["reason"]))
    grid.add_row("report", Text(_short(made.report)))
    grid.add_row("next", Text(f"mlwright serve {_selector(made)}{store}"))
    grid.add_row("", Text(f"mlwright predict {_selector(made)} NEW.csv -o predictions.csv{store}"))
    console.print(grid)


def _selector(made: RunResult) -> str:
    return made.model if made.alias == "champion" else f"{made.model}@{made.alias}"


def _short(path: Path) -> str:
    """Return the path as one would type it from here."""
    try:
        return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    except OSError:
        return str(path)


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def serving(address: str, name: str, version: str, as_json: bool) -> None:  # noqa: FBT001 - the command's own flag
    """Say that a server answers."""
    if as_json:
        sys.stdout.write(json.dumps({"address": address, "model": name, "version": version}) + "\n")
    else:
        sys.stdout.write(
            f"{name} version {version} answers on {address}\n"
            f"  docs     {address}/docs\n"
            f"  predict  POST {address}/predict\n"
            "  stop     Ctrl+C\n"
        )
    sys.stdout.flush()


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [headings, *rows]
    )


def _when(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def runs(found: Sequence[Any], options: argparse.Namespace) -> None:
    """Print past runs."""
    rows = [
        [
            run.run_id,
            run.experiment,
            run.status,
            _when(run.started),
            ", ".join(
                f"{k} {_number(v)}"
                for k, v in sorted(run.metrics.items())
                if k.startswith("test_") and not k.endswith(("_low", "_high"))
            ),
        ]
        for run in found
    ]
    plain(
        options, [_tree(run) for run in found], _table(["run", "model", "status", "started", "score"], rows)
    )


def models(found: Sequence[Any], options: argparse.Namespace) -> None:
    """Print registered models."""
    rows = [
        [
            model.name,
            str(version.version),
            ", ".join(version.aliases) or "-",
            version.run_id[:12],
            _when(version.created),
        ]
        for model in found
        for version in model.versions
    ]
    plain(
        options,
        [_tree(model) for model in found],
        _table(["model", "version", "alias", "run", "registered"], rows),
    )


def _tree(thing: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(thing, enc_hook=str)


def doctor(told: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the doctor's findings."""
    lines = [
        f"{key:<14} {value}"
        for key, value in told.items()
        if key not in ("packages", "problems") and value is not None
    ]
    lines += [f"{name:<14} {version or 'not installed'}" for name, version in told["packages"].items()]
    lines += [f"problem        {problem}" for problem in told["problems"]] or ["all is well"]
    plain(options, told, "\n".join(lines))
