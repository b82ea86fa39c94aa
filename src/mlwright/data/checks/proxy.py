"""Proxy: columns that tell what a banned column says, and so bring it back."""

from __future__ import annotations

from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.one_feature import Cells
from mlwright.data.checks.telling import Told, auc_range, coarse, crossed, scores_of, told_cells
from mlwright.data.checks.wording import named
from mlwright.data.findings import Finding, Severity
from mlwright.data.values import Coded, take

__all__ = ["Proxy"]

_MOST_ROWS, _CELLS = 5_000, 500_000  # of columns times rows
_FEWEST = 50  # rows of a value, and of all others
_FEW_VALUES, _MOST_LEVELS = 10, 6
_LEAST, _CLEAR = 0.6, 0.75  # the lower end of the AUC's range: to be named, to warn
_PAIRED, _MORE = 8, 0.05  # columns that are paired; what a pair must tell beyond the better one
_MOST_TOLD = 3
_ALL = 0.05  # the chance of one false proxy among all that are looked at


class _Answer(NamedTuple):
    """A yes or no that the banned column says of a row: which, in words, and the answers."""

    words: str
    yes: NDArray[np.bool_]


class Proxy(Check):
    """Features from which a banned column can be told, one by one, two together, and all together.

    What is told is whether the banned column has one of its (six most frequent) values, or is above its median; how well, as
    an AUC out of fold with a range that allows for all columns that were looked at. The banned column must be in the table to
    be compared with, used or ignored. Up to 5,000 rows are looked at.
    """

    kind: ClassVar[str] = "proxy"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return up to three findings a banned column for its clearest proxies, and one for the others."""
        schema, present = context.table.schema, set(context.table.arrow.column_names)
        target = context.task.target
        banned = [n for n in dict.fromkeys(context.banned) if n in schema and n in present and n != target]
        names = [name for name in context.columns if name not in banned]
        if not banned or not names:
            return []
        most = min(_MOST_ROWS, max(1_000, _CELLS // len(names)))
        n_rows = context.table.n_rows
        rows = np.arange(n_rows) if n_rows <= most else np.linspace(0, n_rows - 1, most).astype(np.int64)
        fold = generator(0, "proxy", "folds").permutation(np.arange(len(rows)) % 5)
        columns = take(context.columns, rows)
        cuts = {name: told_cells(values, fold) for name, values in columns.items() if name in names}
        cuts = {name: cut for name, cut in cuts.items() if cut.cell.max() > 0}
        findings: list[Finding] = []
        for ban in banned:
            answers = _answers(ban, context, rows)
            if answers and cuts:
                findings += self._of(ban, answers, cuts)
        return sorted(findings, key=lambda finding: finding.severity is not Severity.WARN)

    def _of(self, ban: str, answers: list[_Answer], cuts: dict[str, Cells]) -> list[Finding]:
        alone: dict[tuple[str, ...], tuple[Told, _Answer]] = {}
        n_looks = len(answers) * (len(cuts) + _PAIRED * (_PAIRED - 1) // 2)
        z = _quantile(1 - _ALL / (2 * n_looks))
        whole: list[Told] = []
        for answer in answers:
            scores = {name: scores_of(cut, answer.yes) for name, cut in cuts.items()}
            told: dict[tuple[str, ...], Told] = {
                (name,): auc_range(score, answer.yes, z) for name, score in scores.items()
            }
            added = [
                scores_of(coarse(cut), answer.yes) if cut.fine else scores[name] for name, cut in cuts.items()
            ]
            whole.append(auc_range(np.sum(added, axis=0), answer.yes, z))
            strong = sorted(told, key=lambda names: -told[names].auc)[:_PAIRED]
            few = {names: coarse(cuts[names[0]]) for names in strong}
            for one, other in combinations(strong, 2):
                pair = auc_range(scores_of(crossed(few[one], few[other]), answer.yes), answer.yes, z)
                if pair.low > max(told[one].auc, told[other].auc) + _MORE:
                    told[one + other] = pair
            for names, each in told.items():
                if names not in alone or each.low > alone[names][0].low:
                    alone[names] = each, answer
        order = sorted(
            (names for names in alone if alone[names][0].low >= _LEAST), key=lambda n: -alone[n][0].low
        )
        if not order:
            return []
        top = [names for names in order[:_MOST_TOLD] if alone[names][0].low >= _CLEAR] or order[:1]
        findings = [self._finding(ban, names, *alone[names]) for names in top]
        rest = [names for names in order if names not in top]
        best = max(whole, key=lambda told: told.low)
        if best.low > alone[order[0]][0].high:
            first = findings[0]
            what = f"{first.what} All columns together tell it with AUC {_range(best)}."
            findings[0] = Finding(self.kind, first.severity, first.columns, what, first.advice)
        if rest:
            said = ", ".join(f"{_pair(names)} {alone[names][0].auc:.2f}" for names in rest[:5])
            more = f" and {len(rest) - 5} more" if len(rest) > 5 else ""
            what = f"The banned '{ban}' can be told less well from (AUC) {said}{more}."
            columns = tuple(dict.fromkeys(name for names in rest for name in names))
            findings.append(Finding(self.kind, Severity.INFO, (*columns, ban), what, _advice(columns[0])))
        return findings

    def _finding(self, ban: str, names: tuple[str, ...], told: Told, answer: _Answer) -> Finding:
        severity = Severity.WARN if told.low >= _CLEAR else Severity.INFO
        how = "alone tells" if len(names) == 1 else "together tell"
        what = f"{named(names)} {how} {answer.words} of the banned '{ban}' with AUC {_range(told)}; 0.5 is chance."
        return Finding(self.kind, severity, (*names, ban), what, _advice(names[0]))


def _pair(names: tuple[str, ...]) -> str:
    return " with ".join(named([name]) for name in names)


def _advice(name: str) -> str:
    return (
        f"Leave '{name}' out as well, or show by `[fairness] groups` that the model treats the groups alike; to drop a "
        "banned column does not do away with what stands for it."
    )


def _range(told: Told) -> str:
    return f"{told.auc:.2f} ({told.low:.2f} to {told.high:.2f})"


def _quantile(share: float) -> float:
    from scipy.special import ndtri  # heavy

    return float(ndtri(share))


def _answers(ban: str, context: CheckContext, rows: Ints) -> list[_Answer]:
    """Return what the banned column says, as questions of yes and no; none if its values are too rare."""
    column = context.table.schema[ban]
    values = take({ban: context.table.columns([ban])[ban]}, rows)[ban]
    raw: Floats | Ints
    if isinstance(values, Coded):
        raw, known = values.codes, values.codes >= 0
    else:
        raw, known = values, ~np.isnan(values)
    distinct, counts = np.unique(raw[known], return_counts=True)
    if not isinstance(values, Coded) and len(distinct) > _FEW_VALUES:
        middle = float(np.median(values[known]))
        asked = [_Answer("the upper half" if column.pii else f"values above {middle:.6g}", values > middle)]
    else:
        frequent = distinct[np.argsort(-counts, kind="stable")][: 1 if len(distinct) == 2 else _MOST_LEVELS]
        asked = [_Answer(_value(code, values, hidden=column.pii), raw == code) for code in frequent]
    return [each for each in asked if _FEWEST <= each.yes.sum() <= len(rows) - _FEWEST]


def _value(code: float, values: Floats | Coded, *, hidden: bool) -> str:
    if hidden:
        return "one value"
    return (
        f"the value '{values.levels[int(code)][:60]}'" if isinstance(values, Coded) else f"the value {code:g}"
    )
