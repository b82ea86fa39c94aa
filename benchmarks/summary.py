"""Summary: what a table of results says. Ranks, wins, losses, latency, size and memory, as Markdown and as figures.

Of one cell (system, table, seed, budget) the last row counts. Rows of one system under several random states
(``mlwright+1``) are averaged. A row without a score is a failure: last in rank and lost against any that has one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from records import markdown

__all__ = ["Summary", "summarise"]

MARGIN = 0.03  # of the distance from the dummy to the best: more than that below the best peer is a loss
_COSTS = ("row_frame_us", "row_dict_us", "bulk_rows_s", "size_mb", "peak_mb", "fit_s")
_Cells = dict[tuple[str, int], dict[str, dict[str, float]]]  # (table, seed): system: column: value


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found.

    Parameters
    ----------
    markdown : str
    figures : dict
        The same as a JSON tree.
    """

    markdown: str
    figures: dict[str, Any]


def summarise(rows: list[dict[str, Any]], *, ours: str = "mlwright", budget: float | None = None) -> Summary:
    """Summarise rows of results; with rows of several budgets, systems are called ``NAME@BUDGET``."""
    cells, tasks, dummies = _cells(rows, budget)
    systems = sorted({system for found in cells.values() for system in found})
    if not cells:
        raise SystemExit("no rows to summarise")
    if ours not in systems:  # still a table of the others
        ours = next((s for s in systems if s.partition("@")[0] == ours), systems[0])
    peers = [system for system in systems if system != ours]
    ranks = _ranks(cells, tasks, systems)
    wins = {peer: _wins(cells, tasks, ours, peer) for peer in peers}
    losses = _losses(cells, tasks, dummies, ours, peers)
    costs = {
        s: {c: _median([f[s].get(c) for f in cells.values() if s in f]) for c in _COSTS} for s in systems
    }
    ratios = {peer: _ratios(cells, ours, peer) for peer in peers}
    figures = {
        "ours": ours,
        "cells": len(cells),
        "tables": len({table for table, _ in cells}),
        "rank": ranks,
        "wins": wins,
        "tables_of": losses,
        "medians": costs,
        "ratios": ratios,
    }
    return Summary(_document(figures, cells, systems), figures)


def _cells(
    rows: list[dict[str, Any]], budget: float | None
) -> tuple[_Cells, dict[str, str], dict[tuple[str, int], float]]:
    """Return the values by cell and system, the task by table, the dummy's score by cell."""
    last = {(r["system"], r["table"], int(r["seed"]), float(r["budget_s"])): r for r in rows}
    if budget is not None:
        last = {key: row for key, row in last.items() if key[3] == budget or key[0] == "dummy"}
    several = len({key[3] for key in last if key[0] != "dummy"}) > 1
    grouped: dict[tuple[str, int], dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    tasks: dict[str, str] = {}
    dummies: dict[tuple[str, int], float] = {}
    for (system, table, seed, seconds), row in last.items():
        if row.get("task"):
            tasks[table] = row["task"]
        values = {name: float(row[name]) for name in ("score", *_COSTS) if row.get(name) not in ("", None)}
        if system == "dummy":
            if "score" in values:
                dummies[table, seed] = values["score"]
            continue
        name = system.partition("+")[0]
        grouped[table, seed][f"{name}@{seconds:g}" if several else name].append(values)
    averaged: _Cells = {}
    for key, found in grouped.items():
        if key[0] in tasks:  # else every system failed
            averaged[key] = {system: _mean(values) for system, values in found.items()}
    return averaged, tasks, dummies


def _mean(values: list[dict[str, float]]) -> dict[str, float]:
    """Average columns over rows; one failure is a failure."""
    if not all("score" in each for each in values):
        return {}
    return {name: mean(each[name] for each in values if name in each) for name in set().union(*values)}


def _gain(values: dict[str, float], task: str) -> float:
    if "score" not in values:
        return -math.inf
    return values["score"] if task == "binary" else -values["score"]


def _ranks(cells: _Cells, tasks: dict[str, str], systems: list[str]) -> dict[str, Any]:
    """Return mean ranks over the cells that every system has; equal scores share their rank."""
    shared = [(table, found) for (table, _), found in cells.items() if set(found) == set(systems)]
    places: dict[str, list[float]] = {system: [] for system in systems}
    for table, found in shared:
        gains = {system: _gain(found[system], tasks[table]) for system in systems}
        for system, gain in gains.items():
            above = sum(other > gain for other in gains.values())
            places[system].append(above + (1 + sum(other == gain for other in gains.values())) / 2)
    return {"cells": len(shared), "mean": {s: mean(p) if p else None for s, p in places.items()}}


def _wins(cells: _Cells, tasks: dict[str, str], ours: str, peer: str) -> dict[str, float | int]:
    """Return wins, ties and losses over the cells that both have."""
    signs = []
    for (table, _), found in cells.items():
        if ours in found and peer in found:
            mine, other = _gain(found[ours], tasks[table]), _gain(found[peer], tasks[table])
            signs.append((mine > other) - (mine < other))
    won, tied = signs.count(1), signs.count(0)
    share = (won + tied / 2) / len(signs) if signs else None
    return {"won": won, "tied": tied, "lost": signs.count(-1), "share": share}


def _losses(
    cells: _Cells, tasks: dict[str, str], dummies: dict[tuple[str, int], float], ours: str, peers: list[str]
) -> list[dict[str, Any]]:
    """Return, by table and over the seeds that hold us and a peer: our distance to the best peer.

    The distance is in parts of that from the dummy to the best of all, positive where we are better. For AUC without a
    dummy's row, the dummy has 0.5.
    """
    found = []
    for table in sorted({table for table, _ in cells}):
        seeds = [s for (t, s), f in cells.items() if t == table and ours in f and any(p in f for p in peers)]
        if not seeds:
            continue
        here = [cells[table, seed] for seed in seeds]
        averages = {
            p: mean(_gain(f[p], tasks[table]) for f in here) for p in peers if all(p in f for f in here)
        }
        if not averages:
            continue
        best = max(averages, key=averages.__getitem__)
        mine = mean(_gain(f[ours], tasks[table]) for f in here)
        known = [dummies.get((table, seed), 0.5 if tasks[table] == "binary" else None) for seed in seeds]
        distance = None
        if None not in known and math.isfinite(averages[best]):
            dummy = mean(_gain({"score": value}, tasks[table]) for value in known if value is not None)
            span = max(mine, averages[best]) - dummy
            distance = (mine - averages[best]) / span if span > 0 else None
        sign = 1 if tasks[table] == "binary" else -1
        found.append(
            {
                "table": table,
                "task": tasks[table],
                "seeds": len(seeds),
                "ours": sign * mine if math.isfinite(mine) else None,
                "best_peer": best,
                "best": sign * averages[best] if math.isfinite(averages[best]) else None,
                "distance": distance if distance is not None and math.isfinite(distance) else None,
                "lost": not math.isfinite(mine) or (distance is not None and distance < -MARGIN),
            }
        )
    return found


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _ratios(cells: _Cells, ours: str, peer: str) -> dict[str, float | None]:
    """Return how often the peer's figure holds ours, on the median cell of both.

    A row: the peer's one-row frame against our dict where we have one, each its quickest local way.
    """
    rows, sizes, peaks = [], [], []
    for found in cells.values():
        mine, other = found.get(ours, {}), found.get(peer, {})
        row = mine.get("row_dict_us") or mine.get("row_frame_us")
        quickest = other.get("row_dict_us") or other.get("row_frame_us")
        rows.append(quickest / row if row and quickest else None)
        for name, kept in (("size_mb", sizes), ("peak_mb", peaks)):
            kept.append(other[name] / mine[name] if mine.get(name) and name in other else None)
    return {"row": _median(rows), "size": _median(sizes), "peak": _median(peaks)}


def _document(figures: dict[str, Any], cells: _Cells, systems: list[str]) -> str:
    ours, ranks, tables = figures["ours"], figures["rank"], figures["tables_of"]
    order = sorted(systems, key=lambda s: ranks["mean"][s] or math.inf)
    costs = ("row_frame_us", "row_dict_us", "bulk_rows_s", "size_mb", "peak_mb", "fit_s")
    systems_table = markdown(
        ["system", "mean rank", "row, us (frame)", "row, us (dict)", "rows/s", "size MB", "peak MB", "fit s"],
        [[s, ranks["mean"][s], *(figures["medians"][s][c] for c in costs)] for s in order],
    )
    wins_table = markdown(
        ["peer", "won", "tied", "lost", "share", "latency", "size", "peak"],
        [
            [p, w["won"], w["tied"], w["lost"], _share(w["share"]), *figures["ratios"][p].values()]
            for p, w in figures["wins"].items()
        ],
    )
    tables_table = markdown(
        ["table", "task", "seeds", ours, "best peer", "its score", "distance", ""],
        [
            [*(t[c] for c in ("table", "task", "seeds", "ours", "best_peer", "best")), *_verdict(t)]
            for t in tables
        ],
    )
    scores_table = markdown(
        ["table", "seed", *order],
        [
            [table, seed, *(_shown(found.get(s)) for s in order)]
            for (table, seed), found in sorted(cells.items())
        ],
    )
    lost = sum(t["lost"] for t in tables)
    return f"""{figures["tables"]} tables, {figures["cells"]} cells of table and seed. AUC for two classes, log loss for more, root mean squared
error for numbers. Mean rank over the {ranks["cells"]} cells that all have, medians over all cells:

{systems_table}

{ours} against each; latency, size and peak memory as the peer's divided by ours, on the median cell:

{wins_table}

By table, {ours} against the best peer; the distance is in parts of that from the dummy to the best, positive where
{ours} is ahead, and more than {MARGIN:.0%} behind is a loss ({lost} of {len(tables)}):

{tables_table}

Scores by table and seed:

{scores_table}"""


def _verdict(table: dict[str, Any]) -> list[str]:
    if table["ours"] is None:
        return ["failed", "loss"]
    if table["distance"] is None:
        return ["no dummy's row", ""]
    return [_share(table["distance"]), "loss" if table["lost"] else ""]


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %" if value < 0 else f"{100 * value:.1f} %"


def _shown(values: dict[str, float] | None) -> str:
    if values is None:
        return ""
    return f"{values['score']:.6g}" if "score" in values else "failed"
