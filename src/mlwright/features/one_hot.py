"""OneHot: strings as columns of 0 and 1, for linear models and for trees where levels are few."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag
from mlwright.features.levels import LevelTransform, count_levels

__all__ = ["OneHot"]


class OneHot(LevelTransform):
    """One column a level, 1 where the row has it; one more for missing values if some were at fit.

    Rare levels, levels beyond `max_levels` and levels never seen in training are 0 everywhere. All outputs are
    finite.

    Parameters
    ----------
    column : str
        The raw column's name.
    min_count : int, default=2
        How often a level must occur to have a column.
    max_levels : int, default=30
        The most columns, that for missing not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from mlwright.data.values import Coded
    >>> plans = {"plan": Coded(np.array([0, 1, 1, 0, -1], np.int32), ["year", "month"])}
    >>> OneHot("plan").fit(plans, np.zeros(5), n_classes=0, seed=0).batch(plans).tolist()[2:]
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    kind: ClassVar[str] = "one_hot"
    rules: ClassVar[dict[str, Rule]] = {
        "min_count": Number(1, 1_000_000, integer=True),
        "max_levels": Number(1, 1000, integer=True),
    }

    def __init__(self, column: str, min_count: int = 2, max_levels: int = 30) -> None:
        super().__init__(column)
        check("OneHot", {"min_count": min_count, "max_levels": max_levels}, self.rules)
        self.min_count = min_count
        self.max_levels = max_levels

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Count the levels."""
        column: Any = columns[self.column]
        kept = [level for level, count in count_levels(column) if count >= self.min_count]
        return self.set_learned(kept[: self.max_levels], has_missing=bool((column.codes < 0).any()))

    def set_learned(self, levels: list[str], *, has_missing: bool) -> Self:
        """Hold what was learned, and return self."""
        self.levels_, self.has_missing_ = levels, has_missing
        width = len(levels) + has_missing
        self._unseen = (0.0,) * width
        cells: list[str | None] = [*levels, None] if has_missing else [*levels]
        self._rows = {cell: tuple(float(i == j) for j in range(width)) for i, cell in enumerate(cells)}
        return self

    @property
    def tags(self) -> list[OutputTag]:
        """One tag a level, the most frequent first, and that of missing last."""
        tags = [OutputTag(f"{self.column}={level}", self.column) for level in self.levels_]
        return [*tags, OutputTag(f"{self.column} is missing", self.column)] if self.has_missing_ else tags

    def state(self) -> State:
        """Return the levels in the order of their columns."""
        return State({**audit.tree(self), "levels": self.levels_, "has_missing": self.has_missing_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; levels must be distinct strings."""
        levels = audit.strings(state, "levels")
        return audit.build(cls, state).set_learned(levels, has_missing=audit.flag(state, "has_missing"))
