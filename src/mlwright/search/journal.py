"""Journal: one file a study. Each finished trial is a line, synced before the study goes on.

A killed run leaves at most a torn last line, which reading ignores; everything before it is whole. A lock keeps a
second process from the same study.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwright.core.errors import StoreError
from mlwright.search.trial import TrialResult

__all__ = ["Journal"]


class Journal:
    """The finished trials of one study.

    Parameters
    ----------
    path : Path
        The study's file; made if absent.
    key : str
        What the study depends on (data, schema, split, seed, portfolio); a file of another key is an error.

    Attributes
    ----------
    study : str
        A random name that the study keeps over interruptions.
    results : list of TrialResult
        What earlier processes finished.
    ended : bool
        Whether an earlier process had come to the end of its search: then no trial is added, so that going on gives
        the very bundle that it was about to give.
    choices : dict
        What was chosen at that end.
    """

    def __init__(self, path: Path, key: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise StoreError(
                "another process is running this very study",
                got=str(path),
                fix="wait for it, or change the seed",
            ) from error
        lines, whole = self._lines()
        if lines and lines[0]["key"] != key:
            self._file.close()
            raise StoreError("the journal belongs to another study", got=lines[0]["key"], allowed=key)
        self._file.truncate(whole)
        self.results: list[TrialResult] = [_result(line) for line in lines[1:] if "ended" not in line]
        self.ended = any("ended" in line for line in lines)
        self.choices: dict[str, int] = next((line["ended"] for line in lines if "ended" in line), {})
        self.study: str = lines[0]["study"] if lines else uuid.uuid4().hex
        if not lines:
            self._append({"study": self.study, "key": key})

    def _lines(self) -> tuple[list[dict[str, Any]], int]:
        """Return the whole lines and where they end."""
        self._file.seek(0)
        lines, end = [], 0
        for raw in self._file:
            if not raw.endswith(b"\n"):
                break
            try:
                lines.append(msgspec.json.decode(raw))
            except msgspec.DecodeError:
                break
            end += len(raw)
        return lines, end

    def _append(self, tree: dict[str, Any]) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(msgspec.json.encode(tree) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def add(self, result: TrialResult) -> None:
        """Keep a finished trial; it is on disk when this returns."""
        self._append(
            {
                **result.to_json(),
                "seconds": result.seconds,
                "shape": list(result.predicted.shape),
                "predicted": np.ascontiguousarray(result.predicted, dtype="<f8").tobytes(),
            }
        )

    def end(self, choices: dict[str, int] | None = None) -> None:
        """Say that the search is over, with what was chosen then: what comes after it may be done again."""
        if not self.ended:
            self.choices = dict(choices or {})
            self._append({"ended": self.choices})
            self.ended = True

    @property
    def seconds(self) -> float:
        """What the finished trials took."""
        return sum(result.seconds for result in self.results)

    def finish(self, suffix: str) -> None:
        """Close the study: a later run of the same key starts anew."""
        self.path.replace(self.path.with_suffix(f".{suffix}.done"))
        self.close()

    def close(self) -> None:
        """Release the lock."""
        self._file.close()


def _result(line: dict[str, Any]) -> TrialResult:
    raw = msgspec.convert(line["predicted"], bytes)
    predicted = np.frombuffer(raw, "<f8").reshape(line["shape"])
    return TrialResult.from_json(line, seconds=line["seconds"], predicted=predicted)
