"""Arrow: an IPC stream of columns in, predictions out as columns; pyarrow is loaded with the first one."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mlwright.core.errors import DataError, RecordError
from mlwright.core.types import Json
from mlwright.data.contract_tally import Tally
from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded, Columns, columns
from mlwright.serving import tables
from mlwright.serving.answers import label_key
from mlwright.serving.columnar import Answering, Predictions, predictions_of
from mlwright.serving.predictor import Predictor
from mlwright.serving.responses import Response
from mlwright.serving.validation import NEVER_MISSED, tolerated

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MARK", "NO_ARROW", "answer_stream", "has_arrow", "read_stream", "write_stream"]

MARK = b"\xff\xff\xff\xff"  # what a stream begins with, and no JSON does
NO_ARROW = "this server speaks no Arrow, because pyarrow is not installed where it runs"
_TYPE = (b"content-type", b"application/vnd.apache.arrow.stream")


@functools.cache
def has_arrow() -> bool:
    """Say whether pyarrow is installed: a slim server may go without."""
    return importlib.util.find_spec("pyarrow") is not None


def read_stream(body: bytes) -> pa.Table:
    """Return the table of an IPC stream.

    Raises
    ------
    DataError
        If it is none, or damaged.
    """
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = str(error).partition("\n")[0][:200]
        raise DataError(
            f"the body is not an Arrow IPC stream: {why}", fix="send one of format 1.0"
        ) from error
    return table


def answer_stream(served: Answering, table: pa.Table) -> tuple[Predictions, list[str]]:
    """Predict a table, and note it. What cannot be read is predicted as missing, and said in a warning.

    Raises
    ------
    SchemaError
        If a column that the model needs is absent, or doubled.
    RecordError
        If a row breaks the contract in a column that the contract refuses for it.
    """
    predictor = served.predictor
    tables.demand(predictor, table.column_names)
    names = [column.name for column in predictor.reader.columns]
    canonical = columns(table, predictor.schema, names)
    warnings = [warning for c in predictor.reader.columns for warning in _warnings(c, canonical, table)]
    warnings += _breaches(predictor, table, canonical)
    known = [name for name in table.column_names if name in names]
    predictions = predictions_of(predictor, canonical, table.num_rows, warnings)
    ids = served.note(lambda: {name: table.column(name).to_pylist() for name in known}, predictions)
    return predictions, ids


def _breaches(predictor: Predictor, table: pa.Table, canonical: Columns) -> list[Json]:
    """Return one warning a column whose rows break the contract; raise what the contract refuses."""
    if predictor.contract is None:
        return []
    tally = Tally(predictor.contract, predictor.schema, frozenset(predictor.reader.expected))
    tally.add(table, canonical)
    found = tally.breaches(each_row=True)
    refused = [b for b in found if b.refuse]
    if refused:
        problems = [{"field": b.column, "problem": b.sentence, "got": None, "allowed": None} for b in refused]
        raise RecordError(problems)
    return [
        {"field": b.column, "warning": f"breaks the contract: {'; '.join(b.what)}", "rows": b.n_rows}
        for b in found
    ]


def _warnings(column: Column, canonical: Columns, table: pa.Table) -> list[Json]:
    """Return one warning for each thing that is odd in a column, with the number of rows."""
    cells = canonical[column.name]
    given = table.num_rows - table.column(column.name).null_count if column.name in table.column_names else 0
    found: list[tuple[str, int]] = []
    if isinstance(cells, Coded):
        present = int((cells.codes >= 0).sum())
        if column.kind is Kind.CATEGORICAL and column.levels is not None:
            known = frozenset(column.levels)
            unseen = np.array([level not in known for level in cells.levels] + [False])
            found.append(("a category that training never saw", int(unseen[cells.codes].sum())))
    else:
        missing = np.isnan(cells)
        present = int((~missing).sum())
        if column.kind is Kind.NUMERIC:
            low, high = tolerated(column)
            far = int(((cells < low) | (cells > high)).sum())
            text = "far outside what training saw"
            if column.low is not None and column.high is not None:
                text += f": {column.low:.12g} to {column.high:.12g}"
            found.append((text, far))
    found.append(("could not be read, or means missing", max(given - present, 0)))
    if column.required:
        found.append((NEVER_MISSED, table.num_rows - present))
    return [{"field": column.name, "warning": text, "rows": count} for text, count in found if count]


def write_stream(served: Answering, predictions: Predictions, ids: list[str]) -> Response:
    """Return predictions as an IPC stream; model, version and warnings stand in the schema's metadata."""
    import pyarrow as pa

    table = tables.answers(served.predictor, predictions.outputs)
    table = table.append_column("prediction_id", pa.array(np.array(ids, dtype=object), pa.string()))
    told: Json = {"model": served.name, "version": served.version, "warnings": predictions.warnings}
    labels = served.predictor.task.labels
    if len(labels) == 2:
        told["threshold"] = served.predictor.task.cut
    told["labels"] = [label_key(label) for label in labels]
    metadata = {"mlwright": msgspec.json.encode(told | predictions.marks)}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata(metadata)) as writer:
        writer.write_table(table)
    return Response(200, (_TYPE,), sink.getvalue().to_pybytes())
