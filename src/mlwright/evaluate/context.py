"""ReportContext: all that a report and a model card are made from, as plain values. It holds no clock and no random id.

What is measured beside the `Evaluation` (slices, fairness, costs and the like) is a `Part`: a frozen dataclass in a file
of its own. The file that draws it has one `Section`, which `evaluate/sections.py` puts in its place.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Schema, Task
from mlwright.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    from mlwright.evaluate.words import Voice

__all__ = ["Part", "ReportContext", "Section"]

_T = TypeVar("_T")


class Part(Protocol):
    """Something measured that a report shows: plain values, equal for equal inputs.

    `key` names it in the run's ``parts.json`` and under ``parts`` of ``mlwright run --json``; `to_json` gives its figures
    there, the same that the report shows.
    """

    key: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; a figure that is not defined is null."""
        ...


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report below its first screen.

    Parameters
    ----------
    anchor, title : str
        The link to it, and its heading.
    draw : callable
        From the context to safe HTML by `mlwright.evaluate.markup.section`; "" where there is nothing to tell.
    cautions : callable, optional
        From the context and a `Voice` to what the first screen and the card must warn of, the worst first: a severity
        and one or two plain sentences each.
    """

    anchor: str
    title: str
    draw: Callable[[ReportContext], str]
    cautions: Callable[[ReportContext, Voice], list[tuple[Severity, str]]] | None = None


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
    parts : tuple of Part
        What was measured beside the evaluation, one of a class at most.
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
    parts: tuple[Part, ...] = ()

    def part(self, kind: type[_T]) -> _T | None:
        """Return the part of that class, None if it was not measured."""
        return next((part for part in self.parts if isinstance(part, kind)), None)

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
        return str(self.lineage.get("reproduce") or f"mlwright reproduce {shlex.quote(self.name)}/VERSION")

    @property
    def members(self) -> tuple[dict[str, Any], ...]:
        """The trials that the model is blended of, the heaviest first; none if no trial has a weight."""
        chosen = [trial for trial in self.trials if trial.get("weight")]
        return tuple(sorted(chosen, key=lambda trial: (-trial["weight"], trial.get("number", 0))))
