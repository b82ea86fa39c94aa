"""Two columns that tell the target together and not alone: by sum, difference, product or ratio, or by their levels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.one_feature import Cells, cells, out_of_fold_auc, trimmed_r2
from mlwright.data.checks.suspicion import Sample, Suspicion
from mlwright.data.checks.wording import named, shown
from mlwright.data.values import Coded

__all__ = ["together"]

_MOST_ROWS = 3_000
_MOST_NUMBERS, _MOST_PAIRS, _MOST_LEVELS = 40, 200, 50
_FEWEST_ROWS_A_CELL = 10
_STOP_AUC, _ALONE_AUC = 0.999, 0.95
_STOP_R2, _ALONE_R2 = 0.9999, 0.99
_GAPS = 0.5
_TRIED, _FEW_CHANGES = 600, 0.4
_OF_CLASSES = (("the difference of {} and {}", "difference"), ("{} divided by {}", "ratio"))
_LARGEST = 1e100  # products of larger numbers are none


def together(sample: Sample) -> list[Suspicion]:
    """Return the pairs of features that tell the target by one rule of arithmetic, or by their levels.

    Features that tell it alone should not be in the sample. At most 40 numbers are paired, and 200 pairs looked at whole:
    those that put some hundred rows in an order in which classes seldom change, and go together most, because what undoes
    a sum or a product is like what went into it.
    """
    if len(sample.y) > _MOST_ROWS:
        sample = sample.take(np.linspace(0, len(sample.y) - 1, _MOST_ROWS).astype(np.int64))
        if len(np.unique(sample.y)) < 2:
            return []
    found = _classes(sample) if sample.classes else _numbers(sample)
    best: dict[str, Suspicion] = {}
    for suspicion in sorted(found, key=lambda each: (-each.stops, -each.score)):
        best.setdefault(suspicion.columns[0], suspicion)
    return list(best.values())


def _numeric(sample: Sample) -> dict[str, Floats]:
    """Return the numbers with several values and few gaps, those that tell the most alone first."""
    found = {
        name: values
        for name, values in sample.columns.items()
        if not isinstance(values, Coded)
        and np.isnan(values).mean() <= _GAPS
        and np.nanmin(values) < np.nanmax(values)
        and np.nanmax(np.abs(values)) < _LARGEST
    }
    order = sorted(found, key=lambda name: -sample.alone.get(name, 0.0))
    return {name: found[name] for name in order[:_MOST_NUMBERS]}


def _rules(a: Floats, b: Floats) -> Iterator[tuple[str, Floats]]:
    yield "the sum of {} and {}", a + b
    yield "the difference of {} and {}", a - b
    yield "the product of {} and {}", a * b
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for text, ratio in (("{} divided by {}", a / b), ("the inverse ratio of {} and {}", b / a)):
            yield text, np.where(np.isfinite(ratio), ratio, np.nan)


def _numbers(sample: Sample) -> list[Suspicion]:
    """Look for a rule of two numbers that gives the target up to a straight line."""
    y, numbers = sample.y, _numeric(sample)
    found = []
    for (one, a), (other, b) in combinations(numbers.items(), 2):
        for text, combined in _rules(a, b):
            known = np.isfinite(combined)
            n_known = int(known.sum())
            if n_known < max(50, len(y) * _GAPS):
                continue
            r2 = _line(combined[known], y[known])
            if r2 < _STOP_R2 or max(sample.alone.get(one, 0.0), sample.alone.get(other, 0.0)) >= _ALONE_R2:
                continue
            pair = _first_the_stronger(one, other, sample)
            rule = text.format(named([one]), named([other]))
            what = f"The target is {rule}, up to a straight line (R2 {shown(r2)})."
            found.append(Suspicion(pair, r2, stops=True, what=what, advice=_advice(pair)))
            break
    return found


def _line(x: Floats, y: Floats) -> float:
    """Return the R2 of a straight line; where it is high, the lesser of that over all rows and without extreme targets."""
    top = float(np.abs(x).max())
    if top == 0 or not np.isfinite(top):
        return 0.0
    x = x / top
    x, mean = x - x.mean(), float(y.mean())
    moves = float(x @ x)
    if moves <= 1e-18 * len(x):
        return 0.0
    off = y - mean
    along = float(x @ off)
    r2 = along * along / (moves * max(float(off @ off), np.finfo(np.float64).tiny))
    if r2 < _STOP_R2:  # the lesser of two is not asked for
        return r2
    return trimmed_r2(y, mean + along / moves * x)


def _classes(sample: Sample) -> list[Suspicion]:
    """Look for differences and ratios of numbers, and pairs of levels, that tell the classes."""
    codes = sample.codes
    n_classes = int(codes.max()) + 1
    enough = sample.rarest >= 100
    found = []
    for one, other, text, values, cut in [*_number_pairs(sample), *_level_pairs(sample)]:
        if max(sample.alone.get(one, 0.5), sample.alone.get(other, 0.5)) > _ALONE_AUC:
            continue
        auc = out_of_fold_auc(cut, values, codes, n_classes)
        if auc < _STOP_AUC:
            continue
        pair = _first_the_stronger(one, other, sample)
        what = f"{text} tells the target almost by itself (AUC {shown(auc)} out of fold), and neither does alone."
        found.append(Suspicion(pair, auc, enough, what, _advice(pair)))
    return found


def _number_pairs(sample: Sample) -> Iterator[tuple[str, str, str, Floats, Cells]]:
    numbers = {name: values for name, values in _numeric(sample).items() if len(np.unique(values)) > 10}
    if len(numbers) < 2:
        return
    names = list(numbers)
    filled = np.stack([np.where(np.isnan(v), np.nanmean(v), v) for v in numbers.values()])
    ranks = filled.argsort(axis=1).argsort(axis=1).astype(np.float64)
    near = np.abs(np.corrcoef(ranks))
    codes = sample.codes
    some = np.linspace(0, len(codes) - 1, min(len(codes), _TRIED)).astype(np.int64)
    tried = {name: values[some] for name, values in numbers.items()}
    n_looked = 0
    for i, j in sorted(combinations(range(len(names)), 2), key=lambda pair: -near[pair]):
        one, other = names[i], names[j]
        first = dict(_rules(tried[one], tried[other]))
        sorting = [rule for rule in _OF_CLASSES if _sorts(first[rule[0]], codes[some])]
        if not sorting:
            continue
        rules = dict(_rules(numbers[one], numbers[other]))
        for key, title in sorting:
            values = rules[key]
            cut = cells(values, sample.fold)
            if np.isnan(values).mean() <= _GAPS and cut.cell.max() > 0:
                yield one, other, f"The {title} of '{one}' and '{other}'", values, cut
        n_looked += 1
        if n_looked == _MOST_PAIRS:
            return


def _sorts(values: Floats, codes: Ints) -> bool:
    """Whether rows in the order of a number change their class far less often than by chance."""
    known = ~np.isnan(values)
    in_order = codes[known][np.argsort(values[known], kind="stable")]
    shares = np.bincount(in_order) / max(1, len(in_order))
    by_chance = len(in_order) * (1 - float((shares**2).sum()))
    return bool(np.count_nonzero(np.diff(in_order)) <= _FEW_CHANGES * by_chance)


def _level_pairs(sample: Sample) -> Iterator[tuple[str, str, str, Floats, Cells]]:
    levels: dict[str, Ints] = {}
    for name, values in sample.columns.items():
        raw = values.codes if isinstance(values, Coded) else values
        distinct, place = np.unique(raw, return_inverse=True)
        if 2 <= len(distinct) <= _MOST_LEVELS:
            levels[name] = place.astype(np.int64)
    n_looked = 0
    for (one, a), (other, b) in combinations(list(levels.items())[: _MOST_NUMBERS // 2], 2):
        width = int(b.max()) + 1
        joint = np.unique(a * width + b, return_inverse=True)[1].astype(np.int64)
        if n_looked >= _MOST_PAIRS:
            return
        if (int(joint.max()) + 1) * _FEWEST_ROWS_A_CELL > len(joint):
            continue
        n_looked += 1
        cut = Cells(joint, sample.fold, fine=False)
        yield (
            one,
            other,
            f"{named([one, other])} together: the pair of their values",
            joint.astype(np.float64),
            cut,
        )


def _first_the_stronger(one: str, other: str, sample: Sample) -> tuple[str, str]:
    """Order a pair by what each tells alone: the one that tells more is the likelier to know the answer."""
    return (one, other) if sample.alone.get(one, 0.0) >= sample.alone.get(other, 0.0) else (other, one)


def _advice(pair: tuple[str, ...]) -> str:
    return (
        f"Leave one of them out, or both, unless they are known when a prediction is asked for; "
        f"if they are, accept 'leak:{pair[0]}'."
    )
