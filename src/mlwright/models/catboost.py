"""CatBoost: gradient boosted oblivious trees on numbers and categories, kept as plain arrays.

Training goes through the ``catboost`` package. What it learned is turned at once into arrays
(`mlwright.models.catboost_export`), and predicting, in training and serving alike, is NumPy over these arrays
(`mlwright.models.oblivious`, `mlwright.models.catboost_ctr`): no engine, no native format.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.files import read_json
from mlwright.core.params import Choice, Number, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import TWEEDIE_POWER, Objective, Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.bound_rows import BoundRows
from mlwright.models.catboost_ctr import CategoryTables, digits
from mlwright.models.catboost_export import Training, read, target_classes
from mlwright.models.losses import best_constant, loss_of
from mlwright.models.oblivious import ObliviousTrees
from mlwright.models.patience import Patience
from mlwright.models.rows import bind_categories
from mlwright.models.state_audit import header

__all__ = ["CatBoost"]

_WITHOUT_VALID = 200  # iterations where there is nothing to stop early on
_MOST = 10_000  # iterations at most where there is
_LINKS = {
    Objective.LOGISTIC: "sigmoid",
    Objective.SOFTMAX: "softmax",
    Objective.POISSON: "exp",
    Objective.TWEEDIE: "exp",
}
_SCALES = {"exp": "log", "identity": "value", "sigmoid": "log-odds", "softmax": "score"}
_LOSSES = {
    Objective.LOGISTIC: "Logloss",
    Objective.SOFTMAX: "MultiClass",
    Objective.SQUARED: "RMSE",
    Objective.ABSOLUTE: "MAE",
    Objective.POISSON: "Poisson",
    Objective.TWEEDIE: f"Tweedie:variance_power={TWEEDIE_POWER}",
}
_EVERY = 5  # iterations between two looks at validation: CatBoost hands over all earlier losses each time
_MOST_LEVELS = 100_000
_COMPLEXITY = 2  # categories in a combination, where nothing is said
_RARE = 1e-15  # share of a class that training never saw


class CatBoost(Model):
    """Gradient boosting by CatBoost (Prokhorenkova et al. 2018), on numbers and on categories.

    Numbers are cast to float32, as CatBoost does. Columns of ``context.categorical`` are categories: a tree asks
    whether one has a certain value, where there are few, or how the target went among the training rows of the same
    category or combination of categories (CTRs). A missing category is one of its own; one that training never saw
    is answered by the prior.

    With ``context.valid`` it stops early, on log loss for classes and on its own objective for a regression, after
    ``max(20, 3 / learning_rate)`` iterations without a better one, and keeps the best; it looks at every fifth
    iteration. After `fit`, ``seconds_per_iteration_`` tells how long one took, the start's share included. With
    categories an iteration takes about three times as long as with numbers (`max_ctr_complexity` 1) or five times
    (2 and more), so whoever has no time for some hundred of them is better off with encoded categories.

    Parameters
    ----------
    learning_rate : float, default=0.05
    depth : int, default=6
        1 to 10; every leaf of a tree lies this deep.
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
    max_ctr_complexity : int, default=2
        Categories in a combination at most, 1 to 4. Fewer where the codes are so many that their combinations could
        not be numbered.
    one_hot_max_size : int, default=2
        Up to so many values a category is asked for its values alone.
    boosting_type : {"plain", "ordered"}, default="plain"
        Ordered: each row's gradient comes from models that did not see it; slower, for small tables. Not for several
        classes.

    References
    ----------
    Prokhorenkova, Gusev, Vorobev, Dorogush, Gulin: CatBoost: unbiased boosting with categorical features. NeurIPS 2018.
    """

    kind: ClassVar[str] = "catboost"
    grows: ClassVar[bool] = True
    more_rows: ClassVar[float] = 1.0
    rules: ClassVar[Mapping[str, Rule]] = {
        "bagging_temperature": Number(0, 100),
        "boosting_type": Choice(("plain", "ordered")),
        "border_count": Number(1, 254, integer=True),
        "depth": Number(1, 10, integer=True),
        "l2_leaf_reg": Number(0, 1e6),
        "leaf_estimation_iterations": Number(1, 100, integer=True),
        "learning_rate": Number(1e-4, 1),
        "max_ctr_complexity": Number(1, 4, integer=True),
        "objective": Choice(("l2", "l1")),
        "one_hot_max_size": Number(1, 255, integer=True),
        "random_strength": Number(0, 1e6),
        "rsm": Number(0.01, 1),
    }

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether it has a loss for the task: it has none of the gamma distribution."""
        return super().fits(task) and task.objective is not Objective.GAMMA

    @classmethod
    def prepare(cls) -> None:
        """Import the learner's package."""
        import catboost  # noqa: F401 - the import is the purpose

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:
        """Return about how many microseconds `predict_row` takes.

        Categories are reckoned with where the parameters speak of combinations of them (`max_ctr_complexity`).
        """
        a_tree = 0.004 + 0.001 * params.get("depth", 6) + 0.0022 * n_outputs
        fixed = 9.5 + (5.0 if n_outputs > 1 else 0.0) + (3.0 if "max_ctr_complexity" in params else 0.0)
        return fixed + n_iterations * a_tree

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; see `Model.fit`. `context.stop` is asked after each iteration."""
        task = context.task
        self.n_columns_, self.n_outputs_ = X.shape[1], task.n_outputs
        self._row = BoundRows(X.shape[1], self.bind)
        self.seconds_per_iteration_ = 0.0
        matrix = _Matrix(X, context.categorical)
        labels, codes = np.unique(y, return_inverse=True)
        objective, weights = loss_of(task, y, context.weights)
        if self.params.get("objective") is not None and task.kind is TaskKind.REGRESSION:
            objective = Objective.ABSOLUTE if self.params["objective"] == "l1" else Objective.SQUARED
        link = _LINKS.get(objective, "identity")
        # An exponential link starts at 1; with the target's mean there, CatBoost's penalties mean the same in any unit.
        scale = float(np.average(y, weights=weights)) if link == "exp" else 1.0
        self._categories = None
        if len(labels) < 2 or matrix.constant:  # CatBoost refuses both
            self._trees = ObliviousTrees.constant(_prior(y, weights, objective, task), link)
            self.n_iterations_ = 0
            return self
        several = task.kind is TaskKind.MULTICLASS
        target = codes.astype(np.float64) if several else y / scale
        valid = None
        if context.valid is not None and context.n_iterations is None:
            Xv, yv = context.valid
            known = np.isin(yv, labels) if several else np.ones(len(yv), dtype=bool)
            if known.any():
                wv = loss_of(task, yv, context.valid_weights)[1]
                yv = np.searchsorted(labels, yv[known]).astype(np.float64) if several else yv / scale
                valid = matrix.pool(Xv[known], yv, None if wv is None else wv[known])
        options = {**self._options(context, objective), **self._for_categories(matrix)}
        machine, self.n_iterations_ = self._train(matrix.pool(X, target, weights), valid, context, options)
        seen = labels.astype(np.int64) if several else np.arange(1)
        bias = np.full(self.n_outputs_, np.log(_RARE))
        bias[seen] = 0.0
        classes = target_classes(target) if task.kind is TaskKind.REGRESSION else codes
        document, by_hash = _saved(machine, matrix)
        training = Training(matrix.X32, classes, matrix.numbers, matrix.categories, matrix.levels, by_hash)
        self._trees, self._categories = read(document, training, bias=bias, seen=seen, link=link)
        if link == "exp":
            self._trees.bias += np.log(scale)
        return self

    def _train(self, pool: Any, valid: Any, context: FitContext, options: dict[str, Any]) -> tuple[Any, int]:
        import catboost

        patience = Patience(self.params.get("learning_rate", 0.05), 0 if valid is None else valid.num_row())
        times: list[float] = []

        class Watch:
            heard = 0

            def after_iteration(self, info: Any) -> bool:
                times.append(time.perf_counter())
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
        machine = catboost.CatBoost({**options, "iterations": rounds})
        start = time.perf_counter()
        machine.fit(pool, eval_set=valid, callbacks=[Watch()])
        self.seconds_per_iteration_ = (times[-1] - start) / len(times) if times else 0.0
        n_trees = int(machine.tree_count_ or 0)
        self.curve_ = patience.curve
        if valid is not None and n_trees > patience.best + 1:
            n_trees = patience.best + 1
            machine.shrink(n_trees)
        return machine, n_trees

    def _options(self, context: FitContext, objective: Objective) -> dict[str, Any]:
        own = ("boosting_type", "max_ctr_complexity", "objective", "one_hot_max_size")
        params = {name: value for name, value in self.params.items() if name not in own}
        kind = context.task.kind
        if objective is Objective.QUANTILE:
            loss = f"Quantile:alpha={context.task.quantile or 0.5}"
        else:
            loss = _LOSSES[objective]
        if objective in (Objective.POISSON, Objective.TWEEDIE):
            params["leaf_estimation_method"] = (
                "Newton"  # its own choice, gradients, runs away from large counts
            )
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
            "boost_from_average": kind is TaskKind.REGRESSION and objective not in _LINKS,
            "boosting_type": "Ordered" if self.params.get("boosting_type") == "ordered" else "Plain",
            "eval_metric": f"{loss}{';' if ':' in loss else ':'}hints=skip_train~true",
            "logging_level": "Silent",
            "loss_function": loss,
            "metric_period": _EVERY,
            "nan_mode": "Min",
            "random_seed": context.seed,
            "thread_count": context.threads,
            "use_best_model": False,
        }

    def _for_categories(self, matrix: _Matrix) -> dict[str, Any]:
        if not matrix.categories:
            return {}
        # Keys of all combinations together must fit 62 bits: a digit a category, an answer a level of the tree, and
        # some thousands of combinations.
        bits = sorted((math.log2(n_levels + 2) for n_levels in matrix.levels), reverse=True)
        left = 48 - self.params.get("depth", 6)
        most = self.params.get("max_ctr_complexity", _COMPLEXITY)
        while most > 1 and sum(bits[:most]) > left:
            most -= 1
        return {
            "final_ctr_computation_mode": "Skip",  # `catboost_export` counts them
            "max_ctr_complexity": most,
            "one_hot_max_size": self.params.get("one_hot_max_size", 2),
        }

    @property
    def margin_scale(self) -> str | None:
        """See `Model.margin_scale`; None for bundles of versions that kept no weights of the leaves."""
        return None if self._trees.weights is None else _SCALES[self._trees.link]

    def margins(self, X: Floats) -> Floats:
        """Return the sums of the trees, shape (n_rows, n_outputs)."""
        return self._trees.margins(self._asked(X))

    def contributions(self, X: Floats) -> Floats:
        """Return Shapley values by the rows that went each way in training; see `Model.contributions`.

        Questions about the same set of columns (a combination of categories) are one player; what it contributes is
        parted evenly among its columns, as in CatBoost's own values.
        """
        if self.margin_scale is None:
            return super().contributions(X)
        own = [(column,) for column in range(self.n_columns_)]
        return self._trees.contributions(
            self._asked(X), own if self._categories is None else [*own, *self._categories.sources()]
        )

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        return self._trees.predict(self._asked(X))

    def _asked(self, X: Floats) -> np.ndarray:
        """Return what the trees ask about: `X` as float32, and the tables' columns."""
        if X.shape[1] != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} columns, got {X.shape[1]}")
        X32 = _float32(X)
        return X32 if self._categories is None else self._categories.widen(X32)

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        return self._row(row)

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called."""
        categories = self._categories
        if categories is None:
            return self._trees.bind(row)
        wide = np.empty(len(row) + categories.n_added, np.float32)
        narrow, predict_wide = wide[: len(row)], self._trees.bind(wide)
        compiled = bind_categories(categories, row, wide)
        if compiled is not None:
            return lambda: (compiled(), predict_wide())[1]
        widen = categories.bind(wide)

        def predict() -> Sequence[float]:
            narrow[:] = _float32(row)
            widen()
            return predict_wide()

        return predict

    def state(self) -> State:
        """Return the trees as arrays, and the tables of categories where a tree asks for one."""
        tree = self.header_tree()
        trees = self._trees.state()
        if self._categories is None:
            return State({**tree, **trees.tree}, trees.arrays)
        tables = self._categories.state()
        return State({**tree, **trees.tree, "categories": True}, {**trees.arrays, **tables.arrays})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the arrays, then build."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        model = cls(**params)
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model._row = BoundRows(n_columns, model.bind)
        model._categories, n_asked = None, n_columns
        if state.tree.get("categories", False) is not False:
            model._categories = CategoryTables.from_state(state, cls.kind, n_columns)
            n_asked += model._categories.n_added
        model._trees = ObliviousTrees.from_state(state, cls.kind, n_asked, n_outputs)
        if model._trees.n_trees != n_iterations:
            raise BundleContentError(
                "catboost: n_iterations", got=n_iterations, allowed=str(model._trees.n_trees)
            )
        return model


def _float32(X: Floats) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in CatBoost
        return X.astype(np.float32)


class _Matrix:
    """The training matrix as CatBoost takes it: numbers as float32, and categories by their digits."""

    def __init__(self, X: Floats, categorical: Sequence[int]) -> None:
        self.X32 = _float32(X)
        self.categories = sorted(categorical)
        self.numbers = [column for column in range(X.shape[1]) if column not in set(categorical)]
        tops = [np.nanmax(self.X32[:, c], initial=-1.0) for c in self.categories]
        self.levels = [int(min(max(top, -1.0), _MOST_LEVELS - 1)) + 1 for top in tops]
        first = self.X32[:1]
        self.constant = bool(np.all((first == self.X32) | (np.isnan(first) & np.isnan(self.X32))))

    def pool(self, X: Floats, y: Floats | None, weights: Floats | None) -> Any:
        """Return the rows of `X` as CatBoost's own table."""
        import catboost

        X32 = _float32(X)
        if not self.categories:
            return catboost.Pool(X32, y, weight=weights)
        # Strings are what CatBoost hashes; tables of numbers beside bytes need no pandas.
        names = np.array([b"%d" % digit for digit in range(max(self.levels) + 2)], dtype=object)
        columns = zip(self.categories, self.levels, strict=True)
        codes = np.column_stack([digits(X32[:, column], n_levels) for column, n_levels in columns])
        numbers = np.ascontiguousarray(X32[:, self.numbers]) if self.numbers else None
        return catboost.Pool(catboost.FeaturesData(numbers, names[codes]), y, weight=weights)

    def each_digit(self) -> Any:
        """Return a table in which each digit of each category occurs."""
        X = np.zeros((max(self.levels) + 2, self.X32.shape[1]))
        for column, n_levels in zip(self.categories, self.levels, strict=True):
            X[:n_levels, column] = np.arange(n_levels)
            X[n_levels:, column] = -1.0
            X[-1, column] = np.nan
        return self.pool(X, None, None)


def _saved(machine: Any, matrix: _Matrix) -> tuple[dict[str, Any], dict[int, int]]:
    """Return CatBoost's JSON form, and the digit of each of its hashes of categories."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        pool = matrix.each_digit() if matrix.categories else None
        machine.save_model(str(path), format="json", pool=pool)
        document = read_json(path)
    hashes = document["features_info"].get("cat_features_hash") or ()
    return document, {entry["hash"] & 0xFFFFFFFF: int(entry["value"]) for entry in hashes}


def _prior(y: Floats, weights: Floats | None, objective: Objective, task: Task) -> Floats:
    """Return the scores before the link of a model without trees."""
    if task.kind is TaskKind.REGRESSION:
        value = best_constant(objective, y, weights, task.quantile)
        return np.array([np.log(value) if objective in _LINKS else value])
    counts = np.bincount(y.astype(np.int64), weights, minlength=max(2, len(task.labels)))
    logs = np.log(np.maximum(counts / counts.sum(), _RARE))
    return logs[1:2] - logs[:1] if task.kind is TaskKind.BINARY else logs
