"""NumericCodes: a column of floats as it is or, where its values act as codes, as a category."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.code_signs import are_codes
from mlwright.features.number import as_matrix, gapless_median

__all__ = ["NumericCodes"]


class NumericCodes(Transform):
    """One number: the value itself or, where `mlwright.features.code_signs` says so of the rows of the fit, its code.

    Codes are 0, 1, .., the most frequent value first, ties by value. As in `CategoryCodes`, values that are rarer than
    `min_count` share one further code, which a value never seen gets too; where none was pooled, such a value becomes
    NaN, as a missing one does. Of numbers a missing one becomes the median where the fit saw none.

    Parameters
    ----------
    column : str
        The raw column's name.
    min_count : int, default=2
        How often a value must occur to have a code of its own.
    max_levels : int, default=50
        More different values than that are numbers.

    Examples
    --------
    >>> products = {"product": np.tile([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 50)}
    >>> bought = np.tile([0.0, 1, 0, 1, 0, 1], 50)
    >>> codes = NumericCodes("product").fit(products, bought, n_classes=2, seed=0)
    >>> codes.tags[0].categorical, codes.row(3.0), codes.row(7.0)
    (True, (2.0,), (nan,))
    >>> rising = NumericCodes("product").fit(products, np.tile([0.0, 0, 0, 1, 1, 1], 50), n_classes=2, seed=0)
    >>> rising.tags[0].categorical, rising.row(3.0), rising.row(7.0)
    (False, (3.0,), (7.0,))
    """

    kind: ClassVar[str] = "numeric_codes"
    added: ClassVar[frozenset[str]] = frozenset({"gap"})
    rules: ClassVar[dict[str, Rule]] = {
        "min_count": Number(1, 1_000_000, integer=True),
        "max_levels": Number(1, 1000, integer=True),
    }

    def __init__(self, column: str, min_count: int = 2, max_levels: int = 50) -> None:
        super().__init__(column)
        check("NumericCodes", {"min_count": min_count, "max_levels": max_levels}, self.rules)
        self.min_count = min_count
        self.max_levels = max_levels

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Look whether the values act as codes, and count them."""
        values: Any = columns[self.column]
        if not are_codes(values, y, n_classes=n_classes, most_levels=self.max_levels):
            return self.set_learned(None, pooled=False, gap=gapless_median(values))
        levels, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        kept = order[counts[order] >= self.min_count]
        return self.set_learned(levels[kept].tolist(), pooled=len(kept) < len(levels))

    def set_learned(self, levels: list[float] | None, *, pooled: bool, gap: float = math.nan) -> Self:
        """Hold what was learned, and return self; no levels say that the values are numbers."""
        self.levels_, self.has_other_, self.gap = levels, pooled, gap
        self.is_identity = levels is None
        # A zero with a sign is the same key as one without.
        self._rows = {level: (float(code),) for code, level in enumerate(levels or [])}
        self._unseen = (float(len(self._rows)) if pooled else math.nan,)
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, 1)."""
        values: Any = columns[self.column]
        if self.levels_ is None:
            return as_matrix(values, self.gap)
        out = np.where(np.isnan(values), math.nan, self._unseen[0])
        for level, (code,) in self._rows.items():
            out[values == level] = code
        return out.reshape(-1, 1)

    def row(self, cell: Cell) -> tuple[float]:
        """Return the number or its code."""
        value = math.nan if cell is None else float(cell)
        if math.isnan(value):
            return (self.gap,)
        if self.levels_ is None:
            return (value,)
        return self._rows.get(value, self._unseen)

    @property
    def tags(self) -> list[OutputTag]:
        """One tag, categorical where the values are codes."""
        if self.levels_ is None:
            return [OutputTag(self.column, self.column)]
        n_levels = len(self.levels_) + self.has_other_
        return [OutputTag(self.column, self.column, categorical=True, n_levels=n_levels)]

    def state(self) -> State:
        """Return the values in the order of their codes, null where they are numbers; and what stands in for a gap."""
        gap = audit.null_for_nan(self.gap)
        return State({**audit.tree(self), "levels": self.levels_, "has_other": self.has_other_, "gap": gap})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; levels must be distinct finite numbers, or null."""
        new = audit.build(cls, state)
        pooled, gap = audit.flag(state, "has_other"), audit.number_or_null(state, "gap")
        if "levels" in state.tree and state.tree["levels"] is None:
            return new.set_learned(None, pooled=pooled, gap=gap)
        levels = audit.numbers(state, "levels")
        if len(set(levels)) < len(levels):
            raise audit.wrong(state, "levels", levels, "distinct numbers, or null")
        return new.set_learned(levels, pooled=pooled)
