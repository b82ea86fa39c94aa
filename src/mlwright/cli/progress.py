"""Progress: a live display on a terminal, plain lines where the output is piped, nothing where a program reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlwright.core.events import Event, Listener, silent

__all__ = ["progress"]


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
    elif sys.stderr.isatty():
        with _live(budget) as listener:
            yield listener
    else:
        yield _line


def _line(event: Event) -> None:
    if event.kind == "progress":
        return
    mark = {"step": "==", "finding": f"!! {event.data.get('severity', '')}:"}.get(event.kind, "  ")
    sys.stderr.write(f"{mark} {event.message}\n")
    sys.stderr.flush()


@contextmanager
def _live(budget: float | None) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("" if budget is None else f"of {budget:g} s"),
        console=console,
        transient=True,
    )
    with bar:
        work = bar.add_task("starting", total=None, told="")

        def listen(event: Event) -> None:
            if event.kind == "step":
                bar.update(work, description=event.message)
            elif event.kind == "trial":
                bar.update(
                    work, completed=event.data["number"] + 1, total=event.data["of"], told=_told(event.data)
                )
            elif event.kind == "progress":
                bar.update(work, description=event.message)
            else:
                style = {"stop": "bold red", "warn": "yellow"}.get(str(event.data.get("severity")), "dim")
                console.print(event.message, style=style, highlight=False, markup=False)

        yield listen


def _told(data: dict[str, Any]) -> str:
    left = f", {max(0.0, data['left']):.0f} s left" if data["left"] < 1e6 else ""
    return f"trial {data['number'] + 1} of {data['of']}, best {data['best']:.5g}{left}"
