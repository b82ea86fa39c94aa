"""What was accepted once is said for good: in the report, and in versions that are trained again."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlwright.core.errors import RefusedError
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.retrain import _accepted, retrain
from mlwright.lifecycle.run import run


def calls(seed):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=400), draw.random(400) < 0.5
    paid = np.where(y, draw.gamma(2.0, 100.0, 400), 0.0)
    return pa.table({"x": x + y, "z": draw.normal(size=400), "paid": paid, "y": np.where(y, "yes", "no")})


def trained(source, store, **settings):
    project = Project(
        name="calls", data_source=source, task_target="y", task_budget="5s", task_trials=2, **settings
    )
    return run(source, project=project, store=store)


def test_what_was_accepted_is_told_in_every_later_version(tmp_path):
    store = tmp_path / ".mlwright"
    with pytest.raises(RefusedError, match="leak:paid"):
        trained(calls(0), store)
    first = trained(calls(0), store, checks_accept=("leak:paid",))
    assert {f["code"]: f["accepted"] for f in first.findings}["leak:paid"]
    assert "Accepted:" in first.report.read_text()
    assert "It was accepted" in (first.bundle / "card.md").read_text()

    again = retrain("calls", calls(1), store=store)
    (found,) = [f for f in again.findings if f["code"] == "leak:paid"]
    assert (found["severity"], found["accepted"]) == ("stop", True)
    assert "Accepted:" in again.report.read_text()
    for document in (again.report, again.bundle / "card.md", again.bundle / "datasheet.md"):
        assert "accepted with these findings: leak:paid" in document.read_text()


def test_what_was_taken_out_of_the_project_file_stops_a_retraining_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(calls(0), "calls.parquet")
    settings = '[data]\nsource = "calls.parquet"\n[task]\ntarget = "y"\nbudget = "5s"\ntrials = 2\n'
    file = tmp_path / "mlwright.toml"

    def accept(*codes):
        file.write_text(f'name = "calls"\n{settings}[checks]\naccept = {json.dumps(codes)}\n')

    accept("leak:paid")
    store = tmp_path / ".mlwright"
    assert run(tmp_path, store=store).alias == "champion"
    accept()
    with pytest.raises(RefusedError, match="leak:paid") as refused:
        retrain(str(tmp_path), store=store)
    assert "[checks]" in str(refused.value)


def test_only_what_is_accepted_now_is_taken_over():
    past = Project(checks_accept=("leak:a", "leak:b"), accepted=("leak:c", "leak:d"))
    assert _accepted(None, past) == ("leak:a", "leak:b", "leak:c", "leak:d")
    assert _accepted(Project(checks_accept=("leak:d", "leak:b", "leak:e")), past) == ("leak:b", "leak:d")
    assert _accepted(Project(), past) == ()
