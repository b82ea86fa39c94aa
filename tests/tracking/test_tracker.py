"""Runs, read back by a stock MLflow client, over SQLite and over a real PostgreSQL."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mlwright.core.errors import StoreError, UsageError
from mlwright.tracking.store import Store, open_store
from mlwright.tracking.tracker import Tracker


@pytest.fixture
def project() -> str:
    """A name of its own: the tests share one PostgreSQL."""
    return f"project {uuid.uuid4().hex[:8]}"


def _stock(tracker: Tracker) -> MlflowClient:
    return MlflowClient(tracking_uri=tracker.store.tracking_uri)


def test_a_run_reads_back(anywhere: Tracker, project: str) -> None:
    run_id = anywhere.start_run(
        project, name="first", tags={"mlwright.study": "s1", "n": 3}, params={"rate": 0.1, "layers": [1, 2]}
    )
    client = _stock(anywhere)
    assert client.get_run(run_id).info.status == "RUNNING"
    anywhere.log_metrics(run_id, {"roc_auc": 0.75, "missing": None})
    anywhere.set_tags(run_id, {"n": 4})
    anywhere.finish(run_id)
    run = client.get_run(run_id)
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == project
    assert run.data.params == {"rate": "0.1", "layers": "[1, 2]"}
    assert run.data.metrics == {"roc_auc": 0.75}
    assert (run.data.tags["mlwright.study"], run.data.tags["n"]) == ("s1", "4")
    again = anywhere.start_run(project)
    assert client.get_run(again).info.experiment_id == run.info.experiment_id


def test_trials_are_steps_in_batches_of_any_size(anywhere: Tracker, project: str) -> None:
    run_id = anywhere.start_run(project)
    trials = [
        {"number": n, "score": n / 7, "seconds": 1, "model": "lightgbm", "early": True} for n in range(1100)
    ]
    anywhere.log_trials(run_id, trials, "roc auc (test)")
    anywhere.log_trials(
        run_id, trials[:3], "roc auc (test)"
    )  # an interrupted run tells its first trials again
    client = _stock(anywhere)
    history = client.get_metric_history(run_id, "roc auc _test_")
    assert sorted((m.step, m.value) for m in history) == [(n, n / 7) for n in range(1100)]
    assert client.get_run(run_id).data.metrics == {"roc auc _test_": 1099 / 7, "seconds": 1.0}
    assert json.loads(anywhere.artifact_path(run_id, "trials.json").read_bytes()) == trials[:3]


def test_figures_that_are_no_numbers(anywhere: Tracker, project: str) -> None:
    run_id = anywhere.start_run(project)
    anywhere.log_metrics(run_id, {"nan": math.nan, "up": math.inf, "down": -math.inf})
    metrics = _stock(anywhere).get_run(run_id).data.metrics
    assert math.isnan(metrics["nan"])
    assert metrics["up"] >= sys.float_info.max
    assert metrics["down"] <= -sys.float_info.max


def test_a_long_parameter_is_cut_and_says_so(anywhere: Tracker, project: str) -> None:
    run_id = anywhere.start_run(project, params={"short": "x" * 500, "long": "x" * 70_000})
    params = _stock(anywhere).get_run(run_id).data.params
    assert params["short"] == "x" * 500
    assert len(params["long"]) == 500
    assert params["long"].endswith("xxx... (cut, 70000 characters)")


def test_more_parameters_than_one_request_may_hold(anywhere: Tracker, project: str) -> None:
    params = {f"p{n}": str(n) for n in range(250)}
    run_id = anywhere.start_run(project, params=params)
    assert _stock(anywhere).get_run(run_id).data.params == params


def test_documents_of_every_kind(anywhere: Tracker, project: str, tmp_path: Path) -> None:
    run_id = anywhere.start_run(project)
    (tmp_path / "card").write_text("# card")
    anywhere.log_documents(
        run_id,
        {
            "plan.json": {"seed": 1, "model": None},
            "report.html": "<p>é</p>",
            "a/split.bin": b"\x00\xff",
            "card.md": tmp_path / "card",
        },
    )
    anywhere.log_documents(run_id, {"report.html": "again"})
    listed = sorted(f.path for f in _stock(anywhere).list_artifacts(run_id))
    assert listed == ["a", "card.md", "plan.json", "report.html"]
    assert anywhere.load_plan(run_id) == {"seed": 1, "model": None}
    assert anywhere.artifact_path(run_id, "report.html").read_text() == "again"
    assert anywhere.artifact_path(run_id, "a/split.bin").read_bytes() == b"\x00\xff"
    assert anywhere.artifact_path(run_id, "card.md").read_text() == "# card"
    with pytest.raises(StoreError, match=r"has no 'nothing.json'"):
        anywhere.artifact_path(run_id, "nothing.json")
    with pytest.raises(UsageError, match="unknown run"):
        anywhere.artifact_path("0" * 32, "plan.json")


def test_runs_that_a_killed_process_left_are_found(anywhere: Tracker, project: str) -> None:
    study, other = uuid.uuid4().hex, "it's another"
    left = [anywhere.start_run(project, tags={"mlwright.study": study}) for _ in range(2)]
    done = anywhere.start_run(project, tags={"mlwright.study": study})
    anywhere.finish(done)
    elsewhere = anywhere.start_run(f"{project} 2", tags={"mlwright.study": other})
    assert anywhere.find_run("mlwright.study", study) in {*left, done}
    assert anywhere.find_run("mlwright.study", other) == elsewhere
    assert anywhere.find_run("mlwright.study", "unknown") is None
    assert sorted(anywhere.recover(study)) == sorted(left)
    client = _stock(anywhere)
    assert [client.get_run(r).info.status for r in [*left, done, elsewhere]] == [
        "KILLED", "KILLED", "FINISHED", "RUNNING",
    ]  # fmt: skip
    assert anywhere.recover(study) == []
    anywhere.resume(left[0])
    assert client.get_run(left[0]).info.status == "RUNNING"


def test_a_deleted_experiment_is_named(tracker: Tracker) -> None:
    run_id = tracker.start_run("gone")
    client = _stock(tracker)
    client.delete_experiment(client.get_run(run_id).info.experiment_id)
    with pytest.raises(UsageError, match=r"'gone' was deleted in MLflow.*restore"):
        tracker.start_run("gone")


def test_names_that_look_alike_in_a_path_keep_apart(tracker: Tracker) -> None:
    client = _stock(tracker)
    places = {
        client.get_run(tracker.start_run(name)).info.artifact_uri.split("/")[-3]
        for name in ("a b", "a_b", "a/b")
    }
    assert len(places) == 3


def test_an_unknown_run_is_an_error_of_ours(tracker: Tracker) -> None:
    for call in (tracker.finish, tracker.resume, lambda r: tracker.log_metrics(r, {"a": 1})):
        with pytest.raises(UsageError, match="0" * 32):
            call("0" * 32)


def test_preparing_goes_on_beside_and_hands_its_error_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Tracker.prepare(store).result().client.get_experiment("0").name == "Default"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://user:secret@host")
    with pytest.raises(
        (StoreError, UsageError), match=r"tracking store nothing://\*\*\*@host cannot be opened"
    ) as caught:
        Tracker.prepare(store).result()
    assert "secret" not in str(caught.value)


def test_a_database_that_is_none_is_an_error(store: Store) -> None:
    store.database.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"was moved .* see that .* is MLflow's database"):
        Tracker(store).result()
    with pytest.raises(StoreError, match="is no database of MLflow"):
        Tracker(store.at_home()).result()


def test_an_older_database_is_kept_and_brought_up_to_date(store: Store) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import (
        _get_alembic_config,
        _get_latest_schema_revision,
        create_sqlalchemy_engine,
    )

    newest = _get_latest_schema_revision()
    config = _get_alembic_config("")
    older = ScriptDirectory.from_config(config).get_revision(newest)
    assert older is not None
    store.database.unlink()
    engine = create_sqlalchemy_engine(store.local_uri)
    from mlflow.store.tracking.dbmodels.initial_models import Base

    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(older.down_revision))
    engine.dispose()
    tracker = Tracker(store)
    run_id = tracker.start_run("x")
    assert tracker.find_run_id(run_id) == run_id
    assert [p.name for p in store.root.glob("mlflow.db.before-*")] == [
        f"mlflow.db.before-{older.down_revision}"
    ]


def test_a_folder_with_signs_that_mean_something_in_an_address(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "a%41?b" / ".mlwright"
    folder.parent.mkdir()
    store.root.rename(folder)
    tracker = Tracker(open_store(named=folder))
    assert tracker.find_run_id(tracker.start_run("x"))


def test_the_first_run_says_nothing_and_calls_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a b#ü", create=True)
    script = (
        "import sys, os\n"
        "def watch(event, arguments):\n"
        "    if event in {'socket.connect', 'socket.getaddrinfo'}:\n"
        "        os.write(2, f'network: {arguments}'.encode())\n"
        "sys.addaudithook(watch)\n"
        "from mlwright.tracking.store import find_store\nfrom mlwright.tracking.tracker import Tracker\n"
        "tracker = Tracker.prepare(find_store(named=sys.argv[1])).result()\n"
        "run = tracker.start_run('x', params={'a': 1})\ntracker.log_documents(run, {'plan.json': {}})\n"
        "tracker.finish(run)\n"
    )
    # What MLflow takes for a test or a CI machine would switch its telemetry off by itself.
    hidden = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "CI", "GITHUB_ACTIONS"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden and "TELEMETRY" not in k}
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.root)],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    default = Tracker(store).client.get_experiment("0")
    assert default.artifact_location == (store.artifacts / "0").as_uri()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a b#ü"]  # no mlruns beside it
    assert [p.name for p in store.tmp.iterdir() if p.suffix != ".lock"] == []
