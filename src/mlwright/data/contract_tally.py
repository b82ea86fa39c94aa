"""Holding tables against a contract: counted batch by batch, judged at the end."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.contract import LONGEST, Contract, Expected
from mlwright.data.schema import Kind, Schema
from mlwright.data.values import Coded, Columns, columns, text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Breach", "Tally"]

_OF_ROWS = ("unread", "far", "unlisted", "misshapen")
_UNREAD = {Kind.NUMERIC: "a number", Kind.BOOLEAN: "true or false", Kind.DATETIME: "a date or a time"}


@dataclass(frozen=True, slots=True)
class Breach:
    """How a table breaks what the contract says of a column.

    Parameters
    ----------
    column : str
        Which one; "" for the whole table.
    what : tuple of str
        Each thing that is wrong, with its number.
    refuse : bool
        Whether the contract refuses a record for it.
    n_rows : int
        How many rows break it, at least; 0 where no row does.
    """

    column: str
    what: tuple[str, ...]
    refuse: bool
    n_rows: int = 0

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        who = f"'{self.column}'" if self.column else "The table"
        return f"{who} breaks the contract: {'; '.join(self.what)}."

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "column": self.column,
            "what": list(self.what),
            "on_violation": "refuse" if self.refuse else "warn",
        }


@dataclass(slots=True)
class Tally:
    """Counts what breaks a contract.

    Parameters
    ----------
    contract : Contract
        What must hold.
    schema : Schema
        How columns are read where their kind is that of the contract.
    only : collection of str, optional
        The columns that are looked at; by default all of the contract.

    Examples
    --------
    >>> import pyarrow as pa
    >>> contract = Contract((Expected("age", Kind.NUMERIC, missing=0.0, low=0.0, high=120.0),))
    >>> tally = Tally(contract, Schema(()))
    >>> tally.add(pa.table({"age": [30, 31, 400]}))
    >>> [breach.sentence for breach in tally.breaches()]
    ["'age' breaks the contract: 1 of 3 values outside 0 to 120."]
    """

    contract: Contract
    schema: Schema
    only: frozenset[str] | None = None
    n_rows: int = 0
    _counts: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def expected(self) -> tuple[Expected, ...]:
        """The columns that are looked at."""
        return tuple(c for c in self.contract.columns if self.only is None or c.name in self.only)

    def add(self, table: pa.Table, canonical: Columns | None = None) -> None:
        """Count the rows of a table; of `canonical` columns, read by the schema, those that the contract reads so are taken."""
        ready = {} if canonical is None else canonical
        present = frozenset(table.column_names)
        known = {column.name: column for column in self.schema.columns}
        self.n_rows += table.num_rows
        for expected in self.expected:
            counts = self._counts.setdefault(expected.name, Counter())
            if expected.name not in present:
                counts["absent"] += 1
                continue
            raw = table.column(expected.name)
            reading = expected.reading(known.get(expected.name))
            if expected.name in ready and reading is known.get(expected.name):
                values = ready[expected.name]
            else:
                one = table.select([expected.name])
                values = columns(one, Schema((reading,)), [expected.name])[expected.name]
            counts.update(_counted(expected, values, raw))

    def merge(self, other: Tally) -> None:
        """Count what another tally of the same contract has counted."""
        self.n_rows += other.n_rows
        for name, counts in other._counts.items():
            self._counts.setdefault(name, Counter()).update(counts)

    def breaches(self, *, training: bool = False, each_row: bool = False) -> list[Breach]:
        """Return what is broken, in the order of the contract.

        Parameters
        ----------
        training : bool, default=False
            Whether what is asked of a whole table counts too: its rows, and values that must differ.
        each_row : bool, default=False
            Whether a single row breaks it, as a record does; then nothing is said of shares.
        """
        found: list[Breach] = []
        if training and self.n_rows < self.contract.min_rows:
            found.append(
                Breach(
                    "",
                    (f"{self.n_rows:,} rows, and at least {self.contract.min_rows:,} are asked for",),
                    refuse=True,
                )
            )
        for expected in self.expected:
            counts = self._counts.get(expected.name, Counter())
            allowed = 0.0 if each_row else self.contract.tolerance * self.n_rows
            most = self._most_missing(expected, each_row=each_row)
            what = tuple(self._faults(expected, counts, allowed, most, training=training))
            if what:
                rows = max(
                    counts["missing"] if counts["missing"] > most else 0, *(counts[key] for key in _OF_ROWS)
                )
                found.append(Breach(expected.name, what, expected.refuse, rows))
        return found

    def _most_missing(self, expected: Expected, *, each_row: bool) -> float:
        """Return how many values may be missing: the share, and in a small table as many more as chance brings."""
        share, n_rows = expected.missing, self.n_rows
        if each_row and share > 0:
            return float(n_rows)
        return share * n_rows + 3 * math.sqrt(n_rows * share * (1 - share))

    def _faults(
        self, expected: Expected, counts: Counter[str], allowed: float, most: float, *, training: bool
    ) -> Iterable[str]:
        n_rows = self.n_rows
        if counts["absent"]:
            if training or expected.missing < 1:
                yield "the column is not there"
            return
        if counts["unread"] > allowed:
            yield f"{counts['unread']:,} of {n_rows:,} values cannot be read as {_UNREAD[expected.kind]}"
        gaps = counts["missing"] - counts["unread"]
        if gaps > most:
            yield f"{gaps:,} of {n_rows:,} values missing, and at most {_percent(expected.missing)} may be"
        if counts["far"] > allowed:
            yield f"{counts['far']:,} of {n_rows:,} values outside {expected.span}"
        if counts["unlisted"] > allowed:
            yield f"{counts['unlisted']:,} of {n_rows:,} values in categories that are not listed"
        if counts["misshapen"] > allowed:
            yield f"{counts['misshapen']:,} of {n_rows:,} values not of the form {expected.pattern}"
        if training and counts["twice"]:
            yield f"{counts['twice']:,} values more than once, and each must differ"


def _percent(share: float) -> str:
    return "none" if share == 0 else f"{100 * share:.3g} %"


def _counted(expected: Expected, values: Floats | Coded, raw: pa.ChunkedArray) -> Counter[str]:
    counts: Counter[str] = Counter()
    if isinstance(values, Coded):
        present = values.codes[values.codes >= 0]
        counts["missing"] = len(values.codes) - len(present)
        rows = np.bincount(present, minlength=len(values.levels))
        if expected.levels is not None:
            allowed = frozenset(expected.levels)
            odd = [i for i, level in enumerate(values.levels) if level not in allowed]
            counts["unlisted"] = int(rows[odd].sum())
        if expected.pattern is not None:
            match = re.compile(expected.pattern).fullmatch
            odd = [i for i, level in enumerate(values.levels) if len(level) > LONGEST or not match(level)]
            counts["misshapen"] = int(rows[odd].sum())
        if expected.unique:
            counts["twice"] = int((rows > 1).sum())
        return counts
    gaps = np.isnan(values)
    counts["missing"] = int(gaps.sum())
    if counts["missing"]:
        counts["unread"] = _unread(raw.filter(_mask(gaps)))
    present = values[~gaps]
    low = -np.inf if expected.low is None else expected.low
    high = np.inf if expected.high is None else expected.high
    counts["far"] = int(((present < low) | (present > high)).sum())
    if expected.unique:
        counts["twice"] = int((np.unique(present, return_counts=True)[1] > 1).sum())
    return counts


def _mask(rows: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows)


def _unread(raw: pa.ChunkedArray) -> int:
    """Return how many values of a column that were read as missing are there in truth."""
    import pyarrow as pa
    from pyarrow import types

    kind = raw.type.value_type if types.is_dictionary(raw.type) else raw.type
    if types.is_floating(kind) or types.is_null(kind):
        return 0
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        return len(raw) - raw.null_count
    counted = raw.cast(pa.string()).drop_null().value_counts().to_pylist()
    return sum(item["counts"] for item in counted if text(item["values"]) is not None)
