"""Study: run the portfolio over the folds until the time is up, blend the best, refit the blend on all rows."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mlwright import metrics
from mlwright.core import kinds, seeds
from mlwright.core.clock import Deadline
from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Schema, Task
from mlwright.data.values import Columns, take
from mlwright.execution import Executor, Local
from mlwright.features.plan import FeaturePlan
from mlwright.features.recipes import build
from mlwright.metrics.base import Metric
from mlwright.models.base import FitContext, Model
from mlwright.models.ensemble import Ensemble, Member, greedy_weights
from mlwright.search.portfolio import BASELINES, portfolio
from mlwright.search.trial import Trial, TrialResult

if TYPE_CHECKING:
    from mlwright.search.journal import Journal

__all__ = ["StudyData", "StudyResult", "run_study"]

_TRIAL_SHARE = 0.4  # of what is left, at most, for one trial
_BASELINE_SHARE = 0.15  # the same for a linear model, which converges slowly and gains little by it
_BASELINE_SECONDS = 2.0  # a baseline gets so much to be one, even if the time is over
_LEAST_WEIGHT = 0.03  # of the blend; lighter members are not worth their latency
_MOST_MEMBERS = 5
_REFIT_FACTOR = 1.05  # more rows carry a few more trees
_CACHE_BYTES = 2**30
_ROWS_FOR_THREADS = 50_000
_IMPORTANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StudyData:
    """The training rows.

    Parameters
    ----------
    columns : Columns
        Canonical feature columns of the training rows.
    y : ndarray of shape (n_rows,)
        Values or class codes.
    schema, task : Schema, Task
        What the columns are and what is predicted.
    folds : sequence of (ndarray, ndarray)
        Positions to fit on and to validate on.
    seed : int
        The run's seed.
    """

    columns: Columns
    y: Floats
    schema: Schema
    task: Task
    folds: Sequence[tuple[Ints, Ints]]
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study found.

    Parameters
    ----------
    results : list of TrialResult
        All finished trials, by number.
    weights : dict of int to float
        The blend: weight by trial number.
    plans : dict of str to FeaturePlan
        One fitted plan a view that the blend uses.
    ensemble : Ensemble
        The refitted blend.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out-of-fold predictions of the blend; NaN where no fold validates.
    baselines : dict of str to Ensemble
        ``dummy`` and ``linear``, refitted alike; their views are in `baseline_plans`.
    """

    results: list[TrialResult]
    weights: dict[int, float]
    plans: dict[str, FeaturePlan]
    ensemble: Ensemble
    predicted: Floats
    baselines: dict[str, Ensemble]
    baseline_plans: dict[str, FeaturePlan] = field(default_factory=dict)


def run_study(
    data: StudyData,
    deadline: Deadline,
    *,
    journal: Journal | None = None,
    replay: Sequence[TrialResult] | None = None,
    executor: Executor | None = None,
    rows_after: tuple[int, int] = (0, 0),
    listener: Listener = silent,
) -> StudyResult:
    """Run a study to its end.

    Parameters
    ----------
    data : StudyData
        The training rows.
    deadline : Deadline
        When all of it, the refit included, should be over. The baselines are fitted in any case.
    journal : Journal, optional
        Holds trials that an earlier process finished, and gets each new one.
    replay : sequence of TrialResult, optional
        Fit exactly these trials again, with the iterations that they record and no clock.
    executor : Executor, optional
        Where folds are fitted; by default this machine.
    rows_after : (int, int)
        How many rows the blend will have to predict before the deadline once it is refitted, and how many shuffled ones
        for the importances, which are given up to five seconds.
    listener : callable
        Hears of each trial.
    """
    from threadpoolctl import threadpool_limits

    # One thread for all of the study: BLAS sums in another order with more. This setting and the filters of warnings
    # are the process's own, so that fits side by side cannot each have theirs.
    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")  # the clock stops it
        fitter = _Fitter(data, executor or Local(), rows_after)
        return _run(data, deadline, journal, replay, fitter, listener)


def _run(
    data: StudyData,
    deadline: Deadline,
    journal: Journal | None,
    replay: Sequence[TrialResult] | None,
    fitter: _Fitter,
    listener: Listener,
) -> StudyResult:
    done = {result.trial.number: result for result in (journal.results if journal else [])}
    recorded = None if replay is None else {result.trial.number: result for result in replay}
    trials = [result.trial for result in replay] if replay is not None else portfolio(data.task, data.y)
    metric = metrics.get(data.task.metric)
    results: list[TrialResult] = []
    for trial in trials:
        result = done.get(trial.number)
        if result is None:
            over = journal is not None and journal.ended
            left = fitter.time_for_trials(deadline.left, results)
            if recorded is None and (over or not _worth_starting(trial, results, left)):
                continue
            kinds.load(kinds.MODELS, trial.model, family="model").prepare()
            left = fitter.time_for_trials(deadline.left, results)
            iterations = None if recorded is None else recorded[trial.number].n_iterations
            share = _BASELINE_SHARE if trial.model in BASELINES else _TRIAL_SHARE
            share = np.inf if recorded is not None else max(0.0, share * left)
            result = fitter.trial(trial, Deadline(share), iterations)
            if journal is not None:
                journal.add(result)
        results.append(result)
        best = max(results, key=lambda r: _gain(r, metric))
        listener(
            Event(
                "trial",
                f"trial {trial.number}: {trial.model} on {trial.view} columns, {data.task.metric} {result.score:.5g}",
                {
                    "number": trial.number,
                    "of": len(trials),
                    "model": trial.model,
                    "metric": data.task.metric,
                    "score": result.score,
                    "best": best.score,
                    "seconds": result.seconds,
                    "left": deadline.left,
                },
            )
        )
    if journal is not None:
        journal.end()
    return _finish(data, fitter, results)


def _gain(result: TrialResult, metric: Metric) -> float:
    gain = result.score if metric.greater_is_better else -result.score
    return -math.inf if math.isnan(gain) else gain


def _worth_starting(trial: Trial, results: list[TrialResult], seconds: float) -> bool:
    """Baselines always run; the rest only while a fit of the same learner would likely end in time."""
    if trial.model in BASELINES and not any(result.trial.model == trial.model for result in results):
        return True
    same = [result.seconds for result in results if result.trial.model == trial.model]
    return seconds > max(0.2, 0.3 * max(same, default=0.0))


def _finish(data: StudyData, fitter: _Fitter, results: list[TrialResult]) -> StudyResult:
    covered = ~np.isnan(results[0].predicted[:, 0])
    weights = _blend(data, results, covered)
    chosen = {number: weight for number, weight in weights.items() if weight > 0}
    by_number = {result.trial.number: result for result in results}
    ensemble, plans = fitter.refit([(by_number[number], weight) for number, weight in chosen.items()])
    baselines, baseline_plans = {}, {}
    for kind in BASELINES:
        result = next((r for r in results if r.trial.model == kind and r.trial.link == "identity"), None)
        if result is not None:
            baselines[kind], used = fitter.refit([(result, 1.0)])
            baseline_plans |= used
    predicted = np.full_like(results[0].predicted, np.nan)
    predicted[covered] = sum(
        by_number[number].predicted[covered] * weight for number, weight in chosen.items()
    )
    return StudyResult(results, weights, plans, ensemble, predicted, baselines, baseline_plans)


def _blend(data: StudyData, results: list[TrialResult], covered: np.ndarray) -> dict[int, float]:
    """Return the weight of every trial: greedy selection, light members dropped, the rest scaled to one."""
    candidates = [result for result in results if result.trial.model != "dummy"] or results
    metric = metrics.get(data.task.metric)
    found = greedy_weights(data.y, [result.predicted for result in candidates], metric, mask=covered)
    order = sorted(range(len(candidates)), key=lambda i: (-found[i], candidates[i].trial.number))
    kept = [i for i in order[:_MOST_MEMBERS] if found[i] >= _LEAST_WEIGHT] or order[:1]
    total = sum(float(found[i]) for i in kept)
    weights = dict.fromkeys((result.trial.number for result in results), 0.0)
    for i in kept:
        weights[candidates[i].trial.number] = float(found[i]) / total if total > 0 else 1.0
    return weights


class _Fitter:
    """Fits trials on folds and on all rows; keeps the folds' matrices while they fit into memory."""

    def __init__(self, data: StudyData, executor: Executor, rows_after: tuple[int, int] = (0, 0)) -> None:
        self.data = data
        self.executor = executor
        self.rows_after = rows_after
        self.metric = metrics.get(data.task.metric)
        self.n_classes = len(data.task.labels)
        self._cache: dict[tuple[str, int], tuple[FeaturePlan, Floats, Floats]] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()
        self._full: dict[str, tuple[FeaturePlan, Floats]] = {}
        self._refitted: dict[int, Model] = {}
        self._row_seconds: dict[str | int, float] = {}  # what a view or a trial's model takes for a row

    def time_for_trials(self, left: float, results: list[TrialResult]) -> float:
        """Return how many of the seconds left trials may take, so that the rest is enough to refit them."""
        costs = sorted((self._refit_seconds(r) for r in results if r.trial.model != "dummy"), reverse=True)
        members, workers = costs[:_MOST_MEMBERS], self.executor.workers
        refit = max(sum(members) / workers, max(members, default=0.0))
        linear = sum(self._refit_seconds(r) for r in results[: len(BASELINES)])
        a_second_more = self._refit_share() / workers
        return (left - refit - linear - self._seconds_after(results)) / (1 + a_second_more)

    def _seconds_after(self, results: list[TrialResult]) -> float:
        """Return what the rows to predict afterwards will take with the slowest blend that may come."""
        views = sum(self._row_seconds.get(view, 0.0) for view in {r.trial.view for r in results})
        models = sorted((self._row_seconds.get(r.trial.number, 0.0) for r in results), reverse=True)
        a_row = views + sum(models[:_MOST_MEMBERS])
        rows, shuffled = self.rows_after
        return rows * a_row + min(shuffled * a_row, _IMPORTANCE_SECONDS)

    def _note_row(self, of: str | int, seconds: float) -> None:
        """Keep the least time of a row: the first call loads libraries, and others may share the cores."""
        with self._lock:
            self._row_seconds[of] = min(seconds, self._row_seconds.get(of, math.inf))

    def _refit_share(self) -> float:
        """Return the seconds that one thread needs for all rows, for each second that the folds took."""
        folds = self.data.folds
        waves = -(-len(folds) // self.executor.workers)
        alone = self._threads(len(folds))
        n_fitted = float(np.mean([len(fit) for fit, _ in folds])) if folds else 1.0
        return _REFIT_FACTOR * alone / max(1, waves) * len(self.data.y) / max(1.0, n_fitted)

    def _threads(self, n_fits: int) -> int:
        """Return the threads of one fit: a lone one has all of them where they are worth their coming and going."""
        return self.executor.workers if n_fits == 1 and len(self.data.y) >= _ROWS_FOR_THREADS else 1

    def _refit_seconds(self, result: TrialResult) -> float:
        return self._refit_share() * result.seconds

    def trial(self, trial: Trial, deadline: Deadline, iterations: tuple[int, ...] | None) -> TrialResult:
        """Fit a trial on every fold."""
        start = time.monotonic()
        data, folds = self.data, self.data.folds
        waves = -(-len(folds) // self.executor.workers)
        predicted = np.full((len(data.y), data.task.n_outputs), np.nan)

        def fit(index: int) -> tuple[int, Floats, Model]:
            wave = index // self.executor.workers
            share = deadline.left / (waves - wave) if np.isfinite(deadline.seconds) else np.inf
            stop_at = Deadline(share)
            plan, fit_matrix, valid_matrix = self._matrices(trial.view, index)
            if trial.model in BASELINES:
                stop_at = Deadline(max(stop_at.left, _BASELINE_SECONDS / waves))
            fit_rows, valid_rows = folds[index]
            target = _linked(data.y, trial.link)
            context = FitContext(
                task=data.task,
                categorical=plan.categorical,
                valid=None if iterations else (valid_matrix, target[valid_rows]),
                n_iterations=iterations[index] if iterations else None,
                stop=lambda: stop_at.left <= 0,
                threads=self._threads(len(folds)),
                seed=seeds.derive(data.seed, "trial", trial.number, index),
            )
            model = kinds.load(kinds.MODELS, trial.model, family="model")(**trial.params)
            model.fit(fit_matrix, target[fit_rows], context)
            member = Ensemble([Member(trial.view, model, 1.0, trial.link)])
            asked = time.monotonic()
            values = member.predict({trial.view: valid_matrix})
            self._note_row(trial.number, (time.monotonic() - asked) / len(valid_rows))
            return index, values, model

        outcomes = self.executor.map(fit, range(len(folds)))
        for index, values, _ in outcomes:
            predicted[folds[index][1]] = values
        covered = ~np.isnan(predicted[:, 0])
        return TrialResult(
            trial=trial,
            score=self.metric.score(data.y[covered], predicted[covered]),
            fold_scores=tuple(self.metric.score(data.y[valid], predicted[valid]) for _, valid in folds),
            n_iterations=tuple(model.n_iterations_ for _, _, model in outcomes),
            seconds=time.monotonic() - start,
            predicted=predicted,
        )

    def _matrices(self, view: str, index: int) -> tuple[FeaturePlan, Floats, Floats]:
        found = self._cache.get((view, index))
        if found is not None:
            return found
        data = self.data
        fit_rows, valid_rows = data.folds[index]
        plan = self._plan(view)
        seed = seeds.derive(data.seed, "plan", view, index)
        fit_matrix = plan.fit_batch(
            take(data.columns, fit_rows), data.y[fit_rows], n_classes=self.n_classes, seed=seed
        )
        asked = time.monotonic()
        made = plan, fit_matrix, plan.batch(take(data.columns, valid_rows))
        self._note_row(view, (time.monotonic() - asked) / len(valid_rows))
        size = made[1].nbytes + made[2].nbytes
        with self._lock:
            if self._cached_bytes + size <= _CACHE_BYTES:
                self._cache[view, index] = made
                self._cached_bytes += size
        return made

    def _plan(self, view: str) -> FeaturePlan:
        return build(self.data.schema, view, n_rows=len(self.data.y), task=self.data.task)

    def refit(self, chosen: list[tuple[TrialResult, float]]) -> tuple[Ensemble, dict[str, FeaturePlan]]:
        """Fit the chosen trials on all rows; no clock decides how long."""
        data = self.data
        for view in sorted({result.trial.view for result, _ in chosen} - set(self._full)):
            plan = self._plan(view)
            seed = seeds.derive(data.seed, "plan", view, "all")
            self._full[view] = plan, plan.fit_batch(data.columns, data.y, n_classes=self.n_classes, seed=seed)

        def fit(item: tuple[TrialResult, float]) -> Member:
            result, weight = item
            trial = result.trial
            plan, matrix = self._full[trial.view]
            kind = kinds.load(kinds.MODELS, trial.model, family="model")
            model = self._refitted.get(trial.number)
            if model is None:
                context = FitContext(
                    task=data.task,
                    categorical=plan.categorical,
                    n_iterations=_wanted(kind, result.n_iterations),
                    threads=self._threads(len(chosen)),
                    seed=seeds.derive(data.seed, "refit", trial.number),
                )
                model = kind(**trial.params).fit(matrix, _linked(data.y, trial.link), context)
                self._refitted[trial.number] = model
            return Member(trial.view, model, weight, trial.link)

        members = self.executor.map(fit, chosen)
        return Ensemble(members), {member.view: self._full[member.view][0] for member in members}


def _wanted(kind: type[Model], iterations: Sequence[int]) -> int:
    """Return the iterations of a refit: about as many as the folds took, so that it takes about as long."""
    typical = float(np.mean(iterations)) if kind.grows else float(max(iterations))
    return max(1, round(_REFIT_FACTOR * typical))


def _linked(y: Floats, link: str) -> Floats:
    return np.log1p(y) if link == "log" else y
