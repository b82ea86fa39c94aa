"""Rows: one row through a fitted model by compiled code, two to five times as quickly as through NumPy.

`rows.c` is compiled when the package is built, where there is a C compiler. Without it `bind_trees` and its like return
None, and a learner's own row path gives the same numbers. What a search chooses does not depend on it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.core.types import Floats

if TYPE_CHECKING:
    from mlwright.models.catboost_ctr import CategoryTables
    from mlwright.models.mlp_layers import Layers
    from mlwright.models.robust_inputs import RobustInputs

__all__ = [
    "NODE",
    "Trees",
    "bind_categories",
    "bind_kernel",
    "bind_nets",
    "bind_oblivious",
    "bind_trees",
    "is_compiled",
]

NODE = np.dtype(
    [("threshold", "<f8"), ("column", "<u4"), ("left", "<i2"), ("right", "<i2")]
)  # of a categorical split the threshold's bytes are the place of its first word and how many there are

_FORM = 2  # of rows.c


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A sum of trees; tree i adds to output ``i % n_outputs``.

    Parameters
    ----------
    nodes : ndarray of NODE, shape (n_nodes,)
        Tree after tree. A child below 0 is leaf ``~child``. Of ``column`` the uppermost bit says that the split is one of
        categories, the next one that missing goes left.
    first_node : ndarray of int64, shape (n_trees + 1,)
    leaves : ndarray of float64, shape (n_leaves,)
    first_leaf : ndarray of int64, shape (n_trees,)
    sets : ndarray of uint32
        Sets of categories as bits.
    n_outputs : int
    """

    nodes: np.ndarray
    first_node: np.ndarray
    leaves: Floats
    first_leaf: np.ndarray
    sets: np.ndarray
    n_outputs: int


def is_compiled() -> bool:
    """Return whether the compiled code is there."""
    return _library() is not None


@functools.cache
def _library() -> ctypes.PyDLL | None:
    """Return the compiled code; Python's lock is kept in its calls, which take microseconds."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_rows{suffix}")
        if path.is_file():
            try:
                library = ctypes.PyDLL(str(path))
                form = library.mlwright_form()
            except (OSError, AttributeError) as error:
                return _unused(path, str(error))
            if form != _FORM:
                return _unused(path, f"its form is {form}, and not {_FORM}")
            pointer, number = ctypes.c_void_p, ctypes.c_int64
            for name, types in {
                "mlwright_trees": [*[pointer] * 6, number, number, pointer],
                "mlwright_oblivious": [pointer, pointer, number, *[pointer] * 4, *[number] * 3, pointer],
                "mlwright_nets": [pointer, pointer, pointer],
                "mlwright_categories": [pointer, pointer, pointer],
                "mlwright_kernel": [pointer, pointer, pointer],
            }.items():
                function = getattr(library, name)
                function.argtypes, function.restype = types, None
            return library
    return None


def _unused(path: Path, why: str) -> None:
    warnings.warn(
        f"{path.name} is not used, and single rows are slower: {why}; install mlwright again",
        RuntimeWarning,
        stacklevel=3,
    )


def bind_trees(trees: Trees, row: Floats) -> Callable[[], list[float]] | None:
    """Return a function that sums the trees' leaves for what `row` holds when it is called; None if nothing is compiled."""
    library = _library()
    if library is None:
        return None
    # What is pointed at must live as long as the function.
    kept = (
        _shared(np.float64, row),
        np.ascontiguousarray(trees.nodes, NODE),
        _laid(np.int64, trees.first_node),
        _laid(np.float64, trees.leaves),
        _laid(np.int64, trees.first_leaf),
        _laid(np.uint32, trees.sets),
    )
    counts = len(trees.first_leaf), trees.n_outputs
    return _calling(library.mlwright_trees, (*_places(*kept), *counts), trees.n_outputs, kept)


def bind_oblivious(
    row: np.ndarray,
    columns: np.ndarray,
    borders: np.ndarray,
    leaves: Floats,
    bias: Floats,
) -> Callable[[], list[float]] | None:
    """Return a function that sums oblivious trees for what `row` holds when it is called; None if nothing is compiled.

    Parameters
    ----------
    row : ndarray of float64 or float32, shape (n_columns,)
    columns : ndarray of int32, shape (n_trees, depth)
    borders : ndarray of float32, shape (n_trees, depth)
    leaves : ndarray of shape (n_trees * 2**depth, n_outputs)
    bias : ndarray of shape (n_outputs,)
    """
    library = _library()
    if library is None:
        return None
    n_trees, depth = columns.shape
    is_narrow = row.dtype == np.float32
    narrow = row if is_narrow else np.empty(len(row), np.float32)
    kept = (
        _shared(np.float32 if is_narrow else np.float64, row),
        narrow,
        _laid(np.int32, columns),
        _laid(np.float32, borders),
        _laid(np.float64, leaves),
        _laid(np.float64, bias),
    )
    arguments = (
        None if is_narrow else row.ctypes.data,
        narrow.ctypes.data,
        len(row),
        *_places(*kept[2:]),
        n_trees,
        depth,
        len(bias),
    )
    return _calling(library.mlwright_oblivious, arguments, len(bias), kept)


class _Categories(ctypes.Structure):
    """As `categories` in rows.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("n_columns", "n_categories", "n_equal", "n_bits")),
        *((name, ctypes.c_void_p) for name in ("columns", "levels", "equal", "bit_columns", "bit_borders")),
        *((name, ctypes.c_int64) for name in ("n_combinations", "n_parts")),
        *((name, ctypes.c_void_p) for name in ("parts", "weights", "starts", "keys", "widths")),
        *((name, ctypes.c_void_p) for name in ("slots", "unseen", "values", "answers")),
    )


def bind_categories(tables: CategoryTables, row: Floats, wide: np.ndarray) -> Callable[[], None] | None:
    """Return a function that writes what `row` holds then, and the answers about its categories, into `wide`.

    None if nothing is compiled. `wide` is of float32 and has `tables.n_added` numbers more.
    """
    library = _library()
    if library is None:
        return None
    own = tables.combinations
    parts = {
        "columns": _laid(np.int32, own.columns),
        "levels": _laid(np.int64, own.levels),
        "equal": _laid(np.int32, own.equal),
        "bit_columns": _laid(np.int32, own.bit_columns),
        "bit_borders": _laid(np.float32, own.bit_borders),
        "parts": _laid(np.int32, own.parts),
        "weights": _laid(np.int64, tables.weights),
        "starts": _laid(np.int64, tables.starts),
        "keys": _laid(np.int64, tables.keys),
        "widths": _laid(np.int64, tables.widths),
        "slots": _laid(np.int32, tables.slots),
        "unseen": _laid(np.int32, tables.unseen),
        "values": _laid(np.float32, tables.values),
        "answers": np.empty(len(own.columns) + len(own.equal) + len(own.bit_columns), np.int64),
    }
    categories = _Categories(
        n_columns=len(row),
        n_categories=len(own.columns),
        n_equal=len(own.equal),
        n_bits=len(own.bit_columns),
        n_combinations=own.parts.shape[0],
        n_parts=own.parts.shape[1],
        **_pointers(parts),
    )
    call = functools.partial(
        library.mlwright_categories,
        *_places(_shared(np.float64, row)),
        ctypes.addressof(categories),
        *_places(_shared(np.float32, wide)),
    )

    def widen(_kept: Any = (parts, categories, row, wide)) -> None:
        call()

    return widen


_INPUTS = (
    *((name, ctypes.c_int64) for name in ("n_inputs", "n_flags", "steep")),
    *((name, ctypes.c_void_p) for name in ("columns", "center", "scale", "flagged")),
)  # as `robust` in rows.c


def _of_inputs(inputs: RobustInputs) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return the arrays and the numbers of `_INPUTS`."""
    arrays = {
        "columns": _laid(np.int32, inputs.columns),
        "center": _laid(np.float64, inputs.center),
        "scale": _laid(np.float64, inputs.scale),
        "flagged": _laid(np.int32, inputs.flagged),
    }
    counts = {"n_inputs": len(inputs.columns), "n_flags": len(inputs.flagged), "steep": inputs.is_steep}
    return arrays, counts


class _Kernel(ctypes.Structure):
    """As `kernel` in rows.c."""

    _fields_ = (
        *_INPUTS,
        ("n_centres", ctypes.c_int64),
        ("n_outputs", ctypes.c_int64),
        ("size_scale", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("all", "weights", "room")),
    )


def bind_kernel(
    inputs: RobustInputs, size_scale: float, everything: Floats, weights: Floats, row: Floats
) -> Callable[[], list[float]] | None:
    """Return a function that gives a kernel's scores for what `row` holds when it is called; None if nothing is compiled.

    Parameters
    ----------
    inputs : RobustInputs
    size_scale : float
        What the sum of the inputs' squares counts in an exponent.
    everything : ndarray of shape (inputs.width + 1, n_centres + n_outputs)
        Exponents of the centres, then straight lines; the last row is a bias.
    weights : ndarray of shape (n_centres, n_outputs)
    row : ndarray of float64
    """
    library = _library()
    if library is None:
        return None
    arrays, counts = _of_inputs(inputs)
    n_centres, n_outputs = weights.shape
    parts = arrays | {
        "all": _laid(np.float64, everything),
        "weights": _laid(np.float64, weights),
        "room": np.empty(n_centres + n_outputs),
    }
    kernel = _Kernel(
        n_centres=n_centres, n_outputs=n_outputs, size_scale=size_scale, **counts, **_pointers(parts)
    )
    return _scoring(library.mlwright_kernel, row, kernel, n_outputs, parts)


class _Nets(ctypes.Structure):
    """As `nets` in rows.c."""

    _fields_ = (
        *_INPUTS,
        ("n_piece_columns", ctypes.c_int64),
        *((f"piece_{name}", ctypes.c_void_p) for name in ("columns", "counts", "starts", "slopes")),
        *((name, ctypes.c_int64) for name in ("n_nets", "width", "n_middle", "n_outputs")),
        *(
            (name, ctypes.c_void_p)
            for name in ("first", "middle", "middle_bias", "last", "last_bias", "room")
        ),
    )


def bind_nets(layers: Layers, row: Floats) -> Callable[[], list[float]] | None:
    """Return a function that gives the nets' scores for what `row` holds when it is called; None if nothing is compiled."""
    library = _library()
    n_nets = len(layers.middle[0][0]) if layers.middle else 1
    total = layers.first.shape[1]
    width = total // n_nets
    if library is None or any(weights.shape[1:] != (width, width) for weights, _ in layers.middle):
        return None
    inputs, pieces = layers.inputs, layers.pieces
    # Weights are float32 in the bundle and lose nothing; half of the memory is half of the time.
    middle = [weights.ravel() for weights, _ in layers.middle]
    arrays, counts = _of_inputs(inputs)
    parts = arrays | {
        "piece_columns": _laid(np.int32, pieces.columns),
        "piece_counts": _laid(np.int32, pieces.counts),
        "piece_starts": _laid(np.float64, pieces.starts),
        "piece_slopes": _laid(np.float64, pieces.slopes),
        "first": _laid(np.float32, layers.first),
        "middle": _laid(np.float32, np.concatenate([np.zeros(0), *middle])),
        "middle_bias": _laid(
            np.float64, np.concatenate([np.zeros(0), *(bias.ravel() for _, bias in layers.middle)])
        ),
        "last": _laid(np.float64, layers.last),
        "last_bias": _laid(np.float64, layers.last_bias),
        "room": np.empty(2 * total),
    }
    n_outputs = len(layers.last_bias)
    nets = _Nets(
        n_piece_columns=len(pieces.columns),
        n_nets=n_nets,
        width=width,
        n_middle=len(layers.middle),
        n_outputs=n_outputs,
        **counts,
        **_pointers(parts),
    )
    return _scoring(library.mlwright_nets, row, nets, n_outputs, parts)


def _scoring(
    function: Callable[..., None],
    row: Floats,
    told: ctypes.Structure,
    n_outputs: int,
    parts: Mapping[str, Any],
) -> Callable[[], list[float]]:
    """Return what calls `function` for what `row` holds then; `parts` are what `told` points at."""
    arguments = *_places(_shared(np.float64, row)), ctypes.addressof(told)
    return _calling(function, arguments, n_outputs, (told, parts, row))


def _calling(
    function: Callable[..., None], arguments: Sequence[int | None], n_outputs: int, kept: Any
) -> Callable[[], list[float]]:
    """Return what calls `function` with `arguments` and room for its outputs; `kept` is what they point at."""
    outputs = np.empty(n_outputs)
    call = functools.partial(function, *arguments, outputs.ctypes.data)

    def ask(_kept: Any = kept) -> list[float]:
        call()
        return outputs.tolist()

    return ask


def _laid(dtype: type[np.generic], array: np.ndarray) -> np.ndarray:
    """Return an array as compiled code reads it: of one type, in one piece."""
    return np.ascontiguousarray(array, dtype)


def _shared(dtype: type[np.generic], array: np.ndarray) -> np.ndarray:
    """Return an array that others write or read as well, and so may not be copied."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(
            f"expected {dtype.__name__} in one piece, got {array.dtype} of strides {array.strides}"
        )
    return array


def _places(*arrays: np.ndarray) -> list[int]:
    return [array.ctypes.data for array in arrays]


def _pointers(arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    return {name: array.ctypes.data for name, array in arrays.items()}
