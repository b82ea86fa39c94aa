"""How well one feature alone tells the target, out of fold: AUC for classes, R2 for numbers.

The predictors are as simple as can be, since a leak is simple: the mean of the target in a cell (a category, or one
of up to 64 quantile bins), and for numbers also a straight line and the interpolation between neighbours. Rows with
the same value of a finely graded feature are left out together, so that copies of rows do not tell each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.values import Coded

__all__ = [
    "Cells",
    "cells",
    "gap_auc",
    "line_r2",
    "out_of_fold_auc",
    "out_of_fold_r2",
    "trimmed_r2",
    "value_auc",
]

_FINE = 32  # a number with more distinct values is binned
_MOST_BINS = 64
_ROWS_A_BIN = 5
_MOST_LEVELS = 1_024
_N_FOLDS = 5
_SMOOTHING = 1.0  # rows' worth of the overall mean in each cell
_TRIM = 0.005


@dataclass(frozen=True, slots=True)
class Cells:
    """A feature cut into cells.

    Parameters
    ----------
    cell : ndarray of int64, shape (n_rows,)
        Which cell a row is in; the missing ones have one of their own.
    fold : ndarray of int64, shape (n_rows,)
        From 0 to 4; a row is predicted from the rows of the other folds.
    fine : bool
        Whether the cells are bins of more values.
    """

    cell: Ints
    fold: Ints
    fine: bool


def cells(values: Floats | Coded, fold: Ints) -> Cells:
    """Cut a feature into cells.

    Parameters
    ----------
    values : ndarray or Coded, shape (n_rows,)
        A canonical column.
    fold : ndarray of int64, shape (n_rows,)
        The folds to use where equal values need not stay together.
    """
    if isinstance(values, Coded):
        _, cell, counts = np.unique(values.codes, return_inverse=True, return_counts=True)
        if len(counts) > _MOST_LEVELS:
            rank = np.empty(len(counts), np.int64)
            rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
            cell = np.minimum(rank, _MOST_LEVELS)[cell]
        return Cells(cell.astype(np.int64), fold, fine=False)
    distinct, place = np.unique(values, return_inverse=True)  # NaN is the last one, once
    if len(distinct) <= _FINE:
        return Cells(place.astype(np.int64), fold, fine=False)
    known = ~np.isnan(values)
    n_bins = int(np.clip(known.sum() // _ROWS_A_BIN, 2, _MOST_BINS))
    edges = np.unique(np.quantile(values[known], np.arange(1, n_bins) / n_bins, method="lower"))
    cell = np.where(known, np.searchsorted(edges, values, side="left"), len(edges) + 1)
    # The fold follows the value: the scattered number of the value, not its rank, so that folds interleave.
    scattered = (place.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    together = (scattered % np.uint64(_N_FOLDS)).astype(np.int64)
    return Cells(cell.astype(np.int64), np.where(known, together, fold), fine=True)


def out_of_fold_auc(cut: Cells, values: Floats | Coded, classes: Ints, n_classes: int) -> float:
    """Return the least one-against-rest AUC of the classes, from 0.5 to 1.

    Each AUC is the better of two: the cells' class shares in the other folds as the score, and, for numbers, the
    value itself, rising or falling.

    Parameters
    ----------
    cut : Cells
        The feature in cells.
    values : ndarray or Coded, shape (n_rows,)
        The feature.
    classes : ndarray of int64, shape (n_rows,)
        Codes from 0; all of them are there.
    n_classes : int
        How many.
    """
    n_cells = int(cut.cell.max()) + 1
    flat = (cut.cell * _N_FOLDS + cut.fold) * n_classes + classes
    counts = np.bincount(flat, minlength=n_cells * _N_FOLDS * n_classes).astype(np.float64)
    counts = counts.reshape(n_cells, _N_FOLDS, n_classes)
    others = counts.sum(axis=1, keepdims=True) - counts
    prior = counts.sum(axis=(0, 1)) / len(classes)
    score = (others + _SMOOTHING * prior) / (others.sum(axis=2, keepdims=True) + _SMOOTHING)
    counts, score = counts.reshape(-1, n_classes), score.reshape(-1, n_classes)
    size = counts.sum(axis=1)
    used = size > 0
    worst = 1.0
    for code in range(0 if n_classes > 2 else 1, n_classes):
        # Shares that differ by rounding only are one score.
        auc = _auc(np.round(score[used, code], 12), counts[used, code], size[used])
        if cut.fine and not isinstance(values, Coded) and auc < 1.0:
            auc = max(auc, value_auc(values, classes == code))
        worst = min(worst, auc)
    return max(worst, 0.5)


def gap_auc(values: Floats | Coded, classes: Ints, n_classes: int) -> float:
    """Return the AUC, from 0.5 to 1, of whether the value is missing; 0.5 for more than two classes."""
    gaps = values.codes < 0 if isinstance(values, Coded) else np.isnan(values)
    if not gaps.any() or gaps.all() or n_classes != 2:
        return 0.5
    in_gaps = np.bincount(classes[gaps], minlength=n_classes) / np.bincount(classes, minlength=n_classes)
    return float(0.5 + abs(in_gaps[1] - in_gaps[0]) / 2)


def out_of_fold_r2(cut: Cells, values: Floats | Coded, y: Floats, *, neighbours: bool = True) -> float:
    """Return the share of the target's variance that the feature alone predicts out of fold.

    The better of the cells' means in the other folds and, for finely graded numbers, the straight line between the
    two neighbours' mean targets. It must hold both for all rows and without the 1 % of extreme targets, so that a
    single far point does not make it.

    Parameters
    ----------
    cut : Cells
        The feature in cells.
    values : ndarray or Coded, shape (n_rows,)
        The feature.
    y : ndarray of shape (n_rows,)
        The target, all finite.
    neighbours : bool, default=True
        Whether the neighbours' targets may tell. For a time they would tell how smooth the target is, not what the
        time knows of it.
    """
    n_cells = int(cut.cell.max()) + 1
    flat = cut.cell * _N_FOLDS + cut.fold
    shape = (n_cells, _N_FOLDS)
    size = np.bincount(flat, minlength=n_cells * _N_FOLDS).reshape(shape)
    total = np.bincount(flat, weights=y, minlength=n_cells * _N_FOLDS).reshape(shape)
    others = size.sum(axis=1, keepdims=True) - size
    sums = total.sum(axis=1, keepdims=True) - total
    means = np.where(others > 0, sums / np.maximum(others, 1), y.mean())
    best = trimmed_r2(y, means.ravel()[flat])
    if neighbours and cut.fine and not isinstance(values, Coded):
        best = max(best, trimmed_r2(y, _between_neighbours(values, y)))
    return best


def line_r2(values: Floats | Coded, y: Floats) -> float:
    """Return the squared correlation of a number with the target where both are there, 0 where it has no meaning."""
    if isinstance(values, Coded):
        return 0.0
    known = ~np.isnan(values)
    if known.sum() < max(3, 0.5 * len(y)):
        return 0.0
    x, z = values[known], y[known]
    x, z = _standard(x), _standard(z)
    if x is None or z is None:
        return 0.0
    slope = float(x @ z) / len(x)
    fitted = slope * x
    return trimmed_r2(z, fitted)


def _standard(values: Floats) -> Floats | None:
    top = float(np.abs(values).max())
    if top == 0 or not np.isfinite(top):
        return None
    centred = values / top - (values / top).mean()
    spread = float(centred.std())
    return None if spread < 1e-12 else centred / spread


def trimmed_r2(y: Floats, predicted: Floats) -> float:
    """Return the lesser R2 of two: over all rows, and without the 1 % of extreme targets."""
    low, high = np.quantile(y, [_TRIM, 1 - _TRIM])
    inner = (y >= low) & (y <= high)
    worst = 1.0
    for rows in (slice(None), inner):
        truth = y[rows]
        spread = float(((truth - truth.mean()) ** 2).sum())
        if spread > 0:
            worst = min(worst, 1.0 - float(((truth - predicted[rows]) ** 2).sum()) / spread)
    return worst


def _between_neighbours(values: Floats, y: Floats) -> Floats:
    """Predict each distinct value's rows from the mean targets of the next lower and the next higher value."""
    distinct, place, size = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=y) / size
    known = len(distinct) - int(np.isnan(distinct[-1]))
    x, z = distinct[:known], means[:known]
    predicted = np.full(len(distinct), y.mean())
    # The ends have one neighbour each and take its mean.
    predicted[0], predicted[known - 1] = z[1], z[-2]
    half = 0.5 * x  # so that the widest span of two doubles is still one
    along = (half[1:-1] - half[:-2]) / np.maximum(half[2:] - half[:-2], np.finfo(np.float64).tiny)
    predicted[1 : known - 1] = z[:-2] + along * (z[2:] - z[:-2])
    return predicted[place]


def _auc(score: Floats, positive: Floats, size: Floats) -> float:
    """Return the AUC of rows in lots: each lot has a score, a size and so many positive rows."""
    levels, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place, weights=positive, minlength=len(levels))
    negatives = np.bincount(place, weights=size - positive, minlength=len(levels))
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float((positives * (below + 0.5 * negatives)).sum() / pairs) if pairs else 0.5


def value_auc(values: Floats, positive: np.ndarray) -> float:
    """Return the AUC of the value itself, whichever way it goes, over the rows that have one.

    Rows without a value count as wrong by half, as a coin would place them.
    """
    known = ~np.isnan(values)
    auc = _auc(values[known], positive[known].astype(np.float64), np.ones(int(known.sum())))
    part = float(known.mean())
    return part * max(auc, 1 - auc) + (1 - part) * 0.5
