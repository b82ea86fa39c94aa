"""Effects section: how the answer goes with the most important columns, as plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.data.schema import Kind, TaskKind
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.effects import Curve, Effects, Pair
from mlwright.evaluate.markup import Cell, escape, figure, section, table, told
from mlwright.evaluate.words import label, number

__all__ = ["EFFECTS"]

_A_YEAR = 365.2425 * 86_400
_WEAK = 0.1  # a pair that interacts less is not drawn
_MOST_LINES = 3


def _draw(context: ReportContext) -> str:
    part = context.part(Effects)
    if part is None or not part.curves:
        return ""
    what = _what(context, part)
    intro = (
        f"<p>The model was asked again for <strong>{part.n_rows}</strong> rows, each time with one column set to another "
        "value that the data hold. Curves are the mean answers; upright bars show where four of five rows go, so wide ones mean "
        "that the column does not do the same for all. This is what the model answers, not what would come true.</p>"
    )
    drawn = "".join(
        figure(_curve(context, part, curve, what), _caption(curve), title=curve.column)
        for curve in part.curves
    )
    return section(
        "effects", "How it answers", intro, f'<div class="pair">{drawn}</div>', _pairs(context, part, what)
    )


def _what(context: ReportContext, part: Effects) -> str:
    if not part.labels:
        return f"predicted {context.task.target}"
    return f"probability of {context.task.target} = {label(part.labels[0])}"


def _caption(curve: Curve) -> str:
    if not curve.tied:
        return ""
    name = f"<b class='name'>{escape(curve.tied)}</b>"
    if not curve.local:
        return f"It goes together with {name}, so some of the rows that were asked are unlike any that exist."
    return f"It goes together with {name}: the second line only moves rows as far as their neighbours, and is the safer one."


def _place(context: ReportContext, column: str, point: float) -> float:
    """Return where a number stands on its axis: dates by their year."""
    return 1970 + point / _A_YEAR if context.schema[column].kind is Kind.DATETIME else point


def _curve(context: ReportContext, part: Effects, curve: Curve, what: str) -> str:
    title = f"{curve.column} and the answer"
    said = "; ".join(f"{_point(p)}: {number(m)}" for p, m in zip(curve.points, curve.means[0], strict=True))
    if isinstance(curve.points[0], str):
        items = [
            plots.Bar(str(point), mean, low, high, number(mean, 3, pad=True))
            for point, mean, low, high in zip(
                curve.points, curve.means[0], curve.low, curve.high, strict=True
            )
        ]
        return plots.bars(items, title=title, axis=what)
    xs = [_place(context, curve.column, float(point)) for point in curve.points]
    spread = list(zip(curve.low, curve.high, strict=True))
    names = (
        [label(one) for one in part.labels] if context.task.kind is TaskKind.MULTICLASS else ["mean answer"]
    )
    series = [plots.Line(names[0], list(zip(xs, curve.means[0], strict=True)), spread)]
    if curve.local:
        series.append(plots.Line("neighbours only", list(zip(xs, curve.local, strict=True)), series=2))
    else:
        rest = zip(names[1:], curve.means[1:], strict=False)
        series += [plots.Line(n, list(zip(xs, m, strict=True)), series=i) for i, (n, m) in enumerate(rest, 1)]
    return plots.lines(series, title=title, x_label=curve.column, y_label=what, description=said)


def _point(point: float | str) -> str:
    return point if isinstance(point, str) else number(point)


def _pairs(context: ReportContext, part: Effects, what: str) -> str:
    if not part.pairs:
        return ""

    def rows() -> Iterator[Sequence[Cell]]:
        for place, pair in enumerate(part.pairs):
            shown = told(f"parts.effects.pairs.{place}.strength", pair.strength, f"{pair.strength:.2f}")
            yield (
                Cell(escape(" and ".join(pair.columns)), head=True),
                Cell(shown, number=True),
                Cell(f"{pair.low:.2f} to {pair.high:.2f}", number=True),
            )

    strongest = part.pairs[0]
    plot = _together(context, strongest, what) if strongest.strength >= _WEAK else ""
    listed = table(
        ("Two columns", "Interaction", "Range over the rows"),
        rows(),
        caption="How far two columns act together: 0 means that their effects add up, 1 that neither has one alone",
    )
    return f'<h3>Two columns together</h3><div class="pair">{plot}{listed}</div>'


def _together(context: ReportContext, pair: Pair, what: str) -> str:
    """Draw the answer over one column, a line for some values of the other; nothing where no rows are near."""
    (one, two), (first, second) = pair.columns, pair.points
    means = [list(row) for row in pair.means]
    counts = [list(row) for row in pair.counts]
    if isinstance(first[0], str) and not isinstance(second[0], str):
        one, two, first, second = two, one, second, first
        means, counts = ([list(column) for column in zip(*tree, strict=True)] for tree in (means, counts))
    if isinstance(first[0], str):
        return ""
    chosen = sorted({round(i * (len(second) - 1) / (_MOST_LINES - 1)) for i in range(_MOST_LINES)})
    series = []
    for colour, place in enumerate(chosen):
        known = [
            (_place(context, one, float(x)), means[i][place]) for i, x in enumerate(first) if counts[i][place]
        ]
        if len(known) > 1:
            shown = second[place]
            named = shown if isinstance(shown, str) else number(_place(context, two, shown))
            series.append(plots.Line(f"{named}", known, series=colour))
    if not series:
        return ""
    said = "; ".join(f"{line.label}: {', '.join(number(y) for _, y in line.points)}" for line in series)
    plot = plots.lines(
        series,
        title=f"{one} and {two} together",
        x_label=one,
        y_label=what,
        description=f"A line a value of {two}. {said}",
    )
    return figure(
        plot, f"A line a value of <b class='name'>{escape(two)}</b>; only where the data have rows nearby."
    )


EFFECTS = Section("effects", "How it answers", _draw)
