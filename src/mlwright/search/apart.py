"""Apart: a fit in a process of its own, so that one that the system kills for its memory does not take the run along.

The process gets arrays as plain ``.npy`` files, which it maps and does not copy, and gives the fitted model back as the state
that a bundle would hold: JSON, named arrays and native formats, read through the same audit. It asks the system to be killed
before any other, and ends with whoever started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwright.bundle.arrays import decode, encode
from mlwright.bundle.state import State
from mlwright.core import kinds
from mlwright.core.files import read_json
from mlwright.core.types import Floats
from mlwright.data.schema import Task
from mlwright.models.base import FitContext, Model

__all__ = ["FitError", "describe", "fit_apart", "main", "stop_by"]

_GRACE = 20.0  # seconds that a fit may take beyond its time, to start and to write
_SCRIPT = "from mlwright.search.apart import main; main()"
_PR_SET_PDEATHSIG = 1


class FitError(Exception):
    """A fit that came to nothing; the run goes on without it.

    Parameters
    ----------
    reason : str
        What stands in the journal and in the report.
    number : int, optional
        The trial's.
    """

    def __init__(self, reason: str, number: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.number = reason, number


def fit_apart(
    kind: str,
    params: Mapping[str, Any],
    X: Floats,
    y: Floats,
    context: FitContext,
    *,
    left: float = np.inf,
    must_step: bool = False,
    started: Callable[[int], None] | None = None,
) -> Model:
    """Fit a model in a process of its own; it has the bits of one that is fitted here.

    Parameters
    ----------
    kind : str
        Of `mlwright.core.kinds.MODELS`.
    params : mapping
        Its hyperparameters.
    X, y, context
        As for `Model.fit`; the process cannot ask ``context.stop``, and gets `left` in its place.
    left : float
        Seconds until the fit is to stop, its start included.
    must_step : bool
        Whether it makes a first step in any case; see `stop_by`.
    started : callable, optional
        Gets the process's id.

    Raises
    ------
    FitError
        If the process is killed, runs out of memory, or the learner cannot fit this table.
    """
    with tempfile.TemporaryDirectory(prefix="mlwright-fit-") as name:
        folder = Path(name)
        arrays = {"X": X, "y": y, "weights": context.weights, "valid_weights": context.valid_weights}
        if context.valid is not None:
            arrays |= {"valid_X": context.valid[0], "valid_y": context.valid[1]}
        for key, array in arrays.items():
            if array is not None:
                np.save(folder / f"{key}.npy", array, allow_pickle=False)
        asked = {
            "kind": kind,
            "params": params,
            "task": context.task.to_json(),
            "categorical": context.categorical,
            "groups": context.groups,
            "n_iterations": context.n_iterations,
            "threads": context.threads,
            "seed": context.seed,
            # One clock for all processes of a machine.
            "end": time.monotonic() + left if np.isfinite(left) else None,
            "must_step": must_step,
        }
        (folder / "asked.json").write_bytes(msgspec.json.encode(asked))
        _run(folder, left, started)
        told = read_json(folder / "told.json")
        if "failed" in told:
            raise FitError(told["failed"])
        blobs = {key: (folder / f"blob.{key}").read_bytes() for key in told["blobs"]}
        state = State(told["tree"], decode((folder / "arrays").read_bytes(), "a fit's arrays"), blobs)
    model = kinds.load(kinds.MODELS, kind, family="model").from_state(state)
    model.curve_ = [(int(iteration), float(loss)) for iteration, loss in told["curve"]]
    return model


def stop_by(over: Callable[[], bool], *, must_step: bool) -> Callable[[], bool]:
    """Return what a learner is to ask, given whether time is over; with `must_step` the first answer is no.

    That question comes before the first step or right after it, so that a learner has made one when it stops.
    """
    questions = itertools.count(0 if must_step else 1)
    return lambda: next(questions) > 0 and over()


def _run(folder: Path, left: float, started: Callable[[int], None] | None) -> None:
    path = os.pathsep.join(part for part in sys.path if part)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-c", _SCRIPT, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    )
    if started is not None:
        started(process.pid)
    try:
        process.wait(None if not np.isfinite(left) else max(0.0, left) + _GRACE)
    except subprocess.TimeoutExpired:
        raise FitError(f"it was ended {_GRACE:g} s after its time") from None
    finally:
        process.kill()
        code = process.wait()
    if code == -signal.SIGKILL:
        raise FitError("its process was killed (signal 9), as the system does where memory runs out")
    if code != 0:
        raise FitError(f"its process ended {'by signal' if code < 0 else 'with code'} {abs(code)}")


def main() -> None:
    """Fit what the folder named on the command line asks for, and write there what came of it."""
    from threadpoolctl import threadpool_limits

    folder = Path(sys.argv[1])
    _be_the_first_to_go()
    warnings.simplefilter("ignore")  # the study says what matters
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            told = _fitted(folder)
    except Exception as error:  # noqa: BLE001 - told to the study, which goes on without this fit
        told = {"failed": describe(error)}
    (folder / "told.json").write_bytes(msgspec.json.encode(told))


def describe(error: Exception) -> str:
    """Return what went wrong in one line."""
    if isinstance(error, MemoryError):
        return "memory ran out"
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"[:300]


def _fitted(folder: Path) -> dict[str, Any]:
    asked = read_json(folder / "asked.json")
    arrays = {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in folder.glob("*.npy")}
    end = asked["end"]
    context = FitContext(
        task=Task.from_json(asked["task"]),
        categorical=tuple(asked["categorical"]),
        groups=tuple(asked["groups"]),
        valid=(arrays["valid_X"], arrays["valid_y"]) if "valid_X" in arrays else None,
        weights=arrays.get("weights"),
        valid_weights=arrays.get("valid_weights"),
        n_iterations=asked["n_iterations"],
        stop=stop_by(lambda: end is not None and time.monotonic() >= end, must_step=asked["must_step"]),
        threads=asked["threads"],
        seed=asked["seed"],
    )
    learner = kinds.load(kinds.MODELS, asked["kind"], family="model")
    model = learner(**asked["params"]).fit(arrays["X"], arrays["y"], context)
    state = model.state()
    (folder / "arrays").write_bytes(encode(state.arrays))
    for key, blob in state.blobs.items():
        (folder / f"blob.{key}").write_bytes(blob)
    return {"tree": state.tree, "blobs": list(state.blobs), "curve": [list(point) for point in model.curve_]}


def _be_the_first_to_go() -> None:
    """Ask Linux to kill this process before any other where memory runs out, and when the one that started it ends."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
