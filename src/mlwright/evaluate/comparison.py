"""Comparison: two runs side by side, and what differs between them, as plain values. Knows no store and no HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlwright.data.findings import Finding
from mlwright.data.schema import Schema, Task
from mlwright.evaluate.importance import Importance
from mlwright.metrics.intervals import Interval

__all__ = ["Changed", "Comparison", "Difference", "Side"]

_LEAST_SHARE = 0.01  # a column's missing values count as changed from one row in a hundred on


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    Parameters
    ----------
    label, run_id, sha256 : str
        What it was asked for by, MLflow's run, and the bundle's hash.
    task : Task
        What is predicted.
    schema : Schema
        The columns.
    basis : str
        What the scores were measured on: ``test`` or ``cross-validation``.
    scores : dict of str to Interval
        As the run itself measured them, the deciding metric first.
    baselines : dict of str to Interval
        The deciding metric of the simple models.
    n_rows : int
        Rows of the whole data.
    split : dict
        As `mlwright.data.split.Split.to_json` gives it.
    missing : dict of str to float
        The share of rows without a value, by column.
    findings : tuple of Finding
        What the checks said.
    importance : tuple of Importance
        What each column is worth.
    members : tuple of (str, str, float)
        Learner, view and weight of the models that it is made of.
    n_trials, size : int
        Trials that ended, and the bundle's bytes.
    settings, lineage, parts : dict
        The project's keys; data, code, packages; what was measured beside the score.
    """

    label: str
    run_id: str
    sha256: str
    task: Task
    schema: Schema
    basis: str
    scores: dict[str, Interval]
    baselines: dict[str, Interval]
    n_rows: int
    split: dict[str, Any]
    missing: dict[str, float]
    findings: tuple[Finding, ...]
    importance: tuple[Importance, ...]
    members: tuple[tuple[str, str, float], ...]
    n_trials: int
    size: int
    settings: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return next(iter(self.scores))

    @property
    def score(self) -> Interval:
        """Its score as the run measured it."""
        return self.scores[self.metric]

    @property
    def tested(self) -> int:
        """Rows that were kept aside."""
        return int(self.split.get("n_test", 0))


@dataclass(frozen=True, slots=True)
class Difference:
    """By one metric: both scores on the same rows, and the gain of the first (above 0: the first is better)."""

    first: Interval
    second: Interval
    gain: Interval

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``level``: the last where the interval of the gain holds 0."""
        return "better" if self.gain.low > 0 else "worse" if self.gain.high < 0 else "level"


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that is not the same: what, and its value on either side ("" where there is none)."""

    what: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, and their scores on the same rows where there are such.

    Parameters
    ----------
    first, second : Side
        The run asked for, and the one that it is compared with.
    n_rows : int
        Rows that both were tested on and neither was trained on.
    differences : dict of str to Difference
        By metric, the deciding one first; empty where the two cannot be paired.
    why : str
        Which rows these are, or why there are none.
    """

    first: Side
    second: Side
    n_rows: int
    differences: dict[str, Difference]
    why: str

    @property
    def difference(self) -> Difference | None:
        """That of the deciding metric."""
        return next(iter(self.differences.values()), None)

    @property
    def same_data(self) -> bool:
        """Whether both runs read the same table."""
        return self.first.lineage.get("data") == self.second.lineage.get("data")

    def columns(self) -> list[Changed]:
        """Return columns that came, went, or are read in another way."""
        sides = [
            {column.name: column for column in side.schema.columns} for side in (self.first, self.second)
        ]
        found = []
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            told = [f"{side[name].kind}, {side[name].role}" if name in side else "" for side in sides]
            if told[0] != told[1]:
                found.append(Changed(name, *told))
        return found

    def gaps(self) -> list[Changed]:
        """Return columns whose share of missing values is another one."""
        one, two = self.first.missing, self.second.missing
        return [
            Changed(name, f"{100 * one[name]:.1f} %", f"{100 * two[name]:.1f} %")
            for name in one
            if name in two and abs(one[name] - two[name]) >= _LEAST_SHARE
        ]

    def findings(self) -> list[tuple[Finding, bool, bool]]:
        """Return every finding with whether the first and the second run have it; those of one run first."""
        sides = [{(f.code, f.what): f for f in side.findings} for side in (self.first, self.second)]
        merged = {**sides[1], **sides[0]}
        told = [(finding, key in sides[0], key in sides[1]) for key, finding in merged.items()]
        return sorted(told, key=lambda item: item[1] and item[2])

    def settings(self) -> list[Changed]:
        """Return settings that differ."""
        return _changed(dict(_flat(self.first.settings)), dict(_flat(self.second.settings)))

    def packages(self) -> list[Changed]:
        """Return packages of another version."""
        one, two = (_versions(side.lineage.get("packages") or ()) for side in (self.first, self.second))
        return _changed(one, two)

    def lineage(self) -> list[Changed]:
        """Return what else is not the same about where they come from."""
        left_out = ("packages", "project")
        one, two = (
            dict(_flat({key: value for key, value in side.lineage.items() if key not in left_out}))
            for side in (self.first, self.second)
        )
        return _changed(one | {"bundle": self.first.sha256}, two | {"bundle": self.second.sha256})

    def parts(self) -> list[Changed]:
        """Return figures measured beside the score that differ; only names that both have, and no lists."""
        one, two = dict(_figures(self.first.parts)), dict(_figures(self.second.parts))
        return [change for change in _changed(one, two) if change.first and change.second]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON tree; a figure that is not defined is null."""
        return {
            "first": _side(self.first),
            "second": _side(self.second),
            "n_rows": self.n_rows,
            "why": self.why,
            "verdict": None if self.difference is None else self.difference.verdict,
            "differences": {
                name: {
                    "first": found.first.to_json(),
                    "second": found.second.to_json(),
                    "gain": found.gain.to_json(),
                    "verdict": found.verdict,
                }
                for name, found in self.differences.items()
            },
            "changed": {
                "same_data": self.same_data,
                "columns": _told(self.columns()),
                "missing": _told(self.gaps()),
                "findings": [
                    {"code": finding.code, "what": finding.what, "first": one, "second": two}
                    for finding, one, two in self.findings()
                    if not (one and two)
                ],
                "settings": _told(self.settings()),
                "packages": _told(self.packages()),
                "lineage": _told(self.lineage()),
                "parts": _told(self.parts()),
            },
        }


def _side(side: Side) -> dict[str, Any]:
    return {
        "label": side.label,
        "run_id": side.run_id,
        "sha256": side.sha256,
        "metric": side.metric,
        "basis": side.basis,
        "score": side.score.to_json(),
        "n_rows": side.n_rows,
        "n_test": side.tested,
        "trials": side.n_trials,
        "models": [{"model": m, "view": view, "weight": weight} for m, view, weight in side.members],
        "bytes": side.size,
    }


def _told(changes: list[Changed]) -> list[dict[str, str]]:
    return [{"what": change.what, "first": change.first, "second": change.second} for change in changes]


def _changed(one: Mapping[str, str], two: Mapping[str, str]) -> list[Changed]:
    names = dict.fromkeys([*one, *two])
    return [
        Changed(name, one.get(name, ""), two.get(name, ""))
        for name in names
        if one.get(name) != two.get(name)
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in sorted(tree.items()):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        elif value is not None and value != []:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            yield f"{prefix}{key}", shown


def _figures(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in sorted(tree.items()):
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{key} ".replace("_", " "))
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{key}".replace("_", " "), f"{value:.4g}"


def _versions(lines: Any) -> dict[str, str]:
    return {name: version for name, _, version in (str(line).partition("==") for line in lines)}
