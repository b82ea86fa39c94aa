"""Unlabelled: which transforms a schema's columns get where there is no target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from mlwright.core.types import Floats
from mlwright.data.schema import Kind, Schema, TaskKind
from mlwright.data.values import Columns
from mlwright.features.base import Transform
from mlwright.features.category_frequency import CategoryFrequency
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.one_hot import OneHot
from mlwright.features.plan import FeaturePlan
from mlwright.features.scaled_number import ScaledNumber
from mlwright.features.text_tfidf import TextTFIDF

__all__ = ["Circles", "build"]

_FEW = 30  # levels that get a column each
_TERMS = 100  # of a text
_FAR = 100.0  # standard deviations: an anomaly may lie further out than what a linear model should see
_MANY = 1000


class Circles(DatetimeParts):
    """The parts of a moment that come again: weekday, day of the year and hour, as sine and cosine.

    The days since 1970 are left out: every later row would be unlike the training rows for being later. A fitted one
    is a `DatetimeParts` and is kept as such.
    """

    def __init__(self, column: str) -> None:
        super().__init__(column, cyclic=True)

    def fit(self, columns: Columns, y: Floats, *, n_classes: int, seed: int) -> Self:
        """Find the parts that vary."""
        super().fit(columns, y, n_classes=n_classes, seed=seed)
        return self.set_learned([part for part in self.parts_ if part != "days"], self.mean_, self.deviation_)


def build(
    schema: Schema, kind: TaskKind, *, n_rows: int, levels: Mapping[str, int] | None = None
) -> FeaturePlan:
    """Return an unfitted plan over the schema's features, all of whose outputs are finite.

    As the recipe ``linear`` of `mlwright.features.recipes`, but for what needs a target: numbers scaled, categories of
    up to 30 levels one-hot, cyclic parts of dates, word weights of texts. A category of more levels is told by how
    rare its value is; where anomalies are sought every category is, beside its levels.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    kind : TaskKind
        Anomaly or cluster.
    n_rows : int
        How many rows the plan will be fitted on.
    levels : mapping of str to int, optional
        How many levels a categorical column has, where it is not what ``Column.levels`` says.

    Examples
    --------
    >>> from mlwright.data.schema import Column
    >>> schema = Schema((Column("age", Kind.NUMERIC), Column("plan", Kind.CATEGORICAL, levels=("year", "month"))))
    >>> [t.kind for t in build(schema, TaskKind.ANOMALY, n_rows=100).transforms]
    ['scaled_number', 'one_hot', 'category_frequency']
    """
    known, transforms = levels or {}, list[Transform]()
    rare = 2 if n_rows < 5000 else 5
    for column in schema.features:
        name = column.name
        if column.kind is Kind.CATEGORICAL:
            n_levels = known.get(name, _MANY + 1 if column.levels is None else len(column.levels))
            if n_levels <= _FEW:
                transforms.append(OneHot(name, min_count=rare, max_levels=_FEW))
            if n_levels > _FEW or kind is TaskKind.ANOMALY:
                transforms.append(CategoryFrequency(name))
        elif column.kind in (Kind.NUMERIC, Kind.BOOLEAN):
            transforms.append(
                ScaledNumber(name, clip=_FAR) if kind is TaskKind.ANOMALY else ScaledNumber(name)
            )
        elif column.kind is Kind.DATETIME:
            transforms.append(Circles(name))
        elif column.kind is Kind.TEXT:
            transforms.append(TextTFIDF(name, max_terms=_TERMS, longest=1))
    return FeaturePlan(transforms)
