"""Systems: how each is fitted on a table, and how its model is asked and weighed. One function a system.

Every system gets the raw columns as pandas reads them. The boosters' defaults get text as categories and times as
numbers of days, since they would refuse them otherwise. What must be shipped to predict is weighed in the system's own
file format: AutoGluon's clone for deployment, the learners' model files, the bundle.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from tables import Data

__all__ = ["SYSTEMS", "Fitted", "fit", "fitted_estimator"]

SYSTEMS = (
    "ag_PRESET",
    "flaml",
    "catboost",
    "lightgbm",
    "mlwright",
    "mlwright+N",
    "dummy",
    "tfidf",
    "tfidf_all",
)
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted system.

    Parameters
    ----------
    predict : callable
        From a DataFrame to numbers of shape (n_rows,), or probabilities of shape (n_rows, n_classes).
    classes : sequence of str or None
        The labels in the columns' order; None for numbers.
    seconds : float
        Wall clock of fit alone.
    size_mb : float or None
        What must be shipped to predict; None where the learner has no file format.
    note : str
        What the system chose.
    predict_one : callable, optional
        From a dict to an answer.
    """

    predict: Callable[[pd.DataFrame], Any]
    classes: Sequence[str] | None
    seconds: float
    size_mb: float | None
    note: str
    predict_one: Callable[[dict[str, Any]], Any] | None = None


def fit(system: str, data: Data, budget: float, work: Path) -> Fitted:
    """Fit a system by its name: ``ag_PRESET``, ``flaml``, ``catboost``, ``lightgbm``, ``mlwright[+N]``, ``dummy``, ``tfidf[_all]``."""
    name, _, state = system.partition("+")
    if name.startswith("ag_"):
        return _autogluon(name.removeprefix("ag_"), data, budget, work)
    if name == "mlwright":
        return _mlwright(data, budget, work, int(state or 0))
    if name in ("tfidf", "tfidf_all"):
        return _tfidf(data, everything=name == "tfidf_all")
    known = {"flaml": _flaml, "catboost": _catboost, "lightgbm": _lightgbm, "dummy": _dummy}
    if name not in known:
        raise SystemExit(f"no system {system!r}; there are: {', '.join(SYSTEMS)}")
    return known[name](data, budget, work)


def _size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _classes(data: Data) -> list[str] | None:
    return None if data.task == "regression" else sorted(data.train[data.target].unique())


def _codes(data: Data) -> np.ndarray:
    """Return the training target as numbers, or codes of the sorted labels."""
    y, classes = data.train[data.target], _classes(data)
    return y.to_numpy() if classes is None else np.searchsorted(np.array(classes), y.to_numpy(dtype=str))


def _categories(data: Data) -> tuple[Callable[[pd.DataFrame], pd.DataFrame], list[str]]:
    """Return what turns text into categories and times into days, and the columns that become categories."""
    features = data.train.drop(columns=data.target)
    levels = {
        name: sorted(map(str, column.dropna().unique()))
        for name, column in features.items()
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column)
    }

    def as_categories(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        for name in frame.columns:
            if name in levels:
                texts = frame[name].map(lambda v: None if pd.isna(v) else str(v))
                frame[name] = pd.Categorical(texts, categories=levels[name])
            elif pd.api.types.is_datetime64_any_dtype(frame[name]):
                frame[name] = frame[name].astype("int64") / 86400e9
        return frame

    return as_categories, list(levels)


def _asked(model: Any, prepare: Callable[[pd.DataFrame], pd.DataFrame], data: Data) -> Callable[..., Any]:
    ask = model.predict if data.task == "regression" else model.predict_proba
    return lambda frame: ask(prepare(frame))


def _autogluon(preset: str, data: Data, budget: float, work: Path) -> Fitted:
    from autogluon.tabular import TabularPredictor

    metric = METRICS[data.task].replace("rmse", "root_mean_squared_error")
    start = time.monotonic()
    model = TabularPredictor(
        label=data.target, problem_type=data.task, path=str(work / "ag"), verbosity=0, eval_metric=metric
    )
    model.fit(data.train, presets=preset, time_limit=budget)
    seconds = time.monotonic() - start
    shipped = work / "ship"
    model.clone_for_deployment(str(shipped), return_clone=False)
    model = TabularPredictor.load(str(shipped), verbosity=0)
    model.persist()
    if data.task == "regression":
        return Fitted(
            lambda f: model.predict(f).to_numpy(), None, seconds, _size_mb(shipped), model.model_best
        )
    labels = model.class_labels
    return Fitted(
        lambda f: model.predict_proba(f)[labels].to_numpy(),
        list(map(str, labels)),
        seconds,
        _size_mb(shipped),
        model.model_best,
    )


def fitted_estimator(data: Data, budget: float, folder: Path, random_state: int = 0) -> Any:
    """Return mlwright's fitted estimator; its bundle stands in `folder`.

    It is told what the peers take for granted: the test part is drawn at random, also where rows have a time.
    """
    from mlwright.sklearn import AutoClassifier, AutoRegressor

    X, y = data.train.drop(columns=data.target), data.train[data.target]
    kind = AutoRegressor if data.task == "regression" else AutoClassifier
    model = kind(
        budget_s=budget,
        metric=METRICS[data.task],
        random_state=random_state,
        folder=folder / "ours",
        split="shuffled",
    )
    return model.fit(X, y)


def _mlwright(data: Data, budget: float, work: Path, random_state: int) -> Fitted:
    import mlwright.sklearn  # noqa: F401 - the import is no part of the fit, as it is none for the others

    start = time.monotonic()
    model = fitted_estimator(data, budget, work, random_state)
    seconds = time.monotonic() - start
    classes = None if data.task == "regression" else list(map(str, model.classes_))
    ask = model.predict if classes is None else model.predict_proba
    note = f"{model.n_trials_} trials"
    return Fitted(ask, classes, seconds, _size_mb(Path(model.bundle_)), note, model.predictor_.predict_one)


def _flaml(data: Data, budget: float, work: Path) -> Fitted:
    from flaml import AutoML

    prepare, _ = _categories(data)
    X, y = data.train.drop(columns=data.target), _codes(data)
    task = "regression" if data.task == "regression" else "classification"
    start = time.monotonic()
    model = AutoML()
    model.fit(prepare(X), y, task=task, verbose=0, seed=0, metric=METRICS[data.task], time_budget=budget)
    seconds = time.monotonic() - start
    size = _learner_mb(model.model.estimator, work / "model")
    return Fitted(_asked(model, prepare, data), _classes(data), seconds, size, model.best_estimator)


def _catboost(data: Data, budget: float, work: Path) -> Fitted:
    import catboost

    as_categories, kinds = _categories(data)

    def prepare(frame: pd.DataFrame) -> pd.DataFrame:
        frame = as_categories(frame)
        for name in kinds:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "(missing)")
        return frame

    regression = data.task == "regression"
    fit_X, stop_X, fit_y, stop_y = _stopping_split(prepare(data.train.drop(columns=data.target)), data)
    start = time.monotonic()

    class Clock:
        def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's own signature
            return time.monotonic() - start < budget

    kind = catboost.CatBoostRegressor if regression else catboost.CatBoostClassifier
    model = kind(
        iterations=3000,
        verbose=0,
        thread_count=len(os.sched_getaffinity(0)),
        cat_features=kinds,
        allow_writing_files=False,
    )
    model.fit(fit_X, fit_y, eval_set=(stop_X, stop_y), early_stopping_rounds=100, callbacks=[Clock()])
    seconds = time.monotonic() - start
    size = _learner_mb(model, work / "model")
    return Fitted(_asked(model, prepare, data), _classes(data), seconds, size, str(model.best_iteration_))


def _lightgbm(data: Data, budget: float, work: Path) -> Fitted:
    import lightgbm

    prepare, _ = _categories(data)
    fit_X, stop_X, fit_y, stop_y = _stopping_split(prepare(data.train.drop(columns=data.target)), data)
    start = time.monotonic()

    def clock(env: Any) -> None:
        if time.monotonic() - start > budget:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    kind = lightgbm.LGBMRegressor if data.task == "regression" else lightgbm.LGBMClassifier
    model = kind(n_estimators=5000, verbose=-1, n_jobs=len(os.sched_getaffinity(0)))
    callbacks = [lightgbm.early_stopping(100, verbose=False), clock]
    model.fit(fit_X, fit_y, eval_set=[(stop_X, stop_y)], callbacks=callbacks)
    seconds = time.monotonic() - start
    size = _learner_mb(model, work / "model")
    return Fitted(_asked(model, prepare, data), _classes(data), seconds, size, str(model.best_iteration_))


def _stopping_split(X: pd.DataFrame, data: Data) -> list[Any]:
    """Keep a fifth of the training rows to stop on."""
    y = _codes(data)
    return train_test_split(
        X, y, test_size=0.2, random_state=0, stratify=None if data.task == "regression" else y
    )


def _learner_mb(model: Any, path: Path) -> float | None:
    """Return the size of a learner's own model file; of a forest, that of its arrays."""
    booster = getattr(model, "booster_", None)
    if booster is not None:  # LightGBM
        booster.save_model(str(path))
        return _size_mb(path)
    if hasattr(model, "save_model"):  # CatBoost, XGBoost
        path = path.with_suffix(".ubj")
        model.save_model(str(path))
        return _size_mb(path)
    if hasattr(model, "estimators_"):
        trees = [tree.tree_.__getstate__() for tree in np.ravel(model.estimators_)]
        return sum(tree["nodes"].nbytes + tree["values"].nbytes for tree in trees) / 1e6
    return model.coef_.nbytes / 1e6 if hasattr(model, "coef_") else None


def _dummy(data: Data, budget: float, work: Path) -> Fitted:  # noqa: ARG001 - one signature for all systems
    """Shares of the classes, or the mean: what every score is set against."""
    y, classes = data.train[data.target], _classes(data)
    if classes is None:
        mean = float(y.mean())
        return Fitted(lambda f: np.full(len(f), mean), None, 0.0, 0.0, "mean")
    shares = y.value_counts(normalize=True).loc[classes].to_numpy()
    return Fitted(lambda f: np.tile(shares, (len(f), 1)), classes, 0.0, 0.0, "shares of the classes")


def _tfidf(data: Data, *, everything: bool) -> Fitted:
    """TF-IDF of words and pairs of them into a logistic regression whose strength is tuned over five folds.

    Every text column has its own TF-IDF. With `everything`, the other columns come in as well: categories one-hot,
    numbers scaled.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    X = data.train.drop(columns=data.target)
    numbers = [name for name in X.columns if pd.api.types.is_numeric_dtype(X[name])]
    words = {
        name: X[name].dropna().astype(str).str.split().str.len().mean()
        for name in X.columns.difference(numbers)
    }
    texts = [name for name, mean in words.items() if mean >= 3]  # words; shorter ones are categories
    others = [name for name in words if name not in texts]

    def prepare(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        for name in words:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str)
        return frame

    parts: list[Any] = [
        (TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), name) for name in texts
    ]
    if everything:
        parts.append((OneHotEncoder(handle_unknown="ignore", min_frequency=3), others))
        parts.append((make_pipeline(SimpleImputer(), StandardScaler()), numbers))
    start = time.monotonic()
    pipeline = make_pipeline(make_column_transformer(*parts), LogisticRegression(max_iter=1000))
    scoring = "roc_auc" if data.task == "binary" else "neg_log_loss"
    grid = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0]}
    model = GridSearchCV(pipeline, grid, cv=5, scoring=scoring, n_jobs=1).fit(
        prepare(X), data.train[data.target]
    )
    seconds = time.monotonic() - start
    note = f"C {model.best_params_['logisticregression__C']:g}, text: {', '.join(texts)}"
    return Fitted(_asked(model, prepare, data), list(map(str, model.classes_)), seconds, None, note)
