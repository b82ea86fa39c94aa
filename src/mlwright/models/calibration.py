"""Calibration: a monotone map of blended probabilities, and the least chance that every class is left after it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats

__all__ = ["LEAST", "Calibration", "Isotonic", "LeastChance", "Temperature", "from_json"]

LEAST = 1e-15  # a probability below it counts as this
_MOST_KNOTS = 1000


class Calibration(ABC):
    """Turns the blend's probabilities into better ones. Both methods agree within 1e-12."""

    kind: ClassVar[str]

    @abstractmethod
    def apply(self, predicted: Floats) -> Floats:
        """Return shape (n_rows, n_outputs) for P(second class) or one probability a class of the same shape."""

    @abstractmethod
    def apply_row(self, row: list[float]) -> list[float]:
        """Return one row's numbers."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""


class Temperature(Calibration):
    """Divides the log-odds, or the logarithms of the classes' probabilities, by one number (Guo et al. 2017).

    Parameters
    ----------
    factor : float
        More than 1 draws probabilities to the middle, less than 1 pushes them apart.

    Examples
    --------
    >>> Temperature(2.0).apply_row([0.8])
    [0.6666666666666666]
    """

    kind: ClassVar[str] = "temperature"

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def apply(self, predicted: Floats) -> Floats:
        """Return the scaled probabilities."""
        kept = np.clip(predicted, LEAST, 1.0)
        if predicted.shape[1] == 1:
            odds = (np.log(kept) - np.log(np.maximum(1.0 - predicted, LEAST))) / self.factor
            return 1.0 / (1.0 + np.exp(-odds))
        powers = np.log(kept) / self.factor
        powers = np.exp(powers - powers.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def apply_row(self, row: list[float]) -> list[float]:
        """Return one row's numbers."""
        if len(row) == 1:
            odds = math.log(min(max(row[0], LEAST), 1.0)) - math.log(max(1.0 - row[0], LEAST))
            return [1.0 / (1.0 + math.exp(-odds / self.factor))]
        powers = [math.log(min(max(value, LEAST), 1.0)) / self.factor for value in row]
        highest = max(powers)
        powers = [math.exp(power - highest) for power in powers]
        total = sum(powers)
        return [power / total for power in powers]

    def to_json(self) -> dict[str, Any]:
        """Return the factor."""
        return {"kind": self.kind, "factor": self.factor}


class Isotonic(Calibration):
    """A rising curve through knots, straight between them (Zadrozny and Elkan 2002). For two classes.

    Parameters
    ----------
    knots, values : ndarray of shape (n_knots,)
        Probabilities of the blend in rising order, and what they become; never falling.
    """

    kind: ClassVar[str] = "isotonic"

    def __init__(self, knots: Floats, values: Floats) -> None:
        self.knots, self.values = np.asarray(knots, np.float64), np.asarray(values, np.float64)
        self._knots: list[float] = self.knots.tolist()
        self._values: list[float] = self.values.tolist()

    def apply(self, predicted: Floats) -> Floats:
        """Return the curve's heights."""
        return np.interp(predicted, self.knots, self.values)

    def apply_row(self, row: list[float]) -> list[float]:
        """Return the curve's height."""
        knots, values = self._knots, self._values
        place = bisect_right(knots, row[0])
        if place == 0:
            return [values[0]]
        if place == len(knots):
            return [values[-1]]
        low, high = knots[place - 1], knots[place]
        return [values[place - 1] + (values[place] - values[place - 1]) * (row[0] - low) / (high - low)]

    def to_json(self) -> dict[str, Any]:
        """Return knots and values."""
        return {"kind": self.kind, "knots": self._knots, "values": self._values}


class LeastChance(Calibration):
    """Leaves every class a chance of at least `least`: no number of rows tells a chance from none at all.

    The order of the answers stays, and so does their sum: each is drawn towards a draw among all classes.

    Parameters
    ----------
    least : float
        What a class has that was said to be impossible; more than 0, and less than one by the number of classes.
    before : Calibration, optional
        What the probabilities go through first.

    Examples
    --------
    >>> LeastChance(0.01).apply_row([0.0])
    [0.01]
    >>> LeastChance(0.01).apply_row([1.0, 0.0, 0.0])
    [0.98, 0.01, 0.01]
    """

    kind: ClassVar[str] = "least_chance"

    def __init__(self, least: float, before: Calibration | None = None) -> None:
        self.least, self.before = least, before

    def apply(self, predicted: Floats) -> Floats:
        """Return the probabilities, none of them too sure."""
        calibrated = predicted if self.before is None else self.before.apply(predicted)
        return self.least + (1.0 - max(2, predicted.shape[1]) * self.least) * calibrated

    def apply_row(self, row: list[float]) -> list[float]:
        """Return one row's numbers."""
        calibrated = row if self.before is None else self.before.apply_row(row)
        least, share = self.least, 1.0 - max(2, len(row)) * self.least
        return [least + share * value for value in calibrated]

    def to_json(self) -> dict[str, Any]:
        """Return the least chance and what comes before it."""
        before = None if self.before is None else self.before.to_json()
        return {"kind": self.kind, "least": self.least, "before": before}


def from_json(tree: Any, n_outputs: int) -> Calibration:
    """Audit a tree and build its calibration.

    Raises
    ------
    BundleContentError
        If it is malformed.
    """
    if (
        isinstance(tree, Mapping)
        and set(tree) == {"kind", "least", "before"}
        and tree["kind"] == LeastChance.kind
    ):
        least, before = tree["least"], tree["before"]
        is_last = not (isinstance(before, Mapping) and before.get("kind") == LeastChance.kind)
        if isinstance(least, float) and 0.0 < least < 1.0 / max(2, n_outputs) and is_last:
            return LeastChance(least, None if before is None else from_json(before, n_outputs))
    if isinstance(tree, Mapping) and set(tree) == {"kind", "factor"} and tree["kind"] == Temperature.kind:
        factor = tree["factor"]
        if isinstance(factor, (int, float)) and not isinstance(factor, bool) and 1e-3 <= factor <= 1e3:
            return Temperature(float(factor))
    if (
        n_outputs == 1
        and isinstance(tree, Mapping)
        and set(tree) == {"kind", "knots", "values"}
        and tree["kind"] == Isotonic.kind
    ):
        knots, values = _rising(tree["knots"]), _rising(tree["values"])
        if (
            knots is not None
            and values is not None
            and 2 <= len(knots) == len(values) <= _MOST_KNOTS
            and (np.diff(knots) > 0).all()
        ):
            return Isotonic(knots, values)
    raise BundleContentError(
        "a calibration that cannot be read",
        got=tree,
        allowed="a factor, or rising knots and values from 0 to 1; before a least chance, or without one",
    )


def _rising(numbers: Any) -> Floats | None:
    """Return a list of probabilities that never fall as an array; None for anything else."""
    if not isinstance(numbers, list) or not all(type(n) in (int, float) and 0 <= n <= 1 for n in numbers):
        return None
    array = np.array(numbers, dtype=np.float64)
    return array if (np.diff(array) >= 0).all() else None
