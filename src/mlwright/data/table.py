"""Table: raw columns beside what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Column, Schema
from mlwright.data.values import Coded, Columns, columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Table"]

_KEPT_BYTES = 2**30  # of canonical columns; what comes after is read again each time
_LEVEL_BYTES = 80  # about what a short string takes


@dataclass(frozen=True, slots=True)
class Table:
    """Raw Arrow columns and the schema that says how to read them.

    Parameters
    ----------
    arrow : pyarrow.Table of n_rows
        Raw values, as the source has them.
    schema : Schema
        One column each, same order.
    """

    arrow: pa.Table
    schema: Schema
    _kept: dict[str, tuple[Column, Floats | Coded]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return self.arrow.num_rows

    def columns(self, names: list[str] | None = None) -> Columns:
        """Return canonical columns, by default those with the role of a feature.

        Every check asks for them, so they are read once and kept: nobody may write into them, and NumPy lets nobody.
        """
        wanted = [column.name for column in self.schema.features] if names is None else names
        new = [name for name in wanted if name not in self._kept]
        read = columns(self.arrow, self.schema, new) if new else {}
        # A copy, made in one step: another thread may keep a column meanwhile.
        room = _KEPT_BYTES - sum(_size(values) for _, values in list(self._kept.values())) if new else 0
        for name, values in read.items():
            room -= _size(values)
            if room >= 0:
                (values.codes if isinstance(values, Coded) else values).setflags(write=False)
                self._kept[name] = self.schema[name], values
        return {name: read[name] if name in read else self._kept[name][1] for name in wanted}

    def with_schema(self, schema: Schema) -> Table:
        """Return the same rows under another schema; what that reads alike is not read again."""
        table = Table(self.arrow, schema)
        same = {column.name: column for column in schema.columns}
        for name, (column, values) in list(self._kept.items()):
            if name in same and _reading(same[name]) == _reading(column):
                table._kept[name] = same[name], values
        return table

    def take(self, rows: Ints) -> Table:
        """Return the table of `rows`, in that order."""
        return Table(self.arrow.take(rows), self.schema)


def _reading(column: Column) -> tuple[object, ...]:
    """Return what decides how a column's values are read."""
    return column.kind, column.dtype, column.format, column.levels


def _size(values: Floats | Coded) -> int:
    if isinstance(values, Coded):
        return values.codes.nbytes + _LEVEL_BYTES * len(values.levels)
    return values.nbytes
