"""Label noise: how many labels of the training rows are likely wrong, and which, from predictions out of fold.

Confident learning counts, of rows labelled i, those that are predicted as class j with at least the mean confidence that
rows labelled j have. Where classes merely overlap it counts honest labels as wrong. So its share is what is wrong at most;
at least wrong is the share of contradicted labels among the rows that the model is surest of. There is an alarm only if
contradictions do not become rarer as the model becomes surer: wrong labels lie everywhere, overlap lies at the borders.
Outcomes that are uncertain by the same share everywhere look like wrong labels, and no method can tell the two apart.

References
----------
C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021).
C. Scott, G. Blanchard, G. Handy, "Classification with Asymmetric Label Noise: Consistency and Maximal Denoising", COLT
(2013): some rows must be certain for noise to be told from overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Task
from mlwright.evaluate.words import label, percent

__all__ = ["LabelNoise", "Suspect", "confident_joint", "label_noise"]

_FEWEST_ROWS, _FEWEST_CALLED = 100, 10
_CELLS = 5_000_000  # rows times classes
_TOP, _SUREST, _FEWEST_SUREST = 0.5, 0.125, 50  # of the rows that are called a class; rows of the latter
_FLAT = 0.35  # log odds of a contradiction a standard deviation of confidence
_MOST_CONTRADICTED, _FEWEST_CONTRADICTED = 0.25, 0.01
_ONE_SIDED, _TWO_SIDED = 1.645, 1.96
_MOST_SUSPECTS, _MOST_TOLD = 20, 3


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row whose label is hard to believe.

    Parameters
    ----------
    row : int
        Its number in the source, from 1.
    given, likely : object
        The label it has and the one it likely should have; values for numbers; None where the target is personal.
    chance : float
        The probability, out of fold, of the given label; for numbers that of any such row in the whole table.
    """

    row: int
    given: Any
    likely: Any
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {"row": self.row, "given": self.given, "likely": self.likely, "chance": self.chance}


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """What was found of wrong labels, or of values that are beyond belief.

    Parameters
    ----------
    target : str
        The column.
    n_rows : int
        Rows with a prediction out of fold.
    alarm : bool
        Whether there is a sign of wrong labels that honest overlap does not explain.
    n_suspects : int
        How many rows are suspicious; `suspects` are the worst of them.
    share, low, high : float or None
        By confident learning; at least; at most. With no alarm `low` is 0. None for numbers.
    """

    key: ClassVar[str] = "label_noise"

    target: str
    n_rows: int
    alarm: bool
    n_suspects: int
    suspects: tuple[Suspect, ...]
    share: float | None = None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "target": self.target,
            "n_rows": self.n_rows,
            "alarm": self.alarm,
            "share": self.share,
            "low": self.low,
            "high": self.high,
            "n_suspects": self.n_suspects,
            "suspects": [suspect.to_json() for suspect in self.suspects],
        }

    @property
    def finding(self) -> Finding | None:
        """What the terminal and the first screen are told; None without an alarm."""
        if not self.alarm:
            return None
        first = [_said(suspect) for suspect in self.suspects[:_MOST_TOLD]]
        rows = "; ".join(first)
        if self.share is None or self.low is None or self.high is None:
            many = "1 value is" if self.n_suspects == 1 else f"{self.n_suspects:,} values are"
            what = f"{many} so far from what the other columns say that chance does not explain it: {rows}."
        else:
            about = f"about {percent(self.share)} of the labels are likely wrong ({percent(self.low)} to {percent(self.high)})"
            what = f"In '{self.target}' {about}, most suspicious are {rows}."
        advice = "Look at these rows, which the report lists, and correct them at the source; scores are held against such labels, too."
        return Finding(self.key, Severity.WARN, (self.target,), what, advice)


def _said(suspect: Suspect) -> str:
    if suspect.given is None:
        return f"row {suspect.row:,}"
    return f"row {suspect.row:,} ({label(suspect.given)}, likely {label(suspect.likely)})"


def confident_joint(y: Ints, chances: Floats) -> tuple[Ints, Ints]:
    """Return how many rows of each given label are confidently of each class, and which class that is by row.

    Parameters
    ----------
    y : ndarray of int64, shape (n_rows,)
        Codes of the given labels.
    chances : ndarray of shape (n_rows, n_classes)
        Probabilities out of fold.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)
        Rows by given label and confident class.
    ndarray of int64, shape (n_rows,)
        The confident class; -1 for rows that reach no class's threshold, its mean probability among its own rows.

    Examples
    --------
    >>> joint, sure = confident_joint(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]]))
    >>> joint.tolist(), sure.tolist()
    ([[1, 1], [0, 1]], [0, 1, 1])
    """
    n_classes = chances.shape[1]
    thresholds = np.array([chances[y == k, k].mean() if (y == k).any() else np.inf for k in range(n_classes)])
    above = np.where(chances >= thresholds - 1e-12, chances, -1.0)
    sure = above.argmax(axis=1).astype(np.int64)
    sure[above.max(axis=1) < 0] = -1
    counted = sure >= 0
    flat = np.bincount(y[counted] * n_classes + sure[counted], minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64), sure


def label_noise(
    task: Task, y: Floats, predicted: Floats, numbers: Ints, *, hidden: bool = False
) -> LabelNoise | None:
    """Return what predictions out of fold say of the labels.

    Parameters
    ----------
    task : Task
        Of classes.
    y : ndarray of shape (n_rows,)
        Class codes of the given labels.
    predicted : ndarray of shape (n_rows, n_outputs)
        Probabilities out of fold: of the second class, or of each.
    numbers : ndarray of int64, shape (n_rows,)
        What each row is called.
    hidden : bool, default=False
        Whether labels are personal and may not be repeated.

    Returns
    -------
    LabelNoise or None
        None of fewer than 100 rows. Of a table of more than five million probabilities some rows are looked at.
    """
    if len(y) < _FEWEST_ROWS:
        return None
    chances = (
        np.column_stack([1 - predicted[:, 0], predicted[:, 0]]) if predicted.shape[1] == 1 else predicted
    )
    most = _CELLS // chances.shape[1]
    if len(y) > most:
        some = np.linspace(0, len(y) - 1, most).astype(np.int64)
        y, chances, numbers = y[some], chances[some], numbers[some]
    codes = y.astype(np.int64)
    joint, sure = confident_joint(codes, chances)
    off = np.flatnonzero((sure >= 0) & (sure != codes))
    margin = chances[off, sure[off]] - chances[off, codes[off]]
    order = off[np.argsort(-margin, kind="stable")]
    labels = task.labels

    def suspect(row: int) -> Suspect:
        given, likely = (None, None) if hidden else (labels[codes[row]], labels[sure[row]])
        return Suspect(int(numbers[row]), given, likely, float(chances[row, codes[row]]))

    share = _share(joint, np.bincount(codes, minlength=chances.shape[1]))
    low, alarm = _at_least(codes, chances)
    error = math.sqrt(max(share * (1 - share), 1 / len(y)) / len(y))
    alarm = alarm and share > 0
    return LabelNoise(
        task.target,
        len(y),
        alarm,
        len(off),
        tuple(suspect(int(row)) for row in order[:_MOST_SUSPECTS]),
        share=share,
        low=min(low, share) if alarm else 0.0,
        high=min(1.0, share + _TWO_SIDED * error),
    )


def _share(joint: Ints, sizes: Ints) -> float:
    """Return the share of wrong labels: each label's confident rows stand for all of its rows."""
    counted = joint.sum(axis=1)
    known = counted > 0
    wrong = 1.0 - np.diag(joint)[known] / counted[known]
    return float((wrong * sizes[known]).sum() / sizes.sum())


def _at_least(codes: Ints, chances: Floats) -> tuple[float, bool]:
    """Return the lower limit of the share of contradicted labels among the surest rows, and whether that is an alarm."""
    called = chances.argmax(axis=1)
    confidence = np.clip(chances.max(axis=1), 1e-6, 1 - 1e-6)
    odds = np.log(confidence / (1 - confidence))
    wrong = called != codes
    top, surest = np.zeros(len(codes), bool), np.zeros(len(codes), bool)
    for code in np.unique(called):
        rows = np.flatnonzero(called == code)
        if len(rows) < _FEWEST_CALLED:
            continue
        rows = rows[np.argsort(-odds[rows], kind="stable")]
        top[rows[: int(_TOP * len(rows))]] = True
        surest[rows[: max(int(_SUREST * len(rows)), min(len(rows) // 2, _FEWEST_SUREST))]] = True
    n_top, n_surest = int(top.sum()), int(surest.sum())
    if n_top < _FEWEST_SUREST:
        return 0.0, False
    falls, error = _fall(wrong[top], called[top], odds[top])
    low, _ = _limits(int((wrong & surest).sum()), n_surest, 0.025)
    least, most = _limits(int((wrong & top).sum()), n_top, 0.05)
    is_flat = falls + _ONE_SIDED * error < _FLAT
    return low, is_flat and low > 0 and least >= _FEWEST_CONTRADICTED and most <= _MOST_CONTRADICTED


def _limits(count: int, total: int, alpha: float) -> tuple[float, float]:
    """Return the limits of Clopper and Pearson, one-sided each."""
    from scipy.special import betaincinv  # heavy

    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, alpha))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - alpha))
    return low, high


def _fall(wrong: NDArray[np.bool_], called: Ints, odds: Floats) -> tuple[float, float]:
    """Return by how much the log odds of a contradiction fall a standard deviation of confidence, and its error.

    By a logistic regression with one level for each class that is called and one slope for all; infinite where no class
    has both contradicted and other rows.
    """
    sure, level = np.zeros(len(odds)), np.full(len(odds), -1)
    starts: list[float] = []
    for code in np.unique(called):
        rows = np.flatnonzero(called == code)
        share, spread = float(wrong[rows].mean()), float(odds[rows].std())
        if 0 < share < 1 and spread > 1e-9:
            sure[rows], level[rows] = (odds[rows] - odds[rows].mean()) / spread, len(starts)
            starts.append(math.log(share / (1 - share)))
    if not starts:
        return math.inf, math.inf
    used = level >= 0
    x = np.column_stack([np.eye(len(starts))[level[used]], sure[used]])
    t, beta = wrong[used].astype(np.float64), np.array([*starts, 0.0])
    curvature = np.eye(len(beta))
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + 1e-9 * np.eye(len(beta))
        step = np.clip(np.linalg.solve(curvature, x.T @ (t - chance)), -2, 2)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return float(-beta[-1]), math.sqrt(float(np.linalg.inv(curvature)[-1, -1]))
