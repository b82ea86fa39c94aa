"""Ranks: a score as the share of the training rows that have a lower one, and rows without a missing number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats, Ints
from mlwright.models.state_audit import read_array

__all__ = ["Ranks", "column_groups", "complete", "one_output", "tree"]

_MOST = 2000  # knots of the middle, and as many of the upper end
_NEAR = 1e-9  # of the range: scores this near to each other are one knot, so that no last bit moves a rank
_FARTHEST = 1e6


def complete(X: Floats, middle: Floats) -> Floats:
    """Return rows without NaN, the column's middle in its place, and no number beyond a million either way."""
    return np.clip(np.where(np.isnan(X), middle, X), -_FARTHEST, _FARTHEST)


def column_groups(groups: Sequence[int], n_columns: int) -> Ints:
    """Return the group of each column, which is its own where none are given."""
    return np.array(groups or range(n_columns), np.int64)


def tree(kind: str, params: Mapping[str, Any], n_columns: int, n_outputs: int = 1) -> dict[str, Any]:
    """Return the head of a model's state that is fitted in one piece."""
    return {
        "kind": kind,
        "params": dict(params),
        "n_columns": n_columns,
        "n_outputs": n_outputs,
        "n_iterations": 1,
    }


def one_output(kind: str, n_outputs: int) -> None:
    """Raise `BundleContentError` unless a model gives one number a row."""
    if n_outputs != 1:
        raise BundleContentError(f"{kind}: n_outputs", got=n_outputs, allowed="1")


class Ranks:
    """The share of some rows whose score is lower, for any score.

    Between two scores that were seen it rises evenly. Above the highest it goes on towards 1, so that of two rows
    that are further out than all the one that is further out has more.

    Parameters
    ----------
    values, shares : ndarray of shape (n_knots,)
        Rising scores, and the share of rows below each.
    scale : float
        Above the highest score ``1 - exp(-distance / scale)`` of the way to 1 is gone; more than 0.

    Examples
    --------
    >>> Ranks.fit(np.array([3.0, 1.0, 2.0, 2.0]))(np.array([0.0, 1.0, 2.0, 2.5, 3.0])).tolist()
    [0.0, 0.0, 0.25, 0.5, 0.75]
    """

    def __init__(self, values: Floats, shares: Floats, scale: float) -> None:
        self.values, self.shares, self.scale = values, shares, scale

    @classmethod
    def fit(cls, scores: Floats) -> Self:
        """Learn from the scores of the training rows, at least one."""
        ordered = np.sort(scores)
        reach = float(ordered[-1] - ordered[0])
        first = np.concatenate([[True], np.diff(ordered) > _NEAR * reach])
        values, below = ordered[first], np.flatnonzero(first)
        if len(values) > 2 * _MOST:
            middle = np.linspace(0, len(values) - _MOST - 1, _MOST).astype(np.int64)
            kept = np.concatenate([middle, np.arange(len(values) - _MOST, len(values))])
            values, below = values[kept], below[kept]
        half = float(ordered[-1] - ordered[len(ordered) // 2])
        return cls(values, below / len(ordered), half or reach or 1.0)

    def __call__(self, scores: Floats) -> Floats:
        """Return one share a score, from 0 to 1."""
        inside = np.interp(scores, self.values, self.shares)
        beyond = np.maximum(scores - self.values[-1], 0.0) / self.scale
        return inside + (1.0 - self.shares[-1]) * -np.expm1(-beyond)

    def state(self) -> State:
        """Return the knots."""
        return State({}, {"values": self.values, "shares": self.shares, "scale": np.array([self.scale])})

    @classmethod
    def from_state(cls, state: State, kind: str) -> Self:
        """Build them again: knots must rise, shares must rise within 0 to 1."""
        values = read_array(state, kind, "values", np.float64, (None,))
        shares = read_array(state, kind, "shares", np.float64, (len(values),))
        scale = read_array(state, kind, "scale", np.float64, (1,))
        rising = len(values) > 0 and bool((np.diff(values) > 0).all() and (np.diff(shares) >= 0).all())
        inside = rising and shares[0] >= 0 and shares[-1] <= 1 and bool(np.isfinite(values).all())
        if not inside or not 0 < scale[0] < np.inf:
            raise BundleContentError(f"{kind}: ranks", allowed="rising scores, and rising shares from 0 to 1")
        return cls(values, shares, float(scale[0]))
