"""Study: run the portfolio over the folds, then search around its winners; blend, calibrate, and refit on all rows."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright import metrics
from mlwright.core import kinds
from mlwright.core.clock import Deadline
from mlwright.core.events import Event, Listener, silent
from mlwright.execution import Executor, Local
from mlwright.search.apart import FitError
from mlwright.search.costs import After
from mlwright.search.ending import Ending, failure
from mlwright.search.fitter import Fitter
from mlwright.search.memory import fits_into_memory
from mlwright.search.pace import LAST_SHARE, folds_in_time, paced, share_of_proposal
from mlwright.search.portfolio import BASELINES, portfolio
from mlwright.search.proposer import propose
from mlwright.search.prospects import BOOSTING, far_from_its_end, left_behind, most_promising
from mlwright.search.repeats import can_repeat, to_repeat
from mlwright.search.result import StudyResult
from mlwright.search.study_data import StudyData, telling_rows
from mlwright.search.thinning import with_larger_steps
from mlwright.search.trial import Trial, TrialResult
from mlwright.search.unstopped import reserve

if TYPE_CHECKING:
    from mlwright.search.journal import Journal

__all__ = ["StudyData", "StudyResult", "run_study"]

_TRIAL_SHARE = 0.4  # of what is left, at most, for one trial
# For the first that boosts: nothing says yet how many iterations it will need. With few seconds little can follow it.
_FIRST_SHARE, _FIRST_SHARE_OF_FEW, _FEW_SECONDS = 0.25, 0.4, 8.0
_LEAST_SECONDS = 0.08  # for a trial
_USED = 0.2  # of its share: what failed sooner did not fail for lack of time
_PACED = 0.3  # of what a learner's trials usually take must be left to start one of the portfolio
_BASELINE_SHARE = 0.15  # the same for a linear model, which converges slowly and gains little by it
_MOST_KEPT = 0.4  # of all the time, for refits: else one dear trial would end the search
_LOOK = 8  # proposals between two looks at the blend
_PATIENCE = 24  # proposals in a row that the blend does not use: then no better one is to be expected
# Few rows cannot tell many configurations apart: the best of them would be so by chance.
_ROWS_A_PROPOSAL = 100
_FEWEST_PROPOSALS = 6
# Of the way from the best trial to the dummy: a proposal so poor on its first folds is given up.
_HOPELESS = 0.25
_DEAR = 0.05  # of the time left: what is like others that fell behind, and would take more, is left out
# Of the time that a trial had which the clock cut off: once more it must have so many times as much, and it waits while it
# could have that many; a net is not begun again with less (boosting makes up for that by larger steps).
_LONGER, _MUCH_LONGER, _AS_LONG = 1.5, 2.0, 0.9


def run_study(
    data: StudyData,
    deadline: Deadline,
    *,
    most_trials: int | None = None,
    journal: Journal | None = None,
    replay: Sequence[TrialResult] | None = None,
    choices: Mapping[str, int] | None = None,
    executor: Executor | None = None,
    after: After | None = None,
    listener: Listener = silent,
) -> StudyResult:
    """Run a study to its end.

    Parameters
    ----------
    data : StudyData
        The training rows.
    deadline : Deadline
        When all of it, the refit included, should be over. The baselines are fitted in any case.
    most_trials : int, optional
        Not more trials than this; the baselines count.
    journal : Journal, optional
        Holds trials that an earlier process finished, and gets each new one.
    replay : sequence of TrialResult, optional
        Fit exactly these trials again, with the iterations that they record and no clock.
    choices : mapping, optional
        With `replay`: the recorded `StudyResult.choices`.
    executor : Executor, optional
        Where folds are fitted; by default this machine.
    after : After, optional
        What the blend will have to predict before the deadline once it is refitted.
    listener : callable
        Hears of each trial.
    """
    from threadpoolctl import threadpool_limits

    # One thread for all of the study: BLAS sums in another order with more. This setting and the filters of warnings
    # are the process's own, so that fits side by side cannot each have theirs.
    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")  # the clock stops it
        fitter = Fitter(data, executor or Local(), after, seconds=deadline.seconds)
        study = _Study(data, deadline, fitter, journal, listener)
        if replay is None:
            study.search(most_trials or 10**9)
            return study.end.finish(study.end.quickened(study.end.choose()))
        study.replay(replay)
        return study.end.finish(dict(choices or {}))


class _Study:
    """One study under way."""

    def __init__(
        self,
        data: StudyData,
        deadline: Deadline,
        fitter: Fitter,
        journal: Journal | None,
        listener: Listener,
    ) -> None:
        self.data, self.deadline, self.fitter = data, deadline, fitter
        self.journal, self.listener = journal, listener
        self.metric = metrics.of(data.task)
        self.results: list[TrialResult] = []
        self.end = Ending(data, deadline, fitter, self.results, journal, listener)
        self.start = time.monotonic()
        self.refused = 0  # trials in a row that were not worth starting
        self.too_little: dict[str, float] = {}  # seconds that a learner's trial could not use, by learner
        self.before = 0.0 if journal is None else journal.seconds
        self.planned = portfolio(data.task, data.schema, data.y)
        self.longer: Trial | None = None  # the most promising, once more with nearly all the time left

    # Trials

    def search(self, most_trials: int) -> None:
        """Run the portfolio, then proposals, until time, trials or ideas are over."""
        done = {result.trial.number: result for result in (self.journal.results if self.journal else [])}
        n_folds = _n_folds(done.values()) or folds_in_time(self.fitter, self.planned, self._time_left())
        self.fitter.use_folds(n_folds)
        over = self.journal is not None and self.journal.ended
        for trial in self._trials(done):
            if len(self.results) >= max(most_trials, len(BASELINES)):
                break
            result = done.get(trial.number)
            if result is None:
                result = None if over else self._fit(trial)
                if result is None:
                    continue
                if self.journal is not None:
                    self.journal.add(result)
            self._keep(result)

    def _trials(self, done: Mapping[int, TrialResult]) -> Iterator[Trial]:
        """Give the portfolio, then one proposal after the other while there is time and the blend gains."""
        for trial in tuple(self.planned):
            again = self._again(trial)
            if again is not None:
                self.longer, self.planned = again, [*self.planned, again]
                yield again
            yield trial
        n_outputs, most_price = self.data.task.n_outputs, self.data.latency
        shorter = with_larger_steps(
            self.results, self.metric, len(self.planned), n_outputs=n_outputs, most=most_price
        )
        if shorter is not None:
            self.planned = [*self.planned, shorter]
            yield shorter
        planned = self.planned
        number, idle, self.refused = len(planned), 0, 0
        if self.end.looked_at < len(self.results):
            self.end.chosen()
        most = number + max(_FEWEST_PROPOSALS, telling_rows(self.data) // _ROWS_A_PROPOSAL)
        while number < most and idle < _PATIENCE and self.refused < _LOOK and self._goes_on(done.get(number)):
            if (number - len(planned)) % _LOOK == 0:
                self.end.chosen()
                recent = range(number - _LOOK, number)
                idle = 0 if any(self.end.weights.get(n, 0.0) > 0 for n in recent) else idle + _LOOK
            trial = (
                done[number].trial
                if number in done
                else propose(number, self.results, self.end.weights, self.metric, seed=self.data.seed)
            )
            if trial is None:
                break
            yield trial
            number += 1
        yield from self._repeated(number, done)

    def _again(self, coming: Trial) -> Trial | None:
        """Return the most promising of what the clock cut off, once more, where it can have much more time, but not for long."""
        if self.longer is not None:
            return None
        result = most_promising(self.results, self.metric, self.planned[coming.number :])
        if result is None:
            return None
        left = self._time_left()
        later = left - self._allowed(coming)
        if (
            LAST_SHARE * left < _LONGER * result.seconds
            or LAST_SHARE * later >= _MUCH_LONGER * result.seconds
        ):
            return None
        return replace(result.trial, number=len(self.planned))

    def _goes_on(self, done: TrialResult | None) -> bool:
        """Return whether another proposal comes: one that an earlier process has fitted, or one that there is time for."""
        if done is not None:
            return not done.trial.repeat
        return self._time_left() > self._least_seconds()

    def _repeated(self, number: int, done: Mapping[int, TrialResult]) -> Iterator[Trial]:
        """Give the best trials once more, to be fitted on the second draw of the folds, those that there is time for."""
        earlier = sorted((r.trial for r in done.values() if r.trial.repeat), key=lambda trial: trial.number)
        yield from earlier
        if not can_repeat(self.data, len(self.fitter.folds)):
            return
        if self.end.looked_at < len(self.results):
            self.end.chosen()
        number = max([number, *(trial.number + 1 for trial in earlier)])
        known = [replace(trial, number=0, repeat=0) for trial in earlier]
        for result in to_repeat(self.results, self.metric, self._time_left() - self._seconds_of_blend()):
            if replace(result.trial, number=0) not in known:
                yield replace(result.trial, number=number, repeat=1)
                number += 1

    def _seconds_of_blend(self) -> float:
        """Return what a second blend like that of now takes to refit, and once more on its folds."""
        blended = [r for r in self.results if self.end.weights.get(r.trial.number, 0.0) > 0]
        refits = self.fitter.costs.refitting(
            [self.fitter.costs.refit_seconds(r) for r in blended], len(blended)
        )
        return refits + reserve(self.data, blended, self.deadline.left)

    def _time_left(self) -> float:
        left = self.deadline.left - self.end.blend_seconds
        left -= reserve(self.data, self.results, self.deadline.left)
        blended = [r for r in self.results if self.end.weights.get(r.trial.number, 0.0) > 0]
        most_kept = _MOST_KEPT * self.deadline.seconds
        return self.fitter.costs.time_for_trials(left, self.results, blended, most_kept=most_kept)

    def _least_seconds(self) -> float:
        """Return what the quickest real trial took: with less left nothing more can be tried."""
        took = [r.seconds for r in self.results if r.trial.model not in BASELINES and r.complete]
        return max(0.1, 0.5 * min(took, default=1.0))

    def _fit(self, trial: Trial) -> TrialResult | None:
        """Fit a trial; None if the time or the memory that is left is too little for it."""
        first = trial.model in BASELINES and not any(r.trial.model == trial.model for r in self.results)
        if not first and not self._worth_starting(trial):
            self.refused += 1
            return None
        self.refused = 0
        dear = self._usual_seconds(trial) > _DEAR * self._time_left()
        of_portfolio = trial.number < len(self.planned) and trial is not self.longer
        if dear and of_portfolio and left_behind(trial, self.results, self.metric):
            message = (
                f"trial {trial.number} ({trial.model}) left out: its like fell behind, and it would take long"
            )
            self.listener(Event("note", message))
            return None
        if not first and not fits_into_memory(self.data, trial):
            self.listener(
                Event("note", f"trial {trial.number} ({trial.model}) would not fit into the memory left")
            )
            return None
        kinds.load(kinds.MODELS, trial.model, family="model").prepare()
        share = self._allowed(trial)
        if trial.number < len(self.planned):
            with_steps = paced(self.fitter, trial, self.results, share)
            if with_steps.trial is None:
                self.too_little[trial.model] = share
                long = f"{with_steps.seconds:.0f} s" if math.isfinite(with_steps.seconds) else "far too long"
                message = f"trial {trial.number} ({trial.model}) would take {long}: left out"
                self.listener(Event("note", message))
                return None
            trial = with_steps.trial
        # What a view takes to prepare is for all trials that see it, and no part of the first one's share.
        share = max(
            share,
            min(
                share + self.fitter.matrices.seconds_to_prepare(trial.view, trial.repeat),
                LAST_SHARE * self._time_left(),
            ),
        )
        result = self.fitter.trial(trial, Deadline(share), hopeless=self._hopeless(trial))
        if not result.n_iterations and result.seconds >= _USED * share:
            self.too_little[trial.model] = share
        if trial.model not in BOOSTING and far_from_its_end(result):
            self.too_little[trial.model] = _AS_LONG * result.seconds
        result.told["finished"] = round(self.before + time.monotonic() - self.start, 3)
        return result

    def _part(self, trial: Trial) -> float:
        """Return which part of the time left a trial may take."""
        if trial is self.longer:
            return LAST_SHARE
        if trial.model in BASELINES:
            return _BASELINE_SHARE
        known = any(r.trial.model in BOOSTING for r in self.results)
        if known or trial.model not in BOOSTING:
            return _TRIAL_SHARE
        return _FIRST_SHARE if self._time_left() > _FEW_SECONDS else _FIRST_SHARE_OF_FEW

    def _worth_starting(self, trial: Trial) -> bool:
        """Return whether a fit of the same learner would likely end in time."""
        short = max(_LEAST_SECONDS, self._usual_seconds(trial))
        if self._allowed(trial) <= short and len(self.results) >= self.end.looked_at + _LOOK // 4:
            self.end.chosen()  # with the blend known, less time need be kept for its refit
        return self._allowed(trial) > max(_LEAST_SECONDS, self.too_little.get(trial.model, 0.0))

    def _allowed(self, trial: Trial) -> float:
        """Return how many seconds the trial may take, 0 where that would be too little for it."""
        left, usual = max(0.0, self._time_left()), self._usual_seconds(trial)
        if trial.number >= len(self.planned):
            return share_of_proposal(left, usual, part=_TRIAL_SHARE)
        # One of the portfolio can be had with larger steps, see `paced`.
        return self._part(trial) * left if left > _PACED * usual else 0.0

    def _usual_seconds(self, trial: Trial) -> float:
        """Return what a trial of the same learner took, in the middle; without one, what the linear baseline did.

        Boosting is probed and stops by the clock.
        """
        took: dict[str, list[float]] = {}
        for result in self.results:
            if result.complete:
                took.setdefault(result.trial.model, []).append(result.seconds)
        seconds = took.get(trial.model) or ([] if trial.model in BOOSTING else took.get("linear"))
        return float(np.median(seconds)) if seconds else 0.0

    def _hopeless(self, trial: Trial) -> float:
        """Return the gain below which a proposal's other folds are not fitted; the portfolio, and what is repeated, always is."""
        gains = {r.trial.number: r.gain(self.metric) for r in self.results if r.complete}
        dummy = next((r.trial.number for r in self.results if r.trial.model == "dummy"), None)
        if trial.number < len(self.planned) or trial.repeat or dummy is None or not gains:
            return -math.inf
        best = max((r for r in self.results if r.complete), key=lambda r: r.gain(self.metric))
        n_first = min(self.fitter.executor.workers, len(best.fold_scores))
        turn = 1.0 if self.metric.greater_is_better else -1.0
        first = turn * float(np.mean(best.fold_scores[:n_first]))
        reach = _HOPELESS * (gains[best.trial.number] - gains[dummy])
        return first - reach if math.isfinite(first - reach) else -math.inf

    def _keep(self, result: TrialResult) -> None:
        self.results.append(result)
        if "failed" in result.told:
            self.listener(Event("note", failure(result)))
            return
        best = max(self.results, key=lambda r: r.gain(self.metric) if r.complete else -math.inf)
        trial, task = result.trial, self.data.task
        longer = self.longer is not None and trial.number == self.longer.number
        self.listener(
            Event(
                "trial",
                f"trial {trial.number}: {trial.model} on {trial.view} columns"
                f"{', on other folds' if trial.repeat else ', for longer' if longer else ''}"
                f", {task.metric} {result.score:.5g}",
                {
                    "number": trial.number,
                    "of": len(self.results),
                    "model": trial.model,
                    "metric": task.metric,
                    "score": result.score,
                    "best": best.score,
                    "seconds": result.seconds,
                    "left": self.deadline.left,
                },
            )
        )

    def replay(self, recorded: Sequence[TrialResult]) -> None:
        """Fit recorded trials again."""
        self.fitter.use_folds(_n_folds(recorded) or len(self.data.folds))
        for one in recorded:
            if not one.n_iterations:  # its fit failed then
                nothing = np.full((len(self.data.y), self.data.task.n_outputs), np.nan)
                self._keep(replace(one, predicted=nothing))
                continue
            kinds.load(kinds.MODELS, one.trial.model, family="model").prepare()
            again = self.fitter.trial(one.trial, Deadline(np.inf), one.n_iterations)
            if "failed" in again.told:
                raise FitError(again.told["failed"], one.trial.number)
            # One whose refit failed then is left out again.
            self._keep(replace(again, told=dict(one.told), complete=one.complete))


def _n_folds(results: Iterable[TrialResult]) -> int:
    """Return on how many folds the trials were fitted; 0 if there are none."""
    return max((len(result.n_iterations) for result in results if result.complete), default=0)
