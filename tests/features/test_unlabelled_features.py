import math
from collections import Counter

import numpy as np
import pytest

from mlwright.data.schema import Column, Kind, Role, Schema, TaskKind
from mlwright.data.values import Coded
from mlwright.features.category_frequency import CategoryFrequency
from mlwright.features.datetime_parts import DatetimeParts
from mlwright.features.unlabelled import Circles, build

CELLS = ["a"] * 5 + ["b"] * 3 + [None] * 2 + ["once", "too"]


def coded(cells):
    levels = sorted({cell for cell in cells if cell is not None})
    codes = [-1 if cell is None else levels.index(cell) for cell in cells]
    return {"x": Coded(np.array(codes, np.int32), levels)}


def fit(transform, columns):
    return transform.fit(columns, np.zeros(len(CELLS)), n_classes=0, seed=0)


def test_frequency_is_minus_the_logarithm_of_the_share():
    found = fit(CategoryFrequency("x"), coded(CELLS))
    for cell, count in Counter(CELLS).items():
        assert found.row(cell) == pytest.approx((math.log(len(CELLS) / count),))
    assert found.row("new") == pytest.approx((math.log(12 / 2),))  # two rows have a level that occurs once


def test_frequency_of_what_is_beyond_the_kept_levels_is_that_of_a_new_one():
    found = fit(CategoryFrequency("x", max_levels=1), coded(CELLS))
    assert found.row("b") == found.row("new") != found.row("a")


def test_a_new_level_counts_half_a_row_where_none_occurs_once():
    assert fit(CategoryFrequency("x"), coded(["a"] * 6 + ["b"] * 6)).row("new") == (math.log(24),)


def test_circles_do_not_know_how_late_it_is():
    days = {"at": np.arange(40) * 86400.0}
    names = [tag.name for tag in Circles("at").fit(days, np.zeros(40), n_classes=0, seed=0).tags]
    assert names
    assert not any("days" in name for name in names)
    whole = DatetimeParts("at", cyclic=True).fit(days, np.zeros(40), n_classes=0, seed=0)
    assert any("days" in tag.name for tag in whole.tags)


def test_no_transform_needs_a_target():
    many = tuple(f"k{i}" for i in range(40))
    schema = Schema(
        (
            Column("n", Kind.NUMERIC),
            Column("few", Kind.CATEGORICAL, levels=("a", "b")),
            Column("many", Kind.CATEGORICAL, levels=many),
            Column("at", Kind.DATETIME),
            Column("t", Kind.TEXT),
            Column("label", Kind.NUMERIC, role=Role.TARGET),
        )
    )
    kinds = [
        [(t.column, t.kind) for t in build(schema, kind, n_rows=100).transforms]
        for kind in (TaskKind.ANOMALY, TaskKind.CLUSTER)
    ]
    shared = [("n", "scaled_number"), ("few", "one_hot")]
    rest = [("many", "category_frequency"), ("at", "datetime_parts"), ("t", "text_tfidf")]
    assert kinds[0] == [*shared, ("few", "category_frequency"), *rest]
    assert kinds[1] == [*shared, *rest]
