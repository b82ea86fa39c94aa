"""What if: a model's answer to a record beside its answer to the same record with other values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwright.core.errors import UsageError
from mlwright.core.types import Json, Record
from mlwright.data.schema import Kind, Schema
from mlwright.lifecycle.explain import Whole, loaded, read_record, whole_of
from mlwright.serving.explaining import margin_labels

__all__ = ["WhatIf", "what_if"]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Two answers.

    Parameters
    ----------
    model, sha256 : str
        Who predicts.
    record, changes : dict
        What was asked, and what was put in its place.
    before, after : dict
        The answers, as `Predictor.predict_one` gives them.
    label : object
        The class whose probability is compared: the second of two, the one predicted after the change of several; None
        for a number.
    parts : Whole
        What each changed column adds to the difference: exact Shapley values of up to thirteen changes.
    """

    model: str
    sha256: str
    record: Record
    changes: Record
    before: Json
    after: Json
    label: Any
    parts: Whole

    @property
    def difference(self) -> float:
        """What is answered after the change, less what was before it."""
        told = self.parts.of(self.label)
        return float(told["answer"] - told["base"])

    @property
    def contributions(self) -> dict[str, float]:
        """What each changed column adds to the difference, the largest first; without those that the model does not read."""
        told = self.parts.of(self.label)["contributions"]
        return {name: size for name, size in told.items() if name in self.changes}

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "changes": {name: {"from": self.record.get(name), "to": to} for name, to in self.changes.items()},
            "before": self.before,
            "after": self.after,
            "label": self.label,
            "difference": self.difference,
            "contributions": self.contributions,
            "exact": self.parts.exact,
        }


def what_if(
    model: str | Path,
    record: Record | str | Path,
    changes: Record | Sequence[str],
    *,
    store: str | Path | None = None,
) -> WhatIf:
    """Ask a model again with some values changed.

    Parameters
    ----------
    model : str or Path
        As `mlwright.lifecycle.predict.load` takes it.
    record : dict or path
        One field a feature, or a JSON file that holds one such object.
    changes : dict or sequence of str
        The fields to replace; or words as the command line has them, ``"tenure=24"``.

    Raises
    ------
    UsageError
        If nothing is changed, a word names no column or no value, or the file is no JSON object.
    RecordError
        If either record does not fit the schema.
    """
    asked = read_record(record)
    if not changes:
        raise UsageError("nothing is changed", fix="say what, as in {'tenure': 24}")
    predictor = loaded(model, store)
    changes = dict(changes) if isinstance(changes, Mapping) else _read(changes, predictor.schema)
    before, changed = predictor.predict_one(asked), {**asked, **changes}
    after = predictor.predict_one(changed)
    labels = margin_labels(predictor)
    return WhatIf(
        predictor.name,
        predictor.sha256,
        asked,
        changes,
        before,
        after,
        after["prediction"] if len(labels) > 1 else labels[0],
        whole_of(predictor, changed, against=asked),
    )


def _read(words: Sequence[str], schema: Schema) -> Record:
    """Return changes from ``COLUMN=VALUE`` words: numbers and truth values where the column has such, ``null`` for missing."""
    changes: Record = {}
    for word in words:
        name, mark, text = word.partition("=")
        if not mark:
            raise UsageError("a change says no value", got=word, allowed="COLUMN=VALUE, as in tenure=24")
        if name not in schema:
            raise UsageError("no such column to change", got=name, allowed=schema.names[:50])
        changes[name] = _value(text, schema[name].kind)
    return changes


def _value(text: str, kind: Kind) -> Any:
    if text == "null":
        return None
    if kind not in (Kind.NUMERIC, Kind.BOOLEAN):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text  # the record's own check says what is wrong with it
    return value if isinstance(value, (int, float)) else text
