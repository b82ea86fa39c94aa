"""Levels: what transforms of string columns share. One number list a distinct value, then a take by codes.

The batch path asks the row path once a distinct value, so the two are equal by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.values import Cell, Coded, Columns
from mlwright.features.base import Transform

__all__ = ["LevelTransform", "by_level", "count_levels", "used_levels"]


def used_levels(column: Coded) -> tuple[list[str | None], Ints]:
    """Return the distinct cells that occur (None first, if any is missing), and each row's place among them.

    Examples
    --------
    >>> cells, places = used_levels(Coded(np.array([2, -1, 2], np.int32), ["a", "b", "c"]))
    >>> cells, places.tolist()
    ([None, 'c'], [1, 0, 1])
    """
    shifted = column.codes.astype(np.int64) + 1
    used = np.flatnonzero(np.bincount(shifted, minlength=len(column.levels) + 1))
    place = np.zeros(len(column.levels) + 1, np.int64)
    place[used] = np.arange(len(used))
    return [column.levels[i - 1] if i else None for i in used.tolist()], place[shifted]


def by_level(column: Coded, row: Callable[[Any], Sequence[float]], width: int) -> Floats:
    """Return `row` of every cell as shape (n_rows, width), calling it once a distinct cell."""
    cells, places = used_levels(column)
    table = np.array([row(cell) for cell in cells], dtype=np.float64).reshape(len(cells), width)
    return np.take(table, places, axis=0)


def count_levels(column: Coded) -> list[tuple[str, int]]:
    """Return the levels that occur with their counts: the most frequent first, ties by value.

    Examples
    --------
    >>> count_levels(Coded(np.array([1, 0, -1, 1], np.int32), ["b", "a", "unused"]))
    [('a', 2), ('b', 1)]
    """
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels)).tolist()
    pairs = [(level, count) for level, count in zip(column.levels, counts, strict=True) if count]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


class LevelTransform(Transform):
    """A transform of strings whose row path is a lookup.

    A subclass's `fit` and `from_state` set ``_rows`` (the outputs by level, under None those of missing) and
    ``_unseen`` (those of any other string).
    """

    coded: ClassVar[bool] = True
    _rows: dict[str | None, tuple[float, ...]]
    _unseen: tuple[float, ...]

    def batch(self, columns: Columns) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        column: Any = columns[self.column]
        return by_level(column, self.row, len(self._unseen))

    def row(self, cell: Cell) -> tuple[float, ...]:
        """Return the outputs of the level."""
        return self._rows.get(cell, self._unseen)  # type: ignore[arg-type] - a canonical cell is a string or None
