"""What was accepted once is said for good: in the report, and in versions that are trained again."""

import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.errors import RefusedError
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.retrain import retrain
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
