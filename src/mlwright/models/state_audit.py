"""What every model's state must hold: a header in the tree, and arrays of the right type, shape and finite values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlwright.bundle.state import State
from mlwright.core.errors import BundleContentError, ParameterError
from mlwright.core.params import Rule, check

__all__ = ["header", "read_array"]

_MAX_COLUMNS = 1_000_000
_MAX_OUTPUTS = 100_000
_MAX_ITERATIONS = 10_000_000


def header(state: State, kind: str, rules: Mapping[str, Rule]) -> tuple[dict[str, Any], int, int, int]:
    """Return ``(params, n_columns, n_outputs, n_iterations)`` of a model's state.

    Raises
    ------
    BundleContentError
        If the tree is of another kind, lacks an entry, or an entry is of the wrong type or out of range.
    """
    tree = state.tree
    if not isinstance(tree, dict) or tree.get("kind") != kind:
        found = tree.get("kind") if isinstance(tree, dict) else tree
        raise BundleContentError("a model's state is of another kind", got=found, allowed=kind)
    params = tree.get("params")
    if not isinstance(params, dict):
        raise BundleContentError(f"{kind}: params", got=params, allowed="an object of hyperparameters")
    try:
        check(kind, params, rules)
    except ParameterError as error:
        raise BundleContentError(f"{kind}: a hyperparameter is not allowed ({error})") from error
    n_columns = _count(tree, kind, "n_columns", 0, _MAX_COLUMNS)
    n_outputs = _count(tree, kind, "n_outputs", 1, _MAX_OUTPUTS)
    return params, n_columns, n_outputs, _count(tree, kind, "n_iterations", 0, _MAX_ITERATIONS)


def _count(tree: dict[str, Any], kind: str, name: str, low: int, high: int) -> int:
    value = tree.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BundleContentError(f"{kind}: {name}", got=value, allowed=f"an integer from {low} to {high}")
    return value


def read_array(
    state: State, kind: str, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return the array called `name`, C order, after checking its type, its shape and that floats are not NaN.

    Parameters
    ----------
    state : State
        What was read from the bundle.
    kind, name : str
        The model's kind (for messages) and the array's name.
    dtype : type
        The exact NumPy type.
    shape : tuple
        One length an axis; None where any will do.

    Raises
    ------
    BundleContentError
        If one of them differs.
    """
    array = state.arrays.get(name)
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        found = getattr(array, "dtype", None)
        raise BundleContentError(
            f"{kind}: type of array '{name}'", got=str(found), allowed=np.dtype(dtype).name
        )
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise BundleContentError(f"{kind}: shape of array '{name}'", got=array.shape, allowed=str(shape))
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise BundleContentError(f"{kind}: array '{name}' holds NaN", allowed="numbers")
    return np.ascontiguousarray(array)
