"""Recipes: which transforms a column gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlwright.core.errors import UsageError
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.features.recipes import RECIPES, build

BINARY = Task(TaskKind.BINARY, "churn", "roc_auc", ("No", "Yes"))
REGRESSION = Task(TaskKind.REGRESSION, "price", "rmse")


def category(name, n):
    return Column(name, Kind.CATEGORICAL, levels=None if n is None else tuple(map(str, range(n))))


SCHEMA = Schema(
    (
        Column("age", Kind.NUMERIC),
        Column("active", Kind.BOOLEAN),
        category("few", 8),
        category("some", 9),
        category("more", 31),
        category("many", None),
        Column("since", Kind.DATETIME),
        Column("note", Kind.TEXT),
        Column("key", Kind.ID),
        Column("same", Kind.CONSTANT),
        Column("churn", Kind.BOOLEAN, Role.TARGET),
        Column("at", Kind.DATETIME, Role.TIME),
        Column("left out", Kind.NUMERIC, Role.IGNORED),
    )
)


def kinds_of(recipe, **options):
    options = {"n_rows": 100, "task": BINARY} | options
    return [(t.column, t.kind) for t in build(SCHEMA, recipe, **options).transforms]


def test_native():
    assert kinds_of("native") == [
        ("age", "number"),
        ("active", "number"),
        ("few", "category_codes"),
        ("some", "category_codes"),
        ("more", "category_codes"),
        ("many", "category_codes"),
        ("many", "target_encoding"),
        ("since", "datetime_parts"),
        ("note", "text_score"),
        ("note", "text_statistics"),
        ("note", "text_svd"),
    ]


def test_encoded():
    assert kinds_of("encoded") == [
        ("age", "number"),
        ("active", "number"),
        ("few", "one_hot"),
        ("some", "target_encoding"),
        ("more", "target_encoding"),
        ("many", "target_encoding"),
        ("since", "datetime_parts"),
        ("note", "text_score"),
        ("note", "text_statistics"),
        ("note", "text_svd"),
    ]


def test_linear():
    assert kinds_of("linear") == [
        ("age", "scaled_number"),
        ("active", "scaled_number"),
        ("few", "one_hot"),
        ("some", "one_hot"),
        ("more", "target_encoding"),
        ("many", "target_encoding"),
        ("since", "datetime_parts"),
        ("note", "text_score"),
    ]
    by_name = {t.column: t for t in build(SCHEMA, "linear", n_rows=100, task=BINARY).transforms}
    assert by_name["since"].cyclic


def test_numbers_of_linear_are_winsorized_if_asked():
    plain, held = (
        [t.kind for t in build(SCHEMA, "linear", n_rows=100, task=REGRESSION, winsorized=w).transforms]
        for w in (False, True)
    )
    assert plain[:2] == ["scaled_number", "scaled_number"]
    assert held == ["winsorized_number", *plain[1:]]  # a flag has no tails
    for recipe in ("native", "encoded"):
        trees = build(SCHEMA, recipe, n_rows=100, task=REGRESSION, winsorized=True).transforms
        assert "winsorized_number" not in [t.kind for t in trees]


def test_levels_override_what_the_schema_says():
    assert ("many", "one_hot") in kinds_of("linear", levels={"many": 4})
    assert ("few", "target_encoding") in kinds_of("encoded", levels={"few": 900})


def test_encodings_are_scaled_for_linear_models_only():
    of = {r: build(SCHEMA, r, n_rows=100, task=REGRESSION).transforms for r in ("linear", "encoded")}
    assert [t.scaled for t in of["linear"] if t.kind == "target_encoding"] == [True, True]
    assert not any(t.scaled for t in of["encoded"] if t.kind == "target_encoding")


def test_rare_levels_are_rarer_in_small_tables():
    small, large = (
        next(t for t in build(SCHEMA, "native", n_rows=n, task=BINARY).transforms if t.column == "few")
        for n in (100, 100_000)
    )
    assert (small.min_count, large.min_count) == (2, 5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_target_is_no_input_even_where_its_role_says_feature(recipe):
    task = Task(TaskKind.REGRESSION, "age", "rmse")
    assert "age" not in build(SCHEMA, recipe, n_rows=10, task=task).inputs


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_features_give_an_empty_plan(recipe):
    assert build(Schema(()), recipe, n_rows=10, task=BINARY).transforms == ()


def test_an_unknown_recipe_is_named():
    with pytest.raises(UsageError, match="unknown recipe: got 'trees'; allowed: native, encoded, linear"):
        build(SCHEMA, "trees", n_rows=10, task=BINARY)


def test_features_load_no_training_library():
    code = (
        "import sys, mlwright.features.recipes, mlwright.core.kinds as k\n"
        "for kind in k.TRANSFORMS: k.load(k.TRANSFORMS, kind, family='transform')\n"
        "print([m for m in ('sklearn','scipy','pandas','pyarrow','duckdb','threadpoolctl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
