"""Watch: which version an alias names now, asked several times a second and looked up only where something was written."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mlwright.core.errors import UsageError
from mlwright.tracking.entities import ResolvedVersion
from mlwright.tracking.registry import resolve
from mlwright.tracking.store import Store

__all__ = ["AliasWatch"]

_SETTLED = 2.0  # seconds; a file that was written later may be written again within its clock's grain
_REMOTE = 5.0  # seconds between two questions to a server
_ENDINGS = ("", "-wal", "-journal")


class AliasWatch:
    """Answers what the aliases of one model name.

    Parameters
    ----------
    store : Store
        Where the registry is.
    name : str
        The model's.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self._found: dict[str, ResolvedVersion | None] = {}
        self._seen: object = None
        self._asked = -_REMOTE

    def find(self, alias: str) -> ResolvedVersion | None:
        """Return the version that `alias` names, or None if there is no such alias.

        Raises
        ------
        StoreError
            If the registry cannot be read, or the version's files are not there.
        """
        seen = self._state()
        if seen is None or seen != self._seen:
            self._found.clear()
            self._seen = seen
        if alias not in self._found:
            try:
                self._found[alias] = resolve(self._store, f"{self._name}@{alias}")
            except UsageError:
                self._found[alias] = None
        return self._found[alias]

    def _state(self) -> object:
        """Return what changes when the registry does; None where that cannot be said."""
        if not self._store.is_local:
            if time.monotonic() - self._asked >= _REMOTE:
                self._asked = time.monotonic()
            return self._asked
        stats = [_stat(Path(f"{self._store.database}{ending}")) for ending in _ENDINGS]
        newest = max((stat.st_mtime for stat in stats if stat is not None), default=0.0)
        if time.time() - newest < _SETTLED:
            return None
        return [None if stat is None else (stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
