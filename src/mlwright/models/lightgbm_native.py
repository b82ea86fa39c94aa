"""LightGBM's shared library, called directly: load a model text, predict many rows, bind one row.

Importing the ``lightgbm`` package pulls scikit-learn and pandas, which a serving process neither needs nor wants. This
file finds the package's library without importing the package. It knows nothing of what a text should hold: pass only
text that `mlwright.models.lightgbm_audit` let through.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlwright.core.errors import BundleContentError, MissingExtraError, MlwrightError
from mlwright.core.types import Floats
from mlwright.models.lightgbm_threads import THREADS

__all__ = ["NativeBooster", "by_parts", "library_path"]

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_NORMAL = 0  # C_API_PREDICT_NORMAL: sigmoid, softmax and exp are applied
_RAW = 1  # C_API_PREDICT_RAW_SCORE: they are not
_PARTS = 3  # C_API_PREDICT_CONTRIB: Shapley values of the raw score
_TREES_AT_ONCE, _ROWS_AT_ONCE = 50, 20_000
_ONE_THREAD_BELOW = 2_000  # rows; waking other threads costs more than it gives
# OpenMP's threads wait for each other by spinning unless told otherwise before it is loaded. On cores that others use
# as well, a fit with two threads then takes fifty times as long as one with one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_NAMES = {"darwin": "lib_lightgbm.dylib", "win32": "lib_lightgbm.dll"}


def library_path() -> Path:
    """Return where LightGBM's shared library is, importing nothing.

    Raises
    ------
    MissingExtraError
        If the package or its library is not installed.
    """
    spec = importlib.util.find_spec("lightgbm")
    folders = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    name = _NAMES.get(sys.platform, "lib_lightgbm.so")
    for folder in folders:
        for inner in ("lib", "bin", "."):
            if (folder / inner / name).is_file():
                return folder / inner / name
    raise MissingExtraError(
        "LightGBM's library is not installed",
        got=[str(folder) for folder in folders],
        fix="pip install 'lightgbm>=4.5'",
    )


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    c_int, c_int32, pointer, text = ctypes.c_int, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p
    signatures: dict[str, list[type]] = {
        "LGBM_BoosterLoadModelFromString": [text, pointer, pointer],
        "LGBM_BoosterFree": [pointer],
        "LGBM_BoosterGetNumClasses": [pointer, pointer],
        "LGBM_BoosterGetNumFeature": [pointer, pointer],
        # booster, data, data type, rows, columns, row major, kind, first and number of iterations, parameters, length, out
        "LGBM_BoosterPredictForMat": [
            *(pointer, pointer, c_int, c_int32, c_int32, c_int, c_int, c_int, c_int, text, pointer, pointer)
        ],
        # booster, kind, first and number of iterations, data type, columns, parameters, out handle
        "LGBM_BoosterPredictForMatSingleRowFastInit": [
            *(pointer, c_int, c_int, c_int, c_int, c_int32, text, pointer)
        ],
        "LGBM_BoosterPredictForMatSingleRowFast": [pointer, pointer, pointer, pointer],
        "LGBM_FastConfigFree": [pointer],
    }
    for name, types in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_int
    library.LGBM_GetLastError.argtypes = []
    library.LGBM_GetLastError.restype = text
    return library


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _message(library: ctypes.CDLL) -> str:
    return library.LGBM_GetLastError().decode("utf-8", "replace")


def by_parts(
    ask: Callable[[Floats, int, int], Floats], X: Floats, n_iterations: int, n_outputs: int
) -> Floats:
    """Add up what some trees after the others say of many rows.

    The library takes a row through all trees before it turns to the next row. Thousands of trees fit into no cache, so
    each step then waits for memory; a few at a time stay in it, which is two to ten times as fast.

    Parameters
    ----------
    ask : callable
        From rows, the first iteration and a number of iterations to sums of trees, shape (n_rows, n_outputs).
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    each = max(1, _TREES_AT_ONCE // n_outputs)
    out = np.empty((len(X), n_outputs))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        rows, sums = X[start : start + _ROWS_AT_ONCE], out[start : start + _ROWS_AT_ONCE]
        sums[:] = ask(rows, 0, min(each, n_iterations))
        for first in range(each, n_iterations, each):
            sums += ask(rows, first, min(each, n_iterations - first))
    return out


def _free(library: ctypes.CDLL, booster: int, configs: list[int]) -> None:
    for config in configs:
        library.LGBM_FastConfigFree(config)
    library.LGBM_BoosterFree(booster)


class NativeBooster:
    """A loaded model text.

    Safe to use from many threads, but for what `bind` gives. Memory is freed with the object.

    Parameters
    ----------
    text : bytes
        An audited model text.
    n_columns, n_outputs : int
        What the text must say too.
    """

    def __init__(self, text: bytes, n_columns: int, n_outputs: int) -> None:
        self.n_columns, self.n_outputs = n_columns, n_outputs
        self._library = library = _library()
        handle, count = ctypes.c_void_p(), ctypes.c_int(0)
        if library.LGBM_BoosterLoadModelFromString(text, ctypes.addressof(count), ctypes.addressof(handle)):
            raise BundleContentError(f"LightGBM cannot read the model: {_message(library)}")
        if handle.value is None:
            raise BundleContentError("LightGBM gave no model")
        self._booster = handle.value
        self._configs: list[int] = []
        self._text = text
        self._copy: NativeBooster | None = None
        self._parting = threading.Lock()
        self._explaining = threading.Lock()  # the library notes each tree's depth when it is first asked why
        self._free = weakref.finalize(self, _free, library, self._booster, self._configs)
        self.n_iterations = count.value
        for name, want in (
            ("LGBM_BoosterGetNumFeature", n_columns),
            ("LGBM_BoosterGetNumClasses", n_outputs),
        ):
            self._check(getattr(library, name)(self._booster, ctypes.addressof(count)))
            if count.value != want:
                raise BundleContentError(
                    f"lightgbm: {name[19:]} of the model", got=count.value, allowed=str(want)
                )

    def _check(self, code: int) -> None:
        if code:
            raise MlwrightError(f"LightGBM failed: {_message(self._library)}")

    def margins(self, X: Floats) -> Floats:
        """Return the sums of the trees, shape (n_rows, n_outputs), for `X` of shape (n_rows, n_columns)."""
        if self.n_iterations * self.n_outputs <= _TREES_AT_ONCE:
            return self._ask(X, _RAW, self.n_outputs)
        # The library notes in the model which trees are asked, for all its callers: so parts are asked of a copy that
        # nobody else asks, one thread at a time.
        with self._parting:
            if self._copy is None:
                self._copy = NativeBooster(self._text, self.n_columns, self.n_outputs)
            copy = self._copy

        def ask(rows: Floats, first: int, count: int) -> Floats:
            with self._parting:
                return copy.sums(rows, first, count)

        return by_parts(ask, X, self.n_iterations, self.n_outputs)

    def sums(self, X: Floats, first: int, count: int) -> Floats:
        """Return the sums of the trees of `count` iterations from `first` on; only where nobody else asks this booster."""
        return self._ask(X, _RAW, self.n_outputs, first, count)

    def contributions(self, X: Floats) -> Floats:
        """Return Shapley values of the margins, shape (n_rows, n_outputs, n_columns + 1); see `Model.contributions`."""
        with self._explaining:
            parts = self._ask(X, _PARTS, self.n_outputs * (self.n_columns + 1))
        return parts.reshape(len(X), self.n_outputs, self.n_columns + 1)

    def _ask(self, X: Floats, what: int, width: int, first: int = 0, count: int = -1) -> Floats:
        """Return what the library answers for `X`, shape (n_rows, width), from `count` iterations on; -1 for all."""
        X = np.ascontiguousarray(X, dtype=np.float64)
        n_rows, n_columns = X.shape
        if n_columns != self.n_columns:
            raise ValueError(f"expected {self.n_columns} columns, got {n_columns}")
        out = np.empty((n_rows, width))
        if n_rows == 0:
            return out
        threads = 1 if n_rows < _ONE_THREAD_BELOW else _cores()
        length = ctypes.c_int64(0)
        with THREADS.held(threads):
            code = self._library.LGBM_BoosterPredictForMat(
                *(self._booster, X.ctypes.data, _FLOAT64, n_rows, n_columns, 1, what, first, count),
                f"num_threads={threads}".encode(),
                *(ctypes.addressof(length), out.ctypes.data),
            )
        self._check(code)
        return out

    def bind(self, row: Floats) -> Callable[[], Sequence[float]]:
        """Return a function that predicts what `row` (float64, shape (n_columns,)) holds when it is called.

        The library reads the row in place. For one thread at a time.
        """
        if row.shape != (self.n_columns,) or row.dtype != np.float64 or not row.flags.c_contiguous:
            raise ValueError(f"expected {self.n_columns} numbers of float64 in one piece")
        config, out, length = self._configuration(), np.zeros(self.n_outputs), ctypes.c_int64(0)
        call = self._library.LGBM_BoosterPredictForMatSingleRowFast
        places = config, row.ctypes.data, ctypes.addressof(length), out.ctypes.data

        def predict(_kept: Any = (row, length)) -> Sequence[float]:
            code = call(*places)
            if code:
                self._check(code)
            return out.tolist()

        return predict

    def _configuration(self) -> int:
        """Return a configuration for single rows, with buffers of its own; freed with the booster."""
        config = ctypes.c_void_p()
        with THREADS.held(1):
            code = self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
                *(self._booster, _NORMAL, 0, -1, _FLOAT64, self.n_columns),
                *(b"num_threads=1", ctypes.addressof(config)),
            )
        self._check(code)
        if config.value is None:
            raise MlwrightError("LightGBM gave no configuration for single rows")
        self._configs.append(config.value)
        return config.value
