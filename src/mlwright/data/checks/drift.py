"""Drift: columns whose values in the test rows are others than in the training rows.

False discoveries are controlled over all columns (Benjamini and Hochberg), and a difference must be large enough to matter,
so that trifles in long tables are no finding.

References
----------
Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.seeds import generator
from mlwright.core.types import Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.telling import auc_range, told_by
from mlwright.data.checks.two_samples import Shift, joined, shifts
from mlwright.data.checks.wording import named, plural
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Kind
from mlwright.data.values import Coded, Columns, take

__all__ = ["Drift"]

_MOST_ROWS, _FEWEST_ROWS, _CELLS = 10_000, 50, 2_000_000  # of each part; of both, times columns
_FALSE = 0.01  # of the columns that are said to differ, at most so many on average do not
_SMALL, _LARGE = 0.1, 0.25  # of the rows would have to change for the parts to be alike
_MOST_TOLD = 3
_Z = 1.96


class Drift(Check):
    """Features that differ between training and test rows, beyond chance and by enough to matter.

    A finding that warns needs a quarter of the rows to differ; from a tenth on it is noted. Moments are left out where the
    split is by time. Up to 10,000 rows of each part are looked at.
    """

    kind: ClassVar[str] = "drift"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding for each of the three columns that differ most, and one for the others."""
        parts = _parts(context)
        if parts is None:
            return []
        train, test, groups = parts
        found = shifts(train, test, groups, context.table.schema.personal)
        names = _discovered(found)
        if not names:
            return []
        told = [name for name in names[:_MOST_TOLD] if found[name].size >= _LARGE]
        rest = [name for name in names if name not in told]
        timed = context.split is not None and context.split.kind == "time" and context.test is None
        findings = [
            Finding(self.kind, Severity.WARN, (name,), _what(name, found[name]), _advice(timed=timed))
            for name in told
        ]
        apart = _apart(train, test, names)
        if rest:
            what = f"{_what(rest[0], found[rest[0]])}{_others(rest[1:])}"
            findings.append(Finding(self.kind, Severity.INFO, tuple(rest), what, _advice(timed=timed)))
        first = findings[0]
        findings[0] = Finding(self.kind, first.severity, first.columns, first.what + apart, first.advice)
        return findings


def _what(name: str, shift: Shift) -> str:
    return f"'{name}' differs between training and test rows: {shift.said}."


def _others(names: list[str]) -> str:
    if not names:
        return ""
    return f" So {'does' if len(names) == 1 else 'do'} {plural(len(names), 'more column') if len(names) > 5 else named(names)}."


def _advice(*, timed: bool) -> str:
    if timed:
        return "Expect more of it after the test rows: watch these columns, and retrain in time."
    return "Find out why the test rows are others; the score is for rows like the test rows, learned from others."


def _parts(context: CheckContext) -> tuple[Columns, Columns, NDArray[np.int64] | None] | None:
    """Return the features of training and test rows, and which of both belong together; None if there is no test."""
    split, test = context.split, context.test
    if split is None or (test is None and not len(split.test)):
        return None
    schema = context.table.schema
    names = [
        name for name in context.columns if split.kind != "time" or schema[name].kind is not Kind.DATETIME
    ]
    n_test = test.n_rows if test is not None else len(split.test)
    if min(len(split.train), n_test) < _FEWEST_ROWS or not names:
        return None
    most = min(_MOST_ROWS, max(1_000, _CELLS // len(names)))
    train_rows = split.train[_evenly(len(split.train), most)]
    kept = {name: context.columns[name] for name in names}
    if test is not None:
        some = test.take(_evenly(test.n_rows, most))
        return take(kept, train_rows), some.columns(names), None
    test_rows = split.test[_evenly(n_test, most)]
    groups = None
    if split.kind == "group" and split.column is not None:
        values = context.table.columns([split.column])[split.column]
        raw = values.codes if isinstance(values, Coded) else values
        rows = np.concatenate([train_rows, test_rows])
        groups = np.unique(raw[rows], return_inverse=True)[1].ravel().astype(np.int64)
    return take(kept, train_rows), take(kept, test_rows), groups


def _evenly(n_rows: int, most: int) -> Ints:
    return np.arange(n_rows) if n_rows <= most else np.linspace(0, n_rows - 1, most).astype(np.int64)


def _discovered(found: dict[str, Shift]) -> list[str]:
    """Return the columns that differ beyond chance and by enough, the largest difference first."""
    order = sorted(found, key=lambda name: found[name].chance)
    n = len(order)
    passed = [i for i, name in enumerate(order) if found[name].chance <= _FALSE * (i + 1) / n]
    kept = order[: passed[-1] + 1] if passed else []
    return sorted((name for name in kept if found[name].size >= _SMALL), key=lambda name: -found[name].size)


def _apart(train: Columns, test: Columns, names: list[str]) -> str:
    """Return how well these columns tell a test row from a training row, in a sentence; "" where they hardly do."""
    both = {name: joined(train[name], test[name]) for name in names}
    sizes = [
        len(part.codes if isinstance(part, Coded) else part) for part in (train[names[0]], test[names[0]])
    ]
    yes = np.repeat([False, True], sizes)
    fold = generator(0, "drift", "folds").permutation(np.arange(len(yes)) % 5)
    scores = told_by(both, names, fold, yes)
    if not scores:
        return ""
    told = auc_range(np.sum(list(scores.values()), axis=0), yes, _Z)
    return f" Together the columns that differ tell a test row from a training row with AUC {told.auc:.2f} (0.5 is chance)."
