"""Means: averages and shares of some rows, weighted and in clusters, with their intervals. Knows numbers only.

References
----------
B. L. Welch, "The Generalization of Student's Problem when Several Different Population Variances are Involved",
Biometrika 34 (1947). R. G. Newcombe, "Interval Estimation for the Difference between Independent Proportions",
Statistics in Medicine 17 (1998). A. Donner, G. Zou, "Closed-form Confidence Intervals for Functions of the Normal Mean and
Standard Deviation", Statistical Methods in Medical Research 21 (2012): ratios from the limits of both parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.evaluate.figures import LEVEL, wilson
from mlwright.metrics.intervals import Interval

__all__ = ["Rate", "mean_difference", "mean_of", "rate", "rate_difference", "rate_ratio"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of rows, and of how many independent rows of like weight it is as sure as."""

    value: float
    n_effective: float

    def interval(self, level: float = LEVEL) -> Interval:
        """Return Wilson's interval."""
        if not self.n_effective > 0:
            return Interval(math.nan, math.nan, math.nan, level)
        low, high = wilson(self.value * self.n_effective, self.n_effective, level=level)
        return Interval(self.value, min(low, self.value), max(high, self.value), level)


def rate(hits: np.ndarray, weights: Floats, clusters: Ints | None = None) -> Rate:
    """Return the weighted share of True in `hits`, all of shape (n_rows,).

    Examples
    --------
    >>> rate(np.array([True, False, False, False]), np.ones(4))
    Rate(value=0.25, n_effective=4.0)
    """
    total = float(weights.sum())
    if not total > 0:
        return Rate(math.nan, 0.0)
    value = float(weights @ hits / total)
    of_unit = weights if clusters is None else np.bincount(clusters, weights)
    kish = total**2 / float(of_unit @ of_unit)
    if not 0 < value < 1:  # no spread to see: as if the rows of a cluster were one
        return Rate(value, kish)
    if clusters is None and np.ptp(weights) == 0:
        return Rate(value, float(len(hits)))
    off = weights * (hits - value)
    sums = off if clusters is None else np.bincount(clusters, off)
    units = np.count_nonzero(of_unit)
    if units < 2:
        return Rate(value, 1.0)
    variance = float(sums @ sums) / total**2 * units / (units - 1)
    return Rate(value, min(float(len(hits)), value * (1 - value) / variance))


def rate_difference(one: Rate, other: Rate, level: float = LEVEL) -> Interval:
    """Return the first share minus the second, with Newcombe's interval.

    Examples
    --------
    >>> found = rate_difference(Rate(56 / 70, 70), Rate(48 / 80, 80))  # Newcombe's example
    >>> round(found.low, 4), round(found.high, 4)
    (0.0524, 0.3339)
    """
    a, b = one.interval(level), other.interval(level)
    gap = a.estimate - b.estimate
    return Interval(
        gap,
        gap - math.hypot(a.estimate - a.low, b.high - b.estimate),
        gap + math.hypot(a.high - a.estimate, b.estimate - b.low),
        level,
    )


def rate_ratio(one: Rate, other: Rate, level: float = LEVEL) -> Interval:
    """Return the first share over the second, its interval from those of both; NaN where nothing is known of an end.

    Examples
    --------
    >>> found = rate_ratio(Rate(0.2, 500), Rate(0.4, 500))
    >>> 0.4 < found.low < 0.45, 0.58 < found.high < 0.62
    (True, True)
    """
    a, b = one.interval(level), other.interval(level)
    if not (b.estimate > 0 and b.low > 0):
        return Interval(math.nan, math.nan, math.nan, level)
    both = (a.estimate * b.estimate) ** 2

    def end(top: float, bottom: float, sign: float) -> float:
        below = bottom * (2 * b.estimate - bottom)
        if below <= 0:
            return 0.0 if sign < 0 else math.nan
        inner = max(both - top * (2 * a.estimate - top) * below, 0.0)
        return (a.estimate * b.estimate + sign * math.sqrt(inner)) / below

    return Interval(
        a.estimate / b.estimate, max(0.0, end(a.low, b.high, -1.0)), end(a.high, b.low, 1.0), level
    )


@dataclass(frozen=True, slots=True)
class _Mean:
    """A weighted mean, its variance, and the degrees of freedom of that."""

    value: float
    variance: float
    freedom: int


def _mean(values: Floats, weights: Floats, clusters: Ints | None) -> _Mean:
    total = float(weights.sum())
    if not total > 0:
        return _Mean(math.nan, math.nan, 0)
    mean = float(weights @ values / total)
    off = weights * (values - mean) / total
    sums = off if clusters is None else np.bincount(clusters, off)
    units = len(values) if clusters is None else len(np.unique(clusters))
    return _Mean(mean, float(sums @ sums) * units / max(units - 1, 1), units - 1)


def _reached(estimate: float, variance: float, freedom: float, level: float) -> Interval:
    from scipy.special import stdtrit  # heavy

    if not (freedom >= 1 and math.isfinite(variance)):
        return Interval(estimate, math.nan, math.nan, level)
    reach = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(estimate, estimate - reach, estimate + reach, level)


def mean_of(values: Floats, weights: Floats, clusters: Ints | None = None, level: float = LEVEL) -> Interval:
    """Return the weighted mean with its t-interval; rows of one cluster are not independent.

    Examples
    --------
    >>> found = mean_of(np.array([1.0, 2.0, 3.0]), np.ones(3))
    >>> found.estimate, round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    found = _mean(values, weights, clusters)
    return _reached(found.value, found.variance, found.freedom, level)


def mean_difference(
    values: Floats,
    inside: np.ndarray,
    *,
    weights: Floats,
    clusters: Ints | None = None,
    level: float = LEVEL,
) -> Interval:
    """Return how much greater the mean inside is than outside, with Welch's interval, or that of clusters.

    Parameters
    ----------
    values, weights : ndarray of shape (n_rows,)
        What is averaged, and how much each row counts.
    inside : ndarray of bool, shape (n_rows,)
        The rows that are compared with all others.
    clusters : ndarray of int64, shape (n_rows,), optional
        Rows of one code are not independent, and may lie on both sides.
    level : float, default=0.95
        The interval's coverage.

    Examples
    --------
    >>> found = mean_difference(np.array([1.0, 3, 2, 0]), np.array([1, 1, 0, 0], bool), weights=np.ones(4))
    >>> found.estimate, round(found.low, 2), round(found.high, 2)
    (1.0, -5.08, 7.08)
    """
    here, there = (
        _mean(values[rows], weights[rows], None if clusters is None else clusters[rows])
        for rows in (inside, ~inside)
    )
    estimate, least = here.value - there.value, min(here.freedom, there.freedom)
    if least < 1:
        return Interval(estimate, math.nan, math.nan, level)
    variance = here.variance + there.variance
    if clusters is None:
        below = here.variance**2 / here.freedom + there.variance**2 / there.freedom
        return _reached(estimate, variance, variance**2 / below if below > 0 else least, level)
    share = np.where(inside, weights / weights[inside].sum(), -weights / weights[~inside].sum())
    sums = np.bincount(clusters, share * (values - np.where(inside, here.value, there.value)))
    units = len(np.unique(clusters))
    return _reached(estimate, float(sums @ sums) * units / (units - 1), least, level)
