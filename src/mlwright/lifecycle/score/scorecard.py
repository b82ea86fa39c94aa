"""Scorecard: what the 28 tests said, and what that is worth. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwright.lifecycle.score.subject import Subject

__all__ = ["SECTIONS", "Outcome", "Scorecard", "Scored", "State", "Test", "listed"]

SECTIONS = ("data", "model", "infrastructure", "monitoring")
_SHOWN = 4


class State(StrEnum):
    """How a test is done."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    NONE = "none"

    @property
    def points(self) -> float:
        """What it counts: 1 if it runs by itself and passed, 0.5 if in part or by hand, 0 if not."""
        return {"automatic": 1.0, "manual": 0.5, "none": 0.0}[self.value]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one test said.

    Parameters
    ----------
    state : State
        How far it is done.
    evidence : str
        One sentence with the number that shows it, or what is not there.
    source : str
        Where that can be looked up: a file, or a command that shows it again.
    better : str
        What would raise it; empty where nothing is left to raise.
    """

    state: State
    evidence: str
    source: str = ""
    better: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """One of the 28.

    Parameters
    ----------
    section, number : str and int
        Where it stands in the paper: one of `SECTIONS`, and 1 to 7.
    title : str
        What should hold.
    look : callable
        Runs it.
    slow : bool
        Whether it trains something, and is left out where only a quick look is wanted.
    """

    section: str
    number: int
    title: str
    look: Callable[[Subject], Outcome]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """A test and what it said."""

    section: str
    number: int
    title: str
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "section": self.section,
            "number": self.number,
            "title": self.title,
            "state": str(self.outcome.state),
            "points": self.outcome.state.points,
            "evidence": self.outcome.evidence,
            "source": self.outcome.source,
            "better": self.outcome.better,
        }


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All 28 tests of one version.

    Parameters
    ----------
    model, version, run_id, sha256 : str, int, str and str
        What was tested.
    made : str
        When, as ISO 8601 in UTC.
    tests : tuple of Scored
        In the paper's order.
    """

    model: str
    version: int
    run_id: str
    sha256: str
    made: str
    tests: tuple[Scored, ...]

    @property
    def sections(self) -> dict[str, float]:
        """The sum of the points of each section, from 0 to 7."""
        return {
            section: sum(test.outcome.state.points for test in self.tests if test.section == section)
            for section in SECTIONS
        }

    @property
    def score(self) -> float:
        """The least of the four sums: a system is as ready as its weakest part."""
        return min(self.sections.values())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "version": self.version,
            "run_id": self.run_id,
            "sha256": self.sha256,
            "made": self.made,
            "score": self.score,
            "sections": self.sections,
            "tests": [test.to_json() for test in self.tests],
        }


def listed(names: list[str]) -> str:
    """Return some names, and how many more there are.

    Examples
    --------
    >>> listed(["age"]), listed(list("abcdef"))
    ("'age'", "'a', 'b', 'c', 'd' and 2 more")
    """
    more = len(names) - _SHOWN
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
