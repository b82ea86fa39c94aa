"""Unlabelled: what a report about anomalies or clusters tells, as plain values. It holds no clock and no random id."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

from mlwright.data.findings import Finding
from mlwright.data.schema import Schema, Task
from mlwright.evaluate.figures import Share
from mlwright.metrics.intervals import Interval

__all__ = ["Anomalies", "Candidate", "Cluster", "Clusters", "Map", "UnlabelledContext", "UnusualRow"]


@dataclass(frozen=True, slots=True)
class Map:
    """Rows on two principal components.

    Parameters
    ----------
    points : tuple of (float, float, int)
        Where a row lies, and the number of its mark, from 0.
    marks : tuple of str
        What each mark means.
    shares : (float, float)
        The share of the spread that each direction shows.
    leading : tuple of (str, ...)
        The columns that each direction leans on most.
    """

    points: tuple[tuple[float, float, int], ...]
    marks: tuple[str, ...]
    shares: tuple[float, float]
    leading: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class UnusualRow:
    """A row's number in the table from 1, its score, and why: ``column``, ``got``, ``share`` and ``says`` each."""

    number: int
    score: float
    why: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Anomalies:
    """What was found out about unusual rows.

    Parameters
    ----------
    threshold : float
        The score from which on a row is called an anomaly.
    n_scored, n_flagged : int
        Rows of the table that were scored, and called so.
    unseen : Share, optional
        How many of the rows that were kept aside are called so.
    edges, scored, unseen_scored : tuple of float, of int
        A histogram of the mean rank, of rows trained on and of rows kept aside.
    rows : tuple of UnusualRow
        The most unusual first.
    columns : tuple of (str, float)
        What share of the flagged rows' unusualness each column makes out, the largest first.
    label : str
        The column that was compared with, or "".
    label_value : str
        The value of it that counts as an anomaly.
    label_share : float
        How frequent that is.
    scores : dict of str to Interval
        ROC AUC and the like against it.
    """

    threshold: float
    n_scored: int
    n_flagged: int
    unseen: Share | None
    edges: tuple[float, ...]
    scored: tuple[int, ...]
    unseen_scored: tuple[int, ...]
    rows: tuple[UnusualRow, ...]
    columns: tuple[tuple[str, float], ...]
    label: str = ""
    label_value: str = ""
    label_share: float = 0.0
    scores: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its name, rows, share of all rows, and what sets it apart, the clearest first."""

    name: str
    n_rows: int
    share: float
    traits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to group rows: method, number of clusters, stability, the same for rows without structure, silhouette."""

    method: str
    n_clusters: int
    stability: float
    reference: float
    silhouette: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Clusters:
    """What was found out about groups of rows.

    Parameters
    ----------
    found : bool
        Whether the groups are more stable than those of rows without any structure.
    why : str
        One sentence with the numbers that decided.
    method : str
        How rows are grouped, in words.
    clusters : tuple of Cluster
        The largest first.
    n_none : int
        Rows that belong to none.
    candidates : tuple of Candidate
        All that was tried.
    label, label_agreement : str and Interval, optional
        A column that the groups were compared with, and the adjusted Rand index.
    """

    found: bool
    why: str
    method: str
    clusters: tuple[Cluster, ...]
    n_none: int
    candidates: tuple[Candidate, ...]
    label: str = ""
    label_agreement: Interval | None = None


@dataclass(frozen=True, slots=True)
class UnlabelledContext:
    """What a report about rows without a target tells.

    Parameters
    ----------
    name, task, schema, n_rows, findings, split, lineage, notes, missing
        As `mlwright.evaluate.context.ReportContext` has them.
    stability : Interval
        How far two halves of the rows agree on rows that neither saw.
    n_judged : int
        How many rows those are.
    map : Map
        The rows on a plane.
    about : Anomalies or Clusters
        What was found.
    """

    name: str
    task: Task
    schema: Schema
    n_rows: int
    findings: tuple[Finding, ...]
    split: dict[str, Any]
    stability: Interval
    n_judged: int
    map: Map
    about: Anomalies | Clusters
    lineage: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """The commands that come next."""
        name = shlex.quote(self.name)
        what = "score" if isinstance(self.about, Anomalies) else "assign"
        return (
            (f"mlwright predict {name} new.csv -o answers.csv", f"{what} every row of a file"),
            (f"mlwright serve {name}", "answer requests over HTTP"),
        )

    @property
    def reproduce(self) -> str:
        """The command that makes the same model again."""
        return str(self.lineage.get("reproduce") or f"mlwright reproduce {shlex.quote(self.name)}/VERSION")
