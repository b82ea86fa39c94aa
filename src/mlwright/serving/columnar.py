"""Columnar: whole columns of a request read and checked at once, and their predictions as columns.

JSON columns, the Open Inference Protocol's tensors and MLflow's split frames all come to plain lists or NumPy arrays by
name; this file turns them into canonical columns by the same reading that records have. Ordinary columns are read in a
few calls; one with anything odd in it goes value by value (once a distinct value, for text) through the same
examination, so that errors and warnings are those of records, each with its ``record``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np

from mlwright.core.errors import RecordError
from mlwright.core.types import Floats, Ints, Json
from mlwright.data.contract import Expected
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Columns
from mlwright.metrics.decision import decide
from mlwright.serving.answers import label_key
from mlwright.serving.predictor import Predictor
from mlwright.serving.validation import demanded, ordinary, stack

__all__ = ["Answering", "Limits", "Predictions", "predict_columns", "predictions_of", "read_columns"]

_MOST = 100  # problems, and warnings, that an answer lists
_PLAIN_NUMBERS = frozenset({int, float, type(None)})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost.

    Parameters
    ----------
    body_bytes : int
        The largest body.
    records : int
        The longest list of records.
    bulk_records : int
        The longest columns.
    body_seconds : float
        How long a body may take to come in.
    inline_bytes : int
        A longer body is worked on in a thread, so that it does not hold up the others.
    """

    body_bytes: int = 10_000_000
    records: int = 10_000
    bulk_records: int = 100_000
    body_seconds: float = 30.0
    inline_bytes: int = 32_768


@dataclass(frozen=True, slots=True)
class Predictions:
    """What was predicted for the rows of some columns.

    Parameters
    ----------
    outputs : ndarray of shape (n_rows, n_outputs)
        The ensemble's numbers.
    decisions : list
        One a row: a label of the user's own type, or a number (of anomalies the score).
    codes : ndarray of shape (n_rows,), optional
        The decisions' places among the labels; None for a regression.
    probabilities : dict of str to list of float
        By class; empty for a regression.
    warnings : list of dict
        Each with its ``record``.
    marks : dict
        What else each answer says, such as ``degraded``.
    """

    outputs: Floats
    decisions: list[Any]
    codes: Ints | None
    probabilities: dict[str, list[float]]
    warnings: list[Json]
    marks: Json

    def __len__(self) -> int:
        return len(self.decisions)


class Answering(Protocol):
    """What the protocols see of the `Endpoint` that they answer for."""

    predictor: Predictor
    name: str
    version: str
    limits: Limits

    def note(self, values: Callable[[], Mapping[str, Any]], predictions: Predictions) -> list[str]:
        """Count and log predictions, and return their ids; `values` gives the columns, if they are needed."""
        ...

    def predict_records(
        self, records: Sequence[Any], raws: Sequence[bytes | msgspec.Raw] | None = None
    ) -> list[Json]:
        """Return the whole answers of records, counted and logged; `raws` are their JSON, where it is at hand."""
        ...

    def answer_ordinary(self, raws: Sequence[msgspec.Raw]) -> list[bytes] | None:
        """Return the whole answers of records that are all ordinary, counted and logged; None if one is not."""
        ...


def predict_columns(predictor: Predictor, values: Mapping[str, Any]) -> Predictions:
    """Predict the rows of `values`: a list or an array a field, all of one length.

    Raises
    ------
    RecordError
        If a column is unknown, absent though required, of another length, or holds a value that does not fit.
    """
    columns, n_rows, warnings = read_columns(predictor, values)
    return predictions_of(predictor, columns, n_rows, warnings)


def predictions_of(predictor: Predictor, columns: Columns, n_rows: int, warnings: list[Json]) -> Predictions:
    """Return the predictions for canonical columns of `n_rows`."""
    n_outputs = predictor.task.n_outputs
    outputs = predictor.raw_columns(columns) if n_rows else np.empty((0, n_outputs))
    if len(outputs) == 1 < n_rows:  # a fallback looks at no column
        outputs = np.repeat(outputs, n_rows, axis=0)
    labels = predictor.task.labels
    if not labels:
        return Predictions(outputs, outputs[:, 0].tolist(), None, {}, warnings, predictor.marks)
    codes = decide(outputs, predictor.task)
    chances = outputs if outputs.shape[1] > 1 else np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]])
    probabilities = {label_key(label): chances[:, i].tolist() for i, label in enumerate(labels)}
    decisions = [labels[i] for i in codes.tolist()]
    return Predictions(outputs, decisions, codes, probabilities, warnings, predictor.marks)


def read_columns(predictor: Predictor, values: Mapping[str, Any]) -> tuple[Columns, int, list[Json]]:
    """Return canonical columns, the number of rows, and the warnings; raise as `predict_columns` does."""
    reader = predictor.reader
    unknown = reader.unknown_fields({name: column[:1] for name, column in values.items()})
    if unknown:
        raise RecordError(unknown)
    lengths = {name: len(column) for name, column in values.items()}
    n_rows = next(iter(lengths.values()), 0)
    uneven = [name for name, length in lengths.items() if length != n_rows]
    if uneven:
        raise RecordError(
            [
                {
                    "field": name,
                    "problem": "a column of another length",
                    "got": lengths[name],
                    "allowed": str(n_rows),
                }
                for name in uneven[:_MOST]
            ]
        )
    problems: list[Json] = []
    warnings: list[Json] = []
    columns: dict[str, Any] = {}
    for column in reader.columns:
        given = values.get(column.name)
        if given is None:
            if column.required and n_rows:
                problems.append({"record": 0, **reader.absence(column.name)})
            given = [None] * n_rows
        columns[column.name] = _column(predictor, column, given, problems, warnings)
    if problems:
        problems.sort(key=lambda problem: problem["record"])
        raise RecordError(problems[:_MOST])
    warnings.sort(key=lambda warning: warning["record"])
    return columns, n_rows, warnings


def _column(
    predictor: Predictor, column: Column, values: Any, problems: list[Json], warnings: list[Json]
) -> Any:
    if column.kind is Kind.NUMERIC:
        numbers = _numbers(column, values, predictor.reader.expected.get(column.name))
        if numbers is not None:
            return numbers
    if isinstance(values, np.ndarray):
        values = values.tolist()
    examine = predictor.reader.examine
    cells: list[Any] = []
    # Once a distinct value: what it reads as, and what there is to say of it.
    seen: dict[Any, tuple[Any, list[Json], list[Json]]] = {}
    for record, value in enumerate(values):
        key = (type(value), value) if isinstance(value, (str, int, float, bool, type(None))) else None
        found = seen.get(key) if key is not None else None
        if found is None:
            wrong: list[Json] = []
            odd: list[Json] = []
            cell = examine(column.name, value, wrong, odd)
            found = (cell, wrong, odd)
            if key is not None:
                seen[key] = found
        cell, wrong, odd = found
        cells.append(cell)
        if wrong and len(problems) < _MOST:
            problems += [{"record": record, **problem} for problem in wrong]
        if odd and len(warnings) < _MOST:
            warnings += [{"record": record, **warning} for warning in odd]
    return stack(column, cells)


def _numbers(column: Column, values: Any, expected: Expected | None) -> Floats | None:
    """Return a column of ordinary numbers, or None if any value needs a careful look."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiu":
            return None
        numbers = values.astype(np.float64)
    elif set(map(type, values)) <= _PLAIN_NUMBERS:
        try:
            numbers = np.array(values, dtype=np.float64)
        except OverflowError:
            return None
    else:
        return None
    low, high = ordinary(column, expected)
    missing = np.isnan(numbers)
    if demanded(column, expected) and missing.any():
        return None
    with np.errstate(invalid="ignore"):
        is_ordinary = bool(((numbers >= low) & (numbers <= high) | missing).all())
    return numbers if is_ordinary and not math.isinf(float(np.abs(numbers).max(initial=0.0))) else None
