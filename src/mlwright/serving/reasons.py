"""Reasons: which columns make a record unusual, or put it into its cluster, in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats, Ints, Json
from mlwright.data.schema import Kind, Schema
from mlwright.data.values import Cell, Coded, Columns
from mlwright.features.base import OutputTag

if TYPE_CHECKING:
    from mlwright.features.plan import FeaturePlan
    from mlwright.models.ensemble import Ensemble

__all__ = [
    "ClusterReasons",
    "Explained",
    "Grouped",
    "Reasons",
    "ReasonsLike",
    "cells_of",
    "of_model",
    "share_words",
    "summary",
]

_MOST = 3
_LEAST = 0.1  # of the whole: less is no reason
_FAR = 0.05  # of the rows: a value that is not so far out is unusual only beside the others
_CHUNK = 4096
_FIRST, _LAST = -62135596800.0, 253402300800.0  # the years 1 to 9999, in seconds since 1970


@runtime_checkable
class Explained(Protocol):
    """A model that says what its columns do to a row, as `mlwright.models.consensus.Consensus` does."""

    @property
    def n_groups_(self) -> int:
        """How many raw columns its matrix comes from."""
        ...

    def parts(self, X: Floats) -> Floats:
        """Return each raw column's part, shape (n_rows, n_groups), rows summing to 1 or 0."""
        ...

    def tails(self, X: Floats) -> tuple[Floats, Floats]:
        """Return the shares of the training rows that are at most, and at least, each value of the matrix."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """A model that groups rows, as `mlwright.models.clustering.Clustering` is."""

    @property
    def n_groups_(self) -> int:
        """How many raw columns its matrix comes from."""
        ...

    def parts(self, X: Floats) -> Floats:
        """Return how much each raw column speaks for the row's cluster, rows summing to 1 or 0."""
        ...

    def rivals(self, X: Floats) -> tuple[Ints, Ints]:
        """Return each row's cluster, and the next one."""
        ...


class ReasonsLike(Protocol):
    """Whatever says why rows are as they are."""

    def of_rows(self, X: Floats, cells: Sequence[Mapping[str, Cell]]) -> list[list[Json]]:
        """Return the reasons for each row of a matrix, the weightiest first."""
        ...


def of_model(
    plans: Mapping[str, FeaturePlan],
    ensemble: Ensemble,
    schema: Schema,
    labels: Sequence[str],
    reference: Mapping[str, Any],
) -> ReasonsLike:
    """Return what says why for a bundle without a target, which has one view and one model.

    Raises
    ------
    BundleContentError
        If it has more, or a model that does not say what its columns do.
    """
    if len(plans) != 1 or len(ensemble.members) != 1:
        raise BundleContentError("a bundle without a target has one view and one model", got=sorted(plans))
    (plan,), model = plans.values(), ensemble.members[0].model
    if isinstance(model, Grouped):
        return ClusterReasons(plan.tags, model, schema, labels, reference.get("clusters"))
    if not isinstance(model, Explained):
        raise BundleContentError("a model that does not say why", got=model.kind)
    return Reasons(plan.tags, model, schema)


def share_words(share: float) -> str:
    """Return a share as people say it; none is rounded to 0 or 100.

    Examples
    --------
    >>> share_words(0.634), share_words(0.0021), share_words(0.99987), share_words(0.00002)
    ('63 %', '0.2 %', '99.99 %', 'less than 0.01 %')
    """
    if share < 1e-4:
        return "less than 0.01 %"
    for digits in (0, 1, 2):
        text = f"{100 * share:.{digits}f}"
        if 0 < float(text) < 100 and not (digits == 0 and (share < 0.015 or share > 0.985)):
            return f"{text} %"
    return "more than 99.99 %"


class Reasons:
    """Says why.

    Parameters
    ----------
    tags : sequence of OutputTag
        One a matrix column.
    model : Explained
        The model over that matrix.
    schema : Schema
        What the raw columns are.

    Raises
    ------
    BundleContentError
        If the model is of another number of columns.
    """

    def __init__(self, tags: Sequence[OutputTag], model: Explained, schema: Schema) -> None:
        self._model, self._tags = model, list(tags)
        self._sources = _fitting_sources(tags, model.n_groups_)
        self._kinds = [schema[source].kind for source in self._sources]
        self._members = [
            [j for j, tag in enumerate(tags) if tag.source == source] for source in self._sources
        ]

    def of_rows(self, X: Floats, cells: Sequence[Mapping[str, Cell]]) -> list[list[Json]]:
        """Return the reasons for each row of a matrix, the weightiest first, at most three each.

        Returns
        -------
        list of list of dict
            ``column``, ``got`` (its value; None where it is missing), ``share`` (of the whole, 0 to 1) and ``says``.
        """
        out: list[list[Json]] = []
        for start in range(0, len(X), _CHUNK):
            rows = X[start : start + _CHUNK]
            parts = self._model.parts(rows)
            low, high = self._model.tails(rows)
            for i, part in enumerate(parts):
                order = np.argsort(-part, kind="stable")[:_MOST].tolist()
                out.append(
                    [
                        self._reason(group, float(part[group]), low[i], high[i], rows[i], cells[start + i])
                        for group in order
                        if part[group] >= _LEAST
                    ]
                )
        return out

    def _reason(
        self, group: int, share: float, low: Floats, high: Floats, row: Floats, cells: Mapping[str, Cell]
    ) -> Json:
        source, cell = self._sources[group], cells.get(self._sources[group])
        missing = cell is None or cell != cell  # noqa: PLR0124 - NaN is the float that is not itself
        got: Any = None if missing else _as_told(cell, self._kinds[group])
        says = self._says(group, low, high, row, missing=missing)
        return {"column": source, "got": got, "share": round(share, 4), "says": says}

    def _says(self, group: int, low: Floats, high: Floats, row: Floats, *, missing: bool) -> str:
        members, kind = self._members[group], self._kinds[group]
        outermost = min(members, key=lambda j: min(low[j], high[j]))
        left, right = float(low[outermost]), float(high[outermost])
        if missing:
            flags = [j for j in members if self._tags[j].name.endswith(" is missing") and row[j] > 0]
            return (
                f"missing, as in {share_words(float(high[flags[0]]))} of the training rows"
                if flags
                else "missing"
            )
        if kind is Kind.CATEGORICAL:
            rare = [j for j in members if self._tags[j].name.endswith(": how rare")]
            chance = float(np.exp(-row[rare[0]])) if rare else min(left, right)
            return (
                f"a value of {share_words(chance)} of the training rows"
                if chance <= _FAR
                else "unusual beside the other values"
            )
        if kind is Kind.TEXT:
            return "its words are unusual"
        if min(left, right) > _FAR or kind is Kind.DATETIME:
            return "unusual beside the other values"
        if kind is Kind.BOOLEAN:
            return f"as in {share_words(min(left, right))} of the training rows"
        word, beyond = ("higher", left - right) if right <= left else ("lower", right - left)
        share = 1.0 - min(left, right)
        return f"{word} than {share_words(share)} of the training rows" if beyond > 0 else "unusual"


class ClusterReasons:
    """Says why a record is in its cluster.

    Parameters
    ----------
    tags : sequence of OutputTag
        One a matrix column.
    model : Grouped
        The model over that matrix.
    schema : Schema
        What the raw columns are.
    labels : sequence of str
        The clusters' names.
    traits : mapping of str to mapping of str to str, optional
        By cluster and column, what sets the cluster apart.

    Raises
    ------
    BundleContentError
        If the parts do not fit each other.
    """

    def __init__(
        self, tags: Sequence[OutputTag], model: Grouped, schema: Schema, labels: Sequence[str], traits: Any
    ) -> None:
        self._model, self._labels = model, list(labels)
        self._sources = _fitting_sources(tags, model.n_groups_)
        self._kinds = [schema[source].kind for source in self._sources]
        known = traits if isinstance(traits, Mapping) else {}
        self._traits = {label: found for label, found in known.items() if isinstance(found, Mapping)}

    def of_rows(self, X: Floats, cells: Sequence[Mapping[str, Cell]]) -> list[list[Json]]:
        """Return the columns that speak most for each row's cluster; as `Reasons.of_rows`."""
        parts, (own, other) = self._model.parts(X), self._model.rivals(X)
        out = []
        for i, part in enumerate(parts):
            order = [g for g in np.argsort(-part, kind="stable")[:_MOST].tolist() if part[g] >= _LEAST]
            names = self._labels[own[i]], self._labels[other[i]]
            out.append([self._reason(group, float(part[group]), cells[i], *names) for group in order])
        return out

    def _reason(self, group: int, share: float, cells: Mapping[str, Cell], own: str, other: str) -> Json:
        source = self._sources[group]
        cell = cells.get(source)
        missing = cell is None or cell != cell  # noqa: PLR0124 - NaN is the float that is not itself
        got = None if missing else _as_told(cell, self._kinds[group])
        trait = self._traits.get(own, {}).get(source)
        says = f"typical of {own}: {trait}" if trait else f"nearer to {own} than to {other}"
        return {"column": source, "got": got, "share": round(share, 4), "says": says}


def _fitting_sources(tags: Sequence[OutputTag], n_groups: int) -> list[str]:
    sources = list(dict.fromkeys(tag.source for tag in tags))
    if len(sources) != n_groups:
        raise BundleContentError(
            "the model and the plan differ in their columns", got=n_groups, allowed=str(len(sources))
        )
    return sources


def cells_of(columns: Columns, rows: Ints) -> list[dict[str, Cell]]:
    """Return the canonical cells of some rows of canonical columns.

    Examples
    --------
    >>> cells_of({"age": np.array([30.0, 50.0])}, np.array([1]))
    [{'age': 50.0}]
    """
    taken = {
        name: [None if code < 0 else values.levels[code] for code in values.codes[rows].tolist()]
        if isinstance(values, Coded)
        else values[rows].tolist()
        for name, values in columns.items()
    }
    return [{name: values[i] for name, values in taken.items()} for i in range(len(rows))]


def summary(reasons: Sequence[Json]) -> str:
    """Return reasons as one line for a file.

    Examples
    --------
    >>> summary([{"column": "age", "got": 93.0, "share": 0.7, "says": "higher than 99.8 % of the training rows"}])
    'age 93: higher than 99.8 % of the training rows'
    """
    return "; ".join(f"{reason['column']}{_shown(reason['got'])}: {reason['says']}" for reason in reasons)


def _as_told(cell: Any, kind: Kind) -> Any:
    """Return a canonical cell as a person would write it."""
    if kind is Kind.BOOLEAN:
        return bool(cell)
    if kind is Kind.DATETIME and _FIRST <= cell < _LAST:
        return dt.datetime.fromtimestamp(cell, dt.UTC).isoformat()
    return cell


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f" {text if len(text) <= 40 else text[:37] + '...'}"
