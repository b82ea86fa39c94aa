"""Describe: what sets a group of rows apart from all rows, column by column, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwright.core.types import Floats
from mlwright.data.schema import Kind, Schema
from mlwright.data.values import Coded, Columns
from mlwright.evaluate.words import number, percent

__all__ = ["Trait", "describe"]

_LEAST = 0.4  # standard deviations: less is not worth a word
_LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Trait:
    """A column, how many standard deviations its mean (or a value's share) lies apart, and the words for it."""

    column: str
    effect: float
    words: str


def describe(columns: Columns, schema: Schema, inside: NDArray[np.bool_], *, most: int = 6) -> list[Trait]:
    """Return what sets the rows `inside` apart, the clearest first.

    Numbers by their means in standard deviations of all rows, said as medians; categories by the value whose share
    differs most, in standard deviations of that share.

    Parameters
    ----------
    columns : Columns
        The canonical columns of all rows.
    schema : Schema
        What they are; personal columns are passed over.
    inside : ndarray of bool, shape (n_rows,)
        Which rows are meant.
    most : int, default=6
        How many traits at most.

    Examples
    --------
    >>> from mlwright.data.schema import Column
    >>> schema = Schema((Column("tenure", Kind.NUMERIC),))
    >>> tenure = np.array([1.0, 2.0, 3.0, 40.0, 50.0, 60.0])
    >>> describe({"tenure": tenure}, schema, tenure < 10)[0].words
    'tenure low (median 2 against 21.5)'
    """
    if not inside.any():
        return []
    traits = []
    for name, values in columns.items():
        if schema[name].pii:  # a trait repeats values
            continue
        kind = schema[name].kind
        if isinstance(values, Coded):
            trait = None if kind is Kind.TEXT else _of_levels(name, values, inside)
        elif kind is Kind.BOOLEAN:
            trait = _of_share(name, "true", values == 1.0, inside)
        else:
            trait = None if kind is Kind.DATETIME else _of_numbers(name, values, inside)
        traits += [each for each in (trait, _of_missing(name, values, inside)) if each is not None]
    return sorted(traits, key=lambda trait: -abs(trait.effect))[:most]


def _of_numbers(name: str, values: Floats, inside: NDArray[np.bool_]) -> Trait | None:
    known = ~np.isnan(values)
    if not (known & inside).any():
        return None
    ordered = values[known]
    low, high = np.quantile(ordered, [0.01, 0.99])
    tamed = np.clip(ordered, low, high)  # one wild value must not hide what all others say
    spread = float(tamed.std())
    if not spread > 0 or not math.isfinite(spread):
        return None
    effect = (float(tamed[inside[known]].mean()) - float(tamed.mean())) / spread
    if abs(effect) < _LEAST:
        return None
    here, all_ = float(np.median(values[known & inside])), float(np.median(ordered))
    word = "high" if effect > 0 else "low"
    if here == all_:
        return Trait(name, effect, f"{name} {word}er on average, with the same median ({number(here)})")
    return Trait(name, effect, f"{name} {word} (median {number(here)} against {number(all_)})")


def _of_levels(name: str, values: Coded, inside: NDArray[np.bool_]) -> Trait | None:
    here = (
        np.bincount(values.codes[inside & (values.codes >= 0)], minlength=len(values.levels)) / inside.sum()
    )
    all_ = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels)) / len(inside)
    deviation = np.sqrt(all_ * (1 - all_))
    effects = np.divide(here - all_, deviation, out=np.zeros_like(here), where=deviation > 0)
    effects[np.abs(here - all_) < _LEAST_SHARE] = 0.0
    if not len(effects):
        return None
    top = int(np.abs(effects).argmax())
    mostly = int(here.argmax())
    if here[mostly] >= 0.5 and abs(effects[mostly]) >= _LEAST:  # what most have says more than what few have
        top = mostly
    return _told(name, values.levels[top], float(here[top]), float(all_[top]), float(effects[top]))


def _of_share(name: str, value: str, has: NDArray[np.bool_], inside: NDArray[np.bool_]) -> Trait | None:
    here, all_ = float(has[inside].mean()), float(has.mean())
    deviation = math.sqrt(all_ * (1 - all_))
    if not deviation or abs(here - all_) < _LEAST_SHARE:
        return None
    return _told(name, value, here, all_, (here - all_) / deviation)


def _told(name: str, value: str, here: float, all_: float, effect: float) -> Trait | None:
    if abs(effect) < _LEAST:
        return None
    word = "mostly" if here >= 0.5 else "often" if effect > 0 else "never" if here == 0 else "seldom"
    shown = value if len(value) <= 40 else value[:37] + "..."
    return Trait(name, effect, f"{name} {word} {shown} ({percent(here)} against {percent(all_)})")


def _of_missing(name: str, values: Floats | Coded, inside: NDArray[np.bool_]) -> Trait | None:
    missing = values.codes < 0 if isinstance(values, Coded) else np.isnan(values)
    return _of_share(name, "missing", missing, inside)
