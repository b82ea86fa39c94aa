"""Mixed types: text among numbers, and labels that differ in spelling only."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, TaskKind
from mlwright.data.values import Coded, number, text

__all__ = ["MixedTypes"]

_MOSTLY_NUMBERS = 0.9
_MANY_NUMBERS = 20
_EXAMPLES = 3
_READ = {Kind.NUMERIC: "numbers", Kind.DATETIME: "dates", Kind.BOOLEAN: "yes or no"}


class MixedTypes(Check):
    """Values of two types in one column.

    Found are: text that cannot be read in a column of numbers, dates or booleans (it becomes missing); a category
    column in which at least 90 % of the rows, and more than 20 values, are numbers; a target with numbers and text as
    labels, or with labels that differ in case only.
    """

    kind: ClassVar[str] = "mixed_types"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return the findings on the target first, then those on features in the table's order."""
        present = set(context.table.arrow.column_names)
        found: list[Finding] = []
        target = context.task.target
        if target in present and target in context.table.schema:
            found += self._in_target(context, context.table.schema[target])
        for name, values in context.columns.items():
            column = context.table.schema[name]
            if name not in present:
                continue
            if isinstance(values, Coded):
                found += self._numbers_with_text(column, values)
            else:
                found += self._unreadable(column, values, context.table.arrow.column(name))
        return found

    def _in_target(self, context: CheckContext, column: Column) -> list[Finding]:
        if context.task.kind is TaskKind.REGRESSION:
            values = context.table.columns([column.name])[column.name]
            raw = context.table.arrow.column(column.name)
            return [] if isinstance(values, Coded) else self._unreadable(column, values, raw)
        labels = context.task.labels
        numbers = [label for label in labels if not np.isnan(number(label)) and not isinstance(label, bool)]
        others = [label for label in labels if np.isnan(number(label)) or isinstance(label, bool)]
        if numbers and others:
            what = (
                f"The target '{column.name}' has {plural(len(numbers), 'label')} that "
                f"{'is a number' if len(numbers) == 1 else 'are numbers'} ({named(numbers, _EXAMPLES)}) and "
                f"{len(others):,} that {'is' if len(others) == 1 else 'are'} not ({named(others, _EXAMPLES)})."
            )
            return [self._finding(column.name, what, "Give each class one label at the source.")]
        spelled: dict[str, list[Any]] = {}
        for label in labels:
            spelled.setdefault(str(label).strip().casefold(), []).append(label)
        twins = [same for same in spelled.values() if len(same) > 1]
        if twins:
            what = (
                f"The target '{column.name}' has {len(labels):,} labels of which some differ in case or spaces only, "
                f"such as {named(twins[0], _EXAMPLES)}."
            )
            return [self._finding(column.name, what, "Give each class one spelling at the source.")]
        return []

    def _unreadable(self, column: Column, values: Floats, raw: Any) -> list[Finding]:
        """Find text that was there and could not be read; `raw` is the Arrow column of `values`."""
        from pyarrow import types

        kind = raw.type.value_type if types.is_dictionary(raw.type) else raw.type
        if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
            return []
        gaps = np.isnan(values)
        if not gaps.any():
            return []
        counted = raw.filter(gaps).cast(kind).drop_null().value_counts().to_pylist()
        bad = [(item["counts"], item["values"]) for item in counted if text(item["values"]) is not None]
        if not bad:
            return []
        bad.sort(key=lambda pair: (-pair[0], pair[1]))
        count = sum(pair[0] for pair in bad)
        what = (
            f"{plural(count, 'value')} of {len(values):,} in '{column.name}' cannot be read as "
            f"{_READ[column.kind]}{_examples(column, [pair[1] for pair in bad])}."
        )
        advice = "They count as missing; correct them at the source, or say how they are to be read."
        return [self._finding(column.name, what, advice)]

    def _numbers_with_text(self, column: Column, values: Coded) -> list[Finding]:
        if column.kind is not Kind.CATEGORICAL or column.dtype != "str" or not values.levels:
            return []
        counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
        numeric = ~np.isnan([number(level) for level in values.levels])
        if numeric.sum() <= _MANY_NUMBERS or not counts.sum():
            return []
        part = counts[numeric].sum() / counts.sum()
        if not _MOSTLY_NUMBERS <= part < 1:
            return []
        odd = sorted(
            np.flatnonzero(~numeric & (counts > 0)).tolist(), key=lambda i: (-counts[i], values.levels[i])
        )
        what = (
            f"'{column.name}' is read as categories although {share(float(part))} of its values are numbers; "
            f"{plural(int(counts[odd].sum()), 'value')} {'is' if counts[odd].sum() == 1 else 'are'} text"
            f"{_examples(column, [values.levels[i] for i in odd])}."
        )
        advice = "Make it numeric if the text stands for missing or wrong values."
        return [self._finding(column.name, what, advice)]

    def _finding(self, name: str, what: str, advice: str) -> Finding:
        return Finding(self.kind, Severity.WARN, (name,), what, advice)


def _examples(column: Column, values: list[str]) -> str:
    """Return some values after a colon; none of a personal column."""
    return "" if column.pii else f": {named(values, _EXAMPLES)}"
