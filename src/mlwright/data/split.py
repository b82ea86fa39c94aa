"""Split: which rows train, validate and test.

`make_split` decides the kind (`mlwright.data.split_choice`), draws the rows (`mlwright.data.split_draw`) and says
why. Random, stratified and group splits keep a champion's test rows as they are; a time split moves its test on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwright.core.errors import DataError, UsageError
from mlwright.core.params import Number, check
from mlwright.core.seeds import generator
from mlwright.core.types import Floats, Ints
from mlwright.data.schema import Task
from mlwright.data.split_choice import Choice, choose, plain
from mlwright.data.split_draw import (
    Folds,
    fold_groups,
    fold_rows,
    fold_times,
    hold_out_groups,
    hold_out_rows,
    hold_out_times,
)
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = ["Pinned", "Split", "make_split"]

_FEWEST_ROWS = 4
_FOLDS_BY_ROWS = ((2_999, 8), (15_000, 5), (100_000, 3))  # up to so many training rows, so many folds
_SINGLE_FOLD = 0.2
_MOST_IN_GAP = 0.5  # of the rows that train
_MOST_ROWS_REPEATED = _FOLDS_BY_ROWS[0][0]  # of more, one draw tells nearly what another would


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one table by their use.

    Parameters
    ----------
    kind : {"random", "stratified", "group", "time"}
        How they were drawn.
    column : str or None
        The group or time column.
    reason : str
        One sentence for people: why this kind.
    train, test : ndarray of int64
        Row numbers of the table, ascending; no search ever sees `test`.
    folds : tuple of (ndarray, ndarray)
        Positions within `train`: fit on the first, validate on the second. Time folds validate only later rows,
        so some rows are in no validation part.
    gap : str or None
        How far before the test, and before each validation part, training ends; None for no gap.
    n_gap : int
        Rows in the gap before the test: they neither train nor test.
    claim : dict or None
        What a random split would have claimed instead, see `mlwright.evaluate.split_claim`.
    repeated : tuple of (ndarray, ndarray)
        As many folds in a second draw, for a second judgement of what did best; none of groups and times, nor where
        rows are many.
    """

    kind: str
    column: str | None
    reason: str
    train: Ints
    test: Ints
    folds: tuple[tuple[Ints, Ints], ...]
    gap: str | None = None
    n_gap: int = 0
    claim: dict[str, Any] | None = None
    repeated: tuple[tuple[Ints, Ints], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a summary as a JSON tree (no row numbers)."""
        return {
            "kind": self.kind,
            "column": self.column,
            "reason": self.reason,
            "n_train": len(self.train),
            "n_test": len(self.test),
            "n_folds": len(self.folds),
            "gap": self.gap,
            "n_gap": self.n_gap,
            "random_would_claim": self.claim,
        }


@dataclass(frozen=True, slots=True)
class Pinned:
    """The rows of an earlier split, by their hashes: what a retraining must not mix up.

    Parameters
    ----------
    test_hashes, train_hashes : ndarray of uint64
        As `mlwright.data.fingerprint.row_hashes` gives them, in any order.
    """

    test_hashes: NDArray[np.uint64]
    train_hashes: NDArray[np.uint64]


def make_split(
    table: Table,
    y: Floats,
    task: Task,
    *,
    spec: str = "auto",
    holdout: float = 0.2,
    n_folds: int | None = None,
    seed: int = 0,
    pinned: Pinned | None = None,
    hashes: NDArray[np.uint64] | None = None,
) -> Split:
    """Split the rows of a table into train, test and folds of train.

    Parameters
    ----------
    table : Table of n_rows
        The schema's roles, names and values decide the kind where `spec` is "auto".
    y : ndarray of shape (n_rows,)
        The target: values, or class codes.
    task : Task
        What is predicted.
    spec : str, default="auto"
        "auto", "shuffled", "random", "stratified", "group:COLUMN", "time:COLUMN" or "time:COLUMN gap 7d". "shuffled" is
        "auto" without time.
    holdout : float, default=0.2
        The share of rows to test on, from 0 (an empty test) to 0.9. A group split comes near it with whole groups, a
        time split with whole moments. Rows without a group are groups of one; rows without a time train.
    n_folds : int, optional
        From 1 (one fold that validates on 20 %) to 50. By default 8 under 3,000 training rows, 5 up to 15,000, 3 up
        to 100,000, then 1. Never more than there are rows, groups or moments. A class with fewer rows than there are
        folds is in the validation part of some folds only, and in every fit part as far as it has rows for that.
    seed : int, default=0
        The same table, spec and seed give the same split.
    pinned : Pinned, optional
        An earlier split of a table of which rows are in this one.
    hashes : ndarray of uint64, shape (n_rows,), optional
        The table's row hashes, where the caller has them already; only used with `pinned`.

    Returns
    -------
    Split

    Raises
    ------
    UsageError
        If `spec` is not understood or its column cannot bear the split.
    DataError
        If the table has too few rows, groups or moments for a test.

    Notes
    -----
    With `pinned`, a row that the champion trained on is never in the test, and wins over an equal row in its test: so
    the test is as new to the champion as to the challenger. The rest depends on the kind:

    - random and stratified: the champion's test rows stay in the test; rows that neither knew fill it up to `holdout`.
    - group: a group goes whole with its pinned rows.
    - time: the test moves on. It is the newest `holdout` of the table among rows that the champion did not train on;
      older rows of the earlier test become training rows. Were they kept in the test, the challenger would be
      trained on rows later than those it is judged by.

    If none of the pinned rows is in the table, the split is as without them.
    """
    _check(table, y, holdout, n_folds)
    forced = _forced(table, pinned, hashes)
    choice = choose(table, task, spec)
    if not choice.detected:
        return _draw(choice, table, y, task, holdout, n_folds, seed, forced)
    try:
        return _draw(choice, table, y, task, holdout, n_folds, seed, forced)
    except DataError as error:
        # Nobody asked for this kind: say that it does not work here and take the plain one.
        other = plain(task, [f"'{choice.column}' was considered for a {choice.kind} split, but {error.what}"])
        return _draw(other, table, y, task, holdout, n_folds, seed, forced)


def _check(table: Table, y: Floats, holdout: float, n_folds: int | None) -> None:
    rules = {"holdout": Number(0, 0.9), "n_folds": Number(1, 50, integer=True)}
    check("split", {"holdout": holdout} | ({} if n_folds is None else {"n_folds": n_folds}), rules)
    if len(y) != table.n_rows:
        raise UsageError(
            "the target is not as long as the table", got=len(y), allowed=f"{table.n_rows} values"
        )
    if table.n_rows < _FEWEST_ROWS:
        raise DataError(
            "too few rows to split",
            got=table.n_rows,
            allowed=f"{_FEWEST_ROWS} or more",
            fix="bring more rows",
        )


def _forced(table: Table, pinned: Pinned | None, hashes: NDArray[np.uint64] | None) -> Ints:
    """Return for each row 1 if it is the champion's test, -1 if its train, 0 if it is new."""
    forced = np.zeros(table.n_rows, np.int64)
    if pinned is None:
        return forced
    if hashes is None:
        from mlwright.data.fingerprint import row_hashes  # only a retraining needs it

        hashes = row_hashes(table)
    if len(hashes) != table.n_rows:
        raise UsageError("there is not one hash a row", got=len(hashes), allowed=f"{table.n_rows} hashes")
    forced[np.isin(hashes, pinned.test_hashes)] = 1
    forced[np.isin(hashes, pinned.train_hashes)] = -1
    return forced


def _draw(
    choice: Choice,
    table: Table,
    y: Floats,
    task: Task,
    holdout: float,
    n_folds: int | None,
    seed: int,
    forced: Ints,
) -> Split:
    classes = np.zeros(table.n_rows, np.int64)
    if task.kind.has_classes:
        classes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    keys, notes = _keys(choice, table)
    test = np.zeros(table.n_rows, bool)
    if holdout > 0:
        test = _hold_out(choice, keys, classes, forced, holdout, generator(seed, "split"))
        _check_parts(choice, test, classes, forced)
    if forced.any() and holdout > 0:
        notes.append(_pinned_note(choice, test, forced))
    between = _in_gap(choice, keys, test)
    if between.sum() > _MOST_IN_GAP * (~test).sum():
        notes.append(
            f"a gap of {choice.gap_said} would take {between.sum():,} of {(~test).sum():,} rows, there is none"
        )
        choice, between = replace(choice, gap=0.0, gap_said=""), np.zeros(len(test), bool)
    train, tested = np.flatnonzero(~test & ~between), np.flatnonzero(test)
    folds, note = _folds(choice, keys[train], classes[train], n_folds, seed)
    if choice.gap:
        folds = _folds_with_gap(choice, keys[train], folds)
        notes.append(f"training ends {choice.gap_said} before the test ({between.sum():,} rows lie between)")
    reason = "; ".join([choice.reason, *notes, *([note] if note else [])]) + "."
    return Split(
        choice.kind,
        choice.column,
        reason[0].upper() + reason[1:],
        train,
        tested,
        folds,
        gap=choice.gap_said or None,
        n_gap=int(between.sum()),
        repeated=_repeated(choice, classes[train], len(folds), seed),
    )


def _in_gap(choice: Choice, keys: Any, test: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows before the test are too near to it to be trained on."""
    if not choice.gap or not test.any():
        return np.zeros(len(test), bool)
    return ~test & (keys > keys[test].min() - choice.gap)


def _folds_with_gap(choice: Choice, times: Floats, folds: Folds) -> Folds:
    """Leave out of each fit part the rows that are too near to its validation part; a fold that has none left stays."""
    kept = []
    for fit, valid in folds:
        start = times[valid].min()
        before = fit[(times[fit] <= start - choice.gap) | (times[fit] >= start)]
        kept.append((before if len(before) else fit, valid))
    return tuple(kept)


def _keys(choice: Choice, table: Table) -> tuple[Any, list[str]]:
    """Return a row's group code or time (-inf: none), zeros for other kinds, and what to say about gaps."""
    if choice.column is None:
        return np.zeros(table.n_rows, np.int64), []
    values = table.columns([choice.column])[choice.column]
    if choice.kind == "time":
        times = np.asarray(values, np.float64)
        if choice.parts:
            several = table.columns(list(choice.parts))
            stacked = np.stack([np.asarray(several[name], np.float64) for name in choice.parts], axis=1)
            times = np.unique(stacked, axis=0, return_inverse=True)[1].reshape(-1).astype(np.float64)
        missing = int(np.isnan(times).sum())
        note = f"{missing:,} row{'s' * (missing != 1)} without a time train"
        return np.where(np.isnan(times), -np.inf, times), [note] if missing else []
    raw = values.codes.astype(np.float64) if isinstance(values, Coded) else values
    gaps = raw < 0 if isinstance(values, Coded) else np.isnan(values)
    groups = np.zeros(table.n_rows, np.int64)
    known = np.unique(raw[~gaps], return_inverse=True)[1]
    groups[~gaps] = known
    missing = int(gaps.sum())
    groups[gaps] = np.arange(missing) + (int(known.max()) + 1 if len(known) else 0)
    note = f"{missing:,} row{'s' * (missing != 1)} without a group count as a group of one each"
    return groups, [note] if missing else []


def _hold_out(
    choice: Choice, keys: Any, classes: Ints, forced: Ints, holdout: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    if choice.kind == "group":
        return hold_out_groups(keys, classes, forced, holdout, rng)
    if choice.kind == "time":
        return hold_out_times(keys, forced, holdout)
    shared = classes if choice.kind == "stratified" else np.zeros_like(classes)
    return hold_out_rows(shared, forced, holdout, rng)


def _check_parts(choice: Choice, test: NDArray[np.bool_], classes: Ints, forced: Ints) -> None:
    """Raise `DataError` if a part is empty, or if train has lost all classes but one."""
    where = {"group": "groups", "time": "moments"}.get(choice.kind, "rows")
    column = f" in '{choice.column}'" if choice.column else ""
    if not test.any() and (forced < 0).any():
        raise DataError(
            f"no {where}{column} are left to test on: the champion trained on all that could be",
            fix="bring rows that the champion has not seen, or split without its rows",
        )
    if not test.any() or test.all():
        raise DataError(
            f"there are too few different {where}{column} for both a train and a test part",
            fix="use another split, such as 'random'",
        )
    if len(np.unique(classes)) > 1 and len(np.unique(classes[~test])) == 1:
        raise DataError(
            f"a {choice.kind} split{column} leaves rows of one class only to train on",
            fix="use 'stratified', or bring more rows",
        )
    if choice.detected and len(np.unique(classes)) > 1 and len(np.unique(classes[test])) == 1:
        raise DataError(
            f"a {choice.kind} split{column} leaves rows of one class only to test on",
            fix="use 'stratified', hold out more rows, or bring more",
        )


def _pinned_note(choice: Choice, test: NDArray[np.bool_], forced: Ints) -> str:
    kept, earlier = int((test & (forced > 0)).sum()), int((forced > 0).sum())
    if choice.kind == "time":
        return (
            f"the test has moved on to the newest rows that the champion did not train on "
            f"({kept:,} of its {earlier:,} test rows are still in it)"
        )
    return f"{kept:,} of the {int(test.sum()):,} test rows are from the champion's test"


def _folds(choice: Choice, keys: Any, classes: Ints, n_folds: int | None, seed: int) -> tuple[Folds, str]:
    """Return the folds of the training rows, and what to say where they are of another kind than the split."""
    n_rows = len(keys)
    if n_rows < 2:
        return (), ""
    if n_folds is None:
        n_folds = next((folds for most, folds in _FOLDS_BY_ROWS if n_rows <= most), 1)
    n_folds = min(n_folds, n_rows)
    rng = generator(seed, "folds")
    shared = np.zeros_like(classes) if choice.kind == "random" else classes
    if choice.kind == "time":
        folds = _time_folds(keys, classes, n_folds)
        if folds:
            return folds, ""
        return fold_rows(
            shared, 2, rng
        ), "the training rows are of one moment, so their folds are drawn at random"
    groups = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    if choice.kind == "group" and groups.max() == 0:
        return fold_rows(
            shared, 2, rng
        ), "the training rows are of one group, so their folds are drawn within it"
    free = np.zeros_like(classes)
    if n_folds == 1:
        held = (
            hold_out_groups(groups, classes, free, _SINGLE_FOLD, rng)
            if choice.kind == "group"
            else hold_out_rows(shared, free, _SINGLE_FOLD, rng)
        )
        return ((np.flatnonzero(~held), np.flatnonzero(held)),), ""
    if choice.kind == "group":
        return fold_groups(groups, classes, min(n_folds, int(groups.max()) + 1), rng), ""
    return fold_rows(shared, n_folds, rng), ""


def _repeated(choice: Choice, classes: Ints, n_folds: int, seed: int) -> Folds:
    """Return a second draw of as many folds, where one draw is much a matter of chance."""
    if choice.kind not in ("random", "stratified") or n_folds < 2 or len(classes) > _MOST_ROWS_REPEATED:
        return ()
    shared = np.zeros_like(classes) if choice.kind == "random" else classes
    return fold_rows(shared, n_folds, generator(seed, "folds", "repeated"))


def _time_folds(times: Floats, classes: Ints, n_folds: int) -> Folds:
    if n_folds == 1:
        held = hold_out_times(times, np.zeros_like(classes), _SINGLE_FOLD)
        folds: Folds = (
            ((np.flatnonzero(~held), np.flatnonzero(held)),) if held.any() and not held.all() else ()
        )
    else:
        folds = fold_times(times, n_folds)
    # A window of one class teaches nothing; it is left out where others do.
    several = tuple(fold for fold in folds if len(np.unique(classes[fold[0]])) > 1)
    return several or folds
