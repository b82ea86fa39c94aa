import numpy as np
import pytest
from sklearn.cluster import HDBSCAN
from sklearn.cluster import KMeans as TheirKMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as TheirMixture

from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.density_clusters import DensityClusters
from mlwright.models.gaussian_mixture import GaussianMixture
from mlwright.models.k_means import KMeans


@pytest.fixture(scope="module")
def X():  # noqa: N802 - the field's own name for a matrix
    random = np.random.default_rng(3)
    sizes, centres = (120, 80, 50), ((0, 0, 0), (6, 0, 1), (0, 7, 3))
    return np.concatenate([random.normal(size=(n, 3)) + c for n, c in zip(sizes, centres, strict=True)])


def context(*labels, groups=()):
    return FitContext(Task(TaskKind.CLUSTER, "", "stability", labels), groups=groups, seed=1)


def test_k_means_groups_as_scikit_learn(X):
    ours = KMeans().fit(X, np.zeros(len(X)), context("1", "2", "3")).predict(X)
    theirs = TheirKMeans(3, n_init=10, random_state=1).fit(X)
    assert adjusted_rand_score(ours.argmax(axis=1), theirs.labels_) == 1
    assert (np.diff(np.bincount(ours.argmax(axis=1))) < 0).all()  # the largest first
    d = theirs.transform(X)
    expected = (1 / d**2) / (1 / d**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.sort(ours, axis=1), np.sort(expected, axis=1), rtol=1e-9)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_mixture_gives_scikit_learns_posteriors(X, covariance):
    ours = GaussianMixture(covariance=covariance).fit(X, np.zeros(len(X)), context("1", "2", "3"))
    theirs = TheirMixture(
        3, covariance_type=covariance, reg_covar=0.01, n_init=2, max_iter=200, random_state=1
    ).fit(X)
    order = np.argsort(-theirs.weights_, kind="stable")
    np.testing.assert_allclose(ours.predict(X), theirs.predict_proba(X)[:, order], atol=1e-9)


def test_density_clusters_are_hdbscans_where_it_has_some(X):
    model = DensityClusters(min_share=0.05).fit(X, np.zeros(len(X)), context("1", "2", "3", "none"))
    found = model.predict(X).argmax(axis=1)
    labels = HDBSCAN(min_cluster_size=12, copy=True).fit(X).labels_
    inside = labels >= 0
    assert model.found(X, 0) == 3
    assert adjusted_rand_score(found[inside], labels[inside]) > 0.99
    assert model.predict(np.array([[30.0, 30.0, 30.0]])).tolist() == [[0, 0, 0, 1]]


def test_what_speaks_for_a_cluster_is_the_column_in_which_it_lies_apart():
    X = np.random.default_rng(0).normal(size=(200, 3)) * 0.1
    X[:100, 1] += 5
    model = KMeans().fit(X, np.zeros(200), context("1", "2", groups=(0, 1, 0)))
    parts = model.parts(X)
    assert parts.shape == (200, 2)
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    assert parts[:, 1].min() > 0.9


def test_fewer_rows_than_clusters_leave_the_others_empty():
    model = KMeans().fit(np.array([[0.0], [1.0]]), np.zeros(2), context("1", "2", "3"))
    assert model.predict(np.array([[0.0], [1.0]]))[:, 2].max() == 0
    assert model.sizes_.tolist() == [1, 1, 0]
