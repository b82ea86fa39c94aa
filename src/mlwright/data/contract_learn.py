"""Learning a contract from training data: what they hold, with slack, and nothing where it is not sure."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np

from mlwright.data.contract import Contract, Expected, is_pattern
from mlwright.data.schema import Column, Kind, Role
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = ["learn"]

_WIDER = 0.1  # of the range, on either side
_MOST_LEVELS = 50
_RARELY_NEW = 0.001  # the chance that the next row holds a category that is not listed
_FEWEST_ALIKE = 20  # different texts of one form that make it a rule
_MOST_LOOKED_AT = 20_000
_CODED = frozenset({Kind.CATEGORICAL, Kind.TEXT, Kind.ID})


def learn(table: Table) -> Contract:
    """Return the contract that a training table and its likes keep.

    Ranges are a tenth wider than what was seen, or by two times what the last hundredth of the rows spans, and keep their
    sign. Categories are listed if there are at most 50 and a
    new one is unlikely: by Good and Turing, the chance of a new one is about the share of rows whose category comes
    once. A share of missing values gets three standard errors, and at least a hundredth, more. A pattern stands where 20
    or more different texts all have one form. Of personal columns nothing is said that repeats a value.

    References
    ----------
    Good, "The population frequencies of species and the estimation of population parameters", Biometrika 40 (1953).
    """
    present = frozenset(table.arrow.column_names)
    columns = tuple(
        _learned(column, table)
        for column in table.schema.columns
        if column.name in present and column.kind is not Kind.CONSTANT
    )
    return Contract(columns, min_rows=table.n_rows // 2)


def _learned(column: Column, table: Table) -> Expected:
    values = table.columns([column.name])[column.name]
    gaps = values.codes < 0 if isinstance(values, Coded) else np.isnan(values)
    n_rows, share = len(gaps), float(gaps.mean()) if len(gaps) else 1.0
    low = high = levels = pattern = None
    unique = False
    if isinstance(values, Coded):
        counts = np.bincount(values.codes[~gaps], minlength=len(values.levels))
        unique = column.kind is Kind.ID and len(counts) >= _FEWEST_ALIKE and int(counts.max()) == 1
        if not column.pii:
            levels = _levels(column, values, counts)
            pattern = None if levels is not None else _pattern(values.levels)
    elif column.kind is Kind.NUMERIC and not column.pii:
        low, high = _range(column, values[~gaps])
    return Expected(
        column.name,
        column.kind,
        column.role,
        column.dtype,
        _missing(share, n_rows),
        low,
        high,
        levels,
        pattern,
        unique,
    )


def _missing(share: float, n_rows: int) -> float:
    if share in (0.0, 1.0):
        return share
    slack = max(3 * math.sqrt(share * (1 - share) / n_rows), 0.01)
    return min(1.0, math.ceil(1000 * (share + slack)) / 1000)


def _levels(column: Column, values: Coded, counts: np.ndarray) -> tuple[str, ...] | None:
    seen = counts > 0
    if column.kind is not Kind.CATEGORICAL or not 0 < seen.sum() <= _MOST_LEVELS:
        return None
    once = int((counts == 1).sum())
    if column.role is not Role.TARGET and once > _RARELY_NEW * counts.sum():
        return None
    order = sorted(np.flatnonzero(seen).tolist(), key=lambda i: (-counts[i], values.levels[i]))
    return tuple(values.levels[i] for i in order)


def _range(column: Column, values: np.ndarray) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
    least, most = float(values.min()), float(values.max())
    width = most - least
    if width == 0 or not math.isfinite(width):
        return None, None
    # A long tail goes on: two times as far again as its last hundredth reaches.
    first, last = (float(end) for end in np.quantile(values, [0.01, 0.99]))
    low, high = (
        least - max(_WIDER * width, 2 * (first - least)),
        most + max(_WIDER * width, 2 * (most - last)),
    )
    low = 0.0 if least >= 0 > low else low
    high = 0.0 if most <= 0 < high else high
    step = 1.0 if column.dtype == "int" and width >= 1 else 10.0 ** (math.floor(math.log10(width)) - 2)
    # Rounded outwards, so that the file shows short numbers.
    return _short(math.floor(low / step) * step), _short(math.ceil(high / step) * step)


def _short(value: float) -> float:
    return float(f"{value:.12g}")


def _pattern(texts: list[str]) -> str | None:
    """Return the form that all texts have: the same sequence of letters, digits and marks."""
    if len(texts) < _FEWEST_ALIKE:
        return None
    if len(texts) > _MOST_LOOKED_AT:
        texts = texts[:: len(texts) // _MOST_LOOKED_AT + 1]
    shapes = [_shape(text) for text in texts[:2]]
    first = [kind for kind, _ in shapes[0]]
    if len(first) > 12 or not any(kind == "[0-9]" for kind in first):
        return None
    spans = [[length, length] for _, length in shapes[0]]
    for text in texts:
        shape = _shape(text)
        if [kind for kind, _ in shape] != first:
            return None
        for span, (_, length) in zip(spans, shape, strict=True):
            span[0], span[1] = min(span[0], length), max(span[1], length)
    pattern = "".join(kind + _often(low, high) for kind, (low, high) in zip(first, spans, strict=True))
    return pattern if is_pattern(pattern) else None


def _shape(text: str) -> list[tuple[str, int]]:
    return [(kind, len(list(run))) for kind, run in groupby(text, _class)]


def _class(letter: str) -> str:
    if "0" <= letter <= "9":
        return "[0-9]"
    if "A" <= letter <= "Z":
        return "[A-Z]"
    if "a" <= letter <= "z":
        return "[a-z]"
    return (
        f"\\{letter}" if letter in ".^$*+?()[]{}|\\" else letter
    )  # as JSON Schema's expressions have it too


def _often(low: int, high: int) -> str:
    if low != high:
        return f"{{{low},{high}}}"
    return "" if low == 1 else f"{{{low}}}"
