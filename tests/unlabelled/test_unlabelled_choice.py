import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from mlwright.data.infer import infer
from mlwright.data.schema import Task, TaskKind
from mlwright.data.table import Table
from mlwright.unlabelled.agreement import adjusted_rand, agreement, rank_correlation
from mlwright.unlabelled.anomaly import fitted_rows, stability
from mlwright.unlabelled.cluster import Way, choose, fit, labels_of, without_groups
from mlwright.unlabelled.describe import describe
from mlwright.unlabelled.projection import project

TASK = Task(TaskKind.CLUSTER, "", "stability")


def blobs(random, n=120):
    return np.concatenate([random.normal(size=(n, 3)) + c for c in ((0, 0, 0), (8, 0, 0), (0, 8, 0))])


def test_rank_correlation_is_scipys():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 9, 80).astype(float), random.normal(size=80)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)))


def test_adjusted_rand_is_scikit_learns():
    random = np.random.default_rng(0)
    for k in (1, 2, 5):
        a, b = random.integers(0, k, 60), random.integers(0, 4, 60)
        assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b))


def test_agreement_says_nothing_of_a_few_rows():
    few = agreement(rank_correlation, np.arange(9.0), np.arange(9.0), seed=0)
    assert np.isnan(few.estimate)
    many = agreement(rank_correlation, np.arange(50.0), np.arange(50.0), seed=0)
    assert (many.estimate, many.low, many.high) == pytest.approx((1, 1, 1))


def test_halves_that_see_noise_of_their_own_disagree():
    random = np.random.default_rng(0)
    task = Task(TaskKind.ANOMALY, "", "stability")
    tailed = random.standard_t(2, size=(400, 3))
    told, n = stability(tailed, None, task, range(3), 0)
    assert n == 80
    assert told.low > 0.8
    assert np.isnan(stability(np.ones((100, 1)), None, task, range(1), 0)[0].estimate)


def test_a_sample_is_seeded_and_rows_are_not_doubled():
    one = fitted_rows(60_000, 5, 0)
    assert len(np.unique(one)) == len(one) == 50_000
    np.testing.assert_array_equal(one, fitted_rows(60_000, 5, 0))


def test_three_clouds_are_found_and_noise_is_not():
    random = np.random.default_rng(1)
    choice = choose(blobs(random, 20), TASK, range(3), 0, budget=20)
    assert choice.found
    assert choice.way.n_clusters == 3
    found = fit(blobs(random), choice.way, TASK, range(3), 0).predict(blobs(random)).argmax(axis=1)
    assert adjusted_rand_score(found, np.repeat([0, 1, 2], 120)) > 0.98
    assert not choose(random.random((60, 3)), TASK, range(3), 0, budget=20).found


def test_columns_of_few_values_that_do_not_hang_together_are_no_groups():
    random = np.random.default_rng(2)
    flags = random.integers(0, 2, (60, 3)).astype(float)
    assert not choose((flags - 0.5) * 2, TASK, range(3), 0, budget=20).found


def test_rows_without_groups_have_the_same_spread():
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 3)) @ np.array([[1, 0.8, 0], [0, 0.6, 0], [0, 0, 2.0]])
    X[:, 2] = np.round(X[:, 2] > 0)
    drawn = without_groups(X, range(3), random)
    np.testing.assert_allclose(np.cov(drawn[:, :2].T), np.cov(X[:, :2].T), atol=0.15)
    assert np.sort(drawn[:, 2]).tolist() == np.sort(X[:, 2]).tolist()


def test_clusters_are_named_in_order_and_none_comes_last():
    assert labels_of(Way("gaussian_mixture", 2)) == ("cluster 1", "cluster 2")
    assert labels_of(Way("density_clusters", 2)) == ("cluster 1", "cluster 2", "none")


@pytest.mark.parametrize("shape", [(50, 4), (10, 30)])
def test_the_map_is_scikit_learns_pca(shape):
    X = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[1])
    found = project(X, [f"c{i}" for i in range(shape[1])])
    theirs = PCA(2).fit(X)
    np.testing.assert_allclose(np.abs(found.points), np.abs(theirs.transform(X)), atol=1e-8)
    np.testing.assert_allclose(found.shares, theirs.explained_variance_ratio_)
    heaviest = np.abs(theirs.components_[0]).argmax()
    assert found.leading[0][0] == f"c{heaviest}"


def test_a_group_is_told_by_its_medians_and_shares():
    raw = pa.table(
        {
            "age": [float(20 + i % 5) for i in range(50)] + [float(60 + i % 5) for i in range(50)],
            "plan": ["month"] * 45 + ["year"] * 5 + ["month"] * 5 + ["year"] * 45,
            "noise": [float(i * 7 % 11) for i in range(100)],
            "gone": [None if i < 50 and i % 2 else float(i % 3) for i in range(100)],
        }
    )
    schema = infer(raw)
    told = describe(Table(raw, schema).columns(), schema, np.arange(100) < 50)
    assert {trait.words for trait in told} == {
        "age low (median 22 against 42)",
        "plan mostly month (90% against 50%)",
        "gone mostly missing (50% against 25%)",
    }
