"""Metrics: scores with a direction, and intervals around them."""

from __future__ import annotations

import re
from typing import TypeVar

from mlwright.core.errors import ParameterError, UsageError
from mlwright.core.kinds import METRICS, OWN, load
from mlwright.data.schema import Task, TaskKind
from mlwright.metrics.base import DrawsMetric, MeanMetric, Metric
from mlwright.metrics.decision import DecisionMetric, decide
from mlwright.metrics.threshold import best_threshold

__all__ = [
    "DecisionMetric",
    "DrawsMetric",
    "MeanMetric",
    "Metric",
    "best_threshold",
    "decide",
    "for_task",
    "get",
    "of",
    "register",
]

_NAME = re.compile(rf"{re.escape(OWN)}[a-z][a-z0-9_]{{0,40}}")
_own: dict[str, type[Metric]] = {}
_M = TypeVar("_M", bound=Metric)


def get(name: str) -> Metric:
    """Return the metric called `name`, with its options at their defaults; `of` takes them from a task.

    Raises
    ------
    BundleKindError
        If there is none; the message names the nearest one.
    UsageError
        If it is a user's own and was not registered in this process.

    Examples
    --------
    >>> get("roc_auc").title
    'ROC AUC'
    """
    return _class(name)()


def of(task: Task) -> Metric:
    """Return the metric that judges `task`, with the task's options: its quantile, costs or threshold.

    Examples
    --------
    >>> of(Task(TaskKind.REGRESSION, "y", "pinball", quantile=0.9)).quantile
    0.9
    """
    return _class(task.metric).of(task)


def _class(name: str) -> type[Metric]:
    if isinstance(name, str) and name.startswith(OWN):
        if name not in _own:
            raise UsageError(
                "a metric of somebody's own that this process does not know",
                got=name,
                allowed=sorted(_own) or f"none is registered; {len(METRICS)} are built in",
                fix="register its class with mlwright.metrics.register, from Python, before it is used",
            )
        return _own[name]
    return load(METRICS, name, family="metric")


def register(metric: type[_M]) -> type[_M]:
    """Make a metric of your own known to this process; use it as a decorator.

    Its `name` starts with ``own.``, and settings name it so: ``Project(task_metric="own.profit")``. Bundles hold the
    name and never the code, and serving never asks for it; retraining and promoting do.

    Parameters
    ----------
    metric : subclass of Metric
        With `name`, `title`, `greater_is_better`, `tasks` and `score` (or `MeanMetric.losses`).

    Raises
    ------
    ParameterError
        If a part is missing or of the wrong type.

    Examples
    --------
    >>> @register
    ... class Within(MeanMetric):
    ...     name, title, greater_is_better = "own.within_ten", "share within ten", True
    ...     tasks = frozenset({TaskKind.REGRESSION})
    ...
    ...     def losses(self, y, predicted):
    ...         return (abs(predicted[:, 0] - y) <= 10).astype(float)
    >>> import numpy as np
    >>> get("own.within_ten").score(np.array([1.0, 2.0]), np.array([[5.0], [50.0]]))
    0.5
    """
    if not (isinstance(metric, type) and issubclass(metric, Metric)):
        raise ParameterError("register: not a metric", got=metric, allowed="a subclass of Metric")
    wanted: dict[str, type] = {
        "name": str,
        "title": str,
        "greater_is_better": bool,
        "tasks": frozenset,
    }
    for part, kind in wanted.items():
        if not isinstance(getattr(metric, part, None), kind):
            raise ParameterError(
                f"register: {metric.__name__}.{part}", got=getattr(metric, part, None), allowed=kind.__name__
            )
    if not _NAME.fullmatch(metric.name):
        raise ParameterError(
            f"register: {metric.__name__}.name",
            got=metric.name,
            allowed=f"{OWN} and then lower-case letters, digits and _, such as {OWN}profit",
        )
    if metric.__abstractmethods__:
        raise ParameterError(
            f"register: {metric.__name__} lacks methods", got=sorted(metric.__abstractmethods__)
        )
    _own[metric.name] = metric
    return metric


def for_task(kind: TaskKind, *, plain: bool = False) -> list[str]:
    """Return the names of the metrics that apply to `kind`, sorted; with `plain`, those that every report shows.

    Examples
    --------
    >>> for_task(TaskKind.REGRESSION, plain=True)
    ['mae', 'mape', 'r2', 'rmse']
    """
    found = {name: load(METRICS, name, family="metric") for name in METRICS}
    return sorted(
        name for name, metric in found.items() if kind in metric.tasks and (metric.plain or not plain)
    )
