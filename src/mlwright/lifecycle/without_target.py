"""Without a target: which build a task gets, and how two such bundles are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlwright.core.events import Listener, silent
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import TaskKind
from mlwright.data.table import Table
from mlwright.data.values import columns
from mlwright.lifecycle.anomalies import build_anomalies
from mlwright.lifecycle.clusters import build_clusters
from mlwright.lifecycle.gate import Verdict, against_champion
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.unlabelled import Found, label_of
from mlwright.metrics import get
from mlwright.metrics.intervals import paired_interval
from mlwright.serving.predictor import Predictor
from mlwright.unlabelled.agreement import adjusted_rand, agreement, rank_correlation

__all__ = ["build_unlabelled", "compare_unlabelled"]

_FEWEST_LABELLED = 30


def build_unlabelled(
    prepared: Prepared, project: Project, *, lineage: Mapping[str, Any], listener: Listener = silent
) -> Found:
    """Fit, judge and package what finds anomalies or clusters; nothing is decided by a clock."""
    found = build_anomalies if prepared.task.kind is TaskKind.ANOMALY else build_clusters
    return found(prepared, project, lineage=lineage, listener=listener)


def compare_unlabelled(old: Predictor, new: Predictor, rows: Table, project: Project) -> Verdict:
    """Hold two bundles without a target against each other on rows that neither was fitted on.

    Where a label is known for enough of the rows, anomaly scores are compared by their ROC AUC against it. Else nobody
    can say which is better: a challenger is let through only if the project has a margin and the two differ by less.
    """
    theirs, ours = (p.raw_columns(columns(rows.arrow, p.schema)) for p in (old, new))
    name, margin = new.task.target, project.gate_margin
    known = label_of(rows, new.task) if new.task.kind is TaskKind.ANOMALY else None
    if known is not None and not known.note:
        there = np.flatnonzero(~np.isnan(known.codes))
        if len(there) >= _FEWEST_LABELLED and len(np.unique(known.codes[there])) == 2:
            difference = paired_interval(
                get("roc_auc"), known.codes[there], ours[there], theirs[there], seed=project.task_seed
            )
            return against_champion(difference, margin=margin, metric="roc_auc", n_rows=len(there))
    if new.task.kind is TaskKind.ANOMALY:
        found = agreement(rank_correlation, ours[:, 0], theirs[:, 0], seed=project.task_seed)
        what = "rank correlation of the scores"
    else:
        found = agreement(adjusted_rand, _groups(ours), _groups(theirs), seed=project.task_seed)
        what = "adjusted Rand index of the groups"
    measured = (
        f"{what} with the champion's on the same {rows.n_rows:,} untouched rows: {found.estimate:.3f} "
        f"(95 % interval {found.low:.3f} to {found.high:.3f})"
    )
    if margin > 0 and found.low > 1.0 - margin:
        return Verdict(True, f"not changed by more than the margin of {margin:g}: {measured}", found)
    wanted = (
        f"1 - margin = {1 - margin:g}"
        if margin > 0
        else "set margin under [gate] to let small changes through"
    )
    known_by = f"'{name}' is known for too few rows" if name else "no row has a label"
    return Verdict(
        False,
        f"nobody can say which is better, as {known_by}; {measured}; {wanted}. Look at both reports, then promote by "
        "hand with `--force`",
        found,
    )


def _groups(outputs: Floats) -> Ints:
    """Return each row's cluster, -1 for none."""
    return np.where(outputs.max(axis=1) > 0, outputs.argmax(axis=1), -1)
