"""Training of small neural nets in NumPy: several at once, in float32, with averaged weights. It knows no files.

All sums are taken in one order, so the same seed gives the same bits; the caller holds BLAS to one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.models.mlp_losses import Loss
from mlwright.models.patience import LearningCurve

__all__ = ["Network", "Rows", "Settings", "train"]

_PART = 32_768  # rows of an iteration at most: an epoch of a large table is cut, so that it can stop earlier
_ASKED_EVERY = 20  # batches between two questions to `stop`
_JUDGES = 20_000  # validation rows that are looked at after each iteration
_TRIFLE = 2e-4  # of the first iteration's loss: what is no progress
_WARM_UP = 20  # batches in which the learning rate rises
_MOMENTUM, _SQUARES = 0.9, 0.95  # Adam's memory of gradients and of their squares
# Adam moves every weight about as far, however small its gradients are: a rare input (a gap, a level of few rows) that tells
# nothing of its rows which others do not tell would come to decide. Where inputs enter, a gradient's size counts as at
# least so many times the root mean square of all of them there. Nets of tables with many rare inputs gain by it (ames 5 to
# 8 % of the loss), nets of others as often lose (benchmarks/nets.py); blends gain.
_LEAST_GRADIENT = 2.0
_SCALES_RATE, _BIAS_RATE = (
    6.0,
    0.1,
)  # learning rates of the input scales and of biases, in that of the weights
_RECENT = 7.0  # averaged weights look back over one seventh of the batches so far


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs of shape (n_rows, width), targets of shape (n_rows, n_outputs), weights of mean 1 or None; float32."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is told besides its rows.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers.
    members : int
        Nets that are trained side by side.
    learning_rate, weight_decay, dropout : float
    patience, most : int
        Iterations without one that is better by more than a trifle, which end the training; and iterations at most.
    exactly : int or None
        Iterations to train whatever validation says.
    """

    hidden: tuple[int, ...]
    members: int
    learning_rate: float
    weight_decay: float
    dropout: float
    patience: int
    most: int
    exactly: int | None


class Network:
    """Some nets of one shape; all their numbers stand in one row, so that a step of Adam is a few operations on it.

    Parameters
    ----------
    sizes : list of int
        Inputs, hidden layers, outputs.
    members : int
        How many nets.
    bias : ndarray of shape (n_outputs,)
        What the untrained nets give.
    random : Generator
        Draws the first weights.
    """

    def __init__(self, sizes: list[int], members: int, bias: Floats, random: np.random.Generator) -> None:
        self.n_layers = len(sizes) - 1
        pairs = list(pairwise(sizes))
        shapes = [(members, 1, sizes[0])]
        for n_in, n_out in pairs:
            shapes += [(members, n_in, n_out), (members, 1, n_out)]
        self._shapes = shapes
        n_numbers = sum(math.prod(shape) for shape in shapes)
        self.numbers, self.gradients, self._mean, self._squares, self._rates, self._decays = np.zeros(
            (6, n_numbers), np.float32
        )
        self.average = np.zeros(n_numbers, np.float32)
        n_scales, n_first = (math.prod(shape) for shape in shapes[:2])
        self._entries = [slice(n_scales), slice(n_scales, n_scales + n_first)]  # input scales, first weights
        self.n_steps = 0
        self.parts, self._slopes = self.views(self.numbers), self.views(self.gradients)
        rates, decays = self.views(self._rates), self.views(self._decays)
        self.parts[0][:], rates[0][:] = 1.0, _SCALES_RATE
        for layer, (n_in, _) in enumerate(pairs):
            weights, biases = self.parts[1 + 2 * layer], self.parts[2 + 2 * layer]
            if layer < self.n_layers - 1:
                weights[:] = random.standard_normal(weights.shape, np.float32) / math.sqrt(max(1, n_in))
                biases[:] = random.standard_normal(biases.shape, np.float32) / 2
            else:
                biases[:] = bias
            rates[1 + 2 * layer][:], rates[2 + 2 * layer][:] = 1 / math.sqrt(max(1, n_in)), _BIAS_RATE
            decays[1 + 2 * layer][:] = 1.0
        self.average[:] = self.numbers

    def views(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return the input scales, then weights and biases of each layer, as views of a row of all numbers."""
        found, start = [], 0
        for shape in self._shapes:
            end = start + math.prod(shape)
            found.append(numbers[start:end].reshape(shape))
            start = end
        return found

    def scores(self, inputs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return the mean of the nets' scores before any link, shape (n_rows, n_outputs)."""
        parts, found = self.views(numbers), []
        for start in range(0, len(inputs), 1024):
            hidden = inputs[start : start + 1024] * parts[0]
            for layer in range(self.n_layers):
                hidden = hidden @ parts[1 + 2 * layer] + parts[2 + 2 * layer]
                if layer < self.n_layers - 1:
                    hidden *= _sigmoid(hidden)
            found.append(hidden.mean(axis=0))
        return np.concatenate(found)

    def learn(
        self,
        inputs: np.ndarray,
        slope: Callable[[np.ndarray], np.ndarray],
        rate: float,
        settings: Settings,
        random: np.random.Generator,
    ) -> None:
        """Take one step of Adam; `slope` gives the loss's derivative by the scores; inputs (members, n_rows, width)."""
        values, slopes = [inputs * self.parts[0]], []
        for layer in range(self.n_layers - 1):
            raw = values[-1] @ self.parts[1 + 2 * layer]
            raw += self.parts[2 + 2 * layer]
            share = _sigmoid(raw)  # SiLU is raw * share
            steep = 1 - share
            steep *= raw
            steep += 1
            steep *= share
            raw *= share
            if settings.dropout > 0:
                kept = random.integers(0, 256, raw.shape, np.uint8) >= round(256 * settings.dropout)
                scale = kept * np.float32(1 / (1 - round(256 * settings.dropout) / 256))
                raw *= scale
                steep *= scale
            values.append(raw)
            slopes.append(steep)
        last = 2 * self.n_layers - 1
        back = slope(values[-1] @ self.parts[last] + self.parts[last + 1])
        for layer in range(self.n_layers - 1, -1, -1):
            np.matmul(values[layer].transpose(0, 2, 1), back, out=self._slopes[1 + 2 * layer])
            back.sum(axis=1, keepdims=True, out=self._slopes[2 + 2 * layer])
            back = back @ self.parts[1 + 2 * layer].transpose(0, 2, 1)
            back *= slopes[layer - 1] if layer else inputs
        back.sum(axis=1, keepdims=True, out=self._slopes[0])
        self._step(rate, settings.weight_decay)

    def _step(self, rate: float, decay: float) -> None:
        """Adam with decoupled weight decay (Loshchilov and Hutter 2019), slower for rare inputs; and the running average."""
        self.n_steps += 1
        n, f = self.n_steps, np.float32
        self._mean += f(1 - _MOMENTUM) * (self.gradients - self._mean)
        self._squares += f(1 - _SQUARES) * (self.gradients * self.gradients - self._squares)
        size = np.sqrt(self._squares)
        size *= f(1 / math.sqrt(1 - _SQUARES**n))
        size += f(1e-8)
        for entry in self._entries:
            part = size[entry]
            least = _LEAST_GRADIENT * math.sqrt(float(part @ part) / max(1, len(part)))
            np.maximum(part, f(least), out=part)
        move = self._mean / size
        move *= self._rates
        move *= f(rate / (1 - _MOMENTUM**n))
        if decay > 0:
            move += f(rate * decay) * (self._decays * self.numbers)
        self.numbers -= move
        self.average += f(_RECENT / (_RECENT + n - 1)) * (self.numbers - self.average)


def train(
    rows: Rows,
    valid: Rows | None,
    loss: Loss,
    settings: Settings,
    random: np.random.Generator,
    stop: Callable[[], bool],
    over_within: Callable[[float], bool],
) -> tuple[list[np.ndarray], int, list[tuple[int, float]]]:
    """Train nets; return the parts of the best averaged ones (as `Network.views` orders them), the iterations, the curve.

    The learning rate does not fall: the average over the last batches does what a falling rate would (Polyak and
    Juditsky 1992), and the number of iterations need not be known beforehand. A first iteration that will take longer than
    is left is given up early.
    """
    sizes = [rows.inputs.shape[1], *settings.hidden, rows.targets.shape[1]]
    network = Network(sizes, settings.members, loss.first, random)
    n_rows, most = len(rows.inputs), settings.most if settings.exactly is None else settings.exactly
    batch = _batch_size(n_rows)
    best, taken, lowest = network.average.copy(), 0, math.inf
    moved, progress, trifle = (
        0,
        math.inf,
        0.0,
    )  # the last iteration that was better by more than a trifle; its loss
    curve = LearningCurve()
    judge = None if valid is None or settings.exactly is not None else _judges(valid)
    n_batches, batches = _batches(n_rows, batch, settings.members, random)
    begun = time.monotonic()

    def to_go(number: int) -> float:
        """Return how long the rest of the first iteration will take after so many batches."""
        return (time.monotonic() - begun) * (n_batches / number - 1)

    for iteration in range(1, most + 1):
        for number in range(n_batches):
            if number % _ASKED_EVERY == 0 and (
                stop() or (taken == 0 < number and over_within(to_go(number)))
            ):
                return network.views(best), taken, curve.points
            places = next(batches)
            slope = loss.slope_for(
                rows.targets[places], None if rows.weights is None else rows.weights[places]
            )
            rate = settings.learning_rate * min(1.0, (network.n_steps + 1) / _WARM_UP)
            network.learn(rows.inputs[places], slope, rate, settings, random)
        found = math.nan
        if judge is not None:
            found = loss.value(network.scores(judge.inputs, network.average), judge.targets, judge.weights)
            curve.note(iteration, found)
            if iteration == 1:
                trifle = _TRIFLE * abs(found) if math.isfinite(found) else 0.0
            if found < progress - trifle:
                moved, progress = iteration, found
        if judge is None or found < lowest:
            best, taken, lowest = network.average.copy(), iteration, found
        if judge is not None and iteration - moved >= settings.patience:
            break
    return network.views(best), taken, curve.points


def _batch_size(n_rows: int) -> int:
    """Return 32 to 256, about a sixteenth of the rows, as a power of two."""
    return int(min(256, max(32, 2 ** round(math.log2(max(2, n_rows) / 16)))))


def _batches(
    n_rows: int, batch: int, members: int, random: np.random.Generator
) -> tuple[int, Iterator[np.ndarray]]:
    """Return how many batches an iteration has, and all batches for ever: row numbers, shape (members, about batch)."""
    n_parts = -(-n_rows // _PART)
    a_part = -(-n_rows // (batch * n_parts))

    def drawn() -> Iterator[np.ndarray]:
        while True:
            orders = np.stack([random.permutation(n_rows) for _ in range(members)])
            n_all = a_part * n_parts
            for number in range(n_all):
                yield orders[:, number * n_rows // n_all : (number + 1) * n_rows // n_all]

    return a_part, drawn()


def _judges(valid: Rows) -> Rows:
    """Return evenly spaced validation rows."""
    n_rows = len(valid.inputs)
    kept: Any = slice(None)
    if n_rows > _JUDGES:
        kept = np.linspace(0, n_rows - 1, _JUDGES).astype(np.int64)
    return Rows(
        valid.inputs[kept], valid.targets[kept], None if valid.weights is None else valid.weights[kept]
    )


def _sigmoid(raw: np.ndarray) -> np.ndarray:
    share = np.tanh(raw * np.float32(0.5))
    share += 1
    share *= np.float32(0.5)
    return share
