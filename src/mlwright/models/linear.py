"""Linear: logistic regression for classes, ridge regression for numbers. Fitted by scikit-learn and BLAS on one thread."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.state_audit import header, read_array

__all__ = ["Linear"]

_CHUNK = 50  # iterations between two questions to `stop`
_RARE = 1e-15  # probability of a class that training never saw


class Linear(Model):
    """A linear model with an L2 penalty; NaN and infinite inputs count as 0.

    Classes: (multinomial) logistic regression by L-BFGS, which minimises ``sum(log loss) + alpha / 2 * |w|^2``.
    Regression: ridge, which minimises ``sum((y - Xw)^2) + alpha * |w|^2``, solved in closed form. Intercepts are not
    penalised. Columns should be of similar scale.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    max_iterations : int, default=500
        Most iterations of L-BFGS.

    Examples
    --------
    >>> from mlwright.data.schema import Task
    >>> context = FitContext(Task(TaskKind.REGRESSION, "y", "rmse"))
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = Linear(alpha=0.0).fit(X, np.array([1.0, 3.0, 5.0]), context)
    >>> round(model.predict_row(np.array([10.0]))[0], 6)
    21.0
    """

    kind: ClassVar[str] = "linear"
    rules: ClassVar[Mapping[str, Rule]] = {
        "alpha": Number(0, 1e12),
        "max_iterations": Number(1, 100_000, integer=True),
    }

    @classmethod
    def prepare(cls) -> None:
        """Import the learner's package."""
        import sklearn.linear_model  # noqa: F401 - the import is the purpose

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; `context.stop` is asked before the start and every 50 iterations of L-BFGS."""
        from threadpoolctl import threadpool_limits

        X = _finite(X)
        self.link_ = {TaskKind.BINARY: "sigmoid", TaskKind.MULTICLASS: "softmax"}.get(
            context.task.kind, "identity"
        )
        with threadpool_limits(limits=1):  # sums in one order: the same bits on any machine of the kind
            if self.link_ == "identity":
                self._fit_ridge(X, y)
            else:
                self._fit_logistic(X, y.astype(np.int64), context)
        return self

    def _fit_ridge(self, X: Floats, y: Floats) -> None:
        alpha = float(self.params.get("alpha", 1.0))
        middle, mean = X.mean(axis=0), float(y.mean())
        centred, target = X - middle, y - mean
        n_rows, n_columns = X.shape
        if n_columns <= n_rows or alpha == 0:
            weights = _solve(centred.T @ centred, centred.T @ target, alpha)
        else:
            weights = centred.T @ _solve(centred @ centred.T, target, alpha)
        self.weights_ = np.ascontiguousarray(weights[None, :])
        self.bias_ = np.array([mean - float(middle @ weights)])
        self.n_iterations_ = 1

    def _fit_logistic(self, X: Floats, y: np.ndarray, context: FitContext) -> None:
        n_classes = max(2, len(context.task.labels))
        counts = np.bincount(y, minlength=n_classes)
        seen = np.flatnonzero(counts)
        weights = np.zeros((n_classes, X.shape[1]))
        bias = np.log(np.maximum(counts / len(y), _RARE))
        self.n_iterations_ = 0
        most = (
            self.params.get("max_iterations", 500) if context.n_iterations is None else context.n_iterations
        )
        if len(seen) > 1 and most > 0 and not context.stop():
            coefficients, intercepts = self._descend(X, y, most, context)
            if len(seen) == 2:  # scikit-learn gives the log odds of the second class alone
                coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
                intercepts = np.concatenate([[0.0], intercepts])
            weights[seen], bias[seen] = coefficients, intercepts
            if len(seen) < n_classes:  # classes never seen stay out of reach of any score seen in training
                bias[counts == 0] = (X @ coefficients.T + intercepts).min() + math.log(_RARE)
        if self.link_ == "sigmoid":
            weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
        self.weights_, self.bias_ = np.ascontiguousarray(weights), np.ascontiguousarray(bias)

    def _descend(self, X: Floats, y: np.ndarray, most: int, context: FitContext) -> tuple[Floats, Floats]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        strength = max(float(self.params.get("alpha", 1.0)), 1e-12)
        regression = LogisticRegression(C=1 / strength, warm_start=True, tol=1e-5)
        while self.n_iterations_ < most and (self.n_iterations_ == 0 or not context.stop()):
            chunk = min(_CHUNK, most - self.n_iterations_)
            regression.set_params(max_iter=chunk)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # stopping at a chunk's end is meant
                regression.fit(X, y)
            took = int(np.max(regression.n_iter_))
            self.n_iterations_ += took
            if took < chunk:
                break
        return regression.coef_, regression.intercept_

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        raw = _finite(X) @ self.weights_.T + self.bias_
        if self.link_ == "sigmoid":
            return _sigmoid(raw)
        if self.link_ == "softmax":
            powers = np.exp(raw - raw.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        return raw

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row."""
        raw = (self.weights_ @ _finite(row) + self.bias_).tolist()
        if self.link_ == "sigmoid":
            return [1 / (1 + math.exp(-raw[0])) if raw[0] >= 0 else math.exp(raw[0]) / (1 + math.exp(raw[0]))]
        if self.link_ == "softmax":
            top = max(raw)
            powers = [math.exp(value - top) for value in raw]
            total = sum(powers)
            return [power / total for power in powers]
        return raw

    def state(self) -> State:
        """Return weights and bias as arrays."""
        tree = {
            "kind": self.kind,
            "params": self.params,
            "n_columns": self.weights_.shape[1],
            "n_outputs": len(self.bias_),
            "n_iterations": self.n_iterations_,
            "link": self.link_,
        }
        return State(tree, {"weights": self.weights_, "bias": self.bias_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        link = state.tree.get("link")
        if link not in {"identity", "sigmoid", "softmax"} or (link != "softmax" and n_outputs != 1):
            raise BundleContentError(
                "linear: link", got=link, allowed="identity, sigmoid (one output) or softmax"
            )
        model = cls(**params)
        model.link_, model.n_iterations_ = link, n_iterations
        model.weights_ = read_array(state, cls.kind, "weights", np.float64, (n_outputs, n_columns))
        model.bias_ = read_array(state, cls.kind, "bias", np.float64, (n_outputs,))
        if not (np.isfinite(model.weights_).all() and np.isfinite(model.bias_).all()):
            raise BundleContentError("linear: a weight is infinite")
        return model


def _finite(X: Floats) -> Floats:
    finite = np.isfinite(X)
    return X if finite.all() else np.where(finite, X, 0.0)


def _solve(gram: Floats, right: Floats, alpha: float) -> Floats:
    # The floor keeps repeated columns solvable where there is no penalty; it is far below what data can tell.
    gram[np.diag_indices_from(gram)] += max(alpha, 1e-11 * float(np.trace(gram)) / len(gram), 1e-300)
    return np.linalg.solve(gram, right).astype(np.float64, copy=False)


def _sigmoid(raw: Floats) -> Floats:
    small = np.exp(-np.abs(raw))
    return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
