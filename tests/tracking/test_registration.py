"""Versions: what a stock client sees, twice the same, two at once, killed in the middle; champions and their history."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient
from tracking_bundles import write_bundle

from mlwright.core.errors import BundleFormatError, UsageError
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.tracking import registry
from mlwright.tracking.lineage import lock_hash
from mlwright.tracking.tracker import Tracker


@pytest.fixture
def name() -> str:
    """A model of its own: the tests share one PostgreSQL."""
    return f"churn-{uuid.uuid4().hex[:8]}"


def test_a_version_reads_back(anywhere: Tracker, name: str, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    run_id = anywhere.start_run(name)
    assert anywhere.get_alias(name, "champion") is None
    assert anywhere.register(run_id, name, bundle, tags={"a": 1}, description="the first") == 1
    version = MlflowClient(tracking_uri=anywhere.store.tracking_uri).get_model_version(name, "1")
    assert (version.status, version.run_id, version.description) == ("READY", run_id, "the first")
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert version.tags == {"a": "1", "mlwright.sha256": digest}
    kept = registry.resolve(anywhere.store, f"{name}/1").path
    told = {p.relative_to(kept): p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    assert told == {p.relative_to(bundle): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    anywhere.set_version_tag(name, 1, "mlwright.gate", "passed")
    assert registry.resolve(anywhere.store, f"{name}/1").tags["mlwright.gate"] == "passed"


def test_registering_again_gives_the_same_version(anywhere: Tracker, name: str, tmp_path: Path) -> None:
    first, second = write_bundle(tmp_path / "1", "1"), write_bundle(tmp_path / "2", "2")
    run_id = anywhere.start_run(name)
    assert [anywhere.register(run_id, name, first) for _ in range(3)] == [1, 1, 1]
    assert anywhere.register(anywhere.start_run(name), name, first) == 2  # another run
    assert anywhere.register(run_id, f"{name}-other", first) == 1  # another name, the same files
    # The same run taken up again with another outcome: the first version keeps its files.
    assert anywhere.register(run_id, name, second) == 3
    assert anywhere.register(run_id, name, first) == 1
    assert anywhere.register(run_id, name, second) == 3
    for version, content in ((1, "1"), (3, "2")):
        path = registry.resolve(anywhere.store, f"{name}/{version}").path
        assert (path / "models" / "0.lgb").read_text() == content
    assert (anywhere.bundle_path(run_id) / "models" / "0.lgb").read_text() == "2"


def test_the_model_is_one_of_mlflows_without_pickle(tracker: Tracker, tmp_path: Path) -> None:
    columns = (
        Column("tenure", Kind.NUMERIC, dtype="int"),
        Column("city's", Kind.CATEGORICAL),
        Column("Churn", Kind.BOOLEAN, Role.TARGET),
    )
    run_id = tracker.start_run("churn")
    tracker.register(run_id, "churn", write_bundle(tmp_path / "bundle"), schema=Schema(columns))
    folder = tracker.artifact_path(run_id, "model")
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "MLmodel", "bundle/manifest.json", "bundle/models/0.lgb", "python_env.yaml", "requirements.txt",
    ]  # fmt: skip
    model = Model.load(folder)
    assert model.run_id == run_id
    assert model.flavors["python_function"]["loader_module"] == "mlwright.mlflow_flavor"
    assert model.flavors["python_function"]["data"] == "bundle"
    assert model.signature is not None
    assert model.signature.inputs.input_names() == ["tenure", "city's"]
    requirements = (folder / "requirements.txt").read_text().split()
    assert requirements == [line for line in lock_hash()[1] if not line.startswith("python==")]
    assert yaml.safe_load((folder / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("wrong", ["", "a/b", "a:b", "a@b", " a", "x" * 201])
def test_names_that_a_selector_could_not_name(tracker: Tracker, tmp_path: Path, wrong: str) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    run_id = tracker.start_run("x")
    with pytest.raises(UsageError, match="not a name for a model"):
        tracker.register(run_id, wrong, bundle)


def test_what_is_no_bundle_and_no_run(tracker: Tracker, tmp_path: Path) -> None:
    with pytest.raises(BundleFormatError, match="no manifest"):
        tracker.register(tracker.start_run("x"), "x", tmp_path)
    with pytest.raises(UsageError, match="cannot be registered"):
        tracker.register("0" * 32, "x", write_bundle(tmp_path / "bundle"))
    assert registry.models(tracker.store) == []


# Kills the process where `stop` says, by replacing what the product calls there; MLflow is imported once.
_KILLED = """
import json, os, pathlib, shutil, signal, sys
from mlwright.tracking.opening import quiet_import
quiet_import()
import mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store
import sqlalchemy.orm
from mlflow.tracking import MlflowClient
from mlwright.tracking import registration
from mlwright.tracking.store import find_store
from mlwright.tracking.tracker import Tracker

def die(*a, **k):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(owner, name):
    real = getattr(owner, name)
    setattr(owner, name, lambda *a, **k: (real(*a, **k), die()))

def stop_at(stop):
    if stop == "half the files": die_after(shutil, "copyfile"); shutil.copy2.__globals__["copyfile"] = shutil.copyfile
    if stop == "before the rename": registration._sync = die
    if stop == "after the rename": die_after(pathlib.Path, "rename")
    if stop == "before the model": MlflowClient.create_registered_model = die
    if stop == "before the version": MlflowClient.create_model_version = die
    if stop == "before the commit":
        real = sqlalchemy.orm.Session.flush
        def flush(session, *a, **k):
            new = {type(o).__name__ for o in session.new}
            real(session, *a, **k)
            if "SqlModelVersion" in new: die()
        sqlalchemy.orm.Session.flush = flush
    if stop == "after the commit": die_after(MlflowClient, "create_model_version")

root, bundle, jobs = sys.argv[1], pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
children = []
for stop, run_id, name in jobs:
    pid = os.fork()
    if pid == 0:
        stop_at(stop)
        version = Tracker(find_store(named=root)).register(run_id, name, bundle)
        os._exit(version)
    children.append(pid)
    if stop: print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
if not jobs[0][0]:
    for pid in children: print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def _elsewhere(tracker: Tracker, bundle: Path, jobs: list[tuple[str, str, str]]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tracker.store.root), str(bundle), json.dumps(jobs)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [int(line) for line in done.stdout.split()]


def test_a_kill_anywhere_shows_no_half_version(tracker: Tracker, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    stops = [
        "half the files", "before the rename", "after the rename", "before the model", "before the version",
        "before the commit", "after the commit",
    ]  # fmt: skip
    jobs = [(stop, tracker.start_run("x"), stop.replace(" ", "-")) for stop in stops]
    assert _elsewhere(tracker, bundle, jobs) == [-9] * len(stops)
    # Only what was committed is there, and it is whole.
    assert [m.name for m in registry.models(tracker.store)] == ["after-the-commit"]
    for stop, run_id, name in jobs:
        listed = {f.path for f in tracker.client.list_artifacts(run_id)}
        assert listed == (set() if stop in stops[:2] else {"model"})
        if stop != "after the commit":
            with pytest.raises(UsageError):
                registry.resolve(tracker.store, f"{name}/1")
        assert tracker.register(run_id, name, bundle) == 1  # and all of them can be finished
        found = registry.resolve(tracker.store, f"{name}/1")
        assert (found.path / "models" / "0.lgb").read_text() == "1"
        assert tracker.client.get_model_version(name, "1").status == "READY"
    assert [p.name for p in tracker.store.tmp.iterdir() if p.suffix != ".lock"] == []


def test_processes_may_register_at_once(tracker: Tracker, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    runs = [tracker.start_run("x") for _ in range(4)]
    jobs = [("", run, "churn") for run in (*runs, runs[0])]
    versions = _elsewhere(tracker, bundle, jobs)
    assert sorted(set(versions)) == [1, 2, 3, 4]
    assert versions[4] == versions[0]  # one run and one bundle are one version
    (model,) = registry.models(tracker.store)
    assert {v.run_id: v.version for v in model.versions} == dict(zip(runs, versions, strict=False))


def _versions(tracker: Tracker, name: str, tmp_path: Path, count: int) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    for _ in range(count):
        tracker.register(tracker.start_run(name), name, bundle)


def test_champions_move_forth_and_back(anywhere: Tracker, name: str, tmp_path: Path) -> None:
    _versions(anywhere, name, tmp_path, 3)
    assert anywhere.history(name) == []
    with pytest.raises(UsageError, match="has no champion yet"):
        anywhere.rollback(name)
    assert anywhere.promote(name, 1) is None
    with pytest.raises(UsageError, match="no champion before this one"):
        anywhere.rollback(name)
    anywhere.set_alias(name, "challenger", 3)
    assert anywhere.promote(name, 2) == 1
    assert anywhere.get_alias(name, "challenger") == 3  # another version waits on
    assert anywhere.promote(name, 3) == 2
    assert anywhere.get_alias(name, "challenger") is None
    assert anywhere.promote(name, 3) == 3
    assert anywhere.history(name) == [1, 2, 3]
    assert anywhere.rollback(name) == (3, 2)
    assert anywhere.history(name) == [1, 2]
    assert anywhere.rollback(name) == (2, 1)
    assert anywhere.history(name) == [1]
    assert anywhere.promote(name, 3) == 1
    assert anywhere.history(name) == [1, 3]
    client = MlflowClient(tracking_uri=anywhere.store.tracking_uri)
    assert client.get_model_version_by_alias(name, "champion").version in {3, "3"}
    with pytest.raises(UsageError, match=f"{name}/9 cannot be promoted"):
        anywhere.promote(name, 9)
    assert anywhere.get_alias(name, "champion") == 3


def test_rollback_passes_over_a_deleted_version(tracker: Tracker, tmp_path: Path) -> None:
    _versions(tracker, "churn", tmp_path, 3)
    for version in (1, 2, 3):
        tracker.promote("churn", version)
    tracker.client.delete_model_version("churn", "2")
    assert tracker.history("churn") == [1, 3]
    assert tracker.rollback("churn") == (3, 1)


@pytest.mark.parametrize("when", ["promote", "rollback"])
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_champions_survive_a_kill_between_two_writes(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, writes: int
) -> None:
    _versions(tracker, "churn", tmp_path, 3)
    tracker.promote("churn", 1)
    tracker.promote("churn", 2)
    left = [writes]

    def counted(name: str) -> None:
        real = getattr(MlflowClient, name)

        def call(*arguments: object) -> object:
            if left[0] == 0:
                raise MlflowException("killed")
            left[0] -= 1
            return real(*arguments)

        monkeypatch.setattr(MlflowClient, name, call)

    for write in ("set_registered_model_alias", "set_registered_model_tag"):
        counted(write)
    act = (lambda: tracker.promote("churn", 3)) if when == "promote" else (lambda: tracker.rollback("churn"))
    if writes < 2:
        with pytest.raises(Exception, match="killed"):
            act()
    else:
        act()
    monkeypatch.undo()
    happened = {"promote": writes == 2, "rollback": writes >= 1}[when]  # the alias is the truth
    expected = {"promote": [1, 2, 3], "rollback": [1]}[when] if happened else [1, 2]
    assert tracker.history("churn") == expected
    assert tracker.get_alias("churn", "champion") == expected[-1]
