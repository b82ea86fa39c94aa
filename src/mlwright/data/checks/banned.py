"""Banned: columns that the project forbids and the table has."""

from __future__ import annotations

from typing import ClassVar

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Role

__all__ = ["Banned"]


class Banned(Check):
    """A column that the project bans is present: reason to stop, unless it is ignored already."""

    kind: ClassVar[str] = "banned"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding a banned column, those in use first."""
        used: list[Finding] = []
        ignored: list[Finding] = []
        schema = context.table.schema
        for name in dict.fromkeys(context.banned):
            if name not in schema:
                continue
            role = schema[name].role
            if role is Role.IGNORED:
                what = f"The project bans '{name}', which is in the table and is ignored."
                advice = "Nothing to do; drop it at the source to keep it out of this table."
                ignored.append(Finding(self.kind, Severity.INFO, (name,), what, advice))
            else:
                what = f"The project bans '{name}', which is in the table with the role {role}."
                advice = f"Drop '{name}' at the source, or leave it out: `--ignore {name}`."
                used.append(Finding(self.kind, Severity.STOP, (name,), what, advice))
        return used + ignored
