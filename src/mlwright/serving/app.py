"""App: the ASGI border of an `Endpoint`. It reads bodies within limits, checks the token, and sends.

A small body is answered in the event loop, where it takes less time than a change of thread; a large one in a thread,
so that a batch of 10,000 records does not make /health wait.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from mlwright.core.errors import MlwrightError, UsageError
from mlwright.serving.endpoint import Endpoint, Limits, Response, failure
from mlwright.serving.log import PredictionLog
from mlwright.serving.predictor import Predictor

__all__ = ["App", "Limits", "Message", "Receive", "Send"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_CURL = b"application/x-www-form-urlencoded"
_OPEN = frozenset({"/health", "/ready"})  # probes carry no token


class App:
    """An ASGI application that serves one predictor.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    name, version : str, optional
        Repeated in every answer; the bundle's name and the first digits of its hash by default.
    log : PredictionLog, optional
        Where answers are recorded; closed at shutdown.
    limits : Limits, optional
        What one request may cost.
    token : str, optional
        A bearer token that all but /health and /ready demand.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        name: str | None = None,
        version: str | None = None,
        log: PredictionLog | None = None,
        limits: Limits | None = None,
        token: str | None = None,
    ) -> None:
        if token is not None and (len(token) < 16 or not token.isascii() or not token.isprintable()):
            raise UsageError(
                "the token is too weak",
                allowed="16 or more printable ASCII characters",
                fix="openssl rand -hex 32",
            )
        self.limits = limits or Limits()
        self.endpoint = Endpoint(
            predictor,
            name=name or predictor.name,
            version=version or predictor.sha256[:12] or "0",
            log=log,
            limits=self.limits,
            has_token=token is not None,
        )
        self._authorization = None if token is None else f"Bearer {token}".encode()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or the server's lifespan."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        response = self._refusal(scope, path) or self.endpoint.route(method, path)
        if response is None:
            if path != "/predict":
                response = self.endpoint.respond(path)
            else:
                body = await self._body(scope["headers"], receive)
                if body is None:
                    return
                if isinstance(body, Response):
                    response = body
                elif len(body) <= self.limits.inline_bytes:
                    response = self.endpoint.respond(path, body)
                else:
                    loop = asyncio.get_running_loop()
                    response = await loop.run_in_executor(self._thread, self.endpoint.respond, path, body)
        length = (b"content-length", b"%d" % len(response.body))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [*response.headers, length],
                }
            )
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})
        except OSError:
            return  # the client has gone; ASGI servers say so by an OSError

    def _refusal(self, scope: Message, path: str) -> Response | None:
        if self._authorization is None or path in _OPEN:
            return None
        given = b"".join(value for key, value in scope["headers"] if key == b"authorization")
        if hmac.compare_digest(given, self._authorization):
            return None
        return failure(401, "this service demands a bearer token", ((b"www-authenticate", b"Bearer"),))

    async def _body(
        self, headers: Iterable[tuple[bytes, bytes]], receive: Receive
    ) -> bytes | Response | None:
        """Return the whole body, a refusal, or None if the client has gone."""
        limit = self.limits.body_bytes
        headers = list(headers)
        for key, value in headers:
            if key == b"content-type":
                kind = value.partition(b";")[0].strip().lower()
                # `curl -d` says "form" for whatever it sends; a browser's foreign page, which could too, has an origin.
                plain = kind == _CURL and not any(name == b"origin" for name, _ in headers)
                if not (plain or kind == b"application/json" or kind[-5:] == b"+json"):
                    shown = value.decode("latin-1")[:100]
                    return failure(
                        415, "the body must be application/json", got=shown, allowed="application/json"
                    )
            elif key == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
                return failure(415, "a compressed body is not read", got=value.decode("latin-1")[:100])
            elif key == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
                return failure(413, f"the body is larger than {limit:,} bytes")
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if not message.get("more_body", False):
            body = message.get("body", b"")
            return body if len(body) <= limit else failure(413, f"the body is larger than {limit:,} bytes")
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                return await self._rest(message, receive)
        except TimeoutError:
            return failure(408, f"the body took longer than {self.limits.body_seconds:g} s")

    async def _rest(self, message: Message, receive: Receive) -> bytes | Response | None:
        chunks: list[bytes] = []
        size = 0
        while True:
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.limits.body_bytes:
                return failure(413, f"the body is larger than {self.limits.body_bytes:,} bytes")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)
            message = await receive()
            if message["type"] == "http.disconnect":
                return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if not self.endpoint.predictor.verified:
                        self.endpoint.predictor.verify_golden()
                except MlwrightError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def close(self) -> None:
        """Finish what runs and write what waits in the log."""
        self._thread.shutdown()
        if self.endpoint.log is not None:
            self.endpoint.log.close()
