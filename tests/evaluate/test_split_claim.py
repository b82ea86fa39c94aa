"""What a random split would have claimed: flattery where groups or times are told by heart, none where they are not."""

import numpy as np

from mlwright.data.schema import Task, TaskKind
from mlwright.data.split import Split
from mlwright.evaluate.split_claim import random_claim

TASK = Task(TaskKind.REGRESSION, "y", "rmse")


def claim(kind, X, y, keys):
    rows = np.arange(len(y))
    split = Split(kind, "key", "Why.", rows[:900], rows[900:], ())
    return random_claim(
        {f"x{i}": X[:, i] for i in range(X.shape[1])}, y, keys.astype(float), TASK, split, seed=0
    )


def test_groups_that_are_told_by_heart_flatter_and_others_do_not():
    draw = np.random.default_rng(0)
    group = np.repeat(np.arange(100), 10)
    mark, level = draw.normal(size=(100, 2)), draw.normal(size=100) * 3
    told = claim(
        "group",
        mark[group] + 0.01 * draw.normal(size=(1_000, 2)),
        level[group] + draw.normal(size=1_000),
        group,
    )
    assert told["random"] < told["chosen"]
    assert told["flattery"]["low"] > 0.5
    assert "would have claimed" in told["said"]
    X = draw.normal(size=(1_000, 2))
    honest = claim("group", X, X[:, 0] + draw.normal(size=1_000), group)
    assert honest["flattery"]["low"] < 0.05


def test_times_between_which_a_model_reads_off_flatter():
    draw = np.random.default_rng(1)
    day = np.arange(1_000)
    y = np.cumsum(draw.normal(size=1_000))
    told = claim("time", np.stack([day, draw.normal(size=1_000)], axis=1).astype(float), y, day)
    assert told["flattery"]["low"] > 0
    again = claim("time", np.stack([day, day % 7], axis=1).astype(float), y, day)
    assert again == claim("time", np.stack([day, day % 7], axis=1).astype(float), y, day)


def test_few_rows_say_nothing():
    X = np.zeros((1_000, 1))
    rows = np.arange(1_000)
    split = Split("time", "key", "Why.", rows[:100], rows[900:], ())
    assert random_claim({"x": X[:, 0]}, X[:, 0], rows * 1.0, TASK, split, seed=0) is None
