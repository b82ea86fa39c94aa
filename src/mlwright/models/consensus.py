"""Consensus: three looks at how unusual a row is, as one share of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Rule
from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.ecod import Ecod
from mlwright.models.isolation_forest import IsolationForest
from mlwright.models.neighbour_distance import NeighbourDistance
from mlwright.models.ranks import Ranks, one_output, tree
from mlwright.models.state_audit import header, read_array

__all__ = ["Consensus"]

_LOOKS: tuple[type[Model], ...] = (Ecod, IsolationForest, NeighbourDistance)


class Consensus(Model):
    """The share of the training rows that are less unusual, by an isolation forest, ECOD and distances to neighbours.

    Each look's score becomes the share of the training rows that it finds less unusual; the mean of the three shares
    becomes the share of the training rows with a lower mean. So 0.99 says: more unusual than 99 % of the training
    rows. Ranks and not scores are averaged, because the scores have different units [1]_.

    References
    ----------
    .. [1] C. C. Aggarwal, S. Sathe (2015), "Theoretical foundations and algorithms for outlier ensembles", SIGKDD
       Explorations 17(1).

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> X = np.concatenate([np.linspace(-1, 1, 99), [20.0]])[:, None]
    >>> model = Consensus().fit(X, np.zeros(100), FitContext(Task(TaskKind.ANOMALY, "", "stability")))
    >>> float(model.predict(X)[99, 0])
    0.99
    """

    kind: ClassVar[str] = "consensus"
    rules: ClassVar[Mapping[str, Rule]] = {}

    @classmethod
    def prepare(cls) -> None:
        """Import what the looks need."""
        for look in _LOOKS:
            look.prepare()

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether anomalies are sought."""
        return task.kind is TaskKind.ANOMALY

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return what the three looks take."""
        return 50.0 + sum(look.price({}, 1, 1) for look in _LOOKS)

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:
        """Fit the three looks, and learn what their scores mean among the rows."""
        self.far_ = Ecod().fit(X, y, context)
        self.forest_ = IsolationForest().fit(X, y, context)
        self.near_ = NeighbourDistance().fit(X, y, context)
        scores = self._scores(X)
        self.ranks_ = [Ranks.fit(found) for found in scores]
        self.whole_ = Ranks.fit(self._mean(scores))
        self.typical_ = self.far_.parts(X).mean(axis=0)
        self.n_columns_, self.n_iterations_ = X.shape[1], 1
        return self

    @property
    def n_groups_(self) -> int:
        """How many raw columns there are."""
        return self.far_.n_groups_

    def _scores(self, X: Floats) -> list[Floats]:
        return [look.predict(X)[:, 0] for look in (self.far_, self.forest_, self.near_)]

    def _mean(self, scores: list[Floats]) -> Floats:
        far, forest, near = (rank(found) for rank, found in zip(self.ranks_, scores, strict=True))
        return (far + forest + near) / 3.0

    def predict(self, X: Floats) -> Floats:
        """Return the share of the training rows that are less unusual, shape (n_rows, 1)."""
        return self.whole_(self.means(X))[:, None]

    def means(self, X: Floats) -> Floats:
        """Return the mean of the three looks' shares, shape (n_rows,), before it becomes a share itself."""
        return self._mean(self._scores(X))

    def parts(self, X: Floats) -> Floats:
        """Return how much of it each raw column makes out, shape (n_rows, n_groups), rows summing to 1 or 0.

        The mean of two shares: of how much further out a value lies than the column's values do on average (ECOD),
        and of the squared distance to the nearest rows.
        """
        beyond = np.maximum(self.far_.parts(X) - self.typical_, 0.0)
        return _shares(_shares(beyond) + _shares(self.near_.parts(X)))

    def tails(self, X: Floats) -> tuple[Floats, Floats]:
        """Return the shares of the training rows that are at most, and at least, each value of the matrix."""
        return self.far_.tails(X)

    def state(self) -> State:
        """Return the looks and the ranks, nested."""
        looks = (self.far_, self.forest_, self.near_)
        children = {look.kind: look.state() for look in looks}
        children |= {
            f"{look.kind}_ranks": ranks.state() for look, ranks in zip(looks, self.ranks_, strict=True)
        }
        children["ranks"] = self.whole_.state()
        nested = State.nest(children, **tree(self.kind, self.params, self.n_columns_))
        return State(nested.tree, {**nested.arrays, "typical": self.typical_})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result: all three looks, over the same columns."""
        params, n_columns, n_outputs, n_iterations = header(state, cls.kind, cls.rules)
        one_output(cls.kind, n_outputs)
        names = [look.kind for look in _LOOKS]
        wanted = {*names, *(f"{name}_ranks" for name in names), "ranks"}
        children = state.tree.get("children")
        if not isinstance(children, dict) or set(children) != wanted:
            raise BundleContentError("consensus: children", allowed=sorted(wanted))
        model = cls(**params)
        model.n_columns_, model.n_iterations_ = n_columns, n_iterations
        model.far_ = Ecod.from_state(state.child("ecod"))
        model.forest_ = IsolationForest.from_state(state.child("isolation_forest"))
        model.near_ = NeighbourDistance.from_state(state.child("neighbour_distance"))
        widths = {model.far_.n_columns_, model.forest_.n_columns_, model.near_.n_columns_}
        if widths != {n_columns} or model.near_.n_groups_ != model.n_groups_:
            raise BundleContentError("consensus: the looks differ in their columns", allowed=str(n_columns))
        model.ranks_ = [Ranks.from_state(state.child(f"{name}_ranks"), cls.kind) for name in names]
        model.whole_ = Ranks.from_state(state.child("ranks"), cls.kind)
        model.typical_ = read_array(state, cls.kind, "typical", np.float64, (model.n_groups_,))
        return model


def _shares(parts: Floats) -> Floats:
    total = parts.sum(axis=1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
