"""Leak: features that know the answer.

Such a feature is seldom knowledge and mostly the target in other words, something written down after the event, a gap
that only one outcome leaves, or an aggregate that the row itself went into. Honest strong features exist: so a small
table is never stopped, and a project can accept a finding by its code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.after_outcome import after_outcome
from mlwright.data.checks.aggregates import aggregates
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.one_feature import cells, line_r2, out_of_fold_auc, out_of_fold_r2
from mlwright.data.checks.sums import parts_of
from mlwright.data.checks.suspicion import Sample, Suspicion
from mlwright.data.checks.together import together
from mlwright.data.checks.wording import named, shown
from mlwright.data.checks.words_in_text import words_in_text
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Kind, Role, TaskKind
from mlwright.data.values import Coded, take

__all__ = ["Leak"]

_MOST_ROWS = 20_000
_FEWEST_ROWS = 20  # fewer say nothing
_FEWEST_TO_STOP = 100
_FEWEST_OF_CLASS_TO_STOP = (
    100  # so many rows of a class are seldom set apart by one honest feature, fewer are
)
_FEWEST_RECODED_TO_STOP = 30
_FEWEST_OF_CLASS = 10  # a class with fewer rows is set apart from the rest by chance
_STOP_AUC, _WARN_AUC = 0.999, 0.98
_STOP_R2, _WARN_R2 = 0.9999, 0.995
_EXACT = 1e-9
_N_FOLDS = 5
_MOST_CLASSES = 10  # of which aggregates are looked for
_EARLY = 1 / 3  # of the rows


class Leak(Check):
    """Features that tell the target alone, together with another, by being there, or by arithmetic.

    One feature alone is worth a look from an AUC of 0.98, or an R2 of 0.995, out of fold. Reason to stop are, from 100
    rows on (and as many of each class), an AUC of 0.999 or an R2 of 0.9999, and a number that is an exact linear
    function of up to ten others. `mlwright.data.checks.after_outcome`, `aggregates`, `together` and `words_in_text` say
    what else is. Large tables are looked at by 20,000 rows drawn with a fixed seed. For more than two classes the AUC is
    that of the class that the feature tells worst: a feature that tells one class of three is no leak. Classes with
    fewer than 10 rows do not count.
    """

    kind: ClassVar[str] = "leak"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding a suspicious feature, the worst first."""
        usable = np.flatnonzero(~np.isnan(context.y))
        classes, rarest = context.task.kind is not TaskKind.REGRESSION, 0
        if classes and len(usable):
            codes = context.y[usable].astype(np.int64)
            sizes = np.bincount(codes)
            usable = usable[sizes[codes] >= _FEWEST_OF_CLASS]
            rarest = int(min(sizes[sizes >= _FEWEST_OF_CLASS], default=0))
        rows = usable
        if len(usable) > _MOST_ROWS:
            drawn = generator(0, "leak", "rows").choice(usable, _MOST_ROWS, replace=False)
            rows = np.sort(drawn)
        if len(rows) < _FEWEST_ROWS or len(np.unique(context.y[rows])) < 2:
            return []
        sample = _sample(context, rows, classes=classes, rarest=rarest)
        alone = _alone(sample)
        suspicions = after_outcome(sample) + words_in_text(sample)
        if not np.isnan(context.y).any():
            suspicions += _aggregates(context)
        suspicions += alone
        sample = sample.without({s.columns[0] for s in suspicions})
        if not classes and not suspicions and (parts := parts_of(sample.columns, sample.y)):
            suspicions.append(_of_parts(parts))
        else:
            suspicions += together(sample)
        return self._findings(suspicions, can_stop=len(rows) >= _FEWEST_TO_STOP)

    def _findings(self, suspicions: list[Suspicion], *, can_stop: bool) -> list[Finding]:
        """Return one finding a column, the worst of it, in order."""
        found: dict[str, Finding] = {}
        scores: dict[str, float] = {}
        for suspicion in sorted(suspicions, key=lambda s: not s.stops):  # the first says best what it is
            name = suspicion.columns[0]
            if name in found:
                continue
            severity = Severity.STOP if suspicion.stops and can_stop else Severity.WARN
            advice = suspicion.advice or (
                f"Leave '{name}' out unless it is known when a prediction is asked for; "
                f"if it is, accept 'leak:{name}'."
            )
            if severity is Severity.WARN and not suspicion.advice:
                advice = (
                    f"Make sure that '{name}' is known when a prediction is asked for; else leave it out."
                )
            found[name] = Finding(self.kind, severity, suspicion.columns, suspicion.what, advice)
            scores[name] = suspicion.score
        return sorted(found.values(), key=lambda f: (f.severity is not Severity.STOP, -scores[f.columns[0]]))


def _sample(context: CheckContext, rows: Ints, *, classes: bool, rarest: int) -> Sample:
    y = context.y[rows]
    y = y if classes else y / np.abs(y).max()  # squares of any target stay finite
    kinds = {name: context.table.schema[name].kind for name in context.columns}
    times = _times(context)
    early = None
    if times is not None:
        known = times[rows]
        if np.isfinite(known).any():
            early = known <= np.nanquantile(known, _EARLY)
    fold = _fold(context, rows)
    personal = context.table.schema.personal
    return Sample(take(context.columns, rows), kinds, y, classes, rarest, fold, early, personal=personal)


def _times(context: CheckContext) -> Floats | None:
    """Return when each row was, where the split or a role says it."""
    split = context.split
    name = split.column if split is not None and split.kind == "time" else None
    if name is None:
        name = next((column.name for column in context.table.schema.having(Role.TIME)), None)
    if name is None or name not in context.table.arrow.column_names:
        return None
    values = context.table.columns([name])[name]
    return None if isinstance(values, Coded) else values


def _aggregates(context: CheckContext) -> list[Suspicion]:
    """Look for aggregates of the target, or where it has several classes, of whether it is one of them."""
    order = _order(context)
    if context.task.kind is not TaskKind.MULTICLASS:
        return aggregates(context.columns, context.y, order)
    found: dict[str, Suspicion] = {}
    sizes = np.bincount(context.y.astype(np.int64))
    for code in np.argsort(-sizes, kind="stable")[:_MOST_CLASSES]:
        if sizes[code] >= _FEWEST_OF_CLASS:
            for each in aggregates(context.columns, (context.y == code).astype(np.float64), order):
                what = each.what.replace("the target", "whether the target is one of its classes")
                found.setdefault(each.columns[0], replace(each, what=what))
    return list(found.values())


def _order(context: CheckContext) -> Ints | None:
    times = _times(context)
    return None if times is None else np.argsort(times, kind="stable")


def _fold(context: CheckContext, rows: Ints) -> Ints:
    """Return a fold a row: whole groups where the schema names a group or an entity, else at random."""
    rng = generator(0, "leak", "folds")
    present = set(context.table.arrow.column_names)
    for role in (Role.GROUP, Role.ENTITY):
        for column in context.table.schema.having(role):
            if column.name not in present:
                continue
            keys = context.table.columns([column.name])[column.name]
            raw = (keys.codes if isinstance(keys, Coded) else keys)[rows]
            distinct, place = np.unique(raw, return_inverse=True)
            if len(distinct) >= _N_FOLDS:
                return rng.permutation(np.arange(len(distinct)) % _N_FOLDS)[place]
    return rng.permutation(np.arange(len(rows)) % _N_FOLDS)


def _alone(sample: Sample) -> list[Suspicion]:
    """Look at each feature alone, and keep in the sample what it tells."""
    found = []
    codes = sample.codes if sample.classes else np.zeros(0, np.int64)
    for name, values in sample.columns.items():
        score, suspicion = (
            _of_classes(name, values, codes, sample)
            if sample.classes
            else _of_number(name, values, sample, is_time=sample.kinds[name] is Kind.DATETIME)
        )
        sample.alone[name] = score
        if suspicion is not None:
            found.append(suspicion)
    return found


def _of_classes(
    name: str, values: Floats | Coded, codes: Ints, sample: Sample
) -> tuple[float, Suspicion | None]:
    """Return the feature's AUC, and what is suspicious in it."""
    enough = sample.rarest >= _FEWEST_OF_CLASS_TO_STOP
    cut = cells(values, sample.fold)
    if cut.cell.max() == 0:
        return 0.5, None
    auc = out_of_fold_auc(cut, values, codes, int(codes.max()) + 1)
    if auc < _WARN_AUC:
        return auc, None
    if not cut.fine and _is_recoding(cut.cell, codes):
        enough = sample.rarest >= _FEWEST_RECODED_TO_STOP
        what = f"'{name}' is the target in other words: each value stands for one class (AUC {shown(auc)})."
    elif _present_alone(values):
        return auc, None  # what its gaps tell is said of gaps
    else:
        what = f"'{name}' tells the target almost by itself (AUC {shown(auc)} out of fold)."
    return auc, Suspicion((name,), auc, auc >= _STOP_AUC and enough, what)


def _present_alone(values: Floats | Coded) -> bool:
    """Whether a feature has gaps and one value: then it tells no more than they do."""
    known: NDArray[np.generic] = (
        values.codes[values.codes >= 0] if isinstance(values, Coded) else values[~np.isnan(values)]
    )
    return (
        len(known) < len(values.codes if isinstance(values, Coded) else values) and len(np.unique(known)) == 1
    )


def _of_number(
    name: str, values: Floats | Coded, sample: Sample, *, is_time: bool
) -> tuple[float, Suspicion | None]:
    """Return the feature's R2, and what is suspicious in it."""
    y = sample.y
    line = line_r2(values, y)
    if line >= 1 - _EXACT:
        what = f"The target is an exact linear function of '{name}' (R2 {shown(line)})."
        return 1.0, Suspicion((name,), 1.0, stops=True, what=what)
    cut = cells(values, sample.fold)
    if cut.cell.max() == 0:
        return 0.0, None
    r2 = max(line, out_of_fold_r2(cut, values, y, neighbours=not is_time))
    if r2 < _WARN_R2:
        return max(r2, 0.0), None
    what = f"'{name}' tells the target almost by itself (R2 {shown(r2)} out of fold)."
    return r2, Suspicion((name,), r2, r2 >= _STOP_R2, what)


def _of_parts(parts: tuple[str, ...]) -> Suspicion:
    what = f"The target is an exact linear function of {named(parts)} taken together."
    advice = (
        f"Leave them out unless they are known when a prediction is asked for; "
        f"if they are, accept 'leak:{parts[0]}'."
    )
    return Suspicion(parts, 1.0, stops=True, what=what, advice=advice)


def _is_recoding(cell: Ints, codes: Ints) -> bool:
    """Whether cells and classes stand in pairs."""
    pairs = np.unique(cell * (int(codes.max()) + 1) + codes)
    return len(pairs) == len(np.unique(cell)) == len(np.unique(codes))
