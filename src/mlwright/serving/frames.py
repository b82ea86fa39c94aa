"""Frames: the prediction log's own file format, as cheap to write as bytes can be.

A file is a run of blocks. A block is a mark of 8 bytes, the length of what follows, the number of entries, a CRC-32, the
length of the origin; the origin (``model``, ``version`` and ``sha256`` as JSON), then the entries. An entry is a time
(microseconds since 1970 UTC), a latency (microseconds), two lengths, the record and the answer as JSON. A reader that
meets a torn or damaged block looks for the next mark, so one bad block costs no other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Block", "block", "entries", "entry", "read_blocks"]

_MARK = b"\x93mlwlog\n"
_HEAD = struct.Struct("<IIIH")
_ENTRY = struct.Struct("<qIII")
_pack = _ENTRY.pack


class Block(NamedTuple):
    """A whole block as it was read."""

    origin: bytes
    n_entries: int
    payload: bytes


def entry(time_us: int, latency_us: int, record: bytes, answer: bytes) -> bytes:
    """Return one prediction as bytes.

    Examples
    --------
    >>> len(entry(0, 12, b"{}", b'{"prediction":1}'))
    38
    """
    return _pack(time_us, latency_us, len(record), len(answer)) + record + answer


def block(origin: bytes, parts: Sequence[bytes]) -> bytes:
    """Return entries as one block.

    Examples
    --------
    >>> [list(entries(found.payload)) for found in read_blocks(block(b"{}", [entry(1, 2, b"a", b"bc")]))]
    [[(1, 2, b'a', b'bc')]]
    """
    payload = b"".join(parts)
    crc = _crc(len(parts), origin, payload)
    return b"".join((_MARK, _HEAD.pack(len(payload), len(parts), crc, len(origin)), origin, payload))


def _crc(n_entries: int, origin: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(origin, n_entries))


def read_blocks(data: bytes) -> Iterator[Block]:
    """Yield the whole blocks of a file; what is torn or damaged is passed over."""
    place = 0
    while (place := data.find(_MARK, place)) >= 0:
        found = _at(data, place + len(_MARK))
        if found is None:
            place += 1  # the mark may stand in a record's text, so the search goes on behind its first byte
            continue
        yield found
        place += len(_MARK) + _HEAD.size + len(found.origin) + len(found.payload)


def _at(data: bytes, start: int) -> Block | None:
    if start + _HEAD.size > len(data):
        return None
    size, n_entries, crc, n_origin = _HEAD.unpack_from(data, start)
    middle = start + _HEAD.size + n_origin
    if middle + size > len(data):
        return None
    origin, payload = data[start + _HEAD.size : middle], data[middle : middle + size]
    if _crc(n_entries, origin, payload) != crc:
        return None
    return Block(origin, n_entries, payload)


def entries(payload: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield time (microseconds), latency (microseconds), record and answer of each entry of a whole block."""
    place, unpack, size = 0, _ENTRY.unpack_from, _ENTRY.size
    while place < len(payload):
        time_us, latency_us, n_record, n_answer = unpack(payload, place)
        middle = place + size + n_record
        yield time_us, latency_us, payload[place + size : middle], payload[middle : middle + n_answer]
        place = middle + n_answer
