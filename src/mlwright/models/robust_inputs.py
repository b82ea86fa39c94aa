"""Robust inputs: how smooth learners see a matrix: centred, of one scale, gently bounded, missing as 0 with a flag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats
from mlwright.models.state_audit import read_array

__all__ = ["RobustInputs"]

_BOUND = 3.0  # what no input exceeds
_HUGE = 1e100  # values and scales beyond count as this, so that no product overflows
_STEEP = 1e50  # scales beyond make products whose squares overflow


@dataclass(frozen=True, slots=True)
class RobustInputs:
    """Columns less their median, over their interquartile range, bounded by ``x / sqrt(1 + (x / 3)^2)`` [1]_.

    Where the quartiles are equal, half the range stands in for their distance; constant columns are left out. A missing
    value becomes 0, and each column that misses some in training has a flag, 1 where it misses one.

    Parameters
    ----------
    columns : ndarray of int32, shape (n_kept,)
        The matrix columns that vary.
    center, scale : ndarray of shape (n_kept,)
        What is taken away, and what the rest is multiplied by.
    flagged : ndarray of int32, shape (n_flags,)
        The matrix columns with a flag.

    References
    ----------
    .. [1] D. Holzmueller, L. Grinsztajn, I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted
       trees on tabular data", NeurIPS.

    Examples
    --------
    >>> inputs = RobustInputs.learn(np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [np.nan]]))
    >>> inputs.batch(np.array([[3.0], [5.0], [1e9], [np.nan]])).round(4).tolist()
    [[0.0, 0.0], [0.9487, 0.0], [3.0, 0.0], [0.0, 1.0]]
    """

    columns: np.ndarray
    center: Floats
    scale: Floats
    flagged: np.ndarray

    @property
    def width(self) -> int:
        """How many inputs there are."""
        return len(self.columns) + len(self.flagged)

    @property
    def is_steep(self) -> bool:
        """Whether a square of a scaled number may overflow."""
        return bool(len(self.scale) and self.scale.max() > _STEEP)

    @classmethod
    def learn(cls, X: Floats) -> Self:
        """Learn from a matrix of shape (n_rows, n_columns); infinite values do not count."""
        center, scale = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        whole = np.isfinite(X).all(axis=0)
        if whole.any():
            center[whole], scale[whole] = _middle_and_scale(X[:, whole])
        for column in np.flatnonzero(~whole):
            values = X[:, column]
            values = values[np.isfinite(values)]
            if len(values):
                middle, factor = _middle_and_scale(values[:, None])
                center[column], scale[column] = middle[0], factor[0]
        columns = np.flatnonzero(scale > 0)
        missing = np.isnan(X)
        flagged = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
        return cls(columns.astype(np.int32), center[columns], scale[columns], flagged.astype(np.int32))

    def batch(self, X: Floats) -> Floats:
        """Return shape (n_rows, width)."""
        bounded = np.empty((len(X), len(self.columns)))
        self._bounding(bounded)(X[:, self.columns])
        return np.hstack([bounded, np.isnan(X[:, self.flagged])]) if len(self.flagged) else bounded

    def bind(self, row: Floats, out: Floats) -> Callable[[], None]:
        """Return a function that writes into `out`, of shape (width,), what `batch` gives for what `row` holds then."""
        columns, flagged = self.columns.astype(np.intp), self.flagged.astype(np.intp)
        inputs, flags = out[: len(columns)], out[len(columns) :]
        bound = self._bounding(inputs)
        values = row if len(columns) == len(row) else None  # all of them, in order

        def fill() -> None:
            bound(row.take(columns) if values is None else values)
            if len(flagged):
                flags[:] = np.isnan(row.take(flagged))

        return fill

    def _bounding(self, out: Floats) -> Callable[[Floats], None]:
        """Return the function that writes values, scaled and bounded, into `out`; the last axis is that of the columns."""
        size, flat = np.empty_like(out), out.reshape(-1)
        steep, center, scale = self.is_steep, self.center, self.scale
        maximum, minimum, multiply, sqrt = np.maximum, np.minimum, np.multiply, np.sqrt

        def bound(values: Floats) -> None:
            maximum(values, -_HUGE, out=out)
            minimum(out, _HUGE, out=out)
            np.subtract(out, center, out)
            multiply(out, scale, out)
            if steep:
                np.hypot(out / _BOUND, 1.0, size)
            else:
                multiply(out, out, size)
                multiply(size, _BOUND**-2, size)
                np.add(size, 1.0, size)
                sqrt(size, size)
            np.divide(out, size, out)
            total = flat.dot(flat)  # NaN if any input is: bounded as they are, nothing else makes it so
            if total != total:  # noqa: PLR0124 - NaN is not itself
                out[np.isnan(out)] = 0.0

        return bound

    def equals(self, other: RobustInputs) -> bool:
        """Return whether both give the same inputs."""
        theirs = other.arrays()
        return all(np.array_equal(array, theirs[name]) for name, array in self.arrays().items())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_state` reads."""
        return {
            "columns": self.columns,
            "center": self.center,
            "scale": self.scale,
            "flagged": self.flagged,
        }

    @classmethod
    def from_state(cls, state: State, kind: str, n_columns: int) -> Self:
        """Check types, shapes and ranges, then build.

        Raises
        ------
        BundleContentError
            If anything is not as `arrays` would have given it.
        """
        columns = read_array(state, kind, "columns", np.int32, (None,))
        flagged = read_array(state, kind, "flagged", np.int32, (None,))
        for name, places in (("columns", columns), ("flagged", flagged)):
            inside = not len(places) or (places[0] >= 0 and places[-1] < n_columns)
            if not inside or (np.diff(places.astype(np.int64)) <= 0).any():
                raise BundleContentError(f"{kind}: {name}", allowed=f"rising, from 0 to {n_columns - 1}")
        center = read_array(state, kind, "center", np.float64, columns.shape)
        scale = read_array(state, kind, "scale", np.float64, columns.shape)
        if len(columns) and (np.abs(center).max() > _HUGE or not 0 < scale.min() <= scale.max() <= _HUGE):
            raise BundleContentError(f"{kind}: center or scale of a column is out of range")
        return cls(columns, center, scale, flagged)


def _middle_and_scale(X: Floats) -> tuple[Floats, Floats]:
    """Return medians and factors of finite columns; a factor of 0 where a column is constant."""
    X = np.clip(X, -_HUGE, _HUGE)
    low, middle, high = np.quantile(X, (0.25, 0.5, 0.75), axis=0)
    spread = np.where(high > low, high - low, (X.max(axis=0) - X.min(axis=0)) / 2)
    varies = spread > 1e-14 * np.abs(middle)  # rounding alone is no spread
    return middle, np.where(varies, 1 / np.maximum(spread, 1 / _HUGE), 0.0)
