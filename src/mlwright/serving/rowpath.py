"""RowPath: the shortest way from a request's bytes to a model's numbers, laid out once when a bundle is loaded.

msgspec decodes and checks a record in one pass, into a struct whose fields come from the bundle's schema: types, ranges
and levels. What it gives goes through one function a feature (a table's lookup, where a column's values are listed) into
a row of float64 that the models read in place. Names and levels of a bundle are only data here: nothing is compiled from
text. Whatever is not ordinary (a missing word, a level never seen, a number far out, an unknown field) is refused with
`OddRecordError`, and `mlwright.serving.validation` looks at it with care and words.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from mlwright.core.types import Floats
from mlwright.data.contract import Expected
from mlwright.data.schema import Column, Kind
from mlwright.data.values import MISSING_WORDS, reader, truth_words
from mlwright.serving.validation import MAX_CHARACTERS, demanded, ordinary

if TYPE_CHECKING:
    from mlwright.features.plan import Step
    from mlwright.serving.predictor import EnsembleLike, PlanLike

__all__ = ["Cells", "OddRecordError", "RowPath"]

Cells: TypeAlias = Sequence[Any]
_TABLE = 200_000  # numbers that a table of a column's levels may hold
_INT64 = 2**63
_NAN = math.nan
_as_tuple = msgspec.structs.astuple
_call = operator.call
_join = b"".join
_NOT_OF_THE_FORM = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, OverflowError)
_LONGEST = 63  # characters of a number or a moment whose cell is remembered
_MOST = 1000  # cells of a column that are remembered


class OddRecordError(Exception):
    """A record that the short way does not take; the long one says what it is."""


class RowPath:
    """Decodes records and predicts them.

    Safe to use from many threads: each call takes a free set of rows, or makes one.

    Parameters
    ----------
    columns : sequence of Column
        What is read, in the order of the cells.
    ignored : sequence of str
        Fields that may stand in a record and are not looked at.
    plans : mapping of str to plan
        One feature plan a view.
    ensemble : ensemble
        The models.
    expected : mapping of str to Expected, optional
        What a contract says of columns; a record that breaks it is not ordinary.

    Raises
    ------
    OddRecordError
        If the schema is one that the short way cannot be laid out for.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        ignored: Sequence[str],
        plans: Mapping[str, PlanLike],
        ensemble: EnsembleLike,
        expected: Mapping[str, Expected] | None = None,
    ) -> None:
        told = expected or {}
        fields = [_Field(column, told.get(column.name)) for column in columns]
        self._plain = _Form(fields, ignored)
        self._fields, self._ignored = fields, ignored
        self._ensemble = ensemble
        self._encoders = {view: _encoder(plan, fields) for view, plan in plans.items()}
        self._idle: list[_Slot] = []

    def decode(self, body: bytes | msgspec.Raw) -> Cells:
        """Return the cells of a record's JSON.

        Raises
        ------
        OddRecordError
            If it is not JSON, or not ordinary.
        """
        try:
            return self._plain.decode(body)
        except _NOT_OF_THE_FORM as error:
            return self._as_written(error, "decode", body)

    def convert(self, record: Any) -> Cells:
        """Return the cells of a dict; as `decode` otherwise."""
        try:
            return self._plain.convert(record)
        except _NOT_OF_THE_FORM as error:
            return self._as_written(error, "convert", record)

    @cached_property
    def _written(self) -> _Form | None:
        """The form of records with numbers as text, which forms on pages give, and frames with a "?" in a column."""
        if all(field.column.kind is not Kind.NUMERIC for field in self._fields):
            return None
        return _Form([field.written() for field in self._fields], self._ignored)

    def _as_written(self, error: Exception, how: str, record: Any) -> Cells:
        if self._written is None:
            raise OddRecordError from error
        try:
            return getattr(self._written, how)(record)
        except _NOT_OF_THE_FORM:
            raise OddRecordError from error

    def outputs(self, cells: Cells) -> Sequence[float]:
        """Return the ensemble's `n_outputs` numbers for one record's cells."""
        try:
            slot = self._idle.pop()
        except IndexError:
            slot = _Slot(self._encoders, self._ensemble)
        for fill in slot.fills:
            fill(cells)
        values = slot.predict()
        self._idle.append(slot)
        return values

    def outputs_of_many(self, records: Sequence[Cells]) -> Floats:
        """Return shape (n_records, n_outputs), by the batch path of the models."""
        matrices: dict[str, Floats] = {}
        for view, (width, make) in self._encoders.items():
            matrix = np.empty((len(records), width))
            fill = make(matrix)
            for place, cells in enumerate(records):
                fill(cells, place * width * 8)
            matrices[view] = matrix
        return self._ensemble.predict(matrices)


class _Form:
    """What a record may look like: the type that msgspec decodes it into, and what reads the values it leaves as text."""

    def __init__(self, fields: Sequence[_Field], ignored: Sequence[str]) -> None:
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


class _Slot:
    """The rows of one call, and the models bound to them."""

    __slots__ = ("fills", "predict")

    def __init__(self, encoders: Mapping[str, tuple[int, Any]], ensemble: EnsembleLike) -> None:
        rows = {view: np.zeros(width) for view, (width, _) in encoders.items()}
        self.fills = [make(rows[view]) for view, (_, make) in encoders.items()]
        bind = getattr(ensemble, "bind", None)
        self.predict: Callable[[], Sequence[float]] = (
            bind(rows) if bind is not None else lambda: ensemble.predict_row(rows)
        )


# Fields


class _Field:
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

    def written(self) -> _Field:
        """Return the field whose number may be given as text; itself where it is no number."""
        is_number = self.column.kind is Kind.NUMERIC
        return _Field(self.column, self._expected, is_written=True) if is_number else self

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


def _struct(fields: Sequence[_Field], ignored: Sequence[str]) -> type[msgspec.Struct]:
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


# Rows


def _encoder(plan: PlanLike, fields: Sequence[_Field]) -> tuple[int, Callable[[Floats], Any]]:
    """Return a view's width, and what makes the function that fills a row (or one of a matrix) from cells."""
    steps = getattr(plan, "steps", None)
    if steps is None:
        raise OddRecordError  # a plan that does not say how it is made has its own row path only
    place_of = {field.column.name: i for i, field in enumerate(fields)}
    places = [place_of[step.column] for step in steps]
    width = sum(step.n_outputs for step in steps)
    pack, size = struct.Struct(f"{width}d").pack_into, 8 * width
    functions: list[Callable[[Any], Any]]
    is_single = all(step.n_outputs == 1 for step in steps)
    functions = [
        (_number if is_single else _packed)(fields[i], step) for i, step in zip(places, steps, strict=True)
    ]
    in_order = places == list(range(len(places)))
    pick = None if in_order else _picker(places)

    def make(target: Floats) -> Callable[..., None]:
        numbers: Any = target.reshape(-1)
        flat = memoryview(numbers).cast("B") if target.size else bytearray()

        def single(cells: Cells, offset: int = 0) -> None:
            pack(flat, offset, *map(_call, functions, cells if pick is None else pick(cells)))

        def several(cells: Cells, offset: int = 0) -> None:
            parts = map(_call, functions, cells if pick is None else pick(cells))
            flat[offset : offset + size] = _join(parts)

        return single if is_single else several

    return width, make


def _picker(places: Sequence[int]) -> Callable[[Cells], Cells]:
    """Return what takes the cells of these places."""
    return operator.itemgetter(*places) if len(places) > 1 else lambda cells: [cells[i] for i in places]


def _packed(field: _Field, step: Step) -> Callable[[Any], bytes]:
    """Return the function from a decoded value to a feature's numbers as they lie in a row."""
    pack = struct.Struct(f"{step.n_outputs}d").pack
    if field.spelled is not None and len(field.spelled) * step.n_outputs <= _TABLE:
        numbers = _numbers(field, step)
        return {value: pack(*numbers(value)) for value in field.spelled}.__getitem__
    if step.n_outputs == 1:
        number = _number(field, step)
        return pack if number is float else lambda value: pack(number(value))
    several = _numbers(field, step)
    return lambda value: pack(*several(value))


def _numbers(field: _Field, step: Step) -> Callable[[Any], Sequence[float]]:
    """Return the function from a decoded value to a feature's numbers."""
    function, spelled = step.function, field.spelled
    if spelled is not None:
        if len(spelled) * step.n_outputs > _TABLE:
            return lambda value: function(spelled[value])
        # The very numbers of the row path, asked once for each value that may come.
        return {value: tuple(map(float, function(cell))) for value, cell in spelled.items()}.__getitem__
    scalar = step.scalar()
    return function if scalar is None else lambda value: (scalar(value),)


def _number(field: _Field, step: Step) -> Callable[[Any], float]:
    """Return the function from a decoded value to a feature's one number."""
    if field.spelled is None and step.is_identity:
        if field.read is not None or field.must:
            return float
        return lambda value: _NAN if value is None else value
    if field.spelled is None and (scalar := step.scalar()) is not None:
        return scalar
    numbers = _numbers(field, step)
    if field.spelled is not None:
        return {value: numbers(value)[0] for value in field.spelled}.__getitem__
    return lambda value: numbers(value)[0]
