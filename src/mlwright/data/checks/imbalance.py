"""Imbalance: a class with few rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import TaskKind

__all__ = ["Imbalance"]

_RARE = 0.05
_VERY_RARE = 0.01
_FEW_ROWS = 20


class Imbalance(Check):
    """The rarest class has less than 5 % of the rows, and less than half of an equal share.

    It is worth a look below 1 %, or where the class has fewer than 20 rows.
    """

    kind: ClassVar[str] = "imbalance"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding for the target, or none."""
        labels = context.task.labels
        if context.task.kind is TaskKind.REGRESSION or not labels:
            return []
        codes = context.y[~np.isnan(context.y)].astype(np.int64)
        if not len(codes):
            return []
        counts = np.bincount(codes, minlength=len(labels))
        rarest = int(counts.argmin())
        count, part = int(counts[rarest]), counts[rarest] / len(codes)
        if part >= min(_RARE, 0.5 / len(labels)):
            return []
        severity = Severity.WARN if part < _VERY_RARE or count < _FEW_ROWS else Severity.INFO
        label = labels[rarest] if rarest < len(labels) else rarest
        what = (
            f"The rarest class {label!r} has {plural(count, 'row')} of {len(codes):,} ({share(float(part))})."
        )
        advice = "Judge by pr_auc, log_loss or balanced_accuracy, not by accuracy; bring more rows of it if you can."
        return [Finding(self.kind, severity, (context.task.target,), what, advice)]
