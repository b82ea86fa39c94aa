"""The section that says how many labels are likely wrong, and lists the rows to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.label_noise import LabelNoise
from mlwright.evaluate.markup import Cell, escape, section, table, told
from mlwright.evaluate.words import label, number, percent

__all__ = ["LABEL_NOISE"]

_TITLE = "Are the labels right?"
_MOST_SHOWN = 10


def _draw(context: ReportContext) -> str:
    part = context.part(LabelNoise)
    if part is None:
        return ""
    intro = _numbers(part) if part.share is None else _classes(part)
    return section("labels", _TITLE, f"<p>{intro}</p>", _table(part))


def _classes(part: LabelNoise) -> str:
    share, high = part.share or 0.0, part.high or 0.0
    most = told("parts.label_noise.high", high, percent(high))
    how = (
        f"Of {part.n_rows:,} training rows, each judged by models that were not fitted on it, {part.n_suspects:,} are "
        "confidently of another class than their label says (confident learning)."
    )
    if not part.alarm:
        return (
            f"{how} <strong>That is no sign of wrong labels</strong>: contradictions become rarer where the model is surer, or "
            f"are too few, as where classes overlap. Wrong are {most} at most."
        )
    about = told("parts.label_noise.share", share, percent(share))
    least = told("parts.label_noise.low", part.low or 0.0, percent(part.low or 0.0))
    return (
        f"{how} <strong>About {about} of the labels are likely wrong, {least} to {most}</strong>: even where the model is "
        "surest, labels contradict it as often as elsewhere. Outcomes that are by nature uncertain to the same degree "
        "everywhere would look the same."
    )


def _numbers(part: LabelNoise) -> str:
    if not part.alarm:
        return (
            f"None of {part.n_rows:,} training rows has a value that lies farther from its prediction than the tail of the "
            "others explains."
        )
    many = "1 row has a value" if part.n_suspects == 1 else f"{part.n_suspects:,} rows have values"
    return (
        f"<strong>{many} beyond belief</strong>: farther from the prediction of models that were not fitted on it than the tail "
        f"of all {part.n_rows:,} training rows explains. Look for slips of a digit, a unit or a sign."
    )


def _table(part: LabelNoise) -> str:
    if not part.suspects:
        return ""

    def shown(value: object) -> str:
        return number(value) if part.share is None and isinstance(value, float) else label(value)

    def rows() -> Iterator[Sequence[Cell]]:
        for place, each in enumerate(part.suspects[:_MOST_SHOWN]):
            hidden = each.given is None
            yield (
                Cell(f"{each.row:,}", head=True),
                Cell(escape("hidden" if hidden else shown(each.given))),
                Cell(escape("hidden" if hidden else shown(each.likely))),
                Cell(
                    told(f"parts.label_noise.suspects.{place}.chance", each.chance, number(each.chance, 2)),
                    number=True,
                ),
            )

    last = "Rows like it expected" if part.share is None else "Probability of the label"
    heads = ("Row", "Given", "Likely", last)
    return table(heads, rows(), caption="The rows to look at first, numbered from 1 as in the source")


LABEL_NOISE = Section("labels", _TITLE, _draw)
