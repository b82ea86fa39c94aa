"""Trace: one answered request, from its id back to the record, the features, each model's part, the run and the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlwright.core.errors import StoreError
from mlwright.core.types import Json
from mlwright.features.plan import FeaturePlan
from mlwright.models.ensemble import Ensemble
from mlwright.serving.answers import difference
from mlwright.serving.log_reading import find_prediction
from mlwright.serving.predictor import Predictor
from mlwright.tracking.registry import resolve
from mlwright.tracking.store import find_store

__all__ = ["Trace", "trace"]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of one prediction.

    Parameters
    ----------
    logged : dict
        As the prediction log has it: ``time``, ``record``, ``prediction``, ``warnings``, ``model``, ``version``,
        ``sha256``, ``latency_us``.
    masked : tuple of str
        Fields of the record that the log does not hold, because their columns are marked ``pii``.
    features : dict of str to dict
        For each view the encoded numbers by name; None is missing.
    parts : tuple of dict
        For each model its ``kind``, ``view``, ``share`` of the blend, and ``outputs`` for this record.
    run : str
        MLflow's run that made the version.
    lineage : dict
        As the bundle's manifest holds it; ``data`` is the fingerprint of the training table.
    reproduced : bool or None
        Whether the bundle gives the logged answer again; None where masked fields forbid the comparison.
    """

    logged: Json
    masked: tuple[str, ...]
    features: dict[str, dict[str, float | None]]
    parts: tuple[Json, ...]
    run: str
    lineage: Json
    reproduced: bool | None

    def to_json(self) -> Json:
        """Return a JSON tree."""
        return {
            **self.logged,
            "time": self.logged["time"].isoformat(),
            "masked": list(self.masked),
            "features": self.features,
            "parts": list(self.parts),
            "run": self.run,
            "data": self.lineage.get("data"),
            "lineage": self.lineage,
            "reproduced": self.reproduced,
        }


def trace(prediction_id: str, *, store: str | Path | None = None) -> Trace:
    """Look one prediction up in the log, and ask its bundle again how it came about.

    Parameters
    ----------
    prediction_id : str
        As the answer carried it.
    store : path, optional
        By default the nearest one upwards.

    Raises
    ------
    UsageError
        If it is no id.
    StoreError
        If the log does not hold it, or its version's bundle is another one than answered.
    """
    place = find_store(named=store)
    logged = find_prediction(place.log, prediction_id)
    version = resolve(place, f"{logged['model']}/{logged['version']}")
    predictor = Predictor.load(version.path)
    if predictor.sha256 != logged["sha256"]:
        raise StoreError(
            f"version {version.version} of {version.name} is not the bundle that answered",
            got=predictor.sha256,
            allowed=logged["sha256"],
        )
    record = logged["record"]
    rows = predictor.rows(record)
    plans = cast("dict[str, FeaturePlan]", predictor.plans)  # a bundle's parts are these
    ensemble = cast("Ensemble", predictor.ensemble)
    features = {
        view: {
            tag.name: None if math.isnan(value) else float(value)
            for tag, value in zip(plans[view].tags, row.tolist(), strict=True)
        }
        for view, row in rows.items()
    }
    members = ensemble.members
    total = math.fsum(member.weight for member in members)
    parts = tuple(
        {
            "kind": member.model.kind,
            "view": member.view,
            "share": member.weight / total,
            "link": member.link,
            "outputs": list(member.model.predict_row(rows[member.view])),
        }
        for member in members
    )
    masked = tuple(c.name for c in predictor.schema.columns if c.pii and c.name in record)
    return Trace(
        logged,
        masked,
        features,
        parts,
        version.run_id,
        dict(predictor.manifest["lineage"]),
        None if masked else _is_reproduced(predictor, logged),
    )


def _is_reproduced(predictor: Predictor, logged: Json) -> bool:
    answer: dict[str, Any] = predictor.predict_one(logged["record"])
    return difference(logged["prediction"], answer) is None
