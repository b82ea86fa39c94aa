"""Drivers: which way the answer goes with the columns that matter most, in plain sentences."""

from __future__ import annotations

import itertools

from mlwright.data.schema import Kind, TaskKind
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.effects import Curve, Effects
from mlwright.evaluate.words import Voice, label, number, of_hundred

__all__ = ["drivers"]

_MOST = 4
_SLACK = 0.1  # of a curve's height: what may go the other way and still be called rising or falling
_FLAT = 0.02  # of the answers' scale: a curve that moves less is not told


def drivers(context: ReportContext, voice: Voice) -> list[str]:
    """Return a sentence for each of the most important columns; none where curves were not measured.

    The sentence says what the model answers on average when only that column is set to other values: which way it goes, not
    why.
    """
    part = context.part(Effects)
    if part is None:
        return []
    told = (_sentence(context, part, curve, voice) for curve in part.curves)
    return [sentence for sentence in told if sentence][:_MOST]


def _sentence(context: ReportContext, part: Effects, curve: Curve, voice: Voice) -> str:
    means = curve.local or curve.means[0]
    low, high = min(means), max(means)
    if part.labels and high - low < _FLAT:
        return ""
    name, task = voice.name(curve.column), context.task
    if task.kind is TaskKind.REGRESSION:
        what = f"predicted {voice.name(task.target)}"
    else:
        what = f"chance of {voice.name(task.target)} = {voice.name(label(part.labels[0]))}"

    def answer(value: float) -> str:
        return f"{of_hundred(min(max(value, 0.0), 1.0))} of 100" if part.labels else number(value)

    def at(place: int) -> str:
        point = curve.points[place]
        return voice.name(point if isinstance(point, str) else number(point))

    if context.schema[curve.column].kind is Kind.DATETIME:
        return ""
    top, bottom = means.index(high), means.index(low)
    if isinstance(curve.points[0], str):
        return (
            f"{name}: the {what} is highest for {at(top)} ({answer(high)}) and lowest for {at(bottom)} "
            f"({answer(low)})."
        )
    steps = [after - before for before, after in itertools.pairwise(means)]
    slack = _SLACK * (high - low)
    ends = f"{answer(means[0])} at {at(0)}, {answer(means[-1])} at {at(-1)}"
    if sum(-step for step in steps if step < 0) <= slack:
        return f"The higher {name}, the higher the {what}: {ends}."
    if sum(step for step in steps if step > 0) <= slack:
        return f"The higher {name}, the lower the {what}: {ends}."
    return f"{name}: the {what} is highest near {at(top)} ({answer(high)}) and lowest near {at(bottom)} ({answer(low)})."
