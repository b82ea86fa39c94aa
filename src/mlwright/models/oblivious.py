"""Oblivious trees as arrays, walked by NumPy.

All nodes of one level of an oblivious tree ask the same question, so a tree of depth d is d questions and a table of
2^d values: the answers, as bits, are the index. Many rows and one row add the same numbers in the same order, so both
paths give equal bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats
from mlwright.models.state_audit import read_array

__all__ = ["ObliviousTrees"]

_DEEPEST = 8  # bits of the index fit one byte
_BLOCK = 128  # rows at a time: answers and indices stay in the cache
_LINKS = ("identity", "sigmoid", "softmax")


class ObliviousTrees:
    """A sum of oblivious trees, and the link from the sum to predictions.

    Parameters
    ----------
    features : ndarray of int32, shape (n_trees, depth)
        The column that each level asks.
    borders : ndarray of float32, shape (n_trees, depth)
        The answer is 1 where the column's float32 value is greater; NaN never is. Infinite where a tree is shallower.
    leaves : ndarray of float64, shape (n_outputs, n_trees, 2**depth)
        The answer of level k is bit k of the last index.
    bias : ndarray of float64, shape (n_outputs,)
    link : {"identity", "sigmoid", "softmax"}

    Examples
    --------
    >>> one = ObliviousTrees(
    ...     np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), np.array([[[5.0, 7.0]]]), np.zeros(1), "identity")
    >>> one.predict_row(np.array([1.0], np.float32)), one.predict_row(np.array([1.5], np.float32))
    ([5.0], [7.0])
    """

    def __init__(
        self, features: np.ndarray, borders: np.ndarray, leaves: Floats, bias: Floats, link: str
    ) -> None:
        self.features, self.borders, self.leaves, self.bias, self.link = features, borders, leaves, bias, link
        self.n_trees, self.depth = features.shape
        self._table = np.ascontiguousarray(leaves).reshape(len(bias), -1)
        self._first = np.arange(self.n_trees, dtype=np.intp) * (2**self.depth)
        self._biases = bias.tolist()
        # Many trees ask the same question: each one is answered once. Levels first: then each is one contiguous run.
        questions = np.rec.fromarrays([features.T.ravel(), borders.T.ravel()])
        unique, place = np.unique(questions, return_inverse=True)
        self._asked, self._bound = unique["f0"].astype(np.intp), unique["f1"].copy()
        self._question = place.astype(np.intp)
        self._bits = (np.uint8(1) << np.arange(self.depth, dtype=np.uint8))[:, None]

    @classmethod
    def constant(cls, bias: Floats, link: str) -> Self:
        """Return a model without trees."""
        none = np.zeros((0, 0))
        return cls(none.astype(np.int32), none.astype(np.float32), np.zeros((len(bias), 0, 1)), bias, link)

    def predict(self, X: np.ndarray) -> Floats:
        """Return shape (n_rows, n_outputs) for float32 `X` of shape (n_rows, n_columns)."""
        raw = np.empty((len(X), len(self.bias)))
        for start in range(0, len(X), _BLOCK):
            block = X[start : start + _BLOCK]
            index = self._indices(block)
            for output, table in enumerate(self._table):
                raw[start : start + _BLOCK, output] = table.take(index).sum(axis=1) + self.bias[output]
        return _linked(raw, self.link)

    def _indices(self, block: np.ndarray) -> np.ndarray:
        """Return where each row's leaf of each tree stands in the table, shape (n_rows, n_trees)."""
        answers = (block.T[self._asked] > self._bound[:, None]).view(np.uint8)
        leaf = np.zeros((self.n_trees, len(block)), dtype=np.uint8)
        for level, own in enumerate(self._question.reshape(self.depth, self.n_trees)):
            leaf |= answers[own] << np.uint8(level)
        return leaf.T + self._first

    def predict_row(self, row: np.ndarray) -> Sequence[float]:
        """Return `n_outputs` numbers for one float32 row of shape (n_columns,)."""
        answers = (row.take(self._asked) > self._bound).view(np.uint8)
        bits = answers.take(self._question).reshape(self.depth, self.n_trees) * self._bits
        index = np.bitwise_or.reduce(bits, axis=0) + self._first
        raw = [
            float(table.take(index).sum()) + bias
            for table, bias in zip(self._table, self._biases, strict=True)
        ]
        return raw if self.link == "identity" else _linked(np.array([raw]), self.link)[0].tolist()

    def state(self) -> State:
        """Return the five parts; the link stands in the tree."""
        arrays = {
            "features": self.features,
            "borders": self.borders,
            "leaves": self.leaves,
            "bias": self.bias,
        }
        return State({"link": self.link}, arrays)

    @classmethod
    def from_state(cls, state: State, kind: str, n_columns: int, n_outputs: int) -> Self:
        """Check types, shapes and ranges, then build.

        Raises
        ------
        BundleContentError
            If anything is not as `state` would have given it.
        """
        link = state.tree.get("link")
        if link not in _LINKS or (link != "softmax" and n_outputs != 1):
            raise BundleContentError(f"{kind}: link", got=link, allowed=_LINKS)
        features = read_array(state, kind, "features", np.int32, (None, None))
        n_trees, depth = features.shape
        if depth > _DEEPEST:
            raise BundleContentError(f"{kind}: depth", got=depth, allowed=f"up to {_DEEPEST}")
        borders = read_array(state, kind, "borders", np.float32, (n_trees, depth))
        leaves = read_array(state, kind, "leaves", np.float64, (n_outputs, n_trees, 2**depth))
        bias = read_array(state, kind, "bias", np.float64, (n_outputs,))
        if features.size and not (features.min() >= 0 and features.max() < n_columns):
            raise BundleContentError(f"{kind}: a split's column", allowed=f"0 to {n_columns - 1}")
        if not (np.isfinite(leaves).all() and np.isfinite(bias).all()):
            raise BundleContentError(f"{kind}: a leaf or bias is infinite")
        return cls(features, borders, leaves, bias, link)


def _linked(raw: Floats, link: str) -> Floats:
    if link == "sigmoid":
        small = np.exp(-np.abs(raw))
        return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
    if link == "softmax":
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return raw
