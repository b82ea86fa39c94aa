"""Where a result comes from: the commit of the code and the versions of what computes. Imports nothing that computes."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["git_commit", "lock_hash"]

# What numbers depend on; the rest of an environment moves none.
_DISTRIBUTIONS = (
    "catboost",
    "duckdb",
    "lightgbm",
    "mlwright",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "scipy",
)


def git_commit(directory: Path, *, timeout: float = 5.0) -> str | None:
    """Return the commit that is checked out at `directory`, with ``-dirty`` if tracked files differ from it.

    Parameters
    ----------
    directory : Path
        Any folder.
    timeout : float, default=5.0
        Seconds for each of two calls of git.

    Returns
    -------
    str or None
        None outside a repository, before its first commit, or where git is missing or too slow.
    """
    commit = _git(directory, timeout, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(directory, timeout, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changes else commit


def lock_hash() -> tuple[str, list[str]]:
    """Return a SHA-256 of the installed versions that results depend on, and the list that was hashed.

    The list is sorted, as ``name==version``, with ``python==...`` among it; what is not installed is left out.

    Examples
    --------
    >>> digest, lock = lock_hash()
    >>> len(digest), lock == sorted(lock), any(line.startswith("numpy==") for line in lock)
    (64, True, True)
    """
    lock = [f"python=={platform.python_version()}"]
    for name in _DISTRIBUTIONS:
        try:
            lock.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    lock.sort()
    return hashlib.sha256("\n".join(lock).encode()).hexdigest(), lock


def _git(directory: Path, timeout: float, *arguments: str) -> str | None:
    # The options keep a repository's own configuration from running programs of its choice.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
            command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
