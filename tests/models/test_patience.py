import numpy as np
import pytest

from mlwright.models.patience import Patience


def stopped_at(patience, losses):
    return next((i for i, loss in enumerate(losses) if patience.over(i, loss)), None)


@pytest.mark.parametrize(("rate", "rounds"), [(0.5, 20), (0.1, 30), (0.03, 100)])
def test_a_slow_learner_has_longer(rate, rounds):
    patience = Patience(rate)
    assert stopped_at(patience, [3.0, 1.0] + [2.0] * 500) == 1 + rounds
    assert patience.best == 1


def test_slow_but_real_progress_goes_on():
    assert stopped_at(Patience(0.5), [1 - 1e-4 * i for i in range(500)]) is None
    # A step is a trifle, but twenty together are not.
    assert stopped_at(Patience(0.5), [1 - 2e-6 * i for i in range(500)]) is None


def test_endless_trifles_end_and_the_best_is_still_the_last():
    patience = Patience(0.5)
    at = stopped_at(patience, [1.0, 0.5] + [0.5 - 1e-9 * i for i in range(1, 500)])
    assert at == 21
    assert patience.best == 21


def test_the_fewer_the_rows_the_larger_a_trifle():
    falling = [1 / (1 + i) for i in range(20_000)]  # as where classes are parted perfectly
    few, many = (stopped_at(Patience(0.5, n), falling) for n in (10, 5000))
    # Twenty steps gain about 20 / i^2; a trifle is 0.05 / 10 and 0.05 / 5000 of the first loss.
    assert few == pytest.approx(np.sqrt(20 / 0.005), rel=0.4)
    assert many == pytest.approx(np.sqrt(20 / 1e-5), rel=0.4)
    assert stopped_at(Patience(0.5, 10**6), falling) == many


def test_a_long_curve_is_thinned_evenly():
    patience = Patience(0.001)
    for iteration in range(1000):
        patience.over(iteration, 1.0 / (iteration + 1))
    at = [point[0] for point in patience.curve]
    assert 20 < len(at) <= 48
    assert len(set(np.diff(at))) == 1
    assert at[0] == 0
    assert patience.curve[-1][1] == pytest.approx(1.0 / (at[-1] + 1), rel=1e-5)
