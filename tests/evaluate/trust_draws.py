"""Tables of drawn predictions, with or without a slice on which they are worse."""

import numpy as np

from mlwright.data.schema import Column, Kind, Task, TaskKind
from mlwright.data.values import Coded

BINARY = Task(TaskKind.BINARY, "left", "roc_auc", ("no", "yes"))
NUMBER = Task(TaskKind.REGRESSION, "price", "rmse")
CLASSES = Task(TaskKind.MULTICLASS, "kind", "log_loss", ("a", "b", "c", "d"))


def columns(draw, n_rows, n_columns=4):
    """Return columns that say nothing, and `town`, one level of which has 3 % of the rows."""
    found, described = {}, []
    for i in range(n_columns):
        found[f"x{i}"] = draw.normal(size=n_rows)
        size = int(draw.integers(2, 20))
        codes = draw.choice(size, n_rows, p=draw.dirichlet(np.ones(size)))
        found[f"c{i}"] = Coded(codes.astype(np.int32), [f"level {j}" for j in range(size)])
        described += [Column(f"x{i}", Kind.NUMERIC), Column(f"c{i}", Kind.CATEGORICAL)]
    town = draw.choice(10, n_rows, p=[0.03] + [0.97 / 9] * 9).astype(np.int32)
    found["town"] = Coded(town, [f"town {j}" for j in range(10)])
    return found, [*described, Column("town", Kind.CATEGORICAL)], town == 0


def predictions(task, draw, n_rows, bad=None):
    """Return truth and predictions that are true probabilities, except on `bad` rows, where half of the accuracy is left."""
    if task.kind is TaskKind.REGRESSION:
        value, spread = 3 * draw.normal(size=n_rows), draw.choice([0.5, 1.0, 2.0], n_rows)
        worse = 1.0 if bad is None else np.where(bad, 2.5, 1.0)
        return value + worse * spread * draw.normal(size=n_rows), value[:, None]
    if task.kind is TaskKind.BINARY:
        share = np.clip(draw.choice([0.1, 0.9], n_rows) + draw.uniform(-0.05, 0.05, n_rows), 0.01, 0.99)
        probabilities = np.stack([1 - share, share], axis=1)
    else:
        raised = np.exp(draw.normal(size=(n_rows, 4)) * 2.5)
        probabilities = raised / raised.sum(axis=1, keepdims=True)
    n_classes, called = probabilities.shape[1], probabilities.argmax(axis=1)
    truth = (draw.random(n_rows)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, n_classes - 1)
    if bad is not None:
        right = draw.random(n_rows) < probabilities.max(axis=1) / 2
        other = (called + draw.integers(1, n_classes, n_rows)) % n_classes
        truth = np.where(bad, np.where(right, called, other), truth)
    shown = probabilities[:, 1:] if task.kind is TaskKind.BINARY else probabilities
    return truth.astype(float), shown
