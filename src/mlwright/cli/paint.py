"""Colours and widths: what a stream can show. Few colours, and none where they are not wanted or not seen."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TextIO

__all__ = ["Paint", "printable", "say_anything", "wrapped"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_WIDEST = 100  # longer lines are hard to read


class Paint:
    """How text looks on one stream.

    Colours are for terminals that are not dumb, and only while ``NO_COLOR`` is not set (https://no-color.org). Lines
    are wrapped on terminals only: whoever reads a pipe wraps for himself.

    Parameters
    ----------
    stream : TextIO
        Where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.is_terminal = stream.isatty()
        self.colours = (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )
        self.width = min(shutil.get_terminal_size().columns, _WIDEST) if self.is_terminal else None

    def __call__(self, text: str, *styles: str) -> str:
        """Return `text` in `styles`: bold, dim, red, green, yellow."""
        if not self.colours or not styles or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """Return the lines of `text` for a column that begins at `indent`; words, and so paths, are never broken.

    Examples
    --------
    >>> wrapped("the path is /a/very/long/path/indeed", 24, 4)
    ['the path is', '/a/very/long/path/indeed']
    """
    if width is None:
        return [text]
    return textwrap.wrap(text, max(20, width - indent), break_long_words=False, break_on_hyphens=False) or [
        ""
    ]


def printable(text: str) -> str:
    r"""Return `text` with what a terminal would obey (escapes, carriage returns) spelled out.

    Examples
    --------
    >>> print(printable("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def say_anything(stream: TextIO) -> None:
    """Let `stream` spell out what its encoding does not have, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
