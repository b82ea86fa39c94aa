"""Clusters: from a prepared table to the contents of a bundle that says which rows belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mlwright.core.events import Event, Listener, silent
from mlwright.core.types import Ints, Json
from mlwright.evaluate.reference import reference
from mlwright.evaluate.unlabelled import Candidate, Cluster, Clusters, Map, UnlabelledContext
from mlwright.evaluate.words import percent
from mlwright.lifecycle.build import missing_shares
from mlwright.lifecycle.gate import Verdict
from mlwright.lifecycle.prepared import Prepared
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.unlabelled import VIEW, Found, Taken, label_of, pack, taken
from mlwright.metrics.intervals import Interval
from mlwright.search import Trial
from mlwright.unlabelled.agreement import adjusted_rand, agreement
from mlwright.unlabelled.anomaly import groups_of
from mlwright.unlabelled.cluster import ENOUGH, NONE, Choice, Way, choose, fit, labels_of, stability
from mlwright.unlabelled.describe import Trait, describe
from mlwright.unlabelled.projection import project as on_plane

__all__ = ["build_clusters"]

_DRAWN = 1500
_HALVED = 20_000
_METHODS = {
    "k_means": "k-means: nearest of {k} centres",
    "gaussian_mixture": "a mixture of {k} normal distributions",
    "density_clusters": "HDBSCAN: {k} dense regions",
}
_SHORT = {"k_means": "k-means", "gaussian_mixture": "normal distributions", "density_clusters": "HDBSCAN"}


def build_clusters(
    prepared: Prepared, project: Project, *, lineage: Mapping[str, Any], listener: Listener = silent
) -> Found:
    """Choose, fit, judge and package. Equal inputs give equal contents, byte by byte: no clock decides anything."""
    seed = project.task_seed
    listener(Event("step", "searching"))
    rows = taken(prepared, project)
    groups = groups_of(rows.plan)

    def told(number: int, way: Way) -> None:
        listener(
            Event(
                "note",
                f"{_SHORT[way.model]}, {way.n_clusters} groups: stability {way.stability:.2f}, "
                f"without groups {way.chance:.2f}",
                {"number": number},
            )
        )

    choice = choose(rows.X, prepared.task, groups, seed, budget=project.budget, told=told)
    way = choice.way
    task = replace(prepared.task, labels=labels_of(way))
    model = fit(rows.X, way, task, groups, seed)
    listener(Event("step", "evaluating"))
    judged = rows.matrix if len(rows.matrix) else None
    agreed, n_judged = stability(rows.X[:_HALVED], judged, way, task, groups, seed)
    found = model.predict(rows.X).argmax(axis=1)
    traits = {
        label: describe(rows.fitted_columns, prepared.table.schema, found == k)
        for k, label in enumerate(task.labels)
        if label != NONE
    }
    verdict = _verdict(choice, agreed, n_judged)
    about, note = _about(prepared, rows, choice, found, traits, verdict)
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
        map=_map(rows, found, task.labels),
        about=about,
        lineage=dict(lineage) | {"seed": seed},
        notes=rows.notes if not note else (*rows.notes, note),
        missing=missing_shares(rows.fitted_columns),
    )
    trials = [
        (
            Trial(i, each.model, VIEW, {"n_clusters": each.n_clusters, **each.params}),
            each.stability,
            each.stable,
        )
        for i, each in enumerate(choice.ways)
    ]
    told_traits = {
        label: {t.column: t.words.removeprefix(f"{t.column} ") for t in reversed(each)}
        for label, each in traits.items()
    }
    return pack(
        prepared,
        project,
        rows,
        task,
        model,
        context,
        trials,
        choice.chosen,
        verdict,
        _told(about, agreed),
        _sentences(about),
        lineage=lineage,
        reference=reference(
            rows.fitted_columns, model.predict(rows.X), task, personal=prepared.table.schema.personal
        )
        | {"clusters": told_traits},
    )


def _verdict(choice: Choice, agreed: Interval, n_judged: int) -> Verdict:
    way = choice.way
    measured = (
        f"{way.n_clusters} groups by {_SHORT[way.model]}: two halves of the rows agree to {way.stability:.2f}, and to "
        f"{way.chance:.2f} where rows without groups are cut so (adjusted Rand index)"
    )
    if not choice.found:
        return Verdict(False, f"no structure found: {measured}")
    if math.isnan(agreed.low):
        return Verdict(False, f"too few rows ({n_judged}) to see whether the groups show again: {measured}")
    if agreed.high < ENOUGH:
        return Verdict(
            False,
            f"the groups do not show again in {n_judged:,} rows that were kept aside: there two halves of the others "
            f"agree to {agreed.estimate:.2f} only (95 % interval {agreed.low:.2f} to {agreed.high:.2f}); {measured}",
        )
    return Verdict(True, measured)


def _about(
    prepared: Prepared,
    rows: Taken,
    choice: Choice,
    found: Ints,
    traits: Mapping[str, list[Trait]],
    verdict: Verdict,
) -> tuple[Clusters, str]:
    way, why = choice.way, verdict.reason
    labels = labels_of(way)
    counts = np.bincount(found, minlength=len(labels))
    clusters = tuple(
        Cluster(label, int(counts[k]), float(counts[k] / len(found)), tuple(t.words for t in traits[label]))
        for k, label in enumerate(labels)
        if label != NONE
    )
    about = Clusters(
        found=bool(verdict.passed),
        why=why[:1].upper() + why[1:] + ".",
        method=_METHODS[way.model].format(k=way.n_clusters),
        clusters=tuple(sorted(clusters, key=lambda each: -each.n_rows)),
        n_none=int(counts[-1]) if labels[-1] == NONE else 0,
        candidates=tuple(
            Candidate(
                _SHORT[each.model],
                each.n_clusters,
                each.stability,
                each.chance,
                each.silhouette,
                i == choice.chosen,
            )
            for i, each in enumerate(choice.ways)
        ),
    )
    known = label_of(prepared.table.take(rows.fitted), prepared.task)
    if known is None or known.note:
        return about, "" if known is None else known.note
    there = np.flatnonzero(~np.isnan(known.codes))
    agreed = agreement(adjusted_rand, known.codes[there].astype(np.int64), found[there], seed=0)
    return replace(about, label=prepared.task.target, label_agreement=agreed), ""


def _map(rows: Taken, found: Ints, labels: tuple[str, ...]) -> Map:
    shown = np.linspace(0, len(rows.X) - 1, min(len(rows.X), _DRAWN)).astype(np.int64)
    plane = on_plane(rows.X, [tag.name for tag in rows.plan.tags])
    points = tuple(
        (float(plane.points[i, 0]), float(plane.points[i, 1]), int(found[i])) for i in shown.tolist()
    )
    return Map(points, labels, plane.shares, plane.leading)


def _told(about: Clusters, agreed: Interval) -> Json:
    """Return what programs get of it."""
    return {
        "found": about.found,
        "why": about.why,
        "method": about.method,
        "agreement": agreed.to_json(),
        "clusters": [
            {"name": each.name, "rows": each.n_rows, "share": each.share, "traits": list(each.traits)}
            for each in about.clusters
        ],
        "none": about.n_none,
        "label": about.label,
        "label_agreement": None if about.label_agreement is None else about.label_agreement.to_json(),
    }


def _sentences(about: Clusters) -> tuple[str, ...]:
    said = (
        []
        if about.found
        else ["no structure found: what follows is a way to cut the rows, not groups that are there"]
    )
    said += [
        f"{each.name} ({percent(each.share)} of the rows): {'; '.join(each.traits[:3]) or 'like the table as a whole'}"
        for each in about.clusters
    ]
    if about.n_none:
        said.append(f"{about.n_none:,} rows belong to no group")
    if about.label_agreement is not None:
        found = about.label_agreement
        said.append(
            f"against {about.label}: adjusted Rand index {found.estimate:.2f} ({found.low:.2f} to {found.high:.2f})"
        )
    return tuple(said)
