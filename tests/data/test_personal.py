"""Personal data: what is found, what is not, and that no found value is left where people look."""

import json
import random
import string

import numpy as np
import pyarrow as pa
import pytest

import mlwright
from mlwright import bundle
from mlwright.core.clock import Deadline
from mlwright.data.check_digits import NATIONAL_IDS, is_card, is_iban, luhn
from mlwright.data.checks.pii import Pii
from mlwright.data.infer import infer
from mlwright.data.personal import personal, personal_columns
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.lifecycle.build import build
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.understand import raw_schema
from mlwright.testing.checks import context_of

DRAW = random.Random(5)


def digits(n):
    return "".join(DRAW.choice(string.digits) for _ in range(n))


def card():
    """A card's number with the check digit that makes it pass: of ten endings exactly one does."""
    start = DRAW.choice(["4", "51", "55"]) + digits(14)
    return next(start[:15] + d for d in string.digits if luhn(start[:15] + d))


def iban():
    """The check digits of ISO 13616: 98 less the remainder of the number with 00 in their place."""
    account = digits(18)
    rest = int(account + "131400") % 97  # D is 13, E is 14
    return f"DE{98 - rest:02d}{account}"


def pesel():
    born = f"{DRAW.randint(30, 99):02d}{DRAW.randint(1, 12):02d}{DRAW.randint(1, 28):02d}{digits(4)}"
    total = sum(int(d) * w for d, w in zip(born, [1, 3, 7, 9] * 3, strict=False))
    return born + str((10 - total % 10) % 10)


PLANTED = {
    "e-mail addresses": lambda: f"{digits(4)}.x@mail{digits(1)}.example.org",
    "payment card numbers": card,
    "account numbers (IBAN)": iban,
    "Polish PESEL numbers": pesel,
    "US social security numbers": lambda: (
        f"{DRAW.randint(100, 600)}-{DRAW.randint(10, 99)}-{DRAW.randint(1000, 9999)}"
    ),
    "IP addresses": lambda: ".".join(str(DRAW.randint(1, 255)) for _ in range(4)),
    "phone numbers": lambda: f"({DRAW.randint(200, 999)}) {DRAW.randint(200, 999)}-{digits(4)}",
}


def found_in(values, name="column"):
    table = pa.table({name: values})
    return personal_columns(table, infer(table))


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_column_is_found_whatever_it_is_called(what):
    values = [PLANTED[what]() for _ in range(200)]
    (told,) = found_in(values).values()
    assert told.what == what
    assert told.share == 1.0
    values[::50] = ["unknown value"] * 4
    assert found_in(values)["column"].what == what


# Written out by the issuers, or in their own examples.
@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("Spanish DNI or NIE numbers", "12345678Z"),
        ("Spanish DNI or NIE numbers", "X1234567L"),
        ("Italian codici fiscali", "RSSMRA85T10A562S"),
        ("French social security numbers", "255081416802538"),
        ("Polish PESEL numbers", "44051401359"),
        ("Brazilian CPF numbers", "529.982.247-25"),
        ("Dutch BSN numbers", "111222333"),
        ("Swedish personal numbers", "811218-9876"),
        ("Chinese resident identity numbers", "11010519491231002X"),
        ("UK national insurance numbers", "AB 12 34 56 C"),
        ("US social security numbers", "219-09-9999"),
    ],
)
def test_known_numbers_pass_and_one_wrong_digit_does_not(what, number):
    test = NATIONAL_IDS[what]
    assert test(number)
    if what.startswith(("US", "UK")):  # a form without a check digit
        assert not test("000" + number[3:])
        assert not test("BG" + number[2:])
        return
    place = next(i for i, letter in enumerate(number) if letter.isdigit() and i >= 2)
    changed = [number[:place] + d + number[place + 1 :] for d in string.digits if d != number[place]]
    assert not any(map(test, changed))


def test_cards_and_accounts_of_the_standards():
    assert is_card("5555 5555 5555 4444")
    assert is_card("378282246310005")
    assert is_iban("GB82 WEST 1234 5698 7654 32")
    assert not is_card("5555555555554445")
    assert not is_iban("GB82 WEST 1234 5698 7654 33")
    assert not is_card("1" * 16)
    assert sum(luhn(f"{n:06d}") for n in range(100_000)) == 10_000  # one number of ten


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("amount", [float(DRAW.randint(10**6, 10**9)) + 0.5 for _ in range(300)]),
        ("order_number", [DRAW.randint(10**15, 10**16 - 1) for _ in range(300)]),
        ("code", [DRAW.randint(10**8, 10**9 - 1) for _ in range(300)]),
        ("day", [f"20{DRAW.randint(10, 20)}-0{DRAW.randint(1, 9)}-1{DRAW.randint(0, 9)}" for _ in range(300)]),
        ("app_version", [f"{DRAW.randint(1, 9)}.{DRAW.randint(0, 9)}.{DRAW.randint(0, 9)}.0" for _ in range(300)]),
        ("name", [f"Model {chr(65 + i % 26)}{i}" for i in range(300)]),
        ("product_name", [f"{w} lamp" for w in ("small", "large", "red", "blue", "green", "old", "new", "odd")]),
        ("tweet", [f"so good @friend{i} see you" for i in range(300)]),
        ("range", [f"{i}-{i + 100}" for i in range(300)]),
        ("phone_calls", list(range(300))),
    ],
)  # fmt: skip
def test_what_looks_alike_is_left_alone(name, values):
    assert not found_in(values, name)


def test_random_numbers_of_any_length_are_never_personal():
    rng = np.random.default_rng(0)
    for length in range(7, 19):
        for _ in range(20):
            values = rng.integers(10 ** (length - 1), 10**length - 1, 60)
            assert not found_in(values), length


def test_names_of_persons_need_a_name_of_the_column_that_agrees():
    people = [f"{last}, Mr. {first} {i}" for i, (last, first) in enumerate([("Braund", "Owen")] * 30)]
    assert found_in(people, "Name")["Name"].what == "names of persons"
    assert not found_in(people, "remark")
    first = ["Zelda", "Otto", "Ilse", "Karin", "Ünal", "O'Neil"] * 5
    assert found_in(first, "first_name")
    assert found_in(first, "lastName")
    assert not found_in(["12 ab", "x-99", "7 of 9"] * 5, "first_name")


def test_phone_numbers_of_digits_alone_are_told_by_the_name():
    values = [int("5" + digits(9)) for _ in range(50)]
    assert found_in(values, "mobile")["mobile"].what == "phone numbers"
    assert not found_in(values, "turnover")
    assert found_in([None if i % 3 else float(v) for i, v in enumerate(values)], "phoneNumber")


def test_a_target_and_moments_are_never_personal():
    raw = pa.chunked_array([[f"u{i}@example.com" for i in range(30)]])
    assert personal(Column("mail", Kind.DATETIME), raw) is None
    table = pa.table({"mail": raw})
    assert personal_columns(table, infer(table).with_role("mail", Role.TARGET)) == {}


def test_the_finding_repeats_no_value_and_says_who_sees_it():
    mail = [f"user{i}@example.com" for i in range(40)]
    columns = (
        Column("mail", Kind.CATEGORICAL),
        Column("key", Kind.ID, Role.IGNORED),
        Column("y", Kind.CATEGORICAL, Role.TARGET),
    )
    y = [0.0, 1.0] * 20
    task = Task(TaskKind.BINARY, "y", "roc_auc", ("0", "1"))
    context = context_of({"mail": mail, "key": mail, "y": ["0", "1"] * 20}, columns, y, task)
    used, left_out = Pii().run(context)
    assert (used.code, used.severity, left_out.code, left_out.severity) == (
        "pii:mail",
        "warn",
        "pii:key",
        "info",
    )
    assert used.what == "'mail' holds e-mail addresses (100 % of 40 values looked at)."
    assert "example.com" not in json.dumps([used.to_json(), left_out.to_json()])


def customers(n=200):
    rng = np.random.default_rng(3)
    spend = rng.normal(50, 10, n)
    plan = rng.integers(0, 3, n)
    return pa.table(
        {
            "spend": spend,
            "plan": [("basic", "more", "full")[i] for i in plan],
            "mail": [f"person{i % 90}@mail.example.com" for i in range(n)],
            "phone": [5_550_000_000 + int(i) * 7919 for i in rng.integers(0, 99_999, n)],
            "left": ["yes" if v else "no" for v in (spend + 8 * plan + rng.normal(0, 8, n)) > 58],
        }
    )


def test_a_run_marks_what_it_finds_and_stores_no_value_that_people_would_read(tmp_path):
    table, project = customers(), Project(name="left", task_target="left", task_trials=2)
    prepared = prepare(table, project)
    assert {f.code for f in prepared.findings if f.check == "pii"} == {"pii:mail", "pii:phone"}
    built = build(prepared, project, Deadline(2.0), lineage={}, rough=True)
    bundle.write(built.contents, tmp_path / "made")
    model = mlwright.load(tmp_path / "made")
    assert model.schema.personal == {"mail", "phone"}
    values = {*table["mail"].to_pylist(), *map(str, table["phone"].to_pylist())}
    for file in (tmp_path / "made").rglob("*"):
        if file.is_dir() or file.name.startswith("plan.") or file.parent.name == "models":
            continue  # what the model itself needs
        text = file.read_text()
        assert not [value for value in values if value in text], file.name
    golden = json.loads((tmp_path / "made" / "golden.json").read_text())
    assert {row["record"]["mail"] for row in golden} == {"masked"}
    assert len({row["record"]["spend"] for row in golden}) > 1
    for row in golden:  # and what stands beside them is what the model says
        assert model.predict_one(row["record"])["prediction"] == row["prediction"]["prediction"]


def test_what_is_accepted_as_not_personal_is_not_marked():
    table = customers(100)
    assert raw_schema(table, Project(task_target="left")).personal == {"mail", "phone"}
    project = Project(task_target="left", checks_accept=("pii:phone",), data_pii=("plan",))
    schema = raw_schema(table, project)
    assert schema.personal == {"mail", "plan"}
    assert schema["plan"].levels is None
    assert "basic" not in schema["plan"].why
