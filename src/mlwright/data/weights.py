"""Weights: how much a row counts, and the exposure that a target is divided by."""

from __future__ import annotations

import numpy as np

from mlwright.core.errors import DataError
from mlwright.core.types import Floats
from mlwright.data.cells import RawColumn
from mlwright.data.schema import Kind, Task
from mlwright.data.table import Table

__all__ = ["exposures", "row_weights"]


def row_weights(table: Table, task: Task) -> Floats | None:
    """Return how much each row counts: its weight times its exposure; None if the task names neither.

    A rate that is fitted and scored with its exposure as weight equals, for the Poisson deviance, a count that is
    fitted with the logarithm of the exposure as offset.

    Parameters
    ----------
    table : Table of n_rows
        Raw values that hold the two columns.

    Returns
    -------
    ndarray of shape (n_rows,) or None
        At least 0.

    Raises
    ------
    DataError
        If a weight is missing, no number or less than 0, or all are 0.
    """
    weights = None if task.weight is None else _weights(table, task.weight)
    if task.exposure is None:
        return weights
    exposure = _numbers(table, task.exposure)
    return exposure if weights is None else exposure * weights


def _numbers(table: Table, name: str) -> Floats:
    column = table.schema[name]
    return RawColumn(name, table.arrow.column(name)).numbers(
        column.format if column.kind is Kind.NUMERIC else {}
    )


def _weights(table: Table, name: str) -> Floats:
    weights = _numbers(table, name)
    bad = ~(weights >= 0) | np.isinf(weights)
    if bad.any():
        raw = table.arrow.column(name).take(np.flatnonzero(bad)[:5]).to_pylist()
        raise DataError(
            f"{int(bad.sum()):,} of {len(bad):,} weights in '{name}' cannot be used",
            got=raw,
            allowed="numbers of at least 0, none missing",
            fix="mend them, or leave their rows out",
        )
    if not weights.any():
        raise DataError(f"all weights in '{name}' are 0", fix="name another column")
    return weights


def exposures(table: Table, name: str, target: Floats) -> Floats:
    """Return what each target is divided by, NaN where there is nothing above 0.

    Raises
    ------
    DataError
        If a row with a target has no exposure above 0.
    """
    exposure = _numbers(table, name)
    bad = (~(exposure > 0) | np.isinf(exposure)) & ~np.isnan(target)
    if bad.any():
        raw = table.arrow.column(name).take(np.flatnonzero(bad)[:5]).to_pylist()
        raise DataError(
            f"{int(bad.sum()):,} rows with a target have no exposure '{name}' to divide it by",
            got=raw,
            allowed="numbers above 0, none missing",
            fix="mend them, or leave their rows out",
        )
    return np.where(exposure > 0, exposure, np.nan)
