"""Trust, leaks: how many planted leaks are found with the right column named, and how many honest columns are stopped.

    python trust.py --only leaks --data TABLES [--tables NAME ...] [--quick] [--json]

Each kind of leak is planted alone in each clean table that can hold it; what a plain run would say of it is asked, the
split drawn and the checks run as `mlwright run` does. Three figures come out: planted leaks found (a finding of one of
the leak checks that names the column, whatever its grade) and stopped; columns of untouched tables that are stopped,
their documented leaks aside; and the documented leaks with the grade that each gets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from leaks_planted import KINDS, Clean, Plant
from records import say
from tables_list import entry, path_of

__all__ = ["markdown", "measure"]

CHECKS = ("leak", "duplicate_rows", "near_duplicates", "order", "same_entity", "future")
PLANTED_ROWS, MOST_ROWS = 3_000, 6_000  # of a table, evenly thinned

PLANTED_IN = (
    "adult",
    "credit_g",
    "churn_5000",
    "magic_telescope",
    "ibm_attrition",
    "nursery",
    "satimage",
    "california_housing",
    "diamonds",
    "concrete",
    "ames",
    "wine_quality_white",
)

UNTOUCHED = (
    "abalone",
    "ada_agnostic_train",
    "adult",
    "ames",
    "appliances_energy",
    "australian_credit",
    "auto_mpg",
    "automobile_imports85",
    "bank_marketing_10pct",
    "beijing_pm25",
    "bike_sharing_daily",
    "bike_sharing_hourly_2011",
    "blood_transfusion",
    "boston",
    "breast_cancer_w",
    "california_housing",
    "casp_protein",
    "churn_5000",
    "coil2000_full",
    "college_earnings",
    "concrete",
    "contraceptive",
    "cpu_act",
    "credit_approval",
    "credit_g",
    "credit_scoring_es",
    "cylinder_bands",
    "deliveries",
    "diabetes_progression",
    "diamonds",
    "dna",
    "esl_income",
    "expedia_booking",
    "fars",
    "flchain_death",
    "glass",
    "gss_wages",
    "heart_disease",
    "hmda",
    "hotel_rates",
    "house_prices_kaggle",
    "house_votes",
    "ibm_attrition",
    "ionosphere",
    "iris",
    "kr_vs_kp",
    "leaf_flavia",
    "lending_club",
    "letter",
    "loans_interest_rate",
    "magic_telescope",
    "metro_traffic_volume",
    "mpls_police_stops",
    "mushroom",
    "nass_crash_deaths",
    "nursery",
    "optdigits",
    "penguins",
    "phoneme",
    "pima_diabetes_na",
    "power_plant_ccpp",
    "saheart",
    "satimage",
    "segment",
    "shuttle",
    "skillcraft",
    "sonar",
    "soybean",
    "spambase",
    "splice",
    "stackoverflow_salary",
    "stroke",
    "swissmetro",
    "telco_churn_clean",
    "texture",
    "tic_tac_toe",
    "titanic",
    "used_cars_gm",
    "vehicle",
    "vowel",
    "wdbc",
    "wine",
    "wine_quality_red",
    "wine_quality_white",
)

# What the tables' own documentation says of columns that know the answer.
KNOWN = {
    "bank_marketing_10pct": ("duration",),
    "titanic": ("boat", "body"),
    "bike_sharing_daily": ("casual", "registered"),
    "bike_sharing_hourly_2011": ("casual", "registered"),
    "flchain_death": ("chapter", "futime"),
    "loans_interest_rate": ("sub_grade", "grade"),
    "nass_crash_deaths": ("injSeverity",),
    "boston": ("medv",),
    "womens_clothing_reviews": ("Rating",),
    "vader_tweets": ("mean_rating",),
    "household_power": ("Global_intensity",),
}
MUST = {
    "bank_marketing_10pct": ("duration",),
    "titanic": ("boat", "body"),
    "bike_sharing_daily": ("casual", "registered"),
    "bike_sharing_hourly_2011": ("casual", "registered"),
}


def read(name: str, folder: Path, most: int = MOST_ROWS) -> tuple[pd.DataFrame, str, str]:
    """Return a table's rows in their order, evenly thinned to `most`, its target and its task."""
    told, path = entry(name, folder), path_of(name, folder)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    target = told["target"]
    frame = frame[frame[target].notna()]
    if len(frame) > most:
        frame = frame.iloc[np.linspace(0, len(frame) - 1, most).astype(int)]
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
    return frame.reset_index(drop=True), target, told["task"]


def findings_of(plant: Plant, target: str) -> Any:
    """Return what a run sees of a table before it searches: findings, split and all."""
    import pyarrow as pa

    from mlwright.lifecycle.prepared import prepare
    from mlwright.lifecycle.project import Project

    test = None if plant.test is None else pa.Table.from_pandas(plant.test, preserve_index=False)
    raw = pa.Table.from_pandas(plant.frame, preserve_index=False)
    return prepare(raw, Project(task_target=target, task_split=plant.split), test=test, refuse=False)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Plant, look, and count."""
    return summed(planted(options), untouched(options))


def planted(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return for each leak that was planted whether it was found."""
    rows: list[dict[str, Any]] = []
    chosen = options.tables or PLANTED_IN
    for name in [each for each in chosen if each in PLANTED_IN][: 2 if options.quick else None]:
        frame, target, task = read(name, options.data, 2_000 if options.quick else PLANTED_ROWS)
        for kind, plant in KINDS.items():
            made = plant(Clean(frame, target, task, np.random.default_rng(options.seed)))
            if made is not None:
                rows.append({"table": name, "kind": kind, **_found(made, target)})
        say(f"{name}: {sum(row['found'] for row in rows if row['table'] == name)} found")
    return rows


def untouched(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return for each table that nobody touched what is stopped, and what is said of its documented leaks."""
    rows: list[dict[str, Any]] = []
    chosen = [each for each in options.tables or UNTOUCHED if each in UNTOUCHED]
    for name in chosen[: 4 if options.quick else None]:
        frame, target, _ = read(name, options.data)
        findings = [f for f in findings_of(Plant(frame, ()), target).findings if f.check in CHECKS]
        aside = set(KNOWN.get(name, ()))
        stopped = [f for f in findings if str(f.severity) == "stop" and not aside & set(f.columns)]
        known = {c: [str(f.severity) for f in findings if c in f.columns] for c in KNOWN.get(name, ())}
        rows.append(
            {
                "table": name,
                "columns": len(frame.columns) - 1 - len(aside),
                "stopped": [{"code": found.code, "what": found.what} for found in stopped],
                "warned": [
                    f.code for f in findings if str(f.severity) == "warn" and not aside & set(f.columns)
                ],
                "known": {column: (grades or ["not found"])[0] for column, grades in known.items()},
            }
        )
        say(f"{name}: {len(stopped)} stopped")
    return rows


def summed(planted: list[dict[str, Any]], untouched: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the two with their shares."""
    stopped = [{"table": row["table"], **found} for row in untouched for found in row["stopped"]]
    n_columns = sum(row["columns"] for row in untouched)
    return {
        "planted": planted,
        "share_found": _share(planted, "found"),
        "share_stopped": _share(planted, "stopped"),
        "n_tables_untouched": len(untouched),
        "n_columns_untouched": n_columns,
        "falsely_stopped": stopped,
        "share_falsely_stopped": len(stopped) / max(1, n_columns),
        "warned": [{"table": row["table"], "code": code} for row in untouched for code in row["warned"]],
        "known": [
            {
                "table": row["table"],
                "column": column,
                "grade": grade,
                "must": column in MUST.get(row["table"], ()),
            }
            for row in untouched
            for column, grade in row["known"].items()
        ],
    }


def _found(made: Plant, target: str) -> dict[str, Any]:
    findings = [f for f in findings_of(made, target).findings if f.check in made.checks]
    if made.names:
        findings = [f for f in findings if set(f.columns) & set(made.names)]
    findings = [f for f in findings if str(f.severity) != "info"]
    grade = str(findings[0].severity) if findings else "not found"
    return {"found": bool(findings), "stopped": grade == "stop", "grade": grade}


def _share(rows: list[dict[str, Any]], key: str) -> float:
    return sum(row[key] for row in rows) / max(1, len(rows))


def _counted(warned: list[dict[str, Any]]) -> str:
    """Return how many findings each check has."""
    checks = [row["code"].partition(":")[0] for row in warned]
    return ", ".join(f"{check} {checks.count(check)}" for check in sorted(set(checks))) or "nothing"


def markdown(measured: dict[str, Any]) -> str:
    """Return the tables."""
    rows = measured["planted"]
    tables = list(dict.fromkeys(row["table"] for row in rows))
    marks = {"stop": "stop", "warn": "warn", "not found": "**no**"}
    lines = ["## Leaks", "", "| planted | " + " | ".join(tables) + " |", "|---|" + "---|" * len(tables)]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of = {row["table"]: marks[row["grade"]] for row in rows if row["kind"] == kind}
        lines.append(f"| {kind.replace('_', ' ')} | " + " | ".join(of.get(t, "") for t in tables) + " |")
    n_found = sum(row["found"] for row in rows)
    untouched = (
        f"Untouched tables: {measured['n_tables_untouched']} with {measured['n_columns_untouched']:,} columns; falsely "
        f"stopped: {len(measured['falsely_stopped'])} ({measured['share_falsely_stopped']:.2%})."
    )
    warned = measured["warned"]
    lines += [
        "",
        f"Found: {n_found} of {len(rows)} ({measured['share_found']:.1%}); stopped: {measured['share_stopped']:.1%}.",
        "",
        untouched,
        "",
        *(f"- {row['table']}: {row['code']}. {row['what']}" for row in measured["falsely_stopped"]),
        "",
        f"Warned of besides, in {len({row['table'] for row in warned})} of these tables: {_counted(warned)}.",
        "",
        "| documented leak | grade |",
        "|---|---|",
        *(f"| {row['table']}: {row['column']} | {row['grade']} |" for row in measured["known"]),
    ]
    return "\n".join(lines)
