"""Cells of one raw column: what is there, counted once, whatever the Arrow type is.

Everything here is a function of the canonical cells, so that it is equal for one content in any file format.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.values import Coded, columns, encode, matches, numbers, reader, text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Facts", "RawColumn"]


# Written infinities are missing, as infinite floats are.
_INFINITE = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


class Facts(NamedTuple):
    """What the canonical cells of a column hold."""

    n_present: int
    n_distinct: int
    low: float | None
    high: float | None
    levels: tuple[str, ...]  # most frequent first, ties by value; empty for numbers


class RawColumn:
    """One raw column and the ways to look at it; each look is taken once.

    Parameters
    ----------
    name : str
        The column's name.
    raw : pyarrow.ChunkedArray of n_rows
        Its values, of any type.
    """

    def __init__(self, name: str, raw: pa.ChunkedArray) -> None:
        self.name = name
        self.raw = raw
        if self.family == "text":  # every later look goes over the distinct texts
            import pyarrow as pa

            self.raw = pa.chunked_array([encode(raw)])
        self.n_rows = len(raw)
        self._read: dict[str, Any] = {}

    @cached_property
    def family(self) -> str:
        """What the values are before anyone interprets them: bool, number, time, text, or nested (no cell)."""
        from pyarrow import types

        kind = self.raw.type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_boolean(kind):
            return "bool"
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return "number"
        if types.is_timestamp(kind) or types.is_date(kind):
            return "time"
        is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
        return "text" if is_text or types.is_null(kind) else "nested"

    def cells(self, column: Column) -> Floats | Coded:
        """Return the canonical cells under `column`'s reading."""
        coded = column.kind not in {Kind.NUMERIC, Kind.BOOLEAN, Kind.DATETIME}
        key = f"{column.kind} {column.dtype}" if coded else f"{column.kind} {column.format}"
        if key not in self._read:
            import pyarrow as pa

            table = pa.Table.from_arrays([self.raw], names=[self.name])
            self._read = {
                key: columns(table, Schema((column,)), [self.name])[self.name]
            }  # the last reading only
        return self._read[key]

    def floats(self, column: Column) -> Floats:
        """Return the canonical cells of a numeric, boolean or datetime reading."""
        return cast("Floats", self.cells(column))

    def coded(self, column: Column) -> Coded:
        """Return the canonical cells of any other reading."""
        return cast("Coded", self.cells(column))

    def numbers(self, form: dict[str, Any] | None = None) -> Floats:
        """Return the numbers in row order, NaN where there is none."""
        return self.floats(Column(self.name, Kind.NUMERIC, format=form or {}))

    @cached_property
    def _encoded(self) -> tuple[pa.Array, np.ndarray]:
        """The distinct raw texts and how many rows hold each."""
        encoded = encode(self.raw)
        codes = encoded.indices.drop_null().to_numpy()
        return encoded.dictionary, np.bincount(codes, minlength=len(encoded.dictionary))

    @cached_property
    def _parsed(self) -> Floats:
        """The number in every distinct raw text, NaN where it holds none."""
        return numbers(self._encoded[0], {})

    @cached_property
    def words(self) -> tuple[list[str], np.ndarray]:
        """The distinct texts that are no plain numbers and not missing, and how many rows hold each."""
        strings, counts = self._encoded
        odd = np.flatnonzero(np.isnan(self._parsed) & (counts > 0))
        total: dict[str, int] = {}
        for value, count in zip(strings.take(odd).to_pylist(), counts[odd], strict=True):
            word = text(value)
            if word is not None and word.lower() not in _INFINITE:
                total[word] = total.get(word, 0) + int(count)
        return list(total), np.fromiter(total.values(), np.int64, len(total))

    @cached_property
    def all_words(self) -> tuple[list[str], np.ndarray]:
        """All distinct texts that are not missing, and how many rows hold each."""
        cells = self.coded(Column(self.name, Kind.CATEGORICAL))
        return cells.levels, np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.levels))

    @cached_property
    def n_present(self) -> int:
        """How many rows hold anything but a missing value; an infinite number is missing."""
        if self.family == "text":
            return int(self._encoded[1][~np.isnan(self._parsed)].sum() + self.words[1].sum())
        if self.family == "number":
            return int(np.isfinite(self.numbers()).sum())
        if self.family == "nested":
            return 0
        return self.n_rows - self.raw.null_count

    @cached_property
    def share_of_numbers(self) -> float:
        """Which share of the present values are plain numbers."""
        if self.family == "number":
            return 1.0
        if self.family != "text" or not self.n_present:
            return 0.0
        return 1.0 - self.words[1].sum() / self.n_present

    @cached_property
    def differs(self) -> bool:
        """Whether the first rows already hold several values; a cheap look before a whole one."""
        if self.family == "nested":
            return False
        column = Column(self.name, Kind.NUMERIC if self.share_of_numbers == 1.0 else Kind.CATEGORICAL)
        return RawColumn(self.name, self.raw.slice(0, 1000)).facts(column).n_distinct > 1

    @cached_property
    def has_leading_zeros(self) -> bool:
        """Whether a text is a whole number that starts with a zero, as codes do."""
        if self.family != "text":
            return False
        return bool(matches(self._encoded[0], r"^\s*0[0-9]+\s*$").any())

    def unread(self, column: Column) -> list[str]:
        """Return the texts that `column`'s reading cannot read, most frequent first."""
        if self.family != "text":
            return []
        words, counts = self.words if not column.format else self.all_words
        read = reader(column)
        order = sorted(range(len(words)), key=lambda i: (-counts[i], words[i]))
        return [words[i] for i in order if read(words[i]) != read(words[i])]

    def facts(self, column: Column) -> Facts:
        """Return what the canonical cells under `column`'s reading hold."""
        cells = self.cells(column)
        if isinstance(cells, Coded):
            counts = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.levels))
            seen = [i for i in range(len(cells.levels)) if counts[i]]
            order = sorted(seen, key=lambda i: (-counts[i], cells.levels[i]))
            levels = tuple(cells.levels[i] for i in order[:1000])
            return Facts(int(counts.sum()), len(seen), None, None, levels)
        present = cells[~np.isnan(cells)]
        ranged = column.kind in {Kind.NUMERIC, Kind.DATETIME} and present.size > 0
        low, high = (float(present.min()) + 0.0, float(present.max()) + 0.0) if ranged else (None, None)
        return Facts(present.size, np.unique(present).size, low, high, ())
