"""Snapshot: the raw values of a table as one Parquet file that is named by its content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from mlwright.core.errors import StoreError, UsageError
from mlwright.core.files import canonical_json
from mlwright.data.fingerprint import fingerprint as fingerprint_of
from mlwright.data.schema import Schema
from mlwright.data.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["load", "save"]

_SCHEMA_KEY = b"mlwright.schema"


def save(table: Table, directory: Path) -> Path:
    """Write the raw values of a table and its schema to ``<fingerprint>.parquet``.

    A file that is there already is left as it is: its name says that it holds the same content.

    Parameters
    ----------
    table : Table
        What to keep.
    directory : Path
        Is made if it is missing.

    Returns
    -------
    Path
        The file: there and whole, or not there.
    """
    import pyarrow.parquet as pq

    path = directory / f"{fingerprint_of(table)}.parquet"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    kept = table.arrow.replace_schema_metadata({_SCHEMA_KEY: canonical_json(table.schema.to_json())})
    temporary = directory / f".{path.name}.{uuid4().hex}"
    try:
        pq.write_table(kept, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load(directory: Path, fingerprint: str) -> Table:
    """Return the table that `save` wrote, after checking that its content is what its name says.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise UsageError("not a fingerprint", got=fingerprint, allowed="64 hexadecimal digits")
    path = directory / f"{fingerprint}.parquet"
    if not path.is_file():
        raise StoreError(
            f"the snapshot '{path}' is missing",
            fix="run again from the source; the store may have been pruned",
        )
    try:
        arrow = pq.read_table(path)
        table = Table(arrow.replace_schema_metadata(None), _schema_in(arrow))
        found = fingerprint_of(table)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the snapshot '{path}' is damaged ({error})", fix="delete it and run again from the source"
        ) from error
    if found != fingerprint:
        raise StoreError(
            f"the snapshot '{path}' is damaged: its content is not what its name says",
            got=found,
            fix="delete it and run again from the source",
        )
    return table


def _schema_in(arrow: pa.Table) -> Schema:
    metadata = arrow.schema.metadata or {}
    return Schema.from_json(msgspec.json.decode(metadata[_SCHEMA_KEY]))
