"""Order: rows, or the numbers that rows were given, that stand in the order of the outcome.

A number that names a row says nothing of what the row is about. Where it tells the target all the same, it was given
out after the outcome, or outcomes were numbered apart: yes from 1 on, no from 50,000 on.
"""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.one_feature import cells, out_of_fold_auc, out_of_fold_r2
from mlwright.data.checks.wording import shown
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, TaskKind
from mlwright.data.split_names import is_id_name
from mlwright.data.values import Coded

__all__ = ["Order"]

_MOST_ROWS = 20_000
_FEWEST_ROWS, _FEWEST_OF_CLASS = 100, 20
_FEWEST_VALUES = 50
_MOST_COLUMNS = 20
_WARN_AUC, _WARN_R2 = 0.85, 0.5
_STOP = 0.98
_SORTED, _FEW_CHANGES = 0.98, 0.05  # rank correlation; of what chance would have
_WITH_TIME = 0.98
_N_FOLDS = 5
_MOST_PREFIXES = 50
_PARTS = re.compile(r"^(.*?)(\d{1,15})\D*$")


class Order(Check):
    """Identifiers, and the order of the rows itself, that tell the target.

    An identifier that a model would see stops from an AUC of 0.98 (R2 of 0.98) on, out of fold; any warns from 0.85 (0.5)
    on, since what else was made with the numbering may know the answer, too. Rows that stand in the order of the target
    warn of the file and name no column. What merely goes with the time of a time split is passed over.
    """

    kind: ClassVar[str] = "order"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding an identifier that tells the target, then one for the order of the rows."""
        rows = np.flatnonzero(~np.isnan(context.y))
        classes = context.task.kind is not TaskKind.REGRESSION
        if classes and len(rows):
            codes = context.y[rows].astype(np.int64)
            rows = rows[np.bincount(codes)[codes] >= _FEWEST_OF_CLASS]
        if len(rows) > _MOST_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(np.int64)]
        if len(rows) < _FEWEST_ROWS or context.y[rows].min() == context.y[rows].max():
            return []
        y = context.y[rows]
        if classes:
            y = np.unique(y, return_inverse=True)[1].astype(np.float64)
        fold = generator(0, "order", "folds").permutation(np.arange(len(rows)) % _N_FOLDS)
        time = _time(context, rows)
        found = []
        for column in _identifiers(context):
            values = context.table.columns([column.name])[column.name]
            values = Coded(values.codes[rows], values.levels) if isinstance(values, Coded) else values[rows]
            finding = self._identifier(column, values, y, fold, time, classes=classes)
            if finding is not None:
                found.append(finding)
        found.sort(key=lambda finding: finding.severity is not Severity.STOP)
        return found + self._rows(context, y, classes=classes)

    def _identifier(
        self,
        column: Column,
        values: Floats | Coded,
        y: Floats,
        fold: Ints,
        time: Floats | None,
        *,
        classes: bool,
    ) -> Finding | None:
        """Return a finding if the numbers of an identifier, or the letters before them, tell the target."""
        name, numbers, prefixes = column.name, *_read(values)
        if numbers is not None and time is not None and abs(_rank_correlation(numbers, time)) >= _WITH_TIME:
            return None  # numbered as time went on: what the time tells is no secret
        score, what = 0.0, ""
        if numbers is not None and len(np.unique(numbers)) >= _FEWEST_VALUES:
            score = _tells(numbers, y, fold, classes=classes)
            what = f"The order of '{name}' tells the target"
        if prefixes is not None and (of_letters := _tells(prefixes, y, fold, classes=classes)) > score:
            score, what = of_letters, f"The letters before the numbers of '{name}' tell the target"
        if score < (_WARN_AUC if classes else _WARN_R2):
            return None
        evidence = f"{what} ({'AUC' if classes else 'R2 of its ranks'} {shown(score)} out of fold), and an identifier should tell nothing of it."
        if column.role is Role.FEATURE:
            advice = f"Leave '{name}' out, and what else was made of it or in its order; if it is no identifier, accept 'order:{name}'."
            return Finding(
                self.kind, Severity.STOP if score >= _STOP else Severity.WARN, (name,), evidence, advice
            )
        advice = f"No model sees '{name}', but leave out what else was made of it or in its order, and ask how it was given out."
        return Finding(self.kind, Severity.WARN, (name,), evidence, advice)

    def _rows(self, context: CheckContext, y: Floats, *, classes: bool) -> list[Finding]:
        """Return a finding if the rows stand in the order of the target, time and groups aside."""
        if context.split is not None and context.split.kind in {"time", "group"}:
            return []
        if classes:
            changes, by_chance = _changes(y)
            if changes > _FEW_CHANGES * by_chance:
                return []
            evidence = f"from one row to the next the class changes {changes:,} times, where {by_chance:,.0f} were to be expected"
        else:
            number = np.arange(len(y), dtype=np.float64)
            score = abs(_rank_correlation(number, y))
            if score < _SORTED * _rank_correlation(number, np.sort(y)):  # the most that equal targets let be
                return []
            evidence = f"rank correlation of the row number {shown(score)}"
        what = f"The rows of the file stand in the order of the target ({evidence})."
        advice = (
            "Nothing is learned from the order of rows; leave out columns that were made from it, such as a running number, "
            "and never split by it."
        )
        return [Finding(self.kind, Severity.WARN, (), what, advice)]


def _identifiers(context: CheckContext) -> list[Column]:
    """Return the columns that name rows or things, by kind or by name."""
    present = set(context.table.arrow.column_names)
    found = []
    for column in context.table.schema.columns:
        if column.name not in present or column.role not in {Role.FEATURE, Role.IGNORED, Role.ENTITY}:
            continue
        if column.kind is Kind.ID or (
            column.kind in {Kind.NUMERIC, Kind.CATEGORICAL, Kind.TEXT}
            and column.dtype in {"int", "str"}
            and is_id_name(column.name)
        ):
            found.append(column)
    return found[:_MOST_COLUMNS]


def _read(values: Floats | Coded) -> tuple[Floats | None, Coded | None]:
    """Return the number in each value, and what stands before it where that differs; None for what is not there."""
    if not isinstance(values, Coded):
        return values, None
    used = np.unique(values.codes[values.codes >= 0])
    parts = [_PARTS.match(values.levels[code]) for code in used.tolist()]
    numbers = np.full(len(values.levels) + 1, np.nan)
    letters = np.full(len(values.levels) + 1, -1, np.int32)
    prefixes: dict[str, int] = {}
    n_read = 0
    for code, part in zip(used.tolist(), parts, strict=True):
        if part is not None:
            n_read += 1
            numbers[code] = float(part[2])
            letters[code] = prefixes.setdefault(part[1], len(prefixes))
    if n_read < 0.9 * len(used):
        return None, None
    several = 2 <= len(prefixes) <= _MOST_PREFIXES
    return numbers[values.codes], Coded(letters[values.codes], list(prefixes)) if several else None


def _changes(codes: Floats) -> tuple[int, float]:
    """Return how often the class changes from one row to the next, and how often it would in a random order."""
    shares = np.bincount(codes.astype(np.int64)) / len(codes)
    return int(np.count_nonzero(np.diff(codes))), len(codes) * (1.0 - float((shares**2).sum()))


def _tells(values: Floats | Coded, y: Floats, fold: Ints, *, classes: bool) -> float:
    cut = cells(values, fold)
    if cut.cell.max() == 0:
        return 0.0
    if classes:  # of the class that it tells best: no class should be told
        which = range(1, 2) if y.max() == 1 else range(int(y.max()) + 1)
        return max(out_of_fold_auc(cut, values, (y == each).astype(np.int64), 2) for each in which)
    ranks = _ranks(y)  # so that a few large targets do not hide what is told of all
    return out_of_fold_r2(cut, values, ranks / len(ranks), neighbours=False)


def _time(context: CheckContext, rows: Ints) -> Floats | None:
    split = context.split
    column = None if split is None or split.kind != "time" else split.column
    if column is None or column not in context.table.arrow.column_names:
        return None
    values = context.table.columns([column])[column]
    return None if isinstance(values, Coded) else values[rows]


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation of the rows in which both are there, ties by their mean rank."""
    known = ~(np.isnan(a) | np.isnan(b))
    if known.sum() < 3:
        return 0.0
    first, second = _ranks(a[known]), _ranks(b[known])
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, size = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(size) - (size - 1) / 2.0)[place]
