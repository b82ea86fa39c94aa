"""The few type aliases that matter."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Json", "Record"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Json: TypeAlias = dict[str, Any]
Record: TypeAlias = dict[str, Any]  # one record as plain JSON gives it: str, int, float, bool, None
