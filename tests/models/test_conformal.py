"""Conformal: intervals and sets as plain data; what is malformed is refused."""

import numpy as np
import pytest

from mlwright.core.errors import BundleContentError
from mlwright.models.conformal import Residuals, Sets, from_json

NUMBERS = {
    "kind": "residuals",
    "coverage": 0.9,
    "knots": [0.0, 10.0],
    "scales": [1.0, 3.0],
    "low": -1.0,
    "high": 2.0,
    "lowest": 0.0,
}
CLASSES = {"kind": "sets", "coverage": 0.9, "thresholds": [0.2, 0.5, 0.3]}


def test_ends_follow_the_scale_and_stop_at_the_lowest():
    low, high = from_json(NUMBERS, 0).ends(np.array([-5.0, 0.5, 5.0, 50.0]))
    np.testing.assert_allclose(low, [0.0, 0.0, 3.0, 47.0])
    np.testing.assert_allclose(high, [0.0, 2.7, 9.0, 56.0])


def test_a_set_is_never_empty():
    found = from_json(CLASSES, 3)
    outputs = np.array([[0.1, 0.45, 0.25], [0.3, 0.3, 0.4], [0.0, 1.0, 0.0]])
    assert not found.strict(outputs)[0].any()
    told = found.told(outputs, ("a", "b", "c"))
    assert [answer["set"] for answer in told] == [["b"], ["a", "c"], ["b"]]


@pytest.mark.parametrize(("tree", "n_classes"), [(NUMBERS, 0), (CLASSES, 3)])
def test_it_is_written_as_it_is_read(tree, n_classes):
    assert from_json(tree, n_classes).to_json() == tree


@pytest.mark.parametrize(
    ("tree", "n_classes"),
    [
        (None, 0),
        ([], 0),
        (NUMBERS, 2),
        (CLASSES, 0),
        (CLASSES, 2),
        *(
            ({**NUMBERS, key: value}, 0)
            for key, value in [
                ("coverage", 1.0),
                ("coverage", True),
                ("kind", "os"),
                ("knots", [10.0, 0.0]),
                ("knots", [0.0, 0.0]),
                ("knots", [0.0]),
                ("knots", []),
                ("knots", "0"),
                ("scales", [1.0, -1.0]),
                ("scales", [1.0, float("nan")]),
                ("low", 3.0),
                ("high", None),
                ("high", float("inf")),
                ("lowest", "0"),
                ("more", 1),
            ]
        ),
        *(
            ({**CLASSES, "thresholds": value}, 3)
            for value in [[0.2, 0.5], [0.2, 0.5, 2.0], [0.2, 0.5, "1"], None]
        ),
    ],
)
def test_what_is_malformed_is_refused(tree, n_classes):
    with pytest.raises(BundleContentError, match="conformal"):
        from_json(tree, n_classes)


def test_kinds():
    assert isinstance(from_json(NUMBERS, 0), Residuals)
    assert isinstance(from_json(CLASSES, 3), Sets)
