"""Every transform of the closed table keeps the kit's rules, and the kit catches what breaks them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwright.core import kinds
from mlwright.features.number import Number
from mlwright.features.scaled_number import ScaledNumber
from mlwright.testing import transforms as kit


@pytest.mark.parametrize("case", [pytest.param(function, id=name) for name, function in kit.cases()])
def test_conforms(case):
    case()


def test_the_kit_covers_the_closed_table():
    names = {name for name, _ in kit.cases()}
    for kind in kinds.TRANSFORMS:
        for check in kit.CHECKS:
            assert any(name.startswith(kind) and name.endswith(f":{check}") for name in names)
    assert set(kit.EXAMPLES) <= set(kinds.TRANSFORMS)


class Careless(Number):
    """Breaks a rule at a time."""

    def row(self, cell):
        return (np.float64(cell) + 1e-3 if cell == 0.1 else cell,)


class Forgetful(Number):
    def fit(self, columns, y, *, n_classes, seed):
        columns[self.column][:] = 0.0
        return self


class Gullible(ScaledNumber):
    @classmethod
    def from_state(cls, state):
        new = cls(state.tree.get("column", ""))
        new.has_flag_ = False
        return new.set_learned(0.0, None, 0.0, None)


class Endless(Number):
    """All outputs are finite."""


class Restless(Number):
    calls = 0

    def fit_batch(self, columns, y, *, n_classes, seed):
        Restless.calls += 1
        return self.batch(columns) * 0 + Restless.calls


@pytest.mark.parametrize(
    ("member", "check"),
    [
        (Careless, "batch_equals_row"),
        (Forgetful, "inputs_are_not_changed"),
        (Gullible, "malformed_state_is_refused"),
        (Gullible, "state_round_trip"),
        (Endless, "finite_if_promised"),
        (Restless, "fit_batch"),
    ],
)
def test_the_kit_catches_a_careless_member(member, check):
    with pytest.raises(AssertionError):
        kit.CHECKS[check](lambda: member("x"))


def test_same_bits_tells_zeros_apart_and_joins_nans():
    kit.assert_same_bits([math.nan, 1.0], [-math.nan, 1.0])
    with pytest.raises(AssertionError, match="differs first"):
        kit.assert_same_bits([0.0], [-0.0])
    with pytest.raises(AssertionError, match="shapes"):
        kit.assert_same_bits([0.0], [0.0, 0.0])
