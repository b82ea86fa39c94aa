"""DensityClusters: groups of any shape, as places where rows lie close together; rows between them belong to none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.models.base import FitContext
from mlwright.models.clustering import Clustering, squared_distances
from mlwright.models.state_audit import read_array

__all__ = ["DensityClusters"]

_MOST_ROWS = 5000  # the search for clusters takes their square
_MOST_KEPT = 1000
_REACH = 0.99  # of a cluster's rows lie within reach of another of its rows


class DensityClusters(Clustering):
    """HDBSCAN [1]_ by scikit-learn; a row belongs to the cluster of the nearest kept row, or to none.

    Of the clusters that are found the largest are kept, one less than there are outputs: the last output is for rows
    that belong to none. A row belongs to none if it is further from the nearest kept row of a cluster than 99 % of that
    cluster's own rows are from another kept one. Memberships are 0 or 1.

    Parameters
    ----------
    min_share : float, default=0.02
        The share of the rows that make a cluster, but at least five.

    References
    ----------
    .. [1] R. J. G. B. Campello, D. Moulavi, J. Sander (2013), "Density-based clustering based on hierarchical density
       estimates", PAKDD.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> context = FitContext(Task(TaskKind.CLUSTER, "", "stability", ("1", "2", "none")))
    >>> X = np.concatenate([np.linspace(0, 1, 20), np.linspace(5, 6, 30)])[:, None]
    >>> DensityClusters().fit(X, np.zeros(50), context).predict(np.array([[5.5], [0.5], [3.0]])).argmax(axis=1).tolist()
    [0, 1, 2]
    """

    kind: ClassVar[str] = "density_clusters"
    rules: ClassVar[Mapping[str, Rule]] = {"min_share": Number(0.0001, 0.5)}

    @classmethod
    def prepare(cls) -> None:
        """Import scikit-learn's HDBSCAN."""

    def found(self, X: Floats, seed: int) -> int:
        """Return how many clusters there are in the rows of a complete matrix."""
        return int(self._labels(X, seed)[1].max(initial=-1)) + 1

    def _labels(self, rows: Floats, seed: int) -> tuple[Floats, np.ndarray]:
        """Return the rows that were looked at and the cluster of each, the largest first; -1 for none."""
        from sklearn.cluster import HDBSCAN
        from threadpoolctl import threadpool_limits

        if len(rows) > _MOST_ROWS:
            chosen = generator(seed, "density rows").choice(len(rows), _MOST_ROWS, replace=False)
            rows = rows[np.sort(chosen)]
        least = max(5, int(self.params.get("min_share", 0.02) * len(rows)))
        if len(rows) <= least or not rows.shape[1]:
            return rows, np.full(len(rows), -1)
        with threadpool_limits(1):
            labels = HDBSCAN(min_cluster_size=least, copy=True).fit(rows).labels_
        kept = labels >= 0
        order = np.argsort(-np.bincount(labels[kept]), kind="stable") if kept.any() else np.empty(0, np.int64)
        rank = np.empty(len(order) + 1, np.int64)
        rank[order], rank[-1] = np.arange(len(order)), -1
        return rows, rank[labels]

    def _learn(self, rows: Floats, context: FitContext) -> None:
        seen, labels = self._labels(rows, context.seed)
        labels = np.where(labels >= max(1, context.task.n_outputs - 1), -1, labels)
        if (labels < 0).all():
            labels = np.zeros(len(seen), np.int64)  # one cluster of all rows
        members = np.flatnonzero(labels >= 0)
        n_centres = int(labels.max()) + 1
        self.centres_ = np.array([seen[labels == k].mean(axis=0) for k in range(n_centres)])
        kept = members
        if len(members) > _MOST_KEPT:
            kept = np.sort(generator(context.seed, "kept rows").choice(members, _MOST_KEPT, replace=False))
            kept = np.union1d(kept, [np.flatnonzero(labels == k)[0] for k in range(n_centres)])
        self.kept_, self.labels_ = np.ascontiguousarray(seen[kept]), labels[kept].astype(np.int64)
        self.reach_ = np.zeros(n_centres)
        for k in range(n_centres):
            own, around = seen[labels == k][:2000], self.kept_[self.labels_ == k]
            nearest = np.empty(len(own))
            for i, row in enumerate(own):
                squared = squared_distances(row[None], around)[0]
                apart = squared[squared > 0]
                nearest[i] = apart.min() if len(apart) else 0.0
            self.reach_[k] = np.quantile(nearest, _REACH, method="higher")

    @property
    def _width(self) -> int:
        return len(self.kept_)

    def _memberships(self, rows: Floats) -> Floats:
        squared = squared_distances(rows, self.kept_)
        nearest = squared.argmin(axis=1)
        found, numbers = self.labels_[nearest], np.arange(len(rows))
        within = squared[numbers, nearest] <= self.reach_[found] * (1 + 1e-9)
        out = np.zeros((len(rows), self.n_outputs_))
        out[numbers, np.where(within | (self.n_outputs_ == 1), found, self.n_outputs_ - 1)] = 1.0
        return out

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"kept": self.kept_, "labels": self.labels_, "reach": self.reach_}

    def _hold(self, state: State) -> None:
        k, d = self.centres_.shape
        self.kept_ = read_array(state, self.kind, "kept", np.float64, (None, d))
        self.labels_ = read_array(state, self.kind, "labels", np.int64, (len(self.kept_),))
        self.reach_ = read_array(state, self.kind, "reach", np.float64, (k,))
        sound = len(self.kept_) > 0 and np.isfinite(self.kept_).all() and (self.reach_ >= 0).all()
        if not sound or ((self.labels_ < 0) | (self.labels_ >= k)).any():
            raise BundleContentError(
                "density_clusters: kept rows", allowed=f"finite rows of clusters below {k}"
            )
