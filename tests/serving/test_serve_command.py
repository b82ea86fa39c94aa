"""The command line's server over a real registry: it follows its alias, and stops and starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from test_live import contents
from wire_client import Raw, eventually, request

from mlwright import bundle
from mlwright.cli import main
from mlwright.lifecycle.project import Project
from mlwright.tracking.opening import prepare_database
from mlwright.tracking.store import open_store
from mlwright.tracking.tracker import Tracker

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """A store with line/1 (champion) of slope 2, line/2 of slope -3, line/3 whose plan is torn."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLWRIGHT_STORE", "MLWRIGHT_TOKEN"):
            patch.delenv(name, raising=False)
        folder = tmp_path_factory.mktemp("served")
        store = open_store(folder, create=True)
        prepare_database(store)
        tracker = Tracker(store)
        for number, slope in enumerate((2.0, -3.0, 5.0), 1):
            run_id = tracker.start_run("line", name=f"r{number}")
            project = Project(name="line", serve_fallback="baseline" if number == 1 else None)
            tracker.log_documents(run_id, {"plan.json": {"project": project.to_json()}})
            bundle.write(contents(slope), folder / str(number))
            tracker.register(run_id, "line", folder / str(number))
            tracker.finish(run_id)
            if number == 3:
                (tracker.bundle_path(run_id) / "plan.json").write_bytes(b"{}")
        tracker.promote("line", 1)
        yield tracker


def ask(port, path="/predict", method="POST"):
    with Raw(port) as client:
        client.send(request(b'{"x": 1}' if method == "POST" else b"", method, path))
        return client.answer()


def versions(port):
    """Ask twenty times, each over a new connection: all workers but once in half a million times."""
    return {ask(port).json["version"] for _ in range(20)}


def faults(port):
    return {ask(port, "/ready", "GET").json["last_fault"] for _ in range(20)}


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_follows_promotions_and_stops(tracker, workers):
    store = str(tracker.store.root)
    tracker.promote("line", 1)  # whatever a run before this one left
    process = subprocess.Popen(
        [sys.executable, "-m", "mlwright", "serve", "line", "--port", "0", "--json", "--store", store,
         "--workers", str(workers)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MLWRIGHT_", "MLFLOW_"))},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        told = json.loads(line or process.stderr.read())
        assert (told["model"], told["version"]) == ("line", "1")
        port = urlsplit(told["address"]).port
        assert ask(port).json["prediction"] == pytest.approx(2, abs=0.1)
        tracker.promote("line", 2)
        assert eventually(lambda: versions(port) == {"2"})
        assert ask(port).json["prediction"] == pytest.approx(-3, abs=0.1)
        tracker.promote("line", 3)
        assert eventually(lambda: all("version 3" in fault for fault in faults(port)))
        assert ask(port).json["version"] == "2"
        tracker.rollback("line")
        tracker.rollback("line")
        assert eventually(lambda: versions(port) == {"1"})
        assert main(["stop", "line", "--store", store]) == 0
        assert eventually(lambda: all(ask(port).json.get("degraded") for _ in range(20)))
        assert ask(port).json["prediction"] == 0.25
        assert main(["start", "line", "--store", store]) == 0
        assert eventually(lambda: not any(ask(port).json.get("degraded") for _ in range(20)))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_stop_of_a_model_that_is_not_there(tracker, capsys):
    assert main(["stop", "lime", "--store", str(tracker.store.root)]) == 2
    assert "did you mean 'line'?" in capsys.readouterr().err
