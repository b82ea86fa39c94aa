"""Audit: the one way in which a transform reads a state that may have been tampered with or cut short.

Each function returns a value of the type asked for or raises `BundleContentError`; nothing here knows what the
values mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, ParameterError
from mlwright.core.params import check
from mlwright.core.types import Floats
from mlwright.features.base import PairTransform, Transform

__all__ = [
    "array",
    "build",
    "build_pair",
    "flag",
    "null_for_nan",
    "number",
    "number_or_null",
    "numbers",
    "strings",
    "tree",
    "whole",
    "wrong",
]

_FIX = "make the bundle again"
_T = TypeVar("_T", bound=Transform)
_P = TypeVar("_P", bound=PairTransform)


def tree(transform: Transform) -> dict[str, Any]:
    """Return what every transform's tree starts with: its kind, column and hyperparameters."""
    return {"kind": transform.kind, "column": transform.column, "params": transform.params()}


def build(cls: type[_T], state: State) -> _T:
    """Return an unfitted `cls` from what `tree` wrote.

    Raises
    ------
    BundleContentError
        If the kind is another one, the column is no string or a hyperparameter is missing or breaks its rule.
    """
    column, params = _header(cls, state)
    return cls(column, **params)


def build_pair(cls: type[_P], state: State) -> _P:
    """Return an unfitted `cls` of two columns; see `build`."""
    column, params = _header(cls, state)
    other = _field(state, "other")
    if not isinstance(other, str):
        raise BundleContentError(f"{cls.kind}: other", got=other, allowed="a string", fix=_FIX)
    return cls(column, other, **params)


def _header(cls: type[Transform], state: State) -> tuple[str, dict[str, Any]]:
    found = _field(state, "kind")
    if found != cls.kind:
        raise BundleContentError("the state is of another kind", got=found, allowed=cls.kind, fix=_FIX)
    column, params = _field(state, "column"), _field(state, "params")
    if not isinstance(column, str):
        raise BundleContentError(f"{cls.kind}: column", got=column, allowed="a string", fix=_FIX)
    if not isinstance(params, Mapping) or set(params) != set(cls.rules):
        raise BundleContentError(f"{cls.kind}: params", got=params, allowed=sorted(cls.rules), fix=_FIX)
    try:
        check(cls.kind, params, cls.rules)
    except ParameterError as error:
        raise BundleContentError(str(error)) from error
    return column, dict(params)


def number(state: State, name: str, *, positive: bool = False) -> float:
    """Return the finite number called `name`; above zero if `positive`."""
    value = _field(state, name)
    if not _is_finite(value) or (positive and value <= 0):
        raise wrong(state, name, value, "a finite number" + " above 0" * positive)
    return float(value)


def number_or_null(state: State, name: str) -> float:
    """Return the finite number called `name`, or NaN where it is null or, in a bundle of an earlier version, absent."""
    value = state.tree.get(name)
    if value is not None and not _is_finite(value):
        raise wrong(state, name, value, "a finite number, or null")
    return math.nan if value is None else float(value)


def null_for_nan(value: float) -> float | None:
    """Return what `number_or_null` reads as `value`."""
    return None if math.isnan(value) else value


def whole(state: State, name: str, *, high: int) -> int:
    """Return the integer called `name`, from 0 to `high`."""
    value = _field(state, name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise wrong(state, name, value, f"an integer from 0 to {high}")
    return value


def numbers(state: State, name: str) -> list[float]:
    """Return the list of finite numbers called `name`."""
    values = _field(state, name)
    if not isinstance(values, list) or not all(map(_is_finite, values)):
        raise wrong(state, name, values, "a list of finite numbers")
    return [float(value) for value in values]


def flag(state: State, name: str) -> bool:
    """Return the boolean called `name`."""
    value = _field(state, name)
    if not isinstance(value, bool):
        raise wrong(state, name, value, "true or false")
    return value


def strings(state: State, name: str) -> list[str]:
    """Return the list of distinct strings called `name`."""
    values = _field(state, name)
    if (
        not isinstance(values, list)
        or not all(isinstance(value, str) for value in values)
        or len(set(values)) < len(values)
    ):
        raise wrong(state, name, values, "a list of distinct strings")
    return list(values)


def array(state: State, name: str, shape: tuple[int, ...]) -> Floats:
    """Return the finite float64 array called `name`, which must have `shape`."""
    values = state.arrays.get(name)
    if not isinstance(values, np.ndarray):
        raise wrong(state, name, sorted(state.arrays), f"an array of shape {shape}")
    if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
        got = f"{values.dtype} of shape {values.shape}"
        raise wrong(state, name, got, f"finite float64 of shape {shape}")
    return values


def _field(state: State, name: str) -> Any:
    if not isinstance(state.tree, Mapping) or name not in state.tree:
        raise BundleContentError(f"a transform's state lacks '{name}'", fix=_FIX)
    return state.tree[name]


def _is_finite(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)


def wrong(state: State, name: str, got: object, allowed: str) -> BundleContentError:
    """Return the error that says what is wrong with the part of a transform's state called `name`."""
    where = f"{state.tree.get('kind')} of column {state.tree.get('column')!r}"
    return BundleContentError(f"{where}: {name}", got=got, allowed=allowed, fix=_FIX)
