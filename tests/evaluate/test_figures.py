"""Counted figures against scikit-learn, SciPy and hand arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate import figures

TASK = Task(TaskKind.BINARY, "y", "roc_auc", ("a", "b"))


@pytest.mark.parametrize(("count", "total"), [(0, 7), (1, 3), (8, 10), (63, 100), (999, 1000), (5, 5)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(count, total, level):
    wanted = binomtest(count, total).proportion_ci(level, method="wilson")
    assert figures.wilson(count, total, level=level) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_wilson_of_nothing_says_nothing():
    assert figures.wilson(0, 0) == (0.0, 1.0)
    assert math.isnan(figures.share(np.zeros(0, bool)).share)


def test_a_share_of_rows_in_clusters_has_the_interval_of_the_clusters():
    hits = np.arange(60) % 3 == 0
    alone = figures.share(hits)
    copied = figures.share(np.repeat(hits, 10), np.repeat(np.arange(60), 10))
    # Ten equal rows a cluster: the variance of the mean is p (1 - p) / (60 - 1), so 59 rows' worth.
    p, n, z2 = 20 / 60, 59, 1.959963984540054**2
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    assert (copied.low, copied.high) == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert copied.share == alone.share
    assert figures.share(np.repeat(hits, 10)).high < copied.high


def test_clusters_never_narrow_an_interval():
    hits = np.tile([True, False], 30)  # each cluster holds one of each: less spread than independent rows
    assert figures.share(hits, np.repeat(np.arange(30), 2)) == figures.share(hits)
    sure = figures.share(np.ones(40, bool), np.repeat(np.arange(4), 10))
    assert sure.low == pytest.approx(binomtest(4, 4).proportion_ci(0.95, method="wilson").low)


def test_confusion_is_scikit_learns(binary, multiclass):
    for case in (binary, multiclass):
        called = (
            (case.predicted[:, 0] >= 0.5).astype(int)
            if case.predicted.shape[1] == 1
            else case.predicted.argmax(1)
        )
        found = case.evaluation.confusion
        assert found.matrix == tuple(map(tuple, oracle.confusion_matrix(case.y, called)))
        precision, recall, _, support = oracle.precision_recall_fscore_support(case.y, called)
        assert [part.precision.share for part in found.classes] == pytest.approx(precision)
        assert [part.recall.share for part in found.classes] == pytest.approx(recall)
        assert [part.recall.total for part in found.classes] == support.tolist()
        assert case.evaluation.right.share == pytest.approx(oracle.accuracy_score(case.y, called))


def test_a_class_that_is_never_called_has_no_precision():
    found = figures.confusion(np.array([0.0, 1.0, 0.0]), np.array([[0.1], [0.2], [0.3]]), TASK)
    assert found.matrix == ((2, 0), (1, 0))
    assert found.classes[1].precision == figures.Share(0, 0, 0.0, 1.0)
    assert found.classes[1].recall.share == 0


def test_calibration_is_scikit_learns(binary):
    observed, predicted = calibration_curve(binary.y, binary.predicted[:, 0], n_bins=10, strategy="quantile")
    found = binary.evaluation.calibration
    assert [part.observed for part in found] == pytest.approx(observed)
    assert [part.predicted for part in found] == pytest.approx(predicted)
    assert sum(part.n_rows for part in found) == 600
    first = found[0]
    wanted = binomtest(round(first.observed * first.n_rows), first.n_rows).proportion_ci(
        0.95, method="wilson"
    )
    assert (first.low, first.high) == pytest.approx((wanted.low, wanted.high))


def test_tied_and_few_scores_give_fewer_bins():
    tied = figures.bins(np.full(100, 0.3), np.tile([0.0, 1.0], 50), rate=True)
    assert [(part.n_rows, part.observed) for part in tied] == [(100, 0.5)]
    assert len(figures.bins(np.arange(25.0), np.arange(25.0), rate=False)) == 2
    assert len(figures.bins(np.arange(3.0), np.arange(3.0), rate=False)) == 1


def test_roc_lies_on_scikit_learns_curve(binary):
    x, rise, _ = oracle.roc_curve(binary.y, binary.predicted[:, 0], drop_intermediate=False)
    wanted = set(zip(x.round(9), rise.round(9), strict=True))
    found = binary.evaluation.roc
    assert {(round(a, 9), round(b, 9)) for a, b in found} <= wanted
    assert found[0] == (0, 0)
    assert found[-1] == (1, 1)
    assert len(found) > 50
    area = oracle.auc(*zip(*found, strict=True))
    assert area == pytest.approx(oracle.roc_auc_score(binary.y, binary.predicted[:, 0]), abs=0.005)
    assert figures.roc(np.ones(5), np.arange(5.0)) == ()


def test_lifts_count_the_highest_scores():
    y = np.concatenate([np.ones(10), np.zeros(90)])
    score = np.concatenate([np.full(10, 0.9), np.linspace(0, 0.5, 90)])
    found = {part.top: part for part in figures.lifts(y, score, seed=0)}
    assert sorted(found) == [0.1, 0.2, 0.3, 0.5]  # 1 and 5 % would be fewer than ten rows
    assert (found[0.1].hits.count, found[0.1].hits.total, found[0.1].lift) == (10, 10, 10.0)
    assert (found[0.5].hits.share, found[0.5].lift) == (0.2, 2.0)
    # Ties are drawn, so constant scores are no better than chance even where all positives come first.
    tied = figures.lifts(np.repeat([1.0, 0.0], 500), np.full(1000, 0.5), seed=0)
    assert [part.lift for part in tied] == pytest.approx([1] * len(tied), abs=0.9)
    assert tied[-1].lift == pytest.approx(1, abs=0.1)


def test_histogram_keeps_every_row():
    draw = np.random.default_rng(0).standard_cauchy(1000)
    found = figures.histogram({"a": draw, "b": draw[:10]})
    assert [sum(counts) for counts in found.counts.values()] == [1000, 10]
    assert found.edges[0] == pytest.approx(np.quantile(np.concatenate([draw, draw[:10]]), 0.005))
    flat = figures.histogram({"a": np.full(4, 7.0)})
    assert sum(flat.counts["a"]) == 4


def test_residual_figures_are_numpys(regression):
    found, y, value = regression.evaluation.residuals, regression.y, regression.predicted[:, 0]
    error = value - y
    assert found.bias == pytest.approx(np.mean(error))
    assert found.bias_error == pytest.approx(np.std(error, ddof=1) / np.sqrt(500))
    assert found.quantiles["0.5"] == pytest.approx(oracle.median_absolute_error(y, value))
    assert found.quantiles["0.9"] == pytest.approx(np.percentile(np.abs(error), 90))
    assert found.within_tenth.count == sum(abs(v - t) <= 0.1 * abs(t) for t, v in zip(y, value, strict=True))
    # Woodruff's interval: the quantiles at the ends of the Wilson interval of one half.
    ends = binomtest(250, 500).proportion_ci(0.95, method="wilson")
    assert found.half_low == pytest.approx(np.quantile(np.abs(error), ends.low))
    assert found.half_high == pytest.approx(np.quantile(np.abs(error), ends.high))
    pairs = {(float(f"{t:.6g}"), float(f"{v:.6g}")) for t, v in zip(y, value, strict=True)}
    assert len(found.points) == 300
    assert set(found.points) <= pairs
