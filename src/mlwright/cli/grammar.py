"""The command line's grammar: commands, flags, and what is said where a word does not fit it.

Imports nothing but the standard library's parser, so that help comes at once.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mlwright.core.errors import UsageError

__all__ = ["Grammar", "parse", "parser"]

_EPILOG = """\
exit codes:
  0    done
  1    failed
  2    wrong use: a flag, a name, a path or a key of the project
  3    a check or a gate refused; with --json the object says why
  130  interrupted by Ctrl+C; the same command goes on where it stopped

start here: mlwright run customers.csv --target churned
"""
_MEANT = {"train": "run", "fit": "run", "deploy": "serve", "list": "models"}


class _Aligned(argparse.RawDescriptionHelpFormatter):
    """Help with names and what they mean in two columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)


class Grammar(argparse.ArgumentParser):
    """A parser that raises `UsageError` where argparse would print and exit, and knows its own flags."""

    def __init__(self, **options: Any) -> None:
        self.flags: list[str] = []
        self.commands: dict[str, Grammar] = {}
        super().__init__(**options, allow_abbrev=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument as argparse does, and remember its flags."""
        self.flags += [name for name in names if name.startswith("-")]
        return super().add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        raise UsageError(message.removeprefix("argument "), fix=f"see `{self.prog} --help`")


def parser() -> Grammar:
    """Return the command line's grammar."""
    top = Grammar(
        prog="mlwright",
        description="The machine learning engineer as software: from a table to a validated, served and watched model.",
        epilog=_EPILOG,
        formatter_class=_Aligned,
    )
    top.add_argument(
        "-V", "--version", action="store_true", dest="tell_version", help="print the version and exit"
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, help: str, example: str) -> Grammar:  # noqa: A002 - argparse's own word
        sub: Grammar = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=f"example: {example}",
            formatter_class=_Aligned,
        )
        sub.set_defaults(call=name)
        sub.add_argument(
            "--json", action="store_true", help="print one JSON object on standard output, nothing else"
        )
        sub.add_argument("--store", metavar="DIR", help="the store; by default the nearest .mlwright upwards")
        top.commands[name] = sub
        return sub

    _training(command)
    _serving(command)
    _keeping(command)
    return top


def _training(command: Any) -> None:
    run = command(
        "run",
        "train, validate, package and register a model",
        "mlwright run customers.csv --target churned --budget 5m",
    )
    run.add_argument(
        "source",
        nargs="?",
        help="a data file or glob, a database URL, or a project's folder (default: the project here)",
    )
    run.add_argument("--target", metavar="COLUMN", help="the column to predict")
    run.add_argument("--budget", metavar="TIME", help="wall clock for all of it: 60s, 10m, 1h (default 60s)")
    run.add_argument(
        "--trials",
        metavar="NUMBER",
        type=int,
        help="try at most so many configurations (default: what the budget holds)",
    )
    run.add_argument("--name", help="the model's name in the registry")
    run.add_argument("--metric", help="what decides, such as roc_auc, log_loss, rmse")
    run.add_argument(
        "--kind",
        "--task",
        metavar="KIND",
        help="binary, multiclass or regression, where the target does not say it; anomaly or cluster need no target",
    )
    run.add_argument(
        "--contamination",
        metavar="SHARE",
        type=float,
        help="anomaly: the share of rows to call anomalies (default 0.01)",
    )
    run.add_argument(
        "--split",
        help="auto, shuffled, random, stratified, group:COLUMN, time:COLUMN or 'time:COLUMN gap 7d'",
    )
    run.add_argument(
        "--holdout",
        metavar="SHARE",
        type=float,
        help="share of rows that no search sees (default 0.2; 0 keeps none)",
    )
    run.add_argument("--test", metavar="SOURCE", help="your own test rows")
    run.add_argument("--seed", metavar="NUMBER", type=int, help="for all that is drawn (default 0)")
    run.add_argument("--query", help="for a database: a table or a SELECT")
    run.add_argument("--quantile", metavar="SHARE", type=float, help="predict this quantile, such as 0.9")
    run.add_argument("--weight", metavar="COLUMN", help="the column that says how much a row counts")
    run.add_argument(
        "--exposure", metavar="COLUMN", help="predict the target for one unit of this column: a rate"
    )
    run.add_argument(
        "--false-positive", metavar="COST", type=float, help="what a false alarm costs (two classes)"
    )
    run.add_argument("--false-negative", metavar="COST", type=float, help="what a miss costs (two classes)")
    run.add_argument(
        "--capacity", metavar="SHARE", help='how many may be called: "2 %%" or "200 of 10000" (two classes)'
    )
    run.add_argument("--time", metavar="COLUMN", help="the column that orders the rows")
    run.add_argument("--group", metavar="COLUMN", help="rows of one group stay on one side of the split")
    run.add_argument(
        "--ignore", metavar="COLUMN", action="append", help="a column that no model may see; repeatable"
    )
    run.add_argument(
        "--accept",
        metavar="CODE",
        action="append",
        help="a finding to accept, such as leak:duration; repeatable",
    )
    run.add_argument("--contract", metavar="FILE", help="the data contract to hold the table against")
    run.add_argument(
        "--ban", metavar="COLUMN", action="append", help="a column that must not be there; repeatable"
    )
    run.add_argument(
        "--fairness",
        metavar="COLUMN",
        action="append",
        help="compare what the model does to the groups of a column, such as sex; repeatable",
    )


def _serving(command: Any) -> None:
    serve = command("serve", "answer over HTTP", "mlwright serve churn --port 8000")
    serve.add_argument(
        "model", help="a registered model (churn, churn@challenger, churn/3) or a bundle's path"
    )
    serve.add_argument(
        "--as",
        metavar="NAME",
        dest="known_as",
        help="what answers call the bundle at a path: NAME or NAME/VERSION",
    )
    serve.add_argument("--host", help="address to bind (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port (default 8000; 0 takes a free one)")
    serve.add_argument("--no-log", action="store_true", help="do not log predictions")
    serve.add_argument(
        "--workers", metavar="NUMBER", type=int, default=1, help="processes that share the port (default 1)"
    )
    serve.add_argument("--auth", action="store_true", help="demand a bearer token on 127.0.0.1 too")
    serve.add_argument("--ssl-certfile", metavar="FILE", help="PEM certificate: answer over TLS")
    serve.add_argument("--ssl-keyfile", metavar="FILE", help="its key, where it is not in the same file")
    serve.add_argument(
        "--ssl-ca-certs", metavar="FILE", help="PEM authorities whose certificates clients must show"
    )
    stop = command("stop", "let a model's fallback answer instead of it", "mlwright stop churn")
    stop.add_argument("model", help="a registered model's name")
    start = command("start", "let a model that was stopped answer again", "mlwright start churn")
    start.add_argument("model", help="a registered model's name")

    export = command(
        "export",
        "write what serves a model in a container or a cluster, or its technical documentation",
        "mlwright export docker churn",
    )
    export.add_argument(
        "target",
        help="docker (Dockerfile, compose file, bundle), k8s (manifests) or annex-iv (the EU AI Act's documentation)",
    )
    export.add_argument("model", help="a registered model or a bundle's path")
    export.add_argument("-o", "--output", metavar="DIR", help="where to (default: MODEL-TARGET)")
    export.add_argument("--image", help="the image's name (default mlwright-MODEL:VERSION)")
    export.add_argument("--force", action="store_true", help="replace files that are there")

    predict = command(
        "predict", "predict a file of any size", "mlwright predict churn new.csv -o predictions.csv"
    )
    predict.add_argument("model", help="a registered model or a bundle's path")
    predict.add_argument("input", help="a data file, glob or database URL")
    predict.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="where to: a .csv, .tsv, .jsonl or .parquet file",
    )
    predict.add_argument("--query", help="for a database: a table or a SELECT")
    predict.add_argument(
        "--interval",
        action="store_true",
        help="add how far each prediction may be off, or which classes it may be",
    )

    explain = command(
        "explain",
        "show what moves one prediction, and what would change it",
        "mlwright explain churn record.json",
    )
    explain.add_argument("model", help="a registered model or a bundle's path")
    explain.add_argument("record", help="a JSON file that holds one record, a field each feature")
    explain.add_argument(
        "--set",
        metavar="COLUMN=VALUE",
        action="append",
        dest="changes",
        help="show the answer with this value beside the old one; repeatable",
    )
    explain.add_argument(
        "--counterfactual",
        action="store_true",
        help="look for the smallest changes that change the decision",
    )
    explain.add_argument(
        "--keep", metavar="COLUMN", action="append", help="a column that --counterfactual leaves; repeatable"
    )
    explain.add_argument(
        "--goal", metavar="VALUE", help="the class, or the number, that --counterfactual is to reach"
    )

    trace = command(
        "trace",
        "show how one logged prediction came about",
        "mlwright trace 019ab1c22f8f7d3a9c0e5b6f4a1d2e3c",
    )
    trace.add_argument("prediction_id", help="the prediction_id that the answer carried")

    verify = command("verify", "prove a bundle again", "mlwright verify path/to/bundle")
    verify.add_argument("path", help="a bundle's directory")


def _keeping(command: Any) -> None:
    retrain = command(
        "retrain",
        "train a challenger and promote it only if it is better",
        "mlwright retrain churn new.csv --budget 5m",
    )
    retrain.add_argument("model", help="a registered model, or a project's folder")
    retrain.add_argument("source", nargs="?", help="the new table; by default the same source again")
    retrain.add_argument("--budget", metavar="TIME", help="wall clock (default: the project's)")

    promote = command(
        "promote",
        "let a version serve, if it holds against the champion",
        "mlwright promote churn 3",
    )
    promote.add_argument("model", help="a registered model")
    promote.add_argument("version", nargs="?", type=int, help="its number; by default the challenger's")
    promote.add_argument("--force", action="store_true", help="do not ask the gate")

    rollback = command(
        "rollback", "let the version serve again that served before", "mlwright rollback churn"
    )
    rollback.add_argument("model", help="a registered model")

    reproduce = command(
        "reproduce",
        "replay a run from its snapshot and compare the bundle's hash",
        "mlwright reproduce churn/3",
    )
    reproduce.add_argument("run", help="a run's id (or its beginning), or a model's version such as churn/3")

    runs = command("runs", "list past runs", "mlwright runs churn")
    runs.add_argument("model", nargs="?", help="only of this model")
    command("models", "list registered models and who serves", "mlwright models")

    report = command(
        "report", "say where a model's report is, or compare two runs", "mlwright report churn --open"
    )
    report.add_argument("model", help="a registered model or a bundle's path; with --compare also a run")
    report.add_argument(
        "--compare", metavar="RUN", help="write a report of it beside this run, model or version"
    )
    report.add_argument("-o", "--output", metavar="FILE", help="where that goes (default: into the store)")
    report.add_argument("--open", action="store_true", help="open it in the browser")

    score = command(
        "score", "run the 28 tests of the ML Test Score on a model", "mlwright score churn --json"
    )
    score.add_argument("model", help="a registered model (churn, churn@challenger, churn/3)")
    score.add_argument(
        "--quick", action="store_true", help="leave out what trains something; it counts nothing then"
    )

    contract = command(
        "contract", "write what the training data hold as a data contract", "mlwright contract churn"
    )
    contract.add_argument(
        "source",
        nargs="?",
        default=".",
        help="a registered model, a run, a data file, a project's folder (default: the project here), or a contract.toml",
    )
    contract.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: contract.toml beside mlwright.toml, else here)",
    )
    contract.add_argument(
        "--format",
        metavar="FORMAT",
        default="toml",
        help="toml (default) or json-schema, the JSON Schema of a record",
    )
    contract.add_argument("--target", metavar="COLUMN", help="for a data file: the column to predict")
    contract.add_argument("--force", action="store_true", help="replace a file that is there")

    init = command(
        "init",
        "write a commented mlwright.toml",
        "mlwright init shop --source customers.csv --target churned",
    )
    init.add_argument("folder", nargs="?", default=".", help="where (default: here)")
    init.add_argument("--source", default="data.csv", help="the data (default data.csv)")
    init.add_argument(
        "--target", metavar="COLUMN", default="target", help="the column to predict (default target)"
    )

    command("doctor", "show versions, cores, memory, disk and store", "mlwright doctor")
    gc = command("gc", "remove what nothing points to", "mlwright gc --dry-run")
    gc.add_argument("--dry-run", action="store_true", help="only list it")


def parse(arguments: Sequence[str]) -> tuple[Grammar, argparse.Namespace]:
    """Return the grammar and what `arguments` say by it.

    Raises
    ------
    UsageError
        At the first word that does not fit, with the nearest that would.
    """
    top = parser()
    words = _joined(arguments)
    for word in words:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise UsageError("a word of the command is not valid UTF-8", got=word, fix="rename it")
    name = next((word for word in words if not word.startswith("-")), None)
    if name is not None and name not in top.commands:
        raise _unknown_command(name, list(top.commands))
    chosen = top if name is None else top.commands[name]
    known = {*top.flags, *chosen.flags}
    for word in words:
        if word == "--":
            break
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            raise _unknown_flag(flag, chosen)
    options, rest = top.parse_known_args(words)
    if rest:
        raise UsageError(
            f"`{chosen.prog}` does not know what to do with this",
            got=rest[0],
            fix=f"see `{chosen.prog} --help`",
        )
    return top, options


def _joined(arguments: Sequence[str]) -> list[str]:
    """Return the words, a negative value joined to its flag: argparse takes ``-5s`` for a flag."""
    words: list[str] = []
    for word in arguments:
        if (
            words
            and re.match(r"-\.?\d", word)
            and re.fullmatch(r"--[a-z][a-z-]*", words[-1])
            and "--" not in words
        ):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _unknown_command(name: str, commands: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, commands, n=1, cutoff=0.5)
    fix = f"see `{parser().prog} --help`"
    if name in _MEANT:
        fix = f"did you mean `mlwright {_MEANT[name]}`?"
    elif Path(name).exists() or "." in name or "/" in name:
        fix = f"to train on it: `mlwright run {name} --target COLUMN`"
    elif near:
        fix = f"did you mean `mlwright {near[0]}`?"
    return UsageError("unknown command", got=name, allowed=commands, fix=fix)


def _unknown_flag(flag: str, chosen: Grammar) -> UsageError:
    flags = sorted(known for known in chosen.flags if known.startswith("--"))
    near = difflib.get_close_matches(flag, flags, n=1)
    return UsageError(
        f"`{chosen.prog}` has no flag {flag}",
        allowed=flags,
        fix=f"did you mean {near[0]}?" if near else None,
    )
