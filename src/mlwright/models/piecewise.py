"""Piecewise: numbers as positions between quantiles, so that a smooth learner can bend where the data lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats
from mlwright.models.state_audit import read_array

__all__ = ["Knots", "Piecewise"]

_DISTINCT = 10  # a column of fewer different values is no continuous one
_PIECES = 1024  # of all columns together at most
_HUGE = 1e100  # values beyond count as this, so that no product overflows


@dataclass(frozen=True, slots=True)
class Piecewise:
    """The piecewise linear encoding of numbers [1]_: between its quantiles, a number fills piece after piece.

    A piece is 0 below its lower end, 1 above its upper end, and linear between them. Missing is 0 throughout.

    Parameters
    ----------
    columns : ndarray of int32, shape (n_columns,)
        The matrix columns, rising.
    counts : ndarray of int32, shape (n_columns,)
        How many pieces each one has.
    starts, slopes : ndarray of shape (n_pieces,)
        The lower end of each piece, and one over its length; column after column, rising.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko (2022), "On embeddings for numerical features in tabular deep
       learning", NeurIPS.

    Examples
    --------
    >>> pieces = Piecewise.learn(np.arange(101.0)[:, None], 4)
    >>> pieces.batch(np.array([[30.0], [99.0], [np.nan]])).tolist()
    [[1.0, 0.2, 0.0, 0.0], [1.0, 1.0, 1.0, 0.96], [0.0, 0.0, 0.0, 0.0]]
    """

    columns: np.ndarray
    counts: np.ndarray
    starts: Floats
    slopes: Floats

    @property
    def width(self) -> int:
        """How many pieces there are."""
        return len(self.starts)

    @classmethod
    def learn(cls, X: Floats, n_pieces: int) -> Self:
        """Cut the continuous columns of X into up to `n_pieces` pieces of about as many rows each."""
        continuous = [
            column
            for column in range(X.shape[1])
            if n_pieces and len(np.unique(_finite(X[:, column]))) > _DISTINCT
        ]
        n_pieces = min(n_pieces, _PIECES // max(1, len(continuous)))
        columns, counts, starts, slopes = [], [], [np.zeros(0)], [np.zeros(0)]
        for column in continuous if n_pieces > 1 else []:
            ends = np.unique(np.quantile(_finite(X[:, column]), np.linspace(0, 1, n_pieces + 1)))
            lengths = np.diff(ends)
            wide = lengths > 1 / _HUGE
            if wide.any():
                columns.append(column)
                counts.append(int(wide.sum()))
                starts.append(ends[:-1][wide])
                slopes.append(1 / lengths[wide])
        as_ints = np.array(columns, np.int32), np.array(counts, np.int32)
        return cls(*as_ints, np.concatenate(starts), np.concatenate(slopes))

    def batch(self, X: Floats) -> Floats:
        """Return shape (n_rows, width)."""
        return self.filled(X[:, np.repeat(self.columns, self.counts)])

    def filled(self, values: Floats) -> Floats:
        """Return how full each piece is; values of shape (.., n_pieces), each piece's column's."""
        filled = np.maximum(values, -_HUGE)
        np.minimum(filled, _HUGE, out=filled)
        np.subtract(filled, self.starts, filled)
        np.multiply(filled, self.slopes, filled)
        np.maximum(filled, 0.0, out=filled)
        np.minimum(filled, 1.0, out=filled)
        flat = filled.reshape(-1)
        total = flat.dot(flat)  # NaN if any is
        if total != total:  # noqa: PLR0124 - NaN is not itself
            filled[np.isnan(filled)] = 0.0
        return filled

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_state` reads."""
        return {
            "piece_columns": self.columns,
            "piece_counts": self.counts,
            "piece_starts": self.starts,
            "piece_slopes": self.slopes,
        }

    @classmethod
    def from_state(cls, state: State, kind: str, n_columns: int) -> Self:
        """Check types, shapes and ranges, then build.

        Raises
        ------
        BundleContentError
            If anything is not as `arrays` would have given it.
        """
        columns = read_array(state, kind, "piece_columns", np.int32, (None,))
        inside = not len(columns) or (columns[0] >= 0 and columns[-1] < n_columns)
        if not inside or (np.diff(columns.astype(np.int64)) <= 0).any():
            raise BundleContentError(f"{kind}: piece_columns", allowed=f"rising, from 0 to {n_columns - 1}")
        counts = read_array(state, kind, "piece_counts", np.int32, columns.shape)
        total = int(counts.sum(dtype=np.int64))
        if len(counts) and (counts.min() < 1 or total > _PIECES):
            raise BundleContentError(f"{kind}: piece_counts", allowed=f"at least 1, together up to {_PIECES}")
        starts = read_array(state, kind, "piece_starts", np.float64, (total,))
        slopes = read_array(state, kind, "piece_slopes", np.float64, (total,))
        if total and (np.abs(starts).max() > _HUGE or not 0 < slopes.min() <= slopes.max() <= _HUGE):
            raise BundleContentError(f"{kind}: a piece's start or slope is out of range")
        return cls(columns, counts, starts, slopes)


class Knots:
    """What a row's pieces add to a layer, by two rows a column instead of one row of weights a piece.

    All pieces below a number are full and all above it empty: it adds the sum of those below, and a share of its own.

    Parameters
    ----------
    pieces : Piecewise
        Must have columns.
    weights : ndarray of shape (n_pieces, n_out)
        The layer's weights of the pieces.
    """

    def __init__(self, pieces: Piecewise, weights: Floats) -> None:
        self._pieces = pieces
        counts = pieces.counts.astype(np.intp)
        self._of_piece = np.repeat(pieces.columns, counts).astype(np.intp)
        self._firsts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.intp)
        self._last = counts - 1
        sums = []
        for first, count in zip(self._firsts, counts, strict=True):
            full = np.cumsum(weights[first : first + count - 1], axis=0)
            sums += [np.zeros((1, weights.shape[1])), full]
        # For each piece the sum of those below it, then its own weights.
        self._table = np.concatenate([*sums, weights])

    def bind(self, row: Floats, to: Floats) -> Callable[[], None]:
        """Return a function that adds what the pieces of `row` give then, shape (n_out,), to the array `to`."""
        pieces, of_piece, table = self._pieces, self._of_piece, self._table
        firsts, last, n_pieces = self._firsts, self._last, self._pieces.width
        shares = np.ones(2 * len(firsts))  # of what is below, all
        share = shares[len(firsts) :]
        places = np.empty(len(shares), dtype=np.intp)
        below, own = places[: len(firsts)], places[len(firsts) :]
        rows = np.empty((len(places), table.shape[1]))

        def add() -> None:
            reach = np.add.reduceat(pieces.filled(row.take(of_piece)), firsts)
            piece = np.minimum(reach.astype(np.intp), last)
            np.subtract(reach, piece, share)
            np.add(firsts, piece, below)
            np.add(below, n_pieces, own)
            table.take(places, 0, rows, "clip")  # "clip" writes straight into the array
            np.add(to, np.dot(shares, rows), to)

        return add


def _finite(values: Floats) -> Floats:
    return np.clip(values[np.isfinite(values)], -_HUGE, _HUGE)
