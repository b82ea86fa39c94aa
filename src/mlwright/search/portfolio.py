"""Portfolio: the fixed order in which configurations are tried. Strong and quick ones come first."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.search.trial import Trial

__all__ = ["BASELINES", "portfolio"]

BASELINES = ("dummy", "linear")  # always fitted, whatever the budget

_DUMMY = ("dummy", "linear", {}, "identity")  # it reads no column: of all views the one that is made anyway
_LINEAR = ("linear", "linear", {"alpha": 1.0}, "identity")
_LINEAR_STRONG = ("linear", "linear", {"alpha": 30.0}, "identity")
_LIGHTGBM = (
    "lightgbm",
    "native",
    {"learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.8},
    "identity",
)
_LIGHTGBM_SMALL = (
    "lightgbm",
    "encoded",
    {"learning_rate": 0.03, "num_leaves": 8, "min_data_in_leaf": 10, "feature_fraction": 0.6},
    "identity",
)
_LIGHTGBM_ENCODED = (
    "lightgbm",
    "encoded",
    {"learning_rate": 0.05, "num_leaves": 20, "feature_fraction": 0.43},
    "identity",
)
_LIGHTGBM_EXTRA = (
    "lightgbm",
    "encoded",
    {"learning_rate": 0.04, "num_leaves": 64, "feature_fraction": 0.55, "extra_trees": True},
    "identity",
)
_CATBOOST = ("catboost", "encoded", {"learning_rate": 0.05, "depth": 6}, "identity")
_CATBOOST_DEEP = ("catboost", "encoded", {"learning_rate": 0.06, "depth": 8, "l2_leaf_reg": 6.0}, "identity")


def portfolio(task: Task, y: Floats) -> list[Trial]:
    """Return the trials for a task, in order.

    Positive targets whose logarithm is far less skewed are also fitted in logarithms. Few rows get no configuration
    that could not split them, or would only learn them by heart.
    """
    order: list[tuple[str, str, dict[str, Any], str]] = [
        _DUMMY,
        _LINEAR,
        _LIGHTGBM,
        _CATBOOST,
        _LIGHTGBM_SMALL,
        _LIGHTGBM_EXTRA,
        _LINEAR_STRONG,
        _LIGHTGBM_ENCODED,
        _CATBOOST_DEEP,
    ]
    order = [each for each in order if len(y) >= _least_rows(each)]
    if task.kind is TaskKind.REGRESSION and _gains_by_log(y):
        twins = [
            (model, view, params, "log")
            for model, view, params, _ in (_CATBOOST, _LIGHTGBM, _LIGHTGBM_SMALL, _LINEAR)
        ]
        after = order.index(_CATBOOST) + 1
        order[after:after] = [twin for twin in twins if len(y) >= _least_rows(twin)]
    return [Trial(number, *configuration) for number, configuration in enumerate(order)]


def _least_rows(configuration: tuple[str, str, dict[str, Any], str]) -> int:
    model, _, params, _ = configuration
    if model == "lightgbm":
        return 5 * int(params.get("min_data_in_leaf", 20))  # a fold's training rows part into four leaves
    return 3 * 2 ** int(params["depth"]) if params.get("depth", 0) > 6 else 0


def _gains_by_log(y: Floats) -> bool:
    if len(y) < 20 or y.min() < 0:
        return False
    return _skew(y) > 1.0 and abs(_skew(np.log1p(y))) < 0.7 * _skew(y)


def _skew(values: Floats) -> float:
    deviation = values - values.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3)) / spread**3 if spread > 0 else 0.0
