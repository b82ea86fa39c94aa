"""Bulk: `mlwright predict` on Parquet of 1 and of 10 million rows, beside LightGBM's own predict on the ready matrix.

    python serving_bulk.py [--rows 1000000 10000000] [--folder DIR] [--json]

A table of ten numbers, drawn from a seed, and the 300 trees of 31 leaves of `serving.py`'s kind. What mlwright does is a
process of its own: start, reading, encoding, predicting on all cores and writing Parquet included. LightGBM gets the matrix of
the same million rows in memory, and all cores.

  bulk_ratio     mlwright's rows a second, of the longest table, over LightGBM's
  peak_mb        the most memory that each process held, by number of rows
  growth         the longest table's peak over the shortest's
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

N_COLUMNS, N_TRAIN, CHUNK, SEED = 10, 50_000, 250_000, 3
NAMES = [f"x{i}" for i in range(N_COLUMNS)]


def matrix(draw: np.random.Generator, n_rows: int) -> np.ndarray:
    """Return numbers, 2 % of them missing."""
    X = draw.normal(size=(n_rows, N_COLUMNS))
    X[draw.random(X.shape) < 0.02] = np.nan
    return X


def write(path: Path, n_rows: int) -> None:
    """Write a table in row groups, never holding more than one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(SEED)
    schema = pa.schema([(name, pa.float64()) for name in NAMES])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, CHUNK):
            X = matrix(draw, min(CHUNK, n_rows - start))
            writer.write_table(pa.table({name: X[:, i] for i, name in enumerate(NAMES)}, schema=schema))


def build(folder: Path) -> Path:
    """Write the bundle."""
    from mlwright import bundle
    from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
    from mlwright.features.number import Number
    from mlwright.features.plan import FeaturePlan
    from mlwright.models.base import FitContext
    from mlwright.models.ensemble import Ensemble, Member
    from mlwright.models.lightgbm import LightGBM
    from mlwright.serving.predictor import Predictor

    X = matrix(np.random.default_rng(1), N_TRAIN)
    filled = np.nan_to_num(X)
    y = (
        filled[:, 0] + filled[:, 1] * filled[:, 2] + np.random.default_rng(2).normal(size=N_TRAIN) > 0
    ).astype(float)
    columns = [Column(name, Kind.NUMERIC, dtype="float", low=-6.0, high=6.0) for name in NAMES]
    schema = Schema((*columns, Column("y", Kind.CATEGORICAL, Role.TARGET, levels=("no", "yes"))))
    task = Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes"))
    plan = FeaturePlan([Number(name) for name in NAMES])
    fitted = plan.fit_batch({name: X[:, i] for i, name in enumerate(NAMES)}, y, n_classes=2, seed=0)
    model = LightGBM(learning_rate=0.1, num_leaves=31).fit(fitted, y, FitContext(task, n_iterations=300))
    ensemble = Ensemble([Member("all", model, 1.0)])
    places = [{"view": "all", "weight": 1.0, "link": "identity"}]
    plans = bundle.State.nest({"all": plan.state()})
    contents = bundle.Contents("bulk", task.to_json(), schema.to_json(), plans, ensemble.states(), places, {})
    predictor = Predictor(contents.manifest, {"all": plan}, ensemble)
    for row in np.nan_to_num(X[:10]).tolist():
        record = dict(zip(NAMES, row, strict=True))
        answer = predictor.predict_one(record)
        contents.golden.append(
            {"record": record, "prediction": {k: answer[k] for k in ("prediction", "probability")}}
        )
    bundle.write(contents, folder / "bundle")
    (folder / "model.txt").write_bytes(next(iter(model.state().blobs.values())))
    return folder / "bundle"


def ours(bundle: Path, source: Path, folder: Path) -> dict[str, float]:
    """Predict a file by the command line; rows a second, and the process's peak."""
    out = folder / "predictions.parquet"
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlwright", "predict", str(bundle), str(source), "-o", str(out), "--json"],
        cwd=folder, stdout=subprocess.PIPE,
    )  # fmt: skip
    told = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    out.unlink()
    return {
        "rows": told["rows"],
        "seconds": round(seconds, 1),
        "rows_s": told["rows"] / seconds,
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def theirs(folder: Path, n_rows: int) -> float:
    """Return LightGBM's own rows a second on a matrix that lies in memory, the better of two."""
    import lightgbm

    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    X = matrix(np.random.default_rng(SEED), n_rows)
    took = []
    for _ in range(2):
        began = time.monotonic()
        booster.predict(X)
        took.append(time.monotonic() - began)
    return n_rows / min(took)


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", help="where some 2 GB may lie for a while; the system's own by default")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    told: dict[str, Any] = {"runs": []}
    with tempfile.TemporaryDirectory(prefix="bulk-", dir=options.folder) as place:
        folder = Path(place)
        bundle = build(folder)
        for n_rows in sorted(options.rows):
            source = folder / "rows.parquet"
            write(source, n_rows)
            told["runs"].append(ours(bundle, source, folder))
            source.unlink()
        told["lightgbm_rows_s"] = theirs(folder, min(1_000_000, max(options.rows)))
    first, last = told["runs"][0], told["runs"][-1]
    told["bulk_ratio"] = round(last["rows_s"] / told["lightgbm_rows_s"], 3)
    told["growth"] = round(last["peak_mb"] / first["peak_mb"], 3)
    print(json.dumps(told) if options.json else json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
