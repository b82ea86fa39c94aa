"""GroupEffect: what the rows of a group differ by from all the others, as numbers that are 0 for a group never seen."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag
from mlwright.features.levels import LevelTransform, count_levels

__all__ = ["MOST_GROUPS", "GroupEffect"]

MOST_GROUPS = 100_000  # that are remembered, those with the most rows
_MOST_OUTPUTS = 100_000


class GroupEffect(LevelTransform):
    """One number an output for each group: how far the mean of its rows lies from that of all rows, drawn towards 0.

    `mlwright.search.known_groups` puts what a fitted model misses for each group in its place. A missing group, one that
    was never seen and those beyond the first 100,000 have no effect.

    Parameters
    ----------
    column : str
        The raw column that names the group.
    smoothing : float, default=1.0
        Rows without an effect that each group's own are averaged with.

    Examples
    --------
    >>> from mlwright.data.values import Coded
    >>> shops = {"shop": Coded(np.array([0, 0, 1, 1], np.int32), ["east", "west"])}
    >>> effect = GroupEffect("shop", smoothing=2.0).fit(shops, np.array([8.0, 8, 4, 4]), n_classes=0, seed=0)
    >>> [effect.row(cell) for cell in ("east", "west", "never seen", None)]
    [(1.0,), (-1.0,), (0.0,), (0.0,)]
    """

    kind: ClassVar[str] = "group_effect"
    rules: ClassVar[dict[str, Rule]] = {"smoothing": Number(0.001, 1e9)}

    def __init__(self, column: str, smoothing: float = 1.0) -> None:
        super().__init__(column)
        check("GroupEffect", {"smoothing": smoothing}, self.rules)
        self.smoothing = smoothing

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn the mean of each group: of the values, of the second class, or of each of several."""
        column: Any = columns[self.column]
        targets = (y[:, None] == np.arange(n_classes)).astype(np.float64) if n_classes > 2 else y[:, None]
        counted = count_levels(column)[:MOST_GROUPS]
        place = {level: i for i, level in enumerate(column.levels)}
        kept = [place[level] for level, _ in counted]
        own, seen = targets - targets.mean(axis=0), column.codes >= 0
        sums = np.column_stack(
            [
                np.bincount(column.codes[seen], each[seen], minlength=len(column.levels))[kept]
                for each in own.T
            ]
        ).reshape(len(kept), targets.shape[1])
        rows = np.array([count for _, count in counted], dtype=np.float64)
        return self.set_learned([level for level, _ in counted], sums / (rows[:, None] + self.smoothing))

    def set_learned(self, levels: list[str], effects: Floats) -> Self:
        """Hold the effects, of shape (n_levels, n_outputs), and return self."""
        self.levels_, self.effects_ = levels, effects
        self._unseen = (0.0,) * effects.shape[1]
        self._rows = dict(zip(levels, map(tuple, effects.tolist()), strict=True))
        self._rows[None] = self._unseen
        return self

    @property
    def tags(self) -> list[OutputTag]:
        """One tag an output."""
        n_outputs = self.effects_.shape[1]
        names = [f"effect of {self.column}"]
        if n_outputs > 1:
            names = [f"effect of {self.column} on class {i}" for i in range(n_outputs)]
        return [OutputTag(name, self.column) for name in names]

    def state(self) -> State:
        """Return the groups, those with the most rows first, and their effects."""
        tree = {**audit.tree(self), "levels": self.levels_, "n_outputs": self.effects_.shape[1]}
        return State(tree, {"effects": self.effects_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; levels must be distinct strings, with finite effects for each."""
        new = audit.build(cls, state)
        levels = audit.strings(state, "levels")
        n_outputs = audit.whole(state, "n_outputs", high=_MOST_OUTPUTS)
        if not n_outputs:
            raise audit.wrong(state, "n_outputs", n_outputs, f"an integer from 1 to {_MOST_OUTPUTS}")
        return new.set_learned(levels, audit.array(state, "effects", (len(levels), n_outputs)))
