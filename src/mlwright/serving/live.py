"""Live: the model that serves follows its alias. A new version is made ready beside the old one and then swapped in.

A thread of its own asks the registry a few times a second. A new version is read, audited and built, replays its
golden records, and is warmed; only then does the event loop change over, between two requests. What does not prove
itself never serves: the old version goes on, `Status.last_fault` says why, and the version is tried again now and then,
because its files may still be on their way. The version before stays in memory, so that the way back is instant.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from mlwright import bundle
from mlwright.core.errors import MlwrightError, RecordError
from mlwright.serving.endpoint import Endpoint
from mlwright.serving.fallback import Degraded, constant_outputs
from mlwright.serving.predictor import Predictor
from mlwright.serving.service import Service
from mlwright.serving.switch import Switch

__all__ = ["CHALLENGER", "CHAMPION", "Find", "Follower", "Found", "Loaded", "Loader"]

CHAMPION = "champion"
CHALLENGER = "challenger"
_WARM = 50
_SHORT = 0.00005  # how long the loading thread may hold the interpreter while requests wait; 0.005 by default
_AGAIN = (2.0, 60.0)  # a version that was refused is tried again after so long, and at most so long


class Found(NamedTuple):
    """A version and the directory of its bundle."""

    version: str
    path: Path


Find: TypeAlias = Callable[[str], Found | None]
"""From ``"champion"`` or ``"challenger"`` to the version that ought to answer as it; None if there is none."""


class Loaded(NamedTuple):
    """A version that has proven itself."""

    endpoint: Endpoint
    fallback: Endpoint | None


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes endpoints of bundles, all alike.

    Parameters
    ----------
    make : callable
        From a predictor and its version to an endpoint.
    fallback : str or number, optional
        What stands in; see `mlwright.serving.fallback.constant_outputs`.
    """

    make: Callable[[Predictor, str], Endpoint]
    fallback: str | float | None = None

    def load(self, version: str, path: Path) -> Loaded:
        """Read, audit, build, verify and warm the bundle at `path`.

        Raises
        ------
        MlwrightError
            If it does not prove itself, or has no answer of the fallback's kind.
        """
        contents = bundle.read(path)
        predictor = Predictor.from_contents(contents)
        return self.prepare(predictor, version, contents.reference)

    def prepare(self, predictor: Predictor, version: str, reference: dict[str, Any]) -> Loaded:
        """Verify and warm a predictor that is built already."""
        if not predictor.verified:
            predictor.verify_golden()
        for index in range(_WARM):
            try:
                predictor.predict_one(predictor.golden[index % len(predictor.golden)]["record"])
            except RecordError:
                continue  # a training row may hold what a request may not
        fallback = None
        if self.fallback is not None:
            outputs = constant_outputs(predictor.task, self.fallback, reference)
            fallback = self.make(Degraded(predictor, outputs), version)
        return Loaded(self.make(predictor, version), fallback)


class Follower:
    """Keeps a service at the version that its alias names.

    Parameters
    ----------
    service : Service
        What is kept.
    loader : Loader
        Makes endpoints.
    call_soon : callable
        Runs a function in the event loop, as ``loop.call_soon_threadsafe`` does.
    first : Found
        What serves already.
    find : callable, optional
        Asks the registry; without it the version stays, and only the switch is followed.
    switch : Switch, optional
        Whether somebody has stopped the model.
    every : float, default=0.25
        Seconds between two looks.
    """

    def __init__(
        self,
        service: Service,
        loader: Loader,
        call_soon: Callable[..., Any],
        *,
        first: Found,
        find: Find | None = None,
        switch: Switch | None = None,
        every: float = 0.25,
    ) -> None:
        self.service, self.loader = service, loader
        self._call_soon, self._find, self._switch, self._every = call_soon, find, switch, every
        self.current = first
        self._kept: dict[Found, Loaded] = {first: Loaded(service.endpoint, service.fallback)}
        self._challenger: Found | None = None
        self._refused: dict[Found, tuple[float, float]] = {}  # until when, and how long the next time
        self._is_lost = False  # whether the registry could not be asked the last time
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the registry, the service goes on
                self._is_lost = True
                self._complain("the registry cannot be followed", self.current.version, error)

    def look(self) -> None:
        """Do once what the thread does again and again."""
        service = self.service
        if self._switch is not None:
            stopped = self._switch.is_stopped()
            if stopped != service.status.stopped:
                self._call_soon(_hold, service, stopped)
        if self._find is None:
            return
        wanted = self._find(CHAMPION)
        if wanted is not None and wanted != self.current:
            self._champion(wanted)
        elif service.status.wanted or self._is_lost:
            self._is_lost = False
            service.status.wanted = service.status.last_fault = ""  # the alias came back to what serves
        if service.rollout.canary or service.rollout.shadow:
            self._challenge(self._find(CHALLENGER))

    def _champion(self, wanted: Found) -> None:
        loaded = self._ready(wanted)
        if loaded is None:
            self.service.status.wanted = wanted.version
            return
        before, self.current = self.current, wanted
        kept = {wanted, before, self._challenger}
        self._kept = {found: each for found, each in self._kept.items() if found in kept}
        self._call_soon(self.service.swap, loaded.endpoint, loaded.fallback)
        status = self.service.status
        status.swaps += 1
        status.wanted = status.last_fault = ""
        _say("info", "version swapped in", version=wanted.version, before=before.version)

    def _challenge(self, found: Found | None) -> None:
        if found == self._challenger:
            return
        loaded = None if found is None else self._ready(found)
        if found is not None and loaded is None:
            return
        self._challenger = found
        self._call_soon(self.service.challenge, None if loaded is None else loaded.endpoint)

    def _ready(self, found: Found) -> Loaded | None:
        """Return the version ready to serve, or None if it does not prove itself."""
        if found in self._kept:
            return self._kept[found]
        until, pause = self._refused.get(found, (0.0, _AGAIN[0]))
        if time.monotonic() < until:
            return None
        try:
            with _yielding():
                loaded = self.loader.load(found.version, found.path)
        except Exception as error:  # noqa: BLE001 - a bundle is hostile input: nothing in it may end the service
            self._refused[found] = time.monotonic() + pause, min(2 * pause, _AGAIN[1])
            self.service.status.swap_faults += 1
            self._complain("version refused", found.version, error)
            return None
        self._refused.pop(found, None)
        self._kept[found] = loaded
        return loaded

    def _complain(self, event: str, version: str, error: Exception) -> None:
        kind = "" if isinstance(error, MlwrightError) else f"{type(error).__name__}: "
        fault = f"version {version}: {kind}{error}"[:500]
        if fault != self.service.status.last_fault:
            self.service.status.last_fault = fault
            _say("error", event, version=version, error=fault)


def _hold(service: Service, stopped: bool) -> None:  # noqa: FBT001 - called by the loop, which passes no names
    service.hold(stopped=stopped)
    _say("warning" if stopped else "info", "model stopped" if stopped else "model started")


@contextmanager
def _yielding() -> Iterator[None]:
    """Let the event loop have the interpreter soon whenever it asks, and keep collections of garbage away meanwhile."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SHORT)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(before)


def _say(level: str, event: str, **more: Any) -> None:
    sys.stderr.write(json.dumps({"level": level, "event": event, **more}) + "\n")
    sys.stderr.flush()
