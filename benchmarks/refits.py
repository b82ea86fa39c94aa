"""Refits: how many more iterations a refit on all rows carries than the folds that it follows.

    python refits.py --data TABLES [--folds 3 5 8] [--learners lightgbm catboost] [--tables development]

A learner is fitted on two folds and stops early; then it is fitted on all training rows, and judged on the test rows
after 1, 1.05, ... times the folds' mean of iterations. Printed is the loss against that of 1, in percent: root mean
squared error of numbers, log loss of classes. `Model.more_rows` follows from it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import tables
import tables_list

TIMES = (1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.8)
SEED, MOST, PATIENCE, MOST_CATEGORIES = 0, 3_000, 60, 200
LIGHTGBM = {
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
    "learning_rate": 0.08,
    "num_threads": 1,
    "verbosity": -1,
}
CATBOOST = {
    "allow_writing_files": False,
    "depth": 6,
    "learning_rate": 0.12,
    "thread_count": 1,
    "verbose": False,
}


def coded(frame: Any, train: Any) -> np.ndarray:
    """Return numbers as they are and categories by how frequent they are in `train`."""
    columns = []
    for name in train.columns:
        if train[name].dtype.kind in "ifbu":
            columns.append(frame[name].to_numpy(float))
            continue
        ranks = {
            value: i for i, value in enumerate(train[name].astype(str).value_counts().index[:MOST_CATEGORIES])
        }
        columns.append(frame[name].astype(str).map(ranks).fillna(-1).to_numpy(float))
    return np.column_stack(columns)


class Boosting:
    """LightGBM or CatBoost for one task."""

    def __init__(self, learner: str, task: str, n_classes: int) -> None:
        self.learner, self.task = learner, task
        losses = {
            "lightgbm": {"regression": "l2", "binary": "binary", "multiclass": "multiclass"},
            "catboost": {"regression": "RMSE", "binary": "Logloss", "multiclass": "MultiClass"},
        }
        name = "objective" if learner == "lightgbm" else "loss_function"
        self.params: dict[str, Any] = {name: losses[learner][task]}
        if task == "multiclass" and learner == "lightgbm":
            self.params["num_class"] = n_classes

    def fit(self, X: Any, y: Any, n_iterations: int, valid: Any = None) -> Any:
        """Return the model; with validated rows, stopped early."""
        if self.learner == "lightgbm":
            import lightgbm

            stop = [lightgbm.early_stopping(PATIENCE, verbose=False)] if valid else None
            sets = [lightgbm.Dataset(*valid)] if valid else None
            params = LIGHTGBM | self.params
            return lightgbm.train(
                params, lightgbm.Dataset(X, y), n_iterations, valid_sets=sets, callbacks=stop
            )
        import catboost

        params = CATBOOST | self.params | {"iterations": n_iterations}
        if valid:
            params |= {"od_type": "Iter", "od_wait": PATIENCE}
        return catboost.CatBoost(params).fit(X, y, eval_set=valid, use_best_model=valid is not None)

    def best(self, model: Any) -> int:
        """Return where it stopped."""
        return model.best_iteration if self.learner == "lightgbm" else model.tree_count_

    def predict(self, model: Any, X: Any, n_iterations: int) -> np.ndarray:
        """Return numbers, the second class's chance, or all chances."""
        if self.learner == "lightgbm":
            return model.predict(X, num_iteration=n_iterations)
        kind = "RawFormulaVal" if self.task == "regression" else "Probability"
        predicted = model.predict(X, prediction_type=kind, ntree_end=n_iterations)
        return predicted[:, 1] if self.task == "binary" else predicted


def loss(task: str, y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root mean squared error, or the log loss."""
    if task == "regression":
        return float(np.sqrt(np.mean((predicted - y) ** 2)))
    own = (
        np.where(y == 1, predicted, 1 - predicted)
        if task == "binary"
        else predicted[np.arange(len(y)), y.astype(int)]
    )
    return float(-np.mean(np.log(np.maximum(own, 1e-15))))


def measure(table: str, folder: Path, learner: str, n_folds: int) -> list[float]:
    """Return the loss after `TIMES` the folds' iterations, less that of the folds', in percent of it."""
    data = tables.load(table, folder, SEED, ())
    train, test = (part.drop(columns=data.target) for part in (data.train, data.test))
    X, X_test = coded(train, train), coded(test, train)
    y, y_test = (part[data.target] for part in (data.train, data.test))
    labels: dict[str, int] = {}
    if data.task == "regression":
        y, y_test = y.to_numpy(float), y_test.to_numpy(float)
    else:
        labels = {label: i for i, label in enumerate(sorted(set(y.astype(str))))}
        known = y_test.astype(str).isin(labels).to_numpy()
        X_test, y_test = X_test[known], y_test[known].astype(str).map(labels).to_numpy(float)
        y = y.astype(str).map(labels).to_numpy(float)
    boosting = Boosting(learner, data.task, len(labels))
    part = np.random.default_rng(SEED).permutation(len(y)) % n_folds
    stopped = []
    for fold in range(2):
        inside = part != fold
        model = boosting.fit(X[inside], y[inside], MOST, (X[~inside], y[~inside]))
        stopped.append(boosting.best(model))
    typical = float(np.mean(stopped))
    model = boosting.fit(X, y, round(TIMES[-1] * typical))
    losses = [
        loss(data.task, y_test, boosting.predict(model, X_test, max(1, round(typical * times))))
        for times in TIMES
    ]
    return [100 * (one / losses[0] - 1) for one in losses]


def main() -> None:
    """Measure and print a line a table, and means and medians by learner, folds and kind of task."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--folds", type=int, nargs="+", default=[3, 5, 8])
    parser.add_argument(
        "--learners", nargs="+", default=["lightgbm", "catboost"], choices=["lightgbm", "catboost"]
    )
    parser.add_argument("--tables", nargs="+", default=["development"], help="names or groups")
    options = parser.parse_args()
    print("times", *TIMES)
    for learner in options.learners:
        for n_folds in options.folds:
            found: dict[str, list[list[float]]] = {"one output": [], "classes": []}
            for table in tables_list.names(options.tables):
                changes = measure(table, options.data, learner, n_folds)
                is_multiclass = tables.load(table, options.data, SEED, ()).task == "multiclass"
                found["classes" if is_multiclass else "one output"].append(changes)
                print(
                    f"{learner:8} {n_folds} {table:24}",
                    *(f"{change:+.2f}" for change in changes),
                    flush=True,
                )
            for kind, rows in found.items():
                for name, of in (("mean", np.mean), ("median", np.median)):
                    if rows:
                        print(
                            f"{learner:8} {n_folds} {name} of {kind}",
                            *(f"{x:+.2f}" for x in of(rows, axis=0)),
                        )


if __name__ == "__main__":
    main()
