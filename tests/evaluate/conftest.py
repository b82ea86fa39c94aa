"""Three evaluated models made of drawn numbers, and reports of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.evaluate.context import ReportContext
from mlwright.evaluate.evaluation import Evaluation, evaluate
from mlwright.evaluate.importance import Importance


@dataclass(frozen=True)
class Case:
    task: Task
    y: np.ndarray
    predicted: np.ndarray
    baselines: dict[str, np.ndarray]
    evaluation: Evaluation


def _softmax(scores):
    raised = np.exp(scores)
    return raised / raised.sum(axis=1, keepdims=True)


def _case(task, y, predicted, linear):
    if task.kind is TaskKind.REGRESSION:
        dummy = np.full((len(y), 1), y.mean())
    elif task.kind is TaskKind.BINARY:
        dummy = np.full((len(y), 1), np.mean(y))
    else:
        dummy = np.tile(np.bincount(y.astype(int), minlength=len(task.labels)) / len(y), (len(y), 1))
    baselines = {"dummy": dummy, "linear": linear}
    return Case(task, y, predicted, baselines, evaluate(task, y, predicted, baselines, seed=5))


@pytest.fixture(scope="session")
def binary():
    draw = np.random.default_rng(0)
    z = draw.normal(-1, 1.6, 600)
    y = (draw.random(600) < 1 / (1 + np.exp(-z))).astype(float)
    predicted, linear = (1 / (1 + np.exp(-(z + draw.normal(0, noise, 600))))[:, None] for noise in (0.2, 1.5))
    return _case(Task(TaskKind.BINARY, "Churn", "roc_auc", ("No", "Yes")), y, predicted, linear)


@pytest.fixture(scope="session")
def multiclass():
    draw = np.random.default_rng(1)
    y = draw.choice(3, 400, p=[0.5, 0.2, 0.3]).astype(float)
    scores = draw.normal(0, 1, (400, 3))
    scores[np.arange(400), y.astype(int)] += 2
    linear = _softmax(scores + draw.normal(0, 1, scores.shape))
    task = Task(TaskKind.MULTICLASS, "species", "log_loss", ("Adelie", "Chinstrap", "Gentoo"))
    return _case(task, y, _softmax(1.5 * scores), linear)


@pytest.fixture(scope="session")
def regression():
    draw = np.random.default_rng(2)
    y = np.exp(draw.normal(12, 0.4, 500))
    predicted, linear = ((y * np.exp(draw.normal(0, noise, 500)))[:, None] for noise in (0.1, 0.25))
    return _case(Task(TaskKind.REGRESSION, "SalePrice", "rmse"), y, predicted, linear)


def _context(case, name):
    columns = [Column("tenure", Kind.NUMERIC, why="numeric, 73 values, 0 to 72", required=True)]
    columns += [Column("Contract", Kind.CATEGORICAL, why="3 values"), Column("id", Kind.ID, Role.IGNORED)]
    columns.append(Column(case.task.target, Kind.CATEGORICAL, Role.TARGET, why="the target"))
    found = case.evaluation.score.estimate
    trials = tuple(
        {
            "number": i,
            "model": ("linear", "lightgbm", "catboost")[i % 3],
            "view": "native",
            "params": {"learning_rate": 0.05 + i / 100, "depth": 4 + i},
            "score": found * (1 + i / 100),
            "fold_scores": [found, found * 1.01, None],
            "n_iterations": 100 + i,
            "weight": {1: 0.75, 4: 0.25}.get(i),
        }
        for i in range(6)
    )
    return ReportContext(
        name=name,
        task=case.task,
        schema=Schema(tuple(columns)),
        n_rows=3000,
        findings=(
            Finding("constant", Severity.INFO, ("id",), "id says nothing.", "It is left out."),
            Finding("leak", Severity.STOP, ("tenure",), "tenure alone tells the answer.", "Ban it."),
        ),
        split={
            "kind": "random",
            "column": None,
            "reason": "No time column.",
            "n_train": 2400,
            "n_test": 600,
            "n_folds": 5,
        },
        trials=trials,
        evaluation=case.evaluation.with_importance(
            [Importance("tenure", 0.2, 0.1, 0.3), Importance("Contract", 0.1, 0.05, 0.12)]
        ),
        lineage={"data_fingerprint": "sha256:" + "ab" * 32, "seed": 5, "versions": {"mlwright": "0.1.0"}},
        notes=("The target was read as text.",),
    )


@pytest.fixture(scope="session", params=["binary", "multiclass", "regression"])
def case(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def context(case):
    return _context(case, "demo")


@pytest.fixture(scope="session")
def binary_context(binary):
    return _context(binary, "demo")


@pytest.fixture(scope="session")
def hostile(binary):
    """A context whose every word from outside tries to be markup."""
    bad = '<script>alert("1")</script>&\'|`'
    task = replace(binary.task, target=bad, labels=("fine", bad + "x"))
    made = _context(replace(binary, task=task, evaluation=replace(binary.evaluation, task=task)), bad)
    column = Column(bad, Kind.CATEGORICAL, why=bad)
    return replace(
        made,
        schema=Schema((*made.schema.columns[:-1], column, Column(bad + "t", Kind.TEXT, Role.TARGET))),
        findings=(Finding("leak", Severity.WARN, (bad,), bad, bad),),
        split={**made.split, "reason": bad, "column": bad, "kind": bad},
        trials=({**made.trials[0], "model": bad, "view": bad, "params": {bad: bad}},),
        evaluation=made.evaluation.with_importance([Importance(bad, 0.1, 0.0, 0.2)]),
        lineage={"source": bad, bad: {bad: bad}, "reproduce": bad},
        notes=(bad,),
        next_steps=((bad, bad),),
    )
