"""Nets: what it is worth that a rare input moves its weights less.

    python nets.py --data TABLES [--least 0 1 2] [--seeds 0 1] [--tables development]

The portfolio's nets are fitted on two folds of each table, with several values of the least size of a gradient where
inputs enter (`mlwright.models.mlp_training`; with 0 it is Adam as it was published). Printed is the loss of the validated rows
(log loss, or root mean squared error) with the first value, and by how many percent it is lower with each other one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from portfolio import study_data
from records import say
from tables_list import names
from threadpoolctl import threadpool_limits

from mlwright import metrics
from mlwright.core.types import Floats
from mlwright.execution import Local
from mlwright.models import mlp_training
from mlwright.models.base import FitContext
from mlwright.models.mlp import MLP
from mlwright.search.fitter import Fitter, StudyData
from mlwright.search.portfolio import CANDIDATES

N_FOLDS = 2
NETS = {name: made for name, made in CANDIDATES.items() if made.model == "mlp"}


def loss(data: StudyData, y: Floats, predicted: Floats) -> float:
    """Return the log loss, or the root mean squared error."""
    return metrics.get("log_loss" if data.task.kind.has_classes else "rmse").score(y, predicted)


def measure(data: StudyData, least: float, seeds: list[int], fitter: Fitter) -> float:
    """Return the mean loss over nets, folds and seeds."""
    mlp_training._LEAST_GRADIENT = least  # noqa: SLF001 - what is measured here, and nothing that a user sets
    found = []
    for index, (fit, valid) in enumerate(data.folds[:N_FOLDS]):
        _, matrix, valid_matrix = fitter.matrices.of("linear", index)
        for made in NETS.values():
            if not made.fits(data.task, data.schema, len(data.y)):
                continue
            for seed in seeds:
                context = FitContext(data.task, valid=(valid_matrix, data.y[valid]), seed=seed)
                net = MLP(**made.params).fit(matrix, data.y[fit], context)
                found.append(loss(data, data.y[valid], net.predict(valid_matrix)))
    return float(np.mean(found))


def main() -> None:
    """Measure and print a line a table, then means and medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--least", type=float, nargs="+", default=[0.0, 1.0, 2.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--tables", nargs="+", default=["development"], help="names or groups")
    options = parser.parse_args()
    lower: list[list[float]] = []
    with threadpool_limits(limits=1, user_api="blas"):
        for table in names(options.tables):
            data, _, _ = study_data(table, options.data, 0)
            fitter = Fitter(data, Local())
            losses = [measure(data, least, options.seeds, fitter) for least in options.least]
            lower.append([100 * (1 - each / losses[0]) for each in losses])
            say(f"{table:24} {losses[0]:9.5g}" + "".join(f" {change:+7.2f}" for change in lower[-1][1:]))
    changes = np.array(lower)
    for place, least in enumerate(options.least[1:], start=1):
        told = changes[:, place]
        say(
            f"least {least:g}: mean {told.mean():+.2f} %, median {np.median(told):+.2f} %, lower on {(told > 0).sum()} of {len(told)}"
        )


if __name__ == "__main__":
    main()
