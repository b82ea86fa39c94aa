"""Selection: how much of the best trial's score is owed to having chosen it by that score.

Of many trials the best one is good in part by chance, and the more so the more trials there are. Rows are drawn with
replacement, the best trial is chosen on the drawn rows and scored on the others: BBC-CV, over predictions out of fold that
the search has anyway, so nothing is fitted again.

References
----------
I. Tsamardinos, E. Greasidou, G. Borboudakis, "Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation", Machine Learning 107 (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.metrics.base import Metric

__all__ = ["Selection", "selection"]

_CELLS = 2_000_000  # draws times rows times trials
_MOST_DRAWS, _FEWEST_DRAWS, _FEWEST_ROWS = 100, 20, 200


@dataclass(frozen=True, slots=True)
class Selection:
    """The score of the best trial, as the folds show it and as it is without the luck of the choice.

    Parameters
    ----------
    n_trials : int
        How many were chosen from.
    n_rows : int
        On how many rows.
    best : float
        The best trial's score on all rows.
    corrected : float
        What a trial that is chosen so scores on rows that it was not chosen by.
    optimism : float
        By how much `best` is too good, at least 0, in the metric's units.
    """

    key: ClassVar[str] = "selection"

    n_trials: int
    n_rows: int
    best: float
    corrected: float
    optimism: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return msgspec.to_builtins(self)


def selection(
    metric: Metric,
    y: Floats,
    predictions: Sequence[Floats],
    *,
    units: np.ndarray | None = None,
    weights: Floats | None = None,
    seed: int = 0,
) -> Selection | None:
    """Return what choosing the best of `predictions` by their score on `y` adds to that score.

    Parameters
    ----------
    metric : Metric
        What they are chosen by.
    y : ndarray of shape (n_rows,)
    predictions : sequence of ndarray of shape (n_rows, n_outputs)
        Of each trial, out of fold and without NaN.
    units : ndarray of shape (n_rows,), optional
        Which rows belong together, and are drawn as one.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    seed : int, default=0
        For the draws.

    Returns
    -------
    Selection or None
        None of less than two trials, or where no draw has a score. Of more rows than can be drawn in a moment some are
        taken; what is found there is scaled by the root of their share, as luck is smaller on more rows.
    """
    if len(predictions) < 2 or len(y) < 2:
        return None
    sign = 1.0 if metric.greater_is_better else -1.0
    every = np.ones(len(y)) if weights is None else weights
    whole = np.array([sign * metric.score(y, one, weights) for one in predictions])
    if not np.isfinite(whole).any():
        return None
    random = generator(seed, "selection")
    most = max(_FEWEST_ROWS, _CELLS // (_FEWEST_DRAWS * len(predictions)))
    rows = np.arange(len(y)) if len(y) <= most else np.sort(random.choice(len(y), most, replace=False))
    n_draws = int(np.clip(_CELLS // (len(rows) * len(predictions)), _FEWEST_DRAWS, _MOST_DRAWS))
    of_row = np.arange(len(rows)) if units is None else np.unique(units[rows], return_inverse=True)[1]
    n_units = int(of_row.max()) + 1
    drawn = np.stack(
        [np.bincount(random.integers(0, n_units, n_units), minlength=n_units) for _ in range(n_draws)]
    )[:, of_row]
    inside, outside = drawn * every[rows], (drawn == 0) * every[rows]
    chosen_by = np.stack([sign * metric.scores(y[rows], one[rows], inside) for one in predictions])
    judged_by = np.stack([sign * metric.scores(y[rows], one[rows], outside) for one in predictions])
    chosen = np.where(np.isfinite(chosen_by), chosen_by, -np.inf).argmax(axis=0)
    judged = judged_by[chosen, np.arange(n_draws)]
    known = np.isfinite(judged)
    if not known.any():
        return None
    # The best of these rows, so that rows that were left out say nothing.
    here = np.array([sign * metric.score(y[rows], one[rows], every[rows]) for one in predictions])
    optimism = max(0.0, float(np.nanmax(here) - judged[known].mean())) * float(np.sqrt(len(rows) / len(y)))
    best = float(np.nanmax(whole))
    return Selection(len(predictions), len(y), sign * best, sign * (best - optimism), optimism)
