"""The proof of equality finds a difference in any of the three paths and names the column."""

import numpy as np
import pytest

from mlwright.core.errors import EqualityError
from mlwright.features.base import OutputTag
from mlwright.lifecycle.equality import prove_equal


class Plan:
    tags = (OutputTag("tenure", "tenure"), OutputTag("contract=Two year", "contract"))

    def batch(self, columns):
        return np.column_stack([columns["tenure"], columns["contract"]])


class FakePredictor:
    """A bundle that agrees with training, but for what a test changes."""

    def __init__(self, batch_off=0.0, row_off=0.0, batch_prediction_off=0.0, row_prediction_off=0.0):
        self.off = batch_off, row_off, batch_prediction_off, row_prediction_off

    def matrices(self, columns):
        matrix = Plan().batch(columns)
        matrix[3, 1] += self.off[0]
        return {"native": matrix}

    def rows(self, record):
        return {
            "native": np.array(
                [record["tenure"], record["contract"] + self.off[1] + self.off[0] * (record["i"] == 3)]
            )
        }

    def raw_columns(self, columns):
        return Plan().batch(columns).sum(axis=1, keepdims=True) + self.off[2]

    def raw_one(self, record):
        return [record["tenure"] + record["contract"] + self.off[3]]


def prove(predictor):
    columns = {"tenure": np.arange(6.0), "contract": np.array([0.0, 1, 0, 1, 0, 1])}
    records = [{"i": i, "tenure": float(i), "contract": float(i % 2)} for i in range(6)]
    return prove_equal(
        predictor, {"native": Plan()}, Plan().batch(columns).sum(axis=1, keepdims=True), columns, records
    )


def test_equal_paths_are_counted():
    assert prove(FakePredictor()) == 6
    assert prove(FakePredictor(row_prediction_off=1e-9)) == 6


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"batch_off": 1e-12}, ["'contract'", "batch path"]),
        ({"row_off": 1e-12}, ["'contract'", "row path of record 0"]),
        ({"batch_prediction_off": 1e-4}, ["prediction of row", "batch path"]),
        ({"row_prediction_off": 1e-4}, ["prediction of row", "row path"]),
        ({"row_prediction_off": np.nan}, ["prediction of row", "row path"]),
    ],
)
def test_any_difference_fails_and_says_where(fault, words):
    with pytest.raises(EqualityError) as raised:
        prove(FakePredictor(**fault))
    for word in words:
        assert word in str(raised.value)
