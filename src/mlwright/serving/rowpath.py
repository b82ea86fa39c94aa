"""RowPath: the shortest way from a request's bytes to a model's numbers, laid out once when a bundle is loaded.

msgspec decodes and checks a record in one pass, into a struct whose fields come from the bundle's schema: types, ranges
and levels. What it gives goes through one function a feature (a table's lookup, where a column's values are listed) into
a row of float64 that the models read in place. Names and levels of a bundle are only data here: nothing is compiled from
text. Whatever is not ordinary (a missing word, a level never seen, a number far out, an unknown field) is refused with
`OddRecordError`, and `mlwright.serving.validation` looks at it with care and words.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mlwright.core.types import Floats
from mlwright.data.contract import Expected
from mlwright.data.schema import Column, Kind
from mlwright.serving.rowform import NOT_OF_THE_FORM, Cells, Field, OddRecordError, RowForm

if TYPE_CHECKING:
    from mlwright.features.plan import Step
    from mlwright.serving.predictor import EnsembleLike, PlanLike

__all__ = ["RowPath"]

_TABLE = 200_000  # numbers that a table of a column's levels may hold
_call = operator.call
_join = b"".join


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
        fields = [Field(column, told.get(column.name)) for column in columns]
        self._plain = RowForm(fields, ignored)
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
        except NOT_OF_THE_FORM as error:
            return self._as_written(error, "decode", body)

    def convert(self, record: Any) -> Cells:
        """Return the cells of a dict; as `decode` otherwise."""
        try:
            return self._plain.convert(record)
        except NOT_OF_THE_FORM as error:
            return self._as_written(error, "convert", record)

    @cached_property
    def _written(self) -> RowForm | None:
        """The form of records with numbers as text, which forms on pages give, and frames with a "?" in a column."""
        if all(field.column.kind is not Kind.NUMERIC for field in self._fields):
            return None
        return RowForm([field.written() for field in self._fields], self._ignored)

    def _as_written(self, error: Exception, how: str, record: Any) -> Cells:
        if self._written is None:
            raise OddRecordError from error
        try:
            return getattr(self._written, how)(record)
        except NOT_OF_THE_FORM:
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


def _encoder(plan: PlanLike, fields: Sequence[Field]) -> tuple[int, Callable[[Floats], Any]]:
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


def _packed(field: Field, step: Step) -> Callable[[Any], bytes]:
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


def _numbers(field: Field, step: Step) -> Callable[[Any], Sequence[float]]:
    """Return the function from a decoded value to a feature's numbers."""
    function, spelled = step.function, field.spelled
    if spelled is not None:
        if len(spelled) * step.n_outputs > _TABLE:
            return lambda value: function(spelled[value])
        # The very numbers of the row path, asked once for each value that may come.
        return {value: tuple(map(float, function(cell))) for value, cell in spelled.items()}.__getitem__
    scalar = step.scalar()
    return function if scalar is None else lambda value: (scalar(value),)


def _number(field: Field, step: Step) -> Callable[[Any], float]:
    """Return the function from a decoded value to a feature's one number."""
    if field.spelled is None and step.is_identity:
        gap = step.gap
        if field.must or (field.read is not None and gap != gap):  # noqa: PLR0124 - NaN is not itself
            return float
        return lambda value: gap if value is None or value != value else value  # noqa: PLR0124
    if field.spelled is None and (scalar := step.scalar()) is not None:
        return scalar
    numbers = _numbers(field, step)
    if field.spelled is not None:
        return {value: numbers(value)[0] for value in field.spelled}.__getitem__
    return lambda value: numbers(value)[0]
