"""Interval: the option ``interval``, which tells how far a prediction may be off, or which classes it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlwright.core.types import Floats, Json
from mlwright.data.schema import TaskKind

if TYPE_CHECKING:
    from mlwright.serving.predictor import Predictor

__all__ = ["TellInterval"]


class TellInterval:
    """The option ``interval``: what holds the truth in so many of a hundred answers."""

    name = "interval"
    key = "interval"
    about = "the interval of the number, or the set of classes, that holds the truth as often as it says"
    most = None

    def refusal(self, predictor: Predictor) -> str | None:
        """Return why it is not told: the bundle has none. A fallback tells nothing more, and refuses nothing."""
        told = predictor.marks or predictor.conformal is not None
        return None if told else "its bundle holds no intervals"

    def tell(self, predictor: Predictor, matrices: Mapping[str, Floats], outputs: Floats) -> list[Json]:  # noqa: ARG002  the option's signature
        """Return the interval or set of each row."""
        return predictor.intervals(outputs)

    def schema(self, predictor: Predictor) -> Json:
        """Return the schema of an interval."""
        number = {"type": "number"}
        properties: Json = {"coverage": {**number, "exclusiveMinimum": 0, "exclusiveMaximum": 1}}
        if predictor.task.kind is TaskKind.REGRESSION:
            properties |= {"low": number, "high": number}
        else:
            labels = {"enum": list(predictor.task.labels)}
            properties["set"] = {"type": "array", "items": labels, "minItems": 1}
        return {
            "type": "object",
            "properties": properties,
            "required": sorted(properties),
            "description": self.about,
        }
