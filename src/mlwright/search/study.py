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
from mlwright.core.types import Floats
from mlwright.execution import Executor, Local
from mlwright.features.plan import FeaturePlan
from mlwright.models.ensemble import Ensemble
from mlwright.search.apart import FitError
from mlwright.search.blend import blend, price, total_price
from mlwright.search.calibrate import calibrate
from mlwright.search.costs import After
from mlwright.search.fitter import Fitter, draws_by_seed
from mlwright.search.memory import fits_into_memory
from mlwright.search.pace import folds_in_time, paced
from mlwright.search.parameter_importance import parameter_importance
from mlwright.search.portfolio import BASELINES, portfolio
from mlwright.search.proposer import propose
from mlwright.search.result import StudyResult
from mlwright.search.study_data import StudyData, folds_note, rows_of_refit, sample_note, telling_rows
from mlwright.search.thinning import Latency, capped, thin, with_larger_steps
from mlwright.search.trial import Trial, TrialResult
from mlwright.search.unstopped import affordable, reserve, unstopped

if TYPE_CHECKING:
    from mlwright.search.journal import Journal

__all__ = ["StudyData", "StudyResult", "run_study"]

_TRIAL_SHARE = 0.4  # of what is left, at most, for one trial
_BASELINE_SHARE = 0.15  # the same for a linear model, which converges slowly and gains little by it
_LOOK = 8  # proposals between two looks at the blend
_PATIENCE = 24  # proposals in a row that the blend does not use: then no better one is to be expected
# Few rows cannot tell many configurations apart: the best of them would be so by chance.
_ROWS_A_PROPOSAL = 100
_FEWEST_PROPOSALS = 6
# Of the way from the best trial to the dummy: a proposal so poor on its first folds is given up.
_HOPELESS = 0.25
_BLEND_SECONDS = 0.2  # until it has been measured
_MOST_SEEDS = 2
_SEEDED_MICROSECONDS = 60.0  # further seeds only while the blend stays cheaper than this
_SAFE = 0.75  # of the time for a refit on more rows than were tried
_SEEDED_SHARE = 0.5  # of the time that is left when the search is over


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
        fitter = Fitter(data, executor or Local(), after)
        study = _Study(data, deadline, fitter, journal, listener)
        if replay is None:
            study.search(most_trials or 10**9)
            return study.finish(study.quickened(study.choose()))
        study.replay(replay)
        return study.finish(dict(choices or {}))


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
        self.start = time.monotonic()
        self.before = 0.0 if journal is None else journal.seconds
        self.weights: dict[int, float] = {}
        self._blends: dict[tuple[float, ...], dict[int, float]] = {}
        self._blend_seconds = _BLEND_SECONDS
        self._looked_at = 0  # how many results there were
        self.planned = portfolio(data.task, data.schema, data.y)

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
        yield from self.planned
        n_outputs, most_price = self.data.task.n_outputs, self.data.latency
        shorter = with_larger_steps(
            self.results, self.metric, len(self.planned), n_outputs=n_outputs, most=most_price
        )
        if shorter is not None:
            self.planned = [*self.planned, shorter]
            yield shorter
        planned = self.planned
        number, idle = len(planned), 0
        if self._looked_at < len(self.results):
            self._chosen()
        most = number + max(_FEWEST_PROPOSALS, telling_rows(self.data) // _ROWS_A_PROPOSAL)
        while (
            number < most
            and idle < _PATIENCE
            and (number in done or self._time_left() > self._least_seconds())
        ):
            if (number - len(planned)) % _LOOK == 0:
                self._chosen()
                recent = range(number - _LOOK, number)
                idle = 0 if any(self.weights.get(n, 0.0) > 0 for n in recent) else idle + _LOOK
            trial = (
                done[number].trial
                if number in done
                else propose(number, self.results, self.weights, self.metric, seed=self.data.seed)
            )
            if trial is None:
                return
            yield trial
            number += 1

    def _time_left(self) -> float:
        left = self.deadline.left - self._blend_seconds
        left -= reserve(self.data, self.results, self.deadline.left)
        blended = [r for r in self.results if self.weights.get(r.trial.number, 0.0) > 0]
        return self.fitter.costs.time_for_trials(left, self.results, blended)

    def _least_seconds(self) -> float:
        """Return what the quickest real trial took: with less left nothing more can be tried."""
        took = [r.seconds for r in self.results if r.trial.model not in BASELINES and r.complete]
        return max(0.1, 0.5 * min(took, default=1.0))

    def _fit(self, trial: Trial) -> TrialResult | None:
        """Fit a trial; None if the time or the memory that is left is too little for it."""
        first = trial.model in BASELINES and not any(r.trial.model == trial.model for r in self.results)
        if not first and not self._worth_starting(trial):
            return None
        if not first and not fits_into_memory(self.data, trial):
            self.listener(
                Event("note", f"trial {trial.number} ({trial.model}) would not fit into the memory left")
            )
            return None
        kinds.load(kinds.MODELS, trial.model, family="model").prepare()
        part = _BASELINE_SHARE if trial.model in BASELINES else _TRIAL_SHARE
        share = max(0.0, part * self._time_left())
        if trial.number < len(self.planned):
            with_steps = paced(self.fitter, trial, self.results, share)
            if with_steps.trial is None:
                message = (
                    f"trial {trial.number} ({trial.model}) would take {with_steps.seconds:.0f} s: left out"
                )
                self.listener(Event("note", message))
                return None
            trial = with_steps.trial
        result = self.fitter.trial(trial, Deadline(share), hopeless=self._hopeless(trial))
        result.told["finished"] = round(self.before + time.monotonic() - self.start, 3)
        return result

    def _worth_starting(self, trial: Trial) -> bool:
        """Return whether a fit of the same learner would likely end in time."""
        same = [r.seconds for r in self.results if r.trial.model == trial.model and r.complete]
        least = max(0.2, 0.3 * max(same, default=0.0))
        if self._time_left() <= least and len(self.results) >= self._looked_at + _LOOK // 2:
            self._chosen()  # with the blend known, less time need be kept for its refit
        return self._time_left() > least

    def _hopeless(self, trial: Trial) -> float:
        """Return the gain below which a proposal's other folds are not fitted; the portfolio is always fitted."""
        gains = {r.trial.number: r.gain(self.metric) for r in self.results if r.complete}
        dummy = next((r.trial.number for r in self.results if r.trial.model == "dummy"), None)
        if trial.number < len(self.planned) or dummy is None or not gains:
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
            self._tell_failure(result)
            return
        best = max(self.results, key=lambda r: r.gain(self.metric) if r.complete else -math.inf)
        trial, task = result.trial, self.data.task
        self.listener(
            Event(
                "trial",
                f"trial {trial.number}: {trial.model} on {trial.view} columns, {task.metric} {result.score:.5g}",
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

    def _tell_failure(self, result: TrialResult) -> None:
        self.listener(Event("note", _failure(result)))

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

    # The end

    def choose(self) -> dict[str, int]:
        """Decide what depends on the time left; what an interrupted process decided stays."""
        if self.journal is not None and self.journal.ended:
            return dict(self.journal.choices)
        choices: dict[str, int] = {}
        chosen = self._chosen()
        while len(chosen) > 1 and not self._fits(chosen):
            slowest = max(r.told.get("seconds", 0.0) for r, _ in chosen)
            choices["slower_than_ms"] = math.ceil(1000 * slowest) - 1
            chosen = self._chosen(choices)
        choices["seeds"] = self._seeds(chosen)
        rows = self._refit_rows(chosen)
        if rows is not None:
            choices["refit_rows"] = rows
        costs = self.fitter.costs
        refit = sum(costs.refit_seconds(result) for result, _ in chosen) * choices["seeds"]
        after = costs.time_for_refit(self.deadline.left, self.results) - refit
        if affordable(self.data, chosen, after / self.fitter.executor.workers):
            choices["unstopped"] = 1
        detail = costs.detail(self.deadline.left, [r for r, _ in chosen], choices["seeds"])
        if detail < 100:
            choices["detail"] = detail
        if self.journal is not None:
            self.journal.end(choices)
        return choices

    def _fits(self, chosen: Sequence[tuple[TrialResult, float]]) -> bool:
        return self.fitter.costs.fits(self.deadline.left, self.results, [r for r, _ in chosen])

    def quickened(self, choices: dict[str, int]) -> dict[str, int]:
        """Thin the blend until a prediction holds its limit by the clock; see `mlwright.search.thinning`."""
        data, clock = self.data, self.data.clock
        if clock is None:
            return choices
        known: dict[tuple[object, ...], float] = {}

        def measure(choices: dict[str, int]) -> float:
            chosen = self._chosen(choices)
            key = choices.get("seeds"), *((r.trial.number, weight) for r, weight in chosen)
            if key not in known:
                known[key] = clock(*self._model(choices)[1:])
            return known[key]

        whole = total_price(data, [result for result, _ in self._chosen()])
        return thin(choices, measure, price=whole, limit=data.limit)

    def _chosen(self, choices: Mapping[str, int] | None = None) -> list[tuple[TrialResult, float]]:
        """Weigh all trials, and return those of the blend with their weights; nothing is weighed twice."""
        choices = choices or {}
        data = replace(self.data, latency=capped(self.data.latency, choices))
        results = _quick_enough(self.results, choices)
        key = data.latency, *(r.trial.number for r in results if r.complete)
        if key not in self._blends:
            begun = time.monotonic()
            self._blends[key] = blend(data, results, self.metric)
            self._blend_seconds = time.monotonic() - begun
        # Those that failed since then have no weight.
        self.weights = dict.fromkeys((r.trial.number for r in self.results), 0.0) | self._blends[key]
        self._looked_at = len(self.results)
        return [(r, self.weights[r.trial.number]) for r in self.results if self.weights[r.trial.number] > 0]

    def _seeds(self, chosen: Sequence[tuple[TrialResult, float]]) -> int:
        """Return how many seeds each refit is averaged over: as many as the clock and the price of a row allow."""
        if self.data.quality == "bag":
            return 1
        drawn = [result for result, _ in chosen if draws_by_seed(result.trial)]
        dear = sum(price(result, self.data.task.n_outputs) for result in drawn)
        fixed = sum(price(r, self.data.task.n_outputs) for r, _ in chosen if not draws_by_seed(r.trial))
        if not drawn:
            return 1
        by_price = (min(_SEEDED_MICROSECONDS, self.data.latency) - fixed) / max(dear, 1e-9)
        seconds = (
            sum(self.fitter.costs.refit_seconds(result) for result in drawn) / self.fitter.executor.workers
        )
        by_time = _SEEDED_SHARE * self.deadline.left / max(seconds, 1e-9)
        return int(max(1, min(_MOST_SEEDS, by_price, by_time)))

    def _refit_rows(self, chosen: Sequence[tuple[TrialResult, float]]) -> int | None:
        """Return on how many rows the chosen are refitted, where trials saw a sample; None for all of them."""
        if self.data.rows is None:
            return None
        baselines = self.results[: len(BASELINES)]
        seconds = sum(self.fitter.costs.seconds_on_all_rows(r) for r in [*(r for r, _ in chosen), *baselines])
        spare = max(0.0, self.fitter.costs.time_for_refit(self.deadline.left, self.results))
        share = min(1.0, _SAFE * spare / max(seconds, 1e-9))
        return max(len(self.data.rows), int(share * len(self.data.y)))

    def _model(self, choices: Mapping[str, int]) -> tuple[Floats, Ensemble, dict[str, FeaturePlan]]:
        """Return the out-of-fold predictions, the refitted blend and its plans; what was fitted before is not again.

        A trial whose refit fails is left out, and the blend chosen anew.
        """
        while True:
            try:
                return self._refitted(self._chosen(choices), choices)
            except FitError as failed:
                place = next(i for i, r in enumerate(self.results) if r.trial.number == failed.number)
                result = self.results[place]
                told = result.told | {"failed": f"fitted on all rows, {failed.reason}"}
                self.results[place] = replace(result, complete=False, told=told)
                self._tell_failure(self.results[place])

    def _refitted(
        self, chosen: Sequence[tuple[TrialResult, float]], choices: Mapping[str, int]
    ) -> tuple[Floats, Ensemble, dict[str, FeaturePlan]]:
        data, fitter = self.data, self.fitter
        predicted = sum(
            (result.predicted * weight for result, weight in chosen), np.zeros_like(chosen[0][0].predicted)
        )
        covered = np.flatnonzero(np.isfinite(predicted).all(axis=1))
        calibration = calibrate(
            data.y[covered],
            predicted[covered],
            data.task,
            weights=None if data.weights is None else data.weights[covered],
            seed=data.seed,
        )
        if calibration is not None:
            predicted[covered] = calibration.apply(predicted[covered])
        bagged = fitter.bag(chosen) if data.quality == "bag" else None
        fitter.forget_folds()
        rows = rows_of_refit(data, choices)
        blended, plans = bagged or fitter.refit(chosen, n_seeds=choices.get("seeds", 1), rows=rows)
        return predicted, Ensemble(blended.members, calibration), plans

    def _latency(self, choices: Mapping[str, int], predicted: Floats) -> Latency | None:
        """Return what the clock told, beside the out-of-fold scores with and without thinning."""
        if "latency_ns" not in choices:
            return None
        data = self.data

        def score(values: Floats) -> float:
            covered = np.flatnonzero(np.isfinite(values).all(axis=1))
            weights = None if data.weights is None else data.weights[covered]
            return self.metric.score(data.y[covered], values[covered], weights)

        now, kept = score(predicted), self.weights
        first = now
        if "price_ns" in choices:
            whole = self._chosen()
            zero = np.zeros_like(predicted)
            first = score(sum((result.predicted * weight for result, weight in whole), zero))
            self.weights = kept
        return Latency(choices["latency_ns"] / 1000, choices["latency_first_ns"] / 1000, now, first)

    def finish(self, choices: dict[str, int]) -> StudyResult:
        """Refit the blend and the baselines."""
        data, fitter = self.data, self.fitter
        chosen = self._chosen(choices)
        again = unstopped(fitter, chosen) if choices.get("unstopped") else None
        predicted, ensemble, plans = self._model(choices)
        if again is not None and len(self._chosen(choices)) != len(chosen):  # the refit of one has failed
            again = unstopped(fitter, self._chosen(choices))
        if again is not None and ensemble.calibration is not None:
            known = np.flatnonzero(np.isfinite(again).all(axis=1))
            again[known] = ensemble.calibration.apply(again[known])
        rows = rows_of_refit(data, choices)
        baselines, baseline_plans = {}, {}
        for kind in BASELINES:
            result = next(
                (
                    r
                    for r in self.results
                    if r.trial.model == kind and r.trial.link == "identity" and r.complete
                ),
                None,
            )
            if result is None:
                continue
            try:
                baselines[kind], used = fitter.refit([(result, 1.0)], rows=rows)
            except FitError as failed:
                self.listener(Event("note", f"the baseline {kind} failed: {failed.reason}"))
                continue
            baseline_plans |= used
        failed = [result for result in self.results if "failed" in result.told]
        return StudyResult(
            self.results,
            self.weights,
            plans,
            ensemble,
            predicted,
            baselines,
            baseline_plans,
            choices,
            parameter_importance(self.results, self.metric, seed=data.seed),
            (*sample_note(data, rows), *folds_note(data, len(fitter.folds)), *map(_failure, failed)),
            self._latency(choices, predicted),
            again,
        )


def _n_folds(results: Iterable[TrialResult]) -> int:
    """Return on how many folds the trials were fitted; 0 if there are none."""
    return max((len(result.n_iterations) for result in results if result.complete), default=0)


def _quick_enough(results: Sequence[TrialResult], choices: Mapping[str, int]) -> list[TrialResult]:
    """Return the trials that there was time to refit, as `_Study.choose` has decided; the quickest real one in any case."""
    most = choices.get("slower_than_ms", math.inf) / 1000
    real = [r.told.get("seconds", 0.0) for r in results if r.complete and r.trial.model != "dummy"]
    return [r for r in results if r.told.get("seconds", 0.0) <= max(most, min(real, default=math.inf))]


def _failure(result: TrialResult) -> str:
    return f"trial {result.trial.number} ({result.trial.model}) failed: {result.told['failed']}"
