"""After the outcome: features that are written down once it is known.

A gap is the clearest sign. That a value is there at all cannot follow from an outcome that has not come yet, so a column
that is filled in for one outcome alone was filled in afterwards: a lifeboat's number, what was recovered of a loan.
A column that is there for every row says it less clearly: how long a call took is told by its name, by an end of its
range in which an outcome all but never comes, and by how far it is ahead of every other column.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.one_feature import gap_auc, value_auc
from mlwright.data.checks.suspicion import Sample, Suspicion
from mlwright.data.checks.wording import shown
from mlwright.data.values import Coded

__all__ = ["after_outcome", "is_told_afterwards"]

_GAP, _GAP_OF_NUMBER, _CLASS_GAP = 0.95, 0.999, 0.98
_SURE = 0.999
_FEWEST = 50  # rows with a value, and without
_FEWEST_OF_CLASS = 100
_CHANCE, _BEYOND_BELIEF = 1e-9, 1e-15
_FEWEST_VALUES = 10  # different ones beside the usual: an amount, not a category
_FEWEST_EARLY = 20
_EARLY_TOO = 0.8
_AHEAD, _STRONG, _STRONG_R2, _AHEAD_R2 = 0.1, 0.75, 0.5, 0.2
_END = 0.1  # of the rows
_ALL_BUT_NEVER = 0.1  # of what is to be expected

_WORDS = frozenset(
    [
        "arrived",
        "autopsy",
        "cancellation",
        "canceled",
        "cancelled",
        "closed",
        "closing",
        "collected",
        "completed",
        "completion",
        "deceased",
        "delivered",
        "departed",
        "discharge",
        "discharged",
        "disposition",
        "duration",
        "elapsed",
        "ended",
        "final",
        "finished",
        "outcome",
        "recovered",
        "recoveries",
        "recovery",
        "refund",
        "refunded",
        "resolution",
        "resolved",
        "result",
        "returned",
        "settled",
        "settlement",
        "terminated",
        "termination",
    ]
)
_EARLIER = frozenset(
    [
        "previous",
        "prior",
        "past",
        "last",
        "former",
        "earlier",
        "expected",
        "planned",
        "scheduled",
        "requested",
        "estimated",
    ]
)


def is_told_afterwards(name: str) -> bool:
    """Whether a column's name says that its value is known when a thing has ended.

    Examples
    --------
    >>> [is_told_afterwards(name) for name in ("duration", "call_duration", "recoveries", "previous_outcome", "age")]
    [True, True, True, False, False]
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = {word.lower() for word in re.split(r"[^A-Za-z]+", spaced)}
    return bool(words & _WORDS) and not words & _EARLIER


def after_outcome(sample: Sample) -> list[Suspicion]:
    """Return the features that look as if they were written down after the outcome."""
    found = [_present(name, values, sample) for name, values in sample.columns.items()]
    return [suspicion for suspicion in [*found, *_at_the_end(sample)] if suspicion is not None]


def _present(name: str, values: Floats | Coded, sample: Sample) -> Suspicion | None:
    """Look at when the feature is there: has a value at all, or another than its usual one."""
    known = values.codes >= 0 if isinstance(values, Coded) else ~np.isnan(values)
    if not known.all():
        what = f"Whether '{name}' is missing"
        only = f"'{name}' is known in {known.sum():,} rows only"
    else:
        usual = _usual(values)
        if usual is None:
            return None
        known = np.not_equal(np.asarray(values), usual)
        what = f"Whether '{name}' is {usual:g}"
        only = f"'{name}' is other than {usual:g} in {known.sum():,} rows only"
    if not sample.classes:
        return _of_number(name, what, known, sample)
    return _of_classes(name, what, known, sample) or _of_one_class(name, only, known, sample)


def _usual(values: Floats | Coded) -> float | None:
    """Return the end of the range at which at least half of the rows are, where the others are an amount."""
    if isinstance(values, Coded):
        return None
    for end in (values.min(), values.max()):
        others = values[values != end]
        if len(others) <= len(values) / 2:
            return float(end) if len(np.unique(others)) >= _FEWEST_VALUES else None
    return None


def _of_classes(name: str, what: str, known: NDArray[np.bool_], sample: Sample) -> Suspicion | None:
    codes = sample.codes
    n_classes = int(codes.max()) + 1
    flag = np.where(known, 0.0, np.nan)
    if n_classes == 2:
        auc, least, sure = gap_auc(flag, codes, 2), _GAP, _GAP
    else:
        each = [gap_auc(flag, (codes == code).astype(np.int64), 2) for code in range(n_classes)]
        auc, least, sure = max(each), _CLASS_GAP, _SURE
    if auc < least:
        return None
    enough = sample.rarest >= _FEWEST_OF_CLASS and min(known.sum(), (~known).sum()) >= _FEWEST
    if n_classes == 2:
        enough = sample.rarest >= _FEWEST_OF_CLASS
    early, holds = _early(flag, codes, sample) if n_classes == 2 else ("", True)
    of = "the target" if n_classes == 2 else "a class of the target"
    text = f"{what} tells {of} almost by itself (AUC {shown(auc)}{early})."
    return Suspicion((name,), auc, auc >= sure and enough and holds, text)


def _early(flag: Floats, codes: Ints, sample: Sample) -> tuple[str, bool]:
    """Ask the earliest rows: what a column that came later would tell of time is not told there."""
    if sample.early is None:
        return "", True
    rows = sample.early
    if np.bincount(codes[rows], minlength=2).min() < _FEWEST_EARLY:
        return "", True
    auc = gap_auc(flag[rows], codes[rows], 2)
    return f", and {shown(auc)} in the earliest third of the rows", auc >= _EARLY_TOO


def _of_one_class(name: str, only: str, known: NDArray[np.bool_], sample: Sample) -> Suspicion | None:
    """Return a suspicion if the feature is there in few rows and they are all of one class, beyond chance."""
    n_known, codes = int(known.sum()), sample.codes
    if not _FEWEST <= n_known <= len(codes) / 2 or (codes[known] != codes[known][0]).any():
        return None
    chance = float(np.mean(codes == codes[known][0])) ** n_known
    if chance > _CHANCE:
        return None
    stops = chance <= _BEYOND_BELIEF and sample.rarest >= _FEWEST_OF_CLASS
    return Suspicion((name,), 0.98, stops, f"{only}, and they are all of one class.")


def _of_number(name: str, what: str, known: NDArray[np.bool_], sample: Sample) -> Suspicion | None:
    """Return a suspicion if the rows in which the feature is there are those of high targets, or of low ones."""
    if min(known.sum(), (~known).sum()) < _FEWEST:
        return None
    auc = value_auc(sample.y, known)
    auc = max(auc, 1 - auc)
    if auc < _GAP_OF_NUMBER:
        return None
    text = f"{what} says on which side of a border the target is (AUC {shown(auc)})."
    return Suspicion((name,), auc, True, text)


def _at_the_end(sample: Sample) -> list[Suspicion]:
    """Look for a feature whose name says that it ends with the outcome, and that is far ahead of all others."""
    hinted = [name for name in sample.columns if is_told_afterwards(name)]
    others = [score for name, score in sample.alone.items() if not is_told_afterwards(name)]
    best = max(others, default=0.5 if sample.classes else 0.0)
    found = []
    for name in hinted:
        alone, values = sample.alone.get(name, 0.0), sample.columns[name]
        if not sample.classes:
            if alone >= _STRONG_R2 and alone - best >= _AHEAD_R2:
                what = f"'{name}' is named like something that is known afterwards, and tells far more than any other column (R2 {shown(alone)}, the next {shown(best)})."
                found.append(Suspicion((name,), alone, stops=False, what=what))
            continue
        if alone < _STRONG or alone - best < _AHEAD:
            continue
        end = None if isinstance(values, Coded) else _pure_end(values, sample.codes)
        what = f"'{name}' is named like something that is known afterwards, and tells far more than any other column (AUC {shown(alone)}, the next {shown(best)})"
        if end is not None:
            what += f"; {end}"
        stops = end is not None and sample.rarest >= _FEWEST_OF_CLASS
        found.append(Suspicion((name,), alone, stops, what + "."))
    return found


def _pure_end(values: Floats, codes: Ints) -> str | None:
    """Return in words the lowest or highest tenth of a number in which a class all but never occurs, beyond chance."""
    known = ~np.isnan(values)
    x, y = values[known], codes[known]
    for low, word in ((True, "up to"), (False, "from")):
        border = np.quantile(x, _END if low else 1 - _END)
        inside = x <= border if low else x >= border
        part = int(inside.sum())
        if part > 2 * _END * len(x):
            continue
        for code in range(int(codes.max()) + 1):
            expected = float(np.mean(y == code)) * part
            seen = int((y[inside] == code).sum())
            if seen <= _ALL_BUT_NEVER * expected and _at_most(seen, expected) <= _CHANCE:
                return f"{word} {border:g} one of the classes is in {seen:,} of {part:,} rows, where {expected:.0f} were to be expected"
    return None


def _at_most(seen: int, expected: float) -> float:
    """Return the probability of at most so many events where so many are expected, by Poisson's law."""
    terms = (math.exp(i * math.log(expected) - expected - math.lgamma(i + 1)) for i in range(seen + 1))
    return math.fsum(terms)
