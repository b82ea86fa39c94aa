"""What commands print: one JSON value with ``--json``, else a few lines for people."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwright.cli.paint import Paint, printable, wrapped
from mlwright.cli.progress import severity_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlwright.lifecycle.result import RunResult

__all__ = ["as_line", "doctor", "models", "plain", "result", "runs", "serving", "stopped", "token"]

_LABEL = 9  # columns of a summary's labels
_MOST_CAREFUL = 3  # warnings that are told; the others stand in the report
_BASELINES = {"dummy": "always the same answer", "linear": "linear model"}
_MOST_SHOWN = {"stop": None, "warn": 6, "info": 4}  # findings by severity
_MOST_ALIKE = 2  # of one check and severity
_STYLES = {"accepted": ("yellow",), "warning": ("yellow",)}


def as_line(tree: Any) -> str:
    """Return `tree` as one line of JSON that standard output can write."""
    ascii_only = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
    return json.dumps(tree, ensure_ascii=ascii_only, default=str) + "\n"


def plain(options: argparse.Namespace, tree: Any, text: str) -> None:
    """Print `tree` as JSON or `text` for people."""
    sys.stdout.write(as_line(tree) if options.json else printable(text) + "\n")
    sys.stdout.flush()


def result(made: RunResult, options: argparse.Namespace, store: str) -> None:
    """Print what a run made: what was found, the split, the score, and where to go from here."""
    if options.json:
        plain(options, made.to_json(), "")
        return
    paint = Paint(sys.stdout)
    lines = ["", *_found(made, paint), *_field("split", _split(made), paint), ""]
    scores = _stability if made.task["kind"] in ("anomaly", "cluster") else _scores
    lines += [*scores(made, paint), ""]
    if made.in_words:
        lines += [*_field("in words", made.in_words["lead"], paint), *_careful(made, paint), ""]
    proof = f"{made.proven_rows:,} rows gave the same features and predictions in training, batch and serving"
    lines += _field("proven", proof, paint)
    gate_style = {True: ("bold", "green"), False: ("bold", "yellow")}.get(made.gate["passed"], ("bold",))
    lines += _field("gate", made.gate["reason"], paint, gate_style)
    told = f"{made.model} version {made.version}, {made.alias} ({made.trials} trials in {made.seconds:.0f} s)"
    lines += _field("model", told, paint)
    lines += [paint(f"{'report':<{_LABEL}}", "bold") + str(_short(made.report)), ""]
    lines += [paint("next", "bold"), *(f"  {command}{store}" for command in _next(made))]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _field(label: str, text: str, paint: Paint, style: tuple[str, ...] = ("bold",)) -> list[str]:
    first, *rest = wrapped(printable(text), paint.width, _LABEL)
    return [paint(f"{label:<{_LABEL}}", *style) + first, *(" " * _LABEL + line for line in rest)]


def _found(made: RunResult, paint: Paint) -> list[str]:
    """Return what reading and the checks saw, each with its severity in a word, the worst first."""
    findings, more = _foremost(made.findings)
    found = [(severity_word(f["severity"], accepted=True), f["what"]) for f in findings]
    found += [("note", note) for note in made.notes]
    lines: list[str] = []
    for word, what in found:
        label = f"{'found' if not lines else '':<{_LABEL}}"
        first, *rest = wrapped(f"{word}: {printable(what)}", paint.width, _LABEL)
        first = paint(word, *_STYLES.get(word, ())) + first[len(word) :]
        lines += [paint(label, "bold") + first, *(" " * (_LABEL + 2) + line for line in rest)]
    if more:
        lines += _field("", f"and {more:,} more finding{'s' * (more != 1)} in the report", paint)
    return lines or _field("found", "nothing odd in the data", paint)


def _foremost(findings: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the findings that a terminal shows, and how many it leaves out: all that stop, the first of the others."""
    shown: list[dict[str, Any]] = []
    for severity, most in _MOST_SHOWN.items():
        counts: dict[str, int] = {}
        kept = []
        for finding in (f for f in findings if f["severity"] == severity):
            counts[finding["check"]] = counts.get(finding["check"], 0) + 1
            if severity == "stop" or counts[finding["check"]] <= _MOST_ALIKE:
                kept.append(finding)
        shown += kept[:most]
    return shown, len(findings) - len(shown)


def _careful(made: RunResult, paint: Paint) -> list[str]:
    """Return what the report warns of beside the findings, which stand further up."""
    found = tuple(finding["what"] for finding in made.findings)
    texts = [said["text"] for said in made.in_words["cautions"] if not said["text"].startswith(found)]
    lines: list[str] = []
    for text in texts[:_MOST_CAREFUL]:
        lines += _field("" if lines else "careful", text, paint, ("bold", "yellow"))
    more = len(texts) - _MOST_CAREFUL
    return [*lines, *(_field("", f"and {more} more in the report", paint) if more > 0 else [])]


def _split(made: RunResult) -> str:
    n_train, n_test = made.split["n_train"], made.split["n_test"]
    kept = f"{n_test:,} kept for the test" if n_test else "none kept for a test"
    claim = made.split.get("random_would_claim")
    said = f" {claim['said']}" if claim else ""
    return f"{made.split['reason']} {n_train:,} rows to train, {kept}.{said}"


def _scores(made: RunResult, paint: Paint) -> list[str]:
    from mlwright.metrics import get

    metric = get(made.metric)
    way = "more is better" if metric.greater_is_better else "less is better"
    where = "rows that no search saw" if made.basis == "test" else "folds that a trial did not see"
    rows = [(made.model, made.test_score, made.test_interval)]
    named = sorted(made.baselines.items(), reverse=True)  # the linear model before the dummy
    rows += [(_BASELINES.get(name, name), told["score"], told["interval"]) for name, told in named]
    shown = _alike([value for _, score, interval in rows for value in (score, *interval)])
    cells = [
        (name, shown[3 * i], f"{shown[3 * i + 1]} to {shown[3 * i + 2]}")
        for i, (name, _, _) in enumerate(rows)
    ]
    head = ("", "score", "95 % interval")
    wide = [max(len(row[i]) for row in (head, *cells)) for i in range(3)]
    lines = [f"{row[0]:<{wide[0]}}  {row[1]:>{wide[1]}}  {row[2]}" for row in (head, *cells)]
    title = wrapped(f"{metric.title[:1].upper()}{metric.title[1:]} on {where}, {way}", paint.width, 0)
    return [
        *(paint(line, "bold") for line in title),
        paint("  " + lines[0], "dim"),
        paint("  " + lines[1], "green"),
        *("  " + line for line in lines[2:]),
    ]


def _stability(made: RunResult, paint: Paint) -> list[str]:
    """Return what was found where there is no target."""
    where = "rows that were kept aside" if made.basis == "test" else "training rows"
    lines = [paint(f"Stability on {where}, 1 is the same answer from two halves of the rows", "bold")]
    shown = _alike([made.test_score, *made.test_interval])
    lines.append(paint(f"  {shown[0]} (95 % interval {shown[1]} to {shown[2]})", "green"))
    return lines + [f"  {line}" for said in made.found for line in wrapped(printable(said), paint.width, 2)]


def _alike(values: Sequence[float]) -> list[str]:
    """Return numbers with as many decimals as give the largest four digits, and none more than three digits need.

    Examples
    --------
    >>> _alike([0.86678, 0.5]), _alike([23456.7, 980.2])
    (['0.8668', '0.5000'], ['23,457', '980'])
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    digits = 3 - math.floor(math.log10(largest)) if largest > 0 else 3
    if digits > 9:  # too small to be written out
        return [f"{value:.3e}" for value in values]
    return [f"{value:,.{max(0, digits)}f}" if math.isfinite(value) else "-" for value in values]


def _next(made: RunResult) -> list[str]:
    """Return the two commands that come next."""
    if made.alias == "champion":
        return [
            f"mlwright serve {made.model}",
            f"mlwright predict {made.model} NEW.csv -o predictions.csv",
        ]
    if made.gate["passed"] is None:
        return [
            f"mlwright promote {made.model}",
            f"mlwright predict {made.model}@{made.alias} NEW.csv -o predictions.csv",
        ]
    return [
        f"mlwright report {made.model}@{made.alias} --open",
        f"mlwright predict {made.model}@{made.alias} NEW.csv -o predictions.csv",
    ]


def _short(path: Path) -> str:
    """Return the path as one would type it from here."""
    shown = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    return shlex.quote(shown)


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def serving(address: str, name: str, version: str, as_json: bool) -> None:  # noqa: FBT001 - the command's own flag
    """Say that a server answers."""
    if as_json:
        sys.stdout.write(as_line({"address": address, "model": name, "version": version}))
    else:
        paint = Paint(sys.stdout)
        sys.stdout.write(
            f"{paint(name, 'bold')} version {version} answers on {address}\n"
            f"  docs     {address}/docs\n"
            f"  predict  POST {address}/predict\n"
            "  stop     Ctrl+C\n"
        )
    sys.stdout.flush()


def token(made: str) -> None:
    """Show a token that was just made: on standard error, because it is no part of the answer."""
    sys.stderr.write(
        f"mlwright: clients need this token; it is shown once, and kept only as a hash\n  {made}\n"
        f'  curl -H "Authorization: Bearer {made}" ...\n'
    )
    sys.stderr.flush()


def stopped() -> None:
    """Leave the line on which the terminal shows ``^C``."""
    if sys.stderr.isatty():
        sys.stderr.write("\nstopped\n")


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
            run.run_id[:12],
            run.experiment,
            run.status.lower(),
            _when(run.started),
            ", ".join(
                f"{k.removeprefix('test_')} {_number(v)}"
                for k, v in sorted(run.metrics.items())
                if k.startswith("test_") and not k.endswith(("_low", "_high"))
            ),
        ]
        for run in found
    ]
    text = _table(["run", "model", "status", "started", "test score"], rows) if rows else "no runs yet"
    plain(options, [_tree(run) for run in found], text)


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
    text = _table(["model", "version", "alias", "run", "registered"], rows) if rows else "no models yet"
    plain(options, [_tree(model) for model in found], text)


def _tree(thing: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(thing, enc_hook=str)


def doctor(told: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the doctor's findings."""
    lines = [
        f"{key.removesuffix('_gib').replace('_', ' '):<14} {value}{' GiB' if key.endswith('_gib') else ''}"
        for key, value in told.items()
        if key not in ("packages", "problems") and value is not None
    ]
    lines += [f"{name:<14} {version or 'not installed'}" for name, version in told["packages"].items()]
    lines += [f"problem        {problem}" for problem in told["problems"]] or ["all is well"]
    plain(options, told, "\n".join(lines))
