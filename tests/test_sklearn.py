"""The estimators behave as scikit-learn's own do, and answer what their bundle answers."""

import copy
import gc
import io
import pickle  # noqa: TID251 - what others do with a fitted estimator; the product itself never unpickles
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import mlwright
from mlwright.core.errors import BundleIntegrityError
from mlwright.sklearn import AutoClassifier, AutoRegressor

QUICK = 0.5  # seconds; where it does not matter which trials end


# What sees more than the interface: for these the model is a blend with trees and networks.
OF_THE_MODEL = {
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
}


def expected_failures(estimator):
    """What scikit-learn expects of no estimator of its own that deals rows to folds or draws them."""
    reason = "a row that stands twice is dealt to folds as two rows; one with a weight of 2 is one row"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


# So few trials end long before the default budget, so that no clock decides what is compared.
@parametrize_with_checks(
    [AutoClassifier(n_trials=2), AutoRegressor(n_trials=2)], expected_failed_checks=expected_failures
)
def test_scikit_learns_own_checks(estimator, check):
    name = check.func.__name__
    check(clone(estimator).set_params(n_trials=5) if name in OF_THE_MODEL else estimator)


def test_the_checks_of_the_model_are_scikit_learns():
    assert all(hasattr(estimator_checks, name) for name in OF_THE_MODEL)


def people(n=120, seed=0):
    """A frame with a column of every kind and with holes, and whether each of its people left."""
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 80, n)
    plan = draw.choice(["year", "month", "two years"], n)
    words = np.array(["slow", "broken", "late", "good", "fast", "friendly", "kind", "rude"])
    texts = [" ".join(draw.choice(words, 6)) + f" visit {i}" for i in range(n)]
    odds = (age - 45) / 12 + (plan == "month") * 2 - 0.7 + draw.normal(scale=0.4, size=n)
    frame = pd.DataFrame(
        {
            "age": age,
            "plan": pd.Categorical(plan),
            "said": texts,
            "city": draw.choice(["Bern", "Köln", "Łódź"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 1500, n), unit="D"),
            "paid": draw.normal(size=n).round(3),
            "mail": draw.random(n) < 0.5,
        }
    )
    for column in ("plan", "said", "city", "since", "paid"):
        frame.loc[draw.random(n) < 0.1, column] = None
    return frame, np.where(odds > 0, "stayed", "gone")


@pytest.fixture(scope="module")
def fitted():
    X, y = people()
    return AutoClassifier(budget_s=QUICK, random_state=0).fit(X, y)


def test_a_frame_of_all_kinds_is_learned(fitted):
    X, y = people(400, seed=1)
    assert fitted.classes_.tolist() == ["gone", "stayed"]
    assert list(fitted.feature_names_in_) == list(X.columns)
    assert accuracy_score(y, fitted.predict(X)) > 0.8
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert log_loss(y, proba, labels=fitted.classes_) < 0.5


def test_one_record_is_answered_as_the_table_is(fitted):
    X, _ = people(40, seed=2)
    proba = fitted.predict_proba(X)
    for index, row in enumerate(X.to_dict("records")):
        record = {
            key: value.isoformat() if isinstance(value, pd.Timestamp) else None if pd.isna(value) else value
            for key, value in row.items()
        }
        answer = fitted.predictor_.predict_one(record)
        of = dict(zip(fitted.classes_, proba[index], strict=True))
        assert answer["prediction"] == max(of, key=of.get)
        assert answer["probability"] == pytest.approx(of, abs=1e-9)


@pytest.mark.parametrize(
    "to", [pl.from_pandas, lambda X: pl.from_pandas(X).to_arrow()], ids=["polars", "arrow"]
)
def test_other_frames_give_what_pandas_gives(fitted, to):
    X, _ = people(40, seed=3)
    np.testing.assert_array_equal(fitted.predict_proba(to(X)), fitted.predict_proba(X))


def test_a_polars_frame_can_be_fitted():
    X, y = people()
    model = AutoClassifier(budget_s=QUICK, random_state=0).fit(pl.from_pandas(X), pl.Series(y))
    assert accuracy_score(y, model.predict(pl.from_pandas(X))) > 0.8


ODD = [
    pytest.param(["b", "a"], id="text"),
    pytest.param(["yes", "no"], id="yes-and-no"),
    pytest.param(["z", "b", "a"], id="three"),
    pytest.param([3, 10, -1], id="whole"),
    pytest.param([1, 0], id="one-and-zero"),
    pytest.param([True, False], id="bool"),
    pytest.param([2.0, 1.0], id="float"),
    pytest.param([2.0, -7.0, 30.0], id="floats"),
    pytest.param(["10", "9", "1"], id="numbers-as-text"),
    pytest.param(["1", "1.0", "01"], id="alike-as-numbers"),
    pytest.param(["", "NA", "null"], id="like-missing"),
    pytest.param(["true", "True"], id="alike-as-words"),
]


@pytest.mark.parametrize("labels", ODD)
def test_columns_stand_in_the_order_of_the_sorted_classes(labels):
    X = np.random.default_rng(0).normal(size=(90, 2))
    y = np.array(labels)[np.digitize(X[:, 0], [0.0] if len(labels) == 2 else [-0.5, 0.6])]
    model = AutoClassifier(budget_s=QUICK, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.classes_.dtype == y.dtype
    assert model.predict(X).dtype == y.dtype
    assert accuracy_score(y, model.predict(X)) > 0.85
    right = np.searchsorted(model.classes_, y)
    assert (model.predict_proba(X).argmax(axis=1) == right).mean() > 0.85


def test_labels_of_a_nullable_or_categorical_series():
    X = np.random.default_rng(0).normal(size=(60, 2))
    for dtype in ("boolean", "string", "category"):
        y = pd.Series(X[:, 0] > 0).astype(dtype)
        model = AutoClassifier(budget_s=QUICK, random_state=0).fit(X, y)
        assert (model.predict(X) == y.to_numpy()).mean() > 0.85


def test_arrays_of_text_and_lists_are_read_as_a_frame_would_be():
    frame, y = people(60)
    frame = frame[["age", "plan"]]
    cells = frame.astype(object).to_numpy()
    model = AutoClassifier(n_trials=5, random_state=0).fit(cells.tolist(), y.tolist())
    named = AutoClassifier(n_trials=5, random_state=0).fit(frame, y)
    assert {c.name: c.kind for c in model.predictor_.schema.features} == {
        f"x{i}": named.predictor_.schema[name].kind for i, name in enumerate(frame.columns)
    }
    expected = named.predict_proba(frame)
    np.testing.assert_allclose(model.predict_proba(cells), expected, atol=1e-9)
    np.testing.assert_array_equal(model.predict_proba(cells.tolist()), model.predict_proba(cells))


def test_numbers_with_holes_are_learned():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(150, 4))
    y = 3 * X[:, 0] - X[:, 1] + draw.normal(scale=0.1, size=150)
    X[draw.random(X.shape) < 0.1] = np.nan
    X[:, 3] = np.nan
    model = AutoRegressor(budget_s=QUICK, random_state=0).fit(X, y)
    assert r2_score(y, model.predict(X)) > 0.8
    np.testing.assert_array_equal(model.predict(X.tolist()), model.predict(X))
    record = {f"x{i}": None if np.isnan(v) else v for i, v in enumerate(X[0])}
    assert model.predictor_.predict_one(record)["prediction"] == pytest.approx(model.predict(X)[0], abs=1e-9)


def test_shuffled_rows_may_learn_from_the_minutes_around_them():
    draw = np.random.default_rng(0)
    level = np.cumsum(draw.normal(size=800))
    when = pd.date_range("2026-01-01", periods=800, freq="10min")
    X = pd.DataFrame({"timestamp": when, "noise": draw.normal(size=800)})
    rows = draw.permutation(800)
    fit, ask = rows[:600], rows[600:]
    scores = {
        split: r2_score(
            level[ask],
            AutoRegressor(n_trials=3, random_state=0, split=split)
            .fit(X.iloc[fit], level[fit])
            .predict(X.iloc[ask]),
        )
        for split in ("auto", "shuffled")
    }
    assert scores["shuffled"] > 0.95
    assert scores["auto"] < scores["shuffled"]


def test_it_works_in_scikit_learns_tools():
    X, y = people(90)
    assert cross_val_score(AutoClassifier(budget_s=QUICK, random_state=0), X, y, cv=3).mean() > 0.7
    numbers = X[["age", "paid"]].to_numpy(dtype=float)
    target = numbers[:, 0] ** 2
    search = GridSearchCV(
        make_pipeline(StandardScaler(), AutoRegressor(random_state=0)),
        {"autoregressor__budget_s": [0.2, QUICK], "autoregressor__metric": ["rmse", "mae"]},
        cv=2,
    ).fit(numbers, target)
    assert search.best_score_ > 0.8
    chosen = search.best_estimator_[-1]
    assert chosen.predictor_.task.metric == search.best_params_["autoregressor__metric"]
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(numbers), search.predict(numbers))
    assert again.best_estimator_[-1].bundle_ != chosen.bundle_


def test_the_same_seed_gives_the_same_model():
    X, y = people(40)
    X = X[["age", "city"]]
    one, two, other = (
        AutoClassifier(n_trials=6, random_state=seed).fit(X, y).predict_proba(X) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


class Recording(pickle.Unpickler):
    """Notes what a pickle asks to be imported."""

    def __init__(self, *args):
        super().__init__(*args)
        self.found = set()

    def find_class(self, module, name):
        self.found.add(f"{module}.{name}")
        return super().find_class(module, name)


def test_a_pickle_carries_the_bundle_and_none_of_our_objects(fitted):
    X, _ = people(40, seed=4)
    reader = Recording(io.BytesIO(pickle.dumps(fitted)))
    loaded = reader.load()
    assert {name for name in reader.found if name.startswith("mlwright")} == {
        "mlwright.sklearn.AutoClassifier"
    }
    assert loaded.bundle_ != fitted.bundle_
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    again = copy.deepcopy(loaded)
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(clone(fitted), "predictor_")
    assert copy.deepcopy(AutoRegressor(budget_s=3)).budget_s == 3


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_outlives_its_original(again):
    X = np.random.default_rng(0).normal(size=(60, 2))
    held = make_pipeline(StandardScaler(), AutoRegressor(budget_s=QUICK, random_state=0)).fit(X, X[:, 0])
    expected, folder = held.predict(X), Path(held[-1].bundle_).parent
    model = make_pipeline(held[0], again(held[-1])) if again is copy.copy else again(held)
    del held
    gc.collect()
    assert not folder.exists()
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model[-1].predictor_.sha256 == mlwright.load(model[-1].bundle_).sha256
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == expected.tolist()


def test_a_bundle_that_is_no_longer_there_is_not_carried():
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = AutoRegressor(budget_s=QUICK).fit(X, X[:, 0])
    (Path(model.bundle_) / "plan.json").write_text("{}")
    with pytest.raises(BundleIntegrityError):
        pickle.dumps(model)
    for file in sorted(Path(model.bundle_).rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    Path(model.bundle_).rmdir()
    with pytest.raises(ValueError, match="no longer the one that fit wrote"):
        pickle.dumps(model)


def test_the_bundle_is_one_that_the_rest_of_mlwright_loads(tmp_path):
    X, y = people(60)
    model = AutoClassifier(budget_s=QUICK, folder=tmp_path).fit(X, y)
    assert model.bundle_ == str(tmp_path / "bundle")
    assert {"report.html", "card.md"} <= {path.name for path in Path(model.bundle_).rglob("*")}
    frame = mlwright.load(model.bundle_).predict(X)
    np.testing.assert_array_equal(frame["probability_stayed"], model.predict_proba(X)[:, 1])
    model.fit(X.head(50), y[:50])  # into the same folder
    assert mlwright.load(model.bundle_).sha256 == model.predictor_.sha256


def test_nothing_but_a_bundle_is_replaced(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match="is no bundle"):
        AutoRegressor(budget_s=QUICK, folder=tmp_path).fit(X, X[:, 0])
    assert (tmp_path / "bundle" / "notes.txt").read_text() == "mine"


def test_a_temporary_bundle_goes_with_its_estimator():
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = AutoRegressor(budget_s=QUICK).fit(X, X[:, 0])
    folder = Path(model.bundle_).parent
    assert folder.is_dir()
    del model
    gc.collect()
    assert not folder.exists()


def test_rows_count_by_their_weights():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 2))
    heavy = np.arange(200) % 2 == 0
    y = np.where(heavy, X[:, 0], 3.0 - X[:, 0])  # two lines that contradict each other
    weights = np.where(heavy, 50.0, 1.0)
    oracle = LinearRegression().fit(X, y, sample_weight=weights).predict(X)
    model = AutoRegressor(n_trials=2, random_state=0)
    np.testing.assert_allclose(model.fit(X, y, sample_weight=weights).predict(X), oracle, atol=0.1)
    assert np.abs(model.fit(X, y).predict(X) - oracle).max() > 1.0
    labels = np.where(y > 1, "high", "low")
    model = AutoClassifier(n_trials=3, random_state=0).fit(X, labels, sample_weight=list(weights))
    assert accuracy_score(labels[heavy], model.predict(X[heavy])) > 0.85
    assert "sample_weight" not in model.predictor_.predict_one({"x0": 0.1, "x1": 0.2})


def test_rows_without_weight_are_not_there_and_equal_weights_are_none():
    X, y = people(90)
    X = X[["age", "city"]].assign(weight=1.0, target=2.0)  # names that the estimator would take for itself
    labels = y.astype(object)
    labels[:10] = "never"
    weights = np.where(np.arange(90) < 10, 0.0, 7.0)
    model = AutoClassifier(n_trials=5, random_state=0).fit(X, labels, sample_weight=weights)
    other = AutoClassifier(n_trials=5, random_state=0).fit(X.iloc[10:], y[10:])
    assert model.classes_.tolist() == ["gone", "stayed"]
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("model", [AutoClassifier(), AutoRegressor()])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 39, "sample_weight.shape"),
        ([1.0] * 39 + [-1.0], "Negative"),
        ([1.0] * 39 + [np.nan], "NaN"),
        ([0.0] * 40, "zero"),
    ],
)
def test_weights_that_cannot_be_used_are_value_errors(model, weights, message):
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match=message):
        model.fit(X, np.arange(40) % 2, sample_weight=weights)


def test_what_a_check_would_stop_is_told_and_not_refused():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 1] = X[:, 0] > 0
    model = AutoClassifier(budget_s=QUICK).fit(X, X[:, 1].astype(int))
    assert "leak:x1" in {finding["code"] for finding in model.findings_}
    assert accuracy_score(X[:, 1], model.predict(X)) == 1.0


def test_a_class_of_one_row_is_no_reason_to_refuse():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(X[:, 0] > 0, "a", "b")
    y[0] = "lone"
    model = AutoClassifier(budget_s=QUICK).fit(X, y)
    assert model.predict_proba(X).shape == (60, 3)
    assert accuracy_score(y, model.predict(X)) > 0.8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "roc"}, "unknown metric: got 'roc'.*did you mean 'roc_auc'"),
        ({"metric": "rmse"}, "metric does not fit"),
        ({"budget_s": 0}, "budget_s is out of range"),
        ({"budget_s": "soon"}, "budget_s is not a duration"),
        ({"split": "shuffle"}, "unknown split: got 'shuffle'.*did you mean 'shuffled'"),
    ],
)
def test_a_wrong_parameter_is_a_value_error_with_the_same_words(params, message):
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match=message):
        AutoClassifier(**params).fit(X, X[:, 0] > 0)


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_a_label_that_is_missing_is_an_error(gap):
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = np.where(X[:, 0] > 0, "a", "b").astype(object)
    y[3] = gap
    with pytest.raises(ValueError, match="contains NaN"):
        AutoClassifier(budget_s=QUICK).fit(X, y)


def test_frames_that_do_not_fit_are_value_errors(fitted):
    X, y = people(40)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.drop(columns="age"))
    with pytest.raises(ValueError, match="0 sample"):
        fitted.predict(X.head(0))
    with pytest.raises(ValueError, match="0 feature"):
        AutoClassifier().fit(X[[]], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AutoClassifier().fit(X, y[:-1])
    with pytest.raises(ValueError, match="only 5 rows"):
        AutoClassifier().fit(X.head(5), y[:5])
    with pytest.raises(TypeError, match=r"string or a.* number"):
        AutoClassifier().fit([[{"a": 1}, 2.0]] * 20, ["a", "b"] * 10)
