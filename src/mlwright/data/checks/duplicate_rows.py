"""Duplicate rows: rows that equal an earlier one in every column, the target included."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Role
from mlwright.data.values import Coded

__all__ = ["DuplicateRows"]

_WORTH_A_LOOK = 0.01
_ROOM = 10  # distinct rows that the columns could form, for each row there is
_FINE = 100  # a column with more distinct values, and more than the root of the rows, has room for any row


class DuplicateRows(Check):
    """Rows that are in the table more than once; a random split puts copies into train and test alike.

    Rows are compared by their canonical values in all columns but ignored ones, so that a running number does not
    hide copies. Where the columns have so few values that equal rows must occur by chance, it is no more than a note.
    """

    kind: ClassVar[str] = "duplicate_rows"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding, or none."""
        n_rows = context.table.n_rows
        if n_rows < 2:
            return []
        present = set(context.table.arrow.column_names)
        others = [
            column.name
            for column in context.table.schema.columns
            if column.role not in {Role.FEATURE, Role.TARGET, Role.IGNORED} and column.name in present
        ]
        columns = {**context.columns, **context.table.columns(others)}
        if not columns:
            return []
        hashes = _mix(_bits(np.asarray(context.y, np.float64)))
        room = 1.0
        for values in columns.values():
            bits = _bits(values)
            # A sum of mixed words would forget the order of columns; mixing after each keeps it.
            hashes = _mix(hashes * np.uint64(0x9E3779B97F4A7C15) + bits)
            if room < _ROOM * n_rows:
                distinct = len(np.unique(bits))
                room *= distinct if distinct <= max(_FINE, math.sqrt(n_rows)) else math.inf
        copies = n_rows - len(np.unique(hashes))
        if not copies:
            return []
        by_chance = room < _ROOM * n_rows
        part = copies / n_rows
        severity = Severity.WARN if part > _WORTH_A_LOOK and not by_chance else Severity.INFO
        what = f"{plural(copies, 'row')} of {n_rows:,} ({share(part)}) equal an earlier row in every column."
        advice = (
            "Nothing to do: the columns have so few values that equal rows are expected."
            if by_chance
            else "Drop the copies unless each stands for an event of its own; copies in train and test flatter a model."
        )
        return [Finding(self.kind, severity, (), what, advice)]


def _bits(values: Floats | Coded) -> NDArray[np.uint64]:
    if isinstance(values, Coded):
        return values.codes.astype(np.int64).view(np.uint64)
    # Adding zero makes -0.0 and 0.0 one; every NaN becomes the same NaN.
    return np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter 64-bit words one-to-one: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
