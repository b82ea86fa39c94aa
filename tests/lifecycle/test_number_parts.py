"""Number parts: what choosing adds is drawn by the split's own units, and rows count by their weights."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.clock import Deadline
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.selection import Selection, selection
from mlwright.lifecycle.build import build
from mlwright.lifecycle.number_parts import selected
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.metrics import get

TASK = Task(TaskKind.BINARY, "y", "accuracy", ("no", "yes"))


def study(random, n, n_trials, *, known=None):
    """Trials that know nothing, beside a dummy, one that was given up, and one that only repeats another on other folds."""
    predicted = [random.random((n, 1)) for _ in range(n_trials)]
    if known is not None:
        predicted[0][~known] = np.nan
    results = [
        SimpleNamespace(complete=complete, trial=SimpleNamespace(model=model, repeat=0), predicted=one)
        for one, model, complete in zip(
            predicted,
            ["lightgbm"] * (n_trials - 2) + ["dummy", "mlp"],
            [True] * (n_trials - 1) + [False],
            strict=True,
        )
    ]
    again = SimpleNamespace(model="lightgbm", repeat=1)
    results.append(SimpleNamespace(complete=True, trial=again, predicted=random.random((n, 1))))
    return SimpleNamespace(results=results), predicted[: n_trials - 2]


def test_units_and_weights_go_with_the_rows_that_have_predictions():
    random = np.random.default_rng(0)
    known = random.random(400) < 0.8
    made, tried = study(random, 400, 12, known=known)
    y, groups = random.integers(0, 2, 400).astype(float), np.repeat(np.arange(20), 20)
    weights = random.uniform(0.5, 2, 400)
    found = selected(TASK, made, y, units={"groups": groups}, weights=weights, seed=3)
    by_hand = selection(
        get("accuracy"),
        y[known],
        [one[known] for one in tried],
        units=groups[known],
        weights=weights[known],
        seed=3,
    )
    assert found == by_hand
    assert found.n_trials == 10
    others = [
        selected(TASK, made, y, units=units, weights=counts, seed=3)
        for units, counts in (({}, weights), ({"blocks": groups}, None), ({}, None))
    ]
    assert len({found.corrected, *(one.corrected for one in others)}) == 4


@pytest.mark.parametrize("holdout", [0.2, 0.0])
def test_a_run_by_group_draws_groups(holdout):
    random = np.random.default_rng(1)
    x, who = random.normal(size=(240, 2)), np.repeat(np.arange(40), 6)
    y = np.where(x[:, 0] + np.repeat(random.normal(size=40), 6) > 0, "yes", "no")
    times = random.integers(1, 4, 240)
    raw = pa.table({"a": x[:, 0], "b": x[:, 1], "who": [f"p{i}" for i in who], "times": times, "y": y})
    project = Project(
        task_target="y", data_group="who", data_weight="times", task_trials=3, task_holdout=holdout
    )
    ready = prepare(raw, project, refuse=False)
    built = build(ready, project, Deadline(60.0), lineage={}, rough=True)
    found = next(part for part in built.parts if isinstance(part, Selection))
    train = ready.split.train
    tried = [r.predicted for r in built.study.results if r.trial.model != "dummy"]
    weights = times[train] / times[train].mean()
    truth = (y[train] == "yes").astype(float)
    by_hand = selection(get("roc_auc"), truth, tried, units=who[train], weights=weights)
    assert found.to_json() == pytest.approx(by_hand.to_json())
