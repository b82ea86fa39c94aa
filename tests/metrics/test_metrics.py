"""Every metric against scikit-learn: ties, weights, rare classes, and the edges that the documentation names."""

import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from mlwright.core.errors import BundleKindError, ParameterError, UsageError
from mlwright.core.kinds import METRICS
from mlwright.data.schema import Task, TaskKind
from mlwright.metrics import MeanMetric, best_threshold, decide, for_task, get, of, register
from mlwright.metrics.decision import MCC, Accuracy, BalancedAccuracy, Cost
from mlwright.metrics.threshold import capacity_threshold

SEEDS = st.integers(0, 2**31)
QUANTILE = 0.8
COSTS = (1.0, 4.0)


def weights_of(random, n, weighted):
    """Row weights; some are 0."""
    return random.integers(0, 4, n) * random.random(n) if weighted else None


def each_class(y, weight, n_classes):
    return all((weight[y == c].sum() if weight is not None else (y == c).sum()) > 0 for c in range(n_classes))


BINARY = {
    "accuracy": lambda y, p, w: oracle.accuracy_score(y, p >= 0.5, sample_weight=w),
    "balanced_accuracy": lambda y, p, w: oracle.balanced_accuracy_score(y, p >= 0.5, sample_weight=w),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, sample_weight=w),
    "cost": lambda y, p, w: cost_of(y, p >= COSTS[0] / sum(COSTS), w),
    "f1": lambda y, p, w: oracle.f1_score(y, p >= 0.5, sample_weight=w, zero_division=0),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, sample_weight=w),
    "mcc": lambda y, p, w: oracle.matthews_corrcoef(y, p >= 0.5, sample_weight=w),
    "pr_auc": lambda y, p, w: oracle.average_precision_score(y, p, sample_weight=w),
    "roc_auc": lambda y, p, w: oracle.roc_auc_score(y, p, sample_weight=w),
}


def cost_of(y, called, weight):
    (_, false_positive), (false_negative, _) = oracle.confusion_matrix(
        y, called, sample_weight=weight, normalize="all"
    )
    return COSTS[0] * false_positive + COSTS[1] * false_negative


def metric_of(name, kind):
    """The metric with options that are not the defaults."""
    quantile, costs = QUANTILE if name == "pinball" else None, COSTS if name == "cost" else None
    return of(Task(kind, "y", name, (0, 1), quantile=quantile, costs=costs))


@pytest.mark.parametrize("name", for_task(TaskKind.BINARY))
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=st.integers(2, 60), levels=st.integers(1, 30), weighted=st.booleans())
def test_binary(name, seed, n, levels, weighted):
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.4).astype(float)
    p = random.integers(0, levels + 1, n) / levels  # many ties, and 0, 0.5 and 1 themselves
    weight = weights_of(random, n, weighted)
    if not each_class(y, weight, 2):
        return
    np.testing.assert_allclose(
        metric_of(name, TaskKind.BINARY).score(y, p[:, None], weight),
        BINARY[name](y, p, weight),
        rtol=1e-9,
        atol=1e-13,
    )


MULTICLASS = {
    "accuracy": lambda y, p, w: oracle.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: oracle.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, sample_weight=w),
    "f1": lambda y, p, w: oracle.f1_score(y, p.argmax(1), sample_weight=w, average="macro", zero_division=0),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, sample_weight=w),
    "mcc": lambda y, p, w: oracle.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
    "quadratic_kappa": lambda y, p, w: oracle.cohen_kappa_score(
        y.astype(int),
        np.floor(p @ np.arange(p.shape[1]) + 0.5).astype(int),
        labels=np.arange(p.shape[1]),
        weights="quadratic",
        sample_weight=w,
    ),
    "top_k_accuracy": lambda y, p, w: oracle.top_k_accuracy_score(
        y, p, k=5, labels=np.arange(p.shape[1]), sample_weight=w
    ),
    "pr_auc": lambda y, p, w: oracle.average_precision_score(
        np.eye(p.shape[1])[y.astype(int)], p, sample_weight=w
    ),
    "roc_auc": lambda y, p, w: oracle.roc_auc_score(y, p, multi_class="ovr", sample_weight=w),
}


@pytest.mark.parametrize("name", for_task(TaskKind.MULTICLASS))
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(12, 60), n_classes=st.integers(3, 5), weighted=st.booleans())
def test_multiclass(name, seed, n, n_classes, weighted):
    random = np.random.default_rng(seed)
    n_classes += 4 if name == "top_k_accuracy" else 0
    y = random.integers(0, n_classes, n).astype(float)
    p = random.integers(1, 9, (n, n_classes)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    weight = weights_of(random, n, weighted)
    if not each_class(y, weight, n_classes):
        return
    np.testing.assert_allclose(
        get(name).score(y, p, weight), MULTICLASS[name](y, p, weight), rtol=1e-9, atol=1e-13
    )


REGRESSION = {
    "gamma_deviance": oracle.mean_gamma_deviance,
    "pinball": partial(oracle.mean_pinball_loss, alpha=QUANTILE),
    "poisson_deviance": oracle.mean_poisson_deviance,
    "rmsle": oracle.root_mean_squared_log_error,
    "tweedie_deviance": partial(oracle.mean_tweedie_deviance, power=1.5),
    "mae": oracle.mean_absolute_error,
    "mape": oracle.mean_absolute_percentage_error,
    "r2": oracle.r2_score,
    "rmse": oracle.root_mean_squared_error,
}


@pytest.mark.parametrize("name", for_task(TaskKind.REGRESSION))
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=st.integers(2, 60), shift=st.sampled_from([0.0, 1.0, 1e6]), weighted=st.booleans())
def test_regression(name, seed, n, shift, weighted):
    random = np.random.default_rng(seed)
    y = np.round(random.normal(size=n), 1) + shift
    p = y + random.normal(size=n) * random.choice([0.1, 1, 10])
    weight = weights_of(random, n, weighted)
    counting = y if weight is None else y[weight > 0]
    if len(counting) < 2 or np.ptp(counting) == 0:  # scikit-learn's R² of a constant is rounding
        return
    metric = metric_of(name, TaskKind.REGRESSION)
    if metric.lowest >= 0:
        y, p = np.abs(y), np.abs(p) + 0.01
        assert metric.fits(y) == (metric.lowest == 0 or y.min() > 0)
        y = y if metric.lowest == 0 else y + 0.1
        assert metric.fits(y)
        assert not metric.fits(y - 1.1 * y.min() - 0.01)
    want = REGRESSION[name](y, p, sample_weight=weight)
    np.testing.assert_allclose(metric.score(y, p[:, None], weight), want, rtol=1e-7, atol=1e-9)


def test_edges_that_are_documented():
    one = np.zeros(4)
    p = np.array([[0.1], [0.2], [0.3], [0.9]])
    assert math.isnan(get("roc_auc").score(one, p))
    assert math.isnan(get("roc_auc").score(one + 1, p))
    assert math.isnan(get("pr_auc").score(one, p))
    assert get("pr_auc").score(one + 1, p) == 1
    assert get("f1").score(one, p) == 0
    assert get("f1").score(one, p * 0) == 0
    assert get("balanced_accuracy").score(one, p) == 0.75
    flat = np.full(3, 2.0)
    assert get("r2").score(flat, flat[:, None]) == 1
    assert get("r2").score(flat, flat[:, None] + 1) == 0
    assert math.isnan(get("r2").score(flat[:1], flat[:1, None]))


def test_a_class_without_rows_does_not_count_in_a_mean():
    random = np.random.default_rng(0)
    y = np.array([0.0, 1.0] * 20)
    p = random.dirichlet(np.ones(3), 40)
    want = np.mean([oracle.roc_auc_score(y == c, p[:, c]) for c in (0, 1)])
    assert get("roc_auc").score(y, p) == pytest.approx(want, rel=1e-12)
    want = np.mean([oracle.average_precision_score(y == c, p[:, c]) for c in (0, 1)])
    assert get("pr_auc").score(y, p) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_no_rows_or_no_weight_give_nan(name):
    metric = get(name)
    assert math.isnan(metric.score(np.empty(0), np.empty((0, 1))))
    y = np.array([0.0, 1.0])
    predicted = y[:, None] if metric.tasks != {TaskKind.MULTICLASS} else np.eye(3)[:2]
    assert math.isnan(metric.score(y, predicted, np.zeros(2)))


def test_names():
    assert {name for kind in TaskKind for name in for_task(kind)} == set(METRICS)
    assert for_task(TaskKind.BINARY, plain=True) == for_task(TaskKind.MULTICLASS, plain=True)
    assert not set(for_task(TaskKind.BINARY)) & set(for_task(TaskKind.REGRESSION))
    with pytest.raises(BundleKindError, match="did you mean 'roc_auc'"):
        get("rocauc")


def test_metrics_import_no_engine():
    code = (
        "import sys; from mlwright.metrics import get; get('roc_auc'); import mlwright.metrics.intervals\n"
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'duckdb', 'lightgbm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_predictions_out_of_range_are_finite_and_bad():
    y = np.array([1.0, 2.0, 3.0])
    bad, good = np.array([[-5.0], [0.0], [3.0]]), np.array([[2.0], [2.0], [2.0]])
    for name in ("poisson_deviance", "gamma_deviance", "tweedie_deviance", "rmsle"):
        assert get(name).score(y, good) < get(name).score(y, bad) < math.inf


DECIDING = [Accuracy(), BalancedAccuracy(), get("f1"), MCC(), Cost(), Cost(1, 9), Cost(7, 2), Accuracy(0.3)]


@given(seed=SEEDS, n=st.integers(1, 60), levels=st.integers(1, 60), capacity=st.floats(0.01, 0.99))
def test_a_capacity_calls_as_many_as_it_can_and_no_more(seed, n, levels, capacity):
    p = np.random.default_rng(seed).integers(0, levels + 1, n) / (levels + 1)
    called = np.count_nonzero(p >= capacity_threshold(p, capacity))
    assert called <= capacity * n * (1 + 1e-9)
    # Whoever is next would be one too many, with all who share the probability.
    more = np.count_nonzero(p >= p[p < capacity_threshold(p, capacity)].max())
    assert more > capacity * n


def test_a_capacity_that_nothing_can_hold():
    assert capacity_threshold(np.ones(5), 0.4) == 1.0
    assert capacity_threshold(np.array([0.3]), 0.5) == pytest.approx(0.65)
    for probability, capacity in ((np.empty(0), 0.5), (np.ones(3), 0.0), (np.ones(3), 1.0)):
        with pytest.raises(ParameterError, match="capacity_threshold"):
            capacity_threshold(probability, capacity)


@pytest.mark.parametrize("metric", DECIDING, ids=lambda metric: f"{metric.name}-{metric.threshold:.2f}")
@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, n=st.integers(1, 40), levels=st.integers(1, 12), weighted=st.booleans())
def test_the_best_threshold_is_the_best_of_all(metric, seed, n, levels, weighted):
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.4).astype(float)
    p = random.integers(0, levels + 1, n) / levels if seed % 2 else random.random(n)
    weight = weights_of(random, n, weighted)
    found = best_threshold(y, p[:, None], metric, weight)
    assert 0 <= found <= 1

    def gain_at(threshold):
        at = type(metric)(**{**vars(metric), "threshold": threshold})
        gain = at.gain(y, p[:, None], weight)
        return -math.inf if math.isnan(gain) else gain

    tried = np.unique(np.concatenate([p, np.nextafter(p, 2), [0.0, 0.5, 1.0, metric.threshold]]))
    best = max(gain_at(t) for t in tried if t <= 1)
    np.testing.assert_allclose(gain_at(found), best, rtol=1e-12, atol=1e-12)
    if math.isclose(gain_at(metric.threshold), best, rel_tol=1e-12) and not weighted:
        assert gain_at(found) == gain_at(metric.threshold)


def test_a_threshold_that_is_best_already_stays():
    y, p = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.45, 0.55, 0.9])
    assert best_threshold(y, p, Accuracy(), None) == 0.5
    assert best_threshold(y, p, Cost(1, 9), None) == pytest.approx(0.5)  # between 0.45 and 0.55


def test_a_threshold_needs_a_metric_that_decides_and_two_classes():
    y, p = np.array([0.0, 1.0]), np.array([0.1, 0.9])
    with pytest.raises(ParameterError, match="roc_auc"):
        best_threshold(y, p, get("roc_auc"))
    with pytest.raises(ParameterError, match="probability"):
        best_threshold(y, np.column_stack([p, p, p]), Accuracy())
    with pytest.raises(ParameterError, match="probability"):
        best_threshold(y[:0], p[:0], Accuracy())


def test_costs_set_the_cut_of_a_task_and_a_threshold_overrules_them():
    task = Task(TaskKind.BINARY, "y", "cost", (0, 1), costs=(1, 3))
    p = np.array([[0.24], [0.25], [0.6]])
    assert decide(p, task).tolist() == [0, 1, 1]
    assert of(task).score(np.array([1.0, 0.0, 1.0]), p) == pytest.approx((3 + 1) / 3)
    assert decide(p, Task(TaskKind.BINARY, "y", "cost", (0, 1), costs=(1, 3), threshold=0.5)).tolist() == [
        0,
        0,
        1,
    ]
    for bad in ((-1, 2), (0, 0), (math.nan, 1), (math.inf, 1)):
        with pytest.raises(ParameterError, match="false_positive"):
            Cost(*bad)


def test_grades_are_decided_by_their_mean():
    p = np.array([[0.45, 0.1, 0.45], [0.9, 0.1, 0.0]])
    ordinal = Task(TaskKind.MULTICLASS, "y", "quadratic_kappa", (1, 2, 3))
    assert decide(p, ordinal).tolist() == [1, 0]
    assert decide(p, Task(TaskKind.MULTICLASS, "y", "log_loss", (1, 2, 3))).tolist() == [0, 0]
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.ones(5), 200)
    distance = (np.arange(5)[:, None] - np.arange(5)) ** 2
    assert (
        decide(chances, Task(TaskKind.MULTICLASS, "y", "quadratic_kappa", tuple("abcde"))).tolist()
        == (chances @ distance).argmin(axis=1).tolist()
    )


def test_an_own_metric_is_known_once_it_is_registered():
    with pytest.raises(UsageError, match=r"own\.profit"):
        get("own.profit")

    class Profit(MeanMetric):
        name, title, greater_is_better = "own.profit", "profit", True
        tasks = frozenset({TaskKind.BINARY})

        def losses(self, y, predicted):
            return np.where(predicted[:, 0] >= 0.5, 10 * y - 1, 0.0)

    assert register(Profit) is Profit
    task = Task(TaskKind.BINARY, "y", "own.profit", (0, 1))
    assert of(task).score(np.array([1.0, 0.0]), np.array([[0.9], [0.8]])) == 4.0
    assert "own.profit" not in for_task(TaskKind.BINARY)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "profit"}, "own"),
        ({"name": "own.Profit"}, "lower-case"),
        ({"tasks": {"binary"}}, "tasks"),
        ({"greater_is_better": 1}, "greater_is_better"),
        ({"losses": MeanMetric.losses}, "lacks methods"),
    ],
)
def test_an_own_metric_must_be_whole(changes, said):
    parts = {
        "name": "own.bad",
        "title": "bad",
        "greater_is_better": True,
        "tasks": frozenset({TaskKind.BINARY}),
        "losses": lambda self, y, predicted: y,
    }
    with pytest.raises(ParameterError, match=said):
        register(type("Bad", (MeanMetric,), {**parts, **changes}))
    with pytest.raises(UsageError):
        get("own.bad")
    with pytest.raises(ParameterError, match="not a metric"):
        register(int)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "log_loss"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_without_each_part_equal_scores_of_the_other_rows(name, n_classes, weighted):
    draw = np.random.default_rng(5)
    y = draw.integers(0, n_classes, 300).astype(float)
    y[:3] = n_classes - 1
    chances = np.round(draw.dirichlet(np.ones(n_classes), 300), 2) + 1e-3  # many are equal
    chances /= chances.sum(axis=1, keepdims=True)
    predicted = chances[:, 1:] if n_classes == 2 else chances
    part = draw.integers(0, 40, 300)
    part[y == n_classes - 1] = 7  # without it the class is not there
    weights = draw.choice([0.0, 0.5, 1.0, 2.5], 300) if weighted else None
    metric = get(name)
    left = metric.without_each(y, predicted, part, 41, weights)
    for each in range(41):
        rows = part != each
        expected = metric.score(y[rows], predicted[rows], None if weights is None else weights[rows])
        np.testing.assert_allclose(left[each], expected, rtol=1e-12)
    if name == "roc_auc" and n_classes == 2:
        assert np.isnan(left[7])
        kept = part != 3
        known = oracle.roc_auc_score(
            y[kept], chances[kept, 1], sample_weight=None if weights is None else weights[kept]
        )
        assert left[3] == pytest.approx(known, rel=1e-12)
