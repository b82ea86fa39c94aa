"""The short way and the careful one give one answer, bit by bit; the short way takes only what is ordinary."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_predictors import BINARY, MULTI, RECORD, REGRESSION, SCHEMA, build, rows
from serving_fakes import PROPERTY

from mlwright.core.errors import RecordError
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.data.values import columns
from mlwright.metrics.decision import decide
from mlwright.serving.answers import encoder
from mlwright.serving.rowform import OddRecordError
from mlwright.serving.rowpath import RowPath

PREDICTORS = {str(task.kind): build(task) for task in (BINARY, MULTI, REGRESSION)}
PREDICTOR = PREDICTORS["binary"]


def careful(predictor, record):
    try:
        return predictor.predict_carefully(record)
    except RecordError as error:
        return error.problems


def either(predictor, record):
    try:
        return predictor.predict_one(record)
    except RecordError as error:
        return error.problems


@pytest.mark.parametrize("kind", PREDICTORS)
def test_ordinary_records_take_the_short_way_and_give_the_same_bits(kind):
    predictor = PREDICTORS[kind]
    path = predictor.path
    for record in rows(60, seed=5):
        cells = path.decode(json.dumps(record).encode())
        assert path.convert(record) == pytest.approx(cells, nan_ok=True) or path.convert(record) == cells
        expected = careful(predictor, record)
        assert predictor.predict_one(record) == expected
        by_plan = predictor.ensemble.predict_row(predictor.rows(record))
        assert path.outputs(cells) == by_plan


def test_numbers_written_as_text_take_the_short_way_too():
    path = PREDICTOR.path
    for record in [*rows(20, seed=7), RECORD | {"spend": "?"}, RECORD | {"spend": None}]:
        spend = record["spend"]
        written = record | {"age": f" {record['age']}", "spend": spend if spend is None else str(spend)}
        for _ in range(2):  # read, then remembered
            cells = path.convert(written)
            assert str(path.decode(json.dumps(written).encode())) == str(cells)
            assert path.outputs(cells) == PREDICTOR.ensemble.predict_row(PREDICTOR.rows(written))
        assert PREDICTOR.predict_one(written) == careful(PREDICTOR, written)
    for odd in ("163", "-54.5", "x", "NA", "9" * 70, ""):
        with pytest.raises(OddRecordError):
            path.convert(RECORD | {"age": odd})


def test_what_is_remembered_is_bounded():
    path = PREDICTOR.path
    for i in range(2500):
        assert path.convert(RECORD | {"spend": f"{i / 100} "})[1] == i / 100


def test_many_are_the_batch_paths_numbers():
    records = rows(40, seed=6)
    path = PREDICTOR.path
    found = path.outputs_of_many([path.convert(record) for record in records])
    rows_ = [PREDICTOR.rows(record) for record in records]
    matrices = {view: np.array([row[view] for row in rows_]) for view in PREDICTOR.plans}
    assert found.tolist() == PREDICTOR.ensemble.predict(matrices).tolist()


VALUES = {
    "age": st.one_of(
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.sampled_from(["33", " 1,200 ", "x", None, True, -54, 162, 163]),
    ),
    "spend": st.one_of(
        st.none(), st.floats(), st.integers(), st.sampled_from(["$3.5", "NA", "?", -0.0, 1e308])
    ),
    "plan": st.sampled_from(["month", " year", "two year", "weekly", "5", "Ünïcode", "NA", 5, None]),
    "zone": st.one_of(st.none(), st.integers(-3, 12), st.sampled_from(["2", "2.0", "x", 2.0, True, 10**30])),
    "flag": st.sampled_from([True, False, "true", "false", "TRUE", "yes", 1, 0, None, 1.0]),
    "senior": st.one_of(st.none(), st.booleans(), st.sampled_from(["yes", "n", "0", 1, 0, 2])),
    "since": st.one_of(
        st.none(), st.datetimes().map(str), st.dates().map(str), st.sampled_from(["x", "", 5])
    ),
    "note": st.one_of(st.none(), st.text('ab 1é"\\Ω😀', max_size=20), st.sampled_from(["NA", 5, True])),
    "customer": st.one_of(st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    "other": st.integers(),
}


@PROPERTY
@given(st.fixed_dictionaries({}, optional=VALUES))
def test_any_dict_gives_what_the_careful_way_gives(change):
    record = RECORD | change
    expected = careful(PREDICTOR, record)
    assert str(either(PREDICTOR, record)) == str(expected)  # as text, because NaN may be repeated


@PROPERTY
@given(st.fixed_dictionaries({}, optional=VALUES))
def test_any_json_gives_what_the_careful_way_gives(change):
    record = {
        k: v for k, v in (RECORD | change).items() if not (isinstance(v, float) and not math.isfinite(v))
    }
    body = json.dumps(record).encode()
    try:
        outputs = PREDICTOR.path.outputs(PREDICTOR.path.decode(body))
    except OddRecordError:
        return
    # What the short way takes has no warning and no problem, and the same numbers.
    answer = PREDICTOR.predict_carefully(msgspec.json.decode(body))
    assert answer["warnings"] == []
    assert answer["probability"]["yes"] == outputs[0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"age": True}, "age"),
        ({"plan": 3}, "plan"),
        ({"plans": "year"}, "plans"),
    ],
)
def test_what_is_wrong_is_said(change, field):
    with pytest.raises(RecordError) as caught:
        PREDICTOR.predict_one(RECORD | change)
    assert [problem["field"] for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("change", [{"age": None}, {"age": math.nan}, {"plan": None}, {"plan": "NA"}])
def test_a_gap_as_in_no_row_of_training_is_said_and_answered_as_in_a_table(change):
    answer = PREDICTOR.predict_one(RECORD | change)
    assert [(w["field"], w["warning"]) for w in answer["warnings"]] == [
        (next(iter(change)), "missing, as in no row of training")
    ]
    table = pa.table({name: [value] for name, value in (RECORD | change).items()})
    (expected,) = PREDICTOR.predict(table)["probability_yes"].to_pylist()
    assert answer["probability"]["yes"] == pytest.approx(expected, rel=1e-12)


def test_absent_null_and_nan_are_one():
    base = {k: v for k, v in RECORD.items() if k not in {"spend", "zone", "flag", "senior", "since", "note"}}
    absent = PREDICTOR.predict_one(base)
    nulls = base | dict.fromkeys(("spend", "zone", "flag", "senior", "since", "note"))
    assert PREDICTOR.predict_one(nulls) == absent
    assert PREDICTOR.predict_one(base | {"spend": math.nan}) == absent
    assert PREDICTOR.predict_one(base | {"spend": np.float32("nan"), "zone": Decimal("nan")}) == absent
    assert (
        PREDICTOR.predict_one(base | dict.fromkeys(("spend", "zone", "flag", "senior", "since"), "n/a"))
        == absent
    )
    assert absent != PREDICTOR.predict_one(RECORD)


def test_warnings_name_what_is_odd():
    answer = PREDICTOR.predict_one(RECORD | {"plan": "weekly", "age": 500, "zone": 7})
    assert [(w["field"], w["got"]) for w in answer["warnings"]] == [
        ("age", 500),
        ("plan", "weekly"),
        ("zone", 7),
    ]
    # The range is tolerated by its own width on each side: 18 - 72 to 90 + 72.
    assert [
        bool(PREDICTOR.predict_one(RECORD | {"age": age})["warnings"]) for age in (-54, -55, 162, 163)
    ] == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "name",
    ['quo"te', "back\\slash", "new\nline", "{{name}}", "f0", "Ünï", "__class__", "a.b", "", " ", "\x00"],
)
def test_any_name_of_a_column_is_only_data(name):
    columns = (Column(name, Kind.NUMERIC, required=True), Column("churn", Kind.CATEGORICAL, Role.TARGET))
    from mlwright.features.number import Number
    from mlwright.features.plan import FeaturePlan
    from mlwright.serving import Predictor

    class First:
        def predict_row(self, rows):
            return [float(rows["all"][0])]

        def predict(self, matrices):
            return matrices["all"]

    plan = FeaturePlan([Number(name)]).arrange()
    manifest = {"name": "m", "task": REGRESSION.to_json(), "schema": Schema(columns).to_json()}
    predictor = Predictor(manifest, {"all": plan}, First())
    assert predictor.predict_one({name: 5})["prediction"] == 5.0
    if predictor.path is not None:
        assert predictor.path.outputs(predictor.path.decode(json.dumps({name: 7}).encode())) == [7.0]


def test_threads_do_not_mix_their_rows():
    records = rows(50, seed=9)
    expected = [PREDICTOR.predict_carefully(record) for record in records]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert list(pool.map(PREDICTOR.predict_one, records)) == expected


def test_levels_that_cannot_be_listed_take_the_careful_way():
    column = Column("c", Kind.CATEGORICAL, levels=("NA",))  # what is read as missing is no level
    with pytest.raises(OddRecordError):
        RowPath([column], [], {}, None)


@pytest.mark.parametrize("task", [BINARY, MULTI, REGRESSION], ids=lambda t: str(t.kind))
def test_an_answers_bytes_are_the_encoded_answer(task):
    predictor = PREDICTORS[str(task.kind)]
    counts, places = [0.0] * 3, [0, 1, 2]
    encode = encoder(task, 'a "model" 100%', "v%s", (counts, places))
    decided = []
    for record in rows(30, seed=3):
        answer = predictor.predict_one(record)
        outputs = predictor.raw_one(record)
        whole = answer | {"prediction_id": "ab", "model": 'a "model" 100%', "version": "v%s"}
        assert encode(outputs, b"ab") == msgspec.json.encode(whole)
        decided.append(outputs)
    if task.labels:
        assert counts == np.bincount(decide(np.array(decided), task), minlength=3).tolist()
    else:
        assert counts[0] == 30


def test_a_threshold_decides():
    from dataclasses import replace

    task = replace(BINARY, threshold=0.9)
    encode = encoder(task, "m", "1")
    assert [json.loads(encode([p], b""))["prediction"] for p in (0.89, 0.9, 0.91)] == ["no", "yes", "yes"]
    assert json.loads(encode([0.9], b""))["threshold"] == 0.9


def test_grades_are_decided_by_their_mean():
    from dataclasses import replace

    task = replace(MULTI, metric="quadratic_kappa")
    encode = encoder(task, "m", "1")
    for chances in ([0.4, 0.2, 0.4], [0.6, 0.3, 0.1], [0.0, 0.0, 1.0], [0.9, 0.05, 0.05]):
        expected = task.labels[decide(np.array([chances]), task)[0]]
        assert json.loads(encode(chances, b""))["prediction"] == expected


def test_schema_and_path_read_the_same_columns():
    assert [column.name for column in PREDICTOR.reader.columns] == [c.name for c in SCHEMA.features]


def echoing(column, values):
    """Return a predictor that answers what its plan, fitted to `values`, makes of the one column."""
    from mlwright.features.category_codes import CategoryCodes
    from mlwright.features.number import Number
    from mlwright.features.plan import FeaturePlan
    from mlwright.serving import Predictor

    class First:
        def predict_row(self, rows):
            return [float(rows["all"][0])]

        def predict(self, matrices):
            return matrices["all"]

    schema = Schema((column, Column("y", Kind.NUMERIC, Role.TARGET)))
    read = columns(pa.table({"c": values}), schema, ["c"])
    plan = FeaturePlan([CategoryCodes("c") if column.kind is Kind.CATEGORICAL else Number("c")])
    plan.fit_batch(read, np.zeros(len(values)), n_classes=0, seed=0)
    manifest = {"name": "m", "task": REGRESSION.to_json(), "schema": schema.to_json()}
    return Predictor(manifest, {"all": plan}, First())


@pytest.mark.parametrize("kind", [Kind.NUMERIC, Kind.DATETIME, Kind.BOOLEAN])
def test_the_short_way_gives_a_gap_what_the_plan_gives_it(kind):
    # The fit saw no gap, though the schema allows one.
    values = {
        Kind.NUMERIC: [3.0, 1.0, 2.0],
        Kind.DATETIME: ["2024-03-01", "2024-01-01", "2024-02-01"],
        Kind.BOOLEAN: [True, False, True],
    }[kind]
    predictor = echoing(Column("c", kind), values)
    middle = {Kind.NUMERIC: 2.0, Kind.DATETIME: 1706745600.0, Kind.BOOLEAN: 1.0}[kind]
    for record in ({"c": None}, {}, {"c": values[0]}):
        short = predictor.path.outputs(predictor.path.convert(record))
        assert short == [predictor.predict_carefully(record)["prediction"]]
        assert record.get("c") is not None or short == [middle]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            Column("c", Kind.BOOLEAN, dtype="str"),
            [("Y", 1.0), ("n", 0.0), ("Yes", 1.0), (1, 1.0), (0.0, 0.0)],
        ),
        (Column("c", Kind.BOOLEAN, dtype="str"), [("NA", math.nan), ("None", math.nan), (None, math.nan)]),
        (
            Column("c", Kind.BOOLEAN, format={"false": ["cash"], "true": ["card"]}),
            [("Card", 1.0), ("CASH", 0.0), (True, 1.0), (False, 0.0)],
        ),
        (
            Column("c", Kind.CATEGORICAL, levels=("WD", "New")),
            [("WD ", "WD"), (" New", "New"), ("none", None), ("NA", None), (None, None)],
        ),
    ],
    ids=["yes and no", "missing words", "a pair of its own", "blanks and missing words"],
)
def test_a_tables_own_spellings_take_the_short_way(column, said):
    predictor = echoing(column, ["WD", "New", None])
    for spelling, cell in said:
        found = predictor.path.outputs(predictor.path.convert({"c": spelling}))
        careful = predictor.predict_carefully({"c": spelling})
        assert careful["warnings"] == []
        assert found == pytest.approx([careful["prediction"]], nan_ok=True)
        if column.kind is Kind.BOOLEAN:
            assert found == pytest.approx([cell], nan_ok=True)
    for odd in ("maybe", 2, 0.5):
        with pytest.raises(OddRecordError):
            predictor.path.convert({"c": odd})
