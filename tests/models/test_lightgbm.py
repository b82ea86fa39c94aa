"""LightGBM against the lightgbm package itself, and against texts that must never reach its C++."""

import gc
import os
import re
import subprocess
import sys
import threading

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwright.core.errors import BundleContentError, ParameterError
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.lightgbm import LightGBM
from mlwright.models.lightgbm_audit import audit, parse, render
from mlwright.models.lightgbm_native import NativeBooster
from mlwright.testing.models import TASKS, training

REGRESSION = Task(TaskKind.REGRESSION, "y", "rmse")


def with_categories(task, n_rows=600, seed=0):
    X, y = training(task, n_rows, seed)
    X[:, 2] = np.random.default_rng(seed + 9).integers(0, 70, n_rows)
    X[::11, 2] = np.nan
    lift = (np.nan_to_num(X[:, 2]) % 7 == 3).astype(float)
    return X, y + 30 * lift if task.kind is TaskKind.REGRESSION else np.where(lift == 1, 0.0, y)


def assert_equal_but_for_exp(ours, theirs):
    """NumPy and the C library round an exponential each in its own way, on processors with AVX-512 differently."""
    np.testing.assert_array_max_ulp(np.asarray(ours), np.asarray(theirs), maxulp=8)


@pytest.fixture(scope="module")
def text():
    """A canonical text with numeric, missing and categorical splits."""
    X, y = with_categories(REGRESSION)
    model = LightGBM(num_leaves=6, min_data_per_group=5, cat_smooth=1.0)
    return model.fit(X, y, FitContext(REGRESSION, (2, 3), n_iterations=4)).state().blobs["lgb"].decode()


@pytest.mark.parametrize("task", TASKS[:3], ids=lambda task: task.kind)
def test_predictions_are_the_package_s(task):
    X, y = with_categories(task)
    params = {"learning_rate": 0.1, "num_leaves": 15, "cat_smooth": 3.0, "lambda_l2": 0.5}
    model = LightGBM(**params).fit(X, y, FitContext(task, (2, 3), n_iterations=15, seed=4))
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task.kind]
    options = {**params, "objective": objective, "seed": 4, "verbosity": -1, "deterministic": True}
    options |= {"force_row_wise": True, "num_threads": 1}
    if task.n_outputs > 1:
        options["num_class"] = task.n_outputs
    data = lightgbm.Dataset(X, y, categorical_feature=[2, 3], params=options)
    oracle = lightgbm.train(options, data, 15)
    odd = X.copy()
    odd[0] = np.nan
    odd[1, 2], odd[2, 2], odd[3, 2] = -3, 500, 2.7
    want = oracle.predict(odd).reshape(len(X), -1)
    assert_equal_but_for_exp(model.predict(odd), want)
    assert_equal_but_for_exp([model.predict_row(row) for row in odd[:40]], want[:40])


@pytest.mark.parametrize(
    ("task", "objective"),
    [*((task, None) for task in TASKS[:3]), (REGRESSION, "poisson"), (REGRESSION, "l1")],
    ids=str,
)
def test_many_trees_a_few_at_a_time_are_the_package_s_and_settling_changes_no_bit(task, objective):
    X, y = with_categories(task)
    y = np.abs(y) if objective else y
    params = {"learning_rate": 0.1, "num_leaves": 15, "cat_smooth": 3.0}
    chosen = {"objective": objective} if objective else {}
    context = FitContext(task, (2, 3), valid=(X[400:], y[400:]), stop=lambda: False, seed=4)
    model = LightGBM(**params, **chosen).fit(X[:400], y[:400], context)
    model._booster.predict  # noqa: B018 - it is not settled yet
    judged = model.predict(X)
    more = LightGBM(**params, **chosen).fit(X, y, FitContext(task, (2, 3), n_iterations=180, seed=4))
    before = more.predict(X)
    for each, told in ((model, judged), (more, before)):
        each.settle()
        assert np.array_equal(each.predict(X), told)
        again = LightGBM.from_state(each.state())
        assert again.n_iterations_ == each.n_iterations_
        assert np.array_equal(again.predict(X), told)
        rows = np.array([each.predict_row(row) for row in X[:50]])
        np.testing.assert_allclose(rows, told[:50], rtol=1e-12, atol=1e-12)
    names = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}
    named = {"l1": "regression_l1"}.get(objective, objective) if objective else names[task.kind]
    options = {**params, "objective": named, "seed": 4, "verbosity": -1, "deterministic": True}
    options |= {"force_row_wise": True, "num_threads": 1}
    options |= {"num_class": task.n_outputs} if task.n_outputs > 1 else {}
    data = lightgbm.Dataset(X, y, categorical_feature=[2, 3], params=options)
    want = lightgbm.train(options, data, 180).predict(X).reshape(len(X), -1)
    np.testing.assert_allclose(before, want, rtol=1e-12, atol=1e-12)


def test_iterations_without_a_split_are_no_trees_and_the_same_fit_comes_again():
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(240, 4)), (draw.random(240) < 0.5).astype(float)
    X[:, 0] += y
    task = Task(TaskKind.BINARY, "y", "log_loss", (0, 1))
    params = {"learning_rate": 0.05, "extra_trees": True, "feature_fraction": 0.3, "min_gain_to_split": 0.5}
    short = 0
    for seed in range(6):
        valid = (X[160:], y[160:])
        first = LightGBM(**params).fit(X[:160], y[:160], FitContext(task, valid=valid, seed=seed))
        asked = FitContext(task, n_iterations=first.n_iterations_, seed=seed)
        again = LightGBM(**params).fit(X[:160], y[:160], asked)
        assert again.state().blobs == first.state().blobs
        options = {**params, "objective": "binary", "seed": seed, "verbosity": -1, "num_threads": 1}
        options |= {"deterministic": True, "force_row_wise": True}
        plain = lightgbm.train(
            options, lightgbm.Dataset(X[:160], y[:160], params=options), first.n_iterations_
        )
        short += plain.num_trees() < first.n_iterations_
    assert short  # as many iterations of the package give fewer trees: the case is there


@pytest.mark.parametrize("objective", ["l1", "huber", "poisson", "l2"])
def test_objectives_of_regressions(objective):
    X, y = training(REGRESSION)
    y = np.abs(y)
    model = LightGBM(objective=objective).fit(X, y, FitContext(REGRESSION, n_iterations=10))
    name = {"l1": "regression_l1", "l2": "regression"}.get(objective, objective)
    options = {
        "objective": name,
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
    }
    oracle = lightgbm.train({**options, "seed": 0}, lightgbm.Dataset(X, y, params=options), 10)
    assert_equal_but_for_exp(model.predict(X)[:, 0], oracle.predict(X))


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("mae", {"objective": "regression_l1"}),
        ("pinball", {"objective": "quantile", "alpha": 0.8}),
        ("poisson_deviance", {"objective": "poisson"}),
        ("gamma_deviance", {"objective": "gamma"}),
        ("tweedie_deviance", {"objective": "tweedie", "tweedie_variance_power": 1.5}),
    ],
)
def test_the_task_s_objective_and_weights_are_the_package_s(metric, options):
    X, y = training(REGRESSION)
    y, weights = np.exp((y - 100) / 15), np.random.default_rng(0).uniform(0.2, 3.0, len(y))
    task = Task(TaskKind.REGRESSION, "y", metric, quantile=0.8 if metric == "pinball" else None)
    context = FitContext(task, n_iterations=10, weights=weights)
    model = LightGBM().fit(X, y, context)
    options = {**options, "verbosity": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1}
    data = lightgbm.Dataset(X, y, weight=weights, params=options)
    oracle = lightgbm.train({**options, "seed": 0}, data, 10)
    assert_equal_but_for_exp(model.predict(X)[:, 0], oracle.predict(X))
    again = LightGBM.from_state(model.state())
    assert_equal_but_for_exp([again.predict_row(row)[0] for row in X[:30]], oracle.predict(X[:30]))


@pytest.mark.parametrize("task", TASKS[:3], ids=lambda task: task.kind)
def test_weights_are_heard_in_validation_too(task):
    X, y = training(task)
    valid, weights = training(task, 150, seed=1), np.random.default_rng(0).uniform(0.01, 9.0, 240)
    context = FitContext(task, valid=valid, weights=weights, valid_weights=weights[:150])
    model = LightGBM(learning_rate=0.2).fit(X, y, context)
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task.kind]
    options = {"objective": objective, "learning_rate": 0.2, "verbosity": -1, "deterministic": True}
    options |= {"force_row_wise": True, "num_threads": 1, "seed": 0}
    options |= {"num_class": 3} if task.n_outputs == 3 else {}
    data = lightgbm.Dataset(X, y, weight=weights, params=options)
    sets = [data.create_valid(*valid, weight=weights[:150])]
    stop = lightgbm.early_stopping(20, verbose=False)
    oracle = lightgbm.train(options, data, 500, sets, callbacks=[stop])
    assert model.n_iterations_ == oracle.best_iteration
    assert_equal_but_for_exp(model.predict(X), oracle.predict(X).reshape(len(X), -1))


@pytest.mark.parametrize("metric", ["poisson_deviance", "tweedie_deviance"])
def test_all_zeros_are_predicted_as_zero(metric):
    X, _ = training(REGRESSION)
    model = LightGBM().fit(
        X, np.zeros(len(X)), FitContext(Task(TaskKind.REGRESSION, "y", metric), n_iterations=3)
    )
    assert np.array_equal(model.predict(X), np.zeros((len(X), 1)))


def test_poisson_refuses_negative_targets():
    with pytest.raises(ParameterError, match="poisson"):
        LightGBM(objective="poisson").fit(
            np.zeros((3, 1)), np.array([1.0, -1.0, 2.0]), FitContext(REGRESSION)
        )


@pytest.mark.parametrize(("task", "metric"), [(TASKS[0], "binary_logloss"), (REGRESSION, "l2")])
def test_early_stopping_keeps_the_best_iteration(task, metric):
    X, y = training(task)
    valid = training(task, 150, seed=1)
    model = LightGBM(learning_rate=0.2).fit(X, y, FitContext(task, valid=valid))
    options = {
        "objective": "regression" if metric == "l2" else "binary",
        "metric": metric,
        "learning_rate": 0.2,
    }
    options |= {"verbosity": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": 0}
    data = lightgbm.Dataset(X, y, params=options)
    stop = lightgbm.early_stopping(20, verbose=False)
    oracle = lightgbm.train(options, data, 500, [data.create_valid(*valid)], callbacks=[stop])
    assert 1 < model.n_iterations_ == oracle.best_iteration < 480
    assert_equal_but_for_exp(model.predict(X)[:, 0], oracle.predict(X))


def test_the_text_tells_nothing_of_the_machine_or_the_data(text):
    assert "threads" not in text
    assert "feature_infos=none none none none none\n" in text
    assert render(parse(text)) == text


def test_fit_and_load_print_nothing(capfd):
    X, y = training(REGRESSION)
    model = LightGBM().fit(X[:30], y[:30], FitContext(REGRESSION, valid=(X, y)))
    LightGBM.from_state(model.state()).predict(X)
    assert capfd.readouterr() == ("", "")


def test_rows_from_many_threads():
    X, y = training(TASKS[1], 400)
    model = LightGBM().fit(X, y, FitContext(TASKS[1], n_iterations=20))
    bound = model.bind(X[7])  # a configuration that was made before any of the others
    want, many, wrong = [model.predict_row(row) for row in X], model.predict(X), []
    np.testing.assert_allclose(want, many, rtol=0, atol=1e-12)

    def work(start):
        """Rows, and many rows at a time, which go through a part of the trees after the other."""
        for turn in range(start, start + 4000):
            i = turn % 400
            wrong.extend([i] if model.predict_row(X[i]) != want[i] else [])
            if i % 50 == 0:
                wrong.extend([i] if not np.array_equal(model.predict(X), many) else [])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert bound() == want[7]


def test_wrong_width_is_an_error(text):
    native = NativeBooster(text.encode(), 5, 1)
    for call in (lambda: native.margins(np.zeros((2, 4))), lambda: native.bind(np.zeros(1))):
        with pytest.raises(ValueError, match="expected 5"):
            call()


def test_the_library_s_memory_is_freed(text, monkeypatch):
    native = NativeBooster(text.encode(), 5, 1)
    native.bind(np.zeros(5))()
    freed = native._free
    assert freed.alive
    del native
    gc.collect()
    assert not freed.alive


def changed(text, key, change, tree=0):
    """Return the text with one line of one tree changed and the sizes put right, so that only the value is wrong."""
    forest = parse(text)
    forest.trees[tree][key] = change(forest.trees[tree][key])
    return render(forest)


def first(value):
    return lambda line: " ".join([value, *line.split(" ")[1:]])


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("num_leaves", lambda line: "7"),
        ("num_leaves", lambda line: "0"),
        ("num_leaves", lambda line: "99999999999999999999999"),
        ("num_leaves", lambda line: "6 6"),
        ("num_cat", lambda line: "0"),
        ("num_cat", lambda line: "-1"),
        ("num_cat", lambda line: str(int(line) + 1)),
        ("split_feature", first("5")),
        ("split_feature", first("-1")),
        ("split_feature", first("1.5")),
        ("split_feature", lambda line: line + " 0"),
        ("split_feature", lambda line: line.replace(" ", "  ", 1)),
        ("split_feature", lambda line: line.replace(" ", ",", 1)),
        ("split_feature", first("0],[0")),
        ("threshold", first("nan")),
        ("threshold", first("0x10")),
        ("threshold", first("1e999")),
        ("threshold", lambda line: ""),
        ("decision_type", first("12")),
        ("decision_type", first("-2")),
        ("left_child", first("0")),
        ("left_child", first("5")),
        ("left_child", first("-7")),
        ("left_child", first("-9223372036854775808")),
        ("right_child", lambda line: " ".join(reversed(line.split()))),
        ("leaf_value", first("inf")),
        ("leaf_value", first("nan")),
        ("leaf_value", first("1e400")),
        ("leaf_value", lambda line: line.rsplit(" ", 1)[0]),
        ("leaf_count", first("x")),
        ("internal_count", lambda line: "1"),
        ("cat_boundaries", first("1")),
        ("cat_boundaries", lambda line: line + " 999"),
        ("cat_boundaries", lambda line: " ".join([*line.split()[:-1], "999"])),
        ("cat_threshold", lambda line: line.rsplit(" ", 1)[0]),
        ("cat_threshold", first("4294967296")),
        ("cat_threshold", first("-1")),
    ],
)
def test_a_malformed_tree_is_refused(text, key, change):
    number = next(i for i, tree in enumerate(parse(text).trees) if int(tree["num_cat"]) > 0)
    with pytest.raises(BundleContentError):
        audit(changed(text, key, change, number), n_columns=5, n_outputs=1)


def test_a_category_set_out_of_range_is_refused(text):
    forest = parse(text)
    tree = next(tree for tree in forest.trees if int(tree["num_cat"]) > 0)
    thresholds, kinds = tree["threshold"].split(), tree["decision_type"].split()
    place = next(i for i, kind in enumerate(kinds) if int(kind) & 1)
    for wrong in (tree["num_cat"], "-1", "0.5"):
        tree["threshold"] = " ".join([*thresholds[:place], wrong, *thresholds[place + 1 :]])
        with pytest.raises(BundleContentError):
            audit(render(forest), n_columns=5, n_outputs=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_feature_idx=4", "max_feature_idx=5"),
        ("max_feature_idx=4", "max_feature_idx=x"),
        ("num_class=1", "num_class=2"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
        ("objective=regression", "objective=custom"),
        ("objective=regression", "objective=binary sigmoid:-1"),
        ("objective=regression", "objective=multiclass num_class:3"),
        ("tree_sizes=", "tree_sizes=9"),
        ("Tree=1", "Tree=2"),
        ("end of trees", "end of tree"),
        ("is_linear=0", "is_linear=1"),
        ("shrinkage=1", "shrinkage=2"),
        ("label_index=0", "label_index=0\naverage_output"),
        ("version=v4", "version=v3"),
        ("end of trees\n", "end of trees\n\nparameters:\n[device_type: gpu]\nend of parameters\n"),
    ],
)
def test_a_malformed_header_is_refused(text, old, new):
    assert old in text
    with pytest.raises(BundleContentError):
        audit(text.replace(old, new, 1), n_columns=5, n_outputs=1)


def test_every_cut_is_refused(text):
    for length in range(0, len(text) - 1, 7):
        with pytest.raises(BundleContentError):
            audit(text[:length], n_columns=5, n_outputs=1)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_the_audit_lets_through_does_not_hurt_the_library(text, data):
    """Change any number anywhere: either it is refused, or it loads and gives finite numbers."""
    numbers = [match.span() for match in re.finditer(r"-?\d[\d.e+-]*", text)]
    start, end = data.draw(st.sampled_from(numbers))
    new = data.draw(
        st.sampled_from(["-1", "0", "1", "2", "5", "1e308", "2147483648", "-2147483649", "0.5", "", "inf"])
    )
    mutant = text[:start] + new + text[end:]
    try:
        forest = parse(mutant)
        # In canonical form again, so that not the form alone is refused; names of two thousand million columns are too long.
        mutant = render(forest) if forest.n_columns == 5 else mutant
        audit(mutant, n_columns=5, n_outputs=1)
    except BundleContentError:
        return
    native = NativeBooster(mutant.encode(), 5, 1)
    X, _ = with_categories(REGRESSION, 20)
    assert not np.isnan(native.margins(X)).any()


def test_threads_wait_without_spinning_wherever_the_library_is_loaded():
    """OpenMP reads the policy once, when it is loaded; it shows what it read where it is asked to."""
    script = "from mlwright.models.lightgbm_native import _library; _library()"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'?PASSIVE", done.stderr)
