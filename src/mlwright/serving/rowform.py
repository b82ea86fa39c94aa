"""RowForm: what an ordinary record may look like, as a type that msgspec decodes, and its values read to cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from mlwright.data.contract import Expected
from mlwright.data.schema import Column, Kind
from mlwright.data.values import MISSING_WORDS, reader, truth_words
from mlwright.serving.validation import MAX_CHARACTERS, demanded, ordinary

__all__ = ["NOT_OF_THE_FORM", "Cells", "Field", "OddRecordError", "RowForm"]

Cells: TypeAlias = Sequence[Any]
NOT_OF_THE_FORM = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, OverflowError)
_INT64 = 2**63
_NAN = math.nan
_as_tuple = msgspec.structs.astuple
_LONGEST = 63  # characters of a number or a moment whose cell is remembered
_MOST = 1000  # cells of a column that are remembered


class OddRecordError(Exception):
    """A record that the short way does not take; the long one says what it is."""


class RowForm:
    """What a record may look like: the type that msgspec decodes it into, and what reads the values it leaves as text."""

    def __init__(self, fields: Sequence[Field], ignored: Sequence[str]) -> None:
        self._readers = [(i, field.read) for i, field in enumerate(fields) if field.read is not None]
        self._struct = _struct(fields, ignored)
        self._decode = msgspec.json.Decoder(self._struct).decode

    def decode(self, body: bytes | msgspec.Raw) -> Cells:
        """Return the cells of a record's JSON."""
        return self._cells(self._decode(body))

    def convert(self, record: Any) -> Cells:
        """Return the cells of a dict."""
        return self._cells(msgspec.convert(record, self._struct))

    def _cells(self, record: Any) -> Cells:
        cells = _as_tuple(record)
        if self._readers:
            read = list(cells)
            for i, function in self._readers:
                read[i] = function(read[i])
            return read
        return cells


class Field:
    """How one column is decoded.

    ``type`` is what msgspec checks, ``read`` what turns its value into a cell at once (None: the value is kept), and
    ``spelled`` all values that may come and their cells, where they can be listed. With `is_written` a number may also be
    given as text.
    """

    def __init__(self, column: Column, expected: Expected | None = None, *, is_written: bool = False) -> None:
        self.column, self._expected = column, expected
        self.read: Callable[[Any], Any] | None = None
        self.spelled: dict[Any, Any] | None = None
        self.must = demanded(column, expected)
        optional = not self.must
        if column.kind is Kind.NUMERIC:
            low, high = ordinary(column, expected)
            kind: Any = Annotated[float, msgspec.Meta(ge=low, le=high)]
            if is_written:
                kind |= Annotated[str, msgspec.Meta(max_length=_LONGEST)]
                self.read = _written(column, low, high, expected, optional=optional)
        elif column.kind is Kind.BOOLEAN:
            kind = self._truths(optional=optional)
        elif column.kind is Kind.DATETIME or not column.levels:
            if column.kind is not Kind.DATETIME and column.levels is not None:
                raise OddRecordError  # no level at all: every value is odd
            text: Any = Annotated[str, msgspec.Meta(max_length=MAX_CHARACTERS)]
            kind = text | int if column.kind is not Kind.DATETIME and column.dtype == "int" else text
            missing = _NAN if column.kind is Kind.DATETIME else None
            self.read = _careful(reader(column), missing, None if expected is None else expected.fault)
            if column.kind is Kind.DATETIME:
                self.read = _remembering(self.read)
        else:
            kind = self._listed(column, expected, optional=optional)
        self.type: Any = kind | None if optional else kind

    def written(self) -> Field:
        """Return the field whose number may be given as text; itself where it is no number."""
        is_number = self.column.kind is Kind.NUMERIC
        return Field(self.column, self._expected, is_written=True) if is_number else self

    def _truths(self, *, optional: bool) -> Any:
        """List the words and numbers that a table may hold for true and false, beside the two themselves."""
        read = reader(self.column)
        said = [word for words in truth_words(self.column.format) for word in words]
        words = {word: cell for word in _in_cases(said) if (cell := read(word)) in {0.0, 1.0}}
        if optional:
            words |= {word: _NAN for word in _in_cases(MISSING_WORDS) if math.isnan(read(word))}
        # 0 and 1 are equal to False and True, as keys too.
        self.spelled = {True: 1.0, False: 0.0} | words | ({None: _NAN} if optional else {})
        kind: Any = bool | Literal[tuple(words)] if words else bool  # type: ignore[valid-type] - as in `_listed`
        numbers = read(0) == 0.0 and read(1) == 1.0
        return kind | Annotated[float, msgspec.Meta(ge=0, le=1, multiple_of=1)] if numbers else kind

    def _listed(self, column: Column, expected: Expected | None, *, optional: bool) -> Any:
        read, levels = reader(column), column.levels or ()
        known = frozenset(level for level in levels if expected is None or not expected.fault(level))
        # Tables often have a blank at one end of a word.
        forms = [form for level in levels for form in (level, f"{level} ", f" {level}")]
        spelled: dict[Any, Any] = {form: cell for form in forms if (cell := read(form)) in known}
        if not spelled:
            raise OddRecordError
        if optional:
            spelled |= {word: None for word in _in_cases(MISSING_WORDS) if read(word) is None}
        kind: Any = str
        if column.dtype == "bool" and {"true", "false"} <= set(spelled):
            kind = bool | Literal[tuple(spelled)]  # type: ignore[valid-type] - a closed list made at run time
            spelled |= {True: spelled["true"], False: spelled["false"]}
        else:
            if column.dtype in {"int", "float"}:
                numbers = [int(level) for level in spelled if level.removeprefix("-").isdecimal()]
                spelled |= {n: str(n) for n in numbers if str(n) in spelled and -_INT64 <= n < _INT64}
            kind = Literal[tuple(spelled)]  # type: ignore[valid-type] - as above
        self.spelled = spelled | ({None: None} if optional else {})
        return kind


def _in_cases(words: Iterable[str]) -> list[str]:
    """Return words in small letters, in large ones, and with a large one first."""
    return sorted({form(word) for word in words for form in (str.lower, str.capitalize, str.upper)})


def _careful(
    read: Callable[[Any], Any], missing: Any, fault: Callable[[Any], str | None] | None
) -> Callable[[Any], Any]:
    def careful(value: Any) -> Any:
        if value is None:
            return missing
        cell = read(value)
        if cell is None or cell != cell:  # noqa: PLR0124 - NaN: a word that cannot be read, or means missing
            raise OddRecordError
        if fault is not None and fault(cell):
            raise OddRecordError
        return cell

    return careful


def _written(
    column: Column, low: float, high: float, expected: Expected | None, *, optional: bool
) -> Callable[[Any], float]:
    """Return what reads a number that may be given as text."""
    read = reader(column)

    def from_text(value: str | None) -> float:
        if value is None or value.strip().lower() in MISSING_WORDS:
            if optional:
                return _NAN
            raise OddRecordError
        cell = read(value)
        if not low <= cell <= high or (expected is not None and expected.fault(cell)):
            raise OddRecordError
        return cell

    remembered = _remembering(from_text)
    return lambda value: value if type(value) is float else remembered(value)


def _remembering(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `read` of texts (or None) that knows what it read: one day or amount stands in many records."""
    known: dict[Any, Any] = {}

    def remembered(value: Any) -> Any:
        cell = known.get(value, known)
        if cell is known:
            cell = read(value)
            if value is None or len(value) <= _LONGEST:
                if len(known) >= _MOST:
                    known.clear()
                known[value] = cell
        return cell

    return remembered


def _struct(fields: Sequence[Field], ignored: Sequence[str]) -> type[msgspec.Struct]:
    """Return the type that msgspec decodes into; the schema's names stand in it as data only."""
    # Cells first, so that they come first as a tuple too.
    of_name = {f"f{i}": field.column.name for i, field in enumerate(fields)}
    declared: list[Any] = [
        (name, field.type) if field.must else (name, field.type, None)
        for name, field in zip(of_name, fields, strict=True)
    ]
    for i, name in enumerate(ignored):
        of_name[f"g{i}"] = name
        declared.append((f"g{i}", Any, None))
    try:
        return msgspec.defstruct(
            "Record", declared, rename=of_name.get, forbid_unknown_fields=True, kw_only=True, gc=False
        )
    except (TypeError, ValueError) as error:  # a name that JSON must escape, or levels that cannot be listed
        raise OddRecordError from error
