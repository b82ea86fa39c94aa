"""Slice tests: is the loss of some rows higher than chance would have it? Knows numbers, no columns and no model.

The chance is that of drawing the rows of a slice out of all rows (or, by stratum, out of those of like prediction)
without looking at their loss. The first three moments of such a sum are exact; the tail is that of the gamma
distribution with these moments, which follows a skewed loss where a normal tail would promise too much.

References
----------
K. J. Berry, P. W. Mielke, J. E. Johnston, "Permutation Statistical Methods" (2016), chapter 4: moment approximations by
Pearson's type III distribution. A. C. Cameron, D. L. Miller, "A Practitioner's Guide to Cluster-Robust Inference",
Journal of Human Resources 50 (2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints

__all__ = ["Population", "strata"]


@dataclass(frozen=True, slots=True)
class Population:
    """Losses that a slice is drawn from, within strata.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Weighted losses less the mean of their stratum.
    stratum : ndarray of int64, shape (n_rows,)
        Which rows may stand for each other.
    """

    values: Floats
    stratum: Ints

    @classmethod
    def of(cls, losses: Floats, weights: Floats, stratum: Ints) -> Population:
        """Return the population of `losses`, all of shape (n_rows,)."""
        total = np.bincount(stratum, weights)
        mean = np.bincount(stratum, weights * losses) / np.where(total > 0, total, 1.0)
        return cls(weights * (losses - mean[stratum]), stratum)

    def take(self, rows: np.ndarray) -> Population:
        """Return the population of some rows, centred again."""
        values, stratum = self.values[rows], np.unique(self.stratum[rows], return_inverse=True)[1]
        return Population(values - (np.bincount(stratum, values) / np.bincount(stratum))[stratum], stratum)

    def tail(self, sums: Floats, counts: Ints) -> tuple[Floats, Floats]:
        """Return how many standard deviations each slice's sum lies above chance, and the chance of more.

        Parameters
        ----------
        sums : ndarray of shape (n_slices,)
            Of `values` over the rows of a slice.
        counts : ndarray of int64, shape (n_slices, n_strata)
            Rows of each slice in each stratum.
        """
        from scipy.special import gammaincc, ndtr  # heavy

        n = np.bincount(self.stratum).astype(np.float64)
        second = np.bincount(self.stratum, self.values**2) / n
        third = np.bincount(self.stratum, self.values**3) / n
        k = counts.astype(np.float64)
        both = k * (n - k)
        variance = (both / np.maximum(n - 1, 1) * second).sum(axis=1)
        skewed = (both * (n - 2 * k) / np.maximum((n - 1) * (n - 2), 1) * third).sum(axis=1)
        varies = variance > 1e-12 * max(float(second.max()), 1e-300)
        spread = np.sqrt(np.where(varies, variance, 1.0))
        z = np.where(varies, sums / spread, 0.0)
        skew = np.maximum(skewed / spread**3, 1e-3)  # a left skew has a lighter tail than the normal one
        chance = np.where(
            skew > 2e-3,
            gammaincc(4 / skew**2, np.maximum(z + 2 / skew, 0.0) * 2 / skew),
            ndtr(-z),
        )
        return z, chance

    def clustered_tail(self, inside: np.ndarray, clusters: Ints) -> float:
        """Return the chance of more where rows of one cluster are not independent: a t-test on cluster sums.

        Parameters
        ----------
        inside : ndarray of bool, shape (n_rows,)
            The slice.
        clusters : ndarray of int64, shape (n_rows,)
            Codes from 0 on.
        """
        from scipy.special import stdtr  # heavy

        share = np.bincount(self.stratum, inside) / np.bincount(self.stratum)
        influence = np.bincount(clusters, self.values * (inside - share[self.stratum]))
        n_clusters, within = np.count_nonzero(np.bincount(clusters)), len(np.unique(clusters[inside]))
        if within < 2 or n_clusters < 3:
            return 1.0
        spread = math.sqrt(n_clusters / (n_clusters - 1) * float(influence @ influence))
        return float(stdtr(within - 1, -influence.sum() / spread)) if spread > 0 else 1.0


def strata(score: Floats, most: int = 20, rows: int = 50) -> Ints:
    """Return the stratum of each row by its prediction: cut at quantiles, and at even steps of the score.

    Rows of one stratum must be alike: quantiles alone would put the few rows with high scores together with others.

    Parameters
    ----------
    score : ndarray of shape (n_rows,)
        Predictions.
    most, rows : int
        Cut at so many quantiles and steps at most, and into so many parts of `rows` rows on average.

    Examples
    --------
    >>> np.bincount(strata(np.append(np.arange(99.0), 990.0))).tolist()
    [50, 49, 1]
    """
    n_bins = max(1, min(most, len(score) // rows))
    if n_bins == 1:
        return np.zeros(len(score), np.int64)
    shares = np.linspace(0, 1, n_bins + 1)[1:-1]
    even = score.min() + shares * np.ptp(score)
    borders = np.unique(np.concatenate([np.quantile(score, shares), even]))
    return np.unique(np.searchsorted(borders, score, side="left"), return_inverse=True)[1].astype(np.int64)
