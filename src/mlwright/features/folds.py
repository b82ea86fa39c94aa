"""Folds inside a transform's fit, for what is learned from the target, and the classes that get an output."""

from __future__ import annotations

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints

__all__ = ["N_FOLDS", "classes_of", "draw_folds"]

N_FOLDS = 5


def classes_of(y: Floats, n_classes: int, limit: int) -> list[int]:
    """Return the classes that are encoded: none for regression, the second for binary, else the most frequent.

    Examples
    --------
    >>> classes_of(np.array([0.0, 2, 2, 1, 1]), 3, 2), classes_of(np.array([0.0, 1]), 2, 10)
    ([1, 2], [1])
    """
    if n_classes <= 2:
        return [1] if n_classes else []
    counts = np.bincount(y.astype(np.int64), minlength=n_classes)
    return sorted(np.argsort(-counts, kind="stable")[:limit].tolist())


def draw_folds(y: Floats, n_classes: int, seed: int, stream: str) -> Ints:
    """Return a fold from 0 to 4 for each row, stratified for classes."""
    drawn = generator(seed, stream).permutation(len(y))
    order = drawn[np.argsort(y[drawn], kind="stable")] if n_classes else drawn
    folds = np.empty(len(y), np.int64)
    folds[order] = np.arange(len(y)) % N_FOLDS
    return folds
