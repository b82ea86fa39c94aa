"""IsolationForest: how few random cuts set a row apart from the others. Trees as arrays, walked with NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.ranks import complete, one_output, tree
from mlwright.models.state_audit import header, read_array

__all__ = ["IsolationForest"]

_DEEPEST = 64
_CELLS = 4_000_000  # places in trees that are held at a time
_EULER = 0.5772156649015329


class IsolationForest(Model):
    """An isolation forest [1]_: 0 to 1, about 0.5 for an ordinary row, more for one that few cuts set apart.

    scikit-learn grows the trees; what it calls ``score_samples`` is this score with the sign turned. It cuts float32
    values, and so does this.

    Parameters
    ----------
    n_trees : int, default=100
        How many.
    max_samples : int, default=256
        How many rows each tree sees.

    References
    ----------
    .. [1] F. T. Liu, K. M. Ting, Z.-H. Zhou (2008), "Isolation forest", ICDM.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> X = np.concatenate([np.linspace(-1, 1, 99), [20.0]])[:, None]
    >>> forest = IsolationForest().fit(X, np.zeros(100), FitContext(Task(TaskKind.ANOMALY, "", "stability")))
    >>> int(forest.predict(X)[:, 0].argmax())
    99
    """

    kind: ClassVar[str] = "isolation_forest"
    rules: ClassVar[Mapping[str, Rule]] = {
        "n_trees": Number(1, 10_000, integer=True),
        "max_samples": Number(2, 1_000_000, integer=True),
    }

    @classmethod
    def prepare(cls) -> None:
        """Import scikit-learn's forest."""

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether anomalies are sought."""
        return task.kind is TaskKind.ANOMALY

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about 1 microsecond a tree."""
        return 100.0 + params.get("n_trees", 100)

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:  # noqa: ARG002 - there is no target
        """Grow the trees on seeded samples of the rows."""
        from sklearn.ensemble import IsolationForest as Grower

        self.middle_ = _middle(X)
        filled = complete(X, self.middle_)
        grower = Grower(
            n_estimators=int(self.params.get("n_trees", 100)),
            max_samples=min(int(self.params.get("max_samples", 256)), len(X)),
            random_state=context.seed,
            n_jobs=1,
        ).fit(filled.astype(np.float32) if X.shape[1] else np.zeros((len(X), 1), np.float32))
        parts = [_tree(estimator.tree_) for estimator in grower.estimators_]
        starts = np.cumsum([0, *(len(part[0]) for part in parts)])
        self.roots_ = starts[:-1].astype(np.int64)
        self.features_ = np.concatenate([part[0] for part in parts])
        self.borders_ = np.concatenate([part[1] for part in parts])
        pairs = zip(parts, self.roots_.tolist(), strict=True)
        self.children_ = np.concatenate([part[2] + start for part, start in pairs])
        self.lengths_ = np.concatenate([part[3] for part in parts])
        self.usual_ = float(_usual_length(np.array([grower.max_samples_]))[0])
        self.n_columns_, self.n_iterations_ = X.shape[1], 1
        return self

    def predict(self, X: Floats) -> Floats:
        """Return the scores, shape (n_rows, 1)."""
        out = np.full((len(X), 1), 0.5)
        if not X.shape[1] or self.usual_ <= 0:
            return out
        n_trees = len(self.roots_)
        step = max(1, _CELLS // n_trees)
        for start in range(0, len(X), step):
            rows = complete(X[start : start + step], self.middle_).astype(np.float32)
            total = self._lengths(rows).sum(axis=1)
            out[start : start + step, 0] = np.exp2(-total / (n_trees * self.usual_))
        return out

    def _lengths(self, rows: np.ndarray) -> Floats:
        """Return the length of each row's way through each tree, shape (n_rows, n_trees)."""
        nodes = np.broadcast_to(self.roots_, (len(rows), len(self.roots_)))
        numbers = np.arange(len(rows))[:, None]
        for _ in range(_DEEPEST):
            right = rows[numbers, self.features_[nodes]] > self.borders_[nodes]
            following = self.children_[nodes, right.astype(np.int64)]
            if np.array_equal(following, nodes):
                break
            nodes = following
        return self.lengths_[nodes]

    def state(self) -> State:
        """Return the nodes of all trees, one after another; a leaf is its own child."""
        arrays = {
            "middle": self.middle_,
            "roots": self.roots_,
            "features": self.features_,
            "borders": self.borders_,
            "children": self.children_,
            "lengths": self.lengths_,
            "usual": np.array([self.usual_]),
        }
        return State(tree(self.kind, self.params, self.n_columns_), arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result: children lie behind their node and within its tree, and no way is endless."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        one_output(cls.kind, n_outputs)
        model = cls(**params)
        model.n_columns_, model.n_iterations_ = n_columns, n_iterations
        model.middle_ = read_array(state, cls.kind, "middle", np.float64, (n_columns,))
        roots = read_array(state, cls.kind, "roots", np.int64, (int(params.get("n_trees", 100)),))
        features = read_array(state, cls.kind, "features", np.int64, (None,))
        n = len(features)
        borders = read_array(state, cls.kind, "borders", np.float64, (n,))
        children = read_array(state, cls.kind, "children", np.int64, (n, 2))
        lengths = read_array(state, cls.kind, "lengths", np.float64, (n,))
        usual = read_array(state, cls.kind, "usual", np.float64, (1,))
        _check_nodes(roots, features, children, n_columns)
        if not (np.isfinite(lengths).all() and (lengths >= 0).all() and np.isfinite(usual).all()):
            raise BundleContentError("isolation_forest: lengths", allowed="finite numbers of at least 0")
        model.roots_, model.features_, model.borders_ = roots, features, borders
        model.children_, model.lengths_, model.usual_ = children, lengths, float(usual[0])
        return model


def _check_nodes(roots: Ints, features: Ints, children: Ints, n_columns: int) -> None:
    n, own = len(features), np.arange(len(features))[:, None]
    leaf = (children == own).all(axis=1)
    inside = n and roots[0] == 0 and roots[-1] < n and bool((np.diff(roots) > 0).all())
    inside = inside and bool(((features >= 0) & (features < max(1, n_columns))).all())
    if not inside or not bool((leaf | ((children > own) & (children < n)).all(axis=1)).all()):
        raise BundleContentError(
            "isolation_forest: nodes", allowed="trees whose children lie behind their parents"
        )
    of_tree = np.searchsorted(roots, own[:, 0], side="right")
    if not np.array_equal(of_tree[children], np.repeat(of_tree[:, None], 2, axis=1)):
        raise BundleContentError("isolation_forest: children", allowed="nodes of the same tree")
    reached = roots
    for _ in range(_DEEPEST):
        reached = np.unique(children[reached])
        if leaf[reached].all():
            return
    raise BundleContentError("isolation_forest: depth", allowed=f"at most {_DEEPEST}")


def _middle(X: Floats) -> Floats:
    """Return each column's median, 0 where nothing is known."""
    known = ~np.isnan(X)
    return np.array([np.median(X[known[:, j], j]) if known[:, j].any() else 0.0 for j in range(X.shape[1])])


def _tree(grown: Any) -> tuple[Ints, Floats, Ints, Floats]:
    """Return features, borders, children and, for leaves, lengths of one of scikit-learn's trees."""
    n, own = grown.node_count, np.arange(grown.node_count)
    left, right = grown.children_left, grown.children_right
    leaf = left < 0
    depths, level, nodes = np.zeros(n), 0, np.zeros(1, np.int64)
    while len(nodes):
        depths[nodes], level = level, level + 1
        inner = nodes[~leaf[nodes]]
        nodes = np.concatenate([left[inner], right[inner]])
    children = np.column_stack([np.where(leaf, own, left), np.where(leaf, own, right)]).astype(np.int64)
    features = np.where(leaf, 0, grown.feature).astype(np.int64)
    borders = np.where(leaf, 0.0, grown.threshold)
    lengths = np.where(leaf, depths + _usual_length(grown.n_node_samples), 0.0)
    return features, borders, children, lengths


def _usual_length(n: Ints) -> Floats:
    """Return the mean length of an unsuccessful search in a binary search tree of `n` values."""
    more = np.maximum(n, 3.0)
    long = 2.0 * (np.log(more - 1.0) + _EULER) - 2.0 * (more - 1.0) / more
    return np.where(np.less_equal(n, 1), 0.0, np.where(np.less_equal(n, 2), 1.0, long))
