"""Attribution: what each raw column adds to a model's whole answer, in the answer's own units.

The whole answer is the blend of all members behind their links and the calibration: no part of it is left out. It is a
game over raw columns against background rows (`mlwright.models.sampled_shap`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.values import Cell, Coded, Columns
from mlwright.evaluate.background import with_record
from mlwright.models.sampled_shap import Sampled, sampled_shapley

__all__ = ["Attribution", "attribute"]

_MOST_ASKED = 8192
_CELLS = 20_000_000  # of all rows that are asked: wide records get fewer background rows
_FEWEST_BACKGROUND = 4


@dataclass(frozen=True, slots=True)
class Attribution:
    """Contributions to a whole answer.

    Parameters
    ----------
    columns : tuple of str
        Raw columns that the model reads.
    found : Sampled
        ``values`` and ``errors`` by output and column; a row of values adds up to ``answer - base``.
    n_background : int
        Made-up records that it was compared with.
    """

    columns: tuple[str, ...]
    found: Sampled
    n_background: int


def attribute(
    predict: Callable[[Columns], Floats],
    cells: Mapping[str, Cell],
    background: Columns,
    *,
    names: Sequence[str] | None = None,
    most: int = _MOST_ASKED,
    seed: int = 0,
) -> Attribution:
    """Explain a record's answer against background rows.

    Parameters
    ----------
    predict : callable
        Canonical columns in, outputs of shape (n_rows, n_outputs) out.
    cells : mapping of str to cell
        The record.
    background : Columns
        All that `predict` reads.
    names : sequence of str, optional
        The columns that can matter; by default all of `background`.
    most : int, default=8192
        Predictions of single rows, about.

    Examples
    --------
    >>> rows = {"a": np.array([0.0, 2.0]), "b": np.array([1.0, 1.0])}
    >>> told = attribute(lambda c: (c["a"] * c["b"])[:, None], {"a": 3.0, "b": 2.0}, rows)
    >>> told.found.values.round(9).tolist(), told.found.base.tolist()
    ([[3.0, 2.0]], [1.0])
    """
    names = list(background) if names is None else list(names)
    rows = _fewer(background, len(names))
    both = {name: with_record(cells.get(name), values) for name, values in rows.items()}
    differs = np.column_stack([_differs(both[name]) for name in names])
    every = list(both)
    place = {name: number for number, name in enumerate(names)}

    def ask(known: np.ndarray, row: np.ndarray) -> Floats:
        mixed: dict[str, Floats | Coded] = {}
        for name in every:
            number = place.get(name)
            at = row + 1 if number is None else np.where(known[:, number], 0, row + 1)
            values = both[name]
            mixed[name] = Coded(values.codes[at], values.levels) if isinstance(values, Coded) else values[at]
        return predict(mixed)

    return Attribution(tuple(names), sampled_shapley(ask, differs, most=most, seed=seed), len(differs))


def _fewer(background: Columns, n_columns: int) -> dict[str, Floats | Coded]:
    """Return as many background rows as a record of so many columns can be compared with."""
    first = next(iter(background.values()))
    n_rows = len(first.codes) if isinstance(first, Coded) else len(first)
    most = min(n_rows, max(_FEWEST_BACKGROUND, _CELLS // max(1, 4 * n_columns**2)))
    some = np.linspace(0, n_rows - 1, most).astype(np.int64)
    return {
        name: Coded(values.codes[some], values.levels) if isinstance(values, Coded) else values[some]
        for name, values in background.items()
    }


def _differs(values: Floats | Coded) -> np.ndarray:
    """Return which rows but the first differ from the first."""
    if isinstance(values, Coded):
        return values.codes[1:] != values.codes[0]
    return ~((values[1:] == values[0]) | (np.isnan(values[1:]) & np.isnan(values[0])))
