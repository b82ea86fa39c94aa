"""Conformal prediction: how far a prediction may be off, as an interval of a number or a set of classes, kept as plain data.

What is promised is a share of rows, on average over rows like those of training: of a hundred intervals about ninety
hold the truth. It is not a promise for each single kind of row.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats, Json

__all__ = ["Conformal", "Residuals", "Sets", "from_json", "wide"]

_MOST_KNOTS = 100


class Conformal(ABC):
    """What turns the model's outputs into intervals or sets.

    Parameters
    ----------
    coverage : float
        The share of rows whose truth they hold: 0.9.
    """

    kind: ClassVar[str]

    def __init__(self, coverage: float) -> None:
        self.coverage = coverage

    @abstractmethod
    def told(self, outputs: Floats, labels: Sequence[Any]) -> list[Json]:
        """Return for each row of shape (n_rows, n_outputs) what an answer says: ``low`` and ``high``, or ``set``."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""


class Residuals(Conformal):
    """Intervals of numbers: quantiles of scaled residuals around the prediction, which need not lie in the middle.

    A residual is divided by the scale that is usual where the prediction lies, so that intervals are wide where misses
    are large (Lei et al. 2018, normalised). Each end is a quantile of its own: as many truths lie below as above.

    Parameters
    ----------
    coverage : float
    knots, scales : ndarray of shape (n_knots,)
        Predictions in rising order, and the usual size of a miss there; straight between, constant outside.
    low, high : float
        The quantiles of (truth - prediction) / scale.
    lowest : float, optional
        No truth is less, so no interval is.

    Examples
    --------
    >>> found = Residuals(0.9, np.array([0.0, 10.0]), np.array([1.0, 2.0]), -1.5, 2.0)
    >>> found.told(np.array([[0.0], [5.0]]), ())
    [{'low': -1.5, 'high': 2.0, 'coverage': 0.9}, {'low': 2.75, 'high': 8.0, 'coverage': 0.9}]
    """

    kind: ClassVar[str] = "residuals"

    def __init__(
        self,
        coverage: float,
        knots: Floats,
        scales: Floats,
        low: float,
        high: float,
        *,
        lowest: float | None = None,
    ) -> None:
        super().__init__(coverage)
        self.knots, self.scales = np.asarray(knots, np.float64), np.asarray(scales, np.float64)
        self.low, self.high, self.lowest = low, high, lowest

    def ends(self, value: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper ends for predictions of shape (n_rows,)."""
        scale = np.interp(value, self.knots, self.scales)
        low, high = value + self.low * scale, value + self.high * scale
        return (
            (low, high)
            if self.lowest is None
            else (np.maximum(low, self.lowest), np.maximum(high, self.lowest))
        )

    def told(self, outputs: Floats, labels: Sequence[Any]) -> list[Json]:  # noqa: ARG002  the base's signature
        """Return ``low``, ``high`` and ``coverage``."""
        low, high = self.ends(outputs[:, 0])
        return [
            {"low": a, "high": b, "coverage": self.coverage}
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return knots, scales and quantiles."""
        return {
            "kind": self.kind,
            "coverage": self.coverage,
            "knots": self.knots.tolist(),
            "scales": self.scales.tolist(),
            "low": self.low,
            "high": self.high,
            "lowest": self.lowest,
        }


class Sets(Conformal):
    """Sets of classes: all whose probability reaches the class's own threshold (Sadinle, Lei and Wasserman 2019).

    Parameters
    ----------
    coverage : float
    thresholds : ndarray of shape (n_classes,)
        Of the rows of a class, the share `coverage` has at least this probability of it.

    Examples
    --------
    >>> Sets(0.9, np.array([0.3, 0.6])).told(np.array([[0.2], [0.65], [0.5]]), ("No", "Yes"))[1:]
    [{'set': ['No', 'Yes'], 'coverage': 0.9}, {'set': ['No'], 'coverage': 0.9}]
    """

    kind: ClassVar[str] = "sets"

    def __init__(self, coverage: float, thresholds: Floats) -> None:
        super().__init__(coverage)
        self.thresholds = np.asarray(thresholds, np.float64)

    def strict(self, outputs: Floats) -> np.ndarray:
        """Return which classes reach their threshold: bool of shape (n_rows, n_classes); a row may have none."""
        return wide(outputs) >= self.thresholds

    def members(self, outputs: Floats) -> np.ndarray:
        """Return the same with the most probable class where there would be none: which only adds coverage."""
        chances, found = wide(outputs), self.strict(outputs)
        empty = np.flatnonzero(~found.any(axis=1))
        found[empty, chances[empty].argmax(axis=1)] = True
        return found

    def told(self, outputs: Floats, labels: Sequence[Any]) -> list[Json]:
        """Return ``set``, in the order of the labels, and ``coverage``."""
        return [
            {
                "set": [label for label, inside in zip(labels, row, strict=True) if inside],
                "coverage": self.coverage,
            }
            for row in self.members(outputs).tolist()
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the thresholds."""
        return {"kind": self.kind, "coverage": self.coverage, "thresholds": self.thresholds.tolist()}


def wide(outputs: Floats) -> Floats:
    """Return one probability a class; two classes have one output, P(second class)."""
    return np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]]) if outputs.shape[1] == 1 else outputs


def from_json(tree: Any, n_classes: int) -> Conformal:
    """Audit a tree and build what it says.

    Parameters
    ----------
    tree : object
        As a manifest has it.
    n_classes : int
        0 for numbers.

    Raises
    ------
    BundleContentError
        If it is malformed.
    """
    made = None
    if isinstance(tree, Mapping) and _is_number(tree.get("coverage")) and 0 < tree["coverage"] < 1:
        made = _sets(tree, n_classes) if n_classes else _residuals(tree)
    if made is None:
        raise BundleContentError(
            "conformal intervals that cannot be read",
            got=tree,
            allowed="for numbers rising knots, their scales and two quantiles; for classes a threshold each",
        )
    return made


def _sets(tree: Mapping[str, Any], n_classes: int) -> Sets | None:
    thresholds = _numbers(tree.get("thresholds"))
    if set(tree) != {"kind", "coverage", "thresholds"} or tree["kind"] != Sets.kind or thresholds is None:
        return None
    if len(thresholds) != n_classes or not ((thresholds >= -1) & (thresholds <= 1)).all():
        return None
    return Sets(float(tree["coverage"]), thresholds)


def _residuals(tree: Mapping[str, Any]) -> Residuals | None:
    knots, scales = _numbers(tree.get("knots")), _numbers(tree.get("scales"))
    wanted = {"kind", "coverage", "knots", "scales", "low", "high", "lowest"}
    if set(tree) != wanted or tree["kind"] != Residuals.kind or knots is None or scales is None:
        return None
    low, high, lowest = tree["low"], tree["high"], tree["lowest"]
    if not (_is_number(low) and _is_number(high) and low <= high and (lowest is None or _is_number(lowest))):
        return None
    if not 1 <= len(knots) == len(scales) <= _MOST_KNOTS:
        return None
    if not ((np.diff(knots) > 0).all() and (scales >= 0).all()):
        return None
    return Residuals(
        float(tree["coverage"]),
        knots,
        scales,
        float(low),
        float(high),
        lowest=None if lowest is None else float(lowest),
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _numbers(value: Any) -> Floats | None:
    """Return a list of finite numbers as an array; None for anything else."""
    if not isinstance(value, list) or not all(map(_is_number, value)):
        return None
    return np.array(value, dtype=np.float64)
