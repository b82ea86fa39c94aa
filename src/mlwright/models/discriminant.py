"""Discriminant: classes as normal distributions, with one covariance for all or mixtures of it with each class's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.scores import linked, linked_row
from mlwright.models.state_audit import header, read_array

__all__ = ["Discriminant"]

_NUMBERS = 2**16  # of all classes' own matrices together at most: half a megabyte
_FLOOR = 1e-9  # of the mean variance: the least variance of a direction
_HUGE = 1e50  # inputs beyond count as this, so that no square overflows
_UNREACHED = -1e300  # score of a class that training never saw
_RARE = 1e-15
_FOLDS = 5
_WIDEST = 1500  # columns whose covariance is formed
_TEMPERATURES = np.logspace(-4, 0, 61)


class Discriminant(Model):
    """Linear and regularised quadratic discriminant analysis (Friedman 1989); NaN and infinite inputs count as 0.

    The covariance of class c is ``(1 - shrinkage) ((1 - alpha) S + alpha S_c) + shrinkage v I``, where S is that of the
    rows about their class means, S_c that of the class's own rows, and v the mean of the diagonal. With `alpha` 0 the
    scores are linear. Otherwise rows are first projected on their leading principal components where the matrices of
    all classes would hold more than 65,536 numbers. Of more than 1,500 columns those that vary most count. Rows are less sure than normal distributions say: scores are
    multiplied by the number of up to 1 that makes the log loss of five folds least. Columns should be of similar scale.

    Parameters
    ----------
    alpha : float, default=0
        0 for one covariance, 1 for each class its own.
    shrinkage : float, optional
        0 to 1; by default what Ledoit and Wolf (2004) show to be best for S.

    References
    ----------
    .. [1] J. Friedman (1989), "Regularized discriminant analysis", JASA 84.
    .. [2] O. Ledoit, M. Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", Journal
       of Multivariate Analysis 88.

    Examples
    --------
    >>> context = FitContext(Task(TaskKind.BINARY, "y", "log_loss", ("a", "b")))
    >>> X, y = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    >>> Discriminant(shrinkage=0.0).fit(X, y, context).predict_row(np.array([3.0]))
    [0.5]
    """

    kind: ClassVar[str] = "discriminant"
    rules: ClassVar[Mapping[str, Rule]] = {"alpha": Number(0, 1), "shrinkage": Number(0, 1)}

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether the task has classes."""
        return task.kind.has_classes

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds a row takes with a hundred inputs."""
        return 20.0 + 1.5 * n_outputs if params.get("alpha", 0) > 0 else 8.0 + 0.4 * n_outputs

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit in closed form; see `Model.fit`. `context.stop` is not asked but for the folds."""
        from threadpoolctl import threadpool_limits

        task = context.task
        codes = y.astype(np.int64)
        rows = np.ones(len(y)) if context.weights is None else context.weights
        self.n_columns_, self.n_outputs_, self.n_iterations_ = X.shape[1], task.n_outputs, 1
        self.link_ = "sigmoid" if task.kind is TaskKind.BINARY else "softmax"
        with threadpool_limits(limits=1):  # sums in one order: the same bits on any machine of the kind
            n_classes = max(2, len(task.labels))
            X, kept = _widest(_finite(X))
            temperature = 1.0 if context.stop() else self._temperature(X, codes, rows, n_classes)
            self._set(_Classes.learn(X, codes, rows, n_classes, self.params), temperature, kept)
        return self

    def _temperature(self, X: Floats, y: Ints, rows: Floats, n_classes: int) -> float:
        """Return the factor that makes the folds' log loss least; 1 where folds would lack classes."""
        order = np.argsort(y, kind="stable")
        fold = np.empty(len(y), dtype=np.int64)
        fold[order] = np.arange(len(y)) % _FOLDS
        scores, kept = [], []
        for number in range(_FOLDS):
            out = fold == number
            if not out.any() or out.all():
                return 1.0
            learned = _Classes.learn(X[~out], y[~out], rows[~out], n_classes, self.params)
            known = np.flatnonzero(out)[np.isin(y[out], learned.seen)]
            scores.append(learned.scores(X[known]))
            kept.append(known)
        raw, places = np.concatenate(scores), np.concatenate(kept)
        if not len(places):
            return 1.0
        raw = np.maximum(raw - raw.max(axis=1, keepdims=True), -1e6)
        own = raw[np.arange(len(places)), y[places]]
        losses = [
            np.average(np.log(np.exp(raw * t).sum(axis=1)) - own * t, weights=rows[places])
            for t in _TEMPERATURES
        ]
        return float(_TEMPERATURES[int(np.argmin(losses))])

    def _set(self, classes: _Classes, temperature: float, kept: Ints) -> None:
        """Hold what predicts: weights and bias, or means and matrices of each class."""
        self._quadratic = classes.turns is not None
        if classes.turns is None:
            weights, bias = classes.linear()
            weights, bias = weights * temperature, np.where(bias > _UNREACHED, bias * temperature, bias)
            if self.link_ == "sigmoid":
                weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
            all_weights = np.zeros((len(weights), self.n_columns_))
            all_weights[:, kept] = weights
            self.parts_ = {"weights": all_weights, "bias": bias}
        else:
            spread = np.sqrt(temperature / 2)
            base = np.zeros((self.n_columns_, classes.base.shape[1]))
            base[kept] = classes.base
            self.parts_ = {
                "base": base,
                "centres": np.ascontiguousarray(classes.shifts * spread),
                "turns": np.ascontiguousarray(classes.turns * spread),
                "bias": np.where(classes.bias > _UNREACHED, classes.bias * temperature, classes.bias),
            }
        self._arrange()

    def _arrange(self) -> None:
        parts = self.parts_
        self._bias = parts["bias"]
        if self._quadratic:
            n_classes, n_base = parts["turns"].shape[:2]
            # All classes' turns side by side, from the columns to their turned distances.
            self._base, self._shift = parts["base"], parts["centres"].ravel()
            self._all = np.ascontiguousarray(
                parts["turns"].transpose(1, 0, 2).reshape(n_base, n_classes * n_base)
            )
            self._n_classes = n_classes
        else:
            self._all = np.ascontiguousarray(parts["weights"].T)

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        if X.shape[1] != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} columns, got {X.shape[1]}")
        raw = np.empty((len(X), len(self._bias)))
        for start in range(0, len(X), 512):
            raw[start : start + 512] = self._scores(_finite(X[start : start + 512]))
        if self._quadratic and self.link_ == "sigmoid":
            raw = raw[:, 1:] - raw[:, :1]
        return linked(raw, self.link_)

    def _scores(self, X: Floats) -> Floats:
        if not self._quadratic:
            return X @ self._all + self._bias
        turned = (X @ self._base) @ self._all - self._shift
        return self._bias - (turned**2).reshape(len(X), self._n_classes, -1).sum(axis=2)

    def predict_row(self, row: Floats) -> Sequence[float]:
        """Return `n_outputs` numbers for one row; safe from many threads."""
        if len(row) != self.n_columns_:
            raise ValueError(f"expected {self.n_columns_} numbers, got {len(row)}")
        row = _finite(row)
        if not self._quadratic:
            return linked_row(row @ self._all + self._bias, self.link_)
        turned = (row @ self._base) @ self._all
        turned -= self._shift
        turned *= turned
        raw = self._bias - turned.reshape(self._n_classes, -1).sum(axis=1)
        return linked_row(raw[1:] - raw[:1] if self.link_ == "sigmoid" else raw, self.link_)

    def state(self) -> State:
        """Return the parts as arrays."""
        tree = self.header_tree(link=self.link_, quadratic=self._quadratic)
        return State(tree, self.parts_)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Audit the arrays, then build."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        link, quadratic = state.tree.get("link"), state.tree.get("quadratic")
        if link not in {"sigmoid", "softmax"} or (link == "sigmoid" and n_outputs != 1):
            raise BundleContentError(
                "discriminant: link", got=link, allowed="sigmoid (one output) or softmax"
            )
        if not isinstance(quadratic, bool):
            raise BundleContentError("discriminant: quadratic", got=quadratic, allowed="true or false")
        model = cls(**params)
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model.link_, model._quadratic = link, quadratic

        def read(name: str, shape: tuple[int | None, ...]) -> np.ndarray:
            return read_array(state, cls.kind, name, np.float64, shape)

        if quadratic:
            n_classes = 2 if link == "sigmoid" else n_outputs
            base = read("base", (n_columns, None))
            n_base = base.shape[1]
            shape = n_classes, n_base
            model.parts_ = {
                "base": base,
                "centres": read("centres", shape),
                "turns": read("turns", (*shape, n_base)),
                "bias": read("bias", (n_classes,)),
            }
        else:
            model.parts_ = {
                "weights": read("weights", (n_outputs, n_columns)),
                "bias": read("bias", (n_outputs,)),
            }
        for name, part in model.parts_.items():
            if not np.isfinite(part).all():
                raise BundleContentError(f"discriminant: a number of '{name}' is infinite")
        model._arrange()
        return model


class _Classes:
    """What is learned of the classes: which were seen, and the scores before any temperature."""

    seen: Ints
    turns: Floats | None = None
    base: Floats
    shifts: Floats
    bias: Floats

    @classmethod
    def learn(cls, X: Floats, y: Ints, rows: Floats, n_classes: int, params: Mapping[str, Any]) -> Self:
        """Learn means, covariances and shares of the classes; `rows` are weights."""
        new = cls()
        totals = np.bincount(y, rows, minlength=n_classes)
        new.seen = np.flatnonzero(totals)
        alpha = float(params.get("alpha", 0.0)) if len(new.seen) > 1 else 0.0
        middle = np.average(X, axis=0, weights=rows)
        new.base = np.eye(X.shape[1]) if alpha == 0 else _base(X - middle, rows, len(new.seen))
        Z = (X - middle) @ new.base if alpha > 0 else X - middle
        new._offset = middle
        new._means = np.zeros((n_classes, Z.shape[1]))
        for c in new.seen:
            new._means[c] = np.average(Z[y == c], axis=0, weights=rows[y == c])
        residuals = Z - new._means[y]
        pooled = _covariance(residuals, rows)
        shrinkage = params.get("shrinkage")
        if shrinkage is None:
            shrinkage = _ledoit_wolf(residuals, pooled, rows)
        new._logs = np.full(n_classes, _UNREACHED)
        new._logs[new.seen] = np.log(totals[new.seen] / totals.sum())
        if alpha == 0:
            new._shared = _shrunk(pooled, float(shrinkage))
        else:
            new._turn(residuals, y, rows, pooled, alpha, float(shrinkage))
        return new

    _offset: Floats
    _means: Floats
    _logs: Floats
    _shared: Floats

    def _turn(
        self, residuals: Floats, y: Ints, rows: Floats, pooled: Floats, alpha: float, shrinkage: float
    ) -> None:
        n_classes, n_base = self._means.shape
        self.turns, self.bias = np.zeros((n_classes, n_base, n_base)), self._logs.copy()
        self.shifts = np.zeros((n_classes, n_base))
        for c in self.seen:
            own = _covariance(residuals[y == c], rows[y == c])
            values, vectors = np.linalg.eigh(_shrunk((1 - alpha) * pooled + alpha * own, shrinkage))
            self.turns[c] = vectors / np.sqrt(values)
            # Rows are not centred first: the middle's projection is part of each class's centre.
            self.shifts[c] = (self._means[c] + self._offset @ self.base) @ self.turns[c]
            self.bias[c] -= np.log(values).sum() / 2

    def linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weights of shape (n_classes, n_columns) and bias."""
        weights = np.linalg.solve(self._shared, self._means.T).T
        bias = self._logs - ((self._means / 2 + self._offset) * weights).sum(axis=1)
        unseen = np.setdiff1d(np.arange(len(bias)), self.seen)
        weights[unseen], bias[unseen] = 0.0, _UNREACHED
        return weights, bias

    def scores(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_classes)."""
        if self.turns is None:
            weights, bias = self.linear()
            return X @ weights.T + bias
        turned = (X @ self.base) @ self.turns  # (n_classes, n_rows, n_base)
        return self.bias - ((turned - self.shifts[:, None, :]) ** 2).sum(axis=2).T / 2


def _finite(X: Floats) -> Floats:
    bounded = np.minimum(np.maximum(X, -_HUGE), _HUGE)
    finite = np.isfinite(X)
    return bounded if finite.all() else np.where(finite, bounded, 0.0)


def _widest(X: Floats) -> tuple[Floats, Ints]:
    """Return the columns that vary most, as many as are affordable, and their places."""
    if X.shape[1] <= _WIDEST:
        return X, np.arange(X.shape[1])
    kept = np.sort(np.argsort(-X.var(axis=0), kind="stable")[:_WIDEST])
    return X[:, kept], kept


def _base(centred: Floats, rows: Floats, n_classes: int) -> Floats:
    """Return the leading principal components that all classes' matrices have room for; all columns where they have."""
    n_base = max(1, int((_NUMBERS / n_classes) ** 0.5))
    if centred.shape[1] <= n_base:
        return np.eye(centred.shape[1])
    _, vectors = np.linalg.eigh(_covariance(centred, rows))
    return np.ascontiguousarray(vectors[:, ::-1][:, :n_base])


def _covariance(residuals: Floats, rows: Floats) -> Floats:
    return (residuals * rows[:, None]).T @ residuals / rows.sum()


def _shrunk(covariance: Floats, shrinkage: float) -> Floats:
    n = len(covariance)
    mean = float(np.trace(covariance)) / max(1, n)
    shrunk = (1 - shrinkage) * covariance
    shrunk[np.diag_indices(n)] += shrinkage * mean + max(_FLOOR * mean, 1e-100)
    return shrunk


def _ledoit_wolf(residuals: Floats, covariance: Floats, rows: Floats) -> float:
    """Return the shrinkage that is best for squared errors of the covariance (Ledoit and Wolf 2004)."""
    n_columns = max(1, residuals.shape[1])
    mean = float(np.trace(covariance)) / n_columns
    size = float((covariance**2).sum())
    distance = size - n_columns * mean**2
    n_rows = float(rows.sum()) ** 2 / float((rows**2).sum())  # as many rows of equal weight would say as much
    noise = (float(np.average((residuals**2).sum(axis=1) ** 2, weights=rows)) - size) / n_rows
    return float(min(1.0, max(0.0, noise / distance))) if distance > 0 else 1.0
