"""One record, many records and tables give one answer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_fakes import BINARY, PROPERTY, RECORD, SCHEMA, FakeEnsemble, SumPlan, make

from mlwright.core.errors import BundleContentError, RecordError, SchemaError, UsageError
from mlwright.data.schema import Task, TaskKind
from mlwright.data.values import columns
from mlwright.serving.predictor import Predictor

PREDICTOR = make()
MULTI = Task(TaskKind.MULTICLASS, "churn", "log_loss", (3, 1, 2))
REGRESSION = Task(TaskKind.REGRESSION, "churn", "rmse")


def by_hand(record):
    """The fake model's P(yes), from its definition."""
    values = [
        record["age"],
        record["spend"],
        sum(map(ord, record["plan"])) % 101,
        sum(map(ord, str(record["zone"]))) % 101,
        float(record["senior"]),
        1577923200.0,
        sum(map(ord, record["note"])) % 101,
    ]
    total = sum((i + 1) * math.atan(v / 50) for i, v in enumerate(values))
    return 1 / (1 + math.exp(3 - total))


def test_one_record():
    chance = by_hand(RECORD)
    answer = PREDICTOR.predict_one(RECORD)
    assert answer["prediction"] == ("yes" if chance >= 0.5 else "no")
    assert answer["probability"] == pytest.approx({"no": 1 - chance, "yes": chance}, abs=1e-12)
    assert answer["warnings"] == []


@pytest.mark.parametrize(
    ("outputs", "label"), [([0.2, 0.5, 0.3], 1), ([0.4, 0.4, 0.2], 3), ([0.0, 0.0, 1.0], 2)]
)
def test_multiclass_labels_are_the_users_own(outputs, label):
    predictor = make(MULTI, golden=False)
    predictor.ensemble.predict_row = lambda rows: outputs
    answer = predictor.predict_one(RECORD)
    assert answer["prediction"] == label
    assert type(answer["prediction"]) is int
    assert answer["probability"] == dict(zip(["3", "1", "2"], outputs, strict=True))


def test_regression_has_no_probability():
    assert set(make(REGRESSION).predict_one(RECORD)) == {"prediction", "warnings"}


RECORDS = st.fixed_dictionaries(
    {
        "age": st.one_of(st.integers(0, 200), st.floats(-1e6, 1e6), st.sampled_from(["33", " 1,200 "])),
        "plan": st.sampled_from(["month", " year", "two year", "weekly", "5", "Ünïcode"]),
    },
    optional={
        "spend": st.one_of(st.none(), st.floats(allow_infinity=False), st.sampled_from(["$3.5", "NA", "?"])),
        "zone": st.one_of(st.none(), st.integers(-3, 12), st.sampled_from(["2", "2.0", "x"])),
        "senior": st.one_of(st.none(), st.booleans(), st.sampled_from(["yes", "n", "0"])),
        "since": st.one_of(st.none(), st.datetimes().map(str), st.dates().map(str)),
        "note": st.one_of(st.none(), st.text('ab 1é"\\Ω😀', max_size=20)),
    },
)


@PROPERTY
@given(st.lists(RECORDS, min_size=1, max_size=12))
def test_one_and_many_agree(records):
    assert [PREDICTOR.predict_one(r) for r in records] == PREDICTOR.predict_many(records)


@PROPERTY
@given(RECORDS)
def test_one_and_a_table_of_one_agree(record):
    # Text in every cell, as a CSV file would have it.
    texts = {
        k: None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in record.items()
    }
    table = pa.table({k: pa.array([v], pa.string()) for k, v in texts.items()})
    (row,) = PREDICTOR.predict_arrow(table).to_pylist()
    answer = PREDICTOR.predict_one(record)
    assert row["prediction"] == answer["prediction"]
    assert row["probability_yes"] == pytest.approx(answer["probability"]["yes"], abs=1e-12)


def test_many_names_each_bad_record():
    with pytest.raises(RecordError) as caught:
        PREDICTOR.predict_many([RECORD, {**RECORD, "age": "x"}, RECORD, {}])
    assert [(p["record"], p["field"]) for p in caught.value.problems] == [(1, "age"), (3, "age"), (3, "plan")]
    with pytest.raises(RecordError) as caught:
        PREDICTOR.predict_many([{}] * 500)
    assert len(caught.value.problems) == 100


ROWS = [
    {
        **RECORD,
        "age": 20 + i,
        "spend": None if i % 3 else 1.5 * i,
        "plan": ["month", "year"][i % 2],
        "senior": i % 4 == 0,
    }
    for i in range(20)
]
EXPECTED = [PREDICTOR.predict_one(row) for row in ROWS]


def check(rows):
    assert [row["prediction"] for row in rows] == [a["prediction"] for a in EXPECTED]
    for label in ("no", "yes"):
        found = [row[f"probability_{label}"] for row in rows]
        assert found == pytest.approx([a["probability"][label] for a in EXPECTED], abs=1e-12)


def test_arrow_in_arrow_out():
    table = pa.Table.from_pylist(ROWS)
    found = PREDICTOR.predict(table)
    assert isinstance(found, pa.Table)
    check(found.to_pylist())
    assert isinstance(PREDICTOR.predict(table.to_batches()[0]), pa.RecordBatch)


def test_pandas_in_pandas_out_with_its_index():
    index = pd.Index([f"row {i}" for i in range(20)], name="key")
    frame = pd.DataFrame(ROWS, index=index)
    found = PREDICTOR.predict(frame)
    assert list(found.columns) == ["prediction", "probability_no", "probability_yes"]
    pd.testing.assert_index_equal(found.index, index)
    check(found.to_dict("records"))
    # Another width of number, categories, and missing values of pandas' own.
    frame = frame.astype({"age": "int16", "plan": "category", "spend": "Float64"})
    check(PREDICTOR.predict(frame).to_dict("records"))


def test_pandas_columns_without_one_type():
    mixed = [str(row["age"]) if i % 2 else row["age"] for i, row in enumerate(ROWS)]
    frame = pd.DataFrame(ROWS).assign(
        age=pd.Series(mixed, dtype=object), zone=pd.Series(["2", 2] * 10, dtype=object)
    )
    check(PREDICTOR.predict(frame).to_dict("records"))


def test_polars_in_polars_out():
    found = PREDICTOR.predict(pl.DataFrame(ROWS))
    assert isinstance(found, pl.DataFrame)
    check(found.to_dicts())
    categorical = pl.DataFrame(ROWS).with_columns(pl.col("plan").cast(pl.Categorical))
    check(PREDICTOR.predict(categorical).to_dicts())


def test_list_in_list_out():
    assert PREDICTOR.predict(ROWS) == PREDICTOR.predict_many(ROWS)


@pytest.mark.parametrize("make_table", [pa.Table.from_pylist, pd.DataFrame, pl.DataFrame])
def test_absent_required_columns_are_all_named(make_table):
    rows = [{"spend": 1.0}]
    with pytest.raises(SchemaError, match="2 columns that the model needs: age, plan"):
        PREDICTOR.predict(make_table(rows))


def test_null_cells_of_required_columns_are_predicted():
    table = pa.table({"age": pa.array([None], pa.int64()), "plan": pa.array([None], pa.string())})
    # Every column is missing: 0.3 for each of the seven, weighted 1 to 7.
    expected = 1 / (1 + math.exp(3 - 0.3 * 28))
    assert PREDICTOR.predict(table)["probability_yes"].to_pylist() == pytest.approx([expected])


def test_an_empty_table():
    found = PREDICTOR.predict(pa.table({"age": pa.array([], pa.int64()), "plan": pa.array([], pa.string())}))
    assert found.num_rows == 0
    assert found.column_names == ["prediction", "probability_no", "probability_yes"]
    assert PREDICTOR.predict([]) == []


@pytest.mark.parametrize("thing", [3, "x", {"age": 1}, np.zeros((2, 2)), None])
def test_no_table(thing):
    with pytest.raises(UsageError, match="not a table"):
        PREDICTOR.predict(thing)


def test_lower_paths_agree():
    table = pa.Table.from_pylist(ROWS)
    canonical = columns(table, SCHEMA)
    matrix = PREDICTOR.matrices(canonical)["all"]
    raw = PREDICTOR.raw_columns(canonical)
    assert raw.shape == (20, 1)
    for i, row in enumerate(ROWS):
        np.testing.assert_array_equal(PREDICTOR.rows(row)["all"], matrix[i])
        assert PREDICTOR.raw_one(row) == pytest.approx(raw[i].tolist(), abs=1e-12)


def test_lower_paths_do_not_validate():
    assert math.isnan(PREDICTOR.rows({"age": "nonsense"})["all"][0])


@pytest.mark.parametrize("task", [BINARY, MULTI, REGRESSION], ids=lambda t: t.kind)
def test_golden_is_verified(task):
    predictor = make(task)
    assert not predictor.verified
    assert predictor.verify_golden() == 1
    assert predictor.verified


def remade(predictor, golden):
    return Predictor(predictor.manifest, predictor.plans, predictor.ensemble, golden=golden)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probability": {"no": 0.4, "yes": 0.6}}, "golden record 0 .* probability of no 0.4 was recorded"),
        ({"probability": {"no": 0.4}}, "its classes are"),
        ({"probability": {"no": None, "yes": 0.6}}, "is recorded as None"),
        ({"prediction": "perhaps"}, "'perhaps' was recorded"),
    ],
)
def test_a_bundle_that_predicts_otherwise_is_refused(change, words):
    predictor = make()
    (row,) = predictor.golden
    other = remade(predictor, [{**row, "prediction": {**row["prediction"], **change}}])
    with pytest.raises(BundleContentError, match=words):
        other.verify_golden()
    assert not other.verified


def test_golden_tolerance():
    predictor = make(REGRESSION)
    (row,) = predictor.golden
    value = row["prediction"]["prediction"]
    close = [{**row, "prediction": {"prediction": value * (1 + 5e-7)}}]
    assert remade(predictor, close).verify_golden() == 1
    far = [{**row, "prediction": {"prediction": value * (1 + 2e-6)}}]
    with pytest.raises(BundleContentError, match="row path"):
        remade(predictor, far).verify_golden()


def test_both_paths_are_verified():
    class Skewed(FakeEnsemble):
        def predict(self, matrices):
            return super().predict(matrices) + 1e-3

    predictor = make()
    other = Predictor(predictor.manifest, {"all": SumPlan()}, Skewed(), golden=predictor.golden)
    with pytest.raises(BundleContentError, match="batch path"):
        other.verify_golden()


def test_no_golden_records_prove_nothing():
    with pytest.raises(BundleContentError, match="no golden records"):
        make(golden=False).verify_golden()


def test_a_plan_must_read_columns_of_the_schema():
    plan = SumPlan()
    plan.inputs = ("age", "height")
    with pytest.raises(BundleContentError, match="height"):
        Predictor(PREDICTOR.manifest, {"all": plan}, FakeEnsemble())
