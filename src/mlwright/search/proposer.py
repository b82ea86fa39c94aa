"""Proposer: what to try after the portfolio. Optuna's TPE in a box around the best configuration of a learner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlwright.core import seeds
from mlwright.metrics.base import Metric
from mlwright.search.trial import Trial, TrialResult

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["SPACES", "Range", "propose"]

_WIDTH = 3.0  # the box reaches from a third of the best value to three times it


@dataclass(frozen=True, slots=True)
class Range:
    """What a hyperparameter may be.

    Parameters
    ----------
    low, high : float
        The ends.
    start : float
        What the learner takes where a configuration is silent.
    integer : bool, default=False
        Whole numbers only.
    """

    low: float
    high: float
    start: float
    integer: bool = False

    def around(self, value: float) -> tuple[float, float]:
        """Return the ends of a box around a value."""
        value = min(max(value, self.low), self.high)
        low, high = max(self.low, value / _WIDTH), min(self.high, value * _WIDTH)
        return (max(1, math.floor(low)), max(2, math.ceil(high))) if self.integer else (low, high)

    def distribution(self, low: float, high: float, *, log: bool = False) -> BaseDistribution:
        """Return Optuna's distribution between two ends."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(low), int(high), log=log)
        return FloatDistribution(low, high, log=log)


SPACES: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "lightgbm": {
            "learning_rate": Range(0.01, 0.2, 0.1),
            "num_leaves": Range(4, 256, 31, integer=True),
            "min_data_in_leaf": Range(2, 200, 20, integer=True),
            "feature_fraction": Range(0.2, 1.0, 1.0),
            "lambda_l2": Range(1e-3, 30.0, 0.1),
        },
        "catboost": {
            "learning_rate": Range(0.02, 0.2, 0.05),
            "depth": Range(3, 8, 6, integer=True),
            "l2_leaf_reg": Range(0.3, 30.0, 3.0),
            "random_strength": Range(0.1, 10.0, 1.0),
        },
        "mlp": {
            "learning_rate": Range(0.005, 0.2, 0.04),
            "width": Range(32, 256, 128, integer=True),
            "dropout": Range(0.02, 0.5, 0.25),
            "weight_decay": Range(1e-3, 0.3, 0.02),
        },
        "linear": {"alpha": Range(1e-3, 1e4, 1.0)},
    }
)


def propose(
    number: int, results: Sequence[TrialResult], blended: Mapping[int, float], metric: Metric, *, seed: int
) -> Trial | None:
    """Return the next trial, which depends on the results, the seed and its number alone; None if there is none.

    Parameters
    ----------
    number : int
        The trial's.
    results : sequence of TrialResult
        All so far.
    blended : mapping of int to float
        The weight of each trial in the blend of now.
    """
    families = _families(results, blended, metric)
    if not families:
        return None
    family = families[number % len(families)]
    best = family[0].trial
    return Trial(number, best.model, best.view, _params(family, number, metric, seed), best.link)


def _families(
    results: Sequence[TrialResult], blended: Mapping[int, float], metric: Metric
) -> list[list[TrialResult]]:
    """Return the trials by learner, view and link, the best first; families that the blend uses before the others."""
    found: dict[tuple[str, str, str], list[TrialResult]] = {}
    for result in results:
        trial = result.trial
        if trial.model in SPACES and not math.isnan(result.score):
            found.setdefault((trial.model, trial.view, trial.link), []).append(result)
    turn = -1.0 if metric.greater_is_better else 1.0
    families = []
    for family in found.values():
        whole = [result for result in family if result.complete]
        if whole:
            best = sorted(whole, key=lambda r: (turn * r.score, r.trial.number))
            families.append([*best, *(r for r in family if not r.complete)])
    used = [f for f in families if sum(blended.get(r.trial.number, 0.0) for r in f) > 0]
    used.sort(key=lambda f: (-sum(blended.get(r.trial.number, 0.0) for r in f), f[0].trial.number))
    return used or sorted(families, key=lambda f: turn * f[0].score)[:2]


def _params(family: Sequence[TrialResult], number: int, metric: Metric, seed: int) -> dict[str, Any]:
    """Return the parameters that TPE suggests in a box around those of the family's best trial."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    best = family[number // 2 % min(2, sum(r.complete for r in family))].trial
    space = SPACES[best.model]
    ends = {name: r.around(float(best.params.get(name, r.start))) for name, r in space.items()}
    box = {name: space[name].distribution(low, high, log=True) for name, (low, high) in ends.items()}
    direction = "maximize" if metric.greater_is_better else "minimize"
    sampler = optuna.samplers.TPESampler(
        seed=seeds.derive(seed, "propose", number) % 2**32, multivariate=True, n_startup_trials=5
    )
    study = optuna.create_study(direction=direction, sampler=sampler)
    for result in family:
        values = {name: _value(result.trial.params, name, space[name]) for name in space}
        if all(low <= values[name] <= high for name, (low, high) in ends.items()):
            study.add_trial(
                create_trial(params=values, distributions=box, value=result.score, state=TrialState.COMPLETE)
            )
    return {**best.params, **study.ask(box).params}


def _value(params: Mapping[str, Any], name: str, allowed: Range) -> float | int:
    value = params.get(name, allowed.start)
    return int(value) if allowed.integer else float(value)
