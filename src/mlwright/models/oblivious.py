"""Oblivious trees as arrays, walked by NumPy.

All nodes of one level of an oblivious tree ask the same question, so a tree of depth d is d questions and a table of
2^d values: the answers, as bits, are the index. Many rows and one row add the same numbers in the same order, so both
paths give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats
from mlwright.models.oblivious_shap import row_contributions, tree_contributions
from mlwright.models.rows import bind_oblivious
from mlwright.models.state_audit import read_array

__all__ = ["ObliviousTrees"]

_DEEPEST = 10
_BYTE = 8  # levels whose answers fit one byte of the index
_BLOCK = 128  # rows at a time: answers and indices stay in the cache
_LINKS = ("exp", "identity", "sigmoid", "softmax")
_HIGHEST = 700.0  # exp of more is infinite
_MOST_WEIGHT = 1e18  # of a leaf
_FEW = 8  # rows that are explained one by one over all trees; more of them tree by tree


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
    link : {"exp", "identity", "sigmoid", "softmax"}
    weights : ndarray of float32, shape (n_trees, 2**depth), optional
        What the training rows of each leaf weigh; `contributions` needs it.

    Examples
    --------
    >>> one = ObliviousTrees(
    ...     np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), np.array([[[5.0, 7.0]]]), np.zeros(1), "identity")
    >>> one.predict_row(np.array([1.0], np.float32)), one.predict_row(np.array([1.5], np.float32))
    ([5.0], [7.0])
    """

    def __init__(
        self,
        features: np.ndarray,
        borders: np.ndarray,
        leaves: Floats,
        bias: Floats,
        link: str,
        weights: np.ndarray | None = None,
    ) -> None:
        self.weights = weights
        self.features, self.borders, self.leaves, self.bias, self.link = features, borders, leaves, bias, link
        self.n_trees, self.depth = features.shape
        self._tables = np.ascontiguousarray(leaves).reshape(len(bias), -1)
        # For one row, a leaf's outputs side by side.
        self._leaf = self._tables[0] if len(bias) == 1 else np.ascontiguousarray(self._tables.T)
        self._first = np.arange(self.n_trees, dtype=np.intp) * (2**self.depth)
        # Many trees ask the same question: each one is answered once. Levels first: then each is one contiguous run.
        questions = np.rec.fromarrays([features.T.ravel(), borders.T.ravel()])
        unique, place = np.unique(questions, return_inverse=True)
        self._asked, self._bound = unique["f0"].astype(np.intp), unique["f1"].copy()
        self._levels = place.astype(np.intp).reshape(self.depth, self.n_trees)
        # For one row: a question more that nothing answers, for the bits that a tree lacks to whole bytes.
        self._row_asked = np.append(self._asked, 0)
        self._row_bound = np.append(_thresholds(self._bound), np.inf)
        self._bytes = _bytes(self._levels, len(self._asked))

    @classmethod
    def constant(cls, bias: Floats, link: str) -> Self:
        """Return a model without trees."""
        none = np.zeros((0, 0))
        weights = np.zeros((0, 1), np.float32)
        leaves = np.zeros((len(bias), 0, 1))
        return cls(none.astype(np.int32), none.astype(np.float32), leaves, bias, link, weights)

    def predict(self, X: np.ndarray) -> Floats:
        """Return shape (n_rows, n_outputs) for float32 `X` of shape (n_rows, n_columns)."""
        return _linked(self.margins(X), self.link)

    def margins(self, X: np.ndarray) -> Floats:
        """Return the sums before the link, shape (n_rows, n_outputs), for float32 `X`."""
        raw = np.empty((len(X), len(self.bias)))
        raw[:] = self.bias
        if self.n_trees:
            self._add_trees(X, raw)
        return raw

    def contributions(self, X: np.ndarray, sources: Sequence[tuple[int, ...]] = ()) -> Floats:
        """Return exact Shapley values of the margins, shape (n_rows, n_outputs, n_columns + 1), for float32 `X`.

        Parameters
        ----------
        X : ndarray of float32, shape (n_rows, n_asked)
        sources : sequence of tuple of int, optional
            For each of the `n_asked` columns the columns that it is made of, ascending; by default itself. Columns made of
            the same ones are known together, and what they contribute is parted evenly among these, as CatBoost does.

        Raises
        ------
        ValueError
            If the trees were built without `weights`.
        """
        if self.weights is None:
            raise ValueError("the trees hold no weights of their leaves")
        sources = sources or [(column,) for column in range(X.shape[1])]
        players = {made_of: number for number, made_of in enumerate(dict.fromkeys(sources))}
        player = np.array([players[made_of] for made_of in sources], dtype=np.intp)
        asked = player[self.features]
        own = np.zeros((len(X), len(self.bias), len(players) + 1))
        own[..., -1] = self.bias
        bits = 1 << np.arange(self.depth)
        if len(X) <= _FEW:
            for row, total in zip(X, own, strict=True):
                reached = (row[self.features] > self.borders) @ bits
                parts = row_contributions(asked, self.leaves, self.weights, reached)
                for output, worth in enumerate(total):
                    worth[:-1] += np.bincount(asked.ravel(), parts[:, output, :-1].ravel(), len(players))
                    worth[-1] += parts[:, output, -1].sum()
        else:
            for tree, (features, borders) in enumerate(zip(self.features, self.borders, strict=True)):
                reached, place = np.unique((X[:, features] > borders) @ bits, return_inverse=True)
                parts = tree_contributions(asked[tree], self.leaves[:, tree], self.weights[tree], reached)[
                    place
                ]
                for level, number in enumerate(asked[tree]):
                    own[..., number] += parts[..., level]
                own[..., -1] += parts[..., -1]
        parting = np.zeros((len(players) + 1, max(map(max, players), default=-1) + 2))
        parting[-1, -1] = 1.0
        for made_of, number in players.items():
            parting[number, list(made_of)] = 1 / len(made_of)
        return own @ parting

    def _add_trees(self, X: np.ndarray, raw: Floats) -> None:
        """Add each row's leaves to `raw`, a block of rows at a time; one column of the work arrays is one row of X."""
        asked = np.empty((len(self._asked), _BLOCK), dtype=np.float32)
        answers = np.empty((len(self._asked), _BLOCK), dtype=np.uint8)
        index = np.empty((self.n_trees, _BLOCK), dtype=np.intp)
        values = np.empty((self.n_trees, _BLOCK))
        for start in range(0, len(X), _BLOCK):
            block = X[start : start + _BLOCK].T
            n_rows = block.shape[1]
            if n_rows < _BLOCK:
                block = np.pad(block, ((0, 0), (0, _BLOCK - n_rows)))
            block.take(self._asked, axis=0, out=asked, mode="clip")  # "clip" writes straight into `out`
            np.greater(asked, self._bound[:, None], out=answers.view(bool))
            self._find_leaves(answers, index)
            for output, table in enumerate(self._tables):
                table.take(index, out=values, mode="clip")
                raw[start : start + n_rows, output] += values.sum(axis=0)[:n_rows]

    def _find_leaves(self, answers: np.ndarray, index: np.ndarray) -> None:
        """Write where each tree's leaf stands in the table into `index`, from one byte of 0 or 1 an answer."""
        eight = answers.view(np.uint64)  # eight rows at once: a bit shifted up stays within its byte
        own = np.empty((self.n_trees, eight.shape[1]), dtype=np.uint64)
        index[:] = self._first[:, None]
        for low in range(0, self.depth, _BYTE):
            leaf = np.zeros_like(own)
            for level in self._levels[low : low + _BYTE][::-1]:
                eight.take(level, axis=0, out=own, mode="clip")
                np.add(leaf, leaf, out=leaf)
                np.bitwise_or(leaf, own, out=leaf)
            part = leaf.view(np.uint8)
            index += part if low == 0 else part.astype(np.intp) << low

    def predict_row(self, row: np.ndarray) -> Sequence[float]:
        """Return `n_outputs` numbers for one row of shape (n_columns,), of float32 or not yet rounded to it."""
        return self.bind(row)()

    def bind(self, row: np.ndarray) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` holds when it is called; for one thread at a time."""
        add = bind_oblivious(
            row, self.features, self.borders, self._leaf.reshape(-1, len(self.bias)), self.bias
        )
        if add is not None:
            return lambda: _linked_row(np.array(add()), self.link)
        asked, bound, first, table = self._row_asked, self._row_bound, self._first, self._leaf
        low, *more = self._bytes
        values, answers = np.empty(len(asked), row.dtype), np.empty(len(asked), bool)
        bits, index = np.empty(len(low), bool), np.empty(self.n_trees, np.intp)
        leaves = np.empty((self.n_trees, *table.shape[1:]))
        packbits, link, sums = np.packbits, self.link, np.empty_like(leaves)

        def predict() -> Sequence[float]:
            raw = self.bias
            if self.n_trees:
                row.take(asked, 0, values, "clip")  # "clip" writes straight into the array
                np.greater(values, bound, answers)
                answers.take(low, 0, bits, "clip")
                np.add(packbits(bits, bitorder="little"), first, index)
                for high in more:
                    np.add(
                        index, packbits(answers.take(high), bitorder="little").astype(np.intp) << _BYTE, index
                    )
                table.take(index, 0, leaves, "clip")
                # One after the other, as for many rows: NumPy's sum of a single column would add in another order.
                is_one = leaves.ndim == 1
                raw = raw + (np.add.accumulate(leaves, out=sums)[-1] if is_one else leaves.sum(axis=0))
            return _linked_row(raw, link)

        return predict

    def state(self) -> State:
        """Return the parts; the link stands in the tree, and whether there are weights."""
        arrays = {
            "features": self.features,
            "borders": self.borders,
            "leaves": self.leaves,
            "bias": self.bias,
        }
        if self.weights is None:
            return State({"link": self.link}, arrays)
        return State({"link": self.link, "weighed": True}, {**arrays, "leaf_weights": self.weights})

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
        weights = None
        if state.tree.get("weighed", False) is not False:  # bundles of earlier versions hold none
            weights = read_array(state, kind, "leaf_weights", np.float32, (n_trees, 2**depth))
            if weights.size and not (weights.min() >= 0 and weights.max() <= _MOST_WEIGHT):
                raise BundleContentError(f"{kind}: a leaf's weight", allowed=f"0 to {_MOST_WEIGHT:g}")
        return cls(features, borders, leaves, bias, link, weights)


def _thresholds(borders: np.ndarray) -> Floats:
    """Return doubles that a double exceeds just where it exceeds the float32 border once it is rounded to float32."""
    beyond = 2.0**128  # what the next float32 after the largest would be
    with np.errstate(over="ignore"):
        after = np.nextafter(borders, np.float32(np.inf))
    ends = [np.clip(each.astype(np.float64), -beyond, beyond) for each in (borders, after)]
    middle = (ends[0] + ends[1]) / 2
    even = borders.view(np.uint32) % 2 == 0  # the middle itself is rounded to the even neighbour
    exact = np.where(even, middle, np.nextafter(middle, -np.inf))
    return np.where(borders == np.inf, np.inf, exact)


def _bytes(levels: np.ndarray, unanswered: int) -> list[np.ndarray]:
    """Return, for each eight levels, the questions of the trees' bits, tree by tree; `unanswered` where there is none."""
    depth, n_trees = levels.shape
    found = []
    for low in range(0, max(1, depth), _BYTE):
        questions = np.full((n_trees, _BYTE), unanswered, dtype=np.intp)
        own = levels[low : low + _BYTE].T
        questions[:, : own.shape[1]] = own
        found.append(questions.ravel())
    return found


def _linked_row(raw: Floats, link: str) -> Sequence[float]:
    if link in ("exp", "softmax"):
        return _linked(raw[None], link)[0].tolist()
    return [_sigmoid(score) for score in raw.tolist()] if link == "sigmoid" else raw.tolist()


def _sigmoid(score: float) -> float:
    small = float(np.exp(-abs(score)))  # NumPy's, so that the bits are those of many rows
    return 1 / (1 + small) if score >= 0 else small / (1 + small)


def _linked(raw: Floats, link: str) -> Floats:
    if link == "sigmoid":
        small = np.exp(-np.abs(raw))
        return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
    if link == "softmax":
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return np.exp(np.minimum(raw, _HIGHEST)) if link == "exp" else raw
