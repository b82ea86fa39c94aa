"""CategoryFrequency: strings as how rare they are. It needs no target."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag
from mlwright.features.levels import LevelTransform, count_levels

__all__ = ["CategoryFrequency"]

_MOST_ROWS = 2**53


class CategoryFrequency(LevelTransform):
    """A level's surprise, ``-log(share of the training rows that have it)``: 0 for a value that all have.

    Missing is a level of its own. A level never seen gets the share of the rows whose level occurs once, which is what
    the chance of meeting a new one comes to (Good and Turing [1]_), or half a row where none does. All outputs are
    finite.

    Parameters
    ----------
    column : str
        The raw column's name.
    max_levels : int, default=10_000
        The most levels that are kept; the rarest beyond it count as levels never seen.

    References
    ----------
    .. [1] I. J. Good (1953), "The population frequencies of species and the estimation of population parameters",
       Biometrika 40(3/4).

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> plans = {"plan": Coded(np.array([0, 0, 0, 1], np.int32), ["year", "month"])}
    >>> rare = CategoryFrequency("plan").fit(plans, np.zeros(4), n_classes=0, seed=0)
    >>> [round(rare.row(cell)[0], 3) for cell in ("year", "month", "never seen")]
    [0.288, 1.386, 1.386]
    """

    kind: ClassVar[str] = "category_frequency"
    rules: ClassVar[dict[str, Rule]] = {"max_levels": Number(1, 1_000_000, integer=True)}

    def __init__(self, column: str, max_levels: int = 10_000) -> None:
        super().__init__(column)
        check("CategoryFrequency", {"max_levels": max_levels}, self.rules)
        self.max_levels = max_levels

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Count the levels."""
        column: Any = columns[self.column]
        counted = count_levels(column)
        kept = counted[: self.max_levels]
        once = sum(count == 1 for _, count in counted)
        missing = int((column.codes < 0).sum())
        levels, counts = [level for level, _ in kept], [count for _, count in kept]
        return self.set_learned(levels, counts, n_rows=len(column.codes), n_missing=missing, n_once=once)

    def set_learned(
        self, levels: list[str], counts: list[int], *, n_rows: int, n_missing: int, n_once: int
    ) -> Self:
        """Hold what was learned, and return self."""
        self.levels_, self.counts_ = levels, counts
        self.n_rows_, self.n_missing_, self.n_once_ = n_rows, n_missing, n_once
        total = max(1, n_rows)
        self._unseen = (max(0.0, math.log(total / (n_once or 0.5))),)
        self._rows = {
            level: (max(0.0, math.log(total / count)),) for level, count in zip(levels, counts, strict=True)
        }
        self._rows[None] = (max(0.0, math.log(total / n_missing)),) if n_missing else self._unseen
        return self

    @property
    def tags(self) -> list[OutputTag]:
        """One tag."""
        return [OutputTag(f"{self.column}: how rare", self.column)]

    def state(self) -> State:
        """Return the levels, the most frequent first, and how many rows have each."""
        told = {"n_rows": self.n_rows_, "n_missing": self.n_missing_, "n_once": self.n_once_}
        counts = np.array(self.counts_, np.float64)
        return State({**audit.tree(self), "levels": self.levels_, **told}, {"counts": counts})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; there must be one count a level, and at least one row each."""
        new = audit.build(cls, state)
        levels = audit.strings(state, "levels")
        counts = audit.array(state, "counts", (len(levels),))
        n_rows = audit.whole(state, "n_rows", high=_MOST_ROWS)
        if ((counts < 1) | (counts > n_rows) | (counts != np.floor(counts))).any():
            raise audit.wrong(state, "counts", counts[:5].tolist(), "whole numbers from 1 to n_rows")
        told = {name: audit.whole(state, name, high=n_rows) for name in ("n_missing", "n_once")}
        return new.set_learned(levels, [int(count) for count in counts], n_rows=n_rows, **told)
