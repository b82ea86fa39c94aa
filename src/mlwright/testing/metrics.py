"""Conformance kit for metrics: what every member of `mlwright.core.kinds.METRICS` must keep.

`cases` gives ``(id, function)`` pairs, ids as ``member:check``; each function raises `AssertionError` if the member
breaks the rule. A test suite runs them all::

    @pytest.mark.parametrize("case", [pytest.param(f, id=i) for i, f in cases()])
    def test_conforms(case):
        case()
"""

# ruff: noqa: S101, D401 - a conformance kit speaks in assertions, and a check's docstring is the rule that it checks

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mlwright.core import kinds
from mlwright.core.types import Floats
from mlwright.data.schema import TaskKind
from mlwright.metrics.base import Metric

__all__ = [
    "CHECKS",
    "applies",
    "bounds",
    "cases",
    "counts",
    "direction",
    "draws",
    "ones",
    "order",
    "perfect",
    "rows",
    "scale",
]

_N = 90


def rows(kind: TaskKind, noise: float = 1.0, seed: int = 0) -> tuple[Floats, Floats]:
    """Return a target and predictions of it that are the worse the more `noise`; 0 is perfect."""
    random = np.random.default_rng(seed)
    if kind is TaskKind.REGRESSION:
        y = random.normal(size=_N) + 5
        return y, (y + noise * random.normal(size=_N))[:, None]
    n_classes = 2 if kind is TaskKind.BINARY else 8
    y = random.permutation(np.arange(_N) % n_classes).astype(np.float64)
    sure = (np.arange(n_classes) == y[:, None]).astype(np.float64)
    share = noise * random.random((_N, 1))
    mixed = (1 - share) * sure + share * random.dirichlet(np.ones(n_classes), _N)
    return y, mixed[:, 1:] if n_classes == 2 else mixed


def direction(metric: Metric, kind: TaskKind) -> None:
    """Good predictions gain more than bad ones, and `gain` is the score turned by the direction."""
    (y, good), (_, bad) = rows(kind, 0.3), rows(kind, 1.0)
    assert metric.gain(y, good) > metric.gain(y, bad)
    sign = 1 if metric.greater_is_better else -1
    assert metric.gain(y, bad) == sign * metric.score(y, bad)


def perfect(metric: Metric, kind: TaskKind) -> None:
    """Perfect predictions score 1 where more is better, else 0."""
    y, predicted = rows(kind, 0.0)
    np.testing.assert_allclose(
        metric.score(y, predicted), 1.0 if metric.greater_is_better else 0.0, atol=1e-14
    )


def ones(metric: Metric, kind: TaskKind) -> None:
    """Weights of one are the same as none."""
    y, predicted = rows(kind)
    assert metric.score(y, predicted) == metric.score(y, predicted, np.ones(len(y)))


def counts(metric: Metric, kind: TaskKind) -> None:
    """A weight that is a count is the same as that many rows; a weight of 0 is no row."""
    y, predicted = rows(kind)
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    np.testing.assert_allclose(
        metric.score(y, predicted, weight.astype(np.float64)),
        metric.score(y[repeated], predicted[repeated]),
        rtol=1e-12,
    )


def scale(metric: Metric, kind: TaskKind) -> None:
    """Doubling all weights changes nothing."""
    y, predicted = rows(kind)
    weight = np.random.default_rng(2).random(len(y))
    once, twice = metric.score(y, predicted, weight), metric.score(y, predicted, 2 * weight)
    np.testing.assert_allclose(once, twice, rtol=1e-12)


def order(metric: Metric, kind: TaskKind) -> None:
    """The order of the rows does not matter."""
    y, predicted = rows(kind)
    shuffled = np.random.default_rng(3).permutation(len(y))
    np.testing.assert_allclose(
        metric.score(y, predicted), metric.score(y[shuffled], predicted[shuffled]), rtol=1e-12
    )


def draws(metric: Metric, kind: TaskKind) -> None:
    """Many draws at once score as each draw alone."""
    y, predicted = rows(kind)
    weights = np.random.default_rng(4).multinomial(len(y), np.ones(len(y)) / len(y), 7).astype(np.float64)
    together = metric.scores(y, predicted, weights)
    alone = [metric.score(y, predicted, weight) for weight in weights]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def bounds(metric: Metric, kind: TaskKind) -> None:
    """Good and bad predictions score between the bounds, and perfect ones at one of them."""
    low, high = metric.bounds
    for noise in (0.3, 1.0):
        assert low <= metric.score(*rows(kind, noise)) <= high
    np.testing.assert_allclose(
        metric.score(*rows(kind, 0.0)), high if metric.greater_is_better else low, atol=1e-14
    )


def applies(metric: Metric, kind: TaskKind) -> None:
    """The kind's name is the table's, there is a title, and a score is a plain float."""
    assert kinds.load(kinds.METRICS, metric.name, family="metric") is type(metric)
    assert metric.title
    assert type(metric.score(*rows(kind))) is float


CHECKS: tuple[Callable[[Metric, TaskKind], None], ...] = (
    direction,
    perfect,
    ones,
    counts,
    scale,
    order,
    draws,
    bounds,
    applies,
)


def cases() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield ``(id, check)`` for each member, check and task that it applies to; ids as ``member:check:task``."""
    for name in kinds.METRICS:
        metric = kinds.load(kinds.METRICS, name, family="metric")()
        for check in CHECKS:
            for kind in sorted(metric.tasks):
                yield f"{name}:{check.__name__}:{kind}", partial(check, metric, kind)
