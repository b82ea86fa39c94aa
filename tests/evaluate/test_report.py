"""The report and the card: well-formed, self-contained, safe and equal for equal inputs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.evaluation import Evaluation, Importance, evaluate
from mlwright.evaluate.report import card, render
from mlwright.evaluate.sections import SECTIONS

VOID = {"meta", "br", "link", "img", "input", "hr"}
CSS = files("mlwright.evaluate").joinpath("report.css").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Reads a page; every element must be closed, in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.classes, self.tags = [], [], [], set(), set()
        self.headings, self.text = [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.classes |= set((given.get("class") or "").split())
        assert not any(name.startswith("on") or name in {"src", "style"} for name in given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(context):
    return render(context)


def test_a_report_is_well_formed(page):
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in read.links} <= set(read.ids)
    assert page.startswith("<!DOCTYPE html>")
    for heading in (
        "Is it better than simpler ways?",
        "What drives it",
        "Where not to trust it",
        "What to do next",
        "The search",
    ):
        assert heading in read.headings


def test_a_report_is_one_file_that_loads_nothing(page):
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page.lower()
    assert "url(" not in page
    assert "@import" not in page
    assert all(link.startswith("#") for link in Page(page).links)
    assert "default-src &#x27;none&#x27;" in page
    assert len(page.encode()) < 1_000_000


def test_equal_contexts_give_equal_reports(context, page):
    assert render(context) == page
    assert card(context) == card(context)
    assert render(replace(context, evaluation=Evaluation.from_json(context.evaluation.to_json()))) == page


def test_a_report_tells_what_it_was_given(context, page):
    text = Page(page).text
    for word in (
        "tenure alone tells the answer.",
        "numeric, 73 values, 0 to 72",
        "No time column.",
        "2,400 rows",
    ):
        assert word in text
    assert "sha256:" + "ab" * 32 in text
    assert "mlwright serve demo" in text
    assert "mlwright reproduce demo" in text
    assert "75%" in text  # a blend weight
    assert "The target was read as text." in text
    assert ("confusion" in text.lower() or "Right and wrong" in text) == (
        context.evaluation.confusion is not None
    )


def test_every_class_has_a_rule_and_every_colour_both_themes(page):
    named = set(re.findall(r"\.([a-z][\w-]*)", CSS))
    assert Page(page).classes <= named | {"info"}  # a note looks like any other mark
    used = set(re.findall(r"var\((--[\w-]+)\)", CSS))
    roots = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    light, dark, paper = (set(re.findall(r"(--[\w-]+):", block)) for block in roots)
    assert used == light
    assert dark == paper == light - {"--sans", "--mono"}


def test_what_comes_from_data_is_text_and_never_markup(hostile):
    page = render(hostile)
    read = Page(page)
    assert "script" not in read.tags
    assert "<script" not in page.lower()
    assert "<script>alert" in read.text  # shown as it is
    text = card(hostile)
    outside_code = re.sub(r"(`+)[^`].*?[^`]?\1", "", text)
    assert "<script" not in outside_code.replace("\\<script", "")


def test_a_report_without_a_test_part_says_so(context):
    found = replace(context.evaluation, basis="cross-validation")
    said = Page(render(replace(context, evaluation=found))).text
    assert said.count("No rows were held out") >= 2
    assert "lean to the good side" in said
    assert "No rows were held out" in card(replace(context, evaluation=found))
    assert "No rows were held out" not in Page(render(context)).text


def test_a_bare_context_still_makes_a_report(context):
    bare = replace(
        context,
        findings=(),
        trials=(),
        lineage={},
        notes=(),
        split={"kind": "random", "n_train": 1, "n_test": 0},
        evaluation=replace(context.evaluation, baselines={}, importance=(), lifts=(), roc=()),
    )
    text = Page(render(bare)).text
    assert "The checks found nothing to report." in text
    assert "No trials were recorded." in text
    assert "What drives it" not in text
    assert card(bare).count("\n## ") == 9


def test_a_lower_score_is_the_best_where_lower_is_better(context):
    ordered = re.findall(r'<td class="n">(\d+)</td><td><b>', render(context))
    wanted = ["1", "4", "0", "2", "3", "5"]  # the blend, then the best first: scores rise with the number
    if context.task.metric == "roc_auc":
        wanted = ["4", "1", "5", "3", "2", "0"]
    assert ordered == wanted


def test_many_columns_classes_and_trials_stay_below_a_megabyte():
    draw = np.random.default_rng(0)
    n = 120
    y = draw.integers(0, n, 2000).astype(float)
    predicted = draw.dirichlet(np.ones(n), 2000)
    task = Task(TaskKind.MULTICLASS, "product", "accuracy", tuple(f"item {i:03d}" for i in range(n)))
    found = evaluate(task, y, predicted, {}, seed=0)
    found = found.with_importance([Importance(f"column {i}", 1 / (i + 1), 0, 1) for i in range(2000)])
    columns = tuple(Column(f"column {i}", Kind.NUMERIC, why="w" * 80) for i in range(2000))
    trial = {
        "model": "lightgbm",
        "view": "native",
        "params": {"depth": 3},
        "score": 0.5,
        "fold_scores": [0.5] * 10,
    }
    page = render(
        ReportContext(
            "wide",
            task,
            Schema((*columns, Column("product", Kind.CATEGORICAL, Role.TARGET))),
            10**6,
            (),
            {"kind": "random", "n_train": 1, "n_test": 1, "n_folds": 5},
            tuple({**trial, "number": i} for i in range(1000)),
            found,
        )
    )
    text = Page(page).text
    assert len(page.encode()) < 1_000_000
    assert "all others" in text
    assert "980 more trials are in the run's own record" in text
    assert "1,601 more columns are not shown" in text


def test_a_card_has_the_nine_sections(context):
    text = card(context)
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]
    assert text.count("For a person to fill in:") >= 6
    assert "tenure" in text
    assert "weight 75%" in text


def test_the_documentation_tells_every_section_in_the_order_of_the_page():
    told = Path(__file__).parents[2].joinpath("docs/report.md").read_text(encoding="utf-8")
    rows = told.partition("## The sections below it")[2].partition("\n## ")[0].splitlines()
    titles = [line.split(" | ")[0].removeprefix("| ") for line in rows if line.startswith("| ")][1:]
    assert ", ".join(titles) == ", ".join(section.title for section in SECTIONS)
