"""Contract: columns that break the project's data contract."""

from __future__ import annotations

from typing import ClassVar

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.contract_tally import Tally
from mlwright.data.findings import Finding, Severity

__all__ = ["KeepsContract"]


class KeepsContract(Check):
    """A column that is not there, cannot be read, or holds more outside its range, list, form or share than it may.

    Each is reason to stop: the contract says what the data must be. The rows are those with a known target.
    """

    kind: ClassVar[str] = "contract"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding a column that breaks the contract, in the contract's order; none without a contract."""
        if context.contract is None:
            return []
        tally = Tally(context.contract, context.table.schema)
        tally.add(context.table.arrow, context.columns)
        return [
            Finding(
                self.kind,
                Severity.STOP,
                (breach.column,) if breach.column else (),
                breach.sentence,
                "Mend the data at the source, or the contract if this is how they are now.",
            )
            for breach in tally.breaches(training=True)
        ]
