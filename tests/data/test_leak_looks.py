"""Leaks beyond one column alone: found where planted, silent on honest strong features."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mlwright.data.checks.after_outcome import is_told_afterwards
from mlwright.data.checks.aggregates import aggregates
from mlwright.data.checks.leak import Leak
from mlwright.data.findings import Severity
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.data.split import Split
from mlwright.testing.checks import context_of

N = 1_200
DRAW = np.random.default_rng(11)
Y = (DRAW.random(N) < 0.3).astype(float)
T = DRAW.gamma(3.0, 20.0, N)
CELL = DRAW.integers(0, 40, N)


def context(y, classes=1, split=None, **features):
    """A context of features: an array, or a pair of an Arrow array and its column."""
    data, columns = {}, []
    for name, values in features.items():
        if isinstance(values, tuple):
            data[name], column = values
        else:
            data[name], column = pa.array(values), Column(name, Kind.NUMERIC, dtype="float")
        columns.append(column)
    kind = TaskKind.BINARY if classes else TaskKind.REGRESSION
    data["y"] = pa.array(y)
    columns.append(Column("y", Kind.NUMERIC, Role.TARGET, "float"))
    task = Task(kind, "y", "roc_auc" if classes else "rmse", (0, 1) if classes else ())
    made = context_of(data, tuple(columns), np.asarray(y, float), task)
    return made if split is None else type(made)(made.table, made.columns, made.y, task, (), split)


def words(name, values, kind=Kind.CATEGORICAL):
    return pa.array(list(values), pa.string()), Column(name, kind)


def look(*args, **features):
    return Leak().run(context(*args, **features))


def noise(seed, n=N):
    return np.random.default_rng(seed).normal(size=n)


def means(y, cell, weight=0.0, *, own=True):
    size = np.bincount(cell)
    total = np.bincount(cell, weights=y)
    if own:
        return ((total + weight * y.mean()) / (size + weight))[cell]
    return (total[cell] - y) / (size[cell] - 1)


AGGREGATES = {
    "mean": lambda y: means(y, CELL),
    "drawn": lambda y: means(y, CELL, weight=20.0),
    "others": lambda y: means(y, CELL, own=False),
    "total": np.cumsum,
    "so_far": lambda y: np.cumsum(y) / np.arange(1, len(y) + 1),
    "week": lambda y: np.convolve(y, np.ones(7) / 7)[: len(y)],
    "around": lambda y: np.convolve(y, np.ones(9) / 9, "same"),
    "next": lambda y: np.append(y[1:], y[:1]),
}


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("classes", [True, False])
def test_an_aggregate_with_the_rows_own_target_is_stopped(name, classes):
    y = Y if classes else T
    if name == "next" and classes:
        y = np.random.default_rng(2).integers(0, 6, N).astype(float)  # two values are no amount
        classes = False
    cell = words("cell", (f"c{code}" for code in CELL))
    found = look(y, classes, cell=cell, x=noise(1), planted=AGGREGATES[name](y))
    assert [(f.code, f.severity) for f in found] == [("leak:planted", Severity.STOP)]
    assert "target" in found[0].what


def test_aggregates_of_earlier_rows_and_of_other_folds_are_left_alone():
    fold = np.arange(N) % 5
    out_of_fold = np.empty(N)
    for part in range(5):
        seen = fold != part
        total = np.bincount(CELL[seen], weights=T[seen], minlength=40)
        out_of_fold[~seen] = (total / np.maximum(1, np.bincount(CELL[seen], minlength=40)))[CELL[~seen]]
    honest = {
        "last": np.append(T[:1], T[:-1]),
        "so_far": np.append(0.0, np.cumsum(T)[:-1] / np.arange(1, N)),
        "last_week": np.append(np.zeros(1), np.convolve(T, np.ones(7) / 7)[: N - 1]),
        "out_of_fold": out_of_fold,
        "of_something_else": means(noise(3), CELL),
    }
    cell = words("cell", (f"c{code}" for code in CELL))
    assert look(T, False, cell=cell, **honest) == []


def test_an_aggregate_of_one_class_of_several_is_stopped():
    y = np.random.default_rng(4).integers(0, 4, N).astype(float)
    y[:3] = 4.0  # and one that is too rare to be looked at
    cell = words("cell", (f"c{code}" for code in CELL))
    made = context(y, cell=cell, planted=means((y == 2).astype(float), CELL), x=noise(1))
    made = replace(made, task=Task(TaskKind.MULTICLASS, "y", "log_loss", (0, 1, 2, 3, 4)))
    assert [(f.code, f.severity) for f in Leak().run(made)] == [("leak:planted", Severity.STOP)]


def test_a_moving_mean_of_a_target_that_stands_still_at_first_is_stopped():
    y = np.where(np.arange(N) < N // 2, 0.0, Y)
    (found,) = look(y, planted=np.convolve(y, np.ones(7) / 7)[:N])
    assert (found.code, found.severity) == ("leak:planted", Severity.STOP)
    assert "7 rows" in found.what


def test_two_of_many_numbers_that_go_together_give_the_class():
    """Forty columns that are alike in pairs, closer than the two that tell."""
    draw = np.random.default_rng(5)
    common = draw.normal(size=N)
    many = {f"x{i}": common + 0.1 * draw.normal(size=N) for i in range(36)}
    after = many["x7"] + 2.0 * Y + 0.01 * draw.normal(size=N)
    (found,) = look(Y, after=after, **many)
    assert set(found.columns) == {"x7", "after"}


def test_a_mean_is_found_with_its_category_gone():
    assert [s.columns for s in aggregates({"planted": means(T, CELL), "x": noise(1)}, T)] == [("planted",)]


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        ("sum", T * 0.3, T * 0.7),
        ("difference", T + 90 * noise(2), 90 * noise(2)),
        ("product", T / (1 + np.abs(noise(4))), 1 + np.abs(noise(4))),
        ("divided", T * (1 + np.abs(noise(4))), 1 + np.abs(noise(4))),
    ],
)
def test_two_numbers_that_give_the_target_by_a_rule_are_stopped(rule, first, second):
    if rule == "sum":
        share = np.random.default_rng(5).uniform(0.2, 0.8, N)
        first, second = T * share, T * (1 - share)
    (found,) = look(T, False, first=first, second=second, x=noise(6))
    assert found.severity is Severity.STOP
    assert set(found.columns) == {"first", "second"}


def test_two_columns_that_give_the_class_together_are_stopped():
    balance = DRAW.gamma(2.0, 800.0, N)
    after = balance + 300 * Y
    (found,) = look(Y, balance=balance, after=after, x=noise(6))
    assert found.severity is Severity.STOP
    assert set(found.columns) == {"balance", "after"}
    key = DRAW.integers(0, 2, N)
    lock = words("lock", (f"l{int(code)}" for code in (key + Y) % 2))
    (found,) = look(Y, key=words("key", (f"k{code}" for code in key)), lock=lock)
    assert found.severity is Severity.STOP
    assert set(found.columns) == {"key", "lock"}


def test_an_amount_that_comes_with_the_outcome_is_stopped():
    came = (Y == 1) & (DRAW.random(N) < 0.6)
    amount = np.where(came, np.round(DRAW.gamma(2.0, 100.0, N), 2) + 1, 0.0)
    (found,) = look(Y, recovered=amount)
    assert (found.code, found.severity) == ("leak:recovered", Severity.STOP)
    customers = np.where(T > 60, DRAW.integers(100, 900, N), 0).astype(float)
    (found,) = look(T, False, customers=customers)
    assert (found.code, found.severity) == ("leak:customers", Severity.STOP)
    assert look(T, False, open=(T > 60).astype(float), x=noise(1)) == []  # a state, which may be known before


def test_a_gap_that_is_of_time_and_not_of_the_outcome_only_warns():
    """Both the column and the outcome came late: within the earliest rows the gap tells nothing."""
    late = np.arange(N) > N * 0.5
    y = np.where(late, DRAW.random(N) < 0.985, DRAW.random(N) < 0.06).astype(float)
    days = pa.array(np.arange(N) * 86_400_000_000, pa.int64()).cast(pa.timestamp("us"))
    when = (days, Column("when", Kind.DATETIME, dtype="timestamp"))
    value = pa.array([float(i) if flag else None for i, flag in enumerate(late)])
    gappy = (value, Column("value", Kind.NUMERIC, dtype="float"))
    half = np.arange(N)
    split = Split("time", "when", "Time.", half[:900], half[900:], ())
    found = {f.code: f for f in Leak().run(context(y, split=split, when=when, value=gappy))}
    assert found["leak:value"].severity is Severity.WARN
    assert "earliest third" in found["leak:value"].what
    throughout = np.where(np.arange(N) % 2, 1.0, 0.0)
    own = pa.array([float(i) if code else None for i, code in enumerate(throughout)])
    honest = (own, Column("value", Kind.NUMERIC, dtype="float"))
    (found,) = Leak().run(context(throughout, split=split, when=when, value=honest))
    assert found.severity is Severity.STOP


def calls(seed=0):
    """Calls: short ones never sell, as in the phone campaigns of banks."""
    draw = np.random.default_rng(seed)
    seconds = draw.gamma(1.2, 220.0, 3_000)
    bought = draw.random(3_000) < np.clip((seconds - 60) / 2_500, 0, 0.8)
    return seconds, bought.astype(float)


def test_a_duration_is_stopped_by_name_and_evidence_and_by_neither_alone():
    seconds, bought = calls()
    x = noise(1, 3_000)
    (found,) = look(bought, duration=seconds, x=x)
    assert (found.code, found.severity) == ("leak:duration", Severity.STOP)
    assert "to be expected" in found.what
    assert look(bought, income=seconds, x=x) == []  # the same numbers under another name
    weak = bought * 0.3 + noise(2, 3_000)
    assert look(bought, duration=weak, x=x) == []  # the name alone
    rival = seconds + 40 * noise(3, 3_000)
    assert look(bought, duration=seconds, income=rival, x=x) == []  # another tells as much


def test_names_of_what_is_known_afterwards():
    assert all(map(is_told_afterwards, ("duration", "callDuration", "time_resolved", "settlement_amount")))
    assert not any(map(is_told_afterwards, ("age", "previous_outcome", "expected_duration", "poutcome")))


def test_words_in_a_text_that_give_the_answer_away_are_stopped():
    plain = np.array(
        ["we", "saw", "the", "house", "and", "it", "was", "fine", "so", "far", "with", "all", "of", "them"]
    )
    texts = [" ".join(DRAW.choice(plain, 12)) for _ in range(N)]
    told = [
        f"{text} verdict {'granted' if code else 'refused'} {i}"
        for i, (text, code) in enumerate(zip(texts, Y, strict=True))
    ]
    (found,) = look(Y, note=words("note", told, Kind.TEXT))
    assert (found.code, found.severity) == ("leak:note", Severity.STOP)
    assert "'granted'" in found.what or "'refused'" in found.what
    priced = [f"{text} {value:.6g} paid" for text, value in zip(texts, T, strict=True)]
    (found,) = look(T, False, note=words("note", priced, Kind.TEXT))
    assert (found.code, found.severity) == ("leak:note", Severity.STOP)
    honest = [
        f"{text} {'good' if code + DRAW.normal() > 0.5 else 'bad'} {i}"
        for i, (text, code) in enumerate(zip(texts, Y, strict=True))
    ]
    assert look(Y, note=words("note", honest, Kind.TEXT)) == []


def test_words_of_a_personal_text_are_not_repeated():
    told = [f"{'granted' if code else 'refused'} on day {i}" for i, code in enumerate(Y)]
    texts, column = words("note", told, Kind.TEXT)
    (found,) = look(Y, note=(texts, replace(column, pii=True)))
    assert (found.code, found.severity) == ("leak:note", Severity.STOP)
    assert "granted" not in found.what + found.advice
    assert "refused" not in found.what + found.advice
    assert "personal" in found.what


def honest_table(seed, classes):
    """Twelve features of every sort, strong ones among them, and a target that they tell in part."""
    draw = np.random.default_rng(seed)
    n = 600
    x = draw.normal(size=(n, 6))
    x[:, 1] = 0.9 * x[:, 0] + 0.4 * x[:, 1]
    group = draw.integers(0, 12, n)
    zeros = np.where(draw.random(n) < 0.6, 0.0, draw.gamma(2, 50, n))
    signal = 2.0 * x[:, 0] + x[:, 2] * x[:, 3] + (group % 3) + 0.01 * zeros + draw.normal(size=n)
    y = (signal > np.quantile(signal, 0.7)).astype(float) if classes else signal
    gaps = np.where(draw.random(n) < 0.3 + 0.3 * (signal > 1), np.nan, draw.normal(size=n))
    features = {f"x{i}": x[:, i] for i in range(6)}
    features |= {"duration": 0.5 * signal + draw.normal(size=n), "zeros": zeros, "gaps": gaps}
    features |= {"count": draw.poisson(3, n).astype(float), "walk": np.cumsum(draw.normal(size=n))}
    return y, features | {"group": words("group", (f"g{code}" for code in group))}


@pytest.mark.parametrize("classes", [True, False])
def test_no_leak_is_found_in_sixty_honest_tables(classes):
    """With 12 columns each, one false stop in 30 tables would be 0.3 % of the columns."""
    stopped = 0
    for seed in range(30):
        y, features = honest_table(seed, classes)
        stopped += sum(f.severity is Severity.STOP for f in look(y, classes, **features))
    assert stopped == 0
