"""MLflow in a process beside: a run reads and fits while MLflow is imported and its database is made.

That takes seconds of Python, and in a thread it would hold the lock that reading and fitting need. The process gets calls of a
closed list of methods as MessagePack on its standard input, and ends when that does: also when whoever started it is killed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self, cast

import msgspec

from mlwright.core import errors
from mlwright.core.errors import MlwrightError, StoreError
from mlwright.data.schema import Schema
from mlwright.tracking.store import Store
from mlwright.tracking.tracker import Tracker

__all__ = ["Beside", "serve", "tracker_for"]

_METHODS = (
    "find_run",
    "finish",
    "get_alias",
    "log_documents",
    "log_metrics",
    "log_trials",
    "promote",
    "register",
    "set_alias",
    "set_version_tag",
    "start_run",
    "version_of",
)
_SIZE = 8  # bytes that say how long a message is


class Beside(Tracker):
    """A tracker whose MLflow runs in a process of its own; what is not of the closed list opens MLflow here.

    The process begins to import at once, before there is a store. Use as a context, or `close` it.
    """

    def __init__(self) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlwright.tracking.beside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # an interrupt of ours is not its own
        )
        self._asked = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._place: Store | None = None

    def begin(self, store: Store) -> Self:
        """Have the store opened, and go on meanwhile."""
        super().__init__(store)
        self._send(["open", [str(store.root), str(store.recorded_root)]])
        return self

    def result(self) -> Self:
        """Wait until MLflow is open; raise what went wrong."""
        if self._place is None:
            root, recorded_root = self._answer()
            self._place = Store(Path(root), Path(recorded_root))
        return self

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._asked.close()
        self._answers.close()
        if self._place is None:  # nobody waited for it
            self._process.kill()
        self._process.wait()

    @property
    def store(self) -> Store:
        """The store, at home."""
        self.result()
        return cast("Store", self._place)

    def start_run(
        self,
        experiment: str,
        *,
        name: str | None = None,
        tags: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> str:
        """Do what `Tracker.start_run` says."""
        return self._ask("start_run", experiment, name=name, tags=_texts(tags), params=_texts(params))

    def find_run(self, tag: str, value: str) -> str | None:
        """Do what `Tracker.find_run` says."""
        return self._ask("find_run", tag, value)

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """Do what `Tracker.finish` says."""
        self._ask("finish", run_id, status)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float | None], *, step: int = 0) -> None:
        """Do what `Tracker.log_metrics` says."""
        plain = {key: None if value is None else float(value) for key, value in metrics.items()}
        self._ask("log_metrics", run_id, plain, step=step)

    def log_trials(self, run_id: str, trials: Iterable[Mapping[str, Any]], metric: str) -> None:
        """Do what `Tracker.log_trials` says."""
        self._ask("log_trials", run_id, [dict(trial) for trial in trials], metric)

    def log_documents(self, run_id: str, documents: Mapping[str, Any]) -> None:
        """Do what `Tracker.log_documents` says."""
        self._ask("log_documents", run_id, dict(documents))

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
        """Do what `Tracker.register` says."""
        return self._ask(
            "register",
            run_id,
            name,
            str(bundle_directory),
            schema=None if schema is None else schema.to_json(),
            tags=_texts(tags),
            description=description,
        )

    def version_of(self, run_id: str, name: str) -> int | None:
        """Do what `Tracker.version_of` says."""
        return self._ask("version_of", run_id, name)

    def get_alias(self, name: str, alias: str) -> int | None:
        """Do what `Tracker.get_alias` says."""
        return self._ask("get_alias", name, alias)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Do what `Tracker.set_alias` says."""
        self._ask("set_alias", name, alias, version)

    def set_version_tag(self, name: str, version: int, key: str, value: object) -> None:
        """Do what `Tracker.set_version_tag` says."""
        self._ask("set_version_tag", name, version, key, str(value))

    def promote(self, name: str, version: int) -> int | None:
        """Do what `Tracker.promote` says."""
        return self._ask("promote", name, version)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        self.result()
        self._send([method, arguments, options])
        return self._answer()

    def _send(self, message: Any) -> None:
        try:
            _write(self._asked, message)
        except BrokenPipeError as error:
            raise self._ended() from error

    def _answer(self) -> Any:
        answer = _read(self._answers)
        if answer is None:
            raise self._ended()
        kind, value = answer
        if kind == "error":
            name, text = value
            known = getattr(errors, name, StoreError)
            raise known(text)
        return value

    def _ended(self) -> StoreError:
        return StoreError(
            "the process that writes to MLflow ended",
            got=f"exit {self._process.wait()}",
            fix="run again: what was finished is kept; its last words stand above, and `mlwright doctor` looks at the store",
        )


def tracker_for(beside: Beside | None, store: Store) -> Tracker:
    """Return a tracker of `store` that is being opened: in the process beside, or without one in a thread of this one."""
    return Tracker.prepare(store) if beside is None else beside.begin(store)


def serve(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Import MLflow, then do what messages ask until there are no more."""
    from mlwright.tracking.opening import quiet_import

    quiet_import()
    tracker: Tracker | None = None
    while (message := _read(stdin)) is not None:
        method, arguments, *options = message
        try:
            if tracker is None:
                root, recorded_root = arguments
                tracker = Tracker(Store(Path(root), Path(recorded_root)))
                value: Any = [str(tracker.store.root), str(tracker.store.recorded_root)]
            else:
                value = _done(tracker, method, arguments, options[0])
        except MlwrightError as error:
            answer: Any = ["error", [type(error).__name__, str(error)]]
        else:
            answer = ["done", value]
        _write(stdout, answer)


def _done(tracker: Tracker, method: str, arguments: list[Any], options: dict[str, Any]) -> Any:
    if method not in _METHODS:
        raise StoreError("the process beside has no such method", got=method, allowed=_METHODS)
    if options.get("schema") is not None:
        options["schema"] = Schema.from_json(options["schema"])
    return getattr(tracker, method)(*arguments, **options)


def _texts(values: Mapping[str, object] | None) -> dict[str, str] | None:
    return None if values is None else {key: str(value) for key, value in values.items()}


def _write(pipe: IO[bytes], message: Any) -> None:
    raw = msgspec.msgpack.encode(message)
    pipe.write(len(raw).to_bytes(_SIZE, "big") + raw)
    pipe.flush()


def _read(pipe: IO[bytes]) -> Any:
    """Return the next message; None where there is none."""
    size = pipe.read(_SIZE)
    if len(size) < _SIZE:
        return None
    raw = pipe.read(int.from_bytes(size, "big"))
    return msgspec.msgpack.decode(raw)


def _main() -> None:
    with os.fdopen(os.dup(1), "wb") as answers, os.fdopen(os.dup(0), "rb") as asked:
        os.dup2(2, 1)  # what a library prints is no answer
        with contextlib.suppress(BrokenPipeError):  # nobody listens any more
            serve(asked, answers)
    os._exit(0)  # all is written; what is left would only be taken down


if __name__ == "__main__":
    _main()
