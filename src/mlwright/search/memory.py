"""Memory: what a fit will hold, and what this process may still take."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from mlwright.search.study_data import StudyData
from mlwright.search.trial import Trial

__all__ = ["available_bytes", "fit_bytes", "fits_into_memory", "goes_apart", "peak_mb"]

_BYTES_A_CELL = {
    "lightgbm": 3.0,
    "catboost": 8.0,
    "linear": 16.0,
    "mlp": 12.0,
}  # beside the matrix of doubles
_SHARE = 0.8  # of what is free
_RISKY = 0.3  # of what is free: an estimate may be wrong by a factor, and others take memory too


def available_bytes() -> int | None:
    """Return the bytes that this process may still take by the kernel and its control group; None if unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        return None
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        if most != "max":
            found.append(int(most) - used)
    except (OSError, ValueError):
        pass  # no control group sets a limit
    return min(found, default=None)


def fit_bytes(data: StudyData, trial: Trial, n_columns: int | None = None) -> int:
    """Estimate what the folds fitted side by side hold at once: their matrices and the learner's own copies."""
    n_rows = max((len(fit) + len(valid) for fit, valid in data.folds), default=len(data.y))
    width = n_columns if n_columns is not None else 2 * len(data.schema.features)
    cells = n_rows * width
    return int(cells * (8.0 + _BYTES_A_CELL.get(trial.model, 8.0)) * min(2, max(1, len(data.folds))))


def fits_into_memory(data: StudyData, trial: Trial) -> bool:
    """Return whether a trial's matrices will likely fit; True where the machine does not tell."""
    free = available_bytes()
    return free is None or fit_bytes(data, trial) < _SHARE * free


def goes_apart(data: StudyData, trial: Trial) -> bool:
    """Return whether a fit may take so much memory that it should have a process of its own, which can be killed alone."""
    if trial.model == "dummy":
        return False
    free = available_bytes()
    return free is not None and fit_bytes(data, trial) > _RISKY * free


def peak_mb() -> int:
    """Return the most memory that this process, or one that it fitted in, has held so far, in MB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(peak / (2**20 if sys.platform == "darwin" else 1024))
