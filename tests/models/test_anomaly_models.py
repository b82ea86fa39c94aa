import numpy as np
import pytest
from scipy.stats import percentileofscore
from sklearn.ensemble import IsolationForest as Theirs
from sklearn.neighbors import NearestNeighbors

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.consensus import Consensus
from mlwright.models.ecod import Ecod
from mlwright.models.isolation_forest import IsolationForest
from mlwright.models.neighbour_distance import NeighbourDistance
from mlwright.models.ranks import Ranks

TASK = Task(TaskKind.ANOMALY, "", "stability", threshold=0.99)
CONTEXT = FitContext(TASK, seed=5)


@pytest.fixture(scope="module")
def X():  # noqa: N802 - the field's own name for a matrix
    random = np.random.default_rng(0)
    rows = random.normal(size=(600, 4))
    rows[:, 3] = random.integers(0, 3, 600)
    rows[:5] += 8
    return rows


def test_isolation_forest_scores_as_scikit_learns(X):
    ours = IsolationForest(n_trees=40, max_samples=128).fit(X, np.zeros(len(X)), CONTEXT)
    theirs = Theirs(n_estimators=40, max_samples=128, random_state=5).fit(X.astype(np.float32))
    new = np.random.default_rng(1).normal(size=(200, 4)) * 3
    for rows in (X, new):
        np.testing.assert_allclose(
            ours.predict(rows)[:, 0], -theirs.score_samples(rows.astype(np.float32)), rtol=1e-12
        )


def test_ecod_is_the_sum_of_the_rarer_tails(X):
    model = Ecod().fit(X, np.zeros(len(X)), CONTEXT)
    n = len(X)
    expected = np.zeros(n)
    for j in range(X.shape[1]):
        low = (X[:, j][None, :] <= X[:, j][:, None]).sum(axis=1) / n
        high = (X[:, j][None, :] >= X[:, j][:, None]).sum(axis=1) / n
        expected += -np.log(np.minimum(low, high))
    np.testing.assert_allclose(model.predict(X)[:, 0], expected, rtol=1e-12)


def test_ecod_counts_half_a_row_beyond_what_was_seen():
    model = Ecod().fit(np.arange(10.0)[:, None], np.zeros(10), CONTEXT)
    np.testing.assert_allclose(model.predict(np.array([[-1.0], [99.0]])), -np.log(0.05))


def test_ecod_takes_one_column_of_a_group(X):
    groups = FitContext(TASK, groups=(0, 0, 1, 1))
    alone = Ecod().fit(X, np.zeros(len(X)), CONTEXT).parts(X)
    grouped = Ecod().fit(X, np.zeros(len(X)), groups).parts(X)
    np.testing.assert_array_equal(grouped[:, 0], alone[:, :2].max(axis=1))
    np.testing.assert_array_equal(grouped[:, 1], alone[:, 2:].max(axis=1))


def test_ecod_with_few_knots_keeps_the_tails():
    values = np.random.default_rng(0).normal(size=(5000, 1))
    model = Ecod(max_knots=400).fit(values, np.zeros(5000), CONTEXT)
    exact = Ecod(max_knots=10_000).fit(values, np.zeros(5000), CONTEXT)
    outer = np.argsort(values[:, 0])[[0, 3, 20, -20, -3, -1]]
    np.testing.assert_array_equal(model.predict(values[outer]), exact.predict(values[outer]))
    np.testing.assert_allclose(model.predict(values), exact.predict(values), atol=0.06)


def test_neighbours_are_scikit_learns_without_the_row_itself(X):
    model = NeighbourDistance(n_neighbours=7).fit(X, np.zeros(len(X)), CONTEXT)
    apart, _ = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(X).kneighbors(X)
    np.testing.assert_allclose(model.predict(X)[:, 0], apart[:, 1:].mean(axis=1), rtol=1e-7)
    new = X[:50] + 0.3
    apart, _ = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(X).kneighbors(new)
    np.testing.assert_allclose(model.predict(new)[:, 0], apart.mean(axis=1), rtol=1e-7)


def test_parts_of_neighbours_are_shares_of_the_squared_distance():
    model = NeighbourDistance(n_neighbours=1).fit(np.zeros((1, 2)), np.zeros(1), CONTEXT)
    np.testing.assert_allclose(model.parts(np.array([[3.0, 4.0]])), [[9 / 25, 16 / 25]])


def test_ranks_are_shares_of_lower_scores():
    scores = np.random.default_rng(0).integers(0, 50, 300).astype(float)
    expected = [percentileofscore(scores, score, "strict") / 100 for score in scores]
    np.testing.assert_allclose(Ranks.fit(scores)(scores), expected, atol=1e-12)


def test_ranks_go_on_above_the_highest_and_never_reach_one():
    ranks = Ranks.fit(np.arange(100.0))
    beyond = ranks(np.array([99.0, 100.0, 150.0, 1e9]))
    assert beyond[0] == 0.99
    assert (np.diff(beyond) > 0).all()
    assert beyond[-1] <= 1.0


def test_consensus_score_is_the_share_that_is_less_unusual(X):
    model = Consensus().fit(X, np.zeros(len(X)), CONTEXT)
    scores = model.predict(X)[:, 0]
    assert set(np.argsort(scores)[-5:]) == set(range(5))
    np.testing.assert_allclose(np.sort(scores), np.arange(600) / 600, atol=0.01)
    assert (scores >= 0.99).sum() in (5, 6)  # one in a hundred, or one less where two rows share a rank
    odd = np.array([[0.0, 9.0, 0.0, 1.0]])
    np.testing.assert_allclose(model.parts(odd).sum(axis=1), 1)
    assert model.parts(odd)[0, 1] > 0.9


def test_consensus_of_looks_that_differ_is_refused(X):
    state = Consensus().fit(X, np.zeros(len(X)), CONTEXT).state()
    other = Consensus().fit(X[:, :2], np.zeros(len(X)), CONTEXT).state()
    mixed = {**state.arrays} | {k: v for k, v in other.arrays.items() if k.startswith("ecod/")}
    tree = {**state.tree, "children": {**state.tree["children"], "ecod": other.tree["children"]["ecod"]}}
    with pytest.raises(BundleContentError, match="columns"):
        Consensus.from_state(State(tree, mixed))


@pytest.mark.parametrize("change", ["cycle", "across"])
def test_a_forest_whose_ways_do_not_end_is_refused(X, change):
    state = IsolationForest(n_trees=2).fit(X, np.zeros(len(X)), CONTEXT).state()
    children = state.arrays["children"].copy()
    children[3] = [0, 0] if change == "cycle" else [len(children) - 1] * 2
    with pytest.raises(BundleContentError):
        IsolationForest.from_state(State(state.tree, {**state.arrays, "children": children}))
