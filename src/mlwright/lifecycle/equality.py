"""Train-serve equality: the same rows through training's matrix, the bundle's batch path and its row path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from mlwright.core.errors import EqualityError
from mlwright.core.types import Floats, Record
from mlwright.data.values import Columns
from mlwright.features.plan import FeaturePlan

__all__ = ["TOLERANCE", "prove_equal"]

TOLERANCE = 1e-6  # of a prediction; features must be equal to the last bit


class _Predictor(Protocol):
    def matrices(self, columns: Columns) -> Mapping[str, Floats]: ...
    def rows(self, record: Record) -> Mapping[str, Floats]: ...
    def raw_columns(self, columns: Columns) -> Floats: ...
    def raw_one(self, record: Record) -> list[float]: ...


def prove_equal(
    predictor: _Predictor,
    plans: Mapping[str, FeaturePlan],
    predicted: Floats,
    columns: Columns,
    rows: list[Record],
) -> int:
    """Hold three paths against each other for every row; return how many rows there were.

    Parameters
    ----------
    predictor : Predictor
        The loaded bundle.
    plans : mapping of str to FeaturePlan
        The plans in memory that training used, by view.
    predicted : ndarray of shape (n_rows, n_outputs)
        What the models in memory predict.
    columns : Columns
        The canonical columns of the rows.
    rows : list of dict
        The same rows as plain JSON.

    Raises
    ------
    EqualityError
        At the first column or prediction that differs; the message says which, where and by how much.
    """
    batch = predictor.matrices(columns)
    for view, plan in plans.items():
        trained = plan.batch(columns)
        _same_matrix(trained, batch[view], plan, view, "the bundle's batch path")
    answers = np.empty_like(predicted)
    for index, record in enumerate(rows):
        for view, row in predictor.rows(record).items():
            if not np.array_equal(row, batch[view][index], equal_nan=True):
                _same_matrix(
                    batch[view][index : index + 1],
                    row[None, :],
                    plans[view],
                    view,
                    f"the row path of record {index}",
                )
        answers[index] = predictor.raw_one(record)
    _same_predictions(predicted, predictor.raw_columns(columns), "the bundle's batch path")
    _same_predictions(predicted, answers, "the row path")
    return len(rows)


def _same_matrix(expected: Floats, got: Floats, plan: FeaturePlan, view: str, where: str) -> None:
    if expected.shape == got.shape:
        different = (expected != got) & ~(np.isnan(expected) & np.isnan(got))
        if not different.any():
            return
        row, column = (int(i[0]) for i in np.nonzero(different))
        tag = plan.tags[column]
        raise EqualityError(
            f"column '{tag.source}' (feature '{tag.name}' of view '{view}') differs between training and {where}",
            got=float(got[row, column]),
            allowed=str(float(expected[row, column])),
            fix="this is a fault of mlwright: please report it with the column's kind and an example",
        )
    raise EqualityError(
        f"view '{view}' has another shape in {where}", got=got.shape, allowed=str(expected.shape)
    )


def _same_predictions(expected: Floats, got: Floats, where: str) -> None:
    scale = np.maximum(1.0, np.abs(expected))
    error = np.abs(expected - got) / scale
    if expected.shape != got.shape or not bool((error <= TOLERANCE).all()):
        row = int(np.argmax(error.max(axis=1))) if error.size else 0
        raise EqualityError(
            f"the prediction of row {row} differs between training and {where}",
            got=got[row].tolist(),
            allowed=f"{expected[row].tolist()} within {TOLERANCE}",
        )
