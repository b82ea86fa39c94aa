"""Association: how columns go together, by ranks, so that records can be made up that nobody is."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.values import Coded, Columns

__all__ = ["FEWEST", "association"]

FEWEST = 5  # rows that a level needs to be told
_MOST_COLUMNS = 100
_MOST_ROWS = 5000
_MOST_LEVELS = 100


def association(columns: Columns, predicted: Floats) -> dict[str, Any]:
    """Return Spearman's correlations of the columns, and the order that levels were ranked in.

    Missing ranks lowest; levels rank by the mean of the first prediction of their rows. Empty where columns are more
    than a hundred.

    Parameters
    ----------
    columns : Columns
        Canonical ones, n_rows long; thinned evenly beyond 5,000 rows.
    predicted : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    dict
        ``columns`` (names), ``order`` (by name the levels that at least five rows have, from the lowest) and ``ranks`` (the
        correlations: rows of the lower triangle without the diagonal, two digits).

    Examples
    --------
    >>> rows = np.arange(50.0)
    >>> association({"a": rows, "b": -rows}, rows[:, None])["ranks"]
    [[], [-1.0]]
    """
    names = list(columns)
    if not 1 <= len(names) <= _MOST_COLUMNS or len(predicted) < 2:
        return {}
    some = np.linspace(0, len(predicted) - 1, min(len(predicted), _MOST_ROWS)).astype(np.int64)
    order: dict[str, list[str]] = {}
    ranks = np.empty((len(some), len(names)))
    for place, name in enumerate(names):
        values = columns[name]
        if isinstance(values, Coded):
            order[name], ranked = _ranked(values.codes, values.levels, predicted[:, 0])
            cells = ranked[some]
        else:
            cells = values[some]
        ranks[:, place] = _middle_ranks(cells)
    spread = ranks.std(axis=0)
    scaled = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found = scaled.T @ scaled / len(some)
    rows = [[float(np.round(found[i, j], 2)) + 0.0 for j in range(i)] for i in range(len(names))]
    return {"columns": names, "order": order, "ranks": rows}


def _ranked(codes: np.ndarray, levels: list[str], predicted: Floats) -> tuple[list[str], Floats]:
    """Return the told levels, the lowest first, and each row's place among them; -1 for missing and all others."""
    counts = np.bincount(codes + 1, minlength=len(levels) + 1)[1:]
    sums = np.bincount(codes + 1, predicted, minlength=len(levels) + 1)[1:]
    often = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
    told = [int(code) for code in often if counts[code] >= FEWEST]
    told.sort(key=lambda code: (sums[code] / counts[code], levels[code]))
    place = np.full(len(levels) + 1, -1.0)
    place[told] = np.arange(len(told))
    return [levels[code] for code in told], place[codes]


def _middle_ranks(cells: Floats) -> Floats:
    """Return each cell's rank, ties in their middle; missing ranks lowest."""
    filled = np.where(np.isnan(cells), -np.inf, cells)
    _, place, counts = np.unique(filled, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place]
