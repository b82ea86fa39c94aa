"""scikit-learn's way in: estimators that search, validate and package, and keep the bundle.

No registry and no store: `fit` writes a bundle into a folder of its own, and `predict` asks the loaded bundle. What a
check would stop, `findings_` tells.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_is_fitted,
    check_random_state,
    column_or_1d,
    validate_data,
)

from mlwright import bundle
from mlwright.core.clock import Deadline
from mlwright.core.errors import MlwrightError
from mlwright.data.read import read
from mlwright.data.schema import Kind
from mlwright.data.values import columns
from mlwright.lifecycle.build import build, prepare
from mlwright.lifecycle.equality import prove_equal
from mlwright.lifecycle.project import Project
from mlwright.serving.predictor import Predictor

if TYPE_CHECKING:
    import pyarrow as pa

    from mlwright.core.types import Floats

__all__ = ["AutoClassifier", "AutoRegressor"]

_TARGET = "target"
_RESERVE = 0.12  # of the budget, for evaluation and packaging
_MOST_PROVEN = 500  # rows whose three paths are held against each other


class _Auto(BaseEstimator):
    """What both estimators share; see `AutoClassifier`."""

    def __init__(
        self,
        budget_s: float = 60,
        metric: str | None = None,
        random_state: Any = None,
        folder: str | Path | None = None,
    ) -> None:
        self.budget_s = budget_s
        self.metric = metric
        self.random_state = random_state
        self.folder = folder

    def _fit(self, X: Any, y: Any, kind: str) -> Self:
        deadline = Deadline(float(self.budget_s))
        raw, numeric = self._table(X, reset=True)
        target = _free_name(_TARGET, raw.column_names)
        raw = raw.append_column(target, _arrow(y))
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = int(check_random_state(seed).randint(2**31 - 1))
        project = Project(
            name="model",
            task_target=target,
            task_kind=kind,
            task_metric=self.metric,
            task_holdout=0.0,
            task_seed=int(seed),
            data_kinds=dict.fromkeys(raw.column_names[:-1], str(Kind.NUMERIC)) if numeric else {},
        )
        try:
            prepared = prepare(raw, project, refuse=False)
            search = Deadline(max(0.0, deadline.left - _RESERVE * deadline.seconds))
            built = build(prepared, project, search, lineage={})
            self.bundle_ = self._keep(built.contents)
            self.predictor_ = Predictor.load(self.bundle_)
        except MlwrightError as error:
            raise ValueError(str(error)) from error
        predicted, _, rows = built.proof
        some = slice(0, _MOST_PROVEN)
        few = prepared.table.take(prepared.split.train[some]).columns()
        prove_equal(self.predictor_, built.study.plans, predicted[some], few, rows[some])
        self.findings_ = [finding.to_json() for finding in prepared.findings]
        self.n_trials_ = len(built.study.results)
        return self

    def _table(self, X: Any, *, reset: bool) -> tuple[pa.Table, bool]:
        """Return the features as an Arrow table, and whether all are plain numbers."""
        import pyarrow as pa

        frame = hasattr(X, "__arrow_c_stream__") or hasattr(X, "iloc")
        if frame and not _all_numbers(X):
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
            return read(X), False
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
        names = list(getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])]))
        arrays = [pa.array(values[:, i], from_pandas=True) for i in range(values.shape[1])]
        return pa.table(dict(zip(names, arrays, strict=True))), True

    def _keep(self, contents: bundle.Contents) -> str:
        """Write the bundle into the folder that was named, or one that goes away with the estimator."""
        if self.folder is not None:
            path = Path(self.folder) / "bundle"
            if path.exists():
                shutil.rmtree(path)
            bundle.write(contents, path)
            return str(path)
        folder = self._own_folder()
        bundle.write(contents, folder / "bundle")
        return str(folder / "bundle")

    def _own_folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="mlwright-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def _raw(self, X: Any) -> Floats:
        check_is_fitted(self, "predictor_")
        table, _ = self._table(X, reset=False)
        schema = self.predictor_.schema
        absent = [c.name for c in schema.features if c.name not in table.column_names]
        if absent:
            raise ValueError(f"X lacks columns that the model was fitted on: {absent}")
        return self.predictor_.raw_columns(columns(table, schema))

    def __getstate__(self) -> dict[str, Any]:
        """Carry the bundle's bytes, never our objects: what is unpickled audits them anew."""
        state = dict(cast("dict[str, Any]", super().__getstate__()))
        if "predictor_" in state:
            del state["predictor_"]
            root = Path(state.pop("bundle_"))
            state["bundle_bytes"] = {
                str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Write the bundle out again and load it through the audit."""
        files = state.pop("bundle_bytes", None)
        super().__setstate__(state)
        if files is not None:
            root = self._own_folder() / "bundle"
            (root / "models").mkdir(parents=True)
            for name, raw in files.items():
                (root / name).write_bytes(raw)
            self.bundle_ = str(root)
            self.predictor_ = Predictor.load(root)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = False
        tags.non_deterministic = False
        return tags


class AutoClassifier(ClassifierMixin, _Auto):
    """Search, validate and package a classifier within a budget.

    Parameters
    ----------
    budget_s : float, default=60
        Wall clock of `fit`, in seconds.
    metric : str, optional
        A metric of mlwright; ``roc_auc`` for two classes and ``log_loss`` for more by default.
    random_state : int, RandomState or None
        The seed of all that is drawn.
    folder : str or Path, optional
        Where the bundle is written (``folder/bundle``); by default a temporary folder that goes with the estimator.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    bundle_ : str
        The bundle's directory: `mlwright.load`, ``mlwright serve`` and ``mlwright verify`` take it.
    predictor_ : Predictor
        The loaded bundle; ``predictor_.predict_one`` answers a dict in microseconds.
    findings_ : list of dict
        What the checks found; nothing is refused here.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Frames may hold text, dates and categories; missing values are welcome.
        y : array-like of shape (n_samples,)
            Labels.
        """
        _need(y)
        y = column_or_1d(_plain(y), warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        _same_length(X, y)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        labels = (
            np.array([f"{code:09d}" for code in range(len(self.classes_))])
            if _odd(self.classes_)
            else self.classes_
        )
        self._labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
        return self._fit(X, labels[codes], "binary" if len(self.classes_) == 2 else "multiclass")

    def predict_proba(self, X: Any) -> Floats:
        """Return shape (n_samples, n_classes), columns as in `classes_`."""
        raw = self._raw(X)
        raw = np.column_stack([1.0 - raw[:, 0], raw[:, 0]]) if raw.shape[1] == 1 else raw
        proba = np.zeros((len(raw), len(self.classes_)))
        for index, label in enumerate(self.predictor_.task.labels):
            proba[:, self._labels.index(label)] = raw[:, index]
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


class AutoRegressor(RegressorMixin, _Auto):
    """Search, validate and package a regressor within a budget; parameters and attributes as in `AutoClassifier`."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit; `y` holds numbers, shape (n_samples,)."""
        _need(y)
        y = column_or_1d(_plain(y), warn=True).astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity.")
        _same_length(X, y)
        return self._fit(X, y, "regression")

    def predict(self, X: Any) -> Floats:
        """Return the value of each row, shape (n_samples,)."""
        return self._raw(X)[:, 0]


def _need(y: Any) -> None:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")


def _plain(y: Any) -> np.ndarray:
    return y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)


def _same_length(X: Any, y: np.ndarray) -> None:
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if rows != len(y):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{rows}, {len(y)}]")


def _odd(classes: np.ndarray) -> bool:
    """Whether labels are neither text, integers nor booleans, so that the bundle gets numbered ones."""
    return not all(isinstance(label, (str, bool, int, np.integer, np.bool_)) for label in classes.tolist())


def _arrow(y: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(y.tolist() if y.dtype == object else y)


def _all_numbers(X: Any) -> bool:
    """Whether every column of a frame is a plain number, so that scikit-learn's own validation fits."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "iloc"):
        return False
    return all(isinstance(dtype, np.dtype) and dtype.kind in "fc" for dtype in dtypes)


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name
