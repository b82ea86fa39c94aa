"""What a run says while it goes on: a live line on a terminal, plain lines where somebody else reads."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlwright.cli.paint import Paint, printable, wrapped
from mlwright.core.events import Event, Listener, silent

__all__ = ["progress", "severity_word"]

_WORDS = {"stop": "stop", "warn": "warning", "info": "note"}


def severity_word(severity: str, *, accepted: bool = False) -> str:
    """Return how bad a finding is, in a word.

    Examples
    --------
    >>> severity_word("warn"), severity_word("stop", accepted=True)
    ('warning', 'accepted')
    """
    return "accepted" if accepted and severity == "stop" else _WORDS.get(severity, severity)


@contextmanager
def progress(budget: float | None, *, quiet: bool) -> Iterator[Listener]:
    """Yield a listener that shows events on standard error.

    Parameters
    ----------
    budget : float or None
        Seconds that the work may take; the bar's length.
    quiet : bool
        Show nothing.
    """
    if quiet:
        yield silent
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _live(budget) as listener:
            yield listener
    else:
        yield _lines()


def _lines() -> Listener:
    """Return a listener that writes a line an event, with the seconds since the beginning."""
    start = time.monotonic()

    def listen(event: Event) -> None:
        text = event.message
        if event.kind == "progress":
            return
        if event.kind == "finding":
            word = severity_word(
                str(event.data.get("severity", "")), accepted=bool(event.data.get("accepted"))
            )
            text = f"{word}: {text}"
        elif event.kind == "trial":
            text += f", best so far {event.data['best']:.5g}"
        indent = "" if event.kind == "step" else "  "
        sys.stderr.write(f"{time.monotonic() - start:5.0f} s  {indent}{printable(text)}\n")
        sys.stderr.flush()

    return listen


@contextmanager
def _live(budget: float | None) -> Iterator[Listener]:
    """Show one line that stays: the step, how much of the time is gone, and the best score so far.

    What the summary will tell again is not printed on the way; everything else is, above the line.
    """
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task, TextColumn
    from rich.progress_bar import ProgressBar
    from rich.table import Column
    from rich.text import Text

    paint = Paint(sys.stderr)
    console = Console(stderr=True, highlight=False, no_color=True if not paint.colours else None)
    bar_width = max(8, min(24, console.width - 60))

    class Bar(ProgressColumn):
        """How much of the budget is gone; without one, that something happens."""

        def render(self, task: Task) -> ProgressBar:
            gone = task.elapsed or 0.0
            return ProgressBar(
                total=budget,
                completed=gone if budget is None else min(gone, budget),
                width=bar_width,
                pulse=budget is None,
                complete_style="default",
                finished_style="default",
                pulse_style="default",
            )

    class Told(ProgressColumn):
        """Time left, trials done, best score so far."""

        def render(self, task: Task) -> Text:
            parts = [_clock(task.elapsed or 0.0, budget), task.fields["told"]]
            return Text("  ".join(part for part in parts if part))

    line = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=11)),
        Bar(table_column=Column(no_wrap=True)),
        Told(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )
    with line:
        work = line.add_task("starting", total=None, told="")

        def listen(event: Event) -> None:
            if event.kind == "step":
                line.update(work, description=event.message.partition(":")[0])
            elif event.kind == "trial":
                line.update(work, told=_told(event.data))
            elif event.kind == "progress":
                line.update(work, description="predicting", told=event.message)
            elif event.kind == "note" and "n_train" not in event.data:
                for text in wrapped(printable(event.message), paint.width, 0):
                    console.print(text, markup=False, soft_wrap=True)

        yield listen


def _clock(elapsed: float, budget: float | None) -> str:
    """Return the time that is left, of constant width while it runs down.

    Examples
    --------
    >>> _clock(15.0, 60.0), _clock(15.0, 600.0), _clock(61.0, 60.0), _clock(5.0, None)
    (' 45 s left', ' 9 min 45 s left', 'finishing', '  5 s')
    """
    if budget is None:
        return f"{elapsed:3.0f} s"
    left = budget - elapsed
    if left <= 0:
        return "finishing"
    return f"{left:3.0f} s left" if left < 100 else f"{int(left // 60):2d} min {int(left % 60):02d} s left"


def _told(data: dict[str, Any]) -> str:
    """Return what a trial's event says about the search.

    Examples
    --------
    >>> _told({"number": 4, "best": 0.84376, "metric": "roc_auc"})
    '5 trials, best roc_auc 0.8438'
    """
    count = data["number"] + 1
    metric = f"{data['metric']} " if data.get("metric") else ""
    return f"{count} trial{'' if count == 1 else 's'}, best {metric}{data['best']:.4g}"
