"""CatBoost: gradient boosted oblivious trees on numeric columns, kept as plain arrays.

Training goes through the ``catboost`` package. What it learned is turned at once into arrays, and predicting, in
training and serving alike, is NumPy over these arrays (`mlwright.models.oblivious`): no engine, no native format.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.files import read_json
from mlwright.core.params import Choice, Number, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.oblivious import ObliviousTrees
from mlwright.models.patience import Patience
from mlwright.models.state_audit import header

__all__ = ["CatBoost"]

_WITHOUT_VALID = 200  # iterations where there is nothing to stop early on
_MOST = 10_000  # iterations at most where there is
_LINKS = {TaskKind.BINARY: "sigmoid", TaskKind.MULTICLASS: "softmax", TaskKind.REGRESSION: "identity"}
_EVERY = 5  # iterations between two looks at validation: CatBoost hands over all earlier losses each time
_RARE = 1e-15  # share of a class that training never saw


class CatBoost(Model):
    """Gradient boosting by CatBoost (Prokhorenkova et al. 2018), on numbers only: categories must be encoded.

    Columns are cast to float32, as CatBoost does. With ``context.valid`` it stops early, on log loss for classes and on
    its own objective for a regression, after ``max(20, 3 / learning_rate)`` iterations without a better one, and keeps
    the best; it looks at every fifth iteration.

    Parameters
    ----------
    learning_rate : float, default=0.05
    depth : int, default=6
        1 to 8; every leaf of a tree lies this deep.
    l2_leaf_reg : float, default=3
    random_strength : float, default=1
    bagging_temperature : float, optional
        Draw row weights from an exponential distribution (1) or use all rows alike (0). Unset: CatBoost's minimal
        variance sampling of 80 % of the rows; for several classes, 1.
    rsm : float, default=1
        Share of the columns that a split may use.
    border_count : int, default=254
        Thresholds a column at most.
    leaf_estimation_iterations : int, optional
        Steps inside each leaf; unset: 10 for two classes, else 1.
    objective : {"l2", "l1"}, default="l2"
        For regressions only.
    """

    kind: ClassVar[str] = "catboost"
    grows: ClassVar[bool] = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "bagging_temperature": Number(0, 100),
        "border_count": Number(1, 254, integer=True),
        "depth": Number(1, 8, integer=True),
        "l2_leaf_reg": Number(0, 1e6),
        "leaf_estimation_iterations": Number(1, 100, integer=True),
        "learning_rate": Number(1e-4, 1),
        "objective": Choice(("l2", "l1")),
        "random_strength": Number(0, 1e6),
        "rsm": Number(0.01, 1),
    }

    @classmethod
    def prepare(cls) -> None:
        """Import the learner's package."""
        import catboost  # noqa: F401 - the import is the purpose

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; see `Model.fit`. `context.stop` is asked after each iteration."""
        task = context.task
        self.n_columns_, self.n_outputs_ = X.shape[1], task.n_outputs
        X32 = _float32(X)
        labels, codes = np.unique(y, return_inverse=True)
        link = _LINKS[task.kind]
        if len(labels) < 2 or _all_constant(X32):  # CatBoost refuses both
            self._trees = ObliviousTrees.constant(_prior(y, task, self.params), link)
            self.n_iterations_ = 0
            return self
        several = task.kind is TaskKind.MULTICLASS
        target = codes.astype(np.float64) if several else y
        valid = None
        if context.valid is not None and context.n_iterations is None:
            Xv, yv = context.valid
            known = np.isin(yv, labels) if several else np.ones(len(yv), dtype=bool)
            if known.any():
                valid = _float32(Xv)[known], (np.searchsorted(labels, yv[known]) if several else yv)
        document, self.n_iterations_ = self._train(X32, target, valid, context)
        seen = labels.astype(np.int64) if several else np.arange(1)
        bias = np.full(self.n_outputs_, np.log(_RARE))
        bias[seen] = 0.0
        self._trees = _from_document(document, bias, seen, link)
        return self

    def _train(
        self, X: np.ndarray, y: np.ndarray, valid: tuple[np.ndarray, np.ndarray] | None, context: FitContext
    ) -> tuple[dict[str, Any], int]:
        import catboost

        patience = Patience(self.params.get("learning_rate", 0.05), 0 if valid is None else len(valid[1]))

        class Watch:
            heard = 0

            def after_iteration(self, info: Any) -> bool:
                over = False
                if valid is not None:
                    (losses,) = info.metrics["validation"].values()
                    if len(losses) > self.heard:
                        self.heard = len(losses)
                        over = patience.over(info.iteration - 1, losses[-1])
                return not (over or context.stop())

        rounds = _MOST if valid is not None else _WITHOUT_VALID
        if context.n_iterations is not None:
            rounds = max(1, context.n_iterations)
        machine = catboost.CatBoost(self._options(context, rounds))
        machine.fit(X, y, eval_set=valid, callbacks=[Watch()])
        n_trees = int(machine.tree_count_ or 0)
        if valid is not None and n_trees > patience.best + 1:
            n_trees = patience.best + 1
            machine.shrink(n_trees)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            machine.save_model(str(path), format="json")
            return read_json(path), n_trees

    def _options(self, context: FitContext, rounds: int) -> dict[str, Any]:
        params = {name: value for name, value in self.params.items() if name != "objective"}
        kind = context.task.kind
        if kind is TaskKind.REGRESSION:
            loss = "MAE" if self.params.get("objective") == "l1" else "RMSE"
        else:
            loss = "Logloss" if kind is TaskKind.BINARY else "MultiClass"
        if kind is TaskKind.MULTICLASS:
            params.setdefault("bagging_temperature", 1.0)
        if "bagging_temperature" in params:
            params["bootstrap_type"] = "Bayesian"
        else:
            params |= {"bootstrap_type": "MVS", "subsample": 0.8}
        # CatBoost would choose the learning rate and the steps inside a leaf by the number of iterations: both are
        # fixed here, so that a replay gives equal bits.
        params.setdefault("leaf_estimation_iterations", 10 if kind is TaskKind.BINARY else 1)
        return {
            "learning_rate": 0.05,
            **params,
            "allow_writing_files": False,
            "boost_from_average": kind is TaskKind.REGRESSION,
            "boosting_type": "Plain",
            "eval_metric": f"{loss}:hints=skip_train~true",
            "iterations": rounds,
            "logging_level": "Silent",
            "loss_function": loss,
            "metric_period": _EVERY,
            "nan_mode": "Min",
            "random_seed": context.seed,
            "thread_count": context.threads,
            "use_best_model": False,
        }

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        if X.shape[1] != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} columns, got {X.shape[1]}")
        return self._trees.predict(_float32(X))

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        if len(row) != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} numbers, got {len(row)}")
        return self._trees.predict_row(_float32(row))

    def state(self) -> State:
        """Return the trees as arrays."""
        tree = {
            "kind": self.kind,
            "params": self.params,
            "n_columns": self.n_columns_,
            "n_outputs": self.n_outputs_,
            "n_iterations": self.n_iterations_,
        }
        trees = self._trees.state()
        return State({**tree, **trees.tree}, trees.arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the arrays, then build."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        model = cls(**params)
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model._trees = ObliviousTrees.from_state(state, cls.kind, n_columns, n_outputs)
        if model._trees.n_trees != n_iterations:
            raise BundleContentError(
                "catboost: n_iterations", got=n_iterations, allowed=str(model._trees.n_trees)
            )
        return model


def _float32(X: Floats) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in CatBoost
        return X.astype(np.float32)


def _all_constant(X: np.ndarray) -> bool:
    first = X[:1]
    return bool(np.all((first == X) | (np.isnan(first) & np.isnan(X))))


def _prior(y: Floats, task: Task, params: Mapping[str, Any]) -> Floats:
    """Return the scores before the link of a model without trees."""
    if task.kind is TaskKind.REGRESSION:
        return np.array([np.median(y) if params.get("objective") == "l1" else np.mean(y)], dtype=np.float64)
    counts = np.bincount(y.astype(np.int64), minlength=max(2, len(task.labels)))
    logs = np.log(np.maximum(counts / len(y), _RARE))
    return logs[1:2] - logs[:1] if task.kind is TaskKind.BINARY else logs


def _from_document(document: dict[str, Any], bias: Floats, seen: np.ndarray, link: str) -> ObliviousTrees:
    """Turn CatBoost's JSON form into arrays; `seen` are the outputs that it knows."""
    scale, own_bias = document["scale_and_bias"]
    bias[seen] = own_bias
    trees = document["oblivious_trees"]
    depth = max((len(tree["splits"] or ()) for tree in trees), default=0)
    features = np.zeros((len(trees), depth), dtype=np.int32)
    borders = np.full((len(trees), depth), np.inf, dtype=np.float32)
    leaves = np.zeros((len(bias), len(trees), 2**depth))
    for number, tree in enumerate(trees):
        splits = tree["splits"] or ()
        features[number, : len(splits)] = [split["float_feature_index"] for split in splits]
        borders[number, : len(splits)] = [split["border"] for split in splits]
        values = np.array(tree["leaf_values"]).reshape(2 ** len(splits), len(seen)) * scale
        leaves[seen, number, : len(values)] = values.T
    return ObliviousTrees(features, borders, leaves, bias, link)
