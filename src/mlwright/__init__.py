"""mlwright: the machine learning engineer as software.

Public names load when they are first used (PEP 562), so that ``import mlwright`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlwright.core.errors import MlwrightError
    from mlwright.data.read import read
    from mlwright.lifecycle.explain import explain
    from mlwright.lifecycle.predict import load, predict
    from mlwright.lifecycle.project import Project, load_project
    from mlwright.lifecycle.reproduce import reproduce
    from mlwright.lifecycle.result import RunResult
    from mlwright.lifecycle.retrain import promote, retrain, rollback
    from mlwright.lifecycle.run import run
    from mlwright.lifecycle.score import score
    from mlwright.lifecycle.upkeep import doctor, gc, init
    from mlwright.lifecycle.verify import verify
    from mlwright.serving.predictor import Predictor

__all__ = [
    "MlwrightError",
    "Predictor",
    "Project",
    "RunResult",
    "__version__",
    "doctor",
    "explain",
    "gc",
    "init",
    "load",
    "load_project",
    "predict",
    "promote",
    "read",
    "reproduce",
    "retrain",
    "rollback",
    "run",
    "score",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    "MlwrightError": "mlwright.core.errors",
    "Predictor": "mlwright.serving.predictor",
    "Project": "mlwright.lifecycle.project",
    "RunResult": "mlwright.lifecycle.result",
    "doctor": "mlwright.lifecycle.upkeep",
    "explain": "mlwright.lifecycle.explain",
    "gc": "mlwright.lifecycle.upkeep",
    "init": "mlwright.lifecycle.upkeep",
    "load": "mlwright.lifecycle.predict",
    "load_project": "mlwright.lifecycle.project",
    "predict": "mlwright.lifecycle.predict",
    "promote": "mlwright.lifecycle.retrain",
    "read": "mlwright.data.read",
    "reproduce": "mlwright.lifecycle.reproduce",
    "retrain": "mlwright.lifecycle.retrain",
    "rollback": "mlwright.lifecycle.retrain",
    "run": "mlwright.lifecycle.run",
    "score": "mlwright.lifecycle.score",
    "verify": "mlwright.lifecycle.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlwright' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
