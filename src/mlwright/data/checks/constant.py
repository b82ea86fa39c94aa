"""Constant: columns that hold one value, or none."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, plural
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Kind, Role
from mlwright.data.values import Coded

__all__ = ["Constant"]

_FEWEST_ROWS = 2


class Constant(Check):
    """Columns that tell rows apart in nothing: one value in every row, or no value at all.

    A column with one value and some gaps is not constant, because the gaps may mean something.
    """

    kind: ClassVar[str] = "constant"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding for the empty columns and one for the constant ones."""
        if context.table.n_rows < _FEWEST_ROWS:
            return []
        empty: list[str] = []
        constant: list[str] = []
        present = set(context.table.arrow.column_names)
        for column in context.table.schema.columns:
            left_out = column.kind is Kind.CONSTANT and column.role is Role.IGNORED
            if not (column.name in context.columns or (left_out and column.name in present)):
                continue
            name = column.name
            values = context.columns[name] if name in context.columns else context.table.columns([name])[name]
            if isinstance(values, Coded):
                missing, same = values.codes < 0, values.codes == values.codes[0]
            else:
                missing, same = np.isnan(values), values == values[0]
            if missing.all():
                empty.append(name)
            elif not missing.any() and same.all():
                constant.append(name)
        findings = []
        if empty:
            what = f"{plural(len(empty), 'column')} without any value: {named(empty)}."
            findings.append(Finding(self.kind, Severity.INFO, tuple(empty), what, _ADVICE))
        if constant:
            what = f"{plural(len(constant), 'column')} with the same value in every row: {named(constant)}."
            findings.append(Finding(self.kind, Severity.INFO, tuple(constant), what, _ADVICE))
        return findings


_ADVICE = "A model can learn nothing from them; look at the source if they should vary."
