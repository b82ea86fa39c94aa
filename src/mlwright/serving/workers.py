"""Workers: several processes behind one port, and the supervisor that keeps them there.

Each worker has a socket of its own on the shared port (``SO_REUSEPORT``), its own event loop and its own log files. The
supervisor loads nothing and answers nothing: it forks, waits, and starts again what died, ever later if it dies again.
It holds all sockets, so that connections to a worker that died wait for the next one and are not reset.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from mlwright.core import errors
from mlwright.core.errors import MlwrightError

__all__ = ["Work", "pause_before", "supervise"]

Work: TypeAlias = Callable[[int, socket.socket, Callable[[], None]], None]
"""Answers on a socket until SIGTERM: its number, the socket, and what to call when it is ready."""

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_READY = b"ready"
_LIVED = 60.0  # who lived so long did not die of how it was started
_MOST_PAUSE = 30.0
_LONG = 1.0  # a longer pause gives the socket up, so that the others get its connections
_LAST_WAIT = 30.0
_PARENT_DIED = 1  # PR_SET_PDEATHSIG


def pause_before(deaths: int) -> float:
    """Return the seconds to wait before a worker that died `deaths` times in a row is started again.

    Examples
    --------
    >>> [pause_before(n) for n in (1, 2, 3, 10)]
    [0.1, 0.4, 1.6, 30.0]
    """
    return min(0.1 * 4 ** (min(deaths, 8) - 1), _MOST_PAUSE)


class _Slot:
    """One worker's place."""

    def __init__(self, number: int, listener: socket.socket) -> None:
        self.number = number
        self.listener: socket.socket | None = listener
        self.process = 0
        self.news = -1
        self.began = 0.0
        self.deaths = 0
        self.again = 0.0


def supervise(
    count: int, listen: Callable[[], socket.socket], work: Work, on_ready: Callable[[], None]
) -> None:
    """Keep `count` workers alive until SIGTERM or SIGINT; then let them finish.

    Parameters
    ----------
    count : int
        Workers.
    listen : callable
        Returns one more listening socket on the shared port.
    work : callable
        What a worker does.
    on_ready : callable
        Called once all are ready.

    Raises
    ------
    MlwrightError
        If a worker cannot start the first time, by its own error.
    """
    slots = [_Slot(number, listen()) for number in range(count)]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        for slot in slots:
            _start(slot, slots, work)
        if _all_ready(slots):
            on_ready()
            _keep(slots, listen, work)
    finally:
        _end(slots)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start(slot: _Slot, slots: list[_Slot], work: Work) -> None:
    read, write = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _child(slot, slots, work, write, parent)
    os.close(write)
    slot.process, slot.news, slot.began = process, read, time.monotonic()


def _child(slot: _Slot, slots: list[_Slot], work: Work, news: int, parent: int) -> NoReturn:
    """Be a worker, and never return."""
    code = _live(slot, slots, work, news, parent)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _live(slot: _Slot, slots: list[_Slot], work: Work, news: int, parent: int) -> int:
    """Do a worker's work and return its exit code."""
    try:
        os.setsid()  # Ctrl+C goes to the supervisor, which passes it on once
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGTERM)
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for other in slots:
                if other is not slot and other.listener is not None:
                    other.listener.close()
            assert slot.listener is not None  # noqa: S101 - for the type checker; the supervisor has just seen to it
            work(slot.number, slot.listener, lambda: _tell(news, _READY))
    except MlwrightError as error:
        _tell(news, json.dumps([type(error).__name__, str(error)]).encode())
        return error.exit_code
    except BaseException as error:  # noqa: BLE001 - a forked child must not run on as its parent
        text = f"a worker failed: {type(error).__name__}: {error}"
        _tell(news, json.dumps(["MlwrightError", text]).encode())
        traceback.print_exc()
        return 1
    return 0


def _tell(news: int, what: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(news, what[:4000])


def _all_ready(slots: list[_Slot]) -> bool:
    """Wait until all workers answer; False if a signal came first."""
    waiting = {slot.news for slot in slots}
    while waiting:
        for news in select.select(list(waiting), [], [], 0.1)[0]:
            told = os.read(news, 4096)
            if told != _READY:
                raise _error(told)
            waiting.discard(news)
        if signal.sigpending() & {signal.SIGTERM, signal.SIGINT}:
            return False
    return True


def _error(told: bytes) -> MlwrightError:
    """Return a worker's error as our own."""
    try:
        kind, text = json.loads(told)
    except ValueError:
        return MlwrightError("a worker died before it was ready", fix="its standard error may say why")
    found = getattr(errors, kind, MlwrightError)
    is_plain = (
        isinstance(found, type) and issubclass(found, MlwrightError) and found is not errors.RecordError
    )
    return (found if is_plain else MlwrightError)(text)


def _keep(slots: list[_Slot], listen: Callable[[], socket.socket], work: Work) -> None:
    """Start again what dies, until a signal says stop."""
    while True:
        got = signal.sigtimedwait(_SIGNALS, 0.1)
        if got is not None and got.si_signo != signal.SIGCHLD:
            return
        _bury(slots)
        now = time.monotonic()
        for slot in slots:
            if not slot.process and now >= slot.again:
                if slot.listener is None:
                    slot.listener = listen()
                _start(slot, slots, work)


def _bury(slots: list[_Slot]) -> None:
    """Take note of the workers that have died."""
    for slot in slots:
        if not slot.process or os.waitpid(slot.process, os.WNOHANG)[0] == 0:
            continue
        now = time.monotonic()
        slot.deaths = 1 if now - slot.began > _LIVED else slot.deaths + 1
        pause = pause_before(slot.deaths)
        told = _last_words(slot)
        slot.process, slot.again = 0, now + pause
        if pause > _LONG and slot.listener is not None:
            slot.listener.close()
            slot.listener = None
        line = {"level": "error", "event": "worker died", "worker": slot.number, "again_in_s": pause}
        sys.stderr.write(json.dumps(line | ({"error": told} if told else {})) + "\n")
        sys.stderr.flush()


def _last_words(slot: _Slot) -> str:
    """Return the error that a worker died of, if it said one."""
    with os.fdopen(slot.news, "rb") as news:
        told = news.read().removeprefix(_READY)
    slot.news = -1
    try:
        return str(json.loads(told)[1]) if told else ""
    except (ValueError, LookupError, TypeError):
        return ""


def _end(slots: list[_Slot]) -> None:
    """Let all workers finish; who does not is killed."""
    for slot in slots:
        if slot.listener is not None:
            slot.listener.close()
        if slot.process:
            os.kill(slot.process, signal.SIGTERM)
    end = time.monotonic() + _LAST_WAIT
    for slot in slots:
        while slot.process and os.waitpid(slot.process, os.WNOHANG)[0] == 0:
            got = signal.sigtimedwait(_SIGNALS, 0.05)
            again = got is not None and got.si_signo != signal.SIGCHLD
            if again or time.monotonic() > end:  # the second signal does not wait
                for other in slots:
                    if other.process:
                        os.kill(other.process, signal.SIGTERM if again else signal.SIGKILL)
        slot.process = 0
        if slot.news >= 0:
            os.close(slot.news)
            slot.news = -1
