"""Shapley values of any function of columns: exact where the columns are few, by antithetic permutations where not.

A game [1]_: for each background row, the columns that are known have the record's values and all others the row's own.
What the known ones are worth is the function's value, averaged over the background rows; a column's Shapley value is
what it adds, averaged over all orders in which columns can become known. Where a row differs from the record in few
columns, all sets of them are asked. Elsewhere orders are drawn [2]_, each with its reverse, which together are exact for
whatever is a sum of functions of one or two columns. Either way the values of a row add up to the difference of the
record's and the row's answer, whatever is drawn.

References
----------
.. [1] E. Strumbelj, I. Kononenko (2014), "Explaining prediction models and individual predictions with feature
   contributions", Knowledge and Information Systems 41.
.. [2] R. Mitchell, J. Cooper, E. Frank, G. Holmes (2022), "Sampling permutations for Shapley value estimation", Journal
   of Machine Learning Research 23: antithetic sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats

__all__ = ["Sampled", "sampled_shapley"]

_FEWEST_PAIRS = 2  # orders with their reverses for a row: fewer tell no standard error
_AT_ONCE = 4096  # answers that are asked for together


@dataclass(frozen=True, slots=True)
class Sampled:
    """Shapley values of a function's outputs.

    Parameters
    ----------
    values : ndarray of shape (n_outputs, n_columns)
        They add up to ``answer - base``.
    errors : ndarray of shape (n_outputs, n_columns)
        Standard errors of what was drawn; 0 where nothing was.
    answer, base : ndarray of shape (n_outputs,)
        Of the record; the mean over the background rows.
    is_exact : bool
        Whether all sets of columns were asked, for every background row.
    n_asked : int
        Answers that it took.
    """

    values: Floats
    errors: Floats
    answer: Floats
    base: Floats
    is_exact: bool
    n_asked: int


def sampled_shapley(
    ask: Callable[[np.ndarray, np.ndarray], Floats], differs: np.ndarray, *, most: int, seed: int
) -> Sampled:
    """Return what each column adds to a record's outputs, against background rows.

    Parameters
    ----------
    ask : callable
        Gets which columns are known, bool of shape (n, n_columns), and for each the number of its background row, shape
        (n,); returns outputs of shape (n, n_outputs).
    differs : ndarray of bool, shape (n_rows, n_columns)
        Where a background row has another value than the record; equal ones add nothing.
    most : int
        Answers asked for, about; wide records take more, since each row gets two orders and their reverses.
    seed : int
        For the orders.

    Examples
    --------
    >>> weights = np.array([3.0, 5.0])
    >>> found = sampled_shapley(lambda known, _: (known * weights).sum(1)[:, None], np.ones((1, 2), bool), most=9, seed=0)
    >>> found.values.tolist(), found.is_exact
    ([[3.0, 5.0]], True)
    """
    n_rows, n_columns = differs.shape
    draw = generator(seed, "orders")
    plans = [_plan(np.flatnonzero(row), most // n_rows, n_columns, draw) for row in differs]
    known = np.concatenate([plan.known for plan in plans])
    row = np.repeat(np.arange(n_rows), [len(plan.known) for plan in plans])
    outputs = np.concatenate(
        [ask(known[i : i + _AT_ONCE], row[i : i + _AT_ONCE]) for i in range(0, len(known), _AT_ONCE)]
    )
    n_outputs = outputs.shape[1]
    values, variance = np.zeros((n_outputs, n_columns)), np.zeros((n_outputs, n_columns))
    answer, base = np.zeros(n_outputs), np.zeros(n_outputs)
    for plan, own in zip(
        plans, np.split(outputs, np.cumsum([len(p.known) for p in plans])[:-1]), strict=True
    ):
        added, spread = plan.settle(own)
        values[:, plan.columns] += added / n_rows
        variance[:, plan.columns] += spread / n_rows**2
        base += own[plan.none] / n_rows
        answer += own[plan.all] / n_rows
    is_exact = not any(isinstance(plan, _Drawn) for plan in plans)
    return Sampled(values, np.sqrt(variance), answer, base, is_exact, len(known))


@dataclass(frozen=True, slots=True)
class _Every:
    """All sets of a row's columns."""

    columns: np.ndarray
    known: np.ndarray

    @property
    def none(self) -> int:
        return 0

    @property
    def all(self) -> int:
        return -1

    def settle(self, outputs: Floats) -> tuple[Floats, Floats]:
        """Return values of shape (n_outputs, n own columns), and their variances."""
        values = outputs.T @ _weights(len(self.columns)).T
        return values, np.zeros_like(values)


@cache
def _weights(n: int) -> Floats:
    """Return what each of the 2^n sets counts in each column's value, shape (n, 2^n)."""
    sets = np.arange(1 << n)
    size = np.array([int(number).bit_count() for number in sets])
    share = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)])
    weights = np.empty((n, 1 << n))
    for column in range(n):
        has = (sets >> column & 1).astype(bool)
        weights[column] = np.where(has, share[np.maximum(size - 1, 0)], -share[np.minimum(size, n - 1)])
    return weights


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Orders with their reverses: row 0 knows none, row 1 all, then the steps of each order between the two."""

    columns: np.ndarray
    known: np.ndarray
    orders: np.ndarray  # places in `columns`, shape (2 * n_pairs, n)

    @property
    def none(self) -> int:
        return 0

    @property
    def all(self) -> int:
        return 1

    def settle(self, outputs: Floats) -> tuple[Floats, Floats]:
        """Return values of shape (n_outputs, n own columns), and their variances by the pairs' spread."""
        n_orders, n = self.orders.shape
        inner = outputs[2:].reshape(n_orders, n - 1, -1)
        ends = (np.broadcast_to(outputs[place], (n_orders, 1, inner.shape[2])) for place in (0, 1))
        first, last = ends
        steps = np.diff(np.concatenate([first, inner, last], axis=1), axis=1)
        gains = np.empty_like(steps)
        np.put_along_axis(gains, self.orders[:, :, None], steps, axis=1)
        pairs = gains.reshape(n_orders // 2, 2, n, -1).mean(axis=1)
        return pairs.mean(axis=0).T, pairs.var(axis=0, ddof=1).T / len(pairs)


def _plan(columns: np.ndarray, most: int, n_columns: int, draw: np.random.Generator) -> _Every | _Drawn:
    n = len(columns)
    if n <= 2 or (n < 20 and 1 << n <= most):
        known = np.zeros((1 << n, n_columns), dtype=bool)
        known[:, columns] = np.arange(1 << n)[:, None] >> np.arange(n) & 1
        return _Every(columns, known)
    n_pairs = max(_FEWEST_PAIRS, (most - 2) // (2 * (n - 1)))
    orders = np.empty((2 * n_pairs, n), dtype=np.intp)
    for pair in range(n_pairs):
        orders[2 * pair] = draw.permutation(n)
        orders[2 * pair + 1] = orders[2 * pair][::-1]
    place = np.argsort(orders, axis=1)  # when each column becomes known
    steps = place[:, None, :] <= np.arange(n - 1)[None, :, None]
    known = np.zeros((2 + 2 * n_pairs * (n - 1), n_columns), dtype=bool)
    known[1, columns] = True
    known[2:, columns] = steps.reshape(-1, n)
    return _Drawn(columns, known, orders)
