"""Leak: a single feature that tells the target almost by itself.

Such a feature is seldom knowledge and mostly the target in other words, something written down after the event, or a
gap that only one outcome leaves. Honest strong features exist: so a small table is never stopped, and a project can
accept a finding by its code.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.one_feature import cells, gap_auc, line_r2, out_of_fold_auc, out_of_fold_r2
from mlwright.data.checks.sums import parts_of
from mlwright.data.checks.wording import named
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
_STOP_AUC, _WARN_AUC, _WARN_GAP = 0.999, 0.98, 0.95
_FEWEST_KNOWN, _CHANCE = 50, 1e-9  # of a feature that is there for one class alone
_STOP_R2, _WARN_R2 = 0.9999, 0.995
_EXACT = 1e-9
_N_FOLDS = 5


class Leak(Check):
    """Features that alone reach an AUC of 0.98, or an R2 of 0.995, out of fold.

    Reason to stop are, from 100 rows on (and as many of each class), an AUC of 0.999 or an R2 of 0.9999, and a number
    that is an exact linear function of up to ten others. A gap is worth a look from an AUC of 0.95 on, or where the
    feature is known for one class alone. Large tables are looked at by 20,000
    rows drawn with a fixed seed. For more than two classes the AUC is that of the class that the feature tells worst:
    a feature that tells one class of three is no leak. Classes with fewer than 10 rows do not count.
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
        if len(usable) > _MOST_ROWS:
            drawn = generator(0, "leak", "rows").choice(usable, _MOST_ROWS, replace=False)
            usable = np.sort(drawn)
        if len(usable) < _FEWEST_ROWS or len(np.unique(context.y[usable])) < 2:
            return []
        y = context.y[usable]
        y = y if classes else y / np.abs(y).max()  # squares of any target stay finite
        fold = self._fold(context, usable)
        can_stop = len(usable) >= _FEWEST_TO_STOP
        scored: list[tuple[float, Finding]] = []
        looked_at = take(context.columns, usable)
        for name, values in looked_at.items():
            is_time = context.table.schema[name].kind is Kind.DATETIME
            found = (
                self._classes(name, values, y, fold, rarest)
                if classes
                else self._number(name, values, y, fold, is_time=is_time)
            )
            if found is None:
                continue
            score, stops, what = found
            severity = Severity.STOP if stops and can_stop else Severity.WARN
            advice = (
                f"Leave '{name}' out unless it is known when a prediction is asked for; "
                f"if it is, accept 'leak:{name}'."
            )
            if severity is Severity.WARN:
                advice = (
                    f"Make sure that '{name}' is known when a prediction is asked for; else leave it out."
                )
            scored.append((score, Finding(self.kind, severity, (name,), what, advice)))
        if not classes and can_stop and not scored and (parts := parts_of(looked_at, y)):
            what = f"The target is an exact linear function of {named(parts)} taken together."
            advice = (
                f"Leave them out unless they are known when a prediction is asked for; "
                f"if they are, accept 'leak:{parts[0]}'."
            )
            scored.append((1.0, Finding(self.kind, Severity.STOP, parts, what, advice)))
        scored.sort(key=lambda pair: (pair[1].severity is not Severity.STOP, -pair[0]))
        return [finding for _, finding in scored]

    def _fold(self, context: CheckContext, rows: Ints) -> Ints:
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

    def _classes(
        self, name: str, values: Floats | Coded, y: Floats, fold: Ints, rarest: int
    ) -> tuple[float, bool, str] | None:
        """Return a score, whether it is reason to stop, and what was found."""
        enough = rarest >= _FEWEST_OF_CLASS_TO_STOP
        labels, codes = np.unique(y, return_inverse=True)
        codes = codes.astype(np.int64)
        gap = gap_auc(values, codes, len(labels))
        if gap >= _WARN_GAP:
            what = f"Whether '{name}' is missing tells the target almost by itself (AUC {_shown(gap)})."
            return gap, gap >= _STOP_AUC and enough, what
        cut = cells(values, fold)
        if cut.cell.max() == 0:
            return None
        auc = out_of_fold_auc(cut, values, codes, len(labels))
        if auc < _WARN_AUC:
            return _known_for_one(name, values, codes)
        if not cut.fine and _is_recoding(cut.cell, codes):
            return (
                auc,
                auc >= _STOP_AUC and rarest >= _FEWEST_RECODED_TO_STOP,
                f"'{name}' is the target in other words: each value stands for one class (AUC {_shown(auc)}).",
            )
        return (
            auc,
            auc >= _STOP_AUC and enough,
            f"'{name}' tells the target almost by itself (AUC {_shown(auc)} out of fold).",
        )

    def _number(
        self, name: str, values: Floats | Coded, y: Floats, fold: Ints, *, is_time: bool
    ) -> tuple[float, bool, str] | None:
        """Return a score, whether it is reason to stop, and what was found."""
        line = line_r2(values, y)
        if line >= 1 - _EXACT:
            return 1.0, True, f"The target is an exact linear function of '{name}' (R2 {_shown(line)})."
        cut = cells(values, fold)
        if cut.cell.max() == 0:
            return None
        r2 = max(line, out_of_fold_r2(cut, values, y, neighbours=not is_time))
        if r2 < _WARN_R2:
            return None
        return (
            r2,
            r2 >= _STOP_R2,
            f"'{name}' tells the target almost by itself (R2 {_shown(r2)} out of fold).",
        )


def _known_for_one(name: str, values: Floats | Coded, codes: Ints) -> tuple[float, bool, str] | None:
    """Return a finding if the feature is missing in most rows and known for one class alone, beyond chance."""
    known = values.codes >= 0 if isinstance(values, Coded) else ~np.isnan(values)
    n_known = int(known.sum())
    if not _FEWEST_KNOWN <= n_known <= len(codes) / 2 or (codes[known] != codes[known][0]).any():
        return None
    share = float(np.mean(codes == codes[known][0]))
    if share**n_known > _CHANCE:
        return None
    what = f"'{name}' is known in {n_known:,} rows only, and they are all of one class."
    return _WARN_AUC, False, what


def _is_recoding(cell: Ints, codes: Ints) -> bool:
    """Whether cells and classes stand in pairs."""
    pairs = np.unique(cell * (int(codes.max()) + 1) + codes)
    return len(pairs) == len(np.unique(cell)) == len(np.unique(codes))


def _shown(score: float) -> str:
    """Return a score with as many digits as tell it from 1."""
    return "1" if score >= 1 - 1e-9 else f"{score:.{4 if score < 0.9999 else 6}f}"
