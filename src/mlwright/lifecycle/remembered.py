"""Remembered: a model that was chosen for groups that nobody has seen also knows what it misses for those that it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Role, Schema, TaskKind
from mlwright.data.table import Table
from mlwright.data.target import target_values
from mlwright.data.values import Coded, Columns
from mlwright.evaluate.known_groups_gain import KnownGroupsGain
from mlwright.features.group_effect import MOST_GROUPS, GroupEffect
from mlwright.features.levels import count_levels
from mlwright.features.plan import FeaturePlan
from mlwright.models.offset import Offset
from mlwright.search import StudyResult
from mlwright.search.known_groups import known_groups

if TYPE_CHECKING:
    from mlwright.lifecycle.prepared import Prepared
    from mlwright.lifecycle.project import Project

__all__ = ["VIEW", "Remembered", "remember"]

VIEW = "known groups"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A study whose blend knows groups, or one that does not.

    Parameters
    ----------
    study : StudyResult
        With the offset and its view, where there are effects.
    schema : Schema
        In which the group is no more than optional.
    seen : ndarray of shape (n, n_outputs)
        What the blend now predicts for the rows that were predicted before.
    column : str or None
        The column of the groups that are known.
    gain : KnownGroupsGain or None
        What that is worth.
    """

    study: StudyResult
    schema: Schema
    seen: Floats
    column: str | None = None
    gain: KnownGroupsGain | None = None

    def columns(self, table: Table, columns: Columns | None = None) -> Columns:
        """Return canonical columns of a table (those given, by default its features) with the groups that are known."""
        own = table.columns() if columns is None else columns
        return own if self.column is None else {**own, **table.columns([self.column])}


def remember(
    prepared: Prepared, project: Project, study: StudyResult, rows: Ints, seen: Floats, weights: Floats | None
) -> Remembered:
    """Add to a study's blend what it misses for each group, where the split was by group and that carries over.

    Parameters
    ----------
    rows : ndarray of int
        Positions among the training rows.
    seen : ndarray of shape (n_rows, n_outputs)
        What the blend predicts for them.
    weights : ndarray, optional
        Of the training rows.
    """
    table, task, split = prepared.table, prepared.task, prepared.split
    same = Remembered(study, table.schema, seen)
    column = split.column
    if split.kind != "group" or column is None or not project.task_known_groups:
        return same
    if table.schema[column].pii or table.schema[column].role is not Role.GROUP:
        return same
    trained = table.take(split.train)
    values = trained.columns([column])[column]
    if not isinstance(values, Coded):
        return same
    y = target_values(table, task)[split.train]
    found = known_groups(y, study.predicted, values.codes, task, fitted=(rows, seen), weights=weights)
    if found is None:
        return same
    levels = [level for level, _ in count_levels(values)][:MOST_GROUPS]
    places = {level: code for code, level in enumerate(values.levels)}
    effects = found.effects[[places[level] for level in levels]]
    told = np.flatnonzero(effects.any(axis=1))
    effect = GroupEffect(column).set_learned([levels[place] for place in told.tolist()], effects[told])
    plan = FeaturePlan([effect]).arrange()
    least = 0.0 if task.kind is TaskKind.REGRESSION and y.min() >= 0 else None
    offset = Offset(VIEW, found.scale, least)
    study = replace(
        study,
        ensemble=study.ensemble.with_offset(offset),
        plans={**study.plans, VIEW: plan},
    )
    own = trained.take(rows).columns([column])
    schema = table.schema.optional(column)
    gain = KnownGroupsGain(column, found.n_groups, task.metric, found.before, found.after)
    return Remembered(study, schema, offset.apply(seen, plan.batch(own)), column, gain)
