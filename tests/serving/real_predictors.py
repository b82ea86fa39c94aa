"""A predictor of real parts: transforms of many kinds, two views, two members, fitted on rows that are drawn here."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.values import columns
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.number import Number
from mlwright.features.one_hot import OneHot
from mlwright.features.plan import FeaturePlan
from mlwright.features.scaled_number import ScaledNumber
from mlwright.models.base import FitContext
from mlwright.models.ensemble import Ensemble, Member
from mlwright.models.lightgbm import LightGBM
from mlwright.models.linear import Linear
from mlwright.serving import Predictor

SCHEMA = Schema(
    (
        Column("customer", Kind.ID, Role.IGNORED),
        Column("age", Kind.NUMERIC, dtype="int", required=True, low=18.0, high=90.0),
        Column("spend", Kind.NUMERIC, dtype="float", format={"strip": ["$"]}, low=-5.0, high=100.0),
        Column("plan", Kind.CATEGORICAL, required=True, levels=("month", "year", "two year")),
        Column("zone", Kind.CATEGORICAL, dtype="int", levels=("1", "2", "10", "-3")),
        Column("flag", Kind.CATEGORICAL, dtype="bool", levels=("true", "false")),
        Column("senior", Kind.BOOLEAN, dtype="bool"),
        Column("since", Kind.DATETIME, dtype="date", low=0.0, high=1.7e9),
        Column("note", Kind.TEXT),
        Column("churn", Kind.CATEGORICAL, Role.TARGET, levels=("no", "yes")),
    )
)
FEATURES = [column.name for column in SCHEMA.features]
BINARY = Task(TaskKind.BINARY, "churn", "roc_auc", ("no", "yes"))
MULTI = Task(TaskKind.MULTICLASS, "churn", "log_loss", ("a%", 'b"', "ç"))
REGRESSION = Task(TaskKind.REGRESSION, "churn", "rmse")
RECORD = {
    "age": 44,
    "spend": 12.5,
    "plan": "year",
    "zone": 2,
    "flag": True,
    "senior": False,
    "since": "2020-01-02",
    "note": "calls often",
}


def rows(n, seed=0):
    """Return ordinary records."""
    rng = np.random.default_rng(seed)

    def maybe(value):
        return None if rng.random() < 0.1 else value

    return [
        {
            "age": int(rng.integers(18, 91)),
            "spend": maybe(round(float(rng.uniform(-5, 100)), 2)),
            "plan": str(rng.choice(["month", "year", "two year"])),
            "zone": maybe(int(rng.choice([1, 2, 10, -3]))),
            "flag": maybe(bool(rng.random() < 0.5)),
            "senior": maybe(bool(rng.random() < 0.5)),
            "since": maybe(f"20{rng.integers(10, 24)}-0{rng.integers(1, 10)}-1{rng.integers(0, 10)}"),
            "note": maybe("".join(rng.choice(list("abc d"), 6))),
        }
        for _ in range(n)
    ]


def build(task=BINARY, schema=SCHEMA):
    """Return a predictor for `task`, with golden records of its own."""
    given = rows(400)
    table = pa.Table.from_pylist(given)
    cells = columns(table, schema, FEATURES)
    rng = np.random.default_rng(1)
    age = np.nan_to_num(cells["age"])
    if task.kind is TaskKind.REGRESSION:
        y, n_classes = age * 2 + rng.normal(size=400), 0
    else:
        n_classes = len(task.labels)
        y = (np.clip((age - 18) / 73, 0, 0.999) * n_classes + rng.normal(size=400) * 0.3).clip(
            0, n_classes - 1
        )
        y = np.floor(y)
    trees = FeaturePlan(
        [Number("spend"), Number("age"), CategoryCodes("plan"), CategoryCodes("zone"), Number("senior")]
    )
    dense = FeaturePlan(
        [
            *(ScaledNumber(name) for name in ("age", "spend", "senior")),
            *(OneHot(name) for name in ("plan", "zone", "flag")),
            DatetimeParts("since"),
        ]
    )
    members = []
    for view, plan, model in (("trees", trees, LightGBM(num_leaves=7)), ("dense", dense, Linear())):
        matrix = plan.fit_batch(cells, y, n_classes=n_classes, seed=0)
        context = FitContext(task, categorical=plan.categorical, n_iterations=12 if view == "trees" else None)
        members.append(Member(view, model.fit(matrix, y, context), 1.0 if view == "trees" else 0.5))
    manifest = {"name": "telco", "format": 1, "task": task.to_json(), "schema": schema.to_json()}
    plans = {"trees": trees, "dense": dense}
    first = Predictor(manifest, plans, Ensemble(members))
    golden = [{"record": r, "prediction": first.predict_carefully(r)} for r in given[:3]]
    predictor = Predictor(manifest, plans, Ensemble(members), golden=golden, sha256="cd" * 32)
    predictor.verify_golden()
    return predictor
