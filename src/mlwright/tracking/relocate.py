"""A store that was moved or copied: the absolute paths in MLflow's database follow it, in one transaction."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

from mlwright.core.errors import StoreError
from mlwright.tracking.store import Store, find_store

__all__ = ["relocate"]

# Every place where MLflow's schema keeps an artifact's address: table, column, and which of its rows.
_ADDRESSES = (
    ("experiments", "artifact_location", ""),
    ("runs", "artifact_uri", ""),
    ("model_versions", "source", ""),
    ("model_versions", "storage_location", ""),
    ("logged_models", "artifact_location", ""),
    ("trace_tags", "value", "AND key = 'mlflow.artifactLocation'"),
)


def relocate(store: Store) -> Store:
    """Make the database's paths those of where `store` is now, and return the store that is at home.

    Does nothing to a store that has not moved. Paths that lie outside the store stay as they are. Two processes may
    do it at once. A kill before the end leaves the old paths and the old record, so the next opening does it again.

    Raises
    ------
    StoreError
        If the database cannot be written.
    """
    if store.root == store.recorded_root:
        return store
    with store.locked("relocate"):
        store = find_store(named=store.root)  # another process may have been first
        if store.root != store.recorded_root and store.database.exists():
            try:
                with closing(sqlite3.connect(store.database, timeout=60)) as connection, connection:
                    _rewrite(connection, store)
            except sqlite3.Error as error:
                raise StoreError(
                    f"the store was moved from {store.recorded_root} to {store.root}, "
                    f"but its database cannot be rewritten: {error}",
                    fix=f"see that {store.database} is MLflow's database and can be written",
                ) from error
        return store.at_home()


def _rewrite(connection: sqlite3.Connection, store: Store) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Doing it twice would be wrong where the new root lies inside the old one, so the database itself remembers in
    # the same transaction; SQLite keeps this number for its user, and MLflow does not use it.
    mark = zlib.crc32(bytes(store.root)) & 0x7FFFFFFF
    if connection.execute("PRAGMA user_version").fetchone()[0] == mark:
        return
    connection.execute(f"PRAGMA user_version = {mark}")
    present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    # A path stands in the database plain or as a file: URI, as whoever wrote it liked.
    pairs = (
        (str(store.recorded_root), str(store.root)),
        (store.recorded_root.as_uri(), store.root.as_uri()),
    )
    for table, column, condition in _ADDRESSES:
        if table not in present:
            continue
        for old, new in pairs:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names are the constants above
                f"WHERE ({column} = ? OR substr({column}, 1, ?) = ?) {condition}",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
