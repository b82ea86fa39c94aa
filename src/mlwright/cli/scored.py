"""What ``mlwright score`` prints for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlwright.cli.paint import Paint, printable, wrapped

if TYPE_CHECKING:
    from mlwright.lifecycle.score import Scorecard, Scored

__all__ = ["scored"]

_MARKS = {"automatic": ("1  ", "green"), "manual": ("0.5", "yellow"), "none": ("0  ", "red")}
_INDENT = 8


def scored(card: Scorecard, report: str, paint: Paint) -> str:
    """Return the 28 tests with their evidence, section by section, and the score last."""
    lines: list[str] = []
    for section, points in card.sections.items():
        lines += ["", paint(f"{section}: {points:g} of 7", "bold")]
        for test in card.tests:
            if test.section == section:
                lines += _test(test, paint)
    least = [name for name, points in card.sections.items() if points == card.score]
    lines += [
        "",
        paint(f"ML Test Score of {card.model} version {card.version}: {card.score:g} of 7", "bold")
        + f", the least of the four ({', '.join(least)})",
        f"{'report':<{_INDENT}}{report}",
    ]
    return "\n".join(lines).lstrip("\n")


def _test(test: Scored, paint: Paint) -> list[str]:
    mark, colour = _MARKS[str(test.outcome.state)]
    lines = [f"  {paint(mark, colour)}   {test.number}. {test.title}"]
    told = [test.outcome.evidence]
    if test.outcome.better:
        told.append(f"to raise it: {test.outcome.better}")
    for text in told:
        lines += [
            " " * _INDENT + paint(line, "dim") for line in wrapped(printable(text), paint.width, _INDENT)
        ]
    return lines
