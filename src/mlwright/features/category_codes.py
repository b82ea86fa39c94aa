"""CategoryCodes: strings as codes, for learners that split on categories natively."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag
from mlwright.features.levels import LevelTransform, count_levels

__all__ = ["CategoryCodes"]


class CategoryCodes(LevelTransform):
    """Strings as codes 0, 1, ..: the most frequent first, ties by value.

    Levels that are rarer than `min_count`, or beyond the first `max_levels`, share one further code, "other". A level
    never seen in training gets that code too, since a rare level is what it is most like; where no level was pooled
    there is no such code, and it becomes NaN as a missing value does. (A server can still tell the two apart: it knows
    the levels from the schema.)

    Parameters
    ----------
    column : str
        The raw column's name.
    min_count : int, default=2
        How often a level must occur to have a code of its own.
    max_levels : int, default=1000
        The most codes, "other" not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from mlwright.data.values import Coded
    >>> plans = {"plan": Coded(np.array([0, 1, 1, 0, 1, -1, 2], np.int32), ["year", "month", "odd"])}
    >>> codes = CategoryCodes("plan").fit(plans, np.zeros(7), n_classes=0, seed=0)
    >>> [codes.row(cell) for cell in ("month", "year", "never seen", None)]
    [(0.0,), (1.0,), (2.0,), (nan,)]
    """

    kind: ClassVar[str] = "category_codes"
    rules: ClassVar[dict[str, Rule]] = {
        "min_count": Number(1, 1_000_000, integer=True),
        "max_levels": Number(1, 100_000, integer=True),
    }

    def __init__(self, column: str, min_count: int = 2, max_levels: int = 1000) -> None:
        super().__init__(column)
        check("CategoryCodes", {"min_count": min_count, "max_levels": max_levels}, self.rules)
        self.min_count = min_count
        self.max_levels = max_levels

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Count the levels."""
        column: Any = columns[self.column]
        counted = count_levels(column)
        kept = [level for level, count in counted if count >= self.min_count][: self.max_levels]
        return self.set_learned(kept, pooled=len(kept) < len(counted))

    def set_learned(self, levels: list[str], *, pooled: bool) -> Self:
        """Hold what was learned, and return self."""
        self.levels_, self.has_other_ = levels, pooled
        self._rows = {level: (float(code),) for code, level in enumerate(levels)}
        self._rows[None] = (math.nan,)
        self._unseen = (float(len(levels)) if pooled else math.nan,)
        return self

    @property
    def tags(self) -> list[OutputTag]:
        """One tag, categorical."""
        n_levels = len(self.levels_) + self.has_other_
        return [OutputTag(self.column, self.column, categorical=True, n_levels=n_levels)]

    def state(self) -> State:
        """Return the levels in the order of their codes."""
        return State({**audit.tree(self), "levels": self.levels_, "has_other": self.has_other_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; levels must be distinct strings."""
        levels = audit.strings(state, "levels")
        return audit.build(cls, state).set_learned(levels, pooled=audit.flag(state, "has_other"))
