"""Ids: a new one for each prediction, which sorts by its time."""

from __future__ import annotations

import os
import time

__all__ = ["id_bytes", "id_time", "new_id"]

_AT_ONCE = 8
_tails: list[bytes] = []  # the random ends of ids to come
os.register_at_fork(after_in_child=_tails.clear)  # or two workers would give the same ids


def id_bytes() -> bytes:
    """Return a new UUID of version 7 as 32 hexadecimal digits; ids sort by their millisecond."""
    try:
        tail = _tails.pop()
    except IndexError:
        tail = _more()
    return b"%012x%b" % (time.time_ns() // 1_000_000, tail)


def new_id() -> str:
    """Return what `id_bytes` does, as text.

    Examples
    --------
    >>> len(new_id()), new_id()[12]
    (32, '7')
    """
    return id_bytes().decode()


def id_time(prediction_id: str) -> float | None:
    """Return the second since 1970 UTC at which an id was made, or None if it is no id.

    Examples
    --------
    >>> id_time("019ab1c22f8f7d3a9c0e5b6f4a1d2e3c"), id_time("x")
    (1763918884.751, None)
    """
    if len(prediction_id) != 32 or not set(prediction_id) <= set("0123456789abcdef"):
        return None
    return int(prediction_id[:12], 16) / 1000


def _more() -> bytes:
    random = os.urandom(10 * _AT_ONCE).hex()
    for start in range(0, 20 * _AT_ONCE, 20):
        part = random[start : start + 20]
        _tails.append(f"7{part[:3]}{'89ab'[int(part[3], 16) & 3]}{part[4:19]}".encode())
    return _tails.pop()
