"""Explaining: exact contributions of the raw columns to a row's margin, as an answer tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwright.core.errors import MlwrightError
from mlwright.core.types import Floats, Json
from mlwright.data.schema import TaskKind
from mlwright.metrics.decision import decide

if TYPE_CHECKING:
    from mlwright.models.contributions import Contributions
    from mlwright.serving.predictor import Predictor

__all__ = ["Explain", "contributed", "margin_labels", "outputs_of"]

_TOLERANCE = 1e-6  # contributions may miss the margin by so much of it


def contributed(predictor: Predictor, matrices: Mapping[str, Floats]) -> Contributions | None:
    """Explain rows; None where no member of the model can explain itself.

    Raises
    ------
    MlwrightError
        If the contributions do not add up to the margin.
    """
    from mlwright.models.contributions import contributions

    plans: Any = predictor.plans  # a bundle's parts have tags and members
    ensemble: Any = predictor.ensemble
    sources = {view: [tag.source for tag in plan.tags] for view, plan in plans.items()}
    found = contributions(ensemble, matrices, sources)
    if found is not None:
        missed = np.abs(found.values.sum(axis=2) - found.margins)
        if not (missed <= _TOLERANCE * np.maximum(1.0, np.abs(found.margins))).all():
            raise MlwrightError(
                "the contributions do not add up to the prediction's margin", got=float(missed.max())
            )
    return found


def margin_labels(predictor: Predictor) -> list[Any]:
    """Return what each margin is of: the second of two classes, each of several; None for a number."""
    labels = list(predictor.task.labels)
    if predictor.task.kind is TaskKind.REGRESSION:
        return [None]
    return labels[1:] if len(labels) <= 2 else labels


def outputs_of(predictor: Predictor, found: Contributions, row: int) -> list[Json]:
    """Return for each margin of a row ``label``, ``margin``, ``expected`` and ``contributions``, the largest first."""
    told = []
    for label, values, margin in zip(
        margin_labels(predictor), found.values[row], found.margins[row], strict=True
    ):
        sizes = zip(found.columns, values[:-1].tolist(), strict=True)
        ordered = dict(sorted(sizes, key=lambda item: -abs(item[1])))
        about = {"label": label, "margin": float(margin), "expected": float(values[-1])}
        told.append({**about, "contributions": ordered})
    return told


class Explain:
    """The option ``explain``: what each column adds to the margin of the predicted class, or of the second of two.

    What no member can explain is answered with a ``share`` of 0, so that a client that asks of every version is not
    refused by one.
    """

    name = "explain"
    key = "explanation"
    about = "what each column adds to the prediction's margin"
    most = 100

    def refusal(self, predictor: Predictor) -> str | None:
        """Return why it is not told: answers without a target say why by themselves."""
        return None if predictor.task.kind.needs_target else "each single answer says why by itself"

    def tell(self, predictor: Predictor, matrices: Mapping[str, Floats], outputs: Floats) -> list[Json]:
        """Return the explanation of each row."""
        members = getattr(predictor.ensemble, "members", ())
        found = contributed(predictor, matrices) if members else None
        if found is None:
            kinds = [member.model.kind for member in members]
            nothing: Json = {"share": 0.0, "explained": [], "left_out": kinds}
            return [dict(nothing) for _ in outputs]
        about = {
            "scale": found.scale,
            "share": found.share,
            "explained": list(found.explained),
            "left_out": list(found.left_out),
        }
        is_multiple = len(margin_labels(predictor)) > 1
        shown = decide(outputs, predictor.task).tolist() if is_multiple else [0] * len(outputs)
        return [{**about, **outputs_of(predictor, found, row)[place]} for row, place in enumerate(shown)]

    def schema(self, predictor: Predictor) -> Json:
        """Return the schema of an explanation."""
        number = {"type": "number"}
        kinds = {"type": "array", "items": {"type": "string"}}
        properties: Json = {
            "scale": {"type": "string", "description": "what margin and contributions are measured in"},
            "share": {
                **number,
                "minimum": 0,
                "maximum": 1.000001,
                "description": "the explained share of the blend",
            },
            "explained": kinds,
            "left_out": kinds,
            "label": {"enum": margin_labels(predictor)},
            "margin": {**number, "description": "expected and all contributions together"},
            "expected": number,
            "contributions": {"type": "object", "additionalProperties": number},
        }
        return {
            "type": "object",
            "properties": properties,
            "required": ["share", "explained", "left_out"],
            "description": self.about,
        }
