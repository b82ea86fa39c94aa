"""The store: one directory ``.mlwright/`` with all that has happened. Knows where things lie, not what they mean.

The directory can be copied or moved. Its ``store.json`` says where it was last written from; MLflow keeps absolute
paths in its database, which `mlwright.tracking.relocate` rewrites when the two differ. Nothing here imports MLflow.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from mlwright.core.errors import StoreError
from mlwright.core.files import canonical_json, read_json, write_atomic

__all__ = ["FORMAT", "STORE_NAME", "STORE_VARIABLE", "Store", "find_store", "open_store", "sqlite_uri"]

FORMAT = 1
STORE_NAME = ".mlwright"
STORE_VARIABLE = "MLWRIGHT_STORE"

_MARKER = "store.json"
_FOLDERS = ("artifacts", "journal", "log", "snapshots", "tmp")


@dataclass(frozen=True, slots=True)
class Store:
    """An open store.

    Parameters
    ----------
    root : Path
        The absolute path of the directory itself.
    recorded_root : Path
        Where the store was when MLflow's database was last written; differs from `root` after a move or copy.
    """

    root: Path
    recorded_root: Path

    @property
    def database(self) -> Path:
        """MLflow's SQLite file; made by the first run."""
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """What runs leave behind: bundles, reports, plans."""
        return self.root / "artifacts"

    @property
    def journal(self) -> Path:
        """One file a study: its finished trials."""
        return self.root / "journal"

    @property
    def log(self) -> Path:
        """What was asked and answered, Parquet by hour."""
        return self.root / "log"

    @property
    def snapshots(self) -> Path:
        """Data kept so that a run can be reproduced."""
        return self.root / "snapshots"

    @property
    def tmp(self) -> Path:
        """Work in progress and what can be fetched again; safe to empty while nothing runs."""
        return self.root / "tmp"

    @property
    def local_uri(self) -> str:
        """The tracking URI of the store's own SQLite file, as ``mlflow ui --backend-store-uri`` takes it."""
        return sqlite_uri(self.database)

    @property
    def tracking_uri(self) -> str:
        """``MLFLOW_TRACKING_URI`` where it is set, else the store's own SQLite file."""
        uri = os.environ.get("MLFLOW_TRACKING_URI") or self.local_uri
        # SQLAlchemy 2.1 takes "postgresql" for psycopg 3; what mlwright installs is psycopg2.
        if uri.startswith("postgresql://") and importlib.util.find_spec("psycopg") is None:
            return uri.replace("postgresql://", "postgresql+psycopg2://", 1)
        return uri

    @property
    def is_local(self) -> bool:
        """Whether runs and models are kept in the store's own SQLite file."""
        uri = self.tracking_uri
        return uri.startswith("sqlite:///") and Path(unquote(uri.removeprefix("sqlite:///"))) == self.database

    def local_path(self, uri: str) -> Path | None:
        """Return where an artifact's path or ``file:`` URI lies on this machine; None for other schemes.

        A path that was recorded before the store moved is answered with where it is now.
        """
        parts = urlsplit(uri)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            path = Path(unquote(parts.path))
        elif parts.scheme == "":
            path = Path(uri)
        else:
            return None
        if self.root != self.recorded_root and path.is_relative_to(self.recorded_root):
            return self.root / path.relative_to(self.recorded_root)
        return path

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the store's lock called `name`; other processes of this machine wait. A killed holder frees it."""
        self.tmp.mkdir(exist_ok=True)
        with (self.tmp / f"{name}.lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def at_home(self) -> Store:
        """Write down that the store is where it is, and return it so."""
        _write_marker(self.root)
        return Store(self.root, self.root)


def find_store(start: Path | None = None, *, named: str | Path | None = None) -> Store:
    """Return the store that is named, or else the nearest one.

    Parameters
    ----------
    start : Path, optional
        Where the search upwards begins; the current folder if not given.
    named : str or Path, optional
        The store's own directory, or the folder that holds ``.mlwright``. Goes before the environment variable
        ``MLWRIGHT_STORE``, which goes before the search.

    Returns
    -------
    Store

    Raises
    ------
    StoreError
        If there is none, or what is there is no store of a format that this mlwright reads.
    """
    return open_store(start, named=named)


def open_store(start: Path | None = None, *, named: str | Path | None = None, create: bool = False) -> Store:
    """Return the store as `find_store` does; with `create`, make it where there is none.

    A store that is not named is made as ``.mlwright`` in `start`. Two processes may do so at once: both get the one
    that stands.
    """
    named = named or os.environ.get(STORE_VARIABLE)
    start = Path.cwd() if start is None else Path(start)
    if named:
        place = Path(named).expanduser()
        if not (place / _MARKER).exists() and (place / STORE_NAME).exists():
            place /= STORE_NAME
        missing = f"no store found at {place}"
    else:
        here = start.resolve()
        above = (folder / STORE_NAME for folder in (here, *here.parents))
        place = next((path for path in above if path.exists()), here / STORE_NAME)
        missing = f"no store found from {here} upwards"
    if not place.exists():
        if not create:
            raise StoreError(missing, fix="run `mlwright run ...` first or name one with --store")
        _make(place)
    elif create and place.is_dir() and not any(place.iterdir()):
        _make(place)
    return _read(place.resolve())


def sqlite_uri(database: Path) -> str:
    """Return the address of an SQLite file as SQLAlchemy reads it: only ``%`` and ``?`` mean something there.

    Examples
    --------
    >>> sqlite_uri(Path("/a b/100%.db"))
    'sqlite:////a b/100%25.db'
    """
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")


def _make(place: Path) -> None:
    """Make a whole store beside `place`, then rename it there; whoever comes second keeps the first one's."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix=f"{STORE_NAME}-"))
    except OSError as error:
        raise StoreError(
            f"the store cannot be made at {place}: {error.strerror}", fix="name another place with --store"
        ) from error
    for folder in _FOLDERS:
        (fresh / folder).mkdir()
    _write_marker(fresh, place.resolve())
    fresh.chmod(0o755)
    try:
        fresh.rename(place)
    except OSError as error:
        for folder in _FOLDERS:
            (fresh / folder).rmdir()
        (fresh / _MARKER).unlink()
        fresh.rmdir()
        if not (place / _MARKER).exists():
            raise StoreError(
                f"the store cannot be made at {place}: {error.strerror}",
                fix="name another place with --store",
            ) from error


def _write_marker(directory: Path, root: Path | None = None) -> None:
    tree = {"format": FORMAT, "root": str(root or directory)}
    write_atomic(directory / _MARKER, canonical_json(tree) + b"\n")


def _read(root: Path) -> Store:
    elsewhere = "move it away, or name another store with --store"
    if not root.is_dir():
        raise StoreError(f"{root} is a file and no store", fix=elsewhere)
    try:
        tree = read_json(root / _MARKER)
    except FileNotFoundError as error:
        raise StoreError(f"{root} is no store of mlwright: it has no {_MARKER}", fix=elsewhere) from error
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{root / _MARKER} cannot be read: {error}", fix=elsewhere) from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or not isinstance(tree.get("root"), str):
        raise StoreError(
            f"{root} is a store of a format that this mlwright does not read",
            got=tree.get("format") if isinstance(tree, dict) else tree,
            allowed=str(FORMAT),
            fix="update mlwright, or name another store with --store",
        )
    return Store(root, Path(tree["root"]))
