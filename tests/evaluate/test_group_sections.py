"""Slices and groups in the report and the card: what is said, and that nothing from the data becomes markup."""

import json
from dataclasses import replace

import numpy as np
import pytest
from trust_draws import BINARY, CLASSES, NUMBER, columns, predictions

from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded
from mlwright.evaluate.card import VOICE, card
from mlwright.evaluate.cuts import Condition
from mlwright.evaluate.fairness import FLAGGED, compare_groups
from mlwright.evaluate.group_words import NamedGroups, WeakSlices, compared, slice_sentence, where
from mlwright.evaluate.report import render
from mlwright.evaluate.slices import Slices, find_slices

TASKS = pytest.mark.parametrize("task", [BINARY, NUMBER, CLASSES], ids=["binary", "number", "classes"])
BAD = '<script>alert("1")</script>{0}'


def parts(task, word="town"):
    draw = np.random.default_rng(0)
    table, described, bad = columns(draw, 2000, 1)
    table[word] = Coded(table["town"].codes, [f"{word} {i}" for i in range(10)])
    column = Column(word, Kind.CATEGORICAL)
    y, predicted = predictions(task, draw, 2000, bad)
    if predicted.shape[1] == 1:
        predicted = np.where(table["town"].codes[:, None] == 1, predicted - 0.85, predicted).clip(0.001)
    looked = find_slices(task, y, predicted, [*described[:-1], column], table)
    return WeakSlices(task, looked), NamedGroups(task, (compare_groups(task, y, predicted, column, table),))


@TASKS
def test_the_report_tells_them_and_agrees_with_json(task, context):
    weak, named = parts(task)
    page = render(replace(context, parts=(weak, named)))
    assert '<section id="slices">' in page
    assert '<section id="fairness">' in page
    tree = json.loads(json.dumps({"slices": weak.to_json(), "fairness": named.to_json()}, allow_nan=False))
    first = tree["slices"]["found"][0]
    assert f'<data value="{first["loss"]:.12g}" data-path="parts.slices.found.0.loss">' in page
    assert first["where"].startswith("town = town ")
    assert set(tree["fairness"]) == {"town"}
    assert tree["fairness"]["town"]["verdict"] in page


def test_the_first_screen_and_the_card_warn(context):
    made = replace(context, parts=parts(BINARY))
    page, text = render(made), card(made)
    summary = page.partition("<nav ")[0]
    assert "It does not know that" in summary
    assert "are treated differently" in summary
    assert "It does not know that" in text
    group = made.parts[1].columns[0].groups[0]
    rows = [line for line in text.splitlines() if line.startswith("| town = town ")]
    assert rows[0].startswith(f"| {where([group.condition])} | {group.n_rows:,} | ")
    assert len(rows) == len(made.parts[1].columns[0].groups)


def test_what_was_not_measured_has_no_section(context):
    page = render(context)
    assert 'id="slices"' not in page
    assert 'id="fairness"' not in page
    looked = Slices((), 1234, 2000, "log_loss", 20)
    page = render(replace(context, parts=(WeakSlices(BINARY, looked),)))
    assert "None was found: 1,234 slices of 20 rows or more" in page


@TASKS
def test_nothing_from_the_data_becomes_markup(task, hostile):
    task = replace(task, target=BAD, labels=tuple(f"{label}{BAD}" for label in task.labels))
    made = replace(hostile, parts=parts(task, BAD))
    page = render(made)
    assert "<script" not in page
    said = " ".join(text for part in made.parts for _, text in part.cautions(VOICE))
    assert "script" in said
    assert "<script" not in said.replace("\\<", "")
    rows = [line for line in card(made).splitlines() if line.startswith("| ") and "script" in line]
    assert rows
    assert not any("<script" in row.replace("\\<", "") for row in rows)
    assert "&lt;script&gt;" in page


def test_conditions_in_words():
    assert where([Condition("age", low=17.0, high=28.0)]) == "age from 17 to 28"
    assert where([Condition("age", low=17.0, high=17.0)]) == "age = 17"
    assert where([Condition("seen", "weekday", "Sunday")]) == "seen on a Sunday"
    assert where([Condition("seen", "month", "March")]) == "seen in March"
    assert where([Condition("seen", "year", None, 2019.0, 2021.0)]) == "seen (year) from 2019 to 2021"
    assert where([Condition("plan"), Condition("town", level="Ulm")]) == "plan missing and town = Ulm"


@TASKS
def test_sentences_name_the_figures(task):
    weak, named = parts(task)
    found = weak.looked.found[0]
    said = slice_sentence(found, weak.looked, task)
    assert f"({found.n_rows:,} of 2,000 rows)" in said
    assert ("off by" if task is NUMBER else "of 100") in said
    for each in named.columns[0].comparisons:
        text = compared(each, task)
        assert text.endswith(".")
        assert "nan" not in text.lower().split()
        assert "{" not in text
        if each.verdict == FLAGGED:
            assert "let pass" in text or "four fifths" in text
