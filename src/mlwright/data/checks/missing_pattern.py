"""Missing pattern: which columns are missing together, and what goes with that."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.wording import named, plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.data.values import Coded, Columns, take

__all__ = ["MissingPattern"]

_MOST_ROWS, _FEWEST = 5_000, 30  # rows that are looked at; with and without a value
_TOGETHER = 0.95  # of the rows in which one of two columns is missing, both are
_MOST_PATTERNS = 20
_GOES_WITH = 0.5  # difference of a rule's share among the rows with a gap and those without
_WITH_TARGET, _LEAK = 0.1, 0.45  # difference of an AUC from 0.5; the check `leak` speaks of those above
_FALSE = 0.01
_MOSTLY = 0.5
_MOST_LEVELS = 200


class _Rule(NamedTuple):
    """Where a pattern's columns are missing: in this share of its rows, and in that of the others."""

    names: tuple[str, ...]
    other: str
    where: str
    inside: float
    outside: float
    gap: float


class _Look(NamedTuple):
    """How gaps go with the target: the chance of as much, how far an AUC is from 0.5, and in words."""

    chance: float
    size: float
    said: str


class MissingPattern(Check):
    """Gaps that are no accident: columns missing together, where another column says so, or more for some targets.

    Each is noted only: most tables have a good reason for it. 5,000 rows and the 20 most frequent patterns are looked at. A
    rule that holds for half of the gaps more than for other rows comes up by chance less often than once in a thousand tables
    (30 gaps, the bound of Dvoretzky, Kiefer and Wolfowitz); what goes with the target has its false discoveries controlled.
    """

    kind: ClassVar[str] = "missing_pattern"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return one finding each: for columns missing together, for rules by other columns, for the target."""
        n_rows = context.table.n_rows
        if n_rows < 2 * _FEWEST:
            return []
        gaps = {name: _missing(values) for name, values in context.columns.items()}
        patterns = _patterns({name: gap for name, gap in gaps.items() if _FEWEST <= gap.sum() < n_rows})
        rows = np.arange(n_rows)
        if n_rows > _MOST_ROWS:
            rows = np.linspace(0, n_rows - 1, _MOST_ROWS).astype(np.int64)
        some = {
            names: gaps[names[0]][rows]
            for names in patterns
            if min(gaps[names[0]][rows].sum(), (~gaps[names[0]][rows]).sum()) >= _FEWEST
        }
        findings = [*self._together(patterns, gaps), *self._rules(some, take(context.columns, rows), context)]
        return [*findings, *self._target(some, context.y[rows], context.task)]

    def _together(self, patterns: list[tuple[str, ...]], gaps: dict[str, NDArray[np.bool_]]) -> list[Finding]:
        """Tell of columns that are missing in the same rows; the check `missing` has those that are mostly gaps."""
        found = [names for names in patterns if len(names) > 1 and gaps[names[0]].mean() <= _MOSTLY]
        if not found:
            return []
        said = [f"{named(names)} ({share(float(gaps[names[0]].mean()))} of the rows)" for names in found[:3]]
        more = f" and {plural(len(found) - 3, 'more group')}" if len(found) > 3 else ""
        what = f"Missing together are {'; '.join(said)}{more}."
        advice = "They likely come from one source or one question: if it fails, a record lacks all of them at once."
        return [Finding(self.kind, Severity.INFO, tuple(n for names in found for n in names), what, advice)]

    def _rules(
        self, some: dict[tuple[str, ...], NDArray[np.bool_]], columns: Columns, context: CheckContext
    ) -> list[Finding]:
        """Tell of gaps that another column's values announce."""
        personal = context.table.schema.personal
        found: list[_Rule] = []
        for names, gap in some.items():
            looked = [name for name in columns if name not in names and name not in personal]
            rules = [
                rule for other in looked if (rule := _rule(names, gap, other, columns[other])) is not None
            ]
            found += sorted(rules, key=lambda rule: -rule.gap)[:1]
        found.sort(key=lambda rule: -rule.gap)
        if not found:
            return []
        first = found[0]
        what = (
            f"{named(first.names)} {'is' if len(first.names) == 1 else 'are'} missing in {share(first.inside)} of the rows "
            f"in which {first.where}, and in {share(first.outside)} of the others."
        )
        if len(found) > 1:
            pairs = [f"{named(rule.names, 2)} where {rule.where}" for rule in found[1:4]]
            more = f" and {len(found) - 4} more" if len(found) > 4 else ""
            what += f" So go the gaps of {'; of '.join(pairs)}{more}."
        advice = "The gap likely means 'does not apply': nothing to do if records come with the same gaps."
        columns_named = tuple(dict.fromkeys(n for rule in found for n in (*rule.names[:1], rule.other)))
        return [Finding(self.kind, Severity.INFO, columns_named, what, advice)]

    def _target(
        self, some: dict[tuple[str, ...], NDArray[np.bool_]], y: NDArray[np.float64], task: Task
    ) -> list[Finding]:
        """Tell of gaps that come more often with some targets than with others."""
        if not task.kind.needs_target or not task.target:
            return []
        looks = [
            (names, look) for names, gap in some.items() if (look := _with_target(gap, y, task)) is not None
        ]
        looks.sort(key=lambda each: each[1].chance)
        passed = [i for i, (_, look) in enumerate(looks) if look.chance <= _FALSE * (i + 1) / len(looks)]
        beyond_chance = looks[: passed[-1] + 1] if passed else []
        told = [(names, look) for names, look in beyond_chance if _WITH_TARGET <= look.size <= _LEAK]
        told.sort(key=lambda each: -each[1].size)
        if not told:
            return []
        names, first = told[0]
        others = [more[0] for more, _ in told[1:]]
        what = f"{named(names)} {'is' if len(names) == 1 else 'are'} missing {first.said}."
        if others:
            what += f" Of {named(others)} the gaps go with the target as well."
        advice = (
            "A model learns from that: make sure that a gap comes about in the same way, and as early, when predictions are "
            "asked for."
        )
        return [Finding(self.kind, Severity.INFO, (*names[:1], *others), what, advice)]


def _missing(values: NDArray[np.float64] | Coded) -> NDArray[np.bool_]:
    return values.codes < 0 if isinstance(values, Coded) else np.isnan(values)


def _patterns(gaps: dict[str, NDArray[np.bool_]]) -> list[tuple[str, ...]]:
    """Return the columns in groups that are missing in (nearly) the same rows, those with most gaps first."""
    groups: list[list[str]] = []
    sizes = {name: int(gap.sum()) for name, gap in gaps.items()}
    for name in sorted(gaps, key=lambda name: -sizes[name]):
        for group in groups:
            first = group[0]
            if sizes[name] < _TOGETHER * sizes[first]:
                continue
            both = int((gaps[name] & gaps[first]).sum())
            if both >= _TOGETHER * (sizes[name] + sizes[first] - both):
                group.append(name)
                break
        else:
            groups.append([name])
        if len(groups) > 2 * _MOST_PATTERNS:
            break
    return [tuple(group) for group in groups[:_MOST_PATTERNS]]


def _rule(
    names: tuple[str, ...], gap: NDArray[np.bool_], other: str, values: NDArray[np.float64] | Coded
) -> _Rule | None:
    """Return the value or the border of another column that the gaps go with most; None if with none enough."""
    found = _level(gap, values) if isinstance(values, Coded) else _border(gap, values)
    if found is None or found[0] < _GOES_WITH:
        return None
    size, inside, words = found
    where = words.format(f"'{other}'")
    return _Rule(names, other, where, float(gap[inside].mean()), float(gap[~inside].mean()), size)


def _level(gap: NDArray[np.bool_], values: Coded) -> tuple[float, NDArray[np.bool_], str] | None:
    n_levels = len(values.levels)
    if not 2 <= n_levels + 1 <= _MOST_LEVELS:
        return None
    counts = [
        np.bincount(values.codes[rows] + 1, minlength=n_levels + 1) / rows.sum() for rows in (gap, ~gap)
    ]
    difference = counts[0] - counts[1]
    best = int(np.abs(difference).argmax())
    if best == 0 and difference[0] > 0:
        words = "{} is missing as well"
    elif best == 0:
        words = "{} is there"
    else:
        text = values.levels[best - 1][:60].replace("{", "{{").replace("}", "}}")
        words = f"{{}} is {'' if difference[best] > 0 else 'other than '}'{text}'"
    inside = values.codes == best - 1
    return float(abs(difference[best])), inside if difference[best] > 0 else ~inside, words


def _border(
    gap: NDArray[np.bool_], values: NDArray[np.float64]
) -> tuple[float, NDArray[np.bool_], str] | None:
    known = ~np.isnan(values)
    n_gap, n_full = int(gap.sum()), int((~gap).sum())
    order = np.argsort(values[known], kind="stable")
    ordered, steps = values[known][order], gap[known][order]
    away = (gap & ~known).sum() / n_gap - (~gap & ~known).sum() / n_full
    best, inside, words = (
        float(abs(away)),
        ~known if away > 0 else known,
        "{} is missing as well" if away > 0 else "{} is there",
    )
    if len(ordered) > 1:
        rises = np.cumsum(steps) / n_gap - np.cumsum(~steps) / n_full
        rises = np.where(np.append(ordered[1:] > ordered[:-1], True), rises, 0.0)
        at = int(np.abs(rises).argmax())
        if abs(float(rises[at])) > best + 1e-9:
            best, border = abs(float(rises[at])), float(ordered[at])
            low = known & (values <= border)
            way = ("at most " if border > ordered[0] else "") if rises[at] > 0 else "above "
            words = f"{{}} is {way}{border:.6g}"
            inside = low if rises[at] > 0 else known & ~low
    return best, inside, words


def _with_target(gap: NDArray[np.bool_], y: NDArray[np.float64], task: Task) -> _Look | None:
    """Return how gaps go with the target; None where there are too few."""
    from scipy.special import chdtrc, ndtr  # heavy

    known = ~np.isnan(y)
    gap, y = gap[known], y[known]
    n_gap, n_full = int(gap.sum()), int((~gap).sum())
    if min(n_gap, n_full) < _FEWEST:
        return None
    if task.kind is TaskKind.REGRESSION:
        _, place, size = np.unique(y, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(size) - (size - 1) / 2.0)[place.ravel()]
        auc = (float(ranks[gap].sum()) - n_gap * (n_gap + 1) / 2) / (n_gap * n_full)
        error = float(np.std(ranks, ddof=1)) * np.sqrt(1 / n_gap + 1 / n_full) / len(y)
        chance = float(2 * ndtr(-abs(auc - 0.5) / max(error, 1e-12)))
        middle = float(np.median(y[gap])), float(np.median(y[~gap]))
        said = f"more often where '{task.target}' is {'high' if auc > 0.5 else 'low'}: its median is {middle[0]:,.6g} there and {middle[1]:,.6g} elsewhere"
        return _Look(chance, abs(auc - 0.5), said)
    codes: Ints = y.astype(np.int64)
    counts = np.stack([np.bincount(codes[rows], minlength=len(task.labels)) for rows in (gap, ~gap)]).astype(
        float
    )
    counts = counts[:, counts.sum(axis=0) >= _FEWEST]
    if counts.shape[1] < 2:
        return None
    present = np.flatnonzero(np.bincount(codes, minlength=len(task.labels)) >= _FEWEST)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    chance = float(chdtrc(counts.shape[1] - 1, float(((counts - expected) ** 2 / expected).sum())))
    by_class = counts[0] / counts.sum(axis=0)
    most, least = int(by_class.argmax()), int(by_class.argmin())
    labels = [task.labels[int(code)] for code in present]
    said = (
        f"in {share(float(by_class[most]))} of the rows of class {labels[most]!r} and in {share(float(by_class[least]))} of "
        f"class {labels[least]!r}"
    )
    return _Look(chance, float(by_class[most] - by_class[least]) / 2, said)
