"""Predict: a file of any size through a bundle, batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwright.core.errors import RefusedError, SchemaError, StoreError, UsageError
from mlwright.core.events import Event, Listener, silent
from mlwright.data.contract_tally import Breach, Tally
from mlwright.data.read import iter_batches
from mlwright.data.write import Writer
from mlwright.execution import cores
from mlwright.serving.predictor import Predictor
from mlwright.serving.tables import predict_arrow
from mlwright.tracking.registry import artifact_path, bundle_at, resolve
from mlwright.tracking.store import find_store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Predicted", "find_bundle", "find_report", "load", "predict"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a batch prediction wrote, and how its rows break the model's contract."""

    model: str
    sha256: str
    output: Path
    rows: int
    breaches: tuple[Breach, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "output": str(self.output),
            "rows": self.rows,
            "breaches": [breach.to_json() for breach in self.breaches],
        }


def find_bundle(model: str | Path, *, store: str | Path | None = None) -> Path:
    """Return the directory of a bundle: a path as it is, else the registry's ``name``, ``name@alias``, ``name/version``."""
    path = bundle_at(model)
    if path is not None:
        return path
    return resolve(find_store(named=store), str(model)).path


def find_report(model: str | Path, *, store: str | Path | None = None) -> Path:
    """Return the report of a model: its run's, which may hold the ML Test Score, or the bundle's own.

    Raises
    ------
    UsageError
        If there is none.
    """
    bundled = bundle_at(model)
    if bundled is None:
        opened = find_store(named=store)
        version = resolve(opened, str(model))
        bundled = version.path
        try:
            return artifact_path(opened, version.run_id, "report.html").resolve()
        except StoreError:  # an older run, or another tool's: the bundle has one of its own
            pass
    path = bundled.resolve() / "report.html"
    if not path.is_file():
        raise UsageError("the bundle holds no report", got=str(path))
    return path


def load(model: str | Path, *, store: str | Path | None = None) -> Predictor:
    """Load a model that answers.

    Parameters
    ----------
    model : str or Path
        A bundle's directory, or a registered model: ``"churn"`` (its champion), ``"churn@challenger"``, ``"churn/3"``.

    Raises
    ------
    BundleError
        If the bundle does not pass its audit or does not reproduce its golden predictions.
    """
    return Predictor.load(find_bundle(model, store=store))


def predict(
    model: str | Path,
    source: Any,
    output: str | Path,
    *,
    query: str | None = None,
    interval: bool = False,
    store: str | Path | None = None,
    listener: Listener = silent,
) -> Predicted:
    """Predict a table that need not fit into memory, and write it with the predictions beside it.

    Parameters
    ----------
    model : str or Path
        As `load` takes it.
    source : str or table
        As `run` takes it.
    output : str or Path
        A CSV, TSV, JSON lines or Parquet file; it appears when all is written.
    interval : bool, default=False
        Whether to add how far predictions may be off, as `Predictor.predict` does.

    Raises
    ------
    RefusedError
        If the rows break the model's contract in a column that it refuses; then nothing is written.
    """
    predictor = load(model, store=store)
    if interval:
        _ = predictor.with_intervals  # says so before anything is read
    out = Path(output)
    if isinstance(source, (str, Path)) and out.exists() and out.resolve() == Path(source).resolve():
        raise UsageError("input and output are the same file", got=str(out), fix="name another output")
    rows = 0
    tally = _tally(predictor)
    with Writer(out) as writer:
        for table, counted in _side_by_side(predictor, iter_batches(source, query=query), interval=interval):
            writer.write(table)
            rows += table.num_rows
            if tally is not None and counted is not None:
                tally.merge(counted)
            listener(Event("progress", f"{rows:,} rows predicted", {"rows": rows}))
        found = [] if tally is None or not rows else tally.breaches()
        _refuse(found)
    return Predicted(predictor.name, predictor.sha256, out, rows, tuple(found))


def _tally(predictor: Predictor) -> Tally | None:
    """Return what counts the breaches of the model's contract; None if it has none."""
    if predictor.contract is None:
        return None
    return Tally(predictor.contract, predictor.schema, frozenset(c.name for c in predictor.reader.columns))


def _refuse(found: Sequence[Breach]) -> None:
    refused = [breach for breach in found if breach.refuse]
    if refused:
        raise RefusedError(
            f"contract: {refused[0].sentence.rstrip('.')}",
            details={"breaches": [breach.to_json() for breach in found]},
            fix="mend the rows; nothing was written",
        )


def _side_by_side(
    predictor: Predictor, batches: Iterable[pa.RecordBatch], *, interval: bool
) -> Iterator[tuple[pa.Table, Tally | None]]:
    """Yield each batch with its predictions, in order; as many are worked on as there are cores.

    While the models of one batch run, which needs no lock of Python's, others are read, encoded and written.
    """
    n_threads = cores()
    waiting: deque[Future[tuple[pa.Table, Tally | None]]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="predict") as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_predicted, predictor, batch, interval=interval))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _predicted(
    predictor: Predictor, batch: pa.RecordBatch, *, interval: bool
) -> tuple[pa.Table, Tally | None]:
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    tally = _tally(predictor)
    answers = predict_arrow(predictor, table, tally, interval=interval)
    taken = set(batch.column_names) & set(answers.column_names)
    if taken:
        raise SchemaError(
            "the input has columns of the names that predictions get", got=sorted(taken), fix="rename them"
        )
    for name in answers.column_names:
        table = table.append_column(name, answers.column(name))
    return table, tally
