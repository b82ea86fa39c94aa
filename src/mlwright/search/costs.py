"""Costs: what fits and predictions took so far, and so how much of the time that is left trials may have."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Ints
from mlwright.models.base import Model
from mlwright.search.portfolio import BASELINES, is_baseline
from mlwright.search.trial import TrialResult

__all__ = ["After", "Costs", "iterations_to_refit"]

_MOST_MORE_ROWS = 1.6  # that a refit's iterations grow with: folds are no guide to many times their rows
_UNJUDGED = 0.9  # of a fold's seconds an iteration: a refit predicts no validation rows
_MARGIN = 1.15  # of the blend's refit: fits side by side are slower than it is reckoned here
_MOST_DEAR = 4  # of the trials are among the dearest: what time is kept for
_BESIDE_GROWING = 0.25  # of a fit's time: matrices, bins, predictions
_ROWS_FOR_THREADS = 50_000
_LEAST_DETAIL, _STEP = 10, 10  # percent


@dataclass(frozen=True, slots=True)
class After:
    """What the blend will have to predict before the deadline, once it is refitted.

    Parameters
    ----------
    rows : int
        Rows in any case.
    shuffled : int
        Shuffled rows for importances and effects, fewer where time is short.
    seconds : float
        What the shuffled ones may take at most.
    """

    rows: int = 0
    shuffled: int = 0
    seconds: float = 5.0


class Costs:
    """Seconds by view and by trial, measured as a study goes.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_searched : int
        Those of them that trials see.
    folds : sequence of (ndarray, ndarray)
        What trials fit on and validate on.
    workers : int
        How many fits run side by side.
    after : After
        What comes after the search.
    bag : bool
        Whether the folds' models are kept, and nothing is refitted.
    """

    def __init__(
        self,
        n_rows: int,
        n_searched: int,
        folds: Sequence[tuple[Ints, Ints]],
        workers: int,
        after: After,
        *,
        bag: bool = False,
    ) -> None:
        self.n_rows, self.n_searched, self.folds = n_rows, n_searched, folds
        self.workers, self.after, self.bag = workers, after, bag
        self.row_seconds: dict[str | int, float] = {}  # what a view or a trial's model takes for a row
        self.view_seconds: dict[str, float] = {}  # what fitting a view's plan took for a row
        self._lock = threading.Lock()

    def note_row(self, of: str | int, seconds: float) -> None:
        """Keep the least time of a row: the first call loads libraries, and others may share the cores."""
        self._note(self.row_seconds, of, seconds)

    def note_view(self, view: str, seconds: float) -> None:
        """Keep the least time that fitting a view's plan took for a row."""
        self._note(self.view_seconds, view, seconds)

    def _note(self, kept: dict, of: str | int, seconds: float) -> None:
        with self._lock:
            kept[of] = min(seconds, kept.get(of, math.inf))

    def time_for_trials(
        self,
        left: float,
        results: Sequence[TrialResult],
        blended: Sequence[TrialResult] = (),
        *,
        most_kept: float = math.inf,
    ) -> float:
        """Return how many of the seconds left trials may take, so that the rest is enough to refit them.

        Parameters
        ----------
        left : float
            Seconds.
        results : sequence of TrialResult
            All so far.
        blended : sequence of TrialResult, optional
            The blend of now, which time is kept for; without one, for the dearest four.
        most_kept : float
            Seconds to keep for refits at most: a member that there is no time for then is left out, see `fits`.
        """
        refit, used = self._seconds_to_refit(results), self._seconds_after(results)
        if blended:
            likely = _with_baselines(results, blended)
            refit = min(refit, _MARGIN * self._seconds_to_refit(likely, len(blended)))
            used = self._seconds_after(likely, n_members=len(blended))
        refit = min(refit, most_kept)
        if self.bag:
            return left - used
        a_second_more = self._refit_share(results) / self.workers
        return (left - refit - used) / (1 + a_second_more)

    def time_for_refit(self, left: float, results: Sequence[TrialResult]) -> float:
        """Return how many of the seconds left all threads together have for fitting on all rows."""
        return (left - self._seconds_after(results)) * self.workers

    def fits(self, left: float, results: Sequence[TrialResult], blended: Sequence[TrialResult]) -> bool:
        """Return whether the blend and the baselines can be refitted, and predict what they have to, in the seconds left."""
        likely = _with_baselines(results, blended)
        # Rather less detail than a poorer blend.
        after = self._seconds_after(likely, _LEAST_DETAIL / 100, len(blended))
        return self.bag or self._seconds_to_refit(likely, len(blended)) + after <= left

    def detail(
        self, left: float, chosen: Sequence[TrialResult], others: Sequence[TrialResult], n_seeds: int = 1
    ) -> int:
        """Return which percent of the shuffled rows there will be time for once all are refitted: 10 to 100.

        Parameters
        ----------
        left : float
            Seconds.
        chosen, others : sequence of TrialResult
            The blend, and the baselines that are not in it.
        n_seeds : int
            How often the blend's are refitted.
        """
        a_row = sum(self.row_seconds.get(view, 0.0) for view in {r.trial.view for r in chosen})
        a_row += n_seeds * sum(self.row_seconds.get(r.trial.number, 0.0) for r in chosen)
        fits = [*list(chosen) * n_seeds, *others]
        refit = (
            0.0 if self.bag else self.refitting(list(map(self.refit_seconds, fits)), len(chosen) * n_seeds)
        )
        spare = min(left - refit - self.after.rows * a_row, self.after.seconds)
        wanted = self.after.shuffled * a_row
        if wanted <= max(0.0, spare):
            return 100
        return max(_LEAST_DETAIL, int(100 * spare / wanted) // _STEP * _STEP)

    def refit_seconds(self, result: TrialResult) -> float:
        """Return how long one thread will take to refit the trial.

        A refit is on all rows; where trials see a sample, on as many as they see at least.
        """
        return self._seconds_on(self.n_searched, result)

    def seconds_on_all_rows(self, result: TrialResult) -> float:
        """Return how long one thread would take to fit the trial on all rows, those left out of a sample included."""
        return self._seconds_on(self.n_rows, result)

    def threads(self, n_fits: int) -> int:
        """Return the threads of one fit: a lone one has all of them where they are worth their coming and going."""
        return self.workers if n_fits == 1 and self.n_rows >= _ROWS_FOR_THREADS else 1

    def refitting(self, seconds: Sequence[float], n_members: int) -> float:
        """Return how long all workers take for refits that take one thread so many seconds each.

        They are side by side, but for a blend of one that has all threads; not every learner is quicker by them.
        """
        if self.threads(n_members) > 1:
            return sum(seconds)
        return max(sum(seconds) / self.workers, max(seconds, default=0.0))

    @property
    def waves(self) -> int:
        """How often all workers together must fit a fold until all folds are fitted."""
        return -(-len(self.folds) // self.workers)

    def _seconds_to_refit(self, results: Sequence[TrialResult], n_members: int = _MOST_DEAR) -> float:
        whole = [r for r in results if r.complete]
        costs = sorted((self.refit_seconds(r) for r in whole if not is_baseline(r.trial)), reverse=True)
        members = costs[: max(_MOST_DEAR, n_members)]  # of one draw of the folds, others are hardly ever dear
        baselines = [self.refit_seconds(r) for r in whole if is_baseline(r.trial)]
        views = sum(
            self.view_seconds.get(view, 0.0) * self.n_searched for view in {r.trial.view for r in whole}
        )
        return self.refitting([*members, *baselines], n_members) + views

    def _seconds_after(
        self, results: Sequence[TrialResult], detail: float = 1.0, n_members: int = _MOST_DEAR
    ) -> float:
        """Return what the rows to predict afterwards will take with about the slowest blend that may come."""
        views = sum(self.row_seconds.get(view, 0.0) for view in {r.trial.view for r in results})
        models = sorted((self.row_seconds.get(r.trial.number, 0.0) for r in results), reverse=True)
        a_row = views + sum(models[: max(_MOST_DEAR, n_members)])
        return self.after.rows * a_row + detail * min(self.after.shuffled * a_row, self.after.seconds)

    def _refit_share(self, results: Sequence[TrialResult]) -> float:
        """Return the seconds that one thread needs for refits, for each second that trials took."""
        known = [r for r in results[len(BASELINES) :] if r.complete and r.seconds > 0]
        if not known:
            return self._rows_on(self.n_searched) / max(1, self.waves)
        return sum(map(self.refit_seconds, known)) / sum(r.seconds for r in known)

    def _seconds_on(self, n_rows: int, result: TrialResult) -> float:
        """Return how long one thread takes to fit the trial on so many rows, as its folds say."""
        fitting = result.told.get("fitting")
        one = result.seconds / max(1, self.waves) if fitting is None else fitting / len(result.n_iterations)
        return self._rows_on(n_rows) * one * _grown_again(result)

    def _rows_on(self, n_rows: int) -> float:
        """Return the seconds that one thread needs for so many rows, for each second that one fold takes."""
        alone = self.threads(len(self.folds))
        return alone * n_rows / max(1.0, self._n_fitted())

    def _n_fitted(self) -> float:
        return float(np.mean([len(fit) for fit, _ in self.folds])) if self.folds else 1.0

    @property
    def more_rows(self) -> float:
        """How many times a fold's rows a refit will see."""
        return self.n_searched / max(1.0, self._n_fitted())


def _with_baselines(results: Sequence[TrialResult], blended: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the blend and the baselines, each once."""
    return [*(r for r in results if is_baseline(r.trial)), *(r for r in blended if not is_baseline(r.trial))]


def iterations_to_refit(
    kind: type[Model], iterations: Sequence[int], n_outputs: int, more_rows: float
) -> int:
    """Return the iterations of a refit: more than the folds took, as far as its rows are more than theirs.

    On development tables an error was lowest with 1.2 times the folds' mean for LightGBM with folds of a fifth, 1.35
    with folds of a third, and with up to 1.5 times for CatBoost; with three classes or more, log loss was soon the worse
    for it (`benchmarks/refits.py`).

    Parameters
    ----------
    kind : type of Model
    iterations : sequence of int
        By fold.
    n_outputs : int
    more_rows : float
        How many times a fold's rows the refit sees.
    """
    if not kind.grows:
        return max(1, *iterations)
    power = kind.more_rows if n_outputs == 1 else kind.more_rows / 2
    return max(1, round(float(np.mean(iterations)) * min(more_rows, _MOST_MORE_ROWS) ** power))


def _grown_again(result: TrialResult) -> float:
    """Return what a refit takes for each second of a fold: boosting stops at the best iteration and is no more patient."""
    grown = result.told.get("grown")
    if not grown:
        return 1.0
    again = result.refit_iterations * len(result.n_iterations)
    return _BESIDE_GROWING + (1.0 - _BESIDE_GROWING) * _UNJUDGED * again / grown
