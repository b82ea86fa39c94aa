import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mlwright.core.kinds import CHECKS, load
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.one_feature import _auc, cells, line_r2, out_of_fold_auc, value_auc
from mlwright.data.checks.run import refused, run_checks
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, Task, TaskKind
from mlwright.testing.checks import check_check, context_of, sample_context

INFO, WARN, STOP = Severity.INFO, Severity.WARN, Severity.STOP


@pytest.mark.parametrize(
    "function", [pytest.param(f, id=name) for kind in CHECKS for name, f in check_check(kind)]
)
def test_conformance(function):
    function()


def test_the_kit_catches_a_check_that_changes_its_input():
    class Vandal(Check):
        """Sorts the target in place."""

        kind = "vandal"

        def run(self, context):
            """Sort."""
            context.y.sort()
            return []

    from mlwright.testing.checks import leaves_its_input_alone

    with pytest.raises(AssertionError, match="changed the target"):
        leaves_its_input_alone(Vandal, "vandal")


def look(kind, context):
    return load(CHECKS, kind, family="check")().run(context)


def planted(y, labels=("no", "yes"), *, banned=(), **extra):
    """A context with columns as name=(values, Column) or name=values (a number)."""
    y = np.asarray(y, float)
    task = (
        Task(TaskKind.REGRESSION, "y", "rmse")
        if labels is None
        else Task(
            TaskKind.BINARY if len(labels) == 2 else TaskKind.MULTICLASS, "y", "log_loss", tuple(labels)
        )
    )
    target = y if labels is None else [str(labels[int(code)]) for code in y]
    data, columns = (
        {"y": target},
        [Column("y", Kind.NUMERIC if labels is None else Kind.CATEGORICAL, Role.TARGET)],
    )
    for name, value in extra.items():
        values, column = (
            value if isinstance(value, tuple) else (value, Column(name, Kind.NUMERIC, dtype="float"))
        )
        data[name] = values
        columns.append(column)
    return context_of(data, tuple(columns), y, task, banned)


def category(name, values):
    return values, Column(name, Kind.CATEGORICAL)


def coin(n, share=0.5, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


RNG = np.random.default_rng(42)


# --- the plain ones


def test_banned_stops_a_column_in_use_and_notes_an_ignored_one():
    context = planted(
        coin(50),
        banned=("sex", "ssn", "absent"),
        ssn=(["1"] * 50, Column("ssn", Kind.ID, Role.IGNORED)),
        sex=category("sex", ["f", "m"] * 25),
    )
    found = look("banned", context)
    assert [(f.code, f.severity) for f in found] == [("banned:sex", STOP), ("banned:ssn", INFO)]


def test_constant_tells_empty_from_one_value_from_one_value_with_gaps():
    context = planted(
        coin(4),
        void=(pa.nulls(4, pa.float64()), Column("void", Kind.NUMERIC)),
        same=[7.0] * 4,
        gaps=[7.0, None, 7.0, 7.0],
        left=(["a"] * 4, Column("left", Kind.CONSTANT, Role.IGNORED)),
    )
    found = look("constant", context)
    assert [(f.columns, f.severity) for f in found] == [(("void",), INFO), (("same", "left"), INFO)]
    assert "2 columns" in found[1].what


@pytest.mark.parametrize(("copies", "severity"), [(1, INFO), (10, INFO), (11, WARN), (500, WARN)])
def test_duplicate_rows_are_counted(copies, severity):
    x, y = RNG.normal(size=1_000), coin(1_000)
    x[1_000 - copies :], y[1_000 - copies :] = x[:copies], y[:copies]
    (found,) = look("duplicate_rows", planted(y, x=x, z=np.where(x > 0, np.nan, -0.0 * x)))
    assert found.severity is severity
    assert f"{copies:,} row" in found.what


def test_rows_that_differ_in_one_cell_or_the_target_are_no_duplicates():
    x = np.repeat(RNG.normal(size=200), 2)
    assert look("duplicate_rows", planted(np.tile([0, 1], 200), x=x)) == []
    other = ["a", "b"] * 200
    assert look("duplicate_rows", planted(np.zeros(400), x=x, other=category("other", other))) == []
    # The same two values in exchanged columns are not the same row.
    assert look("duplicate_rows", planted([0, 0], a=[1.5, 2.5], b=[2.5, 1.5])) == []
    when = (np.arange(400), Column("when", Kind.NUMERIC, Role.TIME))
    assert look("duplicate_rows", planted(np.zeros(400), x=x, when=when)) == []


def test_duplicates_in_a_table_of_few_values_are_expected():
    context = planted(coin(500), a=RNG.integers(0, 3, 500), b=RNG.integers(0, 3, 500))
    (found,) = look("duplicate_rows", context)
    assert found.severity is INFO
    assert "expected" in found.advice


def test_identifiers_are_named():
    context = planted(coin(9), key=(range(9), Column("key", Kind.ID, Role.IGNORED)), x=RNG.normal(size=9))
    (found,) = look("identifier", context)
    assert (found.severity, found.columns) == (INFO, ("key",))


@pytest.mark.parametrize(
    ("counts", "severity"),
    [
        ((950, 50), None),
        ((951, 49), INFO),
        ((9_900, 100), INFO),
        ((9_901, 99), WARN),
        ((290, 10), WARN),
        ((500, 0), WARN),
        ((480, 480, 40), INFO),
        ((50,) * 40, None),
    ],
)
def test_imbalance(counts, severity):
    y = np.repeat(np.arange(len(counts)), counts)
    found = look("imbalance", planted(y, [f"c{code}" for code in range(len(counts))], x=np.zeros(len(y))))
    assert [f.severity for f in found] == ([] if severity is None else [severity])
    if severity:
        assert f"{min(counts):,} row" in found[0].what


def test_missing_names_the_columns_that_are_mostly_missing():
    gaps = {
        name: [None] * n + [1.0 + i for i in range(100 - n)] for name, n in {"a": 3, "b": 51, "c": 90}.items()
    }
    found = look(
        "missing", planted(coin(100), full=np.arange(100.0), half=[None, "x"] * 50 and gaps["a"], **gaps)
    )
    assert [(f.code, f.severity) for f in found] == [
        ("missing:c", WARN),
        ("missing:b", WARN),
        ("missing:half", INFO),
    ]
    assert "90 %" in found[0].what
    assert found[2].columns == ("half", "a")
    assert "2 columns of 5" in found[2].what


def test_columns_with_equal_gaps_are_one_finding():
    gaps = {name: [None] * 80 + [1.0 + i for i in range(20)] for name in ("a", "b", "c")}
    (found,) = look("missing", planted(coin(100), full=np.arange(100.0), **gaps))
    assert (found.code, found.severity, found.columns) == ("missing:a", WARN, ("a", "b", "c"))
    assert "80 %" in found.what


def test_mixed_types_counts_text_among_numbers():
    values = [str(i) for i in range(100)]
    values[3], values[4], values[5], values[6], values[7] = "about 7", "about 7", "b", "N/A", " "
    (found,) = look("mixed_types", planted(coin(100), x=(values, Column("x", Kind.NUMERIC))))
    assert (found.severity, found.columns) == (WARN, ("x",))
    assert "3 values of 100" in found.what  # N/A and blanks are missing, not wrong
    assert "'about 7' and 'b'" in found.what


def test_mixed_types_gives_three_examples_at_most_and_reads_dictionaries():
    values = pa.array([str(i) for i in range(95)] + ["v", "w", "x", "y", "z"]).dictionary_encode()
    (found,) = look("mixed_types", planted(coin(100), x=(values, Column("x", Kind.NUMERIC))))
    assert "5 values" in found.what
    assert "'v', 'w', 'x' and 2 more" in found.what


def test_mixed_types_sees_a_category_that_is_mostly_numbers():
    values = [str(i) for i in range(95)] + ["unknown"] * 5
    (found,) = look("mixed_types", planted(coin(100), x=category("x", values)))
    assert "5 values are text: 'unknown'" in found.what
    rooms = ["1", "2", "3", "4", "5 or more"] * 20  # few values: an honest category
    assert look("mixed_types", planted(coin(100), x=category("x", rooms))) == []


def test_mixed_types_looks_at_the_target():
    x = RNG.normal(size=60)
    (mixed,) = look("mixed_types", planted(np.arange(60) % 3, ("0", "1", "yes"), x=x))
    assert mixed.code == "mixed_types:y"
    assert "'yes'" in mixed.what
    (spelled,) = look("mixed_types", planted(np.arange(60) % 3, ("Yes", "no", "yes "), x=x))
    assert "'Yes'" in spelled.what
    assert look("mixed_types", planted(np.arange(60) % 2, (0, 1), x=x)) == []
    assert look("mixed_types", planted(np.arange(60) % 2, ("True", "False"), x=x)) == []


# --- leaks in classes


Y = coin(1_000, 0.3, seed=1)
NOISE = np.random.default_rng(5).normal(size=1_000)
LEAKS = {
    "copy": Y,
    "negated": 5.0 - 3.0 * Y,
    "recoded": category("recoded", np.where(Y == 1, "gone", "stays").tolist()),
    "split_levels": category(
        "split_levels", [f"{'c' if code else 's'}{row % 4}" for row, code in enumerate(Y)]
    ),
    "threshold": Y * 10 + np.abs(NOISE),
    "below": -(Y * 10) + np.abs(NOISE),
    "flag": (Y.astype(bool).tolist(), Column("flag", Kind.BOOLEAN, dtype="bool")),
    "when_gone": [None if code == 0 else 1.0 + abs(noise) for code, noise in zip(Y, NOISE, strict=True)],
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_stopped(name):
    context = planted(Y, good=NOISE, **{name: LEAKS[name]})
    (found,) = look("leak", context)
    assert (found.code, found.severity) == (f"leak:{name}", STOP)
    assert "AUC" in found.what


def test_the_words_for_a_recoding_and_for_gaps():
    (recoded,) = look("leak", planted(Y, recoded=LEAKS["recoded"]))
    assert "in other words" in recoded.what
    (gaps,) = look("leak", planted(Y, gone=LEAKS["when_gone"]))
    assert "missing" in gaps.what


def test_a_recoding_of_many_classes_is_stopped():
    y = RNG.integers(0, 6, 600)
    names = [f"c{code}" for code in range(6)]
    code = np.array([30.0, 10, 50, 0, 20, 40])[y]
    (found,) = look("leak", planted(y, names, code=code, noise=RNG.normal(size=600)))
    assert (found.code, found.severity) == ("leak:code", STOP)
    assert "in other words" in found.what


def test_a_leak_that_is_not_monotone_is_worth_a_look():
    middle = np.where(Y == 1, NOISE / 10, 3 * np.sign(NOISE) + NOISE / 10)
    assert max(roc_auc_score(Y, middle), roc_auc_score(Y, -middle)) < 0.6
    assert [f.code for f in look("leak", planted(Y, middle=middle))] == ["leak:middle"]


def test_a_smooth_series_does_not_make_its_time_a_leak():
    days = np.arange(1_000)
    wave = np.sin(days / 40.0)
    when = pa.array(days * 86_400_000_000, pa.int64()).cast(pa.timestamp("us"))
    column = Column("when", Kind.DATETIME, dtype="timestamp")
    assert refused(look("leak", planted(wave, None, when=(when, column)))) == []
    assert [f.code for f in refused(look("leak", planted(wave, None, phase=days * 1.0)))] == ["leak:phase"]


def test_a_nearly_perfect_feature_is_worth_a_look():
    flipped = Y.copy()
    flipped[::100] = 1 - flipped[::100]  # 1 % wrong: AUC about 0.99
    auc = roc_auc_score(Y, flipped)
    assert 0.98 <= auc < 0.999
    (found,) = look("leak", planted(Y, nearly=flipped))
    assert found.severity is WARN


@pytest.mark.parametrize("n", [20, 60, 99])
def test_a_small_table_is_never_stopped(n):
    y = np.arange(n) % 2
    assert [f.severity for f in look("leak", planted(y, copy=y.astype(float)))] == [WARN]


@pytest.mark.parametrize(("rare", "severity"), [(60, WARN), (99, WARN), (100, STOP)])
def test_a_sensor_that_sets_a_rare_class_apart_does_not_stop(rare, severity):
    y = np.arange(1_000) < rare
    sensor = np.where(y, 50.0, 0.0) + np.random.default_rng(3).normal(size=1_000)
    (found,) = look("leak", planted(y.astype(float), sensor=sensor))
    assert found.severity is severity


def test_a_total_of_its_parts_is_stopped():
    draw = np.random.default_rng(0)
    parts = {name: draw.integers(0, 900, 400).astype(float) for name in ("casual", "registered", "wind")}
    total = parts["casual"] + parts["registered"]
    (found,) = look("leak", planted(total, None, **parts, month=category("month", ["may", "june"] * 200)))
    assert (found.code, found.severity, found.columns) == ("leak:casual", STOP, ("casual", "registered"))
    rounded = total + draw.normal(scale=1e-3, size=400)
    assert [f.code for f in look("leak", planted(rounded, None, **parts))] == ["leak:casual"]
    noisy = total + draw.normal(scale=10, size=400)
    assert look("leak", planted(noisy, None, **parts)) == []
    with_gaps = parts | {"wind": np.where(draw.random(400) < 0.5, np.nan, parts["wind"])}
    assert [f.code for f in look("leak", planted(total, None, **with_gaps))] == ["leak:casual"]
    many = {f"x{i}": draw.normal(size=400) for i in range(12)}
    assert look("leak", planted(sum(many.values()), None, **many)) == []  # a formula of many parts


def test_what_is_known_for_one_class_alone_is_stopped():
    y = coin(1_000, 0.4, seed=1)
    body = [float(i) if i % 4 == 0 and code == 0 else None for i, code in enumerate(y)]
    (found,) = look("leak", planted(y, body=body))
    assert (found.code, found.severity) == ("leak:body", STOP)
    assert f"known in {sum(b is not None for b in body)} rows" in found.what
    both = [float(i) if i % 4 == 0 and (code == 0 or i % 16 == 0) else None for i, code in enumerate(y)]
    assert look("leak", planted(y, body=both)) == []
    rare = (np.arange(1_000) < 20).astype(float)  # 98 % are of the one class anyway
    few = [1.0 + i if i >= 20 and i % 8 == 0 else None for i in range(1_000)]
    assert look("leak", planted(rare, few=few)) == []


HONEST = {
    "strong_number": Y * 2.5 + NOISE,  # AUC about 0.96
    "strong_category": category(
        "strong_category",
        np.where(np.random.default_rng(2).random(1_000) < 0.93, Y, 1 - Y).astype(str).tolist(),
    ),
    "mostly_gaps": [None if (code == 0) == (i % 12 > 0) else 1.0 for i, code in enumerate(Y)],
    "row_key": category("row_key", [f"r{i}" for i in range(1_000)]),
    "row_number": np.arange(1_000.0),
    "pairs": category("pairs", [f"r{i // 2}" for i in range(1_000)]),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_feature_is_left_alone(name):
    assert look("leak", planted(Y, **{name: HONEST[name]})) == []


@pytest.mark.parametrize("n_distinct", [40, 60, 200])
def test_copies_of_rows_do_not_make_a_leak(n_distinct):
    x, y = np.tile(RNG.normal(size=n_distinct), 10), np.tile(coin(n_distinct, 0.5), 10)
    assert look("leak", planted(y, x=x)) == []
    assert look("leak", planted(np.tile(RNG.normal(size=n_distinct), 10), None, x=x)) == []


def test_an_attribute_of_groups_is_no_leak_where_the_schema_names_the_group():
    groups = np.repeat(np.arange(30), 20)
    outcome, city = coin(30, seed=9)[groups], [f"city {g}" for g in groups]
    who = (groups, Column("who", Kind.NUMERIC, Role.GROUP, "int"))
    assert [f.code for f in look("leak", planted(outcome, city=category("city", city)))] == ["leak:city"]
    assert look("leak", planted(outcome, city=category("city", city), who=who)) == []


def test_a_feature_that_tells_one_class_of_three_is_no_leak():
    y = np.arange(600) % 3
    x = np.where(y == 0, -50.0, 0.0) + RNG.normal(size=600)  # like the petals of one iris
    assert look("leak", planted(y, ("a", "b", "c"), x=x)) == []


def test_a_class_with_few_rows_does_not_make_a_leak():
    y = np.zeros(1_000)
    y[:3] = 1
    assert look("leak", planted(y, x=np.concatenate([[50.0, 51, 52], RNG.normal(size=997)]))) == []


def test_real_tables_are_not_stopped():
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    for source, labels in ((load_breast_cancer, "ab"), (load_wine, "abc"), (load_diabetes, None)):
        X, y = source(return_X_y=True)
        context = planted(y, labels, **{f"x{i}": X[:, i] for i in range(X.shape[1])})
        assert [f.code for f in run_checks(context) if f.severity is STOP] == []


# --- leaks in numbers

T = np.random.default_rng(3).normal(100.0, 20.0, 1_000)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("celsius", (T - 32) / 1.8, "exact linear"),
        ("negative", -T, "exact linear"),
        ("gappy", np.where(np.arange(1_000) % 4, 3 * T + 1, np.nan), "exact linear"),
        ("log", np.log(T), "R2"),
        ("cube", T**3, "R2"),
        ("jittered", T + NOISE * 0.05, "R2"),
    ],
)
def test_a_planted_leak_of_a_number_is_stopped(name, values, words):
    (found,) = look("leak", planted(T, None, good=NOISE, **{name: values}))
    assert (found.code, found.severity) == (f"leak:{name}", STOP)
    assert words in found.what


def test_a_nearly_exact_number_is_worth_a_look():
    values = T + NOISE * 20 * 0.04
    assert 0.995 < np.corrcoef(T, values)[0, 1] ** 2 < 0.9999
    (found,) = look("leak", planted(T, None, nearly=values))
    assert found.severity is WARN


def test_a_strong_number_and_a_single_far_point_are_left_alone():
    assert look("leak", planted(T, None, strong=T + NOISE * 4)) == []  # R2 about 0.96
    y, x = NOISE.copy(), np.random.default_rng(8).normal(size=1_000)
    y[7] = x[7] = 1e6
    assert np.corrcoef(x, y)[0, 1] ** 2 > 0.9999
    assert look("leak", planted(y, None, x=x)) == []


def test_numbers_of_any_size_are_borne():
    huge = np.linspace(-1, 1, 200) * 1.7e308
    tiny = np.linspace(-1, 1, 200) * 5e-322
    for y in (huge, tiny, T[:200]):
        found = look("leak", planted(y, None, huge=huge, tiny=tiny))
        assert {f.check for f in found} <= {"leak"}
    assert look("leak", planted(Y[:200], huge=huge, tiny=tiny)) == []


# --- the figures under it, against scikit-learn and NumPy


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_lots_equals_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, 9, 300) / 9, rng.random(300) < 0.4
    assert _auc(score, positive.astype(float), np.ones(300)) == pytest.approx(roc_auc_score(positive, score))
    either = max(roc_auc_score(positive, score), roc_auc_score(positive, -score))
    assert value_auc(score, positive) == pytest.approx(either)


@pytest.mark.parametrize("seed", range(5))
def test_out_of_fold_auc_equals_row_by_row(seed):
    """The counts in cells give what predicting each row from the rows of the other folds gives."""
    rng = np.random.default_rng(seed)
    y, x, fold = rng.integers(0, 2, 200), rng.integers(0, 6, 200).astype(float), rng.permutation(200) % 5
    y = np.where(rng.random(200) < 0.6, x > 2, y).astype(np.int64)
    cut = cells(x, fold)
    score = []
    for row in range(200):
        same = (x == x[row]) & (fold != fold[row])
        score.append((y[same].sum() + y.mean()) / (same.sum() + 1))
    expected = roc_auc_score(y, np.round(score, 12))
    assert out_of_fold_auc(cut, x, y, 2) == pytest.approx(expected)


def test_line_r2_is_the_squared_correlation():
    # Without extremes both readings, with and without the outer 1 %, are at hand.
    x = np.random.default_rng(0).normal(size=500)
    y = 2 * x + np.random.default_rng(1).normal(size=500)
    r2 = np.corrcoef(x, y)[0, 1] ** 2
    assert line_r2(x, y) <= r2 + 1e-12
    assert line_r2(x, 3 - 2 * x) == pytest.approx(1.0, abs=1e-12)


# --- all of them


def test_run_checks_stands_in_order_and_is_the_same_again():
    context = planted(
        Y,
        banned=("copy",),
        void=(pa.nulls(1_000, pa.float64()), Column("void", Kind.NUMERIC)),
        gaps=np.where(np.arange(1_000) % 3, np.nan, NOISE),
        copy=Y,
        noise=NOISE,
    )
    found = run_checks(context)
    assert [f.code for f in found] == ["banned:copy", "leak:copy", "missing:gaps", "constant:void"]
    assert found == run_checks(context)
    assert [f.code for f in refused(found)] == ["banned:copy", "leak:copy"]
    assert [f.code for f in refused(found, ["leak:copy"])] == ["banned:copy"]


def test_an_accept_that_matches_nothing_is_a_finding():
    context = planted(Y, copy=Y, noise=NOISE)
    found = run_checks(context, ["leak:copy", "leak:cpoy"])
    assert [(f.check, f.severity) for f in found] == [("leak", STOP), ("accept", WARN)]
    assert "'leak:cpoy'" in found[1].what
    assert "'leak:copy'" in found[1].advice


def test_only_what_stops_is_refused():
    findings = [Finding("a", severity, ("x",), "1.", "Do.") for severity in Severity]
    assert [f.severity for f in refused(findings)] == [STOP]


@pytest.mark.parametrize("kind", list(TaskKind))
def test_a_clean_table_has_no_finding_at_all(kind):
    assert run_checks(sample_context(kind)) == []


def test_a_large_table_is_sampled_and_still_stopped():
    y = coin(60_000, 0.2)
    context = planted(y, copy=1 - y, x=np.random.default_rng(0).normal(size=60_000))
    assert [f.code for f in refused(run_checks(context))] == ["leak:copy"]


def test_rows_without_a_target_are_passed_over():
    y = np.where(np.arange(200) % 7, T[:200], np.nan)
    base = planted(T[:200], None, copy=T[:200] * 2)
    context = CheckContext(base.table, base.columns, y, base.task)
    assert [f.code for f in look("leak", context)] == ["leak:copy"]
