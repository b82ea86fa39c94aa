"""Categories as CatBoost's trees see them: questions about codes, answered from tables. NumPy only; serving uses it.

CatBoost asks two things of a category: whether it is a certain one, and how the target went in the training rows that
had the same category, or the same combination of categories and of answers to other questions: a CTR, "click-through
rate" (Prokhorenkova et al. 2018). A tree compares a CTR with borders, so here a CTR is a small number: how many of the
borders it exceeds. The numbers stand in tables by key, one table a combination, and the trees ask them like any other
column. How a CTR follows from the training rows is known to `mlwright.models.catboost_export`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.models.state_audit import read_array

__all__ = ["CategoryTables", "Combinations", "digits"]

_MOST_LEVELS = 1 << 24  # codes are read from float32
_WIDEST = 1 << 62  # keys of all tables together, so that one search finds a row's keys in all of them
_BLOCK = 8192  # rows at a time
_DENSE = 8  # a table by key itself where that takes at most so many times the room of the keys


def digits(column: np.ndarray, n_levels: int) -> np.ndarray:
    """Return 0 for missing, 1 to `n_levels` for the codes 0 to ``n_levels - 1``, and ``n_levels + 1`` for all else.

    Examples
    --------
    >>> digits(np.array([np.nan, 0, 2, 3, 0.5, -1]), 3)
    array([0, 1, 3, 4, 4, 4])
    """
    with np.errstate(invalid="ignore"):  # what cannot be an integer is no code, whatever it becomes
        whole = column.astype(np.int64)
    known = (column >= 0) & (column < n_levels) & (whole == column)
    return np.where(known, whole + 1, np.where(np.isnan(column), 0, n_levels + 1))


@dataclass(frozen=True, slots=True)
class Combinations:
    """What the keys are made of.

    Parts are numbered: first the digits of the categories (see `digits`), then the answers to `equal`, then those to
    the questions of `bit_columns` and `bit_borders`.

    Parameters
    ----------
    columns : ndarray of int32, shape (n_categories,)
        Matrix columns that hold codes, ascending.
    levels : ndarray of int64, shape (n_categories,)
        How many codes each had in training.
    equal : ndarray of int32, shape (n_equal, 2)
        The question whether a category (by its number) has this digit.
    bit_columns : ndarray of int32, shape (n_bits,)
    bit_borders : ndarray of float32, shape (n_bits,)
        The question whether a matrix column exceeds this border.
    parts : ndarray of int32, shape (n_combinations, n_parts)
        Each combination's parts, plus 1; 0 fills up short ones.
    """

    columns: np.ndarray
    levels: np.ndarray
    equal: np.ndarray
    bit_columns: np.ndarray
    bit_borders: np.ndarray
    parts: np.ndarray

    def radices(self) -> list[int]:
        """Return how many values each part can have."""
        return [int(n) + 2 for n in self.levels] + [2] * (len(self.equal) + len(self.bit_columns))

    def weights(self) -> tuple[np.ndarray, list[int]]:
        """Return what each of `parts` counts in a key, and how many keys each combination can have."""
        radices = self.radices()
        weights, spans = np.zeros(self.parts.shape, dtype=np.int64), []
        for number, parts in enumerate(self.parts.tolist()):
            span = 1
            for place, part in enumerate(parts):
                if part:
                    weights[number, place] = span
                    span *= radices[part - 1]
                    if span > _WIDEST:
                        raise BundleContentError("catboost: a combination of categories has too many keys")
            spans.append(span)
        return weights, spans

    def answers(self, X: np.ndarray) -> np.ndarray:
        """Return the parts of the rows of float32 `X`, shape (all parts, n_rows)."""
        codes = [digits(X[:, c], n) for c, n in zip(self.columns.tolist(), self.levels.tolist(), strict=True)]
        equal = [codes[category] == digit for category, digit in self.equal.tolist()]
        bits = [X[:, c] > b for c, b in zip(self.bit_columns.tolist(), self.bit_borders, strict=True)]
        return np.array([*codes, *equal, *bits], dtype=np.int64).reshape(-1, len(X))


class CategoryTables:
    """Appends the answers about categories to a matrix, as columns: those to `equal`, then one a CTR.

    Parameters
    ----------
    combinations : Combinations
        What the keys are made of.
    counts : ndarray of int64, shape (n_combinations,)
        How many keys each combination has.
    keys : ndarray of int64, shape (n_keys,)
        Combination by combination, ascending in each.
    slots : ndarray of int32, shape (n_keys,)
        Where a key's numbers begin in `values`.
    unseen : ndarray of int32, shape (n_combinations,)
        The same for keys that are not there.
    owners : ndarray of int32, shape (n_ctrs,)
        Each CTR's combination, ascending; a slot holds its combination's CTRs in this order.
    values : ndarray of float32
        How many of its borders a CTR exceeds.
    """

    def __init__(
        self,
        combinations: Combinations,
        counts: np.ndarray,
        keys: np.ndarray,
        slots: np.ndarray,
        unseen: np.ndarray,
        owners: np.ndarray,
        values: np.ndarray,
    ) -> None:
        self.combinations = combinations
        self.counts, self.keys, self.slots, self.unseen = counts, keys, slots, unseen
        self.owners, self.values = owners, values
        self.n_added = len(combinations.equal) + len(owners)
        self.weights, self._spans = combinations.weights()
        if sum(self._spans) > _WIDEST:
            raise BundleContentError("catboost: the combinations of categories have too many keys")
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.widths = np.bincount(owners, minlength=len(counts))
        self._place = np.arange(len(owners)) - np.concatenate([[0], np.cumsum(self.widths)])[owners]
        # For one row: all keys in one ascending array, found in one search.
        self._offset = np.cumsum([0, *self._spans[:-1]], dtype=np.int64) if self._spans else keys[:0]
        self._all = keys + np.repeat(self._offset, counts)
        self._parts = np.maximum(combinations.parts.astype(np.intp) - 1, 0)
        self._equal, self._digit = (combinations.equal[:, i].astype(np.int64) for i in (0, 1))
        self._bit_columns = combinations.bit_columns.astype(np.intp)
        self._dense: dict[int, np.ndarray] = {}
        for number, span in enumerate(self._spans):
            if span <= _DENSE * int(counts[number]):
                own = slice(self.starts[number], self.starts[number + 1])
                self._dense[number] = table = np.full(span, unseen[number])
                table[keys[own]] = slots[own]

    def sources(self) -> list[tuple[int, ...]]:
        """Return for each column that is added the matrix columns whose contribution it is, ascending.

        As in CatBoost, a combination belongs to its categories alone; its answers to other questions earn nothing.
        """
        own = self.combinations
        columns = own.columns.tolist()
        equal = [columns[category] for category in own.equal[:, 0].tolist()]
        asked = [*columns, *equal, *own.bit_columns.tolist()]
        made_of = []
        for parts in own.parts.tolist():
            of = [part - 1 for part in parts if part]
            categories = [part for part in of if part < len(columns)]
            made_of.append(tuple(sorted({asked[part] for part in categories or of})))
        return [*((column,) for column in equal), *(made_of[owner] for owner in self.owners.tolist())]

    def widen(self, X: np.ndarray) -> np.ndarray:
        """Return float32 `X` of shape (n_rows, n_columns) with `n_added` columns more."""
        wide = np.empty((len(X), X.shape[1] + self.n_added), dtype=np.float32)
        wide[:, : X.shape[1]] = X
        for start in range(0, len(X), _BLOCK):
            self._add(wide[start : start + _BLOCK], X.shape[1])
        return wide

    def _add(self, wide: np.ndarray, n_columns: int) -> None:
        answers = self.combinations.answers(wide[:, :n_columns])
        first = n_columns + len(self.combinations.equal)
        begin = len(self.combinations.columns)
        wide[:, n_columns:first] = answers[begin : begin + len(self.combinations.equal)].T
        for number, (parts, weights) in enumerate(zip(self.combinations.parts, self.weights, strict=True)):
            key = weights[parts > 0] @ answers[parts[parts > 0] - 1]
            slot = self._slots(number, key)
            for _ in range(int(self.widths[number])):
                wide[:, first] = self.values.take(slot)
                slot = slot + 1
                first += 1

    def _slots(self, number: int, key: np.ndarray) -> np.ndarray:
        dense = self._dense.get(number)
        if dense is not None:
            return dense.take(key)
        own = slice(self.starts[number], self.starts[number + 1])
        keys, slots = self.keys[own], self.slots[own]
        place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        return np.where(keys[place] == key, slots[place], self.unseen[number])

    def bind(self, wide: np.ndarray) -> Callable[[], None]:
        """Return a function that fills the last `n_added` numbers of a float32 row from those before them."""
        own, n_columns = self.combinations, len(wide) - self.n_added
        row, columns, levels = wide[:n_columns], own.columns.astype(np.intp), own.levels.tolist()
        answers = np.empty(len(columns) + len(own.equal) + len(own.bit_columns), dtype=np.int64)
        digit, rest = answers[: len(columns)], answers[len(columns) :]
        equal, bits = rest[: len(own.equal)], rest[len(own.equal) :]
        equal_too, ctrs = wide[n_columns : n_columns + len(equal)], wide[n_columns + len(equal) :]

        def widen() -> None:
            codes = []
            for code, n_levels in zip(row.take(columns).tolist(), levels, strict=True):
                known = 0 <= code < n_levels and code == int(code)
                codes.append(int(code) + 1 if known else 0 if math.isnan(code) else n_levels + 1)
            digit[:] = codes
            np.equal(digit.take(self._equal), self._digit, equal)
            equal_too[:] = equal
            if len(ctrs):
                np.greater(row.take(self._bit_columns), own.bit_borders, bits)
                key = (answers.take(self._parts) * self.weights).sum(axis=1) + self._offset
                place = self._all.searchsorted(key)
                found = self._all.take(place, mode="clip") == key
                slot = np.where(found, self.slots.take(place, mode="clip"), self.unseen)
                self.values.take(slot.take(self.owners) + self._place, 0, ctrs, "clip")

        return widen

    def state(self) -> State:
        """Return the arrays, each named ``ctr_..``."""
        own = {"counts", "keys", "slots", "unseen", "owners", "values"}
        arrays = {f"ctr_{name}": getattr(self, name) for name in sorted(own)}
        arrays |= {f"ctr_{part.name}": getattr(self.combinations, part.name) for part in fields(Combinations)}
        return State({}, arrays)

    @classmethod
    def from_state(cls, state: State, kind: str, n_columns: int) -> Self:
        """Check types, shapes, ranges and order, then build.

        Raises
        ------
        BundleContentError
            If anything is not as `state` would have given it.
        """
        combinations = _combinations(state, kind, n_columns)
        n = len(combinations.parts)
        counts = read_array(state, kind, "ctr_counts", np.int64, (n,))
        keys = read_array(state, kind, "ctr_keys", np.int64, (None,))
        slots = read_array(state, kind, "ctr_slots", np.int32, (len(keys),))
        unseen = read_array(state, kind, "ctr_unseen", np.int32, (n,))
        owners = read_array(state, kind, "ctr_owners", np.int32, (None,))
        values = read_array(state, kind, "ctr_values", np.float32, (None,))
        _within(kind, "ctr_counts", counts, 1, len(keys))
        if sum(counts.tolist()) != len(keys):
            raise BundleContentError(
                f"{kind}: number of keys", got=len(keys), allowed="the sum of the counts"
            )
        _within(kind, "ctr_owners", owners, 0, n - 1)
        if (np.diff(owners) < 0).any() or len(np.unique(owners)) != n:
            raise BundleContentError(f"{kind}: ctr_owners", allowed="all combinations, ascending")
        start = 0
        _, spans = combinations.weights()
        for number, (count, width) in enumerate(
            zip(counts.tolist(), np.bincount(owners).tolist(), strict=True)
        ):
            own = slice(start, start + count)
            start += count
            _within(kind, "ctr_keys", keys[own], 0, spans[number] - 1)
            if (np.diff(keys[own]) <= 0).any():
                raise BundleContentError(f"{kind}: ctr_keys", allowed="ascending within a combination")
            _within(kind, "ctr_slots", slots[own], 0, len(values) - width)
            _within(kind, "ctr_unseen", unseen[number : number + 1], 0, len(values) - width)
        return cls(combinations, counts, keys, slots, unseen, owners, values)


def _combinations(state: State, kind: str, n_columns: int) -> Combinations:
    columns = read_array(state, kind, "ctr_columns", np.int32, (None,))
    levels = read_array(state, kind, "ctr_levels", np.int64, (len(columns),))
    equal = read_array(state, kind, "ctr_equal", np.int32, (None, 2))
    bit_columns = read_array(state, kind, "ctr_bit_columns", np.int32, (None,))
    bit_borders = read_array(state, kind, "ctr_bit_borders", np.float32, (len(bit_columns),))
    parts = read_array(state, kind, "ctr_parts", np.int32, (None, None))
    _within(kind, "ctr_columns", columns, 0, n_columns - 1)
    if (np.diff(columns) <= 0).any():
        raise BundleContentError(f"{kind}: ctr_columns", allowed="ascending")
    _within(kind, "ctr_levels", levels, 0, _MOST_LEVELS)
    _within(kind, "ctr_equal", equal[:, 0], 0, len(columns) - 1)
    _within(kind, "ctr_equal", equal[:, 1], 0, _MOST_LEVELS + 1)
    _within(kind, "ctr_bit_columns", bit_columns, 0, n_columns - 1)
    n_answers = len(columns) + len(equal) + len(bit_columns)
    _within(kind, "ctr_parts", parts, 0, n_answers)
    if parts.size and ((parts[:, 0] == 0).any() or ((parts[:, 1:] > 0) & (parts[:, :-1] == 0)).any()):
        raise BundleContentError(f"{kind}: ctr_parts", allowed="each row's parts first, then zeros")
    return Combinations(columns, levels, equal, bit_columns, bit_borders, parts)


def _within(kind: str, name: str, array: np.ndarray, low: int, high: int) -> None:
    if array.size and not (array.min() >= low and array.max() <= high):
        raise BundleContentError(f"{kind}: array '{name}'", allowed=f"numbers from {low} to {high}")
