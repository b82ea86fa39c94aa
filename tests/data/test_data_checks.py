"""Drift, redundant columns, patterns of gaps and proxies: what is planted is found, and hardly ever what is not."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.base import CheckContext
from mlwright.data.checks.drift import Drift
from mlwright.data.checks.one_feature import cells
from mlwright.data.checks.redundant import _surprise
from mlwright.data.checks.telling import auc_range, scores_of, told_by, told_cells
from mlwright.data.checks.two_samples import shifts
from mlwright.data.findings import Severity
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.data.split import Split
from mlwright.data.values import Coded, take
from mlwright.testing.checks import context_of

INFO, WARN = Severity.INFO, Severity.WARN


def look(kind, context):
    return load(CHECKS, kind, family="check")().run(context)


def table(y, *, banned=(), labels=("no", "yes"), metric="roc_auc", hidden=(), **data):
    """A context; numbers are numeric columns, strings categories."""
    y = np.asarray(y, float)
    kind = TaskKind.REGRESSION if labels is None else TaskKind.BINARY
    columns = [Column("y", Kind.NUMERIC if labels is None else Kind.CATEGORICAL, Role.TARGET)]
    for name, values in data.items():
        texts = any(isinstance(value, str) for value in values)
        columns.append(Column(name, Kind.CATEGORICAL if texts else Kind.NUMERIC, pii=name in hidden))
    target = y if labels is None else [labels[int(code)] for code in y]
    values = {
        name: [None if isinstance(v, float) and np.isnan(v) else v for v in list(each)]
        for name, each in data.items()
    }
    task = Task(kind, "y", "rmse" if labels is None else metric, labels or ())
    return context_of({"y": target, **values}, tuple(columns), y, task, banned)


def split_of(context, train, test, kind="random", column=None):
    split = Split(kind, column, "By hand.", np.asarray(train), np.asarray(test), ())
    return CheckContext(context.table, context.columns, context.y, context.task, context.banned, split)


def some_levels(draw, n_rows, n_levels):
    return Coded(draw.integers(0, n_levels, n_rows).astype(np.int32), [f"level {i}" for i in range(n_levels)])


# --- redundant


@pytest.fixture(scope="module")
def drawn():
    draw = np.random.default_rng(0)
    return draw.normal(size=300), draw.integers(0, 4, 300), draw


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        (lambda x: x.copy(), "equals"),
        (lambda x: 32.0 + 1.8 * x, "on another scale"),
        (np.exp, "the same order"),
        (lambda x: -(x**3), "the reverse order"),
    ],
    ids=["copy", "scale", "rising", "falling"],
)
def test_a_number_that_is_another_is_named(drawn, copy, said):
    x, code, draw = drawn
    (found,) = look("redundant", table(code % 2, x=x, other=draw.normal(size=300), again=copy(x)))
    assert (found.severity, found.columns) == (INFO, ("again", "x"))
    assert said in found.what
    assert "--ignore again" in found.advice


def test_categories_with_other_names_are_named_and_others_are_not(drawn):
    x, code, draw = drawn
    names = {
        "a": [f"plan {c}" for c in code],
        "b": [f"tarif {(3 * c + 1) % 5}" for c in code],
        "c": code.astype(float),
    }
    near = np.where(np.arange(300) == 7, (code + 1) % 4, code)
    context = table(code % 2, **names, near=[f"plan {c}" for c in near], x=x + draw.normal(size=300))
    (found,) = look("redundant", context)
    assert found.columns == ("b", "c", "a")
    assert "'b' and 'c' are 'a' with other names" in found.what


def test_ids_and_rare_marks_do_not_pair_by_chance(drawn):
    x, code, draw = drawn
    ids = {name: [f"{name} {i}" for i in range(300)] for name in ("one", "two")}
    marks = {name: (np.arange(300) == 5) * value for name, value in (("m", 1.0), ("n", 2.0))}
    assert look("redundant", table(code % 2, x=x, z=draw.normal(size=300), **ids, **marks)) == []
    (found,) = look("redundant", table(code % 2, one=ids["one"], same=ids["one"], x=x))
    assert found.columns == ("same", "one")


def test_a_correlation_of_less_than_999_thousandths_is_no_copy(drawn):
    x, code, draw = drawn
    order = np.argsort(np.argsort(x)).astype(float)
    for noise, expected in ((3.0, 1), (8.0, 0)):
        other = order + draw.normal(0, noise, 300)
        assert (abs(stats.spearmanr(order, other)[0]) >= 0.999) == bool(expected)
        assert len(look("redundant", table(code % 2, order=order, other=other))) == expected


def test_the_ways_to_group_rows_are_counted():
    def partitions(items):
        if not items:
            yield []
            return
        first, rest = items[0], items[1:]
        for size in range(len(rest) + 1):
            for others in itertools.combinations(rest, size):
                left = [item for item in rest if item not in others]
                for more in partitions(left):
                    yield [(first, *others), *more]

    for sizes in ([2, 2, 1], [3, 1, 1], [1, 1, 1, 1], [4, 2]):
        ways = sum(sorted(map(len, parts)) == sorted(sizes) for parts in partitions(list(range(sum(sizes)))))
        assert 10 ** _surprise(np.array(sizes)) == pytest.approx(ways)


# --- drift


def null_table(draw, n_rows):
    gone = np.where(draw.random(n_rows) < 0.3, np.nan, draw.normal(size=n_rows))
    numbers = {
        "normal": draw.normal(size=n_rows),
        "counts": draw.poisson(2.0, n_rows).astype(float),
        "gaps": gone,
    }
    return numbers | {f"c{k}": some_levels(draw, n_rows, k) for k in (2, 7, 60)}


def test_columns_that_do_not_differ_are_hardly_ever_said_to():
    alarms, chances = 0, []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        columns = null_table(draw, 600)
        order = draw.permutation(600)
        found = shifts(take(columns, order[:480]), take(columns, order[480:]))
        chances += [shift.chance for shift in found.values()]
        alarms += any(shift.chance < 0.01 / 6 for shift in found.values())
    assert alarms <= 6  # 2 expected
    assert np.mean(np.array(chances) < 0.05) <= 0.06


def test_groups_that_do_not_differ_are_hardly_ever_said_to():
    with_groups, without = 0, 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        group = np.sort(draw.integers(0, 50, 800))
        x = draw.normal(size=50)[group] + 0.5 * draw.normal(size=800)
        own = draw.integers(0, 5, 50)[group]
        columns = {"x": x, "c": Coded(own.astype(np.int32), [str(i) for i in range(5)])}
        tested = np.isin(group, draw.permutation(50)[:10])
        order = np.concatenate([np.flatnonzero(~tested), np.flatnonzero(tested)])
        parts = take(columns, np.flatnonzero(~tested)), take(columns, np.flatnonzero(tested))
        with_groups += any(s.chance < 0.05 / 2 for s in shifts(*parts, group[order]).values())
        without += any(s.chance < 0.05 / 2 for s in shifts(*parts).values())
    assert with_groups <= 9
    assert without > 50  # rows that are alike were counted as if each told something new


def test_chances_are_those_of_scipy():
    draw = np.random.default_rng(1)
    a, b = draw.normal(size=400), draw.normal(0.3, 1.1, size=300)
    (shift,) = shifts({"x": a}, {"x": b}).values()
    told = stats.ks_2samp(a, b, method="asymp")
    assert shift.size == pytest.approx(told.statistic)
    assert shift.chance == pytest.approx(stats.kstwobign.sf(np.sqrt(400 * 300 / 700) * told.statistic))
    one, other = draw.choice(4, 400, p=[0.4, 0.3, 0.2, 0.1]), draw.choice(4, 300, p=[0.3, 0.3, 0.2, 0.2])
    parts = [Coded(codes.astype(np.int32), list("abcd")) for codes in (one, other)]
    (shift,) = shifts({"c": parts[0]}, {"c": parts[1]}).values()
    counts = np.stack([np.bincount(codes, minlength=4) for codes in (one, other)])
    assert shift.chance == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert shift.size == pytest.approx(np.abs(counts[0] / 400 - counts[1] / 300).sum() / 2)


def test_what_differs_is_named_with_its_numbers():
    draw = np.random.default_rng(2)
    late = np.arange(2000) >= 1500
    context = table(
        draw.integers(0, 2, 2000),
        price=draw.normal(size=2000) + 1.5 * late,
        town=np.where(draw.random(2000) < np.where(late, 0.5, 0.05), "new", "old").tolist(),
        little=draw.normal(size=2000) + 0.45 * late,
        trifle=draw.normal(size=2000) + 0.1 * late,
        same=draw.normal(size=2000),
    )
    found = look("drift", split_of(context, np.arange(1500), np.arange(1500, 2000)))
    assert [(f.code, f.severity) for f in found] == [
        ("drift:price", WARN),
        ("drift:town", WARN),
        ("drift:little", INFO),
    ]
    assert "of the test rows have 'new'" in found[1].what
    told = float(found[0].what.split("AUC ")[1].split(" ")[0])
    assert 0.85 < told < 0.95


def test_a_trifle_in_a_long_table_is_no_finding():
    draw = np.random.default_rng(3)
    context = table(
        draw.integers(0, 2, 20_000), x=draw.normal(size=20_000) + 0.1 * (np.arange(20_000) >= 10_000)
    )
    parted = split_of(context, np.arange(10_000), np.arange(10_000, 20_000))
    (shift,) = shifts(
        *(take(context.columns, rows) for rows in (parted.split.train, parted.split.test))
    ).values()
    assert shift.chance < 1e-6
    assert Drift().run(parted) == []


def test_personal_values_are_not_repeated():
    draw = np.random.default_rng(4)
    late = np.arange(400) >= 200
    name = np.where(late, "Ada Lovelace", "Carl Gauss").tolist()
    pay = draw.normal(1234.5, 1, 400) + 50 * late
    context = table(late, name=name, pay=pay, banned=("name", "pay"), hidden=("name", "pay"), twin=pay)
    parted = split_of(context, np.arange(0, 300), np.arange(300, 400))
    said = [
        f.what
        for kind in ("drift", "proxy", "missing_pattern")
        for f in look(kind, parted)
        if "twin" not in f.columns[:1]
    ]
    assert said
    assert not any(
        "Ada" in text or "Gauss" in text or "12" in text.split("AUC")[0].replace("'", "") for text in said
    )


# --- gaps


def test_gaps_that_come_together_and_why():
    draw = np.random.default_rng(5)
    n = 1000
    garage = draw.random(n) < 0.8
    cars = np.where(garage, draw.integers(1, 4, n), 0).astype(float)
    columns = {
        "cars": cars,
        "year": np.where(garage, draw.integers(1950, 2000, n), np.nan),
        "door": [("steel" if draw.random() < 0.5 else "wood") if has else None for has in garage],
        "plain": np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n)),
    }
    found = look("missing_pattern", table(draw.integers(0, 2, n), **columns))
    assert [f.columns for f in found] == [("year", "door"), ("year", "cars")]
    assert "'year' and 'door'" in found[0].what
    assert "are missing in 100 % of the rows in which 'cars' is 0, and in 0 % of the others" in found[1].what


@pytest.mark.parametrize("labels", [("no", "yes"), None], ids=["classes", "numbers"])
def test_gaps_that_go_with_the_target(labels):
    draw = np.random.default_rng(6)
    y = draw.integers(0, 2, 2000) if labels else draw.normal(size=2000)
    income = np.where(draw.random(2000) < np.where(y > 0, 0.45, 0.15), np.nan, draw.normal(size=2000))
    other = np.where(draw.random(2000) < 0.3, np.nan, draw.normal(size=2000))
    (found,) = look("missing_pattern", table(y, labels=labels, income=income, other=other))
    assert (found.code, found.severity) == ("missing_pattern:income", INFO)
    if labels:
        shares = [np.isnan(income)[y == code].mean() for code in (1, 0)]
        assert (
            f"in {100 * shares[0]:.3g} % of the rows of class 'yes' and in {100 * shares[1]:.3g} %"
            in found.what
        )
    else:
        assert "more often where 'y' is high" in found.what


def test_gaps_by_chance_are_hardly_ever_told():
    told = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        n = 150
        gone = {f"g{i}": np.where(draw.random(n) < 0.3, np.nan, draw.normal(size=n)) for i in range(4)}
        full = {f"x{i}": draw.normal(size=n) for i in range(4)} | {
            "c": [f"{c}" for c in draw.integers(0, 9, n)]
        }
        told += bool(look("missing_pattern", table(draw.integers(0, 2, n), **gone, **full)))
    assert told <= 3


# --- proxies


def proxies(seed, strength, n=1500):
    draw = np.random.default_rng(seed)
    sex = draw.integers(0, 2, n)
    columns = {f"x{i}": draw.normal(size=n) for i in range(5)} | {
        "c": [f"{c}" for c in draw.integers(0, 6, n)]
    }
    columns |= {"height": draw.normal(size=n) + strength * sex}
    left, right = draw.integers(0, 2, n), draw.integers(0, 2, n)
    if strength:
        right = np.where(draw.random(n) < 0.9, left ^ sex, right)  # says nothing alone
    columns |= {"left": left.astype(float), "right": right.astype(float)}
    named = ["m" if code else "f" for code in sex]
    return sex, table(draw.integers(0, 2, n), banned=("sex",), sex=named, **columns)


def test_proxies_are_named_alone_and_in_pairs():
    sex, context = proxies(0, 1.5)
    found = look("proxy", context)
    assert [(f.columns, f.severity) for f in found] == [
        (("left", "right", "sex"), WARN),
        (("height", "sex"), WARN),
    ]
    told = float(found[1].what.split("AUC ")[1].split(" ")[0])
    assert told == pytest.approx(roc_auc_score(sex, context.columns["height"]), abs=0.02)


def test_what_all_columns_tell_together_is_said():
    draw = np.random.default_rng(9)
    sex = draw.integers(0, 2, 1500)
    weak = {f"x{i}": draw.normal(size=1500) + 0.8 * sex for i in range(4)}
    found = look(
        "proxy", table(draw.integers(0, 2, 1500), banned=("sex",), sex=["fm"[c] for c in sex], **weak)
    )
    together = float(found[0].what.split("All columns together tell it with AUC ")[1].split(" ")[0])
    assert together == pytest.approx(roc_auc_score(sex, sum(weak.values())), abs=0.02)


def test_where_nothing_stands_for_it_nothing_is_named():
    assert sum(bool(look("proxy", proxies(seed, 0.0, n=400)[1])) for seed in range(40)) <= 1


def test_a_banned_number_is_told_by_its_median_and_an_ignored_column_counts_too():
    draw = np.random.default_rng(7)
    age = draw.integers(18, 90, 1000).astype(float)
    context = table(
        draw.integers(0, 2, 1000), banned=("age", "absent"), age=age, years=age // 3 + draw.normal(0, 4, 1000)
    )
    schema = context.table.schema.with_role("age", Role.IGNORED)
    without = type(context.table)(context.table.arrow, schema)
    context = CheckContext(without, without.columns(), context.y, context.task, context.banned)
    (found,) = look("proxy", context)
    assert found.columns == ("years", "age")
    assert f"values above {np.median(age):.6g}" in found.what


def test_the_range_of_an_auc_covers():
    inside = 0
    truth = stats.norm.cdf(1.0 / np.sqrt(2.0))
    for seed in range(300):
        draw = np.random.default_rng(seed)
        yes = draw.random(150) < 0.4
        told = auc_range(draw.normal(size=150) + yes, yes, 1.96)
        inside += told.low <= truth <= told.high
    assert 0.92 <= inside / 300 <= 0.98


def test_a_score_never_knows_its_own_row():
    draw = np.random.default_rng(8)
    yes = draw.random(2000) < 0.5
    for values in (draw.normal(size=2000), some_levels(draw, 2000, 400)):
        cut = cells(values, draw.permutation(np.arange(2000) % 5))
        assert 0.44 < roc_auc_score(yes, scores_of(cut, yes)) < 0.53


# --- imbalance


@pytest.mark.parametrize(
    ("metric", "said"),
    [("accuracy", "not by accuracy"), ("roc_auc", "judged by roc_auc"), ("f1", "best out of fold")],
)
def test_a_rare_class_says_what_decides(metric, said):
    y = np.repeat([0, 1], [990, 10])
    (found,) = look("imbalance", table(y, metric=metric, x=np.arange(1000.0)))
    assert "right for 99 % of the rows" in found.what
    assert said in found.advice


def test_what_many_rows_share_is_told_as_well_as_what_few_share():
    """A number that is mostly 0 where the answer is no, and mostly 1.3 where it is yes: it tells all."""
    draw = np.random.default_rng(0)
    yes = np.repeat([False, True], [1_050, 450])
    amount = np.where(draw.random(1_500) < 0.9, 0.0, draw.random(1_500)) + 1.3 * yes
    fold = draw.permutation(np.arange(1_500) % 5)
    assert roc_auc_score(yes, amount) == 1.0
    (scores,) = told_by({"amount": amount}, ["amount"], fold, yes).values()
    assert roc_auc_score(yes, scores) > 0.95
    # With the answer drawn for itself nothing is told, whatever many rows share.
    drawn = draw.permutation(yes)
    (scores,) = told_by({"amount": amount}, ["amount"], fold, drawn).values()
    assert abs(roc_auc_score(drawn, scores) - 0.5) < 0.08


def test_rare_values_stay_in_one_fold_and_frequent_ones_do_not():
    draw = np.random.default_rng(1)
    values = np.concatenate([np.zeros(400), np.repeat(draw.normal(size=300), 2)])
    fold = np.arange(1_000) % 5
    cut = told_cells(values, fold)
    assert set(cut.fold[:400]) == {0, 1, 2, 3, 4}
    assert (cut.fold[400::2] == cut.fold[401::2]).all()
    np.testing.assert_array_equal(cut.fold[400:], cells(values, fold).fold[400:])
