"""Same entity: a customer, a patient, a device whose rows both train and test.

A model may then learn whom it knows in place of what it should, and the score does not hold for new ones. How much so
is how far the target goes with the entity: the share of its variance between entities, in the training rows.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import Check, CheckContext
from mlwright.data.checks.sides import Sides, sides
from mlwright.data.checks.wording import share
from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, TaskKind
from mlwright.data.split_names import is_block_name, is_entity_name, is_id_name
from mlwright.data.values import Coded

__all__ = ["SameEntity", "variance_between"]

_MOST_ROWS = 50_000
_FEWEST_ENTITIES, _FEWEST_ROWS_EACH = 10, 1.5
_FEWEST_SHARED = 0.1  # of the test rows
_GOES_WITH, _BEYOND_CHANCE = 0.1, 6.0  # of the variance; standard errors


class SameEntity(Check):
    """Columns that name what rows are about, where the same ones train and test though the split goes by something else.

    It warns where a column is named like an entity (a customer, a patient, a device), and where it is an id or a block of
    another name and the target goes with it: at least a tenth of its variance lies between the values, six standard
    errors beyond chance. A split by time means to predict what is known already, so there it is a note.
    """

    kind: ClassVar[str] = "same_entity"

    def run(self, context: CheckContext) -> list[Finding]:
        """Return a finding an entity, those that the target goes with most first."""
        split = context.split
        if split is None or not context.task.kind.needs_target:
            return []
        columns = [c for c in _candidates(context) if not (split.kind == "group" and c.name == split.column)]
        if not columns:
            return []
        both = sides(context, [column.name for column in columns], most=_MOST_ROWS)
        if both is None:
            return []
        found = []
        for column in columns:
            looked = self._look(column, both, context, by_time=split.kind == "time")
            if looked is not None:
                found.append(looked)
        return [finding for _, finding in sorted(found, key=lambda each: -each[0])]

    def _look(
        self, column: Column, both: Sides, context: CheckContext, *, by_time: bool
    ) -> tuple[float, Finding] | None:
        codes = _codes(both.columns[column.name]) if column.name in both.columns else np.zeros(0, np.int64)
        known = codes >= 0
        if not known.any():
            return None
        n_entities, ours = int(codes.max()) + 1, np.unique(codes[known & ~both.is_test])
        n_test = int(both.is_test.sum())
        shared = int(np.isin(codes[both.is_test], ours).sum())
        if (
            n_entities < _FEWEST_ENTITIES
            or known.sum() < _FEWEST_ROWS_EACH * n_entities
            or shared < _FEWEST_SHARED * n_test
        ):
            return None
        rows = known & ~both.is_test & ~np.isnan(both.y)
        between, chance = _goes_with(codes[rows], both.y[rows], context)
        goes_with = between >= _GOES_WITH and between >= _BEYOND_CHANCE * chance
        named = is_entity_name(column.name) or column.role is Role.ENTITY
        if not (goes_with or named):
            return None
        tells = (
            f"{share(between)} of the target's variance lies between them"
            if goes_with
            else "the target does not go with it"
        )
        what = (
            f"{share(shared / n_test)} of the test rows are of one of the {n_entities:,} values of '{column.name}' that "
            f"training rows are of as well; {tells}."
        )
        if by_time:
            advice = f"The score holds for values of '{column.name}' that are known already; for new ones name the split 'group:{column.name}'."
            return (
                (between, Finding(self.kind, Severity.INFO, (column.name,), what, advice))
                if goes_with
                else None
            )
        if both.own:
            advice = f"Take test rows of other values of '{column.name}' if predictions are for new ones; else accept 'same_entity:{column.name}'."
        else:
            advice = f"Split by 'group:{column.name}' if predictions are for new ones; else accept 'same_entity:{column.name}'."
        return between, Finding(self.kind, Severity.WARN, (column.name,), what, advice)


def variance_between(codes: Ints, y: Floats) -> tuple[float, float]:
    """Return the share of variance between groups without what chance adds, and its standard error if there is none.

    The intraclass correlation of an analysis of variance, for groups of unequal size.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_rows,)
        The group of a row, from 0.
    y : ndarray of shape (n_rows,)
        Finite.

    References
    ----------
    Donner, "A review of inference procedures for the intraclass correlation coefficient in the one-way random effects
    model", International Statistical Review 54(1), 1986.

    Examples
    --------
    >>> import numpy as np
    >>> variance_between(np.repeat([0, 1], 50), np.repeat([0.0, 1.0], 50))[0]
    1.0
    """
    _, place, size = np.unique(codes, return_inverse=True, return_counts=True)
    n_rows, n_groups = len(y), len(size)
    if not 1 < n_groups < n_rows:
        return 0.0, 1.0
    means = np.bincount(place, weights=y) / size
    within = float(((y - means[place]) ** 2).sum()) / (n_rows - n_groups)
    between = float((size * (means - y.mean()) ** 2).sum()) / (n_groups - 1)
    usual = (n_rows - float((size.astype(np.float64) ** 2).sum()) / n_rows) / (n_groups - 1)
    whole = between + (usual - 1) * within
    if whole <= 0:
        return 0.0, 1.0
    # Under no effect F has a spread of sqrt(2 / (k - 1) + 2 / (n - k)), and the share is about (F - 1) / usual.
    chance = np.sqrt(2.0 / (n_groups - 1) + 2.0 / (n_rows - n_groups)) / usual
    return max(0.0, (between - within) / whole), float(chance)


def _goes_with(codes: Ints, y: Floats, context: CheckContext) -> tuple[float, float]:
    if len(y) < 2:
        return 0.0, 1.0
    if context.task.kind is not TaskKind.MULTICLASS:
        return variance_between(codes, y)
    # The class that goes with the groups most stands for all.
    classes = np.unique(y)
    return max(
        (variance_between(codes, (y == each).astype(np.float64)) for each in classes),
        key=lambda v: v[0] / v[1],
    )


def _candidates(context: CheckContext) -> list[Column]:
    present = set(context.table.arrow.column_names)
    roles = {Role.FEATURE, Role.ENTITY, Role.IGNORED, Role.GROUP}
    found = []
    for column in context.table.schema.columns:
        name = column.name
        if name not in present or column.role not in roles:
            continue
        named = is_entity_name(name) or is_id_name(name) or is_block_name(name)
        keyed = column.kind in {Kind.ID, Kind.CATEGORICAL, Kind.TEXT} or (
            column.kind is Kind.NUMERIC and column.dtype == "int"
        )
        if column.role in {Role.ENTITY, Role.GROUP} or (named and keyed):
            found.append(column)
    return found


def _codes(values: Floats | Coded) -> Ints:
    """Return codes from 0 without gaps between them, -1 where a value is missing."""
    raw = values.codes.astype(np.float64) if isinstance(values, Coded) else values
    known = raw >= 0 if isinstance(values, Coded) else ~np.isnan(raw)
    codes = np.full(len(raw), -1, np.int64)
    codes[known] = np.unique(raw[known], return_inverse=True)[1]
    return codes
