"""LightGBM: gradient boosted trees, grown by leaf, with native categories.

Training goes through the ``lightgbm`` package; predicting, in training and serving alike, through its library alone
(`mlwright.models.lightgbm_native`), so both give the same bits. A model that a search only judges is never made a text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, ParameterError
from mlwright.core.params import Choice, Flag, Number, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import TWEEDIE_POWER, Objective, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.bound_rows import BoundRows
from mlwright.models.lightgbm_audit import audit, canonical, is_explainable
from mlwright.models.lightgbm_native import NativeBooster, by_parts
from mlwright.models.lightgbm_rows import trees_of
from mlwright.models.lightgbm_threads import THREADS
from mlwright.models.losses import loss_of
from mlwright.models.patience import Patience
from mlwright.models.rows import Trees, bind_trees, is_compiled
from mlwright.models.scores import linked_values
from mlwright.models.state_audit import header

__all__ = ["LightGBM"]

_WITHOUT_VALID = 100  # iterations where there is nothing to stop early on
_MOST = 10_000  # iterations at most where there is
_CHOSEN = {"l2": "regression", "l1": "regression_l1", "huber": "huber", "poisson": "poisson"}
_OBJECTIVES = {
    Objective.SQUARED: "regression",
    Objective.ABSOLUTE: "regression_l1",
    Objective.QUANTILE: "quantile",
    Objective.POISSON: "poisson",
    Objective.GAMMA: "gamma",
    Objective.TWEEDIE: "tweedie",
}


_LINKS = {"score": "softmax", "log": "exp", "value": "identity"}
_HIGHEST = 709.0  # exp of more is infinite
_SCALES = {"binary": "log-odds", "multiclass": "score", "poisson": "log", "gamma": "log", "tweedie": "log"}


class LightGBM(Model):
    """Gradient boosting by LightGBM (Ke et al. 2017).

    With ``context.valid`` it stops early, on log loss for classes and on its own objective for a regression, after
    ``max(20, 3 / learning_rate)`` iterations without a better one, and keeps the best.

    Parameters
    ----------
    learning_rate : float, default=0.1
    num_leaves : int, default=31
    max_depth : int, default=-1
        -1 for no limit.
    min_data_in_leaf : int, default=20
    min_sum_hessian_in_leaf : float, default=0.001
    min_gain_to_split, lambda_l1, lambda_l2, path_smooth : float, default=0
    feature_fraction, feature_fraction_bynode : float, default=1
        Share of the columns that a tree, or a node, may use.
    bagging_fraction : float, default=1
        Share of the rows that a tree sees; drawn anew for each one.
    extra_trees : bool, default=False
        Draw one random threshold a column.
    max_bin : int, default=255
    min_data_in_bin : int, default=3
    cat_smooth, cat_l2 : float, default=10
    max_cat_threshold, max_cat_to_onehot, min_data_per_group : int
        How categories are split; see LightGBM's documentation.
    objective : {"l2", "l1", "huber", "poisson"}, optional
        For regressions only; by default the task's objective.
    """

    _booster: Any = None  # what fitting left, until it is settled
    _n_threads: int = 1  # that it was fitted with
    _trees: Trees | None = None  # what compiled code reads
    _is_explainable: bool | None = None  # None where nobody has looked yet
    kind: ClassVar[str] = "lightgbm"
    grows: ClassVar[bool] = True
    more_rows: ClassVar[float] = 0.6
    rules: ClassVar[Mapping[str, Rule]] = {
        "bagging_fraction": Number(0.01, 1),
        "cat_l2": Number(0, 1e6),
        "cat_smooth": Number(0, 1e6),
        "extra_trees": Flag(),
        "feature_fraction": Number(0.01, 1),
        "feature_fraction_bynode": Number(0.01, 1),
        "lambda_l1": Number(0, 1e6),
        "lambda_l2": Number(0, 1e6),
        "learning_rate": Number(1e-4, 1),
        "max_bin": Number(3, 65_535, integer=True),
        "max_cat_threshold": Number(1, 100_000, integer=True),
        "max_cat_to_onehot": Number(1, 100_000, integer=True),
        "max_depth": Number(-1, 100, integer=True),
        "min_data_in_bin": Number(1, 1_000_000, integer=True),
        "min_data_in_leaf": Number(1, 1_000_000, integer=True),
        "min_data_per_group": Number(1, 1_000_000, integer=True),
        "min_gain_to_split": Number(0, 1e9),
        "min_sum_hessian_in_leaf": Number(0, 1e9),
        "num_leaves": Number(2, 4096, integer=True),
        "objective": Choice(("l2", "l1", "huber", "poisson")),
        "path_smooth": Number(0, 1e9),
    }

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:
        """Return about how many microseconds `predict_row` takes: the call, and each tree's depth.

        For records that differ and a library that has other work between them: the same record again and again takes a
        third of it, because its branches are foreseen. Small trees stay in the cache.
        """
        depth = math.log2(max(4, params.get("num_leaves", 31)))
        return 5.0 + n_iterations * n_outputs * 0.018 * (depth - 1.5)

    @classmethod
    def prepare(cls) -> None:
        """Import the learner's package."""
        import lightgbm  # noqa: F401 - the import is the purpose

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; see `Model.fit`. `context.stop` is asked after each iteration."""
        import lightgbm

        task = context.task
        if self.params.get("objective") == "poisson" and task.kind is TaskKind.REGRESSION and y.min() < 0:
            raise ParameterError(
                "LightGBM: objective 'poisson' needs a target of at least 0", got=float(y.min())
            )
        objective, weights = loss_of(task, y, context.weights)
        options = self._options(context, objective)
        early = context.valid is not None and context.n_iterations is None
        with THREADS.held(context.threads):
            data = lightgbm.Dataset(
                X, y, weight=weights, categorical_feature=list(context.categorical), params=options
            )
            booster = lightgbm.Booster(options, data)
            if early and context.valid is not None:
                Xv, yv = context.valid
                valid_weights = loss_of(task, yv, context.valid_weights)[1]
                valid = lightgbm.Dataset(Xv, yv, reference=data, weight=valid_weights, params=options)
                booster.add_valid(valid, "valid")
        n_valid = len(context.valid[1]) if early and context.valid is not None else 0
        patience = Patience(self.params.get("learning_rate", 0.1), n_valid)

        # An iteration that finds no split adds no tree, so trees are counted and not iterations.
        trees: list[int] = []
        wanted = None if context.n_iterations is None else max(1, context.n_iterations)

        rounds = _MOST if early else _WITHOUT_VALID if wanted is None else 100 * wanted
        for iteration in range(rounds):
            booster.update()
            trees.append(booster.current_iteration())
            stuck = len(trees) > patience.rounds and trees[-1] == trees[-1 - patience.rounds]
            over = early and patience.over(iteration, booster.eval_valid()[0][2])
            if over or stuck or trees[-1] == wanted or context.stop():
                break
        best = trees[patience.best] if early else -1
        self.curve_ = patience.curve
        self.n_columns_, self.n_outputs_ = X.shape[1], context.task.n_outputs
        self._n_threads = context.threads
        self._is_explainable, self._link = None, _SCALES.get(options["objective"], "value")
        if best > 0:
            self._booster, self.n_iterations_ = booster, best
        else:  # what its text holds says how many
            self._load(canonical(booster.model_to_string()))
        return self

    def settle(self) -> None:
        """Take the form that is kept and served, the canonical text; see `Model.settle`."""
        if self._booster is not None:
            self._load(canonical(self._booster.model_to_string(num_iteration=self.n_iterations_)))
            self._booster = None

    def _options(self, context: FitContext, loss: Objective) -> dict[str, Any]:
        task = context.task
        if task.kind is TaskKind.BINARY:
            objective: dict[str, Any] = {"objective": "binary", "metric": "binary_logloss"}
        elif task.kind is TaskKind.MULTICLASS:
            objective = {
                "objective": "multiclass",
                "metric": "multi_logloss",
                "num_class": len(task.labels),
            }
        else:
            chosen = self.params.get("objective")
            name = _OBJECTIVES[loss] if chosen is None else _CHOSEN[chosen]
            objective = {"objective": name, "metric": name}
            if name == "quantile":
                objective["alpha"] = 0.5 if task.quantile is None else task.quantile
            if name == "tweedie":
                objective["tweedie_variance_power"] = TWEEDIE_POWER
        return {
            **{name: value for name, value in self.params.items() if name != "objective"},
            **objective,
            "bagging_freq": 1 if self.params.get("bagging_fraction", 1.0) < 1 else 0,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": context.threads,
            "seed": context.seed,
            "verbosity": -1,
        }

    def _load(self, text: str) -> None:
        forest = audit(text, n_columns=self.n_columns_, n_outputs=self.n_outputs_)
        self.n_iterations_ = len(forest.trees) // self.n_outputs_
        self._text = text.encode()
        self._loaded = NativeBooster(self._text, self.n_columns_, self.n_outputs_)
        self._trees = trees_of(forest) if is_compiled() else None
        self._row = BoundRows(self.n_columns_, self.bind)
        objective = self._text.partition(b"\nobjective=")[2].split(maxsplit=1)[0].decode()
        self._is_explainable, self._link = None, _SCALES.get(objective, "value")

    @property
    def _native(self) -> NativeBooster:
        self.settle()
        return self._loaded

    @property
    def margin_scale(self) -> str | None:
        """See `Model.margin_scale`."""
        self.settle()
        if self._is_explainable is None:
            self._is_explainable = is_explainable(self._text.decode())
        return self._link if self._is_explainable else None

    def margins(self, X: Floats) -> Floats:
        """Return the sums of the trees, shape (n_rows, n_outputs)."""
        if self._booster is None:
            return self._loaded.margins(X)
        booster, n_threads = self._booster, self._n_threads

        def ask(rows: Floats, first: int, count: int) -> Floats:
            with THREADS.held(n_threads):
                sums = booster.predict(
                    rows, start_iteration=first, num_iteration=count, raw_score=True, num_threads=n_threads
                )
            return np.asarray(sums, dtype=np.float64).reshape(len(rows), self.n_outputs_)

        return by_parts(ask, X, self.n_iterations_, self.n_outputs_)

    def contributions(self, X: Floats) -> Floats:
        """Return Shapley values by the rows that went each way in training (Lundberg et al. 2020, TreeSHAP)."""
        if self.margin_scale is None:
            return super().contributions(X)
        return self._native.contributions(X)

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        margins = self.margins(X)
        if self._link == "score":
            chances = np.exp(margins - margins.max(axis=1, keepdims=True))
            return chances / chances.sum(axis=1, keepdims=True)
        if self._link == "value":
            return margins
        with np.errstate(over="ignore"):  # the chance is 0 then, or the value infinite
            return np.exp(margins) if self._link == "log" else 1.0 / (1.0 + np.exp(-margins))

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        self.settle()
        return self._row(row)

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called."""
        self.settle()
        add = None if self._trees is None else bind_trees(self._trees, row)
        if add is None:
            return self._loaded.bind(row)
        if self._link == "log-odds":  # as the library does it, to the last bit
            return lambda: [1.0 / (1.0 + math.exp(min(-add()[0], _HIGHEST)))]
        link = _LINKS[self._link]
        return lambda: linked_values(add(), link)

    def state(self) -> State:
        """Return the model text as the blob ``lgb``."""
        self.settle()
        tree = self.header_tree()
        return State(tree, blobs={"lgb": self._text})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the text, then load it."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        blob = state.blobs.get("lgb")
        if not isinstance(blob, bytes) or not blob.isascii():
            raise BundleContentError("lightgbm: blob 'lgb' is missing or is not plain text")
        model = cls(**params)
        model.n_columns_, model.n_outputs_ = n_columns, n_outputs
        model._load(blob.decode("ascii"))
        if model.n_iterations_ != n_iterations:
            raise BundleContentError(
                "lightgbm: n_iterations", got=n_iterations, allowed=str(model.n_iterations_)
            )
        return model
