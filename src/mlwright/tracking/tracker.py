"""Writing runs and models into MLflow. Knows MLflow's client; knows nothing of training.

MLflow is opened in a thread, because importing it and making its database takes seconds; the first call that needs it
waits. Everything that is written can be read by a stock MLflow client.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import write_atomic
from mlwright.data.schema import Schema
from mlwright.tracking import champions, registry
from mlwright.tracking.opening import import_frames, open_client, translated
from mlwright.tracking.registration import register
from mlwright.tracking.relocate import relocate
from mlwright.tracking.store import Store

__all__ = ["PARAM_LIMIT", "STUDY_TAG", "Tracker"]

PARAM_LIMIT = 500
STUDY_TAG = "mlwright.study"

_BATCH = 100  # MLflow's limit for parameters and tags in one request
_METRIC_BATCH = 1000  # and for metrics


class Tracker:
    """The runs and models of `store`, for writing.

    The methods may be called from several threads. Every method but `prepare` may raise `StoreError` if MLflow's
    database or server cannot be reached.

    Parameters
    ----------
    store : Store
        Where to write; a store that was moved is put right first.
    """

    def __init__(self, store: Store) -> None:
        self._given = store
        self._opened: Future[tuple[Store, Any]] = Future()
        self._lock = threading.Lock()
        self._begun = False

    @classmethod
    def prepare(cls, store: Store) -> Tracker:
        """Return a tracker that is being opened in a thread, beside whatever the caller does next."""
        tracker = cls(store)
        tracker._begin(in_thread=True)
        return tracker

    def result(self) -> Tracker:
        """Wait until MLflow is open and return the tracker, as a future would; raise what went wrong."""
        self._open_once()
        return self

    def close(self) -> None:
        """Let go of what the tracker holds beside this process: nothing, if MLflow is in this one."""

    @property
    def store(self) -> Store:
        """The store, at home."""
        return self._open_once()[0]

    @property
    def client(self) -> Any:
        """MLflow's own client, for what is not offered here."""
        return self._open_once()[1]

    def start_run(
        self,
        experiment: str,
        *,
        name: str | None = None,
        tags: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> str:
        """Start a run of `experiment` (made if missing) and return its id.

        A parameter of more than 500 characters is cut, and says so at its end.
        """
        client = self.client
        with translated(f"a run of '{experiment}' cannot be started"):
            run = client.create_run(
                self._experiment(experiment),
                run_name=name,
                tags={key: str(value) for key, value in (tags or {}).items()},
            )
        run_id = run.info.run_id
        if params:
            self.log_params(run_id, params)
        return run_id

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Record what the run was made with; the same parameter may be recorded twice if it is equal."""
        from mlflow.entities import Param

        self._log(run_id, params=[Param(_key(key), _cut(str(value))) for key, value in params.items()])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float | None], *, step: int = 0) -> None:
        """Record figures; NaN is kept as NaN, None is left out.

        What is recorded again, when an interrupted run goes on, is there once: MLflow tells measurements apart by
        their time, and the time is that of the run's start.
        """
        self._log_metrics(run_id, [(key, value, step) for key, value in metrics.items()])

    def log_trials(self, run_id: str, trials: Iterable[Mapping[str, Any]], metric: str) -> None:
        """Record trials: their figures as metrics with the trial's number as step, and all of them as ``trials.json``.

        Parameters
        ----------
        run_id : str
            The run.
        trials : iterable of mapping
            Each with ``"number"`` and ``"score"`` and whatever else is known; numbers among it become metrics.
        metric : str
            The name under which ``"score"`` is recorded.
        """
        trials = [dict(trial) for trial in trials]
        self._log_metrics(
            run_id,
            [
                (metric if key == "score" else key, value, trial["number"])
                for trial in trials
                for key, value in trial.items()
                if key != "number" and isinstance(value, (int, float)) and not isinstance(value, bool)
            ],
        )
        self.log_documents(run_id, {"trials.json": trials})

    def log_documents(self, run_id: str, documents: Mapping[str, Any]) -> None:
        """Keep `documents` with the run, each whole or not at all.

        Parameters
        ----------
        run_id : str
            The run.
        documents : mapping of str to bytes, str, Path or a JSON tree
            By file name, as in ``{"plan.json": {...}, "report.html": b"..."}``; a Path is copied.
        """
        client = self.client
        with translated(f"the documents of run {run_id} cannot be kept"):
            root = self.store.local_path(client.get_run(run_id).info.artifact_uri)
            for name, content in documents.items():
                raw = _bytes(content)
                if root is not None:
                    write_atomic(root / name, raw)
                    continue
                with tempfile.TemporaryDirectory(dir=self.store.tmp) as folder:
                    file = Path(folder) / Path(name).name
                    file.write_bytes(raw)
                    parent = str(Path(name).parent)
                    client.log_artifact(run_id, str(file), None if parent == "." else parent)

    def set_tags(self, run_id: str, tags: Mapping[str, object]) -> None:
        """Set the run's tags; what was there under the same key goes."""
        from mlflow.entities import RunTag

        self._log(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        client = self.client
        with translated(f"the run {run_id} cannot be ended"):
            client.set_terminated(run_id, status)

    def resume(self, run_id: str) -> None:
        """Set a run that was ended or left back to ``RUNNING``, to go on with it."""
        client = self.client
        with translated(f"the run {run_id} cannot be continued"):
            client.update_run(run_id, status="RUNNING")

    def find_run(self, tag: str, value: str) -> str | None:
        """Return the id of the newest run with this tag, or None."""
        found = self._tagged(tag, value)
        return found[0].info.run_id if found else None

    def recover(self, study: str) -> list[str]:
        """Set the runs of `study` that a killed process left ``RUNNING`` to ``KILLED``; return their ids.

        The caller must know that nobody works on the study (it holds the study's lock).
        """
        left = [run.info.run_id for run in self._tagged(STUDY_TAG, study) if run.info.status == "RUNNING"]
        for run_id in left:
            self.finish(run_id, "KILLED")
        return left

    def register(
        self,
        run_id: str,
        name: str,
        bundle_directory: Path,
        *,
        schema: Schema | None = None,
        tags: Mapping[str, object] | None = None,
        description: str = "",
    ) -> int:
        """Keep the bundle as the run's model and make it the next version of `name`; return the version.

        Calling it again for the same run, name and bundle returns the version that stands. The version appears only
        after all files are in place, so a kill at any point shows no half version.

        Parameters
        ----------
        run_id : str
            The run that made the bundle.
        name : str
            The registered model, made if missing; without ``/``, ``:``, ``@``.
        bundle_directory : Path
            A whole bundle; it is copied.
        schema : Schema, optional
            Its features become the model's MLflow signature.
        tags, description
            Of the version. ``mlwright.sha256`` is added, the SHA-256 of the bundle's manifest.

        Raises
        ------
        UsageError
            If the name cannot be one.
        """
        return register(
            self.store,
            self.client,
            run_id,
            name,
            Path(bundle_directory),
            schema=schema,
            tags={key: str(value) for key, value in (tags or {}).items()},
            description=description,
        )

    def version_of(self, run_id: str, name: str) -> int | None:
        """Return the newest version of `name` that the run registered; None if there is none."""
        with translated(f"the versions of run {run_id} cannot be read"):
            made = self.client.search_model_versions(f"run_id = '{run_id}'", max_results=1000)
            found = [int(each.version) for each in made if each.name == name]
        return max(found, default=None)

    def get_alias(self, name: str, alias: str) -> int | None:
        """Return the version that `alias` of the model `name` points at, or None."""
        return champions.get_alias(self.client, name, alias)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point `alias` at `version`; for the champion use `promote`, which also keeps the history."""
        champions.set_alias(self.client, name, alias, version)

    def delete_alias(self, name: str, alias: str) -> None:
        """Take the alias away; nothing happens if there is none."""
        champions.delete_alias(self.client, name, alias)

    def set_version_tag(self, name: str, version: int, key: str, value: object) -> None:
        """Set a tag of a version."""
        client = self.client
        with translated(f"the tag '{key}' of {name}/{version} cannot be set"):
            client.set_model_version_tag(name, str(version), key, str(value))

    def history(self, name: str) -> list[int]:
        """Return the versions that have been champion, oldest first; the last is champion now."""
        return champions.history(self.client, name)

    def promote(self, name: str, version: int) -> int | None:
        """Make `version` the champion and return the one before; it is no longer challenger."""
        return champions.promote(self.store, self.client, name, version)

    def rollback(self, name: str) -> tuple[int, int]:
        """Make the champion before this one the champion again; return (from, to)."""
        return champions.rollback(self.store, self.client, name)

    def artifact_path(self, run_id: str, path: str) -> Path:
        """Return where a file or folder of a run lies on this machine."""
        return registry.artifact_path(self.store, run_id, path)

    def bundle_path(self, run_id: str) -> Path:
        """Return where the bundle that the run registered lies on this machine."""
        return registry.bundle_path(self.store, run_id)

    def find_run_id(self, text: str) -> str:
        """Return the id of the run that a unique beginning, ``name@alias`` or ``name/version`` means."""
        return registry.find_run_id(self.store, text)

    def load_plan(self, run_id: str) -> dict[str, Any]:
        """Return the plan by which the run was made."""
        return registry.load_plan(self.store, run_id)

    def _open_once(self) -> tuple[Store, Any]:
        self._begin(in_thread=False)
        return self._opened.result()

    def _begin(self, *, in_thread: bool) -> None:
        with self._lock:
            if self._begun:
                return
            self._begun = True
        if in_thread:
            import_frames()
            # A daemon: a run that fails at once does not wait for MLflow. Nothing half is left, see `opening`.
            threading.Thread(target=self._open, name="mlflow-opening", daemon=True).start()
        else:
            self._open()

    def _open(self) -> None:
        try:
            store = relocate(self._given) if self._given.is_local else self._given
            self._opened.set_result((store, open_client(store)))
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread, which raises it
            self._opened.set_exception(error)

    def _log_metrics(self, run_id: str, figures: list[tuple[str, float | None, int]]) -> None:
        from mlflow.entities import Metric

        client = self.client
        with translated(f"the run {run_id} cannot be written"):
            start = client.get_run(run_id).info.start_time
        self._log(
            run_id,
            metrics=[
                Metric(_key(key), float(value), start, step)
                for key, value, step in figures
                if value is not None
            ],
        )

    def _log(self, run_id: str, **entities: list[Any]) -> None:
        client = self.client
        with translated(f"the run {run_id} cannot be written"):
            for kind, items in entities.items():
                size = _METRIC_BATCH if kind == "metrics" else _BATCH
                for start in range(0, len(items), size):
                    client.log_batch(run_id, **{kind: items[start : start + size]})

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        client = self.client
        found = client.get_experiment_by_name(name)
        if found is None:
            place = None
            if not self.store.tracking_uri.startswith(
                ("http:", "https:")
            ):  # a server chooses the place itself
                place = (self.store.artifacts / _folder(name)).as_uri()
            try:
                return client.create_experiment(name, artifact_location=place)
            except MlflowException as error:
                found = client.get_experiment_by_name(name)  # another process may have been first
                if found is None:
                    raise StoreError(f"the experiment '{name}' cannot be made: {error.message}") from error
        if found.lifecycle_stage != "active":
            raise UsageError(
                f"the experiment '{name}' was deleted in MLflow",
                fix=f"bring it back with `mlflow experiments restore -x {found.experiment_id}`, or take another name",
            )
        return found.experiment_id

    def _tagged(self, tag: str, value: str) -> list[Any]:
        client = self.client
        quote = '"' if "'" in value else "'"
        with translated(f"the runs with {tag}={value} cannot be searched"):
            experiments = [experiment.experiment_id for experiment in client.search_experiments()]
            return list(
                client.search_runs(
                    experiments,
                    filter_string=f"tags.`{tag}` = {quote}{value}{quote}",
                    order_by=["attributes.start_time DESC"],
                )
            )


def _key(key: str) -> str:
    """Return `key` with what MLflow refuses in a name replaced by an underscore."""
    return re.sub(r"[^\w\-. :/]", "_", key)[:250]


def _cut(value: str) -> str:
    if len(value) <= PARAM_LIMIT:
        return value
    marker = f"... (cut, {len(value)} characters)"
    return value[: PARAM_LIMIT - len(marker)] + marker


def _bytes(content: Any) -> bytes:
    match content:
        case bytes():
            return content
        case str():
            return content.encode()
        case Path():
            return content.read_bytes()
        case _:
            return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _folder(name: str) -> str:
    """Return a short folder name for an experiment; equal names give equal folders, others differ."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:40]
    return safe if safe == name else f"{safe}-{sha256(name.encode()).hexdigest()[:8]}"
