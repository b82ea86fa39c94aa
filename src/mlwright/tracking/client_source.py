"""Any MLflow tracking URI, read by MLflow's own client: PostgreSQL, another SQLite file, or a tracking server."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from mlwright.tracking.entities import ModelInfo, RunInfo, VersionInfo, unclipped
from mlwright.tracking.opening import open_client, translated
from mlwright.tracking.store import Store

__all__ = ["ClientSource"]


class ClientSource:
    """A `Source` over MLflow's client for `store`'s tracking URI."""

    def __init__(self, store: Store, client: Any = None) -> None:
        self._store = store
        self._client = open_client(store) if client is None else client

    def names(self) -> list[str]:
        """Return all registered models' names, sorted."""
        with translated("the registered models cannot be listed"):
            return sorted(model.name for model in _pages(self._client.search_registered_models))

    def model(self, name: str, *, metrics: bool = True) -> ModelInfo | None:
        """Return the model called `name` with all its versions, newest first, or None."""
        with translated(f"the model '{name}' cannot be read"):
            try:
                model = self._client.get_registered_model(name)
            except Exception as error:
                if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
            aliases = {alias: int(version) for alias, version in sorted(model.aliases.items())}
            # A model's name holds no quote that matters here: double quotes go round single ones.
            quote = '"' if "'" in name else "'"
            versions = _pages(
                self._client.search_model_versions, filter_string=f"name = {quote}{name}{quote}"
            )
            return ModelInfo(
                name,
                aliases,
                dict(sorted(model.tags.items())),
                tuple(
                    self._version(version, aliases, metrics=metrics)
                    for version in sorted(versions, key=lambda v: int(v.version), reverse=True)
                ),
            )

    def runs(self, experiment: str | None, limit: int) -> list[RunInfo]:
        """Return the newest `limit` runs, newest first."""
        with translated("the runs cannot be listed"):
            names = {
                found.experiment_id: found.name
                for found in _pages(self._client.search_experiments)
                if experiment is None or found.name == experiment
            }
            if not names:
                return []
            found: list[Any] = []
            token = None
            while len(found) < limit:
                page = self._client.search_runs(
                    list(names),
                    max_results=min(limit - len(found), 1000),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                found += page
                token = page.token
                if not token:
                    break
            return [_run(run, names[run.info.experiment_id]) for run in found]

    def run(self, run_id: str) -> RunInfo | None:
        """Return the run with this identifier, or None."""
        with translated(f"the run {run_id} cannot be read"):
            try:
                run = self._client.get_run(run_id)
            except Exception as error:
                if getattr(error, "error_code", "") in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise
            if run.info.lifecycle_stage != "active":
                return None
            return _run(run, self._client.get_experiment(run.info.experiment_id).name)

    def run_ids(self, beginning: str) -> list[str]:
        """Return the ids of the runs that begin so, sorted, at most ten."""
        exact = self.run(beginning)
        if exact is not None:
            return [exact.run_id]
        with translated("the runs cannot be searched"):
            experiments = [found.experiment_id for found in _pages(self._client.search_experiments)]
            found = _pages(self._client.search_runs, experiment_ids=experiments)
            return sorted(run.info.run_id for run in found if run.info.run_id.startswith(beginning))[:10]

    def fetch(self, uri: str, path: str, into: Path) -> Path:
        """Copy `path` under the artifact address `uri` into `into`, whole or not at all; return it."""
        from mlflow.artifacts import download_artifacts

        place = into / path
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._store.tmp) as folder:
            with translated(f"'{path}' cannot be fetched from {uri}"):
                fetched = Path(
                    download_artifacts(
                        artifact_uri=f"{uri.rstrip('/')}/{path}",
                        dst_path=folder,
                        tracking_uri=self._store.tracking_uri,
                    )
                )
            with self._store.locked("fetch"):
                if place.is_dir():
                    shutil.rmtree(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                fetched.replace(place)
        return place

    def _version(self, version: Any, aliases: dict[str, int], *, metrics: bool) -> VersionInfo:
        number = int(version.version)
        run = self._client.get_run(version.run_id) if metrics and version.run_id else None
        return VersionInfo(
            version.name,
            number,
            version.run_id or "",
            version.source or "",
            version.description or "",
            version.creation_timestamp / 1000,
            tuple(alias for alias, target in aliases.items() if target == number),
            dict(sorted(version.tags.items())),
            {} if run is None else _metrics(run),
        )


def _pages(search: Any, **arguments: Any) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = search(**arguments, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _metrics(run: Any) -> dict[str, float]:
    return {key: unclipped(value) for key, value in sorted(run.data.metrics.items())}


def _run(run: Any, experiment: str) -> RunInfo:
    info = run.info
    return RunInfo(
        info.run_id,
        experiment,
        info.run_name or "",
        info.status,
        info.start_time / 1000,
        None if info.end_time is None else info.end_time / 1000,
        info.artifact_uri,
        _metrics(run),
        dict(sorted(run.data.params.items())),
        dict(sorted(run.data.tags.items())),
    )
