"""Parse, call, print, and turn errors into exit codes.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 a check or a gate refused, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mlwright.core.errors import MlwrightError

__all__ = ["main", "parser"]

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong use, 3 a check or a gate refused
start here: mlwright run customers.csv --target churned
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(
        prog="mlwright",
        description="The machine learning engineer as software: from a table to a validated, served and watched model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, help: str, call: str) -> argparse.ArgumentParser:  # noqa: A002 - argparse's own word
        sub = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(call=call)
        sub.add_argument(
            "--json", action="store_true", help="print one JSON object on standard output, nothing else"
        )
        sub.add_argument("--store", metavar="DIR", help="the store; by default the nearest .mlwright upwards")
        return sub

    run = command("run", "train, validate, package and register a model", "run")
    run.add_argument("source", help="a project's folder, a data file or glob, or a database URL")
    run.add_argument("--target", metavar="COLUMN", help="the column to predict")
    run.add_argument("--budget", metavar="TIME", help="wall clock for all of it: 60s, 10m, 1h (default 60s)")
    run.add_argument("--name", help="the model's name in the registry")
    run.add_argument("--metric", help="what decides, such as roc_auc, log_loss, rmse")
    run.add_argument("--kind", help="binary, multiclass or regression, where the target does not say it")
    run.add_argument("--split", help="auto, random, stratified, group:COLUMN or time:COLUMN")
    run.add_argument(
        "--holdout", type=float, help="share of rows that no search sees (default 0.2; 0 keeps none)"
    )
    run.add_argument("--test", metavar="SOURCE", help="your own test rows")
    run.add_argument("--seed", type=int, help="for all that is drawn (default 0)")
    run.add_argument("--query", help="for a database: a table or a SELECT")
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
    run.add_argument(
        "--ban", metavar="COLUMN", action="append", help="a column that must not be there; repeatable"
    )

    serve = command("serve", "answer over HTTP", "serve")
    serve.add_argument(
        "model", help="a registered model (churn, churn@challenger, churn/3) or a bundle's path"
    )
    serve.add_argument("--host", help="address to bind (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port (default 8000; 0 takes a free one)")
    serve.add_argument("--no-log", action="store_true", help="do not log predictions")

    predict = command("predict", "predict a file of any size", "predict")
    predict.add_argument("model", help="a registered model or a bundle's path")
    predict.add_argument("input", help="a data file, glob or database URL")
    predict.add_argument("-o", "--output", required=True, help="a .csv, .tsv, .jsonl or .parquet file")
    predict.add_argument("--query", help="for a database: a table or a SELECT")

    verify = command("verify", "prove a bundle again", "verify")
    verify.add_argument("path", help="a bundle's directory")

    retrain = command("retrain", "train a challenger and promote it only if it is better", "retrain")
    retrain.add_argument("model", help="a registered model, or a project's folder")
    retrain.add_argument("source", nargs="?", help="the new table; by default the same source again")
    retrain.add_argument("--budget", metavar="TIME", help="wall clock (default: the project's)")

    promote = command("promote", "let a version serve, if it holds against the champion", "promote")
    promote.add_argument("model", help="a registered model")
    promote.add_argument("version", nargs="?", type=int, help="by default the challenger")
    promote.add_argument("--force", action="store_true", help="do not ask the gate")

    rollback = command("rollback", "let the version serve again that served before", "rollback")
    rollback.add_argument("model", help="a registered model")

    reproduce = command(
        "reproduce", "replay a run from its snapshot and compare the bundle's hash", "reproduce"
    )
    reproduce.add_argument("run", help="a run's id (or its beginning), or a model's version such as churn/3")

    runs = command("runs", "list past runs", "runs")
    runs.add_argument("model", nargs="?", help="only of this model")
    command("models", "list registered models and who serves", "models")

    report = command("report", "say where a model's report is", "report")
    report.add_argument("model", help="a registered model or a bundle's path")
    report.add_argument("--open", action="store_true", help="open it in the browser")

    init = command("init", "write a commented mlwright.toml", "init")
    init.add_argument("folder", nargs="?", default=".", help="where (default: here)")
    init.add_argument("--source", default="data.csv", help="the data")
    init.add_argument("--target", default="target", help="the column to predict")

    command("doctor", "show versions, cores, memory, disk and store", "doctor")
    gc = command("gc", "remove what nothing points to", "gc")
    gc.add_argument("--dry-run", action="store_true", help="only list it")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    grammar = parser()
    options = grammar.parse_args(given)
    if options.version:
        from mlwright import __version__

        print(f"mlwright {__version__}")  # noqa: T201 - this is what a command line does
        return 0
    if not options.command:
        grammar.print_help()
        return 2
    try:
        return _call(options)
    except KeyboardInterrupt:
        _complain(
            options,
            "interrupted. Next: the same command goes on from the finished trials",
            "Interrupted",
            130,
        )
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MlwrightError as error:
        _complain(options, str(error), type(error).__name__, error.exit_code, getattr(error, "details", {}))
        return error.exit_code
    except MemoryError:
        _complain(
            options, "out of memory. Next: take a sample of the rows, or a larger machine", "MemoryError", 1
        )
        return 1
    except Exception as error:
        if os.environ.get("MLWRIGHT_DEBUG"):
            raise
        text = f"internal error: {type(error).__name__}: {error}. Next: set MLWRIGHT_DEBUG=1 to see where, and report it"
        _complain(options, text, "InternalError", 1)
        return 1


def _call(options: argparse.Namespace) -> int:
    from mlwright.cli import commands

    function: Callable[[argparse.Namespace], int] = getattr(commands, options.call)
    return function(options)


def _complain(
    options: argparse.Namespace, text: str, kind: str, code: int, details: dict[str, Any] | None = None
) -> None:
    if getattr(options, "json", False):
        tree = {"error": {"type": kind, "message": text}, "exit_code": code, **(details or {})}
        sys.stdout.write(json.dumps(tree, ensure_ascii=False, default=str) + "\n")
    sys.stderr.write(f"mlwright: {text}\n")
