"""Runs: one `mlwright run` from the command line on one table, in a fresh store, timed and weighed from outside.

Loads nothing heavy (see records.py).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from driver import Ended, run_process, scratch
from tables_list import DROP, entry, path_of

__all__ = ["RUN_COLUMNS", "run_once"]

RUN_COLUMNS = (
    "table",
    "rows",
    "seed",
    "budget_s",
    "wall_s",
    "ratio",
    "told_s",
    "trials",
    "exit",
    "metric",
    "score",
    "peak_mb",
    "note",
)
_KINDS = ("binary", "multiclass", "regression")


def run_once(
    table: str, data: Path, budget: float, *, seed: int = 0, python: str = sys.executable
) -> dict[str, Any]:
    """Run once and return the row.

    Columns that no system may see are ignored. Where a check refuses the table, what it found is accepted and the
    second run is the one that counts; its note says so.
    """
    told = entry(table, data)
    accepted: list[str] = []
    for _ in range(3):
        ended, answer = _run(table, data, budget, seed, python, accepted)
        codes = _refused(answer)
        if ended.code != 3 or not set(codes) - set(accepted):
            break
        accepted += codes
    row: dict[str, Any] = {
        "table": table,
        "rows": told.get("rows", ""),
        "seed": seed,
        "budget_s": budget,
        "wall_s": round(ended.seconds, 2),
        "ratio": round(ended.seconds / budget, 4),
        "exit": ended.code,
        "peak_mb": round(ended.peak_mb),
    }
    notes = [ended.killed] if ended.killed else []
    if "test_score" in answer:
        row["told_s"] = round(answer["seconds"], 2)
        row |= {
            "trials": answer["trials"],
            "metric": answer["metric"],
            "score": round(answer["test_score"], 6),
        }
        notes += answer.get("notes", [])
    elif not ended.killed:
        lines = ended.errors.strip().splitlines() or ["no message"]
        notes.append(f"failed: {answer.get('error', {}).get('message', lines[-1])}"[:300])
    notes += [f"accepted {code}" for code in accepted]
    return row | {"note": "; ".join(notes)}


def _run(
    table: str, data: Path, budget: float, seed: int, python: str, accepted: list[str]
) -> tuple[Ended, dict[str, Any]]:
    told = entry(table, data)
    with scratch() as work:
        command = [python, "-m", "mlwright", "run", str(path_of(table, data).resolve())]
        command += ["--target", told["target"], "--budget", f"{budget:g}s", "--seed", str(seed), "--json"]
        command += ["--store", str(work / "store"), "--name", "benchmark"]
        command += ["--kind", told["task"]] if told["task"] in _KINDS else []
        command += [word for column in DROP.get(table, []) for word in ("--ignore", column)]
        command += [word for code in accepted for word in ("--accept", code)]
        most = 3 * budget + 600  # how late it is stands in the row; this only ends what hangs

        def limit(age: float) -> str:
            return f"killed at {most:g} s" if age > most else ""

        ended = run_process(command, limit=limit, cwd=work)
    try:
        answer = json.loads(ended.output)
    except json.JSONDecodeError:
        answer = {}
    return ended, answer if isinstance(answer, dict) else {}


def _refused(answer: dict[str, Any]) -> list[str]:
    """Return the codes of findings that stopped a run."""
    return [
        f["code"] for f in answer.get("findings", []) if "error" in answer and f.get("severity") == "stop"
    ]
