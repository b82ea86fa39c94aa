"""Contract: what a table must hold to be trained on and predicted, as plain data that people can edit.

It is learned from training data with some slack, and says less where it is not sure. Tables are held against it by
`mlwright.data.contract_tally`, records by `mlwright.serving.validation`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Column, Kind, Role

__all__ = ["KEYS", "LONGEST", "Contract", "Expected", "is_pattern", "problem"]

LONGEST = 256  # characters of a value that a pattern is asked about; a longer one does not match

_PART = re.compile(
    r"(?P<what>\[\^?(?:\\.|[^\]\\\[])+\]|\\.|[^\\()|\[\]{}*+?^$])(?P<often>\{\d{1,3}(?:,\d{0,3})?\}|[*+?])?"
)
_MOST_OPEN = 2  # parts of a pattern that may be of any length


@dataclass(frozen=True, slots=True)
class Expected:
    """What one column must be.

    Parameters
    ----------
    name : str
        The column.
    kind, role, dtype : Kind, Role and str
        As in the schema.
    missing : float
        The largest share of rows without a value; with 0 a record must give one.
    low, high : float, optional
        The range of a number.
    levels : tuple of str, optional
        All categories that may come.
    pattern : str, optional
        A regular expression that the whole text matches, of characters, classes and repetitions alone; see `is_pattern`.
    unique : bool
        Whether no value may come twice.
    refuse : bool
        Whether a record that breaks it is refused; else it is answered with a warning.
    """

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    dtype: str = "str"
    missing: float = 1.0
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] | None = None
    pattern: str | None = None
    unique: bool = False
    refuse: bool = False

    def reading(self, known: Column | None = None) -> Column:
        """Return how the column is to be read: as `known` says where that is of the same kind."""
        if known is not None and known.kind is self.kind:
            return known
        return Column(self.name, self.kind, self.role, self.dtype)

    def fault(self, cell: float | str | None) -> str | None:
        """Say what is wrong with the canonical cell of a record; None if nothing is.

        Examples
        --------
        >>> Expected("age", Kind.NUMERIC, low=0.0, high=120.0).fault(130.0)
        'outside 0 to 120'
        """
        if cell is None or cell != cell:  # noqa: PLR0124 - NaN is missing
            return "missing" if self.missing == 0 else None
        if isinstance(cell, str):
            if self.levels is not None and cell not in self.levels:
                return "not one of the allowed categories"
            if self.pattern is not None and not (len(cell) <= LONGEST and re.fullmatch(self.pattern, cell)):
                return f"not of the form {self.pattern}"
            return None
        if (self.low is not None and cell < self.low) or (self.high is not None and cell > self.high):
            return f"outside {self.span}"
        return None

    @property
    def span(self) -> str:
        """The range in words."""
        if self.low is None:
            return f"at most {self.high:.12g}"
        return f"{self.low:.12g} or more" if self.high is None else f"{self.low:.12g} to {self.high:.12g}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; what is not said is left out."""
        tree: dict[str, Any] = {"kind": str(self.kind), "dtype": self.dtype}
        if self.role is not Role.FEATURE:
            tree["role"] = str(self.role)
        told = {
            "missing": None if self.missing == 1 else self.missing,
            "min": self.low,
            "max": self.high,
            "levels": None if self.levels is None else list(self.levels),
            "pattern": self.pattern,
            "unique": self.unique or None,
            "on_violation": "refuse" if self.refuse else None,
        }
        return tree | {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Contract:
    """What a table must hold.

    Parameters
    ----------
    columns : tuple of Expected
        One a column that must be there.
    tolerance : float
        The share of rows in which a column may break its range, levels or pattern before a table breaks the contract.
    min_rows : int
        How many rows a table to train on must have.
    """

    columns: tuple[Expected, ...]
    tolerance: float = 0.001
    min_rows: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree that `from_json` reads."""
        columns = {column.name: column.to_json() for column in self.columns}
        return {"tolerance": self.tolerance, "min_rows": self.min_rows, "columns": columns}

    @classmethod
    def from_json(cls, tree: Any) -> Contract:
        """Build a contract from a tree.

        Raises
        ------
        BundleContentError
            If a part of it is malformed.
        """
        wrong = problem(tree)
        if wrong is not None:
            key, got, allowed = wrong
            raise BundleContentError(f"the contract's {key} is malformed", got=got, allowed=allowed)
        refuse = tree.get("on_violation") == "refuse"
        columns = tuple(_expected(name, part, refuse=refuse) for name, part in tree["columns"].items())
        return cls(columns, float(tree.get("tolerance", 0.001)), int(tree.get("min_rows", 0)))


def _expected(name: str, part: Mapping[str, Any], *, refuse: bool) -> Expected:
    levels = part.get("levels")
    return Expected(
        name,
        Kind(part["kind"]),
        Role(part.get("role", "feature")),
        part.get("dtype", "str"),
        float(part.get("missing", 1.0)),
        None if "min" not in part else float(part["min"]),
        None if "max" not in part else float(part["max"]),
        None if levels is None else tuple(map(str, levels)),
        part.get("pattern"),
        part.get("unique", False),
        part["on_violation"] == "refuse" if "on_violation" in part else refuse,
    )


def is_pattern(text: Any) -> bool:
    r"""Return whether `text` is a pattern that any value is held against in a moment.

    Characters, classes such as ``[A-Z]`` or ``\d``, and repetitions of one of them; neither groups nor alternatives, and
    at most two parts of open length.

    Examples
    --------
    >>> is_pattern(r"[A-Z]{2}-\d{4}"), is_pattern("(a+)+b")
    (True, False)
    """
    if not isinstance(text, str) or not text or len(text) > 200:
        return False
    parts = list(_PART.finditer(text))
    if "".join(part[0] for part in parts) != text:
        return False
    if sum(1 for part in parts if _is_open(part["often"])) > _MOST_OPEN:
        return False
    try:
        re.compile(text)
    except (re.error, OverflowError):
        return False
    return True


def _is_open(often: str | None) -> bool:
    if often is None or often == "?":
        return False
    low, comma, high = often.strip("{}").partition(",")
    return often in "*+" or (bool(comma) and low != high)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _are_levels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(level, (str, int, float, bool)) for level in value)


_POLICY = ("on_violation", lambda value: value in ("warn", "refuse"), "warn, refuse")
# What each key takes, in words; of the contract, then of a column.
_TOP = {
    "tolerance": (_is_share, "a share from 0 to 1"),
    "min_rows": (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0, "a number of rows"),
    _POLICY[0]: _POLICY[1:],
    "columns": (lambda v: isinstance(v, Mapping), "a table of columns"),
}
KEYS = {
    "kind": (lambda v: v in set(Kind), ", ".join(Kind)),
    "role": (lambda v: v in set(Role), ", ".join(Role)),
    "dtype": (
        lambda v: v in {"int", "float", "bool", "str", "date", "timestamp"},
        "int, float, bool, str, date, timestamp",
    ),
    "missing": (_is_share, "a share from 0 to 1"),
    "min": (_is_number, "a number"),
    "max": (_is_number, "a number"),
    "levels": (_are_levels, "a list of categories"),
    "pattern": (is_pattern, "characters, classes and repetitions, at most two of open length"),
    "unique": (lambda v: isinstance(v, bool), "true or false"),
    _POLICY[0]: _POLICY[1:],
}


def problem(tree: Any) -> tuple[str, Any, str] | None:
    """Return the first thing that is wrong with a contract's tree: the key, the value got, and what is allowed."""
    if not isinstance(tree, Mapping) or "columns" not in tree:
        return "columns", tree if not isinstance(tree, Mapping) else None, "a table of columns"
    for key, value in tree.items():
        if key not in _TOP:
            return key, value, f"the keys {', '.join(_TOP)}"
        if not _TOP[key][0](value):
            return key, value, _TOP[key][1]
    for name, part in tree["columns"].items():
        where = f"columns.{name}"
        if not isinstance(part, Mapping) or "kind" not in part:
            return f"{where}.kind", part, KEYS["kind"][1]
        for key, value in part.items():
            if key not in KEYS:
                return f"{where}.{key}", value, f"the keys {', '.join(KEYS)}"
            if not KEYS[key][0](value):
                return f"{where}.{key}", value, KEYS[key][1]
        for key in ("min", "max"):
            if key in part and part["kind"] != Kind.NUMERIC:
                return f"{where}.{key}", part[key], "of a numeric column only"
        if part.get("min", -math.inf) > part.get("max", math.inf):
            return f"{where}.min", part["min"], f"at most max, {part['max']}"
    return None
