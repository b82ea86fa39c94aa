import math

import numpy as np
import pytest

from mlwright.core.errors import ParameterError
from mlwright.core.params import Choice, Flag, Number, check


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        (Number(0, 1), [0, 1, 0.5, 0.0], [-0.001, 1.001, True, "0.5", None, math.nan, math.inf]),
        (Number(), [-1e308, 0, 1e308, math.inf], [math.nan, "1", False]),
        (Number(1, 9, integer=True), [1, 9], [0, 10, 1.0, True, "3"]),
        (Choice(("a", 1, None)), ["a", 1, None], ["b", True, 1.0, 0, ""]),
        (Flag(), [True, False], [0, 1, None, "true", np.True_]),
    ],
)
def test_rules(rule, allowed, refused):
    assert [value for value in allowed if not rule.allows(value)] == []
    assert [value for value in refused if rule.allows(value)] == []


def test_check_takes_what_keeps_the_rules():
    check("X", {"rate": 0.1, "deep": True}, {"rate": Number(0, 1), "deep": Flag(), "other": Flag()})
    check("X", {}, {})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rate": 2}, "X: rate: got 2; allowed: a number from 0 to 1"),
        ({"depth": 1.5}, "X: depth: got 1.5; allowed: an integer from 1 to 8"),
        ({"way": "up"}, "X: way: got 'up'; allowed: 'left', 'right'"),
        ({"on": 1}, "X: on: got 1; allowed: True or False"),
        ({"rat": 1}, "X: unknown parameter: got 'rat'; allowed: depth, on, rate, way"),
    ],
)
def test_check_names_the_first_that_breaks_one(params, message):
    rules = {
        "rate": Number(0, 1),
        "depth": Number(1, 8, integer=True),
        "way": Choice(("left", "right")),
        "on": Flag(),
    }
    with pytest.raises(ParameterError) as caught:
        check("X", params, rules)
    assert str(caught.value) == message
