"""Plot frame: what all plots are drawn with: the box of the data, round numbers beside it, letters, rules and legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from mlwright.evaluate.markup import escape
from mlwright.evaluate.words import compact, percent

__all__ = [
    "LETTER",
    "WIDTH",
    "Frame",
    "axes",
    "fitted",
    "letters",
    "rule",
    "svg",
    "swatches",
    "ticks",
    "whisker",
]

WIDTH = 400
LETTER = 6.3  # mean width of a letter at the plots' 12-unit size


@dataclass(frozen=True, slots=True)
class Frame:
    """The box that data is drawn in, and the ranges that its sides stand for."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    left: float = 52
    right: float = 386
    top: float = 30
    bottom: float = 250

    def x(self, value: float) -> float:
        """Return where `value` lies from the left."""
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return where `value` lies from the top."""
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - self.top)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`, a step of 1, 2 or 5 times a power of ten apart.

    Examples
    --------
    >>> ticks(0, 1), ticks(3, 98)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [20.0, 40.0, 60.0, 80.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def fitted(text: str, width: float, letter_width: float = LETTER) -> str:
    """Cut `text` so that it is at most `width` units wide."""
    used = 0.0
    for index, letter in enumerate(text):
        used += letter_width * (2 if east_asian_width(letter) in "WF" else 1)
        if used > width:
            return text[: max(1, index - 1)].rstrip() + "\u2026"
    return text


def svg(height: float, title: str, description: str, parts: Sequence[str], width: float = WIDTH) -> str:
    """Return a plot of these parts, with a title and a description in words."""
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )


def letters(x: float, y: float, text: str, *, anchor: str = "start", css: str = "") -> str:
    """Write `text` at a point."""
    mark = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{escape(text)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Draw a straight line between two points."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def whisker(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw an interval from one point to another, with a cap at either end."""
    across = (0.0, 3.5) if y1 == y2 else (3.5, 0.0)
    return "".join(
        (
            rule(x1, y1, x2, y2, "whisker"),
            rule(x1 - across[0], y1 - across[1], x1 + across[0], y1 + across[1], "whisker"),
            rule(x2 - across[0], y2 - across[1], x2 + across[0], y2 + across[1], "whisker"),
        )
    )


def axes(
    frame: Frame, x_label: str, y_label: str, *, shares: tuple[bool, bool] = (False, False)
) -> list[str]:
    """Return grid, tick labels and axis labels."""
    drawn = []
    for value in ticks(frame.y_low, frame.y_high):
        y = frame.y(value)
        drawn.append(rule(frame.left, y, frame.right, y, "grid"))
        drawn.append(
            letters(
                frame.left - 7,
                y + 4,
                percent(value) if shares[1] else compact(value),
                anchor="end",
                css="tick",
            )
        )
    for value in ticks(frame.x_low, frame.x_high):
        x = frame.x(value)
        drawn.append(rule(x, frame.bottom, x, frame.bottom + 4, "axis"))
        drawn.append(
            letters(
                x,
                frame.bottom + 18,
                percent(value) if shares[0] else compact(value),
                anchor="middle",
                css="tick",
            )
        )
    drawn.append(rule(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    drawn.append(
        letters(frame.right, frame.bottom + 36, fitted(x_label, 330), anchor="end", css="axis-label")
    )
    drawn.append(letters(2, 14, fitted(y_label, 390), css="axis-label"))
    return drawn


def swatches(names: Sequence[tuple[str, str]], y: float, left: float = 52) -> list[str]:
    """Return swatches with names, side by side; each is (name, css class)."""
    drawn, x = [], left
    room = (WIDTH - left) / max(1, len(names)) - 22
    for name, css in names:
        shown = fitted(name, room)
        drawn.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2" class="{css}"/>')
        drawn.append(letters(x + 15, y, shown, css="tick"))
        x += 15 + len(shown) * LETTER + 16
    return drawn
