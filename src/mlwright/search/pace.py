"""Pace: on how many folds, and with how large steps, trials are fitted so that enough of them end in time.

A table that is long for its budget would see two or three configurations on all folds, cut off by the clock. The same time
shows five times as many of them on fewer folds, and lets each come to its end; thousands of validated rows tell
configurations apart as well as all of them do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlwright.search.fitter import Fitter
from mlwright.search.memory import goes_apart
from mlwright.search.prospects import BOOSTING, times_longer
from mlwright.search.study_data import telling_rows
from mlwright.search.trial import Trial, TrialResult

__all__ = ["LAST_SHARE", "Paced", "folds_in_time", "paced", "share_of_proposal"]

# Iterations times the learning rate, up to the best one: typically, and those of others as multiples of LightGBM's first.
_TYPICAL = 15.0
_LONGER = {"catboost": 2.0, "extra_trees": 2.5, "lightgbm": 1.5}
_PATIENCE = 3.0  # the same for what follows the best one
_SHORTEST, _LONGEST = 6.0, 80.0
_HIGHEST_RATE = 0.25
_HOPELESSLY_LONG = 2.5  # times its share, even with the largest steps: the trial is left out
_WISHED = 25  # trials that take as long as LightGBM's first
_WISHED_SHARE = 0.5  # of the time
_MANY_VALIDATED, _ABUNDANT = 10_000, 4.0  # telling rows in whole rounds, and times the wished time
_LEAST_VALIDATED = 1500  # telling rows in the folds that are kept
_VIEWS = 3
LAST_SHARE = 0.9  # of the time left, for a proposal that would else be cut off: nothing can follow it then
_WORTH = 0.6  # of what a proposal usually takes; cut off before that it would tell nothing
_MOST_OF_SHARE = 0.5  # of a trial's, to see how many iterations there is time for
_MOST_PROBED = 0.1  # of the time left, to see how many folds there is time for
_LEAST_TO_PROBE = 4.0  # seconds: of less, loading the learner and the probe would take too large a part


@dataclass(frozen=True, slots=True)
class Paced:
    """A trial with steps so large that it can end in time, and what it would take in seconds.

    Parameters
    ----------
    trial : Trial or None
        None if no steps are large enough.
    seconds : float
    """

    trial: Trial | None
    seconds: float = 0.0


def folds_in_time(fitter: Fitter, planned: Sequence[Trial], left: float) -> int:
    """Return on how many folds trials should be fitted.

    Parameters
    ----------
    fitter : Fitter
        One that has all folds.
    planned : sequence of Trial
        The portfolio; its first boosting one is probed.
    left : float
        Seconds.

    Returns
    -------
    int
        All of them where there is time. Otherwise as many as can be fitted in fewer rounds of the workers, but with 1,500
        validated rows at least (of two classes, four times the rarer one's).
    """
    n_folds, workers = len(fitter.folds), fitter.executor.workers
    trial = next((each for each in planned if each.model in BOOSTING), None)
    if trial is None or not math.isfinite(left):
        return n_folds
    least = _LEAST_VALIDATED / max(1, telling_rows(fitter.data)) * n_folds
    fewer = [n for n in range(workers, n_folds, workers) if n >= least]
    if not fewer:
        return n_folds
    if left < _LEAST_TO_PROBE or goes_apart(fitter.data, trial):  # the probe itself could be killed
        return fewer[0]
    before, an_iteration = fitter.probe(trial, at_most=_MOST_PROBED * left)
    one = before + an_iteration * _TYPICAL / trial.params["learning_rate"]
    views = _VIEWS * fitter.costs.view_seconds.get(trial.view, 0.0) * fitter.costs.n_searched
    rounds = _WISHED_SHARE * left / max(1e-9, _WISHED * one + views)
    # Boosting of many rows may need ten times the typical iterations; and a last round in which workers are idle only
    # adds to what is known well enough: there all folds are for abundant time.
    known_well = telling_rows(fitter.data) * fewer[-1] >= _MANY_VALIDATED * n_folds
    if -(-n_folds // workers) * (_ABUNDANT if n_folds % workers and known_well else 1.0) <= rounds:
        return n_folds
    return max((n for n in fewer if n // workers <= rounds), default=fewer[0])


def paced(fitter: Fitter, trial: Trial, results: Sequence[TrialResult], share: float) -> Paced:
    """Return the trial with a learning rate by which it can end in its share of the time.

    A few iterations say what one takes; what LightGBM's first trial needed says about how many it will be. What would be
    cut off long before its best is worth less than the same with larger steps.

    Parameters
    ----------
    fitter : Fitter
        What probes the trial.
    trial : Trial
        One of the portfolio.
    results : sequence of TrialResult
        All so far.
    share : float
        Seconds that the trial may take.
    """
    rate = trial.params.get("learning_rate")
    if rate is None or trial.model not in BOOSTING:
        return Paced(trial)
    if goes_apart(fitter.data, trial):  # the probe itself could be killed; the clock stops the fit
        return Paced(trial)
    before, an_iteration = (
        fitter.costs.waves * seconds for seconds in fitter.probe(trial, at_most=_MOST_OF_SHARE * share)
    )
    growing, spare = an_iteration * _length(trial, results) / rate, share - before
    if growing <= spare:
        return Paced(trial, before + growing)
    # The first is fitted in any case: cut off after a few large steps it is still worth more than none.
    is_first = not any(r.trial.model in BOOSTING for r in results)
    if not math.isfinite(growing) and not is_first:
        return Paced(None, growing)
    faster = max(rate, round(min(_HIGHEST_RATE, rate * growing / spare) if spare > 0 else _HIGHEST_RATE, 3))
    least = growing * rate / faster
    if least > _HOPELESSLY_LONG * spare and not is_first:
        return Paced(None, before + least)
    return Paced(replace(trial, params={**trial.params, "learning_rate": faster}), before + least)


def _length(trial: Trial, results: Sequence[TrialResult]) -> float:
    """Return about how many iterations it will be, times the learning rate."""
    known = [r for r in results if r.trial.model == "lightgbm" and r.complete and r.n_iterations]
    if not known:
        return _TYPICAL + _PATIENCE
    first = known[0]
    took = float(np.mean(first.n_iterations)) * first.trial.params.get("learning_rate", 0.1)
    kind = "extra_trees" if trial.params.get("extra_trees") else trial.model
    return min(_LONGEST, max(_SHORTEST, _LONGER[kind] * took * times_longer(first) + _PATIENCE))


def share_of_proposal(left: float, usual: float, *, part: float) -> float:
    """Return how many of the seconds left a proposal may take; 0 if it would be cut off long before its end.

    Parameters
    ----------
    left : float
        Seconds for all that may still be tried.
    usual : float
        Seconds that trials of the same learner took.
    part : float
        Of the time left, what a trial may have without further ado.

    Examples
    --------
    With much time it has its part, with little what it needs; with less nothing is begun.

    >>> share_of_proposal(20.0, 3.0, part=0.4), share_of_proposal(5.0, 3.0, part=0.4)
    (8.0, 3.0)
    >>> share_of_proposal(2.5, 3.0, part=0.4), share_of_proposal(1.5, 3.0, part=0.4)
    (2.25, 0.0)
    """
    share = max(part * left, min(LAST_SHARE * left, usual))
    return share if share >= _WORTH * usual else 0.0
