"""App: the ASGI border of a `Service`, for whoever has an ASGI server already. `mlwright serve` uses `wire` instead.

It reads bodies within limits and sends answers; all else it leaves to the service. A small body is answered in the
event loop, where it takes less time than a change of thread; a large one in a thread, so that a batch of 10,000
records does not make /health wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from mlwright.core.errors import MlwrightError
from mlwright.serving.access import Access, token_hash
from mlwright.serving.endpoint import Endpoint, Limits
from mlwright.serving.log import PredictionLog
from mlwright.serving.predictor import Predictor
from mlwright.serving.responses import Response, failure
from mlwright.serving.service import Service
from mlwright.serving.tokens import check_token

__all__ = ["App", "Limits", "Message", "Receive", "Send"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


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
        A bearer token that all but the probes demand.
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
        self.limits = limits or Limits()
        access = Access(None if token is None else token_hash(check_token(token)))
        endpoint = Endpoint(
            predictor,
            name=name or predictor.name,
            version=version or predictor.sha256[:12] or "0",
            log=log,
            limits=self.limits,
            has_token=token is not None,
        )
        self.service = Service(endpoint, access=access)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    @property
    def endpoint(self) -> Endpoint:
        """What is live."""
        return self.service.endpoint

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or the server's lifespan."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        method, path, service = scope["method"], scope["path"], self.service
        headers = dict(scope["headers"])
        query = scope.get("query_string", b"").decode("latin-1")
        response = service.screen(method, path, headers, query)
        if response is None:
            if method != "POST":
                response = service.respond(path, b"", headers)
            else:
                body = await self._body(receive)
                if body is None:
                    return
                if isinstance(body, Response):
                    response = body
                elif len(body) <= self.limits.inline_bytes and not query:
                    response = service.respond(path, body, headers)
                else:
                    loop = asyncio.get_running_loop()
                    response = await loop.run_in_executor(
                        self._thread, service.respond, path, body, headers, query
                    )
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

    async def _body(self, receive: Receive) -> bytes | Response | None:
        """Return the whole body, a refusal, or None if the client has gone."""
        limit = self.limits.body_bytes
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
        self.service.close()
