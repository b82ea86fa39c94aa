"""Ending: what is made of the trials: the blend, what the time left allows of its refit, its calibration, the result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright import metrics
from mlwright.core.clock import Deadline
from mlwright.core.events import Event, Listener
from mlwright.core.types import Floats
from mlwright.features.plan import FeaturePlan
from mlwright.models.calibration import Calibration
from mlwright.models.ensemble import Ensemble
from mlwright.search.apart import FitError
from mlwright.search.blend import blended_gain, price, total_price, weighted
from mlwright.search.calibrate import calibrate
from mlwright.search.fitter import Fitter, draws_by_seed
from mlwright.search.parameter_importance import parameter_importance
from mlwright.search.portfolio import BASELINES, is_baseline
from mlwright.search.repeats import blend_repeated
from mlwright.search.result import StudyResult
from mlwright.search.study_data import StudyData, folds_note, rows_of_refit, sample_note
from mlwright.search.thinning import Latency, capped, thin
from mlwright.search.trial import TrialResult
from mlwright.search.unstopped import affordable, unstopped

if TYPE_CHECKING:
    from mlwright.search.journal import Journal

__all__ = ["Ending", "failure"]

_KEPT = "kept_trial_"
_BLEND_SECONDS = 0.2  # until it has been measured
_MOST_SEEDS = 2
_SEEDED_MICROSECONDS = 60.0  # further seeds only while the blend stays cheaper than this
_SAFE = 0.75  # of the time for a refit on more rows than were tried
_MOST_THINNED = 0.01  # of the way from the dummy to the blend, where nobody asked for quickness
_SEEDED_SHARE = 0.5  # of the time that is left when the search is over


class Ending:
    """The end of a study, which its search looks at on the way.

    Parameters
    ----------
    data : StudyData
        The training rows.
    deadline : Deadline
        When all of it should be over.
    fitter : Fitter
        What fitted the trials.
    results : list of TrialResult
        The study's own list, which grows as it goes; a trial whose refit fails is marked in it.
    journal : Journal, optional
        Keeps what is chosen.
    listener : callable
        Hears of what fails.

    Attributes
    ----------
    weights : dict of int to float
        Of each trial in the blend that was looked at last.
    looked_at : int
        How many results there were then.
    blend_seconds : float
        What weighing them took.
    """

    def __init__(
        self,
        data: StudyData,
        deadline: Deadline,
        fitter: Fitter,
        results: list[TrialResult],
        journal: Journal | None,
        listener: Listener,
    ) -> None:
        self.data, self.deadline, self.fitter = data, deadline, fitter
        self.results, self.journal, self.listener = results, journal, listener
        self.metric = metrics.of(data.task)
        self.weights: dict[int, float] = {}
        self.looked_at = 0
        self.blend_seconds = _BLEND_SECONDS
        self._blends: dict[tuple[float, ...], dict[int, float]] = {}
        self._calibrations: dict[tuple[tuple[int, float], ...], tuple[Floats, Calibration | None]] = {}

    def choose(self) -> dict[str, int]:
        """Decide what depends on the time left; what an interrupted process decided stays."""
        if self.journal is not None and self.journal.ended:
            return dict(self.journal.choices)
        choices: dict[str, int] = {}
        chosen = self.chosen()
        while len(chosen) > 1 and not self._fits(chosen):
            least = self._least_missed(chosen)
            if least is None:
                break
            kept = [r.trial.number for r, _ in chosen if r.trial.number != least]
            choices = {f"{_KEPT}{number}": 1 for number in kept}
            chosen = self.chosen(choices)
        choices["seeds"] = self._seeds(chosen)
        rows = self._refit_rows(chosen)
        if rows is not None:
            choices["refit_rows"] = rows
        costs = self.fitter.costs
        refit = sum(costs.refit_seconds(result) for result, _ in chosen) * choices["seeds"]
        after = costs.time_for_refit(self.deadline.left, self.results) - refit
        if affordable(self.data, chosen, after / self.fitter.executor.workers):
            choices["unstopped"] = 1
        others = self._other_baselines(chosen)
        detail = costs.detail(self.deadline.left, [r for r, _ in chosen], others, choices["seeds"])
        if detail < 100:
            choices["detail"] = detail
        if self.journal is not None:
            self.journal.end(choices)
        return choices

    def _least_missed(self, chosen: Sequence[tuple[TrialResult, float]]) -> int | None:
        """Return the number of the member without which the others are best; None if only baselines are left."""
        gains = {
            result.trial.number: self._gain([(r, w) for r, w in chosen if r is not result])
            for result, _ in chosen
            if not is_baseline(result.trial)
        }
        return max(gains, key=gains.__getitem__, default=None)

    def _fits(self, chosen: Sequence[tuple[TrialResult, float]]) -> bool:
        return self.fitter.costs.fits(self.deadline.left, self.results, [r for r, _ in chosen])

    def quickened(self, choices: dict[str, int]) -> dict[str, int]:
        """Thin the blend until a prediction holds its limit by the clock; see `mlwright.search.thinning`."""
        data, clock = self.data, self.data.clock
        if clock is None:
            return choices
        known: dict[tuple[object, ...], float] = {}

        def measure(choices: dict[str, int]) -> float:
            chosen = self.chosen(choices)
            key = choices.get("seeds"), *((r.trial.number, weight) for r, weight in chosen)
            if key not in known:
                known[key] = clock(*self._model(choices)[1:])
            return known[key]

        whole = total_price(data, [result for result, _ in self.chosen(_before_thinning(choices))])
        if data.slowness is None:
            return thin(choices, measure, price=whole, limit=data.limit)
        limit = data.limit * data.slowness()
        told = thin(choices, measure, price=whole, limit=limit, go_on=lambda: self.deadline.left > 0)
        if "price_ns" in told and self._worth_less(choices, told):
            first = told["latency_first_ns"]
            return {**choices, "latency_first_ns": first, "latency_ns": first}
        return told

    def _worth_less(self, whole: Mapping[str, int], thinned: Mapping[str, int]) -> bool:
        """Return whether thinning costs more of what the blend is worth than a quickness that nobody asked for is."""
        dummy = next(r for r in self.results if r.trial.model == "dummy").gain(self.metric)
        first, now = (self._gain(self.chosen(choices)) for choices in (whole, thinned))
        return first - now > _MOST_THINNED * max(0.0, first - dummy)

    def _gain(self, chosen: Sequence[tuple[TrialResult, float]]) -> float:
        """Return the out-of-fold gain of members with weights, before calibration."""
        return blended_gain(self.data, chosen, self.metric)

    def chosen(self, choices: Mapping[str, int] | None = None) -> list[tuple[TrialResult, float]]:
        """Weigh all trials, and return those of the blend with their weights; nothing is weighed twice."""
        choices = choices or {}
        data = replace(self.data, latency=capped(self.data.latency, choices))
        results = _kept(self.results, choices)
        key = data.latency, *(r.trial.number for r in results if r.complete)
        if key not in self._blends:
            begun = time.monotonic()
            self._blends[key] = blend_repeated(data, results, self.metric)
            self.blend_seconds = time.monotonic() - begun
        # Those that failed since then have no weight.
        self.weights = dict.fromkeys((r.trial.number for r in self.results), 0.0) | self._blends[key]
        self.looked_at = len(self.results)
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
        costs = self.fitter.costs
        fits = [*(r for r, _ in chosen), *self._other_baselines(chosen)]
        seconds = costs.refitting(list(map(costs.seconds_on_all_rows, fits)), len(chosen))
        spare = max(0.0, costs.time_for_refit(self.deadline.left, self.results)) / costs.workers
        share = min(1.0, _SAFE * spare / max(seconds, 1e-9))
        return max(len(self.data.rows), int(share * len(self.data.y)))

    def _model(self, choices: Mapping[str, int]) -> tuple[Floats, Ensemble, dict[str, FeaturePlan]]:
        """Return the out-of-fold predictions, the refitted blend and its plans; what was fitted before is not again.

        A trial whose refit fails is left out, and the blend chosen anew.
        """
        while True:
            try:
                return self._refitted(self.chosen(choices), choices)
            except FitError as failed:
                place = next(i for i, r in enumerate(self.results) if r.trial.number == failed.number)
                result = self.results[place]
                told = result.told | {"failed": f"fitted on all rows, {failed.reason}"}
                self.results[place] = replace(result, complete=False, told=told)
                self.listener(Event("note", failure(self.results[place])))

    def _refitted(
        self, chosen: Sequence[tuple[TrialResult, float]], choices: Mapping[str, int]
    ) -> tuple[Floats, Ensemble, dict[str, FeaturePlan]]:
        data, fitter = self.data, self.fitter
        predicted, calibration = self._calibrated(chosen)
        bagged = fitter.bag(chosen) if data.quality == "bag" else None
        fitter.matrices.forget()
        rows = rows_of_refit(data, choices)
        blended, plans = bagged or fitter.refit(
            chosen, n_seeds=choices.get("seeds", 1), rows=rows, beside=self._other_baselines(chosen)
        )
        return predicted, Ensemble(blended.members, calibration, bounds=data.bounds), plans

    def _calibrated(self, chosen: Sequence[tuple[TrialResult, float]]) -> tuple[Floats, Calibration | None]:
        """Return the blend's out-of-fold predictions and what calibrated them; nothing is calibrated twice."""
        data, key = self.data, tuple((result.trial.number, weight) for result, weight in chosen)
        if key not in self._calibrations:
            predicted = weighted(chosen, data.bounds)
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
            self._calibrations[key] = predicted, calibration
        return self._calibrations[key]

    def _other_baselines(self, chosen: Sequence[tuple[TrialResult, float]]) -> list[TrialResult]:
        """Return the baselines that are refitted beside the blend."""
        return [
            r
            for r in self.results
            if is_baseline(r.trial) and r.complete and all(r is not other for other, _ in chosen)
        ]

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
            first = score(weighted(self.chosen(_before_thinning(choices)), data.bounds))
            self.weights = kept
        return Latency(choices["latency_ns"] / 1000, choices["latency_first_ns"] / 1000, now, first)

    def finish(self, choices: dict[str, int]) -> StudyResult:
        """Refit the blend and the baselines."""
        data, fitter = self.data, self.fitter
        chosen = self.chosen(choices)
        again = unstopped(fitter, chosen) if choices.get("unstopped") else None
        predicted, ensemble, plans = self._model(choices)
        if again is not None and len(self.chosen(choices)) != len(chosen):  # the refit of one has failed
            again = unstopped(fitter, self.chosen(choices))
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
            (*sample_note(data, rows), *folds_note(data, len(fitter.folds)), *map(failure, failed)),
            self._latency(choices, predicted),
            again,
        )


def _before_thinning(choices: Mapping[str, int]) -> dict[str, int]:
    """Return the choices that a blend was first made by: no price had been cut yet."""
    return {name: value for name, value in choices.items() if name != "price_ns"}


def _kept(results: Sequence[TrialResult], choices: Mapping[str, int]) -> list[TrialResult]:
    """Return the trials that there was time to refit, as `Ending.choose` has decided, and the baselines, which always are."""
    if not any(name.startswith(_KEPT) for name in choices):
        return list(results)
    return [r for r in results if is_baseline(r.trial) or f"{_KEPT}{r.trial.number}" in choices]


def failure(result: TrialResult) -> str:
    """Return what is told of a trial that failed."""
    return f"trial {result.trial.number} ({result.trial.model}) failed: {result.told['failed']}"
