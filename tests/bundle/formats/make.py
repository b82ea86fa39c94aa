"""Make stored examples of the current format: ``python tests/bundle/formats/make.py``. It never overwrites one.

Together they hold every kind of transform and of model, so that a later reader shows that it still reads all of them.
An example is made once, and stays: `1` was written by the first reader's own writer. To hold a new kind, add a function
here and its name to `EXAMPLES`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))

from customers import rows
from mlwright import bundle
from mlwright.bundle import Contents
from mlwright.core.clock import Deadline
from mlwright.data.schema import Kind
from mlwright.lifecycle import clusters, unlabelled
from mlwright.lifecycle.build import build
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.without_target import build_unlabelled
from mlwright.search import TrialResult, ending
from mlwright.unlabelled.cluster import Choice, Way

HERE = Path(__file__).parent
PLAIN = [
    ("dummy", "native", {}),
    ("linear", "linear", {"alpha": 1.0}),
    ("lightgbm", "native", {"num_leaves": 4, "learning_rate": 0.2}),
    ("catboost", "encoded", {"depth": 3, "learning_rate": 0.2}),
]
LATER = [
    ("dummy", "linear", {}),
    ("linear", "linear", {"alpha": 1.0}),
    ("discriminant", "linear", {}),
    ("discriminant", "linear", {"alpha": 0.5}),
    ("kernel", "linear", {"n_centres": 20}),
    ("mlp", "linear", {"width": 8, "members": 1}),
    ("mlp", "linear", {"width": 8, "members": 1, "n_pieces": 4}),
    ("catboost", "native", {"depth": 2, "learning_rate": 0.2, "max_ctr_complexity": 1}),
    ("lightgbm", "encoded", {"num_leaves": 4, "learning_rate": 0.2}),
]
WORDS = ("slow line", "good price", "calls often", "never answers", "moved house")
SATISFIED = ("very low", "low", "medium", "high", "very high")
SPENT = ("0-10", "10-20", "20-50", "50-100", "100+")


def customers(n: int, **columns: Callable[[int], object]) -> pa.Table:
    """Return customers with further columns, each a function of the row's number."""
    made = rows(n)
    for number, row in enumerate(made):
        row["charges"] = None if row["charges"] == "" else row["charges"]
        for name, value in columns.items():
            row[name] = value(number)
    return pa.Table.from_pylist(made)


def note(number: int) -> str:
    """Return a few words."""
    return f"{WORDS[number % 5]} and {WORDS[number // 5 % 5]}"


def replayed(table: pa.Table, trials: list[tuple[str, str, dict]], **project: object) -> Contents:
    """Return what a replay of small trials gives, blended with equal weights."""
    made = Project(name="stored", **{"task_target": "churned", **project})
    prepared = prepare(table, made)
    folds = len(prepared.split.folds)
    replay = [
        TrialResult.from_json(
            {
                "number": number,
                "model": model,
                "view": view,
                "params": params,
                "link": "identity",
                "score": 0.5,
                "fold_scores": [0.5] * folds,
                "n_iterations": [5] * folds if model != "linear" else [500] * folds,
            }
        )
        for number, (model, view, params) in enumerate(trials)
    ]

    def equal(_data: object, results: list[TrialResult], _metric: object) -> dict[int, float]:
        return {result.trial.number: 1 / len(results) for result in results}

    with mock.patch.object(ending, "blend_repeated", equal):
        return build(prepared, made, Deadline(1e9), lineage={}, replay=replay, rough=True).contents


def found(table: pa.Table, way: Way | None = None, **project: object) -> Contents:
    """Return what a run without a target gives; clusters are found in the way that is named."""
    made = Project(name="stored", **project)
    prepared = unlabelled.prepare(table, made)
    choice = None if way is None else Choice((way,), 0, found=True)
    with mock.patch.object(clusters, "choose", return_value=choice):
        return build_unlabelled(prepared, made, lineage={}).contents


def plain() -> Contents:
    """Return the four learners that were first."""
    table = customers(200, city=lambda i: f"city {i % 40}", note=note)
    return replayed(table, PLAIN, data_kinds={"note": str(Kind.TEXT)})


def learners() -> Contents:
    """Return the learners and the transforms that came after them."""
    table = customers(
        100,
        city=lambda i: f"city {i % 40}",
        note=note,
        satisfied=lambda i: SATISFIED[i * 7 % 5],
        spent=lambda i: SPENT[i * 3 % 5],
        called=lambda i: f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}",
    )
    return replayed(table, LATER, data_kinds={"note": str(Kind.TEXT)})


def anomalies() -> Contents:
    """Return the looks at unusual rows."""
    table = customers(14, city=lambda i: f"city {i % 9}", note=note)
    ignored = ("customer_id", "churned")
    kinds = {"note": str(Kind.TEXT)}
    return found(table, task_kind="anomaly", task_holdout=0.0, data_ignore=ignored, data_kinds=kinds)


def groups(model: str, **params: object) -> Contents:
    """Return two groups of rows, found in one way."""
    random = np.random.default_rng(0)
    x, y = np.concatenate([random.normal(size=(60, 2)) + far for far in (0.0, 8.0)]).T
    table = pa.table({"x": x, "y": y, "colour": [("red", "green")[i // 60] for i in range(120)]})
    return found(table, Way(model, 2, params, (1.0,), (0.0,), 0.5), task_kind="cluster")


def intervals(*, numbers: bool) -> Contents:
    """Return a model whose answers can come with an interval, or a set of classes."""
    table = customers(150).drop_columns(["customer_id"])
    trials = [("dummy", "native", {}), ("linear", "linear", {"alpha": 1.0})]
    return replayed(
        table, trials, **({"task_target": "charges", "task_kind": "regression"} if numbers else {})
    )


def codes() -> Contents:
    """Return a model that takes the whole numbers of a column for the codes that they are."""
    random = np.random.default_rng(0)
    region, size = random.integers(1, 7, 240), random.normal(size=240)
    paid = np.array([0.0, 9.0, -8.0, 7.0, -9.0, 8.0, 0.0])[region] + size + random.normal(scale=0.3, size=240)
    trials = [("dummy", "native", {}), ("lightgbm", "native", {"num_leaves": 4, "learning_rate": 0.2})]
    table = pa.table({"region": region, "size": size, "paid": paid})
    kinds = {"region": str(Kind.NUMERIC)}
    return replayed(table, trials, task_target="paid", task_kind="regression", data_kinds=kinds)


def known_groups() -> Contents:
    """Return a model that knows what it misses for each shop."""
    random = np.random.default_rng(0)
    shop, size = np.repeat(np.arange(30), 8), random.normal(size=240)
    paid = size + random.normal(scale=3.0, size=30)[shop] + random.normal(scale=0.3, size=240)
    trials = [("dummy", "native", {}), ("linear", "linear", {"alpha": 1.0})]
    table = pa.table({"shop": [f"shop {i}" for i in shop], "size": size, "paid": paid})
    return replayed(
        table, trials, task_target="paid", task_kind="regression", data_group="shop", task_holdout=0.0
    )


EXAMPLES: Mapping[str, Callable[[], Contents]] = {
    "": plain,
    "-learners": learners,
    "-anomaly": anomalies,
    "-k-means": lambda: groups("k_means"),
    "-gaussian-mixture": lambda: groups("gaussian_mixture", covariance="full"),
    "-intervals": lambda: intervals(numbers=True),
    "-sets": lambda: intervals(numbers=False),
    "-density-clusters": lambda: groups("density_clusters", min_share=0.05),
    "-codes": codes,
    "-known-groups": known_groups,
    "-winsorized": lambda: intervals(numbers=True),  # as the linear view of numbers is since then
    "-gaps": codes,  # since then numbers know what stands in for a gap
    "-least-chance": lambda: intervals(numbers=False),  # since then no class is said to be impossible
}


def main() -> None:
    """Write the examples that are not there."""
    for name, make in EXAMPLES.items():
        path = HERE / f"{bundle.FORMAT}{name}"
        if not path.exists():
            bundle.write(
                replace(make(), documents={}), path
            )  # a report is no part of what must stay readable


if __name__ == "__main__":
    main()
