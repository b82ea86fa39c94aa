"""Tasks side by side on this machine, in threads. The learners release the interpreter lock while they work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

__all__ = ["Executor", "Item", "Local", "Result", "cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs independent tasks.

    Results come back in the tasks' order. The first error is raised after all started tasks have ended. Called from
    one thread at a time.
    """

    workers: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return ``[function(item) for item in items]``."""
        ...


def cores() -> int:
    """Return how many cores this process may use: the scheduler's mask, and a container's quota where one is set."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:  # noqa: PTH123 - a kernel file, read once
            quota, period = file.read().split()
    except (OSError, ValueError):
        return max(1, count)
    return max(1, count if quota == "max" else min(count, -(-int(quota) // int(period))))


class Local:
    """Threads on this machine.

    Parameters
    ----------
    workers : int, optional
        How many tasks run at once; by default one a core.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return the results in the items' order.

        Examples
        --------
        >>> Local(2).map(abs, [-1, 2, -3])
        [1, 2, 3]
        """
        if self.workers == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(function, items))
