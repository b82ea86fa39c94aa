"""Thinning: what is given up of a blend, step by step, until a prediction is as quick as the project asks.

The order is fixed, and every step follows from out-of-fold predictions and the price list alone: further seeds of the same
model go first, then the blend is chosen anew under a lower price, from all trials. The clock only says how far to go, and
`StudyResult.choices` keeps that, so that a replay goes as far without a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlwright.core import kinds
from mlwright.metrics.base import Metric
from mlwright.models.base import Model
from mlwright.search.blend import price
from mlwright.search.prospects import BOOSTING
from mlwright.search.trial import Trial, TrialResult

__all__ = ["Latency", "capped", "thin", "with_larger_steps"]

_MOST_STEPS = 8
_LEAST_CUT, _MOST_CUT = 0.9, 0.35  # of the price, from one step to the next
_AIM = 0.95  # of the limit
_LARGEST_RATE = 0.5
_FEWEST_TREES = 10
_SHARE = 0.6  # of the allowed price that a trial with larger steps should cost


@dataclass(frozen=True, slots=True)
class Latency:
    """What a prediction took, and what quickness cost.

    Parameters
    ----------
    measured, first : float
        Microseconds for one record with the model as it is, and with the blend that the search had chosen.
    score, first_score : float
        Out of fold, of the two.
    """

    measured: float
    first: float
    score: float
    first_score: float


def thin(
    choices: Mapping[str, int],
    measure: Callable[[dict[str, int]], float],
    *,
    price: float,
    limit: float,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, int]:
    """Return the choices by which a prediction holds the limit, or comes nearest to it.

    Parameters
    ----------
    choices : mapping
        What was decided before.
    measure : callable
        From choices to the microseconds that their model takes for a record.
    price : float
        Microseconds of the whole blend by the price list.
    limit : float
        Microseconds that a record may take.
    go_on : callable
        Whether there is time for another step.

    Returns
    -------
    dict
        With ``latency_ns`` and ``latency_first_ns``, and where the blend was thinned ``price_ns``, the price that it may
        have.

    Examples
    --------
    >>> thin({"seeds": 2}, lambda choices: 40.0 * choices["seeds"], price=30.0, limit=50.0)
    {'seeds': 1, 'latency_first_ns': 80000, 'latency_ns': 40000}
    """
    told = dict(choices)
    first = took = measure(told)
    if took > limit and told.get("seeds", 1) > 1:
        told["seeds"] = 1
        took = measure(told)
    best = took, dict(told)
    for _ in range(_MOST_STEPS):
        if took <= limit or not go_on():
            break
        price *= max(_MOST_CUT, min(_LEAST_CUT, _AIM * limit / took))
        told["price_ns"] = max(1, round(1000 * price))
        took = measure(told)
        if took < best[0]:
            best = took, dict(told)
    took, told = best
    return {**told, "latency_first_ns": round(1000 * first), "latency_ns": round(1000 * took)}


def capped(latency: float, choices: Mapping[str, int]) -> float:
    """Return what a blend may cost by the price list, in microseconds."""
    return min(latency, choices.get("price_ns", 10**15) / 1000)


def with_larger_steps(
    results: Sequence[TrialResult], metric: Metric, number: int, *, n_outputs: int, most: float
) -> Trial | None:
    """Return the best boosting trial with larger steps, and so with fewer trees, where it is too dear; else None.

    Parameters
    ----------
    results : sequence of TrialResult
        What has been tried.
    number : int
        The new trial's.
    most : float
        Microseconds that a blend may cost.
    """
    whole = [r for r in results if r.complete and r.trial.model in BOOSTING]
    if not whole or min(price(r, n_outputs) for r in whole) <= most:
        return None
    best = max(whole, key=lambda r: (r.gain(metric), -r.trial.number))
    kind: type[Model] = kinds.load(kinds.MODELS, best.trial.model, family="model")
    params = best.trial.params
    fixed = kind.price(params, 0, n_outputs)
    a_tree = kind.price(params, 1, n_outputs) - fixed
    trees = max(_FEWEST_TREES, (_SHARE * most - fixed) / max(a_tree, 1e-9))
    steps = max(1.0, max(best.n_iterations) / trees)
    rate = round(min(_LARGEST_RATE, params.get("learning_rate", 0.1) * steps), 3)
    if rate <= params.get("learning_rate", 0.1):
        return None
    return replace(best.trial, number=number, params={**params, "learning_rate": rate})
