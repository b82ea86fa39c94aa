"""Unlikely values: rows whose number is so far from its prediction out of fold that the tail of the others forbids it.

Distances are measured in the spread of rows with like predictions. How fast their tail falls is read off the quantiles
from 80 to 95 % (Pickands), which some gross errors do not move, and continued as a generalised Pareto distribution; the
heavier end of the tail index's range is taken. A row is beyond belief if, so continued, a table like this one would hold any
such row less than once in a hundred times.

References
----------
J. Pickands, "Statistical Inference Using Extreme Order Statistics", Annals of Statistics 3 (1975).
"""

from __future__ import annotations

import math

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.evaluate.label_noise import LabelNoise, Suspect

__all__ = ["unlikely_values"]

_FEWEST_ROWS = 200
_EXPECTED = 0.01  # of such rows in the table
_BEYOND = 0.2  # the tail begins where this share of the rows lies beyond
_Z = 1.645
_MOST_BINS, _ROWS_A_BIN = 20, 100
_MOST_SUSPECTS = 20


def unlikely_values(
    target: str, y: Floats, predicted: Floats, numbers: Ints, *, hidden: bool = False
) -> LabelNoise | None:
    """Return the rows whose value is beyond belief.

    Parameters
    ----------
    target : str
        What is predicted.
    y, predicted : ndarray of shape (n_rows,)
        The truth and its prediction out of fold.
    numbers : ndarray of int64, shape (n_rows,)
        What each row is called.
    hidden : bool, default=False
        Whether values are personal and may not be repeated.

    Returns
    -------
    LabelNoise or None
        None of fewer than 200 rows, or where more than half of the distances are 0.
    """
    if len(y) < _FEWEST_ROWS:
        return None
    distance = _distances(y - predicted, predicted)
    if distance is None:
        return None
    expected = len(y) * _beyond(distance)
    found = np.flatnonzero(expected < _EXPECTED)
    order = found[np.argsort(-distance[found], kind="stable")]

    def suspect(row: int) -> Suspect:
        given, likely = (None, None) if hidden else (float(y[row]), float(predicted[row]))
        return Suspect(int(numbers[row]), given, likely, float(expected[row]))

    suspects = tuple(suspect(int(row)) for row in order[:_MOST_SUSPECTS])
    return LabelNoise(target, len(y), bool(len(found)), len(found), suspects)


def _distances(residual: Floats, predicted: Floats) -> Floats | None:
    """Return how far each row is from the middle of rows with like predictions, in units of their spread."""
    n_bins = max(1, min(_MOST_BINS, len(residual) // _ROWS_A_BIN))
    borders = np.unique(np.quantile(predicted, np.arange(1, n_bins) / n_bins))
    place = np.searchsorted(borders, predicted)
    whole = float(np.median(np.abs(residual - np.median(residual))))
    if not whole > 0:
        return None
    distance = np.zeros(len(residual))
    for code in np.unique(place):
        rows = np.flatnonzero(place == code)
        off = np.abs(residual[rows] - np.median(residual[rows]))
        distance[rows] = off / max(float(np.median(off)), 0.1 * whole)
    return distance


def _beyond(distance: Floats) -> Floats:
    """Return the share of rows that would lie as far out or farther by the tail of the distances."""
    first, second, third = np.quantile(distance, [1 - _BEYOND, 1 - _BEYOND / 2, 1 - _BEYOND / 4])
    below, above = float(second - first), float(third - second)
    if not (below > 0 and above > 0):
        return np.ones(len(distance))
    index = math.log2(above / below)
    rows = len(distance) * _BEYOND / 4
    rise = 2.0**index - 1.0
    error = (
        abs(index) * math.sqrt(2.0 ** (2 * index + 1) + 1) / (2 * abs(rise) * math.log(2))
        if abs(index) > 1e-6
        else (math.sqrt(3.0) / (2 * math.log(2) ** 2))
    )
    heavy = max(index + _Z * error / math.sqrt(rows), 0.05)
    scale = below * heavy / (2.0**heavy - 1.0) * 4.0**heavy  # at the third quantile
    farther = np.maximum(distance - third, 0.0)
    return _BEYOND / 4 * (1 + heavy * farther / scale) ** (-1 / heavy)
