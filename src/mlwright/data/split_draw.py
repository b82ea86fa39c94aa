"""Drawing rows: holdouts and folds as plain NumPy, without tables or columns.

Each `hold_out_*` returns a mask of test rows. ``forced`` says where a row must go: 1 test, -1 train, 0 free.
Each `fold_*` returns pairs of positions.
"""

from __future__ import annotations

import numpy as np

from mlwright.core.types import Floats, Ints

__all__ = [
    "Folds",
    "allocate",
    "fold_groups",
    "fold_rows",
    "fold_times",
    "hold_out_groups",
    "hold_out_rows",
    "hold_out_times",
]

Folds = tuple[tuple[Ints, Ints], ...]


def allocate(total: int, weights: Floats, limits: Ints) -> Ints:
    """Share `total` out in proportion to `weights` by the largest remainder, none above its limit.

    Parameters
    ----------
    total : int
        How many to share out; less is, where the limits do not let all be.
    weights : ndarray of shape (n,)
        Not negative.
    limits : ndarray of int64, shape (n,)
        The most that each may get.

    Examples
    --------
    >>> allocate(10, np.array([70.0, 25.0, 5.0]), np.array([60, 24, 4])).tolist()
    [7, 3, 0]
    """
    total = min(total, int(limits.sum()))
    ideal = np.zeros(len(limits))
    open_ = limits > 0
    while open_.any() and total > 0:
        left = total - ideal[~open_].sum()
        share = np.where(open_, weights, 0.0)
        share = share if share.sum() > 0 else open_.astype(np.float64)
        ideal[open_] = (left * share / share.sum())[open_]
        full = open_ & (ideal >= limits)
        if not full.any():
            break
        ideal[full] = limits[full]
        open_ &= ~full
    given = np.floor(ideal + 1e-9).astype(np.int64)
    rest = np.where(given < limits, ideal - given, -1.0)
    order = np.lexsort((-weights, -np.round(rest, 9)))
    given[order[: max(0, total - int(given.sum()))]] += 1
    return given


def hold_out_rows(classes: Ints, forced: Ints, holdout: float, rng: np.random.Generator) -> np.ndarray:
    """Draw about ``holdout * n`` test rows with the same share of each class; one class for a plain random draw.

    Every class with two rows or more keeps one in train; a class with one row is in train.

    Parameters
    ----------
    classes : ndarray of int64, shape (n,)
        Codes from 0.
    forced : ndarray of int64, shape (n,)
        1 test, -1 train, 0 free.
    """
    n_classes = int(classes.max()) + 1
    sizes = np.bincount(classes, minlength=n_classes)
    goal = max(1, round(holdout * len(classes)))
    test = forced > 0
    held = np.bincount(classes[test], minlength=n_classes)
    free = np.bincount(classes[forced == 0], minlength=n_classes)
    kept = np.bincount(classes[forced < 0], minlength=n_classes)
    limits = np.maximum(free - (kept == 0), 0)
    quota = allocate(goal, sizes.astype(np.float64), np.maximum(sizes - 1, 0))
    wanted = np.minimum(np.maximum(quota - held, 0), limits)
    need = max(0, goal - int(held.sum()))
    drawn = allocate(need, wanted.astype(np.float64), wanted)
    drawn += allocate(need - int(drawn.sum()), sizes.astype(np.float64), limits - drawn)
    order = rng.permutation(len(classes))
    order = order[forced[order] == 0]
    for code in np.flatnonzero(drawn):
        test[order[classes[order] == code][: drawn[code]]] = True
    return test


def hold_out_groups(
    groups: Ints, classes: Ints, forced: Ints, holdout: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw whole groups in a seeded order: each that brings the class counts of the test nearer to their share.

    A group is left in train if the train rows would lose a class with it. A group with forced rows goes with them,
    into train where it has both.
    """
    counts = _counts(groups, classes)
    totals = counts.sum(axis=0)
    where = np.zeros(len(counts), np.int64)
    where[groups[forced > 0]] = 1
    where[groups[forced < 0]] = -1
    chosen = where > 0
    held = counts[chosen].sum(axis=0)
    goal, scale = holdout * totals, 1.0 / np.maximum(totals, 1.0)
    distance = float((((held - goal) ** 2) * scale).sum())
    free = rng.permutation(np.flatnonzero(where == 0))
    for group in free:
        if held.sum() >= goal.sum() - 0.5:
            break
        with_it = held + counts[group]
        moved = float((((with_it - goal) ** 2) * scale).sum())
        if moved < distance and not ((with_it >= totals) & (totals > 0)).any():
            held, distance, chosen[group] = with_it, moved, True
    if not chosen.any() and len(free) and len(counts) > 1:
        # Few, large groups: the one that overshoots least, if it can be one that takes no class away.
        after = counts[free]
        takes = ((after >= totals) & (totals > 0)).any(axis=1)
        miss = (((after - goal) ** 2) * scale).sum(axis=1)
        chosen[free[np.lexsort((miss, takes))[0]]] = True
    return chosen[groups]


def hold_out_times(times: Floats, forced: Ints, holdout: float) -> np.ndarray:
    """Take the last rows by time, equal times on one side, as near to ``holdout * n`` as ties let them.

    Only rows that are not forced into train and have a time (not -inf) can be taken.
    """
    test = np.zeros(len(times), bool)
    can = np.flatnonzero((forced >= 0) & np.isfinite(times))
    if not len(can):
        return test
    goal = min(max(1, round(holdout * len(times))), len(can))
    ordered = np.sort(times[can])
    cut = ordered[len(ordered) - goal]
    with_ties = len(ordered) - int(np.searchsorted(ordered, cut, side="left"))
    without = len(ordered) - int(np.searchsorted(ordered, cut, side="right"))
    # Taking the ties must leave a row behind; leaving them must take one.
    leaves = with_ties < len(times)
    if leaves and (not without or with_ties - goal <= goal - without):
        test[can[times[can] >= cut]] = True
    else:
        test[can[times[can] > cut]] = True
    return test


def fold_rows(classes: Ints, n_folds: int, rng: np.random.Generator) -> Folds:
    """Deal the rows of each class out in a seeded order, so that folds differ by one row a class at most.

    Where two classes or more have several rows, the row of a class that has no other is in every fit part and
    validates none.
    """
    sizes = np.bincount(classes)
    dealt = sizes[classes] > 1 if (sizes > 1).sum() > 1 else np.ones(len(classes), bool)
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    order = order[dealt[order]]
    n_folds = min(n_folds, len(order))
    part = np.full(len(classes), -1)
    part[order] = np.arange(len(order)) % n_folds
    return _pairs(part, n_folds)


def fold_groups(groups: Ints, classes: Ints, n_folds: int, rng: np.random.Generator) -> Folds:
    """Deal whole groups out, the largest first, each to the fold that it leaves the most even by class."""
    counts = _counts(groups, classes)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    scale = 1.0 / np.maximum(counts.sum(axis=0), 1.0)
    load = np.zeros((n_folds, counts.shape[1]))
    part = np.empty(len(counts), np.int64)
    empty = n_folds
    for position, group in enumerate(order):
        # What adding the group does to the sum of squares; the size breaks what classes leave equal.
        cost = ((2 * load + counts[group]) * counts[group] * scale).sum(axis=1) + 1e-9 * load.sum(axis=1)
        if len(order) - position <= empty:
            cost[load.any(axis=1)] = np.inf
        fold = int(np.argmin(cost))
        empty -= not load[fold].any()
        load[fold] += counts[group]
        part[group] = fold
    return _pairs(part[groups], n_folds)


def fold_times(times: Floats, n_folds: int) -> Folds:
    """Validate each of ``n_folds + 1`` blocks in time but the first on all before it: expanding windows.

    Equal times stay in one block, so there may be fewer folds. Rows without a time (-inf) are in the first block.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    cuts: list[int] = []
    for step in range(1, n_folds + 1):
        near = round(len(times) * step / (n_folds + 1))
        at = int(np.searchsorted(ordered, ordered[min(near, len(times) - 1)], side="left"))
        if not np.isfinite(ordered[at]) or at == 0:
            at = int(np.searchsorted(ordered, ordered[at], side="right"))
        if at < len(times) and at > (cuts[-1] if cuts else 0):
            cuts.append(at)
    ends = [*cuts[1:], len(times)]
    return tuple((np.sort(order[:at]), np.sort(order[at:end])) for at, end in zip(cuts, ends, strict=False))


def _counts(groups: Ints, classes: Ints) -> Floats:
    n_groups, n_classes = int(groups.max()) + 1, int(classes.max()) + 1
    flat = np.bincount(groups * n_classes + classes, minlength=n_groups * n_classes)
    return flat.reshape(n_groups, n_classes).astype(np.float64)


def _pairs(part: Ints, n_folds: int) -> Folds:
    return tuple((np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(n_folds))
