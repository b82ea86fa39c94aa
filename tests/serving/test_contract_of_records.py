"""A contract in a bundle: records that break it are warned of or refused, on every way in, and the short way stays short."""

import io
import json

import pyarrow as pa
import pytest
from real_predictors import BINARY, RECORD, SCHEMA, build, rows

from mlwright.core.errors import RecordError
from mlwright.data.contract import Contract, Expected
from mlwright.data.schema import Kind
from mlwright.serving import Predictor
from mlwright.serving.endpoint import Endpoint

PLAIN = build(BINARY)
CONTRACT = Contract(
    (
        Expected("age", Kind.NUMERIC, low=18.0, high=70.0, missing=0.0),
        Expected("spend", Kind.NUMERIC, missing=0.0, refuse=True),
        Expected("plan", Kind.CATEGORICAL, levels=("month", "year")),
        Expected("note", Kind.TEXT, pattern="[a-z ]{1,20}"),
        Expected("zone", Kind.CATEGORICAL, levels=("1", "2", "10", "7"), refuse=True),
        Expected("senior", Kind.NUMERIC, low=5.0),  # of another kind than the model's: not for records
        Expected("elsewhere", Kind.TEXT, missing=0.0),
    )
)


def with_contract(contract):
    manifest = PLAIN.manifest | {"lineage": {"contract": contract.to_json()}}
    return Predictor(manifest, PLAIN.plans, PLAIN.ensemble, golden=PLAIN.golden, sha256="x")


KEEPER = with_contract(CONTRACT)
BREACHES = {
    "age": (80, "breaks the contract: outside 18 to 70"),
    "plan": ("two year", "breaks the contract: not one of the allowed categories"),
    "note": ("CALLS!", "breaks the contract: not of the form [a-z ]{1,20}"),
}


def test_a_record_that_keeps_it_takes_the_short_way_and_gets_the_same_answer():
    assert KEEPER.path is not None
    assert KEEPER.path.outputs(KEEPER.path.convert(RECORD)) == PLAIN.path.outputs(PLAIN.path.convert(RECORD))
    assert KEEPER.predict_one(RECORD) == PLAIN.predict_one(RECORD)


@pytest.mark.parametrize("field", BREACHES)
def test_a_breach_is_a_warning_beside_the_same_prediction(field):
    value, warning = BREACHES[field]
    answer = KEEPER.predict_one(RECORD | {field: value})
    assert answer["warnings"] == [{"field": field, "warning": warning, "got": value}]
    assert answer["prediction"] == PLAIN.predict_one(RECORD | {field: value})["prediction"]
    assert KEEPER.predict_carefully(RECORD | {field: value}) == answer


@pytest.mark.parametrize(("field", "value"), [("spend", None), ("zone", -3), ("zone", "99")])
def test_a_breach_that_is_refused_names_the_field(field, value):
    with pytest.raises(RecordError) as caught:
        KEEPER.predict_one(RECORD | {field: value})
    (problem,) = caught.value.problems
    assert problem["field"] == field
    assert problem["problem"].startswith("breaks the contract: ")


def test_both_ways_say_the_same_of_many_records():
    for record in rows(200, seed=3):
        told = []
        for way in (KEEPER.predict_one, KEEPER.predict_carefully):
            try:
                told.append(way(record))
            except RecordError as error:
                told.append(error.problems)
        assert told[0] == told[1]


def test_a_category_that_the_contract_allows_and_training_never_saw_is_still_said():
    (warning,) = KEEPER.predict_one(RECORD | {"zone": 7})["warnings"]
    assert warning["warning"] == "a category that training never saw"


def answer(endpoint, body, **headers):
    kept = {key.replace("_", "-").encode(): value for key, value in headers.items()}
    response = endpoint.respond("/predict", body, kept)
    return response.status, json.loads(response.body)


@pytest.fixture
def endpoint():
    return Endpoint(KEEPER, name="m", version="1")


def columns_of(records):
    return {name: [record[name] for record in records] for name in RECORD}


def test_lists_columns_and_arrow_are_held_against_it_too(endpoint):
    kept = [RECORD, RECORD | {"age": 80}]
    status, told = answer(endpoint, json.dumps(kept).encode())
    assert status == 200
    assert [len(each["warnings"]) for each in told] == [0, 1]
    status, told = answer(endpoint, json.dumps(columns_of(kept)).encode())
    assert status == 200
    assert told["warnings"] == [{"record": 1, "field": "age", "warning": BREACHES["age"][1], "got": 80}]
    status, told = answer(endpoint, arrow(kept), content_type=b"application/vnd.apache.arrow.stream")
    assert status == 200
    assert {
        "field": "age",
        "warning": "breaks the contract: 1 of 2 values outside 18 to 70",
        "rows": 1,
    } in told["warnings"]


def arrow(records):
    table = pa.Table.from_pylist(records)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_what_is_refused_is_422_on_every_way(endpoint):
    odd = [RECORD, RECORD | {"spend": None}]
    for body in (odd, columns_of(odd), odd[1]):
        status, told = answer(endpoint, json.dumps(body).encode())
        assert status == 422
        assert "breaks the contract: missing" in json.dumps(told)
    status, told = answer(endpoint, arrow(odd), content_type=b"application/vnd.apache.arrow.stream")
    assert status == 422
    assert "'spend' breaks the contract: 1 of 2 values missing" in json.dumps(told)


def test_a_bundle_without_a_contract_is_as_before():
    assert PLAIN.contract is None
    assert PLAIN.reader.expected == {}
    assert "customer" in SCHEMA
