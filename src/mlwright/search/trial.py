"""Trial: one configuration, and what came of fitting it on every fold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.metrics.base import Metric

__all__ = ["Trial", "TrialResult"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration.

    Parameters
    ----------
    number : int
        Its place in the study, from 0.
    model : str
        A kind of `mlwright.core.kinds.MODELS`.
    view : str
        A recipe of `mlwright.features.recipes`.
    params : dict
        The model's hyperparameters.
    link : {"identity", "log"}
        ``log`` fits on ``log1p(y)``.
    repeat : int
        The draw of the folds that it is judged on: 0, or 1 for the second one, see `mlwright.search.repeats`.
    """

    number: int
    model: str
    view: str
    params: dict[str, Any] = field(default_factory=dict)
    link: str = "identity"
    repeat: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that ``Trial(**tree)`` reads."""
        return {
            "number": self.number,
            "model": self.model,
            "view": self.view,
            "params": self.params,
            "link": self.link,
            "repeat": self.repeat,
        }


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A finished trial.

    Parameters
    ----------
    trial : Trial
        The configuration.
    score : float
        The metric over all validated rows (in the metric's own direction).
    fold_scores : tuple of float
        The same by fold.
    n_iterations : tuple of int
        By fold; with these a replay fits the same models whatever the clock says.
    seconds : float
        Wall clock.
    complete : bool
        False if the first folds were so poor that the others were left out; then it takes no part in a blend.
    told : dict
        What the clock and the machine said when it was first fitted (``seconds``, ``finished`` in seconds since the
        search began, ``memory_mb``, ``fitting`` seconds of all folds' learners and how many iterations they have
        ``grown``, ``curve`` of validation losses), and the ``refit_iterations`` and ``log_shift`` that followed: a
        replay repeats it, and decides nothing by it but how a refit is made.
    predicted : ndarray of shape (n_rows, n_outputs)
        Out-of-fold predictions, NaN for rows that no fold validates.
    """

    trial: Trial
    score: float
    fold_scores: tuple[float, ...]
    n_iterations: tuple[int, ...]
    seconds: float
    predicted: Floats = field(repr=False)
    complete: bool = True
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def refit_iterations(self) -> int:
        """The iterations of a refit on all rows; without what was told, those of the longest fold."""
        return self.told.get("refit_iterations") or max(self.n_iterations)

    @property
    def log_shift(self) -> float:
        """What a refit adds to the logarithms of the target, see `mlwright.search.retransform`."""
        return float(self.told.get("log_shift", 0.0))

    def gain(self, metric: Metric) -> float:
        """Return the score turned so that more is better; minus infinity where it has no meaning."""
        turned = self.score if metric.greater_is_better else -self.score
        return -math.inf if math.isnan(turned) else turned

    def to_json(self) -> dict[str, Any]:
        """Return what reproduces the trial, without predictions."""
        return {
            **self.trial.to_json(),
            "score": self.score,
            "fold_scores": list(self.fold_scores),
            "n_iterations": list(self.n_iterations),
            "complete": self.complete,
            "told": self.told,
        }

    @classmethod
    def from_json(
        cls, tree: dict[str, Any], *, seconds: float = 0.0, predicted: Floats | None = None
    ) -> TrialResult:
        """Build a result from `to_json`'s tree."""
        return cls(
            trial=Trial(
                **{key: tree[key] for key in ("number", "model", "view", "params", "link")},
                repeat=tree.get("repeat", 0),
            ),
            score=_number(tree["score"]),
            fold_scores=tuple(_number(score) for score in tree["fold_scores"]),
            n_iterations=tuple(tree["n_iterations"]),
            seconds=seconds,
            predicted=np.empty((0, 0)) if predicted is None else predicted,
            complete=tree.get("complete", True),
            told=tree.get("told", {}),
        )


def _number(score: float | None) -> float:
    """Return a score; JSON has null for one that has no meaning, as the AUC of a fold with rows of one class."""
    return math.nan if score is None else float(score)
