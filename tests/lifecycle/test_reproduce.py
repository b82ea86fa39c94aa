"""A replay gives the same bytes though clocks stand in them: latency, the detail of the report, what a random split claims."""

import numpy as np
import pyarrow as pa

import mlwright
from mlwright.core.files import read_json
from mlwright.tracking.registry import artifact_path
from mlwright.tracking.store import find_store


def visits(n=900):
    """Six visits of each customer, whose target is in part the customer's own."""
    draw = np.random.default_rng(0)
    customer = np.repeat(np.arange(n // 6), 6)
    own = draw.normal(size=n // 6)[customer]
    age = np.round(own * 10 + 50)
    came = own + draw.normal(size=n) > 0
    return pa.table(
        {
            "customer_id": [f"c{number:04d}" for number in customer],
            "age": age,
            "day": draw.integers(0, 7, n),
            "came": np.where(came, "yes", "no"),
        }
    )


def test_measured_figures_of_the_report_are_replayed(tmp_path):
    project = mlwright.Project(name="visits", task_split="group:customer_id", task_latency="40us")
    result = mlwright.run(visits(), "came", budget=30, trials=4, project=project, store=tmp_path / "s")
    store = find_store(named=tmp_path / "s")
    plan = read_json(artifact_path(store, result.run_id, "plan.json"))
    assert "would have claimed" in plan["split"]["random_would_claim"]["said"]
    assert plan["choices"]["latency_ns"] > 0
    report = result.report.read_text()
    assert plan["split"]["random_would_claim"]["said"][:40] in report
    assert "50 % of the rows" in report  # half a minute, half the detail
    again = mlwright.reproduce(result.run_id, store=tmp_path / "s")
    assert (again.equal, again.sha256) == (True, result.sha256)
    assert (again.bundle / "report.html").read_bytes() == result.report.read_bytes()
