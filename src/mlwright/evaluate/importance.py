"""Permutation importance: what a raw column is worth to a fitted model. Knows columns, a predict function and a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.values import Coded, Columns, take
from mlwright.metrics.base import Metric

__all__ = ["Importance", "permutation_importance"]

_MOST_PREDICTIONS = 400_000  # of one row each, over all columns and repeats: seconds, not minutes
_MOST_CELLS = 200_000_000  # of all these rows: seconds for the plan of a wide table
_CELLS_A_CALL = 4_000_000
_FEWEST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Importance:
    """How much worse the metric gets when one column is shuffled: the mean, lowest and highest over the repeats."""

    column: str
    mean: float
    low: float
    high: float


def permutation_importance(
    predict: Callable[[Columns], Floats],
    columns: Columns,
    y: Floats,
    metric: Metric,
    *,
    weights: Floats | None = None,
    n_repeats: int = 5,
    seed: int,
    max_rows: int = 2000,
    max_predictions: int = _MOST_PREDICTIONS,
) -> list[Importance]:
    """Return what each raw column is worth: the loss of gain when its values are shuffled among the rows.

    Of columns that say the same thing each may look worthless, since the other still holds the answer. The work is
    bounded by counts alone (`max_predictions`), never by a clock, so that equal inputs give equal figures.

    Parameters
    ----------
    predict : callable
        Canonical columns in, predictions of shape (n_rows, n_outputs) out.
    columns : Columns
        The columns that `predict` reads, n_rows long.
    y : ndarray of shape (n_rows,)
        The truth.
    metric : Metric
        Whose gain is compared.
    weights : ndarray of shape (n_rows,), optional
        How much each row counts.
    n_repeats : int, default=5
        Shuffles a column; fewer where columns are very many.
    seed : int
        For the rows and the shuffles.
    max_rows : int, default=2000
        Rows looked at; more are thinned by a draw.
    max_predictions : int, default=400,000
        Rows predicted over all columns and repeats, if 100 a column are enough for that; less for slow models.

    Returns
    -------
    list of Importance
        The most important column first; equal ones by name.

    References
    ----------
    L. Breiman, "Random Forests", Machine Learning 45 (2001), section 10.

    Examples
    --------
    >>> from mlwright.metrics import get
    >>> columns = {"signal": np.arange(40.0), "noise": np.ones(40)}
    >>> found = permutation_importance(lambda c: c["signal"][:, None], columns, np.arange(40.0), get("mae"), seed=0)
    >>> [(item.column, item.mean > 5) for item in found]
    [('signal', True), ('noise', False)]
    """
    if not columns:
        return []
    n_rows, repeats = _bounded(min(len(y), max_rows), len(columns), n_repeats, max_predictions)
    rows = np.sort(generator(seed, "importance", "rows").permutation(len(y))[:n_rows])
    table, truth = take(columns, rows), y[rows]
    own_weights = None if weights is None else weights[rows]
    base = metric.gain(truth, predict(table), own_weights)
    size, names = n_rows * repeats, list(columns)
    together = max(
        1, _CELLS_A_CALL // (size * len(names))
    )  # few large calls: a plan costs something each time
    found = []
    for start in range(0, len(names), together):
        asked = names[start : start + together]
        tiled = take(table, np.tile(np.arange(n_rows), repeats * len(asked)))
        for place, name in enumerate(asked):
            draw = generator(seed, "importance", name)
            shuffled = rows[np.concatenate([draw.permutation(n_rows) for _ in range(repeats)])]
            here, values, cells = slice(place * size, (place + 1) * size), columns[name], tiled[name]
            if isinstance(values, Coded) and isinstance(cells, Coded):
                cells.codes[here] = values.codes[shuffled]
            elif isinstance(values, np.ndarray) and isinstance(cells, np.ndarray):
                cells[here] = values[shuffled]
        answers = np.split(predict(tiled), repeats * len(asked))
        for place, name in enumerate(asked):
            own = answers[place * repeats : (place + 1) * repeats]
            losses = [base - metric.gain(truth, answer, own_weights) for answer in own]
            found.append(Importance(name, float(np.mean(losses)), float(min(losses)), float(max(losses))))
    return sorted(found, key=lambda item: (-item.mean, item.column))


def _bounded(n_rows: int, n_columns: int, n_repeats: int, most: int) -> tuple[int, int]:
    """Rows and repeats that keep the work within its bound: repeats give way first, then rows."""
    most = min(most, _MOST_CELLS // n_columns)
    repeats = max(1, min(n_repeats, most // (n_rows * n_columns)))
    return min(n_rows, max(_FEWEST_ROWS, most // (n_columns * repeats))), repeats
