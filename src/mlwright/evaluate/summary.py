"""Summary: the first screen of a report in sentences, for the page, the card, the terminal and ``--json`` alike."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Any

from mlwright.data.findings import Severity
from mlwright.data.schema import TaskKind
from mlwright.evaluate.cautions import cautions
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.drivers import drivers
from mlwright.evaluate.known_groups_gain import KnownGroupsGain
from mlwright.evaluate.nouns import rows_called
from mlwright.evaluate.words import PLAIN, Voice, comparison, headline, lead, verdict

__all__ = ["Step", "Summary", "figures", "summary"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next: a sentence, and the command for it or ""."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The first screen.

    Parameters
    ----------
    headline, lead : str
        What is predicted, and how good it is.
    against : tuple of (str, str)
        For each simple model ``better``, ``worse`` or ``level``, and a sentence.
    drivers : tuple of str
        Which way the answer goes with the columns that matter most.
    cautions : tuple of (Severity, str)
        Where not to trust it, the worst first.
    steps : tuple of Step
        What to do next, the most urgent first.
    """

    headline: str
    lead: str
    against: tuple[tuple[str, str], ...]
    drivers: tuple[str, ...]
    cautions: tuple[tuple[Severity, str], ...]
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "headline": self.headline,
            "lead": self.lead,
            "against": [{"verdict": said, "text": text} for said, text in self.against],
            "drivers": list(self.drivers),
            "cautions": [{"severity": str(severity), "text": text} for severity, text in self.cautions],
            "steps": [{"text": step.text, "command": step.command or None} for step in self.steps],
        }


def summary(context: ReportContext, voice: Voice = PLAIN) -> Summary:
    """Return the first screen of a report in `voice`."""
    rows, known = rows_called(context.schema), context.part(KnownGroupsGain)
    how_good = lead(context.evaluation, voice, rows=rows)
    return Summary(
        headline=headline(context.task, voice),
        lead=how_good if known is None else f"{how_good} {known.sentence(voice)}",
        against=tuple(comparison(context.evaluation, voice, rows=rows)),
        drivers=tuple(drivers(context, voice)),
        cautions=tuple(cautions(context, voice)),
        steps=tuple(_steps(context, voice)),
    )


def _steps(context: ReportContext, voice: Voice) -> list[Step]:
    """Return what to do next: what must be settled first, then how to try it."""
    evaluation, steps = context.evaluation, []
    stops = [finding for finding in context.findings if finding.severity is Severity.STOP]
    for finding in stops[:2]:
        where = voice.name(", ".join(finding.columns[:3])) if finding.columns else "the table"
        steps.append(
            Step(
                f"Settle first what the checks say of {where}: ask whoever keeps the data whether it is known at the moment "
                "of a prediction. If it is not, leave it out and run again."
            )
        )
    dummy = evaluation.baselines.get("dummy")
    if dummy is not None and verdict(dummy.difference) != "better":
        steps.append(
            Step(
                "Do not rely on it yet. Look for columns that say more about "
                f"{voice.name(context.task.target)}, or for more rows, and run again."
            )
        )
    if evaluation.basis != "test":
        steps.append(
            Step("Keep some rows aside and run again, to know how good it is on rows that it never saw.")
        )
    score, gap = (
        evaluation.score,
        None if dummy is None else abs(evaluation.score.estimate - dummy.score.estimate),
    )
    if gap is not None and math.isfinite(score.high - score.low) and score.high - score.low > gap > 0:
        steps.append(Step("Gather more rows: four times as many make the ranges half as wide."))
    if context.next_steps:
        return steps + [Step(voice.text(what), command) for command, what in context.next_steps]
    name = shlex.quote(context.name)
    tried = (
        "Try it beside today\u2019s way on new rows before anybody relies on it, and compare what came true"
        if not steps
        else "Then try it beside today\u2019s way on new rows"
    )
    return [
        *steps,
        Step(f"{tried}.", f"mlwright predict {name} new.csv -o predictions.csv"),
        Step("Ask why it says what it says of one row.", f"mlwright explain {name} record.json"),
        Step("Let it answer requests.", f"mlwright serve {name}"),
        Step(
            f"Write into a copy of {voice.text('card.md')} what only people know: what it is for, and whom a wrong answer hurts."
        ),
    ]


def figures(context: ReportContext) -> dict[str, Any]:
    """Return the shares that the first screen speaks of, by name: ``count``, ``total``, ``low``, ``high`` each."""
    evaluation = context.evaluation
    named = {"flagged": evaluation.flagged, "caught": evaluation.caught, "right": evaluation.right}
    told = {
        name: {"count": part.count, "total": part.total, "low": part.low, "high": part.high}
        for name, part in named.items()
        if part is not None
    }
    found = evaluation.residuals
    if found is not None and context.task.kind is TaskKind.REGRESSION:
        told["half_error"] = {
            "estimate": found.quantiles["0.5"],
            "low": found.half_low,
            "high": found.half_high,
        }
    return told
