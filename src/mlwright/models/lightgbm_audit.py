"""The text of a LightGBM model: read, checked, and written in one canonical form.

LightGBM's own reader trusts its input: an index out of range there reads foreign memory. So no text reaches it that
`audit` has not let through, and `audit` lets only canonical text through: what `render` writes of what `parse` read.
The canonical form drops what does not change predictions (parameters, gains, names, ranges), so that equal models
have equal bytes. Row counts stay, because explanations by Shapley values need them.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from itertools import chain

import msgspec
import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats, Ints

__all__ = ["Forest", "audit", "canonical", "floats", "integers", "is_explainable", "parse", "render"]

_NODE_KEYS = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_KEYS = ("num_leaves", "num_cat", *_NODE_KEYS, "leaf_value", "leaf_count", "internal_count")
_CATEGORY_KEYS = ("cat_boundaries", "cat_threshold")
_LAST = {
    "is_linear": "0",
    "shrinkage": "1",
}  # the last two lines of a tree; shrinkage is already in the leaves
_OBJECTIVE = re.compile(
    r"binary sigmoid:1|multiclass num_class:([1-9][0-9]{0,4})"
    r"|regression|regression_l1|huber|quantile|poisson|gamma|tweedie"
)
_NOT_NUMBERS = re.compile(r"[^-+0-9eE. \n]")
_NOT_INTEGERS = re.compile(r"[^-0-9 \n]")
_INFINITY = re.compile(r"(?<![^ \n])inf(?![^ \n])")
_LARGEST = repr(sys.float_info.max)
_MAX_WORD = 2**32
_DEEPEST = 1000  # levels: Shapley values go down recursively, with memory that grows with their square


@dataclass(frozen=True, slots=True)
class Forest:
    """A model text, split into its values; nothing is checked yet.

    Parameters
    ----------
    objective : str
        As in the text: ``"binary sigmoid:1"``.
    n_columns, trees_per_iteration : int
        How many numbers a row has, and how many trees an iteration adds (one a class).
    trees : list of dict of str to str
        The lines of each tree.
    read : dict
        What `integers` and `floats` have read, by key: reading is most of what loading takes.
    """

    objective: str
    n_columns: int
    trees_per_iteration: int
    trees: list[dict[str, str]]
    read: dict[str, tuple[np.ndarray, Ints]] = field(default_factory=dict, repr=False, compare=False)


def _refuse(what: str, got: object = None, allowed: str | None = None) -> BundleContentError:
    return BundleContentError(f"lightgbm: {what}", got=got, allowed=allowed)


def parse(text: str) -> Forest:
    """Split a model text, LightGBM's own or a canonical one, into header and trees.

    Raises
    ------
    BundleContentError
        If a line that must be there is not.
    """
    body, end, _ = text.partition("\nend of trees\n")
    if not end:
        raise _refuse("the model text has no end: it is cut short")
    head, *blocks = body.split("\nTree=")
    fields = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    trees = []
    for number, block in enumerate(blocks):
        first, _, lines = block.partition("\n")
        if first != str(number):
            raise _refuse("trees are not numbered in order", got=first, allowed=str(number))
        trees.append(dict(line.split("=", 1) for line in lines.splitlines() if "=" in line))
    try:
        n_columns, per_iteration = int(fields["max_feature_idx"]) + 1, int(fields["num_tree_per_iteration"])
        return Forest(fields["objective"], n_columns, per_iteration, trees)
    except (KeyError, ValueError) as error:
        raise _refuse("the model text's header lacks or garbles an entry", got=str(error)) from error


def render(forest: Forest) -> str:
    """Write the canonical text."""
    blocks = []
    for number, tree in enumerate(forest.trees):
        keys = _KEYS + (_CATEGORY_KEYS if tree.get("num_cat") != "0" else ())
        lines = [f"Tree={number}", *(f"{key}={tree.get(key, '')}" for key in keys)]
        lines += [f"{key}={value}" for key, value in _LAST.items()]
        blocks.append("\n".join(lines) + "\n\n\n")
    columns = range(forest.n_columns)
    per_iteration = forest.trees_per_iteration
    head = {
        "num_class": str(per_iteration),
        "num_tree_per_iteration": str(per_iteration),
        "label_index": "0",
        "max_feature_idx": str(forest.n_columns - 1),
        "objective": forest.objective,
        "feature_names": " ".join(f"Column_{column}" for column in columns),
        "feature_infos": " ".join("none" for _ in columns),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    top = "tree\nversion=v4\n" + "".join(f"{key}={value}\n" for key, value in head.items()) + "\n"
    return top + "".join(blocks) + "end of trees\n"


def canonical(text: str) -> str:
    """Return LightGBM's own `text` in canonical form, checked."""
    forest = parse(text)
    _check(forest)
    return render(forest)


def audit(text: str, *, n_columns: int, n_outputs: int) -> Forest:
    """Check a canonical text; return what it holds.

    Parameters
    ----------
    text : str
        What a bundle holds.
    n_columns, n_outputs : int
        What the bundle says of the model.

    Raises
    ------
    BundleContentError
        If anything is not as LightGBM itself would have written it.
    """
    forest = parse(text)
    if forest.n_columns != n_columns:
        raise _refuse("number of columns", got=forest.n_columns, allowed=str(n_columns))
    if forest.trees_per_iteration != n_outputs:
        raise _refuse("trees per iteration", got=forest.trees_per_iteration, allowed=str(n_outputs))
    _check(forest)
    if render(forest) != text:
        raise _refuse("the model text is not in canonical form")
    return forest


def is_explainable(text: str) -> bool:
    """Return whether Shapley values can be asked of an audited text: every node has rows, and no tree is too deep."""
    forest = parse(text)
    for key in ("leaf_count", "internal_count"):
        if (integers(forest, key)[0] < 1).any():
            return False
    left, sizes = integers(forest, "left_child")
    right, _ = integers(forest, "right_child")
    ends = np.cumsum(sizes)
    for start, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True):
        depths = [1] * (end - start)
        for node, children in enumerate(
            zip(left[start:end].tolist(), right[start:end].tolist(), strict=True)
        ):
            if depths[node] > _DEEPEST:
                return False
            for child in children:  # a later node, as the audit has seen to
                if child >= 0:
                    depths[child] = depths[node] + 1
    return True


def _check(forest: Forest) -> None:
    match = _OBJECTIVE.fullmatch(forest.objective)
    per_iteration = forest.trees_per_iteration
    if match is None or int(match[1] or 1) != per_iteration:
        raise _refuse("objective", got=forest.objective, allowed="binary, multiclass or a plain regression")
    if not forest.trees or len(forest.trees) % per_iteration:
        raise _refuse("number of trees", got=len(forest.trees), allowed=f"a multiple of {per_iteration}")
    if any(tree.get("is_linear", "0") != "0" for tree in forest.trees):
        raise _refuse("linear trees are not supported")
    leaves, leaves_each = integers(forest, "num_leaves")
    categories, categories_each = integers(forest, "num_cat")
    if (
        (leaves_each != 1).any()
        or (categories_each != 1).any()
        or (leaves < 1).any()
        or (categories < 0).any()
    ):
        raise _refuse("num_leaves or num_cat of a tree", allowed="one count each")
    _lengths(*floats(forest, "leaf_value"), leaves, "leaf_value")
    _lengths(*integers(forest, "leaf_count"), leaves, "leaf_count")
    _lengths(*integers(forest, "internal_count"), leaves - 1, "internal_count")
    _check_nodes(forest, leaves, categories)
    _check_categories(forest, categories)


def _check_nodes(forest: Forest, leaves: Ints, categories: Ints) -> None:
    nodes = leaves - 1
    features, decisions, left, right = (
        _lengths(*integers(forest, key), nodes, key)
        for key in ("split_feature", "decision_type", "left_child", "right_child")
    )
    thresholds = _lengths(*floats(forest, "threshold"), nodes, "threshold")
    if ((features < 0) | (features >= forest.n_columns)).any():
        raise _refuse("split_feature", allowed=f"0 to {forest.n_columns - 1}")
    # Bit 0: categorical; bit 1: missing goes left; bits 2 and 3: none, zero or NaN is missing.
    if ((decisions < 0) | (decisions > 11)).any():
        raise _refuse("decision_type", allowed="0 to 11")
    of_categories = (decisions & 1) == 1
    owner = np.repeat(np.arange(len(nodes)), nodes)
    sets = thresholds[of_categories]
    if ((sets < 0) | (sets >= categories[owner[of_categories]]) | (sets % 1 != 0)).any():
        raise _refuse("threshold of a categorical split", allowed="an index into the tree's category sets")
    starts = np.cumsum(nodes) - nodes
    within = np.arange(len(owner)) - starts[owner]
    for children in (left, right):
        inner = children >= 0
        # A child stands after its parent, so there is no way round.
        if (children[inner] <= within[inner]).any() or (children[inner] >= nodes[owner[inner]]).any():
            raise _refuse("a child node", allowed="a later node of the same tree")
        if (~children[~inner] >= leaves[owner[~inner]]).any():
            raise _refuse("a leaf", allowed="one of the same tree")
    width = int(leaves.max(initial=1))
    both = np.concatenate([left, right]) + width + 2 * width * np.concatenate([owner, owner])
    if len(np.unique(both)) != len(both):
        raise _refuse("a node or leaf has two parents")


def _check_categories(forest: Forest, categories: Ints) -> None:
    having = [tree for tree in forest.trees if tree.get("num_cat") != "0"]
    if not having:
        return
    part = Forest(forest.objective, forest.n_columns, forest.trees_per_iteration, having)
    counts = categories[categories > 0]
    bounds, each = integers(part, "cat_boundaries")
    _lengths(bounds, each, counts + 1, "cat_boundaries")
    words, words_each = integers(part, "cat_threshold")
    if ((words < 0) | (words >= _MAX_WORD)).any():
        raise _refuse("cat_threshold", allowed="words of 32 bits")
    ends = np.cumsum(each)
    rises = np.diff(bounds) > 0
    rises[ends[:-1] - 1] = True  # from one tree's last to the next one's first
    if (bounds[ends - each] != 0).any() or (bounds[ends - 1] != words_each).any() or not rises.all():
        raise _refuse("cat_boundaries", allowed="0 rising to the number of words")


def _lines(forest: Forest, key: str, foreign: re.Pattern[str]) -> bytes:
    try:
        text = "\n".join(tree[key] for tree in forest.trees)
    except KeyError:
        raise _refuse(f"a tree has no {key}") from None
    if key == "threshold":  # infinite where a split parts the missing values from all others
        text = _INFINITY.sub(_LARGEST, text)
    if found := foreign.search(text):
        raise _refuse(f"{key} holds a strange character", got=found[0])
    return ("[[" + text.replace(" ", ",").replace("\n", "],[") + "]]").encode()


def integers(forest: Forest, key: str) -> tuple[Ints, Ints]:
    """Return all trees' integers of `key` in one array, and how many each tree has; neither is to be written to."""
    if key not in forest.read:
        try:
            rows = msgspec.json.decode(_lines(forest, key, _NOT_INTEGERS), type=list[list[int]])
            values = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        except (msgspec.DecodeError, OverflowError) as error:
            raise _refuse(f"{key} is not a list of integers", got=str(error)) from error
        forest.read[key] = values, np.fromiter(map(len, rows), dtype=np.int64)
    return forest.read[key]


def floats(forest: Forest, key: str) -> tuple[Floats, Ints]:
    """Return all trees' numbers of `key` in one array, and how many each tree has; neither is to be written to."""
    if key not in forest.read:
        try:
            rows = msgspec.json.decode(_lines(forest, key, _NOT_NUMBERS), type=list[list[float]])
        except msgspec.DecodeError as error:
            raise _refuse(f"{key} is not a list of numbers", got=str(error)) from error
        values = np.fromiter(chain.from_iterable(rows), dtype=np.float64)
        forest.read[key] = values, np.fromiter(map(len, rows), dtype=np.int64)
    return forest.read[key]


def _lengths(values: np.ndarray, have: Ints, want: Ints, key: str) -> np.ndarray:
    if not np.array_equal(have, want):
        raise _refuse(f"{key} has too few or too many values in a tree")
    return values
