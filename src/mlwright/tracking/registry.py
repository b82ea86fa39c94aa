"""Reading models and runs: names to bundles, and lists. Never writes.

A local store is read straight from MLflow's SQLite file by the standard library, in about a millisecond and without
importing MLflow, so that a server starts fast. Any other ``MLFLOW_TRACKING_URI`` goes through MLflow's own client.
Both give equal answers.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import read_json
from mlwright.tracking.client_source import ClientSource
from mlwright.tracking.entities import (
    BUNDLE_FOLDER,
    BUNDLE_TAG,
    CHAMPION,
    MODEL_FOLDER,
    PLAN_FILE,
    SHA256_TAG,
    ModelInfo,
    ResolvedVersion,
    RunInfo,
    Source,
    VersionInfo,
)
from mlwright.tracking.sqlite_source import SqliteSource
from mlwright.tracking.store import Store

__all__ = [
    "artifact_path",
    "bundle_at",
    "bundle_path",
    "find_run_id",
    "load_plan",
    "models",
    "open_source",
    "resolve",
    "runs",
]


def open_source(store: Store) -> Source:
    """Return the way to read `store`: its SQLite file, or MLflow's client for any other tracking URI."""
    return SqliteSource(store.database) if store.is_local else ClientSource(store)


def bundle_at(model: str | Path) -> Path | None:
    """Return the bundle's directory that `model` is the path of; None if it is a name for the registry.

    A word is a name, even where a folder is called so, unless that folder is a bundle. What begins like a path
    (``./``, ``../``, ``/``, ``~``) is one, whether anything is there or not.

    Examples
    --------
    >>> bundle_at("churn@champion") is None
    True
    """
    path = Path(model).expanduser()
    if isinstance(model, Path) or str(model).startswith(("./", "../", "~")) or path.is_absolute():
        return path
    return path if (path / "manifest.json").is_file() or (path.is_dir() and "/" in str(model)) else None


def resolve(store: Store, selector: str) -> ResolvedVersion:
    """Return the version that `selector` names, with its bundle on this machine.

    Parameters
    ----------
    store : Store
        Where to look.
    selector : str
        ``"churn"`` (its champion), ``"churn@challenger"`` (an alias) or ``"churn/3"`` (a version).

    Raises
    ------
    UsageError
        If there is no such model, version or alias; the message names what there is.
    StoreError
        If the version's files are not where MLflow says.
    """
    source = open_source(store)
    found = _version(source, selector)
    return ResolvedVersion(
        found.name, found.version, found.run_id, _bundle(store, source, found), found.tags, found.aliases
    )


def models(store: Store) -> list[ModelInfo]:
    """Return every registered model that has a version, by name."""
    source = open_source(store)
    found = (source.model(name) for name in source.names())
    return [model for model in found if model is not None and model.versions]


def runs(store: Store, name: str | None = None, limit: int = 50) -> list[RunInfo]:
    """Return the newest `limit` runs, newest first; with `name`, of that experiment (project) only."""
    return open_source(store).runs(name, limit)


def artifact_path(store: Store, run_id: str, path: str) -> Path:
    """Return where the file or folder `path` of a run lies on this machine, fetching it if it lies elsewhere.

    Raises
    ------
    UsageError
        If there is no such run.
    StoreError
        If the run has no such file.
    """
    source = open_source(store)
    run = source.run(run_id)
    if run is None:
        raise UsageError("unknown run", got=run_id, fix="take one that `mlwright runs` lists")
    root = store.local_path(run.artifact_uri)
    place = source.fetch(run.artifact_uri, path, _cache(store, run_id)) if root is None else root / path
    if not place.exists():
        raise StoreError(f"the run {run_id} has no '{path}'", got=str(place))
    return place


def bundle_path(store: Store, run_id: str) -> Path:
    """Return where the bundle that the run registered lies on this machine."""
    run = open_source(store).run(run_id)
    default = f"{MODEL_FOLDER}/{BUNDLE_FOLDER}"
    return artifact_path(store, run_id, default if run is None else run.tags.get(BUNDLE_TAG, default))


def find_run_id(store: Store, text: str) -> str:
    """Return the id of the run that `text` means.

    Parameters
    ----------
    store : Store
        Where to look.
    text : str
        A run's id or a unique beginning of it, or a version as in ``churn@champion`` or ``churn/3``.

    Raises
    ------
    UsageError
        If no run or several are meant.
    """
    source = open_source(store)
    if "/" in text or "@" in text:
        return _version(source, text).run_id
    found = source.run_ids(text) if text else []
    if len(found) != 1:
        raise UsageError(
            "several runs begin so" if found else "unknown run",
            got=text,
            allowed=found or None,
            fix="take one that `mlwright runs` lists",
        )
    return found[0]


def load_plan(store: Store, run_id: str) -> dict[str, Any]:
    """Return the plan that the run was made by, as it was recorded in ``plan.json``."""
    return read_json(artifact_path(store, run_id, PLAN_FILE))


def _parse(selector: str) -> tuple[str, int | None, str]:
    name, slash, version = selector.partition("/")
    if slash:
        if not name or not version.isdecimal():
            raise UsageError(
                "not a model", got=selector, allowed="a name, name@alias or name/version, as in churn/3"
            )
        return name, int(version), ""
    name, at, alias = selector.partition("@")
    if not name or (at and not alias):
        raise UsageError("not a model", got=selector, allowed="a name, name@alias or name/version")
    return name, None, alias or CHAMPION


def _version(source: Source, selector: str) -> VersionInfo:
    name, version, alias = _parse(selector)
    model = source.model(name, metrics=False)
    if model is None:
        raise _unknown_model(name, source.names())
    if version is None:
        version = model.aliases.get(alias)
        if version is None:
            raise _no_alias(model, alias)
    found = next((v for v in model.versions if v.version == version), None)
    if found is None:
        raise UsageError(
            f"the model '{name}' has no such version",
            got=version,
            allowed=[f"{name}/{v.version}" for v in model.versions[:20]],
        )
    return found


def _unknown_model(name: str, names: list[str]) -> UsageError:
    if not names:
        return UsageError(
            f"there is no model '{name}': no model has been registered yet",
            fix="run `mlwright run ...` first",
        )
    near = difflib.get_close_matches(name, names, n=3)
    return UsageError(
        "unknown model",
        got=name,
        allowed=(near or names)[:20],
        fix=f"did you mean '{near[0]}'?" if near else None,
    )


def _no_alias(model: ModelInfo, alias: str) -> UsageError:
    versions = [f"{model.name}/{v.version}" for v in model.versions[:20]]
    if alias == CHAMPION:
        return UsageError(
            f"the model '{model.name}' has no champion yet",
            allowed=versions or "none: it has no version either",
            fix=f"promote a version, as in `mlwright promote {versions[0]}`, or name one"
            if versions
            else None,
        )
    aliases = [f"{model.name}@{known}" for known in sorted(model.aliases)]
    return UsageError(
        f"the model '{model.name}' has no such alias", got=alias, allowed=[*aliases, *versions] or "none"
    )


def _bundle(store: Store, source: Source, version: VersionInfo) -> Path:
    """Return the version's bundle directory, fetched once into the store where it lies elsewhere."""
    root = store.local_path(version.source)
    if root is not None:
        path = root / BUNDLE_FOLDER
        if not path.is_dir():
            raise StoreError(
                f"the files of {version.name}/{version.version} are missing, or are no bundle of mlwright",
                got=str(path),
                fix="bring the store's artifacts folder back, or retrain",
            )
        return path
    key = version.tags.get(SHA256_TAG) or f"{version.name}-{version.version}-{version.run_id}"
    place = _cache(store, key) / BUNDLE_FOLDER
    return place if place.is_dir() else source.fetch(version.source, BUNDLE_FOLDER, place.parent)


def _cache(store: Store, key: str) -> Path:
    return store.tmp / "fetched" / key
