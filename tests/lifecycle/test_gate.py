"""The gate: what passes, and how often under no change."""

import numpy as np
import pytest

from mlwright.lifecycle.gate import against_baseline, against_champion
from mlwright.metrics import get
from mlwright.metrics.intervals import Interval, paired_interval


def difference(low, high):
    return Interval((low + high) / 2, low, high, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "margin", "passed", "word"),
    [
        (0.01, 0.05, 0.0, True, "better"),
        (-0.01, 0.05, 0.0, False, "not shown"),
        (-0.01, 0.05, 0.02, True, "not worse"),
        (-0.03, 0.05, 0.02, False, "not shown"),
        (-0.05, -0.01, 0.0, False, "worse"),
        (-0.05, -0.01, 0.06, True, "not worse"),
        (0.0, 0.0, 0.0, False, "not shown"),
    ],
)
def test_the_lower_end_decides(low, high, margin, passed, word):
    verdict = against_champion(difference(low, high), margin=margin, metric="roc_auc", n_rows=1234)
    assert verdict.passed is passed
    assert verdict.reason.startswith(word)
    assert "1,234" in verdict.reason


def test_a_first_model_must_beat_the_dummy_unless_the_project_says_otherwise():
    assert against_baseline(difference(0.1, 0.2), metric="rmse", required=True).passed is True
    assert against_baseline(difference(-0.1, 0.2), metric="rmse", required=True).passed is False
    assert against_baseline(difference(-0.1, 0.2), metric="rmse", required=False).passed is True
    assert against_baseline(None, metric="rmse", required=True).passed is True


def _promotions(metric_name, better, n_draws=300, n=300):
    """How often a challenger whose scores carry `better` more signal than the champion's is promoted."""
    metric, promoted = get(metric_name), 0
    for draw in range(n_draws):
        random = np.random.default_rng(draw)
        y = (random.random(n) < 0.4).astype(float)
        champion, challenger = (
            1 / (1 + np.exp(-(signal * (2 * y - 1) + random.normal(size=n))))[:, None]
            for signal in (0.5, 0.5 + better)
        )
        interval = paired_interval(metric, y, challenger, champion, seed=draw)
        promoted += bool(against_champion(interval, margin=0.0, metric=metric_name, n_rows=n).passed)
    return promoted / n_draws


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_under_no_change_few_challengers_are_promoted(metric):
    # 2.5 % is nominal; 300 draws have a standard error of 0.9 %, so 5.5 % is more than three of them away.
    assert _promotions(metric, better=0.0) <= 0.055


def test_a_truly_better_challenger_is_promoted():
    assert _promotions("roc_auc", better=0.5, n_draws=60) >= 0.9
