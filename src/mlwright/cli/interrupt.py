"""Ctrl+C: ends the command by an exception, and the process by force where native code does not let go in time.

A run may be killed at any moment and goes on later, so leaving at once costs nothing but the trial that is running.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]

_GRACE_SECONDS = 2.0  # for files to be closed and temporary ones to be removed


@contextmanager
def interruptible(message: str, document: str = "") -> Iterator[None]:
    """Let Ctrl+C raise `KeyboardInterrupt` and end the process two seconds later, if it has not ended by then.

    Threads of the learners may work for minutes and cannot be stopped, and a library may swallow the exception. A
    second Ctrl+C ends the process at once. Does nothing outside the main thread, or where Ctrl+C is ignored.

    Parameters
    ----------
    message : str
        The line that is written to standard error if the process is ended by force before `KeyboardInterrupt` came
        through.
    document : str
        What is then written to standard output.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked = threading.Event()
    told = threading.Lock()  # held by whoever says it: the forced end, or the command's own

    def leave() -> None:
        if sys.stderr.isatty():
            os.write(2, b"\r\x1b[K\x1b[?25h")  # clear the line of the progress bar and show the cursor
        if told.acquire(blocking=False):
            os.write(1, document.encode())
            os.write(2, f"{message}\n".encode())
        os._exit(130)

    def stop(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            leave()
        asked.set()
        timer = threading.Timer(_GRACE_SECONDS, leave)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    except KeyboardInterrupt:
        if not told.acquire(blocking=False):  # the process is being ended and has said so
            time.sleep(_GRACE_SECONDS)
        raise
    finally:
        if not asked.is_set():
            signal.signal(signal.SIGINT, signal.default_int_handler)
