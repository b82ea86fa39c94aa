"""Documentation: a registered version's technical documentation, with the files that it cites beside it."""

from __future__ import annotations

import datetime as dt

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import canonical_json
from mlwright.core.types import Json
from mlwright.lifecycle.annex_iv import FILES, Dossier, annex_iv
from mlwright.tracking.entities import ResolvedVersion
from mlwright.tracking.registry import artifact_path, models
from mlwright.tracking.store import Store

__all__ = ["documentation"]

_CITED = ("report.html", "card.md", "datasheet.md")
_GATE = "mlwright.gate"


def documentation(store: Store, version: ResolvedVersion) -> dict[str, bytes]:
    """Return the files by name: ``annex-iv.md``, and what it cites.

    Raises
    ------
    UsageError
        If the task has no target: the annex asks for what only a validated prediction has.
    """
    import msgspec

    files = {"manifest.json": (version.path / "manifest.json").read_bytes()}
    for name in (*FILES, *_CITED):
        if name not in files and (content := _stored(store, version, name)) is not None:
            files[name] = content
    files["versions.json"] = canonical_json(_versions(store, version))
    trees = {name: msgspec.json.decode(content) for name, content in files.items() if name in FILES}
    if "scores" not in trees["evaluation.json"]:
        raise UsageError("the documentation is of models with a target", got=version.name)
    return {"annex-iv.md": annex_iv(Dossier(trees)).encode(), **files}


def _stored(store: Store, version: ResolvedVersion, name: str) -> bytes | None:
    try:
        return artifact_path(store, version.run_id, name).read_bytes()
    except StoreError:  # an older run has fewer files; the bundle may hold it
        path = version.path / name
        return path.read_bytes() if path.is_file() else None


def _versions(store: Store, version: ResolvedVersion) -> Json:
    """Return the version, and all versions of its model with what became of them."""
    of_name = [model for model in models(store) if model.name == version.name]
    return {
        "name": version.name,
        "version": version.version,
        "run_id": version.run_id,
        "versions": [
            {
                "version": each.version,
                "created": dt.datetime.fromtimestamp(each.created, dt.UTC).isoformat(timespec="seconds"),
                "aliases": list(each.aliases),
                "gate": each.tags.get(_GATE, ""),
            }
            for model in of_name
            for each in model.versions
        ],
    }
