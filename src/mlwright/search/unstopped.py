"""Unstopped: out-of-fold predictions of models that did not stop where the very rows that they predict said so.

A fold's boosting stops where its validated rows are predicted best, so these look a little surer than new rows will. It
matters where folds are small: intervals and sets made of such predictions held the truth of new rows in 88 of 100 where
they said 90. Fitted once more with the iterations that all folds took on average, as the served model is, they hold it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlwright.core.clock import Deadline
from mlwright.core.types import Floats
from mlwright.models.ensemble import weighted_mean
from mlwright.search.fitter import Fitter
from mlwright.search.portfolio import grows
from mlwright.search.study_data import StudyData
from mlwright.search.trial import TrialResult

__all__ = ["affordable", "reserve", "unstopped"]

_MOST_ROWS = 3000  # below it folds are small: what stopping adds is more than what chance does
_MOST_SHARE = 0.15  # of the time that is left
_MOST_DEAR = 4  # members, as for the refit


def _seconds(data: StudyData, results: Sequence[TrialResult], most: int) -> float:
    """Return what fitting the dearest of them again would take, so many at most; 0 where it is not worth it."""
    if len(data.y) >= _MOST_ROWS or data.quality == "bag":
        return 0.0
    took = sorted((r.seconds for r in results if r.complete and grows(r.trial)), reverse=True)
    return sum(took[:most])


def reserve(data: StudyData, results: Sequence[TrialResult], left: float) -> float:
    """Return how many of the seconds that are left to keep for it."""
    return min(_seconds(data, results, _MOST_DEAR), _MOST_SHARE * max(0.0, left))


def affordable(data: StudyData, chosen: Sequence[tuple[TrialResult, float]], left: float) -> bool:
    """Return whether it is worth it and takes at most a small share of the seconds that are left."""
    seconds = _seconds(data, [result for result, _ in chosen], len(chosen))
    return 0 < seconds <= left


def unstopped(fitter: Fitter, chosen: Sequence[tuple[TrialResult, float]]) -> Floats:
    """Return the blend's out-of-fold predictions, every model fitted with its folds' mean number of iterations.

    Parameters
    ----------
    chosen : sequence of (TrialResult, float)
        The blend's trials and weights.

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        NaN where no fold validates.
    """
    parts = []
    for result, _ in chosen:
        predicted = result.predicted
        if grows(result.trial):
            typical = max(1, round(float(np.mean(result.n_iterations))))
            again = fitter.trial(result.trial, Deadline(math.inf), (typical,) * len(result.n_iterations))
            predicted = predicted if "failed" in again.told else again.predicted
        parts.append(predicted)
    return weighted_mean(parts, [weight for _, weight in chosen], fitter.data.bounds)
