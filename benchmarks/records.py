"""Records: CSV files that grow row by row and can be gone on with, Markdown tables, and what machine it was.

Loads nothing heavy: a driver that starts measured processes must itself be small, because a process's peak memory is
never told as less than what its parent had when it was started.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Records", "machine", "markdown", "read_rows", "say", "write_machine"]


def say(text: str) -> None:
    """Print progress, on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def read_rows(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return the rows of CSV files, one after the other."""
    rows: list[dict[str, str]] = []
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    return rows


class Records:
    """A CSV file to which rows are added, each synced to disk before the next is made.

    Parameters
    ----------
    path : Path
        Made with a header if it is not there.
    columns : sequence of str
        All columns, in order.
    key : sequence of str
        The columns that say which row it is.
    """

    def __init__(self, path: Path, columns: Sequence[str], key: Sequence[str]) -> None:
        self.path, self.columns, self.key = path, tuple(columns), tuple(key)
        self._done: set[tuple[str, ...]] = set()
        if path.exists() and path.stat().st_size:
            with path.open(newline="", encoding="utf-8") as file:
                found = csv.DictReader(file)
                if tuple(found.fieldnames or ()) != self.columns:
                    raise SystemExit(f"{path} has other columns: {', '.join(found.fieldnames or ())}")
                self._done = {self._key(row) for row in found}

    def _key(self, row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(_plain(row[name]) for name in self.key)

    def has(self, **key: Any) -> bool:
        """Say whether the row is there."""
        return self._key(key) in self._done

    def add(self, row: dict[str, Any]) -> None:
        """Add a row; a column that it does not name is empty."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not (self.path.exists() and self.path.stat().st_size)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            if new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())
        self._done.add(self._key(row))


def _plain(value: Any) -> str:
    """Write 60, 60.0 and "60.0" alike."""
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table.

    Examples
    --------
    >>> print(markdown(["a", "b"], [[1, None]]))
    | a | b |
    |---|---|
    | 1 |  |
    """
    lines = [list(header), ["---"] * len(header), *([_cell(v) for v in row] for row in rows)]
    texts = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    texts[1] = "|" + "---|" * len(header)
    return "\n".join(texts)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


# They choose kernels or numbers of threads, and some machines set them: figures with and without do not compare.
_SETTINGS = (
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
)


def _loop_ms(n_turns: int = 1_000_000, n_repeats: int = 3) -> float:
    """Return the milliseconds of a million turns of a Python loop, the best of three: how fast the machine is just now."""
    best = float("inf")
    for _ in range(n_repeats):
        began = time.perf_counter()
        total = 0
        for i in range(n_turns):
            total += i
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, its speed just now, cores, memory, system, settings of libraries."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    affinity = getattr(os, "sched_getaffinity", None)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor,
        "loop_ms": round(_loop_ms(), 1),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def write_machine(csv_path: Path, versions: dict[str, Any]) -> None:
    """Write machine and versions beside a CSV file, keeping the versions of systems measured before."""
    path = csv_path.with_suffix(".machine.json")
    known = json.loads(path.read_text()) if path.exists() else {}
    tree = machine() | {"versions": known.get("versions", {}) | versions}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
