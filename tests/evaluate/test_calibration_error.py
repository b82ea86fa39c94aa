"""CalibrationError: counted by hand, quiet for perfect models and loud for others."""

import numpy as np
import pytest

from mlwright.evaluate.calibration_error import calibration_error


def test_the_error_is_the_mean_distance_by_hand():
    chance = np.repeat([0.1, 0.6], 20)
    came = np.concatenate([np.arange(20) < 4, np.arange(20) < 9]).astype(float)
    found = calibration_error(chance, came)
    assert found.error == pytest.approx((0.1 + 0.15) / 2)
    noise = [0.2 * 0.8 / 19, 0.45 * 0.55 / 19]
    assert found.debiased == pytest.approx(np.sqrt(np.mean([0.1**2 - noise[0], 0.15**2 - noise[1]])))
    assert (found.n_rows, found.n_bins) == (40, 2)


@pytest.mark.parametrize("n", [300, 3000])
def test_a_perfect_model_is_called_off_in_about_one_of_twenty(n):
    random, called, floors, errors = np.random.default_rng(1), 0, [], []
    for draw in range(200):
        chance = random.beta(2, 3, n)
        found = calibration_error(chance, (random.random(n) < chance).astype(float), seed=draw)
        called += not found.is_chance
        floors.append(found.floor)
        errors.append(found.error)
    assert called / 200 <= 0.1
    assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.05)


def test_a_model_that_is_too_sure_is_called_off():
    random = np.random.default_rng(2)
    chance = random.beta(2, 3, 3000)
    sure = 1 / (1 + (1 / chance - 1) ** 2)
    found = calibration_error(sure, (random.random(3000) < chance).astype(float))
    assert not found.is_chance
    assert found.debiased == pytest.approx(np.sqrt(np.mean((sure - chance) ** 2)), abs=0.02)


def test_few_rows_say_nothing():
    assert calibration_error(np.full(39, 0.5), np.zeros(39)) is None
