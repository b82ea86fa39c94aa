"""Explain: what each column of a record adds to a model's answer, in its own units and, where exact, on its margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from mlwright.core.errors import MlwrightError, UsageError
from mlwright.core.files import read_json
from mlwright.core.types import Floats, Json, Record
from mlwright.data.schema import TaskKind
from mlwright.data.values import Cell, Coded
from mlwright.evaluate.attribution import Attribution, attribute
from mlwright.evaluate.background import background
from mlwright.features.plan import FeaturePlan
from mlwright.lifecycle.predict import load
from mlwright.models.ensemble import Ensemble
from mlwright.serving.explaining import contributed, margin_labels, outputs_of
from mlwright.serving.predictor import Predictor

__all__ = ["Explanation", "Whole", "explain", "loaded", "read_record", "whole_of"]

_TOLERANCE = 1e-6  # contributions may miss the answer by so much of it


@dataclass(frozen=True, slots=True)
class Whole:
    """What each column adds to the whole answer: all members of the blend, links and calibration included.

    Parameters
    ----------
    unit, target : str
        ``"probability"``, or ``"value"``, and the column that it is of.
    outputs : tuple of dict
        For each class whose probability the model gives, or for the number: ``label``, ``answer``, ``base`` (the mean over
        the made-up records), ``contributions`` by column, the largest first, and their ``standard_errors`` in the same
        order. The contributions add up to ``answer - base``.
    exact : bool
        Whether nothing was drawn; else `standard_errors` say how far off the drawn orders may be.
    n_background, n_predictions : int
        Made-up records that it was compared with; predictions that it took.
    """

    unit: str
    target: str
    outputs: tuple[Json, ...]
    exact: bool
    n_background: int
    n_predictions: int

    def to_json(self, label: Any) -> Json:
        """Return a JSON tree with the output of `label` before all others."""
        return {
            "unit": self.unit,
            "target": self.target,
            **self.of(label),
            "exact": self.exact,
            "n_background": self.n_background,
            "n_predictions": self.n_predictions,
            "outputs": list(self.outputs),
        }

    def of(self, label: Any) -> Json:
        """Return the output of `label`."""
        return next(output for output in self.outputs if output["label"] == label)


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
    scale : str or None
        What margin and contributions are measured in; see `mlwright.models.contributions.Contributions`. None where no
        member of the blend explains itself.
    share : float
        The weight of the members whose margins are explained in the blend.
    explained, left_out : tuple of str
        Kinds of the blend's models.
    label : object
        The class that is explained: the second of two, the predicted one of several; None for a number.
    outputs : tuple of dict
        For each class that has a margin, or for the number: ``label``, ``margin``, ``expected`` and ``contributions`` by
        raw column, the largest first. Empty where no member explains itself.
    whole : Whole
        What each column adds to the whole answer.
    """

    model: str
    sha256: str
    answer: Json
    record: Record
    scale: str | None
    share: float
    explained: tuple[str, ...]
    left_out: tuple[str, ...]
    label: Any
    outputs: tuple[Json, ...]
    whole: Whole

    @property
    def shown(self) -> Json:
        """The margin's output of `label`; all None where there is none."""
        none = {"label": self.label, "margin": None, "expected": None, "contributions": None}
        return next((output for output in self.outputs if output["label"] == self.label), none)

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            **self.answer,
            "whole": self.whole.to_json(self.label),
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

    The whole answer is compared with made-up records (`mlwright.evaluate.background`), so that what each column adds
    is told in points of probability, or in the target's unit. The members that can, also give exact Shapley values of
    their margins.

    Parameters
    ----------
    model : str or Path
        As `mlwright.lifecycle.predict.load` takes it.
    record : dict or path
        One field a feature, or a JSON file that holds one such object.

    Raises
    ------
    UsageError
        If the file is no JSON object, or the model has no target.
    RecordError
        If the record does not fit the schema.
    """
    asked = read_record(record)
    predictor = loaded(model, store)
    answer = predictor.predict_one(asked)
    labels = margin_labels(predictor)
    told = whole_of(predictor, asked)
    found = contributed(predictor, {view: row[None] for view, row in predictor.rows(asked).items()})
    members = [
        member.model.kind for member in cast("Ensemble", predictor.ensemble).members if member.weight > 0
    ]
    return Explanation(
        predictor.name,
        predictor.sha256,
        answer,
        asked,
        None if found is None else found.scale,
        0.0 if found is None else found.share,
        () if found is None else found.explained,
        tuple(members) if found is None else found.left_out,
        answer["prediction"] if len(labels) > 1 else labels[0],
        () if found is None else tuple(outputs_of(predictor, found, 0)),
        told,
    )


def loaded(model: str | Path, store: str | Path | None) -> Predictor:
    """Load a model with a target; see `explain`."""
    predictor = load(model, store=store)
    if not predictor.task.kind.needs_target:
        raise UsageError(
            f"an answer of a task of kind '{predictor.task.kind}' says why by itself",
            fix="ask for the prediction: its `why` names the columns",
        )
    return predictor


def whole_of(predictor: Predictor, record: Record, *, against: Record | None = None) -> Whole:
    """Explain the whole answer to a record that fits the schema, against made-up records or one other record.

    Raises
    ------
    MlwrightError
        If the contributions do not add up.
    """
    rows: Mapping[str, Floats | Coded]
    if against is None:
        rows = background(predictor.raw_columns, predictor.reader.columns, predictor.reference)
    else:
        rows = predictor.columns([against])
    ensemble = cast("Ensemble", predictor.ensemble)
    plans = cast("dict[str, FeaturePlan]", predictor.plans)  # a bundle's parts are these
    views = [member.view for member in ensemble.members if member.weight > 0]
    views += [] if ensemble.offset is None else [ensemble.offset.view]
    read = {name for view in views for name in plans[view].inputs}
    names = [name for name in rows if name in read]
    cells: dict[str, Cell] = predictor.reader.cells(record)
    found: Attribution = attribute(predictor.raw_columns, cells, rows, names=names)
    got = found.found
    missed = np.abs(got.values.sum(axis=1) - (got.answer - got.base))
    if not (missed <= _TOLERANCE * np.maximum(1.0, np.abs(got.answer))).all():
        raise MlwrightError("the contributions do not add up to the answer", got=float(missed.max()))
    outputs = []
    for place, label in enumerate(margin_labels(predictor)):
        order = sorted(range(len(names)), key=lambda i: -abs(got.values[place, i]))
        outputs.append(
            {
                "label": label,
                "answer": float(got.answer[place]),
                "base": float(got.base[place]),
                "contributions": {names[i]: float(got.values[place, i]) for i in order},
                "standard_errors": {names[i]: float(got.errors[place, i]) for i in order},
            }
        )
    unit = "value" if predictor.task.kind is TaskKind.REGRESSION else "probability"
    return Whole(unit, predictor.task.target, tuple(outputs), got.is_exact, found.n_background, got.n_asked)


def read_record(record: Record | str | Path) -> Record:
    """Return a record as it is, or as a JSON file holds it.

    Raises
    ------
    UsageError
        If the file is no JSON object.
    """
    return record if isinstance(record, dict) else _read(Path(cast("str | Path", record)))


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
