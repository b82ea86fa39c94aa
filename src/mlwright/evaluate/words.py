"""Words: numbers and sentences for people who are no engineers. Knows figures, not HTML or Markdown.

A sentence gets a `Voice`, which says how a name from the data and a figure that matters are written; all other text
here is free of characters that a page would have to escape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.evaluation import Baseline, Evaluation
from mlwright.evaluate.figures import Share
from mlwright.metrics import get
from mlwright.metrics.intervals import Interval

__all__ = [
    "BASELINE_NAMES",
    "PLAIN",
    "Voice",
    "baseline_name",
    "between",
    "capital",
    "compact",
    "comparison",
    "headline",
    "label",
    "lead",
    "metric_meaning",
    "metric_note",
    "metric_title",
    "number",
    "of_hundred",
    "percent",
    "ranged",
    "verdict",
]

_MINUS = "\u2212"
_MORE_OR_LESS = "\u00b1"
_MEANINGS = {
    "accuracy": "the share of rows that are called right",
    "balanced_accuracy": "the share of each class that is found, averaged over the classes",
    "brier": "the mean squared distance between a probability and what came true",
    "cost": "what wrong calls cost, on average a row",
    "f1": "one number for how much is found and how much of what is flagged is right",
    "gamma_deviance": "how unlikely the truths are, for amounts whose spread grows with their mean",
    "log_loss": "how surprised one would be by the truth after reading the probabilities",
    "mae": "the mean distance between prediction and truth",
    "mape": "the mean distance between prediction and truth, as a share of the truth",
    "mcc": "the correlation of what is called with what is true",
    "pinball": "the mean distance between prediction and truth, where one side counts more",
    "poisson_deviance": "how unlikely the truths are, for counts",
    "pr_auc": "how rich in hits the highest scores are, over all thresholds",
    "quadratic_kappa": "how far the called grades agree with the true ones beyond chance",
    "r2": "the share of the target's spread that is explained",
    "rmse": "the typical distance between prediction and truth; large misses count most",
    "rmsle": "the typical relative distance between prediction and truth",
    "roc_auc": "of two rows, one of each class, how often the right one gets the higher score",
    "top_k_accuracy": "how often the truth is among the five most probable classes",
    "tweedie_deviance": "how unlikely the truths are, for sums of amounts with zeros among them",
}
BASELINE_NAMES = {"dummy": "guessing", "linear": "the simple linear model"}


@dataclass(frozen=True, slots=True)
class Voice:
    """How a name from the data, a figure that matters, and a sentence from elsewhere are written."""

    name: Callable[[str], str]
    strong: Callable[[str], str]
    text: Callable[[str], str]


PLAIN = Voice(str, str, str)


def number(value: float, digits: int = 3, *, pad: bool = False) -> str:
    """Return `value` with `digits` significant digits and thousands marked, as people read it.

    `pad` keeps zeros at the end, so that numbers below each other line up.

    Examples
    --------
    >>> number(0.84612), number(1234567.0), number(-0.5), number(1849.7), number(float("nan"))
    ('0.846', '1,234,567', '\u22120.5', '1,850', 'not defined')
    """
    if not math.isfinite(value):
        return "not defined"
    sign, size = (_MINUS, -value) if value < 0 else ("", value)
    if size == 0:
        return "0"
    exponent = math.floor(math.log10(size))
    if exponent >= 15 or exponent < -4:
        return sign + f"{size:.{digits - 1}e}".replace("e-", f"e{_MINUS}")
    decimals = max(0, digits - 1 - exponent)
    text = f"{size:,.{decimals}f}"
    if exponent >= digits and not float(value).is_integer():  # whole numbers are not rounded
        text = f"{round(size, digits - 1 - exponent):,.0f}"
    return sign + (text.rstrip("0").rstrip(".") if "." in text and not pad else text)


def between(low: float, high: float) -> str:
    """Return two ends with two digits each, or as many as tell them apart.

    Examples
    --------
    >>> between(0.343, 0.381), between(1.91, 1.94), between(2.0, 2.0)
    ('0.34 to 0.38', '1.91 to 1.94', '2 to 2')
    """
    digits = next((n for n in (2, 3, 4) if number(low, n) != number(high, n)), 2)
    return f"{number(low, digits)} to {number(high, digits)}"


def compact(value: float) -> str:
    """Return a short form for axes and cells.

    Examples
    --------
    >>> compact(1500), compact(2_000_000), compact(0.25), compact(12)
    ('1.5k', '2M', '0.25', '12')
    """
    size = abs(value)
    for unit, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return number(value / unit) + letter
    return number(value)


def percent(value: float) -> str:
    """Return a share as a percentage; near 0 and 1 with one decimal.

    Examples
    --------
    >>> percent(0.634), percent(0.9981), percent(0.0), percent(1.0)
    ('63%', '99.8%', '0%', '100%')
    """
    if not math.isfinite(value):
        return "not defined"
    edge = 0 < value < 0.015 or 0.985 < value < 1
    return f"{value * 100:.1f}%" if edge else f"{value * 100:.0f}%"


def of_hundred(value: float) -> str:
    """Return a share as so many of 100; near 0 and 100 with one decimal.

    Examples
    --------
    >>> of_hundred(0.634), of_hundred(0.9981)
    ('63', '99.8')
    """
    return percent(value).removesuffix("%")


def ranged(part: Share) -> str:
    """Return the interval of a share as so many of 100.

    Examples
    --------
    >>> ranged(Share(67, 100, 0.63, 0.71)), ranged(Share(3, 3, 1.0, 1.0))
    ('63 to 71', '100')
    >>> ranged(Share(97, 100, 0.934, 0.989))
    '93.4 to 98.9'
    """
    low, high = of_hundred(part.low), of_hundred(part.high)
    if "." in low + high:  # one decimal at one end asks for one at the other
        low, high = (f"{end * 100:.1f}" if 0 < end < 1 else of_hundred(end) for end in (part.low, part.high))
    return low if low == high else f"{low} to {high}"


def label(value: Any) -> str:
    """Return a class label as people write it.

    Examples
    --------
    >>> label("Yes"), label(True), label(1.0), label(None)
    ('Yes', 'true', '1', 'missing')
    """
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def capital(text: str) -> str:
    """Return `text` with a capital first letter, as a heading has it.

    Examples
    --------
    >>> capital("log loss"), capital("R\u00b2")
    ('Log loss', 'R\u00b2')
    """
    return text[:1].upper() + text[1:]


def metric_title(name: str) -> str:
    """Return a metric's title for people."""
    return get(name).title


def metric_meaning(name: str) -> str:
    """Return what a metric means, in a few words; its title for one that is not known here."""
    return _MEANINGS.get(name, metric_title(name))


def metric_note(name: str) -> str:
    """Return which way a metric is good."""
    return "higher is better" if get(name).greater_is_better else "lower is better"


def baseline_name(name: str) -> str:
    """Return what a baseline is called in a sentence."""
    return BASELINE_NAMES.get(name, name)


def headline(task: Task, voice: Voice) -> str:
    """Return what is predicted, in a few words."""
    target = voice.name(task.target)
    if task.kind is TaskKind.BINARY:
        return f"Predicts whether {target} is {voice.name(label(task.labels[1]))}"
    if task.kind is TaskKind.MULTICLASS:
        return f"Predicts {target}, one of {len(task.labels)} classes"
    return f"Predicts the number {target}"


def lead(evaluation: Evaluation, voice: Voice, *, rows: str = "rows") -> str:
    """Return how good it is in one or two sentences, with the range, against knowing nothing; `rows` is what rows are."""
    if evaluation.residuals is not None:
        return _lead_regression(evaluation, voice)
    if evaluation.task.kind is TaskKind.BINARY:
        return _lead_binary(evaluation, voice, rows)
    assert evaluation.right is not None  # noqa: S101 - classes always have it
    labels = evaluation.task.labels
    shown = len(labels) if len(labels) <= 8 else 6
    names = ", ".join(voice.name(label(value)) for value in labels[:shown])
    more = f" and {len(labels) - shown} more" if len(labels) > shown else ""
    dummy = evaluation.baselines.get("dummy")
    guess = (
        f"; always guessing {voice.name(_most_frequent(evaluation))} would be right for {of_hundred(dummy.right.share)}"
        if dummy is not None and dummy.right is not None
        else ""
    )
    return (
        f"Of 100 {rows} it names the right {voice.name(evaluation.task.target)} for "
        f"{voice.strong(ranged(evaluation.right))}{guess}. The classes are {names}{more}."
    )


def _lead_binary(evaluation: Evaluation, voice: Voice, rows: str) -> str:
    flagged, caught = evaluation.flagged, evaluation.caught
    assert flagged is not None and caught is not None  # noqa: PT018, S101 - binary has both
    task = evaluation.task
    which = f"{voice.name(task.target)} = {voice.name(label(task.labels[1]))}"
    chance = of_hundred(evaluation.base[1])
    if flagged.total >= 10:
        return (
            f"Of 100 {rows} that it flags as {which}, {voice.strong(ranged(flagged))} truly are; picked blindly it "
            f"would be {chance}. Of 100 {rows} that truly are, it finds {voice.strong(ranged(caught))}."
        )
    if not evaluation.lifts:
        return f"It flags {flagged.total} of {evaluation.n_rows:,} {rows} as {which}: too few to say how often it is right."
    top = next((part for part in evaluation.lifts if part.top >= 0.1), evaluation.lifts[-1])
    return (
        f"It is hardly ever more than 50% sure of {which}, so use it to put {rows} in order: of 100 {rows} among the "
        f"{percent(top.top)} with the highest score, {voice.strong(ranged(top.hits))} truly are; picked blindly it "
        f"would be {chance}."
    )


def _lead_regression(evaluation: Evaluation, voice: Voice) -> str:
    found = evaluation.residuals
    assert found is not None  # noqa: S101 - the caller looked
    half = voice.strong(_MORE_OR_LESS + number(found.quantiles["0.5"]))
    others = [
        f"{name} would be within {voice.strong(_MORE_OR_LESS + number(part.half_error))}"
        for key, name in (("dummy", "guessing the mean"), ("linear", "the simple linear model"))
        if (part := evaluation.baselines.get(key)) and part.half_error is not None
    ]
    text = (
        f"Half of the predictions are within {half} of the true {voice.name(evaluation.task.target)} "
        f"(range {number(found.half_low)} to {number(found.half_high)})"
    )
    return f"{text}; {', '.join(others)}." if others else f"{text}."


def verdict(difference: Interval) -> str:
    """Return ``"better"``, ``"worse"`` or ``"level"``: the last where the interval holds no difference."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "level"


def comparison(evaluation: Evaluation, voice: Voice, *, rows: str = "rows") -> list[tuple[str, str]]:
    """Return a verdict and a sentence for each baseline; `rows` is what rows are."""
    return [
        (verdict(part.difference), _against(evaluation, name, part, voice, rows))
        for name, part in evaluation.baselines.items()
    ]


def _against(evaluation: Evaluation, name: str, part: Baseline, voice: Voice, rows: str) -> str:
    gap, other = part.difference, baseline_name(name)
    if gap.low == gap.high == 0 and name != "dummy":
        return f"{voice.strong(f'As good as {other}')}: the search found nothing that gives other answers."
    said = {
        "better": f"Better than {other}",
        "worse": f"Worse than {other}",
        "level": f"No clear difference from {other}",
    }[verdict(gap)]
    title = metric_title(evaluation.metric)
    in_favour = " in its favour" if gap.low > 0 else ""
    figures = (
        f"{title} {number(evaluation.score.estimate)} against {number(part.score.estimate)}, a difference of "
        f"{between(gap.low, gap.high)}{in_favour}"
    )
    plain = _plainly(evaluation, name, part, voice, rows)
    return f"{voice.strong(said)}. {plain} ({figures})" if plain else f"{voice.strong(said)}: {figures}."


def _plainly(evaluation: Evaluation, name: str, part: Baseline, voice: Voice, rows: str) -> str:
    """Return what the difference means in counts of a hundred, "" where only the metric tells it."""
    other = baseline_name(name)
    if evaluation.metric == "roc_auc" and evaluation.task.kind is TaskKind.BINARY:
        score = evaluation.score
        ends = ranged(
            Share(round(score.estimate * evaluation.n_rows), evaluation.n_rows, score.low, score.high)
        )
        return (
            f"Of 100 pairs of {rows}, one of each class, it puts {ends} in the right order; {other} "
            f"{of_hundred(part.score.estimate)}."
        )
    if part.right is None or evaluation.right is None:
        return ""
    ways = f"always guessing {voice.name(_most_frequent(evaluation))}" if name == "dummy" else other
    return f"It is right for {of_hundred(evaluation.right.share)} of 100 {rows}, {ways} for {of_hundred(part.right.share)}."


def _most_frequent(evaluation: Evaluation) -> str:
    code = max(range(len(evaluation.base)), key=evaluation.base.__getitem__)
    return label(evaluation.task.labels[code])
