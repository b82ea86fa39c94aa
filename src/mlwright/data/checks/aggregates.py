"""Aggregates of the target that include the row's own: means by a category, running totals, moving means.

Such a column is exact by arithmetic and not by likeness, so it is asked for the identity itself: the mean of the target
over the rows that share a value is that value; what a category's mean without a row lacks is the row's target; the step
from one row to the next is the target that came in less the one that went out. What was computed from other rows, or
from earlier ones alone, does not keep the identity.

References
----------
Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and prediction
problems", SIGKDD Explorations 3(1), 2001: the mean with a weight for all rows' mean, looked for in `_by_category`.
"""

from __future__ import annotations

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.suspicion import Suspicion
from mlwright.data.values import Coded, Columns

__all__ = ["aggregates"]

_MOST_CELLS = 20_000_000
_MOST_CATEGORIES, _MOST_NUMBERS = 20, 60
_FEWEST_LEVELS, _FEWEST_VALUES = 3, 5
_FEWEST_ROWS = 50
_IN_ORDER = 4_000  # rows in which steps are looked at
_LONGEST_WINDOW, _FARTHEST_AHEAD = 60, 7
_EXACT, _NEARLY = 1e-9, 1e-7  # of the variance
_FEWEST_STEPS = 40
_LARGEST = 1e100
_LEVELS_TRIED, _ROWS_TRIED, _STEPS_TRIED, _TRIED = 5, 200, 200, 1e-6

_ADVICE = "Compute it from earlier rows or other folds, without the row's own target, or leave '{}' out."


def aggregates(columns: Columns, y: Floats, order: Ints | None = None) -> list[Suspicion]:
    """Return the numbers that were computed from the target of their own row.

    Parameters
    ----------
    columns : Columns
        Canonical features of all n_rows: a mean is exact over the rows that it was made of alone.
    y : ndarray of shape (n_rows,)
        Finite.
    order : ndarray of int64, shape (n_rows,), optional
        Row numbers in the order of time; by default as they stand.
    """
    n_rows, size = len(y), float(np.abs(y).max(initial=0.0))
    if (
        n_rows < _FEWEST_ROWS
        or not 1 / _LARGEST < size < _LARGEST
        or y.min() == y.max()
        or n_rows * len(columns) > _MOST_CELLS
    ):
        return []
    numbers = {
        name: values
        for name, values in columns.items()
        if not isinstance(values, Coded) and not np.isnan(values).any() and _is_amount(values)
    }
    numbers = dict(list(numbers.items())[:_MOST_NUMBERS])
    if not numbers:
        return []
    found: dict[str, Suspicion] = {}
    for name, values in numbers.items():
        what = _of_its_rows(values, y)
        if what:
            found[name] = _suspicion((name,), what.format(name))
    for by, level in _categories(columns, n_rows):
        some = _of_one_level(level, y)
        for name, values in numbers.items():
            if name not in found and name != by and _may_be_mean(values[some], y[some]):
                what = _by_category(values, y, level)
                if what:
                    found[name] = _suspicion((name, by), what.format(name, by))
    rows = (np.arange(n_rows) if order is None else order)[:_IN_ORDER]
    windows = _Windows(y[rows])
    for name, values in numbers.items():
        what = "" if name in found else _in_order(values[rows], y[rows], windows)
        if what:
            found[name] = _suspicion((name,), what.format(name))
    return list(found.values())


def _suspicion(columns: tuple[str, ...], what: str) -> Suspicion:
    return Suspicion(columns, 1.0, stops=True, what=what, advice=_ADVICE.format(columns[0]))


def _is_amount(values: Floats) -> bool:
    """Whether the values are an amount that may be a mean or a total."""
    some = values[:_IN_ORDER]
    return float(np.abs(values).max()) < _LARGEST and len(np.unique(some)) >= _FEWEST_VALUES


def _categories(columns: Columns, n_rows: int) -> list[tuple[str, Ints]]:
    """Return the columns by which a mean may have been taken, each with the level of a row."""
    found: list[tuple[str, Ints]] = []
    for name, values in columns.items():
        raw = values.codes if isinstance(values, Coded) else values
        if not isinstance(values, Coded) and (np.isnan(raw).any() or (raw != np.floor(raw)).any()):
            continue
        level = np.unique(raw, return_inverse=True)[1].astype(np.int64)
        if _FEWEST_LEVELS <= int(level.max()) + 1 <= n_rows / 2:
            found.append((name, level))
        if len(found) == _MOST_CATEGORIES:
            break
    return found


def _of_one_level(level: Ints, y: Floats) -> Ints:
    """Return some rows of a large level in which the target varies: what does not hold there holds nowhere."""
    size = np.bincount(level)
    for which in np.argsort(-size, kind="stable")[:_LEVELS_TRIED]:
        rows = np.flatnonzero(level == which)[:_ROWS_TRIED]
        if np.ptp(y[rows]) > 0:
            return rows
    return np.zeros(0, np.int64)


def _may_be_mean(values: Floats, y: Floats) -> bool:
    """Whether a number is the same in all rows of a level, or falls by a straight line as the target rises."""
    if len(y) < _FEWEST_LEVELS:
        return False
    moves = np.ptp(values)
    if moves <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return True
    return _share_off(values, y, np.ones(len(y), np.int64)) <= _TRIED


def _of_its_rows(values: Floats, y: Floats) -> str:
    """Hold a number's values against the mean target of the rows that have them."""
    distinct, level, size = np.unique(values, return_inverse=True, return_counts=True)
    if not _FEWEST_VALUES <= len(distinct) <= len(y) / 1.5:
        return ""
    means = np.bincount(level, weights=y) / size
    shared = size > 1
    if size[shared].sum() < _FEWEST_ROWS or shared.sum() < _FEWEST_LEVELS:
        return ""
    if _share_off(distinct[shared], means[shared], size[shared]) > _NEARLY:
        return ""
    return "'{}' is in each row the mean of the target over the rows that share its value, the row itself included."


def _share_off(x: Floats, means: Floats, size: Ints) -> float:
    """Return the weighted share of variance of `means` that a straight line over `x` leaves; 1 where it has none."""
    weight = size / size.sum()
    x, z = x - (weight * x).sum(), means - (weight * means).sum()
    varies, moves = float((weight * z * z).sum()), float((weight * x * x).sum())
    if varies <= 0 or moves <= 0:
        return 1.0
    together = float((weight * x * z).sum())
    return max(0.0, 1.0 - together * together / (varies * moves))


def _by_category(values: Floats, y: Floats, level: Ints) -> str:
    """Look for a category's mean that leaves the row out, and for one that is drawn towards the mean of all."""
    size = np.bincount(level).astype(np.float64)
    total = np.bincount(level, weights=y)
    several = size > 1
    if several.sum() < _FEWEST_LEVELS or size[several].sum() < _FEWEST_ROWS:
        return ""
    rows = several[level]
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, level, values)
    np.maximum.at(high, level, values)
    flat = high - low <= 1e-12 * max(1.0, float(np.abs(values).max()))
    if not flat[several].all():
        back = (values * (size[level] - 1) + y)[rows] - total[level][rows]
        if float(np.mean(back**2)) <= _EXACT * float(np.var(y)):
            return "'{}' is the mean of the target over the other rows of '{}': what it lacks is the row's own target."
        return ""
    # mean = (total + k * overall) / (size + k), so total - mean * size = k * (mean - overall) for one k.
    left, lever = total - low * size, low - y.mean()
    k = float(left @ lever / max(lever @ lever, 1e-300))
    off = left - k * lever
    if k >= 0 and float(off @ off) <= _NEARLY * float((total - y.mean() * size) @ (total - y.mean() * size)):
        return "'{}' is the mean of the target by '{}', each row's own target included."
    return ""


def _in_order(values: Floats, y: Floats, windows: _Windows) -> str:
    """Look at the steps from one row to the next."""
    step = np.diff(values)
    if not _moves(step):
        return ""
    if _line_off(step, y[1:]) <= _NEARLY:
        return "'{}' is a running total of the target, the row's own included."
    count = np.arange(1, len(y) + 1)
    if _line_off(np.diff(values * count), y[1:]) <= _NEARLY:
        return "'{}' is the mean of the target up to and with the row itself."
    for ahead in range(1, _FARTHEST_AHEAD + 1):
        if _line_off(values[:-ahead], y[ahead:]) <= _NEARLY:
            rows = "next row" if ahead == 1 else f"row that comes {ahead} later"
            return f"'{{}}' is the target of the {rows}."
    window = windows.of(step)
    if window:
        return f"'{{}}' is a moving mean of the target over {window} rows, the row's own included."
    return ""


class _Windows:
    """What moving means of the target move by, for every window: those that end in the row, and those it is within."""

    def __init__(self, y: Floats) -> None:
        self.y = y
        most = min(_LONGEST_WINDOW, (len(y) - _FEWEST_STEPS) // 2)
        start, end = most, len(y) - most
        # From all over: a target may stand still for long stretches.
        self.at = at = np.linspace(start, end - 1, max(0, min(end - start, _STEPS_TRIED))).astype(np.int64)
        self.kinds = [(w, a) for w in range(2, most + 1) for a in sorted({0, (w - 1) // 2, w - 1})]
        moved = [y[at + ahead] - y[at + ahead - window] for window, ahead in self.kinds]
        self.changes = np.stack([_standard(row) for row in moved]) if moved else np.zeros((0, len(at)))

    def of(self, step: Floats) -> int:
        """Return the window of which `step`, from each row to the next, is the change; 0 if there is none."""
        tried = _standard(step[self.at - 1])
        for index in np.flatnonzero((self.changes @ tried) ** 2 >= 1 - _TRIED):
            window, ahead = self.kinds[index]
            change = self.y[window:] - self.y[:-window]
            moved = step[window - 1 - ahead :][: len(change)]
            if _line_off(moved, change[: len(moved)]) <= _NEARLY:
                return window
        return 0


def _standard(values: Floats) -> Floats:
    """Return values of mean 0 and length 1, or zeros."""
    centred = values - values.mean() if len(values) else values
    length = float(np.sqrt(centred @ centred))
    return centred / length if length > 0 else np.zeros(len(values))


def _moves(step: Floats) -> bool:
    return bool(np.count_nonzero(step) >= _FEWEST_STEPS)


def _line_off(x: Floats, z: Floats) -> float:
    """Return the share of the variance of `z` that a straight line over `x` leaves."""
    return _share_off(x, z, np.ones(len(x), np.int64)) if len(x) >= _FEWEST_STEPS else 1.0
