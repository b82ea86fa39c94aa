"""Budget: is the time kept? `mlwright run` with random budgets on random tables, each in a fresh store.

    python budget.py run --data TABLES --out results/budget.csv [--runs 100] [--from 10] [--to 90]
    python budget.py summary results/budget.csv

The wall clock is that of the whole process, the start of Python included. Rows that the CSV holds are not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from statistics import median
from typing import Any

from records import Records, markdown, read_rows, say, write_machine
from runs import RUN_COLUMNS, run_once
from tables_list import names

__all__ = ["COLUMNS", "drawn", "summarise"]

COLUMNS = ("number", *RUN_COLUMNS)
KEY = ("number", "table", "budget_s")
LATE = 1.05  # of the budget


def drawn(
    n_runs: int, tables: list[str], shortest: float, longest: float, seed: int
) -> list[tuple[str, float]]:
    """Return a table and a budget in seconds for each run; the first runs of a longer series are the same.

    Examples
    --------
    >>> drawn(3, ["a", "b"], 10, 90, 0) == drawn(9, ["a", "b"], 10, 90, 0)[:3]
    True
    """
    draw = random.Random(seed)
    return [(draw.choice(tables), round(draw.uniform(shortest, longest), 1)) for _ in range(n_runs)]


def summarise(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return figures and Markdown."""
    if not rows:
        raise SystemExit("no rows to summarise")
    ratios = sorted(float(row["ratio"]) for row in rows)
    late = [row for row in rows if float(row["ratio"]) > LATE]
    failed = [row for row in rows if str(row["exit"]) not in ("0", "3") or row["score"] in ("", None)]
    figures = {
        "runs": len(rows),
        "tables": len({row["table"] for row in rows}),
        "late": len(late),
        "late_share": len(late) / len(rows),
        "failed": len(failed),
        "median_ratio": median(ratios),
        "worst_ratio": ratios[-1],
    }
    shown = ("number", "table", "rows", "budget_s", "wall_s", "ratio", "exit", "note")
    text = (
        f"{figures['runs']} runs on {figures['tables']} tables: {len(late)} ({100 * figures['late_share']:.1f} %) ended "
        f"later than {LATE:g} of the budget, {len(failed)} failed. Wall clock over budget: median "
        f"{figures['median_ratio']:.3f}, worst {figures['worst_ratio']:.3f}."
    )
    bad = [row for row in rows if row in late or row in failed]
    return figures, text + ("\n\n" + markdown(shown, [[row[c] for c in shown] for row in bad]) if bad else "")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="make the runs that the CSV does not hold yet")
    run.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
    run.add_argument("--out", type=Path, required=True, help="CSV that grows")
    run.add_argument("--runs", type=int, default=100, help="default 100")
    run.add_argument(
        "--from", dest="shortest", type=float, default=10, help="shortest budget in seconds (default 10)"
    )
    run.add_argument(
        "--to", dest="longest", type=float, default=90, help="longest budget in seconds (default 90)"
    )
    run.add_argument(
        "--tables", nargs="+", default=["peers", "more"], help="names or groups (default: peers more)"
    )
    run.add_argument("--seed", type=int, default=0, help="of tables and budgets (default 0)")
    run.add_argument(
        "--python", default=sys.executable, help="a Python that has mlwright (default: this one)"
    )
    run.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    told = verbs.add_parser("summary", help="share of late runs, failures")
    told.add_argument("files", nargs="+", type=Path)
    told.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    return parser


def main() -> None:
    """Do what the command line says."""
    options = arguments().parse_args()
    if options.verb == "run":
        kept = Records(options.out, COLUMNS, KEY)
        plan = drawn(options.runs, names(options.tables), options.shortest, options.longest, options.seed)
        for number, (table, budget) in enumerate(plan):
            if kept.has(number=number, table=table, budget_s=budget):
                continue
            row = run_once(table, options.data, budget, seed=number, python=options.python)
            kept.add({"number": number} | row)
            say(
                f"{number + 1}/{len(plan)} {table}: {row['wall_s']} s of {budget:g} s, exit {row['exit']} {row['note']}"
            )
        write_machine(options.out, {})
        options.files = [options.out]
    figures, text = summarise(read_rows(options.files))
    print(json.dumps(figures, indent=1) if options.json else text)


if __name__ == "__main__":
    main()
