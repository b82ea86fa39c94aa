"""Patience: when boosting has gone too long without a better iteration."""

from __future__ import annotations

import math

__all__ = ["LearningCurve", "Patience"]

_PROGRESS = 0.05  # of one row's part in the first loss: less is a trifle
_MOST_POINTS = 48  # of a curve that is kept
_ENOUGH = 5000  # rows; with more a trifle does not get any smaller


class LearningCurve:
    """Losses by iteration, evenly thinned to some dozens.

    Examples
    --------
    >>> curve = LearningCurve()
    >>> for iteration in range(100):
    ...     curve.note(iteration, 1.0)
    >>> len(curve.points), curve.points[-1]
    (25, (96, 1.0))
    """

    def __init__(self) -> None:
        self._every = 1
        self._points: list[tuple[int, float]] = []

    def note(self, iteration: int, loss: float) -> None:
        """Keep the loss, unless its iteration is thinned out."""
        if iteration % self._every:
            return
        self._points.append((iteration, loss))
        if len(self._points) > _MOST_POINTS:
            self._every *= 2
            self._points = [(at, value) for at, value in self._points if at % self._every == 0]

    @property
    def points(self) -> list[tuple[int, float]]:
        """Pairs of iteration and loss."""
        return [(at, float(f"{loss:.6g}")) for at, loss in self._points]


class Patience:
    """Keeps the best iteration and says when to give up.

    Parameters
    ----------
    learning_rate : float
        Patience is ``max(20, 3 / learning_rate)`` iterations: a slow learner needs longer to show progress.
    n_rows : int, default=5,000
        How many rows the loss is the mean of. Classes that few rows part perfectly would improve by trifles for ever:
        the fewer the rows, the larger a trifle.

    Examples
    --------
    >>> patience = Patience(0.5)
    >>> [patience.over(i, loss) for i, loss in enumerate([3.0, 2.0, 2.5])], patience.best
    ([False, False, False], 1)
    """

    def __init__(self, learning_rate: float, n_rows: int = _ENOUGH) -> None:
        self.rounds = max(20, round(3 / learning_rate))
        self.best = 0
        self._loss = math.inf
        self._progress = (0, math.inf)  # the last iteration that was better by more than a trifle; its loss
        self._share = _PROGRESS / min(max(n_rows, 1), _ENOUGH)
        self._trifle = 0.0
        self._curve = LearningCurve()

    def over(self, iteration: int, loss: float) -> bool:
        """Note the loss of `iteration`; return whether it is time to give up."""
        self._curve.note(iteration, loss)
        if iteration == 0:
            self._trifle = self._share * abs(loss)
        if loss < self._loss:
            self._loss, self.best = loss, iteration
        if loss < self._progress[1] - self._trifle:
            self._progress = (iteration, loss)
        return iteration - self._progress[0] >= self.rounds

    @property
    def curve(self) -> list[tuple[int, float]]:
        """The loss by iteration; see `LearningCurve`."""
        return self._curve.points
