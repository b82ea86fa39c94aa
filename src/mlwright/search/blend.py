"""Blend: which trials make up the model, and with what weight. Decided on out-of-fold predictions and prices alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlwright.core import kinds, seeds
from mlwright.core.types import Floats
from mlwright.metrics.base import Metric
from mlwright.models.base import Model
from mlwright.models.ensemble import weighted_mean
from mlwright.search.fitter import MOST_MEMBERS
from mlwright.search.study_data import StudyData
from mlwright.search.trial import TrialResult

__all__ = ["Selection", "blend", "blended_gain", "price", "total_price", "weighted"]

# Of the blend; lighter members are not worth their latency: on the portfolios of 23 small tables 0.08 errs 0.13 % less than
# 0.12 at a price of 10 microseconds, and 0.05 with eight members another 0.05 % at 14. Chances of many classes gain by every
# further member: without the light ones the log loss of dna goes from 0.130 to 0.145.
_LEAST_WEIGHT, _LEAST_WEIGHT_OF_CLASSES = 0.08, 0.04
_MOST_CANDIDATES = 12
_MOST_ROWS = 20_000
_STEPS = 30
_DRAWS = (
    10  # of rows: a choice made once on all of them would follow chance; half as many where rows are many
)
_FEW_ROWS = 5_000
_MOST_DRAWN = 7_000
# A microsecond costs this share of the way from the worst baseline to the best trial.
_PRICE, _PRICE_OF_CLASSES = 1.2e-4, 6e-5
_VIEW_PRICE, _CELL_PRICE = 3.0, 0.1  # microseconds for a further matrix row, and for each of its columns


def price(result: TrialResult, n_outputs: int) -> float:
    """Return about how many microseconds the trial's refit will take for a row."""
    kind: type[Model] = kinds.load(kinds.MODELS, result.trial.model, family="model")
    return kind.price(result.trial.params, result.refit_iterations, n_outputs)


def total_price(data: StudyData, chosen: Sequence[TrialResult]) -> float:
    """Return about how many microseconds a blend of these trials takes for a row."""
    views = {result.trial.view for result in chosen}
    members = sum(price(result, data.task.n_outputs) for result in chosen)
    return members + _view_price(data) * (len(views) - 1)


def _view_price(data: StudyData) -> float:
    return _VIEW_PRICE + _CELL_PRICE * len(data.schema.features)


def blend(data: StudyData, results: Sequence[TrialResult], metric: Metric) -> dict[int, float]:
    """Return the weight of every trial by number: a greedy selection that pays for latency (Caruana et al. 2004).

    The selection is made on several draws of the rows and averaged, so that it does not follow chance.
    """
    weights = dict.fromkeys((result.trial.number for result in results), 0.0)
    candidates = _candidates(results, metric)
    predictions = [result.predicted for result in candidates]
    rows = _rows(data, predictions)
    prices = np.array([price(result, data.task.n_outputs) for result in candidates])
    selection = Selection(
        data.y[rows],
        [one[rows] for one in predictions],
        metric,
        prices=prices,
        views=[result.trial.view for result in candidates],
        a_view=_view_price(data),
        most=data.latency,
        weights=None if data.weights is None else data.weights[rows],
    )
    shares = np.zeros(len(candidates))
    draw = seeds.generator(data.seed, "blend")
    n_kept = max(1, min(_MOST_DRAWN, round(0.7 * len(rows))))
    n_draws = _DRAWS if len(rows) < _FEW_ROWS else _DRAWS // 2
    for _ in range(n_draws):
        shares += selection.choose(draw.choice(len(rows), n_kept, replace=False)) / n_draws
    for index, share in selection.trimmed(shares).items():
        weights[candidates[index].trial.number] = share
    return weights


def weighted(chosen: Sequence[tuple[TrialResult, float]], bounds: tuple[float, float] | None) -> Floats:
    """Return the weighted out-of-fold predictions, before calibration."""
    return weighted_mean([r.predicted for r, _ in chosen], [weight for _, weight in chosen], bounds)


def blended_gain(data: StudyData, chosen: Sequence[tuple[TrialResult, float]], metric: Metric) -> float:
    """Return the out-of-fold gain of members with weights, before calibration."""
    total = math.fsum(weight for _, weight in chosen)
    predicted = weighted([(result, weight / total) for result, weight in chosen], data.bounds)
    covered = np.flatnonzero(np.isfinite(predicted).all(axis=1))
    weights = None if data.weights is None else data.weights[covered]
    return metric.gain(data.y[covered], predicted[covered], weights)


def _candidates(results: Sequence[TrialResult], metric: Metric) -> list[TrialResult]:
    """Return the best trials and the best of each learner and view, by number."""
    whole = [result for result in results if result.complete]
    real = [result for result in whole if result.trial.model != "dummy"] or whole
    ordered = sorted(real, key=lambda r: (-r.gain(metric), r.trial.number))
    firsts: dict[tuple[str, str], TrialResult] = {}
    for result in ordered:
        firsts.setdefault((result.trial.model, result.trial.view), result)
    chosen = {r.trial.number: r for r in [*firsts.values(), *ordered[:_MOST_CANDIDATES]]}
    return [chosen[number] for number in sorted(chosen)]


def _rows(data: StudyData, predictions: Sequence[Floats]) -> np.ndarray:
    covered = np.ones(len(data.y), dtype=bool)
    for one in predictions:
        covered &= np.isfinite(one).all(axis=1)
    rows = np.flatnonzero(covered)
    if len(rows) > _MOST_ROWS:
        rows = np.sort(seeds.generator(data.seed, "blend rows").choice(rows, _MOST_ROWS, replace=False))
    return rows


class Selection:
    """Greedy selection with replacement, in which a new member pays for the time it will take.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    predictions : sequence of ndarray of shape (n_rows, n_outputs)
        Of rows that the candidates were not fitted on.
    metric : Metric
        What is to be made best.
    prices : ndarray of shape (n_candidates,)
        Microseconds a row.
    views : sequence of str
        The matrix that each candidate reads; a further one has a price as well.
    a_view : float
        Microseconds that a further matrix row takes.
    most : float
        Microseconds that a blend may take, unless even the cheapest candidate takes more.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    """

    def __init__(
        self,
        y: Floats,
        predictions: Sequence[Floats],
        metric: Metric,
        *,
        prices: Floats,
        views: Sequence[str],
        a_view: float = _VIEW_PRICE,
        most: float = math.inf,
        weights: Floats | None = None,
    ) -> None:
        if not predictions or not len(y):
            raise ValueError("no row has a prediction of every candidate")
        self.y, self.predictions, self.metric = y, list(predictions), metric
        self.prices, self.views, self.most = np.asarray(prices, dtype=np.float64), list(views), most
        self.a_view, self.weights = a_view, weights
        is_multiclass = predictions[0].shape[1] > 1
        self._price = _PRICE_OF_CLASSES if is_multiclass else _PRICE
        self._least = _LEAST_WEIGHT_OF_CLASSES if is_multiclass else _LEAST_WEIGHT

    def _score(self, rows: np.ndarray, mean: Floats) -> float:
        weights = None if self.weights is None else self.weights[rows]
        gain = self.metric.gain(self.y[rows], mean, weights)
        return -math.inf if math.isnan(gain) else gain

    def choose(self, rows: np.ndarray, n_steps: int = _STEPS) -> Floats:
        """Return each candidate's share; they sum to 1. Of equals the first is taken."""
        parts = [one[rows] for one in self.predictions]
        alone = np.array([self._score(rows, one) for one in parts])
        finite = alone[np.isfinite(alone)]
        a_microsecond = self._price * float(finite.max() - finite.min()) if len(finite) else 0.0
        counts = np.zeros(len(parts), dtype=np.int64)
        total = np.zeros_like(parts[0])
        best, best_counts, since = -math.inf, counts, 0
        for step in range(1, n_steps + 1):
            gains = np.full(len(parts), -np.inf)
            for i in range(len(parts)):
                cost = self._cost(counts, i)
                if cost <= self.most or (step == 1 and self.prices[i] <= self.prices.min()):
                    gains[i] = self._score(rows, (total + parts[i]) / step) - a_microsecond * cost
            chosen = int(np.argmax(gains))
            total += parts[chosen]
            counts = counts.copy()
            counts[chosen] += 1
            if gains[chosen] > best or step == 1:
                best, best_counts, since = float(gains[chosen]), counts, 0
            else:
                since += 1
                if since >= 8:
                    break
        return best_counts / best_counts.sum()

    def _cost(self, counts: np.ndarray, new: int) -> float:
        """Return the microseconds of the members in `counts` and a new one."""
        members = counts > 0
        members[new] = True
        read = {self.views[i] for i in np.flatnonzero(members)}
        return float(self.prices[members].sum()) + self.a_view * (len(read) - 1)

    def trimmed(self, shares: Floats) -> dict[int, float]:
        """Return the shares, scaled to sum to 1, without light ones, and without more than a blend may hold or cost.

        The lightest goes first, and what it had goes to the candidate that predicts most like it. So of several that are
        alike, each of them light, one is left that stands for all.
        """
        kept = [i for i in range(len(shares)) if shares[i] > 0]
        if not kept:
            return {0: 1.0}
        total = float(shares.sum())
        weights = {i: float(shares[i]) / total for i in kept}
        while len(kept) > 1:
            lightest = min(kept, key=lambda i: (weights[i], -i))
            is_light = weights[lightest] < self._least
            cost = self._cost(np.isin(np.arange(len(shares)), kept), kept[0])
            if len(kept) <= MOST_MEMBERS and not is_light and cost <= self.most:
                break
            kept.remove(lightest)
            nearest = min(kept, key=lambda i: (self._distance(lightest, i), i))
            weights[nearest] += weights.pop(lightest)
        total = sum(weights.values())  # 1 but for the last bit, and a bundle holds no weight above 1
        return {i: weight / total for i, weight in weights.items()}

    def _distance(self, one: int, other: int) -> float:
        """Return the mean squared difference of two candidates' predictions."""
        return float(np.mean((self.predictions[one] - self.predictions[other]) ** 2))
