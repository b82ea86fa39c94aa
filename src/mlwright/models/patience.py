"""Patience: when boosting has gone too long without a better iteration."""

from __future__ import annotations

import math

__all__ = ["Patience"]

_PROGRESS = 1e-5  # of the first loss; classes that can be parted perfectly improve by less for ever


class Patience:
    """Keeps the best iteration and says when to give up.

    Parameters
    ----------
    learning_rate : float
        Patience is ``max(20, 3 / learning_rate)`` iterations: a slow learner needs longer to show progress.

    Examples
    --------
    >>> patience = Patience(0.5)
    >>> [patience.over(i, loss) for i, loss in enumerate([3.0, 2.0, 2.5])], patience.best
    ([False, False, False], 1)
    """

    def __init__(self, learning_rate: float) -> None:
        self.rounds = max(20, round(3 / learning_rate))
        self.best = 0
        self._loss = math.inf
        self._progress = (0, math.inf)  # the last iteration that was better by more than a trifle; its loss
        self._trifle = 0.0

    def over(self, iteration: int, loss: float) -> bool:
        """Note the loss of `iteration`; return whether it is time to give up."""
        if iteration == 0:
            self._trifle = _PROGRESS * abs(loss)
        if loss < self._loss:
            self._loss, self.best = loss, iteration
        if loss < self._progress[1] - self._trifle:
            self._progress = (iteration, loss)
        return iteration - self._progress[0] >= self.rounds
