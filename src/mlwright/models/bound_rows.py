"""Bound rows: single rows from many threads for what predicts a row in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlwright.core.types import Floats

__all__ = ["BoundRows"]


class BoundRows:
    """Predicts rows by a function that is bound to a row of its own; each call takes a free one, or makes one.

    Parameters
    ----------
    n_columns : int
        How many numbers a row has.
    bind : callable
        `Model.bind`.

    Examples
    --------
    >>> BoundRows(2, lambda row: lambda: row.tolist())(np.array([1.0, 2.0]))
    [1.0, 2.0]
    """

    def __init__(self, n_columns: int, bind: Callable[[Floats], Callable[[], Sequence[float]]]) -> None:
        self._n_columns, self._bind = n_columns, bind
        self._idle: list[tuple[Floats, Callable[[], Sequence[float]]]] = []

    def __call__(self, row: Floats) -> Sequence[float]:
        """Return the prediction for `row`, of shape (n_columns,)."""
        if len(row) != self._n_columns:
            raise ValueError(f"expected {self._n_columns} numbers, got {len(row)}")
        try:
            own, predict = self._idle.pop()
        except IndexError:
            own = np.zeros(self._n_columns)
            predict = self._bind(own)
        own[:] = row
        values = predict()
        self._idle.append((own, predict))
        return values
