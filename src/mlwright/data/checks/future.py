"""Future: rows that train though they are later than those that are tested, and dates that cannot be known yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.checks.after_outcome import is_told_afterwards
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.sides import sides
from mlwright.data.checks.wording import plural, share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Kind, Role
from mlwright.data.split_names import is_date_of_life, is_event_time_name, words_of
from mlwright.data.split_signs import event_time
from mlwright.data.values import Coded

__all__ = ["Future"]

_DAY = 86_400.0
_FEWEST, _OFTEN = 5, 0.01  # rows; of the rows with both dates
_MOST_DATES = 20
_LATER = 0.01  # of the training rows
_AS_OF = re.compile(
    r"(?:^|_)(?:as_?of|snapshot|extract(?:ed|ion)?|export(?:ed)?|report(?:ing)?|cut_?off|observation)(?:_|$)"
)
_PLANNED = frozenset(
    [
        "appointment",
        "arrival",
        "checkin",
        "checkout",
        "delivery",
        "departure",
        "due",
        "end",
        "expected",
        "expiry",
        "estimated",
        "forecast",
        "next",
        "planned",
        "promised",
        "renewal",
        "requested",
        "scheduled",
        "target",
        "trial",
        "until",
    ]
)


class Future(Check):
    """Training rows that are later than test rows, and dates after today, after the row's own moment, or after an outcome.

    It warns where a time says when rows happened and the split does not go by it, or the user's own test rows are not the
    later ones; where rows are dated after today; where a date lies after the date as of which the file was written; where
    a date that a model would see lies after the row's own time, or after the date at which the outcome came. Dates that
    are known beforehand by their name (`due`, `planned`, `checkout`) are passed over.
    """

    kind: ClassVar[str] = "future"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding a column."""
        dates = _dates(context)
        if not dates and context.split is None:
            return []
        time = _time(context)
        found = [] if time is None else self._sides(context, time)
        found += self._after_today(context, dates)
        named = {finding.columns[0] for finding in found}
        for base, moment, said in _moments(context, dates, time):
            for name, values in dates.items():
                if name in named or name == base or _is_planned(name) or _as_of(name):
                    continue
                if context.table.schema[name].role is not Role.FEATURE:
                    continue
                finding = self._later(name, values, base, moment, said)
                if finding is not None:
                    found.append(finding)
                    named.add(name)
        return found

    def _sides(self, context: CheckContext, name: str) -> list[Finding]:
        """Compare when rows train with when they are tested."""
        split = context.split
        if split is None or (split.kind == "time" and context.test is None):
            return []
        both = sides(context, [name])
        if both is None or name not in both.columns or isinstance(both.columns[name], Coded):
            return []
        times = np.asarray(both.columns[name], np.float64)
        train, test = times[~both.is_test], times[both.is_test]
        train, test = train[~np.isnan(train)], test[~np.isnan(test)]
        if not len(train) or not len(test):
            return []
        later = float((train > np.median(test)).mean())
        if later <= _LATER:
            return []
        what = f"{share(later)} of the training rows are later by '{name}' than half of the test rows: the score is of a past that was known."
        advice = (
            f"Test on the latest rows, as those to come are: `--split 'time:{name}'`."
            if not both.own
            else f"Give test rows that are later by '{name}' than all that train."
        )
        return [Finding(self.kind, Severity.WARN, (name,), what, advice)]

    def _after_today(self, context: CheckContext, dates: dict[str, Floats]) -> list[Finding]:
        found = []
        for name, values in dates.items():
            if not (is_event_time_name(name) or is_told_afterwards(name)) or _is_planned(name):
                continue
            ahead = values > context.now + _DAY  # a day, since a date may be of another zone
            n_ahead = int(ahead.sum())
            if n_ahead:
                what = f"{plural(n_ahead, 'row')} {'is' if n_ahead == 1 else 'are'} dated after today by '{name}', up to {_day(values[ahead].max())}."
                advice = "Leave rows out that have not happened yet, or mend the dates."
                found.append(Finding(self.kind, Severity.WARN, (name,), what, advice))
        return found

    def _later(self, name: str, values: Floats, base: str, moment: Floats, said: str) -> Finding | None:
        known = ~(np.isnan(values) | np.isnan(moment))
        late = int((values[known] > moment[known] + _DAY).sum())
        if late < max(_FEWEST, _OFTEN * known.sum()):
            return None
        what = f"'{name}' lies after '{base}', {said}, in {late:,} of {int(known.sum()):,} rows: it was written down later."
        advice = f"Leave '{name}' out, and what was filled in with it, unless it is a plan that is known when a prediction is asked for."
        return Finding(self.kind, Severity.WARN, (name, base), what, advice)


def _dates(context: CheckContext) -> dict[str, Floats]:
    present = set(context.table.arrow.column_names)
    names = [
        c.name
        for c in context.table.schema.columns
        if c.kind is Kind.DATETIME and c.name in present and c.role is not Role.TARGET
    ][:_MOST_DATES]
    return {name: v for name, v in context.table.columns(names).items() if not isinstance(v, Coded)}


def _time(context: CheckContext) -> str | None:
    """Return the column that says when a row happened: by the split, a role, its name or its order."""
    split, table = context.split, context.table
    if split is not None and split.kind == "time":
        return split.column
    present = set(table.arrow.column_names)
    role = next((c.name for c in table.schema.having(Role.TIME) if c.name in present), None)
    if role is not None:
        return role
    choice = event_time(table, context.task, [])
    return None if choice is None or choice.parts else choice.column


def _moments(
    context: CheckContext, dates: dict[str, Floats], time: str | None
) -> list[tuple[str, Floats, str]]:
    """Return the dates that no feature may lie after, each with what it says."""
    found = [
        (name, values, "as of which the file was written") for name, values in dates.items() if _as_of(name)
    ]
    if time in dates:
        found.append((time, dates[time], "when the row happened"))
    outcome = [n for n in dates if n != time and _is_outcome(n, context.task.target)]
    return found + [(name, dates[name], "when the outcome came") for name in outcome]


def _as_of(name: str) -> bool:
    return bool(_AS_OF.search("_".join(words_of(name))))


def _is_outcome(name: str, target: str) -> bool:
    """Whether a date is called like the target: 'churn_date' for 'churned'."""
    stems = {word[:5] for word in words_of(target) if len(word) >= 4}
    return bool(stems & {word[:5] for word in words_of(name)})


def _is_planned(name: str) -> bool:
    return is_date_of_life(name) or not _PLANNED.isdisjoint(words_of(name))


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
