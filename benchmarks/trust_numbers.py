"""Trust, numbers: whether intervals cover, whether the corrected score is true, whether conformal answers hold the truth.

    python trust.py --only numbers [--data TABLES] [--tables NAME ...] [--quick] [--json]

Coverage is simulated: 500 tables for each metric and number of rows, whose true score is known from very many rows; the
grouped ones have 40 groups of ten rows with effects of their own. The corrected score is that of the best of 100 trials that
know nothing. With `--data`, ten real tables are learned by three quick trials, and the conformal intervals or sets that come
from the folds are counted on test rows: five times, with another fifth of the rows as test each time, so that every row is
counted once and no single test part decides. The standard error is the binomial one of all of them. Sets are counted before
the most probable class is put into empty ones.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mlwright.evaluate.selection import selection
from mlwright.metrics import get
from mlwright.metrics.intervals import interval
from mlwright.search.conform import COVERAGE

__all__ = ["markdown", "measure"]

TABLES = (
    "telco_churn_clean",
    "churn_5000",
    "phoneme",
    "credit_g",
    "contraceptive",
    "satimage",
    "abalone",
    "ames",
    "california_housing",
    "wine_quality_white",
)
DRAWS, QUICK = 500, 40
SIZES = (200, 2000)
N_GROUPS = 40
MANY = 400_000
PARTS = 5  # of a real table, each the test once
MOST_SECONDS = 45.0  # for one of them, so that no clock cuts a fit short

Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def classes(random: np.random.Generator, n: int, a_group: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth of two classes and probabilities; rows of a group share a part of both."""
    shared = 0.6 * np.repeat(random.normal(size=(2, n // a_group)), a_group, axis=1) if a_group > 1 else 0.0
    own = random.normal(size=(2, n)) * (0.8 if a_group > 1 else 1.0)
    noise = own + shared
    y = (noise[0] < -0.52).astype(float)
    score = noise[1] + 1.2 * y
    return y, (1 / (1 + np.exp(-(1.2 * score - 1.5))))[:, None]


def numbers(random: np.random.Generator, n: int, a_group: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth and predictions; errors of a group share a part."""
    own = random.normal(size=n)
    shared = np.repeat(random.normal(size=n // a_group), a_group) if a_group > 1 else 0.0
    y = 2 * random.normal(size=n)
    return y, (y + own + shared)[:, None]


CASES: tuple[tuple[str, Draw], ...] = (
    ("roc_auc", classes),
    ("pr_auc", classes),
    ("log_loss", classes),
    ("rmse", numbers),
)


def covered(name: str, draw: Draw, n: int, *, grouped: bool, n_draws: int, seed: int) -> dict[str, Any]:
    """Return how many of the intervals hold the true score, and how many lie wholly above or below it."""
    metric, random = get(name), np.random.default_rng(seed)
    a_group = n // N_GROUPS if grouped else 1
    truth = metric.score(*draw(np.random.default_rng(seed + 1), MANY, a_group))
    groups = np.arange(n) // a_group if grouped else None
    above = below = 0
    for number in range(n_draws):
        found = interval(metric, *draw(random, n, a_group), groups=groups, seed=number)
        above += truth < found.low
        below += truth > found.high
    return {
        "metric": name,
        "rows": n,
        "groups": N_GROUPS if grouped else None,
        "draws": n_draws,
        "coverage": 1 - (above + below) / n_draws,
        "above": int(above),
        "below": int(below),
    }


def luck(*, n_draws: int, seed: int) -> dict[str, float]:
    """Return the mean naive and corrected AUC of the best of 100 trials that know nothing; the truth is 0.5."""
    random, metric = np.random.default_rng(seed), get("roc_auc")
    found = []
    for number in range(n_draws):
        y = (random.random(500) < 0.3).astype(float)
        found.append(selection(metric, y, list(random.random((100, 500, 1))), seed=number))
    told = [one for one in found if one is not None]
    return {
        "draws": n_draws,
        "naive": float(np.mean([one.best for one in told])),
        "corrected": float(np.mean([one.corrected for one in told])),
        "truth": 0.5,
    }


def held(entry: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return how often a real table's intervals or sets hold the truth of its rows, each as a test row once."""
    from mlwright.core.clock import Deadline
    from mlwright.data.read import read
    from mlwright.evaluate.coverage import Coverage
    from mlwright.lifecycle.build import build
    from mlwright.lifecycle.prepared import prepare
    from mlwright.lifecycle.project import Project

    raw = read(options.data / entry["file"])
    if raw.num_rows > 6000:
        kept = np.sort(np.random.default_rng(options.seed).choice(raw.num_rows, 6000, replace=False))
        raw = raw.take(kept)
    project = Project(
        name="held", task_target=entry["target"], task_seed=options.seed, task_trials=3, task_budget="60s"
    )
    turn = np.random.default_rng(options.seed).permutation(raw.num_rows) % PARTS
    shares: list[float] = []
    rows = strict = served = 0
    for part in range(1 if options.quick else PARTS):
        prepared = prepare(
            raw.take(np.flatnonzero(turn != part)),
            project,
            test=raw.take(np.flatnonzero(turn == part)),
            refuse=False,
        )
        built = build(prepared, project, Deadline(MOST_SECONDS), lineage={}, rough=True)
        found = next((part for part in built.parts if isinstance(part, Coverage)), None)
        if found is None:
            return {"table": entry["name"], "coverage": None}
        counted = found.strict or found.held
        rows, strict, served = rows + counted.total, strict + counted.count, served + found.held.count
        shares.append(counted.share)
    error = math.sqrt(COVERAGE * (1 - COVERAGE) / rows)
    return {
        "table": entry["name"],
        "task": str(prepared.task.kind),
        "rows": rows,
        "coverage": strict / rows,
        "served": served / rows,
        "errors_off": (strict / rows - COVERAGE) / error,
        "parts": shares,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return all three as a JSON tree."""
    n_draws = QUICK if options.quick else DRAWS
    coverage = []
    for name, draw in CASES:
        for n in SIZES:
            for grouped in (False, True):
                print(f"coverage: {name}, {n} rows, grouped {grouped}", file=sys.stderr)
                coverage.append(covered(name, draw, n, grouped=grouped, n_draws=n_draws, seed=options.seed))
    tree: dict[str, Any] = {
        "coverage": coverage,
        "luck": luck(n_draws=QUICK if options.quick else 200, seed=options.seed),
        "conformal": [],
    }
    if options.data:
        known = {
            entry["name"]: entry for entry in json.loads((options.data / "manifest.json").read_text("utf-8"))
        }
        for name in options.tables or TABLES:
            if name in known:
                print(f"conformal: {name}", file=sys.stderr)
                tree["conformal"].append(held(known[name], options))
    return tree


def markdown(measured: dict[str, Any]) -> str:
    """Return the tree as Markdown."""
    lines = [
        "## Numbers",
        "",
        "| Metric | Rows | Groups | Coverage of 95 % | Above | Below |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one['metric']} | {one['rows']} | {one['groups'] or '-'} | {100 * one['coverage']:.1f} % | {one['above']} | {one['below']} |"
        for one in measured["coverage"]
    ]
    found = measured["luck"]
    luck_told = (
        f"Best of 100 trials that know nothing: AUC {found['naive']:.3f} as the folds show it, {found['corrected']:.3f} "
        f"corrected, {found['truth']} true ({found['draws']} draws)."
    )
    lines += [
        "",
        luck_told,
    ]
    if measured["conformal"]:
        lines += [
            "",
            "| Table | Task | Test rows | Held, of 90 % | Served | Standard errors off | The test parts |",
            "|---|---|---:|---:|---:|---:|---|",
        ]
        lines += [
            f"| {one['table']} | {one['task']} | {one['rows']} | {100 * one['coverage']:.1f} % | {100 * one['served']:.1f} % "
            f"| {one['errors_off']:+.1f} | {', '.join(f'{100 * share:.1f}' for share in one['parts'])} |"
            for one in measured["conformal"]
            if one["coverage"] is not None
        ]
    return "\n".join(lines)
