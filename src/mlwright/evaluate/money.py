"""Money: what decisions cost at every threshold, and how many records are called, on rows that no search saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Task
from mlwright.evaluate.figures import Share, share
from mlwright.metrics.decision import Cost
from mlwright.metrics.intervals import Interval, interval, paired_interval

__all__ = ["Money", "Point", "Way", "money"]

_MOST_POINTS = 24  # of the curve
_PARTS = 50  # of an interval of the curve
_CELLS = 2_000_000  # parts times rows of one such interval
_UNIT = 1000.0  # rows that a cost is told for


@dataclass(frozen=True, slots=True)
class Point:
    """What 1,000 rows cost on average if the second class is called from `threshold` on, with the range."""

    threshold: float
    cost: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Way:
    """A way to decide without a model, what 1,000 rows then cost, and how much less they cost with the model.

    Parameters
    ----------
    name : {"none", "all"}
        Whether no row is called, or every one.
    cost : float
        Of 1,000 rows.
    saved, low, high : float
        The paired difference of 1,000 rows; above 0 where the model is cheaper.
    """

    name: str
    cost: float
    saved: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Money:
    """What decisions cost and how many there are.

    Parameters
    ----------
    n_rows : int
        On how many rows.
    threshold : float
        Chosen out of fold, before any of these rows was seen.
    called, right : Share
        The rows that it calls, and those of them that are of the second class.
    capacity : float or None
        The share of the rows that may be called; None without a limit.
    false_positive, false_negative : float or None
        What each costs; None where no costs were said. Then there is no curve either.
    chosen : Point or None
        At the threshold.
    curve : tuple of Point
        By rising threshold, from a quantile of the predictions to the next.
    ways : tuple of Way
        Calling none, and all.
    """

    key: ClassVar[str] = "money"

    n_rows: int
    threshold: float
    called: Share
    right: Share
    capacity: float | None = None
    false_positive: float | None = None
    false_negative: float | None = None
    chosen: Point | None = None
    curve: tuple[Point, ...] = ()
    ways: tuple[Way, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "n_rows": self.n_rows,
            "threshold": self.threshold,
            "called": _told(self.called),
            "right": _told(self.right),
            "capacity": self.capacity,
            "false_positive": self.false_positive,
            "false_negative": self.false_negative,
            "chosen": None if self.chosen is None else _told(self.chosen),
            "curve": [_told(point) for point in self.curve],
            "ways": [_told(way) for way in self.ways],
        }


def _told(part: Point | Way | Share) -> dict[str, Any]:
    """Return the fields of a flat record; a range that the rows cannot tell is null."""
    values = {name: getattr(part, name) for name in part.__slots__}
    return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124  NaN


def money(
    task: Task,
    y: Floats,
    predicted: Floats,
    *,
    weights: Floats | None = None,
    groups: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    seed: int = 0,
) -> Money:
    """Count what the task's threshold calls, and what that and every other threshold would cost.

    Parameters
    ----------
    task : Task
        Of two classes, with costs, a capacity or both.
    y : ndarray of shape (n_rows,)
        0 or 1.
    predicted : ndarray of shape (n_rows, 1)
        P(second class).
    weights : ndarray of shape (n_rows,), optional
        How much a row counts in a cost; what is called is counted in rows.
    groups, blocks : ndarray of shape (n_rows,), optional
        Rows that belong together, for the ranges.
    seed : int, default=0
        For the ranges.

    Examples
    --------
    >>> from mlwright.data.schema import TaskKind
    >>> task = Task(TaskKind.BINARY, "left", "cost", ("no", "yes"), costs=(1.0, 4.0), threshold=0.2)
    >>> y, chance = np.tile([0.0, 0.0, 0.0, 1.0], 25), np.tile([0.1, 0.1, 0.3, 0.6], 25)
    >>> found = money(task, y, chance[:, None])
    >>> round(found.chosen.cost, 9), [(way.name, round(way.cost, 9)) for way in found.ways]
    (250.0, [('none', 1000.0), ('all', 750.0)])
    """
    together = groups if groups is not None else blocks
    called = predicted[:, 0] >= task.cut
    counted = (
        share(called, together),
        share(y[called] > 0.5, None if together is None else together[called]),
    )
    if task.costs is None:
        return Money(len(y), task.cut, *counted, task.capacity)
    units: dict[str, Any] = {"weights": weights, "groups": groups, "blocks": blocks, "seed": seed}
    n_parts = int(np.clip(_CELLS // max(1, len(y)), 20, _PARTS))

    def at(threshold: float, **options: Any) -> Point:
        metric = Cost(*task.costs, threshold=threshold)  # type: ignore[misc]
        return _point(threshold, interval(metric, y, predicted, **units, **options))

    own = Cost(*task.costs, threshold=task.cut)
    ways = []
    for name, chance in (("none", 0.0), ("all", 1.0)):
        flat = np.full_like(predicted, chance)
        middle = Cost(*task.costs, threshold=0.5)
        decided = called[:, None].astype(np.float64)
        gap = paired_interval(middle, y, decided, flat, **units)
        cost = middle.score(y, flat, weights)
        ways.append(Way(name, _UNIT * cost, *(_UNIT * end for end in (gap.estimate, gap.low, gap.high))))
    return Money(
        len(y),
        task.cut,
        *counted,
        task.capacity,
        own.false_positive,
        own.false_negative,
        at(task.cut),
        tuple(at(threshold, n_parts=n_parts) for threshold in _thresholds(predicted[:, 0], task.cut)),
        tuple(ways),
    )


def _thresholds(chance: Floats, own: float) -> list[float]:
    """Return where the curve is told: at quantiles of the predictions, evenly between them, and at the own threshold."""
    quantiles = np.quantile(chance, np.linspace(0, 1, _MOST_POINTS // 2))
    even = np.linspace(0, 1, _MOST_POINTS // 2)
    return np.unique(np.concatenate([quantiles, even, [own]])).tolist()


def _point(threshold: float, found: Interval) -> Point:
    return Point(threshold, *(_UNIT * value for value in (found.estimate, found.low, found.high)))
