"""Fingerprint: what a table's content is, in one short name, whatever file it came from.

Hashed are the canonical cells of `mlwright.data.values`, never the source's bytes: one content has one fingerprint
as CSV, JSON lines or Parquet, in any chunks, with or without dictionaries.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from mlwright.core.files import canonical_json
from mlwright.core.types import Floats
from mlwright.data.table import Table
from mlwright.data.values import Coded

__all__ = ["fingerprint", "row_hashes"]

_MISSING = b"\x00" * 16


def fingerprint(table: Table) -> str:
    """Return the SHA-256 of a table's names, kinds and canonical cells, in row order.

    Parameters
    ----------
    table : Table
        All its columns count, also the ignored ones.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwright.data.infer import infer
    >>> one, two = (pa.table({"price": price}) for price in ([1.5, None], ["1.5", ""]))
    >>> fingerprint(Table(one, infer(one))) == fingerprint(Table(two, infer(two)))
    True
    """
    digest = hashlib.sha256(canonical_json({"format": 1, "rows": table.n_rows}))
    for column in table.schema.columns:
        cells = table.columns([column.name])[column.name]
        digest.update(canonical_json([column.name, str(column.kind)]))
        if isinstance(cells, Coded):
            digest.update(_level_digests(cells, 16)[cells.codes].tobytes())
        else:
            digest.update(_one_zero(cells).astype("<f8", copy=False).tobytes())
    return digest.hexdigest()


def row_hashes(table: Table) -> NDArray[np.uint64]:
    """Return a hash of every row's content, by which a row is known again in another table.

    Parameters
    ----------
    table : Table of n_rows
        All its columns count; their order does not.

    Returns
    -------
    ndarray of uint64, shape (n_rows,)
        Equal for equal rows; two different rows have equal hashes with a chance of 2**-64.

    References
    ----------
    The mixing step is that of SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwright.data.infer import infer
    >>> raw = pa.table({"a": [1.5, 2.5, 1.5], "b": ["x", "y", "x"]})
    >>> hashes = row_hashes(Table(raw, infer(raw)))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    total = np.zeros(table.n_rows, np.uint64)
    for column in table.schema.columns:
        cells = table.columns([column.name])[column.name]
        salt = np.frombuffer(
            hashlib.sha256(canonical_json([column.name, str(column.kind)])).digest()[:8], "<u8"
        )[0]
        if isinstance(cells, Coded):
            bits = _level_digests(cells, 8).view("<u8")[cells.codes]
        else:
            bits = _one_zero(cells).view(np.uint64)
        total += _mixed(bits.astype(np.uint64, copy=False) ^ salt)
    return _mixed(total)


def _one_zero(cells: Floats) -> Floats:
    """Return the cells with one zero and one missing value, bit by bit."""
    plain = cells + 0.0  # -0.0 becomes 0.0
    plain[np.isnan(plain)] = np.nan
    return plain


def _level_digests(cells: Coded, size: int) -> np.ndarray:
    """Return one digest of `size` bytes a level; the last one stands for missing (code -1)."""
    whole = b"".join(
        hashlib.blake2b(level.encode("utf-8", "surrogatepass"), digest_size=size).digest()
        for level in cells.levels
    )
    return np.frombuffer(whole + _MISSING[:size], dtype=np.dtype(f"V{size}"))


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = bits + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
