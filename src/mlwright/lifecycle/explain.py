"""Explain: what each column of a record adds to a model's prediction of it, by exact Shapley values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from mlwright.core.errors import MlwrightError, UsageError
from mlwright.core.files import read_json
from mlwright.core.types import Json, Record
from mlwright.data.schema import TaskKind
from mlwright.features.plan import FeaturePlan
from mlwright.lifecycle.predict import load
from mlwright.models.contributions import Contributions, contributions
from mlwright.models.ensemble import Ensemble
from mlwright.serving.predictor import Predictor

__all__ = ["Explanation", "explain"]

_TOLERANCE = 1e-6  # contributions may miss the margin by so much of it


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model predicts what it does for one record.

    Parameters
    ----------
    model, sha256 : str
        Who predicts.
    answer : dict
        As `Predictor.predict_one` gives it.
    record : dict
        What was asked.
    scale : str
        What margin and contributions are measured in; see `mlwright.models.contributions.Contributions`.
    share : float
        The weight of the explained members in the blend.
    explained, left_out : tuple of str
        Kinds of the blend's models.
    label : object
        The class whose margin is explained: the second of two, the predicted one of several; None for a number.
    outputs : tuple of dict
        For each class that has a margin, or for the number: ``label``, ``margin``, ``expected`` and ``contributions`` by
        raw column, the largest first.
    """

    model: str
    sha256: str
    answer: Json
    record: Record
    scale: str
    share: float
    explained: tuple[str, ...]
    left_out: tuple[str, ...]
    label: Any
    outputs: tuple[Json, ...]

    @property
    def shown(self) -> Json:
        """The output of `label`."""
        return next(output for output in self.outputs if output["label"] == self.label)

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            **self.answer,
            "scale": self.scale,
            "share": self.share,
            "explained": list(self.explained),
            "left_out": list(self.left_out),
            **self.shown,
            "outputs": list(self.outputs),
        }


def explain(
    model: str | Path, record: Record | str | Path, *, store: str | Path | None = None
) -> Explanation:
    """Explain a model's prediction for one record.

    Parameters
    ----------
    model : str or Path
        As `mlwright.lifecycle.predict.load` takes it.
    record : dict or path
        One field a feature, or a JSON file that holds one such object.

    Raises
    ------
    UsageError
        If the file is no JSON object, or no member of the model can explain itself.
    RecordError
        If the record does not fit the schema.
    """
    asked = record if isinstance(record, dict) else _read(Path(cast("str | Path", record)))
    predictor = load(model, store=store)
    if not predictor.task.kind.needs_target:
        raise UsageError(
            f"an answer of a task of kind '{predictor.task.kind}' says why by itself",
            fix="ask for the prediction: its `why` names the columns",
        )
    answer = predictor.predict_one(asked)
    found = _contributions(predictor, asked)
    missed = np.abs(found.values.sum(axis=2) - found.margins)
    if not (missed <= _TOLERANCE * np.maximum(1.0, np.abs(found.margins))).all():
        raise MlwrightError(
            "the contributions do not add up to the prediction's margin", got=float(missed.max())
        )
    labels = _labels(predictor)
    outputs = []
    for label, values, margin in zip(labels, found.values[0], found.margins[0], strict=True):
        sizes = zip(found.columns, values[:-1].tolist(), strict=True)
        ordered = dict(sorted(sizes, key=lambda item: -abs(item[1])))
        told = {"label": label, "margin": float(margin), "expected": float(values[-1])}
        outputs.append({**told, "contributions": ordered})
    return Explanation(
        predictor.name,
        predictor.sha256,
        answer,
        asked,
        found.scale,
        found.share,
        found.explained,
        found.left_out,
        answer["prediction"] if len(labels) > 1 else labels[0],
        tuple(outputs),
    )


def _read(path: Path) -> Record:
    try:
        tree = read_json(path)
    except FileNotFoundError:
        raise UsageError(
            "no such file", got=str(path), fix="name a JSON file that holds one record"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError("the file cannot be read as JSON", got=f"{path}: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError(
            "the file holds no single record",
            got=type(tree).__name__,
            allowed="one object, a field each feature",
        )
    return tree


def _contributions(predictor: Predictor, record: Record) -> Contributions:
    plans = cast("dict[str, FeaturePlan]", predictor.plans)  # a bundle's parts are these
    ensemble = cast("Ensemble", predictor.ensemble)
    matrices = {view: row[None] for view, row in predictor.rows(record).items()}
    sources = {view: [tag.source for tag in plan.tags] for view, plan in plans.items()}
    found = contributions(ensemble, matrices, sources)
    if found is None:
        raise UsageError(
            "none of the model's members can explain itself",
            got=[member.model.kind for member in ensemble.members],
            allowed="lightgbm, catboost without native categories, linear",
            fix="train again: bundles of earlier versions lack what CatBoost's trees need for it",
        )
    return found


def _labels(predictor: Predictor) -> list[Any]:
    """Return what each margin is of."""
    labels = list(predictor.task.labels)
    if predictor.task.kind is TaskKind.REGRESSION:
        return [None]
    return labels[1:] if len(labels) <= 2 else labels
