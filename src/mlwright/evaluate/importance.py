"""Permutation importance: what a raw column is worth to a fitted model. Knows columns, a predict function and a metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


_PARTS = 10  # of the rows, left out in turn
_STUDENT = 2.262  # 97.5 % quantile of t with 9 degrees of freedom
_RANGED = 25  # columns whose range is told by the parts; of the others it is that over the repeats
_FEW = 2  # repeats that the parts are told by


@dataclass(frozen=True, slots=True)
class Importance:
    """How much worse the metric gets when one column is shuffled: the mean over the repeats, and a 95 % interval of it.

    The interval is for other rows of the same kind and other shuffles, of the same model. Where columns are many it is, beyond
    the twenty-five most important, only the lowest and highest of the repeats.
    """

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
    units: np.ndarray | None = None,
    n_repeats: int = 5,
    seed: int,
    max_rows: int = 2000,
    max_predictions: int = _MOST_PREDICTIONS,
) -> list[Importance]:
    """Return what each raw column is worth: the loss of gain when its values are shuffled among the rows.

    Rows are shuffled within ten parts, and no row keeps its own value: so a part that is left out for the interval takes all
    that its rows gave with it. Of columns that say the same thing each may look worthless, since the other still holds the answer. The work is
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
    units : ndarray of shape (n_rows,), optional
        Codes of rows that belong together: the interval leaves them out as a whole.
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
    L. Breiman, "Random Forests", Machine Learning 45 (2001), section 10. The interval is a delete-a-group jackknife: J. Shao,
    D. Tu, "The Jackknife and Bootstrap" (1995), section 2.3.

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
    unshuffled = predict(table)
    base = metric.gain(truth, unshuffled, own_weights)
    answered: dict[str, list[Floats]] = {}
    codes = np.arange(n_rows) if units is None else np.unique(units[rows], return_inverse=True)[1]
    part = _parts(codes, seed)
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
            shuffled = rows[np.concatenate([_shuffled(draw, codes, part) for _ in range(repeats)])]
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
            answered[name] = own[:_FEW]
    found.sort(key=lambda item: (-item.mean, item.column))
    if part is None:
        return found

    def gain(kept: np.ndarray, answer: Floats) -> float:
        return metric.gain(truth[kept], answer[kept], None if own_weights is None else own_weights[kept])

    def without(item: Importance, number: int) -> float:
        kept = part != number
        return bases[number] - float(np.mean([gain(kept, answer) for answer in answered[item.column]]))

    bases = [gain(part != number, unshuffled) for number in range(_PARTS)]
    ranged = [_ranged(item, [without(item, number) for number in range(_PARTS)]) for item in found[:_RANGED]]
    return ranged + found[_RANGED:]


def _parts(codes: np.ndarray, seed: int) -> np.ndarray | None:
    """Return the part of each row, units whole; None where units are too few for `_PARTS` of them."""
    n_units = int(codes.max(initial=-1)) + 1
    if n_units < 2 * _PARTS:
        return None
    return generator(seed, "importance", "parts").permutation(np.arange(n_units) % _PARTS)[codes]


def _shuffled(draw: np.random.Generator, codes: np.ndarray, part: np.ndarray | None) -> np.ndarray:
    """Return whose value each row gets: a row's of its own part but, as far as can be, of another unit.

    So a part that is left out leaves no trace in the others.
    """
    n_rows = len(codes)
    if part is None:
        return draw.permutation(n_rows)
    by_unit = np.lexsort((draw.random(n_rows), codes))
    first = np.searchsorted(codes[by_unit], codes[by_unit])
    turn = np.empty(n_rows, dtype=np.int64)  # the how manieth of its unit a row is
    turn[by_unit] = np.arange(n_rows) - first
    order = np.lexsort((draw.random(n_rows), turn, part))
    ends = np.append(np.flatnonzero(np.diff(part[order])), n_rows - 1)
    following = np.roll(order, -1)
    following[ends] = order[np.append(0, ends[:-1] + 1)]
    shuffled = np.empty(n_rows, dtype=np.int64)
    shuffled[order] = following
    return shuffled


def _ranged(item: Importance, without: Sequence[float]) -> Importance:
    """Return the importance with the interval that the estimates without each part tell."""
    found = np.array(without)
    spread = float(np.sqrt((_PARTS - 1) / _PARTS * np.square(found - found.mean()).sum()))
    if not np.isfinite(spread):  # a part held all rows of a class
        return item
    return Importance(item.column, item.mean, item.mean - _STUDENT * spread, item.mean + _STUDENT * spread)


def _bounded(n_rows: int, n_columns: int, n_repeats: int, most: int) -> tuple[int, int]:
    """Rows and repeats that keep the work within its bound: repeats give way first, then rows."""
    most = min(most, _MOST_CELLS // n_columns)
    repeats = max(1, min(n_repeats, most // (n_rows * n_columns)))
    return min(n_rows, max(_FEWEST_ROWS, most // (n_columns * repeats))), repeats
