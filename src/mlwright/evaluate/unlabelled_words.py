"""Words: what reports about anomalies and clusters say, for the page and for the card alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlwright.data.findings import Severity
from mlwright.evaluate.unlabelled import Anomalies, Clusters, UnlabelledContext
from mlwright.evaluate.words import Voice, capital, metric_title, number, percent

__all__ = ["answer", "cautions", "headline", "label_lines", "map_words", "reason", "stability_words"]

_STEADY, _SHAKY = 0.8, 0.5


def headline(context: UnlabelledContext, voice: Voice) -> str:
    """Return what the model does."""
    if isinstance(context.about, Anomalies):
        return f"Says how unusual a row of {voice.name(context.name)} is"
    return f"Says which rows of {voice.name(context.name)} belong together"


def answer(context: UnlabelledContext, voice: Voice) -> str:
    """Return the most important thing in one or two sentences."""
    about = context.about
    if isinstance(about, Anomalies):
        cut = voice.strong(percent(about.threshold))
        lines = (
            f"A row is called an anomaly if it is more unusual than {cut} of the rows that the model learned from. "
            f"That is so for {voice.strong(f'{about.n_flagged:,}')} of {about.n_scored:,} rows of the table."
        )
        if about.columns:
            first = [voice.name(name) for name, _ in about.columns[:3]]
            lines += f" What sets them apart is mostly {_listed(first)}."
        return lines
    if not about.found:
        return (
            f"{voice.strong('No groups were found')} that would show again in other rows of the same kind. "
            f"The {len(about.clusters)} parts below are a way to cut the table, not groups that are there."
        )
    n = len(about.clusters)
    largest, smallest = about.clusters[0], about.clusters[-1]
    return (
        f"The rows fall into {voice.strong(f'{n} groups')}; the largest holds {percent(largest.share)} of the rows and "
        f"the smallest {percent(smallest.share)}."
    )


def stability_words(context: UnlabelledContext, voice: Voice) -> str:
    """Return how far the answer can be relied on."""
    score = context.stability
    if math.isnan(score.low):
        return f"There are too few rows ({context.n_judged:,}) to see whether other rows would give the same answer."
    level = "steady" if score.low >= _STEADY else "fairly steady" if score.low >= _SHAKY else "shaky"
    what = "rank" if isinstance(context.about, Anomalies) else "group"
    return (
        f"The answer is {voice.strong(level)}: two models, each fitted on one half of the rows, {what} "
        f"{context.n_judged:,} other rows alike to {voice.strong(number(score.estimate, 2))} "
        f"({number(score.low, 2)} to {number(score.high, 2)}), where 1 is the same and 0 is no more than chance."
    )


def label_lines(context: UnlabelledContext, voice: Voice) -> list[str]:
    """Return what comparing with a known label gave, empty if there was none."""
    about = context.about
    if isinstance(about, Clusters):
        found = about.label_agreement
        if found is None:
            return []
        return [
            (
                f"The groups agree with {voice.name(about.label)} to {voice.strong(number(found.estimate, 2))} "
                f"({number(found.low, 2)} to {number(found.high, 2)}; adjusted Rand index, 1 is the same grouping, 0 is "
                "chance). It was not used to find them."
            )
        ]
    lines = []
    for name, score in about.scores.items():
        chance = 0.5 if name == "roc_auc" else about.label_share
        lines.append(
            f"{capital(metric_title(name))} of the score against {voice.name(f'{about.label} = {about.label_value}')}: "
            f"{voice.strong(number(score.estimate))} ({number(score.low)} to {number(score.high)}; "
            f"{number(chance)} is chance). The label was not used to fit."
        )
    return lines


def cautions(context: UnlabelledContext, voice: Voice) -> list[tuple[Severity, str]]:
    """Return where to be careful, the worst first."""
    found = [(f.severity, voice.text(f.what)) for f in context.findings if f.severity is not Severity.INFO]
    about = context.about
    if math.isnan(context.stability.low) or context.stability.low < _SHAKY:
        found.append((Severity.WARN, "The answer changes much with the rows that it is learned from."))
    if isinstance(about, Anomalies):
        expected = 1.0 - about.threshold
        if about.unseen is not None and about.unseen.low > 2 * expected:
            found.append(
                (
                    Severity.WARN,
                    (
                        f"Of the rows kept aside {percent(about.unseen.share)} are called anomalies, where "
                        f"{percent(expected)} are expected: they are unlike the rows that the model learned from."
                    ),
                )
            )
        for name, score in about.scores.items():
            if name == "roc_auc" and score.low <= 0.5:
                found.append(
                    (
                        Severity.WARN,
                        (
                            f"The score says nothing that is certain about {voice.name(about.label)}: unusual is not the same "
                            f"as {voice.name(about.label_value)}."
                        ),
                    )
                )
        found.append((Severity.INFO, "Unusual is not wrong: a row may be rare and right."))
    else:
        if not about.found:
            found.insert(0, (Severity.WARN, voice.text(about.why)))
        found.append((Severity.INFO, "Groups depend on the columns that are given and on their scale."))
    return found


def reason(told: Mapping[str, Any], voice: Voice) -> str:
    """Return one reason of an unusual row."""
    got = told["got"]
    shown = "" if got is None else f" {voice.text(_value(got))}"
    return f"{voice.name(told['column'])}{shown}: {voice.text(told['says'])}"


def _value(got: Any) -> str:
    text = number(got, 4) if isinstance(got, float) else str(got)
    return text if len(text) <= 40 else text[:37] + "..."


def map_words(context: UnlabelledContext) -> str:
    """Return what the map shows and what it does not."""
    shares = context.map.shares
    sides = [
        f"{way} by {_listed(list(names))}"
        for way, names in zip(
            ("left to right mostly", "up and down mostly"), context.map.leading, strict=False
        )
        if names
    ]
    return (
        f"Each dot is a row. The map is a principal component analysis (PCA) of all columns: {'; '.join(sides)}. It "
        f"shows {percent(sum(shares))} of the spread, so rows that lie together here may be far apart in other columns."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"
