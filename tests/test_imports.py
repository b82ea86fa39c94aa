"""What each part must not load: a new process imports it, and says what came along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ENGINES = {
    "alembic", "catboost", "duckdb", "lightgbm", "mlflow", "onnxruntime", "optuna", "pandas", "polars", "pyarrow", "ray",
    "rich", "scipy", "sklearn", "sqlalchemy", "uvicorn",
}  # fmt: skip
TRAINING = (ENGINES - {"pyarrow", "uvicorn"}) | {
    "mlwright.cli", "mlwright.evaluate", "mlwright.lifecycle", "mlwright.search", "mlwright.tracking", "psycopg2",
}  # fmt: skip


def loaded(code: str) -> set[str]:
    """Return the modules, by each dotted beginning, that a fresh interpreter holds after `code`."""
    tail = "\nimport json, sys\nsys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stderr.splitlines()[-1])
    parts = [name.split(".") for name in names]
    return {".".join(part[:length]) for part in parts for length in range(1, len(part) + 1)}


CALLED = "import sys\nfrom mlwright.cli import main\ntry:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code\n"


@pytest.mark.parametrize(
    ("code", "banned"),
    [
        pytest.param("import mlwright", ENGINES | {"numpy", "msgspec"}, id="import"),
        pytest.param(
            "import mlwright\nassert 'run' in dir(mlwright)\nmlwright.MlwrightError",
            ENGINES | {"numpy", "msgspec"},
            id="names",
        ),
        pytest.param(
            CALLED.format(arguments=["--help"]), ENGINES | {"numpy", "mlwright.lifecycle"}, id="help"
        ),
        pytest.param(CALLED.format(arguments=["run", "--help"]), ENGINES | {"numpy"}, id="run-help"),
        pytest.param(CALLED.format(arguments=["--version"]), ENGINES | {"numpy"}, id="version"),
        pytest.param("import mlwright.serving", TRAINING | {"pyarrow", "uvicorn"}, id="serving"),
        pytest.param("import mlwright.bundle", TRAINING | {"pyarrow", "uvicorn"}, id="bundle"),
        pytest.param("import mlwright.data.read, mlwright.data.values", ENGINES, id="data"),
        pytest.param("import mlwright.lifecycle.run", ENGINES, id="lifecycle"),
        pytest.param("import mlwright.tracking.registry, mlwright.tracking.tracker", ENGINES, id="tracking"),
    ],
)
def test_what_is_not_loaded(code, banned):
    came_along = loaded(code)
    assert "mlwright" in came_along
    assert came_along & banned == set()


def test_the_parts_that_a_server_builds_bundles_with_load_no_training():
    code = (
        "from mlwright.core import kinds\n"
        "for table in (kinds.TRANSFORMS, kinds.MODELS):\n"
        "    for kind in table:\n"
        "        kinds.load(table, kind, family='kind')\n"
        "import mlwright.features.plan, mlwright.models.ensemble, mlwright.serving.server\n"
    )
    came_along = loaded(code)
    assert "mlwright.models.catboost" in came_along
    assert came_along & (TRAINING | {"pyarrow", "uvicorn"}) == set()


def test_an_engine_that_is_loaded_is_seen():
    assert "sqlite3" in loaded("import sqlite3.dbapi2")
