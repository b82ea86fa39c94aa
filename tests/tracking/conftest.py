"""Stores for the tests of tracking. MLflow's database is migrated once a session; every test gets a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlwright.tracking.opening import prepare_database
from mlwright.tracking.store import Store, open_store
from mlwright.tracking.tracker import Tracker


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLWRIGHT_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = open_store(tmp_path_factory.mktemp("template"), create=True)
        prepare_database(store)
    return store.root


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    """A store with an empty database."""
    made = open_store(tmp_path, create=True)
    fresh = shutil.copytree(template, tmp_path / "copied")
    shutil.rmtree(made.root)
    return open_store(named=fresh.rename(made.root))


@pytest.fixture
def tracker(store: Store) -> Tracker:
    return Tracker(store)


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(
    request: pytest.FixtureRequest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tracker]:
    """A tracker over the store's own SQLite file, and one over a real PostgreSQL."""
    if request.param == "postgresql":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("postgres_url"))
    return Tracker(store)
