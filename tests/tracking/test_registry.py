"""Models by name, and the two ways of reading against each other."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import uuid
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tracking_bundles import write_bundle

from mlwright.core.errors import StoreError, UsageError
from mlwright.tracking import registry
from mlwright.tracking.client_source import ClientSource
from mlwright.tracking.sqlite_source import SqliteSource
from mlwright.tracking.store import Store, find_store
from mlwright.tracking.tracker import Tracker


def _fill(tracker: Tracker, tmp_path: Path, name: str, versions: int = 3) -> list[str]:
    made = []
    for number in range(1, versions + 1):
        run_id = tracker.start_run(name, name=f"r{number}", params={"n": number}, tags={"study": str(number)})
        tracker.log_metrics(run_id, {"auc": number / 10, "nan": math.nan, "inf": -math.inf})
        bundle = write_bundle(tmp_path / f"{name}{number}", f"{name}{number}")
        version = tracker.register(run_id, name, bundle, tags={"k": number}, description=f"v{number}")
        assert version == number
        tracker.finish(run_id)
        made.append(run_id)
    return made


def test_names_aliases_and_versions(anywhere: Tracker, tmp_path: Path) -> None:
    name = f"churn-{uuid.uuid4().hex[:6]}"
    run_ids = _fill(anywhere, tmp_path, name)
    anywhere.promote(name, 2)
    anywhere.set_alias(name, "challenger", 3)
    store = anywhere.store
    for selector, version in (
        (name, 2),
        (f"{name}@champion", 2),
        (f"{name}@challenger", 3),
        (f"{name}/1", 1),
    ):
        found = registry.resolve(store, selector)
        assert (found.name, found.version, found.run_id) == (name, version, run_ids[version - 1])
        assert (found.path / "models" / "0.lgb").read_text() == f"{name}{version}"
        assert found.path == anywhere.bundle_path(found.run_id)
        assert found.tags["k"] == str(version)
        assert (
            anywhere.find_run_id(selector if "/" in selector or "@" in selector else found.run_id)
            == found.run_id
        )
    assert registry.resolve(store, name).aliases == ("champion",)
    assert anywhere.find_run_id(run_ids[0][:12]) == run_ids[0]
    with pytest.raises(UsageError, match=f"no such version: got 4; allowed: {name}/3, {name}/2, {name}/1"):
        registry.resolve(store, f"{name}/4")
    with pytest.raises(
        UsageError, match=f"no such alias: got 'best'; allowed: {name}@challenger, {name}@champion"
    ):
        registry.resolve(store, f"{name}@best")
    with pytest.raises(UsageError, match=f"did you mean '{name}'"):
        registry.resolve(store, name[:-1])
    anywhere.delete_alias(name, "champion")
    with pytest.raises(UsageError, match=f"has no champion yet.*mlwright promote {name}/3"):
        registry.resolve(store, name)


@pytest.mark.parametrize(
    "selector", ["", "/3", "churn/", "churn/x", "churn/-1", "@champion", "churn@", "a/1/2"]
)
def test_what_cannot_be_a_model(store: Store, selector: str) -> None:
    with pytest.raises(UsageError, match="not a model"):
        registry.resolve(store, selector)


def test_an_empty_store_says_that_nothing_is_registered(tmp_path: Path, store: Store) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match="no model has been registered yet"):
            registry.resolve(store, "churn")
        with pytest.raises(UsageError, match="unknown run"):
            registry.find_run_id(store, "")
        assert registry.models(store) == [] == registry.runs(store)
        store.database.unlink(missing_ok=True)  # and so before the database is there


def test_both_ways_of_reading_give_equal_answers(tracker: Tracker, tmp_path: Path) -> None:
    run_ids = _fill(tracker, tmp_path, "churn") + _fill(tracker, tmp_path, "it's", 1)
    tracker.promote("churn", 1)
    tracker.promote("churn", 2)
    tracker.set_alias("churn", "challenger", 2)
    open_run = tracker.start_run("churn", name="still running")
    client = tracker.client
    client.set_registered_model_tag("churn", "owner", "me")
    client.delete_model_version("churn", "3")
    client.delete_run(tracker.start_run("churn"))
    direct, through = SqliteSource(tracker.store.database), ClientSource(tracker.store, client)
    assert direct.names() == through.names() == ["churn", "it's"]
    for name in ("churn", "it's", "unknown"):
        for metrics in (True, False):  # as text, because NaN is not equal to itself
            assert repr(direct.model(name, metrics=metrics)) == repr(through.model(name, metrics=metrics))
    churn = direct.model("churn")
    assert churn is not None
    assert [(v.version, v.aliases, v.description) for v in churn.versions] == [
        (2, ("challenger", "champion"), "v2"),
        (1, (), "v1"),
    ]
    assert churn.aliases == {"challenger": 2, "champion": 2}
    assert churn.versions[0].metrics["auc"] == 0.2
    assert churn.versions[0].metrics["inf"] == -math.inf
    for experiment in (None, "churn", "it's", "unknown"):
        for limit in (100, 2, 1):
            assert repr(direct.runs(experiment, limit)) == repr(through.runs(experiment, limit))
    listed = direct.runs("churn", 100)
    assert {r.run_id for r in listed} == {*run_ids[:3], open_run}
    assert {r.name: r.status for r in listed} == {
        "r1": "FINISHED", "r2": "FINISHED", "r3": "FINISHED", "still running": "RUNNING",
    }  # fmt: skip
    for run_id in [*run_ids, "0" * 32]:
        assert repr(direct.run(run_id)) == repr(through.run(run_id))
        assert direct.run_ids(run_id) == through.run_ids(run_id)
        assert direct.run_ids(run_id[:6]) == through.run_ids(run_id[:6])


def test_another_sqlite_file_is_read_through_mlflow(
    tracker: Tracker, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(template / "mlflow.db", tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert not tracker.store.is_local
    _fill(tracker, tmp_path, "elsewhere", 1)
    assert [m.name for m in registry.models(tracker.store)] == ["elsewhere"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert registry.models(tracker.store) == []


def test_what_lies_elsewhere_is_fetched_whole_and_once(tracker: Tracker, tmp_path: Path) -> None:
    (run_id,) = _fill(tracker, tmp_path, "churn", 1)
    source = ClientSource(tracker.store, tracker.client)
    run = source.run(run_id)
    assert run is not None
    into = tracker.store.tmp / "fetched" / "key"
    for _ in range(2):
        place = source.fetch(run.artifact_uri, "model/bundle", into)
        assert place == into / "model" / "bundle"
        assert (place / "models" / "0.lgb").read_text() == "churn1"
    with pytest.raises(StoreError, match="cannot be fetched"):
        source.fetch("nothing://host/x", "model/bundle", into)
    with pytest.raises(StoreError, match="not on this machine"):
        SqliteSource(tracker.store.database).fetch("s3://bucket/x", "model/bundle", into)


def test_artifacts_that_are_no_files_go_through_mlflow(
    tracker: Tracker, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(template / "mlflow.db", tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    monkeypatch.setattr(Store, "local_path", lambda *_: None)  # as for s3:// or a tracking server
    (run_id,) = _fill(tracker, tmp_path, "churn", 1)
    tracker.log_documents(run_id, {"plan.json": {"seed": 1}, "a/b.txt": "b"})
    for _ in range(2):
        found = registry.resolve(tracker.store, "churn/1")
        assert found.path.is_relative_to(tracker.store.tmp / "fetched" / found.tags["mlwright.sha256"])
        assert (found.path / "models" / "0.lgb").read_text() == "churn1"
        assert registry.load_plan(tracker.store, run_id) == {"seed": 1}
        assert tracker.artifact_path(run_id, "a/b.txt").read_text() == "b"
        assert (tracker.bundle_path(run_id) / "manifest.json").is_file()
    assert sorted(f.path for f in tracker.client.list_artifacts(run_id)) == ["a", "model", "plan.json"]
    assert [p.name for p in tracker.store.tmp.iterdir() if p.suffix != ".lock"] == ["fetched"]
    with pytest.raises(UsageError, match="unknown run"):
        tracker.find_run_id("0" * 32)
    tracker.client.delete_run(run_id)
    with pytest.raises(UsageError, match="unknown run"):
        tracker.artifact_path(run_id, "plan.json")


def test_a_database_in_wal_mode_is_read_beside_its_writer(tracker: Tracker, tmp_path: Path) -> None:
    _fill(tracker, tmp_path, "churn", 1)
    writer = sqlite3.connect(tracker.store.database, isolation_level=None)
    try:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE model_versions SET description = 'half'")
        assert registry.resolve(tracker.store, "churn/1").version == 1
        assert registry.models(tracker.store)[0].versions[0].description == "v1"
        writer.execute("COMMIT")
        assert registry.models(tracker.store)[0].versions[0].description == "half"
    finally:
        writer.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_read(tracker: Tracker, tmp_path: Path) -> None:
    _fill(tracker, tmp_path, "churn", 1)
    tracker.store.root.chmod(0o555)
    try:
        assert registry.resolve(tracker.store, "churn/1").version == 1
    finally:
        tracker.store.root.chmod(0o755)


def test_files_that_are_gone_are_named(tracker: Tracker, tmp_path: Path) -> None:
    _fill(tracker, tmp_path, "churn", 1)
    place = registry.resolve(tracker.store, "churn/1").path
    shutil.rmtree(place)
    with pytest.raises(StoreError, match="files of churn/1 are missing") as caught:
        registry.resolve(tracker.store, "churn/1")
    assert str(place)[:100] in str(caught.value)
    tracker.store.database.write_bytes(b"x" * 1000)
    with pytest.raises(StoreError, match="database cannot be read"):
        registry.models(tracker.store)


@pytest.mark.parametrize("as_copy", [False, True])
def test_a_store_that_moved_resolves_and_loads(tracker: Tracker, tmp_path: Path, *, as_copy: bool) -> None:
    (run_id,) = _fill(tracker, tmp_path, "churn", 1)
    tracker.promote("churn", 1)
    tracker.log_documents(run_id, {"plan.json": {"seed": 7}})
    old = tracker.store.root
    new = old / "deeper inside #é" if as_copy else tmp_path / "moved to" / ".mlwright"
    if as_copy:  # the hard case: the old root is a beginning of the new one
        elsewhere = shutil.copytree(old, tmp_path / "aside")
        elsewhere.rename(new)
    else:
        new.parent.mkdir()
        old.rename(new)
    # Reading needs no rewriting,
    store = find_store(named=new)
    assert (
        registry.resolve(store, "churn").path
        == new / "artifacts" / "churn" / run_id / "artifacts/model/bundle"
    )
    # and writing rewrites, once, so that a stock client finds everything.
    for _ in range(2):
        moved = Tracker(find_store(named=new))
        assert moved.store == Store(new, new)
    client = MlflowClient(tracking_uri=moved.store.local_uri)
    assert sorted(f.path for f in client.list_artifacts(run_id)) == ["model", "plan.json"]
    assert client.get_experiment_by_name("churn").artifact_location == (new / "artifacts" / "churn").as_uri()
    assert client.get_experiment("0").artifact_location == (new / "artifacts" / "0").as_uri()
    version = client.get_model_version_by_alias("churn", "champion")
    fetched = Path(client.download_artifacts(run_id, "model/bundle"))
    assert (fetched / "models" / "0.lgb").read_text() == "churn1"
    assert version.source == f"{(new / 'artifacts/churn').as_uri()}/{run_id}/artifacts/model"
    assert client.get_model_version_download_uri("churn", "1") == version.source
    assert registry.resolve(moved.store, "churn").path.is_dir()
    assert moved.load_plan(run_id) == {"seed": 7}
    if as_copy:
        assert str(new) not in repr(registry.models(find_store(named=old)))


def test_plain_paths_of_other_tools_follow_too(tracker: Tracker, tmp_path: Path) -> None:
    client = tracker.client
    client.create_experiment("plain", artifact_location=str(tracker.store.artifacts / "plain"))
    client.create_experiment("outside", artifact_location=str(tmp_path / "outside"))
    new = tmp_path / "new" / ".mlwright"
    new.parent.mkdir()
    tracker.store.root.rename(new)
    moved = Tracker(find_store(named=new)).client
    assert moved.get_experiment_by_name("plain").artifact_location == str(new / "artifacts" / "plain")
    assert moved.get_experiment_by_name("outside").artifact_location == str(tmp_path / "outside")


def test_a_kill_between_rewriting_and_recording_does_no_harm(store: Store, tmp_path: Path) -> None:
    new = store.root / "inside"
    elsewhere = shutil.copytree(store.root, tmp_path / "aside")
    elsewhere.rename(new)
    marker = (new / "store.json").read_bytes()
    for _ in range(
        2
    ):  # the second time as if the first one had been killed before it wrote the new root down
        (new / "store.json").write_bytes(marker)
        client = Tracker(find_store(named=new)).client
        assert client.get_experiment("0").artifact_location == (new / "artifacts" / "0").as_uri()
