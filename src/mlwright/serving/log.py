"""PredictionLog: what was asked and answered, appended to files by hour without ever making a request wait.

A request adds bytes that it has anyway to a list. One thread takes what waits, four times a second, joins it into blocks
with a checksum (`mlwright.serving.frames`) and appends them: it turns nothing into columns and encodes nothing, so that
it holds Python's lock for microseconds. A killed process loses what came in the last quarter of a second; a torn block
costs only itself. Reading, and turning finished files into Parquet, is `mlwright.serving.log_reading`.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote

import msgspec

from mlwright.core.errors import StoreError, UsageError
from mlwright.serving.frames import block, entry
from mlwright.serving.log_reading import read_log

__all__ = ["Channel", "PredictionLog", "folder_name", "read_log"]

_HOUR = 3600 * 10**9
_FILE_BYTES = 64 * 2**20  # a file of more is finished, and the next begun
_WAKE_BYTES = 2**20  # so much waiting starts a write early
_BLOCK_ENTRIES = 1_000
_LATE_SECONDS = 60.0  # after the hour's end its files are finished


class _Waiting(NamedTuple):
    """What one channel has for one hour."""

    channel: Channel
    hour: int
    parts: list[bytes]


class Channel:
    """Where one version of one model puts its predictions; see `PredictionLog.channel`."""

    __slots__ = ("_end", "_log", "_parts", "_start", "folder", "origin")

    def __init__(self, log: PredictionLog, model: str, version: str, sha256: str) -> None:
        self.folder = folder_name(model)
        self.origin = msgspec.json.encode({"model": model, "version": version, "sha256": sha256})
        self._log = log
        self._parts: list[bytes] = []
        self._start = self._end = 0

    def put(self, time_ns: int, latency_us: int, record: bytes, answer: bytes) -> bool:
        """Queue one prediction and return at once; False if it was dropped.

        Parameters
        ----------
        time_ns : int
            When it was made, since 1970 UTC.
        latency_us : int
            How long it took.
        record, answer : bytes
            JSON as it came in and went out.
        """
        part = entry(time_ns // 1000, min(max(latency_us, 0), 2**32 - 1), record, answer)
        size = len(part)
        log = self._log
        with log.lock:
            before = log.waiting_bytes
            if log.closed or before + size > log.max_bytes:
                log.dropped += 1
                return False
            if not self._start <= time_ns < self._end:
                self._begin(time_ns)
            self._parts.append(part)
            log.waiting_bytes = before + size
        if before < _WAKE_BYTES <= before + size:
            log.wake()
        return True

    def _begin(self, time_ns: int) -> None:
        hour = time_ns // _HOUR
        self._start, self._end, self._parts = hour * _HOUR, (hour + 1) * _HOUR, []
        self._log.waiting.append(_Waiting(self, hour, self._parts))

    def taken(self) -> None:
        """Forget the list that the writer has taken."""
        self._start = self._end = 0


class PredictionLog:
    """Writes predictions below a directory, without ever making a request wait.

    Parameters
    ----------
    directory : Path
        The log's root; a model's predictions come to lie in ``<model>/<hour>/``.
    every : float, default=0.25
        Seconds between writes.
    max_bytes : int
        How much may wait. What is put beyond that is dropped and counted.

    Attributes
    ----------
    dropped : int
        Predictions lost because too much waited or the disk refused them.
    written : int
        Predictions in files.
    error : str or None
        The last write's error.
    """

    def __init__(self, directory: str | Path, *, every: float = 0.25, max_bytes: int = 64 * 2**20) -> None:
        self.directory = Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the prediction log cannot be written: {error.strerror}", got=str(self.directory)
            ) from error
        self.dropped = 0
        self.written = 0
        self.error: str | None = None
        self.max_bytes = max_bytes
        self.watch: Callable[[], None] | None = None  # called by the writer after each round
        # What follows is shared with the channels and changed under the lock only.
        self.lock = threading.Lock()
        self.waiting: list[_Waiting] = []
        self.waiting_bytes = 0
        self.closed = False
        self._every = every
        self._wake = threading.Event()
        self._writer = _Writer(self.directory)
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def channel(self, model: str, version: str, sha256: str) -> Channel:
        """Return where a version puts its predictions."""
        return Channel(self, model, version, sha256)

    def wake(self) -> None:
        """Let the writer begin now."""
        self._wake.set()

    def close(self) -> None:
        """Write all that waits and end the thread. May be called twice."""
        with self.lock:
            self.closed = True
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._every)
            self._wake.clear()
            with self.lock:
                taken, self.waiting = self.waiting, []
                for one in taken:
                    one.channel.taken()
                is_last = self.closed
            for one in taken:
                self._write(one)
            self._writer.finish(everything=is_last)
            if self.watch is not None:
                self.watch()
            if is_last:
                return

    def _write(self, one: _Waiting) -> None:
        n_entries, size = len(one.parts), sum(map(len, one.parts))
        try:
            self._writer.write(one.channel.folder, one.hour, one.channel.origin, one.parts)
            failed = 0
        except OSError as error:  # a full disk must stop neither the service nor the log
            failed = n_entries - self._writer.begun
            self.error = f"{type(error).__name__}: {error}"
            _complain(self.error, failed)
        with self.lock:
            self.waiting_bytes -= size
            self.dropped += failed
            self.written += n_entries - failed


def _complain(error: str, rows: int) -> None:
    line = {"level": "error", "event": "prediction log not written", "error": error, "rows": rows}
    sys.stderr.write(msgspec.json.encode(line).decode() + "\n")
    sys.stderr.flush()


class _File:
    """An open file of the log. Its lock says to others that it is not finished."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.size = 0
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.handle, fcntl.LOCK_EX)

    def append(self, data: bytes) -> None:
        """Append all of `data`, or leave the file as it was."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.handle, view) :]
        except OSError:
            os.ftruncate(self.handle, self.size)
            raise
        self.size += len(data)


class _Writer:
    """Lives in the log's thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = os.urandom(8).hex()
        self.number = 0
        self.begun = 0  # entries of the last call that are in the file
        self.files: dict[tuple[str, int], _File] = {}

    def write(self, folder: str, hour: int, origin: bytes, parts: list[bytes]) -> None:
        """Append entries to the file of their hour."""
        self.begun = 0
        for start in range(0, len(parts), _BLOCK_ENTRIES):
            some = parts[start : start + _BLOCK_ENTRIES]
            self._file(folder, hour).append(block(origin, some))
            self.begun += len(some)

    def _file(self, folder: str, hour: int) -> _File:
        file = self.files.get((folder, hour))
        if file is None or file.size > _FILE_BYTES:
            if file is not None:
                os.close(file.handle)
            name = time.strftime("%Y-%m-%dT%H", time.gmtime(hour * 3600))
            path = self.directory / folder / name / f"{self.name}.{self.number:08d}.frames"
            file = self.files[folder, hour] = _File(path)
            self.number += 1
        return file

    def finish(self, *, everything: bool) -> None:
        """Close the files of hours that are over, or all."""
        now = time.time() - _LATE_SECONDS
        for key in [key for key in self.files if everything or (key[1] + 1) * 3600 < now]:
            os.close(self.files.pop(key).handle)


def folder_name(model: str) -> str:
    """Return a model's name as one safe component of a path.

    Examples
    --------
    >>> folder_name("churn"), folder_name("../x"), folder_name("a/b c")
    ('churn', '%2E.%2Fx', 'a%2Fb c')
    """
    if not model or len(model) > 100:
        raise UsageError("a model's name is empty or too long", got=model, allowed="1 to 100 characters")
    safe = quote(model, safe=" ")
    return "%2E" + safe[1:] if safe.startswith(".") else safe
