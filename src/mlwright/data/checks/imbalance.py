"""Imbalance: a class with few rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Task, TaskKind

__all__ = ["Imbalance"]

_RARE = 0.05
_VERY_RARE = 0.01
_FEW_ROWS = 20
_DECIDED = ("accuracy", "balanced_accuracy", "f1", "mcc", "cost")  # metrics that a threshold is chosen for


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
            f"The rarest class {label!r} has {plural(count, 'row')} of {len(codes):,} ({share(float(part))}): to never say it "
            f"would be right for {share(1 - float(part))} of the rows."
        )
        return [Finding(self.kind, severity, (context.task.target,), what, _advice(context.task))]


def _advice(task: Task) -> str:
    """Return by what such a class should be judged, and what decides when it is called."""
    if task.metric == "accuracy":
        judged = "Judge by pr_auc, log_loss or balanced_accuracy (`--metric`), not by accuracy"
    else:
        judged = f"It is judged by {task.metric}, not by accuracy"
    if task.kind is not TaskKind.BINARY:
        return f"{judged}; bring more rows of it if you can."
    if task.metric in _DECIDED:
        called = "its label is called from the probability on that is best out of fold"
    elif task.costs is not None:
        called = f"its label is called from a probability of {task.cut:.3g} on, by what misses cost"
    else:
        called = "its label is called from a probability of 0.5 on, seldom that is, unless `[costs]` say what misses cost"
    return f"{judged}; {called}; bring more rows of it if you can."
