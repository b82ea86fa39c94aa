"""MLP: a few small neural nets side by side, trained and run in NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.schema import Objective, Task
from mlwright.models.base import FitContext, Model
from mlwright.models.bound_rows import BoundRows
from mlwright.models.losses import best_constant, loss_of
from mlwright.models.mlp_layers import Layers, SideBySide
from mlwright.models.mlp_losses import Loss
from mlwright.models.mlp_training import Rows, Settings, train
from mlwright.models.piecewise import Piecewise
from mlwright.models.robust_inputs import RobustInputs
from mlwright.models.rows import bind_nets, is_compiled
from mlwright.models.scores import linked_values
from mlwright.models.state_audit import header, read_array

__all__ = ["MLP"]

_WITHOUT_VALID = 30  # iterations where there is nothing to stop early on
_FIRST_LAYER = 2**19  # weights of the first layer at most: words of texts are many inputs
_NARROWEST = 16
_UNREACHED = -1e30  # score of a class that training never saw
_RARE = 1e-15
_LINKS = {
    Objective.LOGISTIC: "sigmoid",
    Objective.SOFTMAX: "softmax",
    Objective.POISSON: "exp",
    Objective.GAMMA: "exp",
    Objective.TWEEDIE: "exp",
}


class MLP(Model):
    """The mean of some multilayer perceptrons with SiLU activations; the mean is taken of the scores before the link.

    Inputs are scaled robustly and gently bounded (`mlwright.models.robust_inputs`), then multiplied by learned scales,
    which learn faster than the rest; `n_pieces` adds a piecewise linear encoding. Training is AdamW on mini-batches with
    dropout, at a constant rate, where a rare input's weights move only as far as it tells what the others do not; what
    predicts is a running average of the weights over the last seventh of the batches.
    Numbers to predict are standardised, those whose logarithm is modelled divided by their mean. With ``context.valid``
    it keeps the best iteration and stops after `patience` that bring next to nothing. An iteration is an epoch, or a
    part of one of at most 32,768 rows. Weights are float32 and predictions float64. Defaults follow [1]_ where that was
    worth it on tables of some hundred to some thousand rows.

    Parameters
    ----------
    n_layers : int, default=3
        Hidden layers.
    width : int, default=128
        Of each hidden layer; less where the first layer would exceed 524,288 weights.
    members : int, default=2
        Nets that are trained at once, each on its own order of the rows.
    learning_rate : float, default=0.04
        What Adam moves a weight by, times the root of its layer's inputs.
    weight_decay : float, default=0.02
    dropout : float, default=0.25
        Share of hidden values left out in training.
    n_pieces : int, default=0
        Pieces that a continuous column is cut into besides (`mlwright.models.piecewise`), at most 1,024 in all; 0 for
        none. They bend where the data lie, which suits tables that trees do well on.
    patience : int, default=15
    max_iterations : int, default=200
        Iterations at most; 30 where there is nothing to stop early on.

    References
    ----------
    .. [1] D. Holzmueller, L. Grinsztajn, I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted
       trees on tabular data", NeurIPS.

    Examples
    --------
    >>> from mlwright.data.schema import TaskKind
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> context = FitContext(Task(TaskKind.REGRESSION, "y", "rmse"), n_iterations=60)
    >>> model = MLP(width=32, dropout=0.0).fit(X, X[:, 0] ** 2, context)
    >>> abs(model.predict_row(np.array([0.5]))[0] - 0.25) < 0.02
    True
    """

    kind: ClassVar[str] = "mlp"
    grows: ClassVar[bool] = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "dropout": Number(0, 0.9),
        "learning_rate": Number(1e-5, 1),
        "max_iterations": Number(1, 100_000, integer=True),
        "members": Number(1, 16, integer=True),
        "n_layers": Number(1, 6, integer=True),
        "n_pieces": Number(0, 64, integer=True),
        "patience": Number(1, 100_000, integer=True),
        "weight_decay": Number(0, 10),
        "width": Number(1, 2048, integer=True),
    }

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds a row takes with a hundred inputs: each layer, and reading the weights."""
        members, width, n_layers = (
            params.get("members", 2),
            params.get("width", 128),
            params.get("n_layers", 3),
        )
        n_weights = members * width * (100 + (n_layers - 1) * width + n_outputs)
        return 5.0 + 2.5 * n_layers + n_weights / 5_000 + (10.0 if params.get("n_pieces", 0) else 0.0)

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; see `Model.fit`. `context.stop` is asked every 20 batches; an iteration it breaks off does not count."""
        from threadpoolctl import threadpool_limits

        self.n_columns_, self.n_outputs_ = X.shape[1], context.task.n_outputs
        objective, weights = loss_of(context.task, y, context.weights)
        self.link_ = _LINKS.get(objective, "identity")
        with threadpool_limits(limits=1):  # sums in one order: the same bits on any machine of the kind
            self._inputs = RobustInputs.learn(X)
            self._pieces = Piecewise.learn(X, self.params.get("n_pieces", 0))
            target = _Target(context.task, objective, y, weights)
            rows = Rows(self._all_inputs(X).astype(np.float32), target.scaled(y), _relative(weights))
            valid = None
            if context.valid is not None and context.n_iterations is None:
                valid = self._valid(target, context)
            parts, self.n_iterations_, self.curve_ = self._train(rows, valid, target, context)
        self.output_ = np.array([target.scale, target.shift])
        self.weights_, self.biases_ = target.all_classes(parts, self.n_outputs_)
        self._arrange()
        return self

    def _all_inputs(self, X: Floats) -> Floats:
        inputs = self._inputs.batch(X)
        return np.hstack([inputs, self._pieces.batch(X)]) if self._pieces.width else inputs

    def _valid(self, target: _Target, context: FitContext) -> Rows | None:
        if context.valid is None:
            return None
        X, y = context.valid
        weights = context.valid_weights
        if context.task.objective is Objective.RELATIVE:
            weights = loss_of(context.task, y, weights)[1]
        known = np.isin(y, target.seen) if target.seen is not None else np.ones(len(y), dtype=bool)
        if not known.any():
            return None
        inputs = self._all_inputs(X[known]).astype(np.float32)
        return Rows(inputs, target.scaled(y[known]), None if weights is None else weights[known])

    def _train(
        self, rows: Rows, valid: Rows | None, target: _Target, context: FitContext
    ) -> tuple[list[np.ndarray], int, list[tuple[int, float]]]:
        params, n_inputs = self.params, self._inputs.width + self._pieces.width
        members, width = params.get("members", 2), params.get("width", 128)
        members = max(1, min(members, _FIRST_LAYER // max(1, n_inputs * width)))
        width = max(min(width, _NARROWEST), min(width, _FIRST_LAYER // max(1, n_inputs * members)))
        # Nothing to learn from: no inputs, or one class.
        pointless = n_inputs == 0 or (target.seen is not None and len(target.seen) < 2)
        settings = Settings(
            hidden=(width,) * params.get("n_layers", 3),
            members=members,
            learning_rate=params.get("learning_rate", 0.04),
            weight_decay=params.get("weight_decay", 0.02),
            dropout=params.get("dropout", 0.25),
            patience=params.get("patience", 15),
            most=params.get("max_iterations", 200) if valid is not None else _WITHOUT_VALID,
            exactly=0 if pointless else context.n_iterations,
        )
        random = generator(context.seed, "mlp")
        parts, taken, curve = train(
            rows, valid, target.loss, settings, random, context.stop, context.over_within
        )
        scales, first = parts[0].transpose(0, 2, 1), parts[1]
        return [first * scales, *parts[2:]], taken, curve

    def _arrange(self) -> None:
        self.layers_ = Layers.of(
            self._inputs, self._pieces, self.weights_, self.biases_, self.output_, self.link_
        )
        self._alone = SideBySide([self.layers_])
        self._row = BoundRows(self.n_columns_, self.bind)

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        if X.shape[1] != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} columns, got {X.shape[1]}")
        return self.layers_.predict(X)

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        return self._row(row)

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called."""
        score = bind_nets(self.layers_, row)
        if score is None:
            predict = self._alone.bind(row)
            return lambda: predict()[0]
        link = self.link_
        return lambda: linked_values(score(), link)

    @classmethod
    def together(cls, models: Sequence[Self]) -> Callable[[Floats], Callable[[], list[Sequence[float]]]]:
        """See `Model.together`; models that see the same inputs go side by side."""
        layers = [model.layers_ for model in models]
        if not is_compiled() and all(layers[0].inputs.equals(each.inputs) for each in layers):
            return SideBySide(layers).bind
        return super().together(models)

    def state(self) -> State:
        """Return the inputs' scaling and the weights of each layer, (members, n_in, n_out), as arrays."""
        tree = self.header_tree(link=self.link_, n_layers=len(self.weights_))
        arrays = {**self._inputs.arrays(), **self._pieces.arrays(), "output": self.output_}
        for number, (weights, biases) in enumerate(zip(self.weights_, self.biases_, strict=True)):
            arrays |= {f"weights_{number}": weights, f"biases_{number}": biases}
        return State(tree, arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the arrays, then build."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        link, n_layers = state.tree.get("link"), state.tree.get("n_layers")
        if link not in {"exp", "identity", "sigmoid", "softmax"} or (link != "softmax" and n_outputs != 1):
            raise BundleContentError("mlp: link", got=link, allowed="exp, identity, sigmoid or softmax")
        if (
            not isinstance(n_layers, int)
            or isinstance(n_layers, bool)
            or n_layers != params.get("n_layers", 3) + 1
        ):
            raise BundleContentError("mlp: n_layers", got=n_layers, allowed="the hidden layers and one")
        model = cls(**params)
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model.link_, model._inputs = link, RobustInputs.from_state(state, cls.kind, n_columns)
        model._pieces = Piecewise.from_state(state, cls.kind, n_columns)
        model.output_ = read_array(state, cls.kind, "output", np.float64, (2,))
        model.weights_, model.biases_ = [], []
        members: int | None = None
        n_in: int = model._inputs.width + model._pieces.width
        for number in range(n_layers):
            n_out = n_outputs if number == n_layers - 1 else None
            weights = read_array(state, cls.kind, f"weights_{number}", np.float32, (members, n_in, n_out))
            members, n_in = len(weights), weights.shape[2]
            model.weights_.append(weights)
            model.biases_.append(read_array(state, cls.kind, f"biases_{number}", np.float32, (members, n_in)))
        if not members or not all(
            np.isfinite(a).all() for a in [*model.weights_, *model.biases_, model.output_]
        ):
            raise BundleContentError("mlp: a weight is infinite, or there is no net")
        model._arrange()
        return model


class _Target:
    """What the nets are trained on, and how their scores become predictions again."""

    def __init__(self, task: Task, objective: Objective, y: Floats, weights: Floats | None) -> None:
        self.seen: np.ndarray | None = None
        self.scale, self.shift = 1.0, 0.0
        first, quantile = np.zeros(1), 0.5
        if objective in (Objective.LOGISTIC, Objective.SOFTMAX):
            counts = np.bincount(y.astype(np.int64), weights, minlength=max(2, len(task.labels)))
            logs = np.log(np.maximum(counts / counts.sum(), _RARE))
            self.seen = np.flatnonzero(counts)
            first = logs[1:2] - logs[:1] if objective is Objective.LOGISTIC else logs[self.seen]
        elif objective in (Objective.POISSON, Objective.GAMMA, Objective.TWEEDIE):
            self._divisor = float(np.average(y, weights=weights))
            self.shift = math.log(self._divisor)
        else:
            if objective is Objective.QUANTILE and task.quantile is not None:
                quantile = task.quantile
            self.shift = best_constant(objective, y, weights, task.quantile)
            self.scale = float(y.std()) or 1.0
        self.loss = Loss(objective, first, quantile)

    def scaled(self, y: Floats) -> np.ndarray:
        """Return targets of shape (n_rows, n_outputs), float32."""
        objective = self.loss.objective
        if objective is Objective.SOFTMAX:
            return (y[:, None] == self.seen).astype(np.float32)
        if objective is Objective.LOGISTIC:
            return y[:, None].astype(np.float32)
        if objective in (Objective.POISSON, Objective.GAMMA, Objective.TWEEDIE):
            return (y[:, None] / self._divisor).astype(np.float32)
        return ((y[:, None] - self.shift) / self.scale).astype(np.float32)

    def all_classes(
        self, parts: list[np.ndarray], n_outputs: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return weights and biases by layer, with outputs that no score reaches for classes never seen."""
        weights = [np.ascontiguousarray(part) for part in parts[0::2]]
        biases = [part[:, 0].copy() for part in parts[1::2]]
        if self.loss.objective is Objective.SOFTMAX and self.seen is not None and len(self.seen) < n_outputs:
            members, n_in, _ = weights[-1].shape
            last, bias = np.zeros((members, n_in, n_outputs)), np.full((members, n_outputs), _UNREACHED)
            last[:, :, self.seen], bias[:, self.seen] = weights[-1], biases[-1]
            weights[-1], biases[-1] = last.astype(np.float32), bias.astype(np.float32)
        return weights, biases


def _relative(weights: Floats | None) -> np.ndarray | None:
    return None if weights is None else (weights / weights.mean()).astype(np.float32)
