"""Linear: logistic regression for classes; ridge, quantile and log-linear regression for numbers.

Fitted by scikit-learn and BLAS on one thread.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import TWEEDIE_POWER, Objective
from mlwright.models.base import FitContext, Model
from mlwright.models.losses import best_constant, loss_of
from mlwright.models.scores import linked, linked_row
from mlwright.models.state_audit import header, read_array

__all__ = ["Linear"]

_CHUNK = 50  # iterations between two questions to `stop`
# The first question is asked sooner where rows, columns and classes make so many numbers that an iteration takes long.
_FIRST_CHUNK, _MANY_NUMBERS = 20, 2_000_000
_RARE = 1e-15  # probability of a class that training never saw
_LINKS = {
    Objective.LOGISTIC: "sigmoid",
    Objective.SOFTMAX: "softmax",
    Objective.POISSON: "exp",
    Objective.GAMMA: "exp",
    Objective.TWEEDIE: "exp",
}
_SCALES = {"exp": "log", "identity": "value", "sigmoid": "log-odds", "softmax": "score"}
_POWERS = {Objective.POISSON: 1.0, Objective.TWEEDIE: TWEEDIE_POWER, Objective.GAMMA: 2.0}
_NEAR = 1e-4  # of the typical miss: nearer misses count for the quantile as squares
_STILL = 1e-3  # of the typical miss: predictions that move less have arrived


class Linear(Model):
    """A linear model with an L2 penalty; NaN and infinite inputs count as 0.

    Classes: (multinomial) logistic regression by L-BFGS, which minimises ``sum(log loss) + alpha / 2 * |w|^2``.
    Regression, by the task's objective: ridge, which minimises ``sum((y - Xw)^2) + alpha * |w|^2``, solved in closed
    form; for the median and other quantiles ``sum(pinball loss) + alpha * |w|^2 / s``, where s is the loss a row of the
    best constant, by weighted ridges that each lie above the loss and touch it (Hunter and Lange 2000); for Poisson,
    gamma and Tweedie the logarithm of the mean is linear, ``sum(deviance) / 2 + alpha / 2 * |w|^2`` by L-BFGS.
    Intercepts are not penalised. Row weights multiply the sums. Columns should be of similar scale.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    max_iterations : int, default=500
        Most iterations, where the solution has no closed form.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
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

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds a row takes."""
        return 3.0 + 0.3 * n_outputs

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit; `context.stop` is asked before the start and every 50 iterations (each one of a quantile's)."""
        from threadpoolctl import threadpool_limits

        X = _finite(X)
        objective, rows = loss_of(context.task, y, context.weights)
        self.link_ = _LINKS.get(objective, "identity")
        with threadpool_limits(limits=1):  # sums in one order: the same bits on any machine of the kind
            if objective in (Objective.LOGISTIC, Objective.SOFTMAX):
                self._fit_logistic(X, y.astype(np.int64), context)
            elif objective in _POWERS:
                self._fit_log_linear(X, y, rows, _POWERS[objective], context)
            elif objective in (Objective.ABSOLUTE, Objective.QUANTILE):
                self._fit_quantile(X, y, rows, objective, context)
            else:
                self._fit_ridge(X, y, rows)
        return self

    def _fit_ridge(self, X: Floats, y: Floats, rows: Floats | None) -> None:
        weights, bias = _ridge(X, y, rows, float(self.params.get("alpha", 1.0)))
        self.weights_, self.bias_ = np.ascontiguousarray(weights[None, :]), np.array([bias])
        self.n_iterations_ = 1

    def _fit_quantile(
        self, X: Floats, y: Floats, rows: Floats | None, objective: Objective, context: FitContext
    ) -> None:
        share = 0.5 if objective is Objective.ABSOLUTE else context.task.quantile or 0.5
        rows = np.ones(len(y)) if rows is None else rows
        constant = best_constant(Objective.QUANTILE, y, rows, share)
        miss = y - constant
        size = float(np.average(np.maximum(share * miss, (share - 1) * miss), weights=rows))
        weights, bias = np.zeros(X.shape[1]), constant
        self.n_iterations_ = 0
        most = self._most(context)
        while size > 0 and self.n_iterations_ < most and not context.stop():
            # 4 * pinball(miss) <= miss^2 / d + (4 * share - 2) * miss + d, equal where d = |miss|.
            distance = np.abs(miss) + _NEAR * size
            target = y + (2 * share - 1) * distance
            before = miss
            weights, bias = _ridge(
                X, target, rows / distance, 4 * float(self.params.get("alpha", 1.0)) / size
            )
            miss = y - X @ weights - bias
            self.n_iterations_ += 1
            if float(np.abs(miss - before).max()) <= _STILL * size:
                break
        self.weights_, self.bias_ = np.ascontiguousarray(weights[None, :]), np.array([bias])

    def _fit_log_linear(
        self, X: Floats, y: Floats, rows: Floats | None, power: float, context: FitContext
    ) -> None:
        from sklearn.linear_model import TweedieRegressor

        total = float(len(y) if rows is None else rows.sum())
        scale = float(np.average(y, weights=rows))  # of the target: L-BFGS starts near 1
        # scikit-learn minimises means; dividing y by the scale divides the deviance by a power of it.
        alpha = max(float(self.params.get("alpha", 1.0)), 1e-12) / total / scale ** (2 - power)
        regression = TweedieRegressor(power=power, alpha=alpha, link="log", warm_start=True, tol=1e-6)
        self.weights_, self.bias_ = np.zeros((1, X.shape[1])), np.array([math.log(scale)])
        self.n_iterations_ = 0
        if not context.stop():
            self._in_chunks(
                regression, lambda: regression.fit(X, y / scale, sample_weight=rows), context, X.size
            )
            self.weights_ = np.ascontiguousarray(regression.coef_[None, :])
            self.bias_ = np.array([math.log(scale) + float(regression.intercept_)])

    def _most(self, context: FitContext) -> int:
        return (
            self.params.get("max_iterations", 500) if context.n_iterations is None else context.n_iterations
        )

    def _in_chunks(
        self, regression: Any, fit: Callable[[], Any], context: FitContext, n_numbers: int
    ) -> None:
        """Fit a warm starting regression some iterations at a time until it has converged or time is up.

        An iteration takes as long as `n_numbers`, of rows and columns for each output, say.
        """
        from sklearn.exceptions import ConvergenceWarning

        most = self._most(context)
        while self.n_iterations_ < most and (self.n_iterations_ == 0 or not context.stop()):
            is_long = self.n_iterations_ == 0 and n_numbers > _MANY_NUMBERS
            chunk = min(_FIRST_CHUNK if is_long else _CHUNK, most - self.n_iterations_)
            regression.set_params(max_iter=chunk)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # stopping at a chunk's end is meant
                fit()
            took = int(np.max(regression.n_iter_))
            self.n_iterations_ += took
            if took < chunk:
                break

    def _fit_logistic(self, X: Floats, y: np.ndarray, context: FitContext) -> None:
        n_classes = max(2, len(context.task.labels))
        counts = np.bincount(y, context.weights, minlength=n_classes)
        seen = np.flatnonzero(counts)
        weights = np.zeros((n_classes, X.shape[1]))
        bias = np.log(np.maximum(counts / counts.sum(), _RARE))
        self.n_iterations_ = 0
        if len(seen) > 1 and self._most(context) > 0 and not context.stop():
            coefficients, intercepts = self._descend(X, y, context)
            if len(seen) == 2:  # scikit-learn gives the log odds of the second class alone
                coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
                intercepts = np.concatenate([[0.0], intercepts])
            weights[seen], bias[seen] = coefficients, intercepts
            if len(seen) < n_classes:  # classes never seen stay out of reach of any score seen in training
                bias[counts == 0] = (X @ coefficients.T + intercepts).min() + math.log(_RARE)
        if self.link_ == "sigmoid":
            weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
        self.weights_, self.bias_ = np.ascontiguousarray(weights), np.ascontiguousarray(bias)

    def _descend(self, X: Floats, y: np.ndarray, context: FitContext) -> tuple[Floats, Floats]:
        from sklearn.linear_model import LogisticRegression

        strength = max(float(self.params.get("alpha", 1.0)), 1e-12)
        regression = LogisticRegression(C=1 / strength, warm_start=True, tol=1e-5)
        n_numbers = X.size * context.task.n_outputs
        self._in_chunks(
            regression, lambda: regression.fit(X, y, sample_weight=context.weights), context, n_numbers
        )
        return regression.coef_, regression.intercept_

    @property
    def margin_scale(self) -> str | None:
        """See `Model.margin_scale`."""
        return _SCALES[self.link_]

    def margins(self, X: Floats) -> Floats:
        """Return the sums before the link, shape (n_rows, n_outputs)."""
        return _finite(X) @ self.weights_.T + self.bias_

    def contributions(self, X: Floats) -> Floats:
        """Return weight times value, shape (n_rows, n_outputs, n_columns + 1); the last column is the intercept.

        The expected row is that of zeros: the mean of every scaled number, and no level of a category.
        """
        parts = np.empty((len(X), *self.weights_.shape[:1], X.shape[1] + 1))
        parts[..., :-1] = _finite(X)[:, None, :] * self.weights_
        parts[..., -1] = self.bias_
        return parts

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        return linked(self.margins(X), self.link_)

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row."""
        raw = np.dot(self.weights_, row)
        raw += self.bias_
        if not math.isfinite(sum(raw.tolist())):  # as they are if any number is missing or infinite
            raw = np.dot(self.weights_, _finite(row)) + self.bias_
        return linked_row(raw, self.link_)

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
        if link not in {"exp", "identity", "sigmoid", "softmax"} or (link != "softmax" and n_outputs != 1):
            raise BundleContentError(
                "linear: link", got=link, allowed="exp, identity, sigmoid (one output) or softmax"
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


def _ridge(X: Floats, y: Floats, rows: Floats | None, alpha: float) -> tuple[Floats, float]:
    """Return weights and bias that minimise ``sum(rows * (y - Xw - bias)^2) + alpha * |w|^2``."""
    middle, mean = np.average(X, axis=0, weights=rows), float(np.average(y, weights=rows))
    centred, target = X - middle, y - mean
    if rows is not None:
        root = np.sqrt(rows)
        centred, target = centred * root[:, None], target * root
    n_rows, n_columns = X.shape
    if n_columns <= n_rows or alpha == 0:
        weights = _solve(centred.T @ centred, centred.T @ target, alpha)
    else:
        weights = centred.T @ _solve(centred @ centred.T, target, alpha)
    return weights, mean - float(middle @ weights)


def _solve(gram: Floats, right: Floats, alpha: float) -> Floats:
    # The floor keeps repeated columns solvable where there is no penalty; it is far below what data can tell.
    gram[np.diag_indices_from(gram)] += max(alpha, 1e-11 * float(np.trace(gram)) / len(gram), 1e-300)
    return np.linalg.solve(gram, right).astype(np.float64, copy=False)
