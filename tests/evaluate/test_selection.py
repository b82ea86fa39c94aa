"""Selection: the best of many trials is too good by luck, and the corrected figure is not."""

import numpy as np
import pytest

from mlwright.evaluate.selection import selection
from mlwright.metrics import get


def test_the_best_of_many_noise_trials_is_corrected():
    """Sixty trials that know nothing: the naive AUC lies far above one half, the corrected one does not."""
    random, metric = np.random.default_rng(0), get("roc_auc")
    naive, honest = [], []
    for draw in range(60):
        y = (random.random(300) < 0.4).astype(float)
        found = selection(metric, y, list(random.random((60, 300, 1))), seed=draw)
        naive.append(found.best)
        honest.append(found.corrected)
    error = np.std(honest) / np.sqrt(len(honest))
    assert np.mean(naive) > 0.56
    assert abs(np.mean(honest) - 0.5) < 3 * error + 0.005


def test_a_clear_winner_is_hardly_corrected():
    random = np.random.default_rng(1)
    y = random.normal(size=1000)
    good, bad = (y + size * random.normal(size=1000) for size in (0.5, 2.0))
    found = selection(get("rmse"), y, [good[:, None], bad[:, None]])
    assert found.best == pytest.approx(get("rmse").score(y, good[:, None]))
    assert found.optimism < 0.01
    assert found.corrected == pytest.approx(found.best + found.optimism)  # a loss gets larger


def test_rows_that_belong_together_are_drawn_together():
    """Luck is larger where only twenty groups were seen."""
    random, metric = np.random.default_rng(2), get("accuracy")
    groups = np.repeat(np.arange(20), 30)
    y = np.repeat(random.integers(0, 2, 20), 30).astype(float)
    trials = [np.repeat(random.random(20), 30)[:, None] for _ in range(30)]
    alone, together = selection(metric, y, trials), selection(metric, y, trials, units=groups)
    assert together.optimism > alone.optimism + 0.05


def test_many_rows_are_thinned_and_the_luck_scaled(monkeypatch):
    random, metric = np.random.default_rng(3), get("log_loss")
    y = (random.random(4000) < 0.5).astype(float)
    trials = [np.clip(0.5 + 0.2 * random.normal(size=4000), 0.05, 0.95)[:, None] for _ in range(20)]
    whole = np.mean([selection(metric, y, trials, seed=seed).optimism for seed in range(5)])
    monkeypatch.setattr("mlwright.evaluate.selection._CELLS", 400_000)
    thin = np.mean([selection(metric, y, trials, seed=seed).optimism for seed in range(20)])
    assert thin == pytest.approx(whole, rel=0.5)


def test_edges():
    y, metric = np.array([0.0, 1.0] * 20), get("roc_auc")
    assert selection(metric, y, [y[:, None]]) is None
    assert selection(metric, np.zeros(40), [y[:, None], y[:, None]]) is None
    same = selection(metric, y, [y[:, None], y[:, None]], seed=1)
    assert (same.best, same.corrected, same.optimism) == (1, 1, 0)
    assert same == selection(metric, y, [y[:, None], y[:, None]], seed=1)
    assert set(same.to_json()) == {"n_trials", "n_rows", "best", "corrected", "optimism"}
