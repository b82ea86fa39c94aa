"""ReportContext: all that a report and a model card are made from, as plain values. It holds no clock and no random id."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

from mlwright.data.findings import Finding
from mlwright.data.schema import Schema, Task
from mlwright.evaluate.evaluation import Evaluation

__all__ = ["ReportContext"]


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a report tells.

    Parameters
    ----------
    name : str
        The project's or model's name.
    task : Task
        What is predicted.
    schema : Schema
        The columns of the data.
    n_rows : int
        Rows of the whole data.
    findings : tuple of Finding
        What the checks had to say.
    split : dict
        As `mlwright.data.split.Split.to_json` gives it.
    trials : tuple of dict
        One each: ``number``, ``model``, ``view``, ``params``, ``score`` (the metric's own number, in its own
        direction, the mean over the folds), ``fold_scores``, ``n_iterations``, ``weight`` (in the blend, or None).
    evaluation : Evaluation
        What was measured.
    lineage : dict
        Where it comes from: data fingerprint, seed, versions. Values are strings, numbers or dicts of such; the key
        ``reproduce`` may hold the command that makes the model again.
    notes : tuple of str
        Sentences for people.
    missing : dict of str to float
        The share of rows without a value, by column; columns that are not named have all values.
    parameters : dict of str to dict of str to float
        By learner, which share of its trials' differences each hyperparameter explains.
    next_steps : tuple of (str, str), optional
        Commands and what each does; by default ``serve`` and ``predict``.
    """

    name: str
    task: Task
    schema: Schema
    n_rows: int
    findings: tuple[Finding, ...]
    split: dict[str, Any]
    trials: tuple[dict[str, Any], ...]
    evaluation: Evaluation
    lineage: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, dict[str, float]] = field(default_factory=dict)
    next_steps: tuple[tuple[str, str], ...] = ()

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """The commands that come next."""
        name = shlex.quote(self.name)
        return self.next_steps or (
            (f"mlwright serve {name}", "answer requests over HTTP"),
            (f"mlwright predict {name} new.csv -o predictions.csv", "predict every row of a file"),
        )

    @property
    def reproduce(self) -> str:
        """The command that makes the same model again."""
        return str(self.lineage.get("reproduce") or f"mlwright reproduce {shlex.quote(self.name)}")

    @property
    def members(self) -> tuple[dict[str, Any], ...]:
        """The trials that the model is blended of, the heaviest first; none if no trial has a weight."""
        chosen = [trial for trial in self.trials if trial.get("weight")]
        return tuple(sorted(chosen, key=lambda trial: (-trial["weight"], trial.get("number", 0))))
