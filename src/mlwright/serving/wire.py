"""Wire: HTTP/1.1 on a socket, as an `asyncio.Protocol` that parses with httptools and answers at once.

A small request is answered inside `data_received`: no task, no future and no queue lie between its last byte and its
answer. Whatever is wrong with a request is said in the one JSON shape of all errors, and ends the connection where the
next request's beginning is no longer certain. How answers leave is in `mlwright.serving.exchange`.
"""

from __future__ import annotations

import json
import sys
import traceback
from urllib.parse import unquote

import httptools

from mlwright.serving.exchange import Answering, Phase, Request, Wire
from mlwright.serving.responses import Response, failure

__all__ = ["Connection"]

_SMALL = 65_536  # so much of a refused body is read to its end, so that the connection may go on
_ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"expect",
        b"host",
        b"origin",
        b"transfer-encoding",
    }
)


class Connection(Answering):
    """One connection: its parser, and the request that comes in."""

    __slots__ = (
        "_approved",
        "_body",
        "_chunks",
        "_completed",
        "_fed",
        "_headers",
        "_keep",
        "_length",
        "_method",
        "_parser",
        "_path",
        "_query",
        "_refusal",
        "_size",
        "_url",
    )

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._parser = httptools.HttpRequestParser(self)
        self._approved: dict[bytes, bytes] | None = (
            None  # headers of a prediction that was let through before
        )
        self._completed = False
        self._fed = 0
        self._length = 0
        self._keep = True
        self._path = self._query = ""
        self._url = b""
        self._method = b""
        self._headers: dict[bytes, bytes] = {}
        self._size = 0
        self._body = b""
        self._chunks: list[bytes] | None = None
        self._refusal: Response | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what has come in."""
        self._chunks, self._body = None, b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came in; whole requests are answered on the way."""
        if self.is_last:
            return
        if self.phase == Phase.IDLE:
            self.phase, self.since = Phase.HEAD, self.wire.now
        self._completed = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # the request has been answered, and its connection ends with it
        except httptools.HttpParserCallbackError as error:
            self._fault(error.__context__ or error)
        except httptools.HttpParserError as error:
            if not self.is_last:
                self.wire.status.malformed += 1
                self.refuse(failure(400, f"the request is not HTTP/1.1: {str(error)[:200].lower()}"))
        else:
            if self.phase == Phase.BODY and self._body and self._chunks is None:
                self._chunks, self._length = [self._body], 0
                self._hold(len(self._body))
            # Text that no callback has given yet lies in the parser: a line without an end must not fill the memory.
            if self.phase in (Phase.HEAD, Phase.BODY) and not self._completed:
                self._fed += len(data)
                limits = self.wire.limits
                if self.phase == Phase.HEAD and self._fed > limits.head_bytes:
                    self.refuse(failure(431, f"the headers are larger than {limits.head_bytes:,} bytes"))
                elif self._fed > 2 * self.wire.service.endpoint.limits.body_bytes + _SMALL:
                    self.refuse(failure(413, "the body is cut into too many pieces"))

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.is_last:
            return
        self.phase, self.since = Phase.HEAD, self.wire.now
        self.begun = True
        self._fed = self._size = 0
        self._url = self._body = b""
        self._chunks = None
        self._headers = {}
        self._refusal = None

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._size += len(name) + len(value) + 32
        if self._size > self.wire.limits.head_bytes:
            self._too_large()
            return
        if self.phase != Phase.HEAD:
            return  # a trailer after a body in chunks; nothing that matters may stand there
        name = name.lower()
        headers = self._headers
        if name in headers and name in _ONCE:
            self._refusal = failure(400, f"the header {name.decode('latin-1')} is there twice")
            return
        headers[name] = value

    def on_headers_complete(self) -> None:
        """Screen the request before its body is read."""
        if self.is_last:
            return
        wire, parser, headers = self.wire, self._parser, self._headers
        self.phase, self._fed = Phase.BODY, 0
        method = self._method = parser.get_method()
        is_alike = headers == self._approved and self._refusal is None
        if is_alike and self._url == b"/predict" and method == b"POST":
            self._path, self._query, self._keep = "/predict", "", parser.should_keep_alive()
            return  # the same client asks in the same words
        version = parser.get_http_version()
        upgrades = parser.should_upgrade()
        self._keep = version == "1.1" and not upgrades and parser.should_keep_alive()
        path, query = _parts(self._url)
        self._path, self._query = path, query if method == b"POST" else ""
        refusal = self._refusal or self._odd(version, headers, upgrades=upgrades)
        if refusal is not None:
            self._keep = False  # whoever is behind it, it does not speak as we do
        else:
            refusal = wire.service.screen(
                "POST" if method == b"POST" else method.decode("latin-1"), path, headers, self._query
            )
        has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        if refusal is not None:
            self._refusal = refusal
            length = headers.get(b"content-length", b"0")
            is_short = b"transfer-encoding" not in headers and len(length) < 9 and int(length) <= _SMALL
            if has_body and (not is_short or b"expect" in headers):
                self.refuse(refusal)  # at once, and without the body
        elif b"expect" in headers and has_body:
            self.continue_()
        elif self._keep and self._url == b"/predict" and b"transfer-encoding" not in headers:
            self._approved = headers

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._refusal is not None or self.is_last:
            return
        if not self._body and self._chunks is None:
            self._body = body
            self._length = len(body)
            if self._length > self.wire.service.endpoint.limits.body_bytes:
                self._too_long()
            return
        if self._chunks is None:
            self._chunks, self._length = [self._body], 0
            self._hold(len(self._body))
        self._chunks.append(body)
        self._hold(len(body))

    def on_message_complete(self) -> None:
        """Answer the request, or put it behind those that are not answered yet."""
        if self.is_last:
            return
        self._completed, self.begun = True, False
        self.phase, self.since = Phase.IDLE, self.wire.now
        body, buffered = self._body, 0
        if self._chunks is not None:
            body = b"".join(self._chunks)
            buffered, self._chunks = self._length, None
        self._body = b""
        if not self._keep:
            self.is_last = True
        self.take(
            Request(
                self._method,
                self._path,
                self._headers,
                body,
                self._keep,
                self._refusal,
                buffered,
                self._query,
            )
        )

    # What is wrong with a request

    def _odd(self, version: str, headers: dict[bytes, bytes], *, upgrades: bool) -> Response | None:
        """Return what HTTP itself forbids or this server does not do."""
        if version == "1.1":
            if b"host" not in headers:
                return failure(400, "the request names no host")
        elif version != "1.0":
            return failure(
                505, "the request is of another version of HTTP", got=version, allowed=["1.1", "1.0"]
            )
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
            return failure(501, "only chunked bodies are read", got=_shown(headers[b"transfer-encoding"]))
        if b"expect" in headers and headers[b"expect"].lower() != b"100-continue":
            return failure(417, "this cannot be expected", got=_shown(headers[b"expect"]))
        if upgrades and self._method not in (b"GET", b"HEAD"):  # the parser would not read its body
            return failure(501, "this server changes to no other protocol")
        wire = self.wire
        if len(wire.connections) > wire.limits.connections:
            return wire.service.busy("too many connections")
        return None

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.wire.limits.head_bytes:
            self._too_large()

    def _too_large(self) -> None:
        limit = self.wire.limits.head_bytes
        self.refuse(failure(431, f"the headers are larger than {limit:,} bytes"))

    def _too_long(self) -> None:
        limit = self.wire.service.endpoint.limits.body_bytes
        self.refuse(failure(413, f"the body is larger than {limit:,} bytes"))

    def _hold(self, size: int) -> None:
        """Count `size` more bytes of a body in pieces, and refuse it if it, or all together, are too large."""
        wire = self.wire
        self._length += size
        self.buffered += size
        wire.buffered += size
        if self._length > wire.service.endpoint.limits.body_bytes:
            self._too_long()
        elif wire.buffered > wire.limits.buffered_bytes:
            self.refuse(wire.service.busy("too many bodies are in memory"))

    def _fault(self, error: BaseException) -> None:
        """Say that this server has failed; its standard error has the reason."""
        line = {
            "level": "error",
            "event": "connection failed",
            "error": type(error).__name__,  # its text may repeat what a record holds
            "traceback": "".join(traceback.format_tb(error.__traceback__)),
        }
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
        self.refuse(failure(500, "the service failed on this request; its log says why"))


def _parts(url: bytes) -> tuple[str, str]:
    """Return the path of a request's address, decoded, and its query as it stands.

    Examples
    --------
    >>> _parts(b"/v2/models/a%20b?x=%31"), _parts(b"http://host/ready"), _parts(b"*")
    (('/v2/models/a b', 'x=%31'), ('/ready', ''), ('*', ''))
    """
    if url[:1] != b"/":
        if b"://" not in url:
            return url.decode("latin-1"), ""
        url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
    head, _, query = url.partition(b"#")[0].decode("latin-1").partition("?")
    return unquote(head, errors="replace") if "%" in head else head, query


def _shown(value: bytes) -> str:
    return value.decode("latin-1")[:100]
