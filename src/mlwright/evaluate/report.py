"""Report: one self-contained HTML file about one model, for people. It holds no script and loads nothing."""

from __future__ import annotations

from mlwright.data.findings import Severity
from mlwright.data.schema import TaskKind
from mlwright.evaluate import plots
from mlwright.evaluate.card import card
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.figures import Share
from mlwright.evaluate.markup import HTML, escape, figure, page
from mlwright.evaluate.results import importance_plot, score_plot
from mlwright.evaluate.sections import SECTIONS
from mlwright.evaluate.summary import Summary, summary
from mlwright.evaluate.words import (
    PLAIN,
    baseline_name,
    capital,
    headline,
    label,
    metric_meaning,
    metric_title,
    number,
    ranged,
)

__all__ = ["ReportContext", "card", "render"]

_TOP_COLUMNS = 7
_TOP_CAUTIONS = 6


def render(context: ReportContext) -> str:
    """Return the report as one HTML page; equal contexts give equal pages.

    Parameters
    ----------
    context : ReportContext
        What the report tells.
    """
    drawn = [(part.anchor, part.title, part.draw(context)) for part in SECTIONS]
    present = [(anchor, title, text) for anchor, title, text in drawn if text]
    return page(
        f"{context.name}: {headline(context.task, PLAIN)}", _header(context), _summary(context), present
    )


def _header(context: ReportContext) -> str:
    evaluation = context.evaluation
    n_features = len(context.schema.features)
    models = list(dict.fromkeys(str(trial.get("model", "")) for trial in context.members))
    facts = [
        f"{context.n_rows:,} rows",
        f"{n_features:,} columns to learn from",
        f"tested on {evaluation.n_rows:,} rows it never saw"
        if evaluation.basis == "test"
        else "no rows held out: measured by cross-validation",
        *([" + ".join(models)] if models else []),
    ]
    said = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return (
        f'<header><p class="eyebrow">Model report <span>{escape(context.name)}</span></p>'
        f'<h1>{headline(context.task, HTML)}</h1><ul class="facts">{said}</ul></header>'
    )


def _summary(context: ReportContext) -> str:
    evaluation, said = context.evaluation, summary(context, HTML)
    against = "".join(f'<li class="verdict {verdict}">{text}</li>' for verdict, text in said.against)
    title = escape(capital(metric_title(evaluation.metric)))
    meaning = f"{title}: {escape(metric_meaning(evaluation.metric))}."
    drivers = ""
    if evaluation.importance:
        ways = "".join(f"<li>{text}</li>" for text in said.drivers)
        listed = f'<ul class="plain ways">{ways}</ul>' if ways else ""
        drivers = (
            f"<article><h2>What drives it</h2>{listed}{figure(importance_plot(evaluation, _TOP_COLUMNS))}"
            '<p class="more"><a href="#importance">All columns</a></p></article>'
        )
    return (
        f'<section class="summary" aria-label="In short"><div class="lead"><div class="lead-text">'
        f'<p class="answer">{said.lead}</p>'
        f'<p class="basis">{_basis(context)}</p></div>{_picture(context)}</div>'
        f'<div class="cards"><article><h2>Is it better than simpler ways?</h2>'
        f'<ul class="verdicts">{against}</ul>{figure(score_plot(evaluation), meaning)}</article>{drivers}'
        f"{_careful(said)}{_next(said)}</div></section>"
    )


def _basis(context: ReportContext) -> str:
    evaluation = context.evaluation
    level = f"{evaluation.score.level * 100:.0f}%"
    if evaluation.basis == "test":
        return (
            f"From {evaluation.n_rows:,} rows that were kept aside from the start. "
            f"The ranges hold the true figure in {level} of such measurements."
        )
    return (
        f"From cross-validation: no rows were kept aside, so these figures lean to the good side. "
        f"The ranges are {level} intervals."
    )


def _picture(context: ReportContext) -> str:
    """Draw a hundred squares for classes, three lengths for numbers."""
    evaluation = context.evaluation
    if evaluation.residuals is not None:
        return _error_lengths(context)
    flagged = evaluation.flagged
    if context.task.kind is TaskKind.BINARY:
        which = f"{context.task.target} = {label(context.task.labels[1])}"
        if flagged is not None and flagged.total >= 10:
            return _waffle(flagged, f"Of 100 rows flagged as {which}")
        if evaluation.lifts:
            top = next((part for part in evaluation.lifts if part.top >= 0.1), evaluation.lifts[-1])
            return _waffle(top.hits, f"Of 100 rows with the highest scores, {which}")
        return ""
    return _waffle(evaluation.right, "Of 100 rows named right") if evaluation.right is not None else ""


def _waffle(part: Share, title: str) -> str:
    description = f"{ranged(part)} of 100; measured on {part.total} rows."
    key = (
        '<span class="key"><i class="w-full"></i>right</span>'
        '<span class="key"><i class="w-pale"></i>within the range</span>'
        '<span class="key"><i class="w-empty"></i>wrong</span>'
    )
    plot = plots.waffle(part.low, part.high, title=title, description=description)
    return f'<div class="picture">{figure(plot, f"{escape(title)}<br/>{key}")}</div>'


def _error_lengths(context: ReportContext) -> str:
    evaluation = context.evaluation
    found = evaluation.residuals
    if found is None:
        return ""
    half = found.quantiles["0.5"]
    items = [plots.Bar("this model", half, found.half_low, found.half_high, f"\u00b1{number(half)}", 0)]
    for name, part in sorted(evaluation.baselines.items(), reverse=True):
        if part.half_error is not None:
            size = part.half_error
            items.append(
                plots.Bar(
                    baseline_name(name),
                    size,
                    size,
                    size,
                    f"\u00b1{number(size)}",
                    1 if name == "linear" else 2,
                )
            )
    plot = plots.bars(
        items,
        title="Half of the predictions are within",
        axis=f"in units of {context.task.target}; shorter is better",
    )
    return f'<div class="picture wide">{figure(plot, "Half of the predictions are this close to the truth")}</div>'


def _careful(said: Summary) -> str:
    found = said.cautions
    if not found:
        items = '<li class="fine">The checks and the figures gave no cause for care.</li>'
    else:
        items = "".join(
            f'<li class="{severity}"><span class="mark">{"Stop" if severity is Severity.STOP else "Look"}</span>'
            f"<span>{text}</span></li>"
            for severity, text in found[:_TOP_CAUTIONS]
        )
        if len(found) > _TOP_CAUTIONS:
            items += f'<li class="rest"><a href="#findings">and {len(found) - _TOP_CAUTIONS} more</a></li>'
    return f'<article><h2>Where not to trust it</h2><ul class="cautions">{items}</ul></article>'


def _next(said: Summary) -> str:
    items = "".join(
        f"<li>{step.text}"
        + (f'<pre class="command"><code>{escape(step.command)}</code></pre>' if step.command else "")
        + "</li>"
        for step in said.steps
    )
    return f'<article><h2>What to do next</h2><ol class="steps">{items}</ol></article>'
