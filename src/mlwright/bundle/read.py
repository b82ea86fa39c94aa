"""Read a bundle: audit first (names, sizes, hashes, kinds, types, shapes), then hand over plain data.

Nothing is imported, executed or built here, and no file outside the directory is opened. The trust list, the tables in
`mlwright.core.kinds`, lies with this reader and never in the file.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import msgspec

from mlwright.bundle.arrays import decode
from mlwright.bundle.contents import (
    FORMAT,
    MANIFEST,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    MAX_TOTAL_BYTES,
    SAFE_NAME,
    Contents,
)
from mlwright.bundle.state import State
from mlwright.core import kinds
from mlwright.core.errors import BundleContentError, BundleFormatError, BundleIntegrityError

__all__ = ["read"]

_KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "name": str,
    "task": dict,
    "schema": list,
    "ensemble": list,
    "lineage": dict,
    "kinds": dict,
    "files": dict,
}
_LINKS = ("identity", "log")


def read(path: str | Path) -> Contents:
    """Return the contents of the bundle at `path` after the whole audit has passed.

    Raises
    ------
    BundleFormatError
        Not a bundle, or of a version that this mlwright does not know.
    BundleIntegrityError
        A file is missing, added, linked, or differs from the manifest in size or hash.
    BundleKindError
        A transform or model is of a kind that is not in the tables.
    BundleContentError
        A part is malformed.
    """
    root = Path(path)
    manifest_bytes = _read_manifest(root)
    manifest = _json(manifest_bytes, MANIFEST)
    _audit_manifest(manifest, root)
    parts = _read_files(root, manifest["files"])
    plan = _state("plan", parts)
    models = [_state(f"models/{index}", parts) for index in range(len(manifest["ensemble"]))]
    _audit_kinds(manifest, plan, models)
    used = {"reference.json", "golden.json"} | _names("plan", parts)
    for index in range(len(models)):
        used |= _names(f"models/{index}", parts)
    documents = {name: raw for name, raw in parts.items() if name not in used}
    odd = sorted(name for name in documents if not name.endswith((".html", ".md")))
    if odd:
        raise BundleContentError("a bundle holds a file that is no part of it", got=odd[0])
    return Contents(
        name=manifest["name"],
        task=manifest["task"],
        schema=manifest["schema"],
        plan=plan,
        models=models,
        ensemble=manifest["ensemble"],
        lineage=manifest["lineage"],
        reference=_object(parts, "reference.json"),
        golden=_golden(parts),
        documents=documents,
        calibration=manifest.get("calibration"),
        bounds=manifest.get("bounds"),
        offset=manifest.get("offset"),
        conformal=manifest.get("conformal"),
        path=root,
        sha256=hashlib.sha256(manifest_bytes).hexdigest(),
    )


def _read_manifest(root: Path) -> bytes:
    if not root.is_dir():
        raise BundleFormatError(
            "no bundle here" if not root.exists() else "a bundle is a directory",
            got=str(root),
            fix="name the directory that holds manifest.json",
        )
    if not _is_plain(root / MANIFEST):
        raise BundleFormatError(
            f"no {MANIFEST} in the directory", got=str(root), fix="name the directory of a bundle"
        )
    if (root / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
        raise BundleFormatError(f"{MANIFEST} is too large", allowed=f"{MAX_MANIFEST_BYTES} bytes")
    return (root / MANIFEST).read_bytes()


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _json(raw: bytes, file: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BundleContentError(f"{file} is not JSON: {error}") from error


def _audit_manifest(manifest: Any, root: Path) -> None:
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise BundleFormatError(f"{MANIFEST} is not a bundle's", got=str(root))
    if manifest["format"] != FORMAT or isinstance(manifest["format"], bool):
        raise BundleFormatError(
            "a format version that this mlwright cannot read",
            got=manifest["format"],
            allowed=str(FORMAT),
            fix="upgrade mlwright",
        )
    for key, kind in _KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise BundleContentError(
                f"{MANIFEST}: '{key}' is missing or of the wrong type", got=manifest.get(key)
            )
    for member in manifest["ensemble"]:
        if not (
            isinstance(member, dict)
            and isinstance(member.get("view"), str)
            and isinstance(member.get("weight"), (int, float))
            and 0 <= member["weight"] <= 1
            and member.get("link") in _LINKS
        ):
            raise BundleContentError(f"{MANIFEST}: a member of the ensemble is malformed", got=member)
    if not manifest["ensemble"]:
        raise BundleContentError(f"{MANIFEST}: the ensemble has no member")


def _read_files(root: Path, listing: dict[str, Any]) -> dict[str, bytes]:
    if len(listing) > MAX_FILES:
        raise BundleIntegrityError("too many files", got=len(listing), allowed=str(MAX_FILES))
    total = 0
    for name, entry in listing.items():
        if not SAFE_NAME.fullmatch(name) or name == MANIFEST:
            raise BundleIntegrityError(f"{MANIFEST} lists a file of a name that is not safe", got=name)
        if (
            not isinstance(entry, dict)
            or type(entry.get("size")) is not int
            or not isinstance(entry.get("sha256"), str)
        ):
            raise BundleContentError(f"{MANIFEST}: the entry of '{name}' is malformed", got=entry)
        total += entry["size"]
    if total > MAX_TOTAL_BYTES:
        raise BundleIntegrityError("the bundle is too large", got=total, allowed=f"{MAX_TOTAL_BYTES} bytes")
    present = _present(root)
    if present != set(listing):
        extra, absent = sorted(present - set(listing)), sorted(set(listing) - present)
        word, name = ("is not in the manifest", extra[0]) if extra else ("is missing", absent[0])
        raise BundleIntegrityError(
            f"the file '{name}' {word}", fix="fetch the bundle again from where it was made"
        )
    parts = {}
    for name, entry in sorted(listing.items()):
        size = (root / name).stat().st_size
        if size != entry["size"]:
            raise BundleIntegrityError(
                f"the file '{name}' has another size than the manifest says",
                got=size,
                allowed=str(entry["size"]),
            )
        raw = (root / name).read_bytes()
        if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
            raise BundleIntegrityError(
                f"the file '{name}' has another hash than the manifest says",
                fix="fetch the bundle again from where it was made",
            )
        parts[name] = raw
    return parts


def _present(root: Path) -> set[str]:
    """All files below `root` but the manifest; anything that is neither a plain file nor ``models/`` is refused."""
    names = set()
    for folder, prefix in ((root, ""), (root / "models", "models/")):
        if folder.is_symlink():
            raise BundleIntegrityError("a bundle holds no links", got=str(folder))
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            if not prefix and entry.name == "models" and entry.is_dir() and not entry.is_symlink():
                continue
            if not _is_plain(entry):
                raise BundleIntegrityError("a bundle holds plain files only", got=prefix + entry.name)
            names.add(prefix + entry.name)
    return names - {MANIFEST}


def _names(prefix: str, parts: dict[str, bytes]) -> set[str]:
    return {name for name in parts if name.startswith(f"{prefix}.")}


def _object(parts: dict[str, bytes], name: str) -> dict[str, Any]:
    tree = _json(parts[name], name) if name in parts else None
    if not isinstance(tree, dict):
        raise BundleContentError(f"{name} is missing or no JSON object")
    return tree


def _state(prefix: str, parts: dict[str, bytes]) -> State:
    tree = _object(parts, f"{prefix}.json")
    packed = parts.get(f"{prefix}.safetensors")
    arrays = {} if packed is None else decode(packed, f"{prefix}.safetensors")
    endings = {name: name[len(prefix) + 1 :] for name in _names(prefix, parts)}
    blobs = {ending: parts[name] for name, ending in endings.items() if ending not in {"json", "safetensors"}}
    return State(tree, arrays, blobs)


def _golden(parts: dict[str, bytes]) -> list[dict[str, Any]]:
    tree = _json(parts["golden.json"], "golden.json") if "golden.json" in parts else None
    if not isinstance(tree, list) or not all(
        isinstance(row, dict)
        and isinstance(row.get("record"), dict)
        and isinstance(row.get("prediction"), dict)
        for row in tree
    ):
        raise BundleContentError("golden.json is missing or no list of records with predictions")
    return tree


def _audit_kinds(manifest: dict[str, Any], plan: State, models: list[State]) -> None:
    views = plan.tree.get("children")
    if not isinstance(views, dict) or not views:
        raise BundleContentError("plan.json holds no view")
    for name, view in views.items():
        transforms = view.get("children") if isinstance(view, dict) else None
        if not isinstance(transforms, dict) or not all(
            isinstance(tree, dict) for tree in transforms.values()
        ):
            raise BundleContentError(f"plan.json: the view '{name}' is malformed")
        for tree in transforms.values():
            kinds.require(kinds.TRANSFORMS, tree.get("kind", ""), family="transform")
    for model in models:
        kinds.require(kinds.MODELS, model.tree.get("kind", ""), family="model")
    for member in manifest["ensemble"]:
        if member["view"] not in views:
            raise BundleContentError(
                "a member of the ensemble names a view that the plan does not hold",
                got=member["view"],
                allowed=sorted(views),
            )
