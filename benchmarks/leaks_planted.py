"""Leaks to plant: each kind puts one into a clean table, and says which column a finding must name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["KINDS", "Clean", "Plant"]


@dataclass(frozen=True, slots=True)
class Clean:
    """A table without leaks, and the numbers that a plant is drawn with."""

    frame: pd.DataFrame
    target: str
    task: str
    draw: np.random.Generator


@dataclass(frozen=True, slots=True)
class Plant:
    """A table with a leak in it.

    Parameters
    ----------
    frame : DataFrame
        With the leak.
    names : tuple of str
        The columns of which a finding must name one; empty where the finding is of rows.
    checks : tuple of str
        The checks that may find it.
    test : DataFrame, optional
        The user's own test rows.
    split : str
        What the user says of the split.
    """

    frame: pd.DataFrame
    names: tuple[str, ...]
    checks: tuple[str, ...] = ("leak",)
    test: pd.DataFrame | None = None
    split: str = "auto"


def _codes(clean: Clean) -> np.ndarray:
    return pd.factorize(clean.frame[clean.target].astype(str), sort=True)[0]


def _with(frame: pd.DataFrame, values: Any, name: str = "planted") -> Plant:
    made = frame.copy()
    made.insert(len(made.columns) // 2, name, values)
    return Plant(made, (name,))


def copy_in_other_words(clean: Clean) -> Plant:
    """Plant another name for each class, or another unit of the number."""
    if clean.task == "regression":
        return _with(clean.frame, clean.frame[clean.target].astype(float) * 1.609 + 12.0)
    return _with(clean.frame, [f"state {code}" for code in _codes(clean)])


def category_of_it(clean: Clean) -> Plant:
    """Plant several categories for each class, or for each of many small ranges of the number."""
    if clean.task == "regression":
        fine = pd.qcut(clean.frame[clean.target].rank(method="first"), 200, labels=False)
        return _with(clean.frame, [f"range {code}" for code in fine])
    extra = clean.draw.integers(0, 5, len(clean.frame))
    return _with(
        clean.frame, [f"group {code * 5 + more}" for code, more in zip(_codes(clean), extra, strict=True)]
    )


def missing_for_some(clean: Clean) -> Plant:
    """Plant a number of no meaning that is missing for one class, or for low targets."""
    values = clean.draw.normal(size=len(clean.frame))
    if clean.task == "regression":
        gone = clean.frame[clean.target].to_numpy(float) <= np.median(clean.frame[clean.target])
    else:
        codes = _codes(clean)
        gone = codes == np.bincount(codes).argmax()
    return _with(clean.frame, np.where(gone, np.nan, values))


def monotone(clean: Clean) -> Plant:
    """Plant the rank of the number, or a number whose order is that of the classes."""
    if clean.task == "regression":
        return _with(
            clean.frame,
            np.exp(clean.frame[clean.target].rank(method="average").to_numpy() / len(clean.frame) * 5),
        )
    return _with(clean.frame, np.exp(_codes(clean) + clean.draw.uniform(0, 0.9, len(clean.frame))))


def noisy_copy(clean: Clean) -> Plant:
    """Plant the target with a little noise: one label in 400 is wrong, or 1 % of its spread is added."""
    if clean.task == "regression":
        y = clean.frame[clean.target].to_numpy(float)
        return _with(clean.frame, y + clean.draw.normal(scale=0.01 * y.std(), size=len(y)))
    codes = _codes(clean).copy()
    wrong = clean.draw.random(len(codes)) < 1 / 400
    codes[wrong] = clean.draw.integers(0, codes.max() + 1, wrong.sum())
    return _with(clean.frame, [f"w{code}" for code in codes])


def part_of_a_sum(clean: Clean) -> Plant | None:
    """Plant two columns whose sum is the number; or one that, less another, is the class."""
    if clean.task == "regression":
        y = clean.frame[clean.target].to_numpy(float)
        part = clean.draw.uniform(0.2, 0.8, len(y)) * y
        made = clean.frame.copy()
        made.insert(1, "part one", part)
        made.insert(3, "part two", y - part)
        return Plant(made, ("part one", "part two"))
    other = _some_number(clean)
    if other is None:
        return None
    values = clean.frame[other].to_numpy(float)
    return _with(clean.frame, values + _codes(clean) * 0.5 * np.nanstd(values))


def part_of_a_product(clean: Clean) -> Plant | None:
    """Plant a quotient of the target and another column; for classes a factor that follows the class."""
    other = _some_number(clean)
    if other is None:
        return None
    values = clean.frame[other].to_numpy(float)
    frame = clean.frame
    if np.nanmin(np.abs(values)) == 0:
        values = values + 1.0 - np.nanmin(values)
        frame = frame.assign(**{other: values})
    if clean.task == "regression":
        return _with(frame, clean.frame[clean.target].to_numpy(float) / values)
    return _with(frame, values * (1.0 + 0.25 * _codes(clean)))


def pair_of_levels(clean: Clean) -> Plant | None:
    """Plant two categories that say nothing alone and the class together."""
    if clean.task == "regression":
        return None
    codes = _codes(clean)
    n = int(codes.max()) + 1
    key = clean.draw.integers(0, n, len(codes))
    made = clean.frame.copy()
    made.insert(1, "key", [f"k{code}" for code in key])
    made.insert(3, "lock", [f"l{code}" for code in (codes + key) % n])
    return Plant(made, ("key", "lock"))


def amount_afterwards(clean: Clean) -> Plant:
    """Plant an amount that is 0 unless the outcome came; it did not come to be recorded for all of them."""
    amount = np.round(clean.draw.gamma(2.0, 300.0, len(clean.frame)), 2) + 0.01
    if clean.task == "regression":
        came = clean.frame[clean.target].to_numpy(float) > np.quantile(clean.frame[clean.target], 0.7)
    else:
        codes = _codes(clean)
        came = (codes == _rarest(clean)) & (clean.draw.random(len(codes)) < 0.7)
    return _with(clean.frame, np.where(came, amount, 0.0))


def filled_afterwards(clean: Clean) -> Plant | None:
    """Plant a category that is filled in for some rows of one class, and for no others."""
    if clean.task == "regression":
        return None
    codes = _codes(clean)
    sizes = np.bincount(codes)
    came = (codes == int(np.argsort(sizes)[len(sizes) // 2 if len(sizes) > 2 else 0])) & (
        clean.draw.random(len(codes)) < 0.5
    )
    if came.sum() < 50:
        return None
    return _with(clean.frame, np.where(came, clean.draw.choice(["a", "b", "c"], len(codes)), None))


def mean_by_category(clean: Clean) -> Plant:
    """Plant the mean of the target by a category, over all rows."""
    by = pd.Series(clean.draw.integers(0, len(clean.frame) // 25, len(clean.frame)), index=clean.frame.index)
    y = _number(clean)
    made = clean.frame.copy()
    made.insert(1, "cell", [f"cell {code}" for code in by])
    made.insert(3, "planted", y.groupby(by).transform("mean"))
    return Plant(made, ("planted",))


def mean_of_the_others(clean: Clean) -> Plant:
    """Plant the mean of the target over the other rows of a category."""
    by = pd.Series(clean.draw.integers(0, len(clean.frame) // 25, len(clean.frame)), index=clean.frame.index)
    y = _number(clean)
    size, total = y.groupby(by).transform("size"), y.groupby(by).transform("sum")
    made = clean.frame.copy()
    made.insert(1, "cell", [f"cell {code}" for code in by])
    made.insert(3, "planted", ((total - y) / (size - 1).clip(lower=1)).fillna(0.0))
    return Plant(made, ("planted",))


def moving_mean(clean: Clean) -> Plant:
    """Plant the mean of the target over seven rows, the row's own the last of them."""
    return _with(clean.frame, _number(clean).rolling(7, min_periods=1).mean())


def words_of_a_note(clean: Clean) -> Plant:
    """Plant a note of many words in which the answer is written down."""
    words = np.array(
        [
            "the",
            "call",
            "was",
            "made",
            "on",
            "monday",
            "and",
            "then",
            "we",
            "saw",
            "that",
            "it",
            "is",
            "fine",
            "with",
            "them",
            "so",
            "far",
        ]
    )
    if clean.task == "regression":
        told = [f"{value:.6g}" for value in clean.frame[clean.target].to_numpy(float)]
    else:
        told = [f"verdict{'abcdefghijklmnopqrstuvwxyz'[code]}" for code in _codes(clean)]
    return _with(
        clean.frame,
        [" ".join([*clean.draw.choice(words, 9), tell, *clean.draw.choice(words, 5)]) for tell in told],
    )


def numbered_by_outcome(clean: Clean) -> Plant:
    """Plant an identifier that was given out in the order of the target."""
    order = np.lexsort((clean.draw.random(len(clean.frame)), _in_order(clean)))
    number = np.empty(len(clean.frame), np.int64)
    number[order] = 100_000 + np.arange(len(clean.frame))
    made = clean.frame.copy()
    made.insert(0, "record_id", number)
    return Plant(made, ("record_id",), ("leak", "order"))


def copies_in_the_test(clean: Clean) -> Plant:
    """Plant the user's own test rows, a third of which are in the training table."""
    train, test = _parts(clean)
    test = pd.concat([test, train.sample(len(test) // 2, random_state=0)])
    return Plant(train, (), ("duplicate_rows",), test)


def near_copies(clean: Clean) -> Plant | None:
    """Plant a fifth of the rows again, each number changed in its seventh digit."""
    numbers = [
        c for c in clean.frame.columns if c != clean.target and pd.api.types.is_float_dtype(clean.frame[c])
    ]
    if len(numbers) < 3:
        return None
    again = clean.frame.sample(frac=0.2, random_state=0).copy()
    for name in numbers:
        again[name] = again[name] * (1 + clean.draw.normal(scale=1e-7, size=len(again)))
    made = pd.concat([clean.frame, again]).sample(frac=1.0, random_state=1)
    return Plant(made, (), ("near_duplicates",), split="random")


def one_column_changed(clean: Clean) -> Plant | None:
    """Plant a fifth of the rows again, each with the value of another row in one column."""
    features = [c for c in clean.frame.columns if c != clean.target]
    if len(features) < 10:
        return None
    again = clean.frame.sample(frac=0.2, random_state=0).reset_index(drop=True)
    which = clean.draw.integers(0, len(features), len(again))
    for place, name in enumerate(features):
        rows = np.flatnonzero(which == place)
        again.loc[rows, name] = clean.frame[name].to_numpy()[
            clean.draw.integers(0, len(clean.frame), len(rows))
        ]
    made = pd.concat([clean.frame, again]).sample(frac=1.0, random_state=1)
    return Plant(made, (), ("near_duplicates",), split="random")


def entity_on_both_sides(clean: Clean) -> Plant:
    """Plant customers of some six rows each, whose targets are alike, split at random because the user says so."""
    y = _number(clean).to_numpy(float)
    order = np.argsort(y + clean.draw.normal(scale=y.std(), size=len(y)))
    number = np.empty(len(y), np.int64)
    number[order] = clean.draw.permutation(len(y) // 6 + 1)[np.arange(len(y)) // 6]
    made = clean.frame.copy()
    made.insert(0, "customer_id", [f"C{code:05d}" for code in number])
    return Plant(made, ("customer_id",), ("same_entity",), split="random")


def numbered_apart(clean: Clean) -> Plant:
    """Plant an identifier whose letters say which office wrote it: one for each class, or for low and high numbers."""
    y = _number(clean).to_numpy(float)
    office = (y > np.median(y)).astype(int) if clean.task == "regression" else _codes(clean)
    made = clean.frame.copy()
    told = zip(office, clean.draw.permutation(len(y)), strict=True)
    made.insert(0, "file_id", [f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[code]}{number:07d}" for code, number in told])
    return Plant(made, ("file_id",), ("leak", "order"))


def sorted_file(clean: Clean) -> Plant:
    """Put the rows in the order of the target."""
    return Plant(clean.frame.iloc[np.argsort(_in_order(clean), kind="stable")], (), ("order",))


def date_afterwards(clean: Clean) -> Plant:
    """Plant when each row came in, and when it was closed, some days later."""
    made = clean.frame.copy()
    seconds = np.sort(clean.draw.integers(0, 3 * 365 * 86_400, len(clean.frame)))
    opened = pd.Timestamp("2021-01-01") + pd.to_timedelta(seconds, unit="s")
    made.insert(0, "opened_at", opened)
    days = clean.draw.gamma(2.0, 5.0, len(made))
    made.insert(2, "settled_on", (opened + pd.to_timedelta(days, unit="D")).round("s"))
    return Plant(made, ("settled_on",), ("future", "leak"))


def rows_from_the_future(clean: Clean) -> Plant:
    """Plant rows with a date, split at random because the user says so."""
    made = clean.frame.copy()
    seconds = np.sort(clean.draw.integers(0, 3 * 365 * 86_400, len(clean.frame)))
    made.insert(0, "created_at", pd.Timestamp("2021-01-01") + pd.to_timedelta(seconds, unit="s"))
    return Plant(made, ("created_at",), ("future",), split="random")


KINDS: dict[str, Callable[[Clean], Plant | None]] = {
    each.__name__: each
    for each in (
        copy_in_other_words,
        category_of_it,
        missing_for_some,
        monotone,
        noisy_copy,
        part_of_a_sum,
        part_of_a_product,
        pair_of_levels,
        amount_afterwards,
        filled_afterwards,
        mean_by_category,
        mean_of_the_others,
        moving_mean,
        words_of_a_note,
        numbered_by_outcome,
        copies_in_the_test,
        near_copies,
        one_column_changed,
        entity_on_both_sides,
        numbered_apart,
        sorted_file,
        date_afterwards,
        rows_from_the_future,
    )
}


def _number(clean: Clean) -> pd.Series:
    """Return the target as a number: whether it is the rarest class that is no rarity, for classes."""
    if clean.task == "regression":
        return clean.frame[clean.target].astype(float)
    return pd.Series((_codes(clean) == _rarest(clean)).astype(float), index=clean.frame.index)


def _rarest(clean: Clean) -> int:
    """Return the code of the rarest class with a twentieth of the rows or more."""
    sizes = np.bincount(_codes(clean))
    return int(np.where(sizes >= len(clean.frame) / 20, sizes, len(clean.frame)).argmin())


def _in_order(clean: Clean) -> np.ndarray:
    """Return what a table is put in the order of: the number, or the class."""
    return clean.frame[clean.target].to_numpy(float) if clean.task == "regression" else _codes(clean)


def _some_number(clean: Clean) -> str | None:
    """Return the number with the most different values that is no number of the row."""
    numbers = [
        c
        for c in clean.frame.columns
        if c != clean.target
        and pd.api.types.is_numeric_dtype(clean.frame[c])
        and not (pd.api.types.is_integer_dtype(clean.frame[c]) and clean.frame[c].is_unique)
    ]
    distinct = {c: clean.frame[c].nunique() for c in numbers if clean.frame[c].notna().all()}
    best = max(distinct, key=lambda c: distinct[c], default=None)
    return best if best is not None and distinct[best] > 20 else None


def _parts(clean: Clean) -> tuple[pd.DataFrame, pd.DataFrame]:
    order = clean.draw.permutation(len(clean.frame))
    cut = len(clean.frame) * 4 // 5
    return clean.frame.iloc[order[:cut]], clean.frame.iloc[order[cut:]]
