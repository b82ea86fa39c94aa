"""Recipes: which transforms a schema's columns get, for each kind of learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

from mlwright.core.errors import UsageError
from mlwright.data.ordinal import find_scale
from mlwright.data.ranges import are_ranges
from mlwright.data.schema import Column, Kind, Schema, Task
from mlwright.features.base import Transform
from mlwright.features.category_codes import CategoryCodes
from mlwright.features.datetime_difference import DatetimeDifference
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.number import Number
from mlwright.features.numeric_codes import NumericCodes
from mlwright.features.one_hot import OneHot
from mlwright.features.ordinal_words import OrdinalWords
from mlwright.features.plan import FeaturePlan
from mlwright.features.range_value import RangeValue
from mlwright.features.scaled_number import ScaledNumber
from mlwright.features.target_encoding import TargetEncoding
from mlwright.features.text_score import TextScore
from mlwright.features.text_statistics import TextStatistics
from mlwright.features.text_svd import TextSVD
from mlwright.features.winsorized_number import WinsorizedNumber

__all__ = ["RECIPES", "build"]

RECIPES = ("native", "encoded", "linear")

_MANY = 1000  # levels beyond which codes alone are too thin
_MANY_ROWS = 5000
_MANY_TEXTS = 5000  # from here on a term that one text holds is not worth its place
_MOST_ORDERED = 100  # levels that are looked at for an order
_FEW_FOR_TREES = 8
_FEW_FOR_LINEAR = 30
_MOST_DIFFERENCES = 10  # of moments: all pairs of five


def build(
    schema: Schema,
    recipe: str,
    *,
    n_rows: int,
    task: Task,
    levels: Mapping[str, int] | None = None,
    winsorized: bool = False,
) -> FeaturePlan:
    """Return an unfitted plan over the schema's features.

    - ``native``, for learners that split on categories: numbers as they are, codes for categories (above 1,000 levels
      the codes of the most frequent ones and a target encoding), parts of dates; scores, topics and statistics of texts.
      Whole numbers that act as codes are categories here, and numbers in the other two, so that a search tries both.
    - ``encoded``, all numeric, for any trees: categories of up to 8 levels one-hot, others target-encoded; the rest as
      in native.
    - ``linear``: scaled numbers, categories of up to 30 levels one-hot, others target-encoded, cyclic parts of dates,
      scores of texts.

    Categories that are ordered words or ranges give their number too, where columns of 0 and 1 would not say the same
    (for linear models up to 30 levels, for encoded ones of few rows up to 8). In all three, two moments of a record
    give the days between them (up to ten pairs).

    Ids, constants and columns of another role than feature are left out.

    Parameters
    ----------
    schema : Schema
        What the columns are.
    recipe : {"native", "encoded", "linear"}
        See above.
    n_rows : int
        How many rows the plan will be fitted on.
    task : Task
        What is predicted; its target is left out, whatever role the schema gives it.
    levels : mapping of str to int, optional
        How many levels a categorical column has, where it is not what ``Column.levels`` says (None there means more
        than 1,000).
    winsorized : bool
        Whether the numbers of ``linear`` are held near the tails of training.

    Raises
    ------
    UsageError
        If there is no such recipe.

    Examples
    --------
    >>> from mlwright.data.schema import Column, TaskKind
    >>> schema = Schema((Column("age", Kind.NUMERIC), Column("plan", Kind.CATEGORICAL, levels=("year", "month"))))
    >>> task = Task(TaskKind.BINARY, "churn", "roc_auc", ("No", "Yes"))
    >>> [t.kind for t in build(schema, "linear", n_rows=100, task=task).transforms]
    ['scaled_number', 'one_hot']
    """
    if recipe not in RECIPES:
        raise UsageError("unknown recipe", got=recipe, allowed=RECIPES)
    known = levels or {}
    features = [column for column in schema.features if column.name != task.target]
    transforms: list[Transform] = []
    for column in features:
        name = column.name
        if column.kind is Kind.CATEGORICAL:
            n_levels = known.get(name, _MANY + 1 if column.levels is None else len(column.levels))
            transforms += _categorical(name, n_levels, recipe, rare=_rare(n_rows))
            transforms += _ordered(column, recipe, n_rows)
        elif column.kind is Kind.NUMERIC and column.dtype == "int" and recipe == "native":
            transforms.append(NumericCodes(name, min_count=_rare(n_rows)))
        elif column.kind in _BY_KIND:
            plain, linear = _BY_KIND[column.kind]
            if winsorized and column.kind is Kind.NUMERIC:
                linear = WinsorizedNumber
            transforms.append(linear(name) if recipe == "linear" else plain(name))
        elif column.kind is Kind.TEXT:
            transforms.append(TextScore(name, min_documents=1 if n_rows < _MANY_TEXTS else 2))
            if recipe != "linear":
                transforms += [TextStatistics(name), TextSVD(name)]
    moments = [column.name for column in features if column.kind is Kind.DATETIME]
    pairs = list(combinations(moments, 2))[:_MOST_DIFFERENCES]
    transforms += [DatetimeDifference(*pair, scaled=recipe == "linear") for pair in pairs]
    return FeaturePlan(transforms)


_BY_KIND: Mapping[Kind, tuple[Callable[[str], Transform], Callable[[str], Transform]]] = {
    Kind.NUMERIC: (Number, ScaledNumber),
    Kind.BOOLEAN: (Number, ScaledNumber),
    Kind.DATETIME: (DatetimeParts, lambda name: DatetimeParts(name, cyclic=True)),
}


def _rare(n_rows: int) -> int:
    """Return how often a level must occur to stand alone: two or three rows say nothing among thousands."""
    return 2 if n_rows < 5000 else 5


def _categorical(name: str, n_levels: int, recipe: str, *, rare: int) -> list[Transform]:
    if recipe == "native":
        codes = CategoryCodes(name, min_count=rare, max_levels=_MANY)
        return [codes, TargetEncoding(name)] if n_levels > _MANY else [codes]
    few = _FEW_FOR_LINEAR if recipe == "linear" else _FEW_FOR_TREES
    if n_levels <= few:
        return [OneHot(name, min_count=rare, max_levels=few)]
    return [TargetEncoding(name, scaled=recipe == "linear")]


def _ordered(column: Column, recipe: str, n_rows: int) -> list[Transform]:
    """Return the number of an ordered category, beside what the category itself gives.

    Columns of 0 and 1 say the same to a linear model, and to trees where rows are few.
    """
    levels = column.levels or ()
    if column.dtype != "str" or not 2 <= len(levels) <= _MOST_ORDERED:
        return []
    few = {"native": 0, "encoded": _FEW_FOR_TREES if n_rows < _MANY_ROWS else 0, "linear": _FEW_FOR_LINEAR}
    if len(levels) <= few[recipe]:
        return []
    if (scale := find_scale(levels)) is not None:
        return [OrdinalWords(column.name, scale=scale, scaled=recipe == "linear")]
    if are_ranges(levels):
        return [RangeValue(column.name, scaled=recipe == "linear")]
    return []
