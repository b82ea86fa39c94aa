"""Anomalies: from a prepared table to the contents of a bundle that says how unusual a row is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Floats, Json
from mlwright.data.schema import Schema, Task, TaskKind
from mlwright.data.target import target_values
from mlwright.evaluate.figures import Share, wilson
from mlwright.evaluate.reference import reference
from mlwright.evaluate.unlabelled import Anomalies, Map, UnlabelledContext, UnusualRow
from mlwright.lifecycle.build import missing_shares
from mlwright.lifecycle.gate import Verdict
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.unlabelled import VIEW, Found, Taken, label_of, pack, taken
from mlwright.metrics import get
from mlwright.metrics.intervals import Interval, interval
from mlwright.models.consensus import Consensus
from mlwright.search import Trial
from mlwright.serving.answers import label_key
from mlwright.serving.reasons import Reasons, cells_of, share_words
from mlwright.unlabelled.agreement import FEWEST
from mlwright.unlabelled.anomaly import fit, groups_of, sources_of, stability
from mlwright.unlabelled.projection import project as on_plane

__all__ = ["build_anomalies"]

_LISTED, _EXPLAINED, _DRAWN = 20, 500, 1200
_HALVED = 20_000  # rows whose halves are compared
_EDGES = np.linspace(0.0, 1.0, 31)
_FEWEST_LABELLED = 30


def build_anomalies(
    prepared: Prepared, project: Project, *, lineage: Mapping[str, Any], listener: Listener = silent
) -> Found:
    """Fit, judge and package. Equal inputs give equal contents, byte by byte: no clock decides anything."""
    seed, task = project.task_seed, prepared.task
    listener(Event("step", "searching"))
    rows = taken(prepared, project)
    groups = groups_of(rows.plan)
    model = fit(rows.X, task, groups, seed)
    listener(Event("note", f"fitted on {len(rows.X):,} rows and {rows.X.shape[1]:,} numbers each"))
    listener(Event("step", "evaluating"))
    judged = rows.matrix if len(rows.matrix) else None
    agreed, n_judged = stability(rows.X[:_HALVED], judged, task, groups, seed)
    about, note = _about(prepared, rows, model)
    notes = rows.notes if not note else (*rows.notes, note)
    listener(Event("step", "packaging"))
    context = UnlabelledContext(
        name=project.name,
        task=task,
        schema=prepared.table.schema,
        n_rows=prepared.table.n_rows,
        findings=tuple(prepared.findings),
        split=prepared.split.to_json(),
        stability=agreed,
        n_judged=n_judged,
        map=_map(rows, model, task.cut),
        about=about,
        lineage=dict(lineage) | {"seed": seed},
        notes=notes,
        missing=missing_shares(rows.fitted_columns),
    )
    trial = (Trial(0, "consensus", VIEW), agreed.estimate, ())
    return pack(
        prepared,
        project,
        rows,
        task,
        model,
        context,
        [trial],
        0,
        _verdict(agreed, n_judged),
        _told(about),
        _sentences(about),
        lineage=lineage,
        reference=reference(
            rows.fitted_columns, model.predict(rows.X), task, personal=prepared.table.schema.personal
        ),
    )


def _verdict(agreed: Interval, n_judged: int) -> Verdict:
    if math.isnan(agreed.low) and n_judged >= FEWEST:
        return Verdict(False, f"no row is more unusual than another: {n_judged:,} rows have one score")
    if math.isnan(agreed.low):
        return Verdict(False, f"too few rows ({n_judged}) to see whether two halves of the table agree")
    measured = (
        f"two halves of the rows, each on its own, rank {n_judged:,} other rows alike: "
        f"rank correlation {agreed.estimate:.2f} (95 % interval {agreed.low:.2f} to {agreed.high:.2f})"
    )
    return Verdict(agreed.low > 0, measured if agreed.low > 0 else f"not shown to be stable: {measured}")


def _about(prepared: Prepared, rows: Taken, model: Consensus) -> tuple[Anomalies, str]:
    """Return what the report tells, and what is to be noted."""
    table, task = prepared.table, prepared.task
    scores = np.concatenate([model.predict(rows.X)[:, 0], model.predict(rows.matrix)[:, 0]])
    means = np.concatenate([model.means(rows.X), model.means(rows.matrix)])
    n = len(rows.X)
    reasons = Reasons(rows.plan.tags, model, table.schema)
    numbers = np.concatenate([rows.fitted, rows.judged_rows])[: n + len(rows.judged_rows)]
    order = np.argsort(-means[: len(numbers)], kind="stable")
    matrix = np.concatenate([rows.X, rows.matrix])
    flagged = np.flatnonzero(scores >= task.cut)
    listed = order[:_LISTED]
    cells = cells_of(table.take(numbers[listed]).columns(), np.arange(len(listed)))
    told = reasons.of_rows(matrix[listed], cells)
    n_unseen = len(rows.matrix)
    unseen = None
    if n_unseen:
        count = int((scores[n:] >= task.cut).sum())
        unseen = Share(count, n_unseen, *wilson(count, n_unseen))
    label, note = _label(prepared, rows, scores[n:] if n_unseen else scores, unseen=bool(n_unseen))
    about = Anomalies(
        threshold=task.cut,
        n_scored=len(scores),
        n_flagged=len(flagged),
        unseen=unseen,
        edges=tuple(_EDGES.tolist()),
        scored=_histogram(means[:n]),
        unseen_scored=_histogram(means[n:]),
        rows=tuple(
            UnusualRow(
                int(numbers[i]) + 1, float(scores[i]), tuple(_shown(each, table.schema) for each in why)
            )
            for i, why in zip(listed.tolist(), told, strict=True)
        ),
        columns=_columns(model, matrix[flagged[:_EXPLAINED]], sources_of(rows.plan)),
        **label,
    )
    return about, note


def _shown(why: Json, schema: Schema) -> Json:
    """Return a reason as a report may show it: without the value of a column that holds personal data."""
    return why | {"got": None} if schema[why["column"]].pii else why


def _histogram(means: Floats) -> tuple[int, ...]:
    return tuple(np.histogram(means, _EDGES)[0].tolist())


def _columns(model: Consensus, flagged: Floats, sources: list[str]) -> tuple[tuple[str, float], ...]:
    if not len(flagged):
        return ()
    shares = model.parts(flagged).mean(axis=0)
    order = np.argsort(-shares, kind="stable").tolist()
    return tuple((sources[i], float(shares[i])) for i in order if shares[i] > 0)


def _label(prepared: Prepared, rows: Taken, scores: Floats, *, unseen: bool) -> tuple[dict[str, Any], str]:
    """Hold scores against a known label: on rows kept aside, else on those fitted (which never saw it either)."""
    known, name = label_of(prepared.table, prepared.task), prepared.task.target
    if known is None or known.note:
        return {}, "" if known is None else known.note
    table = rows.judged if unseen and rows.judged is not None else prepared.table.take(rows.fitted)
    if name not in table.arrow.column_names:
        return {}, f"the test table has no '{name}' to compare the scores with"
    codes = target_values(table, Task(TaskKind.BINARY, name, "roc_auc", known.labels))
    there = np.flatnonzero(~np.isnan(codes))
    y, found = codes[there], scores[there]
    if len(y) < _FEWEST_LABELLED or len(np.unique(y)) < 2:
        return {}, f"too few rows have a known '{name}' to compare the scores with it"
    told = {kind: interval(get(kind), y, found[:, None]) for kind in ("roc_auc", "pr_auc")}
    value, share = label_key(known.labels[1]), float(y.mean())
    return {"label": name, "label_value": value, "label_share": share, "scores": told}, ""


def _map(rows: Taken, model: Consensus, cut: float) -> Map:
    """Draw a sample of the rows, with every row of the two hundred most unusual ones that is called an anomaly."""
    matrix = np.concatenate([rows.X, rows.matrix])
    scores = model.predict(matrix)[:, 0]
    flagged = np.flatnonzero(scores >= cut)
    flagged = flagged[np.argsort(-scores[flagged], kind="stable")][:200]
    usual = np.flatnonzero(scores < cut)
    usual = usual[np.linspace(0, len(usual) - 1, min(len(usual), _DRAWN)).astype(np.int64)]
    plane = on_plane(matrix, [tag.name for tag in rows.plan.tags], fitted=len(rows.X))
    shown = [(i, 0) for i in usual.tolist()] + [(i, 1) for i in flagged.tolist()]
    points = tuple((float(plane.points[i, 0]), float(plane.points[i, 1]), mark) for i, mark in shown)
    return Map(points, ("usual", "called an anomaly"), plane.shares, plane.leading)


def _told(about: Anomalies) -> Json:
    """Return what programs get of it."""
    return {
        "threshold": about.threshold,
        "n_scored": about.n_scored,
        "n_flagged": about.n_flagged,
        "unseen_flagged": None
        if about.unseen is None
        else {"rows": about.unseen.total, "share": about.unseen.share},
        "rows": [
            {"row": row.number, "score": row.score, "why": [dict(each) for each in row.why]}
            for row in about.rows
        ],
        "columns": dict(about.columns),
        "label": about.label,
        "label_scores": {name: score.to_json() for name, score in about.scores.items()},
    }


def _sentences(about: Anomalies) -> tuple[str, ...]:
    said = [
        (
            f"{about.n_flagged:,} of {about.n_scored:,} rows are called anomalies: more unusual than "
            f"{share_words(about.threshold)} of the training rows"
        )
    ]
    if about.unseen is not None:
        said.append(
            f"{about.unseen.count:,} of {about.unseen.total:,} rows that were kept aside are "
            f"({share_words(about.unseen.low)} to {share_words(about.unseen.high)})"
        )
    if about.scores:
        told = ", ".join(
            f"{get(name).title} {score.estimate:.3f} ({score.low:.3f} to {score.high:.3f})"
            for name, score in about.scores.items()
        )
        said.append(
            f"against {about.label} = {about.label_value} ({share_words(about.label_share)} of the rows): {told}"
        )
    return tuple(said)
