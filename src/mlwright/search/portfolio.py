"""Portfolio: the fixed order in which configurations are tried. Strong and quick ones come first.

`benchmarks/portfolio.py` measures configurations on tables and looks for an order with tables left out; a recipe for a new
configuration is in ARCHITECTURE.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mlwright.core import kinds
from mlwright.core.types import Floats
from mlwright.data.schema import Kind, Objective, Schema, Task, TaskKind
from mlwright.models.base import Model
from mlwright.search.trial import Trial

__all__ = [
    "BASELINES",
    "CANDIDATES",
    "Configuration",
    "grows",
    "is_baseline",
    "load_learners",
    "ordered",
    "portfolio",
]

BASELINES = ("dummy", "linear")  # always fitted, whatever the budget


@dataclass(frozen=True, slots=True)
class Configuration:
    """A learner, the columns that it reads and its parameters.

    Parameters
    ----------
    model, view, params, link
        As in `Trial`.
    least_rows, most_rows : int
        Of the training part: fewer it could not split, or would learn by heart; more would take too long.
    most_classes : int
        Of a multiclass task.
    most_columns : int
        Features of the table: with more it would take too long, or too much memory.
    needs : Kind, optional
        A kind of column without which it would only repeat another one.
    """

    model: str
    view: str
    params: Mapping[str, Any] = field(default_factory=dict)
    link: str = "identity"
    least_rows: int = 0
    most_rows: int = 10**9
    most_classes: int = 10**6
    most_columns: int = 10**6
    needs: Kind | None = None

    def fits(self, task: Task, schema: Schema, n_rows: int) -> bool:
        """Return whether it is worth trying on such a table."""
        if not self.least_rows <= n_rows <= self.most_rows:
            return False
        if len(schema.features) > self.most_columns:
            return False
        if task.kind is TaskKind.MULTICLASS and len(task.labels) > self.most_classes:
            return False
        if self.needs is not None and not any(column.kind is self.needs for column in schema.features):
            return False
        learner: type[Model] = kinds.load(kinds.MODELS, self.model, family="model")
        return learner.fits(task)


def grows(trial: Trial) -> bool:
    """Return whether its learner is fitted iteration by iteration, and stops at the best one."""
    kind: type[Model] = kinds.load(kinds.MODELS, trial.model, family="model")
    return kind.grows


def is_baseline(trial: Trial) -> bool:
    """Return whether the trial is one of the baselines, which come first in every study."""
    return trial.number < len(BASELINES)


def _lightgbm(view: str, **params: Any) -> Configuration:
    # Without the penalty a leaf of a rare class would answer with a step of a hundred.
    penalised: dict[str, Any] = {"lambda_l2": 1.0, **params}
    # A fold's training rows must part into four leaves.
    return Configuration("lightgbm", view, penalised, least_rows=5 * params.get("min_data_in_leaf", 20))


def _catboost(view: str, **params: Any) -> Configuration:
    depth = params.get("depth", 6)
    return Configuration(
        "catboost", view, params, least_rows=3 * 2**depth if depth > 6 else 0, most_columns=5000
    )


CANDIDATES: Mapping[str, Configuration] = MappingProxyType(
    {
        "dummy": Configuration("dummy", "linear"),  # reads no column: the view is the one that is made anyway
        "linear": Configuration("linear", "linear", {"alpha": 1.0}),
        "lightgbm": _lightgbm("native", learning_rate=0.05, num_leaves=31, feature_fraction=0.8),
        # Few borders are as good on few rows, and quicker; places on a map need many.
        "catboost": _catboost("encoded", learning_rate=0.06, depth=6, border_count=64),
        "catboost_fine": _catboost("encoded", learning_rate=0.06, depth=6),
        "catboost_native": Configuration(
            "catboost",
            "native",
            {"learning_rate": 0.08, "depth": 6, "border_count": 64, "max_ctr_complexity": 1},
            most_classes=2,
            most_rows=100_000,
            most_columns=1000,
            needs=Kind.CATEGORICAL,
        ),
        "mlp": Configuration(
            "mlp",
            "linear",
            {"n_layers": 2, "n_pieces": 8, "dropout": 0.1, "learning_rate": 0.03},
            least_rows=100,
            most_rows=100_000,
            most_columns=5000,
        ),
        "mlp_plain": Configuration("mlp", "linear", least_rows=100, most_rows=50_000, most_columns=5000),
        "mlp_pieces": Configuration(
            "mlp", "linear", {"n_pieces": 8}, least_rows=300, most_rows=20_000, most_columns=1000
        ),
        "discriminant": Configuration("discriminant", "linear", most_columns=200),
        "discriminant_quadratic": Configuration(
            "discriminant", "linear", {"alpha": 0.3, "shrinkage": 0.02}, least_rows=200, most_columns=200
        ),
        "kernel": Configuration(
            "kernel", "linear", {"alpha": 0.1}, least_rows=60, most_rows=20_000, most_columns=1000
        ),
        "lightgbm_encoded": _lightgbm("encoded", learning_rate=0.05, num_leaves=20, feature_fraction=0.43),
        "lightgbm_extra": _lightgbm(
            "encoded", learning_rate=0.04, num_leaves=64, feature_fraction=0.55, extra_trees=True
        ),
        "linear_strong": Configuration("linear", "linear", {"alpha": 30.0}),
        "linear_weak": Configuration("linear", "linear", {"alpha": 0.05}, most_rows=20_000),
        "lightgbm_small": _lightgbm(
            "encoded", learning_rate=0.03, num_leaves=8, min_data_in_leaf=10, feature_fraction=0.6
        ),
        "catboost_deep": _catboost("encoded", learning_rate=0.06, depth=8, l2_leaf_reg=6.0, border_count=128),
        "lightgbm_large": _lightgbm(
            "native",
            learning_rate=0.04,
            num_leaves=127,
            min_data_in_leaf=20,
            feature_fraction=0.8,
            bagging_fraction=0.8,
        ),
        "lightgbm_extra_large": _lightgbm(
            "encoded", learning_rate=0.06, num_leaves=127, feature_fraction=0.9, extra_trees=True
        ),
        "catboost_random": _catboost(
            "encoded",
            learning_rate=0.05,
            depth=7,
            border_count=48,
            rsm=0.5,
            random_strength=2.0,
            l2_leaf_reg=2.0,
        ),
        "lightgbm_stumps": _lightgbm(
            "encoded", learning_rate=0.1, num_leaves=4, min_data_in_leaf=5, feature_fraction=0.5
        ),
        "catboost_shallow": _catboost(
            "encoded", learning_rate=0.08, depth=4, l2_leaf_reg=3.0, border_count=128
        ),
    }
)

# Orders by rows, the first that has as many or more. `benchmarks/results/portfolio.md` has what they were chosen by.
_ORDERS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        5_000: (
            "dummy",
            "linear",
            "lightgbm",
            "mlp",
            "catboost",
            "kernel",
            "mlp_plain",
            "lightgbm_extra",
            "catboost_native",
            "discriminant",
            "lightgbm_small",
            "lightgbm_encoded",
            "discriminant_quadratic",
            "linear_strong",
            "mlp_pieces",
            "catboost_deep",
            "linear_weak",
            "lightgbm_large",
            "catboost_random",
            "catboost_shallow",
            "lightgbm_stumps",
        ),
        20_000: (
            "dummy",
            "linear",
            "lightgbm",
            "mlp",
            "catboost_fine",
            "mlp_plain",
            "kernel",
            "lightgbm_large",
            "lightgbm_extra_large",
            "catboost_native",
            "catboost_deep",
            "lightgbm_encoded",
            "lightgbm_extra",
            "discriminant",
            "lightgbm_small",
            "catboost_random",
            "linear_strong",
        ),
        # Of so many rows large trees learn more in a second than nets.
        10**12: (
            "dummy",
            "linear",
            "lightgbm",
            "catboost_fine",
            "lightgbm_large",
            "mlp",
            "lightgbm_extra_large",
            "catboost_native",
            "catboost_deep",
            "lightgbm_encoded",
            "lightgbm_extra",
            "discriminant",
            "mlp_plain",
            "lightgbm_small",
            "catboost_random",
            "linear_strong",
        ),
    }
)
_LINKED = (Objective.SQUARED, Objective.ABSOLUTE, Objective.QUANTILE)  # the others have a link of their own
_IN_LOGARITHMS = ("catboost", "catboost_fine", "mlp", "lightgbm", "lightgbm_small", "linear")


def portfolio(task: Task, schema: Schema, y: Floats) -> list[Trial]:
    """Return the trials for a table, in order.

    Positive targets whose logarithm is far less skewed are also fitted in logarithms. Few rows get no configuration
    that could not split them, or would only learn them by heart.
    """
    logs = task.kind is TaskKind.REGRESSION and task.objective in _LINKED and _gains_by_log(task, y)
    order = [replace(CANDIDATES[name], link=link) for name, link in ordered(len(y), logs=logs)]
    fitting = [each for each in order if each.fits(task, schema, len(y))]
    return [
        Trial(number, each.model, each.view, dict(each.params), each.link)
        for number, each in enumerate(fitting)
    ]


def ordered(n_rows: int, *, logs: bool) -> list[tuple[str, str]]:
    """Return names of `CANDIDATES` and links in the order for so many training rows.

    With `logs` some are there a second time for the target's logarithm, after the first of CatBoost.
    """
    names = next(order for below, order in _ORDERS.items() if n_rows < below)
    found = [(name, CANDIDATES[name].link) for name in names]
    if logs:
        after = next(i for i, name in enumerate(names) if CANDIDATES[name].model == "catboost") + 1
        found[after:after] = [(name, "log") for name in _IN_LOGARITHMS if name in names]
    return found


def load_learners() -> None:
    """Import the packages of the learners that every table is tried with first: they take a second or two to load."""
    for name in ("linear", "lightgbm"):
        kinds.load(kinds.MODELS, CANDIDATES[name].model, family="model").prepare()


def _gains_by_log(task: Task, y: Floats) -> bool:
    if len(y) < 20 or y.min() < 0:
        return False
    if task.metric == "rmsle":
        return True
    return _skew(y) > 1.0 and abs(_skew(np.log1p(y))) < 0.7 * _skew(y)


def _skew(values: Floats) -> float:
    deviation = values - values.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3)) / spread**3 if spread > 0 else 0.0
