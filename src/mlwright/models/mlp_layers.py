"""Layers: what fitted MLPs predict by, for many rows and for one; those that see the same inputs go side by side.

Hidden values stand here with the other sign, so that SiLU of x, which is ``x / (1 + exp(-x))``, is three quick steps:
the first layer and all biases are turned over, and so is the last layer, which turns the sum back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlwright.core.types import Floats
from mlwright.models.piecewise import Knots, Piecewise
from mlwright.models.robust_inputs import RobustInputs
from mlwright.models.scores import linked, linked_row

__all__ = ["Layers", "SideBySide"]

_BLOCK = 512  # rows that are predicted at a time
_SPARSE = 256  # inputs from which on zeros are skipped for a single row
_LOWEST = 700.0  # exp of more is infinite; SiLU of less than minus this is 0


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The nets of one MLP, in float64.

    Parameters
    ----------
    inputs : RobustInputs
    pieces : Piecewise
        May have no columns.
    first : ndarray of shape (inputs.width + 1 + pieces.width, n_nets * n_hidden)
        The first layer of all nets, turned over: a row an input, the bias, a row a piece.
    middle : sequence of (ndarray, ndarray)
        Weights of shape (n_nets, n_in, n_out), and turned biases of shape (n_nets, n_out).
    last : ndarray of shape (n_nets * n_in, n_outputs)
        Turned, and such that the sum over the nets is what is predicted.
    last_bias : ndarray of shape (n_outputs,)
    link : {"exp", "identity", "sigmoid", "softmax"}
    """

    inputs: RobustInputs
    pieces: Piecewise
    first: Floats
    middle: Sequence[tuple[Floats, Floats]]
    last: Floats
    last_bias: Floats
    link: str

    @classmethod
    def of(
        cls,
        inputs: RobustInputs,
        pieces: Piecewise,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        output: Floats,
        link: str,
    ) -> Layers:
        """Lay out each layer's weights of shape (n_nets, n_in, n_out) and biases of shape (n_nets, n_out).

        `output` is the scale and the shift of what the nets give.
        """
        n_nets, n_in, width = weights[0].shape
        rows = weights[0].transpose(1, 0, 2).reshape(n_in, n_nets * width)
        first = np.vstack([rows[: inputs.width], biases[0].reshape(1, -1), rows[inputs.width :]])
        hidden = zip(weights[1:-1], biases[1:-1], strict=True)
        middle = [(weight.astype(np.float64), -bias.astype(np.float64)) for weight, bias in hidden]
        scale, shift = output
        last = weights[-1].astype(np.float64).reshape(-1, weights[-1].shape[2]) * (-scale / n_nets)
        last_bias = biases[-1].astype(np.float64).mean(axis=0) * scale + shift
        return cls(inputs, pieces, -first.astype(np.float64), middle, last, last_bias, link)

    def predict(self, X: Floats) -> Floats:
        """Return shape (n_rows, n_outputs)."""
        raw = np.empty((len(X), len(self.last_bias)))
        for start in range(0, len(X), _BLOCK):
            block = X[start : start + _BLOCK]
            parts = [self.inputs.batch(block), np.ones((len(block), 1))]
            parts += [self.pieces.batch(block)] if self.pieces.width else []
            hidden = np.hstack(parts) @ self.first
            _activate(hidden, hidden)
            if self.middle:
                n_nets = len(self.middle[0][0])
                stacked = hidden.reshape(len(block), n_nets, -1).transpose(1, 0, 2)
                for weights, bias in self.middle:
                    stacked = stacked @ weights
                    stacked += bias[:, None, :]
                    _activate(stacked, stacked)
                hidden = stacked.transpose(1, 0, 2).reshape(len(block), -1)
            raw[start : start + _BLOCK] = hidden @ self.last + self.last_bias
        return linked(raw, self.link)


class SideBySide:
    """Several MLPs on one row: their inputs are computed once, and each layer's activations at once.

    Parameters
    ----------
    parts : sequence of Layers
        Of equal inputs.
    """

    def __init__(self, parts: Sequence[Layers]) -> None:
        # The deepest first: those that have a further layer are then the first numbers of its array.
        self._order = sorted(range(len(parts)), key=lambda i: -len(parts[i].middle))
        self._parts = [parts[i] for i in self._order]
        self._inputs = parts[0].inputs
        own = [part.first[: self._inputs.width + 1] for part in self._parts]
        self._first = own[0] if len(own) == 1 else np.hstack(own)
        self._knots = [
            Knots(part.pieces, part.first[self._inputs.width + 1 :]) if part.pieces.width else None
            for part in self._parts
        ]

    def bind(self, row: Floats) -> Callable[[], list[Sequence[float]]]:
        """Return a function that predicts what `row` holds when it is called: one sequence of outputs a part.

        For one thread at a time.
        """
        dot, first = np.dot, self._first
        inputs = np.ones(len(first))  # the last one multiplies the bias
        fill = self._inputs.bind(row, inputs[:-1])
        sparse = len(inputs) > _SPARSE
        sums = np.empty(first.shape[1])
        hidden = np.empty_like(sums)
        places = _places([part.first.shape[1] for part in self._parts])
        knots = [
            knots.bind(row, sums[place])
            for knots, place in zip(self._knots, places, strict=True)
            if knots is not None
        ]
        ends = [hidden[place] for place in places]
        levels = [_level(self._parts, ends, depth) for depth in range(len(self._parts[0].middle))]
        outputs = [
            (self._order[i], ends[i], part.last, part.last_bias, part.link)
            for i, part in enumerate(self._parts)
        ]

        def predict() -> list[Sequence[float]]:
            fill()
            present = inputs.nonzero()[0] if sparse else inputs
            if 4 * len(present) < len(inputs):
                dot(inputs[present], first[present], sums)
            else:
                dot(inputs, first, sums)
            for add in knots:
                add()
            _activate(sums, hidden)
            for products, bias, total, after in levels:
                for values, weights, product in products:
                    dot(values, weights, product)
                np.add(total, bias, total)
                _activate(total, after)
            found: list[Sequence[float]] = [()] * len(outputs)
            for number, values, last, bias, link in outputs:
                found[number] = linked_row(dot(values, last) + bias, link)
            return found

        return predict


def _level(
    parts: Sequence[Layers], ends: list[Floats], depth: int
) -> tuple[list[tuple[Floats, Floats, Floats]], Floats, Floats, Floats]:
    """Return a layer's products, its bias, its sums and its hidden values; `ends` are those of the layer before."""
    deep = [part.middle[depth] for part in parts if len(part.middle) > depth]
    bias = np.concatenate([bias.ravel() for _, bias in deep])
    total, after = np.empty_like(bias), np.empty_like(bias)
    products = []
    for i, (place, (weights, _)) in enumerate(zip(_places([b.size for _, b in deep]), deep, strict=True)):
        shape = len(weights), -1
        nets = zip(ends[i].reshape(shape), weights, total[place].reshape(shape), strict=True)
        products += list(nets)
        ends[i] = after[place]
    return products, bias, total, after


def _places(widths: Sequence[int]) -> list[slice]:
    """Return where parts of these widths stand one after another."""
    ends = np.cumsum([0, *widths]).tolist()
    return [slice(low, high) for low, high in pairwise(ends)]


def _activate(turned: Floats, out: Floats) -> None:
    """Write SiLU into `out`, which may be `turned`; both have the other sign."""
    size = np.minimum(turned, _LOWEST)
    np.exp(size, size)
    np.add(size, 1.0, size)
    np.divide(turned, size, out)
