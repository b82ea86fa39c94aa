"""Kernel: what `Linear` fits, on similarities to some hundred training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.models.base import FitContext, Model
from mlwright.models.bound_rows import BoundRows
from mlwright.models.linear import Linear
from mlwright.models.robust_inputs import RobustInputs
from mlwright.models.rows import bind_kernel
from mlwright.models.scores import linked, linked_row, linked_values
from mlwright.models.state_audit import header, read_array

__all__ = ["Kernel"]

_N_CENTRES = 300
_NUMBERS = 2**18  # of all centres together at most: 2 MB
_FEWEST = 16
_FLATTEST = 1e-3  # of a centre's similarity to itself: directions with less say nothing but rounding
_PAIRS = 1000  # rows whose distances say what is near


class Kernel(Model):
    """A linear model on inputs and Gaussian similarities ``exp(-|x - c|^2 / s)`` to centres, by the method of Nystroem [1]_.

    Centres are training rows drawn by the seed; s is `width` times the median squared distance of rows. The
    similarities are turned so that their inner products are about the kernel's, and `mlwright.models.linear` fits on
    them and on the inputs: classes by logistic, numbers by ridge regression or by the loss that the task asks for. Inputs are scaled and
    bounded as in `mlwright.models.robust_inputs`.

    Parameters
    ----------
    alpha : float, default=0.05
        Strength of the penalty.
    inputs : float, default=0.3
        What the inputs are multiplied by before they stand beside the similarities: more lets straight lines explain
        more, 0 leaves them out.
    max_iterations : int, default=500
        Most iterations, where the solution has no closed form.
    n_centres : int, default=300
        Fewer where the inputs are more than 873, so that all centres together stay within 262,144 numbers.
    width : float, default=1.5
        The larger, the smoother.

    References
    ----------
    .. [1] C. Williams, M. Seeger (2001), "Using the Nystroem method to speed up kernel machines", NIPS.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> context = FitContext(Task(TaskKind.REGRESSION, "y", "rmse"))
    >>> model = Kernel(alpha=1e-6).fit(X, np.sin(3 * X[:, 0]), context)
    >>> round(model.predict_row(np.array([0.5]))[0], 2)
    1.0
    """

    kind: ClassVar[str] = "kernel"
    rules: ClassVar[Mapping[str, Rule]] = {
        "alpha": Number(0, 1e12),
        "inputs": Number(0, 100),
        "max_iterations": Number(1, 100_000, integer=True),
        "n_centres": Number(1, 5000, integer=True),
        "width": Number(1e-3, 1e3),
    }

    @classmethod
    def prepare(cls) -> None:
        """Import the learner's package."""
        Linear.prepare()

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds a row takes with a hundred inputs."""
        return 5.0 + params.get("n_centres", _N_CENTRES) * (100 + n_outputs) / 8_000

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; `context.stop` is asked as `Linear` asks it."""
        from threadpoolctl import threadpool_limits

        self.n_columns_, self.n_outputs_ = X.shape[1], context.task.n_outputs
        with threadpool_limits(limits=1):  # sums in one order: the same bits on any machine of the kind
            self._inputs = RobustInputs.learn(X)
            inputs = self._inputs.batch(X)
            random = generator(context.seed, "kernel")
            self.centres_ = self._draw(inputs, random)
            self.width_ = np.array([self._typical(inputs, random)])
            self._centre()
            turn = _inverse_root(self._similar(self.centres_))
            options = {name: self.params[name] for name in ("alpha", "max_iterations") if name in self.params}
            linear = Linear(**{"alpha": 0.05, **options})
            if (
                not self._inputs.width
            ):  # nothing to learn from: the best constant, which is where Linear starts
                context = replace(context, n_iterations=0)
            share = float(self.params.get("inputs", 0.3))
            linear.fit(np.hstack([self._similar(inputs) @ turn, inputs * share]), y, context)
            turned, straight = linear.weights_[:, : turn.shape[1]], linear.weights_[:, turn.shape[1] :]
            self.weights_ = np.ascontiguousarray(turn @ turned.T)
            self.slopes_ = np.ascontiguousarray(straight.T * share)
        self.bias_, self.link_, self.n_iterations_ = linear.bias_, linear.link_, linear.n_iterations_
        self._arrange()
        return self

    def _draw(self, inputs: Floats, random: np.random.Generator) -> Floats:
        """Return rows; equal ones do no harm but add nothing."""
        affordable = max(_FEWEST, _NUMBERS // max(1, inputs.shape[1]))
        n_centres = min(self.params.get("n_centres", _N_CENTRES), affordable, len(inputs))
        return inputs[np.sort(random.choice(len(inputs), n_centres, replace=False))]

    def _typical(self, inputs: Floats, random: np.random.Generator) -> float:
        """Return the kernel's width: a share of the median squared distance of pairs of rows."""
        one, other = random.integers(0, len(inputs), (2, _PAIRS))
        distances = ((inputs[one] - inputs[other]) ** 2).sum(axis=1)
        distances = distances[distances > 0]
        typical = float(np.median(distances)) if len(distances) else 1.0
        return self.params.get("width", 1.5) * typical

    def _centre(self) -> None:
        """Lay out the centres for `_similar`: an exponent is a product with the inputs, and two sums of squares."""
        self._scale = -1.0 / float(self.width_[0])
        self._turned = np.ascontiguousarray(self.centres_.T) * (-2.0 * self._scale)
        self._sizes = (self.centres_**2).sum(axis=1) * self._scale

    def _arrange(self) -> None:
        """Lay out what predicts: exponents and straight lines in one product, whose last row is a bias."""
        n_centres = len(self.centres_)
        self._all = np.vstack(
            [np.hstack([self._turned, self.slopes_]), np.concatenate([self._sizes, self.bias_])]
        )
        self._turned, self._sizes = self._all[:-1, :n_centres], self._all[-1, :n_centres]
        self._row = BoundRows(self.n_columns_, self.bind)

    def _similar(self, inputs: Floats) -> Floats:
        """Return shape (n_rows, n_centres)."""
        exponents = inputs @ self._turned
        exponents += self._sizes
        exponents += (inputs**2).sum(axis=1)[:, None] * self._scale
        return np.exp(np.minimum(exponents, 0.0, out=exponents), out=exponents)

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        if X.shape[1] != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} columns, got {X.shape[1]}")
        raw = np.empty((len(X), self.n_outputs_))
        for start in range(0, len(X), 1024):
            block = self._inputs.batch(X[start : start + 1024])
            raw[start : start + 1024] = (
                self._similar(block) @ self.weights_ + block @ self.slopes_ + self.bias_
            )
        return linked(raw, self.link_)

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        return self._row(row)

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called."""
        score = bind_kernel(self._inputs, self._scale, self._all, self.weights_, row)
        if score is not None:
            own_link = self.link_
            return lambda: linked_values(score(), own_link)
        dot, weights, scale, link = np.dot, self.weights_, self._scale, self.link_
        inputs = np.ones(len(self._all))  # the last one multiplies the bias
        values = inputs[:-1]
        fill = self._inputs.bind(row, values)
        sums = np.empty(self._all.shape[1])
        similar, straight = sums[: len(weights)], sums[len(weights) :]

        def predict() -> Sequence[float]:
            fill()
            dot(inputs, self._all, sums)
            np.add(similar, values.dot(values) * scale, similar)
            np.minimum(similar, 0.0, out=similar)
            np.exp(similar, similar)
            return linked_row(dot(similar, weights) + straight, link)

        return predict

    def state(self) -> State:
        """Return the inputs' scaling, the centres and their weights as arrays."""
        tree = self.header_tree(link=self.link_)
        own = {
            "centres": self.centres_,
            "width": self.width_,
            "weights": self.weights_,
            "slopes": self.slopes_,
            "bias": self.bias_,
        }
        return State(tree, {**self._inputs.arrays(), **own})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the arrays, then build."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        link = state.tree.get("link")
        if link not in {"exp", "identity", "sigmoid", "softmax"} or (link != "softmax" and n_outputs != 1):
            raise BundleContentError("kernel: link", got=link, allowed="exp, identity, sigmoid or softmax")
        model = cls(**params)
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model.link_, model._inputs = link, RobustInputs.from_state(state, cls.kind, n_columns)
        model.width_ = read_array(state, cls.kind, "width", np.float64, (1,))
        model.weights_ = read_array(state, cls.kind, "weights", np.float64, (None, n_outputs))
        shape = len(model.weights_), model._inputs.width
        model.centres_ = read_array(state, cls.kind, "centres", np.float64, shape)
        model.slopes_ = read_array(state, cls.kind, "slopes", np.float64, (shape[1], n_outputs))
        model.bias_ = read_array(state, cls.kind, "bias", np.float64, (n_outputs,))
        if not all(np.isfinite(a).all() for a in (model.weights_, model.slopes_, model.bias_, model.width_)):
            raise BundleContentError("kernel: a weight or the width is infinite")
        if not model.width_[0] > 1e-100 or (model.centres_.size and np.abs(model.centres_).max() > 10):
            raise BundleContentError("kernel: the width or a centre is out of range")
        model._centre()
        model._arrange()
        return model


def _inverse_root(similar: Floats) -> Floats:
    """Return the inverse square root of a symmetric matrix, without its flattest directions."""
    values, vectors = np.linalg.eigh(similar)
    kept = values > _FLATTEST
    return vectors[:, kept] / np.sqrt(values[kept])
