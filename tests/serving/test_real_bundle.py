"""A bundle with a real plan and a real model, from its directory to an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from serving_fakes import Client

from mlwright import bundle
from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.values import columns
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.number import Number
from mlwright.features.plan import FeaturePlan
from mlwright.models.base import FitContext
from mlwright.models.ensemble import Ensemble, Member
from mlwright.models.linear import Linear
from mlwright.serving import App, Predictor, load

SCHEMA = Schema(
    (
        Column("x", Kind.NUMERIC, dtype="float", required=True, low=-3.0, high=3.0),
        Column("c", Kind.CATEGORICAL, levels=("a", "b")),
        Column("y", Kind.NUMERIC, Role.TARGET, dtype="float"),
    )
)
TASK = Task(TaskKind.REGRESSION, "y", "rmse")


@pytest.fixture(scope="module")
def contents():
    x = np.linspace(-3, 3, 61)
    table = pa.table({"x": x, "c": ["a", "b", None] * 20 + ["a"]})
    canonical = columns(table, SCHEMA)
    y = 2 * x + 1
    plan = FeaturePlan([Number("x"), CategoryCodes("c")])
    matrix = plan.fit_batch(canonical, y, n_classes=0, seed=0)
    model = Linear().fit(matrix, y, FitContext(TASK, categorical=plan.categorical))
    ensemble = Ensemble([Member("all", model, 1.0)])
    members = [{"view": "all", "weight": 1.0, "link": "identity"}]
    made = bundle.Contents(
        "line",
        TASK.to_json(),
        SCHEMA.to_json(),
        bundle.State.nest({"all": plan.state()}),
        ensemble.states(),
        members,
        {},
    )
    predictor = Predictor(made.manifest, {"all": plan}, ensemble)
    records = table.slice(0, 5).to_pylist()
    answers = [{"prediction": predictor.predict_one(record)["prediction"]} for record in records]
    golden = [{"record": r, "prediction": a} for r, a in zip(records, answers, strict=True)]
    return replace(made, golden=golden)


def test_from_directory_to_answer(contents, tmp_path):
    sha256 = bundle.write(contents, tmp_path / "b")
    predictor = load(tmp_path / "b")
    assert predictor.verified
    assert (predictor.name, predictor.sha256) == ("line", sha256)
    # The data lie on y = 2 x + 1.
    assert predictor.predict_one({"x": 0.5, "c": "a"})["prediction"] == pytest.approx(2.0, abs=0.2)
    records = [{"x": i / 10, "c": c} for i in range(-20, 20) for c in ("a", "b", None, "new")]
    one = [predictor.predict_one(record)["prediction"] for record in records]
    assert [a["prediction"] for a in predictor.predict_many(records)] == pytest.approx(one, rel=1e-12)
    table = predictor.predict(pa.Table.from_pylist(records))
    assert table["prediction"].to_pylist() == pytest.approx(one, rel=1e-12)
    app = App(predictor)
    assert Client(app).predict(records[0]).json()["prediction"] == one[0]
    assert Client(app).get("/ready").json()["golden"] == 5
    app.close()


def test_a_changed_golden_record_stops_the_load(contents, tmp_path):
    golden = [*contents.golden[:3], {**contents.golden[3], "prediction": {"prediction": 9.0}}]
    bundle.write(replace(contents, golden=golden), tmp_path / "b")
    with pytest.raises(BundleContentError, match=r"golden record 3 .* prediction 9\.0 was recorded"):
        load(tmp_path / "b")
