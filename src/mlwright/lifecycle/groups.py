"""Groups: where a model is worse than elsewhere, and what it does to the groups that a project names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlwright.core.errors import UsageError
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Kind, Schema
from mlwright.data.table import Table
from mlwright.evaluate.fairness import compare_groups
from mlwright.evaluate.group_words import NamedGroups, WeakSlices
from mlwright.evaluate.slices import find_slices
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.task import weights_of

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured

__all__ = ["checked_groups", "fairness_of", "slices_of"]


def checked_groups(project: Project, schema: Schema, target: str) -> None:
    """Refuse a column of groups that is not there, or that is the target.

    Raises
    ------
    UsageError
        Which names the nearest column.
    """
    for name in project.fairness_groups:
        if name == target:
            raise UsageError(
                "the target cannot be a group to be fair to",
                got=name,
                fix="name columns such as sex or age under [fairness]",
            )
        if name not in schema:
            near = difflib.get_close_matches(name, schema.names, n=1, cutoff=0.5)
            raise UsageError(
                "[fairness] names a column that the data does not have",
                got=name,
                allowed=schema.names[:50],
                fix=f"did you mean '{near[0]}'?" if near else "name one of the columns",
            )


def slices_of(measured: Measured) -> WeakSlices | None:
    """Return where the model is worse than elsewhere; None where the report is a by-product."""
    if measured.rough:
        return None
    rows, told = _thinned(measured)
    names = _promising(measured)
    described = [rows.schema[name] for name in names]
    truth, predicted = measured.truth[told.rows], measured.predicted[told.rows]
    found = find_slices(
        measured.task,
        truth,
        predicted,
        described,
        rows.columns(names),
        weights=told.weights,
        clusters=told.clusters,
    )
    return WeakSlices(measured.task, found)


def fairness_of(measured: Measured) -> NamedGroups | None:
    """Return what the model does to the groups that the project names; None if it names none."""
    rows, told = _thinned(measured)
    names = [name for name in measured.project.fairness_groups if name in rows.arrow.column_names]
    if not names or measured.rough:
        return None
    truth, predicted = measured.truth[told.rows], measured.predicted[told.rows]
    found = (
        compare_groups(
            measured.task,
            truth,
            predicted,
            rows.schema[name],
            rows.columns([name]),
            weights=told.weights,
            clusters=told.clusters,
            seed=measured.project.task_seed,
        )
        for name in names
    )
    return NamedGroups(measured.task, tuple(found))


class _Told(NamedTuple):
    """Which rows are looked at, how much they count, and which belong together."""

    rows: Ints
    weights: Floats | None
    clusters: np.ndarray | None


def _thinned(measured: Measured) -> tuple[Table, _Told]:
    rows = measured.rows
    some = np.arange(rows.n_rows)
    most = measured.detail.grouped
    if rows.n_rows > most:
        some = np.linspace(0, rows.n_rows - 1, most).astype(np.int64)
    taken = rows.take(some)
    clusters = next(iter(measured.units.values()), None)
    return taken, _Told(
        some, weights_of(taken, measured.task), None if clusters is None else np.asarray(clusters)[some]
    )


def _promising(measured: Measured) -> list[str]:
    """Return the columns to look for slices in: those named for fairness, then those that the model leans on most."""
    schema = measured.rows.schema
    kinds = {column.name: column.kind for column in schema.columns}
    present = set(measured.rows.arrow.column_names)
    order = [
        *measured.project.fairness_groups,
        *(item.column for item in measured.evaluation.importance),
        *(column.name for column in schema.features),
    ]
    known = [name for name in dict.fromkeys(order) if name in kinds and name in present]
    return [name for name in known if kinds[name] not in (Kind.TEXT, Kind.ID, Kind.CONSTANT)]
