"""Trust, slices: how often a planted bad slice, and a biased target, are found, and how often one where there is none.

Predictions are drawn with their truth, so that nothing is wrong with them but what is planted: one category of 3 % of the
rows where half of the accuracy is left, or, for numbers, where errors are two and a half times as large. Targets are drawn
for two groups, biased against one or not, and a plain linear model is fitted on them, the group among its columns.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlwright.data.schema import Column, Kind, Task, TaskKind
from mlwright.data.values import Coded
from mlwright.evaluate.fairness import FLAGGED, compare_groups
from mlwright.evaluate.slices import find_slices

TASKS = {
    "two classes": Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes")),
    "two classes, easy and hard rows": Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes")),
    "four classes": Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c", "d")),
    "numbers": Task(TaskKind.REGRESSION, "y", "rmse"),
}
_SIZES, _DRAWS, _QUICK = (500, 1000, 2000, 5000), 100, 10
_BIAS = 1.2


def measure(options: Any) -> dict[str, Any]:
    """Return rates by task and number of rows."""
    draws = _QUICK if options.quick else _DRAWS
    slices = []
    for name, task in TASKS.items():
        for n_rows in _SIZES:
            slices.append(_slices(name, task, n_rows, draws, options.seed))
            sys.stderr.write(f"slices: {name}, {n_rows} rows: {slices[-1]}\n")
    fairness = [
        {"task": name, "bias": bias, "rows": 1500, "draws": draws}
        | {"flagged": sum(_flagged(name, bias, [options.seed, i]) for i in range(draws)) / draws}
        for name in ("two classes", "numbers")
        for bias in (_BIAS, 0.0)
    ]
    return {"slices": slices, "fairness": fairness}


def _slices(name: str, task: Task, n_rows: int, draws: int, seed: int) -> dict[str, Any]:
    found = false = surprising = 0
    seconds = []
    for i in range(draws):
        draw = np.random.default_rng([seed, n_rows, i])
        table, described, bad = _columns(draw, n_rows)
        looked = find_slices(task, *_predictions(name, draw, table, bad), described, table)
        found += any([c.level for c in part.conditions] == ["town 0"] for part in looked.found)
        plain = _predictions(name, draw, table, None)
        began = time.process_time()
        looked = find_slices(task, *plain, described, table)
        seconds.append(time.process_time() - began)
        false += bool(looked.found)
        surprising += any(part.surprising for part in looked.found)
    wrong = None if "hard" in name else false / draws  # there, slices are harder in truth
    rates = {"found": found / draws, "false": wrong, "false_look": surprising / draws}
    return {"task": name, "rows": n_rows, "draws": draws, **rates, "seconds": float(np.median(seconds))}


def _columns(draw: np.random.Generator, n_rows: int) -> tuple[dict[str, Any], list[Column], np.ndarray]:
    table: dict[str, Any] = {}
    described = []
    for i in range(10):
        table[f"x{i}"] = draw.normal(size=n_rows)
        size = int(draw.integers(2, 40))
        codes = draw.choice(size, n_rows, p=draw.dirichlet(np.ones(size))).astype(np.int32)
        table[f"c{i}"] = Coded(codes, [f"level {j}" for j in range(size)])
        described += [Column(f"x{i}", Kind.NUMERIC), Column(f"c{i}", Kind.CATEGORICAL)]
    town = draw.choice(10, n_rows, p=[0.03] + [0.97 / 9] * 9).astype(np.int32)
    table["town"] = Coded(town, [f"town {j}" for j in range(10)])
    return table, [Column("town", Kind.CATEGORICAL), *described], town == 0


def _predictions(
    name: str, draw: np.random.Generator, table: dict[str, Any], bad: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and predictions that are true, except on `bad` rows."""
    n_rows = len(table["x0"])
    if name == "numbers":
        spread = draw.choice([0.5, 1.0, 2.0], n_rows) * (1.0 if bad is None else np.where(bad, 2.5, 1.0))
        value = 3 * draw.normal(size=n_rows)
        return value + spread * draw.normal(size=n_rows), value[:, None]
    if name == "four classes":
        raised = np.exp(2.5 * draw.normal(size=(n_rows, 4)))
        shares = raised / raised.sum(axis=1, keepdims=True)
    else:
        share = np.clip(draw.choice([0.1, 0.9], n_rows) + draw.uniform(-0.05, 0.05, n_rows), 0.01, 0.99)
        if "hard" in name:  # the columns tell the answer, so rows in the middle are harder and known to be
            share = 1 / (1 + np.exp(-2 * table["x0"] - table["x1"]))
        shares = np.stack([1 - share, share], axis=1)
    n_classes, called = shares.shape[1], shares.argmax(axis=1)
    truth = (draw.random(n_rows)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(0, n_classes - 1)
    if bad is not None:
        right = draw.random(n_rows) < shares.max(axis=1) / 2
        other = (called + draw.integers(1, n_classes, n_rows)) % n_classes
        truth = np.where(bad, np.where(right, called, other), truth)
    return truth.astype(float), shares if n_classes > 2 else shares[:, 1:]


def _flagged(name: str, bias: float, seed: list[int]) -> bool:
    draw = np.random.default_rng(seed)
    sex, x = draw.integers(0, 2, 3000), draw.normal(size=(3000, 3))
    merit = x @ [1.0, 0.7, 0.0] - bias * (sex == 0)
    seen, half = np.column_stack([x, sex]), 1500
    if name == "numbers":
        y = merit + draw.normal(size=3000)
        told = LinearRegression().fit(seen[:half], y[:half]).predict(seen[half:])
    else:
        y = (draw.random(3000) < 1 / (1 + np.exp(-merit))).astype(float)
        told = LogisticRegression().fit(seen[:half], y[:half]).predict_proba(seen[half:])[:, 1]
    groups = {"sex": Coded(sex[half:].astype(np.int32), ["female", "male"])}
    found = compare_groups(
        TASKS[name], y[half:], told[:, None], Column("sex", Kind.CATEGORICAL), groups, seed=seed[0]
    )
    return found.verdict == FLAGGED


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def markdown(measured: dict[str, Any]) -> str:
    """Return the rates as two tables."""
    meaning = (
        "Found: one category, 3 % of the rows, half of the accuracy. False: any slice where none is planted; *Look*: one "
        "that the model does not know of. Where rows are easy and hard by their columns, slices are harder in truth, and only "
        "*Look* can be false. 21 columns; median processor seconds."
    )
    lines = [
        "## Slices",
        "",
        meaning,
        "",
        "| predictions | rows | draws | found | false | false *Look* | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['task']} | {row['rows']:,} | {row['draws']} | {row['found']:.2f} | {_share(row['false'])} "
        f"| {row['false_look']:.2f} | {row['seconds']:.3f} |"
        for row in measured["slices"]
    ]
    lines += [
        "",
        "## Fairness",
        "",
        "| target | bias | rows | draws | flagged |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['task']} | {row['bias']} | {row['rows']:,} | {row['draws']} | {row['flagged']:.2f} |"
        for row in measured["fairness"]
    ]
    return "\n".join(lines)
