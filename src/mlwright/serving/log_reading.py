"""Reading the prediction log: all of it, or one prediction by its id; and finished files made into Parquet.

A file of frames that has been made into Parquet stands beside it under the same name until it is removed, so a reader
takes the one or the other and no row twice, whenever whoever did it was stopped.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import write_atomic
from mlwright.core.types import Json
from mlwright.serving.frames import entries, read_blocks
from mlwright.serving.ids import id_time

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["compact_log", "find_prediction", "read_log"]

_FRAMES = re.compile(r"([0-9a-f]{16}\.[0-9]{8})\.frames")
_PARQUET = re.compile(r"([0-9a-f]{16}\.[0-9]{8})\.parquet")
_HOUR_FORMAT = "%Y-%m-%dT%H"
_TEXTS = ("prediction_id", "model", "version", "sha256", "record", "prediction", "warnings")


class _Answer(msgspec.Struct):
    """What a log needs of an answer's JSON."""

    prediction_id: str = ""
    prediction: msgspec.Raw = msgspec.Raw(b"null")
    probability: msgspec.Raw = msgspec.Raw(b"")  # empty where there is none; a union would not keep it raw
    warnings: msgspec.Raw = msgspec.Raw(b"[]")


_answer = msgspec.json.Decoder(_Answer).decode


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"time": pa.timestamp("us", tz="UTC"), "latency_us": pa.int64()}
    names = ("time", *_TEXTS, "latency_us")
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


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
    from pyarrow import compute

    root = Path(directory)
    if not root.is_dir():
        raise StoreError(
            "no prediction log here", got=str(root), fix="serve a model first, or name the log's directory"
        )
    if any(moment is not None and moment.tzinfo is None for moment in (since, until)):
        raise UsageError(
            "a moment without a time zone", allowed="datetimes with tzinfo, as datetime.now(UTC)"
        )
    first, last = (m.astimezone(dt.UTC).strftime(_HOUR_FORMAT) if m else None for m in (since, until))
    tables: list[pa.Table] = []
    for attempt in range(10):
        try:
            tables = [_read(path) for path in _files(root, first, last)]
            break
        except FileNotFoundError:
            # Somebody made a file into Parquet between the listing and the reading: list again.
            if attempt == 9:
                raise
    table = pa.concat_tables([_schema().empty_table(), *tables])
    moment_type = pa.timestamp("us", tz="UTC")
    if since is not None:
        table = table.filter(compute.field("time") >= pa.scalar(since, moment_type))
    if until is not None:
        table = table.filter(compute.field("time") < pa.scalar(until, moment_type))
    return table.sort_by([("time", "ascending"), ("prediction_id", "ascending")])


def _files(root: Path, first: str | None, last: str | None) -> Iterator[Path]:
    """Yield the files that together hold each row once, of the hours that matter."""
    made = {path.with_suffix("") for path in root.rglob("*.parquet") if _PARQUET.fullmatch(path.name)}
    for path in sorted([*root.rglob("*.frames"), *root.rglob("*.parquet")]):
        hour = path.parent.name
        if (first is not None and hour < first) or (last is not None and hour > last):
            continue
        is_frames = _FRAMES.fullmatch(path.name) is not None
        if (is_frames and path.with_suffix("") not in made) or _PARQUET.fullmatch(path.name):
            yield path


def _read(path: Path) -> pa.Table:
    from pyarrow import parquet

    return parquet.ParquetFile(path).read() if path.suffix == ".parquet" else _table(path.read_bytes())


def _table(data: bytes) -> pa.Table:
    """Return the rows of a file of frames."""
    import pyarrow as pa

    texts: dict[str, list[bytes]] = {name: [] for name in _TEXTS}
    times: list[int] = []
    latencies: list[int] = []
    for block in read_blocks(data):
        origin = json.loads(block.origin)
        for name in ("model", "version", "sha256"):
            texts[name] += [str(origin[name]).encode()] * block.n_entries
        for time_us, latency_us, record, raw in entries(block.payload):
            answer = _answer(raw)
            times.append(time_us)
            latencies.append(latency_us)
            texts["prediction_id"].append(answer.prediction_id.encode())
            texts["record"].append(record)
            texts["prediction"].append(_prediction(answer))
            texts["warnings"].append(bytes(answer.warnings))
    # From buffers, because pyarrow imports pandas, where it is installed, as soon as it sees a list.
    n_rows = len(times)
    numbers = {"time": times, "latency_us": latencies}
    columns = []
    for field in (schema := _schema()):
        if field.name in numbers:
            kind, buffers = field.type, [np.array(numbers[field.name], dtype=np.int64)]
        else:
            offsets = np.zeros(n_rows + 1, dtype=np.int64)
            np.cumsum([len(text) for text in texts[field.name]], out=offsets[1:])
            kind, buffers = pa.large_string(), [offsets, b"".join(texts[field.name])]
        array = pa.Array.from_buffers(kind, n_rows, [None, *(pa.py_buffer(part) for part in buffers)])
        columns.append(array.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _prediction(answer: _Answer) -> bytes:
    if not answer.probability:
        return b'{"prediction":%b}' % bytes(answer.prediction)
    return b'{"prediction":%b,"probability":%b}' % (bytes(answer.prediction), bytes(answer.probability))


# One prediction


def find_prediction(directory: str | Path, prediction_id: str) -> Json:
    """Return one logged prediction: the row of `read_log` as a dict, its JSON read.

    The id says the hour, so that only the files of that hour, and of the next if it was about to end, are searched.

    Raises
    ------
    UsageError
        If it is no id of a prediction.
    StoreError
        If the log does not hold it.
    """
    wanted = prediction_id.strip().lower().replace("-", "")
    made = id_time(wanted)
    if made is None:
        raise UsageError(
            "not the id of a prediction", got=prediction_id, allowed="32 hexadecimal digits, as answers carry"
        )
    hours = {
        dt.datetime.fromtimestamp(made + seconds, dt.UTC).strftime(_HOUR_FORMAT) for seconds in (-5, 0, 60)
    }
    for path in _files(Path(directory), min(hours), max(hours)):
        row = _found(path, wanted)
        if row is not None:
            return row
    raise StoreError(
        "the prediction log does not hold this prediction",
        got=prediction_id,
        fix=f"it would stand under {min(hours)}; is the log another one, or was it turned off?",
    )


def _found(path: Path, wanted: str) -> Json | None:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        # Ids sort by time, so the statistics of a row group tell whether it can hold one.
        rows = parquet.read_table(path, filters=[("prediction_id", "==", wanted)]).to_pylist()
        if not rows:
            return None
        row = rows[0]
        return row | {name: json.loads(row[name]) for name in ("record", "prediction", "warnings")}
    data = path.read_bytes()
    if wanted.encode() not in data:
        return None
    for block in read_blocks(data):
        if wanted.encode() not in block.payload:
            continue
        for time_us, latency_us, record, raw in entries(block.payload):
            answer = _answer(raw)
            if answer.prediction_id == wanted:
                return {
                    "time": dt.datetime.fromtimestamp(time_us / 1e6, dt.UTC),
                    "prediction_id": wanted,
                    **json.loads(block.origin),
                    "record": json.loads(record),
                    "prediction": json.loads(_prediction(answer)),
                    "warnings": json.loads(bytes(answer.warnings)),
                    "latency_us": latency_us,
                }
    return None


# Parquet


def compact_log(directory: str | Path) -> int:
    """Make every finished file of frames below `directory` into Parquet, and return how many there were.

    A file that a running server still writes to is left alone. May be stopped at any moment and called again.
    """
    count = 0
    for path in sorted(Path(directory).rglob("*.frames")):
        if _FRAMES.fullmatch(path.name) is None:
            continue
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its writer lives
        else:
            _make_parquet(path)
            count += 1
        finally:
            os.close(handle)
    return count


def _make_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    target = path.with_suffix(".parquet")
    if not target.exists():
        sink = pa.BufferOutputStream()
        parquet.write_table(_table(path.read_bytes()), sink, compression="zstd", row_group_size=65_536)
        write_atomic(target, sink.getvalue().to_pybytes())
    path.unlink(missing_ok=True)
