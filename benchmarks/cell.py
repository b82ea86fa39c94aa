"""Cell: one system on one table in one process. Fits inside a budget, scores the held-out quarter, measures serving.

    python cell.py SYSTEM TABLE --data FOLDER --work FOLDER [--seed 0] [--budget 60] [--cores 2]

Run by quality.py with the Python of an environment that holds the system; it needs NumPy, pandas and scikit-learn
besides. Writes ``WORK/fit`` when the fit begins, ``WORK/fitted`` when it has ended and ``WORK/row.json`` at the end.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    "autogluon.tabular",
    "flaml",
    "catboost",
    "lightgbm",
    "mlwright",
    "numpy",
    "pandas",
    "scikit-learn",
)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("system", help="a system of systems.py; mlwright+N is mlwright with random_state N")
    parser.add_argument("table", help="a table of the folder's manifest")
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--work", type=Path, required=True, help="empty folder for files of this cell")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of fit (default 60)")
    parser.add_argument("--cores", type=int, default=2, help="cores that the process may use (default 2)")
    parser.add_argument(
        "--drop", nargs="*", default=[], metavar="COLUMN", help="further columns to leave out"
    )
    return parser.parse_args()


def keep_to(cores: int) -> None:
    """Bind the process to so many cores, and say so to libraries that count the machine's."""
    free = sorted(os.sched_getaffinity(0))
    if len(free) > cores:
        os.sched_setaffinity(0, free[:cores])
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
            os.environ[name] = str(cores)


def score(task: str, y: Any, predicted: Any, classes: Sequence[str] | None) -> float:
    """Return ROC AUC, log loss or root mean squared error, by the task."""
    import numpy as np
    from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

    if classes is None:
        return float(root_mean_squared_error(y, np.asarray(predicted).ravel()))
    if task == "binary":
        return float(roc_auc_score(y == classes[1], predicted[:, 1]))
    clipped = np.clip(predicted, 1e-7, 1)
    return float(log_loss(y, clipped / clipped.sum(axis=1, keepdims=True), labels=list(classes)))


def median_us(call: Callable[[Any], Any], rows: Sequence[Any], limit_s: float = 8) -> float:
    """Return the median of up to 220 calls after warm-up, in microseconds."""
    import numpy as np

    took: list[float] = []
    began = time.monotonic()
    for i in range(220):
        start = time.perf_counter()
        call(rows[i % len(rows)])
        took.append(time.perf_counter() - start)
        if time.monotonic() - began > limit_s:
            break
    return float(np.median(took[min(10, len(took) // 2) :]) * 1e6)


def records(frame: Any) -> list[dict[str, Any]]:
    """Return rows as dicts, missing as None."""
    import pandas as pd

    rows = frame.to_dict("records")
    return [{name: None if pd.isna(value) else value for name, value in row.items()} for row in rows]


def peak_mb() -> float:
    """Return the largest resident memory of this process and of its largest child, added, in MB."""
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return (own + children) / 1e3


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, score, time; return the row."""
    import numpy as np
    import systems
    import tables

    data = tables.load(options.table, options.data, options.seed, tuple(options.drop))
    (options.work / "fit").touch()
    fitted = systems.fit(options.system, data, options.budget, options.work)
    (options.work / "fitted").touch()
    X, y = data.test.drop(columns=data.target), data.test[data.target]
    predicted = np.asarray(fitted.predict(X))
    start = time.perf_counter()
    fitted.predict(X)
    bulk = len(X) / (time.perf_counter() - start)
    frames = [X.iloc[[i % len(X)]] for i in range(50)]
    one = fitted.predict_one
    row_dict = None if one is None else round(median_us(one, records(X.head(50))), 1)
    return {
        "system": options.system,
        "table": options.table,
        "task": data.task,
        "rows": len(data.train) + len(data.test),
        "seed": options.seed,
        "budget_s": options.budget,
        "score": round(score(data.task, y, predicted, fitted.classes), 6),
        "fit_s": round(fitted.seconds, 1),
        "row_frame_us": round(median_us(fitted.predict, frames)),
        "row_dict_us": "" if row_dict is None else row_dict,
        "bulk_rows_s": round(bulk),
        "size_mb": "" if fitted.size_mb is None else round(fitted.size_mb, 3),
        "peak_mb": round(peak_mb()),
        "note": fitted.note,
    }


def versions() -> dict[str, str]:
    """Return the versions of what this environment holds."""
    found = {"python": sys.version.partition(" ")[0]}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Measure the cell and leave its row."""
    warnings.filterwarnings("ignore")
    options = arguments()
    keep_to(options.cores)
    row = measure(options)
    part = options.work / "row.part"
    part.write_text(json.dumps({"row": row, "versions": versions()}))
    part.rename(options.work / "row.json")


if __name__ == "__main__":
    main()
