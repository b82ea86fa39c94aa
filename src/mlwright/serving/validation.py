"""Validation: one raw record in; canonical cells, warnings, or all that is wrong with it out.

Reading and checking are one pass: each column has a small closure that gives the cell of an ordinary value in well
under a microsecond and hands everything else (missing values, odd types, odd ranges) to the slower `_Field.examine`,
which says what is wrong in words. An accepted value always becomes the very cell that `mlwright.data.values.reader`
gives, which is what training saw.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from mlwright.core.errors import RecordError
from mlwright.core.types import Floats, Json
from mlwright.data.contract import Contract, Expected
from mlwright.data.schema import Column, Kind, Schema
from mlwright.data.values import MISSING_WORDS, Cell, Coded, reader

__all__ = [
    "MAX_CHARACTERS",
    "NEVER_MISSED",
    "RecordReader",
    "demanded",
    "ordinary",
    "shown",
    "stack",
    "tolerated",
]

MAX_CHARACTERS = 100_000
_MAX_UNKNOWN = 50
_SLOW: Any = object()  # what a fast closure gives where the slow path must look
_NUMBERS = (int, float, np.integer, np.floating, Decimal)
_TRUTHS = (bool, np.bool_)
_TIMES = (dt.date, dt.datetime)
NEVER_MISSED = "missing, as in no row of training"
_WORDS = {
    Kind.NUMERIC: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.DATETIME: "a date or a time, as in 2026-11-22 or 2026-11-22T18:30:00",
    Kind.TEXT: "a text",
}


def shown(value: Any) -> Any:
    """Return `value` as an answer may repeat it: short, and always JSON.

    Examples
    --------
    >>> shown("x" * 300)[-3:], shown([1, 2]), shown(float("inf"))
    ('...', 'a list of 2 values', 'inf')
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if len(text) <= 200 else text[:197] + "..."
    if isinstance(value, int):
        # Past 64 bits a number is no longer portable JSON.
        return value if -(2**63) <= value < 2**64 else "an integer of more than 64 bits"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return f"an object of {len(value)} fields"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} values"
    if isinstance(value, (*_NUMBERS, *_TRUTHS, *_TIMES)):
        return str(value)
    return f"a value of type {type(value).__name__}"


class RecordReader:
    """Reads records of one schema.

    Parameters
    ----------
    schema : Schema
        The bundle's.
    inputs : iterable of str, optional
        Columns that the feature plan reads besides those with the role of a feature.
    contract : Contract, optional
        What records must keep; each column says whether a breach is a warning or a problem.

    Attributes
    ----------
    columns : tuple of Column
        What is read, in the schema's order.
    expected : dict of str to Expected
        What the contract says of them.

    Examples
    --------
    >>> reader = RecordReader(Schema((Column("age", Kind.NUMERIC, required=True, low=18.0, high=90.0),)))
    >>> reader.read({"age": 44})
    ({'age': 44.0}, [])
    """

    def __init__(self, schema: Schema, inputs: Iterable[str] = (), contract: Contract | None = None) -> None:
        wanted = {column.name for column in schema.features} | set(inputs)
        self.columns = tuple(column for column in schema.columns if column.name in wanted)
        self._known = frozenset(schema.names)
        self._names = [column.name for column in self.columns]
        of_name = {} if contract is None else {each.name: each for each in contract.columns}
        self.expected = {
            column.name: of_name[column.name]
            for column in self.columns
            if column.name in of_name and of_name[column.name].kind is column.kind
        }
        self._fields = {
            column.name: _Field(column, self.expected.get(column.name)) for column in self.columns
        }
        self._fast = [(c.name, _fast(c, self.expected.get(c.name))) for c in self.columns]
        self._lenient = [(column.name, reader(column)) for column in self.columns]

    def read(self, record: Mapping[str, Any]) -> tuple[dict[str, Cell], list[Json]]:
        """Return the canonical cells of one record and its warnings.

        Parameters
        ----------
        record : mapping of str to object
            Plain JSON values; NumPy numbers and dates are read too. Absent, null and NaN all mean missing, but a column
            that no training row misses must be there, and has a warning where it is empty. Columns of the schema that are
            no feature (an id, the target) may stand in it and are not looked at.

        Returns
        -------
        tuple of (dict of str to float, str or None, list of dict)
            One cell a feature, and one ``{"field", "warning", "got"}`` a value unlike those of training.

        Raises
        ------
        RecordError
            With one entry in ``problems`` for each thing that is wrong.
        """
        if type(record) is not dict and not isinstance(record, Mapping):
            raise RecordError(
                [
                    {
                        "field": "",
                        "problem": "a record is an object of fields and values",
                        "got": shown(record),
                        "allowed": 'an object, as in {"field": value}',
                    }
                ]
            )
        cells: dict[str, Cell] = {}
        odd: list[str] | None = None
        get = record.get
        for name, fast in self._fast:
            cell = fast(get(name))
            if cell is _SLOW:
                odd = [name] if odd is None else [*odd, name]
            cells[name] = cell
        if odd is None and self._known.issuperset(record):
            return cells, []
        return self._examine(record, cells, odd or [])

    def _examine(
        self, record: Mapping[str, Any], cells: dict[str, Cell], odd: list[str]
    ) -> tuple[dict[str, Cell], list[Json]]:
        problems: list[Json] = []
        warnings: list[Json] = []
        for name in odd:
            field = self._fields[name]
            if name not in record and field.column.required:
                problems.append(field.absence())
            else:
                cells[name] = field.examine(record.get(name), problems, warnings)
        problems += self.unknown_fields(record)
        if problems:
            raise RecordError(problems)
        return cells, warnings

    def unknown_fields(self, record: Mapping[str, Any]) -> list[Json]:
        """Return a problem for each field of `record` that the schema does not know."""
        problems: list[Json] = []
        unknown = [name for name in record if name not in self._known]
        for position, name in enumerate(unknown[:_MAX_UNKNOWN]):
            # The nearest name is dear to find, so a flood of unknown fields gets none.
            near = difflib.get_close_matches(str(name)[:200], self._names, n=1) if position < 5 else []
            hint = f"; did you mean '{near[0]}'?" if near else ""
            if position == _MAX_UNKNOWN - 1 and len(unknown) > _MAX_UNKNOWN:
                hint = f"; {len(unknown) - _MAX_UNKNOWN} more are not listed"
            problems.append(
                {
                    "field": shown(str(name)),
                    "problem": f"unknown field{hint}",
                    "got": shown(record[name]),
                    "allowed": near or self._names[:50],
                }
            )
        return problems

    def absence(self, name: str) -> Json:
        """Return the problem that a record lacks the column `name`, which no training row misses."""
        return self._fields[name].absence()

    def examine(self, name: str, value: Any, problems: list[Json], warnings: list[Json]) -> Cell:
        """Return the cell of one value of the column `name`; add to the lists what there is to say of it."""
        return self._fields[name].examine(value, problems, warnings)

    def cells(self, record: Mapping[str, Any]) -> dict[str, Cell]:
        """Return the canonical cells of one record as training reads them: what cannot be read is missing."""
        return {name: read(record.get(name)) for name, read in self._lenient}


def _fast(column: Column, expected: Expected | None) -> Callable[[Any], Any]:
    """Return the closure for ordinary values: the cell, or `_SLOW`."""
    missing = _SLOW if demanded(column, expected) else (None if _is_string(column) else math.nan)
    if column.kind is Kind.NUMERIC:
        low, high = ordinary(column, expected)

        def numeric(value: Any) -> Any:
            kind = type(value)
            if kind is float or kind is int:
                return float(value) if low <= value <= high else _SLOW
            return missing if value is None else _SLOW

        return numeric
    if column.kind is Kind.BOOLEAN:

        def boolean(value: Any) -> Any:
            return 1.0 if value is True else 0.0 if value is False else missing if value is None else _SLOW

        return boolean
    read = reader(column)
    if column.kind is Kind.DATETIME:

        def datetime(value: Any) -> Any:
            cell = read(value) if type(value) is str else math.nan
            if cell == cell:  # noqa: PLR0124 - not NaN
                return cell
            return missing if value is None else _SLOW

        return datetime
    fault = None if expected is None else expected.fault
    if column.levels is None:

        def text(value: Any) -> Any:
            if type(value) is str and len(value) <= MAX_CHARACTERS:
                cell = read(value)
                return _SLOW if cell is None or (fault is not None and fault(cell)) else cell
            return missing if value is None else _SLOW

        return text
    # Only spellings that the reader itself maps to a level are fast; all others are read with care.
    spelled = {
        level: cell
        for level in column.levels
        if (cell := read(level)) in column.levels and not (fault is not None and fault(cell))
    }

    # A category that is a number or a truth value in the source is spelled as the reader spells it.
    typed = {"int": (int,), "float": (int,), "bool": (int, bool)}.get(column.dtype, ())

    def level(value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return spelled.get(value, _SLOW)
        if value is None:
            return missing
        if kind in typed:
            return spelled.get(("true" if value else "false") if kind is bool else str(value), _SLOW)
        return _SLOW

    return level


def stack(column: Column, cells: Sequence[Any]) -> Floats | Coded:
    """Return the cells of one column as `mlwright.data.values.columns` gives them for a table.

    Examples
    --------
    >>> stack(Column("plan", Kind.CATEGORICAL), ["a", None, "b", "a"]).codes.tolist()
    [0, -1, 1, 0]
    """
    if not _is_string(column):
        return np.array(cells, dtype=np.float64)
    order: dict[str, int] = {}
    codes = [-1 if cell is None else order.setdefault(cell, len(order)) for cell in cells]
    return Coded(np.array(codes, dtype=np.int32), list(order))


def _is_string(column: Column) -> bool:
    return column.kind not in {Kind.NUMERIC, Kind.BOOLEAN, Kind.DATETIME}


def tolerated(column: Column) -> tuple[float, float]:
    """Return the range beyond which a number is worth a warning: that of training, widened by its width each side."""
    if column.low is None or column.high is None:
        return -1.7976931348623157e308, 1.7976931348623157e308  # the finite floats
    width = column.high - column.low
    low, high = column.low - width, column.high + width
    return max(low, -1.7976931348623157e308), min(high, 1.7976931348623157e308)


def ordinary(column: Column, expected: Expected | None) -> tuple[float, float]:
    """Return the range within which a number needs no word: what is `tolerated`, as far as a contract allows it."""
    low, high = tolerated(column)
    if expected is None:
        return low, high
    return (
        low if expected.low is None else max(low, expected.low),
        high if expected.high is None else min(high, expected.high),
    )


def demanded(column: Column, expected: Expected | None) -> bool:
    """Return whether a record without a value is worth a word: training never missed it, or a contract asks for it."""
    return column.required or (expected is not None and expected.missing == 0)


class _Field:
    """The slow path of one column: everything is looked at, and put into words."""

    def __init__(self, column: Column, expected: Expected | None) -> None:
        self.column = column
        self.expected = expected
        self.read = reader(column)
        self.missing: Cell = None if _is_string(column) else math.nan
        self.tolerated = tolerated(column)
        self.levels = None if column.levels is None else frozenset(column.levels)

    def examine(self, value: Any, problems: list[Json], warnings: list[Json]) -> Cell:
        """Return the cell of `value`; add to `problems` or `warnings` what there is to say."""
        if _is_missing(value):
            if not self._breach(self.missing, value, problems, warnings) and self.column.required:
                warnings.append({"field": self.column.name, "warning": NEVER_MISSED, "got": shown(value)})
            return self.missing
        problem = self._type_problem(value)
        if problem is None:
            cell = self.read(value)
            if cell is not None and not (isinstance(cell, float) and math.isnan(cell)):
                if not self._breach(cell, value, problems, warnings):
                    self._warn(cell, value, warnings)
                return cell
            problem = f"cannot be read as {_WORDS.get(self.column.kind, 'a category')}"
        problems.append(self._problem(problem, value))
        return self.missing

    def absence(self) -> Json:
        """Return the problem that a record lacks the field."""
        return self._problem("required, but missing", None)

    def _breach(self, cell: Cell, value: Any, problems: list[Json], warnings: list[Json]) -> bool:
        """Return whether the cell breaks the contract, and say so as the contract wants it."""
        fault = None if self.expected is None else self.expected.fault(cell)
        if self.expected is None or fault is None:
            return False
        said = f"breaks the contract: {fault}"
        if self.expected.refuse:
            problems.append(self._problem(said, value))
        else:
            warnings.append({"field": self.column.name, "warning": said, "got": shown(value)})
        return True

    def _problem(self, problem: str, value: Any) -> Json:
        return {"field": self.column.name, "problem": problem, "got": shown(value), "allowed": self.allowed()}

    def allowed(self) -> str:
        """Say what the column takes, in words."""
        column = self.column
        if column.kind is Kind.NUMERIC and column.low is not None and column.high is not None:
            return f"a number; in training from {column.low:.12g} to {column.high:.12g}"
        if column.kind in _WORDS:
            return _WORDS[column.kind]
        if not column.levels:
            return "a text"
        listed = ", ".join(level if len(level) <= 60 else level[:57] + "..." for level in column.levels[:10])
        return f"a category; in training {listed}" + (", ..." if len(column.levels) > 10 else "")

    def _type_problem(self, value: Any) -> str | None:
        column, kind = self.column, self.column.kind
        if isinstance(value, str):
            if len(value) > MAX_CHARACTERS:
                return f"longer than {MAX_CHARACTERS:,} characters"
            return None
        if isinstance(value, _TRUTHS):
            fits = kind is Kind.BOOLEAN or (_is_string(column) and column.dtype in {"int", "float", "bool"})
        elif isinstance(value, _NUMBERS):
            fits = kind in {Kind.NUMERIC, Kind.BOOLEAN}
            fits = fits or (_is_string(column) and column.dtype in {"int", "float", "bool"})
            fits = fits or (kind is Kind.DATETIME and column.format.get("epoch") is not None)
            if fits and not _is_finite(value):
                return "not a finite number of 64 bits"
        elif isinstance(value, _TIMES):
            fits = kind is Kind.DATETIME or (_is_string(column) and column.dtype in {"date", "timestamp"})
        else:
            fits = False
        return None if fits else f"of the wrong type: {_type_name(value)}"

    def _warn(self, cell: Cell, value: Any, warnings: list[Json]) -> None:
        name = self.column.name
        if self.column.kind is Kind.NUMERIC and isinstance(cell, float):
            low, high = self.tolerated
            if not low <= cell <= high:
                warning = f"far outside what training saw: {self.column.low:.12g} to {self.column.high:.12g}"
                warnings.append({"field": name, "warning": warning, "got": shown(value)})
        elif self.column.kind is Kind.CATEGORICAL and self.levels is not None and cell not in self.levels:
            warnings.append(
                {"field": name, "warning": "a category that training never saw", "got": shown(value)}
            )


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) < 64 and value.strip().lower() in MISSING_WORDS
    if isinstance(value, (float, np.floating, Decimal)):
        return math.isnan(value)
    # pandas' own missing values, named and not imported.
    return type(value).__name__ in {"NAType", "NaTType"}


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _type_name(value: Any) -> str:
    if isinstance(value, _TRUTHS):
        return "a truth value"
    if isinstance(value, _NUMBERS):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a value of type {type(value).__name__}"
