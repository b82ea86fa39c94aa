"""Service: what answers behind every border, whether the raw protocol or ASGI brings the request.

It holds the endpoint that is live, and changes it between two requests; screens a request before its body is read;
and leads it to the champion, to the challenger, or to the fallback. One small call from `respond` to the model: what
is not configured costs nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from mlwright.core.errors import UsageError
from mlwright.serving.access import Access, demand_permissions
from mlwright.serving.aside import Watchdog
from mlwright.serving.endpoint import Endpoint
from mlwright.serving.limits import WireLimits
from mlwright.serving.options import asked
from mlwright.serving.responses import Response, failure
from mlwright.serving.routes import FORM, ROUTES, Route, match
from mlwright.serving.status import Status

__all__ = ["Rollout", "Service", "is_canary"]

_PLAIN_TYPES = frozenset({None, b"application/json"})  # what every route with a body reads
_MOST_SHADOWS = 200  # copies that may wait for the challenger
_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})
_RETRY = ((b"retry-after", b"1"),)
_read = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a challenger gets to see.

    Parameters
    ----------
    canary : float, default=0.0
        The share of records, from 0 to 1, that it answers.
    shadow : bool, default=False
        Whether it answers a copy of the other records too, unseen but logged.
    entity : str, optional
        The column by whose value the share is drawn, so that one entity stays on one model; the record's bytes if not
        given.
    """

    canary: float = 0.0
    shadow: bool = False
    entity: str | None = None


def is_canary(key: bytes, share: float) -> bool:
    """Say whether the record with this key is one of the `share` that the challenger answers.

    Examples
    --------
    >>> sum(is_canary(b"%d" % i, 0.25) for i in range(10_000))
    2457
    """
    drawn = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return drawn < share * 2**64


class Service:
    """Answers requests for the version that is live.

    Parameters
    ----------
    endpoint : Endpoint
        What is live first.
    access : Access, optional
        Who may ask; everybody by default.
    limits : WireLimits, optional
        What connections may cost.
    status : Status, optional
        What is counted.
    fallback : Endpoint, optional
        What answers if the model fails, misses its deadline or is stopped; see `mlwright.serving.fallback`.
    rollout : Rollout, optional
        What the challenger sees, once there is one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        access: Access | None = None,
        limits: WireLimits | None = None,
        status: Status | None = None,
        fallback: Endpoint | None = None,
        rollout: Rollout | None = None,
    ) -> None:
        demand_permissions(ROUTES.values())
        self.access = access or Access()
        self.limits = limits or WireLimits()
        self.status = status or Status()
        self.watchdog = Watchdog(self.limits.slow_seconds)
        self.rollout = rollout or Rollout()
        self._shadows: deque[tuple[Endpoint, str, bytes, Mapping[bytes, bytes]]] = deque()
        self._has_shadow = threading.Event()
        self._shadow_thread: threading.Thread | None = None
        self.challenger: Endpoint | None = None
        self.closed = False
        self._is_plain = False
        self.swap(endpoint, fallback)

    # What is live

    def swap(self, endpoint: Endpoint, fallback: Endpoint | None = None) -> None:
        """Let `endpoint` answer from the next request on. To be called between two requests, from the event loop."""
        self.endpoint, self.fallback = endpoint, fallback
        endpoint.show()
        endpoint.settled = self.watchdog.done
        if fallback is not None:
            fallback.settled = self.watchdog.done
        self.settle()

    def challenge(self, endpoint: Endpoint | None) -> None:
        """Let `endpoint` be the challenger from the next request on; None for no challenger."""
        self.challenger = endpoint
        if endpoint is not None:
            endpoint.settled = self.watchdog.done
        self.settle()

    def hold(self, *, stopped: bool) -> None:
        """Stop the model, so that its fallback answers, or start it again."""
        self.status.stopped = stopped
        self.settle()

    def settle(self) -> None:
        """Work out once what would else be asked at each request."""
        self._is_plain = not self.status.stopped and self.fallback is None and self.challenger is None

    # One request

    def screen(
        self, method: str, path: str, headers: Mapping[bytes, bytes], query: str = ""
    ) -> Response | None:
        """Return None if the request's body may be read, else what is wrong with its head.

        Parameters
        ----------
        method, path : str
            Of the request; the path without its query.
        headers : mapping of bytes to bytes
            By lower-case name.
        query : str, default=""
            What follows the path's question mark; only predictions look at it.
        """
        found = match(path)
        route = None if found is None else found[0]
        refusal = self.access.refusal(method, route, headers)
        if refusal is not None:
            self.status.refused += 1
            return refusal
        refusal = self.endpoint.route(method, path)
        if refusal is not None or method != "POST" or route is None:
            return refusal
        if headers.get(b"content-type") not in _PLAIN_TYPES or b"content-encoding" in headers:
            refusal = _unreadable(route, headers)
            if refusal is not None:
                return refusal
        length = headers.get(b"content-length")
        limit = self.endpoint.limits.body_bytes
        if length is not None and length.isdigit() and (len(length) > 18 or int(length) > limit):
            return failure(413, f"the body is larger than {limit:,} bytes")
        if query:
            try:
                asked(path, query, self.endpoint.predictor)
            except UsageError as error:
                return failure(400, str(error))
        return None

    def respond(
        self, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = _NO_HEADERS, query: str = ""
    ) -> Response:
        """Return the response to a request that `screen` has let through. It never raises."""
        if self._is_plain or (path != "/predict" and not _predicts(path)):
            return self.endpoint.respond(path, body, headers, query)
        status = self.status
        if status.stopped:
            return self.fall_back(path, body, headers, "the model is stopped")
        endpoint, challenger = self.endpoint, self.challenger
        if challenger is not None and not _names_version(path):
            rollout = self.rollout
            if rollout.canary and is_canary(_key(body, rollout.entity), rollout.canary):
                endpoint = challenger
                status.canary += 1
            elif rollout.shadow:
                self._copy(challenger, path, body, headers)
        response = endpoint.respond(path, body, headers, query)
        if response.status >= 500 and endpoint is challenger:
            status.failures += 1
            response = self.endpoint.respond(
                path, body, headers, query
            )  # the champion stands in before the fallback does
        if response.status >= 500:
            status.failures += 1
            if self.fallback is not None:
                return self.fall_back(path, body, headers, "the model failed")
        return response

    def fall_back(self, path: str, body: bytes, headers: Mapping[bytes, bytes], why: str) -> Response:
        """Return the fallback's answer, or a 503 where none is declared."""
        fallback = self.fallback
        if fallback is None:
            return failure(503, why, _RETRY)
        self.status.degraded += 1
        return fallback.respond(path, body, headers)

    def overdue(self, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> Response:
        """Return what is answered when the model has missed its deadline."""
        self.status.overdue += 1
        return self.fall_back(path, body, headers, "the model missed its deadline")

    def busy(self, why: str) -> Response:
        """Return the 429 that asks to come again."""
        self.status.rejected += 1
        return failure(429, why, _RETRY)

    # The challenger's copy

    def _copy(self, challenger: Endpoint, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> None:
        if len(self._shadows) >= _MOST_SHADOWS:
            self.status.shadow_dropped += 1
            return
        self.status.shadow += 1
        self._shadows.append((challenger, path, body, headers))
        self._has_shadow.set()
        if self._shadow_thread is None:
            self._shadow_thread = threading.Thread(target=self._answer_unseen, name="shadow", daemon=True)
            self._shadow_thread.start()

    def _answer_unseen(self) -> None:
        while True:
            self._has_shadow.wait()
            self._has_shadow.clear()
            while self._shadows:
                challenger, path, body, headers = self._shadows.popleft()
                challenger.respond(path, body, headers)  # it logs; it never raises
            if self.closed:
                return

    def close(self) -> None:
        """Let the challenger finish its copies, and write what waits in the log."""
        self.closed = True
        if self._shadow_thread is not None:
            self._has_shadow.set()
            self._shadow_thread.join()
        if self.endpoint.log is not None:
            self.endpoint.log.close()


def _key(body: bytes, entity: str | None) -> bytes:
    """Return what decides between champion and challenger: the entity's value, or else the whole body."""
    if entity is None:
        return body
    try:
        record = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body  # whoever answers it will say what is wrong
    if not isinstance(record, dict) or record.get(entity) is None:
        return body
    return str(record[entity]).encode("utf-8", "replace")


def _predicts(path: str) -> bool:
    found = match(path)
    return found is not None and found[0].permission == "predict"


def _names_version(path: str) -> bool:
    """Whether the path asks for one version, which is the champion or none: no other may answer in its place."""
    if path == "/predict":
        return False
    found = match(path)
    return found is not None and "version" in found[1]


def _unreadable(route: Route, headers: Mapping[bytes, bytes]) -> Response | None:
    """Return the 415 for a body of a kind that the route does not read."""
    given = headers.get(b"content-type", b"application/json")
    kind = given.partition(b";")[0].strip().lower()
    # `curl -d` says "form" for whatever it sends; a browser's foreign page, which could too, has an origin.
    plain = kind == FORM and b"origin" not in headers
    if not (plain or kind in route.types or kind[-5:] == b"+json"):
        allowed = [known.decode() for known in route.types]
        shown = given.decode("latin-1")[:100]
        return failure(415, f"the body must be {' or '.join(allowed)}", got=shown, allowed=allowed)
    coding = headers.get(b"content-encoding", b"").strip().lower()
    if coding not in {b"", b"identity"}:
        return failure(415, "a compressed body is not read", got=coding.decode("latin-1")[:100])
    return None
