"""Verify: prove a bundle again, anywhere, with nothing but the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlwright.serving.predictor import Predictor

__all__ = ["verify"]


def verify(path: str | Path) -> dict[str, Any]:
    """Audit the bundle at `path`, build it, and replay its golden records on the row path and on the batch path.

    Raises
    ------
    BundleError
        With what is wrong.
    """
    predictor = Predictor.load(path)
    rows = [golden["record"] for golden in predictor.golden]
    predictor.verify_golden()
    return {
        "bundle": str(path),
        "name": predictor.name,
        "sha256": predictor.sha256,
        "task": predictor.task.to_json(),
        "golden_rows": len(rows),
        "verified": True,
    }
