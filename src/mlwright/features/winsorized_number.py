"""WinsorizedNumber: a scaled number that never lies far beyond the tails of training."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule, check
from mlwright.core.types import Floats
from mlwright.data.values import Columns
from mlwright.features import audit
from mlwright.features.scaled_number import ScaledNumber

__all__ = ["WinsorizedNumber"]


class WinsorizedNumber(ScaledNumber):
    """A `ScaledNumber` held near the quantiles of what was seen at fit.

    What a straight line says of a row that lies beyond all others in several columns at once is a guess that squares
    punish; trees say of it what they say of the last that they know. So do smooth learners with these columns. Normal
    and uniform values are hardly ever held. Where both quantiles are one value, as of a rare 1 among zeros, nothing but
    `clip` holds it.

    Parameters
    ----------
    column : str
        The raw column's name.
    clip : float, default=10.0
        The largest distance from the mean, in standard deviations.
    tails : float, default=0.005
        The share of the present values at each end that lie beyond the quantile there.
    reach : float, default=0.25
        How far beyond it one may lie, in parts of the distance between the two quantiles.

    Examples
    --------
    >>> sizes = {"size": np.arange(1001.0)}
    >>> held = WinsorizedNumber("size", tails=0.01, reach=0.0).fit(sizes, np.zeros(1001), n_classes=0, seed=0)
    >>> held.row(5000.0) == held.row(990.0) > held.row(989.0)
    True
    """

    kind: ClassVar[str] = "winsorized_number"
    rules: ClassVar[dict[str, Rule]] = {
        **ScaledNumber.rules,
        "reach": Number(0, 1e3),
        "tails": Number(0, 0.25),
    }

    def __init__(self, column: str, clip: float = 10.0, tails: float = 0.005, reach: float = 0.25) -> None:
        super().__init__(column, clip)
        check("WinsorizedNumber", {"clip": clip, "reach": reach, "tails": tails}, self.rules)
        self.tails, self.reach = tails, reach

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Learn what `ScaledNumber` does, then the limits."""
        super().fit(columns, y, n_classes=n_classes, seed=seed)
        if self.deviation_ is None:
            return self
        values: Any = columns[self.column]
        present = values[~np.isnan(values)]
        ends = np.quantile(present, (self.tails, 1.0 - self.tails), method="nearest").tolist()
        (low,), (high,) = map(self._scaled, ends)
        if low == high:
            return self
        beyond = self.reach * (high - low)
        return self.set_limits(max(self.low_, low - beyond), min(self.high_, high + beyond))

    def state(self) -> State:
        """Return what was learned as plain numbers."""
        return State({**super().state().tree, "low": self.low_, "high": self.high_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build it again; numbers must be finite, and the limits apart."""
        new = super().from_state(state)
        low, high = audit.number(state, "low"), audit.number(state, "high")
        if low >= high:
            raise BundleContentError(f"{cls.kind}: low", got=low, allowed=f"below high, {high}")
        return new.set_limits(low, high)
