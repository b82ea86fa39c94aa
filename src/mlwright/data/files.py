"""Files: CSV, TSV, JSON lines and Parquet as Arrow, whole or as a stream of batches with the same values.

DuckDB reads the text formats: a CSV column as the text that it is, so that ``007`` keeps its zeros and no date
changes its order of day and month; a JSON column by what all its records hold, dates as the text that they are.
pyarrow reads Parquet, whose columns carry their own types.
"""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwright.core.errors import SourceError, UsageError
from mlwright.data.frames import plain, unique_names
from mlwright.data.text_files import TextFile, file_kind, layout, text_file

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["paths_of", "read_files", "stream_files"]

_MAX_LINE = 1 << 24  # bytes of one CSV row or one JSON record
_ENDINGS = {
    "csv": "delimited",
    "tsv": "delimited",
    "tab": "delimited",
    "txt": "delimited",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
    "pq": "parquet",
}
_SPOKEN = {"delimited": "delimited text", "json": "JSON", "parquet": "Parquet"}
_JSON_TYPES = re.compile(r"TINYINT|SMALLINT|INTEGER|BIGINT|UINTEGER|DOUBLE|FLOAT|BOOLEAN|VARCHAR")


def paths_of(source: str) -> list[Path]:
    """Return the files that a path or a glob names, sorted by name.

    Raises
    ------
    SourceError
        If there is none, or the path is a folder; the message names the nearest files.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        ending = Path(inside[0]).suffix if inside else ".csv"
        raise SourceError("a folder is not a table", got=source, fix=f"name its files: '{path}/*{ending}'")
    if glob.has_magic(source):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - a glob from the root has no folder to start from
        if files := [each for each in found if each.is_file()]:
            return files
    missing = path
    while not missing.parent.is_dir():
        missing = missing.parent
    folder = missing.parent
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(missing.name, names, n=3, cutoff=0.5)
    raise SourceError(
        "no such file",
        got=source,
        fix=f"did you mean {' or '.join(repr(str(folder / name)) for name in near)}?"
        if near
        else f"the nearest folder, '{folder}', holds {', '.join(names[:10]) or 'nothing'}",
    )


def read_files(paths: list[Path]) -> tuple[pa.Table, list[str]]:
    """Return the rows of all files, in order, and notes on what had to be guessed."""
    import pyarrow as pa

    notes: list[str] = []
    kind = _kind(paths, notes)
    with ExitStack() as stack:
        if kind == "parquet":
            schema = _parquet_schema(paths)
            table = pa.Table.from_batches(list(_parquet_batches(paths, schema, 1 << 17)), schema)
        elif kind == "json":
            relation, names = _json(paths, stack, notes)
            table = _failing(paths, relation.to_arrow_table).rename_columns(names)
        else:
            tables = [
                _failing([path], relation.to_arrow_table).rename_columns(names).select(order)
                for path, relation, names, order in _delimited(paths, stack, notes)
            ]
            table = pa.concat_tables(tables)
    table, more = plain(_without_index(table, notes))
    return table, list(dict.fromkeys([*notes, *more]))


@contextmanager
def stream_files(paths: list[Path], rows: int) -> Iterator[Iterator[pa.Table]]:
    """Open the rows of all files, in order, as tables of up to `rows` rows; the values equal `read_files`'s."""
    notes: list[str] = []
    kind = _kind(paths, notes)
    with ExitStack() as stack:
        if kind == "parquet":
            batches = _parquet_batches(paths, _parquet_schema(paths), rows)
        elif kind == "json":
            relation, names = _json(paths, stack, notes)
            batches = _batches(paths, relation, names, names, rows)
        else:
            parts = _delimited(paths, stack, notes)
            batches = (
                batch
                for path, relation, names, order in parts
                for batch in _batches([path], relation, names, order, rows)
            )
        yield _plain_tables(batches)


def _plain_tables(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in batches:
        yield plain(_without_index(pa.Table.from_batches([batch]), []))[0]


def _batches(
    paths: list[Path], relation: duckdb.DuckDBPyRelation, names: list[str], order: list[str], rows: int
) -> Iterator[pa.RecordBatch]:
    reader = _failing(paths, lambda: relation.to_arrow_reader(rows))
    while True:
        batch = _failing(paths, lambda: next(reader, None))
        if batch is None:
            return
        if batch.num_rows:
            yield batch.rename_columns(names).select(order)


def _kind(paths: list[Path], notes: list[str]) -> str:
    kinds = {path: file_kind(path) for path in paths}
    first = kinds[paths[0]]
    if other := next((path for path in paths if kinds[path] != first), None):
        raise SourceError(
            f"the files are of two formats: '{paths[0]}' is {_SPOKEN[first]}, '{other}' is {_SPOKEN[kinds[other]]}",
            fix="name files of one format",
        )
    for path in paths:
        said = next(
            (_ENDINGS[end] for end in reversed(path.name.lower().split(".")) if end in _ENDINGS), first
        )
        if said != first:
            notes.append(f"'{path.name}' is {_SPOKEN[first]}, whatever its name says")
    return first


def _connection(stack: ExitStack) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    stack.callback(connection.close)
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        "SET enable_external_file_cache = false"
    )  # a file is read once: do not keep it in memory
    return connection


def _failing(paths: list[Path], call: Any) -> Any:
    """Return what `call` returns; say DuckDB's errors in our words."""
    import duckdb

    try:
        return call()
    except duckdb.Error as error:
        raise _said(paths, str(error)) from error


def _said(paths: list[Path], message: str) -> SourceError:
    where = f"'{paths[0]}'" if len(paths) == 1 else f"one of {len(paths)} files like '{paths[0]}'"
    line = re.search(r"CSV Error on Line: (\d+)", message)
    if line is None:
        if "expected records" in message:
            return SourceError(
                f"{where} holds JSON that is no record",
                allowed="one object a line, or an array of objects",
                fix="write the table as JSON lines",
            )
        message = message.replace("Invalid Input Error: ", "")
        return SourceError(f"{where} cannot be read ({message.splitlines()[0]})", fix="check the file")
    original = re.search(r"Original Line: ?(.*)", message)
    shown = original.group(1)[:120] if original else ""
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if counts:
        return SourceError(
            f"line {line.group(1)} of {where} has {counts.group(2)} fields, the header has {counts.group(1)}",
            got=shown,
            fix="quote fields that hold the separator, or mend the line",
        )
    if "quote" in message:
        return SourceError(
            f"line {line.group(1)} of {where} has a quote that is not closed", got=shown, fix="mend the line"
        )
    reason = next(
        (part for part in message.splitlines()[1:] if part and "Original Line" not in part), message
    )
    return SourceError(f"line {line.group(1)} of {where} cannot be read ({reason})", got=shown)


def _delimited(
    paths: list[Path], stack: ExitStack, notes: list[str]
) -> Iterator[tuple[Path, duckdb.DuckDBPyRelation, list[str], list[str]]]:
    """Yield one relation of text a file, its column names, and the order of the first file's columns."""
    connection = _connection(stack)
    order: list[str] = []
    for path in paths:
        text = text_file(path, stack, notes)
        shape = layout(path, text)
        names, changed = unique_names(shape.names)
        notes += changed
        order = order or names
        if sorted(names) != sorted(order):
            odd = sorted(set(names) ^ set(order))
            raise SourceError(
                f"'{path}' has other columns than '{paths[0]}'",
                got=odd[:10],
                fix="name files of one layout",
            )
        options: dict[str, Any] = {
            "delim": shape.separator,
            "quote": '"',
            "escape": '"',
            "header": True,
            "auto_detect": False,
            "columns": {f"c{position}": "VARCHAR" for position in range(len(names))},
            "max_line_size": _MAX_LINE,
            "compression": text.compression,
        }
        yield path, _relation(connection, "read_csv", [text.path], options, [path]), names, order


def _relation(
    connection: duckdb.DuckDBPyConnection,
    function: str,
    files: list[Path],
    options: dict[str, Any],
    paths: list[Path],
) -> duckdb.DuckDBPyRelation:
    # A path is a glob to DuckDB: its own signs go into brackets.
    escaped = [re.sub(r"([*?[])", r"[\1]", str(file)) for file in files]
    arguments = ", ".join(f"{name} = ${name}" for name in options)
    statement = f"SELECT * FROM {function}($files, {arguments})"  # noqa: S608 - names from this file only
    return _failing(paths, lambda: connection.sql(statement, params={"files": escaped, **options}))


def _json(paths: list[Path], stack: ExitStack, notes: list[str]) -> tuple[duckdb.DuckDBPyRelation, list[str]]:
    """Return one relation over all files: numbers and booleans typed, everything else as text, and its names."""
    connection = _connection(stack)
    texts = [text_file(path, stack, notes) for path in paths]
    compression = {text.compression for text in texts}
    if len(compression) > 1:
        raise UsageError("some of the files are compressed in another way", fix="compress all alike")
    options: dict[str, Any] = {
        "format": "auto",
        "records": "true",
        "sample_size": -1,
        "map_inference_threshold": -1,
        "field_appearance_threshold": 0.0,
        "maximum_object_size": _MAX_LINE,
        "compression": texts[0].compression,
    }
    files = [text.path for text in texts]
    seen = _relation(connection, "read_json", files, options, paths)
    types = dict(zip(seen.columns, map(str, seen.types), strict=True))
    types |= _narrowed(seen, types, paths)
    _refuse_case(connection, files, texts, list(types), paths)
    columns = {
        name: kind if _JSON_TYPES.fullmatch(kind) or kind.endswith("]") or "(" in kind else "VARCHAR"
        for name, kind in types.items()
    }
    for option in ("sample_size", "map_inference_threshold", "field_appearance_threshold"):
        del options[option]
    return _relation(connection, "read_json", files, options | {"columns": columns}, paths), list(columns)


def _narrowed(seen: duckdb.DuckDBPyRelation, types: dict[str, str], paths: list[Path]) -> dict[str, str]:
    """Return BIGINT for columns that DuckDB holds wider (any with a negative number) and that fit into 64 bits."""
    wide = [name for name, kind in types.items() if kind in {"HUGEINT", "UBIGINT"}]
    if not wide:
        return {}
    quoted = ['"' + name.replace('"', '""') + '"' for name in wide]
    asked = seen.aggregate(", ".join(f"min({name}), max({name})" for name in quoted))
    ends = _failing(paths, asked.fetchall)[0]
    fits = {name: ends[2 * i] >= -(2**63) and ends[2 * i + 1] < 2**63 for i, name in enumerate(wide)}
    return {name: "BIGINT" for name in wide if fits[name]}


def _refuse_case(
    connection: duckdb.DuckDBPyConnection,
    files: list[Path],
    texts: list[TextFile],
    names: list[str],
    paths: list[Path],
) -> None:
    """Refuse keys that differ only in case: DuckDB numbers the second and would then read it as missing."""
    lower = {name.lower(): name for name in names}
    for name in names:
        base, _, number = name.rpartition("_")
        if not number.isdigit() or base.lower() not in lower or lower[base.lower()] == base:
            continue
        options = {"maximum_object_size": _MAX_LINE, "compression": texts[0].compression}
        objects = _relation(connection, "read_json_objects", files, options, paths)
        pointer = "/" + base.replace("~", "~0").replace("/", "~1")
        quoted = pointer.replace("'", "''")
        if objects.aggregate(f"bool_or(json_exists(json, '{quoted}'))").fetchall()[0][0]:
            raise SourceError(
                f"two keys of '{paths[0]}' differ only in upper and lower case",
                got=[lower[base.lower()], base],
                fix="rename one of them",
            )


def _parquet_schema(paths: list[Path]) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = []
    for path in paths:
        try:
            schemas.append(pq.read_schema(path))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"'{path}' is damaged or cut short ({error})", fix="write or copy the file again"
            ) from error
    if len(schemas) == 1:
        return schemas[0]
    first = schemas[0]
    for path, schema in zip(paths, schemas, strict=True):
        if sorted(schema.names) != sorted(first.names):
            raise SourceError(
                f"'{path}' has other columns than '{paths[0]}'",
                got=sorted(set(schema.names) ^ set(first.names))[:10],
                fix="name files of one layout",
            )
    try:
        bare = [_undictionaried(schema) for schema in schemas]
        unified = pa.unify_schemas(bare, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise SourceError(
            f"the files like '{paths[0]}' have columns of types that do not go together ({error})",
            fix="write them with one type a column",
        ) from error
    return unified.with_metadata(first.metadata)


def _undictionaried(schema: pa.Schema) -> pa.Schema:
    """Return a schema without dictionaries and metadata: one file may have what another has not."""
    import pyarrow as pa
    from pyarrow import types

    return pa.schema(
        (field.name, field.type.value_type if types.is_dictionary(field.type) else field.type)
        for field in schema
    )


def _parquet_batches(paths: list[Path], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in paths:
        try:
            # Read ahead, pyarrow would hold the bytes of all row groups at once.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=rows):
                    table = pa.Table.from_batches([batch])
                    if len(paths) > 1:
                        table = table.select(schema.names)
                    if table.num_rows:
                        yield table.cast(schema).combine_chunks().to_batches()[0]
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"'{path}' is damaged or cut short ({error})", fix="write or copy the file again"
            ) from error


def _without_index(table: pa.Table, notes: list[str]) -> pa.Table:
    """Leave out the nameless index that pandas writes into Parquet."""
    index = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    if index:
        notes.append("the index of the data frame is left out")
    return table.drop_columns(index) if index else table
