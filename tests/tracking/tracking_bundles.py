"""Folders that look like bundles to tracking."""

from __future__ import annotations

import json
from pathlib import Path


def write_bundle(directory: Path, content: str = "1") -> Path:
    """A folder that looks like a bundle to tracking, which never looks further than the manifest."""
    (directory / "models").mkdir(parents=True)
    (directory / "models" / "0.lgb").write_text(content)
    (directory / "manifest.json").write_text(json.dumps({"content": content}))
    return directory
