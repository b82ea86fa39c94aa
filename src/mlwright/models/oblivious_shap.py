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

__all__ = ["row_contributions", "tree_contributions"]

_POINTS, _SHARES = np.polynomial.legendre.leggauss(5)
_POINTS, _SHARES = (_POINTS + 1) / 2, _SHARES / 2
_AT_ONCE = 64  # leaves that are explained together; bounds the memory
_CELLS = 1 << 19  # leaves times levels times trees of one row that are; stays in the cache


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
    first = (features[:, None] == features).argmax(axis=1)
    leaves = np.arange(n_leaves)
    unknown = np.ones(
        (depth, n_leaves)
    )  # the share of rows that go towards each leaf where a column is not known
    for level, share in enumerate(_shares(weights[None], depth)):
        unknown[first[level]] *= share[0]
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


def row_contributions(
    features: np.ndarray, values: Floats, weights: np.ndarray, reached: np.ndarray
) -> Floats:
    """Return what each level of many trees contributes to the leaf that one row reaches in each.

    Parameters
    ----------
    features : ndarray of int, shape (n_trees, depth)
    values : ndarray of shape (n_outputs, n_trees, 2**depth)
    weights : ndarray of shape (n_trees, 2**depth)
    reached : ndarray of int, shape (n_trees,)

    Returns
    -------
    ndarray of shape (n_trees, n_outputs, depth + 1)
        As `tree_contributions` gives it for one leaf of one tree.
    """
    n_trees, depth = features.shape
    parts = np.empty((n_trees, len(values), depth + 1))
    step = max(1, _CELLS // max(1, depth * 2**depth))
    for start in range(0, n_trees, step):
        some = slice(start, start + step)
        parts[some] = _together(features[some], values[:, some], weights[some], reached[some])
    return parts


def _together(features: np.ndarray, values: Floats, weights: np.ndarray, reached: np.ndarray) -> Floats:
    n_trees, depth = features.shape
    first = (features[:, :, None] == features[:, None, :]).argmax(axis=2)
    apart = reached[:, None] ^ np.arange(2**depth)
    unknown = np.ones((depth, n_trees, 2**depth))
    known = np.ones_like(unknown)
    trees = np.arange(n_trees)
    for level, share in enumerate(_shares(weights, depth)):
        unknown[first[:, level], trees] *= share
        known[first[:, level], trees] *= 1 - (apart >> level & 1)
    gain = known - unknown
    worth = np.zeros_like(known)
    for point, share in zip(_POINTS, _SHARES, strict=True):
        worth += share * _product_of_others(unknown + point * gain)
    parts = np.empty((n_trees, len(values), depth + 1))
    parts[..., :-1] = np.einsum("ktl,otl->tok", gain * worth, values)
    parts[..., -1] = np.einsum("tl,otl->to", unknown.prod(axis=0), values)
    return parts


def _shares(weights: np.ndarray, depth: int) -> list[Floats]:
    """Return for each level the share of a node's rows that go the way of each leaf; halves where it has none.

    For weights of shape (n_trees, 2**depth), each of that shape.
    """
    weights = weights.astype(np.float64)
    n_trees = len(weights)
    shares: list[Floats] = []
    for level in range(depth):
        own = weights.reshape(n_trees, -1, 2**level).sum(axis=2).reshape(n_trees, -1, 2)
        below = own.sum(axis=2, keepdims=True)
        share = np.divide(own, below, out=np.full_like(own, 0.5), where=below > 0)
        shares.append(np.repeat(share.reshape(n_trees, -1), 2**level, axis=1))
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
