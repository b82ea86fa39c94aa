"""Metrics: scores with a direction, and intervals around them."""

from __future__ import annotations

from mlwright.core.kinds import METRICS, load
from mlwright.data.schema import TaskKind
from mlwright.metrics.base import Metric

__all__ = ["for_task", "get"]


def get(name: str) -> Metric:
    """Return the metric called `name`.

    Raises
    ------
    BundleKindError
        If there is none; the message names the nearest one.

    Examples
    --------
    >>> get("roc_auc").title
    'ROC AUC'
    """
    return load(METRICS, name, family="metric")()


def for_task(kind: TaskKind) -> list[str]:
    """Return the names of the metrics that apply to `kind`, sorted.

    Examples
    --------
    >>> for_task(TaskKind.REGRESSION)
    ['mae', 'mape', 'r2', 'rmse']
    """
    return sorted(name for name in METRICS if kind in load(METRICS, name, family="metric").tasks)
