"""Fairness section: what the model does to the groups that the user names, for the report and the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.data.findings import Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.fairness import CLEAR, FLAGGED, Comparison, Fairness, Group
from mlwright.evaluate.group_words import NamedGroups, compared, where
from mlwright.evaluate.markup import HTML, Cell, escape, figure, section, table
from mlwright.evaluate.words import Voice, capital, label, metric_title, number, of_hundred
from mlwright.metrics.intervals import Interval

__all__ = ["FAIRNESS"]

_MARKS = {FLAGGED: ("warn", "Look"), CLEAR: ("info", "Fine")}
_HEADS = {
    "selection": "Called",
    "true_positive": "Found of those that are",
    "false_positive": "Called of those that are not",
    "precision": "Right of those called",
    "right": "Right",
    "calibration": "Probability less truth",
    "level": "Mean prediction",
    "bias": "Mean error",
    "absolute_error": "Mean distance",
}
_HOW = (
    "A difference is flagged only if its whole range lies beyond what is let pass, so that chance alone flags nothing; the "
    "ranges of one column's differences hold all at once. Not flagged does not prove that there is no difference: look "
    "how far the range reaches. Which difference is unjust is for a person to say: groups may differ in the truth itself, and "
    "then no model can make all these figures equal at once."
)


def _draw(context: ReportContext) -> str:
    """Return what was found for each named column; empty if none is named."""
    part = context.part(NamedGroups)
    if part is None:
        return ""
    return section(
        "fairness", "Fairness", f"<p>{escape(_HOW)}</p>", *(_column(context, each) for each in part.columns)
    )


def _column(context: ReportContext, found: Fairness) -> str:
    task = context.evaluation.task
    flagged, rest = (
        "".join(_item(each, task) for each in found.comparisons if (each.verdict == FLAGGED) is wanted)
        for wanted in (True, False)
    )
    n_flagged = sum(each.verdict == FLAGGED for each in found.comparisons)
    n_all = len(found.comparisons)
    said = f"{found.verdict}, {n_flagged} of {n_all} differences" if n_flagged else found.verdict
    title = f"<h3>{escape(found.column)}: {escape(said)}</h3>"
    if not found.groups:
        return f"{title}<p>The column has one value only in these rows.</p>"
    few = f"<p>{found.n_other:,} rows are in smaller groups, which are not compared.</p>"
    return (
        f'{title}<div class="pair">{figure(_plot(context, found))}{_score_plot(context, found)}</div>'
        f"{_table(context, found)}{few if found.n_other else ''}"
        + (f'<ul class="findings">{flagged}</ul>' if flagged else "")
        + _folded(rest, n_all - n_flagged)
    )


def _item(found: Comparison, task: Task) -> str:
    css, mark = _MARKS.get(found.verdict, ("info", "Few"))
    text = compared(found, task, HTML)
    return f'<li class="finding {css}"><span class="mark">{mark}</span><p>{text}</p></li>'


def _folded(items: str, count: int) -> str:
    if not items:
        return ""
    many = f"{count} comparisons" if count > 1 else "One comparison"
    return f'<details><summary>{many} not flagged</summary><ul class="findings">{items}</ul></details>'


def _plot(context: ReportContext, found: Fairness) -> str:
    task = context.evaluation.task
    name = {TaskKind.BINARY: "selection", TaskKind.MULTICLASS: "right"}.get(task.kind, "level")
    axis = {
        "selection": f"share that is called {task.target} = {label(task.labels[-1]) if task.labels else ''}",
        "right": "share of the rows that is called right",
        "level": f"mean prediction of {task.target}",
    }[name]
    items = [
        plots.Bar(
            f"{where([group.condition])} ({group.n_rows:,})",
            group.figures[name].estimate,
            group.figures[name].low,
            group.figures[name].high,
            _figure(name, group.figures[name]),
        )
        for group in found.groups
        if name in group.figures
    ]
    return plots.bars(items, title=f"{capital(axis)}, by group", axis=axis)


def _score_plot(context: ReportContext, found: Fairness) -> str:
    title = metric_title(context.task.metric)
    items = [
        plots.Bar(
            where([group.condition]),
            group.score.estimate,
            group.score.low,
            group.score.high,
            number(group.score.estimate),
            2,
        )
        for group in found.groups
    ]
    return figure(plots.bars(items, title=f"{capital(title)}, by group", axis=title))


def _figure(name: str, part: Interval) -> str:
    if name in ("level", "bias", "absolute_error"):
        return number(part.estimate)
    if name == "calibration":
        return f"{100 * part.estimate:+.1f}".replace("-", "\u2212")
    return of_hundred(part.estimate)


def _range(name: str, part: Interval) -> str:
    ends = [Interval(end, end, end, part.level) for end in (part.low, part.high)]
    return f"{_figure(name, ends[0])} to {_figure(name, ends[1])}"


def _table(context: ReportContext, found: Fairness) -> str:
    names = [name for name in _HEADS if any(name in group.figures for group in found.groups)]

    def cells(group: Group) -> Iterator[Cell]:
        yield Cell(escape(where([group.condition])), head=True)
        yield Cell(f"{group.n_rows:,}", number=True)
        for name in names:
            part = group.figures.get(name)
            shown = "" if part is None else f"{_figure(name, part)} <small>({_range(name, part)})</small>"
            yield Cell(shown, number=True)

    rows: Iterator[Sequence[Cell]] = (tuple(cells(group)) for group in found.groups)
    unit = f"in units of {context.task.target}" if context.task.kind is TaskKind.REGRESSION else "of 100 rows"
    return table(
        ("Group", "Rows", *(_HEADS[name] for name in names)),
        rows,
        caption=f"Groups of {found.column}, {unit}, with 95% ranges",
    )


def _cautions(context: ReportContext, voice: Voice) -> list[tuple[Severity, str]]:
    part = context.part(NamedGroups)
    return [] if part is None else part.cautions(voice)


FAIRNESS = Section("fairness", "Fairness", _draw, _cautions)
