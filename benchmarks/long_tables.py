"""Long tables: millions of rows by `mlwright run` within budget and memory, reading included, and what was sampled.

    python long_tables.py --data TABLES --out results/long_tables.csv [--budget 60] [--tables us_flights_3m ...]

Rows that the CSV holds are not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from records import Records, markdown, read_rows, say, write_machine
from runs import RUN_COLUMNS, run_once
from tables_list import names

KEY = ("table", "seed", "budget_s")
MOST_GIB = 24


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
    parser.add_argument("--out", type=Path, required=True, help="CSV that grows")
    parser.add_argument("--tables", nargs="+", default=["long"], help="names or groups (default: long)")
    parser.add_argument("--budget", type=float, default=60, help="seconds (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument(
        "--python", default=sys.executable, help="a Python that has mlwright (default: this one)"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as a JSON list")
    return parser.parse_args()


def main() -> None:
    """Make the runs that are missing, and print all."""
    options = arguments()
    kept = Records(options.out, RUN_COLUMNS, KEY)
    for table in names(options.tables):
        if kept.has(table=table, seed=options.seed, budget_s=options.budget):
            continue
        say(f"{table} with {options.budget:g} s")
        kept.add(run_once(table, options.data, options.budget, seed=options.seed, python=options.python))
    write_machine(options.out, {})
    rows = read_rows([options.out])
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    header = ["table", "rows", "budget s", "wall s", "peak GiB", "score", "within both", "what was sampled"]
    lines = []
    for row in rows:
        gib = float(row["peak_mb"]) * 1000 / 2**20
        kept_both = row["score"] != "" and float(row["ratio"]) <= 1.05 and gib <= MOST_GIB
        shown = (row["table"], row["rows"], row["budget_s"], row["wall_s"], round(gib, 2), row["score"])
        lines.append([*shown, "yes" if kept_both else "no", row["note"]])
    print(markdown(header, lines))


if __name__ == "__main__":
    main()
