"""Group words: slices and named groups as parts of a report, in sentences for people. Knows no HTML or Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from mlwright.data.findings import Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.cuts import Condition
from mlwright.evaluate.fairness import FEW, FLAGGED, FOUR_FIFTHS, Comparison, Fairness
from mlwright.evaluate.slices import Slice, Slices
from mlwright.evaluate.words import PLAIN, Voice, label, metric_title, number
from mlwright.metrics.intervals import Interval

__all__ = [
    "CRITERIA",
    "NamedGroups",
    "WeakSlices",
    "compared",
    "loss_title",
    "nothing_found",
    "slice_sentence",
    "where",
]

CRITERIA = {
    "four_fifths": "how often it is called (four-fifths rule)",
    "true_positive": "how many of those that are it finds",
    "false_positive": "how often it calls those that are not",
    "precision": "how often it is right when it calls",
    "right": "how often it is right",
    "calibration": "whether probabilities are true",
    "level": "how high predictions are",
    "bias": "whether predictions are too high or too low",
    "absolute_error": "how far off predictions are",
}
_LOSSES = {"wrong": "share of wrong calls", "absolute_error": "mean absolute error"}
_MOST_CAUTIONS = 2
_OFF = 0.03  # of a mean probability from the truth: worth a word
_MINUS = "\u2212"


def loss_title(name: str) -> str:
    """Return what a loss that `mlwright.evaluate.slices.row_losses` names is called."""
    return _LOSSES.get(name) or metric_title(name)


def where(conditions: Iterable[Condition], voice: Voice = PLAIN) -> str:
    """Return what the rows of a slice or a group have in common.

    Examples
    --------
    >>> where([Condition("plan", level="month"), Condition("age", low=17, high=28), Condition("tenure")])
    'plan = month and age from 17 to 28 and tenure missing'
    """
    return " and ".join(_where(each, voice) for each in conditions)


def _where(condition: Condition, voice: Voice) -> str:
    name = voice.name(condition.column)
    if condition.level is not None:
        between = {"month": "in", "weekday": "on a"}.get(condition.part, "=")
        return f"{name} {between} {voice.text(_short(condition.level))}"
    if condition.low is None or condition.high is None:
        return f"{name} missing"
    low, high = (_value(end, condition.part) for end in (condition.low, condition.high))
    part = f" ({condition.part})" if condition.part else ""
    return f"{name}{part} = {low}" if low == high else f"{name}{part} from {low} to {high}"


def _value(value: float, part: str) -> str:
    return str(int(value)) if part else number(value, 4)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\u2026"


def _hundred(value: float, *, fine: bool | None = None) -> str:
    """Return a share as so many of 100, with one decimal where it is small or `fine` says so."""
    fine = abs(value) < 0.0995 if fine is None else fine
    text = f"{100 * abs(value):.1f}" if fine else f"{100 * abs(value):.0f}"
    text = "0" if float(text) == 0 else text
    return f"{_MINUS}{text}" if value < 0 and text != "0" else text


def _hundreds(part: Interval) -> str:
    """Return an interval of shares as so many of 100, both ends with the same decimals."""
    fine = min(abs(part.low), abs(part.high)) < 0.0995
    low, high = (_hundred(end, fine=fine) for end in (part.low, part.high))
    return low if low == high else f"{low} to {high}"


def _numbers(part: Interval) -> str:
    return f"{number(part.low, 2)} to {number(part.high, 2)}"


def slice_sentence(found: Slice, looked: Slices, task: Task, voice: Voice = PLAIN) -> str:
    """Return where it is worse, by how much, and whether its own predictions tell."""
    place = f"Where {where(found.conditions, voice)} ({found.n_rows:,} of {looked.n_rows:,} rows)"
    gap = found.wrong_difference
    if task.kind is TaskKind.REGRESSION:
        worse = (
            f"it is off by {voice.strong(number(found.wrong))} on average, elsewhere by {number(found.wrong_rest)} "
            f"(difference {_numbers(gap)})"
        )
    else:
        worse = (
            f"it is wrong for {voice.strong(_hundred(found.wrong))} of 100, elsewhere for "
            f"{_hundred(found.wrong_rest)} (difference {_hundreds(gap)})"
        )
    return f"{place} {worse}. {_told(found, looked, task, voice)}"


def _told(found: Slice, looked: Slices, task: Task, voice: Voice) -> str:
    """Say whether the model's own predictions tell that it is worse here."""
    if not found.surprising:
        return (
            "Its predictions are as unsure as that: others like them are as often wrong."
            if task.kind is not TaskKind.REGRESSION
            else "Other predictions of that size are as far off."
        )
    against = (
        f"its {loss_title(looked.loss)} is {number(found.loss, 2)}, that of like predictions "
        f"{number(found.expected, 2)}."
    )
    off = abs((found.predicted or 0.0) - (found.observed or 0.0))
    if task.kind is not TaskKind.BINARY or off < _OFF:
        return f"It does not know that: {against}"
    which = f"{voice.name(task.target)} = {voice.name(label(task.labels[1]))}"
    return (
        f"It does not know that: it expects {_hundred(found.predicted or 0.0)} of 100 to be {which}, and "
        f"{_hundred(found.observed or 0.0)} are; {against}"
    )


def nothing_found(looked: Slices) -> str:
    """Return what was looked at where no slice was found."""
    return (
        f"None was found: {looked.n_tried:,} slices of {looked.smallest:,} rows or more, one and two columns deep, were "
        f"tried on {looked.n_rows:,} rows, and none is worse by more than chance and by enough to matter."
    )


def compared(found: Comparison, task: Task, voice: Voice = PLAIN) -> str:
    """Return one comparison of a group with others in a sentence."""
    names = {
        "group": where([found.group], voice),
        "others": "all others" if found.against is None else where([found.against], voice),
        "which": ""
        if found.about is None
        else f"{voice.name(task.target)} = {voice.name(label(found.about))}",
    }
    criterion, here, there, gap = found.criterion, found.value, found.other, found.gap
    if found.verdict == FEW:
        about = f" ({names['which']})" if names["which"] else ""
        return (
            f"Too few rows to compare {CRITERIA[criterion]}{about}: {names['group']} with {names['others']}."
        )
    if criterion == "calibration":
        said = f"For {names['group']} its probabilities are {_leaning(here)}, for {names['others']} {_leaning(there)}"
    elif criterion in _OF_NUMBERS:
        ends = {"here": number(here.estimate), "there": number(there.estimate)}
        said = _OF_NUMBERS[criterion].format(**names, **ends)
        return f"{said} (difference {_numbers(gap)}; up to {number(found.tolerance, 2)} is let pass)."
    else:
        said = _OF_ROWS[criterion].format(**names, here=_hundreds(here), there=_hundreds(there))
    if criterion == "four_fifths":
        high = f"to {number(gap.high, 2)}" if math.isfinite(gap.high) else "or more"
        return (
            f"{said}: {number(gap.estimate, 2)} times as often (range {number(gap.low, 2)} {high}; four fifths are "
            f"{FOUR_FIFTHS})."
        )
    return f"{said} (difference {_hundreds(gap)}; up to {_hundred(found.tolerance)} is let pass)."


_OF_ROWS = {
    "four_fifths": "Called {which}: {here} of 100 rows with {group}, and {there} of 100 with {others}",
    "true_positive": "Of 100 rows with {group} that truly are {which} it finds {here}, of {others} {there}",
    "false_positive": "Of 100 rows with {group} that are not {which} it calls {here} so, of {others} {there}",
    "precision": "Of 100 rows with {group} that it calls {which}, {here} truly are, of {others} {there}",
    "right": "It is right for {here} of 100 rows with {group}, and for {there} of {others}",
}
_OF_NUMBERS = {
    "level": "Predictions for {group} are {here} on average, for {others} {there}",
    "bias": "Predictions less truths are {here} on average for {group}, {there} for {others}",
    "absolute_error": "Predictions for {group} are off by {here} on average, for {others} by {there}",
}


def _leaning(part: Interval) -> str:
    if part.low <= 0 <= part.high:
        return "true on average"
    return f"{_hundred(abs(part.estimate))} of 100 too {'high' if part.estimate > 0 else 'low'}"


@dataclass(frozen=True, slots=True)
class WeakSlices:
    """Where the model is worse than elsewhere: a part of the report."""

    key: ClassVar[str] = "slices"
    task: Task
    looked: Slices

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; each slice with its words."""
        tree = _nulls(msgspec.to_builtins(self.looked))
        for own, found in zip(tree["found"], self.looked.found, strict=True):
            own["where"] = where(found.conditions)
            own["what"] = slice_sentence(found, self.looked, self.task)
        return tree

    def cautions(self, voice: Voice) -> list[tuple[Severity, str]]:
        """Return the surest of the slices that the model does not know of, for the first screen."""
        surprising = [found for found in self.looked.found if found.surprising]
        return [
            (Severity.WARN, slice_sentence(found, self.looked, self.task, voice))
            for found in surprising[:_MOST_CAUTIONS]
        ]


@dataclass(frozen=True, slots=True)
class NamedGroups:
    """What the model does to the groups that the user names: a part of the report."""

    key: ClassVar[str] = "fairness"
    task: Task
    columns: tuple[Fairness, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree by column; each comparison with its words."""
        found = {}
        for each in self.columns:
            tree = _nulls(msgspec.to_builtins(each))
            for own, group in zip(tree["groups"], each.groups, strict=True):
                own["where"] = where([group.condition])
            for own, comparison in zip(tree["comparisons"], each.comparisons, strict=True):
                own["what"] = compared(comparison, self.task)
            found[each.column] = {"verdict": each.verdict, **tree}
        return found

    def cautions(self, voice: Voice) -> list[tuple[Severity, str]]:
        """Return a sentence for each column that is flagged, for the first screen."""
        said = []
        for each in self.columns:
            flagged = [found for found in each.comparisons if found.verdict == FLAGGED]
            if flagged:
                more = len(flagged) - 1
                rest = f" {more} more differences are flagged." if more > 1 else ""
                rest = " One more difference is flagged." if more == 1 else rest
                told = compared(flagged[0], self.task, voice)
                said.append(
                    (
                        Severity.WARN,
                        f"Groups of {voice.name(each.column)} are treated differently. {told}{rest}",
                    )
                )
        return said


def _nulls(tree: Any) -> Any:
    """Turn numbers that JSON does not have into null."""
    if isinstance(tree, dict):
        return {key: _nulls(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_nulls(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
