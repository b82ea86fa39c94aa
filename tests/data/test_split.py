import datetime as dt
import warnings

import numpy as np
import pyarrow as pa
import pytest
from sklearn.model_selection import StratifiedKFold

from mlwright.core.errors import DataError, ParameterError, SchemaError, UsageError
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.split import Pinned, make_split
from mlwright.data.split_choice import choose
from mlwright.data.split_draw import allocate
from mlwright.data.table import Table

BINARY = Task(TaskKind.BINARY, "y", "roc_auc", (0, 1))
MULTI = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
NUMBER = Task(TaskKind.REGRESSION, "y", "rmse")


def make_table(y, **extra):
    """A table with a number `x` and the columns of `extra`: name=(values, Column)."""
    data = {"x": np.arange(len(y), dtype=float), "y": np.asarray(y, float)}
    columns = [Column("x", Kind.NUMERIC, dtype="float"), Column("y", Kind.NUMERIC, Role.TARGET, "float")]
    for name, (values, column) in extra.items():
        data[name] = values
        columns.append(column)
    return Table(pa.table(data), Schema(tuple(columns)))


def labels(n, share=0.3, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def moments(days):
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pa.array(
        [None if np.isnan(day) else start + dt.timedelta(days=float(day)) for day in days],
        pa.timestamp("us", "UTC"),
    )


def keys(groups):
    return [None if group is None else f"k{group}" for group in groups]


def with_groups(y, groups, role=Role.GROUP, name="who", kind=Kind.CATEGORICAL):
    return make_table(y, **{name: (pa.array(keys(groups), pa.string()), Column(name, kind, role))})


def with_times(y, days, role=Role.TIME, name="when"):
    return make_table(y, **{name: (moments(days), Column(name, Kind.DATETIME, role, "timestamp"))})


def assert_whole(split, n):
    """Train and test are ascending and hold each row once; folds stand within train."""
    assert sorted([*split.train, *split.test]) == list(range(n))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.test) > 0).all()
    for fit, valid in split.folds:
        assert len(fit)
        assert len(valid)
        assert not set(fit) & set(valid)
        assert max(fit.max(), valid.max()) < len(split.train)
    assert split.reason.endswith(".")
    assert split.reason.count(". ") == 0


def assert_partition(split):
    """Every training row is validated once."""
    validated = np.concatenate([valid for _, valid in split.folds])
    assert sorted(validated) == list(range(len(split.train)))
    for fit, valid in split.folds:
        assert len(fit) + len(valid) == len(split.train)


@pytest.mark.parametrize("n", [10, 17, 50, 1_000])
def test_a_stratified_split_keeps_the_share_of_each_class(n):
    y = np.arange(n) % 10 < 3
    split = make_split(make_table(y), y.astype(float), BINARY)
    assert split.kind == "stratified"
    assert_whole(split, n)
    assert_partition(split)
    assert len(split.test) == round(0.2 * n)
    for code in (0, 1):
        exact = 0.2 * (y == code).sum()
        assert abs((y[split.test] == code).sum() - exact) < 1


def test_folds_are_as_even_by_class_as_those_of_scikit_learn():
    y = np.random.default_rng(3).choice(3, 997, p=[0.7, 0.2, 0.1]).astype(float)
    split = make_split(make_table(y), y, MULTI, n_folds=5)
    train = y[split.train]
    ours = np.array([np.bincount(train[v].astype(int)) for _, v in split.folds])
    theirs = np.array([np.bincount(train[v].astype(int)) for _, v in StratifiedKFold(5).split(train, train)])
    assert (np.ptp(ours, axis=0) <= np.maximum(np.ptp(theirs, axis=0), 1)).all()
    assert np.ptp(ours.sum(axis=1)) <= 1


def test_rare_classes_stay_in_train():
    y = np.array([0.0] * 40 + [1.0] * 8 + [2.0] * 2 + [3.0])
    for seed in range(20):
        split = make_split(make_table(y), y, MULTI, holdout=0.5, seed=seed)
        train = y[split.train]
        assert set(train) == {0.0, 1.0, 2.0, 3.0}
        validated = sorted(np.concatenate([train[valid] for _, valid in split.folds]))
        assert validated == sorted(train[train < 2])
        assert all(set(train[fit]) == {0.0, 1.0, 2.0, 3.0} for fit, _ in split.folds)


def test_a_class_of_two_rows_does_not_take_folds_from_the_others():
    y = np.repeat([0.0, 1.0, 2.0], [3_000, 1_500, 3])
    split = make_split(make_table(y), y, MULTI)
    assert (y[split.train] == 2).sum() == 2
    assert len(split.folds) == 5
    assert_partition(split)
    assert all((y[split.train][fit] == 2).any() for fit, _ in split.folds)


@pytest.mark.parametrize("lone", [1, 3, 9])
def test_no_fold_is_empty_where_most_classes_have_one_row(lone):
    y = np.array([0.0, 0, 1, 1, *range(2, 2 + lone)])
    split = make_split(make_table(y), y, MULTI, holdout=0, n_folds=8)
    assert len(split.folds) == 4
    assert_whole(split, len(y))


def test_a_time_that_nobody_named_is_not_split_by_where_the_test_would_be_of_one_class():
    y = np.array([0.0, 1.0] * 40 + [0.0] * 40)
    found = make_split(with_times(y, range(120), role=Role.FEATURE), y, BINARY)
    assert found.kind == "stratified"
    assert "one class only to test on" in found.reason
    asked = make_split(with_times(y, range(120)), y, BINARY, spec="time:when")
    assert set(y[asked.test]) == {0.0}


@pytest.mark.parametrize(
    ("total", "weights", "limits", "expected"),
    [
        (10, [70, 25, 5], [99, 99, 99], [7, 3, 0]),  # remainders 0, .5, .5: the heavier gets the last
        (10, [50, 30, 20], [2, 99, 99], [2, 5, 3]),  # 8 left at 3:2 is 4.8 and 3.2
        (9, [1, 1, 1], [2, 2, 2], [2, 2, 2]),
        (0, [1, 1], [5, 5], [0, 0]),
        (3, [0, 0], [5, 5], [2, 1]),
    ],
)
def test_allocate_by_hand(total, weights, limits, expected):
    assert allocate(total, np.array(weights, float), np.array(limits)).tolist() == expected


def test_a_number_as_target_gives_a_seeded_random_split_that_says_so():
    y = np.random.default_rng(0).normal(size=200)
    table = make_table(y)
    one, two, other = (make_split(table, y, NUMBER, seed=s) for s in (1, 1, 2))
    assert one.kind == "random"
    assert "random" in one.reason.lower()
    assert one.test.tolist() == two.test.tolist()
    assert all((a[1] == b[1]).all() for a, b in zip(one.folds, two.folds, strict=True))
    assert one.test.tolist() != other.test.tolist()
    assert len(one.test) == 40
    assert_whole(one, 200)
    assert_partition(one)


def test_few_rows_have_folds_in_a_second_draw():
    y = labels(400)
    split = make_split(make_table(y), y, BINARY)
    assert len(split.repeated) == len(split.folds) == 8
    validated = np.concatenate([valid for _, valid in split.repeated])
    assert sorted(validated) == list(range(len(split.train)))
    for (fit, valid), (_, other) in zip(split.repeated, split.folds, strict=True):
        assert sorted([*fit, *valid]) == list(range(len(split.train)))
        assert abs(y[split.train][valid].mean() - y[split.train].mean()) < 0.02  # stratified as well
        assert len(np.intersect1d(valid, other)) < len(valid) / 2
    again = make_split(make_table(y), y, BINARY)
    assert all((a[1] == b[1]).all() for a, b in zip(split.repeated, again.repeated, strict=True))


def test_times_groups_single_folds_and_many_rows_have_no_second_draw():
    y = labels(400)
    assert make_split(with_groups(y, np.arange(400) % 40), y, BINARY, spec="group:who").repeated == ()
    assert make_split(with_times(y, np.arange(400.0)), y, BINARY, spec="time:when").repeated == ()
    assert make_split(make_table(y), y, BINARY, n_folds=1).repeated == ()
    for n_train, expected in ((2_999, 8), (3_000, 0)):
        y = labels(n_train)
        assert len(make_split(make_table(y), y, BINARY, holdout=0).repeated) == expected


@pytest.mark.parametrize(
    ("n_train", "expected"), [(2_999, 8), (3_000, 5), (15_000, 5), (15_001, 3), (100_000, 3), (100_001, 1)]
)
def test_the_number_of_folds_follows_the_rows(n_train, expected):
    y = np.zeros(n_train)
    y[::2] = 1
    split = make_split(make_table(y), y, BINARY, holdout=0)
    assert len(split.test) == 0
    assert len(split.folds) == expected
    if expected == 1:
        assert len(split.folds[0][1]) == round(0.2 * n_train)


def test_folds_may_be_more_than_the_rarest_class_has_rows_but_not_more_than_there_are_rows():
    y = np.array([0.0] * 100 + [1.0] * 5)
    split = make_split(make_table(y), y, BINARY, n_folds=10)
    assert (y[split.train] == 1).sum() == 4
    assert len(split.folds) == 10
    assert all((y[split.train][fit] == 1).any() for fit, _ in split.folds)
    few = make_split(make_table(y[96:]), y[96:], BINARY, n_folds=50)
    assert len(few.folds) == len(few.train)


@pytest.mark.parametrize("task", [BINARY, NUMBER])
@pytest.mark.parametrize(("n", "n_groups"), [(12, 4), (50, 10), (900, 60), (4_000, 500)])
def test_groups_stay_whole(task, n, n_groups):
    rng = np.random.default_rng(n)
    groups, y = rng.integers(0, n_groups, n), labels(n)
    split = make_split(with_groups(y, groups), y, task)
    assert (split.kind, split.column) == ("group", "who")
    assert_whole(split, n)
    assert_partition(split)
    assert not set(groups[split.train]) & set(groups[split.test])
    for fit, valid in split.folds:
        assert not set(groups[split.train][fit]) & set(groups[split.train][valid])
    largest = np.bincount(groups).max()
    assert abs(len(split.test) - 0.2 * n) <= largest
    if n_groups >= 60 and task is BINARY:
        assert abs(y[split.test].mean() - y.mean()) < 0.03


def test_groups_of_one_class_leave_every_class_in_train():
    groups = np.repeat(np.arange(12), 5)
    y = (groups >= 10).astype(float)  # two groups are all there is of class 1
    for seed in range(20):
        split = make_split(with_groups(y, groups), y, BINARY, seed=seed)
        assert set(y[split.train]) == {0.0, 1.0}


def test_the_only_group_with_a_class_is_never_the_test():
    groups = np.repeat(np.arange(10), 10)
    y = np.zeros(100)
    y[35] = 1
    tested = set()
    for seed in range(30):
        split = make_split(with_groups(y, groups), y, BINARY, seed=seed)
        assert 35 in split.train
        tested |= set(groups[split.test])
    assert tested == set(range(10)) - {3}


def test_rows_without_a_group_are_groups_of_one():
    groups = [None] * 30 + [1] * 10 + [2] * 10
    y = labels(50, 0.5)
    split = make_split(with_groups(y, groups), y, BINARY)
    assert "30 rows without a group" in split.reason
    assert {len({1, 2} & {groups[row]}) for row in split.test} | {0} <= {0, 1}
    assert len(split.test) == 10


def test_two_groups_are_one_to_train_and_one_to_test():
    groups = np.repeat([0, 1], [30, 10])
    y = np.tile([0.0, 1.0], 20)
    split = make_split(with_groups(y, groups), y, BINARY)
    assert set(groups[split.test]) == {1}
    assert "drawn within it" in split.reason
    with pytest.raises(DataError, match="'who'"):
        make_split(with_groups(y, np.zeros(40, int)), y, BINARY)


@pytest.mark.parametrize("task", [BINARY, NUMBER])
@pytest.mark.parametrize("n", [12, 50, 700])
def test_a_time_split_tests_and_validates_on_later_rows_only(task, n):
    rng = np.random.default_rng(n)
    days = rng.permutation(n).astype(float)
    y = labels(n, 0.5)
    split = make_split(with_times(y, days), y, task)
    assert (split.kind, split.column) == ("time", "when")
    assert_whole(split, n)
    assert len(split.test) == round(0.2 * n)
    assert days[split.train].max() < days[split.test].min()
    train = days[split.train]
    assert len(split.folds) > 1
    for fit, valid in split.folds:
        assert train[fit].max() < train[valid].min()
    sizes = [len(fit) for fit, _ in split.folds]
    assert sizes == sorted(sizes)


def test_equal_times_stay_on_one_side():
    days = np.repeat(np.arange(10.0), [5, 5, 5, 5, 5, 5, 5, 5, 7, 3])
    y = labels(50, 0.5)
    split = make_split(with_times(y, days), y, BINARY)
    assert set(days[split.test]) == {8.0, 9.0}  # 3 or 10 rows can be had where 10 are wanted
    for fit, valid in split.folds:
        assert days[split.train][fit].max() < days[split.train][valid].min()


def test_rows_without_a_time_train_and_are_never_validated():
    days = np.arange(60.0)
    days[[3, 30, 59]] = np.nan
    y = labels(60, 0.5)
    split = make_split(with_times(y, days), y, BINARY)
    assert "3 rows without a time train" in split.reason
    assert {3, 30, 59} <= set(split.train)
    for fit, valid in split.folds:
        assert {3, 30, 59} <= set(split.train[fit])
        assert not np.isnan(days[split.train[valid]]).any()


def test_one_moment_is_an_error_that_names_the_column():
    y = labels(30, 0.5)
    with pytest.raises(DataError, match="'when'"):
        make_split(with_times(y, np.zeros(30)), y, BINARY)


def test_a_large_time_split_has_one_fold_of_the_last_fifth():
    n = 130_000
    table = make_table(np.arange(n), year=(np.arange(float(n)), Column("year", Kind.NUMERIC, dtype="float")))
    split = make_split(table, np.arange(float(n)), NUMBER, spec="time:year")
    (fit, valid), *rest = split.folds
    assert not rest
    assert len(valid) == round(0.2 * len(split.train))
    assert fit.max() < valid.min()


# --- which kind


@pytest.mark.parametrize(
    ("spec", "error", "match"),
    [
        ("groop:who", UsageError, "group:COLUMN"),
        ("strat", UsageError, "stratified"),
        ("group:whom", SchemaError, "did you mean 'who'"),
        ("group:WHO", SchemaError, "did you mean 'who'"),
        ("time:who", UsageError, "'who'.*categorical"),
        ("time:y", UsageError, "target"),
        ("group:", SchemaError, "name one of the columns"),
        ("nonsense", UsageError, "allowed: auto, shuffled, random"),
    ],
)
def test_a_spec_that_cannot_be_kept_says_what_to_write(spec, error, match):
    y = labels(20, 0.5)
    with pytest.raises(error, match=match):
        make_split(with_groups(y, np.arange(20) % 4, Role.FEATURE), y, BINARY, spec=spec)


def test_a_number_cannot_be_stratified():
    y = np.arange(20.0)
    with pytest.raises(UsageError, match="needs classes"):
        make_split(make_table(y), y, NUMBER, spec="stratified")


@pytest.mark.parametrize("options", [{"holdout": 1.0}, {"holdout": -0.1}, {"n_folds": 0}, {"n_folds": 2.5}])
def test_options_out_of_range_are_errors(options):
    y = labels(20, 0.5)
    with pytest.raises(ParameterError, match=next(iter(options))):
        make_split(make_table(y), y, BINARY, **options)


def test_a_target_of_another_length_and_too_few_rows_are_errors():
    with pytest.raises(UsageError, match="20 values"):
        make_split(make_table(labels(20)), labels(19), BINARY)
    with pytest.raises(DataError, match="too few rows"):
        make_split(make_table([0, 1, 0]), np.array([0.0, 1, 0]), BINARY)


@pytest.mark.parametrize(
    "name", ["customer_id", "patientId", "user_id", "subject", "session_key", "ID", "unitid"]
)
def test_auto_sees_an_entity_that_repeats(name):
    y = labels(200, 0.5)
    table = with_groups(y, np.arange(200) % 20, Role.IGNORED, name, Kind.ID)
    split = make_split(table, y, BINARY)
    assert (split.kind, split.column) == ("group", name)
    assert "10 rows a value (20 values)" in split.reason


@pytest.mark.parametrize(
    ("name", "n_values"),
    [("zone_id", 20), ("city", 20), ("device", 3), ("customer_id", 200), ("customer_id", 1)],
)
def test_auto_takes_no_category_or_row_number_for_an_entity(name, n_values):
    y = labels(200, 0.5)
    table = with_groups(y, np.arange(200) % n_values, Role.FEATURE, name)
    assert make_split(table, y, BINARY).kind == "stratified"


def test_an_entity_that_hardly_repeats_is_said_but_not_used():
    y = labels(200, 0.5)
    split = make_split(with_groups(y, np.arange(200) % 150, Role.IGNORED, "patient_id", Kind.ID), y, BINARY)
    assert split.kind == "stratified"
    assert "group:patient_id" in split.reason


def test_auto_sees_event_times():
    rng = np.random.default_rng(0)
    y = labels(300, 0.5)
    ordered, shuffled = np.sort(rng.random(300) * 99), rng.random(300) * 99
    assert make_split(with_times(y, ordered, Role.FEATURE, "opened"), y, BINARY).column == "opened"
    assert make_split(with_times(y, shuffled, Role.FEATURE, "timestamp"), y, BINARY).column == "timestamp"
    birth = make_split(with_times(y, shuffled, Role.FEATURE, "birth_date"), y, BINARY)
    assert birth.kind == "stratified"
    assert "time:birth_date" in birth.reason
    named = make_split(with_times(y, shuffled, Role.FEATURE, "date_time"), y, BINARY)
    assert named.column == "date_time"
    coarse = make_split(with_times(y, np.floor(shuffled / 10), Role.FEATURE, "order_date"), y, BINARY)
    assert coarse.kind == "stratified"


def with_numbers(y, **numbers):
    return make_table(
        y, **{name: (values, Column(name, Kind.NUMERIC, dtype="int")) for name, values in numbers.items()}
    )


def test_auto_sees_a_number_that_counts_the_time():
    y = labels(300, 0.5)
    day = np.arange(300) // 4
    split = make_split(with_numbers(y, day=day), y, BINARY)
    assert (split.kind, split.column) == ("time", "day")
    assert day[split.test].min() > day[split.train].max()
    for other in ({"day": np.arange(300) // 10}, {"day": day[::-1] % 60}, {"size": np.arange(300)}):
        assert make_split(with_numbers(y, **other), y, BINARY).kind == "stratified"
    turned = np.random.default_rng(0).permutation(day)
    assert make_split(with_numbers(y, day=turned), y, BINARY).kind == "stratified"


@pytest.mark.parametrize("n_years", [5, 2])
def test_auto_sees_a_date_in_parts(n_years):
    step = np.arange(n_years * 12 * 20)
    y = labels(len(step), 0.5)
    parts = {"year": 2010 + step // 240, "month": 1 + step // 20 % 12, "day": 1 + step % 20}
    split = make_split(with_numbers(y, **parts), y, BINARY)
    assert (split.kind, split.column) == ("time", "year")
    assert "the rows are in the order of 'year', 'month', 'day'" in split.reason
    assert step[split.test].min() > step[split.train].max()
    assert len(split.test) == len(step) // 5
    shuffled = np.random.default_rng(0).permutation(len(step))
    mixed = with_numbers(y, **{name: values[shuffled] for name, values in parts.items()})
    assert "order" not in make_split(mixed, y, BINARY).reason


def test_a_role_wins_over_what_is_seen_and_a_spec_over_both():
    y = labels(200, 0.5)
    table = make_table(
        y,
        timestamp=(moments(np.arange(200.0)), Column("timestamp", Kind.DATETIME, dtype="timestamp")),
        who=(keys(np.arange(200) % 20), Column("who", Kind.CATEGORICAL, Role.GROUP)),
    )
    assert make_split(table, y, BINARY).column == "who"
    assert make_split(table, y, BINARY, spec="time:timestamp").kind == "time"
    assert make_split(table, y, BINARY, spec="random").kind == "random"
    assert not choose(table, BINARY, "auto").detected


def test_a_seen_order_that_would_leave_one_class_is_not_used():
    y = np.repeat([0.0, 1.0], [80, 20])  # sorted by class: the last 20 % are all there is of class 1
    split = make_split(with_times(y, np.arange(100.0), Role.FEATURE), y, BINARY)
    assert split.kind == "stratified"
    assert "'when' was considered" in split.reason
    with pytest.raises(DataError, match="one class"):
        make_split(with_times(y, np.arange(100.0)), y, BINARY)


# --- retraining


def grown(n_old, n_new, seed=0):
    """Row hashes of a table that has grown, and the split of what it was."""
    hashes = np.random.default_rng(seed).integers(0, 2**63, n_old + n_new).astype(np.uint64)
    return hashes, lambda split: Pinned(hashes[split.test], hashes[split.train])


@pytest.mark.parametrize("task", [BINARY, NUMBER])
def test_a_champions_rows_stay_where_they_were(task):
    hashes, pin = grown(500, 250)
    y = labels(750)
    old = make_split(make_table(y[:500]), y[:500], task)
    new = make_split(make_table(y), y, task, pinned=pin(old), hashes=hashes, seed=7)
    assert set(old.test) <= set(new.test)
    assert set(old.train) <= set(new.train)
    assert len(new.test) == 150
    assert f"{len(old.test)} of the 150" in new.reason
    assert_whole(new, 750)
    assert_partition(new)
    if task is BINARY:
        # The old test's share is that of the old rows; the new rows make up for it as far as they can.
        assert abs((y[new.test] == 1).sum() - 0.2 * (y == 1).sum()) <= 1


def test_a_row_that_the_champion_trained_on_is_never_tested():
    y = labels(100, 0.5)
    hashes = np.arange(100, dtype=np.uint64)
    pinned = Pinned(hashes[:20], hashes[10:60])
    split = make_split(make_table(y), y, BINARY, pinned=pinned, hashes=hashes)
    assert set(range(10)) <= set(split.test)
    assert not set(range(10, 60)) & set(split.test)
    assert len(split.test) == 20


def test_filling_up_the_test_leaves_a_row_of_each_class_to_train_on():
    y = np.array([0.0] * 40 + [1.0] * 2)
    hashes = np.arange(42, dtype=np.uint64)
    pinned = Pinned(hashes[:0], hashes[:30])  # 12 rows are free, and 21 are wanted
    split = make_split(make_table(y), y, BINARY, holdout=0.5, pinned=pinned, hashes=hashes)
    assert y[split.train].sum() == 1
    assert len(split.test) == 11


def test_a_table_without_pinned_rows_is_split_as_without():
    y = labels(100, 0.5)
    hashes = np.arange(100, dtype=np.uint64)
    pinned = Pinned(hashes[:20] + np.uint64(500), hashes[20:] + np.uint64(500))
    bare, split = (
        make_split(make_table(y), y, BINARY),
        make_split(make_table(y), y, BINARY, pinned=pinned, hashes=hashes),
    )
    assert bare.to_json() == split.to_json()
    assert bare.test.tolist() == split.test.tolist()


def test_a_group_goes_with_its_pinned_rows():
    rng = np.random.default_rng(0)
    groups, y = rng.integers(0, 40, 600), labels(600, 0.5)
    hashes, pin = grown(400, 200)
    old = make_split(with_groups(y[:400], groups[:400]), y[:400], BINARY)
    new = make_split(with_groups(y, groups), y, BINARY, pinned=pin(old), hashes=hashes)
    assert set(old.test) <= set(new.test)
    assert not set(old.train) & set(new.test)
    assert not set(groups[new.train]) & set(groups[new.test])


def test_a_time_split_moves_on_to_the_newest_rows_that_the_champion_did_not_see():
    y = labels(150, 0.5)
    hashes, pin = grown(100, 50)
    old = make_split(with_times(y[:100], np.arange(100.0)), y[:100], BINARY)
    assert old.test.tolist() == list(range(80, 100))
    new = make_split(with_times(y, np.arange(150.0)), y, BINARY, pinned=pin(old), hashes=hashes)
    assert new.test.tolist() == list(range(120, 150))
    assert not set(old.train) & set(new.test)
    assert "moved on" in new.reason
    same = make_split(
        with_times(y[:100], np.arange(100.0)), y[:100], BINARY, pinned=pin(old), hashes=hashes[:100]
    )
    assert same.test.tolist() == old.test.tolist()


def test_nothing_left_to_test_on_is_an_error():
    y = labels(50, 0.5)
    hashes = np.arange(50, dtype=np.uint64)
    for table in (make_table(y), with_times(y, np.arange(50.0)), with_groups(y, np.arange(50) % 10)):
        with pytest.raises(DataError, match="champion trained on all"):
            make_split(table, y, BINARY, pinned=Pinned(hashes[:0], hashes), hashes=hashes)
    with pytest.raises(UsageError, match="50 hashes"):
        make_split(make_table(y), y, BINARY, pinned=Pinned(hashes, hashes), hashes=hashes[:3])


@pytest.mark.parametrize("task", [BINARY, MULTI, NUMBER])
@pytest.mark.parametrize("n", range(4, 51))
def test_tiny_tables_can_be_split_in_every_way(task, n):
    rng = np.random.default_rng(n)
    y = np.arange(n) % 3 if task is MULTI else rng.permutation(np.arange(n) % 2)
    y = y.astype(float)
    table = make_table(
        y,
        when=(moments(rng.permutation(n).astype(float)), Column("when", Kind.DATETIME, dtype="timestamp")),
        who=(keys(np.arange(n) // 2), Column("who", Kind.CATEGORICAL)),
    )
    specs = ["auto", "shuffled", "random", *(["stratified"] if task is not NUMBER else [])]
    if n >= 10:
        specs += ["group:who", "time:when"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spec in specs:
            split = make_split(table, y, task, spec=spec, seed=n)
            assert_whole(split, n)
            assert len(split.test)
            assert split.folds


# --- signs, and gaps


def test_an_id_of_any_name_counts_where_its_rows_stand_together():
    y = labels(400, 0.5)
    blocks = np.repeat(np.arange(40), 10)
    split = make_split(with_groups(y, blocks, Role.FEATURE, "sample_id"), y, BINARY)
    assert (split.kind, split.column) == ("group", "sample_id")
    assert "stand together" in split.reason
    mixed = np.random.default_rng(0).permutation(blocks)
    assert make_split(with_groups(y, mixed, Role.FEATURE, "sample_id"), y, BINARY).kind == "stratified"
    assert make_split(with_groups(y, blocks, Role.FEATURE, "shade"), y, BINARY).kind == "stratified"
    assert make_split(with_groups(y, blocks, Role.FEATURE, "batch"), y, BINARY).column == "batch"


def test_an_id_counts_where_its_rows_share_what_else_is_known_of_it():
    y, who = labels(600, 0.5), np.random.default_rng(1).integers(0, 100, 600)
    town = (keys(who % 37), Column("town", Kind.CATEGORICAL))
    age = ((20 + who * 7 % 61).astype(float), Column("age", Kind.NUMERIC, dtype="float"))
    name = (keys(who), Column("listing_id", Kind.CATEGORICAL))
    split = make_split(make_table(y, listing_id=name, town=town, age=age), y, BINARY)
    assert (split.kind, split.column) == ("group", "listing_id")
    assert "with the same 'town', 'age'" in split.reason
    drawn = (np.random.default_rng(2).permutation(age[0]), age[1])
    assert make_split(make_table(y, listing_id=name, age=drawn), y, BINARY).kind == "stratified"


def test_a_named_entity_comes_before_another_id():
    y = labels(400, 0.5)
    season = (keys(np.repeat(np.arange(20), 20)), Column("season_id", Kind.CATEGORICAL))
    player = (keys(np.arange(400) % 80), Column("playerID", Kind.CATEGORICAL))
    assert make_split(make_table(y, season_id=season, playerID=player), y, BINARY).column == "playerID"


def test_stretches_of_rows_in_order_are_a_time():
    rng = np.random.default_rng(0)
    y = labels(1_200, 0.5)
    days = np.concatenate([np.sort(rng.random(20)) * 6 + 6 * week for week in rng.permutation(60)])
    split = make_split(with_times(y, days, Role.FEATURE, "slot"), y, BINARY)
    assert (split.kind, split.column) == ("time", "slot")
    for name, values in (("slot", rng.permutation(days)), ("expiry", days)):
        assert make_split(with_times(y, values, Role.FEATURE, name), y, BINARY).kind == "stratified"


def test_a_split_by_rows_says_what_it_passes_over():
    y = labels(200, 0.5)
    table = with_groups(y, np.arange(200) % 20, Role.FEATURE, "customer_id")
    split = make_split(table, y, BINARY, spec="random")
    assert split.kind == "random"
    assert "although 'customer_id' has 10 rows a value" in split.reason


def test_where_rows_are_shuffled_no_time_counts_and_groups_do():
    y, days = labels(400, 0.5), np.arange(400.0)
    for role in (Role.FEATURE, Role.TIME):
        table = with_times(y, days, role)
        assert make_split(table, y, BINARY).kind == "time"
        split = make_split(table, y, BINARY, spec="shuffled")
        assert_whole(split, 400)
        assert split.kind == "stratified"
        assert "the project says that rows are shuffled, so 'when' is passed over" in split.reason
    who = (keys(np.arange(400) % 40), Column("customer_id", Kind.CATEGORICAL))
    when = (moments(days), Column("when", Kind.DATETIME, dtype="timestamp"))
    both = make_split(make_table(y, when=when, customer_id=who), y, BINARY, spec="shuffled")
    assert (both.kind, both.column) == ("group", "customer_id")
    given = make_split(with_groups(y, np.arange(400) % 40, Role.GROUP, "shade"), y, BINARY, spec="shuffled")
    assert (given.kind, given.column) == ("group", "shade")
    plain = make_split(make_table(y), y, BINARY, spec="shuffled")
    assert plain.kind == "stratified"
    assert plain.reason.endswith("the project says that rows are shuffled.")


def test_a_gap_keeps_training_away_from_the_test_and_from_each_fold():
    days = np.random.default_rng(0).permutation(np.arange(400) / 4)
    y = labels(400, 0.5)
    split = make_split(with_times(y, days), y, BINARY, spec="time:when gap 7d", n_folds=4)
    assert split.gap == "7 d"
    start = days[split.test].min()
    assert days[split.train].max() <= start - 7
    assert split.n_gap == ((days > start - 7) & (days < start)).sum() > 0
    assert len(split.train) + split.n_gap + len(split.test) == 400
    train = days[split.train]
    for fit, valid in split.folds:
        assert train[fit].max() <= train[valid].min() - 7
    counted = make_split(with_numbers(y, day=np.arange(400)), y, BINARY, spec="time:day gap 10")
    assert (counted.n_gap, len(counted.test)) == (9, 80)


def test_a_target_that_looks_ahead_brings_its_gap():
    y = labels(400, 0.5)
    days = np.arange(400) / 4
    plain = with_times(y, days)
    table = Table(
        plain.arrow.rename_columns(["x", "left_next_7_days", "when"]),
        Schema(
            tuple(
                Column(n, c.kind, c.role, c.dtype)
                for n, c in zip(("x", "left_next_7_days", "when"), plain.schema.columns, strict=True)
            )
        ),
    )
    task = Task(TaskKind.BINARY, "left_next_7_days", "roc_auc", (0, 1))
    split = make_split(table, y, task)
    assert "looks ahead by 7 days" in split.reason
    assert days[split.train].max() <= days[split.test].min() - 7
    wide = make_split(plain, y, BINARY, spec="time:when gap 70d")
    assert wide.n_gap == 0
    assert "there is none" in wide.reason


@pytest.mark.parametrize("spec", ["time:when gap 7", "time:when gap 7 parsecs", "time:day gap 7d"])
def test_a_gap_without_its_unit_is_an_error(spec):
    y = labels(40, 0.5)
    times = (moments(np.arange(40.0)), Column("when", Kind.DATETIME, dtype="timestamp"))
    day = (np.arange(40.0), Column("day", Kind.NUMERIC, dtype="float"))
    with pytest.raises(UsageError, match=r"gap|counts"):
        make_split(make_table(y, when=times, day=day), y, BINARY, spec=spec)


def test_rows_without_order_or_groups_are_never_split_by_either():
    """False alarms: sixty tables of plain rows, ids and dates of life among them."""
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = 300
        table = make_table(
            labels(n, 0.5, seed),
            zone_id=(keys(rng.integers(0, 30, n)), Column("zone_id", Kind.CATEGORICAL)),
            product_key=(keys(rng.integers(0, 80, n)), Column("product_key", Kind.CATEGORICAL)),
            birth_date=(
                moments(np.floor(rng.random(n) * 9_000)),
                Column("birth_date", Kind.DATETIME, dtype="date"),
            ),
            size=(rng.integers(0, 60, n).astype(float), Column("size", Kind.NUMERIC, dtype="int")),
            city=(keys(rng.integers(0, 40, n)), Column("city", Kind.CATEGORICAL)),
        )
        wrong += make_split(table, labels(n, 0.5, seed), BINARY).kind != "stratified"
    assert wrong == 0
