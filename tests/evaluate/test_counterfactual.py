"""The smallest changes that change a decision, against what can be reckoned by hand or tried one by one."""

import itertools

import numpy as np
import pytest

from mlwright.data.schema import Column, Kind
from mlwright.evaluate.counterfactual import counterfactuals, moves

COLUMNS = [
    Column("age", Kind.NUMERIC, dtype="int"),
    Column("pay", Kind.NUMERIC, dtype="float"),
    Column("bonus", Kind.NUMERIC, dtype="float"),
    Column("plan", Kind.CATEGORICAL),
    Column("owner", Kind.BOOLEAN, dtype="bool"),
    Column("born", Kind.DATETIME),
    Column("note", Kind.TEXT),
    Column("name", Kind.CATEGORICAL, pii=True),
]
EVEN = {"0": 0.0, "0.01": 1.0, "0.5": 50.0, "0.99": 99.0, "1": 100.0}
REFERENCE = {
    "columns": {
        "age": {"quantiles": EVEN},
        "pay": {"quantiles": EVEN},
        "bonus": {"quantiles": EVEN},
        "plan": {"levels": {"old": 60, "new": 30, "free": 6, "rare": 4}},
        "owner": {"quantiles": {"0": 0.0, "1": 1.0}},
        "born": {"quantiles": EVEN},
        "note": {"levels": {"hello": 9, "bye": 9}},
        "name": {"levels": {"Ann": 50, "Bob": 50}},
    },
    "association": {"columns": ["age", "pay", "bonus"], "ranks": [[], [0.1], [0.2, -0.9]]},
}
RECORD = {"age": 30.0, "pay": 20.0, "bonus": 0.0, "plan": "old", "owner": 0.0, "born": 5.0, "note": "hello"}
WAYS = moves(COLUMNS, REFERENCE)


def scored(function):
    return lambda rows: np.array([function(row) for row in rows], dtype=float)


def test_what_may_be_changed():
    names = {move.column.name: move for move in WAYS}
    assert set(names) == {"age", "pay", "bonus", "plan", "owner"}  # no date, no text, nothing personal
    assert set(names["plan"].cells) == {"old", "new", "free"}  # of at least five rows
    assert min(names["age"].cells) >= 1
    assert max(names["age"].cells) <= 99
    assert {move.column.name for move in moves(COLUMNS, REFERENCE, ["plan", "age"])} == {
        "pay",
        "bonus",
        "owner",
    }
    units = [Column("weight", Kind.NUMERIC, dtype="str", format={"strip": ["kg"], "scale": 2.0})]
    assert all(cell == 1.0 for move in moves(units, {"columns": {}}) for cell in move.cells)


def test_the_nearest_number_is_found():
    found, tried = counterfactuals(scored(lambda row: row["age"] - 47), RECORD, WAYS)
    assert [change.cells for change in found] == [{"age": 47.0}]
    assert found[0].way == pytest.approx(0.17, abs=1e-9)  # of the rows lie between 30 and 47
    assert tried > 20


def test_different_ways_are_found_the_shortest_first():
    def score(row):
        return max(row["age"] - 60, row["pay"] - 40, (row["plan"] == "free") - 0.5)

    found, _ = counterfactuals(scored(score), RECORD, WAYS)
    assert [set(change.cells) for change in found] == [
        {"age"},
        {"plan"},
        {"pay"},
    ]  # pay goes with bonus, which stays
    assert found[2].staying == ("bonus",)
    assert found[2].way == pytest.approx(0.2 + 0.5, abs=0.01)
    assert found[2].cells["pay"] == pytest.approx(40, abs=0.05)
    assert found[2].cells["pay"] >= 40


def test_pairs_are_found_where_no_single_change_does_it():
    def score(row):
        return -1 + (row["plan"] == "new") * 0.6 + (row["owner"] == 1) * 0.5 + row["age"] * 1e-3

    found, _ = counterfactuals(scored(score), RECORD, WAYS)
    best = min(
        (
            change
            for size in (1, 2)
            for change in itertools.combinations([("plan", "new"), ("owner", 1.0), ("age", 99.0)], size)
            if score({**RECORD, **dict(change)}) >= 0
        ),
        key=len,
    )
    assert found[0].cells == dict(best)
    for one, other in itertools.permutations(found, 2):
        assert not set(one.cells) <= set(other.cells)


def test_none_is_found_where_there_is_none():
    found, tried = counterfactuals(scored(lambda row: -1.0 - (row["plan"] == "old")), RECORD, WAYS)
    assert found == []
    assert tried > 100
    assert counterfactuals(scored(lambda _: 1.0), RECORD, []) == ([], 0)


def test_a_missing_number_is_given_one_but_not_halved():
    missing = {**RECORD, "age": float("nan")}
    found, _ = counterfactuals(scored(lambda row: row["age"] - 47 if row["age"] > 0 else -9), missing, WAYS)
    assert set(found[0].cells) == {"age"}
    assert found[0].cells["age"] in WAYS[0].cells
