"""Seeds: one number a run, and a named stream for each part of it, so that adding a part moves no other."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["derive", "generator"]


def derive(seed: int, *names: object) -> int:
    """Return a 31-bit seed for the part called `names`.

    Examples
    --------
    >>> derive(0, "split") == derive(0, "split")
    True
    >>> derive(0, "split") == derive(0, "folds")
    False
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return a NumPy generator for the part called `names`."""
    return np.random.default_rng(derive(seed, *names))
