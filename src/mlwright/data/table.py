"""Table: raw columns beside what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlwright.core.types import Ints
from mlwright.data.schema import Schema
from mlwright.data.values import Columns, columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Table"]


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

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return self.arrow.num_rows

    def columns(self, names: list[str] | None = None) -> Columns:
        """Return canonical columns, by default those with the role of a feature."""
        return columns(self.arrow, self.schema, names)

    def take(self, rows: Ints) -> Table:
        """Return the table of `rows`, in that order."""
        return Table(self.arrow.take(rows), self.schema)
