"""Markup: the few pieces of HTML that a report is built from. Everything that comes from data is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mlwright.evaluate.words import Voice

__all__ = ["HTML", "Cell", "escape", "figure", "page", "section", "table", "told"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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


@cache
def _style() -> str:
    return files("mlwright.evaluate").joinpath("report.css").read_text(encoding="utf-8")


def page(title: str, header: str, summary: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return a whole page that loads nothing: its first screen, links to its sections, and these.

    Parameters
    ----------
    title : str
        Plain text, for the window.
    header, summary : str
        Safe HTML: who and what; the first screen.
    sections : sequence of (str, str, str)
        Anchor, heading as plain text, and safe HTML of each.
    """
    links = "".join(f'<li><a href="#{anchor}">{escape(heading)}</a></li>' for anchor, heading, _ in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}"/>'
        '<meta name="color-scheme" content="light dark"/>'
        f"<title>{escape(title)}</title><style>\n{_style()}</style></head><body>"
        f'<a class="skip" href="#main">Skip to the report</a>{header}<main id="main" tabindex="-1">'
        f'{summary}<nav aria-label="Sections"><h2>In detail</h2><ol>{links}</ol></nav>'
        f"{''.join(text for _, _, text in sections)}</main>"
        "<footer><p>Made by mlwright. This page holds no script and loads nothing from elsewhere.</p></footer>"
        "</body></html>\n"
    )


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
