"""A process that serves the fake bundle: ``python serve_fake.py LOG_DIRECTORY HOST PORT [OPTIONS_AS_JSON]``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from serving_fakes import SumPlan, make

from mlwright.core.errors import BundleContentError, MlwrightError
from mlwright.serving import Predictor, serve
from mlwright.serving.limits import WireLimits
from mlwright.serving.server import Options


class Hanging(SumPlan):
    """A plan that never comes back for whoever is 101 years old."""

    def row(self, cells):
        while cells["age"] == 101.0:
            time.sleep(1)
        return super().row(cells)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    directory, host, port = sys.argv[1:4]
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    bad = options.pop("bad", False)

    def load(_):  # the real one is wired by `Predictor.load` and tested with real bundles
        if bad:
            raise BundleContentError("the bundle is bad")
        return make(plan=Hanging())

    Predictor.load = load
    options["wire"] = WireLimits(**options.pop("wire", {}))
    if "store" in options:
        options["store"] = Path(options["store"])
        options["on_token"] = lambda token: say(f"token {token}")
    try:
        serve(
            "bundle",
            host=host,
            port=int(port),
            log_directory=directory,
            options=Options(**options),
            on_ready=say,
        )
    except MlwrightError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    loaded = sorted(
        set(sys.modules)
        & {"duckdb", "sklearn", "pandas", "mlflow", "optuna", "lightgbm", "catboost", "uvicorn"}
    )
    say(" ".join(["stopped", *loaded]))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "error")
    sys.exit(main())
