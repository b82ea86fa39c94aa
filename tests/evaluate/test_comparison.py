"""Comparisons: what differs is told, and which is better follows from the range of the gain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.evaluate.comparison import Changed, Comparison, Difference, Side
from mlwright.evaluate.comparison_report import render, summary_lines, verdict_words
from mlwright.evaluate.importance import Importance
from mlwright.evaluate.words import PLAIN
from mlwright.metrics.intervals import Interval

BAD = '<script>alert("1")</script>&\'|`'


def _side(name, **changes):
    columns = (
        Column("tenure", Kind.NUMERIC),
        Column("plan", Kind.CATEGORICAL),
        Column("churn", Kind.BOOLEAN, Role.TARGET),
    )
    side = Side(
        label=name,
        run_id=name * 8,
        sha256=name,
        task=Task(TaskKind.BINARY, "churn", "roc_auc", ("no", "yes")),
        schema=Schema(columns),
        basis="test",
        scores={"roc_auc": Interval(0.8, 0.75, 0.85, 0.95)},
        baselines={},
        n_rows=1000,
        split={"kind": "stratified", "n_train": 800, "n_test": 200, "reason": "no order"},
        missing={"tenure": 0.0, "plan": 0.10},
        findings=(Finding("constant", Severity.INFO, ("id",), "id says nothing.", "Drop it."),),
        importance=(Importance("tenure", 0.2, 0.1, 0.3),),
        members=(("lightgbm", "native", 1.0),),
        n_trials=5,
        size=1_000_000,
        settings={"task.seed": 0, "data.kinds": {}},
        lineage={"data": "abc", "packages": ["numpy==2.0.0", "mlwright==0.1.0"]},
        parts={"costs": {"best_cut": 0.25, "per_row": {"model": 1.5}}},
    )
    return replace(side, **changes)


def _comparison(gain=(0.01, 0.002, 0.02), **second):
    score = Interval(0.8, 0.75, 0.85, 0.95)
    found = {"roc_auc": Difference(score, score, Interval(*gain, 0.95))}
    return Comparison(_side("a"), _side("b", **second), 200, found, "200 rows that both were tested on.")


@pytest.mark.parametrize(
    ("gain", "verdict", "said"),
    [
        ((0.01, 0.002, 0.02), "better", "a is better than b"),
        ((-0.01, -0.02, -0.002), "worse", "b is better than a"),
        ((0.0, -0.02, 0.02), "level", "No clear difference between a and b"),
    ],
)
def test_which_is_better_follows_from_the_range(gain, verdict, said):
    made = _comparison(gain)
    assert made.to_json()["verdict"] == verdict
    assert verdict_words(made, PLAIN).startswith(said)
    assert "0.002" in verdict_words(made, PLAIN) or verdict == "level"


def test_what_differs_is_told_and_nothing_else():
    made = _comparison(
        schema=Schema((Column("tenure", Kind.CATEGORICAL), Column("churn", Kind.BOOLEAN, Role.TARGET))),
        missing={"tenure": 0.02, "plan": 0.105},
        findings=(Finding("leak", Severity.STOP, ("tenure",), "tenure tells it.", "Ban it."),),
        settings={"task.seed": 7, "data.kinds": {}},
        lineage={"data": "abc", "packages": ["numpy==2.1.0", "mlwright==0.1.0"]},
        parts={"costs": {"best_cut": 0.25, "per_row": {"model": 1.25}}},
    )
    assert made.same_data
    assert made.columns() == [
        Changed("tenure", "numeric, feature", "categorical, feature"),
        Changed("plan", "categorical, feature", ""),
    ]
    assert made.gaps() == [Changed("tenure", "0.0 %", "2.0 %")]
    assert [(f.code, one, two) for f, one, two in made.findings()] == [
        ("leak:tenure", False, True),
        ("constant:id", True, False),
    ]
    assert made.settings() == [Changed("task.seed", "0", "7")]
    assert made.packages() == [Changed("numpy", "2.0.0", "2.1.0")]
    assert made.parts() == [Changed("costs per row model", "1.5", "1.25")]
    page, lines = render(made), "\n".join(summary_lines(made))
    for word in ("tenure tells it.", "numpy", "2.1.0", "task.seed", "costs per row model"):
        assert word in page
    assert "numpy 2.0.0 against 2.1.0" in lines
    assert "leak:tenure only in b" in lines


def test_runs_without_common_rows_are_told_apart_by_their_own_scores():
    made = replace(_comparison(), differences={}, n_rows=0, why="One kept no rows aside.")
    said = verdict_words(made, PLAIN)
    assert "cannot be compared row by row: one kept no rows aside." in said
    assert "0.8 (0.750 to 0.850)" in said
    assert made.to_json()["verdict"] is None
    assert "Gain of the first" not in render(made)


def test_what_comes_from_data_is_text():
    made = _comparison(
        label=BAD,
        settings={BAD: BAD},
        lineage={BAD: BAD, "packages": [BAD]},
        findings=(Finding("leak", Severity.WARN, (BAD,), BAD, BAD),),
        importance=(Importance(BAD, 0.1, 0.0, 0.2),),
        members=((BAD, BAD, 1.0),),
        parts={BAD: {BAD: 1.0}},
        split={"kind": BAD, "column": BAD, "reason": BAD},
        schema=Schema((Column(BAD, Kind.TEXT),)),
    )
    assert "<script" not in render(made)
