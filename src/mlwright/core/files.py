"""Files that are either there and whole, or not there: write beside, sync, rename."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["canonical_json", "read_json", "sha256_file", "synced", "write_atomic"]


def canonical_json(tree: Any) -> bytes:
    """Return `tree` as JSON with sorted keys, so that equal trees give equal bytes.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [1.5, None]})
    b'{"a":[1.5,null],"b":1}'
    """
    return msgspec.json.encode(tree, order="sorted")


def read_json(path: Path) -> Any:
    """Return the JSON tree in the file at `path`."""
    return msgspec.json.decode(path.read_bytes())


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a crash leaves the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def synced(path: Path) -> Path:
    """Have what was written to `path` put on the disk, and return the path."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
