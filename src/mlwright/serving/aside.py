"""Aside: the one thread for what the event loop must not wait for, and what breaks into a call that it waits for anyway."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Aside", "TooSlowError", "Watchdog"]

_seconds = time.perf_counter


class Aside:
    """A thread that does one piece of work after the other; a piece that never ends does not keep the process alive."""

    def __init__(self) -> None:
        self.busy_since = 0.0  # `time.perf_counter` of the piece under way; 0 if there is none
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Let the thread call `work`, which must not raise, after what was given before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
            self._thread.start()
        self._work.put(work)

    def is_stuck(self, seconds: float) -> bool:
        """Return whether the piece under way has taken longer than that."""
        since = self.busy_since
        return since > 0.0 and _seconds() - since > seconds

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            self.busy_since = _seconds()
            work()
            self.busy_since = 0.0

    def stop(self, seconds: float) -> None:
        """Let the thread finish what it has, and give up on it after so many seconds."""
        self._work.put(None)
        if self._thread is not None:
            self._thread.join(seconds)


class TooSlowError(BaseException):
    """What the watchdog raises in a call on the event loop; no handler of ordinary errors may take it for one."""


class Watchdog:
    """Breaks into a prediction on the event loop that keeps the others waiting.

    A thread of its own looks at the clock, and a signal (SIGURG, which is ignored where nobody asks for it) brings the
    main thread to raise `TooSlowError` in the middle of the call: in Python code, in a sleep, or as soon as a library
    comes back. Whoever is broken off asks again in the thread aside. A library that never comes back cannot be broken off.

    Parameters
    ----------
    seconds : float
        How long a call may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = 0.0  # `time.perf_counter` of the call under way on the event loop; 0 if there is none
        self._owner = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch; to be called in the main thread, where the event loop lives."""
        self._owner = threading.get_ident()
        signal.signal(signal.SIGURG, self._break_off)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    @property
    def is_on(self) -> bool:
        """Whether it watches."""
        return self._thread is not None

    def done(self) -> None:
        """Let nothing break into the rest of the call: what comes now, such as a line of the log, is done once."""
        if self.began and threading.get_ident() == self._owner:
            self.began = 0.0

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            signal.signal(signal.SIGURG, signal.SIG_DFL)

    def _watch(self) -> None:
        while not self._stop.wait(self.seconds / 2):
            if self._is_late():
                signal.pthread_kill(self._owner, signal.SIGURG)

    def _is_late(self) -> bool:
        began = self.began
        return began > 0.0 and _seconds() - began > self.seconds

    def _break_off(self, number: int, frame: Any) -> None:  # noqa: ARG002 - the signature is a handler's
        if self._is_late():
            self.began = 0.0
            raise TooSlowError
