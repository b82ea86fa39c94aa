"""How well columns tell a yes or no of a row, out of fold: scores, their AUC and its range. Knows no findings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.one_feature import Cells, cells
from mlwright.data.values import Coded, Columns

__all__ = ["Told", "auc_range", "coarse", "crossed", "scores_of", "told_by", "told_cells"]

_N_FOLDS, _COARSE = 5, 12
_FREQUENT, _FEWEST_FREQUENT = 0.02, 20  # of the rows; rows: a value that so many have is no copy of a row
_SMOOTHING = 2.0  # rows' worth of the overall share in each cell


class Told(NamedTuple):
    """An AUC with its range."""

    auc: float
    low: float
    high: float


def scores_of(cut: Cells, yes: NDArray[np.bool_]) -> Floats:
    """Return a score for each row: how much likelier yes is in its cell than anywhere, by the rows of other folds.

    Parameters
    ----------
    cut : Cells
        A feature in cells.
    yes : ndarray of bool, shape (n_rows,)
        What is told.

    Returns
    -------
    ndarray of shape (n_rows,)
        In log odds, 0 where the cell says nothing; those of several features may be added.
    """
    n_cells = int(cut.cell.max()) + 1
    flat = cut.cell * _N_FOLDS + cut.fold
    shape = (n_cells, _N_FOLDS)
    of_fold = [np.bincount(cut.fold, weights=answer, minlength=_N_FOLDS) for answer in (yes, ~yes)]
    odds = np.zeros(shape)
    for counts, totals, sign in (
        (np.bincount(flat, weights=yes, minlength=n_cells * _N_FOLDS).reshape(shape), of_fold[0], 1.0),
        (np.bincount(flat, weights=~yes, minlength=n_cells * _N_FOLDS).reshape(shape), of_fold[1], -1.0),
    ):
        others = counts.sum(axis=1, keepdims=True) - counts
        every = totals.sum() - totals
        prior = np.maximum(every / max(1.0, len(yes) - 1.0), 1e-9)
        odds += sign * np.log((others + _SMOOTHING * prior) / np.maximum(every, 1e-9))
    return odds.ravel()[flat]


def crossed(one: Cells, other: Cells) -> Cells:
    """Return the cells of two features together, each brought down to 12 cells of like place before (`coarse`)."""
    return Cells(one.cell * _COARSE + other.cell, one.fold, fine=False)


def coarse(cut: Cells) -> Cells:
    """Return neighbouring cells joined until there are at most 12."""
    size = np.bincount(cut.cell)
    middle = (np.cumsum(size) - 0.5 * size) / size.sum()
    few = (
        np.arange(len(size))
        if len(size) <= _COARSE
        else np.minimum((middle * _COARSE).astype(np.int64), _COARSE - 1)
    )
    return Cells(few[cut.cell], cut.fold, fine=False)


def auc_range(scores: Floats, yes: NDArray[np.bool_], z: float) -> Told:
    """Return the AUC of `scores` with its range by DeLong's variance, on the scale of log odds.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Higher for yes.
    yes : ndarray of bool, shape (n_rows,)
        Both answers must be there, twice or more.
    z : float
        How many standard errors the range reaches to each side.

    References
    ----------
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", Biometrics 44 (1988).

    Examples
    --------
    >>> told = auc_range(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]), 1.96)
    >>> told.auc
    0.75
    """
    levels, place = np.unique(scores, return_inverse=True)
    place = place.ravel()
    of_yes = np.bincount(place[yes], minlength=len(levels)).astype(np.float64)
    of_no = np.bincount(place[~yes], minlength=len(levels)).astype(np.float64)
    n_yes, n_no = float(of_yes.sum()), float(of_no.sum())
    below = (
        np.cumsum(of_no) - 0.5 * of_no
    ) / n_no  # of a yes with this score: the share of the noes that it beats
    above = 1.0 - (np.cumsum(of_yes) - 0.5 * of_yes) / n_yes
    auc = float(below @ of_yes) / n_yes
    spread = float((below - auc) ** 2 @ of_yes) / (n_yes - 1), float((above - auc) ** 2 @ of_no) / (n_no - 1)
    error = math.sqrt(spread[0] / n_yes + spread[1] / n_no)
    inner = min(max(auc, 1e-6), 1 - 1e-6)
    centre, reach = math.log(inner / (1 - inner)), z * error / (inner * (1 - inner))
    low, high = (
        1 / (1 + math.exp(-min(max(end, -700.0), 700.0))) for end in (centre - reach, centre + reach)
    )
    return Told(auc, min(low, auc), max(high, auc))


def told_cells(values: Floats | Coded, fold: Ints) -> Cells:
    """Return a feature's cells with frequent values, such as the zeros of an amount, dealt to all folds.

    `cells` keeps the rows of a value of a finely graded number in one fold, so that copies do not tell each other. One that
    many rows have would be told by none then.
    """
    cut = cells(values, fold)
    if not cut.fine or isinstance(values, Coded):
        return cut
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    frequent = counts[place.ravel()] > max(_FEWEST_FREQUENT, _FREQUENT * len(values))
    return Cells(cut.cell, np.where(frequent, fold, cut.fold), fine=True)


def told_by(columns: Columns, names: Sequence[str], fold: Ints, yes: NDArray[np.bool_]) -> dict[str, Floats]:
    """Return the scores of each column by itself; those of columns with one cell only are left out."""
    found = {}
    for name in names:
        cut = told_cells(columns[name], fold)
        if cut.cell.max() > 0:
            found[name] = scores_of(cut, yes)
    return found
