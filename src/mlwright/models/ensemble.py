"""Ensemble: a weighted mean of models over named matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError
from mlwright.core.kinds import MODELS, load
from mlwright.core.types import Floats
from mlwright.models import calibration as calibrations
from mlwright.models import offset as offsets
from mlwright.models.base import Model
from mlwright.models.calibration import Calibration
from mlwright.models.offset import Offset

__all__ = ["Ensemble", "Member", "weighted_mean"]

_LINKS = ("identity", "log")
_HIGHEST = 709.0  # exp of more is infinite
# Of the distance between the bounds, at each end: where bounds go a tenth of its range beyond a target, it was nowhere.
_EDGE = 1 / 12


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
    calibration : Calibration, optional
        What the mean goes through.
    offset : Offset, optional
        What is added at last, for groups that training had.
    bounds : (float, float), optional
        No member's prediction lies beyond, and the nearer to them the less it counts, see `weighted_mean`: what was
        fitted to a straight line, or to logarithms, goes anywhere on a row unlike all that it was fitted on.
    """

    def __init__(
        self,
        members: Sequence[Member],
        calibration: Calibration | None = None,
        offset: Offset | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        total = math.fsum(member.weight for member in members)
        if not (total > 0 and all(member.weight >= 0 for member in members)):
            raise ValueError("weights must be at least 0, and one of them more")
        self.members = tuple(members)
        self.calibration, self.offset, self.bounds = calibration, offset, bounds
        self._shares = [member.weight / total for member in members]
        self._idle: list[tuple[dict[str, Floats], Callable[[], Sequence[float]]]] = []

    @property
    def views(self) -> list[str]:
        """The matrices that `predict` needs, each once, in order of first use."""
        views = [member.view for member in self.members]
        return list(dict.fromkeys(views if self.offset is None else [*views, self.offset.view]))

    def predict(self, matrices: Mapping[str, Floats]) -> Floats:
        """Return shape (n_rows, n_outputs) for matrices of shape (n_rows, n_columns of the view)."""

        def parts() -> Iterator[Floats]:
            for member in self.members:
                values = member.model.predict(matrices[member.view])
                is_log = member.link == "log"
                yield np.maximum(np.expm1(np.minimum(values, _HIGHEST)), 0.0) if is_log else values

        total = weighted_mean(parts(), self._shares, self.bounds)
        if self.calibration is not None:
            total = self.calibration.apply(total)
        return total if self.offset is None else self.offset.apply(total, matrices[self.offset.view])

    def predict_row(self, rows: Mapping[str, Floats]) -> Sequence[float]:
        """Return `n_outputs` numbers for one row of each view, equal to `predict`'s within 1e-12 (relative)."""
        try:
            own, predict = self._idle.pop()
        except IndexError:
            own = {view: np.zeros(len(rows[view])) for view in self.views}
            predict = self.bind(own)
        for view, row in own.items():
            row[:] = rows[view]
        values = predict()
        self._idle.append((own, predict))
        return values

    def bind(self, rows: Mapping[str, Floats]) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `rows` hold when it is called, as `predict_row` does.

        For one thread at a time.
        """
        members, groups, calibration, offset = self.members, self._groups, self.calibration, self.offset
        bounds = self.bounds
        low, high = bounds or (-math.inf, math.inf)
        is_bounded = bounds is not None
        first, last = _edges(bounds) if bounds is not None else (low, high)
        if len(members) == 1 and members[0].link == "identity" and calibration is None and offset is None:
            alone = members[0].model.bind(rows[members[0].view])
            if not is_bounded:
                return alone
            # Comparisons take a third of what min and max do, in every request.
            return lambda: [low if v < low else high if v > high else v for v in alone()]  # noqa: FURB136
        parts = [
            (bind(rows[view]), [(members[i].link == "log", self._shares[i]) for i in numbers])
            for view, numbers, bind in groups
        ]

        def predict() -> Sequence[float]:
            total: list[float] = []
            said: list[tuple[Sequence[float], float]] = []
            is_far = False
            for predict_each, places in parts:
                for raw, (is_log, share) in zip(predict_each(), places, strict=True):
                    values = raw
                    if is_log:
                        values = [max(math.expm1(min(value, _HIGHEST)), 0.0) for value in raw]
                    if is_bounded:
                        values = [min(max(value, low), high) for value in values]
                        said.append((values, share))
                        for value in values:
                            if not first <= value <= last:
                                is_far = True
                    if total:
                        total = [sofar + value * share for sofar, value in zip(total, values, strict=True)]
                    else:
                        total = [value * share for value in values]
            if is_far:
                each, shares = zip(*said, strict=True)
                total = weighted_mean([np.array([values]) for values in each], shares, bounds)[0].tolist()
            if calibration is not None:
                total = calibration.apply_row(total)
            return total if offset is None else offset.apply_row(total, rows[offset.view].tolist())

        return predict

    @cached_property
    def _groups(self) -> list[tuple[str, list[int], Callable[[Floats], Callable[[], list[Sequence[float]]]]]]:
        """Members of one learner on one view, which may share work: the view, their numbers, and what binds them."""
        groups: dict[tuple[str, type[Model]], list[int]] = {}
        for number, member in enumerate(self.members):
            groups.setdefault((member.view, type(member.model)), []).append(number)
        return [
            (view, numbers, kind.together([self.members[i].model for i in numbers]))
            for (view, kind), numbers in groups.items()
        ]

    def with_offset(self, offset: Offset) -> Ensemble:
        """Return the same blend, with what is added at last."""
        return Ensemble(self.members, self.calibration, offset, self.bounds)

    def states(self) -> list[State]:
        """Return one state a model, in order."""
        return [member.model.state() for member in self.members]

    def places(self) -> list[dict[str, Any]]:
        """Return ``{"view", "weight", "link"}`` for each model, in order, as a manifest keeps them."""
        return [{"view": m.view, "weight": m.weight, "link": m.link} for m in self.members]

    @classmethod
    def from_states(
        cls,
        states: Sequence[State],
        places: Sequence[Mapping[str, Any]],
        calibration: Any = None,
        offset: Any = None,
        bounds: Any = None,
    ) -> Self:
        """Audit and build each member from its model's state and its place.

        Raises
        ------
        BundleKindError
            If a state names a model that the closed table does not hold.
        BundleContentError
            If a state, a place or what comes after them is malformed, or members give different numbers of outputs.
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
        n_outputs = int(states[0].tree["n_outputs"])
        return cls(
            members,
            None if calibration is None else calibrations.from_json(calibration, n_outputs),
            None if offset is None else offsets.from_json(offset, n_outputs),
            None if bounds is None else _bounds(bounds),
        )


def weighted_mean(
    parts: Iterable[Floats], shares: Sequence[float], bounds: tuple[float, float] | None = None
) -> Floats:
    """Return the mean of what several say of the same rows.

    With bounds, nothing that is said lies beyond them, and within a twelfth of their distance from one its share falls to
    0, so that others decide, as long as there are any: where one leaves the range of all that was seen and another does
    not, the first is the one that went too far.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n_rows, n_outputs)
        At least one.
    shares : sequence of float
        As many; they sum to 1.
    bounds : (float, float), optional
        The lower one first.

    Examples
    --------
    >>> said = [np.array([[5.0], [9.0]]), np.array([[6.0], [70.0]])]
    >>> weighted_mean(said, [0.5, 0.5]).ravel().tolist()
    [5.5, 39.5]
    >>> weighted_mean(said, [0.5, 0.5], bounds=(-1.0, 11.0)).ravel().tolist()
    [5.5, 9.0]
    """
    if bounds is None:
        return _mean(parts, shares)
    held = [np.clip(part, *bounds) for part in parts]
    total = _mean(held, shares)
    first, last = _edges(bounds)
    far = np.zeros(total.shape, dtype=bool)
    for values in held:
        far |= (values < first) | (values > last)
    if far.any():
        total[far] = _faded([values[far] for values in held], shares, bounds, total[far])
    return total


def _mean(parts: Iterable[Floats], shares: Sequence[float]) -> Floats:
    total: Floats | None = None
    for values, share in zip(parts, shares, strict=True):
        total = values * share if total is None else total + values * share
    if total is None:
        raise ValueError("a mean needs at least one part")
    return total


def _edges(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    return low + _EDGE * (high - low), high - _EDGE * (high - low)


def _faded(
    held: Sequence[Floats], shares: Sequence[float], bounds: tuple[float, float], otherwise: Floats
) -> Floats:
    """Return the mean by what each share has become near a bound; `otherwise` where nothing is left of all."""
    low, high = bounds
    edge = _EDGE * (high - low)
    says = [
        share * np.clip(np.minimum(values - low, high - values) / edge, 0.0, 1.0)
        for values, share in zip(held, shares, strict=True)
    ]
    kept = sum(says)
    mean = sum(values * say for values, say in zip(held, says, strict=True))
    return np.divide(mean, kept, out=otherwise.copy(), where=kept > 0)


def _bounds(tree: Any) -> tuple[float, float]:
    if isinstance(tree, (list, tuple)) and len(tree) == 2 and all(type(n) in (int, float) for n in tree):
        low, high = map(float, tree)
        if math.isfinite(low) and math.isfinite(high) and low <= high:
            return low, high
    raise BundleContentError("an ensemble's bounds", got=tree, allowed="two numbers, the lower one first")


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
