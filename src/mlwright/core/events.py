"""What a long piece of work says while it goes on; whoever calls it decides how to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Event", "Listener", "silent"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Parameters
    ----------
    kind : {"step", "note", "finding", "trial", "progress"}
        A new step began, something worth a line, a finding, a trial ended, more rows are done.
    message : str
        One line for people.
    data : dict
        The same for programs: a trial's number, score, best score so far and seconds left.
    """

    kind: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


Listener: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Show nothing."""
