"""Checks of rows against each other: order, entities on both sides, near duplicates, the future, copies in the test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.order import _rank_correlation
from mlwright.data.checks.same_entity import variance_between
from mlwright.data.checks.sides import sides
from mlwright.data.findings import Severity
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.split import Split
from mlwright.data.table import Table
from mlwright.testing.checks import context_of

INFO, WARN, STOP = Severity.INFO, Severity.WARN, Severity.STOP
N = 800
DRAW = np.random.default_rng(5)
X = {f"x{i}": DRAW.normal(size=N) for i in range(4)}
Y = (DRAW.random(N) < 0.4).astype(float)
Z = X["x0"] + DRAW.normal(size=N)
SHUFFLED = DRAW.permutation(N)
DAY = 86_400_000_000
FIRST = 1_600_000_000_000_000


def halves(n=N, kind="random", column=None):
    order = np.random.default_rng(1).permutation(n)
    return Split(kind, column, "So.", np.sort(order[n // 4 :]), np.sort(order[: n // 4]), ())


def column(name, values):
    """Return an Arrow array and its column, by the values' type."""
    array = pa.array(values)
    if pa.types.is_timestamp(array.type):
        return array, Column(name, Kind.DATETIME, dtype="timestamp")
    if pa.types.is_string(array.type):
        return array, Column(name, Kind.CATEGORICAL)
    kind = "int" if pa.types.is_integer(array.type) else "float"
    return array, Column(name, Kind.NUMERIC, dtype=kind)


def context(y, split=None, *, classes=True, roles=(), kinds=(), now=np.inf, **features):
    data = {name: column(name, values) for name, values in features.items()}
    data["y"] = pa.array(y), Column("y", Kind.NUMERIC, Role.TARGET, "float")
    columns = [
        replace(c, role=dict(roles).get(name, c.role), kind=dict(kinds).get(name, c.kind))
        for name, (_, c) in data.items()
    ]
    task = (
        Task(TaskKind.BINARY, "y", "roc_auc", (0, 1)) if classes else Task(TaskKind.REGRESSION, "y", "rmse")
    )
    made = context_of({name: values for name, (values, _) in data.items()}, tuple(columns), y, task)
    return replace(made, split=split, now=now)


def look(kind, *args, **kwargs):
    made = args[0] if not isinstance(args[0], np.ndarray) else context(*args, **kwargs)
    return load(CHECKS, kind, family="check")().run(made)


def said(found):
    return [(f.code, f.severity) for f in found]


def days(numbers):
    return pa.array((FIRST + np.asarray(numbers) * DAY).astype(np.int64), pa.timestamp("us"))


# --- order


def given_out(y):
    """Numbers in the order of the target, ties at random."""
    number = np.empty(N, np.int64)
    number[np.lexsort((DRAW.random(N), y))] = np.arange(N) + 1_000
    return number


@pytest.mark.parametrize(("y", "classes"), [(Y, True), (Z, False)])
def test_an_identifier_in_the_order_of_the_outcome_stops_where_a_model_would_see_it(y, classes):
    number = given_out(y)
    assert said(look("order", y, classes=classes, case_id=number)) == [("order:case_id", STOP)]
    left_out = {"roles": {"case_id": Role.IGNORED}, "kinds": {"case_id": Kind.ID}}
    assert said(look("order", y, classes=classes, case_id=number, **left_out)) == [("order:case_id", WARN)]
    letters = np.where(y > np.median(y), "A", "B") if not classes else np.where(y == 1, "A", "B")
    coded = [f"{letter}{n:05d}" for letter, n in zip(letters, SHUFFLED, strict=True)]
    (found,) = look("order", y, classes=classes, file_id=coded)
    assert found.code == "order:file_id"
    assert "letters" in found.what


def test_an_identifier_that_tells_little_is_left_alone():
    weakly = np.argsort(np.argsort(Z + 3 * DRAW.normal(size=N)))
    assert look("order", Z, classes=False, case_id=weakly, other_id=SHUFFLED) == []
    assert (
        look("order", Z, classes=False, height=given_out(Z)) == []
    )  # a number that names nothing: `leak` looks at it
    ordered = np.argsort(np.argsort(Z))
    later = context(Z, halves(kind="time", column="when"), classes=False, case_id=ordered, when=days(ordered))
    assert look("order", later) == []  # numbered as time went on


def test_a_sorted_file_warns_of_the_file_and_names_no_column():
    by = np.argsort(Y, kind="stable")
    (found,) = look("order", Y[by], **{name: values[by] for name, values in X.items()})
    assert (found.code, found.severity) == ("order", WARN)
    assert "changes 1 times" in found.what
    three = np.repeat([2.0, 0.0, 1.0], [600, 40, 160])
    assert said(look("order", three, classes=False)) == []  # a number: blocks are no order
    assert said(look("order", np.sort(Z), classes=False)) == [("order", WARN)]
    grades = np.sort(np.round(Z))  # many are equal
    assert said(look("order", grades, classes=False)) == [("order", WARN)]
    grouped = context(Y[by], halves(kind="group", column="who"), who=SHUFFLED)
    assert look("order", grouped) == []
    assert look("order", Y, **X) == []


def test_rank_correlation_is_that_of_pandas():
    a, b = np.round(Z, 1), np.round(X["x0"], 1)  # with ties
    by_pandas = pd.Series(a).rank().corr(pd.Series(b).rank())
    assert _rank_correlation(a, b) == pytest.approx(by_pandas, abs=1e-12)


# --- the same entity

WHO = DRAW.integers(0, 160, N)
OUTCOME = (DRAW.random(160) < 0.4).astype(float)[WHO]  # one a person


def test_an_entity_on_both_sides_warns_and_says_how_far_the_target_goes_with_it():
    (found,) = look("same_entity", OUTCOME, halves(), patient_id=WHO, **X)
    assert (found.code, found.severity) == ("same_entity:patient_id", WARN)
    assert "100 % of the target's variance" in found.what
    assert "group:patient_id" in found.advice
    (found,) = look("same_entity", Y, halves(), patient_id=WHO)  # by its name alone
    assert "does not go with it" in found.what
    assert said(look("same_entity", OUTCOME, halves(), zone_id=WHO)) == [("same_entity:zone_id", WARN)]
    assert look("same_entity", Y, halves(), zone_id=WHO) == []
    assert look("same_entity", OUTCOME, halves(), zone=WHO) == []  # no id by its name


def test_entities_of_one_side_and_of_a_split_by_them_are_left_alone():
    split = halves(160)
    train, test = np.flatnonzero(np.isin(WHO, split.train)), np.flatnonzero(np.isin(WHO, split.test))
    assert look("same_entity", OUTCOME, Split("random", None, "So.", train, test, ()), patient_id=WHO) == []
    assert look("same_entity", OUTCOME, halves(kind="group", column="patient_id"), patient_id=WHO) == []
    assert look("same_entity", OUTCOME, halves(), patient_id=np.arange(N)) == []  # one row each
    noted = look(
        "same_entity", OUTCOME, halves(kind="time", column="when"), patient_id=WHO, when=days(np.arange(N))
    )
    assert said(noted) == [("same_entity:patient_id", INFO)]


def test_variance_between_groups_is_the_intraclass_correlation():
    """Against the truth: effects of variance 0.3 beside noise of 0.7; and no more than chance where there are none."""
    shares, beyond = [], 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        group = draw.integers(0, 100, 600)
        noise = draw.normal(size=600)
        share, _ = variance_between(group, np.sqrt(0.3) * draw.normal(size=100)[group] + np.sqrt(0.7) * noise)
        shares.append(share)
        none, chance = variance_between(group, noise)
        beyond += none > 2 * chance
    assert np.mean(shares) == pytest.approx(0.3, abs=0.01)
    assert beyond <= 12  # one side of two standard errors: 2.3 % of 200, by a margin for luck


# --- near duplicates


def again(frame, share=0.2, **changes):
    """Return columns with a part of the rows once more, changed."""
    rows = np.random.default_rng(3).choice(N, int(share * N), replace=False)
    return {
        name: np.concatenate([values, changes[name](values[rows]) if name in changes else values[rows]])
        for name, values in frame.items()
    }


def tiny(values):
    return values * (1 + 1e-7 * np.random.default_rng(4).normal(size=len(values)))


def other(values):
    return np.random.default_rng(6).permutation(values)


def near(frame):
    y = frame.pop("y")
    return look("near_duplicates", y, halves(len(y)), **frame)


def test_rows_that_come_again_with_tiny_changes_or_another_target_warn():
    found = near(again({"y": Y, **X}, **dict.fromkeys(X, tiny)))
    assert said(found) == [("near_duplicates", WARN)]
    assert "tiny steps" in found[0].what
    flipped = near(again({"y": Y, **X}, y=lambda y: 1 - y))
    assert said(flipped) == [("near_duplicates", WARN)]
    assert near(again({"y": Y, **X})) == []  # equal in all: `duplicate_rows` counts them
    assert near({"y": Y, **X}) == []


def test_a_few_rows_that_come_again_are_noted():
    draw = np.random.default_rng(7)
    frame = {f"x{i}": draw.normal(size=5 * N) for i in range(4)}
    found = near(
        again({"y": (draw.random(5 * N) < 0.4).astype(float), **frame}, 0.05, **dict.fromkeys(frame, tiny))
    )
    assert said(found) == [("near_duplicates", INFO)]
    assert 5 <= int(found[0].what.split()[0]) < 0.02 * 1010


def test_rows_that_come_again_with_one_column_changed_warn_and_name_it():
    wide = {f"x{i}": DRAW.normal(size=N) for i in range(8)}
    (found,) = near(again({"y": Y, **wide}, x3=other))
    assert "'x3'" in found.what
    levels = {f"c{i}": DRAW.integers(0, 6, N).astype(str) for i in range(14)}
    (found,) = near(again({"y": Y, **levels}, c5=other))  # far apart by many categories
    assert "'c5'" in found.what
    few = {f"c{i}": DRAW.integers(0, 3, N).astype(str) for i in range(9)}
    assert near(again({"y": Y, **few}, c5=other)) == []  # alike by chance, so nothing can be told
    (found,) = near(
        again({"y": Y, **few, "note": np.array([f"n{i}" for i in SHUFFLED])}, c5=other)
    )  # but by a key
    assert found.severity is WARN


@pytest.mark.parametrize("seed", range(6))
def test_honest_tables_have_no_near_duplicates(seed):
    """Numbers along a curve, correlated ones, rounded ones, and categories: dense and not copied."""
    draw = np.random.default_rng(seed)
    t = draw.random(N)
    curve = {"a": np.sin(9 * t), "b": t**2, "c": np.exp(t)}
    common = draw.normal(size=N)
    factors = {f"f{i}": common + 0.3 * draw.normal(size=N) for i in range(7)}
    rounded = {f"r{i}": np.round(draw.normal(size=N), 1) for i in range(5)}
    levels = {f"c{i}": draw.integers(0, 4, N).astype(str) for i in range(9)}
    for frame in (curve, factors, rounded, levels, factors | levels, rounded | {"c": levels["c0"]}):
        assert near({"y": Y, **frame}) == []


# --- the future


def test_training_rows_that_are_later_than_test_rows_warn():
    when = days(np.arange(N))
    (found,) = look("future", Y, halves(), created_at=when)
    assert (found.code, found.severity) == ("future:created_at", WARN)
    assert "time:created_at" in found.advice
    cut = np.arange(N)
    in_time = Split("time", "created_at", "So.", cut[:600], cut[600:], ())
    assert look("future", Y, in_time, created_at=when) == []
    assert look("future", Y, replace(in_time, kind="random"), created_at=when) == []  # drawn so by luck
    assert look("future", Y, halves(), birth_date=days(SHUFFLED)) == []


def test_dates_after_today_warn_unless_they_are_planned():
    when, half = days(SHUFFLED), (FIRST + N // 2 * DAY) / 1e6
    split = halves(kind="time", column="created_at")
    (found,) = look("future", Y, split, now=half, created_at=when, due_date=when)
    assert (found.code, found.severity) == ("future:created_at", WARN)
    assert f"{N // 2 - 2:,} rows are dated after today" in found.what
    assert look("future", Y, split, created_at=when) == []


def test_dates_after_the_row_after_the_outcome_and_after_the_file_warn():
    when, split = np.arange(N), halves(kind="time", column="created_at")
    base = {"created_at": days(when), "y": Y}
    y = base.pop("y")
    (found,) = look("future", y, split, **base, updated=days(when + 3))
    assert (found.code, found.columns) == ("future:updated", ("updated", "created_at"))
    assert look("future", y, split, **base, earlier=days(when - 3), expected_end=days(when + 30)) == []
    snapshot = {"snapshot_date": days(np.full(N, 400)), "last_seen": days(when)}
    (found,) = look("future", y, None, **snapshot)
    assert (found.columns, found.severity) == (("last_seen", "snapshot_date"), WARN)
    few = days(np.where(np.arange(N) < 4, 900, 300))
    assert look("future", y, None, snapshot_date=snapshot["snapshot_date"], last_seen=few) == []


# --- the user's own test rows


def with_test(y, test_y, frame, test):
    made = context(y, Split("random", None, "So.", np.arange(len(y)), np.zeros(0, np.int64), ()), **frame)
    schema = Schema(made.table.schema.columns)
    arrow = pa.table({**test, "y": test_y})
    return replace(made, test=Table(arrow, schema))


@pytest.mark.parametrize(("copied", "severity"), [(0, None), (1, INFO), (10, WARN), (60, STOP)])
def test_training_rows_in_the_users_own_test_are_counted(copied, severity):
    frame = {**X, "word": [f"w{i}" for i in range(N)]}
    draw = np.random.default_rng(9)
    fresh = 200 - copied
    test = {name: np.concatenate([X[name][:copied], draw.normal(size=fresh)]) for name in X}
    test["word"] = [f"w{i}" for i in range(copied)] + ["new"] * fresh
    test_y = np.concatenate([Y[:copied], (draw.random(fresh) < 0.5).astype(float)])
    found = look("duplicate_rows", with_test(Y, test_y, frame, test))
    assert said(found) == ([] if severity is None else [("duplicate_rows", severity)])
    assert not found or f"{copied:,} row" in found[0].what


def test_rows_that_are_alike_by_chance_are_told_from_copies():
    """Few levels: a test row has its like in the training table; more often than a training row has, it is a copy."""
    draw = np.random.default_rng(2)
    every = np.stack(np.meshgrid(*[np.arange(4)] * 5), axis=-1).reshape(-1, 5)[draw.permutation(1_024)]
    y = (every.sum(axis=1) > 7).astype(float)

    def told(train, test):
        frames = [{f"c{i}": every[rows, i].astype(str) for i in range(5)} for rows in (train, test)]
        return said(look("duplicate_rows", with_test(y[train], y[test], *frames)))

    rows = np.arange(1_024)
    assert told(rows[:800], rows[800:]) == []  # each row there is, once
    assert told(rows[:800], np.concatenate([rows[800:], rows[:100]])) == [("duplicate_rows", STOP)]
    drawn = draw.integers(0, 1_024, 1_500)
    assert {severity for _, severity in told(drawn[:1_200], drawn[1_200:])} == {INFO}


def test_copies_across_the_split_are_counted_against_arithmetic():
    frame = again({"y": Y, **X}, share=0.1)
    y = frame.pop("y")
    split = halves(len(y))
    (found,) = look("duplicate_rows", y, split, **frame)
    train = {tuple(row) for row in np.stack([y, *frame.values()], axis=1)[split.train]}
    crossing = sum(tuple(row) in train for row in np.stack([y, *frame.values()], axis=1)[split.test])
    assert f"{crossing} of the {len(split.test)} test rows" in found.what


def test_sides_give_equal_texts_equal_codes():
    frame = {"word": ["a", "b", None, "c"]}
    made = with_test(np.array([0.0, 1, 0, 1]), [1.0, 0.0, 1.0], frame, {"word": pa.array(["c", None, "z"])})
    both = sides(made, ["word", "absent"])
    word = both.columns["word"]
    assert [word.levels[c] if c >= 0 else None for c in word.codes] == ["a", "b", None, "c", "c", None, "z"]
    assert both.is_test.tolist() == [False] * 4 + [True] * 3
    assert both.y.tolist() == [0, 1, 0, 1, 1, 0, 1]
    assert both.own
