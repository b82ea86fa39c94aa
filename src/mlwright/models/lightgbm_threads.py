"""Threads of LightGBM: the library keeps their number for the whole process, and a call that changes it can crash another.

Whoever builds a data set has one buffer for each thread of then. If meanwhile anybody raises the number (each prediction
sets it), threads write to buffers that are not there, and the process ends with a segmentation fault. So calls that set a
number, or build by it, run side by side only with calls of the same number.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["THREADS", "ThreadNumber"]


class ThreadNumber:
    """A gate that lets calls with one number of threads through at a time, and no others until they are done.

    Calls go in as they came, so nobody waits for ever. Not to be entered again by a thread that is within.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who is within: in a forked child they are not."""
        self._change = threading.Condition()
        self._waiting: deque[object] = deque()
        self._number, self._within = 0, 0

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Keep the number of LightGBM's threads from being changed by others; waits until it may be `number`."""
        me = object()
        with self._change:
            self._waiting.append(me)
            try:
                self._change.wait_for(lambda: self._waiting[0] is me and self._allows(number))
                self._number = number
                self._within += 1
            finally:
                self._waiting.remove(me)
                self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._within -= 1
                self._change.notify_all()

    def _allows(self, number: int) -> bool:
        return self._within == 0 or self._number == number


THREADS = ThreadNumber()
os.register_at_fork(after_in_child=THREADS.reset)
