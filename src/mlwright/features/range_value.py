"""RangeValue: ordered ranges ("18-25", "65+", "under 10") as numbers, beside their categories."""

from __future__ import annotations

import math
from typing import ClassVar

from mlwright.core.params import Flag, Rule, check
from mlwright.data.ranges import read_range
from mlwright.features.level_number import LevelNumber

__all__ = ["RangeValue"]


class RangeValue(LevelNumber):
    """The number or the middle of the range in a text, see `mlwright.data.ranges`.

    Parameters
    ----------
    column : str
        The raw column's name.
    scaled : bool, default=False
        For linear models: distances from the mean in standard deviations, and 0 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from mlwright.data.values import Coded
    >>> ages = {"age": Coded(np.array([0, 1, 2], np.int32), ["18-25", "65+", "unknown"])}
    >>> RangeValue("age").fit(ages, np.zeros(3), n_classes=0, seed=0).batch(ages).tolist()
    [[21.5], [65.0], [nan]]
    """

    kind: ClassVar[str] = "range_value"
    label: ClassVar[str] = "range"
    rules: ClassVar[dict[str, Rule]] = {"scaled": Flag()}

    def __init__(self, column: str, *, scaled: bool = False) -> None:
        super().__init__(column)
        check("RangeValue", {"scaled": scaled}, self.rules)
        self.scaled = scaled

    def read(self, text: str) -> float:
        """Return the middle of the range in `text`."""
        found = read_range(text)
        return math.nan if found is None else found.value
