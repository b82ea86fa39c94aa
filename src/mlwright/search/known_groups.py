"""Known groups: what a fitted blend misses for each group of rows that training had, where that carries over to more rows.

A split by group judges a model by groups that nobody has seen, and so is the blend chosen. A server also meets groups
that it knows: of those the target has been seen, and what the blend misses for them on average is much of what it will
miss. The effects are random intercepts on the scale of the margins [1]_: each group's misses, drawn towards 0 by a strength
that is chosen where rows are predicted by the others of their group. They are kept only where that lowers the loss
of out-of-fold predictions beyond chance (whole groups are resampled) and by a fiftieth at least.

References
----------
.. [1] G. K. Robinson (1991), "That BLUP is a good thing: the estimation of random effects", Statistical Science 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Objective, Task, TaskKind
from mlwright.metrics import of

__all__ = ["KnownGroups", "known_groups"]

_FEWEST = 10  # groups of two rows or more
_MOST_ALIKE = (
    0.9  # of these, those whose rows all have one target: it is the group's, and known when the group is
)
_LEAST_GAIN = 0.02  # of the loss
_BEYOND_CHANCE = 2.5  # standard errors
_MOST_CLASSES = 20
_N_FOLDS = 3
_STEPS = 8  # of Newton's method
_LONGEST = 2.0  # step
_LEAST = 1e-6  # a probability below it counts as this
_PRIOR_ROWS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_VARIANCES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class KnownGroups:
    """What is added for each group.

    Parameters
    ----------
    effects : ndarray of shape (n_groups, n_outputs)
        By the group's code, on `scale`; 0 for groups without rows.
    scale : {"value", "log-odds", "score"}
        See `mlwright.models.offset.Offset`.
    before, after : float
        The metric of out-of-fold predictions for rows of groups of two or more, without effects, and with what the other
        rows of the group tell.
    n_groups : int
        Groups that have rows.
    """

    effects: Floats
    scale: str
    before: float
    after: float
    n_groups: int


def known_groups(
    y: Floats,
    predicted: Floats,
    codes: Ints,
    task: Task,
    *,
    fitted: tuple[Ints, Floats],
    weights: Floats | None = None,
) -> KnownGroups | None:
    """Estimate the effects of groups; None where they tell nothing that carries over.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Values or class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out of folds that keep groups whole; NaN where no fold validates.
    codes : ndarray of int, shape (n_rows,)
        The group of each row, from 0; -1 for none.
    fitted : (ndarray of int, ndarray of shape (n, n_outputs))
        Positions of rows, and what the blend that will be shipped predicts for them.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    """
    if not _has_effects(task) or not len(codes) or codes.max() < 0:
        return None
    w = np.ones(len(y)) if weights is None else weights
    n_groups = int(codes.max()) + 1
    judged = np.flatnonzero(np.isfinite(predicted).all(axis=1) & (codes >= 0))
    judged = judged[np.bincount(codes[judged], minlength=n_groups)[codes[judged]] > 1]
    if not _differ_within(y[judged], codes[judged]):
        return None
    family: _Family = _Values() if task.kind is TaskKind.REGRESSION else _Classes(task.n_outputs)
    own = y[judged], predicted[judged], codes[judged], w[judged]
    told = family.judge(*own, n_groups)
    metric = of(task)
    before, after = (metric.score(own[0], each, own[3]) for each in (own[1], told))
    if not _is_better(family.losses(own[0], own[1]), family.losses(own[0], told), own[2], own[3]):
        return None
    if metric.gain(own[0], told, own[3]) <= metric.gain(own[0], own[1], own[3]):
        return None
    rows, outputs = fitted
    seen = codes[rows] >= 0
    rows, outputs = rows[seen], outputs[seen]
    effects = family.effects(y[rows], outputs, codes[rows], w[rows], n_groups)
    if not effects.any():
        return None
    return KnownGroups(effects, family.scale, before, after, len(np.unique(codes[rows])))


def _has_effects(task: Task) -> bool:
    """Return whether misses add up on a scale: rates by exposure, grades and other losses than the usual have none."""
    if task.kind is TaskKind.REGRESSION:
        return task.objective is Objective.SQUARED and task.exposure is None
    return task.kind.has_classes and not task.is_ordinal and task.n_outputs <= _MOST_CLASSES


def _differ_within(y: Floats, codes: Ints) -> bool:
    """Return whether there are groups enough, and more than a few whose rows differ in their target."""
    present, place = np.unique(codes, return_inverse=True)
    if len(present) < _FEWEST:
        return False
    low, high = np.full(len(present), math.inf), np.full(len(present), -math.inf)
    np.minimum.at(low, place, y)
    np.maximum.at(high, place, y)
    return bool((low == high).mean() <= _MOST_ALIKE)


def _is_better(before: Floats, after: Floats, codes: Ints, weights: Floats) -> bool:
    """Return whether a loss falls far enough, and beyond what draws of whole groups would do."""
    gains = np.bincount(codes, weights * (before - after))[np.unique(codes)]
    gain, total = gains.sum(), float(weights @ before)
    error = math.sqrt(len(gains)) * gains.std(ddof=1)
    return bool(gain > _LEAST_GAIN * total and gain > _BEYOND_CHANCE * error)


class _Family:
    """How misses are measured, and drawn together."""

    scale: str

    def losses(self, y: Floats, outputs: Floats) -> Floats:
        """Return the loss of each row."""
        raise NotImplementedError

    def judge(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        """Return each row's outputs with what the other rows of its group tell, at the best strength."""
        raise NotImplementedError

    def effects(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        """Return shape (n_groups, n_outputs), at the best strength for these outputs; zeros if none is best."""
        raise NotImplementedError


class _Values(_Family):
    """Squared errors: means of misses with some rows of no miss among them; each row is left out in closed form."""

    scale = "value"

    def losses(self, y: Floats, outputs: Floats) -> Floats:
        return (y - outputs[:, 0]) ** 2

    def judge(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        return outputs + self._best(y - outputs[:, 0], codes, weights, n_groups)[1][:, None]

    def effects(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        misses = y - outputs[:, 0]
        prior, _ = self._best(misses, codes, weights, n_groups)
        if math.isinf(prior):
            return np.zeros((n_groups, 1))
        sums = np.bincount(codes, weights * misses, minlength=n_groups)
        return (sums / (np.bincount(codes, weights, minlength=n_groups) + prior))[:, None]

    @staticmethod
    def _best(misses: Floats, codes: Ints, weights: Floats, n_groups: int) -> tuple[float, Floats]:
        """Return how many rows of no miss are best, and each row's effect by the others of its group."""
        sums = np.bincount(codes, weights * misses, minlength=n_groups)[codes] - weights * misses
        rows = np.bincount(codes, weights, minlength=n_groups)[codes] - weights
        unit = weights.mean()  # weights are no counts: their mean is one row
        best = math.inf, np.zeros(len(misses))
        least = float(weights @ misses**2)
        for prior in _PRIOR_ROWS:
            told = sums / (rows + prior * unit)
            loss = float(weights @ (misses - told) ** 2)
            if loss < least:
                least, best = loss, (prior * unit, told)
        return best


class _Classes(_Family):
    """Log loss: normal intercepts, the most likely ones by Newton's method; rows are left out by thirds of their group."""

    def __init__(self, n_outputs: int) -> None:
        self.scale = "log-odds" if n_outputs == 1 else "score"
        self.n_outputs = n_outputs

    def losses(self, y: Floats, outputs: Floats) -> Floats:
        kept = np.clip(outputs, _LEAST, 1.0 - _LEAST)
        if self.n_outputs == 1:
            return -np.where(y > 0, np.log(kept[:, 0]), np.log(1.0 - kept[:, 0]))
        return -np.log(kept[np.arange(len(y)), y.astype(np.int64)])

    def judge(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        return self._chances(self._best(y, outputs, codes, weights, n_groups)[1])

    def effects(self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int) -> Floats:
        variance, _ = self._best(y, outputs, codes, weights, n_groups)
        if not variance:
            return np.zeros((n_groups, self.n_outputs))
        return self._fit(y, self._margins(outputs), codes, weights, n_groups, variance)

    def _margins(self, outputs: Floats) -> Floats:
        kept = np.clip(outputs, _LEAST, 1.0 - _LEAST)
        return np.log(kept) - np.log(1.0 - kept) if self.n_outputs == 1 else np.log(kept)

    def _chances(self, margins: Floats) -> Floats:
        if self.n_outputs == 1:
            return 1.0 / (1.0 + np.exp(-margins))
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def _best(
        self, y: Floats, outputs: Floats, codes: Ints, weights: Floats, n_groups: int
    ) -> tuple[float, Floats]:
        """Return the best variance of the intercepts, and the margins with what other thirds of each group tell."""
        margins = self._margins(outputs)
        best, least = (0.0, margins), float(weights @ self.losses(y, outputs))
        folds = _thirds(codes)
        for variance in _VARIANCES:
            told = margins.copy()
            for fold in range(_N_FOLDS):
                here, others = folds == fold, folds != fold
                own = self._fit(
                    y[others], margins[others], codes[others], weights[others], n_groups, variance
                )
                told[here] += own[codes[here]]
            loss = float(weights @ self.losses(y, self._chances(told)))
            if loss < least:
                best, least = (variance, told), loss
            elif best[0]:  # past the best one
                break
        return best

    def _fit(
        self, y: Floats, margins: Floats, codes: Ints, weights: Floats, n_groups: int, variance: float
    ) -> Floats:
        """Return the most likely intercepts of shape (n_groups, n_outputs)."""
        unit = weights / weights.mean()
        effects = np.zeros((n_groups, self.n_outputs))
        for _ in range(_STEPS):
            for output in range(self.n_outputs):
                chance = self._chances(margins + effects[codes])[:, output]
                is_it = y > 0 if self.n_outputs == 1 else y == output
                slope = np.bincount(codes, unit * (is_it - chance), minlength=n_groups)
                slope -= effects[:, output] / variance
                bend = np.bincount(codes, unit * chance * (1.0 - chance), minlength=n_groups) + 1.0 / variance
                effects[:, output] += np.clip(slope / bend, -_LONGEST, _LONGEST)
        return effects


def _thirds(codes: Ints) -> Ints:
    """Return a fold for each row, by which the rows of a group are dealt out in turn."""
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    turn = np.arange(len(codes)) - np.repeat(first, np.diff(np.append(first, len(codes))))
    folds = np.empty(len(codes), np.int64)
    folds[order] = turn % _N_FOLDS
    return folds
