"""Quickness: how long a prediction takes, and what was given up for it, as a part of the report."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.markup import escape, section, told

__all__ = ["SECTION", "Quickness"]


@dataclass(frozen=True, slots=True)
class Quickness:
    """What one record took in process while the model was packaged, on the machine that made it.

    Parameters
    ----------
    budget : float
        Microseconds that it may take.
    is_asked : bool
        Whether the project says so; else it is the default.
    measured, first : float
        Microseconds: of the model as it is, and of the blend before anything was given up.
    metric : str
        What scores are of.
    score, first_score : float
        Out of fold, of the two.
    """

    key: ClassVar[str] = "latency"

    budget: float
    is_asked: bool
    measured: float
    first: float
    metric: str
    score: float
    first_score: float

    @property
    def was_thinned(self) -> bool:
        """Whether anything was given up."""
        return self.measured != self.first

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; times in microseconds, a score that is not defined is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def _draw(context: ReportContext) -> str:
    part = context.part(Quickness)
    if part is None:
        return ""

    def time(name: str, value: float) -> str:
        return told(f"parts.latency.{name}", value, f"{value:,.0f} microseconds")

    whose = "you allow" if part.is_asked else "mlwright allows by default"
    says = [
        (
            f"One record took {time('measured', part.measured)} in process, the median over different records, "
            f"on the machine that made the model; {whose} {time('budget', part.budget)}."
        )
    ]
    if part.was_thinned:
        paid = ""
        if math.isfinite(part.score) and math.isfinite(part.first_score):
            before = told("parts.latency.first_score", part.first_score, f"{part.first_score:.4g}")
            after = told("parts.latency.score", part.score, f"{part.score:.4g}")
            paid = f" On the training rows, out of fold, {escape(part.metric)} went from {before} to {after}."
        says.append(
            f"The blend that the search had chosen took {time('first', part.first)}, so it was thinned.{paid}"
        )
    if part.measured > part.budget:
        says.append(
            "No quicker blend was found among what was tried; more trials, or simpler columns, may give one."
            if part.is_asked
            else "Set <code>latency</code> under <code>[task]</code> to have it held."
        )
    return section("quickness", "How quick it is", *(f"<p>{text}</p>" for text in says))


SECTION = Section("quickness", "How quick it is", _draw)
