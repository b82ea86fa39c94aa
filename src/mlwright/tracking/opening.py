"""MLflow, opened: imported without a word and without telemetry, its database made or brought up to date.

Importing MLflow and making its database takes seconds, so whoever trains starts it in a thread (`Tracker.prepare`).
The database is made by MLflow's own migrations: its tables cannot be made directly from its models, which differ
from what the migrations give. A local one is made in the store's ``tmp`` and renamed, so that a kill leaves none.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mlwright.core.errors import MlwrightError, StoreError, UsageError
from mlwright.core.files import synced
from mlwright.tracking.store import Store, sqlite_uri

__all__ = ["import_frames", "open_client", "prepare_database", "quiet_import", "translated"]

_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}


def import_frames() -> None:
    """Import the data frames that MLflow imports, before it does so in a thread of its own.

    Whoever finds them half imported in ``sys.modules``, as scikit-learn does at each fit, fails by it.
    """
    for name in ("pandas", "polars"):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def quiet_import() -> None:
    """Import MLflow so that it prints nothing and calls nobody.

    The two environment variables are set only where the user has not set them, and stay for child processes.
    """
    if "mlflow" not in sys.modules:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
        # MLflow logs what it raises as well; alembic logs every migration.
        for name in ("mlflow", "alembic"):
            logger = logging.getLogger(name)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.CRITICAL)
    import mlflow.tracking  # noqa: F401 - the import is the purpose


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MLflow logs while it opens to itself, also where the user's program imported and configured it."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn MLflow's errors into ours, with `what` as the thing that went wrong."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlwrightError:
        raise
    except MlflowException as error:
        kind = UsageError if error.error_code in _REFUSALS else StoreError
        raise kind(f"{what}: {_first_line(error.message, error)}") from error


def _first_line(message: object, error: Exception) -> str:
    """Return the message's first line, with the passwords of addresses hidden."""
    lines = str(message).strip().splitlines() or [type(error).__name__]
    return re.sub(r"//[^/@\s]*@", "//***@", lines[0]).rstrip(".")


def open_client(store: Store) -> Any:
    """Return MLflow's client for the store's tracking URI; makes the database where there is none.

    Raises
    ------
    StoreError
        If the server or the database cannot be reached, or is of another MLflow version's schema.
    """
    quiet_import()
    with _quiet():
        return _client(store)


def _client(store: Store) -> Any:
    if store.is_local:
        prepare_database(store)
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

    uri = store.tracking_uri
    # The models of a local store are never elsewhere, whatever MLFLOW_REGISTRY_URI says.
    registry = uri if store.is_local else os.environ.get("MLFLOW_REGISTRY_URI") or uri
    what = f"the tracking store {re.sub(r'//[^/@]*@', '//***@', uri)} cannot be opened"
    with translated(what), store.locked("database"):
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=registry)
            client.search_registered_models(max_results=1)  # makes a new database's tables; proves the way
        except ImportError as error:
            raise StoreError(f"{what}: {error}", fix="install the database's driver") from error
        except SQLAlchemyError as error:
            raise StoreError(f"{what}: {_first_line(error, error)}") from error
    return client


def prepare_database(store: Store) -> None:
    """Make the store's own SQLite database, or bring it to the installed MLflow's schema.

    Safe where two processes do it at once. An old database is copied to ``mlflow.db.before-<revision>`` first.
    """
    quiet_import()
    with store.locked("database"):
        if not store.database.exists():
            with tempfile.TemporaryDirectory(dir=store.tmp) as folder:
                fresh = Path(folder) / "mlflow.db"
                _migrate(store, fresh, fresh=True)
                synced(fresh)
                fresh.replace(store.database)
        else:
            current, newest = _revision(store.database), _newest_revision()
            if current != newest:
                shutil.copy2(store.database, f"{store.database}.before-{current}")
                _migrate(store, store.database)


def _migrate(store: Store, database: Path, *, fresh: bool = False) -> None:
    import sqlalchemy.event
    from mlflow.store.db.utils import (
        _initialize_tables,
        _is_empty_database,
        _upgrade_db,
        create_sqlalchemy_engine,
    )
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    uri = sqlite_uri(database)
    with translated(f"MLflow's database cannot be made at {database}"):
        engine = create_sqlalchemy_engine(uri)
        if fresh:  # it has no name yet: it is synced once when it is whole, not after each of some hundred statements
            sqlalchemy.event.listen(engine, "connect", _unsynced)
        try:
            (_initialize_tables if _is_empty_database(engine) else _upgrade_db)(engine)
        finally:
            engine.dispose()
        # Gives MLflow's "Default" experiment a place in the store; it would be ./mlruns else.
        backend = SqlAlchemyStore(uri, store.artifacts.as_uri())
        backend.engine.dispose()
        SqlAlchemyStore._engine_map.pop(uri, None)  # noqa: SLF001 - the file is about to be renamed under it


def _unsynced(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")


def _revision(database: Path) -> str | None:
    """Return the schema revision; None where there is none (a foreign or damaged file)."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=20)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise StoreError(
            f"{database} is no database of MLflow: {error}", fix="bring the file back from a copy"
        ) from error
    return None if row is None else str(row[0])


def _newest_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return _get_latest_schema_revision()
