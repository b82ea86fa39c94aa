"""The section of the report that tells how far each answer may be off, and how often that held."""

from __future__ import annotations

from mlwright.data.findings import Severity
from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.coverage import Coverage
from mlwright.evaluate.figures import Share
from mlwright.evaluate.markup import Cell, escape, section, table, told
from mlwright.evaluate.words import Voice, label, number, of_hundred, percent, ranged

__all__ = ["COVERAGE"]


def _draw(context: ReportContext) -> str:
    found = context.part(Coverage)
    if found is None:
        return ""
    numbers = found.width is not None
    what = "interval" if numbers else "set of classes"
    basis = "the test rows" if context.evaluation.basis == "test" else "rows that it was not made from"
    lead = (
        f"<p>Each answer can come with {'an' if numbers else 'a'} {what} (<code>?interval=true</code>, <code>predict --interval</code>) that is made to hold the truth in "
        f"{of_hundred(found.nominal)} of 100 rows. On {basis} it did in "
        f"<strong>{_told('held', found.held)}</strong> of 100 (range {ranged(found.held)}).</p>"
    )
    return section(
        "coverage",
        "How far each answer may be off",
        lead,
        _width(found) if numbers else _sizes(found),
        _parts(found),
        f"<p>It is a share of all rows, not a promise for each kind of row. {escape(found.promise)}</p>",
    )


def _told(name: str, part: Share) -> str:
    return told(f"parts.coverage.{name}.count", part.count, of_hundred(part.share))


def _width(found: Coverage) -> str:
    assert found.width is not None and found.without is not None  # noqa: PT018, S101 - the caller looked
    return (
        f"<p>Half of the intervals are narrower than {told('parts.coverage.width', found.width, number(found.width))}. Without a "
        f"model one would need {number(found.without)} to hold as many of the true values.</p>"
    )


def _sizes(found: Coverage) -> str:
    rows = (
        (
            Cell(
                f"{size}{' or more' if size == len(found.sizes) and size > 2 else ''} "
                f"class{'es' if size > 1 else ''}",
                head=True,
            ),
            Cell(f"{percent(part.share)} <small>({ranged(part)})</small>", number=True),
        )
        for size, part in enumerate(found.sizes, 1)
    )
    return table(("The set holds", "Of the rows"), rows, caption="How many classes an answer leaves open")


def _parts(found: Coverage) -> str:
    first = "Predictions" if found.width is not None else "Class"
    rows = (
        (
            Cell(
                f"{escape(label(part.name))}{' third' if found.width is not None else ''}",
                head=True,
            ),
            Cell(f"{part.held.total:,}", number=True),
            Cell(f"{of_hundred(part.held.share)} <small>({ranged(part.held)})</small>", number=True),
        )
        for part in found.parts
    )
    return table(
        (first, "Rows", "Held, of 100"), rows, caption="How often the truth was held, with the range"
    )


def _cautions(context: ReportContext, voice: Voice) -> list[tuple[Severity, str]]:
    found = context.part(Coverage)
    if found is None or found.held.high >= found.nominal:
        return []
    said = (
        f"Its intervals hold the truth less often than they say: in {voice.strong(ranged(found.held))} of 100 rows, and "
        f"not in {of_hundred(found.nominal)}."
    )
    return [(Severity.WARN, said)]


COVERAGE = Section("coverage", "How far each answer may be off", _draw, _cautions)
