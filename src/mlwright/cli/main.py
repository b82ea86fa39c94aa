"""Parse, call, print, and turn errors into exit codes.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 a check or a gate refused, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

from mlwright.cli.grammar import parse, parser
from mlwright.cli.interrupt import interruptible
from mlwright.cli.paint import Paint, printable, say_anything, wrapped
from mlwright.core.clock import process_seconds
from mlwright.core.errors import MlwrightError

__all__ = ["main", "parser"]

_INTERRUPTED = "interrupted"
_GOES_ON = "the same command goes on from the finished trials"
_RESUMED = ("run", "retrain")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``mlwright``; by default the process's own.

    Examples
    --------
    >>> main(["--version"])
    mlwright 0.1.0
    0
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in given
    say_anything(sys.stdout)
    say_anything(sys.stderr)
    try:
        grammar, options = parse(given)
        if options.tell_version:
            from mlwright import __version__

            print(f"mlwright {__version__}")  # noqa: T201 - this is what a command line does
            return 0
        if not options.command:
            grammar.print_help()
            return 2
        return _call(options, own=arguments is None)
    except KeyboardInterrupt:
        fix = _GOES_ON if given[:1] and given[0] in _RESUMED else None
        code = _complain(as_json, _INTERRUPTED, "Interrupted", 130, fix=fix)
        return code if arguments is not None else _leave(code)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MlwrightError as error:
        kind, details = type(error).__name__, getattr(error, "details", {})
        text = str(error).removesuffix(f". Next: {error.fix}")
        return _complain(as_json, text, kind, error.exit_code, fix=error.fix, details=details)
    except (
        OSError
    ) as error:  # of the machine, not of mlwright: a full disk, a name too long, a missing permission
        if os.environ.get("MLWRIGHT_DEBUG"):
            raise
        where = "" if error.filename is None else f": '{str(error.filename)[:200]}'"
        return _complain(as_json, f"{error.strerror or error}{where}", type(error).__name__, 1)
    except MemoryError:
        fix = "take a sample of the rows, or a larger machine"
        return _complain(as_json, "out of memory", "MemoryError", 1, fix=fix)
    except Exception as error:
        if os.environ.get("MLWRIGHT_DEBUG"):
            raise
        text = f"internal error: {type(error).__name__}: {error}"
        fix = "set MLWRIGHT_DEBUG=1 to see where, and report it"
        return _complain(as_json, text, "InternalError", 1, fix=fix)


def _call(options: argparse.Namespace, *, own: bool) -> int:
    from mlwright.cli import commands

    function: Callable[[argparse.Namespace], int] = getattr(commands, options.call)
    options.began = time.monotonic() - (process_seconds() if own else 0.0)  # a budget counts from there
    if options.call == "serve":  # the server ends by signals of its own accord
        return function(options)
    goes_on = f". Next: {_GOES_ON}" if options.call in _RESUMED else ""
    last_words = f"{_INTERRUPTED}{goes_on}"
    tree = {"error": {"type": "Interrupted", "message": last_words}, "exit_code": 130}
    document = json.dumps(tree) + "\n" if options.json else ""
    with (
        interruptible(f"mlwright: {last_words}", document) if own else nullcontext(),
        warnings.catch_warnings(),
    ):
        if not sys.warnoptions and not os.environ.get("MLWRIGHT_DEBUG"):
            warnings.simplefilter("ignore")  # libraries talk to programmers; what users need are findings
        return function(options)


def _leave(code: int) -> NoReturn:
    """End the process at once, its threads too.

    CPython would end it by the signal and not with a code, if the interrupt came while a library was imported: it
    takes one that has passed through `exec` for unhandled, though it was caught (``_Py_UnhandledKeyboardInterrupt``).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _complain(
    as_json: bool,  # noqa: FBT001 - the command's own flag
    text: str,
    kind: str,
    code: int,
    *,
    fix: str | None = None,
    details: dict[str, Any] | None = None,
) -> int:
    """Say what went wrong: one line, on a terminal wrapped and with the next step on a line of its own."""
    text, fix = " ".join(text.split()), None if fix is None else " ".join(fix.split())
    line = f"{text}. Next: {fix}" if fix else text
    if as_json:
        from mlwright.cli.show import as_line

        tree = {"error": {"type": kind, "message": line}, "exit_code": code, **(details or {})}
        sys.stdout.write(as_line(tree))
        sys.stdout.flush()
    paint = Paint(sys.stderr)
    if not paint.is_terminal:
        sys.stderr.write(f"mlwright: {printable(line)}\n")
        return code
    first, *rest = wrapped(printable(text), paint.width, len("mlwright: "))
    sys.stderr.write(f"{paint('mlwright:', 'bold', 'yellow' if code in (3, 130) else 'red')} {first}\n")
    for more in rest:
        sys.stderr.write(f"          {more}\n")
    if fix:
        first, *rest = wrapped(printable(fix), paint.width, len("mlwright: "))
        sys.stderr.write(f"    {paint('next:', 'bold')} {first}\n")
        for more in rest:
            sys.stderr.write(f"          {more}\n")
    return code
