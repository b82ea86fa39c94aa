"""Dummy: the class prior, or the one number that the task's loss likes best. What every other model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Choice, Rule
from mlwright.core.types import Floats
from mlwright.data.schema import Objective, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.losses import best_constant, loss_of
from mlwright.models.state_audit import header, read_array

__all__ = ["Dummy"]

_STATISTICS = {"mean": Objective.SQUARED, "median": Objective.ABSOLUTE}


class Dummy(Model):
    """Predict the same for every row.

    Parameters
    ----------
    statistic : {"mean", "median"}, optional
        What is predicted for a regression; by default what is best for the task's objective: the mean, the median for
        absolute errors, a quantile for itself. For classes it is always the share of each class. Weights count.

    Examples
    --------
    >>> from mlwright.data.schema import Task
    >>> context = FitContext(Task(TaskKind.REGRESSION, "y", "mae"))
    >>> model = Dummy(statistic="median").fit(np.zeros((3, 1)), np.array([1.0, 2.0, 9.0]), context)
    >>> model.predict_row(np.zeros(1))
    [2.0]
    """

    kind: ClassVar[str] = "dummy"
    rules: ClassVar[Mapping[str, Rule]] = {"statistic": Choice(("mean", "median"))}

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about how many microseconds a row takes."""
        return 0.5

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Learn the statistic from `y`; `X` gives only the number of columns."""
        task = context.task
        if task.kind is TaskKind.REGRESSION:
            objective, weights = loss_of(task, y, context.weights)
            if "statistic" in self.params:
                objective, weights = _STATISTICS[self.params["statistic"]], context.weights
            value = np.array([best_constant(objective, y, weights, task.quantile)], dtype=np.float64)
        else:
            counts = np.bincount(y.astype(np.int64), context.weights, minlength=max(2, len(task.labels)))
            shares = counts / counts.sum()
            value = shares[1:2] if task.kind is TaskKind.BINARY else shares
        self.n_columns_ = X.shape[1]
        self.n_iterations_ = 1
        self.value_ = value
        return self

    def predict(self, X: Floats) -> Floats:
        """Return the statistic for each row, shape (n_rows, n_outputs)."""
        return np.repeat(self.value_[None, :], len(X), axis=0)

    def predict_row(self, row: Floats) -> list[float]:  # noqa: ARG002  the signature is the seam's
        """Return the statistic."""
        return self.value_.tolist()

    def state(self) -> State:
        """Return the statistic as one array."""
        tree = {
            "kind": self.kind,
            "params": self.params,
            "n_columns": self.n_columns_,
            "n_outputs": len(self.value_),
            "n_iterations": self.n_iterations_,
        }
        return State(tree, {"value": self.value_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        model = cls(**params)
        model.n_columns_, model.n_iterations_ = n_columns, n_iterations
        model.value_ = read_array(state, cls.kind, "value", np.float64, (n_outputs,))
        if not np.isfinite(model.value_).all():
            raise BundleContentError("dummy: value is infinite", got=model.value_.tolist())
        return model
