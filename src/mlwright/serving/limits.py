"""Limits of the wire: what one connection, and all of them together, may cost the server."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WireLimits"]


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What connections may cost; what one body may cost is in `mlwright.serving.endpoint.Limits`.

    Parameters
    ----------
    head_bytes : int
        The longest request line and headers, each header counted with 32 bytes more, as HTTP/2 does.
    head_seconds : float
        How long they may take to come in, from their first byte.
    idle_seconds : float
        How long a connection may rest between two requests.
    write_seconds : float
        How long a client may leave an answer unread.
    deadline_seconds : float
        How long a body that is worked on in the thread may take; then the fallback answers, or a 503.
    slow_seconds : float
        A prediction of a small body may keep the others waiting so long. If three in a row take longer, small bodies go to
        the thread too, where the deadline holds, until one is quick again.
    linger_seconds : float
        How long the rest of a refused request is still read, so that the client sees the answer.
    grace_seconds : float
        How long a stop waits for what is being answered.
    connections : int
        Open connections; more are turned away by a 429.
    waiting : int
        Requests that wait for the thread; more are turned away by a 429.
    buffered_bytes : int
        Bodies in memory, of all connections together; more are turned away by a 429.
    """

    head_bytes: int = 16_384
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    write_seconds: float = 30.0
    deadline_seconds: float = 30.0
    slow_seconds: float = 0.05
    linger_seconds: float = 2.0
    grace_seconds: float = 10.0
    connections: int = 1_000
    waiting: int = 64
    buffered_bytes: int = 256 * 2**20
