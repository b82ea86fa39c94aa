"""Tables in, tables of predictions out: Arrow, pandas and polars. pyarrow is loaded here and not before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.core.errors import SchemaError, UsageError
from mlwright.core.types import Floats
from mlwright.data.schema import TaskKind
from mlwright.data.values import Columns, columns, reader
from mlwright.metrics.decision import decide
from mlwright.models.conformal import Conformal, Residuals, Sets
from mlwright.serving.answers import NO_CLUSTER, NORMAL, anomaly_or_not, answerer, label_key
from mlwright.serving.reasons import ReasonsLike, cells_of, summary
from mlwright.serving.validation import stack

if TYPE_CHECKING:
    import pyarrow as pa

    from mlwright.data.contract_tally import Tally
    from mlwright.serving.predictor import Predictor

__all__ = ["answers", "demand", "predict", "predict_arrow"]


def predict(predictor: Predictor, table: Any, *, interval: bool = False) -> Any:
    """Predict a table of any kind that mlwright knows; see `Predictor.predict`."""
    import pyarrow as pa

    library = type(table).__module__.partition(".")[0]
    if isinstance(table, pa.RecordBatch):
        whole = predict_arrow(predictor, pa.Table.from_batches([table]), interval=interval)
        return whole.combine_chunks().to_batches()[0]
    if isinstance(table, pa.Table):
        return predict_arrow(predictor, table, interval=interval)
    if library == "polars" and hasattr(table, "to_arrow") and hasattr(table, "columns"):
        demand(predictor, table.columns)
        wanted = [column.name for column in predictor.reader.columns if column.name in set(table.columns)]
        return type(table)(predict_arrow(predictor, table.select(wanted).to_arrow(), interval=interval))
    if library == "pandas" and hasattr(table, "columns"):
        return _predict_pandas(predictor, table, interval=interval)
    raise UsageError(
        "not a table that can be predicted",
        got=f"a value of type {type(table).__module__}.{type(table).__qualname__}",
        allowed="pyarrow.Table, pandas.DataFrame, polars.DataFrame, a list of records",
        fix="use predict_one for a single record",
    )


def predict_arrow(
    predictor: Predictor, table: pa.Table, tally: Tally | None = None, *, interval: bool = False
) -> pa.Table:
    """Predict an Arrow table, see `Predictor.predict`, and count in `tally` what breaks the contract."""
    demand(predictor, table.column_names)
    names = [column.name for column in predictor.reader.columns]
    canonical = columns(table, predictor.schema, names)
    if tally is not None:
        tally.add(table, canonical)
    return _answered(predictor, canonical, interval=interval)


def _predict_pandas(predictor: Predictor, frame: Any, *, interval: bool) -> Any:
    import pyarrow as pa

    demand(predictor, frame.columns)
    typed: dict[str, pa.Array] = {}
    mixed: dict[str, Any] = {}
    for column in predictor.reader.columns:
        if column.name not in frame.columns:
            continue
        values = frame[column.name]
        try:
            typed[column.name] = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # A column of objects without one type: each is read as a record's value would be.
            read = reader(column)
            mixed[column.name] = stack(column, [read(value) for value in values])
    names = [column.name for column in predictor.reader.columns if column.name not in mixed]
    # A table without columns has no length, so the row numbers come along.
    table = pa.table({**typed, "": pa.array(np.arange(len(frame)))})
    canonical: Columns = {**columns(table, predictor.schema, names), **mixed}
    result = _answered(predictor, canonical, interval=interval).to_pandas()
    result.index = frame.index
    return result


def demand(predictor: Predictor, present: Any) -> None:
    """Raise `SchemaError` naming every required column that is not `present`, and every doubled one."""
    present = list(present)
    absent = [c.name for c in predictor.reader.columns if c.required and c.name not in present]
    if absent:
        raise SchemaError(
            f"the table lacks {len(absent)} column{'s' if len(absent) > 1 else ''} that the model needs: "
            + ", ".join(absent),
            got=present[:50],
            fix="give the columns that the model was trained on; the bundle's schema lists them",
        )
    doubled = sorted({c.name for c in predictor.reader.columns if present.count(c.name) > 1})
    if doubled:
        raise SchemaError(
            "the table holds columns of the same name", got=doubled, fix="drop or rename all but one of each"
        )


def _answered(predictor: Predictor, canonical: Columns, *, interval: bool) -> pa.Table:
    conformal = predictor.with_intervals if interval else None
    if predictor.reasons is None:
        outputs = predictor.raw_columns(canonical)
        told = answers(predictor, outputs)
        return told if conformal is None else _with_intervals(told, conformal, outputs, predictor.task.labels)
    return _with_reasons(predictor, predictor.reasons, canonical)


def _with_intervals(told: pa.Table, conformal: Conformal, outputs: Floats, labels: Sequence[Any]) -> pa.Table:
    """Add ``interval_low`` and ``interval_high``, or ``in_set_<label>`` for each class."""
    if isinstance(conformal, Residuals):
        more = dict(zip(("interval_low", "interval_high"), conformal.ends(outputs[:, 0]), strict=True))
    elif isinstance(conformal, Sets):
        inside = conformal.members(outputs)
        more = {f"in_set_{label_key(label)}": inside[:, place] for place, label in enumerate(labels)}
    else:
        raise TypeError(f"no columns for {type(conformal).__name__}")
    for name, values in more.items():
        told = told.append_column(name, [np.ascontiguousarray(values)])
    return told


def _with_reasons(predictor: Predictor, reasons: ReasonsLike, canonical: Columns) -> pa.Table:
    """Return ``prediction``, ``score`` and ``why``, in words; of usual rows it is empty."""
    import pyarrow as pa

    matrices = predictor.matrices(canonical)
    told = list(map(answerer(predictor.task), predictor.ensemble.predict(matrices).tolist(), repeat([])))
    (matrix,) = matrices.values()
    shown = np.flatnonzero([answer["prediction"] not in (NORMAL, NO_CLUSTER) for answer in told])
    why = [""] * len(told)
    for row, found in zip(
        shown.tolist(), reasons.of_rows(matrix[shown], cells_of(canonical, shown)), strict=True
    ):
        why[row] = summary(found)
    return pa.table(
        {
            "prediction": pa.array([answer["prediction"] for answer in told], pa.string()),
            "score": pa.array([answer["score"] for answer in told], pa.float64()),
            "why": pa.array(why, pa.string()),
        }
    )


def answers(predictor: Predictor, raw: Floats) -> pa.Table:
    """Return ``prediction`` and ``probability_<label>`` for outputs of shape (n_rows, n_outputs)."""
    import pyarrow as pa

    task = predictor.task
    if task.kind is TaskKind.REGRESSION:
        return pa.table({"prediction": np.ascontiguousarray(raw[:, 0])})
    if task.kind is TaskKind.ANOMALY:
        said = [anomaly_or_not(task, score) for score in raw[:, 0].tolist()]
        return pa.table({"prediction": pa.array(said, pa.string()), "score": np.ascontiguousarray(raw[:, 0])})
    chances = np.column_stack([1.0 - raw[:, 0], raw[:, 0]]) if task.kind is TaskKind.BINARY else raw
    codes = decide(raw, task)
    kinds = {type(label) for label in task.labels}
    labels = pa.array(task.labels if len(kinds) == 1 else [label_key(label) for label in task.labels])
    return pa.table(
        {
            "prediction": labels.take(pa.array(codes)),
            **{
                f"probability_{label_key(label)}": np.ascontiguousarray(chances[:, index])
                for index, label in enumerate(task.labels)
            },
        }
    )
