"""TextStatistics: how a text is written, whatever it says: its length, capitals, digits and marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from mlwright.bundle.state import State
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Columns
from mlwright.features import audit
from mlwright.features.base import OutputTag, Transform
from mlwright.features.levels import by_level
from mlwright.features.vocabulary import MAX_CHARACTERS

__all__ = ["TextStatistics"]

_NAMES = ("mean word length", "share of capitals", "share of digits", "share of marks", "! and ?", "lines")
_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class TextStatistics(Transform):
    """Mean length of a word, shares of capitals, digits and ASCII punctuation, exclamation and question marks, lines.

    A missing text is NaN in all of them.

    Parameters
    ----------
    column : str
        The raw column's name.

    Examples
    --------
    >>> import numpy as np
    >>> from mlwright.data.values import Coded
    >>> notes = {"note": Coded(np.array([0], np.int32), ["No HEAT!"])}
    >>> TextStatistics("note").fit(notes, np.zeros(1), n_classes=0, seed=0).row("No HEAT!")
    [3.5, 0.625, 0.0, 0.125, 1.0, 1.0]
    """

    kind: ClassVar[str] = "text_statistics"
    coded: ClassVar[bool] = True

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:  # noqa: ARG002 - the seam's
        """Learn nothing."""
        return self

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, 6), with each distinct text read once."""
        column: Any = columns[self.column]
        return by_level(column, self.row, len(_NAMES))

    def row(self, cell: Cell) -> Sequence[float]:
        """Return the six numbers."""
        if cell is None:
            return [math.nan] * len(_NAMES)
        text = str(cell)[:MAX_CHARACTERS]
        n = max(1, len(text))
        parts = text.split()
        characters = sum(map(len, parts))
        return [
            characters / max(1, len(parts)),
            sum(map(str.isupper, text)) / n,
            sum(map(str.isdigit, text)) / n,
            sum(map(_MARKS.__contains__, text)) / n,
            float(text.count("!") + text.count("?")),
            float(text.count("\n") + 1),
        ]

    @property
    def tags(self) -> list[OutputTag]:
        """One tag a number."""
        return [OutputTag(f"{self.column}: {name}", self.column) for name in _NAMES]

    def state(self) -> State:
        """Return the kind and the column."""
        return State(audit.tree(self))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again."""
        return audit.build(cls, state)
