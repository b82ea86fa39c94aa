"""The section of the report that tells what decisions cost, at the chosen threshold and at others."""

from __future__ import annotations

from mlwright.data.findings import Severity
from mlwright.evaluate import plots
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.markup import Cell, escape, figure, section, table, told
from mlwright.evaluate.money import Money, Point, Way
from mlwright.evaluate.words import Voice, between, label, number, of_hundred, percent, ranged

__all__ = ["MONEY"]

_WAYS = {"none": "Call no row", "all": "Call every row"}


def _draw(context: ReportContext) -> str:
    found = context.part(Money)
    if found is None:
        return ""
    which = f"<b>{escape(context.task.target)}</b> = <b>{escape(label(context.task.labels[1]))}</b>"
    basis = "the test rows" if context.evaluation.basis == "test" else "predictions out of fold"
    lead = (
        f"<p>A row is called {which} from a probability of {told('parts.money.threshold', found.threshold, number(found.threshold))} on. "
        f"That was chosen on predictions out of fold. On {basis} it calls {percent(found.called.share)} of the rows "
        f"(range {ranged(found.called)} of 100){_limit(found)}, and of 100 that it calls "
        f"{ranged(found.right) if found.right.total else 'none'} truly are.</p>"
    )
    return section("money", "What decisions cost", lead, _costs(found))


def _limit(found: Money) -> str:
    if found.capacity is None:
        return ""
    return f"; it is made to call {told('parts.money.capacity', found.capacity, percent(found.capacity))} at most"


def _costs(found: Money) -> str:
    if found.chosen is None or found.false_positive is None or found.false_negative is None:
        return ""
    named = (
        f"<p>A false alarm costs {number(found.false_positive)}, a miss {number(found.false_negative)}. At this threshold 1,000 rows cost "
        f"<strong>{told('parts.money.chosen.cost', found.chosen.cost, number(found.chosen.cost))}</strong> "
        f"(range {between(found.chosen.low, found.chosen.high)}).</p>"
    )
    rows = [
        (
            Cell(_WAYS[way.name], head=True),
            Cell(told(f"parts.money.ways.{index}.cost", way.cost, number(way.cost)), number=True),
            Cell(
                f"{told(f'parts.money.ways.{index}.saved', way.saved, number(way.saved))} <small>({between(way.low, way.high)})</small>",
                number=True,
            ),
        )
        for index, way in enumerate(found.ways)
    ]
    beside = table(
        ("Without a model", "Cost of 1,000 rows", "The model saves"),
        rows,
        caption="What 1,000 rows cost without a model, and how much less they cost with it",
    )
    return named + figure(_plot(found, found.chosen), _caption(found), title="Cost by threshold") + beside


def _plot(found: Money, chosen: Point) -> str:
    ends = (found.curve[0].threshold, found.curve[-1].threshold)
    flat = [
        plots.Line(_WAYS[way.name].lower(), [(end, way.cost) for end in ends], series=index)
        for index, way in enumerate(found.ways, 1)
    ]
    curve = plots.Line(
        "with the model",
        [(point.threshold, point.cost) for point in found.curve],
        band=[(point.low, point.high) for point in found.curve],
    )
    return plots.lines(
        [curve, *flat],
        title="What 1,000 rows cost, by threshold",
        x_label="the second class is called from this probability on",
        y_label="cost of 1,000 rows",
        description=(
            f"At the chosen threshold of {number(chosen.threshold)} they cost {number(chosen.cost)}; "
            + "; ".join(f"{_WAYS[way.name].lower()}: {number(way.cost)}" for way in found.ways)
            + "."
        ),
        mark=chosen.threshold,
    )


def _caption(found: Money) -> str:
    limited = "" if found.capacity is None else ", and because it may call no more than there is capacity for"
    return (
        f"On {found.n_rows:,} rows; the band is the 95 % range at each threshold. The broken line is the chosen threshold: it need not "
        f"lie at the lowest point here, because it was chosen before these rows were seen{limited}."
    )


def _cautions(context: ReportContext, voice: Voice) -> list[tuple[Severity, str]]:
    found = context.part(Money)
    if found is None:
        return []
    said = []
    # Where only so many can be called, to call all is no way.
    open_ways = [way for way in found.ways if way.name == "none" or found.capacity is None]
    cheapest: Way | None = min(open_ways, key=lambda way: way.cost, default=None)
    if cheapest is not None and not cheapest.low > 0:
        said.append(
            f"It does not surely save money: to {_WAYS[cheapest.name].lower()} costs {voice.strong(number(cheapest.cost))} for 1,000 rows, "
            f"and the model saves {voice.strong(between(cheapest.low, cheapest.high))} of that."
        )
    if found.capacity is not None and found.called.low > found.capacity:
        said.append(
            f"It calls more rows than there is capacity for: {voice.strong(ranged(found.called))} of 100, and not "
            f"{of_hundred(found.capacity)}."
        )
    return [(Severity.WARN, text) for text in said]


MONEY = Section("money", "What decisions cost", _draw, _cautions)
