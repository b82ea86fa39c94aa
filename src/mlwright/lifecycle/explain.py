"""Explain: what each column of a record adds to a model's prediction of it, by exact Shapley values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from mlwright.core.errors import UsageError
from mlwright.core.files import read_json
from mlwright.core.types import Json, Record
from mlwright.lifecycle.predict import load
from mlwright.models.contributions import Contributions
from mlwright.serving.explaining import contributed, margin_labels, outputs_of
from mlwright.serving.predictor import Predictor

__all__ = ["Explanation", "explain"]


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
    labels = margin_labels(predictor)
    outputs = outputs_of(predictor, found, 0)
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
    found = contributed(predictor, {view: row[None] for view, row in predictor.rows(record).items()})
    if found is None:
        raise UsageError(
            "none of the model's members can explain itself",
            got=[member.model.kind for member in getattr(predictor.ensemble, "members", ())],
            allowed="lightgbm, catboost without native categories, linear",
            fix="train again: bundles of earlier versions lack what CatBoost's trees need for it",
        )
    return found
