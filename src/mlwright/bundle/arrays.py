"""Named arrays in one file, in the safetensors layout: a length, a JSON header, raw little-endian numbers.

No compression, no objects, no code: the file is as large as what it holds, so it cannot be a bomb, and equal arrays
give equal bytes. Any safetensors reader opens it (https://github.com/huggingface/safetensors, format description).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from mlwright.core.errors import BundleContentError
from mlwright.core.files import canonical_json

__all__ = ["decode", "encode"]

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_DIMENSIONS = 4


def encode(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return `arrays` as bytes: widest numbers first, then by name, so that all stay aligned.

    Examples
    --------
    >>> decode(encode({"mean": np.array([1.5, 2.0])}), "x")["mean"].tolist()
    [1.5, 2.0]
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _NAMES:
            raise BundleContentError(
                f"array '{name}' has a type that bundles do not hold",
                got=str(array.dtype),
                allowed=sorted(_DTYPES),
            )
        raw = np.ascontiguousarray(array, dtype=dtype).tobytes()
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(raw)],
        }
        parts.append(raw)
        offset += len(raw)
    head = canonical_json(header)
    head += b" " * (-len(head) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *parts])


def decode(content: bytes, file: str) -> dict[str, np.ndarray]:
    """Return the arrays in `content`, each checked against the file's length before it is made.

    Parameters
    ----------
    content : bytes
        The whole file.
    file : str
        Its name, for the message.

    Raises
    ------
    BundleContentError
        If a type, shape or offset is not what it must be, or bytes are left over.
    """
    if len(content) < 8:
        raise BundleContentError(f"{file}: too short for named arrays", got=f"{len(content)} bytes")
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        raise BundleContentError(f"{file}: its header is longer than the file", got=length)
    try:
        header = msgspec.json.decode(content[8 : 8 + length], type=dict[str, dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BundleContentError(f"{file}: its header is not a JSON object of arrays ({error})") from error
    body = memoryview(content)[8 + length :]
    arrays: dict[str, np.ndarray] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _start(item[1])):
        shape, offsets = entry.get("shape"), entry.get("data_offsets")
        dtype = _DTYPES.get(str(entry.get("dtype")))
        if dtype is None:
            raise BundleContentError(
                f"{file}: array '{name}' has an unknown type", got=entry.get("dtype"), allowed=sorted(_DTYPES)
            )
        if (
            not isinstance(shape, list)
            or len(shape) > _MAX_DIMENSIONS
            or not all(type(n) is int and n >= 0 for n in shape)
        ):
            raise BundleContentError(f"{file}: array '{name}' has no valid shape", got=shape)
        size = math.prod(shape) * dtype.itemsize
        if offsets != [end, end + size] or end + size > len(body):
            raise BundleContentError(f"{file}: array '{name}' does not lie where its shape says", got=offsets)
        arrays[name] = np.frombuffer(body[end : end + size], dtype).reshape(shape)
        end += size
    if end != len(body):
        raise BundleContentError(f"{file}: bytes are left over after the last array", got=len(body) - end)
    return arrays


def _start(entry: dict[str, Any]) -> tuple[int, int]:
    offsets = entry.get("data_offsets")
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(n) is int for n in offsets):
        return offsets[0], offsets[1]
    return -1, -1
