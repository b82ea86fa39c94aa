"""Score section: where a report shows the ML Test Score, and how a scorecard is put there once it is known.

A bundle's report is written before its version can be tested, so it holds a place that says how to fill it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlwright.evaluate.context import ReportContext, Section
from mlwright.evaluate.markup import Cell, escape, section, table

__all__ = ["READINESS", "filled"]

_ANCHOR, _TITLE = "score", "Readiness"
_PLACE = re.compile(rf'<section id="{_ANCHOR}">.*?</section>', re.DOTALL)
_PAPER = "Breck et al., <cite>The ML Test Score</cite> (2017)"
_STATES = {"automatic": "by itself", "manual": "in part, or by hand", "none": "not"}


def _place(context: ReportContext) -> str:
    """Return the section as it stands before the tests have been run."""
    command = escape(f"mlwright score {shlex.quote(context.name)}")
    return section(
        _ANCHOR,
        _TITLE,
        f"<p>Whether data, model, infrastructure and monitoring are ready for production is 28 tests ({_PAPER}). They have not "
        f"been run for this version: <code>{command}</code> runs them, and <code>mlwright report "
        f"{escape(shlex.quote(context.name))}</code> shows them here from then on.</p>",
    )


def filled(report: str, card: Mapping[str, Any]) -> str:
    """Return a report with a scorecard in its place.

    Parameters
    ----------
    report : str
        The page, as `mlwright.evaluate.report.render` made it; one without the place is returned as it is.
    card : mapping
        As `mlwright.lifecycle.score.Scorecard.to_json` gives it.
    """
    return _PLACE.sub(lambda _: _shown(card), report, count=1)


def _shown(card: Mapping[str, Any]) -> str:
    sums = "".join(
        f'<li><b class="name">{escape(name)}</b> <span data-figure="score.sections.{escape(name)}">{points:g}</span> of 7</li>'
        for name, points in card["sections"].items()
    )
    return section(
        _ANCHOR,
        _TITLE,
        f'<p>ML Test Score: <strong data-figure="score">{card["score"]:g}</strong> of 7, the least of four sums ({_PAPER}). A test '
        "counts 1 where it is run by itself and passed, 0.5 where in part or by hand, and 0 where not. Run for version "
        f"{escape(card['version'])} on {escape(str(card['made'])[:10])}.</p><ul>{sums}</ul>",
        *(_table(name, [t for t in card["tests"] if t["section"] == name]) for name in card["sections"]),
    )


def _table(name: str, tests: Sequence[Mapping[str, Any]]) -> str:
    def rows() -> Iterator[Sequence[Cell]]:
        for test in tests:
            source = f"<br><small><code>{escape(test['source'])}</code></small>" if test["source"] else ""
            better = f"<br><small>To raise it: {escape(test['better'])}</small>" if test["better"] else ""
            yield (
                Cell(escape(f"{test['number']}. {test['title']}"), head=True),
                Cell(f"{test['points']:g}", number=True),
                Cell(escape(_STATES[test["state"]])),
                Cell(f"{escape(test['evidence'])}{source}{better}"),
            )

    return table(("Test", "Points", "Done", "Evidence"), rows(), caption=f"Tests of {name}")


READINESS = Section(_ANCHOR, _TITLE, _place)
