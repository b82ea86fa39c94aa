"""Contributions of an ensemble: what each raw column adds to a prediction's margin, over the members that can say so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats
from mlwright.models.ensemble import Ensemble, Member

__all__ = ["Contributions", "contributions"]


@dataclass(frozen=True, slots=True)
class Contributions:
    """Exact Shapley values of a weighted mean of margins.

    Parameters
    ----------
    columns : tuple of str
        Raw columns, in the order of the views.
    values : ndarray of shape (n_rows, n_outputs, n_raw_columns + 1)
        What each column adds; the last is the expected margin. A row's values add up to its margin.
    margins : ndarray of shape (n_rows, n_outputs)
        The weighted mean of the explained members' predictions before their link.
    scale : str
        ``"log-odds"``, ``"score"``, ``"log"``, ``"log1p"`` or ``"value"``; see `Model.margin_scale`.
    share : float
        The weight of the explained members in the ensemble, from 0 to 1.
    explained, left_out : tuple of str
        The kinds of the members that are explained, and of those that are not.
    """

    columns: tuple[str, ...]
    values: Floats
    margins: Floats
    scale: str
    share: float
    explained: tuple[str, ...]
    left_out: tuple[str, ...]


def contributions(
    ensemble: Ensemble, matrices: Mapping[str, Floats], sources: Mapping[str, Sequence[str]]
) -> Contributions | None:
    """Explain the rows of `matrices`; None where no member can.

    Margins on different scales do not add up: of the members that can explain, those on the scale with the most weight
    are explained. Their weights are divided by their sum.

    Parameters
    ----------
    ensemble : Ensemble
    matrices : mapping of str to ndarray of shape (n_rows, n_columns of the view)
    sources : mapping of str to sequence of str
        For each view, the raw column that each of its columns comes from.
    """
    members = [member for member in ensemble.members if member.weight > 0]
    total = math.fsum(member.weight for member in members)
    by_scale: dict[str, list[Member]] = {}
    for member in members:
        scale = _scale(member)
        if scale is not None:
            by_scale.setdefault(scale, []).append(member)
    if not by_scale:
        return None
    weights = {scale: math.fsum(m.weight for m in own) for scale, own in by_scale.items()}
    scale = max(weights, key=weights.__getitem__)
    chosen = by_scale[scale]
    columns = tuple(dict.fromkeys(name for member in chosen for name in sources[member.view]))
    values, margins = None, None
    for member in chosen:
        X, share = matrices[member.view], member.weight / weights[scale]
        own = share * _by_column(member.model.contributions(X), sources[member.view], columns)
        margin = share * member.model.margins(X)
        values = own if values is None else values + own
        margins = margin if margins is None else margins + margin
    if values is None or margins is None:
        return None
    left_out = [member.model.kind for member in members if member not in chosen]
    if ensemble.offset is not None and ensemble.offset.scale == scale:
        added = matrices[ensemble.offset.view]
        # All of it is its column's: a group that is not known adds nothing.
        own = _placed(added, sources[ensemble.offset.view], columns)
        columns, values, margins = own[0], _wider(values, len(own[0])) + own[1], margins + added
    elif ensemble.offset is not None:
        left_out.append("group_effect")
    return Contributions(
        columns,
        values,
        margins,
        scale,
        weights[scale] / total,
        tuple(member.model.kind for member in chosen),
        tuple(left_out),
    )


def _scale(member: Member) -> str | None:
    """Return the scale that a member's margin has in the ensemble."""
    scale = member.model.margin_scale
    if member.link == "log":  # fitted on log1p of the target
        return "log1p" if scale == "value" else None
    return scale


def _placed(
    added: Floats, sources: Sequence[str], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], Floats]:
    """Return the columns with that of an offset, and what it adds as contributions of them."""
    (name,) = dict.fromkeys(sources)
    wider = tuple(dict.fromkeys((*columns, name)))
    parts = np.zeros((*added.shape, len(wider) + 1))
    parts[..., wider.index(name)] = added
    return wider, parts


def _wider(values: Floats, n_columns: int) -> Floats:
    """Return contributions with zeros for further columns; the expected margin stays the last."""
    more = np.zeros((*values.shape[:2], n_columns + 1 - values.shape[2]))
    return np.concatenate([values[..., :-1], more, values[..., -1:]], axis=2)


def _by_column(parts: Floats, sources: Sequence[str], columns: Sequence[str]) -> Floats:
    """Return the sums over the matrix columns of each raw column; the last stays the last."""
    place = {name: number for number, name in enumerate(columns)}
    summed = np.zeros((*parts.shape[:2], len(columns) + 1))
    for number, name in enumerate(sources):
        summed[..., place[name]] += parts[..., number]
    summed[..., -1] = parts[..., -1]
    return summed
