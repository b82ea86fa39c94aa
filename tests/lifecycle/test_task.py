"""What the project says of a task, put together with what the table says: options, weights, exposure, thresholds."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score

from mlwright.core.errors import BundleContentError, DataError, ProjectError, UsageError
from mlwright.data.schema import Objective, Role, Task, TaskKind
from mlwright.data.target import target_values
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.task import decided, weights_of
from mlwright.metrics import of

N = 120


def table(**changes):
    random = np.random.default_rng(0)
    columns = {
        "x": random.normal(size=N),
        "z": random.choice(list("abc"), N),
        "claims": random.integers(0, 4, N),
        "amount": random.gamma(2, 10, N),
        "left": random.choice(["no", "yes"], N),
        "quality": random.integers(1, 6, N),
        "years": random.uniform(0.5, 3, N),
        "times": random.integers(1, 5, N),
    }
    return pa.table(columns | changes)


def prepared(target, raw=None, **settings):
    return prepare(table() if raw is None else raw, Project(task_target=target, **settings), refuse=False)


def test_a_rate_is_the_target_by_its_exposure_and_weighs_as_much():
    raw = table()
    found = prepared(
        "claims", raw, task_metric="poisson_deviance", data_exposure="years", data_weight="times"
    )
    assert (found.task.kind, found.task.objective) == (TaskKind.REGRESSION, Objective.POISSON)
    claims, years, times = (raw.column(name).to_numpy() for name in ("claims", "years", "times"))
    np.testing.assert_allclose(target_values(found.table, found.task), claims / years)
    weights = weights_of(found.table, found.task)
    np.testing.assert_allclose(weights, years * times / np.mean(years * times))
    assert [found.table.schema[name].role for name in ("years", "times")] == [Role.EXPOSURE, Role.WEIGHT]
    assert {"years", "times"}.isdisjoint(column.name for column in found.table.schema.features)
    assert Task.from_json(found.task.to_json()) == found.task


def test_rows_without_weight_are_left_out_and_said():
    times = np.arange(N) % 3
    found = prepared("amount", table(times=times), data_weight="times")
    assert found.table.n_rows == (times > 0).sum()
    assert any("40 of 120 rows have a weight of 0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("target", "settings", "changes", "said"),
    [
        ("amount", {"data_weight": "times"}, {"times": np.arange(N) - 5.0}, "5 of 120 weights in 'times'"),
        ("amount", {"data_weight": "times"}, {"times": [None] * 7 + [1.0] * (N - 7)}, "7 of 120 weights"),
        ("amount", {"data_weight": "times"}, {"times": np.zeros(N)}, "are 0"),
        ("amount", {"data_weight": "z"}, {}, "weights in 'z'"),
        (
            "claims",
            {"data_exposure": "years"},
            {"years": np.arange(N) * 1.0},
            "1 rows with a target have no exposure",
        ),
        ("amount", {"task_metric": "gamma_deviance"}, {"amount": np.arange(N) * 1.0}, "above 0"),
        ("x", {"task_metric": "poisson_deviance"}, {}, "of at least 0"),
        (
            "amount",
            {"data_exposure": "years"},
            {"amount": 2.0 * np.arange(1, N + 1), "years": np.arange(1, N + 1)},
            "one value",
        ),
    ],
)
def test_weights_and_exposures_that_cannot_be_used(target, settings, changes, said):
    with pytest.raises(DataError, match=said):
        prepared(target, table(**changes), **settings)


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("left", {"data_exposure": "years"}, "an exposure divides a number"),
        ("amount", {"costs_false_positive": 1.0}, "costs are of two classes"),
        ("left", {"costs_false_positive": 0.0, "costs_false_negative": 0.0}, "both costs are 0"),
        ("amount", {"costs_capacity": "2 %"}, "a capacity limits"),
        ("amount", {"task_metric": "pinball"}, "go together"),
        ("amount", {"task_metric": "mae", "task_quantile": 0.9}, "go together"),
        ("amount", {"task_metric": "roc_auc"}, "does not fit a task of kind regression"),
        ("left", {"task_metric": "rmse"}, "does not fit a task of kind binary"),
        ("z", {"task_metric": "quadratic_kappa"}, "classes in order"),
        ("amount", {"data_weight": "times", "data_exposure": "times"}, "both weight and exposure"),
        ("amount", {"data_weight": "amount"}, "both target and weight"),
        ("amount", {"data_weight": "tims"}, "did you mean 'times'"),
    ],
)
def test_options_that_do_not_fit(target, settings, said):
    with pytest.raises(UsageError, match=said):
        prepared(target, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"task_quantile": 1.5},
        {"costs_false_positive": -1.0},
        {"task_metric": "rsme"},
        {"task_metric": 7},
        *({"costs_capacity": text} for text in ("200", "0 %", "100%", "200 of 200", "3 of 0", "-2 %", 0.02)),
    ],
)
def test_values_that_a_key_does_not_take(settings):
    with pytest.raises(ProjectError):
        Project(**settings)


def test_a_quantile_and_costs_bring_their_metric():
    assert prepared("claims", task_quantile=0.9).task.metric == "pinball"
    task = prepared("left", costs_false_negative=4.0).task
    assert (task.metric, task.costs, task.cut) == ("cost", (1.0, 4.0), 0.2)
    task = prepared("left", costs_false_negative=4.0, task_metric="roc_auc").task
    assert (task.metric, task.cut) == ("roc_auc", 0.2)


def test_a_capacity_raises_the_threshold_that_costs_alone_would_have():
    assert Project(costs_capacity="200 of 10000").capacity == Project(costs_capacity="2%").capacity == 0.02
    random = np.random.default_rng(3)
    chance = random.beta(1, 3, 500)
    y, predicted = (random.random(500) < chance).astype(float), chance[:, None]
    called = {}
    for name, settings in {
        "few": {"costs_capacity": "3 %"},
        "few, with costs": {"costs_capacity": "3 %", "costs_false_negative": 4.0},
        "costs": {"costs_false_negative": 4.0},
        "many, with costs": {"costs_capacity": "99 %", "costs_false_negative": 4.0},
        "few, by F1": {"costs_capacity": "3 %", "task_metric": "f1"},
        "many, by AUC with costs": {
            "costs_capacity": "99 %",
            "costs_false_negative": 4.0,
            "task_metric": "roc_auc",
        },
    }.items():
        task = decided(prepared("left", **settings).task, y, predicted, None)
        assert Task.from_json(task.to_json()) == task
        called[name] = np.count_nonzero(chance >= task.cut)
    assert called["few"] == called["few, with costs"] == called["few, by F1"] == 15
    assert called["many, with costs"] == called["costs"] > 200
    assert called["many, by AUC with costs"] == np.count_nonzero(chance >= 0.2)
    # A limit is kept where too few rows of a class could tell a best threshold.
    task = prepared("left", costs_capacity="3 %", costs_false_negative=4.0).task
    assert np.count_nonzero(chance >= decided(task, np.zeros(500), predicted, None).cut) == 15


def test_grades_are_classes_in_order_however_they_are_named():
    assert prepared("quality").task.kind is TaskKind.REGRESSION
    task = prepared("quality", task_metric="quadratic_kappa").task
    assert (task.kind, task.labels, task.is_ordinal) == (TaskKind.MULTICLASS, (1, 2, 3, 4, 5), True)
    words = np.random.default_rng(1).choice(["2 fair", "10 superb", "1 poor"], N)
    task = prepared("quality", table(quality=words), task_metric="quadratic_kappa").task
    assert task.labels == ("1 poor", "2 fair", "10 superb")


def test_an_own_test_needs_weights_and_exposure_too():
    project = Project(task_target="claims", data_exposure="years", data_weight="times")
    own = prepare(table(), project, test=table(times=np.arange(N) % 2), refuse=False).test
    assert own is not None
    assert own.n_rows == N // 2
    with pytest.raises(DataError, match="lacks columns"):
        prepare(table(), project, test=table().drop_columns(["years"]), refuse=False)


def test_the_threshold_is_the_best_out_of_fold():
    random = np.random.default_rng(3)
    y = (random.random(400) < 0.2).astype(float)
    p = np.clip(0.25 * y + 0.4 * random.random(400), 0, 1)[:, None]
    p[:50] = np.nan  # folds in time leave the first rows without a prediction
    task = decided(Task(TaskKind.BINARY, "y", "f1", (0, 1)), y, p, None)
    scores = [f1_score(y[50:], p[50:, 0] >= cut) for cut in np.unique(p[50:])]
    assert f1_score(y[50:], p[50:, 0] >= task.threshold) == pytest.approx(max(scores))
    assert of(task).score(y[50:], p[50:]) == pytest.approx(max(scores))
    for other in (
        Task(TaskKind.BINARY, "y", "roc_auc", (0, 1)),
        Task(TaskKind.BINARY, "y", "f1", (0, 1), threshold=0.7),
    ):
        assert decided(other, y, p, None) == other
    few = Task(TaskKind.BINARY, "y", "f1", (0, 1))
    assert decided(few, y[:100], p[:100], None) == few


@pytest.mark.parametrize("split", ["auto", "stratified", "random"])
def test_a_class_of_five_rows_splits(split):
    kinds = np.array(["a"] * 70 + ["b"] * 45 + ["rare"] * 5)
    found = prepared("left", table(left=kinds), task_split=split)
    y = target_values(found.table, found.task)
    assert found.task.labels == ("a", "b", "rare")
    for fit, valid in found.split.folds:
        assert len(np.unique(y[found.split.train[fit]])) >= 2
        assert len(valid)
    if split != "random":
        assert (y[found.split.test] == 2).sum() == 1
        assert (y[found.split.train] == 2).sum() == 4


def test_a_target_of_one_value_is_refused():
    with pytest.raises(DataError, match="one value only"):
        prepared("amount", table(amount=np.full(N, 2.5)), task_kind="regression")
    with pytest.raises(DataError, match="one class only"):
        prepared("left", table(left=["no"] * N))


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1.5},
        {"costs": [1]},
        {"costs": [0, 0]},
        {"costs": ["1", 2]},
        {"quantile": "0.9"},
        {"weight": 3},
    ],
)
def test_a_stored_task_with_a_strange_option_is_refused(changes):
    tree = Task(TaskKind.BINARY, "y", "cost", (0, 1)).to_json()
    assert set(tree) == {"kind", "target", "metric", "labels"}
    with pytest.raises(BundleContentError, match="malformed"):
        Task.from_json(tree | changes)
