"""PII: columns that hold personal data."""

from __future__ import annotations

from typing import ClassVar

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.personal import personal_columns
from mlwright.data.schema import Role

__all__ = ["Pii"]


class Pii(Check):
    """Columns of e-mail addresses, phone, card and account numbers, national ids, IP addresses or names of persons.

    They are marked as personal by themselves, unless the project accepts the finding. Worth a look are those that a
    model would see; those that are left out are noted.
    """

    kind: ClassVar[str] = "pii"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding a personal column, those in use first; no value is repeated."""
        used: list[Finding] = []
        left_out: list[Finding] = []
        for name, found in personal_columns(context.table.arrow, context.table.schema).items():
            what = f"'{name}' holds {found.what} ({share(found.share)} of {plural(found.n_values, 'value')} looked at)."
            masked = "Its values are masked in logs, report and stored examples"
            if context.table.schema[name].role is Role.FEATURE:
                advice = (
                    f"{masked}; leave it out with `--ignore {name}` unless the model must learn from it, and accept "
                    "the finding if it is not personal."
                )
                used.append(Finding(self.kind, Severity.WARN, (name,), what, advice))
            else:
                left_out.append(
                    Finding(self.kind, Severity.INFO, (name,), what, f"{masked}, and no model sees it.")
                )
        return used + left_out
