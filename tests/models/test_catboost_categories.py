"""CatBoost's native categories: our tables against the catboost package itself."""

from dataclasses import replace

import catboost
import numpy as np
import pytest

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.files import read_json
from mlwright.data.schema import TaskKind
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.catboost_ctr import CategoryTables, Combinations
from mlwright.models.catboost_export import target_classes
from mlwright.testing import models as kit

BINARY, MULTICLASS, REGRESSION = kit.TASKS[:3]
NONE = np.zeros(0)


@pytest.fixture
def trained(monkeypatch):
    """The package's own models with their own CTR tables, which ours do without."""
    kept, save, create = [], catboost.CatBoost.save_model, catboost.CatBoost.__init__

    def keep(self, *args, **kwargs):
        kept.append(self)
        return save(self, *args, **kwargs)

    def complete(self, params=None):
        create(self, {k: v for k, v in params.items() if k != "final_ctr_computation_mode"})

    monkeypatch.setattr(catboost.CatBoost, "save_model", keep)
    monkeypatch.setattr(catboost.CatBoost, "__init__", complete)
    return kept


def table(task, n_rows, seed, n_levels=(3, 12, 40), n_numbers=2):
    """Codes with missing ones, numbers with missing ones, and a target that only combinations explain."""
    random = np.random.default_rng(seed)
    codes = np.column_stack([random.integers(0, n, n_rows) for n in n_levels])
    X = np.column_stack([codes, random.normal(size=(n_rows, n_numbers))])[:, random.permutation(5)]
    is_code = (np.round(X) == X).all(axis=0)
    raw = ((codes[:, 0] + codes[:, 1]) % 3) * 1.0 + (codes[:, 2] % 4) * 0.5
    raw += np.where(is_code, 0, X).sum(axis=1) + 0.3 * random.normal(size=n_rows)
    X[random.random(X.shape) < 0.06] = np.nan
    categorical = tuple(np.flatnonzero(is_code).tolist())
    if task is REGRESSION:
        return X, np.round(raw * 4), categorical  # ties, as targets have
    cuts = np.quantile(raw, [0.4] if task is BINARY else [0.3, 0.7])
    return X, np.digitize(raw, cuts).astype(np.float64), categorical


def strange(X, categorical, seed=9):
    """Rows with codes that training never saw, new combinations, and missing cells."""
    random = np.random.default_rng(seed)
    rows = X[random.integers(0, len(X), 300)].copy()
    for column in categorical:
        rows[:, column] = random.permutation(rows[:, column])
        rows[random.random(300) < 0.1, column] = 99
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[0] = np.nan
    return np.concatenate([X, rows])


def as_catboost(X, categorical):
    """Rows as the package takes them, made without our code: 0 is missing, 1 the code 0, and so on."""
    rows = X.astype(object)
    for column in categorical:
        rows[:, column] = ["0" if np.isnan(code) else str(int(code) + 1) for code in X[:, column]]
    numbers = [c for c in range(X.shape[1]) if c not in categorical]
    return catboost.Pool(
        catboost.FeaturesData(
            X[:, numbers].astype(np.float32),
            np.array([[cell.encode() for cell in row] for row in rows[:, list(categorical)]], dtype=object),
        )
    )


@pytest.mark.parametrize(
    "params",
    [
        {"max_ctr_complexity": 1},
        {"max_ctr_complexity": 2, "one_hot_max_size": 5},
        {"max_ctr_complexity": 4, "depth": 8, "one_hot_max_size": 1},
    ],
    ids=["simple", "pairs", "deep"],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION], ids=lambda task: task.kind)
def test_predictions_are_the_package_s(task, weighted, params, trained):
    seed = 3 * params["max_ctr_complexity"] + weighted
    X, y, categorical = table(task, 500, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(y)) if weighted else None
    context = FitContext(task, categorical, n_iterations=30, seed=seed, weights=weights)
    model = CatBoost(learning_rate=0.2, **params).fit(X, y, context)
    rows = strange(X, categorical)
    form = "RawFormulaVal" if task is REGRESSION else "Probability"
    want = trained[-1].predict(as_catboost(rows, categorical), prediction_type=form).reshape(len(rows), -1)
    want = want[:, 1:] if task is BINARY else want
    assert "ctr_keys" in model.state().arrays
    np.testing.assert_allclose(model.predict(rows), want, rtol=1e-12, atol=1e-9)
    assert [list(model.predict_row(row)) for row in rows[-99:]] == model.predict(rows)[-99:].tolist()


@pytest.mark.parametrize(
    ("task", "boosting_type"),
    [(BINARY, "ordered"), (BINARY, "plain"), (MULTICLASS, "plain"), (REGRESSION, "ordered")],
    ids=lambda value: getattr(value, "kind", value),
)
def test_a_fit_that_stopped_early_is_replayed(task, boosting_type):
    X, y, categorical = table(task, 450, 5)
    X[300:330, categorical[0]] = 77  # validation holds codes that training lacks
    params = {"learning_rate": 0.4, "boosting_type": boosting_type, "depth": 4}
    early = FitContext(task, categorical, valid=(X[300:], y[300:]), seed=4)
    one = CatBoost(**params).fit(X[:300], y[:300], early)
    again = replace(early, valid=None, n_iterations=one.n_iterations_, threads=2)
    assert one.n_iterations_ > 1
    assert kit.same_bits(one, CatBoost(**params).fit(X[:300], y[:300], again))


class Coded(CatBoost):
    """CatBoost for the kit, with the column of small integers as a category."""

    def fit(self, X, y, context):
        return super().fit(X, y, replace(context, categorical=(3,)))


@pytest.mark.parametrize(
    "check", [kit.shapes, kit.threads, kit.rows, kit.round_trip, kit.stops, kit.replays, kit.missing]
)
@pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION], ids=lambda task: task.kind)
def test_the_kit_s_rules_hold_with_a_category(check, task):
    check(lambda: Coded(learning_rate=0.3, depth=3), task)


def test_a_table_of_categories_alone():
    X, y, categorical = table(BINARY, 400, 1)
    X = X[:, list(categorical)]
    model = CatBoost(learning_rate=0.3).fit(X, y, FitContext(BINARY, (0, 1, 2), n_iterations=40))
    assert ((model.predict(X)[:, 0] > 0.5) == y).mean() > ((y == 1).mean() + 0.1)


def test_targets_are_cut_as_the_package_cuts_them(tmp_path):
    """The package's own counts by class, over targets with ties and weights, are ours."""
    random = np.random.default_rng(0)
    targets = [np.repeat([0, 1, 2], [10, 12, 10]), np.repeat([0, 1, 2, 7], 6), random.integers(0, 4, 50)]
    for y in [*targets, random.normal(size=45), random.exponential(size=60).round(1)]:
        codes = random.integers(0, 4, len(y))
        pool = catboost.Pool(
            [[str(code)] for code in codes], y, cat_features=[0], weight=random.random(len(y)) + 0.1
        )
        options = {"iterations": 20, "depth": 2, "one_hot_max_size": 1, "logging_level": "Silent"}
        machine = catboost.CatBoost({**options, "allow_writing_files": False, "loss_function": "RMSE"}).fit(
            pool
        )
        machine.save_model(str(tmp_path / "m.json"), format="json")
        (counted, *_) = (
            value["hash_map"]
            for key, value in read_json(tmp_path / "m.json")["ctr_data"].items()
            if "Borders" in key
        )
        filled = {counted[i]: counted[i + 1 : i + 3] for i in range(0, len(counted), 3)}
        filled.pop(str(2**64 - 1), None)  # an empty place of the package's table
        want = np.bincount(target_classes(y.astype(np.float64)), minlength=2)
        assert np.sum(list(filled.values()), axis=0).tolist() == want.tolist()


def test_weights_of_validation_decide_when_to_stop():
    X, y, categorical = table(BINARY, 10_400, 2)
    train, (Xv, yv) = (X[:400], y[:400]), (X[400:], y[400:])
    false, heavy = yv.copy(), np.ones(len(yv))
    false[5000:], heavy[5000:] = 1 - yv[5000:], 1e-9
    base = FitContext(BINARY, categorical, seed=1)
    good = CatBoost(learning_rate=0.3).fit(*train, replace(base, valid=(Xv[:5000], yv[:5000])))
    weighed = CatBoost(learning_rate=0.3).fit(*train, replace(base, valid=(Xv, false), valid_weights=heavy))
    misled = CatBoost(learning_rate=0.3).fit(*train, replace(base, valid=(Xv, false)))
    assert good.n_iterations_ == weighed.n_iterations_ != misled.n_iterations_


def test_weights_move_a_constant():
    y, weights = np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0])
    model = CatBoost().fit(np.ones((3, 1)), y, FitContext(REGRESSION, (0,), weights=weights))
    assert model.predict(np.ones((1, 1))).tolist() == [[5.25]]


def hand_made():
    """Two categories of 3 and 2 codes, a question about the second, one about a number, and two combinations."""
    combinations = Combinations(
        np.array([0, 2], np.int32),
        np.array([3, 2]),
        np.array([[1, 2]], np.int32),
        np.array([1], np.int32),
        np.array([0.5], np.float32),
        np.array([[1, 0, 0], [1, 2, 4]], np.int32),
    )
    return CategoryTables(
        combinations,
        counts=np.array([2, 1]),
        keys=np.array(
            [1, 3, 1 + 5 * 2 + 20]
        ),  # codes 0 and 2; then codes 0 and 1 where the number exceeds 0.5
        slots=np.array([1, 2, 4], np.int32),
        unseen=np.array([0, 3], np.int32),
        owners=np.array([0, 1], np.int32),
        values=np.array([0, 1, 2, 3, 4], np.float32),
    )


def test_hand_made_tables():
    rows = np.array(
        [
            [0, 1, 1],
            [0, 0.5, 1],
            [2, 1, 1],
            [1, 1, 0],
            [np.nan, 1, np.nan],
            [5, np.nan, -1],
            [0.5, 1, np.inf],
        ],
        np.float32,
    )
    want = [[1, 1, 4], [1, 1, 3], [1, 2, 3], [0, 0, 3], [0, 0, 3], [0, 0, 3], [0, 0, 3]]
    tables = hand_made()
    assert tables.widen(rows)[:, 3:].tolist() == want
    alone = np.zeros(3 + tables.n_added, np.float32)
    widen = tables.bind(alone)
    for row, numbers in zip(rows, want, strict=True):
        alone[:3] = row
        widen()
        assert alone[3:].tolist() == numbers
    np.testing.assert_array_equal(tables.widen(rows)[:, :3], rows)


_INT, _LONG = np.int32, np.int64
BAD = {
    "ctr_columns": [np.array([2, 0], _INT), np.array([0, 3], _INT), np.array([-1, 2], _INT)],
    "ctr_levels": [np.array([-1, 2]), np.array([3, 2**40]), np.array([3.0, 2.0])],
    "ctr_equal": [np.array([[2, 2]], _INT), np.array([[1, -1]], _INT), np.array([1, 2], _INT)],
    "ctr_bit_columns": [np.array([3], _INT), np.array([-1], _INT), np.array([1, 1], _INT)],
    "ctr_bit_borders": [np.array([np.nan], np.float32), np.array([0.5])],
    "ctr_parts": [
        np.array([[0, 1, 0], [1, 2, 4]], _INT),
        np.array([[1, 0, 2], [1, 2, 4]], _INT),
        np.array([[1, 0, 0], [1, 2, 5]], _INT),
        np.array([[1, 0, 0]], _INT),
    ],
    "ctr_counts": [np.array([2, 2]), np.array([3, 0]), np.array([2**62, 2**62 + 3]), np.array([3])],
    "ctr_keys": [np.array([3, 1, 31]), np.array([1, 1, 31]), np.array([1, 5, 31]), np.array([-1, 3, 31])],
    "ctr_slots": [np.array([1, 5, 4], _INT), np.array([-1, 2, 4], _INT), np.array([1, 2], _INT)],
    "ctr_unseen": [np.array([0, 5], _INT), np.array([-1, 3], _INT)],
    "ctr_owners": [np.array([1, 0], _INT), np.array([0, 2], _INT), np.array([0, 0], _INT)],
    "ctr_values": [np.array([0, 1, 2, 3], np.float32), np.array([0, 1, 2, 3, np.nan], np.float32)],
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_tables_are_refused(name):
    state = hand_made().state()
    assert CategoryTables.from_state(state, "catboost", 3).state().arrays.keys() == BAD.keys()
    for bad in BAD[name]:
        with pytest.raises(BundleContentError):
            CategoryTables.from_state(State({}, {**state.arrays, name: bad}), "catboost", 3)
    with pytest.raises(BundleContentError):
        CategoryTables.from_state(
            State({}, {k: v for k, v in state.arrays.items() if k != name}), "catboost", 3
        )


def test_combinations_with_too_many_keys_are_refused():
    state = hand_made().state()
    many = {**state.arrays, "ctr_levels": np.array([1 << 24, 1 << 24])}
    three = {**many, "ctr_parts": np.array([[1, 0, 0], [1, 2, 1]], np.int32)}
    CategoryTables.from_state(State({}, many), "catboost", 3)
    with pytest.raises(BundleContentError, match="too many keys"):
        CategoryTables.from_state(State({}, three), "catboost", 3)


def test_a_tree_asks_no_column_beyond_the_tables():
    X, y, categorical = table(BINARY, 300, 0)
    state = CatBoost(depth=3).fit(X, y, FitContext(BINARY, categorical, n_iterations=10)).state()
    features = state.arrays["features"].copy()
    features[0, 0] = X.shape[1] + len(state.arrays["ctr_equal"]) + len(state.arrays["ctr_owners"])
    with pytest.raises(BundleContentError, match="column"):
        CatBoost.from_state(State(state.tree, {**state.arrays, "features": features}))
    with pytest.raises(BundleContentError):
        CatBoost.from_state(State({**state.tree, "categories": False}, state.arrays))


def test_codes_too_many_to_combine_are_not_combined():
    random = np.random.default_rng(0)
    X = random.integers(0, 90_000, (400, 4)).astype(np.float64)
    X[:, 3] = random.integers(0, 6, 400)
    y = X[:, 3] % 2
    context = FitContext(BINARY, (0, 1, 2, 3), n_iterations=5)
    model = CatBoost(max_ctr_complexity=4, learning_rate=0.3).fit(X, y, context)
    assert ((model.predict(X)[:, 0] > 0.5) == y).all()


def test_the_price_grows_with_trees_and_outputs():
    few, many = CatBoost.price({}, 100, 1), CatBoost.price({}, 1000, 1)
    assert few < many < CatBoost.price({}, 1000, 7)
    assert CatBoost.price({"max_ctr_complexity": 2}, 100, 1) > few


def test_the_kinds_of_task():
    assert [CatBoost.fits(task) for task in (BINARY, MULTICLASS, REGRESSION)] == [True] * 3
    assert not any(CatBoost.fits(replace(BINARY, kind=kind)) for kind in TaskKind if not kind.needs_target)


@pytest.mark.parametrize("task", [BINARY, MULTICLASS, REGRESSION], ids=lambda task: task.kind)
@pytest.mark.parametrize(
    "params", [{}, {"one_hot_max_size": 20, "max_ctr_complexity": 3}], ids=["pairs", "one_hot"]
)
def test_contributions_are_the_package_s(task, params, trained):
    X, y, categorical = table(task, 500, seed=4)
    model = CatBoost(depth=6, **params).fit(X, y, FitContext(task, categorical, n_iterations=20))
    assert model._categories is not None
    if not params:  # combinations, and not only single categories
        assert max(map(len, model._categories.sources())) > 1
    rows = strange(X, categorical)[::9]
    want = trained[-1].get_feature_importance(as_catboost(rows, categorical), type="ShapValues")
    want = want.reshape(len(rows), task.n_outputs, -1)
    order = [c for c in range(X.shape[1]) if c not in categorical] + list(categorical) + [X.shape[1]]
    got = CatBoost.from_state(model.state()).contributions(rows)
    np.testing.assert_allclose(got[..., order], want, rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.sum(axis=2), model.margins(rows), rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.contributions(rows[:1]), got[:1], rtol=0, atol=1e-12)
