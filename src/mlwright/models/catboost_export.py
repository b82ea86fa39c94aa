"""From what CatBoost saved as JSON to plain arrays: trees, and tables for its questions about categories.

The JSON names each CTR (its categories and answers to other questions, its type, prior, shift and scale), and the
borders that the trees compare it with. The statistics themselves are counted here, from the training rows: CatBoost's
final CTRs are plain counts over all of them, whatever the rows weigh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.models.catboost_ctr import CategoryTables, Combinations
from mlwright.models.oblivious import ObliviousTrees

__all__ = ["Training", "read", "target_classes"]

_Part = tuple[Any, ...]
"""``("code", category)``, ``("equal", category, digit)`` or ``("bit", matrix column, border)``."""


@dataclass(frozen=True, slots=True)
class Training:
    """The rows that CTRs are counted over.

    Parameters
    ----------
    X : ndarray of float32, shape (n_rows, n_columns)
    classes : ndarray of int64, shape (n_rows,)
        The target's class; for a regression see `target_classes`.
    numbers, categories : sequence of int
        Which matrix columns CatBoost got as numbers and as categories, each in its order.
    levels : sequence of int
        How many codes each category has.
    digits : mapping of int to int
        A category's digit by CatBoost's hash of it; empty where no tree asks for single categories.
    """

    X: np.ndarray
    classes: np.ndarray
    numbers: Sequence[int]
    categories: Sequence[int]
    levels: Sequence[int]
    digits: Mapping[int, int]


def target_classes(y: Floats) -> np.ndarray:
    """Return 0 or 1 for each value of a regression's target, cut as CatBoost cuts it for CTRs: into even halves.

    Of equally even cuts it is the lowest.

    Examples
    --------
    >>> target_classes(np.array([5.0, 1.0, 1.0, 2.0, 9.0]))
    array([1, 0, 0, 1, 1])
    """
    values, counts = np.unique(y.astype(np.float32), return_counts=True)
    below = np.cumsum(counts)[:-1]
    cut = int(np.argmin(np.maximum(below, len(y) - below)))
    return (y.astype(np.float32) > values[cut]).astype(np.int64)


def read(
    document: Mapping[str, Any], training: Training, *, bias: Floats, seen: np.ndarray, link: str
) -> tuple[ObliviousTrees, CategoryTables | None]:
    """Return the trees, and the tables of categories where a tree asks for one.

    Parameters
    ----------
    document : mapping
        CatBoost's JSON form.
    training : Training
        What it was fitted on.
    bias : ndarray of shape (n_outputs,)
        The scores of outputs that CatBoost does not know; overwritten for the others.
    seen : ndarray of int64
        The outputs that CatBoost knows, in its order.
    link : str
        See `ObliviousTrees`.
    """
    scale, own_bias = document["scale_and_bias"]
    bias[seen] = own_bias
    trees = document["oblivious_trees"]
    questions = _Questions(document["features_info"], training)
    asked = [[questions.question(split) for split in tree["splits"] or ()] for tree in trees]
    columns, tables = questions.tables()
    thresholds = questions.thresholds()
    depth = max(map(len, asked), default=0)
    features = np.zeros((len(trees), depth), dtype=np.int32)
    borders = np.full((len(trees), depth), np.inf, dtype=np.float32)
    leaves = np.zeros((len(bias), len(trees), 2**depth))
    weights = np.zeros((len(trees), 2**depth), dtype=np.float32)
    for number, (tree, own) in enumerate(zip(trees, asked, strict=True)):
        features[number, : len(own)] = [columns.get(column, column) for column, _ in own]
        borders[number, : len(own)] = [thresholds.get((column, border), border) for column, border in own]
        values = np.array(tree["leaf_values"]).reshape(2 ** len(own), len(seen)) * scale
        leaves[seen, number, : len(values)] = values.T
        weights[number, : len(values)] = tree["leaf_weights"]
    return ObliviousTrees(features, borders, leaves, bias, link, weights), tables


class _Questions:
    """Reads splits one by one, and then makes tables for those that were asked."""

    def __init__(self, info: Mapping[str, Any], training: Training) -> None:
        self.training = training
        self.ctrs = info.get("ctrs") or []
        # CatBoost numbers all splits: those of numbers, then those of single categories, then those of CTRs.
        first = sum(len(feature["borders"] or ()) for feature in info.get("float_features") or ())
        first += sum(len(feature.get("values") or ()) for feature in info.get("categorical_features") or ())
        lengths = [len(ctr["borders"]) for ctr in self.ctrs]
        self.ctr_of = dict(enumerate(np.repeat(np.arange(len(lengths)), lengths).tolist(), start=first))
        self.asked_ctrs: dict[int, set[float]] = {}  # and the borders that they are compared with
        self.asked_equal: set[_Part] = set()

    def question(self, split: Mapping[str, Any]) -> tuple[Any, float]:
        """Return the column (a matrix column, or a name that `tables` gives a column) and its border."""
        kind = split["split_type"]
        if kind == "FloatFeature":
            return self.training.numbers[split["float_feature_index"]], split["border"]
        if kind == "OneHotFeature":
            part = self._equal(split["cat_feature_index"], split["value"])
            self.asked_equal.add(part)
            return part, 0.5
        ctr = self.ctr_of[split["split_index"]]
        self.asked_ctrs.setdefault(ctr, set()).add(split["border"])
        return _named(ctr), split["border"]

    def _equal(self, category: int, value: int) -> _Part:
        return "equal", category, self.training.digits[value & 0xFFFFFFFF]

    def thresholds(self) -> dict[tuple[_Part, float], float]:
        """Return how many borders must be exceeded for each border of a CTR to be: place and a half."""
        return {
            (_named(ctr), border): place + 0.5
            for ctr, borders in self.asked_ctrs.items()
            for place, border in enumerate(sorted(borders))
        }

    def tables(self) -> tuple[dict[_Part, int], CategoryTables | None]:
        """Return the column of each name that `question` gave, and the tables that fill these columns."""
        if not (self.asked_ctrs or self.asked_equal):
            return {}, None
        wanted: dict[tuple[_Part, ...], list[int]] = {}
        for ctr in sorted(self.asked_ctrs):
            wanted.setdefault(self._parts(self.ctrs[ctr]["elements"]), []).append(ctr)
        keys = sorted(wanted, key=repr)
        every = {part for parts in keys for part in parts} | self.asked_equal
        equal = sorted(part for part in every if part[0] == "equal")
        bits = sorted(part for part in every if part[0] == "bit")
        n = len(self.training.categories)
        number: dict[_Part, int] = {("code", category): category for category in range(n)}
        number |= {part: n + place for place, part in enumerate([*equal, *bits])}
        parts = np.zeros((len(keys), max(map(len, keys), default=0)), dtype=np.int32)
        for row, key in zip(parts, keys, strict=True):
            row[: len(key)] = [number[part] + 1 for part in key]
        combinations = Combinations(
            np.array(self.training.categories, dtype=np.int32),
            np.array(self.training.levels, dtype=np.int64),
            np.array([part[1:] for part in equal], dtype=np.int32).reshape(-1, 2),
            np.array([part[1] for part in bits], dtype=np.int32),
            np.array([part[2] for part in bits], dtype=np.float32),
            parts,
        )
        order = [wanted[key] for key in keys]
        n_columns = self.training.X.shape[1]
        columns = {part: n_columns + place for place, part in enumerate(equal)}
        first = n_columns + len(equal)
        columns |= {
            _named(ctr): first + place for place, ctr in enumerate(ctr for own in order for ctr in own)
        }
        return columns, self._count(combinations, order)

    def _parts(self, elements: Sequence[Mapping[str, Any]]) -> tuple[_Part, ...]:
        parts: list[_Part] = []
        for element in elements:
            kind = element["combination_element"]
            if kind == "cat_feature_value":
                parts.append(("code", element["cat_feature_index"]))
            elif kind == "cat_feature_exact_value":
                parts.append(self._equal(element["cat_feature_index"], element["value"]))
            else:
                column = self.training.numbers[element["float_feature_index"]]
                parts.append(("bit", column, float(np.float32(element["border"]))))
        return tuple(parts)

    def _count(self, combinations: Combinations, order: Sequence[Sequence[int]]) -> CategoryTables:
        weights, _ = combinations.weights()
        answers = combinations.answers(self.training.X)
        keys, counts, slots, unseen, values = [], [], [], [], []
        n_values = 0
        for own, parts, weight in zip(order, combinations.parts, weights, strict=True):
            key = weight[parts > 0] @ answers[parts[parts > 0] - 1]
            found, by_class = _by_class(key, self.training.classes)
            exceeded = [_exceeded(self.ctrs[ctr], sorted(self.asked_ctrs[ctr]), by_class) for ctr in own]
            different, slot = _distinct(exceeded)
            other = (
                slot[:-1] != slot[-1]
            )  # the last row is that of keys never seen: only others need an entry
            other[0] |= not other.any()
            keys.append(found[other])
            counts.append(len(keys[-1]))
            slots.append(n_values + slot[:-1][other] * len(own))
            unseen.append(n_values + slot[-1] * len(own))
            values.append(different.ravel())
            n_values += different.size
        return CategoryTables(
            combinations,
            np.array(counts, dtype=np.int64),
            np.concatenate([np.zeros(0, np.int64), *keys]),
            np.concatenate([np.zeros(0, np.int32), *slots]).astype(np.int32),
            np.array(unseen, dtype=np.int32),
            np.repeat(np.arange(len(order), dtype=np.int32), [len(own) for own in order]),
            np.concatenate([np.zeros(0, np.float32), *values]).astype(np.float32),
        )


def _named(ctr: int) -> _Part:
    """Return what the CTR of this number is called until it has a column."""
    return "ctr", ctr


def _by_class(key: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys, ascending, and their rows by class, shape (n_keys + 1, n_classes): the last has none."""
    found, place = np.unique(key, return_inverse=True)
    n_classes = int(classes.max()) + 1
    counts = np.bincount(place * n_classes + classes, minlength=(len(found) + 1) * n_classes)
    return found, counts.reshape(-1, n_classes)


def _distinct(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows, and each row's place among them."""
    code, most = columns[0], int(columns[0].max()) + 1
    for column in columns[1:]:
        n = int(column.max()) + 1
        if most * n >= 1 << 62:
            code = np.unique(code, return_inverse=True)[1]
            most = len(code)
        code, most = code * n + column, most * n
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    return np.column_stack([column[first] for column in columns]), place


def _exceeded(ctr: Mapping[str, Any], borders: Sequence[float], by_class: np.ndarray) -> np.ndarray:
    """Return how many of `borders` the CTR exceeds for each key; all in float32, as CatBoost computes it."""
    total = by_class.sum(axis=1)
    if ctr["ctr_type"] == "Counter":
        good, total = total, np.full_like(total, total.max())
    elif ctr["ctr_type"] == "Borders":
        good = by_class[:, ctr["target_border_idx"] + 1 :].sum(axis=1)
    else:
        raise ValueError(f"a CTR of type {ctr['ctr_type']}")
    single = np.float32
    rate = (good.astype(single) + single(ctr["prior_numerator"])) / (
        total.astype(single) + single(ctr["prior_denomerator"])
    )
    value = (rate + single(ctr["shift"])) * single(ctr["scale"])
    return np.searchsorted(np.array(borders, dtype=single), value)
