"""Exact Shapley values of oblivious trees.

A tree is a game [1]_: columns that are known answer their own questions, and at a question about one that is not, a
row goes both ways, by the share of the training rows that went each way. What a set of columns is worth is then a sum
over leaves of products, one factor a column, so that a column's Shapley value in a leaf is an integral over [0, 1] of
a product of lines [2]_: a polynomial of degree 9 at most, which five Gaussian points integrate exactly.

References
----------
.. [1] S. Lundberg and others (2020), "From local explanations to global understanding with explainable AI for trees",
   Nature Machine Intelligence 2: path-dependent values.
.. [2] G. Owen (1972), "Multilinear extensions of games", Management Science 18.
"""

from __future__ import annotations

import numpy as np

from mlwright.core.types import Floats

__all__ = ["tree_contributions"]

_POINTS, _SHARES = np.polynomial.legendre.leggauss(5)
_POINTS, _SHARES = (_POINTS + 1) / 2, _SHARES / 2
_AT_ONCE = 64  # leaves that are explained together; bounds the memory


def tree_contributions(
    features: np.ndarray, values: Floats, weights: np.ndarray, reached: np.ndarray
) -> Floats:
    """Return what each level of one tree contributes to the leaves in `reached`, and what the tree gives on average.

    Parameters
    ----------
    features : ndarray of int, shape (depth,)
        The column that each level asks; the answer of level k is bit k of a leaf's number. The last level is the root.
    values : ndarray of shape (n_outputs, 2**depth)
    weights : ndarray of shape (2**depth,)
        Training rows in each leaf.
    reached : ndarray of int, shape (n_reached,)

    Returns
    -------
    ndarray of shape (n_reached, n_outputs, depth + 1)
        A column that several levels ask has all it contributes at the first of them; the last entry is the mean.

    Examples
    --------
    >>> leaves, rows = np.array([[0.0, 10.0]]), np.array([3.0, 1.0])
    >>> tree_contributions(np.array([4]), leaves, rows, np.array([1])).round(9).tolist()
    [[[7.5, 2.5]]]
    """
    depth, n_leaves = len(features), len(weights)
    first = np.array([int(np.flatnonzero(features == feature)[0]) for feature in features], dtype=np.intp)
    leaves = np.arange(n_leaves)
    unknown = np.ones(
        (depth, n_leaves)
    )  # the share of rows that go towards each leaf where a column is not known
    for level, share in enumerate(_shares(weights, depth)):
        unknown[first[level]] *= share
    parts = np.empty((len(reached), len(values), depth + 1))
    parts[..., -1] = values @ unknown.prod(axis=0)
    for start in range(0, len(reached), _AT_ONCE):
        apart = reached[start : start + _AT_ONCE, None] ^ leaves
        known = np.ones((depth, *apart.shape))  # 1 where all answers of the column lead to the leaf
        for level in range(depth):
            known[first[level]] *= 1 - (apart >> level & 1)
        gain = known - unknown[:, None, :]
        worth = np.zeros_like(known)
        for point, share in zip(_POINTS, _SHARES, strict=True):
            worth += share * _product_of_others(unknown[:, None, :] + point * gain)
        parts[start : start + _AT_ONCE, :, :-1] = np.einsum("krl,ol->rok", gain * worth, values)
    return parts


def _shares(weights: np.ndarray, depth: int) -> list[Floats]:
    """Return for each level the share of a node's rows that go the way of each leaf; halves where it has none."""
    weights = weights.astype(np.float64)
    shares: list[Floats] = []
    for level in range(depth):
        below = weights.reshape(-1, 2 ** (level + 1)).sum(axis=1, keepdims=True)
        own = weights.reshape(-1, 2**level).sum(axis=1).reshape(-1, 2)
        share = np.divide(own, below, out=np.full_like(own, 0.5), where=below > 0)
        shares.append(np.repeat(share.ravel(), 2**level))
    return shares


def _product_of_others(factors: Floats) -> Floats:
    """Return for each entry along the first axis the product of all others; nothing is divided, so zeros may be."""
    others = np.ones_like(factors)
    for place in range(1, len(factors)):
        others[place] = others[place - 1] * factors[place - 1]
    after = np.ones_like(factors[0]) if len(factors) else factors
    for place in range(len(factors) - 1, -1, -1):
        others[place] *= after
        after = after * factors[place]
    return others
