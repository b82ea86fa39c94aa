"""Gate: a rule that lets a candidate through or not, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlwright.metrics import get
from mlwright.metrics.intervals import Interval

__all__ = ["Verdict", "against_baseline", "against_champion"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate said.

    Parameters
    ----------
    passed : bool or None
        Whether the candidate may serve; None where the gate was not asked.
    reason : str
        One sentence with the numbers that decided.
    difference : Interval, optional
        Candidate minus what it was held against, in the metric's units, more is better.
    """

    passed: bool | None
    reason: str
    difference: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "passed": self.passed,
            "reason": self.reason,
            "difference": None if self.difference is None else self.difference.to_json(),
        }


def against_champion(difference: Interval, *, margin: float, metric: str, n_rows: int) -> Verdict:
    """Let a challenger through that is better than the champion, or not worse by `margin`.

    Parameters
    ----------
    difference : Interval
        The paired interval of gain(challenger) - gain(champion) on rows that neither was trained on.
    margin : float
        In the metric's units. The interval's lower end must lie above ``-margin``: with 0 the challenger must be
        better beyond chance, which under no true difference happens in at most 2.5 % of retrainings.
    metric : str
        The metric's kind, for the sentence.
    n_rows : int
        How many rows were compared.
    """
    measured = f"{_told(difference, metric)} than the champion on the same {n_rows:,} untouched rows ({_range(difference)})"
    if difference.low > 0:
        return Verdict(True, f"better: {measured}", difference)
    if margin > 0 and difference.low > -margin:
        return Verdict(True, f"not worse by the margin of {margin:g}: {measured}", difference)
    if difference.high < 0:
        return Verdict(False, f"worse: {measured}", difference)
    return Verdict(
        False,
        f"not shown to be better{f' within the margin of {margin:g}' if margin else ''}: {measured}",
        difference,
    )


def against_baseline(difference: Interval | None, *, metric: str, required: bool) -> Verdict:
    """Let a first model through that beats the dummy baseline beyond chance."""
    if difference is None:
        return Verdict(True, "no rows were kept to compare with the baseline")
    measured = f"{_told(difference, metric)} than always the same answer ({_range(difference)})"
    if difference.low > 0:
        return Verdict(True, f"beats the baseline: {measured}", difference)
    if not required:
        return Verdict(
            True, f"not shown to beat the baseline, which the project allows: {measured}", difference
        )
    return Verdict(False, f"not shown to beat the baseline: {measured}", difference)


def _told(difference: Interval, metric: str) -> str:
    word = "better" if difference.estimate >= 0 else "worse"
    return f"{get(metric).title} {_number(abs(difference.estimate))} {word}"


def _range(difference: Interval) -> str:
    return f"95 % interval {_number(difference.low)} to {_number(difference.high)}, above 0 is better"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
