"""Offset: what is added to an ensemble's outputs, on the scale where effects add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.types import Floats

__all__ = ["SCALES", "Offset", "from_json"]

SCALES = ("value", "log-odds", "score")
_LEAST = 1e-15  # a probability below it counts as this
_MOST = 700.0  # log-odds; exp of more than 709 is infinite


@dataclass(frozen=True, slots=True)
class Offset:
    """Adds the numbers of a view to the outputs. Where they are 0 the outputs stay as they are, to the last bit.

    Parameters
    ----------
    view : str
        The matrix of shape (n_rows, n_outputs) that is added.
    scale : {"value", "log-odds", "score"}
        What they are added to: the values; the log-odds of the second class; the logarithm of each class's probability.
    least : float, optional
        No value becomes less by it.

    Examples
    --------
    >>> Offset("shops", "value").apply_row([10.0], [2.5])
    [12.5]
    >>> Offset("shops", "log-odds").apply_row([0.5], [0.0])
    [0.5]
    """

    view: str
    scale: str
    least: float | None = None

    def apply(self, outputs: Floats, added: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        some = np.flatnonzero(added.any(axis=1))
        if not len(some):
            return outputs
        out, own, more = outputs.copy(), outputs[some], added[some]
        if self.scale == "value":
            moved = own + more
            if self.least is not None:
                moved = np.maximum(moved, np.minimum(own, self.least))
        elif self.scale == "log-odds":
            odds = np.log(np.maximum(own, _LEAST)) - np.log(np.maximum(1.0 - own, _LEAST)) + more
            moved = 1.0 / (1.0 + np.exp(np.clip(-odds, -_MOST, _MOST)))
        else:
            powers = np.log(np.maximum(own, _LEAST)) + more
            powers = np.exp(powers - powers.max(axis=1, keepdims=True))
            moved = powers / powers.sum(axis=1, keepdims=True)
        out[some] = moved
        return out

    def apply_row(self, row: Sequence[float], added: Sequence[float]) -> Sequence[float]:
        """Return one row's numbers; equal to `apply`'s within 1e-12."""
        if not any(added):
            return row
        if self.scale == "value":
            values = [own + more for own, more in zip(row, added, strict=True)]
            if self.least is None:
                return values
            return [max(value, min(own, self.least)) for value, own in zip(values, row, strict=True)]
        if self.scale == "log-odds":
            odds = math.log(max(row[0], _LEAST)) - math.log(max(1.0 - row[0], _LEAST)) + added[0]
            return [1.0 / (1.0 + math.exp(min(max(-odds, -_MOST), _MOST)))]
        powers = [math.log(max(own, _LEAST)) + more for own, more in zip(row, added, strict=True)]
        highest = max(powers)
        powers = [math.exp(power - highest) for power in powers]
        total = sum(powers)
        return [power / total for power in powers]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"view": self.view, "scale": self.scale, "least": self.least}


def from_json(tree: Any, n_outputs: int) -> Offset:
    """Audit a tree and build its offset.

    Raises
    ------
    BundleContentError
        If it is malformed, or its scale is none of so many outputs.
    """
    if isinstance(tree, Mapping) and set(tree) == {"view", "scale", "least"}:
        view, scale, least = tree["view"], tree["scale"], tree["least"]
        is_number = isinstance(least, (int, float)) and not isinstance(least, bool) and math.isfinite(least)
        goes_with = scale in SCALES and (scale == "score") == (n_outputs > 1)
        if isinstance(view, str) and goes_with and (least is None or is_number):
            return Offset(view, scale, None if least is None else float(least))
    raise BundleContentError(
        "an offset that cannot be read",
        got=tree,
        allowed=f"an object of view, scale ({', '.join(SCALES)}) and least, that goes with {n_outputs} outputs",
    )
