"""Endpoint: the service without a network. A request's method, path and body in, a response out, in one plain call.

It knows the closed table of routes, JSON, the limits and what is logged; it does not know ASGI, sockets or async. So
any server can stand before it, and a test needs none.
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from mlwright.core.errors import RecordError
from mlwright.core.types import Json
from mlwright.serving.documents import docs_page, openapi, schema_document, script_hash
from mlwright.serving.log import Entry, PredictionLog, folder_name
from mlwright.serving.predictor import Predictor

__all__ = ["ROUTES", "Endpoint", "Limits", "Response", "failure", "new_id"]

ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "/": "GET",
        "/docs": "GET",
        "/health": "GET",
        "/openapi.json": "GET",
        "/predict": "POST",
        "/ready": "GET",
        "/schema": "GET",
    }
)

_JSON = (b"content-type", b"application/json")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_BYTE = re.compile(r"\(byte (\d+)\)")
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw])
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost.

    Parameters
    ----------
    body_bytes : int
        The largest body.
    records : int
        The longest list of records.
    body_seconds : float
        How long a body may take to come in.
    inline_bytes : int
        A longer body is worked on in a thread, so that it does not hold up the others.
    """

    body_bytes: int = 10_000_000
    records: int = 10_000
    body_seconds: float = 30.0
    inline_bytes: int = 32_768


class Response(NamedTuple):
    """A status, headers without content-length, and a body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def failure(
    status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = (), **more: Any
) -> Response:
    """Return an error in the one shape that all errors have.

    Examples
    --------
    >>> failure(404, "no such address").body
    b'{"error":{"message":"no such address"}}'
    """
    return Response(status, (_JSON, *headers), _encode({"error": {"message": message, **more}}))


def new_id() -> str:
    """Return a new UUID of version 7 as 32 hexadecimal digits; ids sort by their millisecond."""
    random = os.urandom(10).hex()
    return f"{time.time_ns() // 1_000_000:012x}7{random[:3]}{'89ab'[int(random[3], 16) & 3]}{random[4:19]}"


class Endpoint:
    """Answers requests for one predictor.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    name, version : str
        The model's name and version, repeated in every answer.
    log : PredictionLog, optional
        Where answers are recorded.
    limits : Limits
        What one request may cost.
    has_token : bool, default=False
        Whether the description says that a bearer token is needed.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        name: str,
        version: str,
        log: PredictionLog | None = None,
        limits: Limits | None = None,
        has_token: bool = False,
    ) -> None:
        self.predictor = predictor
        folder_name(name)  # raises if it cannot be a folder of the log
        self.name, self.version = name, version
        self.log = log
        self.limits = limits or Limits()
        self._tail = {"model": name, "version": version}
        about = {"name": name, "version": version}
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src {script_hash()}; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page_headers = (_HTML, _NO_SNIFFING, (b"content-security-policy", policy.encode()))
        fixed = {
            "/": Response(307, ((b"location", b"docs"), (b"content-type", b"text/plain")), b""),
            "/docs": Response(200, page_headers, docs_page(predictor, **about).encode("utf-8", "replace")),
            "/health": Response(200, (_JSON,), b'{"status":"alive"}'),
            "/openapi.json": self._json(openapi(predictor, **about, has_token=has_token)),
            "/schema": self._json(schema_document(predictor, **about)),
        }
        self._get: dict[str, Callable[[], Response]] = {
            path: lambda response=response: response for path, response in fixed.items()
        }
        self._get["/ready"] = self._ready

    @staticmethod
    def _json(tree: Any, status: int = 200) -> Response:
        return Response(status, (_JSON,), _encode(tree))

    def route(self, method: str, path: str) -> Response | None:
        """Return None if the request is for a handler here, else the 404 or 405."""
        allowed = ROUTES.get(path)
        if allowed is None:
            return failure(404, "no such address", allowed=sorted(ROUTES))
        if method == allowed or (method == "HEAD" and allowed == "GET"):
            return None
        allow = b"GET, HEAD" if allowed == "GET" else b"POST"
        message = f"{path} does not take {method[:20]}"
        return failure(405, message, ((b"allow", allow),), allowed=allow.decode().split(", "))

    def respond(self, path: str, body: bytes = b"") -> Response:
        """Return the response of a route that `route` has let through. It never raises."""
        try:
            return self.predict(body) if path == "/predict" else self._get[path]()
        except RecordError as error:
            return failure(422, str(error), problems=error.problems)
        except Exception as error:  # noqa: BLE001 - the last border: the caller gets a 500, the operator the reason
            line = {
                "level": "error",
                "event": "request failed",
                "path": path,
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
            }
            sys.stderr.write(_encode(line).decode() + "\n")
            sys.stderr.flush()
            return failure(500, "the service failed on this request; its log says why")

    def _ready(self) -> Response:
        predictor, log = self.predictor, self.log
        state = {
            "ready": predictor.verified,
            "model": self.name,
            "version": self.version,
            "sha256": predictor.sha256,
            "golden": len(predictor.golden) if predictor.verified else 0,
            "log": log is not None,
            "log_written": 0 if log is None else log.written,
            "log_dropped": 0 if log is None else log.dropped,
            "log_error": None if log is None else log.error,
        }
        return self._json(state, 200 if predictor.verified else 503)

    def predict(self, body: bytes) -> Response:
        """Answer the body of a ``POST /predict``.

        Raises
        ------
        RecordError
            If a record does not fit the schema.
        """
        started = time.perf_counter_ns()
        if len(body) > self.limits.body_bytes:
            return failure(413, f"the body is larger than {self.limits.body_bytes:,} bytes")
        try:
            if body.lstrip(b" \t\r\n")[:1] == b"[":
                raws = _RECORDS.decode(body)
                if len(raws) > self.limits.records:
                    return failure(413, f"more than {self.limits.records:,} records", got=len(raws))
                records = [_decode(raw) for raw in raws]
                bodies = raws
            else:
                records, bodies = [_decode(body)], None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _malformed(body, error)
        if bodies is None:
            answer = self.predictor.predict_one(records[0])
            self._finish(answer, body, started)
            return Response(200, (_JSON,), _encode(answer))
        answers = self.predictor.predict_many(records)
        for answer, raw in zip(answers, bodies, strict=True):
            self._finish(answer, raw, started)
        return self._json(answers)

    def _finish(self, answer: Json, record: bytes | msgspec.Raw, started: int) -> None:
        """Complete the answer and log it."""
        answer["prediction_id"] = new_id()
        answer.update(self._tail)
        if self.log is not None:
            self.log.put(
                Entry(
                    time.time_ns(),
                    answer["prediction_id"],
                    self.name,
                    self.version,
                    self.predictor.sha256,
                    bytes(record),
                    answer,
                    (time.perf_counter_ns() - started) // 1000,
                    len(record) + 1000,  # about what the answer and the entry itself take
                )
            )


def _malformed(body: bytes, error: Exception) -> Response:
    """Return the 400 with the place of the mistake, where there is one."""
    if isinstance(error, RecursionError):
        return failure(400, "the body is not what it must be: nested too deeply")
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        place, why = wrong.start, "not UTF-8"
    else:
        try:
            _decode(body)  # again, because a part of a list counts its bytes from its own beginning
        except msgspec.ValidationError as wrong:
            return failure(400, f"the body is not what it must be: {str(wrong).lower()}")
        except (msgspec.DecodeError, RecursionError) as wrong:
            error = wrong
        match = _BYTE.search(str(error))
        place = int(match[1]) if match else len(body)
        why = _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ").strip().lower()
    before = body[:place]
    line = before.count(b"\n") + 1
    column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
    return failure(
        400,
        f"the body is not JSON: {why} at line {line}, column {column}",
        position={"byte": place, "line": line, "column": column},
    )
