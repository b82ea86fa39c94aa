"""Every metric against scikit-learn: ties, weights, rare classes, and the edges that the documentation names."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from mlwright.core.errors import BundleKindError
from mlwright.core.kinds import METRICS
from mlwright.data.schema import TaskKind
from mlwright.metrics import for_task, get

SEEDS = st.integers(0, 2**31)
CLASS_NAMES = for_task(TaskKind.BINARY)


def weights_of(random, n, weighted):
    """Row weights; some are 0."""
    return random.integers(0, 4, n) * random.random(n) if weighted else None


def each_class(y, weight, n_classes):
    return all((weight[y == c].sum() if weight is not None else (y == c).sum()) > 0 for c in range(n_classes))


BINARY = {
    "accuracy": lambda y, p, w: oracle.accuracy_score(y, p >= 0.5, sample_weight=w),
    "balanced_accuracy": lambda y, p, w: oracle.balanced_accuracy_score(y, p >= 0.5, sample_weight=w),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, sample_weight=w),
    "f1": lambda y, p, w: oracle.f1_score(y, p >= 0.5, sample_weight=w, zero_division=0),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, sample_weight=w),
    "pr_auc": lambda y, p, w: oracle.average_precision_score(y, p, sample_weight=w),
    "roc_auc": lambda y, p, w: oracle.roc_auc_score(y, p, sample_weight=w),
}


@pytest.mark.parametrize("name", CLASS_NAMES)
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
        get(name).score(y, p[:, None], weight), BINARY[name](y, p, weight), rtol=1e-10, atol=1e-14
    )


MULTICLASS = {
    "accuracy": lambda y, p, w: oracle.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: oracle.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, sample_weight=w),
    "f1": lambda y, p, w: oracle.f1_score(y, p.argmax(1), sample_weight=w, average="macro", zero_division=0),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, sample_weight=w),
    "pr_auc": lambda y, p, w: oracle.average_precision_score(
        np.eye(p.shape[1])[y.astype(int)], p, sample_weight=w
    ),
    "roc_auc": lambda y, p, w: oracle.roc_auc_score(y, p, multi_class="ovr", sample_weight=w),
}


@pytest.mark.parametrize("name", CLASS_NAMES)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(6, 60), n_classes=st.integers(3, 5), weighted=st.booleans())
def test_multiclass(name, seed, n, n_classes, weighted):
    random = np.random.default_rng(seed)
    y = random.integers(0, n_classes, n).astype(float)
    p = random.integers(1, 9, (n, n_classes)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    weight = weights_of(random, n, weighted)
    if not each_class(y, weight, n_classes):
        return
    np.testing.assert_allclose(
        get(name).score(y, p, weight), MULTICLASS[name](y, p, weight), rtol=1e-10, atol=1e-14
    )


REGRESSION = {
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
    if weight is not None and (weight > 0).sum() < 2:
        return
    want = REGRESSION[name](y, p, sample_weight=weight)
    np.testing.assert_allclose(get(name).score(y, p[:, None], weight), want, rtol=1e-7, atol=1e-9)


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
    assert math.isnan(metric.score(y, y[:, None], np.zeros(2)))


def test_names():
    assert sorted([*for_task(TaskKind.BINARY), *for_task(TaskKind.REGRESSION)]) == sorted(METRICS)
    assert for_task(TaskKind.BINARY) == for_task(TaskKind.MULTICLASS)
    with pytest.raises(BundleKindError, match="did you mean 'roc_auc'"):
        get("rocauc")


def test_metrics_import_no_engine():
    code = (
        "import sys; from mlwright.metrics import get; get('roc_auc'); import mlwright.metrics.intervals\n"
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'duckdb', 'lightgbm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
