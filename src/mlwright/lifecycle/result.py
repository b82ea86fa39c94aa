"""RunResult: what a run made, as the terminal and ``--json`` show it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RunResult"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run made.

    Parameters
    ----------
    run_id, model, version : str, str and int
        MLflow's run, the registered model and its version.
    bundle, report : Path
        The bundle's directory and the report in it.
    sha256 : str
        The bundle's hash.
    task : dict
        Kind, target, metric, labels.
    metric, test_score, test_interval : str, float and (float, float)
        The score on rows that no search saw (or, with ``basis`` "cross-validation", from the folds) and its 95 %
        interval.
    baselines : dict
        Score and interval of ``dummy`` and ``linear`` on the same rows.
    split, findings : dict and list of dict
        Which split and why; what the checks found.
    seconds, trials : float and int
        Wall clock, and how many trials ended.
    alias, gate : str and dict
        ``champion`` or ``challenger``, and what the gate said.
    notes : tuple of str
        What was read, sampled, left out or failed: the report's notes.
    found : tuple of str
        Without a target: what was found, in words.
    parts : dict
        What was measured beside the score, by the part's key, as the report shows it.
    scores, shares : dict
        Every metric with its interval; the shares that the first screen of the report speaks of.
    in_words : dict
        That first screen in plain sentences: ``headline``, ``lead``, ``against``, ``drivers``, ``cautions``, ``steps``.
    """

    run_id: str
    model: str
    version: int
    bundle: Path
    report: Path
    sha256: str
    task: dict[str, Any]
    metric: str
    test_score: float
    test_interval: tuple[float, float]
    basis: str
    baselines: dict[str, dict[str, Any]]
    split: dict[str, Any]
    findings: list[dict[str, Any]]
    seconds: float
    trials: int
    alias: str
    gate: dict[str, Any]
    notes: tuple[str, ...] = ()
    proven_rows: int = 0
    best_trial: dict[str, Any] = field(default_factory=dict)
    found: tuple[str, ...] = ()
    parts: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    shares: dict[str, Any] = field(default_factory=dict)
    in_words: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree."""
        tree = {name: getattr(self, name) for name in self.__slots__}
        return tree | {
            "bundle": str(self.bundle),
            "report": str(self.report),
            "test_score": _known(self.test_score),
            "test_interval": [_known(end) for end in self.test_interval],
            "notes": list(self.notes),
            "found": list(self.found),
        }


def _known(score: float) -> float | None:
    """Return None for a score that has no meaning: JSON has no NaN."""
    return None if math.isnan(score) else score
