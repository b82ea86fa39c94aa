"""Conformance kit for transforms: what every member of `mlwright.core.kinds.TRANSFORMS` must keep.

`cases` gives ``(id, function)`` pairs, ids as ``member:check``; each function raises `AssertionError` if the member
breaks the rule. A test suite runs them all::

    @pytest.mark.parametrize("case", [pytest.param(f, id=i) for i, f in cases()])
    def test_conforms(case):
        case()
"""

# ruff: noqa: S101, D401 - a conformance kit speaks in assertions, and a check's docstring is the rule that it checks

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import numpy as np

from mlwright.bundle.state import State
from mlwright.core import kinds
from mlwright.core.errors import BundleContentError
from mlwright.core.files import canonical_json
from mlwright.core.types import Floats
from mlwright.data.values import Cell, Coded, Columns
from mlwright.features.base import PairTransform, Transform

__all__ = [
    "CHECKS",
    "EXAMPLES",
    "ODD_NUMBERS",
    "ODD_STRINGS",
    "Make",
    "assert_same_bits",
    "cases",
    "check_batch_equals_row",
    "check_categorical_codes_in_range",
    "check_finite_if_promised",
    "check_fit_batch",
    "check_fit_is_deterministic",
    "check_inputs_are_not_changed",
    "check_levels_without_rows",
    "check_malformed_state_is_refused",
    "check_shape",
    "check_state_round_trip",
    "check_thin_columns",
    "column_of",
    "odd_cells",
    "other_cell",
    "training",
]

Make = Callable[[], Transform]

ODD_NUMBERS: tuple[float, ...] = (
    math.nan,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    1e-320,
    -1e-9,
    1e15,
    2.0**53 + 2,
    -86400.0,
    -86400.000001,
    -62135596800.0,
    -62135596800.5,
    253402300799.999,
    253402300800.0,
    951782399.0,
    951782400.0,
    1709164800.5,
    1e300,
    -1.7976931348623157e308,
    1.7976931348623157e308,
)

ODD_STRINGS: tuple[str | None, ...] = (
    None,
    "",
    " ",
    "a",
    "A",
    "never seen",
    "No heat, no light",
    "ünï cödé ß İ",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\ud800 alone",
    "日本語 テキスト",
    "e\u0301 \u00e9",
    "tab\tnew\nline\x00zero",
    "2024",
    "_",
    "word " * 9000,
    "18-25",
    "-1 year",
    "$0-$10k",
    "very_high",
)

#: Hyperparameters to run the kit with, by kind; a kind that is not here runs with its defaults.
EXAMPLES: dict[str, tuple[dict[str, Any], ...]] = {
    "category_codes": ({}, {"min_count": 1}, {"max_levels": 1}),
    "category_frequency": ({}, {"max_levels": 2}),
    "datetime_difference": ({"other": "another column"}, {"other": "another column", "scaled": True}),
    "datetime_parts": ({}, {"cyclic": True}),
    "group_effect": ({}, {"smoothing": 10.0}),
    "numeric_codes": ({}, {"min_count": 1, "max_levels": 4}),
    "one_hot": ({}, {"min_count": 1, "max_levels": 3}),
    "ordinal_words": ({}, {"scale": "numbers", "scaled": True}),
    "range_value": ({}, {"scaled": True}),
    "target_encoding": ({}, {"max_levels": 2}, {"scaled": True, "max_classes": 2}),
    "text_score": ({}, {"weighed": False, "min_documents": 1, "max_terms": 5, "max_classes": 2}),
    "text_svd": ({}, {"n_components": 2, "min_documents": 1}),
    "text_tfidf": ({}, {"min_documents": 1, "longest": 3, "max_terms": 20}),
    "winsorized_number": ({}, {"tails": 0.2, "reach": 0.0}, {"tails": 0.0}),
}


def column_of(transform: Transform, cells: list[Any]) -> Columns:
    """Return canonical columns that hold `cells`, as `mlwright.data.values.columns` would give them.

    A second column of a transform that reads two holds the same cells, see `other_cell`.
    """
    found: dict[str, Floats | Coded] = {}
    for place, name in enumerate(transform.inputs):
        held = [other_cell(cell) for cell in cells] if place else cells
        if transform.coded:
            levels: dict[str, int] = {}
            codes = [-1 if cell is None else levels.setdefault(cell, len(levels)) for cell in held]
            found[name] = Coded(np.array(codes, dtype=np.int32), list(levels))
        else:
            values = [math.nan if cell is None else cell for cell in held]
            found[name] = np.array(values, dtype=np.float64)
    return found


def other_cell(cell: Any) -> Any:
    """Return the cell of the second column in a row whose first column holds `cell`."""
    if isinstance(cell, str):
        return None if len(cell) == 1 else cell[::-1]
    return None if cell is None or cell == 1.0 else cell * 0.5 + 1e5


def odd_cells(transform: Transform) -> list[Any]:
    """Return cells of the transform's type that break careless code."""
    return list(ODD_STRINGS if transform.coded else ODD_NUMBERS)


def training(transform: Transform, *, n_rows: int = 60, n_classes: int = 2) -> tuple[Columns, Floats]:
    """Return seeded columns with missing values and a target that hangs on them."""
    random = np.random.default_rng(7)
    codes = random.integers(0, 6, n_rows)
    if transform.coded:
        known = ["a", "b", "No heat, no light", "no light today", "ünï cödé heat"]
        cells: list[Any] = [None if code == 5 else known[code] for code in codes.tolist()]
        cells[-1] = "only once"
    else:
        cells = [
            None if code == 5 else code * 1e8 + x
            for code, x in zip(codes, random.random(n_rows), strict=True)
        ]
    y = codes % n_classes if n_classes else codes * 1.5
    return column_of(transform, cells), y.astype(np.float64)


def assert_same_bits(got: Any, expected: Any, message: str = "") -> None:
    """Assert that two arrays have equal shapes and equal bits, any NaN being equal to any other."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, f"{message} shapes {got.shape} and {expected.shape}"
    same = (got.view(np.int64) == expected.view(np.int64)) | (np.isnan(got) & np.isnan(expected))
    where = np.argwhere(~same)
    assert same.all(), f"{message} differs first at {where[0]}: {got[~same][0]!r} and {expected[~same][0]!r}"


def _fitted(make: Make, n_classes: int = 2) -> Transform:
    transform = make()
    columns, y = training(transform, n_classes=n_classes)
    assert transform.fit(columns, y, n_classes=n_classes, seed=3) is transform, "fit must return self"
    return transform


def _rows(transform: Transform, cells: list[Cell]) -> Floats:
    rows = [
        list(
            transform.row(cell, other_cell(cell))
            if isinstance(transform, PairTransform)
            else transform.row(cell)
        )
        for cell in cells
    ]
    return np.array(rows, dtype=np.float64).reshape(len(cells), len(transform.tags))


def _copy(columns: Columns) -> Columns:
    return {
        name: Coded(values.codes.copy(), list(values.levels)) if isinstance(values, Coded) else values.copy()
        for name, values in columns.items()
    }


def check_batch_equals_row(make: Make) -> None:
    """The two paths give the same bits for odd cells, in a batch of any size and order."""
    for n_classes in (0, 2, 4):
        transform = _fitted(make, n_classes)
        cells = odd_cells(transform) * 3
        expected = _rows(transform, cells)
        assert_same_bits(transform.batch(column_of(transform, cells)), expected, transform.kind)
        back = transform.batch(column_of(transform, cells[::-1]))
        assert_same_bits(back[::-1], expected, transform.kind)
        for cell, row in zip(cells, expected, strict=True):
            assert_same_bits(transform.batch(column_of(transform, [cell]))[0], row, transform.kind)


def check_shape(make: Make) -> None:
    """The matrix is float64 in C order with one column a tag; tags have distinct names and name their source."""
    for n_classes in (0, 2, 4):
        transform = _fitted(make, n_classes)
        columns, _ = training(transform)
        matrix = transform.batch(columns)
        tags = transform.tags
        assert matrix.dtype == np.float64
        assert matrix.flags.c_contiguous
        assert matrix.shape == (60, len(tags))
        assert len({tag.name for tag in tags}) == len(tags)
        assert all(tag.source in transform.inputs for tag in tags)


def check_categorical_codes_in_range(make: Make) -> None:
    """What a tag calls categorical holds whole codes from 0 to n_levels - 1 or NaN, also for odd cells."""
    transform = _fitted(make)
    matrix = transform.batch(column_of(transform, odd_cells(transform)))
    for j, tag in enumerate(transform.tags):
        assert tag.categorical == (tag.n_levels > 0)
        if tag.categorical:
            codes = matrix[:, j][~np.isnan(matrix[:, j])]
            assert np.isin(codes, np.arange(tag.n_levels)).all(), tag


def check_finite_if_promised(make: Make) -> None:
    """A docstring that says "outputs are finite" is kept, also for odd cells and by `fit_batch`."""
    transform = make()
    promise = " ".join((type(transform).__doc__ or "").split())
    cyclic = getattr(transform, "cyclic", False)
    if not ("All outputs are finite" in promise or ("Cyclic outputs are finite" in promise and cyclic)):
        return
    for n_classes in (0, 2, 4):
        columns, y = training(transform, n_classes=n_classes)
        assert np.isfinite(transform.fit_batch(columns, y, n_classes=n_classes, seed=0)).all()
        assert np.isfinite(transform.batch(column_of(transform, odd_cells(transform)))).all()
        odd = column_of(transform, odd_cells(transform))
        half = np.arange(len(odd_cells(transform))) % max(1, n_classes)
        transform.fit(odd, half.astype(np.float64), n_classes=n_classes, seed=0)
        assert np.isfinite(transform.batch(odd)).all()


def check_fit_is_deterministic(make: Make) -> None:
    """Two fits with one seed give equal states, and an earlier fit leaves no trace."""
    first, second = _fitted(make), make()
    columns, y = training(second)
    second.fit(column_of(second, odd_cells(second)), np.zeros(len(odd_cells(second))), n_classes=2, seed=1)
    second.fit_batch(columns, y, n_classes=2, seed=3)
    one, two = first.state(), second.state()
    assert canonical_json(one.tree) == canonical_json(two.tree)
    assert sorted(one.arrays) == sorted(two.arrays)
    for name, array in one.arrays.items():
        assert_same_bits(array, two.arrays[name], name)


def check_fit_batch(make: Make) -> None:
    """`fit_batch` has the shape of `batch` and is deterministic."""
    for n_classes in (0, 2, 4):
        first, second = make(), make()
        columns, y = training(first, n_classes=n_classes)
        one = first.fit_batch(columns, y, n_classes=n_classes, seed=5)
        assert_same_bits(second.fit_batch(columns, y, n_classes=n_classes, seed=5), one)
        assert one.shape == first.batch(columns).shape


def _through_json(state: State) -> State:
    return State(
        msgspec.json.decode(canonical_json(state.tree)), {k: v.copy() for k, v in state.arrays.items()}
    )


def check_state_round_trip(make: Make) -> None:
    """A transform from the state, through JSON, gives the same bits and the same state."""
    for n_classes in (0, 2, 4):
        transform = _fitted(make, n_classes)
        state = transform.state()
        allowed = {np.dtype(t) for t in ("float64", "float32", "int64", "int32", "uint8", "bool")}
        assert all(array.dtype in allowed for array in state.arrays.values())
        assert state.tree["kind"] == transform.kind
        again = type(transform).from_state(_through_json(state))
        cells = odd_cells(transform)
        assert_same_bits(_rows(again, cells), _rows(transform, cells), transform.kind)
        columns = column_of(transform, cells)
        assert_same_bits(again.batch(columns), transform.batch(columns), transform.kind)
        assert again.tags == transform.tags
        assert again.params() == transform.params()
        assert canonical_json(again.state().tree) == canonical_json(state.tree)


def check_malformed_state_is_refused(make: Make) -> None:
    """Every missing or foreign field, and every missing or misshapen array, raises `BundleContentError`.

    A field that bundles of earlier versions lack may be missing.
    """
    transform = _fitted(make)
    state = _through_json(transform.state())
    for name in state.tree:
        without = State({k: v for k, v in state.tree.items() if k != name}, state.arrays)
        if name in transform.added:
            type(transform).from_state(without)
        else:
            _refused(transform, without, name)
        for value in ({"a": 1}, [1, "x"], math.inf):
            _refused(transform, State({**state.tree, name: value}, state.arrays), name)
    for name, array in state.arrays.items():
        rest = {k: v for k, v in state.arrays.items() if k != name}
        broken = [
            np.vstack([array, array]) if array.ndim > 1 else np.append(array, array),
            array.reshape(-1, 1, *array.shape[1:]),
            array.astype(np.float32),
            np.full_like(array, np.nan),
        ]
        _refused(transform, State(state.tree, rest), name)
        for wrong in broken:
            if array.size:
                _refused(transform, State(state.tree, {**rest, name: wrong}), name)


def _refused(transform: Transform, state: State, name: str) -> None:
    try:
        type(transform).from_state(state)
    except BundleContentError:
        return
    raise AssertionError(f"{transform.kind}.from_state accepts a broken '{name}': {state.tree.get(name)!r}")


def check_inputs_are_not_changed(make: Make) -> None:
    """Neither `fit` nor `batch` changes the columns, the target or the hyperparameters."""
    transform = make()
    columns, y = training(transform)
    before, target, params = _copy(columns), y.copy(), transform.params()
    matrix = transform.fit_batch(columns, y, n_classes=2, seed=0)
    matrix[:] = -1  # the matrix is the caller's own
    transform.batch(columns)[:] = -1
    assert transform.params() == params
    assert_same_bits(y, target)
    for name, values in columns.items():
        old = before[name]
        if isinstance(values, Coded) and isinstance(old, Coded):
            assert np.array_equal(values.codes, old.codes)
            assert values.levels == old.levels
        else:
            assert_same_bits(values, old)


def check_thin_columns(make: Make) -> None:
    """All missing, one row, one distinct value, no rows at serving: each fits, and the paths stay equal."""
    transform = make()
    normal = training(transform)[0][transform.column]
    one = normal.levels[0] if isinstance(normal, Coded) else float(normal[~np.isnan(normal)][0])
    for cells in ([None] * 8, [one], [None], [one] * 8, [one, None] * 4):
        for n_classes in (0, 2, 4):
            thin, y = make(), (np.arange(len(cells)) % max(2, n_classes)).astype(np.float64)
            columns = column_of(thin, cells)
            matrix = thin.fit_batch(columns, y, n_classes=n_classes, seed=0)
            assert matrix.shape == (len(cells), len(thin.tags))
            probes = [*cells, *odd_cells(thin)]
            rows = _rows(thin, probes)
            assert_same_bits(thin.batch(column_of(thin, probes)), rows, thin.kind)
            assert thin.batch(column_of(thin, [])).shape == (0, len(thin.tags))
            again = type(thin).from_state(_through_json(thin.state()))
            assert_same_bits(_rows(again, probes), rows, thin.kind)


def check_levels_without_rows(make: Make) -> None:
    """Levels that no row has (a subset keeps the whole's list), and their order, change nothing."""
    transform = _fitted(make)
    columns, y = training(transform)
    column = columns[transform.column]
    if not isinstance(column, Coded) or len(transform.inputs) > 1:
        return
    levels = ["unused", *column.levels[::-1], "unused too"]
    codes = np.where(column.codes < 0, -1, len(column.levels) - column.codes).astype(np.int32)
    other: Columns = {transform.column: Coded(codes, levels)}
    again = make().fit(other, y, n_classes=2, seed=3)
    assert canonical_json(again.state().tree) == canonical_json(transform.state().tree)
    assert_same_bits(again.batch(other), transform.batch(columns), transform.kind)


#: Every check by name.
CHECKS: dict[str, Callable[[Make], None]] = {
    "batch_equals_row": check_batch_equals_row,
    "categorical_codes_in_range": check_categorical_codes_in_range,
    "finite_if_promised": check_finite_if_promised,
    "fit_batch": check_fit_batch,
    "fit_is_deterministic": check_fit_is_deterministic,
    "inputs_are_not_changed": check_inputs_are_not_changed,
    "levels_without_rows": check_levels_without_rows,
    "malformed_state_is_refused": check_malformed_state_is_refused,
    "shape": check_shape,
    "state_round_trip": check_state_round_trip,
    "thin_columns": check_thin_columns,
}


def cases() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield ``(id, function)`` for every member of the closed table, its examples and every check."""
    for kind in sorted(kinds.TRANSFORMS):
        member = kinds.load(kinds.TRANSFORMS, kind, family="transform")
        for params in EXAMPLES.get(kind, ({},)):
            shown = ",".join(f"{name}={value}" for name, value in params.items())
            for name, check in CHECKS.items():
                make = partial(member, "some column", **params)
                yield f"{kind}{f'({shown})' if shown else ''}:{name}", partial(check, make)
