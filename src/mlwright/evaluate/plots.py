"""Plots: inline SVG as pure functions from numbers to a string. Knows nothing of tasks, models or reports.

A plot is 400 units wide, so that its letters stay readable on a phone; colours are CSS classes, which the page's style
sheet sets for light, dark and print. Every plot has the role of an image, a title and a description in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlwright.evaluate.markup import escape
from mlwright.evaluate.plot_frame import (
    LETTER,
    Frame,
    axes,
    fitted,
    letters,
    rule,
    svg,
    swatches,
    ticks,
    whisker,
)
from mlwright.evaluate.words import compact, number, percent

__all__ = [
    "Bar",
    "Frame",
    "Line",
    "bars",
    "cloud",
    "heat",
    "histogram",
    "lines",
    "parts",
    "scatter",
    "ticks",
    "waffle",
]


_BOLD_LETTER = 9.0  # labels of bars, which are larger still on a phone


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, value, whisker from `low` to `high`, words at its end and series 0, 1 or 2."""

    label: str
    value: float
    low: float
    high: float
    text: str
    series: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line through (x, y) points; `whiskers` hold one (low, high) a point and make the points marks, `band` a band."""

    label: str
    points: Sequence[tuple[float, float]]
    whiskers: Sequence[tuple[float, float]] = ()
    series: int = 0
    stroke: bool = True
    band: Sequence[tuple[float, float]] = ()


def bars(items: Sequence[Bar], *, title: str, axis: str, most: float | None = None) -> str:
    """Return horizontal bars with interval whiskers, from 0 (or the lowest value below it) on.

    Parameters
    ----------
    items : sequence of Bar
        From top to bottom.
    title, axis : str
        The plot's name, and what the length stands for.
    most : float, optional
        Where the axis ends; by default at the largest value.
    """
    finite = [v for item in items for v in (item.value, item.low, item.high) if math.isfinite(v)]
    low, high = min([0.0, *finite]), most if most is not None else max([0.0, *finite])
    frame = Frame(low, high if high > low else low + 1, 0, 1, left=8, right=392)
    drawn, y = [], 4.0
    bottom = 4 + 38 * len(items)
    for value in ticks(frame.x_low, frame.x_high):
        x = frame.x(value)
        drawn.append(rule(x, 4, x, bottom + 2, "grid"))
        anchor = "start" if x < 20 else "end" if x > 380 else "middle"
        drawn.append(letters(x, bottom + 17, compact(value), anchor=anchor, css="tick"))
    for item in items:
        tip = f"{item.label}: {item.text}"
        room = 376 - len(item.text) * LETTER
        drawn.append(f"<g><title>{escape(tip)}</title>")
        drawn.append(letters(8, y + 12, fitted(item.label, room, _BOLD_LETTER), css="bar-label"))
        drawn.append(letters(392, y + 12, item.text, anchor="end", css="bar-value"))
        if math.isfinite(item.value):
            start, end = sorted((frame.x(0), frame.x(item.value)))
            drawn.append(
                f'<rect x="{start:.1f}" y="{y + 18:.1f}" width="{max(end - start, 1):.1f}" height="12" rx="2" '
                f'class="s{item.series}"/>'
            )
        if math.isfinite(item.low) and math.isfinite(item.high) and item.high > item.low:
            drawn.append(whisker(frame.x(item.low), y + 24, frame.x(item.high), y + 24))
        drawn.append("</g>")
        y += 38
    drawn.append(letters(392, bottom + 34, fitted(axis, 384), anchor="end", css="axis-label"))
    said = "; ".join(f"{item.label}: {item.text}" for item in items)
    return svg(bottom + 40, title, f"{axis}. {said}", drawn)


def lines(
    series: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    description: str,
    square: bool = False,
    steps: bool = False,
    mark: float | None = None,
) -> str:
    """Return lines over two axes.

    Parameters
    ----------
    series : sequence of Line
        What is drawn.
    title, x_label, y_label, description : str
        Words.
    square : bool, default=False
        Both axes are shares from 0 to 1, with a diagonal.
    steps : bool, default=False
        Draw steps between points.
    mark : float, optional
        Where an upright rule stands, such as a threshold.
    """
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points] + [
        v for s in series for pair in (*s.whiskers, *s.band) for v in pair
    ]
    legend = len(series) > 1
    top = 48 if legend else 30
    frame = Frame(0, 1, 0, 1, top=top) if square else Frame(*_wide(xs), *_wide(ys), top=top)
    drawn = axes(frame, x_label, y_label, shares=(square, square))
    if legend:
        drawn += swatches([(line.label, f"s{line.series}") for line in series], 36)
    if square:
        drawn.append(rule(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "diagonal"))
    for line in series:
        places = [(frame.x(x), frame.y(y)) for x, y in line.points]
        if line.band:
            known = [
                (x, frame.y(low), frame.y(high))
                for (x, _), (low, high) in zip(places, line.band, strict=True)
                if math.isfinite(low) and math.isfinite(high)
            ]
            around = [(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)]
            if around:
                drawn.append(f'<path d="{_path(around, steps=False)}Z" class="band a{line.series}"/>')
        if line.stroke and places:
            drawn.append(f'<path d="{_path(places, steps=steps)}" class="l{line.series}"/>')
        for (x, _), (low, high) in zip(places, line.whiskers, strict=False):
            drawn.append(whisker(x, frame.y(low), x, frame.y(high)))
        if line.whiskers or not line.stroke:
            drawn += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="s{line.series}"/>' for x, y in places
            ]
    if mark is not None:
        drawn.append(rule(frame.x(mark), frame.top, frame.x(mark), frame.bottom, "mark"))
    return svg(frame.bottom + 42, title, description, drawn)


def _path(places: Sequence[tuple[float, float]], *, steps: bool) -> str:
    first, *rest = places
    return f"M{first[0]:.1f} {first[1]:.1f}" + "".join(
        f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}" for x, y in rest
    )


def _wide(values: Sequence[float]) -> tuple[float, float]:
    """Return a range around the values, never empty."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    pad = (high - low) * 0.06 or abs(low) * 0.05 or 0.5
    return low - pad, high + pad


def histogram(
    edges: Sequence[float],
    series: Sequence[tuple[str, Sequence[int], int]],
    *,
    title: str,
    x_label: str,
    shares: bool = False,
    mark: float | None = None,
) -> str:
    """Return histograms laid over each other, each as a share of its own rows.

    Parameters
    ----------
    edges : sequence of n + 1 floats
        Common to all.
    series : sequence of (str, n counts, int)
        Name, counts and colour (0, 1 or 2); the later in front.
    title, x_label : str
        Words.
    shares : bool, default=False
        The x axis is a share from 0 to 1.
    mark : float, optional
        Where an upright rule stands, such as a threshold.
    """
    totals = [max(1, sum(counts)) for _, counts, _ in series]
    most = max(
        (max(counts) / total for (_, counts, _), total in zip(series, totals, strict=True)), default=1.0
    )
    frame = Frame(edges[0], edges[-1], 0, most * 1.05 or 1.0, top=48)
    drawn = axes(frame, x_label, "share of the rows", shares=(shares, True))
    drawn += swatches([(name, f"s{colour}") for name, _, colour in series], 36)
    for (_, counts, colour), total in zip(series, totals, strict=True):
        places = [(frame.x(edges[0]), frame.bottom)]
        for left, right, count in zip(edges, edges[1:], counts, strict=False):
            places += [(frame.x(left), frame.y(count / total)), (frame.x(right), frame.y(count / total))]
        places.append((frame.x(edges[-1]), frame.bottom))
        drawn.append(f'<path d="{_path(places, steps=False)}" class="area a{colour}"/>')
    if mark is not None:
        drawn.append(rule(frame.x(mark), frame.top, frame.x(mark), frame.bottom, "mark"))
    said = "; ".join(
        f"{name}: {sum(counts):,} rows, most often near {number(_peak(edges, counts))}"
        for name, counts, _ in series
    )
    return svg(frame.bottom + 42, title, f"{x_label}. {said}", drawn)


def _peak(edges: Sequence[float], counts: Sequence[int]) -> float:
    index = max(range(len(counts)), key=counts.__getitem__)
    return (edges[index] + edges[index + 1]) / 2


def scatter(
    points: Sequence[tuple[float, float]],
    binned: Line | None,
    *,
    title: str,
    x_label: str,
    y_label: str,
    description: str,
) -> str:
    """Return points with the diagonal on which a perfect prediction lies, and binned means before them."""
    values = [value for point in points for value in point]
    if len(values) >= 80:  # a few far points must not squeeze all others: they stand at the border
        values = sorted(values)[len(values) // 100 : -(len(values) // 100) or None]
    low, high = _wide(values)
    frame = Frame(low, high, low, high)
    drawn = axes(frame, x_label, y_label)
    drawn.append(rule(frame.x(low), frame.y(low), frame.x(high), frame.y(high), "diagonal"))
    drawn += [
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.6" class="point"/>' for x, y in points
    ]
    if binned is not None:
        for (x, y), (bottom, top) in zip(binned.points, binned.whiskers, strict=True):
            drawn.append(whisker(frame.x(x), frame.y(bottom), frame.x(x), frame.y(top)))
            drawn.append(
                f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="4" class="s{binned.series}"/>'
            )
    return svg(frame.bottom + 42, title, description, drawn)


def cloud(
    points: Sequence[tuple[float, float, int]],
    marks: Sequence[tuple[str, str]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    description: str,
) -> str:
    """Return points of several sorts on a plane.

    Parameters
    ----------
    points : sequence of (float, float, int)
        Where each lies, and the number of its mark; the later in front.
    marks : sequence of (str, str)
        Name and CSS class of each mark.
    title, x_label, y_label, description : str
        Words.
    """

    def inner(values: Sequence[float]) -> tuple[float, float]:
        ordered = sorted(values)
        cut = len(ordered) // 100  # a few far points must not squeeze all others: they stand at the border
        low, high = _wide(ordered[cut : len(ordered) - cut])
        pad = 0.25 * (high - low)
        return max(low - pad, ordered[0] - 0.1 * pad), min(high + pad, ordered[-1] + 0.1 * pad)

    frame = Frame(0, 1, 0, 1, top=48)
    if points:
        sides = (*inner([x for x, _, _ in points]), *inner([y for _, y, _ in points]))
        frame = Frame(
            sides[0], max(sides[1], sides[0] + 1e-9), sides[2], max(sides[3], sides[2] + 1e-9), top=48
        )
    drawn = axes(frame, x_label, y_label) + swatches(list(marks), 36)
    drawn += [
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.6" class="dot {marks[mark][1]}"/>'
        for x, y, mark in points
    ]
    return svg(frame.bottom + 42, title, description, drawn)


def heat(
    labels: Sequence[str], matrix: Sequence[Sequence[int]], *, title: str, x_label: str, y_label: str
) -> str:
    """Return a confusion matrix: each cell's count, tinted by its share of its row (the truth)."""
    n = len(labels)
    left = min(130.0, 24 + max(len(name) for name in labels) * LETTER)
    size = (392 - left) / n
    high = min(size, 64.0 if n > 1 else size)
    top, drawn = 44.0, []
    drawn.append(letters(2, 14, y_label, css="axis-label"))
    drawn.append(letters(392, 14, x_label, anchor="end", css="axis-label"))
    for j, name in enumerate(labels):
        drawn.append(
            letters(left + (j + 0.5) * size, top - 9, fitted(name, size - 3), anchor="middle", css="tick")
        )
    for i, row in enumerate(matrix):
        y, total = top + i * high, max(1, sum(row))
        drawn.append(
            letters(left - 8, y + high / 2 + 4, fitted(labels[i], left - 12), anchor="end", css="tick")
        )
        for j, count in enumerate(row):
            x, part = left + j * size, count / total
            tip = f"{labels[i]}, called {labels[j]}: {count:,} rows, {percent(part)} of {labels[i]}"
            css = ("right" if i == j else "wrong") + (" full" if part > 0.55 else "")
            shown = f"{count:,}" if len(f"{count:,}") * LETTER < size - 2 else compact(count)
            drawn.append(
                f'<g class="cell {css}"><title>{escape(tip)}</title><rect x="{x + 1:.1f}" y="{y + 1:.1f}" '
                f'width="{size - 2:.1f}" height="{high - 2:.1f}" rx="3" class="ground"/>'
                f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{size - 2:.1f}" height="{high - 2:.1f}" rx="3" '
                f'fill-opacity="{part * 0.9:.2f}" class="tint"/>'
            )
            two = size >= 60 and high >= 40
            drawn.append(
                letters(x + size / 2, y + high / 2 + (-1 if two else 4), shown, anchor="middle", css="count")
            )
            if two:
                drawn.append(
                    letters(x + size / 2, y + high / 2 + 14, percent(part), anchor="middle", css="tick")
                )
            drawn.append("</g>")
    said = "; ".join(f"{name}: {matrix[i][i]:,} of {sum(matrix[i]):,} right" for i, name in enumerate(labels))
    return svg(top + n * high + 8, title, said, drawn)


def parts(items: Sequence[tuple[str, float, str]], *, title: str) -> str:
    """Return one bar in parts; each is (name, size, words)."""
    total = sum(size for _, size, _ in items) or 1
    drawn, x = [], 0.0
    for i, (name, size, words) in enumerate(items):
        width = 400 * size / total
        drawn.append(
            f"<g><title>{escape(f'{name}: {words}')}</title>"
            f'<rect x="{x:.1f}" y="2" width="{max(width - 2, 1):.1f}" height="18" rx="3" class="s{i}"/></g>'
        )
        x += width
    y = 40.0
    for i, (name, _, words) in enumerate(items):
        drawn += swatches([(f"{name}: {words}", f"s{i}")], y, left=0)
        y += 20
    return svg(y - 12, title, "; ".join(f"{name}: {words}" for name, _, words in items), drawn)


def waffle(low: float, high: float, *, title: str, description: str) -> str:
    """Return a hundred squares: full up to `low`, pale up to `high`, empty beyond (shares from 0 to 1)."""
    sure, may = round(low * 100), round(high * 100)
    drawn = []
    for i in range(100):
        css = "full" if i < sure else "pale" if i < may else "empty"
        drawn.append(
            f'<rect x="{(i % 10) * 20 + 2}" y="{(i // 10) * 20 + 2}" width="16" height="16" rx="4" class="w-{css}"/>'
        )
    return svg(200, title, description, drawn, width=200)
