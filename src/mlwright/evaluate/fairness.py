"""Fairness: what a model does to the groups that the user names. Knows predictions and one raw column at a time.

A difference between groups is flagged only if its whole interval lies beyond the tolerance, and the intervals of a
column's comparisons hold all at once (Bonferroni), so that chance alone flags a fair model hardly ever.

References
----------
M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS (2016): equalised odds.
Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D (1978): the four-fifths rule.
G. Pleiss et al., "On Fairness and Calibration", NeurIPS (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlwright.core.seeds import derive
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Column, Task, TaskKind
from mlwright.data.values import Columns
from mlwright.evaluate.cuts import Condition, cuts
from mlwright.evaluate.figures import LEVEL
from mlwright.evaluate.means import Rate, mean_difference, mean_of, rate, rate_difference, rate_ratio
from mlwright.metrics import decide, of
from mlwright.metrics.intervals import Interval, interval

__all__ = [
    "CLEAR",
    "FEW",
    "FLAGGED",
    "FOUR_FIFTHS",
    "TOLERANCES",
    "Comparison",
    "Fairness",
    "Group",
    "compare_groups",
]

FLAGGED, CLEAR, FEW = "flagged", "not flagged", "not enough rows"
FOUR_FIFTHS = 0.8
TOLERANCES = {  # of a difference; for numbers in standard deviations of the target, or a share of the mean error
    "true_positive": 0.1,
    "false_positive": 0.1,
    "precision": 0.1,
    "right": 0.1,
    "calibration": 0.05,
    "level": 0.25,
    "bias": 0.1,
    "absolute_error": 0.25,
}
_MOST_GROUPS, _MOST_CLASSES, _N_BINS = 12, 5, 4
_FEWEST, _FEWEST_OF_CLASS, _FEWEST_CALLED = 30, 20, 10
_SCORED_ROWS, _PARTS = 6_000, 100  # of the metric by group


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with one value, or one range of values, in a column.

    Parameters
    ----------
    condition : Condition
        What they have in common.
    n_rows : int
        How many.
    score : Interval
        The metric that decides, on these rows alone; NaN where it has no meaning.
    figures : dict of str to Interval
        By name: ``selection``, ``true_positive``, ``false_positive``, ``precision`` (binary), ``right``,
        ``calibration`` (prediction less truth), or ``level``, ``bias`` and ``absolute_error`` in the target's unit.
    """

    condition: Condition
    n_rows: int
    score: Interval
    figures: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of a group beside that of others.

    Parameters
    ----------
    criterion : str
        ``four_fifths`` (a ratio) or a key of `TOLERANCES` (a difference).
    group : Condition
        The group.
    against : Condition or None
        The group that it is compared with; None for all other rows.
    about : str, int, float, bool or None
        The class that it is about.
    value, other : Interval
        The figure of both.
    gap : Interval
        Their ratio or difference; its level is raised so that all comparisons of the column hold at once.
    tolerance : float
        How far apart they may be: the least ratio, or the greatest difference, in the figure's unit.
    verdict : {"flagged", "not flagged", "not enough rows"}
        Flagged if the whole interval of `gap` lies beyond the tolerance.
    """

    criterion: str
    group: Condition
    against: Condition | None
    about: str | int | float | bool | None
    value: Interval
    other: Interval
    gap: Interval
    tolerance: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Fairness:
    """What was found for one column.

    Parameters
    ----------
    column : str
        Its name.
    groups : tuple of Group
        The largest first, 12 at most; ranges in their order.
    comparisons : tuple of Comparison
        The flagged ones first.
    n_other : int
        Rows in none of the groups.
    """

    column: str
    groups: tuple[Group, ...]
    comparisons: tuple[Comparison, ...]
    n_other: int = 0

    @property
    def verdict(self) -> str:
        """``flagged`` if any comparison is, ``not enough rows`` if none could be made."""
        said = {each.verdict for each in self.comparisons}
        return FLAGGED if FLAGGED in said else CLEAR if CLEAR in said else FEW


@dataclass(frozen=True, slots=True)
class _Rows:
    task: Task
    y: Floats
    predicted: Floats
    called: Ints
    weights: Floats
    clusters: Ints | None

    def of(self, rows: np.ndarray) -> tuple[Floats, Ints | None]:
        return self.weights[rows], None if self.clusters is None else self.clusters[rows]

    def rate(self, rows: np.ndarray, hits: np.ndarray) -> Rate:
        return rate(hits[rows], *self.of(rows))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A comparison that is still to be made, at a level that depends on how many there are."""

    criterion: str
    group: Condition
    against: Condition | None
    about: Any
    enough: bool
    tolerance: float
    measure: Callable[[float], tuple[Interval, Interval, Interval]] = field(repr=False)


def compare_groups(
    task: Task,
    y: Floats,
    predicted: Floats,
    column: Column,
    columns: Columns,
    *,
    weights: Floats | None = None,
    clusters: np.ndarray | None = None,
    seed: int = 0,
) -> Fairness:
    """Return what predictions do to the groups of a column.

    Parameters
    ----------
    task : Task
        What is predicted.
    y : ndarray of shape (n_rows,)
        The truth: values, or class codes.
    predicted : ndarray of shape (n_rows, n_outputs)
        Predictions of rows that the model was not fitted on.
    column : Column
        Whose values make the groups; numbers are cut at their quartiles, moments by year.
    columns : Columns
        Canonical values; `column` is looked up by its name.
    weights, clusters : ndarray of shape (n_rows,), optional
        How much each row counts; which rows belong together.
    seed : int, default=0
        For the intervals of the metric.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> group, y = np.repeat([0.0, 1.0], 500), draw.integers(0, 2, 1000).astype(float)
    >>> told = np.where(group == 1, 0.9 * y, y)[:, None] * np.where(draw.random(1000) < 0.5, 1.0, group < 1)[:, None]
    >>> task = Task(TaskKind.BINARY, "hired", "roc_auc", ("no", "yes"))
    >>> found = compare_groups(task, y, told, Column("female", "boolean", dtype="int"), {"female": group})
    >>> found.verdict, found.comparisons[0].criterion
    ('flagged', 'four_fifths')
    """
    rows = _Rows(
        task,
        y,
        predicted,
        np.zeros(len(y), np.int64) if task.kind is TaskKind.REGRESSION else decide(predicted, task),
        np.ones(len(y)) if weights is None else weights,
        None if clusters is None else np.unique(clusters, return_inverse=True)[1].ravel(),
    )
    made = cuts(column, columns[column.name], fewest=1, n_bins=_N_BINS)
    if not made:
        return Fairness(column.name, (), (), len(y))
    cut = made[0]
    counts = np.bincount(cut.codes[cut.codes >= 0], minlength=len(cut.conditions))
    kept = np.sort(np.argsort(-counts, kind="stable")[:_MOST_GROUPS])
    inside = {cut.conditions[i]: cut.codes == i for i in kept}
    groups = tuple(
        _group(rows, condition, own, derive(seed, "fairness", column.name, i))
        for i, (condition, own) in enumerate(inside.items())
    )
    asked = _asked(rows, inside)
    ready = sum(each.enough for each in asked)
    level = 1 - (1 - LEVEL) / max(1, ready)
    compared = sorted((_compared(each, level) for each in asked), key=_order)
    return Fairness(
        column.name, groups, tuple(compared), len(y) - int(sum(own.sum() for own in inside.values()))
    )


def _order(found: Comparison) -> int:
    return (FLAGGED, CLEAR, FEW).index(found.verdict)


def _compared(asked: _Asked, level: float) -> Comparison:
    value, other, gap = asked.measure(level)
    ratio = asked.criterion == "four_fifths"
    limit = asked.tolerance
    beyond = gap.high < limit if ratio else gap.low > limit or gap.high < -limit
    known = asked.enough and not np.isnan(gap.low)
    verdict = FEW if not known else FLAGGED if beyond else CLEAR
    return Comparison(
        asked.criterion, asked.group, asked.against, asked.about, value, other, gap, asked.tolerance, verdict
    )


def _group(rows: _Rows, condition: Condition, inside: np.ndarray, seed: int) -> Group:
    task, own = rows.task, np.flatnonzero(inside)
    shares = _shares(rows, inside)
    figures = {name: rows.rate(among, hits).interval() for name, _, among, hits in shares if among.any()}
    figures |= {name: mean_of(values[inside], *rows.of(inside)) for name, values, _ in _averages(rows)}
    some = own[np.linspace(0, len(own) - 1, min(len(own), _SCORED_ROWS)).astype(np.int64)]
    weights, clusters = rows.of(some)
    score = interval(
        of(task),
        rows.y[some],
        rows.predicted[some],
        weights=weights,
        groups=clusters,
        n_parts=_PARTS,
        seed=seed,
    )
    return Group(condition, len(own), score, figures)


def _shares(
    rows: _Rows, inside: np.ndarray, code: int | None = None
) -> list[tuple[str, Any, np.ndarray, np.ndarray]]:
    """Return each share of a group: its name, the class that it is about, of which rows, and which of them count."""
    task, y, called = rows.task, rows.y, rows.called
    if task.kind is TaskKind.REGRESSION:
        return []
    right = [("right", None, inside, called == y)] if code is None else []
    if task.kind is TaskKind.MULTICLASS and code is None:
        return right
    code = 1 if code is None else code
    about = task.labels[code]
    found = [
        ("selection", about, inside, called == code),
        ("true_positive", about, inside & (y == code), called == code),
    ]
    if task.kind is TaskKind.BINARY:
        found += [
            ("false_positive", about, inside & (y != code), called == code),
            ("precision", about, inside & (called == code), y == code),
        ]
    return found + right


def _averages(rows: _Rows) -> list[tuple[str, Floats, float]]:
    """Return each mean of a group: its name, its values by row, and how far apart two groups may be."""
    task, y, predicted = rows.task, rows.y, rows.predicted
    if task.kind is TaskKind.REGRESSION:
        value, spread = predicted[:, 0], float(np.std(y))
        size = np.abs(value - y)
        return [
            ("level", value, TOLERANCES["level"] * spread),
            ("bias", value - y, TOLERANCES["bias"] * spread),
            ("absolute_error", size, TOLERANCES["absolute_error"] * float(size.mean())),
        ]
    gap = predicted[:, 0] - y if task.kind is TaskKind.BINARY else predicted.max(axis=1) - (rows.called == y)
    return [("calibration", gap, TOLERANCES["calibration"])]


def _asked(rows: _Rows, inside: dict[Condition, np.ndarray]) -> list[_Asked]:
    """Return all comparisons of the groups with each other; of two groups only one is compared with the other."""
    everyone = np.logical_or.reduce(list(inside.values()))
    compared = list(inside.items())
    if len(compared) == 2:
        compared = [min(compared, key=lambda item: int(item[1].sum()))]
    codes: list[int | None] = [None]
    if rows.task.kind is TaskKind.MULTICLASS:
        often = np.argsort(-np.bincount(rows.y.astype(np.int64)), kind="stable")[:_MOST_CLASSES]
        codes += [int(code) for code in often]
    found: list[_Asked] = []
    for code in codes:
        found += _four_fifths(rows, inside, code)
        for condition, own in compared:
            against = next(iter(inside.keys() - {condition})) if len(inside) == 2 else None
            others = everyone & ~own
            found += [
                _rates(rows, here, there, condition, against)
                for here, there in zip(_shares(rows, own, code), _shares(rows, others, code), strict=True)
                if here[0] != "selection"
            ]
            if code is None:
                found += [_means(rows, each, own, others, (condition, against)) for each in _averages(rows)]
    return found


def _four_fifths(rows: _Rows, inside: dict[Condition, np.ndarray], code: int | None) -> list[_Asked]:
    """Compare how often each group is called a class with the group that is called so most often."""
    if rows.task.kind is TaskKind.REGRESSION or (rows.task.kind is TaskKind.MULTICLASS and code is None):
        return []
    of_group = {condition: _shares(rows, own, code)[0] for condition, own in inside.items()}
    large = [name for name, own in inside.items() if own.sum() >= _FEWEST]
    rates = {name: rows.rate(among, hits) for name, (_, _, among, hits) in of_group.items()}
    if len(large) < 2:
        return []
    top = max(large, key=lambda name: rates[name].value)
    _, about, among, hits = of_group[top]
    called = int((among & hits).sum())

    def asked(name: Condition) -> _Asked:
        def measure(level: float) -> tuple[Interval, Interval, Interval]:
            return (
                rates[name].interval(),
                rates[top].interval(),
                rate_ratio(rates[name], rates[top], level),
            )

        enough = name in large and called >= _FEWEST_CALLED
        return _Asked("four_fifths", name, top, about, enough, FOUR_FIFTHS, measure)

    return [asked(name) for name in inside if name != top]


def _rates(
    rows: _Rows,
    here: tuple[str, Any, np.ndarray, np.ndarray],
    there: tuple[str, Any, np.ndarray, np.ndarray],
    group: Condition,
    against: Condition | None,
) -> _Asked:
    name, about, among, hits = here
    one, other = rows.rate(among, hits), rows.rate(there[2], there[3])

    def measure(level: float) -> tuple[Interval, Interval, Interval]:
        return one.interval(), other.interval(), rate_difference(one, other, level)

    fewest = _FEWEST if name == "right" else _FEWEST_OF_CLASS
    enough = min(one.n_effective, other.n_effective) >= fewest and min(among.sum(), there[2].sum()) >= fewest
    return _Asked(name, group, against, about, bool(enough), TOLERANCES[name], measure)


def _means(
    rows: _Rows,
    average: tuple[str, Floats, float],
    own: np.ndarray,
    others: np.ndarray,
    named: tuple[Condition, Condition | None],
) -> _Asked:
    name, values, tolerance = average
    both = own | others
    weights, clusters = rows.of(both)

    def measure(level: float) -> tuple[Interval, Interval, Interval]:
        return (
            mean_of(values[own], *rows.of(own)),
            mean_of(values[others], *rows.of(others)),
            mean_difference(values[both], own[both], weights=weights, clusters=clusters, level=level),
        )

    enough = bool(min(own.sum(), others.sum()) >= _FEWEST)
    return _Asked(name, *named, None, enough, tolerance, measure)
