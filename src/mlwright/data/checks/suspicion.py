"""Suspicion: what a look for leaks is given, and what it says. Knows no findings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Kind
from mlwright.data.values import Columns

__all__ = ["Sample", "Suspicion"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows in which leaks are looked for, thinned where a table is long.

    Parameters
    ----------
    columns : Columns
        Canonical features of n_rows.
    kinds : dict of str to Kind
        The kind of each.
    y : ndarray of shape (n_rows,)
        The target, all finite: values that are at most 1 in size, or class codes.
    classes : bool
        Whether the target has classes.
    rarest : int
        The rows of the rarest class; 0 for numbers.
    fold : ndarray of int64, shape (n_rows,)
        Which rows are predicted from which, from 0 to 4.
    early : ndarray of bool, shape (n_rows,), optional
        The earliest third of the rows, where a time is known.
    alone : dict of str to float
        What each feature tells by itself, out of fold: AUC, or R2.
    personal : frozenset of str
        The columns of which no value may be repeated.
    """

    columns: Columns
    kinds: dict[str, Kind]
    y: Floats
    classes: bool
    rarest: int
    fold: Ints
    early: NDArray[np.bool_] | None = None
    alone: dict[str, float] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()

    @property
    def codes(self) -> Ints:
        """The classes, as codes from 0 that are all there."""
        return np.unique(self.y, return_inverse=True)[1].astype(np.int64)

    def without(self, names: set[str]) -> Sample:
        """Return the sample without some features."""
        kept = {name: values for name, values in self.columns.items() if name not in names}
        return replace(self, columns=kept, alone=dict(self.alone))

    def take(self, rows: Ints) -> Sample:
        """Return the sample with these rows."""
        from mlwright.data.values import take

        early = None if self.early is None else self.early[rows]
        columns = take(self.columns, rows)
        return replace(self, columns=columns, y=self.y[rows], fold=self.fold[rows], early=early)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A feature that may know the answer.

    Parameters
    ----------
    columns : tuple of str
        The feature, and those that it tells the target together with.
    score : float
        From 0 to 1: what orders findings of one severity.
    stops : bool
        Whether it is beyond belief.
    what : str
        The evidence in one sentence.
    advice : str
        What to do, where it is not what is said of every leak.
    """

    columns: tuple[str, ...]
    score: float
    stops: bool
    what: str
    advice: str = ""
