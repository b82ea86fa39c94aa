"""The data contract: what is learned, what breaks it, and its two files."""

import json
import re
import tomllib

import jsonschema_rs
import numpy as np
import pyarrow as pa
import pytest

from mlwright.core.errors import BundleContentError, ProjectError
from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.base import CheckContext
from mlwright.data.contract import Contract, Expected, is_pattern
from mlwright.data.contract_file import as_toml, json_schema, read_contract
from mlwright.data.contract_learn import learn
from mlwright.data.contract_tally import Tally
from mlwright.data.findings import Severity
from mlwright.data.infer import infer
from mlwright.data.schema import Kind, Role, Schema
from mlwright.data.table import Table
from mlwright.testing.checks import sample_context


def shop(n=1000, seed=0, **changes):
    rng = np.random.default_rng(seed)
    data = {
        "id": [f"C-{i:06d}" for i in rng.permutation(n)],
        "age": rng.integers(18, 91, n).tolist(),
        "spend": [None if rng.random() < 0.1 else round(float(v), 2) for v in rng.gamma(2.0, 30.0, n)],
        "plan": rng.choice(["month", "year", "two years"], n).tolist(),
        "since": [f"20{y}-0{m}-11" for y, m in rng.integers([10, 1], [24, 10], (n, 2))],
        "code": [
            f"{a}{b:02d}"
            for a, b in zip(rng.choice(list("ABCDEFGH"), n), rng.integers(0, 99, n), strict=True)
        ],
        "left": rng.choice(["no", "yes"], n).tolist(),
    }
    return pa.table(data | changes)


def learned(table):
    return learn(Table(table, infer(table, target="left")))


CONTRACT = learned(shop())
SCHEMA = infer(shop(), target="left")


def said(table, contract=CONTRACT, **options):
    tally = Tally(contract, infer(table, target="left"))
    tally.add(table)
    return {breach.column: breach.what for breach in tally.breaches(**options)}


def test_what_is_learned_is_what_is_there_with_slack():
    of = {column.name: column for column in CONTRACT.columns}
    ages = shop()["age"].to_numpy()
    width = ages.max() - ages.min()
    assert (of["age"].low, of["age"].high) == (
        np.floor(ages.min() - width / 10),
        np.ceil(ages.max() + width / 10),
    )
    assert of["spend"].low == 0.0  # amounts of at least 0 stay so
    share = shop()["spend"].null_count / 1000
    assert share + 0.01 < of["spend"].missing < share + 0.05
    assert set(of["plan"].levels) == {"month", "year", "two years"}
    assert of["id"].pattern == "[A-Z]-[0-9]{6}"
    assert of["id"].unique
    assert of["code"].pattern == "[A-Z][0-9]{2}"
    assert of["code"].levels is None  # too many to be listed
    assert of["left"].role is Role.TARGET
    assert (of["left"].kind, of["left"].missing) == (Kind.BOOLEAN, 0.0)
    assert CONTRACT.min_rows == 500


@pytest.mark.parametrize("seed", range(1, 9))
def test_other_rows_of_the_same_source_keep_it(seed):
    assert said(shop(seed=seed), training=True) == {}
    assert said(shop(40, seed=seed)) == {}


def test_each_thing_that_is_wrong_is_counted():
    n = 1000
    table = shop(seed=1)
    ages, plans = table["age"].to_pylist(), table["plan"].to_pylist()
    codes, ids = table["code"].to_pylist(), table["id"].to_pylist()
    found = said(
        shop(
            seed=1,
            age=[*ages[:-5], 400, 400, -50, 999, 130],
            plan=[*plans[:-3], "weekly", "weekly", "daily"],
            code=[*codes[:-4], "A1", "a12", "A12 ", "AA12"],
            id=[*ids[:-1], ids[0]],
            since=[*table["since"].to_pylist()[:-20], *["soon"] * 20],
            spend=[None] * 300 + table["spend"].to_pylist()[300:],
        ),
        training=True,
    )
    low, high = 10, 98
    assert low == CONTRACT.columns[1].low
    assert high == CONTRACT.columns[1].high
    assert found["age"] == (f"5 of 1,000 values outside {low} to {high}",)
    assert found["plan"] == ("3 of 1,000 values in categories that are not listed",)
    assert found["code"] == (
        "3 of 1,000 values not of the form [A-Z][0-9]{2}",
    )  # blanks around are no matter
    assert found["id"] == ("1 values more than once, and each must differ",)
    assert found["since"] == ("20 of 1,000 values cannot be read as a date or a time",)
    assert found["spend"][0].endswith(
        f"values missing, and at most {100 * CONTRACT.columns[2].missing:.3g} % may be"
    )
    assert set(found) == {"age", "plan", "code", "id", "since", "spend"}
    assert n == table.num_rows


def test_within_the_tolerance_a_table_keeps_it_and_a_row_does_not():
    table = shop(seed=1)
    odd = shop(seed=1, age=[999, *table["age"].to_pylist()[1:]])
    assert said(odd) == {}  # one row of a thousand may
    assert said(odd, each_row=True) == {"age": ("1 of 1,000 values outside 10 to 98",)}
    assert said(shop(seed=1).drop_columns(["age", "spend"])) == {
        "age": ("the column is not there",),
        "spend": ("the column is not there",),
    }
    assert said(shop(30), training=True) == {"": ("30 rows, and at least 500 are asked for",)}


def test_batches_are_counted_together():
    table = shop(seed=1, plan=["weekly"] * 1000)
    whole, parts = Tally(CONTRACT, SCHEMA), Tally(CONTRACT, SCHEMA)
    whole.add(table)
    for start in range(0, 1000, 300):
        one = Tally(CONTRACT, SCHEMA)
        one.add(table.slice(start, 300))
        parts.merge(one)
    assert parts.breaches() == whole.breaches() != []


def test_a_number_column_that_turns_into_text_is_told():
    table = shop(seed=1, age=[f"about {v}" for v in shop()["age"].to_pylist()])
    assert said(table)["age"] == ("1,000 of 1,000 values cannot be read as a number",)


def test_the_check_stops_and_can_be_accepted_by_name():
    context = sample_context()
    contract = Contract(
        (Expected("amount", Kind.NUMERIC, high=1.0), Expected("gone", Kind.TEXT)), min_rows=1000
    )
    check = load(CHECKS, "contract", family="check")()
    kept = [context.table, context.columns, context.y, context.task]
    found = check.run(CheckContext(*kept, contract=contract))
    assert [(f.code, f.severity) for f in found] == [
        ("contract", Severity.STOP),
        ("contract:amount", Severity.STOP),
        ("contract:gone", Severity.STOP),
    ]
    assert found[1].what == "'amount' breaks the contract: 400 of 400 values outside at most 1."
    assert check.run(CheckContext(*kept)) == []


def test_the_file_is_toml_that_reads_back(tmp_path):
    contract = Contract(
        (
            Expected(
                'odd "name".x', Kind.CATEGORICAL, levels=("a\\b", 'c"d', "ü\n\x7f"), missing=0.25, refuse=True
            ),
            Expected("n", Kind.NUMERIC, dtype="float", low=-0.5, high=1e300),
            Expected("id", Kind.ID, Role.IGNORED, pattern=r"C\-\d{3}'", unique=True),
        ),
        0.01,
        7,
    )
    for given in (contract, CONTRACT):
        (tmp_path / "contract.toml").write_text(as_toml(given, name="shop", n_rows=1234), encoding="utf-8")
        assert read_contract(tmp_path / "contract.toml") == given
    assert Contract.from_json(json.loads(json.dumps(contract.to_json()))) == contract


TOP = 'on_violation = "refuse"\n'


def test_a_column_follows_the_policy_of_the_whole_unless_it_says_its_own(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_text(TOP + '[columns.a]\nkind = "text"\n[columns.b]\nkind = "text"\non_violation = "warn"\n')
    assert [column.refuse for column in read_contract(file).columns] == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns.a]\nkind = 'numbr'", r"columns\.a\.kind: got 'numbr'; allowed: numeric"),
        ("[columns.a]\nkind = 'numeric'\nmaximum = 3", r"columns\.a\.maximum.*did you mean 'max'"),
        ("[columns.a]\nkind = 'text'\nmax = 3", r"columns\.a\.max: got 3; allowed: of a numeric column only"),
        (
            "[columns.a]\nkind = 'numeric'\nmin = 9\nmax = 3",
            r"columns\.a\.min: got 9; allowed: at most max, 3",
        ),
        ("[columns.a]\nkind = 'text'\npattern = '(a+)+'", r"columns\.a\.pattern.*at most two of open length"),
        (
            "[columns.a]\nkind = 'text'\nmissing = 3",
            r"columns\.a\.missing: got 3; allowed: a share from 0 to 1",
        ),
        ("[columns]\na = 3", r"columns\.a\.kind"),
        ("tolerance = 0.1", "columns: got None; allowed: a table of columns"),
        ("tolerance = 0.1\n[colums.a]\nkind = 'text'", "columns"),
        ("a = = 1", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, text, message):
    file = tmp_path / "contract.toml"
    file.write_text(text)
    with pytest.raises(ProjectError, match=message):
        read_contract(file)
    with pytest.raises(ProjectError, match=r"no such contract.*mlwright contract"):
        read_contract(tmp_path / "none.toml")


def test_a_malformed_contract_of_a_bundle_is_an_error_of_the_bundle():
    with pytest.raises(BundleContentError, match=r"columns\.a\.pattern"):
        Contract.from_json({"columns": {"a": {"kind": "text", "pattern": "((((("}}})


@pytest.mark.parametrize(
    ("pattern", "is_good"),
    [
        (r"[A-Z]{2}-\d{4}", True),
        ("a*b+", True),
        ("a*b*c*", False),
        ("(a|b)", False),
        (r"\1", False),
        ("[z-a]", False),
        ("a{1,3}", True),
        ("", False),
        ("x" * 300, False),
    ],
)
def test_patterns_are_those_that_take_no_time(pattern, is_good):
    assert is_pattern(pattern) is is_good
    if is_good:
        re.compile(pattern)


def test_of_personal_columns_no_value_is_repeated():
    mails = [f"user{i % 40}@example.com" for i in range(1000)]
    table = shop(plan=mails, age=list(range(5_550_000_000, 5_550_001_000)))
    schema = infer(table, target="left").marked(["plan", "age"])
    text = as_toml(learn(Table(table, schema)), name="x", n_rows=1000)
    assert "example.com" not in text
    assert "555000" not in text


# --- JSON Schema, judged by an implementation of it


def records(table):
    return table.drop_columns(["left"]).to_pylist()


def test_the_json_schema_takes_records_that_keep_the_contract_and_no_others():
    schema = json_schema(CONTRACT, name="shop")
    jsonschema_rs.meta.validate(schema)
    judge = jsonschema_rs.validator_for(schema)
    assert all(map(judge.is_valid, records(shop())))
    good = records(shop())[0]
    for change in (
        {"age": 400},
        {"age": "44"},
        {"age": None},
        {"plan": "weekly"},
        {"code": "A1"},
        {"spend": -1.0},
        {"id": "C-1"},
    ):
        assert not judge.is_valid(good | change), change
    assert judge.is_valid(good | {"spend": None})
    assert not judge.is_valid({k: v for k, v in good.items() if k != "age"})


def test_the_json_schema_spells_categories_as_json_has_them():
    contract = Contract(
        (
            Expected("zone", Kind.CATEGORICAL, dtype="int", levels=("1", "-3", "07"), missing=0.5),
            Expected("flag", Kind.CATEGORICAL, dtype="bool", levels=("true",)),
        )
    )
    judge = jsonschema_rs.validator_for(json_schema(contract, name="x"))
    for zone in (1, "1", -3, "07", None):
        assert judge.is_valid({"zone": zone, "flag": True})
    for zone in (7, 2, "3"):
        assert not judge.is_valid({"zone": zone})
    assert not judge.is_valid({"flag": False})


def test_real_files_are_readable_by_any_toml_reader():
    tree = tomllib.loads(as_toml(CONTRACT, name="shop", n_rows=1000))
    assert tree["columns"]["age"] == {"kind": "numeric", "dtype": "int", "missing": 0.0, "min": 10, "max": 98}
    assert Schema(()).names == []
