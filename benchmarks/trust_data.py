"""Trust, data: whether the checks of the data find what was planted, and how often they speak where there is nothing.

    python trust.py --only data --data TABLES [--tables NAME ...] [--quick] [--json]

Planted in rows of real tables, one fault at a time: labels flipped (2, 5 and 10 %), a column of the test rows moved or taken
over by its most frequent level, a copy in other units or words, columns missing together, gaps that go with the target, a
stand-in for a banned column, a class thinned to 1 in 150. Nothing is there to be found where labels are as they came, where a
test part was drawn at random, where a banned column was drawn at random, and, for copies and gaps, where every column was
shuffled for itself. "As they came" is the table's own word: what is wrong in it before counts as a false alarm.

Label noise is asked of predictions out of fold by the first trials of a search (dummy, linear, LightGBM).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from records import say
from tables_list import DROP
from trust_leaks import read

__all__ = ["markdown", "measure"]

TABLES = (
    "australian_credit",
    "contraceptive",
    "credit_scoring_es",
    "ibm_attrition",
    "magic_telescope",
    "nursery",
    "pima_diabetes_na",
    "phoneme",
    "satimage",
    "vehicle",
)
ROWS, QUICK_ROWS, N_TRIALS = 1_500, 600, 3
FLIPPED = (0.0, 0.02, 0.05, 0.10)
Frame = pd.DataFrame


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Plant, look, and count."""
    checks: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    most = QUICK_ROWS if options.quick else ROWS
    for name in (options.tables or TABLES)[: 2 if options.quick else None]:
        frame, target, task = read(name, options.data, most)
        frame = frame.drop(columns=[c for c in DROP.get(name, ()) if c in frame])
        random = np.random.default_rng(options.seed)
        for check, (plant, clean) in PLANTS.items():
            for planted, make in ((True, plant), (False, clean)):
                made = make(frame, target, random)
                if made is not None:
                    checks.append({"table": name, "check": check, "planted": planted, **_asked(made, target)})
        if task in ("binary", "multiclass"):
            labels += [
                {"table": name, **_flipped(frame, target, share, options.seed)}
                for share in (FLIPPED[::2] if options.quick else FLIPPED)
            ]
        say(f"{name}: done")
    return {"checks": checks, "labels": labels}


# Checks


class Plant:
    """A table with what was planted in it: which check should name which columns; None for any."""

    def __init__(self, check: str, frame: Frame, names: set[str] | None = None, **options: Any) -> None:
        self.check, self.frame, self.names, self.options = check, frame, names, options


def _asked(made: Plant, target: str) -> dict[str, Any]:
    import pyarrow as pa

    from mlwright.lifecycle.prepared import prepare
    from mlwright.lifecycle.project import Project

    test = made.options.get("test")
    prepared = prepare(
        pa.Table.from_pandas(made.frame, preserve_index=False),
        Project(task_target=target, checks_ban=made.options.get("ban", ())),
        test=None if test is None else pa.Table.from_pandas(test, preserve_index=False),
        refuse=False,
    )
    found = [
        finding
        for finding in prepared.findings
        if finding.check == made.check and (made.names is None or made.names & set(finding.columns))
    ]
    return {"found": bool(found), "said": [finding.what for finding in found]}


def _features(frame: Frame, target: str) -> tuple[list[str], list[str]]:
    """Return the numbers with many values, and all other columns."""
    names = [name for name in frame.columns if name != target]
    many = [
        name for name in names if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].nunique() > 20
    ]
    return many, [name for name in names if name not in many]


def _drawn(names: list[str], random: np.random.Generator) -> str:
    return names[int(random.integers(len(names)))]


def _shuffled(frame: Frame, random: np.random.Generator) -> Frame:
    """Return a table in which nothing goes with anything."""
    return pd.DataFrame({c: frame[c].to_numpy()[random.permutation(len(frame))] for c in frame.columns})


def _halves(frame: Frame, random: np.random.Generator) -> tuple[Frame, Frame]:
    order = random.permutation(len(frame))
    cut = 7 * len(frame) // 10
    return frame.iloc[order[:cut]].reset_index(drop=True), frame.iloc[order[cut:]].reset_index(drop=True)


def _drift(frame: Frame, target: str, random: np.random.Generator) -> Plant:
    train, test = _halves(frame, random)
    many, few = _features(frame, target)
    name = _drawn(many or few, random)
    if many:
        test[name] = test[name] + frame[name].std()
    else:
        test.loc[random.random(len(test)) < 0.6, name] = frame[name].mode()[0]
    return Plant("drift", train, {name}, test=test)


def _no_drift(frame: Frame, _target: str, random: np.random.Generator) -> Plant:
    train, test = _halves(frame, random)
    return Plant("drift", train, test=test)


def _redundant(frame: Frame, target: str, random: np.random.Generator) -> Plant:
    many, few = _features(frame, target)
    name = _drawn(many or few, random)
    if many:
        copy = 32 + 1.8 * frame[name]
    else:
        levels = list(frame[name].dropna().unique())
        words = {level: f"kind {place}" for place, level in enumerate(random.permutation(levels))}
        copy = frame[name].map(words)
    return Plant("redundant", frame.assign(planted_copy=copy), {"planted_copy"})


def _together(frame: Frame, target: str, random: np.random.Generator) -> Plant:
    names = random.permutation([c for c in frame.columns if c != target])[:2].tolist()
    return Plant("missing_pattern", _without(frame, names, random.random(len(frame)) < 0.1), set(names))


def _with_target(frame: Frame, target: str, random: np.random.Generator) -> Plant:
    name = _drawn([c for c in frame.columns if c != target], random)
    y = frame[target]
    high = y > y.median() if pd.api.types.is_float_dtype(y) else y == y.mode()[0]
    gaps = random.random(len(frame)) < np.where(high, 0.5, 0.1)
    return Plant("missing_pattern", _without(frame, [name], gaps), {name})


def _gaps_by_chance(frame: Frame, target: str, random: np.random.Generator) -> Plant:
    made = _shuffled(frame, random)
    for name in [c for c in made.columns if c != target]:
        made = _without(made, [name], random.random(len(made)) < 0.1)
    return Plant("missing_pattern", made)


def _without(frame: Frame, names: list[str], gaps: np.ndarray) -> Frame:
    return frame.assign(**{name: frame[name].astype(object).where(~gaps, None) for name in names})


def _proxy(frame: Frame, _target: str, random: np.random.Generator) -> Plant:
    banned = random.random(len(frame)) < 0.4
    stand_in = banned ^ (random.random(len(frame)) < 0.1)
    made = frame.assign(banned=np.where(banned, "b", "a"), stand_in=np.where(stand_in, "south", "north"))
    return Plant("proxy", made, {"stand_in"}, ban=("banned",))


def _no_proxy(frame: Frame, _target: str, random: np.random.Generator) -> Plant:
    banned = np.where(random.random(len(frame)) < 0.4, "b", "a")
    return Plant("proxy", frame.assign(banned=banned), ban=("banned",))


def _rare(frame: Frame, target: str, random: np.random.Generator) -> Plant | None:
    counts = frame[target].value_counts()
    kept = max(2, (len(frame) - int(counts.iloc[-1])) // 150)
    if pd.api.types.is_float_dtype(frame[target]) or len(counts) > 30 or counts.iloc[-1] < kept:
        return None
    rows = np.flatnonzero((frame[target] == counts.index[-1]).to_numpy())
    gone = random.permutation(rows)[kept:]
    return Plant("imbalance", frame.drop(index=gone).reset_index(drop=True))


def _balanced(frame: Frame, target: str, random: np.random.Generator) -> Plant | None:
    counts = frame[target].value_counts()
    least = int(counts.min())
    if pd.api.types.is_float_dtype(frame[target]) or len(counts) > 30 or least < 20:
        return None
    rows = [
        random.permutation(np.flatnonzero((frame[target] == level).to_numpy()))[:least]
        for level in counts.index
    ]
    return Plant("imbalance", frame.iloc[np.sort(np.concatenate(rows))].reset_index(drop=True))


Make = Callable[[Frame, str, np.random.Generator], "Plant | None"]
PLANTS: dict[str, tuple[Make, Make]] = {
    "drift": (_drift, _no_drift),
    "redundant": (
        _redundant,
        lambda frame, _, random: Plant("redundant", _shuffled(frame, random)),
    ),
    "missing together": (_together, _gaps_by_chance),
    "missing with the target": (_with_target, _gaps_by_chance),
    "proxy": (_proxy, _no_proxy),
    "imbalance": (_rare, _balanced),
}


# Labels


def _flipped(frame: Frame, target: str, share: float, seed: int) -> dict[str, Any]:
    """Flip a share of the labels to another one, and ask which rows are suspicious."""
    import pyarrow as pa

    from mlwright.core.clock import Deadline
    from mlwright.data.target import target_values
    from mlwright.evaluate.label_noise import label_noise
    from mlwright.lifecycle.prepared import prepare
    from mlwright.lifecycle.project import Project
    from mlwright.search import StudyData, run_study

    random = np.random.default_rng([seed, int(1000 * share)])
    flipped = np.flatnonzero(random.random(len(frame)) < share)
    levels, codes = np.unique(frame[target].to_numpy(), return_inverse=True)
    codes = codes.copy()
    codes[flipped] = (codes[flipped] + random.integers(1, len(levels), len(flipped))) % len(levels)
    raw = pa.Table.from_pandas(frame.assign(**{target: levels[codes]}), preserve_index=False)
    project = Project(task_target=target, task_holdout=0.0, task_seed=seed)
    prepared = prepare(raw, project, refuse=False)
    y = target_values(prepared.table, prepared.task)
    data = StudyData(
        prepared.table.columns(), y, prepared.table.schema, prepared.task, prepared.split.folds, seed
    )
    study = run_study(data, Deadline(math.inf), most_trials=N_TRIALS)
    rows = np.arange(len(y)) if prepared.numbers is None else prepared.numbers
    known = np.flatnonzero(np.isfinite(study.predicted).all(axis=1))
    found = label_noise(prepared.task, y[known], study.predicted[known], rows[known])
    listed = [] if found is None else [suspect.row for suspect in found.suspects]
    return {
        "flipped": share,
        "n_flipped": len(flipped),
        "alarm": found is not None and found.alarm,
        "share": None if found is None else found.share,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "listed": len(listed),
        "listed_flipped": len(set(listed) & set(flipped.tolist())),
    }


# Words


def _told(hits: int, n: int) -> str:
    from mlwright.evaluate.figures import wilson

    if n == 0:
        return ""
    low, high = wilson(hits, n)
    return f"{hits} of {n} ({100 * low:.0f} to {100 * high:.0f} %)"


def markdown(measured: dict[str, Any]) -> str:
    """Return the tables."""
    checks, labels = measured["checks"], measured["labels"]
    lines = ["## Data", "", "| check | planted and found | found where nothing is |", "|---|---|---|"]
    for check in dict.fromkeys(row["check"] for row in checks):
        cells = []
        for planted in (True, False):
            rows = [row for row in checks if row["check"] == check and row["planted"] is planted]
            cells.append(_told(sum(row["found"] for row in rows), len(rows)))
        lines.append(f"| {check} | {cells[0]} | {cells[1]} |")
    lines += [
        "",
        "| labels flipped | tables with an alarm | of the most suspicious rows, flipped | range that holds the share |",
        "|---|---|---|---|",
    ]
    for share in sorted({row["flipped"] for row in labels}):
        rows = [row for row in labels if row["flipped"] == share]
        alarmed = [row for row in rows if row["alarm"]]
        asked = [row for row in rows if row["share"] is not None]
        listed = _told(sum(row["listed_flipped"] for row in asked), sum(row["listed"] for row in asked))
        held = sum(row["low"] <= share <= row["high"] for row in asked)
        lines.append(
            f"| {100 * share:g} % | {_told(len(alarmed), len(rows))} | {listed} | {_told(held, len(asked))} |"
        )
    missed = [f"{r['table']}: {r['check']}" for r in checks if r["planted"] and not r["found"]]
    false = [f"{r['table']}: {r['check']}" for r in checks if not r["planted"] and r["found"]]
    alarms = [r["table"] for r in labels if r["alarm"] and not r["flipped"]]
    for title, names in (
        ("Not found", missed),
        ("Found for nothing", false),
        ("Alarm with labels as they came", alarms),
    ):
        lines += ["", f"{title}: {'; '.join(names) or 'none'}."]
    return "\n".join(lines)
