"""Each transform against an oracle that is not ours: scikit-learn, the standard library or arithmetic by hand."""

from __future__ import annotations

import datetime as dt
import math
import statistics

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.preprocessing import TargetEncoder as SklearnTargetEncoder

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, ParameterError
from mlwright.data.schema import Task, TaskKind
from mlwright.data.values import Coded
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.datetime_difference import DatetimeDifference
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.number import Number
from mlwright.features.numeric_codes import NumericCodes
from mlwright.features.one_hot import OneHot
from mlwright.features.ordinal_words import OrdinalWords
from mlwright.features.plan import FeaturePlan
from mlwright.features.range_value import RangeValue
from mlwright.features.scaled_number import ScaledNumber
from mlwright.features.target_encoding import TargetEncoding
from mlwright.features.text_svd import TextSVD
from mlwright.features.text_tfidf import TextTFIDF
from mlwright.features.winsorized_number import WinsorizedNumber
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.lightgbm import LightGBM
from mlwright.testing.transforms import assert_same_bits, column_of

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TEXTS = [
    "The heating is broken again and nobody comes",
    "the HEATING works",
    "Nobody works, nobody comes.",
    "größe ändern 大きい 大きい",
    "größe passt nicht",
    "",
    "again and again and again: 大きい",
    "is it broken? It is broken.",
]


@pytest.fixture
def random():
    return np.random.default_rng(11)


def fit(transform, cells, y=None, n_classes=0, seed=0):
    columns = column_of(transform, list(cells))
    y = np.zeros(len(cells)) if y is None else y
    return transform.fit(columns, y, n_classes=n_classes, seed=seed), columns


def test_number_is_the_number():
    plain, columns = fit(Number("x"), [1.5, None, -0.0])
    assert_same_bits(plain.batch(columns), [[1.5], [math.nan], [-0.0]])
    assert plain.row(None)[0] != plain.row(None)[0]


@pytest.mark.parametrize("make", [Number, NumericCodes])
def test_a_gap_that_the_fit_never_saw_is_the_median_and_others_stay(make):
    values = np.array([40.0, 10.0, 20.0, 30.0, 50.0, 60.0])
    whole = make("x").fit({"x": values}, values, n_classes=0, seed=0)
    lower = statistics.median_low(values)
    assert whole.batch({"x": np.array([math.nan, 11.0])}).tolist() == [[lower], [11.0]]
    assert whole.row(None) == whole.row(math.nan) == (lower,)
    assert make.from_state(whole.state()).row(None) == (lower,)
    values[2] = math.nan
    holed = make("x").fit({"x": values}, np.arange(6.0), n_classes=0, seed=0)
    assert np.isnan(holed.batch({"x": values})[2, 0])
    assert math.isnan(make.from_state(holed.state()).row(None)[0])


AGES = ["18-25", "30-40", "50-60", "65+", "26-29"]
DAYS = [0.0, 3.5, 40.25, 400.0, 9_000.0]  # since 1970


@pytest.mark.parametrize(
    ("transform", "cells", "middle"),
    [
        (RangeValue("x"), AGES, "30-40"),
        (OrdinalWords("x"), ["Low", "high", "medium", "Low", "medium"], "medium"),
        (DatetimeParts("x"), [day * 86400.0 for day in DAYS], 40.25 * 86400.0),
    ],
    ids=["range", "words", "moment"],
)
def test_a_cell_without_a_number_where_the_fit_saw_one_in_each_is_the_middle_one(transform, cells, middle):
    whole, _ = fit(transform, cells)
    gone = column_of(transform, [None, cells[0]])
    assert list(whole.row(None)) == list(whole.row(middle))
    assert_same_bits(whole.batch(gone), [whole.row(middle), whole.row(cells[0])])
    again = type(transform).from_state(whole.state())
    assert list(again.row(None)) == list(whole.row(middle))
    holed, _ = fit(transform, [*cells, None])
    assert np.isnan(holed.row(None)).all()
    assert np.isnan(type(transform).from_state(holed.state()).row(None)).all()


def test_a_stay_without_an_end_lasts_as_long_as_most_do():
    stays = {"in": np.zeros(3), "out": np.array([1.0, 7.0, 3.0]) * 86400.0}
    stay = DatetimeDifference("in", "out").fit(stays, np.zeros(3), n_classes=0, seed=0)
    assert (
        stay.batch({"in": np.array([0.0, math.nan]), "out": np.array([math.nan, 0.0])}).tolist()
        == [[3.0]] * 2
    )
    assert stay.row(0.0, None) == stay.row(None, 0.0) == (3.0,)
    assert DatetimeDifference.from_state(stay.state()).row(None, None) == (3.0,)


@pytest.mark.parametrize("gap", [1e15, -1e15], ids=["after", "before"])
def test_a_moment_beyond_the_calendar_stands_in_for_nothing(gap):
    state = fit(DatetimeParts("x"), [0.0, 86400.0])[0].state()
    with pytest.raises(BundleContentError, match="gap"):
        DatetimeParts.from_state(State({**state.tree, "gap": gap}))


@pytest.mark.parametrize("model", [LightGBM(), CatBoost()], ids=["lightgbm", "catboost"])
def test_trees_answer_a_gap_that_they_never_saw_from_the_middle(model, random):
    x = random.uniform(100, 200, 500)
    plan = FeaturePlan([Number("x")])
    matrix = plan.fit_batch({"x": x}, x, n_classes=0, seed=0)
    model.fit(matrix, x, FitContext(Task(TaskKind.REGRESSION, "y", "rmse"), n_iterations=100))
    (answer,) = model.predict_row(plan.row({}))
    assert answer == pytest.approx(np.median(x), abs=5)


def test_scaled_number_is_the_standard_scaler_where_tails_are_light(random):
    x = random.normal(5, 3, 500)
    scaled, columns = fit(ScaledNumber("x"), x)
    assert scaled.unit_ is None
    expected = StandardScaler().fit_transform(x.reshape(-1, 1))
    np.testing.assert_allclose(scaled.batch(columns), expected, rtol=1e-12)


@pytest.mark.parametrize("draw", ["normal", "uniform", "exponential", "binary", "counts"])
def test_light_tails_are_not_squashed(draw, random):
    x = {
        "normal": random.normal(size=2000),
        "uniform": random.uniform(-5, 1, 2000),
        "exponential": random.exponential(size=2000),
        "binary": random.integers(0, 2, 2000),
        "counts": random.poisson(2, 2000),
    }[draw]
    assert fit(ScaledNumber("x"), x)[0].unit_ is None


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_heavy_tails_are_squashed_whatever_the_unit(unit, random):
    x = np.exp(random.normal(size=2001) * 1.5)
    scaled, columns = fit(ScaledNumber("x"), x * unit)
    size = statistics.median(x.tolist())
    expected = StandardScaler().fit_transform(np.array([[math.log1p(v / size)] for v in x]))
    np.testing.assert_allclose(scaled.batch(columns), np.clip(expected, -10, 10), rtol=1e-9, atol=1e-9)


def test_a_column_that_is_mostly_zero_with_a_long_tail_is_squashed(random):
    x = np.zeros(5000)
    x[:500] = np.exp(random.normal(8, 2, 500))
    scaled, columns = fit(ScaledNumber("capital gain", clip=1e6), x)
    assert scaled.unit_ is not None
    plain = StandardScaler().fit_transform(x.reshape(-1, 1))
    assert np.abs(scaled.batch(columns)).max() < np.abs(plain).max() / 3


def test_scaled_number_imputes_the_median_and_says_so():
    scaled, columns = fit(ScaledNumber("x"), [1.0, 2.0, None, 6.0])
    matrix = scaled.batch(columns)
    assert matrix[2].tolist() == [matrix[1][0], 1.0]
    assert matrix[:, 1].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert matrix[1][0] == pytest.approx((2 - 3) / math.sqrt((4 + 1 + 9) / 3))


def test_a_wild_value_at_serving_is_clipped():
    scaled, _ = fit(ScaledNumber("x", clip=4.0), [1.0, 2.0, 3.0])
    assert (scaled.row(1e300), scaled.row(-1e300), scaled.row(2.0)) == ((4.0,), (-4.0,), (0.0,))


@pytest.mark.parametrize(("tails", "reach"), [(0.0, 0.0), (0.005, 0.25), (0.1, 0.0), (0.1, 0.2)])
def test_winsorized_number_is_the_scaler_of_what_is_held_near_quantiles(tails, reach, random):
    x = random.gamma(3.0, 2.0, 800)
    held, columns = fit(WinsorizedNumber("x", tails=tails, reach=reach), x)
    scaler = StandardScaler().fit(x.reshape(-1, 1))
    low, high = np.quantile(x, (tails, 1 - tails), method="nearest")
    low, high = low - reach * (high - low), high + reach * (high - low)
    expected = scaler.transform(np.clip(x, low, high).reshape(-1, 1))
    np.testing.assert_allclose(held.batch(columns), expected, rtol=1e-9, atol=1e-12)
    assert held.row(1e9)[0] == pytest.approx(scaler.transform([[high]])[0, 0])
    assert held.row(-1e9)[0] == pytest.approx(scaler.transform([[low]])[0, 0])
    assert held.scalar()(1e9) == held.row(1e9)[0]


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_what_has_light_tails_is_hardly_held(draw, random):
    x = getattr(random, draw)(size=5000)
    held, plain = (
        fitted.batch(columns)
        for fitted, columns in (fit(t("x"), x) for t in (WinsorizedNumber, ScaledNumber))
    )
    assert np.mean(held != plain) < 0.001
    assert np.abs(held - plain).max() < 0.5


def test_what_is_rare_is_not_winsorized_away():
    held, columns = fit(WinsorizedNumber("x"), [0.0] * 999 + [1.0])
    assert held.row(1.0)[0] > held.row(0.0)[0]
    assert np.ptp(held.batch(columns)) > 0


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ([None, None], []),
        ([3.0, 3.0], []),
        ([0.1, 0.1, 0.1], []),
        ([3.0, None], ["x is missing"]),
        ([3.0, 4.0], ["x"]),
        ([-1.7e308, 1.7e308, 0.0], ["x"]),
        ([1e308, 1.1e308], ["x"]),
    ],
)
def test_scaled_number_gives_only_what_varies(cells, names):
    assert [tag.name for tag in fit(ScaledNumber("x"), cells)[0].tags] == names


def test_codes_go_by_count_then_value_and_rare_levels_share_one():
    cells = ["b"] * 3 + ["c"] * 3 + ["a"] * 5 + ["rare", "rarer", None]
    codes, columns = fit(CategoryCodes("x"), cells)
    assert [codes.row(cell)[0] for cell in ("a", "b", "c", "rare", "never")] == [0, 1, 2, 3, 3]
    assert math.isnan(codes.row(None)[0])
    (tag,) = codes.tags
    assert (tag.categorical, tag.n_levels) == (True, 4)
    assert codes.batch(columns)[-3:, 0].tolist()[:2] == [3.0, 3.0]
    top, _ = fit(CategoryCodes("x", max_levels=1), cells)
    assert [top.row(cell)[0] for cell in ("a", "b", "never")] == [0, 1, 1]


def test_without_a_pool_an_unseen_level_is_as_missing():
    codes, _ = fit(CategoryCodes("x", min_count=1), ["a", "b"])
    assert math.isnan(codes.row("never")[0])
    assert codes.tags[0].n_levels == 2


def test_one_hot_is_scikit_learns(random):
    cells = random.choice(["x", "y", "z", "é"], 200).tolist()
    ours, columns = fit(OneHot("x", min_count=1), cells)
    theirs = OneHotEncoder(categories=[ours.levels_], handle_unknown="ignore", sparse_output=False)
    expected = theirs.fit_transform(np.array(cells, dtype=object).reshape(-1, 1))
    assert_same_bits(ours.batch(columns), expected)
    assert ours.row("never") == (0.0,) * 4


def test_one_hot_has_a_column_for_missing_and_none_for_rare_levels():
    ours, columns = fit(OneHot("x"), ["a", "a", "rare", None, "b", "b"])
    assert [tag.name for tag in ours.tags] == ["x=a", "x=b", "x is missing"]
    assert ours.batch(columns)[2:4].tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("n_classes", [0, 2, 4])
def test_target_encoding_is_scikit_learns(n_classes, random):
    cells = random.choice(["x", "y", "z", "é"], 400, p=[0.6, 0.3, 0.08, 0.02]).tolist()
    y = random.integers(0, n_classes, 400).astype(float) if n_classes else random.normal(size=400)
    ours, columns = fit(TargetEncoding("x", smoothing=20.0), cells, y, n_classes)
    kind = {0: "continuous", 2: "binary", 4: "multiclass"}[n_classes]
    theirs = SklearnTargetEncoder(smooth=20.0, target_type=kind)
    theirs.fit(np.array(cells, dtype=object).reshape(-1, 1), y)
    expected = theirs.transform(np.array([*cells, "never"], dtype=object).reshape(-1, 1))
    np.testing.assert_allclose(ours.batch(columns)[:, :-1], expected[:-1], rtol=1e-12)
    np.testing.assert_allclose(ours.row("never"), [*expected[-1], 0.0], rtol=1e-12)
    assert ours.row("y")[-1] == pytest.approx(math.log1p(cells.count("y")))


def test_target_encoding_out_of_fold_uses_only_other_rows(random):
    """Each row's encoding must be the mean over some four fifths without it: so it ignores its own target."""
    cells = ["a"] * 40 + ["b"] * 40 + ["c"]
    y = random.normal(size=81)
    transform = TargetEncoding("x")
    columns = column_of(transform, cells)
    before = transform.fit_batch(columns, y, n_classes=0, seed=0)
    for i in (0, 41, 80):
        changed = y.copy()
        changed[i] += 1000.0
        after = transform.fit_batch(columns, changed, n_classes=0, seed=0)
        weight = 20 / (sum(cell == cells[i] for cell in cells) - 8 + 20) if cells[i] != "c" else 1.0
        # Only the prior moves (by 1000 / 81), weighed by its share.
        assert after[i, 0] - before[i, 0] == pytest.approx(1000 / 81 * weight, rel=0.05)
    assert before[80].tolist() == pytest.approx([y.mean(), math.log1p(1)])


def test_target_encoding_of_noise_does_not_leak(random):
    """Ids against a random target: the in-sample encoding separates the classes, the out-of-fold one cannot."""
    y = random.integers(0, 2, 2000).astype(float)
    cells = [str(i % 1000) for i in range(2000)]
    transform = TargetEncoding("x")
    columns = column_of(transform, cells)
    out_of_fold = transform.fit_batch(columns, y, n_classes=2, seed=0)[:, 0]
    assert roc_auc_score(y, transform.batch(columns)[:, 0]) > 0.8
    assert abs(roc_auc_score(y, out_of_fold) - 0.5) < 0.06


def test_target_encoding_scaled_counts_standard_deviations(random):
    y = random.normal(200_000, 50_000, 300)
    cells = random.choice(["x", "y"], 300).tolist()
    raw, columns = fit(TargetEncoding("x"), cells, y)
    scaled, _ = fit(TargetEncoding("x", scaled=True), cells, y)
    expected = (raw.batch(columns)[:, 0] - y.mean()) / statistics.pstdev(y.tolist())
    np.testing.assert_allclose(scaled.batch(columns)[:, 0], expected, rtol=1e-9, atol=1e-12)
    assert scaled.row("never")[0] == 0.0


def test_target_encoding_takes_the_most_frequent_classes_and_levels():
    y = np.array([0, 1, 1, 2, 2, 2, 3.0])
    encoding, _ = fit(
        TargetEncoding("x", max_classes=2, max_levels=1), ["a", "b", "b", "b", "c", None, "a"], y, 4
    )
    assert encoding.classes_ == [1, 2]
    assert encoding.levels_ == ["b"]
    assert encoding.row("a") == encoding.row("never")
    assert encoding.row(None) == pytest.approx(((0 + 20 * 2 / 7) / 21, (1 + 20 * 3 / 7) / 21, math.log1p(1)))


def moments(random):
    days, seconds = random.integers(-719162, 2932896, 300), random.integers(0, 86400, 300)
    spread = [EPOCH + dt.timedelta(int(d), int(s)) for d, s in zip(days, seconds, strict=True)]
    edges = [
        dt.datetime(year, month, day, hour, minute, 59, tzinfo=dt.UTC)
        for year in (1, 4, 100, 1600, 1900, 1969, 1970, 2000, 2023, 2024, 9999)
        for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
        for hour, minute in ((0, 0), (23, 59))
    ]
    leaps = [dt.datetime(year, 2, 29, 12, tzinfo=dt.UTC) for year in (4, 1600, 1972, 2000, 2024)]
    before = [EPOCH - dt.timedelta(microseconds=1), EPOCH - dt.timedelta(days=1)]
    return [*spread, *edges, *leaps, *before]


def test_datetime_parts_are_the_standard_librarys(random):
    expected = moments(random)
    seconds = [(moment - EPOCH) / dt.timedelta(seconds=1) for moment in expected]
    parts, columns = fit(DatetimeParts("at"), seconds)
    for row, moment, second in zip(parts.batch(columns).tolist(), expected, seconds, strict=True):
        day_of_year = moment.timetuple().tm_yday
        calendar = [moment.year, moment.month, moment.day, moment.weekday(), day_of_year, moment.hour]
        assert row[1:] == calendar
        assert row[0] == pytest.approx(second / 86400, rel=1e-15)


def test_datetime_parts_keeps_only_what_varies():
    parts, _ = fit(DatetimeParts("at"), [0.0, 86400.0 * 7, None])
    assert [tag.name for tag in parts.tags] == ["at: days", "at: day", "at: day_of_year"]
    assert all(map(math.isnan, parts.row(None)))
    assert all(map(math.isnan, parts.row(1e12)))


def test_cyclic_parts_lie_on_circles():
    hours = [3600.0 * h for h in range(0, 24 * 400, 5)]
    parts, columns = fit(DatetimeParts("at", cyclic=True), [*hours, None])
    matrix = parts.batch(columns)
    assert [tag.name for tag in parts.tags][-1] == "at is missing"
    assert matrix[-1].tolist() == [0.0] * 7 + [1.0]
    names = [tag.name for tag in parts.tags]
    for part, n, first in (("weekday", 7, 3), ("hour", 24, 0), ("day_of_year", 366, 0)):
        sine, cosine = names.index(f"at: sine of {part}"), names.index(f"at: cosine of {part}")
        np.testing.assert_allclose(matrix[:-1, sine] ** 2 + matrix[:-1, cosine] ** 2, 1.0, atol=1e-11)
        assert matrix[0, sine] == pytest.approx(math.sin(2 * math.pi * first / n), abs=1e-11)
    days = np.array(hours) / 86400
    np.testing.assert_allclose(matrix[:-1, 0], (days - days.mean()) / days.std(), rtol=1e-9)


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_tfidf_is_scikit_learns(longest):
    cells = TEXTS * 2 + [TEXTS[0]]
    ours, columns = fit(TextTFIDF("t", min_documents=3, longest=longest), cells)
    theirs = TfidfVectorizer(token_pattern=r"\w+", min_df=3, ngram_range=(1, longest))
    expected = theirs.fit_transform(cells).toarray()
    assert ours.vocabulary_.terms == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.batch(columns), expected, rtol=1e-12, atol=1e-15)


def test_tfidf_keeps_the_terms_that_most_rows_hold():
    ours, columns = fit(TextTFIDF("t", max_terms=2, longest=1), ["a b", "a c", "a b c", "d d d d d d", None])
    assert ours.vocabulary_.terms == ["a", "b"]
    assert ours.batch(columns)[-2:].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_svd_is_scikit_learns_up_to_signs(random):
    words = [f"w{i}" for i in range(40)]
    cells = [" ".join(random.choice(words[k * 8 : k * 8 + 16], 12)) for k in range(4) for _ in range(40)]
    cells += cells[:20]
    ours, columns = fit(TextSVD("t", n_components=3, longest=1), cells)
    tfidf = TfidfVectorizer(token_pattern=r"\w+", min_df=2).fit_transform(cells)
    expected = TruncatedSVD(3, algorithm="arpack").fit_transform(tfidf)
    matrix = ours.batch(columns)
    np.testing.assert_allclose(np.abs(matrix[:, :3]), np.abs(expected), rtol=1e-6, atol=1e-8)
    assert matrix[0, 3:].tolist() == [len(cells[0]), 12]
    assert (ours.vectors_.max(axis=0) >= -ours.vectors_.min(axis=0)).all()


def test_svd_does_not_hang_on_the_order_of_rows():
    one, _ = fit(TextSVD("t"), TEXTS * 3)
    two, _ = fit(TextSVD("t"), (TEXTS * 3)[::-1])
    assert_same_bits(one.vectors_, two.vectors_)


def test_text_without_common_words_still_has_lengths():
    ours, _ = fit(TextSVD("t"), ["one", "two", None])
    assert list(ours.row("three words here")) == [16.0, 3.0]
    assert fit(TextTFIDF("t"), ["one", "two"])[0].tags == []


def test_a_learner_reads_texts_through_both_views(random):
    good, bad = ["great", "love", "works", "happy"], ["broken", "refund", "awful", "late"]
    y = random.integers(0, 2, 400).astype(float)
    cells = [" ".join(random.choice((bad, good)[int(k)], 3)) + f" order {i}" for i, k in enumerate(y)]
    for transform in (TextSVD("t"), TextTFIDF("t")):
        fitted, columns = fit(transform, cells[:200], y[:200])
        model = LogisticRegression().fit(fitted.batch(columns), y[:200])
        later = fitted.batch(column_of(transform, cells[200:]))
        assert model.score(later, y[200:]) > 0.97


def test_many_texts_are_sampled_by_seed():
    cells = [f"t{i % 50} u{i}" for i in range(20_500)]
    one, _ = fit(TextTFIDF("t", longest=1), cells, seed=1)
    two, _ = fit(TextTFIDF("t", longest=1), cells, seed=2)
    assert one.vocabulary_.terms == two.vocabulary_.terms == sorted(f"t{i}" for i in range(50))
    assert one.vocabulary_.idf.tolist() != two.vocabulary_.idf.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ScaledNumber("x", clip=0.5),
        lambda: WinsorizedNumber("x", tails=0.3),
        lambda: CategoryCodes("x", min_count=0),
        lambda: OneHot("x", max_levels=1.5),
        lambda: TargetEncoding("x", smoothing=0.0),
        lambda: DatetimeParts("x", cyclic=1),
        lambda: TextTFIDF("x", longest=9),
        lambda: TextSVD("x", n_components=0),
    ],
)
def test_hyperparameters_are_checked(wrong):
    with pytest.raises(ParameterError, match="allowed"):
        wrong()


def test_unfit_levels_in_a_subset_count_for_nothing():
    whole = Coded(np.array([0, 0, 1, 1, 2, 2], np.int32), ["a", "b", "c"])
    part = Coded(whole.codes[:4], whole.levels)
    codes = CategoryCodes("x").fit({"x": part}, np.zeros(4), n_classes=0, seed=0)
    assert codes.levels_ == ["a", "b"]


@pytest.mark.parametrize(
    ("transform", "cells", "change"),
    [
        (OneHot("x"), ["a", "a"], {"params": {"min_count": 0, "max_levels": 30}}),
        (OneHot("x"), ["a", "a"], {"levels": ["a", "a"]}),
        (DatetimeParts("x"), [0.0, 1e9], {"parts": ["year", "days"]}),
        (DatetimeParts("x"), [0.0, 1e9], {"parts": ["century"]}),
        (DatetimeParts("x"), [0.0, 1e9], {"has_flag": True}),
        (ScaledNumber("x"), [0.0, 1.0], {"deviation": 0.0}),
        (WinsorizedNumber("x"), [0.0, 1.0], {"low": 1.0, "high": 1.0}),
        (TextSVD("x"), ["a b", "a"], {"components": 33}),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(transform, cells, change):
    state = fit(transform, cells)[0].state()
    type(transform).from_state(state)
    with pytest.raises(BundleContentError):
        type(transform).from_state(State({**state.tree, **change}, state.arrays))


def test_a_text_weight_of_zero_is_refused():
    """It would leave a text without a length to divide by."""
    state = fit(TextTFIDF("x"), ["a b", "a"])[0].state()
    with pytest.raises(BundleContentError, match="idf"):
        TextTFIDF.from_state(State(state.tree, {"idf": np.zeros(1)}))
