"""Duplicate rows: rows that equal another in every column, the target included, in the table or across a split."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.sides import sides
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Role
from mlwright.data.split import Split
from mlwright.data.values import Coded, Columns

__all__ = ["DuplicateRows"]

_WORTH_A_LOOK = 0.01
_STOP, _FEWEST_TO_STOP = 0.2, 20  # of the user's own test rows
_EXPECTED = "Nothing to do: the columns have so few values that equal rows are expected."
_ROOM = 10  # distinct rows that the columns could form, for each row there is
_FINE = 100  # a column with more distinct values, and more than the root of the rows, has room for any row


class DuplicateRows(Check):
    """Rows that are in the table more than once; a random split puts copies into train and test alike.

    Rows are compared by their canonical values in all columns but ignored ones, so that a running number does not
    hide copies, and it is said how many of the test rows a training row equals. Where the columns have so few values that
    equal rows must occur by chance, it is no more than a note. The user's own test rows are held against the training
    table: where a fifth of them or more are in it, the run stops.
    """

    kind: ClassVar[str] = "duplicate_rows"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding for the table, and one for the user's own test rows; or none."""
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
        hashes, room = _hashed(columns, context.y)
        by_chance = room < _ROOM * n_rows
        found = self._in_table(hashes, context.split, by_chance=by_chance)
        return self._own(context, list(columns), by_chance=by_chance) + found

    def _in_table(self, hashes: NDArray[np.uint64], split: Split | None, *, by_chance: bool) -> list[Finding]:
        n_rows = len(hashes)
        copies = n_rows - len(np.unique(hashes))
        if not copies:
            return []
        part = copies / n_rows
        what = f"{plural(copies, 'row')} of {n_rows:,} ({share(part)}) equal an earlier row in every column"
        if split is not None and len(split.test):
            crossing = int(np.isin(hashes[split.test], hashes[split.train]).sum())
            part = max(part, crossing / len(split.test))
            what += f"; {crossing:,} of the {len(split.test):,} test rows ({share(crossing / len(split.test))}) are copies of training rows"
        severity = Severity.WARN if part > _WORTH_A_LOOK and not by_chance else Severity.INFO
        advice = (
            _EXPECTED
            if by_chance
            else "Drop the copies unless each stands for an event of its own; copies in train and test flatter a model."
        )
        return [Finding(self.kind, severity, (), f"{what}.", advice)]

    def _own(self, context: CheckContext, names: list[str], *, by_chance: bool) -> list[Finding]:
        """Look for training rows in the user's own test part."""
        both = None if context.test is None else sides(context, names)
        if both is None or not both.columns:
            return []
        hashes, _ = _hashed(both.columns, both.y)
        tested = hashes[both.is_test]
        copies = int(np.isin(tested, hashes[~both.is_test]).sum())
        if not copies:
            return []
        part = copies / len(tested)
        # By chance a test row has its like as often as a training row has among the others.
        _, of, times = np.unique(hashes[~both.is_test], return_inverse=True, return_counts=True)
        by_chance = by_chance and part <= _WORTH_A_LOOK + 2 * float((times[of] > 1).mean())
        severity = Severity.INFO if by_chance or part <= _WORTH_A_LOOK else Severity.WARN
        if severity is Severity.WARN and part >= _STOP and copies >= _FEWEST_TO_STOP:
            severity = Severity.STOP
        what = f"{plural(copies, 'row')} of your own {len(tested):,} test rows ({share(part)}) are in the training table as well, equal in every column."
        advice = (
            _EXPECTED
            if by_chance
            else "Take these rows out of the training table, or out of the test: what was learned by heart proves nothing."
        )
        return [Finding(self.kind, severity, (), what, advice)]


def _hashed(columns: Columns, y: Floats) -> tuple[NDArray[np.uint64], float]:
    """Return a hash a row, and how many different rows the columns have room for (no further than is asked)."""
    n_rows = len(y)
    hashes = _mix(_bits(np.asarray(y, np.float64)))
    room = 1.0
    for values in columns.values():
        bits = _bits(values)
        # A sum of mixed words would forget the order of columns; mixing after each keeps it.
        hashes = _mix(hashes * np.uint64(0x9E3779B97F4A7C15) + bits)
        if room < _ROOM * n_rows:
            distinct = len(np.unique(bits))
            room *= distinct if distinct <= max(_FINE, math.sqrt(n_rows)) else math.inf
    return hashes, room


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
