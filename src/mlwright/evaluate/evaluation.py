"""Evaluation: everything measured about a candidate on rows it never saw. Knows predictions, not models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from mlwright.core.errors import DataError, UsageError
from mlwright.core.seeds import derive
from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.figures import (
    LEVEL,
    Bin,
    Confusion,
    Histogram,
    Lift,
    Residuals,
    Share,
    bins,
    confusion,
    histogram,
    lifts,
    residuals,
    roc,
    share,
)
from mlwright.evaluate.importance import Importance, permutation_importance
from mlwright.metrics import decide, for_task, of
from mlwright.metrics.intervals import PARTS, Interval, interval, paired_interval

__all__ = ["BASES", "Baseline", "Evaluation", "Importance", "evaluate", "permutation_importance"]

BASES = ("test", "cross-validation")
_FEWEST_PARTS = 50
_CELLS = (
    6_000_000  # predictions times parts: beyond that parts are fewer, as intervals of many rows are narrow
)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple model that the candidate is compared with, on the same rows.

    Parameters
    ----------
    score : Interval
        Of the task's metric.
    difference : Interval
        The candidate's gain minus the baseline's, from paired draws; above 0 the candidate is better.
    right : Share or None
        Rows whose class is called right (classes only).
    half_error : float or None
        The absolute error that half of the rows stay within, in the target's unit (regression only).
    """

    score: Interval
    difference: Interval
    right: Share | None = None
    half_error: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured about a candidate on rows it never saw.

    Parameters
    ----------
    task : Task
        What is predicted.
    basis : {"test", "cross-validation"}
        Rows that no search saw, or, where no rows were held out, each row by a model that had not seen that row;
        the search has then chosen by the same rows, so figures lean to the good side.
    n_rows : int
        How many rows.
    metric : str
        The metric that decides.
    scores : dict of str to Interval
        Every metric of the task, `metric` first.
    baselines : dict of str to Baseline
        By name: ``"dummy"``, ``"linear"``.
    base : tuple of float
        The share of each class among the rows; the mean of the target for regression.
    right : Share or None
        Rows whose class is called right (classes only).
    confusion : Confusion or None
        Truth against decision (classes only).
    residuals : Residuals or None
        How far off values are (regression only).
    calibration : tuple of Bin
        Mean prediction against what was observed: P(second class) for binary, P(the class called) against how often
        it is right for multiclass, the value for regression.
    lifts : tuple of Lift
        How rich in positives the highest scores are (binary only).
    roc : tuple of (float, float)
        False alarms and found (binary only).
    distribution : Histogram
        Predictions by the true class (binary), by right and wrong (multiclass), or beside the truth (regression).
    importance : tuple of Importance
        What each raw column is worth; empty until `with_importance`.
    """

    task: Task
    basis: str
    n_rows: int
    metric: str
    scores: dict[str, Interval]
    baselines: dict[str, Baseline]
    base: tuple[float, ...]
    right: Share | None
    confusion: Confusion | None
    residuals: Residuals | None
    calibration: tuple[Bin, ...]
    lifts: tuple[Lift, ...]
    roc: tuple[tuple[float, float], ...]
    distribution: Histogram
    importance: tuple[Importance, ...] = ()

    @property
    def score(self) -> Interval:
        """The score of the metric that decides."""
        return self.scores[self.metric]

    @property
    def flagged(self) -> Share | None:
        """Of the rows that are flagged as the second class, those that are of it (binary only)."""
        return self._positive("precision")

    @property
    def caught(self) -> Share | None:
        """Of the rows of the second class, those that are flagged (binary only)."""
        return self._positive("recall")

    def _positive(self, figure: str) -> Share | None:
        if self.confusion is None or self.task.kind is not TaskKind.BINARY:
            return None
        return getattr(self.confusion.classes[1], figure)

    def lowered(self, optimism: float) -> Evaluation:
        """Return the same evaluation with the deciding metric worse by `optimism`, where rows were chosen by.

        The good end of its interval, and of the differences to the baselines, stays: how much was luck is itself not known.
        """
        better = of(self.task).greater_is_better
        low, high = of(self.task).bounds

        def less(part: Interval) -> Interval:
            if better:
                return replace(
                    part, estimate=max(low, part.estimate - optimism), low=max(low, part.low - optimism)
                )
            return replace(
                part, estimate=min(high, part.estimate + optimism), high=min(high, part.high + optimism)
            )

        def closer(part: Baseline) -> Baseline:
            gap = part.difference
            return replace(
                part, difference=replace(gap, estimate=gap.estimate - optimism, low=gap.low - optimism)
            )

        return replace(
            self,
            scores={**self.scores, self.metric: less(self.score)},
            baselines={name: closer(part) for name, part in self.baselines.items()},
        )

    def with_importance(self, importance: Sequence[Importance]) -> Evaluation:
        """Return the same evaluation with what each column is worth."""
        return replace(self, importance=tuple(importance))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads; a figure that is not defined is null."""
        return _nulls(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Evaluation:
        """Build an evaluation from `to_json`'s tree.

        Raises
        ------
        DataError
            If the tree is not one; the message names the place.
        """
        try:
            return msgspec.convert(_not_a_number(tree), cls)
        except msgspec.ValidationError as error:
            raise DataError(f"not an evaluation: {error}", fix="evaluate the model again") from error


def evaluate(
    task: Task,
    y: Floats,
    predicted: Floats,
    baselines: Mapping[str, Floats],
    *,
    groups: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    seed: int,
    weights: Floats | None = None,
    basis: str = "test",
    n_parts: int = PARTS,
) -> Evaluation:
    """Measure predictions against the truth, beside the baselines' on the same rows.

    Parameters
    ----------
    task : Task
        What is predicted; its metric decides.
    y : ndarray of shape (n_rows,)
        The truth: values, or class codes. At least two rows.
    predicted : ndarray of shape (n_rows, n_outputs)
        As `mlwright.models.base.Model.predict` gives them.
    baselines : mapping of str to ndarray of shape (n_rows, n_outputs)
        The predictions of simple models, ``"dummy"`` and ``"linear"`` by custom.
    groups, blocks : ndarray of shape (n_rows,), optional
        Rows that belong together, or stretches of time: intervals leave them out as a whole.
    seed : int
        For every draw.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts in the scores and their intervals; all other figures count rows.
    basis : {"test", "cross-validation"}, default="test"
        Where the predictions come from.
    n_parts : int, default=200
        Parts that an interval leaves out in turn, at most; many rows get fewer, down to 50.

    Raises
    ------
    DataError
        If shapes do not fit or a number is missing.
    UsageError
        If `basis` is neither of the two.
    """
    if basis not in BASES:
        raise UsageError("unknown basis of an evaluation", got=basis, allowed=BASES)
    y = np.asarray(y, dtype=np.float64)
    predicted = _checked("the model", predicted, y, task)
    simple = {name: _checked(name, values, y, task) for name, values in baselines.items()}
    clusters = groups if groups is not None else blocks
    n_parts = min(n_parts, max(_FEWEST_PARTS, _CELLS // predicted.size))
    units: dict[str, Any] = {"level": LEVEL, "groups": groups, "blocks": blocks, "n_parts": n_parts}
    units["weights"] = weights
    metric = of(task)
    names = [task.metric, *(name for name in for_task(task.kind, plain=True) if name != task.metric)]
    classes = task.kind is not TaskKind.REGRESSION
    value = predicted[:, 0]

    def baseline(name: str, other: Floats) -> Baseline:
        return Baseline(
            interval(metric, y, other, seed=derive(seed, "baseline", name), **units),
            paired_interval(metric, y, predicted, other, seed=derive(seed, "paired", name), **units),
            share(decide(other, task) == y, clusters) if classes else None,
            None if classes else float(np.median(np.abs(other[:, 0] - y))),
        )

    binary = task.kind is TaskKind.BINARY
    return Evaluation(
        task=task,
        basis=basis,
        n_rows=len(y),
        metric=task.metric,
        scores={
            name: interval(
                of(replace(task, metric=name)),
                y,
                predicted,
                seed=derive(seed, "score", name),
                **units,
            )
            for name in names
        },
        baselines={name: baseline(name, other) for name, other in simple.items()},
        base=tuple(float(np.mean(y == code)) for code in range(len(task.labels)))
        if classes
        else (float(np.mean(y)),),
        right=share(decide(predicted, task) == y, clusters) if classes else None,
        confusion=confusion(y, predicted, task, clusters) if classes else None,
        residuals=None if classes else residuals(y, value, clusters=clusters, seed=seed),
        calibration=_calibration(task, y, predicted, clusters),
        lifts=lifts(y, value, clusters=clusters, seed=seed) if binary else (),
        roc=roc(y, value) if binary else (),
        distribution=_distribution(task, y, predicted),
    )


def _checked(name: str, predicted: Floats, y: Floats, task: Task) -> Floats:
    predicted = np.asarray(predicted, dtype=np.float64)
    predicted = predicted[:, None] if predicted.ndim == 1 else predicted
    wanted = (len(y), task.n_outputs)
    if predicted.shape != wanted or len(y) < 2:
        raise DataError(
            f"the predictions of {name} cannot be evaluated",
            got=predicted.shape,
            allowed=f"shape {wanted}, and at least two rows",
        )
    if not (np.isfinite(predicted).all() and np.isfinite(y).all()):
        raise DataError(
            f"the predictions of {name} or the truth hold numbers that are missing or infinite",
            fix="leave rows without a truth out",
        )
    return predicted


def _calibration(task: Task, y: Floats, predicted: Floats, clusters: np.ndarray | None) -> tuple[Bin, ...]:
    if task.kind is TaskKind.MULTICLASS:
        right = (decide(predicted, task) == y).astype(np.float64)
        return bins(predicted.max(axis=1), right, clusters=clusters, rate=True)
    return bins(predicted[:, 0], y, clusters=clusters, rate=task.kind is TaskKind.BINARY)


def _distribution(task: Task, y: Floats, predicted: Floats) -> Histogram:
    if task.kind is TaskKind.REGRESSION:
        return histogram({"truth": y, "predicted": predicted[:, 0]})
    if task.kind is TaskKind.MULTICLASS:
        top, right = predicted.max(axis=1), decide(predicted, task) == y
        return histogram({"right": top[right], "wrong": top[~right]}, limits=(0.0, 1.0))
    return histogram(
        {str(code): predicted[y == code, 0] for code in range(len(task.labels))}, limits=(0.0, 1.0)
    )


_INTERVAL = frozenset({"estimate", "low", "high", "level"})


def _nulls(tree: Any) -> Any:
    """Turn numbers that JSON does not have into null."""
    if isinstance(tree, dict):
        return {key: _nulls(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_nulls(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _not_a_number(tree: Any) -> Any:
    """Turn the nulls of intervals, the only figures that may be undefined, back."""
    if isinstance(tree, dict):
        undefined = tree.keys() == _INTERVAL
        return {
            key: math.nan if undefined and value is None else _not_a_number(value)
            for key, value in tree.items()
        }
    return [_not_a_number(value) for value in tree] if isinstance(tree, list) else tree
