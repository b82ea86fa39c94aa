"""PredictionLog: what was asked and answered, as Parquet by hour.

A request only appends to a bounded queue. One thread takes what waits, at least once a second, and writes it as whole
files that appear by a rename; so a killed process loses the last second at most and never leaves a torn file. Files
are named ``<writer>.<first>-<last>.parquet`` by the numbers of the writes that they hold: when an hour ends, the small
ones are merged into one, and a reader skips each file whose writes a wider file of the same writer holds too.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

import msgspec
import numpy as np

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import write_atomic

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Entry", "PredictionLog", "folder_name", "read_log"]

_FILE = re.compile(r"([0-9a-f]{16})\.(\d{8})-(\d{8})\.parquet")
_MERGE_BYTES = 16 * 2**20  # what is merged in memory at once; compressed


class Entry(NamedTuple):
    """One prediction, as cheap as possible for the one who asks; the writer's thread turns it into a row."""

    time_ns: int
    prediction_id: str
    model: str
    version: str
    sha256: str
    record: bytes
    """Its JSON, as it came in."""
    answer: dict[str, Any]
    """``prediction``, ``probability`` and ``warnings``."""
    latency_us: int
    size: int
    """About how many bytes it holds, for the bound of the queue."""


class PredictionLog:
    """Writes predictions below a directory, without ever making a request wait.

    Parameters
    ----------
    directory : Path
        The log's root; a model's rows come to lie in ``<model>/<hour>/``.
    every : float, default=1.0
        Seconds between writes.
    rows, max_rows, max_bytes : int
        How many waiting rows start a write early; how many rows and bytes may wait. What is put beyond that is dropped
        and counted.

    Attributes
    ----------
    dropped : int
        Rows lost because the queue was full or the disk refused them.
    written : int
        Rows on disk.
    error : str or None
        The last write's error.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        every: float = 1.0,
        rows: int = 20_000,
        max_rows: int = 100_000,
        max_bytes: int = 256 * 2**20,
    ) -> None:
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
        self._every, self._rows = every, rows
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> bool:
        """Queue one row and return at once; False if it was dropped."""
        with self._lock:
            if (
                self._closed
                or len(self._queue) >= self._max_rows
                or self._bytes + entry.size > self._max_bytes
            ):
                self.dropped += 1
                return False
            self._queue.append(entry)
            self._bytes += entry.size
            is_full = len(self._queue) >= self._rows
        if is_full:
            self._wake.set()
        return True

    def close(self) -> None:
        """Write all that waits and end the thread. May be called twice."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        writer = _Writer(self.directory)
        while True:
            self._wake.wait(self._every)
            self._wake.clear()
            with self._lock:
                entries, self._queue, self._bytes = self._queue, deque(), 0
                is_last = self._closed
            try:
                writer.write(entries)
                writer.merge(everything=is_last)
            except Exception as error:  # noqa: BLE001 - a full disk must stop neither the service nor the log
                self.error = f"{type(error).__name__}: {error}"
                with self._lock:
                    self.dropped += writer.failed
                _complain(self.error, writer.failed)
            self.written = writer.written
            if is_last:
                return


def _complain(error: str, rows: int) -> None:
    line = {"level": "error", "event": "prediction log not written", "error": error, "rows": rows}
    sys.stderr.write(msgspec.json.encode(line).decode() + "\n")
    sys.stderr.flush()


class _Writer:
    """Lives in the log's thread; the only place where pyarrow is used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = os.urandom(8).hex()
        self.number = 0
        self.written = 0
        self.failed = 0  # rows of the last call that could not be written
        self.hours: dict[Path, list[Path]] = {}  # what this writer has written and not yet merged

    def write(self, entries: Iterable[Entry]) -> None:
        """Write one file an hour and model."""
        groups: dict[Path, list[Entry]] = {}
        for entry in entries:
            hour = time.strftime("%Y-%m-%dT%H", time.gmtime(entry.time_ns // 10**9))
            groups.setdefault(self.directory / folder_name(entry.model) / hour, []).append(entry)
        self.failed = sum(map(len, groups.values()))
        for folder, group in groups.items():
            path = folder / f"{self.name}.{self.number:08d}-{self.number:08d}.parquet"
            write_atomic(path, _parquet(_table(group)))
            self.number += 1
            self.hours.setdefault(folder, []).append(path)
            self.failed -= len(group)
            self.written += len(group)

    def merge(self, *, everything: bool) -> None:
        """Merge the small files of each hour that is over, or of all hours."""
        self.failed = 0
        now = time.strftime("%Y-%m-%dT%H", time.gmtime())
        for folder in [f for f in self.hours if everything or f.name < now]:
            _merge(self.hours.pop(folder))


def _merge(paths: list[Path]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    # Runs of writes without a gap, so that a file's two numbers say all that it holds.
    runs: list[list[Path]] = [[]]
    size, last = 0, -1
    for path in paths:
        first, final, bytes_ = *_span(path), path.stat().st_size
        if runs[-1] and (first != last + 1 or size + bytes_ > _MERGE_BYTES):
            runs.append([])
            size = 0
        runs[-1].append(path)
        size, last = size + bytes_, final
    for run in runs:
        if len(run) < 2:
            continue
        name, first, final = _parts(run[0])[0], _span(run[0])[0], _span(run[-1])[1]
        merged = pa.concat_tables(parquet.ParquetFile(path).read() for path in run)
        write_atomic(run[0].with_name(f"{name}.{first:08d}-{final:08d}.parquet"), _parquet(merged))
        for path in run:
            path.unlink()


def _parts(path: Path) -> tuple[str, str, str]:
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise StoreError("a file in the prediction log has a foreign name", got=str(path))
    return match[1], match[2], match[3]


def _span(path: Path) -> tuple[int, int]:
    _, first, last = _parts(path)
    return int(first), int(last)


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


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("time", pa.timestamp("us", tz="UTC")),
            ("prediction_id", pa.string()),
            ("model", pa.string()),
            ("version", pa.string()),
            ("sha256", pa.string()),
            ("record", pa.string()),
            ("prediction", pa.string()),
            ("warnings", pa.string()),
            ("latency_us", pa.int64()),
        ]
    )


def _table(entries: list[Entry]) -> pa.Table:
    import pyarrow as pa

    encode = msgspec.json.encode
    parts = ("prediction", "probability")
    values: dict[str, list[Any]] = {
        "prediction_id": [e.prediction_id.encode() for e in entries],
        "model": [e.model.encode() for e in entries],
        "version": [e.version.encode() for e in entries],
        "sha256": [e.sha256.encode() for e in entries],
        "record": [e.record for e in entries],
        "prediction": [encode({k: e.answer[k] for k in parts if k in e.answer}) for e in entries],
        "warnings": [encode(e.answer.get("warnings", [])) for e in entries],
    }
    numbers = {"time": [e.time_ns // 1000 for e in entries], "latency_us": [e.latency_us for e in entries]}
    n_rows, columns = len(entries), []
    # From buffers, because pyarrow imports pandas, where it is installed, as soon as it sees a list.
    for field in (schema := _schema()):
        if field.name in numbers:
            buffers = [np.array(numbers[field.name], dtype=np.int64)]
        else:
            texts = values[field.name]
            offsets = np.zeros(n_rows + 1, dtype=np.int32)
            np.cumsum([len(text) for text in texts], out=offsets[1:])
            buffers = [offsets, b"".join(texts)]
        columns.append(
            pa.Array.from_buffers(field.type, n_rows, [None, *(pa.py_buffer(part) for part in buffers)])
        )
    return pa.Table.from_arrays(columns, schema=schema)


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def read_log(
    directory: str | Path, *, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> pa.Table:
    """Read all predictions below `directory`, in order of time.

    Parameters
    ----------
    directory : path
        The log's root, a model's folder in it, or an hour's.
    since, until : datetime, optional
        Moments with a time zone; rows at or after the one and before the other.

    Returns
    -------
    pyarrow.Table
        Columns ``time`` (timestamp, UTC), ``prediction_id``, ``model``, ``version``, ``sha256``, ``record``,
        ``prediction`` and ``warnings`` (JSON), ``latency_us``.

    Raises
    ------
    StoreError
        If there is no such directory.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet

    root = Path(directory)
    if not root.is_dir():
        raise StoreError(
            "no prediction log here", got=str(root), fix="serve a model first, or name the log's directory"
        )
    tables: list[pa.Table] = []
    for attempt in range(10):
        try:
            tables = [parquet.ParquetFile(path).read() for path in _current(root, since, until)]
            break
        except FileNotFoundError:
            # A writer merged files between the listing and the reading: list again.
            if attempt == 9:
                raise
    table = pa.concat_tables([_schema().empty_table(), *tables])
    moment_type = pa.timestamp("us", tz="UTC")
    if since is not None:
        table = table.filter(compute.field("time") >= pa.scalar(since, moment_type))
    if until is not None:
        table = table.filter(compute.field("time") < pa.scalar(until, moment_type))
    return table.sort_by([("time", "ascending"), ("prediction_id", "ascending")])


def _current(root: Path, since: dt.datetime | None, until: dt.datetime | None) -> list[Path]:
    """Return the files that together hold each row once, of the hours that matter."""
    if any(moment is not None and moment.tzinfo is None for moment in (since, until)):
        raise UsageError(
            "a moment without a time zone", allowed="datetimes with tzinfo, as datetime.now(UTC)"
        )
    first, last = (m.astimezone(dt.UTC).strftime("%Y-%m-%dT%H") if m else None for m in (since, until))
    found: dict[tuple[Path, str], list[tuple[int, int, Path]]] = {}
    for path in sorted(root.rglob("*.parquet")):
        match = _FILE.fullmatch(path.name)
        hour = path.parent.name
        if match is None or (first is not None and hour < first) or (last is not None and hour > last):
            continue
        found.setdefault((path.parent, match[1]), []).append((int(match[2]), int(match[3]), path))
    kept = []
    for spans in found.values():
        end = -1
        # Widest first from each beginning: what lies inside it has been merged into it.
        for start, stop, path in sorted(spans, key=lambda span: (span[0], -span[1])):
            if stop > end:
                kept.append(path)
                end = stop
            elif start > end:
                raise StoreError("the prediction log's files overlap", got=str(path))
    return kept
