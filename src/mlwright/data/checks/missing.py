"""Missing: how much of which column is not there."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.values import Coded

__all__ = ["Missing"]

_MOSTLY = 0.5


class Missing(Check):
    """Feature columns with gaps: one finding for all, and one for each share of those that are mostly gaps.

    Columns without any value are told by the check `constant`.
    """

    kind: ClassVar[str] = "missing"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return the columns with more than 50 % missing, most first, then a summary of the others."""
        if not context.table.n_rows:
            return []
        shares = {
            name: float(np.mean(values.codes < 0 if isinstance(values, Coded) else np.isnan(values)))
            for name, values in context.columns.items()
        }
        gappy = sorted((name for name, part in shares.items() if 0 < part < 1), key=lambda n: -shares[n])
        mostly = [name for name in gappy if shares[name] > _MOSTLY]
        rest = tuple(name for name in gappy if shares[name] <= _MOSTLY)
        together: dict[float, list[str]] = {}  # columns with equal gaps are mostly one story
        for name in mostly:
            together.setdefault(shares[name], []).append(name)
        findings = [
            Finding(
                self.kind,
                Severity.WARN,
                tuple(names),
                f"{named(names)} {'is' if len(names) == 1 else 'are'} missing in {share(part)} of the rows.",
                f"Find out why, and whether {'it' if len(names) == 1 else 'they'} will be there when predictions are"
                " asked for.",
            )
            for part, names in together.items()
        ]
        if rest:
            what = (
                f"{plural(len(rest), 'column')} of {len(shares):,} with some values missing, "
                f"most in {named(rest[:1])} ({share(shares[rest[0]])})."
            )
            advice = "Nothing to do if a gap means 'not known'; models here can learn from gaps."
            findings.append(Finding(self.kind, Severity.INFO, rest, what, advice))
        return findings
