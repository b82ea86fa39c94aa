"""Sides: the training and the test rows beside each other, so that they can be compared. Finds nothing by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.data.checks.base import CheckContext
from mlwright.data.target import target_values
from mlwright.data.values import Coded, Columns, take

__all__ = ["Sides", "sides"]


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows of both parts in one order: that of the table, the user's own test rows last.

    Parameters
    ----------
    columns : Columns
        Canonical columns of n_rows; equal texts have equal codes on both sides.
    y : ndarray of shape (n_rows,)
        The target: values, or class codes.
    is_test : ndarray of bool, shape (n_rows,)
        Which rows the model is judged by; the others train.
    own : bool
        Whether the test rows are the user's own.
    """

    columns: Columns
    y: Floats
    is_test: NDArray[np.bool_]
    own: bool


def sides(context: CheckContext, names: Sequence[str], *, most: int | None = None) -> Sides | None:
    """Return the rows that train and those that test, None where there are none to test on.

    Parameters
    ----------
    context : CheckContext
        With a split.
    names : sequence of str
        Which columns; those that the table, or the user's own test table, does not have are left out.
    most : int, optional
        So many rows of both sides together, evenly spaced, a quarter of them at most to test.
    """
    split, test = context.split, context.test
    if split is None or (test is None and not len(split.test)):
        return None
    present = set(context.table.arrow.column_names)
    if test is not None:
        present &= set(test.arrow.column_names)
    kept = [name for name in names if name in present]
    train = _thinned(split.train, None if most is None else most - most // 4)
    if test is None:
        rows = np.sort(np.concatenate([train, _thinned(split.test, None if most is None else most // 4)]))
        is_test = np.isin(rows, split.test)
        return Sides(take(context.table.columns(kept), rows), context.y[rows], is_test, own=False)
    own = _thinned(np.arange(test.n_rows), None if most is None else most // 4)
    ours, theirs = take(context.table.columns(kept), train), take(test.columns(kept), own)
    truth = target_values(test, context.task) if context.task.target else np.zeros(test.n_rows)
    y = np.concatenate([context.y[train], truth[own]])
    is_test = np.arange(len(train) + len(own)) >= len(train)
    return Sides({name: _joined(ours[name], theirs[name]) for name in kept}, y, is_test, own=True)


def _thinned(rows: Ints, most: int | None) -> Ints:
    if most is None or len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _joined(first: Floats | Coded, second: Floats | Coded) -> Floats | Coded:
    """Return one column after the other, their texts under common codes."""
    if not (isinstance(first, Coded) and isinstance(second, Coded)):
        return np.concatenate([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    code = {level: number for number, level in enumerate(first.levels)}
    levels = list(first.levels)
    for level in second.levels:
        if level not in code:
            code[level] = len(levels)
            levels.append(level)
    theirs = np.array(
        [*(code[level] for level in second.levels), -1], np.int32
    )  # the last stands for missing
    return Coded(np.concatenate([first.codes, theirs[second.codes]]).astype(np.int32), levels)
