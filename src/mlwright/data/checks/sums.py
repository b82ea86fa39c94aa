"""Whether a number is an exact linear function of several others, as a total is of its parts."""

from __future__ import annotations

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.values import Coded, Columns

__all__ = ["parts_of"]

_MOST_ROWS = 2_000  # an exact function shows in few rows; all of them are asked afterwards
_ROWS_A_COLUMN = 5
_MOST_COLUMNS = 200
_MOST_PARTS = 10
_GAPS = 0.05  # of a column's values, at most
_EXACT = 1e-9  # of the target's spread
_COUNTS = 1e-6  # of the target's spread: a column that moves it by less is no part of it


def parts_of(columns: Columns, y: Floats) -> tuple[str, ...]:
    """Return the two to ten numbers of which `y` is an exact linear function, empty if there are none.

    Parameters
    ----------
    columns : Columns
        Canonical columns of n_rows; numbers alone are looked at, and the rows in which they are all there.
    y : ndarray of shape (n_rows,)
        Finite.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> parts = {name: draw.normal(size=500) for name in ("casual", "registered", "wind")}
    >>> parts_of(parts, parts["casual"] + parts["registered"])
    ('casual', 'registered')
    """
    found = [
        (name, values)
        for name, values in columns.items()
        if not isinstance(values, Coded) and np.isnan(values).mean() <= _GAPS
    ]
    names = [name for name, _ in found]
    if not 2 <= len(names) <= _MOST_COLUMNS:
        return ()
    numbers = np.stack([values for _, values in found], axis=1)
    rows = np.flatnonzero(np.isfinite(numbers).all(axis=1))
    if len(rows) < _ROWS_A_COLUMN * len(names):
        return ()
    scaled, target = _standard(numbers[rows]), _standard(y[rows, None])[:, 0]
    if not target.any():
        return ()
    asked = generator(0, "sums").permutation(len(rows))[:_MOST_ROWS]
    used = np.flatnonzero(np.abs(_fitted(scaled[asked], target[asked])[:-1]) > _COUNTS)
    if not 2 <= len(used) <= _MOST_PARTS:
        return ()
    weights = _fitted(scaled[asked][:, used], target[asked])
    off = target - (scaled[:, used] @ weights[:-1] + weights[-1])
    return tuple(names[i] for i in used) if float(off.std()) <= _EXACT else ()


def _standard(X: Floats) -> Floats:
    """Return columns of mean 0 and spread 1, whatever their size; constants are 0."""
    top = np.abs(X).max(axis=0)
    X = X / np.where(top > 0, top, 1.0)
    X = X - X.mean(axis=0)
    spread = X.std(axis=0)
    return np.where(spread > 1e-12, X, 0.0) / np.where(spread > 1e-12, spread, 1.0)


def _fitted(X: Floats, y: Floats) -> Floats:
    """Return the least squares weights, the intercept last."""
    weights = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]
    return np.asarray(weights, dtype=np.float64)
