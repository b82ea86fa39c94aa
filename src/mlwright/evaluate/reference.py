"""Reference: what columns and predictions looked like on the training rows, for a monitor to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwright.core.types import Floats
from mlwright.data.schema import Task
from mlwright.data.values import Coded, Columns

__all__ = ["reference"]

_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_MOST_LEVELS = 100


def reference(
    columns: Columns, predicted: Floats, task: Task, *, personal: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the statistics of each column and of the predictions.

    Numbers: count, missing, mean, standard deviation, quantiles. Strings: count, missing, the number of levels and
    the counts of the hundred most frequent ones. Of `personal` columns only what tells no value: count, missing and the
    number of levels.
    """
    names = [str(label) for label in task.labels[-task.n_outputs :]] if task.labels else ["value"]
    return {
        "columns": {
            name: _counted(values) if name in personal else _describe(values)
            for name, values in columns.items()
        },
        "predictions": {name: _numbers(predicted[:, i]) for i, name in enumerate(names)},
    }


def _describe(values: Floats | Coded) -> dict[str, Any]:
    if not isinstance(values, Coded):
        return _numbers(values)
    counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
    order = sorted((-int(count), values.levels[i]) for i, count in enumerate(counts) if count)
    return {
        "count": len(values.codes),
        "missing": int((values.codes < 0).sum()),
        "n_levels": len(order),
        "levels": {level: -count for count, level in order[:_MOST_LEVELS]},
    }


def _counted(values: Floats | Coded) -> dict[str, Any]:
    told = _describe(values)
    return {key: told[key] for key in ("count", "missing", "n_levels") if key in told}


def _numbers(values: Floats) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    known = {"count": len(values), "missing": len(values) - len(present)}
    if not len(present):
        return known
    quantiles = np.quantile(present, _QUANTILES)
    return known | {
        "mean": float(present.mean()),
        "std": float(present.std()),
        "quantiles": {f"{q:g}": float(v) for q, v in zip(_QUANTILES, quantiles, strict=True)},
    }
