"""Scores: from what a smooth model adds up to what it predicts, for many rows and for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlwright.core.types import Floats

__all__ = ["linked", "linked_row", "linked_values"]

_HIGHEST = 700.0  # exp of more is infinite


def linked(raw: Floats, link: str) -> Floats:
    """Return predictions for scores of shape (n_rows, n_outputs); `link` is exp, identity, sigmoid or softmax.

    Examples
    --------
    >>> linked(np.array([[0.0, math.log(3.0)]]), "softmax").round(6).tolist()
    [[0.25, 0.75]]
    """
    if link == "sigmoid":
        small = np.exp(-np.abs(raw))
        return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
    if link == "softmax":
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return np.exp(np.minimum(raw, _HIGHEST)) if link == "exp" else raw


def linked_row(raw: Floats, link: str) -> Sequence[float]:
    """Return predictions for one row's scores of shape (n_outputs,).

    Examples
    --------
    >>> linked_row(np.array([0.0]), "sigmoid")
    [0.5]
    """
    return linked_values(raw.tolist(), link)


def linked_values(values: list[float], link: str) -> list[float]:
    """Return predictions for one row's scores."""
    if link == "softmax":
        top = max(values)
        powers = [math.exp(value - top) for value in values]
        total = sum(powers)
        return [power / total for power in powers]
    if link == "sigmoid":
        small = math.exp(-abs(values[0]))
        return [1 / (1 + small) if values[0] >= 0 else small / (1 + small)]
    return [math.exp(min(values[0], _HIGHEST))] if link == "exp" else values
