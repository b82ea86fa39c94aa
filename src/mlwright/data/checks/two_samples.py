"""Two samples: how far a column's values differ between two parts of the rows, and the chance of as much. Knows no findings.

A number is compared by Kolmogorov and Smirnov's test, a category by the chi-square, and whether a value is missing by itself.
Rows of one group are alike and count less than their number: tests take the rows through the design effect.

References
----------
J. N. K. Rao, A. J. Scott, "On chi-squared tests for multiway contingency tables with cell proportions estimated from
survey data", Annals of Statistics 12 (1984).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats
from mlwright.data.checks.wording import share
from mlwright.data.values import Coded, Columns

__all__ = ["Shift", "joined", "shifts"]

_FEWEST_ROWS = 25  # with a value, of each part
_MOST_LEVELS = 50
_FEWEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the values of a column differ between training and test rows.

    Parameters
    ----------
    size : float
        From 0 to 1: a number's largest difference in the share of rows below a value (Kolmogorov and Smirnov's D), a
        category's share of rows that would have to change (total variation), or the difference in the share of gaps.
    chance : float
        The chance of as much where there is no difference.
    said : str
        The difference in words.
    """

    size: float
    chance: float
    said: str


def shifts(
    train: Columns,
    test: Columns,
    groups: NDArray[np.int64] | None = None,
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Shift]:
    """Return how far each column of `train` differs in `test`.

    Parameters
    ----------
    train, test : Columns
        Of n_train and n_test rows; the same names.
    groups : ndarray of int64, shape (n_train + n_test,), optional
        Codes of the rows that belong together, those of `train` first.
    hidden : frozenset of str
        Columns whose values may not be repeated.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> found = shifts({"x": draw.normal(size=500)}, {"x": draw.normal(1.0, size=500)})
    >>> round(found["x"].size, 2)
    0.4
    """
    return {
        name: _shift(values, test[name], groups, show=name not in hidden) for name, values in train.items()
    }


def _shift(
    train: Floats | Coded, test: Floats | Coded, groups: NDArray[np.int64] | None, *, show: bool
) -> Shift:
    both = joined(train, test)
    if isinstance(both, Coded):
        n_train = len(train.codes) if isinstance(train, Coded) else 0
        gaps = both.codes < 0
        own = _levels(both, n_train, groups, show=show)
    else:
        n_train = len(train)
        gaps = np.isnan(both)
        own = _numbers(both[:n_train], both[n_train:], groups, show=show)
    missing = _gaps(gaps[:n_train], gaps[n_train:], groups)
    looks = [look for look in (own, missing) if look is not None]
    if not looks:
        return Shift(0.0, 1.0, "")
    best = min(looks, key=lambda look: (look.chance, -look.size))
    return Shift(best.size, min(1.0, best.chance * len(looks)), best.said)


def _numbers(train: Floats, test: Floats, groups: NDArray[np.int64] | None, *, show: bool) -> Shift | None:
    from scipy.special import kolmogorov  # heavy

    sides = [part[~np.isnan(part)] for part in (train, test)]
    if min(map(len, sides)) < _FEWEST_ROWS:
        return None
    a, b = (np.sort(part) for part in sides)
    every = np.unique(np.concatenate([a, b]))
    below = [np.searchsorted(part, every, side="right") / len(part) for part in (a, b)]
    gap = np.abs(below[0] - below[1])
    at = int(gap.argmax())
    known = ~np.isnan(np.concatenate([train, test]))
    ranks = np.searchsorted(every, np.concatenate([train, test])[known]).astype(np.float64)
    n_a, n_b = (
        size / effect
        for size, effect in zip(map(len, (a, b)), _effects(ranks, known, len(train), groups), strict=True)
    )
    chance = float(kolmogorov(math.sqrt(n_a * n_b / (n_a + n_b)) * float(gap[at])))
    border = f"{every[at]:.4g}" if show else "a value"
    said = f"{share(float(below[1][at]))} of the test rows are at most {border}, {share(float(below[0][at]))} of the training rows"
    return Shift(float(gap[at]), chance, said)


def _levels(both: Coded, n_train: int, groups: NDArray[np.int64] | None, *, show: bool) -> Shift | None:
    from scipy.special import chdtrc  # heavy

    levels, n_levels, known = both.levels, len(both.levels), both.codes >= 0
    parts = both.codes[:n_train], both.codes[n_train:]
    counts = np.stack([np.bincount(part[part >= 0], minlength=n_levels) for part in parts]).astype(np.float64)
    sizes = counts.sum(axis=1)
    if sizes.min() < _FEWEST_ROWS:
        return None
    expected = counts.sum(axis=0) * sizes.min() / sizes.sum()
    own = np.flatnonzero(expected >= _FEWEST_EXPECTED)
    own = own[np.argsort(-expected[own], kind="stable")][:_MOST_LEVELS]
    rest = np.setdiff1d(np.arange(n_levels), own)
    cells = np.column_stack([counts[:, own], counts[:, rest].sum(axis=1)])
    cells = cells[:, cells.sum(axis=0) > 0]
    if cells.shape[1] < 2:
        return None
    shares = cells / sizes[:, None]
    overall = cells.sum(axis=0) / sizes.sum()
    place = np.full(n_levels, len(own))
    place[own] = np.arange(len(own))
    number = place[both.codes[known]]
    effects = (1.0, 1.0)
    if groups is not None:  # the mean over levels, weighted by how much each varies
        weights = overall * (1 - overall)
        each = [
            _effects((number == i).astype(np.float64), known, n_train, groups) for i in range(len(overall))
        ]
        effects = tuple(float(np.average([e[part] for e in each], weights=weights)) for part in (0, 1))
    n_a, n_b = sizes[0] / effects[0], sizes[1] / effects[1]
    statistic = float(((shares[0] - shares[1]) ** 2 / overall).sum()) * n_a * n_b / (n_a + n_b)
    chance = float(chdtrc(len(overall) - 1, statistic))
    size = float(np.abs(shares[0] - shares[1]).sum() / 2)
    top = int(np.abs(shares[0] - shares[1]).argmax())
    name = "other values" if top >= len(own) else f"'{levels[int(own[top])][:60]}'" if show else "one value"
    said = f"{share(float(shares[1][top]))} of the test rows have {name}, {share(float(shares[0][top]))} of the training rows"
    return Shift(size, chance, said)


def _gaps(
    train: NDArray[np.bool_], test: NDArray[np.bool_], groups: NDArray[np.int64] | None
) -> Shift | None:
    from scipy.special import ndtr  # heavy

    shares = float(train.mean()), float(test.mean())
    both = np.concatenate([train, test]).astype(np.float64)
    if not 0 < both.mean() < 1:
        return None
    every = np.ones(len(both), bool)
    n_a, n_b = (
        size / effect
        for size, effect in zip(
            (len(train), len(test)), _effects(both, every, len(train), groups), strict=True
        )
    )
    overall = float(both.mean())
    error = math.sqrt(overall * (1 - overall) * (1 / n_a + 1 / n_b))
    difference = abs(shares[0] - shares[1])
    said = f"{share(shares[1])} of the test rows have no value, {share(shares[0])} of the training rows"
    return Shift(difference, float(2 * ndtr(-difference / error)), said)


def _effects(
    values: Floats, known: NDArray[np.bool_], n_train: int, groups: NDArray[np.int64] | None
) -> tuple[float, float]:
    """Return the design effects of training and test rows: how many rows of a group count as one.

    Parameters
    ----------
    values : ndarray of shape (n_known,)
        What is compared, of the rows that have it.
    known : ndarray of bool, shape (n_rows,)
        Which these are.
    """
    if groups is None:
        return 1.0, 1.0
    codes = np.unique(groups[known], return_inverse=True)[1].ravel()
    size = np.bincount(codes).astype(np.float64)
    n_rows, n_groups = len(values), len(size)
    if n_groups < 2 or n_groups == n_rows or not np.ptp(values) > 0:
        return 1.0, 1.0
    means = np.bincount(codes, values) / size
    between = float(size @ (means - values.mean()) ** 2) / (n_groups - 1)
    within = float(((values - means[codes]) ** 2).sum()) / (n_rows - n_groups)
    typical = (n_rows - float((size**2).sum()) / n_rows) / (n_groups - 1)
    alike = (
        min(1.0, max(0.0, (between - within) / (between + (typical - 1) * within))) if between > 0 else 0.0
    )
    tested = known[:n_train].sum()
    found = []
    for part in (codes[:tested], codes[tested:]):
        own = np.bincount(part).astype(np.float64)
        found.append(1.0 + (float((own**2).sum()) / max(1.0, float(own.sum())) - 1.0) * alike)
    return found[0], found[1]


def joined(one: Floats | Coded, other: Floats | Coded) -> Floats | Coded:
    """Return the rows of `one` and then of `other`, levels numbered alike."""
    if isinstance(one, Coded) and isinstance(other, Coded):
        levels = list(dict.fromkeys([*one.levels, *other.levels]))
        number = {level: code for code, level in enumerate(levels)}
        parts = [
            np.array([*(number[level] for level in part.levels), -1])[part.codes] for part in (one, other)
        ]
        return Coded(np.concatenate(parts).astype(np.int32), levels)
    assert not isinstance(one, Coded) and not isinstance(other, Coded)  # noqa: PT018, S101 - one schema reads both
    return np.concatenate([one, other])
