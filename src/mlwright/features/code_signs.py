"""Code signs: whether whole numbers of few values act as codes or as numbers, by what the target says of them.

The mean target by value tells. If it rises, falls or bends once with the value, or is near the values beside it, the
order says something, and the column is a number: a count, an age, a grade. If neither is so, a learner had better split
the values into any two groups than at a border.
"""

from __future__ import annotations

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.features.folds import classes_of

__all__ = ["are_codes"]

_FEWEST_LEVELS = 4  # a parabola goes through any three means
_ROWS_A_LEVEL = 20
_SAMPLE = 20_000  # rows that are looked at; from so many on more would only find smaller deviations
_GLANCE = 1_000
_CLASSES = 10
_LIKELY = 1e-3  # chance of calling a number a code because of noise
_MISSED = 0.1  # of what the means tell, the share that no ordered form gives
_ROUGH = (
    1.0  # of the means' variance, what the values beside leave open: 1.5 in any order, 0 where it is smooth
)


def are_codes(values: Floats, y: Floats, *, n_classes: int, most_levels: int = 50) -> bool:
    """Return whether the numbers of a column act as codes.

    They do if they are whole, have 4 to `most_levels` different values, each with 20 rows on average, and the mean
    target by value

    - departs from the best of a parabola over the values, one over their ranks, and a monotone course by more than
      chance would (an F-test of lack of fit, at 0.001), and by more than a tenth of what the means tell at all;
    - is further from the line between its neighbours than from the mean of all; values in any order are so 1.5-fold.

    For classes the same is asked of the shares of up to ten classes together. At most 20,000 rows are looked at, evenly
    over the table; a column that is none by its values costs a glance.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        NaN is missing, and not looked at.
    y : ndarray of shape (n_rows,)
        The target; class codes for classes.
    n_classes : int
        0 for regression.
    most_levels : int, default=50
        More different values than that are numbers.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> values = random.integers(1, 9, 1000).astype(float)
    >>> by_code = np.array([0, 5, 1, 4, 0, 5, 2, 6, 0])[values.astype(int)]
    >>> noise = random.normal(size=1000)
    >>> are_codes(values, by_code + noise, n_classes=0), are_codes(values, np.log(values) + noise, n_classes=0)
    (True, False)
    """
    step = max(1, -(-len(values) // _SAMPLE))
    values, y = values[::step], y[::step]
    if not _are_few(values[:_GLANCE], most_levels):
        return False
    kept = ~np.isnan(values)
    values, y = values[kept], y[kept]
    if not _are_few(values, most_levels):
        return False
    levels, places = np.unique(values, return_inverse=True)
    if len(levels) < _FEWEST_LEVELS or len(values) < _ROWS_A_LEVEL * len(levels):
        return False
    return _says_target(levels, places, _targets(y, n_classes))


def _are_few(values: Floats, most_levels: int) -> bool:
    present = values[~np.isnan(values)]
    whole = bool(np.all(np.abs(present) < 2.0**53)) and bool(np.all(present == np.floor(present)))
    return whole and len(np.unique(present)) <= most_levels


def _targets(y: Floats, n_classes: int) -> Floats:
    """Return what means are taken of, centred: the target, or one column of 0 and 1 a class."""
    if not n_classes:
        return (y - y.mean()).reshape(-1, 1)
    shown = np.column_stack([y == c for c in classes_of(y, n_classes, _CLASSES)]).astype(np.float64)
    return shown - shown.mean(axis=0)


def _says_target(levels: Floats, places: Ints, targets: Floats) -> bool:
    from scipy.special import fdtrc

    n_levels = len(levels)
    counts = np.bincount(places, minlength=n_levels).astype(np.float64)
    sums = [np.bincount(places, weights=target, minlength=n_levels) for target in targets.T]
    means = np.column_stack(sums) / counts[:, None]
    between = counts @ means**2
    noise = np.maximum(0.0, (targets**2).sum(axis=0) - between) / (len(targets) - n_levels)
    told = float(np.maximum(0.0, between - (n_levels - 1) * noise).sum())
    ordered = [
        _beside_parabola(levels, means, counts),
        _beside_parabola(np.arange(float(n_levels)), means, counts),
        np.array([_beside_monotone(each, counts) for each in means.T]),
        np.array([_beside_monotone(-each, counts) for each in means.T]),
    ]
    lacking = float(np.min(ordered, axis=0).sum())
    missed_near, told_near = _beside_neighbours(levels, means, counts, noise)
    free, all_noise = n_levels - 3, float(noise.sum())
    if not told > 0 or lacking - free * all_noise <= _MISSED * told or missed_near <= _ROUGH * told_near:
        return False
    if all_noise == 0:
        return True
    return float(fdtrc(free, len(targets) - n_levels, lacking / free / all_noise)) < _LIKELY


def _beside_parabola(x: Floats, means: Floats, counts: Floats) -> Floats:
    """Return the weighted squares that a least-squares parabola leaves, shape (n_targets,)."""
    x = (x - x.mean()) / x.std()
    root = np.sqrt(counts)[:, None]
    basis = np.linalg.qr(np.column_stack([np.ones_like(x), x, x * x]) * root)[0]
    left = means * root
    left = left - basis @ (basis.T @ left)
    return (left**2).sum(axis=0)


def _beside_monotone(means: Floats, counts: Floats) -> float:
    """Return the weighted squares that the best rising course leaves: neighbours that fall are pooled."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, values
    for mean, count in zip(means.tolist(), counts.tolist(), strict=True):
        pool = (mean, count, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            weight = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / weight, weight, before[2] + pool[2])
        pools.append(pool)
    course = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    return float(counts @ (means - course) ** 2)


def _beside_neighbours(levels: Floats, means: Floats, counts: Floats, noise: Floats) -> tuple[float, float]:
    """Return the weighted squares of the distance from the line between both neighbours, and those of the means.

    Both are sums over the targets, and without what noise alone gives.
    """
    share = (levels[2:] - levels[1:-1]) / (levels[2:] - levels[:-2])  # of the lower neighbour
    other = 1.0 - share
    inner = means[1:-1]
    distance = inner - share[:, None] * means[:-2] - other[:, None] * means[2:]
    weight = 1.0 / (1.0 / counts[1:-1] + share**2 / counts[:-2] + other**2 / counts[2:])
    missed = (weight @ distance**2).sum() - len(inner) * noise.sum()
    told = (weight @ inner**2).sum() - (weight @ (1.0 / counts[1:-1])) * noise.sum()
    return float(missed), float(told)
