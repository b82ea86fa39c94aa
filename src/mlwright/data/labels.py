"""Labels: the classes of a target as values, in their order, and what speaks against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlwright.core.errors import DataError, UsageError
from mlwright.core.types import Floats
from mlwright.data.cells import RawColumn
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded

__all__ = ["MAX_CLASSES", "class_labels", "refuse_no_order", "spelled"]

MAX_CLASSES = 20  # whole numbers with more values are quantities
_POSITIVE = frozenset(
    [
        "true",
        "yes",
        "y",
        "t",
        "positive",
        "pos",
        "churned",
        "churn",
        "default",
        "defaulted",
        "fraud",
        "fraudulent",
        "spam",
        "malignant",
        "sick",
        "diseased",
        "died",
        "dead",
        "failed",
        "failure",
        "attrited",
        "left",
        "converted",
        "clicked",
        "bought",
        "subscribed",
        "accepted",
        "approved",
        "won",
        "success",
    ]
)


def spelled(label: Any) -> str:
    """Return how a table spells a label.

    Examples
    --------
    >>> spelled(True), spelled(2.0), spelled("2")
    ('true', '2', '2')
    """
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return label if isinstance(label, str) else repr(label)


def class_labels(raw: RawColumn, column: Column, *, strict: bool) -> tuple[Any, ...]:
    """Return the classes of a target in order: numbers by size, texts as people sort them; of two, the positive one last.

    Parameters
    ----------
    raw, column : RawColumn and Column
        The target.
    strict : bool
        Whether there must be two classes with two rows or more.

    Raises
    ------
    DataError
        If there is one class only, or nearly as many as rows.
    """
    read = raw.coded(replace(column, kind=Kind.CATEGORICAL, format={}))
    counts = np.bincount(read.codes[read.codes >= 0], minlength=len(read.levels))
    if column.kind is Kind.BOOLEAN:
        truth = raw.floats(column)
        groups = {code: int((truth == code).sum()) for code in (0, 1)}
        _refuse_classes(column, {label: n for label, n in groups.items() if n}, strict=strict)
        return tuple(_commonest(read, truth, code, column.dtype) for code in (0, 1))
    found = {_label(level, column.dtype): int(n) for level, n in zip(read.levels, counts, strict=True) if n}
    _refuse_classes(column, found, strict=strict)
    labels = sorted(found, key=_natural)
    if len(labels) == 2 and _first_is_positive(labels, found):
        labels.reverse()
    return tuple(labels)


def _commonest(read: Coded, truth: Floats, code: int, dtype: str) -> Any:
    """Return the label of a boolean's code: the way that most rows spell it."""
    counts = np.bincount(read.codes[truth == code], minlength=len(read.levels))
    return _label(min(zip(-counts, read.levels, strict=True))[1], dtype)


def _label(level: str, dtype: str) -> Any:
    if dtype == "bool" and level.lower() in {"true", "false"}:
        return level.lower() == "true"
    if dtype == "int" and re.fullmatch(r"-?\d+", level):
        return int(level)
    if dtype == "float" and re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", level):
        return float(level)
    return level


def _natural(label: Any) -> tuple[Any, ...]:
    """Return a sort key: numbers by size and before texts, texts with their numbers by size."""
    if isinstance(label, (int, float)):
        return (0, label, "")
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", label.casefold()) if p]
    return (1, parts, label)


def _first_is_positive(labels: Sequence[Any], counts: dict[Any, int]) -> bool:
    first, second = (str(label).lower() for label in labels)
    if {first, second} in ({"0", "1"}, {"-1", "1"}):
        return first == "1"
    if (first in _POSITIVE) != (second in _POSITIVE):
        return first in _POSITIVE
    return counts[labels[0]] < counts[labels[1]]


def _refuse_classes(column: Column, counts: dict[Any, int], *, strict: bool) -> None:
    n_rows = sum(counts.values())
    if len(counts) < 2:
        raise DataError(
            f"the target '{column.name}' has one class only: there is nothing to learn",
            got=next(iter(counts), None),
            fix="name another target, or give rows of another class",
        )
    if len(counts) > max(MAX_CLASSES, n_rows // 2):
        raise DataError(
            f"the target '{column.name}' has {len(counts):,} classes in {n_rows:,} rows",
            fix="name another target, or group its values",
        )
    if strict and sum(n > 1 for n in counts.values()) < 2:
        lone = sorted((label for label, n in counts.items() if n == 1), key=_natural)
        classes = f"{len(lone)} class{'es' * (len(lone) != 1)}"
        raise DataError(
            f"{classes} of the target '{column.name}' {'have' if len(lone) > 1 else 'has'} one row only:"
            " none is left to test on",
            got=lone[:10],
            fix="leave these rows out, join the classes, or give more rows",
        )


def refuse_no_order(column: Column, labels: tuple[Any, ...]) -> None:
    """Raise `UsageError` unless the classes are grades: numbers, or texts that begin with one."""
    lost = [label for label in labels if not re.match(r"-?\d", spelled(label))]
    if lost:
        raise UsageError(
            f"quadratic_kappa needs classes in order, and '{column.name}' does not tell theirs",
            got=lost[:5],
            allowed="numbers, or texts that begin with one such as '2 good'",
            fix="write the classes so, or take another metric",
        )
