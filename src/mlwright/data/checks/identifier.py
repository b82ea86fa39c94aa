"""Identifier: columns that name rows and are therefore left out."""

from __future__ import annotations

from typing import ClassVar

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, plural
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Kind, Role

__all__ = ["Identifier"]


class Identifier(Check):
    """Columns that were taken as identifiers and that no model sees."""

    kind: ClassVar[str] = "identifier"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding for all of them, or none."""
        names = tuple(
            column.name
            for column in context.table.schema.columns
            if column.kind is Kind.ID and column.role is Role.IGNORED
        )
        if not names:
            return []
        what = f"{plural(len(names), 'column')} taken as identifiers and left out: {named(names)}."
        if len(names) == 1:
            what = f"1 column taken as an identifier and left out: {named(names)}."
        advice = "Give a column the role 'feature' if its values mean more than which row it is."
        return [Finding(self.kind, Severity.INFO, names, what, advice)]
