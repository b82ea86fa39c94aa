"""CalibrationError: how far probabilities lie from what comes true, beside what a perfect model would show by chance.

References
----------
J. Broecker, L. Smith, "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22 (2007): the range of a
perfect model by resampling; A. Kumar, P. Liang, T. Ma, "Verified Uncertainty Calibration", NeurIPS (2019): the error without
its bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints

__all__ = ["CalibrationError", "calibration_error"]

_BINS, _ROWS_A_BIN = 15, 20
_DRAWS, _MOST_CELLS = 200, 4_000_000


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The mean distance of probabilities from what came true, over bins of equal size.

    Parameters
    ----------
    error : float
        The expected calibration error (ECE), from 0 to 1.
    floor, floor_high : float
        What a perfectly calibrated model would show on so many rows: on average, and in 19 of 20 cases at most.
    debiased : float
        The root mean squared distance without what chance adds, at least 0.
    n_rows, n_bins : int
        Of how many rows, in how many bins.
    """

    key: ClassVar[str] = "calibration_error"

    error: float
    floor: float
    floor_high: float
    debiased: float
    n_rows: int
    n_bins: int

    @property
    def is_chance(self) -> bool:
        """Whether a perfect model would show as much."""
        return self.error <= self.floor_high

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return msgspec.to_builtins(self)


def calibration_error(chance: Floats, came: Floats, *, seed: int = 0) -> CalibrationError | None:
    """Measure probabilities of shape (n_rows,) against what came true (0 or 1); None of less than 40 rows.

    Examples
    --------
    >>> found = calibration_error(np.full(400, 0.5), np.arange(400) % 2)
    >>> found.error, found.is_chance
    (0.0, True)
    """
    n_bins = min(_BINS, len(chance) // _ROWS_A_BIN)
    if n_bins < 2:
        return None
    inner = np.quantile(chance, np.linspace(0, 1, n_bins + 1)[1:-1])
    codes = np.unique(np.searchsorted(inner, chance), return_inverse=True)[1]
    count = np.bincount(codes).astype(np.float64)
    given, seen = np.bincount(codes, chance) / count, np.bincount(codes, came) / count
    share = count / len(chance)
    random = generator(seed, "calibration floor")
    n_draws = max(20, min(_DRAWS, _MOST_CELLS // len(chance)))
    perfect = [_error(_drawn(random, chance, codes) / count, given, share) for _ in range(n_draws)]
    noise = np.where(count > 1, seen * (1 - seen) / np.maximum(count - 1, 1), 0.0)
    squared = float(share @ ((given - seen) ** 2 - noise))
    return CalibrationError(
        _error(seen, given, share),
        float(np.mean(perfect)),
        float(np.quantile(perfect, 0.95)),
        math.sqrt(max(0.0, squared)),
        len(chance),
        len(count),
    )


def _drawn(random: np.random.Generator, chance: Floats, codes: Ints) -> Floats:
    return np.bincount(codes, random.random(len(chance)) < chance).astype(np.float64)


def _error(seen: Floats, given: Floats, share: Floats) -> float:
    return float(share @ np.abs(given - seen))
