"""Ecod: how far out in its tails a row lies, column by column, by the training rows' own distribution."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.params import Number, Rule
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task, TaskKind
from mlwright.models.base import FitContext, Model
from mlwright.models.ranks import column_groups, one_output, tree
from mlwright.models.state_audit import header, read_array

__all__ = ["Ecod"]

_CELLS = 4_000_000


class Ecod(Model):
    """Empirical cumulative distributions [1]_: the sum over columns of ``-log`` of the share of rows as far out.

    For each matrix column the rarer of two shares counts: that of the training rows that are at most the value, and
    that of those that are at least the value. Below the lowest or above the highest value that was seen, half a row
    is. Of matrix columns that come from one raw column (``FitContext.groups``) only the one that is furthest out
    counts. Missing values add nothing.

    Parameters
    ----------
    max_knots : int, default=1000
        Values that are kept of a column: all, or those at places that lie a constant factor apart from either end.

    References
    ----------
    .. [1] Z. Li et al. (2022), "ECOD: unsupervised outlier detection using empirical cumulative distribution
       functions", IEEE TKDE.

    Examples
    --------
    >>> from mlwright.data.schema import Task, TaskKind
    >>> context = FitContext(Task(TaskKind.ANOMALY, "", "stability"))
    >>> model = Ecod().fit(np.array([[1.0], [2.0], [3.0], [9.0]]), np.zeros(4), context)
    >>> model.predict(np.array([[9.0], [2.0]])).round(4).tolist()  # log 4 and log 2
    [[1.3863], [0.6931]]
    """

    kind: ClassVar[str] = "ecod"
    rules: ClassVar[Mapping[str, Rule]] = {"max_knots": Number(10, 100_000, integer=True)}

    @classmethod
    def fits(cls, task: Task) -> bool:
        """Return whether anomalies are sought."""
        return task.kind is TaskKind.ANOMALY

    @classmethod
    def price(cls, params: Mapping[str, Any], n_iterations: int, n_outputs: int) -> float:  # noqa: ARG003 - the seam's
        """Return about what a few dozen searches take."""
        return 60.0

    def fit(self, X: Floats, y: Floats, context: FitContext) -> Self:  # noqa: ARG002 - there is no target
        """Learn each column's distribution."""
        most = int(self.params.get("max_knots", 1000))
        parts = [_knots(X[:, j], most) for j in range(X.shape[1])]
        self.starts_ = np.cumsum([0, *(len(part[0]) for part in parts)]).astype(np.int64)
        none = (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        values, at_most, at_least = (np.concatenate(each) for each in zip(none, *parts, strict=True))
        known = (~np.isnan(X)).sum(axis=0).astype(np.int64)
        groups = column_groups(context.groups, X.shape[1])
        return self._hold(X.shape[1], values, at_most, at_least, known, groups)

    def _hold(
        self, n_columns: int, values: Floats, at_most: Ints, at_least: Ints, known: Ints, groups: Ints
    ) -> Self:
        self.n_columns_, self.n_iterations_ = n_columns, 1
        self.values_, self.at_most_, self.at_least_, self.known_ = values, at_most, at_least, known
        self.groups_ = groups
        self.n_groups_ = int(groups.max()) + 1 if len(groups) else 0
        self._columns = [
            (values[a:b].tolist(), [0.5, *at_most[a:b].tolist()], [*at_least[a:b].tolist(), 0.5], n)
            for a, b, n in zip(self.starts_, self.starts_[1:], known.tolist(), strict=False)
        ]
        self._members = [np.flatnonzero(groups == group) for group in range(self.n_groups_)]
        return self

    def tails(self, X: Floats) -> tuple[Floats, Floats]:
        """Return the shares of the training rows at most, and at least, each value; 1 where it is missing."""
        if len(X) == 1:
            return self._tails_of_one(X[0].tolist())
        low, high = np.ones(X.shape), np.ones(X.shape)
        for j in range(X.shape[1]):
            start, end = self.starts_[j], self.starts_[j + 1]
            if start == end:
                continue
            known = ~np.isnan(X[:, j])
            found, knots, n = X[known, j], self.values_[start:end], float(self.known_[j])
            upto = np.searchsorted(knots, found, side="right")
            counts = np.concatenate([[0.5], self.at_most_[start:end]])
            low[known, j] = counts[upto] / n
            above = np.searchsorted(knots, found, side="left")
            counts = np.concatenate([self.at_least_[start:end], [0.5]])
            high[known, j] = counts[above] / n
        return low, high

    def _tails_of_one(self, row: list[float]) -> tuple[Floats, Floats]:
        """Do what `tails` does, without an array a column."""
        low, high = np.ones((1, len(row))), np.ones((1, len(row)))
        for j, (value, (knots, at_most, at_least, n)) in enumerate(zip(row, self._columns, strict=True)):
            if knots and value == value:  # noqa: PLR0124 - NaN is the float that is not itself
                low[0, j] = at_most[bisect_right(knots, value)] / n
                high[0, j] = at_least[bisect_left(knots, value)] / n
        return low, high

    def parts(self, X: Floats) -> Floats:
        """Return what each group of columns adds to the score, shape (n_rows, n_groups)."""
        out = np.zeros((len(X), self.n_groups_))
        step = max(1, _CELLS // max(1, X.shape[1]))
        for start in range(0, len(X), step):
            low, high = self.tails(X[start : start + step])
            far = -np.log(np.minimum(low, high))
            for group, members in enumerate(self._members):
                if len(members):
                    out[start : start + step, group] = far[:, members].max(axis=1)
        return out

    def predict(self, X: Floats) -> Floats:
        """Return the sums, shape (n_rows, 1)."""
        return self.parts(X).sum(axis=1, keepdims=True)

    def state(self) -> State:
        """Return the knots of all columns, one after another."""
        arrays = {
            "starts": self.starts_,
            "values": self.values_,
            "at_most": self.at_most_,
            "at_least": self.at_least_,
            "known": self.known_,
            "groups": self.groups_,
        }
        return State(tree(self.kind, self.params, self.n_columns_), arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from `state`'s result: knots rise, counts lie between 1 and the number of known values."""
        params, n_columns, n_outputs, _ = header(state, cls.kind, cls.rules)
        one_output(cls.kind, n_outputs)
        model = cls(**params)
        starts = read_array(state, cls.kind, "starts", np.int64, (n_columns + 1,))
        values = read_array(state, cls.kind, "values", np.float64, (None,))
        at_most, at_least = (
            read_array(state, cls.kind, name, np.int64, (len(values),)) for name in ("at_most", "at_least")
        )
        known, groups = (
            read_array(state, cls.kind, name, np.int64, (n_columns,)) for name in ("known", "groups")
        )
        sound = starts[0] == 0 and starts[-1] == len(values) and bool((np.diff(starts) >= 0).all())
        sound = sound and bool(((groups >= 0) & (groups < max(1, n_columns))).all())
        if not sound or (known < 0).any() or (known > 2**53).any():
            raise BundleContentError("ecod: columns", allowed="rising starts, groups and counts within range")
        most = np.repeat(known, np.diff(starts))
        inside = np.diff(values) > 0
        edges = starts[1:-1]
        edges = edges[(edges > 0) & (edges < len(values))]
        inside[edges - 1] = True  # from one column to the next
        counted = [(counts >= 1) & (counts <= most) for counts in (at_most, at_least)]
        if not (inside.all() and counted[0].all() and counted[1].all()):
            raise BundleContentError(
                "ecod: knots", allowed="rising values, and counts from 1 to the known rows"
            )
        model.starts_ = starts
        return model._hold(n_columns, values, at_most, at_least, known, groups)


def _knots(column: Floats, most: int) -> tuple[Floats, Ints, Ints]:
    """Return distinct values, and how many rows are at most and at least each."""
    known = column[~np.isnan(column)]
    values, counts = np.unique(known, return_counts=True)
    at_most = np.cumsum(counts)
    at_least = len(known) - at_most + counts
    if len(values) > most:
        # Places a constant factor apart from either end: a share is never off by more than that factor.
        places = np.geomspace(1, len(values) / 2, most // 2).astype(np.int64)
        kept = np.unique(np.concatenate([places - 1, len(values) - places]))
        values, at_most, at_least = values[kept], at_most[kept], at_least[kept]
    return values.astype(np.float64), at_most.astype(np.int64), at_least.astype(np.int64)
