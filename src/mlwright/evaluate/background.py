"""Background: made-up records that stand for the training rows, drawn from a bundle's reference statistics alone.

An explanation compares a record with others. Rows of real people have no place in it, so these are nobody's: numbers lie
between the quantiles of their column (without the outermost hundredths), categories are those that at least five rows had, personal columns
stay missing. Each column's values are spread evenly over its distribution (a Latin hypercube), and go together by the
rank correlations where the bundle holds them [1]_. Of many such records those are kept whose answers are spread as the
answers to the training rows.

References
----------
.. [1] R. Iman, W. Conover (1982), "A distribution-free approach to inducing rank correlation among input variables",
   Communications in Statistics B 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlwright.core.seeds import generator
from mlwright.core.types import Floats
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Cell, Coded, Columns, take
from mlwright.evaluate.association import FEWEST

__all__ = ["N_BACKGROUND", "background", "made_up", "with_record"]

N_BACKGROUND = 32
_TRIED = 16  # records made up for each one kept
_EDGE = 0.01
_A_DAY = 86_400.0


def background(
    predict: Callable[[Columns], Floats],
    columns: Sequence[Column],
    reference: Mapping[str, Any],
    *,
    n_rows: int = N_BACKGROUND,
    seed: int = 0,
) -> dict[str, Floats | Coded]:
    """Return canonical columns of `n_rows` made-up records whose answers are spread as those of training.

    Parameters
    ----------
    predict : callable
        Canonical columns in, outputs of shape (n, n_outputs) out.
    columns : sequence of Column
        What `predict` reads.
    reference : mapping
        The bundle's, as `mlwright.evaluate.reference.reference` gives it.
    """
    many = made_up(columns, reference, n_rows=n_rows * _TRIED, seed=seed)
    outputs = predict(many)
    kept = _alike(outputs, list(reference.get("predictions", {}).values()), n_rows)
    return take(many, np.sort(kept))


def made_up(
    columns: Sequence[Column], reference: Mapping[str, Any], *, n_rows: int, seed: int
) -> dict[str, Floats | Coded]:
    """Return canonical columns of `n_rows` made-up records; see the module's docstring."""
    draw = generator(seed, "background")
    known: Mapping[str, Any] = reference.get("columns", {})
    ties: Mapping[str, Any] = reference.get("association", {})
    normal = draw.standard_normal((n_rows, len(columns)))
    _correlate(normal, [column.name for column in columns], ties)
    made: dict[str, Floats | Coded] = {}
    for place, column in enumerate(columns):
        share = (np.argsort(np.argsort(normal[:, place])) + 0.5) / n_rows
        told = {} if column.pii else known.get(column.name, {})
        absent = told.get("missing", 0) / max(1, told.get("count", 0))
        present = (share - absent) / max(1e-12, 1 - absent)
        if column.kind in (Kind.NUMERIC, Kind.BOOLEAN, Kind.DATETIME):
            made[column.name] = _numbers(column, told, present)
        else:
            made[column.name] = _levels(told, ties.get("order", {}).get(column.name), present)
    return made


def _correlate(normal: Floats, names: list[str], ties: Mapping[str, Any]) -> None:
    """Make the columns of `normal` go together as the ranks do; in place."""
    place = {name: number for number, name in enumerate(ties.get("columns", ()))}
    own = [number for number, name in enumerate(names) if name in place]
    if len(own) < 2:
        return
    n = len(place)
    full = np.eye(n)
    for row, values in enumerate(ties["ranks"]):
        full[row, : len(values)] = full[: len(values), row] = values
    theirs = [place[names[number]] for number in own]
    wanted = 2 * np.sin(np.pi / 6 * full[np.ix_(theirs, theirs)])
    sizes, ways = np.linalg.eigh(wanted)
    normal[:, own] = normal[:, own] @ (ways * np.sqrt(np.maximum(sizes, 0.0))).T


def _numbers(column: Column, told: Mapping[str, Any], share: Floats) -> Floats:
    quantiles = told.get("quantiles")
    if not quantiles:
        return np.full(len(share), np.nan)
    inner = np.clip(share, _EDGE, 1 - _EDGE)
    values = np.interp(inner, [float(q) for q in quantiles], list(quantiles.values()))
    if column.kind is Kind.DATETIME and column.dtype != "timestamp":
        values = np.floor(values / _A_DAY) * _A_DAY
    elif column.kind is Kind.BOOLEAN or column.dtype == "int":
        values = np.round(values)
    return np.where(share < 0, np.nan, values)


def _levels(told: Mapping[str, Any], order: Sequence[str] | None, share: Floats) -> Coded:
    counts: dict[str, int] = {name: n for name, n in told.get("levels", {}).items() if n >= FEWEST}
    names = [name for name in order if name in counts] if order else list(counts)
    if not names:
        return Coded(np.full(len(share), -1, np.int32), [])
    ends = np.cumsum([counts[name] for name in names])
    codes = np.searchsorted(ends / ends[-1], np.clip(share, 0.0, 1.0)).clip(0, len(names) - 1)
    return Coded(np.where(share < 0, -1, codes).astype(np.int32), names)


def _alike(outputs: Floats, told: Sequence[Mapping[str, Any]], n_rows: int) -> np.ndarray:
    """Return the rows to keep: by quantiles of one output, by the means of several, one row after the other."""
    if len(told) != outputs.shape[1] or not all("quantiles" in one for one in told):
        return np.arange(n_rows)
    if outputs.shape[1] == 1:
        quantiles = told[0]["quantiles"]
        wanted = np.interp(
            (np.arange(n_rows) + 0.5) / n_rows, [float(q) for q in quantiles], list(quantiles.values())
        )
        left = outputs[:, 0].copy()
        kept = []
        for value in wanted:
            kept.append(int(np.argmin(np.abs(left - value))))
            left[kept[-1]] = np.inf
        return np.array(kept)
    mean = np.array([one["mean"] for one in told])
    off = np.zeros_like(mean)
    taken = np.zeros(len(outputs), dtype=bool)
    for _ in range(n_rows):
        miss = np.square(off + outputs - mean).sum(axis=1)
        best = int(np.argmin(np.where(taken, np.inf, miss)))
        taken[best] = True
        off += outputs[best] - mean
    return np.flatnonzero(taken)


def with_record(cell: Cell, values: Floats | Coded) -> Floats | Coded:
    """Return `values` with the record's cell before them."""
    if not isinstance(values, Coded):
        return np.concatenate([[np.nan if cell is None else cell], values]).astype(np.float64)
    if cell is None:
        return Coded(np.concatenate([[-1], values.codes]).astype(np.int32), values.levels)
    levels = list(values.levels) if cell in values.levels else [*values.levels, str(cell)]
    return Coded(np.concatenate([[levels.index(str(cell))], values.codes]).astype(np.int32), levels)
