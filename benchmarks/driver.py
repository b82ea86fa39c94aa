"""Driver: starts a measured process, waits for it by the clock, ends it with all that it started.

Loads nothing heavy (see records.py).
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENTS", "Ended", "make_environments", "python_for", "run_process", "scratch"]

HERE = Path(__file__).parent

# The environment in which each system runs.
ENVIRONMENTS = {
    "ag_*": "autogluon",
    "flaml": "flaml",
    "catboost": "catboost",
    "lightgbm": "lightgbm",
    "mlwright*": "mlwright",
    "dummy": "mlwright",
    "tfidf*": "mlwright",
}

# What each environment installs, beside what cell.py itself needs. XGBoost comes without its libraries for GPUs.
PACKAGES = {
    "autogluon": ["autogluon.tabular[lightgbm,catboost,xgboost,fastai]>=1.6,<1.7"],
    "flaml": ["flaml[automl]>=2.7,<3", "catboost>=1.2.8"],
    "catboost": ["catboost>=1.2.8"],
    "lightgbm": ["lightgbm>=4.5"],
    "mlwright": ["-e", str(HERE.parent)],
}
NEEDED = ["numpy>=2", "pandas>=2.2", "pyarrow>=18", "scikit-learn>=1.6"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Parameters
    ----------
    code : int
        Its exit code; minus the signal that ended it.
    seconds : float
        Wall clock from start to end.
    peak_mb : float
        The largest resident memory of the process or of one that it waited for.
    killed : str
        Why it was ended, or nothing.
    output, errors : str
        What it wrote; of errors the end.
    """

    code: int
    seconds: float
    peak_mb: float
    killed: str
    output: str
    errors: str


def run_process(
    command: Sequence[str],
    *,
    limit: Callable[[float], str],
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Ended:
    """Run a command to its end, or until `limit`, asked with its age in seconds, gives a reason to kill it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
        killed = ""
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                age = time.monotonic() - start
                if pid:
                    break
                reason = "" if killed else limit(age)
                if reason:
                    killed = reason
                    _end_group(process.pid)
                time.sleep(0.02)
        except BaseException:
            _end_group(process.pid)
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        _end_group(process.pid)  # what it left behind
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Ended(process.returncode, age, usage.ru_maxrss / 1e3, killed, texts[0], texts[1][-4000:])


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class scratch:  # noqa: N801 - a context manager that reads as a verb
    """A folder that goes away, whatever stands in it."""

    def __enter__(self) -> Path:
        self.path = Path(tempfile.mkdtemp(prefix="mlwright-benchmark-"))
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def python_for(system: str, environments: Path | None) -> str:
    """Return the Python of a system's environment, or this one where no folder of environments is named."""
    if environments is None:
        return sys.executable
    for pattern, name in ENVIRONMENTS.items():
        if fnmatch.fnmatch(system, pattern):
            python = environments / name / "bin" / "python"
            if not python.exists():
                raise SystemExit(f"{python} is not there: make it with `--make-envs`")
            return str(python)
    raise SystemExit(f"no system {system!r}; there are: {', '.join(ENVIRONMENTS)}")


def make_environments(folder: Path, names: Sequence[str], wheels: Path | None = None) -> None:
    """Make the virtual environments that are not there yet, with uv.

    `wheels` is a folder of wheels that are preferred: torch without its GPU libraries, for example.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is not there: `pip install uv`")
    for name in names:
        place = folder / name
        if (place / "made").exists():
            continue
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
        wanted = [*PACKAGES[name], *NEEDED]
        local = (
            ["--find-links", str(wheels)] if wheels else ["--torch-backend", "cpu"]
        )  # torch without GPU libraries
        python = str(place / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *local, *wanted], check=True)
        (place / "made").touch()
        print(f"made {place}", file=sys.stderr, flush=True)
