"""Rehearsal: the whole pipeline on a small sample, in a store of its own and a process of its own.

It reads, checks, splits, searches, packages, proves, registers, predicts, promotes and rolls back, by the public
functions that users call. Nothing of it reaches the project's own store or registry.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwright.core.errors import MlwrightError, RefusedError
from mlwright.core.seeds import generator
from mlwright.data.schema import Role
from mlwright.lifecycle.project import FILE
from mlwright.lifecycle.recorded import Recorded

__all__ = ["ADDED", "Rehearsal", "perform", "rehearse"]

ADDED = "added_for_rehearsal"
_NAME = "rehearsal"
_ROWS = 500
_OF_A_CLASS = 20
_SECONDS = 10
_TRIALS = 3
_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the small pipeline did.

    Parameters
    ----------
    rows, seconds : int and float
        Size of the sample, and how long all of it took.
    versions : tuple of int
        What was registered.
    proven : int
        Rows that went through training's, batch's and serving's path and agreed.
    added : bool
        Whether a column that was added to the sample became a feature of the model.
    served : str
        What a prediction of one record gave, in short.
    aliases : tuple of int
        The champion after the first run, after promoting the second, and after rolling back.
    """

    rows: int
    seconds: float
    versions: tuple[int, ...]
    proven: int
    added: bool
    served: str
    aliases: tuple[int, ...]


def rehearse(past: Recorded) -> Rehearsal:
    """Run the pipeline of a past run on a sample of its table.

    Raises
    ------
    MlwrightError
        If it does not come to its end; the message is the pipeline's own.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal") as made:
        folder = Path(made)
        _write(past, folder)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "MLWRIGHT_"))}
        command = [sys.executable, "-m", __name__, str(folder)]
        try:
            done = subprocess.run(  # noqa: S603 - this program, and no shell
                command,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise MlwrightError("the rehearsal did not end", got=f"{_TIMEOUT:.0f} s") from error
        if done.returncode:
            said = (done.stderr.strip() or "no word").splitlines()[-1]
            raise MlwrightError(f"the rehearsal failed: {said}", got=f"exit code {done.returncode}")
        return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), Rehearsal)


def _write(past: Recorded, folder: Path) -> None:
    """Write a sample with one more column, and a project file that says what the run's own said of columns and task."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = past.prepared.table
    rng = generator(0, _NAME)
    rows = np.sort(rng.permutation(table.n_rows)[:_ROWS])
    if past.prepared.task.kind.has_classes:
        rows = np.union1d(rows, _some_of_each_class(past, rng))
    sample = table.take(rows).arrow
    sample = sample.append_column(ADDED, pa.array(rng.normal(size=sample.num_rows)))
    pq.write_table(sample, folder / "sample.parquet")
    settings = past.project.to_json()
    changed: dict[str, Any] = {
        "name": _NAME,
        "data.source": "sample.parquet",
        "data.query": None,
        "data.prepare": None,
        "task.target": past.prepared.task.target or None,
        "task.budget": f"{_SECONDS}s",
        "task.trials": _TRIALS,
        "gate.beats_baseline": False,  # a few rows need not show what many did
    }
    if str(settings["task.metric"] or "").startswith("own."):
        changed["task.metric"] = None
    (folder / FILE).write_text(_toml(settings | changed), encoding="utf-8")


def _some_of_each_class(past: Recorded, rng: np.random.Generator) -> Any:
    from mlwright.data.target import target_values

    y = target_values(past.prepared.table, past.prepared.task)
    found = [np.flatnonzero(y == code) for code in np.unique(y)]
    return np.concatenate([rng.permutation(rows)[:_OF_A_CLASS] for rows in found])


def _toml(settings: dict[str, Any]) -> str:
    """Return settings as a project file; JSON's words for texts, numbers and lists are TOML's too."""
    lines: dict[str, list[str]] = {"": []}
    for key, value in settings.items():
        if value is None or value in ([], {}, ""):
            continue
        section, _, name = key.rpartition(".")
        if isinstance(value, dict):
            said = "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + " }"
        else:
            said = json.dumps(value)
        lines.setdefault(section, []).append(f"{name} = {said}")
    parts = ["\n".join(lines.pop(""))]
    parts += [f"[{section}]\n" + "\n".join(said) for section, said in lines.items()]
    return "\n\n".join(parts) + "\n"


def perform(folder: Path) -> Rehearsal:
    """Do it, in the process that `rehearse` starts."""
    import time

    from mlwright.lifecycle.predict import load
    from mlwright.lifecycle.project import load_project
    from mlwright.lifecycle.retrain import promote, rollback
    from mlwright.lifecycle.run import RunResult, run

    start = time.monotonic()
    store = folder / ".mlwright"
    project = load_project(folder)

    def attempt(seed: int) -> RunResult:
        nonlocal project
        for _ in range(
            5
        ):  # a sample may be found wanting where the whole was not: accept what it is refused for
            try:
                return run(None, project=project.having(task_seed=seed), store=store)
            except RefusedError as error:
                found = error.details.get("findings", [])
                codes = [f["code"] for f in found if f["severity"] == "stop"]
                if not set(codes) - set(project.checks_accept):
                    raise
                project = project.having(checks_accept=tuple({*project.checks_accept, *codes}))
        raise MlwrightError("the checks go on refusing the sample")

    first, second = attempt(0), attempt(1)
    champions = [first.version]
    champions.append(promote(_NAME, second.version, force=True, store=store).champion)
    champions.append(rollback(_NAME, store=store).champion)
    predictor = load(f"{_NAME}@champion", store=store)
    answer = predictor.predict_one(predictor.golden[0]["record"])
    added = any(c.name == ADDED and c.role is Role.FEATURE for c in predictor.schema.columns)
    return Rehearsal(
        rows=int(first.split["n_train"]) + int(first.split["n_test"]),
        seconds=round(time.monotonic() - start, 1),
        versions=(first.version, second.version),
        proven=first.proven_rows,
        added=added,
        served=str(answer["prediction"]),
        aliases=tuple(champions),
    )


def _main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    try:
        told = perform(Path(sys.argv[1]))
    except MlwrightError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


if __name__ == "__main__":
    _main()
