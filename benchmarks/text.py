"""Text: tables whose columns are words, against TF-IDF into a tuned logistic regression, on the same split.

    python text.py --data TABLES --out results/text.csv [--budget 60] [--seeds 0 1 2]

``tfidf`` reads the text columns, ``tfidf_all`` the other columns as well; both may take as long as they want. Rows that
the CSV holds are not made again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from quality import run_cells
from records import read_rows
from summary import summarise
from tables_list import names

SYSTEMS = ["dummy", "tfidf", "tfidf_all", "mlwright"]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
    parser.add_argument(
        "--out", type=Path, required=True, help="CSV that grows; Markdown is written beside it"
    )
    parser.add_argument("--tables", nargs="+", default=["text"], help="names or groups (default: text)")
    parser.add_argument("--systems", nargs="+", default=SYSTEMS, help=f"default: {' '.join(SYSTEMS)}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the split (default 0)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of mlwright's fit (default 60)")
    parser.add_argument("--cores", type=int, default=2, help="cores of each cell (default 2)")
    parser.add_argument("--envs", type=Path, help="folder of virtual environments (default: this Python)")
    parser.add_argument("--json", action="store_true", help="print figures as one JSON object")
    return parser.parse_args()


def main() -> None:
    """Measure what is missing, and print the summary."""
    options = arguments()
    run_cells(
        options.out,
        options.data,
        systems=options.systems,
        tables=names(options.tables),
        seeds=options.seeds,
        budget=options.budget,
        cores=options.cores,
        envs=options.envs,
        patient=("tfidf",),
    )
    found = summarise(read_rows([options.out]))
    options.out.with_suffix(".md").write_text(found.markdown + "\n", encoding="utf-8")
    print(json.dumps(found.figures, indent=1) if options.json else found.markdown)


if __name__ == "__main__":
    main()
