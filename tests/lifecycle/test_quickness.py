"""What a prediction takes is measured while packaging, told in the report, held, and replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import command

from customers import write
from mlwright.evaluate.quickness import Quickness


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    write(folder / "customers.csv")
    (folder / "mlwright.toml").write_text(
        'name = "quick"\n[data]\nsource = "customers.csv"\n[task]\ntarget = "churned"\nlatency = "1us"\nbudget = "20s"\ntrials = 5\n'
    )
    return folder, json.loads(command("run", "--json", folder=folder).stdout)


def test_a_budget_that_nothing_holds_takes_the_quickest_blend_and_says_so(quick):
    folder, told = quick
    part = told["parts"]["latency"]
    assert (part["budget"], part["is_asked"]) == (1.0, True)
    assert 1.0 < part["measured"] <= part["first"]
    report = Path(told["report"]).read_text(encoding="utf-8")
    assert "How quick it is" in report
    assert "No quicker blend was found" in report
    again = json.loads(command("reproduce", told["run_id"], "--json", folder=folder).stdout)
    assert again["equal"], again


def test_scores_that_are_not_defined_are_null():
    part = Quickness(150.0, False, 80.0, 90.0, "roc_auc", float("nan"), 0.8)
    assert part.was_thinned
    assert part.to_json()["score"] is None
