"""GaussianMixture: groups as clouds of their own width and direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Choice, Number, Rule
from mlwright.core.types import Floats
from mlwright.models.base import FitContext
from mlwright.models.clustering import Clustering
from mlwright.models.state_audit import read_array

__all__ = ["GaussianMixture"]


class GaussianMixture(Clustering):
    """A mixture of normal distributions, fitted by scikit-learn; memberships are the posterior probabilities.

    Parameters
    ----------
    covariance : {"diag", "full"}, default="diag"
        Whether clouds lie along the columns only.
    floor : float, default=0.01
        Added to each variance, so that no cloud shrinks to a point.
    n_init : int, default=2
        From how many seeded starts the best is taken.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> context = FitContext(Task(TaskKind.CLUSTER, "", "stability", ("1", "2")))
    >>> X = np.array([[0.0], [1.0], [0.5], [10.0], [11.0]])
    >>> GaussianMixture().fit(X, np.zeros(5), context).predict(np.array([[0.5], [10.5]])).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    kind: ClassVar[str] = "gaussian_mixture"
    rules: ClassVar[Mapping[str, Rule]] = {
        "covariance": Choice(("diag", "full")),
        "floor": Number(1e-6, 10),
        "n_init": Number(1, 100, integer=True),
    }

    @classmethod
    def prepare(cls) -> None:
        """Import scikit-learn's mixture."""

    def _learn(self, rows: Floats, context: FitContext) -> None:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Finder
        from threadpoolctl import threadpool_limits

        covariance = self.params.get("covariance", "diag")
        n_centres = max(1, min(context.task.n_outputs, len(np.unique(rows, axis=0))))
        finder = Finder(
            n_centres,
            covariance_type=covariance,
            reg_covar=float(self.params.get("floor", 0.01)),
            n_init=int(self.params.get("n_init", 2)),
            max_iter=200,
            random_state=context.seed,
        )
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what it has after 200 steps is good enough
            finder.fit(rows if rows.shape[1] else np.zeros((len(rows), 1)))
        order = np.argsort(-finder.weights_, kind="stable")
        self.centres_ = np.ascontiguousarray(finder.means_[order][:, : rows.shape[1]])
        whitening = finder.precisions_cholesky_[order]
        if covariance == "diag":
            whitening = whitening[:, : rows.shape[1]]
            size = np.log(whitening).sum(axis=1)
        else:
            whitening = whitening[:, : rows.shape[1], : rows.shape[1]]
            size = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)
        self.whitening_ = np.ascontiguousarray(whitening)
        self.base_ = np.log(np.maximum(finder.weights_[order], 1e-300)) + size

    @property
    def _width(self) -> int:
        full = self.whitening_.ndim == 3
        return len(self.centres_) * (max(1, self.n_columns_) if full else 1)

    def _memberships(self, rows: Floats) -> Floats:
        apart = rows[:, None, :] - self.centres_
        if self.whitening_.ndim == 3:
            white = (apart[:, :, :, None] * self.whitening_).sum(axis=2)
        else:
            white = apart * self.whitening_
        logs = self.base_ - 0.5 * np.square(white).sum(axis=2)
        chances = np.exp(logs - logs.max(axis=1, keepdims=True))
        out = np.zeros((len(rows), self.n_outputs_))
        out[:, : len(self.centres_)] = chances / chances.sum(axis=1, keepdims=True)
        return out

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"whitening": self.whitening_, "base": self.base_}

    def _hold(self, state: State) -> None:
        k, d = self.centres_.shape
        shape = (k, d, d) if self.params.get("covariance", "diag") == "full" else (k, d)
        self.whitening_ = read_array(state, self.kind, "whitening", np.float64, shape)
        self.base_ = read_array(state, self.kind, "base", np.float64, (k,))
        if not (np.isfinite(self.whitening_).all() and np.isfinite(self.base_).all()):
            raise BundleContentError("gaussian_mixture: whitening and base", allowed="finite numbers")
