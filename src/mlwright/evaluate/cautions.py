"""Cautions: where to be careful with a model, in plain sentences, for the first screen and the card alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.data.findings import Finding, Severity
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.evaluation import Baseline, Evaluation
from mlwright.evaluate.sections import SECTIONS
from mlwright.evaluate.words import Voice, metric_title, number, verdict

__all__ = ["cautions"]

_MOST_ALIKE, _MOST_NAMED = (
    2,
    5,
)  # findings of one check that are told whole; columns that are named for the others


def cautions(context: ReportContext, voice: Voice) -> list[tuple[Severity, str]]:
    """Return where to be careful, the worst first: findings, what sections warn of, what the figures themselves say."""
    found = [
        item
        for severity in (Severity.STOP, Severity.WARN)
        for item in _told([f for f in context.findings if f.severity is severity], voice)
    ]
    evaluation = context.evaluation
    said = [*_about_rows(evaluation), *_about_score(evaluation), *_about_calibration(evaluation)]
    told = [item for part in SECTIONS if part.cautions is not None for item in part.cautions(context, voice)]
    every = [*found, *told, *((Severity.WARN, text) for text in said)]
    return sorted(every, key=lambda item: list(Severity).index(item[0]), reverse=True)


def _told(findings: Sequence[Finding], voice: Voice) -> Iterator[tuple[Severity, str]]:
    """Yield a text for each finding; many of one check are told by the first, with the columns of the others."""
    for check in dict.fromkeys(finding.check for finding in findings):
        same = [finding for finding in findings if finding.check == check]
        first = same[:1] if len(same) > _MOST_ALIKE else same
        others = dict.fromkeys(name for finding in same[len(first) :] for name in finding.columns)
        for finding in first:
            text = voice.text(f"{finding.what} {finding.advice}{_accepted(finding.severity)}".strip())
            if others:
                named = ", ".join(voice.name(name) for name in list(others)[:_MOST_NAMED])
                more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
                text += f" The same check speaks of {named}{more}."
            yield finding.severity, text


def _accepted(severity: Severity) -> str:
    return " It was accepted, or the run would have stopped." if severity is Severity.STOP else ""


def _about_rows(evaluation: Evaluation) -> list[str]:
    said = []
    if evaluation.basis == "cross-validation":
        said.append(
            "No rows were held out. These figures come from cross-validation on the same rows that the search chose "
            "by, so they lean to the good side."
        )
    if evaluation.n_rows < 200:
        said.append(f"Measured on {evaluation.n_rows:,} rows only: read the ranges, not the single numbers.")
    elif evaluation.confusion is not None:
        fewest = min(part.recall.total for part in evaluation.confusion.classes)
        if fewest < 30:
            said.append(f"The rarest class has {fewest} rows to measure on: its own figures are rough.")
    return said


def _about_score(evaluation: Evaluation) -> list[str]:
    said = []
    dummy, linear = evaluation.baselines.get("dummy"), evaluation.baselines.get("linear")
    if dummy is not None and verdict(dummy.difference) != "better":
        said.append(
            "It is not clearly better than guessing: there may be nothing in these columns to learn from."
        )
    elif linear is not None and _is_shown_no_better(linear):
        said.append(
            "It is not clearly better than the simple linear model, which is easier to explain and to keep."
        )
    score = evaluation.score
    if (
        dummy is not None
        and verdict(dummy.difference) == "better"
        and score.high - score.low > abs(score.estimate - dummy.score.estimate)
    ):
        said.append(
            f"The range of {metric_title(evaluation.metric)} is wide ({number(score.low)} to {number(score.high)}): "
            "more rows would narrow it."
        )
    return said


def _is_shown_no_better(linear: Baseline) -> bool:
    """Return whether it is another model than the linear one, and not clearly better."""
    return verdict(linear.difference) != "better" and not linear.difference.low == linear.difference.high == 0


def _about_calibration(evaluation: Evaluation) -> list[str]:
    residual = evaluation.residuals
    if residual is not None:
        if (
            abs(residual.bias) > 3 * residual.bias_error
            and abs(residual.bias) > 0.1 * residual.quantiles["0.5"]
        ):
            way = "high" if residual.bias > 0 else "low"
            return [f"Predictions are too {way} by {number(abs(residual.bias))} on average."]
        return []
    off = [part for part in evaluation.calibration if not part.low <= part.predicted <= part.high]
    if len(off) >= 3 and len(off) / len(evaluation.calibration) > 0.25:
        groups = f"{len(off)} of {len(evaluation.calibration)} groups of rows"
        return [f"Its probabilities are off in {groups}: use them to put rows in order, not as they stand."]
    return []
