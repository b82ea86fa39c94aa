"""Fitter: fits a trial on the folds and the chosen ones on all rows, and tells `Costs` what all took."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlwright import metrics
from mlwright.core import kinds, seeds
from mlwright.core.clock import Deadline
from mlwright.core.errors import MlwrightError
from mlwright.core.types import Floats, Ints
from mlwright.data.values import take
from mlwright.execution import Executor
from mlwright.features.plan import FeaturePlan
from mlwright.models.base import FitContext, Model
from mlwright.models.ensemble import Ensemble, Member
from mlwright.search.apart import FitError, describe, fit_apart, stop_by
from mlwright.search.costs import After, Costs, iterations_to_refit
from mlwright.search.fold_matrices import FoldMatrices
from mlwright.search.memory import goes_apart, peak_mb
from mlwright.search.portfolio import BASELINES, is_baseline
from mlwright.search.retransform import log_shift, shifted
from mlwright.search.study_data import StudyData, fewer_folds
from mlwright.search.trial import Trial, TrialResult

__all__ = ["MOST_MEMBERS", "Fitter", "draws_by_seed", "linked"]

MOST_MEMBERS = 5  # of a blend
_BASELINE_SECONDS = (0.3, 2.0)  # a baseline gets so much to be one, even if the time is over
_BASELINE_SHARE = 0.1  # of the search: between the two
_PROBES = (1, 2, 8)  # iterations; the first fit also loads what the library needs


@dataclass(slots=True)
class _Fold:
    """What a fold left of one trial."""

    values: Floats
    model: Model
    view: str
    seconds: float  # of the learner alone
    curve: list[list[float]] = field(default_factory=list)


class Fitter:
    """Fits trials on folds and on all rows."""

    def __init__(
        self, data: StudyData, executor: Executor, after: After | None = None, *, seconds: float = math.inf
    ) -> None:
        self.data = data
        least, most = _BASELINE_SECONDS
        self.baseline_seconds = max(least, min(most, _BASELINE_SHARE * seconds))
        self.executor = executor
        self.folds = _thinned(data.folds, data.rows, len(data.y))
        self.metric = metrics.of(data.task)
        self.n_classes = len(data.task.labels)
        self._full: dict[str, tuple[FeaturePlan, Floats]] = {}
        self._refitted: dict[tuple[int, int], Model] = {}
        self._bag: dict[int, list[tuple[FeaturePlan, Model]]] = {}
        self.costs = Costs(
            len(data.y),
            len(data.y) if data.rows is None else len(data.rows),
            self.folds,
            executor.workers,
            after or After(),
            bag=data.quality == "bag",
        )
        self.matrices = FoldMatrices(data, self.costs)

    # Folds

    def use_folds(self, n_folds: int) -> None:
        """Fit trials on so many folds only, from now on; see `mlwright.search.pace`."""
        if n_folds < len(self.folds):
            kept = fewer_folds(self.folds, n_folds)
            if any(one is not other for one, other in zip(kept, self.folds, strict=False)):
                self.matrices.forget()
            self.folds = self.costs.folds = kept

    def trial(
        self,
        trial: Trial,
        deadline: Deadline,
        iterations: tuple[int, ...] | None = None,
        *,
        hopeless: float = -math.inf,
    ) -> TrialResult:
        """Fit a trial on every fold.

        Parameters
        ----------
        deadline : Deadline
            When its fits are to stop; a baseline gets a little time in any case.
        iterations : tuple of int, optional
            Replay: fit so many by fold, whatever the clock says.
        hopeless : float
            If the mean gain of the first folds is lower, the others are not fitted: the result is not `complete`.

        Returns
        -------
        TrialResult
            Of a fit that failed, one that is not `complete`, with the reason as ``told["failed"]``.
        """
        start = time.monotonic()
        try:
            return self._trial(trial, deadline, iterations, hopeless, start)
        except FitError as failed:
            seconds = time.monotonic() - start
            told = {
                "seconds": round(seconds, 3),
                "memory_mb": peak_mb(),
                "curve": [],
                "failed": failed.reason,
            }
            empty = np.full((len(self.data.y), self.data.task.n_outputs), np.nan)
            return TrialResult(trial, math.nan, (), (), seconds, empty, complete=False, told=told)

    def _trial(
        self,
        trial: Trial,
        deadline: Deadline,
        iterations: tuple[int, ...] | None,
        hopeless: float,
        start: float,
    ) -> TrialResult:
        data, folds = self.data, self.matrices.folds(trial.repeat)
        workers = self.executor.workers
        wanted = len(folds) if iterations is None else len(iterations)
        predicted = np.full((len(data.y), data.task.n_outputs), np.nan)
        outcomes: list[_Fold] = []

        def fit(index: int) -> _Fold:
            waves_left = -(-(len(folds) - index // workers * workers) // workers)
            return self._fold(trial, index, deadline, waves_left, iterations)

        while len(outcomes) < wanted:
            wave = range(len(outcomes), min(wanted, len(outcomes) + workers))
            outcomes += self.executor.map(fit, wave)
            if iterations is None and len(outcomes) < len(folds) and hopeless > -math.inf:
                gains = [
                    self.metric.gain(data.y[folds[i][1]], outcomes[i].values, self._weights(folds[i][1]))
                    for i in range(len(outcomes))
                ]
                if not np.mean(gains) >= hopeless:
                    break
        for index, outcome in enumerate(outcomes):
            predicted[folds[index][1]] = outcome.values
        if data.quality == "bag" and len(outcomes) == len(folds):
            self._bag[trial.number] = [(self._plan_of(o.view), o.model) for o in outcomes]
        covered = np.flatnonzero(~np.isnan(predicted[:, 0]))
        shift = self._log_shift(trial, predicted, covered)
        if shift:
            predicted[covered] = shifted(predicted[covered], shift, data.bounds)
        n_iterations = tuple(outcome.model.n_iterations_ for outcome in outcomes)
        seconds = time.monotonic() - start
        return TrialResult(
            trial=trial,
            score=self.metric.score(data.y[covered], predicted[covered], self._weights(covered)),
            fold_scores=tuple(
                self.metric.score(data.y[valid], predicted[valid], self._weights(valid))
                for _, valid in folds[: len(outcomes)]
            ),
            n_iterations=n_iterations,
            complete=len(outcomes) == len(folds),
            seconds=seconds,
            told={
                "seconds": round(seconds, 3),
                "memory_mb": peak_mb(),
                "fitting": round(sum(outcome.seconds for outcome in outcomes), 4),
                "grown": sum(map(_grown, outcomes)),
                "refit_iterations": self._refit_iterations(trial, n_iterations),
                "curve": outcomes[0].curve if outcomes else [],
            }
            | ({"log_shift": shift} if shift else {}),
            predicted=predicted,
        )

    def _log_shift(self, trial: Trial, predicted: Floats, covered: Ints) -> float:
        """Return what a refit adds to the logarithms of the target; a bag ships the folds' models, which are fitted."""
        if trial.link != "log" or self.data.quality == "bag" or predicted.shape[1] > 1:
            return 0.0
        fold_of = np.zeros(len(predicted), dtype=np.int64)
        for index, (_, valid) in enumerate(self.matrices.folds(trial.repeat)):
            fold_of[valid] = index
        weights = self._weights(covered)
        return log_shift(self.data.y[covered], predicted[covered], self.metric, weights, fold_of[covered])

    def _refit_iterations(self, trial: Trial, n_iterations: Sequence[int]) -> int:
        kind: type[Model] = kinds.load(kinds.MODELS, trial.model, family="model")
        return iterations_to_refit(kind, n_iterations, self.data.task.n_outputs, self.costs.more_rows)

    def probe(self, trial: Trial, at_most: float = math.inf) -> tuple[float, float]:
        """Return what comes before the first iteration on the first fold, and what each takes, in seconds.

        Both are infinite if looking takes more than `at_most` seconds, after which it looks no further.
        """
        plan, matrix, _ = self.matrices.of(trial.view, 0)
        rows = self.folds[0][0]
        target = linked(self.data.y, trial.link)[rows]
        kind = kinds.load(kinds.MODELS, trial.model, family="model")
        kind.prepare()
        took = []
        for n_iterations in _PROBES:
            context = FitContext(
                task=self.data.task,
                categorical=plan.categorical,
                weights=self._weights(rows),
                n_iterations=n_iterations,
                threads=self.costs.threads(len(self.folds)),
                seed=self.data.seed,
            )
            start = time.monotonic()
            kind(**trial.params).fit(matrix, target, context)
            took.append(time.monotonic() - start)
            if sum(took) > at_most:
                return math.inf, math.inf
        one = max(0.0, took[-1] - took[-2]) / (_PROBES[-1] - _PROBES[-2])
        return max(0.0, took[-2] - _PROBES[-2] * one), one

    def _fold(
        self,
        trial: Trial,
        index: int,
        deadline: Deadline,
        waves_left: int,
        iterations: tuple[int, ...] | None,
    ) -> _Fold:
        data = self.data
        stop_at = Deadline(deadline.left / waves_left if np.isfinite(deadline.seconds) else np.inf)
        if trial.model in BASELINES:
            stop_at = Deadline(max(stop_at.left, self.baseline_seconds / waves_left))
        plan, fit_matrix, valid_matrix = self.matrices.of(trial.view, index, trial.repeat)
        fit_rows, valid_rows = self.matrices.folds(trial.repeat)[index]
        target = linked(data.y, trial.link)
        given_up: list[float] = []

        def over_within(seconds: float) -> bool:
            if seconds > stop_at.left:
                given_up.append(seconds)
            return bool(given_up)

        context = FitContext(
            task=data.task,
            categorical=plan.categorical,
            valid=None if iterations else (valid_matrix, target[valid_rows]),
            weights=self._weights(fit_rows),
            valid_weights=self._weights(valid_rows),
            n_iterations=iterations[index] if iterations else None,
            stop=stop_by(lambda: stop_at.left <= 0, must_step=is_baseline(trial)),
            over_within=over_within,
            threads=self.costs.threads(len(self.folds)),
            seed=seeds.derive(data.seed, "trial", trial.number, index),
        )
        begun = time.monotonic()
        model = self._fitted(
            trial, fit_matrix, target[fit_rows], context, stop_at, kept=data.quality == "bag"
        )
        seconds = time.monotonic() - begun
        # What has learned nothing yet predicts nothing: intervals made of it would be those of another model.
        if (given_up or stop_at.left <= 0) and not (iterations or model.n_iterations_ or is_baseline(trial)):
            raise FitError("its time was over before its first step")
        member = Ensemble([Member(trial.view, model, 1.0, trial.link)], bounds=data.bounds)
        asked = time.monotonic()
        values = member.predict({trial.view: valid_matrix})
        self.costs.note_row(trial.number, (time.monotonic() - asked) / max(1, len(valid_rows)))
        curve = [list(point) for point in model.curve_]
        return _Fold(values, model, f"{trial.view}.{index}", seconds, curve)

    def _fitted(
        self,
        trial: Trial,
        X: Floats,
        y: Floats,
        context: FitContext,
        stop_at: Deadline | None = None,
        *,
        kept: bool = True,
    ) -> Model:
        """Fit here or, where that may take too much memory, in a process of its own; `kept` says whether it is shipped."""
        if goes_apart(self.data, trial):
            left = np.inf if stop_at is None else stop_at.left
            must_step = is_baseline(trial)
            return fit_apart(trial.model, trial.params, X, y, context, left=left, must_step=must_step)
        learner: type[Model] = kinds.load(kinds.MODELS, trial.model, family="model")
        try:
            model = learner(**trial.params).fit(X, y, context)
        except MlwrightError:
            raise
        except Exception as error:
            if trial.model in BASELINES:  # without them there is no run
                raise
            raise FitError(describe(error)) from error
        if kept:
            model.settle()
        return model

    def _weights(self, rows: Ints) -> Floats | None:
        return None if self.data.weights is None else self.data.weights[rows]

    def _plan_of(self, view: str) -> FeaturePlan:
        name, _, index = view.rpartition(".")
        return self.matrices.of(name, int(index))[0]

    # All rows

    def refit(
        self,
        chosen: Sequence[tuple[TrialResult, float]],
        *,
        n_seeds: int = 1,
        rows: Ints | None = None,
        beside: Sequence[TrialResult] = (),
    ) -> tuple[Ensemble, dict[str, FeaturePlan]]:
        """Fit the chosen trials on all rows, or on `rows`, each with `n_seeds` seeds; no clock decides how long.

        Those `beside` them are fitted as well, for a later call, where one thread a fit leaves room for it.

        Raises
        ------
        FitError
            With the trial's number.
        """
        data = self.data
        columns = data.columns if rows is None else take(data.columns, rows)
        y = data.y if rows is None else data.y[rows]
        weights = data.weights if rows is None else self._weights(rows)
        wanted = [
            (result, weight / copies, copy)
            for result, weight in chosen
            for copies in (n_seeds if draws_by_seed(result.trial) else 1,)
            for copy in range(copies)
        ]
        n_threads = self.costs.threads(len(wanted))
        others = [(result, 0.0, 0) for result in beside] if n_threads == 1 else []
        for view in sorted({result.trial.view for result, _, _ in (*wanted, *others)} - set(self._full)):
            plan = self.matrices.plan(view)
            seed = seeds.derive(data.seed, "plan", view, "all")
            self._full[view] = plan, plan.fit_batch(columns, y, n_classes=self.n_classes, seed=seed)

        def fit(item: tuple[TrialResult, float, int]) -> Member:
            result, weight, copy = item
            trial = result.trial
            plan, matrix = self._full[trial.view]
            known = self._refitted.get((trial.number, copy))
            if known is not None:
                return Member(trial.view, known, weight, trial.link)
            context = FitContext(
                task=data.task,
                categorical=plan.categorical,
                weights=weights,
                n_iterations=result.refit_iterations,
                threads=n_threads,
                seed=seeds.derive(data.seed, "refit", trial.number, *([copy] if copy else [])),
            )
            try:
                model = self._fitted(trial, matrix, linked(y, trial.link) + result.log_shift, context)
            except FitError as failed:
                raise FitError(failed.reason, trial.number) from failed
            self._refitted[trial.number, copy] = model
            return Member(trial.view, model, weight, trial.link)

        # The longest first: then no worker is left with it when the others are done.
        every = [*wanted, *others]
        order = sorted(range(len(every)), key=lambda place: -self.costs.refit_seconds(every[place][0]))
        fitted = dict(zip(order, self.executor.map(fit, [every[place] for place in order]), strict=True))
        members = [fitted[place] for place in range(len(wanted))]
        return Ensemble(members, bounds=data.bounds), {
            member.view: self._full[member.view][0] for member in members
        }

    def bag(self, chosen: Sequence[tuple[TrialResult, float]]) -> tuple[Ensemble, dict[str, FeaturePlan]]:
        """Return the folds' models of the chosen trials, each with its fold's plan."""
        members, plans = [], {}
        for result, weight in chosen:
            parts = self._bag[result.trial.number]
            for index, (plan, model) in enumerate(parts):
                view = f"{result.trial.view}.{index}"
                plans[view] = plan
                members.append(Member(view, model, weight / len(parts), result.trial.link))
        return Ensemble(members, bounds=self.data.bounds), plans


def _thinned(
    folds: Sequence[tuple[Ints, Ints]], rows: Ints | None, n_rows: int
) -> Sequence[tuple[Ints, Ints]]:
    """Return the folds' positions that are among `rows`."""
    if rows is None:
        return folds
    kept = np.zeros(n_rows, dtype=bool)
    kept[rows] = True
    return [(fit[kept[fit]], valid[kept[valid]]) for fit, valid in folds]


def _grown(outcome: _Fold) -> int:
    """Return how many iterations were grown, those after the best one included."""
    last = int(outcome.curve[-1][0]) if outcome.curve else 0
    return max(last, outcome.model.n_iterations_)


def draws_by_seed(trial: Trial) -> bool:
    """Return whether another seed gives another model."""
    params: Mapping[str, Any] = trial.params
    if trial.model == "lightgbm":
        parts = ("feature_fraction", "feature_fraction_bynode", "bagging_fraction")
        return params.get("extra_trees", False) or any(params.get(part, 1.0) < 1.0 for part in parts)
    return trial.model in ("catboost", "mlp")


def linked(y: Floats, link: str) -> Floats:
    """Return the target as a trial with this link is fitted on it."""
    return np.log1p(y) if link == "log" else y
