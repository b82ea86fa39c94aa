"""Time: a deadline that parts share, how long this process has run, and durations as people write them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from mlwright.core.errors import UsageError

__all__ = ["Deadline", "parse_duration", "process_seconds"]

_UNITS = {"us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: str | float, *, name: str = "budget") -> float:
    """Return seconds for ``60``, ``"60s"``, ``"5m"``, ``"1.5h"``.

    Examples
    --------
    >>> parse_duration("5m")
    300.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|m|h|d)?\s*", str(value))
        if not match:
            raise UsageError(
                f"{name} is not a duration", got=value, allowed="a number with a unit, as in 60s, 5m or 1h"
            )
        seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if not 0 < seconds < 1e8:
        raise UsageError(
            f"{name} is out of range", got=value, allowed="more than 0 s and less than three years"
        )
    return seconds


def process_seconds() -> float:
    """Return the seconds since this process began, to a hundredth; 0 where the system does not tell."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        ticks = int(
            stat.rpartition(")")[2].split()[19]
        )  # field 22 of proc(5), in ticks since the machine began
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


class Deadline:
    """A budget of seconds that started at construction.

    Parameters
    ----------
    seconds : float
        The whole budget; ``inf`` for none.
    clock : callable, default=time.monotonic
        The source of time; tests pass their own.
    elapsed : float, default=0.0
        Seconds of it that are gone already.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, *, elapsed: float = 0.0
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock() - elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since construction."""
        return self._clock() - self._start

    @property
    def left(self) -> float:
        """Seconds that remain; negative when overrun."""
        return self.seconds - self.elapsed

    def share(self, fraction: float) -> Deadline:
        """Return a deadline that starts now and holds `fraction` of what is left."""
        return Deadline(max(0.0, self.left * fraction), self._clock)
