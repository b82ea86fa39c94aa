"""LightGBM's trees as arrays, for single rows in compiled code; see `mlwright.models.rows`."""

from __future__ import annotations

import sys

import numpy as np

from mlwright.models.lightgbm_audit import Forest, floats, integers
from mlwright.models.rows import NODE, Trees

__all__ = ["trees_of"]

_CATEGORICAL, _LEFT = 1, 2  # bits of a decision
_ZERO, _NAN = 1, 2  # what is missing, the bits above
_OF_CATEGORIES, _MISSING_LEFT = 1 << 31, 1 << 30  # bits of `Trees.nodes`
_MOST_LEAVES = 1 << 15


def trees_of(forest: Forest) -> Trees | None:
    """Return what an audited text holds; None where zeros count as missing, which mlwright's own models never say."""
    decisions, nodes_each = integers(forest, "decision_type")
    missing = decisions >> 2
    if (missing == _ZERO).any():
        return None
    leaves, leaves_each = floats(forest, "leaf_value")
    if leaves_each.max(initial=0) > _MOST_LEAVES:
        return None
    thresholds, _ = floats(forest, "threshold")
    thresholds = np.where(thresholds == sys.float_info.max, np.inf, thresholds)  # as it stands in the text
    is_set = (decisions & _CATEGORICAL) == 1
    # A missing number is 0 where training had none missing.
    goes_left = np.where(missing == _NAN, (decisions & _LEFT) > 0, thresholds >= 0) & ~is_set
    nodes = np.zeros(len(decisions), NODE)
    nodes["threshold"] = thresholds
    nodes["column"] = (
        integers(forest, "split_feature")[0] + _MISSING_LEFT * goes_left + _OF_CATEGORIES * is_set
    )
    nodes["left"], nodes["right"] = (integers(forest, key)[0] for key in ("left_child", "right_child"))
    sets = np.zeros(0, np.uint32)
    if is_set.any():
        owner = np.repeat(np.arange(len(nodes_each)), nodes_each)[is_set]
        places, sets = _sets(forest, owner, thresholds[is_set].astype(np.int64))
        nodes["threshold"][is_set] = places.view(np.float64).ravel()
    ends = np.cumsum(leaves_each)
    first_node = np.concatenate([[0], np.cumsum(nodes_each)]).astype(np.int64)
    return Trees(
        nodes, first_node, leaves, (ends - leaves_each).astype(np.int64), sets, forest.trees_per_iteration
    )


def _sets(forest: Forest, owner: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each set, by its tree and its number there, the first word and how many; and all words."""
    having = np.array([tree.get("num_cat") != "0" for tree in forest.trees])
    part = Forest(
        forest.objective,
        forest.n_columns,
        forest.trees_per_iteration,
        [tree for tree, has in zip(forest.trees, having, strict=True) if has],
    )
    bounds, bounds_each = integers(part, "cat_boundaries")
    words, words_each = integers(part, "cat_threshold")
    tree = (np.cumsum(having) - 1)[owner]
    first_bound = (np.cumsum(bounds_each) - bounds_each)[tree] + number
    first_word = (np.cumsum(words_each) - words_each)[tree] + bounds[first_bound]
    sizes = bounds[first_bound + 1] - bounds[first_bound]
    return np.ascontiguousarray(np.column_stack([first_word, sizes]).astype(np.uint32)), words.astype(
        np.uint32
    )
