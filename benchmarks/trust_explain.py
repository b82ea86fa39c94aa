"""Trust, explanations: whether contributions add up for every row, and agree with the ``shap`` package on the same trees.

    python trust.py --only explain --data TABLES [--tables NAME ...] [--quick] [--json]

For each table and learner all rows are explained: the largest miss of a row's sum from its margin, the largest distance to
what shap gives, and the milliseconds that one row takes. The trees go to shap as plain arrays, so it walks them by an
algorithm of its own and does not ask LightGBM or CatBoost; for CatBoost's native categories, whose trees shap cannot read, the
package is asked, as shap does. shap is installed into an environment of its own, which the first run makes
(``SHAP_ENV``, by default a folder of the system's temporary ones).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["markdown", "measure"]

TABLES = ("telco_churn_clean", "ames", "segment")
ROUNDS = 60
AGAINST_SHAP = 400  # rows; its algorithm is slow in deep trees
CASES = (("lightgbm", "encoded"), ("catboost", "encoded"), ("catboost", "native"), ("linear", "linear"))
CHILD = """
import sys, numpy as np, shap
told = np.load(sys.argv[1])
n = int(told["n_trees"])
names = ("children_left", "children_right", "children_default", "features", "thresholds", "values", "node_sample_weight")
trees = [{name: told[f"{name}_{i}"] for name in names} for i in range(n)]
explainer = shap.TreeExplainer({"trees": trees, "base_offset": 0.0}, feature_perturbation="tree_path_dependent")
np.savez(sys.argv[2], values=explainer.shap_values(told["X"], check_additivity=False), base=explainer.expected_value)
"""
WAYS = {
    "children_left": np.int32,
    "children_right": np.int32,
    "children_default": np.int32,
    "features": np.int32,
    "thresholds": np.float64,
    "node_sample_weight": np.float64,
}


def python_with_shap() -> Path:
    """Return the interpreter of an environment that has shap; it is made where it is not there."""
    place = Path(os.environ.get("SHAP_ENV") or Path(tempfile.gettempdir()) / "mlwright-shap")
    python = place / "bin" / "python"
    if not python.is_file() or subprocess.run([python, "-c", "import shap"], check=False).returncode:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "shap"], check=True)
    return python


def by_shap(python: Path, trees: list[dict[str, np.ndarray]], X: np.ndarray) -> np.ndarray:
    """Return shap's values of a sum of trees, shape (n_rows, n_columns + 1); the last column is the expected value."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "asked.npz", Path(folder) / "told.npz"
        arrays = {f"{name}_{i}": array for i, tree in enumerate(trees) for name, array in tree.items()}
        np.savez(asked, X=X, n_trees=len(trees), **arrays)
        subprocess.run([python, "-c", CHILD, asked, told], check=True)
        found = np.load(told)
        values = found["values"].reshape(len(X), X.shape[1])
        return np.column_stack([values, np.full(len(X), float(np.ravel(found["base"])[0]))])


class Nodes:
    """A tree's arrays as shap takes them, made node by node."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def add(self, weight: float, *, value: float = 0.0, feature: int = -2, threshold: float = -2.0) -> int:
        """Add a node and return its number; children are set by `join`."""
        children = dict.fromkeys(("children_left", "children_right", "children_default"), -1)
        self.rows.append(
            {
                **children,
                "features": feature,
                "thresholds": threshold,
                "values": value,
                "node_sample_weight": weight,
            }
        )
        return len(self.rows) - 1

    def join(self, node: int, left: int, right: int, default: int) -> None:
        """Say which nodes a node leads to."""
        self.rows[node] |= {"children_left": left, "children_right": right, "children_default": default}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays."""
        found = {name: np.array([row[name] for row in self.rows], dtype) for name, dtype in WAYS.items()}
        return {**found, "values": np.array([[row["values"]] for row in self.rows])}


def of_lightgbm(text: str, output: int, n_outputs: int) -> list[dict[str, np.ndarray]]:
    """Return the trees of one output, by LightGBM's own reading of a model's text."""
    import lightgbm

    made = []
    for tree in lightgbm.Booster(model_str=text).dump_model()["tree_info"][output::n_outputs]:
        nodes = Nodes()

        def walk(node: dict[str, Any], nodes: Nodes = nodes) -> int:
            if "leaf_value" in node:
                return nodes.add(node.get("leaf_count", 1), value=node["leaf_value"])
            own = nodes.add(
                node["internal_count"], feature=node["split_feature"], threshold=float(node["threshold"])
            )
            left, right = walk(node["left_child"]), walk(node["right_child"])
            nodes.join(own, left, right, left if node["default_left"] else right)
            return own

        walk(tree["tree_structure"])
        made.append(nodes.arrays())
    return made


def of_oblivious(arrays: dict[str, np.ndarray], output: int) -> list[dict[str, np.ndarray]]:
    """Return oblivious trees as plain ones: the last level is the root, and missing is never greater."""
    made = []
    for leaves, weights, features, borders in zip(
        arrays["leaves"][output],
        arrays["leaf_weights"].astype(np.float64),
        arrays["features"].tolist(),
        arrays["borders"].tolist(),
        strict=True,
    ):
        nodes = Nodes()
        _grow(nodes, (leaves, weights, features, borders), len(features), 0)
        made.append(nodes.arrays())
    return made


def _grow(nodes: Nodes, tree: tuple[Any, ...], level: int, place: int) -> int:
    leaves, weights, features, borders = tree
    size = 2**level
    weight = weights[place * size : (place + 1) * size].sum() or 1e-9 * size  # shap divides by it
    if level == 0:
        return nodes.add(weight, value=float(leaves[place]))
    own = nodes.add(weight, feature=features[level - 1], threshold=borders[level - 1])
    left, right = (_grow(nodes, tree, level - 1, 2 * place + side) for side in (0, 1))
    nodes.join(own, left, right, left)
    return own


def fitted(table: str, folder: Path, seed: int) -> Iterator[tuple[str, str, Any, np.ndarray, Any]]:
    """Yield for each of `CASES` learner, view, model, matrix of all rows, and for native categories CatBoost's own values."""
    import pyarrow as pa
    from tables import plain_frame

    from mlwright.core.kinds import MODELS, load
    from mlwright.data.schema import Kind
    from mlwright.data.target import target_values
    from mlwright.features.recipes import build
    from mlwright.lifecycle.prepared import prepare
    from mlwright.lifecycle.project import Project
    from mlwright.models.base import FitContext

    frame, target, task_kind = plain_frame(table, folder)
    raw = pa.Table.from_pandas(frame, preserve_index=False)
    project = Project(task_target=target, task_kind=task_kind, task_seed=seed)
    prepared = prepare(raw, project, refuse=False)
    task, columns = prepared.task, prepared.table.columns()
    y = target_values(prepared.table, task)
    for kind, view in CASES:
        plan = build(prepared.table.schema, view, n_rows=len(y), task=task)
        if view == "native" and not any(c.kind is Kind.CATEGORICAL for c in prepared.table.schema.features):
            continue  # the same as encoded
        X = plan.fit_batch(columns, y, n_classes=len(task.labels), seed=seed)
        context = FitContext(task, categorical=plan.categorical, n_iterations=ROUNDS, seed=seed)
        model = load(MODELS, kind, family="model")()
        kept = []
        if kind == "catboost" and plan.categorical:
            kept = watched(model, X, y, context)
        else:
            model.fit(X, y, context)
        yield kind, view, model, X, (kept[-1], plan.categorical) if kept else None


def watched(model: Any, X: np.ndarray, y: np.ndarray, context: Any) -> list[Any]:
    """Fit, and return the package's own models, with the tables of categories that ours does without."""
    import catboost

    kept: list[Any] = []
    save, create = catboost.CatBoost.save_model, catboost.CatBoost.__init__

    def keep(self: Any, *words: Any, **options: Any) -> Any:
        kept.append(self)
        return save(self, *words, **options)

    def complete(self: Any, params: dict[str, Any] | None = None) -> None:
        create(self, {k: v for k, v in (params or {}).items() if k != "final_ctr_computation_mode"})

    catboost.CatBoost.save_model, catboost.CatBoost.__init__ = keep, complete
    try:
        model.fit(X, y, context)
    finally:
        catboost.CatBoost.save_model, catboost.CatBoost.__init__ = save, create
    return kept


def by_catboost(machine: Any, X: np.ndarray, categorical: tuple[int, ...], n_outputs: int) -> np.ndarray:
    """Return the package's own values, the columns in our order."""
    import catboost

    numbers = [column for column in range(X.shape[1]) if column not in categorical]
    cells = [
        [b"0" if np.isnan(code) else str(int(code) + 1).encode() for code in X[:, column]]
        for column in categorical
    ]
    codes = np.array(cells, dtype=object).T
    floats = np.ascontiguousarray(X[:, numbers], dtype=np.float32) if numbers else None
    pool = catboost.Pool(catboost.FeaturesData(floats, codes))
    values = machine.get_feature_importance(pool, type="ShapValues").reshape(len(X), n_outputs, -1)
    order = np.argsort([*numbers, *categorical, X.shape[1]])
    return values[..., order]


def compared(case: tuple[str, str, Any, np.ndarray, Any], python: Path) -> dict[str, Any]:
    """Explain all rows of one case, and hold some against shap."""
    kind, view, model, X, own = case
    values, margins = model.contributions(X), model.margins(X)
    miss = np.abs(values.sum(axis=2) - margins)
    took = []
    for row in X[:50]:
        start = time.process_time()
        model.contributions(row[None])
        took.append(1000 * (time.process_time() - start))
    told: dict[str, Any] = {
        "learner": kind,
        "view": view,
        "rows": len(X),
        "columns": X.shape[1],
        "largest_miss": float(miss.max()),
        "ms_one_row": float(np.median(took)),
        "against": None,
        "largest_distance": None,
    }
    some = X[np.linspace(0, len(X) - 1, min(AGAINST_SHAP, len(X))).astype(int)]
    if kind == "linear":
        return told
    here = model.contributions(some)
    if own is not None:
        other, told["against"] = (
            by_catboost(own[0], some, own[1], model.n_outputs_),
            "catboost's own, as shap asks it",
        )
    else:
        told["against"] = "shap's own algorithm"
        state = model.state()
        if kind == "lightgbm":
            sums = [
                of_lightgbm(state.blobs["lgb"].decode(), o, model.n_outputs_) for o in range(model.n_outputs_)
            ]
            bias = np.zeros(model.n_outputs_)
            asked = some
        else:
            sums = [of_oblivious(state.arrays, output) for output in range(model.n_outputs_)]
            bias = state.arrays["bias"]
            asked = some.astype(np.float32).astype(np.float64)
        other = np.stack([by_shap(python, trees, asked) for trees in sums], axis=1)
        other[..., -1] += bias
    told["largest_distance"] = float(np.abs(here - other).max())
    told["of_values_up_to"] = float(np.abs(other).max())
    return told


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Explain every row of the tables by each learner."""
    from records import say

    python = python_with_shap()
    rows = []
    for table in options.tables or (TABLES[:1] if options.quick else TABLES):
        for case in fitted(table, options.data, options.seed):
            rows.append({"table": table, **compared(case, python)})
            say(f"{table}: {rows[-1]}")
    return {"rows": rows}


def markdown(measured: dict[str, Any]) -> str:
    """Return a row a table and learner."""
    lines = [
        "## Explanations",
        "",
        "| table | learner | view | rows | largest miss of a sum | against | largest distance | of values up to | ms a row |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in measured["rows"]:
        far = "" if row["largest_distance"] is None else f"{row['largest_distance']:.1e}"
        largest = f"{row['of_values_up_to']:.3g}" if "of_values_up_to" in row else ""
        lines.append(
            f"| {row['table']} | {row['learner']} | {row['view']} | {row['rows']:,} | {row['largest_miss']:.1e} "
            f"| {row['against'] or ''} | {far} | {largest} | {row['ms_one_row']:.2f} |"
        )
    return "\n".join(lines)
