"""Rows: one row through each learner, beside the learner's own package and beside the path without compiled code.

    python rows.py [--json]

A made-up table of ten numbers and two categories; 300 trees, or two nets. The ways take turns, two hundred
rows each, so that a busy machine slows all of them alike. CatBoost's package is asked without categories.

  compiled_us    through `rows.c`
  plain_us       without it: LightGBM's call for single rows, NumPy
  package_us     what the package offers for one row: LightGBM's and CatBoost's `predict`
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

N_ROWS, N_ASKED, ROUNDS, SEED = 4_000, 200, 9, 3
CATEGORICAL = (0, 1)


def table() -> tuple[np.ndarray, np.ndarray]:
    """Return codes and numbers, 2 % of them missing, and a target of two classes."""
    draw = np.random.default_rng(SEED)
    X = np.column_stack([draw.integers(0, 20, (N_ROWS, 2)), draw.normal(size=(N_ROWS, 10))])
    y = np.sin(X[:, 0]) + X[:, 2] * X[:, 3] + X[:, 4] + draw.normal(size=N_ROWS) > 0
    X[draw.random(X.shape) < 0.02] = np.nan
    return X, y.astype(float)


def without_compiled(model: Any) -> Any:
    """Return the same model, bound to rows by its other path."""
    from mlwright.models import lightgbm, mlp, rows

    library = rows._library  # noqa: SLF001 - it is compared with its absence
    modules = (lightgbm, mlp, rows)
    compiled = [module.is_compiled for module in modules]
    rows._library = lambda: None  # type: ignore[assignment]  # noqa: SLF001
    for module in modules:
        module.is_compiled = lambda: False
    try:
        other = type(model).from_state(model.state())
        other.predict_row(np.zeros(other.n_columns_))  # binds
        return other
    finally:
        rows._library = library  # noqa: SLF001
        for module, known in zip(modules, compiled, strict=True):
            module.is_compiled = known


def package_of(model: Any, X: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], Any] | None:
    """Return the package's own way for a row of shape (1, n_columns); None where there is no package."""
    if model.kind == "lightgbm":
        import lightgbm

        booster = lightgbm.Booster(model_str=model.state().blobs["lgb"].decode())
        return lambda row: booster.predict(row, num_threads=1)
    if model.kind == "catboost":
        import catboost

        numbers = np.nan_to_num(X)
        forest = catboost.CatBoostClassifier(
            iterations=300, verbose=False, thread_count=1, allow_writing_files=False
        ).fit(numbers, y)
        return lambda row: forest.predict_proba(np.nan_to_num(row), thread_count=1)
    return None


def measure(model: Any, X: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    """Return medians of microseconds."""
    ways: dict[str, tuple[Callable[[Any], Any], bool]] = {
        "compiled_us": (model.predict_row, False),
        "plain_us": (without_compiled(model).predict_row, False),
    }
    package = package_of(model, X, y)
    if package is not None:
        ways["package_us"] = (package, True)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (ask, is_matrix) in ways.items():
            for row in X[:N_ASKED]:
                given = row[None] if is_matrix else row
                began = time.perf_counter()
                ask(given)
                took[name].append(time.perf_counter() - began)
    found: dict[str, float | None] = {
        name: round(1e6 * statistics.median(each), 1) for name, each in took.items()
    }
    return {"package_us": None, **found}


def main() -> None:
    """Fit, measure, print."""
    from mlwright.data.schema import Task, TaskKind
    from mlwright.models import rows
    from mlwright.models.base import FitContext
    from mlwright.models.catboost import CatBoost
    from mlwright.models.kernel import Kernel
    from mlwright.models.lightgbm import LightGBM
    from mlwright.models.mlp import MLP

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not rows.is_compiled():
        raise SystemExit("rows.c is not compiled: pip install -e . with a C compiler at hand")
    X, y = table()
    task = Task(TaskKind.BINARY, "y", "log_loss", ("a", "b"))
    trees, none = (
        FitContext(task, n_iterations=300, categorical=CATEGORICAL),
        FitContext(task, n_iterations=300),
    )
    cases = {
        "lightgbm": (LightGBM(num_leaves=31), none),
        "lightgbm, categories": (LightGBM(num_leaves=31), trees),
        "catboost": (CatBoost(depth=6), none),
        "catboost, categories": (CatBoost(depth=6, max_ctr_complexity=1), trees),
        "kernel": (Kernel(), none),
        "mlp": (MLP(n_layers=2, n_pieces=8), FitContext(task, n_iterations=5)),
        "mlp, three layers": (MLP(), FitContext(task, n_iterations=5)),
    }
    found = {name: measure(model.fit(X, y, context), X, y) for name, (model, context) in cases.items()}
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, told in found.items():
        print(
            f"{name:22} " + "  ".join(f"{what} {value}" for what, value in told.items() if value is not None)
        )


if __name__ == "__main__":
    main()
