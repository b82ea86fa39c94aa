"""Trust, splits: whether tables with a known order or group get their split, and plain tables none.

    python trust.py --only splits --data TABLES [--tables NAME ...] [--quick] [--json]

Nothing is said of the split: `auto` chooses. A table of several files is asked by the file that holds the rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from records import say
from tables_list import entry

__all__ = ["markdown", "measure"]

MOST_ROWS = 400_000

# table, its file where it has several, the target, and what is right by the table's documentation
EXPECTED = (
    ("bike_sharing_daily", None, "cnt", "time"),
    ("bike_sharing_hourly_2011", None, "bikers", "time"),
    ("metro_traffic_volume", None, "traffic_volume", "time"),
    ("beijing_pm25", None, "pm2.5", "time"),
    ("rossmann_top100", None, "Sales", "time"),
    ("expedia_booking", None, "is_booking", "time"),
    ("nycflights13", "flights.parquet", "arr_delay", "time"),
    ("us_flights_3m", None, "delay", "time"),
    ("appliances_energy", None, "Appliances", "time"),
    ("hotel_rates", None, "avg_price_per_room", "time"),
    ("chicago_ridership", None, "ridership", "time"),
    ("mpls_police_stops", None, "personSearch", "time"),
    ("swissmetro", None, "CHOICE", "group"),
    ("kdd04_protein", None, "target", "group"),
    ("college_earnings", None, "earnings_med", "group"),
    ("lahman_baseball", "HallOfFame.parquet", "inducted", "group"),
    ("lahman_baseball", "Salaries.parquet", "salary", "group"),
    ("lahman_baseball", "Batting.parquet", "HR", "group"),
    ("nafld_events", "labs.parquet", "value", "group"),
    ("nafld_events", "events.parquet", "event", "group"),
    ("pbcseq", None, "status", "group"),
)

PLAIN = (
    "abalone",
    "adult",
    "ames",
    "auto_mpg",
    "automobile_imports85",
    "blood_transfusion",
    "boston",
    "breast_cancer_w",
    "california_housing",
    "casp_protein",
    "churn_5000",
    "coil2000_full",
    "concrete",
    "contraceptive",
    "cpu_act",
    "credit_approval",
    "credit_g",
    "credit_scoring_es",
    "diabetes_progression",
    "diamonds",
    "dna",
    "esl_income",
    "glass",
    "gss_wages",
    "heart_disease",
    "hmda",
    "house_prices_kaggle",
    "ibm_attrition",
    "iris",
    "kr_vs_kp",
    "lending_club",
    "letter",
    "magic_telescope",
    "mushroom",
    "nursery",
    "penguins",
    "phoneme",
    "pima_diabetes_na",
    "power_plant_ccpp",
    "satimage",
    "segment",
    "shuttle",
    "skillcraft",
    "soybean",
    "spambase",
    "stackoverflow_salary",
    "stroke",
    "telco_churn_clean",
    "titanic",
    "used_cars_gm",
    "vehicle",
    "wdbc",
    "wine",
    "wine_quality_red",
    "wine_quality_white",
)


def chosen(name: str, file: str | None, target: str | None, folder: Path) -> tuple[str, str]:
    """Return the kind of split that a table gets, and why."""
    import pyarrow.parquet as pq

    from mlwright.data.infer import infer
    from mlwright.data.split import make_split
    from mlwright.data.table import Table
    from mlwright.data.target import infer_task, target_values
    from mlwright.lifecycle.task import learnable

    told = entry(name, folder)
    path = folder / name / file if file else folder / str(told["file"])
    raw = pq.read_table(path if path.exists() else folder / name / str(told["file"]))
    raw = raw.slice(0, MOST_ROWS)
    target = target or told["target"]
    table = Table(raw, infer(raw, target=target))
    task = infer_task(table, target)
    rows, _ = learnable(table, task)
    table = table.take(rows)
    split = make_split(table, target_values(table, task), task)
    return split.kind, split.reason


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Ask each table for its split."""
    wanted = [
        *((name, file, target, kind) for name, file, target, kind in EXPECTED),
        *((name, None, None, "plain") for name in PLAIN),
    ]
    if options.tables:
        wanted = [row for row in wanted if row[0] in options.tables]
    if options.quick:
        wanted = [row for row in wanted if row[0] in {"bike_sharing_daily", "pbcseq", "iris", "wine"}]
    rows = []
    for name, file, target, right in wanted:
        kind, reason = chosen(name, file, target, options.data)
        is_right = kind == right or (right == "plain" and kind in {"random", "stratified"})
        rows.append(
            {
                "table": name,
                "file": file,
                "right": right,
                "kind": kind,
                "is_right": is_right,
                "reason": reason,
            }
        )
        say(f"{name} {file or ''}: {kind}{'' if is_right else ', WRONG'}: {reason}")
    return {
        "rows": rows,
        "n_known": sum(row["right"] != "plain" for row in rows),
        "n_known_right": sum(row["is_right"] for row in rows if row["right"] != "plain"),
        "n_plain": sum(row["right"] == "plain" for row in rows),
        "n_plain_wrong": sum(not row["is_right"] for row in rows if row["right"] == "plain"),
    }


def markdown(measured: dict[str, Any]) -> str:
    """Return the table."""
    known = [row for row in measured["rows"] if row["right"] != "plain"]
    wrong = [row for row in measured["rows"] if row["right"] == "plain" and not row["is_right"]]
    lines = ["## Splits", "", "| table | right | chosen | why |", "|---|---|---|---|"]
    for row in known:
        name = row["table"] + (f" ({row['file'].partition('.')[0]})" if row["file"] else "")
        kind = row["kind"] if row["is_right"] else f"**{row['kind']}**"
        lines.append(f"| {name} | {row['right']} | {kind} | {row['reason']} |")
    summed = (
        f"Known order or group: {measured['n_known_right']} of {measured['n_known']} right. "
        f"Plain tables: {measured['n_plain']}, wrongly split by time or group: {measured['n_plain_wrong']}."
    )
    lines += [
        "",
        summed,
        *(f"- {row['table']}: {row['kind']}. {row['reason']}" for row in wrong),
    ]
    return "\n".join(lines)
