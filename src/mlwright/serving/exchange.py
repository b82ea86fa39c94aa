"""Exchange: the answering half of a connection, and what all connections of one event loop share.

Answers leave in the order of the requests. A small request is answered at once; a large body goes to the one thread,
and its connection rests meanwhile; so it does while its client does not read. No timer is made for a request:
`Wire.sweep` looks at all connections now and then.
"""

from __future__ import annotations

import asyncio
import http
import time
from collections import deque
from email.utils import formatdate
from typing import Any, NamedTuple

from mlwright.serving.aside import Aside, TooSlowError
from mlwright.serving.responses import Response, failure
from mlwright.serving.service import Service

__all__ = ["Answering", "Phase", "Request", "Wire"]

_JSON = ((b"content-type", b"application/json"),)
_TOO_SLOW = 3
_seconds = time.perf_counter
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in http.HTTPStatus}


class Phase:
    """Where a connection is; plain numbers, because they are asked for at every request."""

    IDLE, HEAD, BODY, LINGER, ENDED = range(5)


class Request(NamedTuple):
    """A whole request, or the answer to one that is refused."""

    method: bytes
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    keep: bool
    refusal: Response | None
    buffered: int
    query: str = ""


class Wire:
    """What all connections of one event loop share.

    Parameters
    ----------
    service : Service
        What answers.
    loop : asyncio.AbstractEventLoop
        Where connections live.
    """

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.limits = service.limits
        self.status = service.status
        self.loop = loop
        self.connections: set[Answering] = set()
        self.thread = Aside()
        self.watchdog = service.watchdog
        self.buffered = 0
        self.stopping = False
        self.slow = 0  # predictions in a row that kept the others waiting
        self._empty = asyncio.Event()
        self.now = loop.time()
        patience = (self.limits.head_seconds, self.limits.idle_seconds, self.limits.write_seconds)
        self._every = max(0.01, min(0.5, min(patience) / 4))
        self._timer: asyncio.TimerHandle | None = None
        self.date = self.ok = b""
        self.sweep()

    def sweep(self) -> None:
        """End the connections that have been too slow, and set the clock that answers carry."""
        self.now = self.loop.time()
        self.date = b"date: " + formatdate(time.time(), usegmt=True).encode() + b"\r\n"
        self.ok = _STATUS_LINES[200] + self.date + b"content-type: application/json\r\ncontent-length: "
        for connection in list(self.connections):
            connection.examine(self.now)
        self._timer = self.loop.call_later(self._every, self.sweep)

    def must_try(self) -> bool:
        """Say whether a small body is tried on the event loop though the model is slow, because the thread is stuck."""
        return self.watchdog.is_on and self.thread.is_stuck(self.limits.deadline_seconds)

    def left(self) -> None:
        """Take note that a connection has ended."""
        if self.stopping and not self.connections:
            self._empty.set()

    async def stop(self) -> None:
        """Finish what is being answered, close what rests, and give up on the rest after the grace."""
        self.stopping = True
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            try:
                async with asyncio.timeout(self.limits.grace_seconds):
                    await self._empty.wait()
            except TimeoutError:
                self.status.timeouts += len(self.connections)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        await self.loop.run_in_executor(None, self.thread.stop, self.limits.grace_seconds)


class Answering(asyncio.Protocol):
    """One connection's answers: what is queued, what is in the thread, and how it ends."""

    __slots__ = (
        "_after",
        "_is_paused",
        "_job",
        "_write_since",
        "begun",
        "buffered",
        "is_last",
        "owes",
        "phase",
        "queue",
        "since",
        "transport",
        "wire",
    )

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.transport: Any = None
        self.queue: deque[Request] = deque()
        self.phase = Phase.IDLE
        self.since = wire.now
        self.is_last = False  # whether nothing is read any more
        self.owes = False  # whether a "100 Continue" waits behind earlier answers
        self.begun = False  # whether a request has begun to come in
        self.buffered = 0
        self._write_since = 0.0  # since when the client has not read; 0 while it does
        self._job = 0  # the number of the request in the thread; 0 if there is none
        self._after = 0
        self._is_paused = False

    def connection_made(self, transport: Any) -> None:
        """Remember the connection."""
        self.transport = transport
        wire = self.wire
        wire.connections.add(self)
        wire.status.connections = len(wire.connections)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        """Forget the connection and all that waits on it."""
        wire = self.wire
        wire.connections.discard(self)
        wire.status.connections = len(wire.connections)
        wire.buffered -= self.buffered
        self.buffered = 0
        wire.left()
        self.phase, self.is_last = Phase.ENDED, True
        self._job = 0
        self.queue.clear()

    def eof_received(self) -> bool:
        """Keep the way back open while an answer is owed."""
        owes = bool(self._job or self.queue or self._write_since) and self.phase != Phase.LINGER
        self.is_last = True
        if not owes:
            self.phase = Phase.ENDED
        return owes

    def pause_writing(self) -> None:
        """Stop reading and answering until the client has read."""
        self._write_since = self.wire.now or 1e-9
        self._pause()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_since = 0.0
        self._drain()

    # Answers

    def take(self, request: Request) -> None:
        """Answer a request, or put it behind those that are not answered yet."""
        if self.is_busy:
            self.queue.append(request)
            self._pause()
        else:
            self._answer(request)

    @property
    def is_busy(self) -> bool:
        """Whether an answer must wait for earlier ones."""
        return bool(self._job or self.queue or self._write_since)

    def continue_(self) -> None:
        """Ask for the body, once all earlier answers have left."""
        if self.is_busy:
            self.owes = True
        else:
            self.transport.write(_CONTINUE)

    def refuse(self, response: Response) -> None:
        """Answer by `response` after all earlier requests, and read no further."""
        if self.is_last:
            return
        self.is_last, self.owes = True, False
        request = Request(b"POST", "", {}, b"", keep=False, refusal=response, buffered=0)
        if self.is_busy:
            self.queue.append(request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        wire = self.wire
        response = request.refusal
        if response is None:
            service = wire.service
            is_small = len(request.body) <= service.endpoint.limits.inline_bytes and not request.query
            predicts = request.method == b"POST"
            if is_small and (wire.slow < _TOO_SLOW or not predicts or wire.must_try()):
                watchdog = wire.watchdog
                began = watchdog.began = _seconds()
                try:
                    response = service.respond(request.path, request.body, request.headers)
                    watchdog.began = 0.0
                    if predicts:
                        wire.slow = 0 if _seconds() - began < wire.limits.slow_seconds else wire.slow + 1
                except TooSlowError:
                    wire.slow = _TOO_SLOW
            if response is None and wire.status.waiting >= wire.limits.waiting:
                response = service.busy("too many requests wait")
            elif response is None and wire.thread.is_stuck(wire.limits.deadline_seconds):
                response = service.overdue(request.path, request.body, request.headers)
            elif response is None:
                self._start(request)
                return
        self._send(response, request)

    def _start(self, request: Request) -> None:
        """Let the thread answer, and rest meanwhile."""
        wire = self.wire
        self._after += 1
        job = self._job = self._after
        self._pause()
        wire.status.waiting += 1
        timer = wire.loop.call_later(wire.limits.deadline_seconds, self._overdue, job, request)

        def work() -> None:
            response = None
            if self._job == job:
                began = _seconds()
                response = wire.service.respond(request.path, request.body, request.headers, request.query)
                if _seconds() - began < wire.limits.slow_seconds:
                    wire.slow = 0
            try:
                wire.loop.call_soon_threadsafe(self._done, job, request, response, timer)
            except RuntimeError:
                return  # the loop was closed: a stop whose grace is over

        wire.thread.submit(work)

    def _done(
        self, job: int, request: Request, response: Response | None, timer: asyncio.TimerHandle
    ) -> None:
        self.wire.status.waiting -= 1
        timer.cancel()
        if self._job != job or response is None:
            return  # its deadline has passed, or the client has gone
        self._job = 0
        self._send(response, request)
        self._drain()

    def _overdue(self, job: int, request: Request) -> None:
        if self._job == job:
            self._job = 0
            self._send(self.wire.service.overdue(request.path, request.body, request.headers), request)
            self._drain()

    def _drain(self) -> None:
        """Answer what has waited, in order, and read on."""
        while self.queue and not self._job and not self._write_since:
            self._answer(self.queue.popleft())
        if self.queue or self._job or self._write_since or self.phase in (Phase.LINGER, Phase.ENDED):
            return
        if self.owes:
            self.owes = False
            self.transport.write(_CONTINUE)
        if self._is_paused:
            self._is_paused = False
            self.since = self.wire.now
            self.transport.resume_reading()

    def _pause(self) -> None:
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def _send(self, response: Response, request: Request) -> None:
        wire, body = self.wire, response.body
        wire.status.requests += 1
        if request.buffered:
            wire.buffered -= request.buffered
            self.buffered -= request.buffered
        # Where the client has said its last, the last answer ends the connection.
        keep = request.keep and not wire.stopping and not (self.is_last and not self.queue)
        if keep and response.status == 200 and response.headers == _JSON and request.method == b"POST":
            self.transport.write(b"%b%d\r\n\r\n%b" % (wire.ok, len(body), body))
            return
        lines = [_STATUS_LINES[response.status], wire.date]
        lines += [b"%b: %b\r\n" % header for header in response.headers]
        lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
        if request.method != b"HEAD":
            lines.append(body)
        self.transport.write(b"".join(lines))
        if not keep:
            self._end()

    def _end(self) -> None:
        """Close once the answer has left; what the client still sends is read and thrown away for a moment.

        A socket that is closed while bytes wait in it is reset, and the answer may be lost with it.
        """
        self.queue.clear()
        self.is_last = True
        transport = self.transport
        has_more = self.phase in (Phase.HEAD, Phase.BODY)
        self.since = self.wire.now
        if has_more and transport.can_write_eof():
            self.phase = Phase.LINGER
            transport.write_eof()
            if self._is_paused:
                self._is_paused = False
                transport.resume_reading()
        else:
            self.phase = Phase.ENDED
            transport.close()

    # The clock's side

    def examine(self, now: float) -> None:
        """End the connection if its client has been too slow."""
        limits, waited = self.wire.limits, now - self.since
        if self._job:
            return  # it is this server that is slow; the deadline looks after it
        if self._write_since:
            if now - self._write_since > limits.write_seconds:
                self._give_up()
        elif self.phase == Phase.IDLE:
            if waited > limits.idle_seconds:
                self.finish()
        elif self.phase == Phase.HEAD:
            if waited > limits.head_seconds:
                self._slow("the headers", limits.head_seconds)
        elif self.phase == Phase.BODY:
            seconds = self.wire.service.endpoint.limits.body_seconds
            if waited > seconds:
                self._slow("the body", seconds)
        elif waited > (limits.linger_seconds if self.phase == Phase.LINGER else limits.write_seconds):
            self.abort()

    def _slow(self, what: str, seconds: float) -> None:
        self.wire.status.timeouts += 1
        if self.begun:
            self.refuse(failure(408, f"{what} took longer than {seconds:g} s"))
        else:
            self._close()

    def _give_up(self) -> None:
        self.wire.status.timeouts += 1
        self.abort()

    def finish(self) -> None:
        """Close the connection if it rests; else it ends with its next answer."""
        if self.phase == Phase.IDLE and not self._job and not self.queue and not self._write_since:
            self._close()

    def _close(self) -> None:
        self.is_last, self.phase, self.since = True, Phase.ENDED, self.wire.now
        self.transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self.phase, self.is_last = Phase.ENDED, True
        self.transport.abort()
