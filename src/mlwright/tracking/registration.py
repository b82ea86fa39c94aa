"""From a bundle to a model version: the files first, whole or not at all, then one transaction in the registry.

The folder ``model/`` of the run is a plain MLflow model: an ``MLmodel`` that names `mlwright.mlflow_flavor` as its
loader, the bundle as its data, and what to install. It holds no pickle and no code.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mlwright.core.errors import BundleFormatError, StoreError, UsageError
from mlwright.core.files import sha256_file
from mlwright.data.schema import Role, Schema
from mlwright.tracking.entities import BUNDLE_FOLDER, BUNDLE_TAG, MODEL_FOLDER, SHA256_TAG
from mlwright.tracking.lineage import lock_hash
from mlwright.tracking.opening import translated
from mlwright.tracking.store import Store

__all__ = ["LOADER_MODULE", "register", "write_model"]

LOADER_MODULE = "mlwright.mlflow_flavor"
_MANIFEST = "manifest.json"


def register(
    store: Store,
    client: Any,
    run_id: str,
    name: str,
    bundle: Path,
    *,
    schema: Schema | None,
    tags: Mapping[str, str],
    description: str,
) -> int:
    """Do what `mlwright.tracking.tracker.Tracker.register` says."""
    if not re.fullmatch(r"[^/:@\s][^/:@]{0,199}", name):
        raise UsageError(
            "not a name for a model", got=name, allowed="1 to 200 characters without '/', ':' or '@'"
        )
    if not (bundle / _MANIFEST).is_file():
        raise BundleFormatError("not a bundle: it has no manifest", got=str(bundle))
    digest = sha256_file(bundle / _MANIFEST)
    # One at a time on this machine, so that the same run is never registered twice and leftovers may be cleared.
    with store.locked("register"), translated(f"the bundle of run {run_id} cannot be registered as '{name}'"):
        run = client.get_run(run_id)
        made = list(client.search_model_versions(f"run_id = '{run_id}'", max_results=1000))
        for version in made:
            if version.name == name and version.tags.get(SHA256_TAG) == digest:
                return int(version.version)
        folder = MODEL_FOLDER
        if any(version.tags.get(SHA256_TAG) != digest for version in made):
            # The run was taken up again and gave another bundle; what a version already stands on is never touched.
            folder = f"{MODEL_FOLDER}-{digest[:12]}"
        _keep(store, client, run, folder, bundle, digest, schema)
        client.set_tag(run_id, BUNDLE_TAG, f"{folder}/{BUNDLE_FOLDER}")
        _create_model(client, name)
        version = client.create_model_version(
            name,
            f"{run.info.artifact_uri.rstrip('/')}/{folder}",
            run_id,
            tags={**tags, SHA256_TAG: digest},
            description=description or None,
        )
        if version.status != "READY":
            raise StoreError(f"MLflow says that {name}/{version.version} is {version.status}, not READY")
        return int(version.version)


def write_model(directory: Path, bundle: Path, run_id: str, schema: Schema | None) -> None:
    """Write the MLflow model of `bundle` to the empty folder `directory`.

    The signature names the features and lets any value through: the bundle checks records itself, and MLflow's own
    check would refuse an integer column for a float one.
    """
    from mlflow.utils.yaml_utils import write_yaml
    from mlflow.version import VERSION

    shutil.copytree(bundle, directory / BUNDLE_FOLDER)
    requirements = [line for line in lock_hash()[1] if not line.startswith("python==")]
    (directory / "requirements.txt").write_text("\n".join(requirements) + "\n")
    python = platform.python_version()
    model: dict[str, Any] = {
        "flavors": {
            "python_function": {
                "data": BUNDLE_FOLDER,
                "env": {"virtualenv": "python_env.yaml"},
                "loader_module": LOADER_MODULE,
                "python_version": python,
            }
        },
        "mlflow_version": VERSION,
        "run_id": run_id,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if schema is not None and schema.features:
        read = (*schema.features, *schema.having(Role.GROUP))  # a group may be known
        inputs = [{"type": "any", "name": column.name, "required": False} for column in read]
        model["signature"] = {
            "inputs": msgspec.json.encode(inputs).decode(),
            "outputs": None,
            "params": None,
        }
    environment = {"python": python, "dependencies": ["-r requirements.txt"]}
    write_yaml(str(directory), "python_env.yaml", environment)
    write_yaml(str(directory), "MLmodel", model, ensure_yaml_extension=False)


def _keep(
    store: Store, client: Any, run: Any, folder: str, bundle: Path, digest: str, schema: Schema | None
) -> None:
    """Put the model among the run's artifacts, if it is not there already."""
    root = store.local_path(run.info.artifact_uri)
    place = None if root is None else root / folder
    if place is not None and place.exists():
        manifest = place / BUNDLE_FOLDER / _MANIFEST
        if manifest.is_file() and sha256_file(manifest) == digest:
            return  # a kill came between the files and the version
        shutil.rmtree(place)  # no version uses it: the caller looked
    # Where the store holds the artifacts, work on its own disk, so that one rename puts everything in place.
    inside = place is None or place.is_relative_to(store.root)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
    parent = store.tmp if inside or place is None else place.parent
    for leftover in parent.glob(".register-*"):
        shutil.rmtree(leftover)
    fresh = Path(tempfile.mkdtemp(dir=parent, prefix=".register-"))
    try:
        write_model(fresh, bundle, run.info.run_id, schema)
        fresh.chmod(0o755)
        if place is None:
            client.log_artifacts(run.info.run_id, str(fresh), folder)
        else:
            _sync(fresh)
            fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _create_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
