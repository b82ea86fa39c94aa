"""Label noise of a run: what the study's predictions out of fold say of the training rows' labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwright.data.schema import TaskKind
from mlwright.evaluate.label_noise import LabelNoise, label_noise
from mlwright.evaluate.unlikely_values import unlikely_values

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured

__all__ = ["label_noise_of"]


def label_noise_of(measured: Measured) -> LabelNoise | None:
    """Return how many labels are likely wrong and which, or which values are beyond belief.

    None where too few rows have a prediction out of fold, or where a quantile is predicted: no row is near to it.
    """
    task, predicted = measured.task, measured.study.predicted
    rows = np.flatnonzero(np.isfinite(predicted).all(axis=1))
    y, numbers = measured.train_truth[rows], measured.train_numbers[rows]
    hidden = task.target in measured.rows.schema.personal
    if task.kind is not TaskKind.REGRESSION:
        return label_noise(task, y, predicted[rows], numbers, hidden=hidden)
    if task.quantile is not None:
        return None
    return unlikely_values(task.target, y, predicted[rows, 0], numbers, hidden=hidden)
