"""A process that serves the fake bundle: ``python serve_fake.py LOG_DIRECTORY HOST PORT``."""

from __future__ import annotations

import os
import sys

from serving_fakes import make

from mlwright.core.errors import MlwrightError
from mlwright.serving import Predictor, serve


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    directory, host, port = sys.argv[1:]
    Predictor.load = lambda _: (
        make()
    )  # the real one is wired by `Predictor.load` and tested with real bundles
    try:
        serve(
            "bundle",
            host=host,
            port=int(port),
            log_directory=directory,
            on_ready=say,
        )
    except MlwrightError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    loaded = sorted(
        set(sys.modules) & {"duckdb", "sklearn", "pandas", "mlflow", "optuna", "lightgbm", "catboost"}
    )
    say(" ".join(["stopped", *loaded]))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "error")
    sys.exit(main())
