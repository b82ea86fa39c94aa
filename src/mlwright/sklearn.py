"""scikit-learn's way in: estimators that search, validate and package, and keep the bundle.

No registry and no store: `fit` writes a bundle into a folder of its own, and `predict` asks the loaded bundle. What a
check would stop, `findings_` tells.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlwright import bundle
from mlwright.core.clock import Deadline, parse_duration
from mlwright.core.errors import DataError, UsageError
from mlwright.data.frames import unique_names
from mlwright.data.read import read
from mlwright.data.schema import Kind
from mlwright.data.target import target_values
from mlwright.data.values import columns
from mlwright.lifecycle.afterwards import Detail, seconds_to_search
from mlwright.lifecycle.build import build
from mlwright.lifecycle.equality import prove_equal
from mlwright.lifecycle.prepared import Prepared, prepare
from mlwright.lifecycle.project import Project
from mlwright.serving.predictor import Predictor

if TYPE_CHECKING:
    import pyarrow as pa

    from mlwright.core.types import Floats, Ints

__all__ = ["AutoClassifier", "AutoRegressor"]

_TARGET, _WEIGHT = "target", "weight"
_CELLS = (str, bytes, bool, int, float, np.generic, dt.date, dt.time, type(None))


class _Auto(BaseEstimator):
    """What both estimators share; see `AutoClassifier`."""

    def __init__(
        self,
        budget_s: float | str = 60,
        metric: str | None = None,
        random_state: Any = None,
        folder: str | Path | None = None,
        n_trials: int | None = None,
        split: str = "auto",
    ) -> None:
        self.budget_s = budget_s
        self.metric = metric
        self.random_state = random_state
        self.folder = folder
        self.n_trials = n_trials
        self.split = split

    def _start(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Deadline, pa.Table, np.ndarray, Floats | None]:
        """Start the clock; return it with the features, target and weights of the rows that count at all."""
        with _as_value_error():
            deadline = Deadline(parse_duration(self.budget_s, name="budget_s"))
            if y is None:
                raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
            table = self._features(X, reset=True)
        check_consistent_length(X, y)
        known = _known(y)
        if sample_weight is None:
            return deadline, table, known, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        rows = np.flatnonzero(weights)
        table, known, weights = table.take(rows), known[rows], weights[rows]
        # Where all count alike, none counts more than without weights.
        return deadline, table, known, None if (weights == weights[0]).all() else weights

    def _prepared(
        self, features: pa.Table, target: pa.Array, kind: str, weights: Floats | None
    ) -> tuple[Prepared, Project]:
        import pyarrow as pa

        name, weight = _free(_TARGET, features), None
        numbers = features.column_names if self._numbers else []
        table = features.append_column(name, target)
        if weights is not None:
            weight = _free(_WEIGHT, table)
            table = table.append_column(weight, pa.array(weights))
        project = Project(
            name="model",
            task_target=name,
            task_kind=kind,
            task_metric=self.metric,
            task_split=self.split,
            task_holdout=0.0,
            task_budget=self.budget_s,
            task_trials=None if self.n_trials is None else max(2, self.n_trials),
            task_seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            data_kinds=dict.fromkeys(numbers, str(Kind.NUMERIC))
            | ({weight: str(Kind.NUMERIC)} if weight else {}),
            data_weight=weight,
        )
        return prepare(table, project, refuse=False), project

    def _fit(self, prepared: Prepared, project: Project, deadline: Deadline) -> Self:
        detail = Detail.of(project.budget)
        search = Deadline(seconds_to_search(deadline, prepared, detail, rough=True))
        with _as_value_error():
            built = build(prepared, project, search, lineage={}, rough=True)
        self.bundle_ = self._write(built.contents)
        self.predictor_ = Predictor.load(self.bundle_)
        prove_equal(self.predictor_, built.study.plans, *built.proof)
        self.findings_ = [finding.to_json() for finding in prepared.findings]
        self.n_trials_ = len(built.study.results)
        return self

    def _features(self, X: Any, *, reset: bool) -> pa.Table:
        """Return X as an Arrow table, after scikit-learn's own checks of shape and names.

        A frame is read as mlwright reads any frame, column by column. Arrays and lists of numbers, and frames of
        nothing but floats, are numbers throughout; arrays and lists that hold text are read as a frame would be.
        """
        frame = hasattr(X, "__arrow_c_stream__") or hasattr(X, "iloc")
        if frame and getattr(X, "ndim", 2) == 2 and not _all_floats(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            _refuse_empty(X.shape, 2 if reset else 1)
            if reset:
                self._numbers = False
            return read(X)
        if reset or self._numbers:
            try:
                values = self._validated(X, np.float64, reset=reset)
            except ValueError:
                if not (reset and _holds_text(X)):
                    raise
                values = self._validated(np.asarray(X, dtype=object), object, reset=reset)
        else:
            values = self._validated(np.asarray(X, dtype=object), object, reset=reset)
        if reset:
            self._numbers = values.dtype != object
            given = getattr(self, "feature_names_in_", None)
            self._names = [f"x{i}" for i in range(values.shape[1])] if given is None else list(given)
        return _table(values, self._array_names())

    def _array_names(self) -> list[str]:
        """Return the columns' names for an array, also where `fit` has seen a frame."""
        found = getattr(self, "_names", None)
        if found is None:
            found = getattr(self, "feature_names_in_", [str(i) for i in range(self.n_features_in_)])
        return unique_names([str(name) for name in found])[0]

    def _validated(self, X: Any, dtype: type, *, reset: bool) -> np.ndarray:
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=dtype,
            ensure_all_finite="allow-nan" if dtype is np.float64 else False,
            ensure_min_samples=2 if reset else 1,
        )

    def _write(self, contents: bundle.Contents) -> str:
        """Write the bundle into the folder that was named, or one that goes away with the estimator."""
        path = (self._own_folder() if self.folder is None else Path(self.folder)) / "bundle"
        if path.exists():
            if not (path / "manifest.json").is_file():
                raise ValueError(f"folder: {path} is there and is no bundle. Next: name another folder")
            shutil.rmtree(path)
        bundle.write(contents, path)
        return str(path)

    def _own_folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="mlwright-")
        weakref.finalize(self, _remove, folder, os.getpid())
        return Path(folder)

    def _raw(self, X: Any) -> Floats:
        """Return the ensemble's numbers, shape (n_samples, n_outputs)."""
        check_is_fitted(self, "predictor_")
        with _as_value_error():
            predictor = self.predictor_
            wanted = [column.name for column in predictor.reader.columns]
            return predictor.raw_columns(columns(self._features(X, reset=False), predictor.schema, wanted))

    def __getstate__(self) -> dict[str, Any]:
        """Carry the bundle's bytes, never our objects: what is unpickled audits them anew."""
        state = dict(cast("dict[str, Any]", super().__getstate__()))
        if "predictor_" in state:
            predictor, root = state.pop("predictor_"), Path(state.pop("bundle_"))
            if not root.is_dir() or bundle.read(root).sha256 != predictor.sha256:
                raise ValueError(f"the bundle at {root} is no longer the one that fit wrote. Next: fit again")
            files = (path for path in sorted(root.rglob("*")) if path.is_file())
            state["bundle_files"] = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Write the bundle out again and load it through the audit."""
        state = dict(state)
        files = state.pop("bundle_files", None)
        super().__setstate__(state)
        if files is not None:
            root = self._own_folder() / "bundle"
            for name, raw in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(raw)
            self.bundle_ = str(root)
            self.predictor_ = Predictor.load(root)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


class AutoClassifier(ClassifierMixin, _Auto):
    """Search, validate and package a classifier within a budget.

    The same `random_state` gives the same model as long as all trials end within the budget; a trial that the clock
    stops, or keeps from starting, differs from one run to the next.

    Parameters
    ----------
    budget_s : float or str, default=60
        Wall clock of `fit`, in seconds, or with a unit: ``"5m"``.
    metric : str, optional
        A metric of mlwright; ``roc_auc`` for two classes and ``log_loss`` for more by default.
    random_state : int, RandomState or None
        The seed of all that is drawn.
    folder : str or Path, optional
        Where the bundle is written (``folder/bundle``, replaced by each `fit`); by default a temporary folder that goes
        with the estimator.
    n_trials : int, optional
        Try at most so many configurations; by default as many as the budget holds. With it, and a budget that is long
        enough for them, the same `random_state` gives the same model.
    split : str, default="auto"
        How rows are dealt to folds; the words are those of ``task.split``. By default what the table shows decides: where
        rows have a time, later ones validate what was fitted to earlier ones. Where the rows to be predicted happened
        in the midst of those given, as in a shuffled cross-validation, say ``"shuffled"``: the model may then use what
        happened just before and after.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    bundle_ : str
        The bundle's directory: `mlwright.load`, ``mlwright serve`` and ``mlwright verify`` take it.
    predictor_ : Predictor
        The loaded bundle; ``predictor_.predict_one`` answers a dict in microseconds. Where labels are such that a
        table would not tell them apart or take them for missing, it answers their numbers in `classes_`.
    findings_ : list of dict
        What the checks found; nothing is refused here.
    n_trials_ : int
        How many trials the budget held.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Frames may hold text, dates and categories; missing values are welcome.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts in every fit and score, at least 0; rows of 0 are left out, and classes that only
            they have are unknown. Only the proportions matter. A weight of 2 is not quite a row that stands twice: the
            two would be dealt to folds apart.

        Raises
        ------
        ValueError
            If nothing can be learned from X and y, or a parameter or the weights do not fit.
        """
        deadline, features, y, weights = self._start(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        prepared, project = self._told_apart(features, y, codes, weights)
        return self._fit(prepared, project, deadline)

    def _told_apart(
        self, features: pa.Table, y: np.ndarray, codes: Ints, weights: Floats | None
    ) -> tuple[Prepared, Project]:
        """Prepare with the labels themselves or, where a table blurs them ("1" and "1.0", "" and "NA"), with numbers."""
        import pyarrow as pa

        kind = "binary" if len(self.classes_) == 2 else "multiclass"
        refused: Exception | None = None
        for numbered in (False, True):
            labels = pa.array([f"{code:09d}" for code in codes]) if numbered else _labels(y)
            try:
                prepared, project = self._prepared(features, labels, kind, weights)
            except (DataError, UsageError) as error:
                refused = refused or error
                continue
            known = target_values(prepared.table, prepared.task)
            order = [int(codes[np.argmax(known == code)]) for code in range(len(prepared.task.labels))]
            if len(known) == len(codes) and np.array_equal(np.array(order)[known.astype(np.int64)], codes):
                self._order = order
                return prepared, project
        raise ValueError(str(refused)) from refused

    def predict_proba(self, X: Any) -> Floats:
        """Return shape (n_samples, n_classes), columns as in `classes_`."""
        raw = self._raw(X)
        raw = np.column_stack([1.0 - raw[:, 0], raw[:, 0]]) if raw.shape[1] == 1 else raw
        proba = np.empty_like(raw)
        proba[:, self._order] = raw
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


class AutoRegressor(RegressorMixin, _Auto):
    """Search, validate and package a regressor within a budget.

    Parameters and attributes are those of `AutoClassifier`, without `classes_`; the default metric is ``rmse``.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit; `y` holds numbers, shape (n_samples,), and `sample_weight` is as for `AutoClassifier.fit`."""
        import pyarrow as pa

        deadline, features, known, weights = self._start(X, y, sample_weight)
        values = known.astype(np.float64)
        assert_all_finite(values, input_name="y")
        with _as_value_error():
            prepared, project = self._prepared(features, pa.array(values), "regression", weights)
        return self._fit(prepared, project, deadline)

    def predict(self, X: Any) -> Floats:
        """Return the value of each row, shape (n_samples,)."""
        return self._raw(X)[:, 0]


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Turn what is wrong with the data or the call into what scikit-learn's tools expect."""
    try:
        yield
    except (DataError, UsageError) as error:
        raise ValueError(str(error)) from error


def _free(name: str, table: pa.Table) -> str:
    """Return a name that no column of the table has."""
    while name in table.column_names:
        name += "_"
    return name


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has the object too, and must leave the folder to its parent
        shutil.rmtree(folder, ignore_errors=True)


def _known(y: Any) -> np.ndarray:
    """Return y as an array of shape (n_samples,) in which nothing is missing."""
    gaps = y.null_count() if hasattr(y, "null_count") and callable(y.null_count) else 0
    values = column_or_1d(y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y), warn=True)
    if values.dtype == object:
        gaps += sum(value is None or type(value).__name__ in {"NAType", "NaTType"} for value in values)
    if gaps:
        raise ValueError("Input y contains NaN.")
    assert_all_finite(values, input_name="y")
    return values


def _labels(y: np.ndarray) -> pa.Array:
    """Return labels as Arrow values of their own type, or as text."""
    import pyarrow as pa

    try:
        return pa.array(y.tolist())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([str(label) for label in y.tolist()])


def _refuse_empty(shape: Sequence[int], n_needed: int) -> None:
    n_rows, n_columns = shape
    if n_rows < n_needed:
        raise ValueError(
            f"Found array with {n_rows} sample(s) (shape=({n_rows}, {n_columns})) while a minimum of {n_needed} is required."
        )
    if n_columns < 1:
        raise ValueError(
            f"Found array with 0 feature(s) (shape=({n_rows}, 0)) while a minimum of 1 is required."
        )


def _all_floats(X: Any) -> bool:
    """Whether every column of a pandas frame is a plain float, so that scikit-learn's own validation fits."""
    dtypes = list(X.dtypes) if hasattr(X, "iloc") else []
    return bool(dtypes) and all(isinstance(dtype, np.dtype) and dtype.kind in "fc" for dtype in dtypes)


def _holds_text(X: Any) -> bool:
    """Whether an array or a list of rows holds text, and nothing that no column could hold."""
    try:
        cells = np.asarray(X, dtype=object)
    except ValueError:  # rows of different lengths
        return False
    if cells.ndim != 2 or not all(isinstance(cell, _CELLS) for cell in cells.flat):
        return False
    return any(isinstance(cell, str) for cell in cells.flat)


def _table(values: np.ndarray, names: list[str]) -> pa.Table:
    import pyarrow as pa

    return pa.table([_column(values[:, i]) for i in range(values.shape[1])], names=names)


def _column(values: np.ndarray) -> pa.Array:
    """Return a column with one type, NaN being missing; cells of several types become text."""
    import pyarrow as pa

    if values.dtype != object:
        return pa.array(values, from_pandas=True)
    cells = [None if cell is None or cell != cell else cell for cell in values.tolist()]  # noqa: PLR0124 - NaN
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells])
