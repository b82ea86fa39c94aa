"""Prospects: which trials are worth more time, and which are not, by what the trials before them brought.

It knows no clock and fits nothing; `mlwright.search.study` and `mlwright.search.pace` ask it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from mlwright.metrics.base import Metric
from mlwright.search.portfolio import BASELINES, grows, is_baseline
from mlwright.search.trial import Trial, TrialResult

__all__ = ["BOOSTING", "far_from_its_end", "left_behind", "most_promising", "times_longer", "to_come"]

BOOSTING = ("lightgbm", "catboost")
# Of the way from the best trial to the dummy: a manner of boosting, a learner on the same columns, and a promise.
_LEFT_BEHIND, _FAR_BEHIND, _PROMISE = 0.02, 0.1, 0.05
# In logarithms, and by splits drawn at random: what one learner loses by it others do, too.
_MANNERS: tuple[Callable[[Trial], bool], ...] = (
    lambda trial: trial.link == "log",
    lambda trial: bool(trial.params.get("extra_trees")),
)
# A curve of fewer points tells nothing; a trial that went on so long after its best iteration was not cut off.
_LEAST_POINTS, _WENT_ON = 5, 1.02
_TRIFLE = 0.01  # of the way down a curve, for the last half of its iterations
_MUCH_LONGER, _MOST_TIMES = 2.0, 8.0


def to_come(result: TrialResult) -> float:
    """Return what a trial that the clock cut off would still gain, as a part of what it has; 0 if it came to its end.

    The last half of its iterations brought as much: if twice as many bring half of that, and so on, it is what remains.
    """
    curve, grown = result.told.get("curve") or (), result.told.get("grown") or 0
    if len(curve) < _LEAST_POINTS or grown > _WENT_ON * sum(result.n_iterations):
        return 0.0
    first, middle, last = (curve[i][1] for i in (0, len(curve) // 2, -1))
    return max(0.0, middle - last) / (first - last) if first > last else 0.0


def times_longer(result: TrialResult) -> float:
    """Return how many times as many iterations a trial would have needed, 1 to 8; 1 unless the clock cut it off.

    Examples
    --------
    >>> from dataclasses import replace
    >>> told = {"grown": 80, "curve": [(0, 9.0), (10, 5.0), (20, 1.16), (30, 1.08), (40, 1.0)]}
    >>> cut_off = TrialResult(Trial(2, "lightgbm", "native"), 1.0, (1.0, 1.0), (40, 40), 5.0, None, told=told)
    >>> times_longer(cut_off), times_longer(replace(cut_off, n_iterations=(30, 30)))
    (2.0, 1.0)
    """
    return round(min(_MOST_TIMES, max(1.0, to_come(result) / _TRIFLE)), 3)


def far_from_its_end(result: TrialResult) -> bool:
    """Return whether the clock cut it off where it would have needed at least twice as long."""
    return times_longer(result) >= _MUCH_LONGER


def left_behind(trial: Trial, results: Sequence[TrialResult], metric: Metric) -> bool:
    """Return whether its learner on its columns, or boosting in its manner, was tried and is worse here."""
    tried = [(r.trial, r.gain(metric)) for r in results if r.complete]
    if is_baseline(trial) or len(tried) <= len(BASELINES):
        return False
    best = max(gain for _, gain in tried)
    way = best - _worst(results, metric)
    alike = [gain for one, gain in tried if (one.model, one.view) == (trial.model, trial.view)]
    if alike and best - max(alike) > _FAR_BEHIND * way:
        return True
    manners = [is_so for is_so in _MANNERS if trial.model in BOOSTING and is_so(trial)]
    for is_so, model in itertools.product(manners, BOOSTING):
        so, otherwise = (
            [gain for one, gain in tried if one.model == model and is_so(one) is wanted]
            for wanted in (True, False)
        )
        if so and otherwise and max(otherwise) - max(so) > _LEFT_BEHIND * way:
            return True
    return False


def most_promising(
    results: Sequence[TrialResult], metric: Metric, planned: Sequence[Trial]
) -> TrialResult | None:
    """Return the trial that the clock cut off and that would become by far the best; None if there is none.

    Parameters
    ----------
    results : sequence of TrialResult
        What has been tried, the baselines first.
    metric : Metric
    planned : sequence of Trial
        What is still to come. There is none as long as a learner that grows is to be tried for the first time.
    """
    tried = [(r, r.gain(metric)) for r in results if r.complete]
    to_try = {trial.model for trial in planned if grows(trial)} - {r.trial.model for r, _ in tried}
    if to_try or len(tried) <= len(BASELINES):
        return None
    worst, best = _worst(results, metric), max(gain for _, gain in tried)
    promised = [
        (gain + to_come(r) * (gain - worst), r)
        for r, gain in tried
        if gain > worst and far_from_its_end(r) and not is_baseline(r.trial)
    ]
    most, result = max(promised, key=lambda pair: pair[0], default=(best, None))
    return result if most - best > _PROMISE * (best - worst) else None


def _worst(results: Sequence[TrialResult], metric: Metric) -> float:
    return min(r.gain(metric) for r in results[: len(BASELINES)])
