"""Evaluation: metrics against scikit-learn, and what holds for every task."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from sklearn import metrics as oracle

from mlwright.core.errors import DataError, UsageError
from mlwright.core.files import canonical_json
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.evaluation import Evaluation, evaluate
from mlwright.metrics import for_task
from mlwright.metrics.intervals import Interval


def test_scores_are_scikit_learns(binary, multiclass, regression):
    def score(case):
        return case.evaluation.score.estimate

    assert score(binary) == pytest.approx(oracle.roc_auc_score(binary.y, binary.predicted[:, 0]))
    assert score(multiclass) == pytest.approx(oracle.log_loss(multiclass.y, multiclass.predicted))
    assert score(regression) == pytest.approx(
        oracle.root_mean_squared_error(regression.y, regression.predicted[:, 0])
    )
    baseline = regression.evaluation.baselines["linear"]
    wanted = oracle.root_mean_squared_error(regression.y, regression.baselines["linear"][:, 0])
    assert baseline.score.estimate == pytest.approx(wanted)
    assert baseline.difference.estimate == pytest.approx(wanted - score(regression))  # less error is a gain
    assert baseline.half_error == pytest.approx(
        oracle.median_absolute_error(regression.y, regression.baselines["linear"][:, 0])
    )
    dummy = binary.evaluation.baselines["dummy"]
    assert dummy.score.estimate == pytest.approx(0.5)
    assert dummy.right.share == pytest.approx(1 - binary.y.mean())


def test_intervals_hold_their_estimates(case):
    found = case.evaluation
    parts = [*found.scores.values()]
    for baseline in found.baselines.values():
        parts += [baseline.score, baseline.difference]
    for part in parts:
        assert part.low <= part.estimate <= part.high
    assert next(iter(found.scores)) == case.task.metric
    assert set(found.scores) == set(for_task(case.task.kind, plain=True))
    # The cases are made so that the model is better than both.
    assert all(part.difference.low > 0 for part in found.baselines.values())


def test_equal_inputs_give_equal_bytes(case):
    again = evaluate(case.task, case.y, case.predicted, case.baselines, seed=5)
    assert canonical_json(again.to_json()) == canonical_json(case.evaluation.to_json())
    other = evaluate(case.task, case.y, case.predicted, case.baselines, seed=6)
    assert canonical_json(other.to_json()) != canonical_json(case.evaluation.to_json())


def test_json_gives_the_evaluation_back(case):
    read = msgspec.json.decode(canonical_json(case.evaluation.to_json()))
    assert Evaluation.from_json(read) == case.evaluation


def test_an_undefined_figure_is_null_and_comes_back(case):
    undefined = Interval(*[float("nan")] * 3, 0.95)
    found = replace(case.evaluation, scores={**case.evaluation.scores, case.task.metric: undefined})
    tree = msgspec.json.decode(canonical_json(found.to_json()))
    assert tree["scores"][case.task.metric]["low"] is None
    assert np.isnan(Evaluation.from_json(tree).score.low)


def test_a_malformed_tree_is_named(case):
    tree = case.evaluation.to_json()
    tree["n_rows"] = "many"
    with pytest.raises(DataError, match="n_rows"):
        Evaluation.from_json(tree)


def test_groups_widen_intervals():
    draw = np.random.default_rng(0)
    one = (draw.random(50) < 0.4).astype(float)
    y, group = np.repeat(one, 8), np.repeat(np.arange(50), 8)
    predicted = np.repeat(np.clip(0.3 * one + draw.random(50) * 0.7, 0, 1), 8)[:, None]
    task = Task(TaskKind.BINARY, "t", "brier", (False, True))
    free = evaluate(task, y, predicted, {}, seed=0)
    grouped = evaluate(task, y, predicted, {}, seed=0, groups=group)
    for found in ("right", "flagged", "caught", "score"):
        wide, narrow = getattr(grouped, found), getattr(free, found)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low), found


def test_what_cannot_be_evaluated_is_refused(binary):
    with pytest.raises(DataError, match="the model"):
        evaluate(binary.task, binary.y, binary.predicted[:-1], {}, seed=0)
    with pytest.raises(DataError, match="linear"):
        evaluate(binary.task, binary.y, binary.predicted, {"linear": np.zeros((600, 2))}, seed=0)
    broken = binary.predicted.copy()
    broken[3] = np.nan
    with pytest.raises(DataError, match="missing or infinite"):
        evaluate(binary.task, binary.y, broken, {}, seed=0)
    with pytest.raises(DataError, match="two rows"):
        evaluate(binary.task, binary.y[:1], binary.predicted[:1], {}, seed=0)
    with pytest.raises(UsageError, match="cross-validation"):
        evaluate(binary.task, binary.y, binary.predicted, {}, seed=0, basis="train")
