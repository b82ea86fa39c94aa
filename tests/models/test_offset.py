import math

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logit, softmax

from mlwright.core.errors import BundleContentError
from mlwright.models.offset import Offset, from_json

RANDOM = np.random.default_rng(0)
CHANCES = np.append(RANDOM.random((30, 1)), [[0.0], [1.0]], axis=0)
SHARES = softmax(RANDOM.normal(size=(32, 4)), axis=1)
ADDED = RANDOM.normal(size=(32, 4)) * (np.arange(32) % 3 > 0)[:, None]


@pytest.mark.parametrize(
    ("offset", "outputs", "expected"),
    [
        (Offset("g", "value"), 10 * CHANCES, 10 * CHANCES + ADDED[:, :1]),
        (Offset("g", "value", 0.0), 10 * CHANCES - 1, None),
        (Offset("g", "log-odds"), CHANCES[:30], expit(logit(CHANCES[:30]) + ADDED[:30, :1])),
        (Offset("g", "score"), SHARES, softmax(np.log(SHARES) + ADDED, axis=1)),
    ],
    ids=["value", "floor", "log-odds", "score"],
)
def test_both_paths_add_on_the_scale(offset, outputs, expected):
    added = np.ascontiguousarray(ADDED[: len(outputs), : outputs.shape[1]])
    kept = outputs.copy()
    got = offset.apply(outputs, added)
    assert (outputs == kept).all()
    if expected is not None:
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    else:  # never below 0 by what is added; what was below already stays
        moved = outputs + added
        np.testing.assert_allclose(got, np.where(moved < 0, np.maximum(moved, np.minimum(outputs, 0)), moved))
    for row, more, whole in zip(outputs.tolist(), added.tolist(), got.tolist(), strict=True):
        np.testing.assert_allclose(offset.apply_row(row, more), whole, rtol=1e-12, atol=1e-15)


def test_nothing_added_changes_no_bit():
    for offset, outputs in ((Offset("g", "log-odds"), CHANCES), (Offset("g", "score"), SHARES)):
        nothing = np.zeros_like(outputs)
        assert offset.apply(outputs, nothing).tobytes() == outputs.tobytes()
        assert offset.apply_row(outputs[3].tolist(), nothing[3].tolist()) == outputs[3].tolist()


def test_far_effects_stay_finite():
    far = Offset("g", "log-odds")
    for chance in (0.0, 1.0, 0.5):
        for more in (-1e6, 1e6):
            (got,) = far.apply_row([chance], [more])
            assert 0 <= got <= 1
            assert far.apply(np.array([[chance]]), np.array([[more]]))[0, 0] == got
    shares = Offset("g", "score").apply_row([0.0, 1.0], [1e6, -1e6])
    assert np.isfinite(log_softmax(shares)).all()
    assert math.isclose(sum(shares), 1.0)


def test_a_tree_goes_round():
    for offset, n_outputs in ((Offset("g", "value", 0.0), 1), (Offset("g", "score"), 3)):
        assert from_json(offset.to_json(), n_outputs) == offset


@pytest.mark.parametrize(
    "tree",
    [
        None,
        {"view": "g", "scale": "value"},
        {"view": 3, "scale": "value", "least": None},
        {"view": "g", "scale": ["value"], "least": None},
        {"view": "g", "scale": "score", "least": None},
        {"view": "g", "scale": "value", "least": math.inf},
        {"view": "g", "scale": "value", "least": True},
    ],
)
def test_a_malformed_tree_is_refused(tree):
    with pytest.raises(BundleContentError):
        from_json(tree, 1)
