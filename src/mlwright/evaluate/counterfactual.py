"""Counterfactuals: the smallest changes of a record that change a model's decision. Knows columns and a predict function.

Changes are sets of cells that training has seen: numbers between the outer hundredths of their column, categories of
at least five rows. Single changes are tried first, then pairs of the most promising, and so on. What is found is made
smaller: numbers go back towards the record's as far as the decision allows. Fewer columns come before shorter ways; a
number's way is the share of the training rows that lie on it, and columns that stay although they go with a changed one
make the way longer.

References
----------
S. Wachter, B. Mittelstadt, C. Russell (2017), "Counterfactual explanations without opening the black box", Harvard Journal
of Law & Technology 31. R. Mothilal, A. Sharma, C. Tan (2020), "Explaining machine learning classifiers through diverse
counterfactual explanations", FAT*: several that differ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Cell, reader
from mlwright.evaluate.association import FEWEST

__all__ = ["Change", "Move", "counterfactuals", "moves"]

_STEPS = 16  # values of a number that are tried
_MOST_LEVELS = 30
_EDGE = 0.01
_BEAM = 24  # changes that are tried with one more column
_WIDEST = 12  # columns that these are joined from
_MOST_COLUMNS = 4  # in one change
_MOST_TRIED = 40_000
_OF_ONE_SET = 3  # of these that change the same columns
_HALVINGS = 12
_A_LEVEL = 0.5  # how far one category is from another, in shares of rows
_TIED = 0.8  # rank correlation from which on a column that stays makes a change less plausible
_A_TIE = 0.5  # what each such column adds to the way


@dataclass(frozen=True, slots=True)
class Move:
    """What a column can be changed to.

    Parameters
    ----------
    column : Column
    cells : tuple of cells
        In rising order for numbers.
    quantiles : tuple of (share, value)
        Of a number's training rows; empty for categories.
    tied : tuple of str
        Columns whose ranks go with this one's in training.
    """

    column: Column
    cells: tuple[Cell, ...]
    quantiles: tuple[tuple[float, float], ...] = ()
    tied: tuple[str, ...] = ()

    def way(self, before: Cell, after: Cell) -> float:
        """Return how far it is from one cell to another: the share of rows between two numbers, or a constant."""
        if (
            isinstance(before, float)
            and isinstance(after, float)
            and self.quantiles
            and not math.isnan(before)
        ):
            shares, values = [q for q, _ in self.quantiles], [v for _, v in self.quantiles]
            ends = np.interp([before, after], values, shares)
            return float(abs(ends[1] - ends[0]))
        return _A_LEVEL

    def between(self, before: float, after: float) -> float:
        """Return a value halfway that the column could have."""
        middle = (before + after) / 2
        return float(round(middle)) if self.column.dtype == "int" else float(f"{middle:.4g}")


@dataclass(frozen=True, slots=True)
class Change:
    """Cells that change the decision, by column, how far they are from the record's, and what usually goes with them."""

    cells: dict[str, Cell]
    way: float
    staying: tuple[str, ...] = ()


def moves(columns: Sequence[Column], reference: Mapping[str, Any], kept: Sequence[str] = ()) -> list[Move]:
    """Return what can be changed: numbers, truth values and categories that are neither kept nor personal."""
    known: Mapping[str, Any] = reference.get("columns", {})
    ties = _ties(reference.get("association", {}))
    found = []
    for column in columns:
        told = known.get(column.name, {})
        tied = tuple(ties.get(column.name, ()))
        if column.pii or column.name in kept:
            continue
        if column.kind is Kind.BOOLEAN:
            found.append(Move(column, (0.0, 1.0), tied=tied))
        elif column.kind is Kind.NUMERIC and told.get("quantiles"):
            quantiles = tuple((float(q), float(v)) for q, v in told["quantiles"].items())
            found.append(Move(column, _grid(column, quantiles), quantiles, tied))
        elif column.kind is Kind.CATEGORICAL:
            often = [level for level, count in told.get("levels", {}).items() if count >= FEWEST]
            found.append(Move(column, tuple(often[:_MOST_LEVELS]), tied=tied))
    return [move for move in found if len(move.cells) > 1 and _is_plain(move)]


def _ties(association: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each column those whose ranks go with its own."""
    names: Sequence[str] = association.get("columns", ())
    ties: dict[str, list[str]] = {}
    for row, values in enumerate(association.get("ranks", ())):
        for place, value in enumerate(values):
            if abs(value) >= _TIED:
                ties.setdefault(names[row], []).append(names[place])
                ties.setdefault(names[place], []).append(names[row])
    return ties


def _is_plain(move: Move) -> bool:
    """Return whether a client can send the cells as they are: not where numbers are written with units."""
    read = reader(move.column)
    return move.column.kind is Kind.BOOLEAN or all(read(cell) == cell for cell in move.cells)


def _grid(column: Column, quantiles: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    shares = np.linspace(_EDGE, 1 - _EDGE, _STEPS)
    values = np.interp(shares, [q for q, _ in quantiles], [v for _, v in quantiles])
    rounded = np.round(values) if column.dtype == "int" else [float(f"{v:.4g}") for v in values]
    return tuple(float(value) for value in np.unique(rounded))


def counterfactuals(
    score: Callable[[Sequence[Mapping[str, Cell]]], Floats],
    cells: Mapping[str, Cell],
    moves: Sequence[Move],
    *,
    most: int = 3,
) -> tuple[list[Change], int]:
    """Return up to `most` changes of different columns, the smallest first, and how many records were tried.

    Parameters
    ----------
    score : callable
        Records as cells in; for each how far it is beyond the goal, at least 0 where it is reached.
    cells : mapping of str to cell
        The record.
    moves : sequence of Move
        What can be changed.

    Examples
    --------
    >>> age = Move(Column("age", Kind.NUMERIC), (20.0, 30.0, 40.0), ((0.0, 20.0), (1.0, 40.0)))
    >>> found, tried = counterfactuals(lambda rows: np.array([row["age"] - 33 for row in rows]), {"age": 25.0}, [age])
    >>> [round(change.cells["age"]) for change in found]
    [33]
    """
    of_name = {move.column.name: move for move in moves}
    tried = 0

    def asked(changes: Sequence[Mapping[str, Cell]]) -> Floats:
        nonlocal tried
        tried += len(changes)
        return score([{**cells, **change} for change in changes]) if changes else np.empty(0)

    singles: list[dict[str, Cell]] = [
        {name: cell}
        for name, move in of_name.items()
        for cell in move.cells
        if _differs(cell, cells.get(name))
    ]
    scores = asked(singles)
    best = _columns_by_score(singles, scores)
    found: list[Change] = []
    layer, layer_scores = singles, scores
    for size in range(1, _MOST_COLUMNS + 1):
        reached = [change for change, value in zip(layer, layer_scores, strict=True) if value >= 0]
        for change in _diverse(reached, cells, of_name, most - len(found), [set(c.cells) for c in found]):
            smaller = _smaller(change, cells, of_name, asked)
            found.append(Change(smaller, _way(smaller, cells, of_name), _staying(smaller, of_name)))
        if len(found) >= most or size == _MOST_COLUMNS or tried > _MOST_TRIED:
            break
        taken = [set(change.cells) for change in found]
        open_ones = [i for i, value in enumerate(layer_scores) if value < 0]
        open_ones.sort(key=lambda i: (-layer_scores[i], _way(layer[i], cells, of_name)))
        begun = _few_of_each([layer[i] for i in open_ones])
        layer = _wider(begun, singles, best[:_WIDEST], taken)
        layer_scores = asked(layer)
    found.sort(key=lambda change: (len(change.cells), change.way))
    return found, tried


def _differs(one: Cell, other: Cell) -> bool:
    return one != other


def _columns_by_score(singles: Sequence[Mapping[str, Cell]], scores: Floats) -> list[str]:
    """Return the columns by what changing them alone does at best."""
    best: dict[str, float] = {}
    for change, score in zip(singles, scores, strict=True):
        (name,) = change
        best[name] = max(best.get(name, -math.inf), float(score))
    return sorted(best, key=lambda name: (-best[name], name))


def _few_of_each(changes: Sequence[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """Return the first `_BEAM` of the changes, of which few change the same columns."""
    seen: Counter[frozenset[str]] = Counter()
    kept = []
    for change in changes:
        columns = frozenset(change)
        seen[columns] += 1
        if seen[columns] <= _OF_ONE_SET:
            kept.append(change)
        if len(kept) == _BEAM:
            break
    return kept


def _wider(
    begun: Sequence[dict[str, Cell]],
    singles: Sequence[dict[str, Cell]],
    names: Sequence[str],
    taken: Sequence[set[str]],
) -> list[dict[str, Cell]]:
    """Return `begun` with one more column each, without those that hold a set of columns that was found already."""
    allowed = set(names)
    wider: dict[tuple[tuple[str, Cell], ...], dict[str, Cell]] = {}
    for change in begun:
        for single in singles:
            (name,) = single
            if name not in allowed or name in change:
                continue
            joined = {**change, **single}
            if not any(own <= joined.keys() for own in taken):
                wider.setdefault(tuple(sorted(joined.items(), key=lambda item: item[0])), joined)
    return list(wider.values())


def _way(change: Mapping[str, Cell], cells: Mapping[str, Cell], of_name: Mapping[str, Move]) -> float:
    own = math.fsum(of_name[name].way(cells.get(name), cell) for name, cell in change.items())
    return own + _A_TIE * len(_staying(change, of_name))


def _staying(change: Mapping[str, Cell], of_name: Mapping[str, Move]) -> tuple[str, ...]:
    """Return the columns that go with a changed one in training and stay."""
    return tuple(sorted({other for name in change for other in of_name[name].tied} - change.keys()))


def _diverse(
    reached: Sequence[dict[str, Cell]],
    cells: Mapping[str, Cell],
    of_name: Mapping[str, Move],
    most: int,
    taken: list[set[str]],
) -> list[dict[str, Cell]]:
    """Return the shortest way of each set of columns, none of which holds another."""
    chosen: list[dict[str, Cell]] = []
    for change in sorted(reached, key=lambda change: _way(change, cells, of_name)):
        if len(chosen) == most:
            break
        if not any(own <= change.keys() for own in taken):
            chosen.append(change)
            taken.append(set(change))
    return chosen


def _smaller(
    change: Mapping[str, Cell],
    cells: Mapping[str, Cell],
    of_name: Mapping[str, Move],
    asked: Callable[[Sequence[Mapping[str, Cell]]], Floats],
) -> dict[str, Cell]:
    """Return the change with each number as near to the record's as the goal allows, by halving."""
    now = dict(change)
    for name, cell in change.items():
        before = cells.get(name)
        if not (of_name[name].quantiles and isinstance(before, float) and isinstance(cell, float)):
            continue
        if math.isnan(before):
            continue
        low, high = before, cell
        for _ in range(_HALVINGS):
            middle = of_name[name].between(low, high)
            if middle in (low, high):
                break
            if asked([{**now, name: middle}])[0] >= 0:
                high = middle
            else:
                low = middle
        now[name] = high
    return now
