"""Words: what is said follows from the figures, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate import words
from mlwright.evaluate.cautions import cautions
from mlwright.evaluate.evaluation import evaluate
from mlwright.evaluate.words import PLAIN
from mlwright.metrics.intervals import Interval


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.0, "0"),
        (1, "1"),
        (12.0, "12"),
        (0.001234, "0.00123"),
        (0.99999, "1"),
        (1234.5, "1,230"),
        (12345, "12,345"),
        (-3.14159, "\u22123.14"),
        (1e-9, "1.00e\u221209"),
        (2.5e20, "2.50e+20"),
        (float("inf"), "not defined"),
    ],
)
def test_numbers_read_well(value, said):
    assert words.number(value) == said


def test_padded_numbers_line_up():
    assert [words.number(value, pad=True) for value in (0.85, 0.5, 12.0)] == ["0.850", "0.500", "12.0"]


def _separable(n, wrong):
    """`n` rows, half of them positive, `wrong` of each half called wrongly."""
    y = np.repeat([0.0, 1.0], n // 2)
    predicted = np.where(y == 1, 0.8, 0.2)
    predicted[:wrong], predicted[-wrong:] = 0.9, 0.1
    return y, predicted[:, None]


def test_the_lead_of_a_binary_model_is_wilsons_interval():
    y, predicted = _separable(200, 20)
    task = Task(TaskKind.BINARY, "Churn", "accuracy", (False, True))
    found = evaluate(task, y, predicted, {}, seed=0)
    # 80 of 100 flagged rows are right: Wilson's interval at 95 % is 0.7112 to 0.8666.
    assert words.lead(found, PLAIN) == (
        "Of 100 rows that it flags as Churn = true, 71 to 87 truly are; picked blindly it would be 50. "
        "Of 100 rows that truly are, it finds 71 to 87."
    )


def test_a_model_that_flags_nothing_is_praised_for_its_order_only():
    draw = np.random.default_rng(0)
    y = (draw.random(1000) < 0.1).astype(float)
    predicted = (0.05 + 0.3 * y)[:, None]
    task = Task(TaskKind.BINARY, "fraud", "roc_auc", (0, 1))
    said = words.lead(evaluate(task, y, predicted, {}, seed=0), PLAIN)
    assert "put rows in order" in said
    assert "10% with the highest score" in said
    few = evaluate(task, y[:40], np.full((40, 1), 0.1), {}, seed=0)
    assert few.flagged.total == 0
    assert "0 of 40" in words.lead(few, PLAIN) or "put rows in order" in words.lead(few, PLAIN)


def test_the_lead_of_a_regression_compares_medians(regression):
    error = np.abs(regression.predicted[:, 0] - regression.y)
    guess = np.abs(regression.y.mean() - regression.y)
    said = words.lead(regression.evaluation, PLAIN)
    assert f"within \u00b1{words.number(np.median(error))} of the true SalePrice" in said
    assert f"guessing the mean would be within \u00b1{words.number(np.median(guess))}" in said


def test_the_lead_of_a_multiclass_model_names_the_classes(multiclass):
    said = words.lead(multiclass.evaluation, PLAIN)
    guess = words.of_hundred(np.mean(multiclass.y == 0))
    assert f"always guessing Adelie would be right for {guess}." in said
    assert said.endswith("The classes are Adelie, Chinstrap, Gentoo.")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 0.2, "better"),
        (-0.1, 0.2, "level"),
        (-0.2, -0.1, "worse"),
        (0.0, 0.2, "level"),
        (float("nan"), float("nan"), "level"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(low, high, said):
    assert words.verdict(Interval(low, low, high, 0.95)) == said


def test_cautions_come_from_findings_first(context):
    found = cautions(context, PLAIN)
    assert found[0] == (
        Severity.STOP,
        "tenure alone tells the answer. Ban it. It was accepted, or the run would have stopped.",
    )
    assert not any("id says nothing" in text for _, text in found)


def test_many_findings_of_one_check_are_told_once(context):
    findings = tuple(
        Finding("missing", Severity.WARN, (f"c{i}",), f"c{i} is empty.", "Look.") for i in range(9)
    )
    found = [text for _, text in cautions(replace(context, findings=findings), PLAIN) if "is empty" in text]
    assert found == ["c0 is empty. Look. The same check speaks of c1, c2, c3, c4, c5 and 3 more."]
    two = cautions(replace(context, findings=findings[:2]), PLAIN)
    assert sum("is empty" in text for _, text in two) == 2


def _cautions(context, evaluation):
    return " ".join(text for _, text in cautions(replace(context, findings=(), evaluation=evaluation), PLAIN))


def test_figures_raise_their_own_cautions(context, case):
    found = case.evaluation
    assert "held out" in _cautions(context, replace(found, basis="cross-validation"))
    assert "held out" not in _cautions(context, found)
    assert "120 rows only" in _cautions(context, replace(found, n_rows=120))
    level = Interval(0.0, -0.1, 0.1, 0.95)
    dummy, linear = found.baselines["dummy"], found.baselines["linear"]
    tied = {"dummy": dummy, "linear": replace(linear, difference=level)}
    assert "simple linear model" in _cautions(context, replace(found, baselines=tied))
    lost = {"dummy": replace(dummy, difference=level), "linear": linear}
    assert "better than guessing" in _cautions(context, replace(found, baselines=lost))
    wide = Interval(found.score.estimate, found.score.estimate - 9e9, found.score.estimate + 9e9, 0.95)
    assert "is wide" in _cautions(context, replace(found, scores={**found.scores, case.task.metric: wide}))


def test_probabilities_that_are_off_are_told(context, binary):
    squeezed = evaluate(binary.task, binary.y, binary.predicted**4, binary.baselines, seed=0)
    assert "probabilities are off" in _cautions(context, squeezed)
    assert "probabilities are off" not in _cautions(context, binary.evaluation)


def test_a_bias_is_told(context, regression):
    high = evaluate(regression.task, regression.y, regression.predicted + 30_000, {}, seed=0)
    assert "too high by" in _cautions(context, high)
    low = evaluate(regression.task, regression.y, regression.predicted - 30_000, {}, seed=0)
    assert "too low by" in _cautions(context, low)
