"""Quality: scores, latency, size and memory of AutoML systems by table and seed, at one budget; and their summary.

    python quality.py run --data TABLES --envs ENVS --out results/all.csv [--systems ...] [--tables ...] [--seeds ...]
    python quality.py make-envs ENVS
    python quality.py summary results/*.csv [--ours mlwright]

Each cell runs in a fresh process with the Python of the system's own environment, and is killed when its fit takes more
than three times the budget (and a minute): then its row has no score and a note. Rows that the CSV holds are not made again. Loads
nothing heavy (see records.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from driver import PACKAGES, Ended, make_environments, python_for, run_process, scratch
from records import Records, read_rows, say, write_machine
from summary import summarise

__all__ = ["COLUMNS", "KEY", "run_cells"]

HERE = Path(__file__).parent
COLUMNS = (
    "system",
    "table",
    "task",
    "rows",
    "seed",
    "budget_s",
    "score",
    "fit_s",
    "row_frame_us",
    "row_dict_us",
    "bulk_rows_s",
    "size_mb",
    "peak_mb",
    "note",
)
KEY = ("system", "table", "seed", "budget_s")
SYSTEMS = ("dummy", "lightgbm", "catboost", "flaml", "ag_medium_quality", "ag_best_quality", "mlwright")
_READING_S, _MEASURING_S = 600, 300  # at most, before and after the fit; neither is a system's fault
_PATIENCE_S, _LEAST_S = (
    7200,
    60,
)  # of a fit that knows no budget; before any fit is killed, since imports count


def run_cells(
    out: Path,
    data: Path,
    *,
    systems: list[str],
    tables: list[str],
    seeds: list[int],
    budget: float,
    cores: int = 2,
    envs: Path | None = None,
    patient: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Measure each cell that the CSV does not hold yet; return the new rows.

    Systems whose name begins with one of `patient` know no budget and are not killed for it.
    """
    kept = Records(out, COLUMNS, KEY)
    cells = [(s, t, n) for t in tables for n in seeds for s in systems]
    wanted = [c for c in cells if not kept.has(system=c[0], table=c[1], seed=c[2], budget_s=budget)]
    say(f"{len(wanted)} of {len(cells)} cells to measure; {out} holds the others")
    made = []
    for number, (system, table, seed) in enumerate(wanted, 1):
        most = _PATIENCE_S if system.startswith(patient) else max(3 * budget, _LEAST_S)
        row, versions = _cell(system, table, seed, budget, data, python_for(system, envs), cores, most)
        kept.add(row)
        made.append(row)
        write_machine(out, {system.partition("+")[0]: versions} if versions else {})
        say(
            f"{number}/{len(wanted)} {system} {table} seed {seed}: {row['score']} in {row['fit_s']} s {row['note']}"
        )
    return made


def _cell(
    system: str, table: str, seed: int, budget: float, data: Path, python: str, cores: int, most: float
) -> tuple[dict[str, Any], dict[str, str]]:
    with scratch() as work:
        command = [python, str(HERE / "cell.py"), system, table, "--data", str(data), "--work", str(work)]
        command += ["--seed", str(seed), "--budget", str(budget), "--cores", str(cores)]
        since: dict[str, float] = {}  # the age at which each part was first seen to have begun

        def limit(age: float) -> str:
            if (work / "fitted").exists():
                return (
                    "measuring took too long" if age - since.setdefault("fitted", age) > _MEASURING_S else ""
                )
            if (work / "fit").exists():
                late = age - since.setdefault("fit", age) > most
                return f"killed at {most:g} s of fit" if late else ""
            return "reading took too long" if age > _READING_S else ""

        ended = run_process(command, limit=limit)
        if (work / "row.json").exists():
            answer = json.loads((work / "row.json").read_text())
            return answer["row"], answer["versions"]
    return _failed(system, table, seed, budget, ended), {}


def _failed(system: str, table: str, seed: int, budget: float, ended: Ended) -> dict[str, Any]:
    lines = [line for line in ended.errors.strip().splitlines() if line.strip()] or [
        f"exit code {ended.code}"
    ]
    if not ended.killed:
        say(ended.errors)
    note = ended.killed or f"failed: {lines[-1][:200]}"
    row = dict.fromkeys(COLUMNS, "")
    return row | {
        "system": system,
        "table": table,
        "seed": seed,
        "budget_s": budget,
        "fit_s": round(ended.seconds, 1),
        "peak_mb": round(ended.peak_mb),
        "note": note,
    }


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure what the CSV does not hold yet")
    run.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
    run.add_argument("--out", type=Path, required=True, help="CSV that grows; Markdown is written beside it")
    run.add_argument(
        "--envs", type=Path, help="folder of virtual environments (default: this Python for all)"
    )
    run.add_argument("--make-envs", action="store_true", help="make them first where they are not there")
    run.add_argument("--wheels", type=Path, help="folder of wheels to prefer when making environments")
    run.add_argument("--systems", nargs="+", default=list(SYSTEMS), help=f"default: {' '.join(SYSTEMS)}")
    run.add_argument(
        "--tables", nargs="+", default=["peers"], help="names or groups: peers more text long development"
    )
    run.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the split (default 0)")
    run.add_argument(
        "--states", nargs="+", type=int, default=[0], help="random states of mlwright itself (default 0)"
    )
    run.add_argument("--budget", type=float, default=60, help="seconds of fit (default 60)")
    run.add_argument("--cores", type=int, default=2, help="cores of each cell (default 2)")
    run.add_argument("--json", action="store_true", help="print the new rows as a JSON list")
    envs = verbs.add_parser("make-envs", help="make the environments of all or some systems, with uv")
    envs.add_argument("folder", type=Path)
    envs.add_argument("--only", nargs="+", choices=sorted(PACKAGES), default=sorted(PACKAGES))
    envs.add_argument("--wheels", type=Path, help="folder of wheels to prefer")
    told = verbs.add_parser("summary", help="ranks, wins, losses, latency and size as Markdown")
    told.add_argument("files", nargs="+", type=Path, help="CSV files; of one cell the last row counts")
    told.add_argument("--ours", default="mlwright", help="the system to compare, as mlwright or mlwright@12")
    told.add_argument("--budget", type=float, help="only rows of this budget")
    told.add_argument("--json", action="store_true", help="print figures as one JSON object")
    return parser


def main() -> None:
    """Do what the command line says."""
    options = arguments().parse_args()
    if options.verb == "make-envs":
        make_environments(options.folder, options.only, options.wheels)
        return
    if options.verb == "summary":
        rows = read_rows(options.files)
        found = summarise(rows, ours=options.ours, budget=options.budget)
        print(json.dumps(found.figures, indent=1) if options.json else found.markdown)
        return
    if options.make_envs:
        if options.envs is None:
            sys.exit("--make-envs needs --envs FOLDER")
        make_environments(options.envs, sorted(PACKAGES), options.wheels)
    from tables_list import names

    systems = [
        f"{s}+{n}" if s == "mlwright" and n else s
        for s in options.systems
        for n in (options.states if s == "mlwright" else [0])
    ]
    made = run_cells(
        options.out,
        options.data,
        systems=systems,
        tables=names(options.tables),
        seeds=options.seeds,
        budget=options.budget,
        cores=options.cores,
        envs=options.envs,
    )
    if options.json:
        print(json.dumps(made, indent=1))
    rows = read_rows([options.out])
    if any(row["score"] for row in rows if row["system"] != "dummy"):
        text = summarise(rows, ours="mlwright").markdown
        options.out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        say(f"{options.out.with_suffix('.md')} is written")


if __name__ == "__main__":
    main()
