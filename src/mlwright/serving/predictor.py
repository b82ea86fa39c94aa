"""Predictor: a loaded bundle as a function from records to predictions.

A record goes through three seams: `RecordReader.read` (raw values to canonical cells), ``plan.row`` for each view
(cells to numbers) and ``ensemble.predict_row`` (numbers to outputs); an ordinary one takes the short way through all
three that `RowPath` has laid out. A table goes through the batch twins of the same. What comes out is put into the user's own labels here, and nowhere else. Nothing of training is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from mlwright import bundle
from mlwright.core.errors import BundleContentError, RecordError, UsageError
from mlwright.core.types import Floats, Json, Record
from mlwright.data.contract import Contract
from mlwright.data.schema import Schema, Task
from mlwright.data.values import Cell, Columns
from mlwright.serving.answers import TOLERANCE, answerer, difference
from mlwright.serving.reasons import ReasonsLike, of_model
from mlwright.serving.rowform import OddRecordError
from mlwright.serving.rowpath import RowPath
from mlwright.serving.validation import RecordReader, stack

if TYPE_CHECKING:
    import pyarrow as pa

    from mlwright.models.conformal import Conformal

__all__ = ["EnsembleLike", "PlanLike", "Predictor"]

_FEW = 8  # below so many records the row path is faster than building columns
_MAX_PROBLEMS = 100


class PlanLike(Protocol):
    """One view's feature plan, as `mlwright.features.plan.FeaturePlan` is. Called from any thread."""

    @property
    def inputs(self) -> Iterable[str]:
        """The raw columns that it reads."""
        ...

    def batch(self, columns: Columns) -> Floats:
        """Return the matrix of shape (n_rows, n_columns)."""
        ...

    def row(self, cells: Mapping[str, Cell]) -> Floats:
        """Return one row of shape (n_columns,), equal to that of `batch`."""
        ...


class EnsembleLike(Protocol):
    """The weighted models, as `mlwright.models.ensemble.Ensemble` is. Called from any thread."""

    def predict(self, matrices: Mapping[str, Floats]) -> Floats:
        """Return shape (n_rows, n_outputs) for one matrix a view."""
        ...

    def predict_row(self, rows: Mapping[str, Floats]) -> Sequence[float]:
        """Return `n_outputs` numbers for one row a view."""
        ...


class Predictor:
    """A bundle that answers.

    Parameters
    ----------
    manifest : dict
        The bundle's manifest; ``name``, ``task``, ``schema`` and, where there is one, the lineage's ``contract`` are read
        here.
    plans : mapping of str to plan
        One feature plan a view.
    ensemble : ensemble
        The models with their weights.
    golden : list of dict, optional
        ``{"record", "prediction"}`` as recorded when the bundle was made.
    sha256 : str, optional
        The bundle's hash.
    """

    def __init__(
        self,
        manifest: Json,
        plans: Mapping[str, PlanLike],
        ensemble: EnsembleLike,
        *,
        golden: list[Json] | None = None,
        sha256: str = "",
    ) -> None:
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.task = Task.from_json(manifest["task"])
        self.schema = Schema.from_json(manifest["schema"])
        self.golden = list(golden or [])
        self.sha256 = sha256
        self.verified = False
        self.reference: Json = {}  # of the training rows, as the bundle holds it
        self.marks: Json = {}  # what every answer says besides; never changed once it answers
        self.plans = dict(plans)
        self.ensemble = ensemble
        inputs = {name for plan in plans.values() for name in plan.inputs}
        foreign = sorted(inputs.difference(self.schema.names))
        if foreign:
            raise BundleContentError("the plan reads columns that the schema does not hold", got=foreign)
        told = manifest.get("lineage", {}).get("contract")
        self.contract = None if told is None else Contract.from_json(told)
        self.reader = RecordReader(self.schema, inputs, self.contract)
        self._rows = [(view, plan.row) for view, plan in plans.items()]
        self._answer = answerer(self.task)
        ignored = [n for n in self.schema.names if n not in {c.name for c in self.reader.columns}]
        self.path: RowPath | None
        self.reasons: ReasonsLike | None = None
        self.conformal: Conformal | None = None
        try:
            self.path = RowPath(self.reader.columns, ignored, self.plans, ensemble, self.reader.expected)
        except OddRecordError:
            self.path = None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read, audit and build the bundle at `path`, and verify that it reproduces its golden predictions.

        Raises
        ------
        BundleError
            Not a bundle, damaged, of an unknown kind, or one that does not reproduce its golden predictions.
        """
        predictor = cls.from_contents(bundle.read(Path(path)))
        predictor.verify_golden()
        return predictor

    @classmethod
    def from_contents(cls, contents: bundle.Contents) -> Self:
        """Build what audited contents hold; golden records are not asked."""
        from mlwright.features.plan import FeaturePlan
        from mlwright.models import conformal
        from mlwright.models.ensemble import Ensemble

        plans = {view: FeaturePlan.from_state(state) for view, state in contents.plan.children.items()}
        ensemble = Ensemble.from_states(
            contents.models, contents.ensemble, contents.calibration, contents.offset, contents.bounds
        )
        if ensemble.offset is not None:
            view = plans.get(ensemble.offset.view)
            sources = [] if view is None else [tag.source for tag in view.tags]
            if len(sources) != contents.models[0].tree["n_outputs"] or len(set(sources)) != 1:
                raise BundleContentError(
                    "the offset is no view of one number an output, all of one column",
                    got=ensemble.offset.view,
                )
        predictor = cls(contents.manifest, plans, ensemble, golden=contents.golden, sha256=contents.sha256)
        predictor.reference = contents.reference
        if contents.conformal is not None:
            predictor.conformal = conformal.from_json(contents.conformal, len(predictor.task.labels))
        if not predictor.task.kind.needs_target:  # every answer says why, so the short way is left
            predictor.path = None
            predictor.reasons = of_model(
                plans, ensemble, predictor.schema, predictor.task.labels, contents.reference
            )
        return predictor

    # One record

    def predict_one(self, record: Record, *, interval: bool = False) -> Json:
        """Predict one record.

        Parameters
        ----------
        record : dict
            One field a feature; absent, null and NaN mean missing. A field that no training row misses must be there.
        interval : bool, default=False
            Whether to say in ``interval`` how far it may be off: ``low`` and ``high`` of a number, or the ``set`` of
            classes that it may be, with the share of answers in which they hold the truth (``coverage``).

        Returns
        -------
        dict
            ``prediction`` (a label of the user's own type, or a number), ``probability`` by label (classes only) and
            ``warnings``.

        Raises
        ------
        RecordError
            If the record does not fit the schema; ``problems`` lists all that is wrong.
        UsageError
            If `interval` is asked of a bundle without one.
        """
        if interval:
            cells, _ = self.reader.read(record)
            told = self.intervals(np.array([self._raw(cells)]))
            return {**self.predict_one(record), "interval": told[0]}
        path = self.path
        if path is not None and type(record) is dict:
            try:
                return self._answer(path.outputs(path.convert(record)), [])
            except OddRecordError:
                pass  # with care, then
        return self.predict_carefully(record)

    def predict_carefully(self, record: Record) -> Json:
        """Predict one record by the long way, which says what is odd or wrong with it; see `predict_one`."""
        cells, warnings = self.reader.read(record)
        answer = self._answer(self._raw(cells), warnings)
        return answer if self.reasons is None else self._with_reasons(self.reasons, [answer], [cells])[0]

    def _with_reasons(
        self, reasons: ReasonsLike, answers: list[Json], cells: Sequence[Mapping[str, Cell]]
    ) -> list[Json]:
        (_, row), *_ = self._rows
        told = reasons.of_rows(np.array([row(each) for each in cells]), cells)
        return [
            {"prediction": answer.pop("prediction"), "score": answer.pop("score"), "why": why, **answer}
            for answer, why in zip(answers, told, strict=True)
        ]

    def _raw(self, cells: Mapping[str, Cell]) -> Sequence[float]:
        return self.ensemble.predict_row({view: row(cells) for view, row in self._rows})

    def rows(self, record: Record) -> dict[str, Floats]:
        """Return the row of each view, of shape (n_columns,), without validation: what cannot be read is missing."""
        cells = self.reader.cells(record)
        return {view: row(cells) for view, row in self._rows}

    def raw_one(self, record: Record) -> list[float]:
        """Return the ensemble's `n_outputs` numbers for one record, without validation."""
        return list(self.ensemble.predict_row(self.rows(record)))

    def intervals(self, outputs: Floats) -> list[Json]:
        """Return the interval or set of each row of the ensemble's outputs, of shape (n_rows, n_outputs).

        Raises
        ------
        UsageError
            If the bundle holds none.
        """
        return self.with_intervals.told(outputs, self.task.labels)

    @property
    def with_intervals(self) -> Conformal:
        """What gives predictions their intervals or sets.

        Raises
        ------
        UsageError
            If the bundle holds none.
        """
        if self.conformal is None:
            raise UsageError(
                "the bundle holds no intervals",
                got=self.name,
                fix="make it again: a run with a target and 60 rows that folds validate gives them",
            )
        return self.conformal

    # Many

    def predict_many(self, records: Sequence[Record]) -> list[Json]:
        """Predict a list of records; as `predict_one` for each, within rounding, and faster.

        Raises
        ------
        RecordError
            If any record does not fit; each of its problems has the record's index under ``record``.
        """
        read: list[tuple[dict[str, Cell], list[Json]]] = []
        problems: list[Json] = []
        for index, record in enumerate(records):
            try:
                read.append(self.reader.read(record))
            except RecordError as error:
                problems += [{"record": index, **problem} for problem in error.problems]
                if len(problems) >= _MAX_PROBLEMS:
                    break
        if problems:
            raise RecordError(problems[:_MAX_PROBLEMS])
        if len(read) < _FEW:
            answers = [self._answer(self._raw(cells), warnings) for cells, warnings in read]
        else:
            raw = self.raw_columns(self.stacked([cells for cells, _ in read]))
            told = zip(raw.tolist(), read, strict=True)
            answers = [self._answer(outputs, warnings) for outputs, (_, warnings) in told]
        if self.reasons is None or not answers:
            return answers
        return self._with_reasons(self.reasons, answers, [cells for cells, _ in read])

    def columns(self, records: Sequence[Record]) -> Columns:
        """Return the canonical columns of records, without validation: what cannot be read is missing."""
        return self.stacked([self.reader.cells(record) for record in records])

    def stacked(self, rows: Sequence[Mapping[str, Cell]]) -> Columns:
        """Return the canonical columns of records that are read to cells."""
        return {c.name: stack(c, [row[c.name] for row in rows]) for c in self.reader.columns}

    def matrices(self, columns: Columns) -> dict[str, Floats]:
        """Return the matrix of each view, of shape (n_rows, n_columns), for canonical columns."""
        return {view: plan.batch(columns) for view, plan in self.plans.items()}

    def raw_columns(self, columns: Columns) -> Floats:
        """Return the ensemble's outputs for canonical columns, of shape (n_rows, n_outputs)."""
        return self.ensemble.predict(self.matrices(columns))

    # Tables

    def predict(self, table: Any, *, interval: bool = False) -> Any:
        """Predict a table; the answer is of the same kind.

        Parameters
        ----------
        table : pyarrow.Table, pandas.DataFrame, polars.DataFrame or list of dict
            One column a feature. Cells that are missing or cannot be read are predicted as missing.
        interval : bool, default=False
            Whether to add how far predictions may be off: columns ``interval_low`` and ``interval_high``, or for classes
            ``in_set_<label>``, true where a label is in the row's set.

        Returns
        -------
        same kind as `table`
            Columns ``prediction`` and, for classes, one ``probability_<label>`` each; a pandas frame keeps its index.

        Raises
        ------
        SchemaError
            If columns that every training row filled are absent; the message names all of them.
        UsageError
            If `interval` is asked of a bundle without one.
        """
        from mlwright.serving import tables

        if isinstance(table, (list, tuple)):
            answers = self.predict_many(table)
            if not interval or not answers:
                return answers
            told = self.intervals(self.raw_columns(self.columns(table)))
            return [{**answer, "interval": one} for answer, one in zip(answers, told, strict=True)]
        return tables.predict(self, table, interval=interval)

    def predict_arrow(self, table: pa.Table, *, interval: bool = False) -> pa.Table:
        """Predict an Arrow table; see `predict`."""
        from mlwright.serving import tables

        return tables.predict_arrow(self, table, interval=interval)

    # Proof

    def verify_golden(self) -> int:
        """Predict the golden records by the row and by the batch path and return how many agreed: all of them.

        Raises
        ------
        BundleContentError
            Naming the record and by how much it differs from what the bundle says.
        """
        if not self.golden:
            raise BundleContentError(
                "the bundle holds no golden records, so nothing shows that it still predicts as it did",
                fix="make the bundle again",
            )
        records = [row["record"] for row in self.golden]
        batch = self.raw_columns(self.columns(records)).tolist()
        for index, row in enumerate(self.golden):
            try:
                answer = self.predict_one(row["record"])
            except RecordError:
                # A training row may hold what a request may not, such as a word among numbers.
                answer = self._answer(self.raw_one(row["record"]), [])
            for path, found in (("row", answer), ("batch", self._answer(batch[index], []))):
                apart = difference(row["prediction"], found)
                if apart is not None:
                    raise BundleContentError(
                        f"golden record {index} is not reproduced by the {path} path: {apart}",
                        allowed=f"a relative difference of {TOLERANCE}",
                        fix="make the bundle again with this version, or load it with the version that made it",
                    )
        self.verified = True
        return len(self.golden)
