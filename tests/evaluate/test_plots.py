"""Plots: well-formed, accessible, and drawn where the numbers say."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from mlwright.evaluate import plots

NAN = float("nan")
BAD = "<script>\"&'"

EXAMPLES = {
    "bars": plots.bars([plots.Bar(BAD, 0.5, 0.4, 0.6, "0.5")], title=BAD, axis=BAD),
    "bars of negative and undefined": plots.bars(
        [plots.Bar("a", -2, -3, 1, "x", 1), plots.Bar("b", NAN, NAN, NAN, "not defined", 2)],
        title="t",
        axis="a",
    ),
    "no bars": plots.bars([], title="t", axis="a"),
    "lines": plots.lines(
        [plots.Line(BAD, [(0.1, 0.2), (0.8, 0.9)], [(0.1, 0.3), (0.7, 1.0)]), plots.Line("b", [])],
        title=BAD,
        x_label=BAD,
        y_label=BAD,
        description=BAD,
        square=True,
    ),
    "one point": plots.lines(
        [plots.Line("a", [(3, 7.5)])], title="t", x_label="x", y_label="y", description="d", steps=True
    ),
    "no points": plots.lines([plots.Line("a", [])], title="t", x_label="x", y_label="y", description="d"),
    "histogram": plots.histogram(
        [0, 0.5, 1], [(BAD, [1, 2], 0), ("b", [0, 0], 2)], title=BAD, x_label=BAD, shares=True, mark=0.5
    ),
    "scatter": plots.scatter(
        [(i, i * i) for i in range(100)],
        plots.Line("m", [(5, 5)], [(1, 9)]),
        title=BAD,
        x_label=BAD,
        y_label=BAD,
        description=BAD,
    ),
    "heat": plots.heat([BAD, "b" * 90], [[3, 0], [0, 0]], title=BAD, x_label=BAD, y_label=BAD),
    "parts": plots.parts([(BAD, 3, BAD), ("b", 0, "b")], title=BAD),
    "waffle": plots.waffle(0.63, 0.71, title=BAD, description=BAD),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_plot_is_well_formed_and_says_what_it_shows(name):
    drawn = EXAMPLES[name]
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root[1].tag == "desc"
    assert root[0].text
    assert root[1].text
    assert root.get("aria-label") == root[0].text
    assert "nan" not in re.sub(r"<(title|desc)>.*?</\1>", "", drawn)
    _, _, width, height = map(float, root.get("viewBox").split())
    for node in root.iter():
        for key, value in node.attrib.items():
            if key in {"x", "x1", "x2", "cx"}:
                assert -5 <= float(value) <= width + 5, (node.tag, node.attrib)
            if key in {"y", "y1", "y2", "cy"}:
                assert -5 <= float(value) <= height + 5, (node.tag, node.attrib)


def test_bars_are_as_long_as_their_values():
    root = ET.fromstring(
        plots.bars([plots.Bar("a", 1.0, 1, 1, "1"), plots.Bar("b", 0.25, 0.2, 0.3, "b")], title="t", axis="a")
    )
    first, second = (float(node.get("width")) for node in root.iter("rect"))
    assert second == pytest.approx(first / 4, abs=0.1)
    stem = next(node for node in root.iter("line") if node.get("class") == "whisker")
    assert float(stem.get("x2")) - float(stem.get("x1")) == pytest.approx(first * 0.1, abs=0.2)


def test_a_waffle_counts_to_a_hundred():
    drawn = plots.waffle(0.634, 0.71, title="t", description="d")
    assert [drawn.count(f'"w-{css}"') for css in ("full", "pale", "empty")] == [63, 8, 29]


def test_a_frame_maps_ends_to_ends_and_keeps_what_is_outside_at_the_border():
    frame = plots.Frame(0, 10, -1, 1)
    assert (frame.x(0), frame.x(10), frame.x(99)) == (frame.left, frame.right, frame.right)
    assert (frame.y(-1), frame.y(1), frame.y(0)) == (frame.bottom, frame.top, (frame.bottom + frame.top) / 2)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0.00012, 0.00019), (1e6, 5e9), (0.829, 0.848)])
def test_ticks_are_few_round_and_within(low, high):
    found = plots.ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high * (1 + 1e-9) for value in found)
    steps = {float(f"{b - a:.6g}") for a, b in pairwise(found)}
    assert len(steps) == 1
    assert f"{steps.pop():e}"[0] in "125"
    assert plots.ticks(3, 3) == [3]


def test_long_words_are_cut_to_their_room():
    drawn = plots.bars(
        [plots.Bar("\u6f22" * 60, 1, 1, 1, "1"), plots.Bar("w" * 200, 1, 1, 1, "1")], title="t", axis="a"
    )
    shown = [node.text for node in ET.fromstring(drawn).iter("text") if node.get("class") == "bar-label"]
    assert shown[0].endswith("\u2026")
    assert len(shown[0]) < 30 < len(shown[1]) < 60
