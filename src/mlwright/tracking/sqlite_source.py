"""MLflow's SQLite file, read by the standard library. Knows the few tables of MLflow's schema that we read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlwright.core.errors import StoreError
from mlwright.tracking.entities import ModelInfo, RunInfo, VersionInfo, unclipped

__all__ = ["SqliteSource"]

_DELETED = "Deleted_Internal"  # the stage by which MLflow marks a deleted version

_RUNS = """
    SELECT r.run_uuid, e.name, r.name, r.status, r.start_time, r.end_time, r.artifact_uri
    FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
    WHERE r.lifecycle_stage = 'active'
"""


class SqliteSource:
    """A `Source` over the SQLite file at `database`, which need not exist yet."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return all registered models' names, sorted."""
        with self._reading() as connection:
            return [row[0] for row in connection.execute("SELECT name FROM registered_models ORDER BY name")]

    def model(self, name: str, *, metrics: bool = True) -> ModelInfo | None:
        """Return the model called `name` with all its versions, newest first, or None."""
        with self._reading() as connection:
            if (
                connection.execute("SELECT 1 FROM registered_models WHERE name = ?", (name,)).fetchone()
                is None
            ):
                return None
            aliases: dict[str, int] = _pairs(
                connection,
                "SELECT alias, version FROM registered_model_aliases WHERE name = ? ORDER BY alias",
                name,
            )
            tags: dict[int, dict[str, str]] = {}
            for version, key, value in connection.execute(
                "SELECT version, key, value FROM model_version_tags WHERE name = ? ORDER BY key", (name,)
            ):
                tags.setdefault(version, {})[key] = value
            rows = connection.execute(
                "SELECT version, run_id, source, description, creation_time FROM model_versions "
                "WHERE name = ? AND current_stage <> ? ORDER BY version DESC",
                (name, _DELETED),
            ).fetchall()
            versions = tuple(
                VersionInfo(
                    name,
                    version,
                    run_id or "",
                    source or "",
                    description or "",
                    created / 1000,
                    tuple(alias for alias, target in aliases.items() if target == version),
                    tags.get(version, {}),
                    _metrics(connection, run_id) if metrics else {},
                )
                for version, run_id, source, description, created in rows
            )
            own = "SELECT key, value FROM registered_model_tags WHERE name = ? ORDER BY key"
            return ModelInfo(name, aliases, _pairs(connection, own, name), versions)

    def runs(self, experiment: str | None, limit: int) -> list[RunInfo]:
        """Return the newest `limit` runs, newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                _RUNS
                + "AND e.lifecycle_stage = 'active' AND (? IS NULL OR e.name = ?) ORDER BY r.start_time DESC, r.run_uuid LIMIT ?",
                (experiment, experiment, limit),
            ).fetchall()
            return [self._run(connection, row) for row in rows]

    def run(self, run_id: str) -> RunInfo | None:
        """Return the run with this identifier, or None."""
        with self._reading() as connection:
            row = connection.execute(_RUNS + "AND r.run_uuid = ?", (run_id,)).fetchone()
            return None if row is None else self._run(connection, row)

    def run_ids(self, beginning: str) -> list[str]:
        """Return the ids of the runs that begin so, sorted, at most ten."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT run_uuid FROM runs WHERE substr(run_uuid, 1, ?) = ? AND lifecycle_stage = 'active' "
                "ORDER BY run_uuid LIMIT 10",
                (len(beginning), beginning),
            )
            return [row[0] for row in rows]

    def fetch(self, uri: str, path: str, into: Path) -> Path:
        """Refuse: a local store's artifacts are files."""
        raise StoreError(
            f"the artifact '{path}' is not on this machine",
            got=uri,
            fix=f"set MLFLOW_TRACKING_URI to MLflow's server if {into.name} is kept there",
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = self._connect()
        try:
            # One read transaction: what several queries see belongs together.
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"MLflow's database cannot be read: {error}", got=str(self._database)) from error
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        if not self._database.exists():
            connection = sqlite3.connect(":memory:")
            connection.executescript(_EMPTY)
            return connection
        # A write-ahead log can be read only where its index can be written beside it, or where there is none.
        beside = os.access(self._database.parent, os.W_OK) or Path(f"{self._database}-wal").exists()
        mode = "mode=ro" if beside else "mode=ro&immutable=1"
        return sqlite3.connect(
            f"{self._database.as_uri()}?{mode}", uri=True, timeout=20, isolation_level=None
        )

    @staticmethod
    def _run(connection: sqlite3.Connection, row: tuple[Any, ...]) -> RunInfo:
        run_id, experiment, name, status, started, ended, artifact_uri = row
        return RunInfo(
            run_id,
            experiment,
            name or "",
            status,
            started / 1000,
            None if ended is None else ended / 1000,
            artifact_uri,
            _metrics(connection, run_id),
            _pairs(connection, "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", run_id),
            _pairs(connection, "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY key", run_id),
        )


def _pairs(connection: sqlite3.Connection, query: str, key: str) -> dict[str, Any]:
    return dict(connection.execute(query, (key,)).fetchall())


def _metrics(connection: sqlite3.Connection, run_id: str | None) -> dict[str, float]:
    rows = connection.execute(
        "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ? ORDER BY key", (run_id,)
    )
    return {key: float("nan") if is_nan else unclipped(value) for key, value, is_nan in rows}


# Before the first run there is no database; the same queries then find nothing.
_EMPTY = """
    CREATE TABLE registered_models (name);
    CREATE TABLE experiments (experiment_id, name, lifecycle_stage);
    CREATE TABLE runs
        (run_uuid, name, status, start_time, end_time, artifact_uri, experiment_id, lifecycle_stage);
"""
