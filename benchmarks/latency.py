"""Latency: how long the shipped model takes for one record, and how large it is, beside a peer's figures.

    python latency.py run --data TABLES --out results/latency.csv [--tables peers] [--budget 60]
    python latency.py bundle BUNDLE                      # one bundle that is there, by its golden records
    python latency.py summary results/latency.csv [--peers results/peers_seed0.csv] [--peer ag_medium_quality]

The path is `predictor.predict_one` from a dict, in one process and without a network. Every table has a fresh process.
Rows that the CSV holds are not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from driver import run_process, scratch
from records import Records, markdown, read_rows, say, write_machine
from tables_list import names

COLUMNS = (
    "table",
    "task",
    "seed",
    "budget_s",
    "columns",
    "members",
    "p50_us",
    "p99_us",
    "load_ms",
    "size_mb",
    "note",
)
KEY = ("table", "seed", "budget_s")
WARM, CALLS = 2_000, 20_000
HERE = Path(__file__).parent


def timed(call: Any, rows: list[dict[str, Any]], n_calls: int = CALLS) -> tuple[float, float]:
    """Return the median and the 99th percentile of a call, in microseconds, over rows in turn, after warm-up."""
    n_rows, took = len(rows), []
    for i in range(min(WARM, n_calls)):
        call(rows[i % n_rows])
    for i in range(n_calls):
        row = rows[i % n_rows]
        start = time.perf_counter_ns()
        call(row)
        took.append(time.perf_counter_ns() - start)
    took.sort()
    return took[n_calls // 2] / 1e3, took[min(n_calls - 1, n_calls * 99 // 100)] / 1e3


def of_bundle(path: Path, rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the figures of one bundle; without rows, those of its golden records."""
    import mlwright

    start = time.perf_counter()
    predictor = mlwright.load(path)
    load_ms = 1e3 * (time.perf_counter() - start)
    if rows is None:
        golden = json.loads((path / "golden.json").read_text())
        rows = [each["record"] for each in golden]
    p50, p99 = timed(predictor.predict_one, rows)
    manifest = json.loads((path / "manifest.json").read_text())
    members = manifest.get("ensemble", {})
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    return {
        "columns": len(rows[0]),
        "members": len(members) if isinstance(members, list) else "",
        "p50_us": round(p50, 1),
        "p99_us": round(p99, 1),
        "load_ms": round(load_ms, 1),
        "size_mb": round(size, 3),
    }


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Fit on one table and return its row; runs in a process of its own."""
    import cell
    import tables

    cell.keep_to(options.cores)
    import systems

    data = tables.load(options.table, options.data, options.seed)
    model = systems.fitted_estimator(data, options.budget, options.work)
    rows = cell.records(data.test.drop(columns=data.target).head(1000))
    key = {"table": options.table, "task": data.task, "seed": options.seed, "budget_s": options.budget}
    return key | of_bundle(Path(model.bundle_), rows) | {"note": f"{model.n_trials_} trials"}


def run(options: argparse.Namespace) -> None:
    """Make the rows that are missing."""
    kept = Records(options.out, COLUMNS, KEY)
    for table in names(options.tables):
        if kept.has(table=table, seed=options.seed, budget_s=options.budget):
            continue
        with scratch() as work:
            command = [options.python, str(HERE / "latency.py"), "one", table, "--data", str(options.data)]
            command += ["--seed", str(options.seed), "--budget", str(options.budget), "--work", str(work)]
            command += ["--cores", str(options.cores)]
            most = 3 * options.budget + 600
            ended = run_process(
                command, limit=lambda age, most=most: f"killed at {most:g} s" if age > most else ""
            )
        row = {"table": table, "seed": options.seed, "budget_s": options.budget}
        if ended.code == 0:
            row = json.loads(ended.output)
        else:
            say(ended.errors)
            row["note"] = (
                ended.killed or f"failed: {(ended.errors.strip().splitlines() or ['no message'])[-1][:200]}"
            )
        kept.add(row)
        say(f"{table}: p50 {row.get('p50_us')} us, {row.get('size_mb')} MB {row['note']}")
    write_machine(options.out, {})


def summarise(
    rows: list[dict[str, Any]], peers: list[dict[str, Any]], peer: str
) -> tuple[dict[str, Any], str]:
    """Return figures and Markdown; the peer's one-row time is that through its data frame."""
    theirs = {row["table"]: row for row in peers if row["system"] == peer and row["row_frame_us"]}
    done = [row for row in rows if row["p50_us"] not in ("", None)]
    lines, ratios = [], []
    for row in done:
        other = theirs.get(row["table"])
        ratio = float(other["row_frame_us"]) / float(row["p50_us"]) if other else None
        ratios += [ratio] if ratio is not None else []
        size = float(other["size_mb"]) / float(row["size_mb"]) if other and other["size_mb"] else None
        shown = (row[c] for c in ("table", "columns", "members", "p50_us", "p99_us", "load_ms", "size_mb"))
        lines.append([*shown, ratio, size])
    p50 = [float(row["p50_us"]) for row in done]
    sizes = [float(row["size_mb"]) for row in done]
    figures = {
        "tables": len(done),
        "failed": len(rows) - len(done),
        "median_p50_us": median(p50) if p50 else None,
        "share_under_100_us": sum(v < 100 for v in p50) / len(p50) if p50 else None,
        "median_size_mb": median(sizes) if sizes else None,
        "median_times_faster": median(ratios) if ratios else None,
        "peer": peer,
    }
    header = [
        "table",
        "columns",
        "members",
        "p50 us",
        "p99 us",
        "load ms",
        "size MB",
        "times faster",
        "times smaller",
    ]
    text = f"One record from a dict, against {peer}'s one row:\n\n{markdown(header, lines)}\n\n"
    return figures, text + "\n".join(
        f"- {name.replace('_', ' ')}: {value}" for name, value in figures.items()
    )


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("run", help="fit and measure the tables that the CSV does not hold yet")
    made.add_argument("--out", type=Path, required=True, help="CSV that grows")
    made.add_argument("--tables", nargs="+", default=["peers"], help="names or groups (default: peers)")
    made.add_argument(
        "--python", default=sys.executable, help="a Python that has mlwright (default: this one)"
    )
    single = verbs.add_parser("one", help="fit and measure one table here, and print its row as JSON")
    single.add_argument("table")
    single.add_argument("--work", type=Path, required=True, help="folder for the bundle")
    for verb in (made, single):
        verb.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
        verb.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
        verb.add_argument("--budget", type=float, default=60, help="seconds of fit (default 60)")
        verb.add_argument("--cores", type=int, default=2, help="cores (default 2)")
    ready = verbs.add_parser("bundle", help="measure a bundle that is there")
    ready.add_argument("path", type=Path)
    told = verbs.add_parser("summary", help="medians, and ratios to a peer")
    told.add_argument("files", nargs="+", type=Path)
    for verb in (made, told):
        verb.add_argument(
            "--peers", type=Path, default=HERE / "results" / "peers_seed0.csv", help="rows of quality.py"
        )
        verb.add_argument("--peer", default="ag_medium_quality", help="default ag_medium_quality")
        verb.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    return parser


def main() -> None:
    """Do what the command line says."""
    options = arguments().parse_args()
    if options.verb == "one":
        print(json.dumps(one(options)))
        return
    if options.verb == "bundle":
        print(json.dumps(of_bundle(options.path), indent=1))
        return
    if options.verb == "run":
        run(options)
        options.files = [options.out]
    figures, text = summarise(read_rows(options.files), read_rows([options.peers]), options.peer)
    print(json.dumps(figures, indent=1) if options.json else text)


if __name__ == "__main__":
    main()
