"""KMeans: groups around centres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats
from mlwright.models.base import FitContext
from mlwright.models.clustering import Clustering, squared_distances

__all__ = ["KMeans"]


class KMeans(Clustering):
    """Centres with the least squared distances to their rows, found by scikit-learn.

    A row belongs to a centre in proportion to 1 / squared distance [1]_: 1 at the centre itself, and the same to two
    that are equally far.

    Parameters
    ----------
    n_init : int, default=10
        From how many seeded starts the best is taken.

    References
    ----------
    .. [1] J. C. Bezdek (1981), "Pattern recognition with fuzzy objective function algorithms", with exponent 2.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> context = FitContext(Task(TaskKind.CLUSTER, "", "stability", ("1", "2")))
    >>> X = np.array([[0.0], [1.0], [0.5], [10.0], [11.0]])
    >>> KMeans().fit(X, np.zeros(5), context).predict(np.array([[0.5], [5.5]])).round(2).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """

    kind: ClassVar[str] = "k_means"
    rules: ClassVar[Mapping[str, Rule]] = {"n_init": Number(1, 1000, integer=True)}

    @classmethod
    def prepare(cls) -> None:
        """Import scikit-learn's k-means."""

    def _learn(self, rows: Floats, context: FitContext) -> None:
        from sklearn.cluster import KMeans as Finder
        from threadpoolctl import threadpool_limits

        wanted = context.task.n_outputs
        distinct = np.unique(rows, axis=0)
        if len(distinct) <= wanted:  # each is a centre of its own
            counts = np.array([(rows == row).all(axis=1).sum() for row in distinct])
            centres = distinct[np.argsort(-counts, kind="stable")]
        else:
            finder = Finder(wanted, n_init=int(self.params.get("n_init", 10)), random_state=context.seed)
            with threadpool_limits(1):  # sums of several threads differ in their last bits
                finder.fit(rows)
            counts = np.bincount(finder.labels_, minlength=wanted)
            centres = finder.cluster_centers_[np.argsort(-counts, kind="stable")]
        self.centres_ = np.ascontiguousarray(centres, np.float64)

    def _memberships(self, rows: Floats) -> Floats:
        squared = squared_distances(rows, self.centres_)
        least = squared.min(axis=1, keepdims=True)
        # Equal to 1 / squared, but for a row that lies on a centre.
        near = np.divide(least, squared, out=np.zeros_like(squared), where=squared > 0)
        near[squared == 0] = 1.0
        out = np.zeros((len(rows), self.n_outputs_))
        out[:, : len(self.centres_)] = near / near.sum(axis=1, keepdims=True)
        return out

    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    def _hold(self, state: State) -> None:
        """Take nothing more."""
