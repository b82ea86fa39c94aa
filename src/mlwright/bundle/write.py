"""Write a bundle: beside its place, synced, then renamed, so that it is either there and whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from mlwright.bundle.arrays import encode
from mlwright.bundle.contents import MANIFEST, SAFE_NAME, Contents
from mlwright.bundle.state import State
from mlwright.core.errors import BundleFormatError
from mlwright.core.files import canonical_json

__all__ = ["files", "write"]


def files(contents: Contents) -> dict[str, bytes]:
    """Return the files of a bundle by name, the manifest last; equal contents give equal bytes."""
    parts = {**_state_files("plan", contents.plan)}
    for index, model in enumerate(contents.models):
        parts |= _state_files(f"models/{index}", model)
    parts["reference.json"] = canonical_json(contents.reference)
    parts["golden.json"] = canonical_json(contents.golden)
    parts |= contents.documents
    for name in parts:
        if not SAFE_NAME.fullmatch(name):
            raise BundleFormatError(
                "a bundle cannot hold a file of this name", got=name, allowed=SAFE_NAME.pattern
            )
    listing = {
        name: {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)} for name, raw in parts.items()
    }
    return {**dict(sorted(parts.items())), MANIFEST: canonical_json({**contents.manifest, "files": listing})}


def _state_files(prefix: str, state: State) -> dict[str, bytes]:
    parts = {f"{prefix}.json": canonical_json(state.tree)}
    if state.arrays:
        parts[f"{prefix}.safetensors"] = encode(state.arrays)
    return parts | {f"{prefix}.{ending}": blob for ending, blob in state.blobs.items()}


def write(contents: Contents, directory: Path) -> str:
    """Write `contents` to `directory` and return the bundle's SHA-256, that of its manifest.

    Raises
    ------
    BundleFormatError
        If something is at `directory` already, or a part's name is not safe.
    """
    directory = Path(directory)
    if directory.exists():
        raise BundleFormatError(
            "a bundle is never written over something else", got=str(directory), fix="name a new directory"
        )
    parts = files(contents)
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        (temporary / "models").mkdir()
        for name, raw in parts.items():
            with (temporary / name).open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        temporary.rename(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return hashlib.sha256(parts[MANIFEST]).hexdigest()
