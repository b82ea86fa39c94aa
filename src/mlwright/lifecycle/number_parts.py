"""Number parts: how sure the figures and the answers are, measured on the rows that the model was judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwright.core import seeds
from mlwright.core.types import Floats
from mlwright.evaluate.coverage import Coverage, coverage
from mlwright.search.conform import conform

if TYPE_CHECKING:
    from mlwright.lifecycle.parts import Measured

__all__ = ["coverage_part"]


def _clusters(measured: Measured) -> np.ndarray | None:
    """Return which rows belong together; None if each is its own."""
    return measured.units.get("groups", measured.units.get("blocks"))


def coverage_part(measured: Measured) -> Coverage | None:
    """Return how often the bundle's intervals or sets hold the truth.

    Without test rows one half of the rows is judged by what was made from the other half, and the other way round is not
    asked: they are the training rows, out of fold.
    """
    task, study = measured.task, measured.study
    truth, predicted, clusters = measured.truth, measured.predicted, _clusters(measured)
    if measured.evaluation.basis == "test":
        made = conform(measured.train_truth, study.predicted, task)
    else:
        judged = _half(truth, clusters, measured.project.task_seed)
        made = conform(truth[~judged], predicted[~judged], task)
        truth, predicted = truth[judged], predicted[judged]
        clusters = None if clusters is None else clusters[judged]
    if made is None or len(truth) < 2:
        return None
    return coverage(made, truth, predicted, task, clusters=clusters, split=measured.split.kind)


def _half(truth: Floats, clusters: np.ndarray | None, seed: int) -> np.ndarray:
    """Return a mask of about half the rows, whole clusters each."""
    of_row = np.arange(len(truth)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units = int(of_row.max()) + 1 if len(of_row) else 0
    return (seeds.generator(seed, "coverage").permutation(n_units) % 2 == 0)[of_row]
