"""Losses: what learners share about objectives, row weights and the constants that are best for them."""

from __future__ import annotations

import numpy as np

from mlwright.core.errors import ParameterError
from mlwright.core.types import Floats
from mlwright.data.schema import Objective, Task

__all__ = ["best_constant", "loss_of", "weighted_quantile"]

_LOG_LINKED = (Objective.POISSON, Objective.GAMMA, Objective.TWEEDIE)
_LEAST_SHARE = (
    0.01  # of the median size: a truth nearer to 0 counts for the relative error as if it were so far off
)


def loss_of(task: Task, y: Floats, weights: Floats | None) -> tuple[Objective, Floats | None]:
    """Return the loss to fit and the weights of the rows.

    A relative error is an absolute one with weights of 1 / abs(y). Where all y are 0, a loss whose mean is above 0 has
    no solution, and squares stand in.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows,), optional
        The rows' own, more than 0.

    Raises
    ------
    ParameterError
        If the loss has no meaning for such a target.

    Examples
    --------
    >>> from mlwright.data.schema import TaskKind
    >>> objective, weights = loss_of(Task(TaskKind.REGRESSION, "y", "mape"), np.array([1.0, 2.0, 4.0]), None)
    >>> objective, weights.tolist()
    (<Objective.ABSOLUTE: 'absolute'>, [1.0, 0.5, 0.25])
    """
    objective = task.objective
    if objective is Objective.RELATIVE:
        size = np.abs(y)
        floor = _LEAST_SHARE * float(np.median(size[size > 0])) if size.any() else 1.0
        own = 1 / np.maximum(size, floor)
        return Objective.ABSOLUTE, own if weights is None else own * weights
    if objective in _LOG_LINKED and len(y):
        lowest = float(y.min())
        if lowest < 0 or (lowest == 0 and objective is Objective.GAMMA):
            least = "more than 0" if objective is Objective.GAMMA else "at least 0"
            raise ParameterError(f"a target for the {objective} loss", got=lowest, allowed=least)
        if not y.any():
            return Objective.SQUARED, weights
    return objective, weights


def best_constant(objective: Objective, y: Floats, weights: Floats | None, quantile: float | None) -> float:
    """Return the one prediction for all rows that is best: a quantile, the median, or the mean."""
    if objective in (Objective.ABSOLUTE, Objective.QUANTILE):
        share = 0.5 if objective is Objective.ABSOLUTE or quantile is None else quantile
        return weighted_quantile(y, weights, share)
    return float(np.average(y, weights=weights))


def weighted_quantile(y: Floats, weights: Floats | None, share: float) -> float:
    """Return the least value with at least `share` of the weight at or below it; where it is just so, the middle.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 3.0, 10.0])
    >>> weighted_quantile(y, None, 0.5), weighted_quantile(y, np.array([1.0, 1.0, 1.0, 9.0]), 0.5)
    (2.5, 10.0)
    """
    order = np.argsort(y, kind="stable")
    sums = np.cumsum(np.ones(len(y)) if weights is None else weights[order])
    wanted = share * sums[-1]
    near = np.isclose(sums, wanted, rtol=1e-12, atol=0.0)
    place = int(np.argmax((sums >= wanted) | near))
    first = y[order[place]]
    after = y[order[min(place + 1, len(y) - 1)]]
    return float(first + (after - first) / 2) if near[place] else float(first)
