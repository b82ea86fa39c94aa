"""Made-up records, and what columns add to an answer against them."""

import itertools
import math

import numpy as np
import pytest

from mlwright.data.schema import Column, Kind, Task, TaskKind
from mlwright.data.values import Coded
from mlwright.evaluate.association import association
from mlwright.evaluate.attribution import attribute
from mlwright.evaluate.background import background, made_up, with_record
from mlwright.evaluate.reference import reference

BINARY = Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes"))
COLUMNS = [
    Column("age", Kind.NUMERIC, dtype="int"),
    Column("pay", Kind.NUMERIC, dtype="float"),
    Column("plan", Kind.CATEGORICAL),
    Column("name", Kind.CATEGORICAL, pii=True),
    Column("note", Kind.TEXT),
    Column("seen", Kind.DATETIME, dtype="date"),
]


def table(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n).astype(float)
    pay = np.exp(0.03 * age + rng.normal(size=n) * 0.2)
    pay[rng.random(n) < 0.02] = np.nan
    plan = np.where(age > 60, rng.choice([0, 1], n, p=[0.9, 0.1]), rng.choice([0, 1, 2], n))
    plan[0] = 3  # a level of one row
    return {
        "age": age,
        "pay": pay,
        "plan": Coded(plan.astype(np.int32), ["old", "new", "free", "rare"]),
        "name": Coded(np.zeros(n, np.int32), ["Ann"]),
        "note": Coded(np.arange(n, dtype=np.int32), [f"note {i}" for i in range(n)]),
        "seen": 86_400.0 * rng.integers(18_000, 19_000, n),
    }


def predict(columns):
    age, plan = columns["age"], columns["plan"]
    free = np.array([*(level == "free" for level in plan.levels), False])[plan.codes]
    pay = np.nan_to_num(columns["pay"], nan=1.0)
    return 1 / (1 + np.exp(-(0.05 * (age - 50) + 1.5 * free - 0.02 * pay * free)))[:, None]


@pytest.fixture(scope="module")
def told():
    rows = table()
    outputs = predict(rows)
    open_ones = {name: rows[name] for name in rows if name != "name"}
    return rows, {**reference(rows, outputs, BINARY), "association": association(open_ones, outputs)}


def test_ranks_are_spearman_s(told):
    from scipy.stats import spearmanr

    rows, tree = told
    names, ranks = tree["association"]["columns"], tree["association"]["ranks"]
    pair = ranks[names.index("pay")][names.index("age")]
    pay = np.where(np.isnan(rows["pay"]), -1.0, rows["pay"])
    assert pair == pytest.approx(spearmanr(rows["age"], pay).statistic, abs=0.006)
    order = tree["association"]["order"]["plan"]
    means = [
        predict(rows)[rows["plan"].codes == rows["plan"].levels.index(level), 0].mean() for level in order
    ]
    assert means == sorted(means)
    assert set(order) == {"old", "new", "free"}


def test_made_up_records_are_nobody_s(told):
    rows, tree = told
    made = made_up(COLUMNS, tree, n_rows=400, seed=0)
    low, high = np.quantile(rows["age"], [0.01, 0.99])
    assert made["age"].min() >= low
    assert made["age"].max() <= high
    assert np.array_equal(made["age"], np.round(made["age"]))
    assert set(made["plan"].levels) == {"old", "new", "free"}
    assert (made["name"].codes == -1).all()  # personal
    assert (made["note"].codes == -1).all()  # no text that five rows share
    assert (made["seen"] % 86_400 == 0).all()


def test_made_up_records_are_like_those_of_training(told):
    rows, tree = told
    made = made_up(COLUMNS, tree, n_rows=2000, seed=0)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(made["age"], share) == pytest.approx(np.quantile(rows["age"], share), abs=1.5)
    assert np.isnan(made["pay"]).mean() == pytest.approx(np.isnan(rows["pay"]).mean(), abs=0.01)
    free = (np.array(made["plan"].levels) == "free")[made["plan"].codes].mean()
    assert free == pytest.approx((rows["plan"].codes == 2).mean(), abs=0.01)

    def together(columns):
        known = ~np.isnan(columns["pay"])
        ranks = [np.argsort(np.argsort(columns[name][known])) for name in ("age", "pay")]
        return np.corrcoef(ranks)[0, 1]

    assert together(made) == pytest.approx(together(rows), abs=0.12)
    alone = made_up(COLUMNS, {**tree, "association": {}}, n_rows=2000, seed=0)
    assert abs(together(alone)) < 0.1


def test_answers_to_them_are_spread_as_those_of_training(told):
    rows, tree = told
    chosen = predict(background(predict, COLUMNS, tree, n_rows=32))[:, 0]
    want = predict(rows)[:, 0]
    assert chosen.mean() == pytest.approx(want.mean(), abs=0.02)
    assert np.std(chosen) == pytest.approx(np.std(want), abs=0.04)
    again = background(predict, COLUMNS, tree, n_rows=32)
    assert predict(again)[:, 0].tobytes() == chosen.tobytes()


def test_several_outputs_have_the_means_of_training(told):
    rows, tree = told

    def three(columns):
        one = predict(columns)[:, 0]
        return np.column_stack([one / 2, one / 2, 1 - one])

    task = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
    told_of = {**reference(rows, three(rows), task), "association": tree["association"]}
    chosen = three(background(three, COLUMNS, told_of, n_rows=32))
    np.testing.assert_allclose(chosen.mean(axis=0), three(rows).mean(axis=0), atol=0.01)


def test_bundles_that_tell_little_still_give_records():
    made = background(predict, COLUMNS, {"columns": {}}, n_rows=4)
    assert np.isnan(made["age"]).all()
    assert len(made["plan"].codes) == 4


CELLS = {"age": 30.0, "pay": math.nan, "plan": "free", "name": "Bob", "note": "?", "seen": 0.0}


def test_contributions_are_those_of_all_orders(told):
    """Of columns that mixed records are made of by hand."""
    _, tree = told
    rows = background(predict, COLUMNS, tree, n_rows=6)
    found = attribute(predict, CELLS, rows, names=["age", "pay", "plan"])
    assert found.found.is_exact
    want = np.zeros(3)
    names = ["age", "pay", "plan"]
    for row in range(6):
        own = {n: rows[n][row] if n != "plan" else rows[n].levels[rows[n].codes[row]] for n in names}

        def answer(known, own=own):
            cells = {n: CELLS[n] if n in known else own[n] for n in names}
            one = {"age": np.array([cells["age"]]), "pay": np.array([cells["pay"]])}
            return predict({**one, "plan": Coded(np.array([0], np.int32), [cells["plan"]])})[0, 0]

        for order in itertools.permutations(range(3)):
            for step, column in enumerate(order):
                before = {names[i] for i in order[:step]}
                want[column] += (answer(before | {names[column]}) - answer(before)) / 36
    np.testing.assert_allclose(found.found.values[0], want, atol=1e-12)
    mixed = {name: with_record(CELLS[name], rows[name]) for name in names}
    assert found.found.answer[0] == pytest.approx(predict(mixed)[0, 0], abs=1e-15)


def test_wide_records_are_compared_with_fewer():
    rows = {f"c{i}": np.linspace(0, 1, 32) for i in range(900)}

    def total(columns):
        return sum(columns.values())[:, None]

    found = attribute(total, dict.fromkeys(rows, 2.0), rows)
    assert 4 <= found.n_background < 32
    np.testing.assert_allclose(found.found.values.sum(), found.found.answer - found.found.base, rtol=1e-9)
