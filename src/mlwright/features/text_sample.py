"""The texts that text transforms learn from: all distinct ones, or a seeded sample of them."""

from __future__ import annotations

from mlwright.core.seeds import generator
from mlwright.data.values import Coded
from mlwright.features.levels import count_levels

__all__ = ["sample"]

_MOST = 20_000


def sample(column: Coded, seed: int) -> tuple[list[str], list[int]]:
    """Return up to 20,000 distinct texts and how many rows have each.

    Examples
    --------
    >>> import numpy as np
    >>> sample(Coded(np.array([0, 1, 1, -1], np.int32), ["good", "bad"]), seed=0)
    (['bad', 'good'], [2, 1])
    """
    counted = count_levels(column)
    if len(counted) > _MOST:
        drawn = generator(seed, "texts").choice(len(counted), _MOST, replace=False)
        counted = [counted[i] for i in sorted(drawn.tolist())]
    return [text for text, _ in counted], [count for _, count in counted]
