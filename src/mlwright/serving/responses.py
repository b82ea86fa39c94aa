"""Responses: what goes back to a client, and the one shape that all errors have."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

__all__ = ["JSON", "NO_SNIFFING", "Response", "as_json", "failure", "malformed"]

JSON = (b"content-type", b"application/json")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")

_BYTE = re.compile(r"\(byte (\d+)\)")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Response(NamedTuple):
    """A status, headers without content-length, and a body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def as_json(tree: Any, status: int = 200) -> Response:
    """Return a JSON tree as a response.

    Examples
    --------
    >>> as_json({"ready": True}).body
    b'{"ready":true}'
    """
    return Response(status, (JSON,), _encode(tree))


def failure(
    status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = (), **more: Any
) -> Response:
    """Return an error in the one shape that all errors have.

    Examples
    --------
    >>> failure(404, "no such address").body
    b'{"error":{"message":"no such address"}}'
    """
    return Response(status, (JSON, *headers), _encode({"error": {"message": message, **more}}))


def malformed(body: bytes, error: Exception) -> Response:
    """Return the 400 for a body that is not JSON, with the place of the mistake where there is one."""
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
