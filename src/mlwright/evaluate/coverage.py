"""Coverage: whether intervals and sets hold the truth as often as they say, on rows that they were not made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.figures import Share, share
from mlwright.models.conformal import Conformal, Residuals, Sets

__all__ = ["Coverage", "Within", "coverage"]

_MOST_CLASSES = 20
_PROMISES = {
    "group": "Rows of one group are alike, and the rows it was made from are other groups': for a new group the share may be another.",
    "time": "Times change: for later rows the share may be another.",
}


@dataclass(frozen=True, slots=True)
class Within:
    """How often the truth is held among some of the rows: a class, or a third of the predictions."""

    name: Any
    held: Share


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the truth is held, and by how wide an answer.

    Parameters
    ----------
    nominal : float
        How often it should be.
    held : Share
        How often it was.
    strict : Share or None
        The same of sets before the most probable class was put into those without any (classes only).
    parts : tuple of Within
        By class (the 20 most frequent), or by the lowest, the middle and the highest third of the predictions.
    width, without : float or None
        The median width of an interval, and that of the shortest way without a model: the same share of all true values
        (regression only).
    sizes : tuple of Share
        How many rows have a set of one class, of two, and so on (classes only); the last holds all larger ones.
    promise : str
        What the split says against it; "" where rows are like those of training.
    """

    key: ClassVar[str] = "coverage"

    nominal: float
    held: Share
    strict: Share | None
    parts: tuple[Within, ...]
    width: float | None
    without: float | None
    sizes: tuple[Share, ...]
    promise: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return msgspec.to_builtins(self)


def coverage(
    conformal: Conformal,
    y: Floats,
    predicted: Floats,
    task: Task,
    *,
    clusters: np.ndarray | None = None,
    split: str = "",
) -> Coverage:
    """Measure intervals or sets on rows with known truth.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    predicted : ndarray of shape (n_rows, n_outputs)
    clusters : ndarray of shape (n_rows,), optional
        Which rows belong together.
    split : str
        Its kind: ``group`` and ``time`` say what is not promised.
    """

    def part(hits: np.ndarray, rows: np.ndarray) -> Share:
        return share(hits[rows], None if clusters is None else clusters[rows])

    promise = _PROMISES.get(split, "")
    if isinstance(conformal, Residuals):
        low, high = conformal.ends(predicted[:, 0])
        hits = (low <= y) & (y <= high)
        third = np.searchsorted(np.quantile(predicted[:, 0], [1 / 3, 2 / 3]), predicted[:, 0])
        tail = (1 - conformal.coverage) / 2
        names = ("lowest", "middle", "highest")
        return Coverage(
            conformal.coverage,
            share(hits, clusters),
            None,
            tuple(
                Within(name, part(hits, third == code))
                for code, name in enumerate(names)
                if (third == code).any()
            ),
            float(np.median(high - low)),
            float(np.subtract(*np.quantile(y, [1 - tail, tail]))),
            (),
            promise,
        )
    if not isinstance(conformal, Sets) or task.kind is TaskKind.REGRESSION:
        raise TypeError(f"{type(conformal).__name__} gives no answer to {task.kind}")
    codes, rows = y.astype(np.int64), np.arange(len(y))
    members = conformal.members(predicted)
    hits, counts = members[rows, codes], members.sum(axis=1)
    common = np.argsort(-np.bincount(codes, minlength=len(task.labels)), kind="stable")[:_MOST_CLASSES]
    most = min(members.shape[1], 4)
    return Coverage(
        conformal.coverage,
        share(hits, clusters),
        share(conformal.strict(predicted)[rows, codes], clusters),
        tuple(
            Within(task.labels[code], part(hits, codes == code))
            for code in sorted(common.tolist())
            if (codes == code).any()
        ),
        None,
        None,
        tuple(share(np.minimum(counts, most) == size, clusters) for size in range(1, most + 1)),
        promise,
    )
