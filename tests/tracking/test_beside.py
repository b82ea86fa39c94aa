"""MLflow in a process beside: what it is asked, it does as a tracker would, and its end is told."""

import os
import signal
import subprocess
import sys

import pytest
from tracking_bundles import write_bundle

from mlwright.core.errors import StoreError, UsageError
from mlwright.tracking import registry
from mlwright.tracking.beside import Beside


def test_it_writes_as_a_tracker_would_and_tells_errors_and_its_death(store, tmp_path):
    beside = Beside().begin(store)
    run_id = beside.start_run("churn", name="one", tags={"mlwright.study": "s1"}, params={"budget": 60})
    assert beside.find_run("mlwright.study", "s1") == run_id
    beside.log_trials(run_id, [{"number": 0, "score": float("nan"), "model": "dummy"}], "roc_auc")
    beside.log_metrics(run_id, {"test_roc_auc": 0.75, "unknown": None})
    beside.log_documents(run_id, {"plan.json": {"trials": []}, "raw.bin": b"\x00\xff"})
    bundle = write_bundle(tmp_path / "bundle")
    with pytest.raises(UsageError, match="a/b"):
        beside.register(run_id, "a/b", bundle)
    version = beside.register(run_id, "churn", bundle)
    assert (version, beside.version_of(run_id, "churn")) == (1, 1)
    assert beside.promote("churn", version) is None
    beside.set_version_tag("churn", version, "note", 5)
    beside.finish(run_id)
    assert beside.get_alias("churn", "champion") == 1
    kept = beside.bundle_path(run_id) / "manifest.json"
    assert kept.read_bytes() == (bundle / "manifest.json").read_bytes()
    assert registry.artifact_path(beside.store, run_id, "raw.bin").read_bytes() == b"\x00\xff"
    (told,) = registry.runs(beside.store, "churn")
    assert told.run_id == run_id
    os.kill(beside._process.pid, signal.SIGKILL)
    with pytest.raises(StoreError, match=r"writes to MLflow ended: got 'exit -9'"):
        beside.start_run("churn")
    beside.close()


def test_it_ends_with_whoever_started_it():
    script = "import os; from mlwright.tracking.beside import Beside; Beside(); os._exit(9)"
    # Its standard error is a pipe of ours, so this comes back only once it has ended too.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (9, b"")
