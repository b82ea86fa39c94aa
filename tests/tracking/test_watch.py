"""What an alias names now: looked up again whenever the registry was written, and only then."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from tracking_bundles import write_bundle

from mlwright.tracking import watch
from mlwright.tracking.tracker import Tracker
from mlwright.tracking.watch import AliasWatch


def _registered(tracker: Tracker, tmp_path: Path, n: int) -> None:
    for number in range(1, n + 1):
        run_id = tracker.start_run("churn", name=f"r{number}")
        tracker.register(run_id, "churn", write_bundle(tmp_path / f"b{number}", f"b{number}"))
        tracker.finish(run_id)


def test_aliases_are_followed_at_once(anywhere: Tracker, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(watch, "_REMOTE", 0.0)
    _registered(anywhere, tmp_path, 3)
    follow = AliasWatch(anywhere.store, "churn")
    assert follow.find("champion") is None
    for version in (1, 2, 3, 1):
        anywhere.promote("churn", version)
        found = follow.find("champion")
        assert found is not None
        assert found.version == version
        assert (found.path / "models" / "0.lgb").read_text() == f"b{version}"
    anywhere.rollback("churn")
    assert follow.find("champion").version == 3  # type: ignore[union-attr]
    anywhere.set_alias("churn", "challenger", 2)
    assert follow.find("challenger").version == 2  # type: ignore[union-attr]
    anywhere.delete_alias("churn", "challenger")
    assert follow.find("challenger") is None


def test_a_registry_at_rest_is_not_read_again(tracker: Tracker, tmp_path: Path, monkeypatch) -> None:
    _registered(tracker, tmp_path, 2)
    tracker.promote("churn", 1)
    database = tracker.store.database
    long_ago = time.time() - 100
    os.utime(database, (long_ago, long_ago))
    follow = AliasWatch(tracker.store, "churn")
    asked = []
    resolve = watch.resolve
    monkeypatch.setattr(watch, "resolve", lambda *a: asked.append(a) or resolve(*a))
    for _ in range(5):
        assert follow.find("champion").version == 1  # type: ignore[union-attr]
    assert len(asked) == 1
    with sqlite3.connect(database) as connection:  # another tool
        connection.execute("UPDATE registered_model_aliases SET version = 2")
    connection.close()
    assert follow.find("champion").version == 2  # type: ignore[union-attr]
