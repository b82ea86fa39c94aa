"""mlwright in a process of its own, and a small model that it made."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from customers import write


@dataclass(frozen=True)
class Made:
    """A folder with a source, its store, and what `mlwright run --json` printed."""

    folder: Path
    source: Path
    printed: dict


def command(*arguments, folder, check=True):
    """Run mlwright in a process of its own and return it, output captured."""
    done = subprocess.run(
        [sys.executable, "-m", "mlwright", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def make(folder):
    """Train on customers.csv in `folder`."""
    source = write(folder / "customers.csv")
    done = command(
        "run",
        source,
        "--target",
        "churned",
        "--budget",
        "60s",
        "--trials",
        "5",
        "--name",
        "churn",
        "--json",
        folder=folder,
    )
    return Made(folder, source, json.loads(done.stdout))
