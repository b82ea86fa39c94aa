"""NeighbourDistance: how far a row is from the nearest of some training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.ranks import column_groups, complete, one_output, tree
from mlwright.models.state_audit import header, read_array

__all__ = ["NeighbourDistance"]

_SPARE = 6  # candidates beyond those asked for, because the quick distances are rounded
_CELLS = 2_000_000


class NeighbourDistance(Model):
    """The mean distance to the nearest of a seeded sample of training rows, its centres.

    A centre that equals the row is left out once: a training row is not its own neighbour, and gets the same number
    whenever it is asked. Distances are Euclidean; the matrix should be scaled.

    Parameters
    ----------
    n_neighbours : int, default=10
        How many of the nearest centres.
    n_centres : int, default=1000
        How many training rows are kept [1]_.

    References
    ----------
    .. [1] M. Sugiyama, K. Borgwardt (2013), "Rapid distance-based outlier detection via sampling", NeurIPS.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> context = FitContext(Task(TaskKind.ANOMALY, "", "stability"))
    >>> X = np.array([[0.0], [1.0], [3.0]])
    >>> NeighbourDistance(n_neighbours=1).fit(X, np.zeros(3), context).predict(X).tolist()
    [[1.0], [1.0], [2.0]]
    """

    kind: ClassVar[str] = "neighbour_distance"
    rules: ClassVar[Mapping[str, Rule]] = {
        "n_neighbours": Number(1, 1000, integer=True),
        "n_centres": Number(1, 100_000, integer=True),
    }

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether anomalies are sought."""
        return task.kind is TaskKind.ANOMALY

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about what the distances to all centres take."""
        return 50.0 + 0.05 * params.get("n_centres", 1000)

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:  # noqa: ARG002 - there is no target
        """Draw the centres."""
        known = ~np.isnan(X)
        counts = np.maximum(known.sum(axis=0), 1)
        self.middle_ = np.where(known, X, 0.0).sum(axis=0) / counts
        most = int(self.params.get("n_centres", 1000))
        drawn = np.arange(len(X))
        if len(X) > most:
            drawn = np.sort(generator(context.seed, "centres").choice(len(X), most, replace=False))
        groups = column_groups(context.groups, X.shape[1])
        return self._hold(complete(X[drawn], self.middle_), groups)

    def _hold(self, centres: Floats, groups: Ints) -> Self:
        self.centres_, self.groups_ = np.ascontiguousarray(centres), groups
        self.n_columns_, self.n_iterations_ = centres.shape[1], 1
        self.n_groups_ = int(groups.max()) + 1 if len(groups) else 0
        self._squares = np.einsum("ij,ij->i", self.centres_, self.centres_)
        return self

    def _nearest(self, rows: Floats) -> tuple[Ints, Floats]:
        """Return the nearest centres of complete rows and their squared distances, an equal one left out once."""
        n, wanted = len(self.centres_), min(int(self.params.get("n_neighbours", 10)), len(self.centres_))
        asked = min(n, wanted + 1)
        if n > asked + _SPARE:  # by a matrix product first, then exactly for the few that may be meant
            quick = self._squares - 2.0 * (rows @ self.centres_.T)
            candidates = np.sort(np.argpartition(quick, asked + _SPARE, axis=1)[:, : asked + _SPARE], axis=1)
        else:
            candidates = np.broadcast_to(np.arange(n), (len(rows), n))
        apart = self.centres_[candidates] - rows[:, None, :]
        squared = np.square(apart).sum(axis=2)
        order = np.argsort(squared, axis=1, kind="stable")[:, :asked]
        squared = np.take_along_axis(squared, order, axis=1)
        found = np.take_along_axis(candidates, order, axis=1)
        if asked > wanted:
            first = (squared[:, :1] == 0).astype(np.int64)
            places = np.arange(wanted) + first
            squared, found = np.take_along_axis(squared, places, 1), np.take_along_axis(found, places, 1)
        return found, squared

    def predict(self, X: Floats) -> Floats:
        """Return the mean distances, shape (n_rows, 1)."""
        out = np.zeros((len(X), 1))
        for start, rows in self._chunks(X):
            _, squared = self._nearest(rows)
            out[start : start + len(rows), 0] = np.sqrt(squared).mean(axis=1)
        return out

    def parts(self, X: Floats) -> Floats:
        """Return each group of columns' share of the squared distances, shape (n_rows, n_groups)."""
        out = np.zeros((len(X), self.n_groups_))
        for start, rows in self._chunks(X):
            found, _ = self._nearest(rows)
            squares = np.square(self.centres_[found] - rows[:, None, :]).mean(axis=1)
            total = squares.sum(axis=1, keepdims=True)
            shares = np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)
            np.add.at(out[start : start + len(rows)].T, self.groups_, shares.T)
        return out

    def _chunks(self, X: Floats) -> Any:
        width = max(len(self.centres_), (int(self.params.get("n_neighbours", 10)) + 1 + _SPARE) * X.shape[1])
        step = max(1, _CELLS // max(1, width))
        for start in range(0, len(X), step):
            yield start, complete(X[start : start + step], self.middle_)

    def state(self) -> State:
        """Return the centres."""
        arrays = {"centres": self.centres_, "middle": self.middle_, "groups": self.groups_}
        return State({**tree(self.kind, self.params, self.n_columns_), "n_kept": len(self.centres_)}, arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result; centres must be finite."""
        params, n_columns, n_outputs, _ = header(state, cls.kind, cls.rules)
        one_output(cls.kind, n_outputs)
        model, n_kept = cls(**params), state.tree.get("n_kept")
        if isinstance(n_kept, bool) or not isinstance(n_kept, int) or not 1 <= n_kept <= 100_000:
            raise BundleContentError("neighbour_distance: n_kept", got=n_kept, allowed="a number of centres")
        centres = read_array(state, cls.kind, "centres", np.float64, (n_kept, n_columns))
        groups = read_array(state, cls.kind, "groups", np.int64, (n_columns,))
        model.middle_ = read_array(state, cls.kind, "middle", np.float64, (n_columns,))
        if not (np.isfinite(centres).all() and np.isfinite(model.middle_).all()):
            raise BundleContentError("neighbour_distance: centres", allowed="finite numbers")
        if ((groups < 0) | (groups >= max(1, n_columns))).any():
            raise BundleContentError("neighbour_distance: groups", allowed=f"numbers below {n_columns}")
        return model._hold(centres, groups)
