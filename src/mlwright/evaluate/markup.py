"""Markup: the few pieces of HTML that a report is built from. Everything that comes from data is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlwright.evaluate.words import Voice

__all__ = ["HTML", "Cell", "escape", "figure", "section", "table", "told"]


def escape(text: object) -> str:
    """Return `text` safe within HTML text and quoted attributes; control characters become spaces.

    Examples
    --------
    >>> escape("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    plain = "".join(c if c >= " " and not "\x7f" <= c <= "\x9f" else " " for c in str(text))
    return html.escape(plain, quote=True)


HTML = Voice(
    name=lambda text: f'<b class="name">{escape(text)}</b>',
    strong=lambda text: f"<strong>{escape(text)}</strong>",
    text=escape,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell whose `html` is already safe; `number` sets it flush right, `head` makes it the row's head."""

    html: str
    number: bool = False
    head: bool = False


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str) -> str:
    """Return a table that scrolls sideways on a narrow screen; `caption` is plain text."""
    body, numbers = [], [False] * len(heads)
    for row in rows:
        numbers = [old or cell.number for old, cell in zip(numbers, row, strict=True)]
        body.append("<tr>" + "".join(map(_cell, row)) + "</tr>")
    marks = [' class="n"' if right else "" for right in numbers]
    head = "".join(
        f'<th scope="col"{mark}>{escape(text)}</th>' for text, mark in zip(heads, marks, strict=True)
    )
    return (
        f'<div class="scroll{" wide" if len(heads) > 4 else ""}" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    mark = ' class="n"' if cell.number else ""
    return f'<th scope="row"{mark}>{cell.html}</th>' if cell.head else f"<td{mark}>{cell.html}</td>"


def figure(plot: str, caption: str = "", *, title: str = "") -> str:
    """Return a plot with a plain title above and a caption of safe HTML below."""
    above = f'<p class="figure-title">{escape(title)}</p>' if title else ""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{above}{plot}{below}</figure>"


def section(anchor: str, title: str, *parts: str) -> str:
    """Return a section; `parts` are safe HTML."""
    return f'<section id="{anchor}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def told(path: str, value: float, text: str) -> str:
    """Return a figure that says where ``--json`` has it, so that the two can be held against each other.

    Parameters
    ----------
    path : str
        The keys that lead to it, joined by dots: ``"test_interval.0"``, ``"parts.slices.0.low"``.
    value : float
        The figure itself.
    text : str
        How it is written.

    Examples
    --------
    >>> told("test_score", 0.8669, "0.867")
    '<data value="0.8669" data-path="test_score">0.867</data>'
    """
    return f'<data value="{value:.12g}" data-path="{escape(path)}">{escape(text)}</data>'
