"""Coverage: counted by hand, and told in the report."""

import numpy as np
import pytest

from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.coverage import coverage
from mlwright.models.conformal import Residuals, Sets

NUMBER = Task(TaskKind.REGRESSION, "y", "rmse")
CLASSES = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))


def test_numbers_are_counted():
    value = np.arange(30.0)
    made = Residuals(0.8, np.array([0.0]), np.array([1.0]), -1.0, 2.0)
    y = value + np.tile([0.0, -1.5, 2.0], 10)
    found = coverage(made, y, value[:, None], NUMBER, split="time")
    assert (found.held.count, found.held.total) == (20, 30)
    assert [part.held.count for part in found.parts] == [7, 6, 7]
    assert found.width == 3
    assert found.without == pytest.approx(np.quantile(y, 0.9) - np.quantile(y, 0.1))
    assert "later" in found.promise
    assert found.to_json()["held"] == {
        "count": 20,
        "total": 30,
        "low": found.held.low,
        "high": found.held.high,
    }


def test_classes_are_counted():
    made = Sets(0.9, np.array([0.3, 0.3, 0.6]))
    predicted = np.array([[0.8, 0.1, 0.1], [0.4, 0.35, 0.25], [0.2, 0.2, 0.55], [0.31, 0.31, 0.38]])
    y = np.array([0.0, 1.0, 2.0, 2.0])
    found = coverage(made, y, predicted, CLASSES, split="stratified")
    assert (found.held.count, found.strict.count) == (3, 2)  # the third row's set was empty
    assert [size.count for size in found.sizes] == [2, 2, 0]
    assert {part.name: part.held.count for part in found.parts} == {"a": 1, "b": 1, "c": 1}
    assert found.promise == ""


def test_clusters_widen_the_range():
    value = np.zeros((200, 1))
    made = Residuals(0.9, np.array([0.0]), np.array([1.0]), -1.0, 1.0)
    groups = np.arange(200) // 20
    y = np.where(groups < 8, 0.0, 5.0)
    alone = coverage(made, y, value, NUMBER)
    grouped = coverage(made, y, value, NUMBER, clusters=groups, split="group")
    assert grouped.held.high - grouped.held.low > 3 * (alone.held.high - alone.held.low)
