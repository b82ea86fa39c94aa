"""Slices section: where the model is worse than elsewhere, for the report and the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.data.findings import Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.group_words import WeakSlices, loss_title, nothing_found, slice_sentence, where
from mlwright.evaluate.markup import HTML, Cell, escape, figure, section, table, told
from mlwright.evaluate.slices import Slices
from mlwright.evaluate.words import Voice, capital, number, of_hundred

__all__ = ["SLICES"]

_TITLE = "Where it is worse"
_HOW = (
    "Every slice of the rows that the model never saw was looked at: the categories, ranges, parts of dates and missing "
    "values of a column, and two columns together. Shown are those whose loss is higher than chance explains after counting "
    "all that were tried (the chance of even one false slice is at most one in twenty), by enough to matter, and that are "
    "not explained by a slice above."
)
_LEANS = (
    "A slice was picked for being bad, so its figure leans to the bad side: read the end of the range that is nearer to "
    "the others."
)


def _draw(context: ReportContext) -> str:
    """Return the slices; empty if none were looked for."""
    part = context.part(WeakSlices)
    if part is None or not part.looked.n_tried:
        return ""
    looked, task = part.looked, part.task
    if not looked.found:
        return section("slices", _TITLE, f"<p>{escape(nothing_found(looked))}</p>", f"<p>{escape(_HOW)}</p>")
    items = "".join(
        f'<li class="finding {"warn" if found.surprising else "info"}"><span class="mark">'
        f"{'Look' if found.surprising else 'Note'}</span><p>{slice_sentence(found, looked, task, HTML)}</p></li>"
        for found in looked.found
    )
    return section(
        "slices",
        _TITLE,
        f"<p>{escape(_HOW)} {looked.n_tried:,} were tried on {looked.n_rows:,} rows.</p>",
        f'<ul class="findings">{items}</ul>',
        f'<div class="pair">{figure(_plot(looked, task), escape(_LEANS))}{_table(looked)}</div>',
    )


def _plot(looked: Slices, task: Task) -> str:
    numbers = task.kind is TaskKind.REGRESSION

    def bar(found_where: str, value: float, low: float, high: float, series: int) -> plots.Bar:
        text = number(value) if numbers else f"{of_hundred(value)} of 100"
        return plots.Bar(found_where, value, max(low, 0.0), high, text, series)

    first = looked.found[0]
    rest = first.wrong_rest
    items = [
        bar(
            where(found.conditions),
            found.wrong,
            found.wrong_rest + found.wrong_difference.low,
            found.wrong_rest + found.wrong_difference.high,
            1 if found.surprising else 0,
        )
        for found in looked.found
    ]
    items.append(bar("all rows but the first slice", rest, rest, rest, 2))
    return plots.bars(
        items,
        title="Where it is worse",
        axis=f"mean distance from the truth, in units of {task.target}"
        if numbers
        else "wrong calls, as a share of the rows",
    )


def _table(looked: Slices) -> str:
    def rows() -> Iterator[Sequence[Cell]]:
        for place, found in enumerate(looked.found):
            gap, path = found.difference, f"parts.slices.found.{place}"
            yield (
                Cell(escape(where(found.conditions)), head=True),
                Cell(f"{found.n_rows:,}", number=True),
                Cell(told(f"{path}.loss", found.loss, number(found.loss, 2, pad=True)), number=True),
                Cell(told(f"{path}.rest", found.rest, number(found.rest, 2, pad=True)), number=True),
                Cell(escape(f"{number(gap.low, 2)} to {number(gap.high, 2)}"), number=True),
                Cell(escape(number(found.expected, 2, pad=True)), number=True),
            )

    heads = ("Slice", "Rows", "Loss", "Elsewhere", "Difference", "Like predictions")
    title = capital(loss_title(looked.loss))
    return table(heads, rows(), caption=f"{title} by slice, with the 95% range of the difference")


def _cautions(context: ReportContext, voice: Voice) -> list[tuple[Severity, str]]:
    part = context.part(WeakSlices)
    return [] if part is None else part.cautions(voice)


SLICES = Section("slices", _TITLE, _draw, _cautions)
