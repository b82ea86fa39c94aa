"""Write: tables to a file, batch by batch, in the format that the file's name says."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from mlwright.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Writer"]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_ALLOWED = ".csv, .tsv, .jsonl (each also with .gz or .zst) or .parquet"


class Writer:
    """Writes tables of one layout to a file that is there and whole at the end, or not there.

    Parameters
    ----------
    path : str or Path
        Its ending says the format: ``.csv``, ``.tsv``, ``.jsonl`` (also ``.ndjson``, ``.json``: one object a line),
        ``.parquet`` (Zstandard inside); the text formats also with ``.gz`` or ``.zst``.

    Raises
    ------
    UsageError
        If the ending is none of these.

    Examples
    --------
    >>> import pyarrow as pa, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(f"{folder}/out.csv") as writer:
    ...         writer.write(pa.table({"score": [0.25, 0.75]}))
    ...     print(Path(f"{folder}/out.csv").read_text().split())
    ['"score"', '0.25', '0.75']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        endings = [ending.lower() for ending in self.path.suffixes]
        self._compression = _COMPRESSIONS.get(endings[-1]) if endings else None
        format_ending = endings[-2:-1] if self._compression else endings[-1:]
        self._format = _FORMATS.get(format_ending[0]) if format_ending else None
        if self._format is None or (self._format == "parquet" and self._compression):
            raise UsageError(
                "the format of the file is not known by its name",
                got=str(path),
                allowed=_ALLOWED,
                fix="give it one of these endings",
            )
        if self.path.is_dir():
            raise UsageError("a folder stands where the file would be", got=str(path), fix="name a file")
        self._temporary = self.path.with_name(f".{self.path.name}.{uuid4().hex}")
        self._stream: Any = None
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def __enter__(self) -> Self:
        import pyarrow as pa

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = pa.output_stream(str(self._temporary), compression=self._compression)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
            self._stream.close()
            if error is None:
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, table: pa.Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        DataError
            If its columns are not those of the first table, or are of a type that the format cannot hold.
        """
        import pyarrow as pa

        if self._stream is None:
            raise UsageError("the writer is not open", fix="use it as: with Writer(path) as writer")
        if self._format != "parquet":
            table = _spellable(table, nested=self._format == "json")
        try:
            if self._schema is None:
                self._schema = table.schema.remove_metadata()
                self._writer = self._opened(self._schema)
            table = table.select(self._schema.names).cast(self._schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, ValueError) as error:
            raise DataError(
                f"the table does not go into '{self.path.name}' beside the rows before it ({error})",
                fix="write tables of one layout",
            ) from error
        if self._format == "json":
            import msgspec

            for batch in table.to_batches(max_chunksize=8192):
                self._stream.write(msgspec.json.Encoder().encode_lines(batch.to_pylist()))
        else:
            self._writer.write_table(table)

    def _opened(self, schema: pa.Schema) -> Any:
        from pyarrow import csv
        from pyarrow import parquet as pq

        if self._format == "parquet":
            return pq.ParquetWriter(self._stream, schema, compression="zstd")
        if self._format == "json":
            return None
        options = csv.WriteOptions(delimiter="," if self._format == "csv" else "\t")
        return csv.CSVWriter(self._stream, schema, write_options=options)


def _spellable(table: pa.Table, *, nested: bool) -> pa.Table:
    """Return `table` with types that text can spell: no dictionaries, no nanoseconds, times with a zone in UTC."""
    import pyarrow as pa
    from pyarrow import types

    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        made = column.cast(column.type.value_type) if types.is_dictionary(column.type) else column
        if types.is_timestamp(made.type) and made.type.unit == "ns":
            made = made.cast(pa.timestamp("us", made.type.tz), safe=False)
        if types.is_nested(made.type) and not nested:
            raise DataError(
                f"column '{name}' holds lists or records, which a CSV file cannot hold",
                fix="write .jsonl or .parquet",
            )
        columns.append(made)
    return pa.table(columns, names=table.column_names) if columns else table
