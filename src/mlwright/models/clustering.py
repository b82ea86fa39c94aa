"""Clustering: what models that group rows share: memberships that sum to 1, centres, and what speaks for a group."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.ranks import column_groups, tree
from mlwright.models.state_audit import header, read_array

__all__ = ["Clustering", "squared_distances"]

_FARTHEST = 1000.0  # of a scaled matrix: further out nothing changes but digits
_CELLS = 2_000_000


class Clustering(Model):
    """A model that says how much a row belongs to each of ``task.n_outputs`` clusters; each row sums to 1.

    The clusters come in the order of their sizes, the largest first. A subclass learns in `_learn`, gives memberships
    of complete rows in `_memberships`, and keeps what it needs in `_arrays`, which `_hold` takes back.
    """

    n_columns_: int

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether clusters are sought."""
        return task.kind is TaskKind.CLUSTER

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about what the distances to all centres take."""
        return 30.0 + 0.1 * n_outputs

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:  # noqa: ARG002 - there is no target
        """Group the rows of a scaled matrix; a missing cell counts as the column's mean."""
        known = ~np.isnan(X)
        self.middle_ = np.where(known, X, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        self.groups_ = column_groups(context.groups, X.shape[1])
        self.n_columns_, self.n_outputs_, self.n_iterations_ = X.shape[1], context.task.n_outputs, 1
        rows = self._complete(X)
        self._learn(rows, context)
        self.sizes_ = np.bincount(self.predict(X).argmax(axis=1), minlength=self.n_outputs_).astype(np.int64)
        return self

    @abstractmethod
    def _learn(self, rows: Floats, context: FitContext) -> None:
        """Set ``centres_`` and all else that is learned."""

    @abstractmethod
    def _memberships(self, rows: Floats) -> Floats:
        """Return shape (n_rows, n_outputs) for complete rows."""

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned, beside the centres."""

    @abstractmethod
    def _hold(self, state: State) -> None:
        """Audit and take back what `_arrays` gave."""

    centres_: Floats

    def _complete(self, X: Floats) -> Floats:
        return np.clip(np.where(np.isnan(X), self.middle_, X), -_FARTHEST, _FARTHEST)

    def _chunks(self, X: Floats) -> Iterator[tuple[int, Floats]]:
        step = max(1, _CELLS // max(1, self._width * X.shape[1]))
        for start in range(0, len(X), step):
            yield start, self._complete(X[start : start + step])

    @property
    def _width(self) -> int:
        """How many rows each row is compared with at once."""
        return len(self.centres_)

    def predict(self, X: Floats) -> Floats:
        """Return the memberships, shape (n_rows, n_outputs)."""
        out = np.zeros((len(X), self.n_outputs_))
        for start, rows in self._chunks(X):
            out[start : start + len(rows)] = self._memberships(rows)
        return out

    @property
    def n_groups_(self) -> int:
        """How many raw columns there are."""
        return int(self.groups_.max()) + 1 if len(self.groups_) else 0

    def rivals(self, X: Floats) -> tuple[Ints, Ints]:
        """Return each row's cluster, and the other one whose centre is nearest (itself where there is no other)."""
        own = self.predict(X).argmax(axis=1)
        other = own.copy()
        if len(self.centres_) > 1:
            for start, rows in self._chunks(X):
                squared = squared_distances(rows, self.centres_)
                mine = own[start : start + len(rows)]
                inside = mine < len(self.centres_)
                squared[np.flatnonzero(inside), mine[inside]] = np.inf
                other[start : start + len(rows)] = squared.argmin(axis=1)
        return own, other

    def parts(self, X: Floats) -> Floats:
        """Return how much each raw column speaks for the row's cluster, shape (n_rows, n_groups).

        The positive parts of how much nearer the row is to its own centre than to the next one, in squared distance;
        rows sum to 1, or to 0 where no cluster has the row.
        """
        own, other = self.rivals(X)
        out = np.zeros((len(X), self.n_groups_))
        inside = (own < len(self.centres_)) & (own != other)
        for start, rows in self._chunks(X):
            chosen = np.flatnonzero(inside[start : start + len(rows)])
            mine, next_ = own[start + chosen], other[start + chosen]
            kept = rows[chosen]
            gain = np.square(kept - self.centres_[next_]) - np.square(kept - self.centres_[mine])
            grouped = np.zeros((len(chosen), self.n_groups_))
            np.add.at(grouped.T, self.groups_, gain.T)
            out[start + chosen] = np.maximum(grouped, 0.0)
        total = out.sum(axis=1, keepdims=True)
        return np.divide(out, total, out=np.zeros_like(out), where=total > 0)

    def state(self) -> State:
        """Return the centres and what else was learned."""
        arrays = {
            "centres": self.centres_,
            "middle": self.middle_,
            "groups": self.groups_,
            "sizes": self.sizes_,
            **self._arrays(),
        }
        head = tree(self.kind, self.params, self.n_columns_, self.n_outputs_)
        return State(head | {"n_centres": len(self.centres_)}, arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        model, n_centres = cls(**params), state.tree.get("n_centres")
        if isinstance(n_centres, bool) or not isinstance(n_centres, int) or not 1 <= n_centres <= n_outputs:
            raise BundleContentError(f"{cls.kind}: n_centres", got=n_centres, allowed=f"1 to {n_outputs}")
        model.n_columns_, model.n_outputs_, model.n_iterations_ = n_columns, n_outputs, n_iterations
        model.centres_ = read_array(state, cls.kind, "centres", np.float64, (n_centres, n_columns))
        model.middle_ = read_array(state, cls.kind, "middle", np.float64, (n_columns,))
        model.groups_ = read_array(state, cls.kind, "groups", np.int64, (n_columns,))
        model.sizes_ = read_array(state, cls.kind, "sizes", np.int64, (n_outputs,))
        if ((model.sizes_ < 0) | (model.sizes_ > 2**53)).any():
            raise BundleContentError(f"{cls.kind}: sizes", allowed="numbers of rows")
        sound = np.isfinite(model.centres_).all() and np.isfinite(model.middle_).all()
        if not sound or ((model.groups_ < 0) | (model.groups_ >= max(1, n_columns))).any():
            raise BundleContentError(
                f"{cls.kind}: centres and groups", allowed="finite numbers, known groups"
            )
        model._hold(state)
        return model


def squared_distances(rows: Floats, centres: Floats) -> Floats:
    """Return shape (n_rows, n_centres), each summed in the same order whatever the number of rows."""
    return np.square(rows[:, None, :] - centres).sum(axis=2)
