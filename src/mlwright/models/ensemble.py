"""Ensemble: a weighted mean of models over named matrices, and the choice of its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.kinds import MODELS, load
from mlwright.core.types import Floats
from mlwright.metrics.base import Metric
from mlwright.models.base import Model

__all__ = ["Ensemble", "Member", "greedy_weights"]

_LINKS = ("identity", "log")
_HIGHEST = 709.0  # exp of more is infinite


@dataclass(frozen=True, slots=True)
class Member:
    """One model's place in an ensemble.

    Parameters
    ----------
    view : str
        The name of the matrix that the model reads.
    model : Model
        A fitted one.
    weight : float
        More than 0.
    link : {"identity", "log"}
        ``"log"``: the model was fitted on ``log1p(y)`` with y >= 0; what it gives is turned back and is at least 0.
    """

    view: str
    model: Model
    weight: float
    link: str = "identity"

    def __post_init__(self) -> None:
        if self.link not in _LINKS:
            raise ValueError(f"link: got {self.link!r}; allowed: {', '.join(_LINKS)}")


class Ensemble:
    """A weighted mean of members' predictions.

    Parameters
    ----------
    members : sequence of Member
        At least one. Weights are divided by their sum.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        total = math.fsum(member.weight for member in members)
        if not (total > 0 and all(member.weight >= 0 for member in members)):
            raise ValueError("weights must be at least 0, and one of them more")
        self.members = tuple(members)
        self._shares = [member.weight / total for member in members]

    @property
    def views(self) -> list[str]:
        """The matrices that `predict` needs, each once, in order of first use."""
        return list(dict.fromkeys(member.view for member in self.members))

    def predict(self, matrices: Mapping[str, Floats]) -> Floats:
        """Return shape (n_rows, n_outputs) for matrices of shape (n_rows, n_columns of the view)."""
        total: Floats | None = None
        for member, share in zip(self.members, self._shares, strict=True):
            values = member.model.predict(matrices[member.view])
            if member.link == "log":
                values = np.maximum(np.expm1(np.minimum(values, _HIGHEST)), 0.0)
            total = values * share if total is None else total + values * share
        if total is None:
            raise ValueError("an ensemble needs at least one member")
        return total

    def predict_row(self, rows: Mapping[str, Floats]) -> list[float]:
        """Return `n_outputs` numbers for one row of each view, equal to `predict`'s within 1e-12 (relative)."""
        total: list[float] = []
        for member, share in zip(self.members, self._shares, strict=True):
            values = member.model.predict_row(rows[member.view])
            if member.link == "log":
                values = [max(math.expm1(min(value, _HIGHEST)), 0.0) for value in values]
            if total:
                total = [sofar + value * share for sofar, value in zip(total, values, strict=True)]
            else:
                total = [value * share for value in values]
        return total

    def states(self) -> list[State]:
        """Return one state a model, in order."""
        return [member.model.state() for member in self.members]

    def places(self) -> list[dict[str, Any]]:
        """Return ``{"view", "weight", "link"}`` for each model, in order, as a manifest keeps them."""
        return [{"view": m.view, "weight": m.weight, "link": m.link} for m in self.members]

    @classmethod
    def from_states(cls, states: Sequence[State], places: Sequence[Mapping[str, Any]]) -> Self:
        """Audit and build each member from its model's state and its place.

        Raises
        ------
        BundleKindError
            If a state names a model that the closed table does not hold.
        BundleContentError
            If a state or a place is malformed, or members give different numbers of outputs.
        """
        if not states or len(states) != len(places):
            raise BundleContentError(
                "an ensemble needs one place a model, and at least one",
                got=f"{len(states)} models, {len(places)} places",
            )
        members = [_member(state, place) for state, place in zip(states, places, strict=True)]
        if not any(member.weight > 0 for member in members):
            raise BundleContentError("an ensemble's weights are all 0")
        if len({state.tree["n_outputs"] for state in states}) > 1:
            raise BundleContentError("an ensemble's members differ in the number of outputs")
        return cls(members)


def _member(state: State, place: Any) -> Member:
    if not isinstance(place, Mapping) or set(place) != {"view", "weight", "link"}:
        raise BundleContentError(
            "an ensemble's member", got=place, allowed="an object of view, weight and link"
        )
    view, weight, link = place["view"], place["weight"], place["link"]
    if not isinstance(view, str):
        raise BundleContentError("a member's view", got=view, allowed="a name")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
        raise BundleContentError("a member's weight", got=weight, allowed="a number of at least 0")
    if not isinstance(link, str) or link not in _LINKS:
        raise BundleContentError("a member's link", got=link, allowed=_LINKS)
    model: type[Model] = load(MODELS, state.tree.get("kind", ""), family="model")
    return Member(view, model.from_state(state), float(weight), link)


def greedy_weights(
    y: Floats,
    predictions: Sequence[Floats],
    metric: Metric,
    *,
    mask: NDArray[np.bool_] | None = None,
    n_steps: int = 40,
) -> list[float]:
    """Return the weights that a greedy selection with replacement gives (Caruana et al. 2004); they sum to 1.

    Each step adds the candidate that makes the mean of the chosen best. Of all steps the first best one counts.
    Of equal candidates the first is taken, so the result is the same on each call.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    predictions : sequence of ndarray of shape (n_rows, n_outputs)
        Each candidate's predictions for rows that it was not fitted on.
    metric : Metric
        What is to be made best.
    mask : ndarray of bool, shape (n_rows,), optional
        Rows to look at. Rows where a prediction is NaN (folds in time leave the first rows without one) never count.
    n_steps : int, default=40
        How many are chosen.

    Examples
    --------
    >>> from mlwright.metrics import get
    >>> y = np.array([1.0, 2.0, 3.0])
    >>> low, high = y[:, None] - 1, y[:, None] + 1
    >>> greedy_weights(y, [low, high], get("rmse"))
    [0.5, 0.5]
    """
    if not predictions:
        raise ValueError("no predictions to weigh")
    rows = np.ones(len(y), dtype=bool) if mask is None else mask.copy()
    for one in predictions:
        rows &= np.isfinite(one).all(axis=1)
    if not rows.any():
        raise ValueError("no row has a prediction of every candidate")
    truth, candidates = y[rows], [one[rows] for one in predictions]
    total = np.zeros_like(candidates[0])
    counts = np.zeros(len(candidates), dtype=np.int64)
    best, best_counts = -math.inf, None
    for step in range(1, n_steps + 1):
        gains = [metric.gain(truth, (total + one) / step) for one in candidates]
        chosen = int(np.argmax(np.nan_to_num(gains, nan=-np.inf)))
        total += candidates[chosen]
        counts[chosen] += 1
        if best_counts is None or gains[chosen] > best:
            best, best_counts = gains[chosen], counts.copy()
    if best_counts is None:
        raise ValueError("n_steps must be at least 1")
    return (best_counts / best_counts.sum()).tolist()
