"""The benchmarks' scripts run on a small table, go on where they stopped, and sum up as arithmetic by hand does."""

from __future__ import annotations

import csv
import doctest
import importlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
BUDGET = "3"
LONG = "6"  # LightGBM's early stopping ends long before


def run(script, *words, code=0):
    command = [sys.executable, str(BENCHMARKS / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of tables: numbers and a category that tell two classes; reviews whose words do."""
    place = tmp_path_factory.mktemp("tables")
    draw = np.random.default_rng(0)
    n_rows = 400
    frame = pd.DataFrame({f"x{i}": draw.normal(size=n_rows) for i in range(3)})
    frame["plan"] = draw.choice(["month", "year"], n_rows)
    leaning = frame["x0"] + 2 * (frame["plan"] == "year") + draw.normal(size=n_rows)
    frame["left"] = np.where(leaning > 1, "yes", "no")
    frame.to_parquet(place / "small.parquet")
    words = np.array(["the", "film", "was", "long", "and", "we", "saw", "it", "on", "monday"])
    liked = draw.random(n_rows) < 0.5
    texts = [" ".join([*draw.choice(words, 8), "great" if like else "awful"]) for like in liked]
    pd.DataFrame({"review": texts, "liked": liked.astype(str)}).to_parquet(place / "reviews.parquet")
    entries = [
        {"name": "small", "file": "small.parquet", "target": "left", "task": "binary", "rows": n_rows},
        {"name": "reviews", "file": "reviews.parquet", "target": "liked", "task": "text", "rows": n_rows},
    ]
    (place / "manifest.json").write_text(json.dumps(entries))
    return place


@pytest.fixture
def module(monkeypatch):
    """Import a benchmark's module, as its scripts do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.mark.parametrize(
    "script",
    [
        "quality.py",
        "budget.py",
        "latency.py",
        "text.py",
        "long_tables.py",
        "portfolio.py",
        "build_tables.py",
        "cell.py",
        "trust.py",
    ],
)
def test_help_is_there(script):
    assert run(script, "--help").startswith("usage:")


@pytest.mark.parametrize("name", ["records", "tables_list", "budget"])
def test_examples_in_docstrings_hold(module, name):
    found = doctest.testmod(module(name))
    assert found.attempted > 0
    assert found.failed == 0


# Quality


def test_quality_measures_and_goes_on(folder, tmp_path):
    out = tmp_path / "all.csv"
    words = ["run", "--data", folder, "--out", out, "--tables", "small", "--budget", LONG, "--json"]
    first = json.loads(run("quality.py", *words, "--systems", "dummy", "lightgbm"))
    assert [row["system"] for row in first] == ["dummy", "lightgbm"]
    second = json.loads(run("quality.py", *words, "--systems", "dummy", "lightgbm", "mlwright"))
    assert [row["system"] for row in second] == ["mlwright"]  # the others are not made again
    rows = {row["system"]: row for row in rows_of(out)}
    assert list(rows) == ["dummy", "lightgbm", "mlwright"]
    assert float(rows["dummy"]["score"]) == 0.5
    assert float(rows["lightgbm"]["score"]) == pytest.approx(lightgbm_auc(folder), abs=1e-6)
    assert 0.7 < float(rows["mlwright"]["score"]) < 1
    assert rows["mlwright"]["rows"] == "400"
    assert all(
        float(rows["mlwright"][cost]) > 0 for cost in ("row_frame_us", "row_dict_us", "size_mb", "peak_mb")
    )
    header = out.read_text().splitlines()[0]
    assert header == (BENCHMARKS / "results" / "peers_seed0.csv").read_text().splitlines()[0]
    told = json.loads(out.with_suffix(".machine.json").read_text())
    assert told["versions"]["mlwright"]["mlwright"]
    assert told["loop_ms"] > 0
    assert told["settings"].get("OPENBLAS_CORETYPE") == os.environ.get("OPENBLAS_CORETYPE")
    assert "| lightgbm |" in out.with_suffix(".md").read_text()


def lightgbm_auc(folder):
    """LightGBM's defaults by hand: what the cell is to have done."""
    import lightgbm
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split

    frame = pd.read_parquet(folder / "small.parquet")
    X = frame.drop(columns="left").assign(plan=pd.Categorical(frame["plan"]))
    y = (frame["left"] == "yes").to_numpy()
    X, test_X, y, test_y = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    fit_X, stop_X, fit_y, stop_y = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    model = lightgbm.LGBMClassifier(n_estimators=5000, verbose=-1, n_jobs=2)
    stopping = lightgbm.early_stopping(100, verbose=False)
    model.fit(fit_X, fit_y, eval_X=stop_X, eval_y=stop_y, callbacks=[stopping])
    return roc_auc_score(test_y, model.predict_proba(test_X)[:, 1])


def test_a_system_that_fails_is_a_row(folder, tmp_path):
    out = tmp_path / "all.csv"
    words = ("--data", folder, "--out", out, "--tables", "small", "--budget", BUDGET)
    run("quality.py", "run", *words, "--systems", "ag_unheard_of")
    (row,) = rows_of(out)
    assert row["score"] == ""
    assert row["note"].startswith("failed: ")


def test_a_process_that_takes_too_long_is_killed_with_its_children(module):
    driver = module("driver")
    child = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    )
    ended = driver.run_process([sys.executable, "-c", child], limit=lambda age: "late" if age > 1.5 else "")
    assert (ended.killed, ended.code) == ("late", -9)
    state = Path(f"/proc/{int(ended.output)}/stat")
    for _ in range(500):  # a killed process takes a moment to go
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child lives on")


def test_the_peers_rank_as_they_were_found_to(module):
    rows = module("records").read_rows([BENCHMARKS / "results" / "peers_seed0.csv"])
    found = module("summary").summarise(rows, ours="catboost").figures["rank"]
    assert found["cells"] == 10
    told = {"ag_medium_quality": 1.7, "catboost": 2.5, "ag_best_quality": 2.8, "flaml": 3.3, "lightgbm": 4.7}
    assert found["mean"] == pytest.approx(told)


def made_row(system, table, task, score, seed=0, **more):
    row = {"system": system, "table": table, "task": task, "seed": seed, "budget_s": 60, "score": score}
    return row | {"row_frame_us": 1000, "size_mb": 10, "peak_mb": 100} | more


def test_the_summary_is_that_of_arithmetic(module):
    rows = [
        made_row("dummy", "houses", "regression", 100),
        made_row("peer", "houses", "regression", 20, row_frame_us=50_000, size_mb=40),
        made_row("mlwright", "houses", "regression", 26, row_dict_us=50, size_mb=2),
        made_row("mlwright+1", "houses", "regression", 22, row_dict_us=50, size_mb=2),
        made_row("peer", "loans", "binary", 0.7, row_frame_us=20_000),
        made_row("mlwright", "loans", "binary", 0.8, row_dict_us=40),
        made_row("peer", "leaves", "multiclass", 0.5),
        made_row("mlwright", "leaves", "", ""),
    ]
    figures = module("summary").summarise(rows).figures
    assert figures["rank"]["mean"] == {"mlwright": (2 + 1 + 2) / 3, "peer": (1 + 2 + 1) / 3}
    assert figures["wins"]["peer"] == {"won": 1, "tied": 0, "lost": 2, "share": 1 / 3}
    tables = {t["table"]: t for t in figures["tables_of"]}
    assert tables["houses"]["ours"] == 24  # both random states averaged
    assert tables["houses"]["distance"] == pytest.approx(-4 / 80)
    assert tables["loans"]["distance"] == pytest.approx(0.1 / 0.3)  # without a dummy's row its AUC is 0.5
    assert [t for t in tables if tables[t]["lost"]] == ["houses", "leaves"]
    assert figures["ratios"]["peer"]["row"] == (50_000 / 50 + 20_000 / 40) / 2
    assert figures["ratios"]["peer"]["size"] == (40 / 2 + 10 / 10) / 2


# The command line from outside


def test_budget_and_long_tables_time_whole_runs(folder, tmp_path):
    out = tmp_path / "budget.csv"
    words = ["--data", folder, "--out", out, "--tables", "small", "--from", BUDGET, "--to", BUDGET, "--json"]
    figures = json.loads(run("budget.py", "run", *words, "--runs", 1))
    assert (figures["runs"], figures["failed"]) == (1, 0), rows_of(out)
    (row,) = rows_of(out)
    assert float(row["ratio"]) == pytest.approx(float(row["wall_s"]) / float(BUDGET), abs=1e-2)
    assert float(row["wall_s"]) >= float(row["told_s"]) > 0
    run("budget.py", "run", *words, "--runs", 1)
    assert len(rows_of(out)) == 1
    assert "1 runs on 1 tables" in run("budget.py", "summary", out)

    out = tmp_path / "long.csv"
    (row,) = json.loads(
        run(
            "long_tables.py",
            "--data",
            folder,
            "--out",
            out,
            "--tables",
            "small",
            "--budget",
            BUDGET,
            "--json",
        )
    )
    assert row["exit"] == "0"
    assert float(row["peak_mb"]) > 50


def test_late_and_failed_runs_are_counted(module):
    shown = {"table": "a", "rows": 1, "number": 0, "budget_s": 10, "wall_s": 1, "note": ""}
    rows = [
        shown | {"ratio": ratio, "exit": code, "score": score}
        for ratio, code, score in ((1.05, 0, 1), (1.06, 0, 1), (0.5, 1, ""), (0.9, 3, 1))
    ]
    figures, _ = module("budget").summarise(rows)
    assert (figures["late"], figures["failed"], figures["worst_ratio"]) == (1, 1, 1.06)


def test_latency_of_a_fitted_bundle(folder, tmp_path):
    out = tmp_path / "latency.csv"
    words = ["run", "--data", folder, "--out", out, "--tables", "small", "--budget", BUDGET, "--json"]
    figures = json.loads(run("latency.py", *words))
    (row,) = rows_of(out)
    assert 0 < float(row["p50_us"]) <= float(row["p99_us"])
    assert figures["median_p50_us"] == float(row["p50_us"])
    assert figures["median_times_faster"] is None  # the peer has no such table


def test_percentiles_of_calls(module):
    waits = iter([*[0.0] * 10, *[0.0] * 9, 0.02])

    def call(row):
        assert row == {"a": 1}
        time.sleep(next(waits))

    p50, p99 = module("latency").timed(call, [{"a": 1}], n_calls=10)
    assert p50 < 10_000 < 20_000 <= p99


def test_text_has_its_baseline(folder, tmp_path):
    out = tmp_path / "text.csv"
    words = (
        "--data",
        folder,
        "--out",
        out,
        "--tables",
        "reviews",
        "--systems",
        "dummy",
        "tfidf",
        "--budget",
        BUDGET,
    )
    run("text.py", *words)
    rows = {row["system"]: row for row in rows_of(out)}
    assert float(rows["tfidf"]["score"]) == 1.0  # one word tells all
    assert rows["tfidf"]["task"] == "binary"
    assert "text: review" in rows["tfidf"]["note"]


# Portfolio


def test_portfolio_measures_and_orders(folder, tmp_path):
    words = ("measure", "--data", folder, "--out", tmp_path, "--tables", "small", "--longest", 0.1)
    run("portfolio.py", *words)
    kept = np.load(tmp_path / "small" / "lightgbm.npz", allow_pickle=False)
    rows = np.load(tmp_path / "small" / "rows.npz", allow_pickle=False)
    assert len(kept["folds"]) == len(rows["y"]) == 300
    assert len(kept["test"]) == len(rows["test_y"]) == 100
    assert np.isfinite(kept["folds"]).all()
    before = (tmp_path / "small" / "lightgbm.json").stat().st_mtime_ns
    run("portfolio.py", *words)
    assert (tmp_path / "small" / "lightgbm.json").stat().st_mtime_ns == before
    found = json.loads(run("portfolio.py", "order", tmp_path, "--budgets", 60, "--positions", 2, "--json"))
    told = json.loads((tmp_path / "small" / "table.json").read_text())
    ended = {
        name for name in told["names"] if "failed" not in (tmp_path / "small" / f"{name}.json").read_text()
    }
    assert {"lightgbm", "catboost", "discriminant"} <= ended  # in a tenth of a second some take no step
    assert set(found["order"]) == ended - {"dummy", "linear"}
    assert all(0 <= row["60"] <= 1 for row in found["present"].values())


def test_the_order_takes_what_helps_and_fits(module):
    portfolio = module("portfolio")
    from mlwright.metrics import get

    y = np.arange(100.0)
    draw = np.random.default_rng(0)
    noise = {"dummy": None, "linear": 30.0, "slow": 1.0, "quick": 10.0, "useless": 60.0}
    made = {n: np.full(100, 49.5) if s is None else y + s * draw.normal(size=100) for n, s in noise.items()}
    took = {"dummy": 0.1, "linear": 0.4, "slow": 30.0, "quick": 3.0, "useless": 2.0}
    told = {
        name: {"seconds": took[name], "refit_seconds": 0.1, "price_us": 1.0, "trial": {"view": "native"}}
        for name in took
    }
    predicted = {name: values[:, None] for name, values in made.items()}
    bench = portfolio.Bench("t", get("rmse"), y, y, predicted, predicted, told, {"native": 1.0}, ["useless"])
    bench.dummy = bench.metric.gain(y, predicted["dummy"])
    bench.best = bench.metric.gain(y, predicted["slow"])
    # 10 s leave 7.8 for trials and refits: the baselines take 0.5, their view 1.0, "quick" 3.0, "useless" 2.0.
    assert bench.fitting(["slow", "quick", "useless"], 10) == {"dummy", "linear", "quick", "useless"}
    assert bench.fitting(["slow", "quick"], 60) == {"dummy", "linear", "slow", "quick"}
    assert portfolio.greedy_order([bench], [10.0], 1)[0] == "quick"
    assert portfolio.greedy_order([bench], [60.0], 1)[0] == "slow"
    assert math.isclose(bench.regret(["slow"], 60), 0.0, abs_tol=0.01)


# Trust


def test_what_is_planted_in_a_table_is_found_and_nothing_else(module):
    part = module("trust_data")
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=600), "b": draw.choice(["red", "blue", "grey"], 600)})
    frame["c"] = draw.normal(size=600)
    frame["y"] = np.where(frame["a"] + draw.normal(size=600) > 0, "yes", "no")
    rows = [
        {"table": "made", "check": check, "planted": planted, **part._asked(made, "y")}
        for check, makes in part.PLANTS.items()
        for planted, make in zip((True, False), makes, strict=True)
        for made in [make(frame, "y", np.random.default_rng(1))]
    ]
    assert [row["found"] for row in rows] == [True, False] * len(part.PLANTS)
    label = {"table": "made", "share": 0.06, "low": 0.04, "high": 0.09, "listed": 20}
    labels = [
        label | {"flipped": 0.05, "alarm": True, "listed_flipped": 15},
        label | {"flipped": 0.0, "alarm": False, "listed_flipped": 0},
    ]
    text = part.markdown({"checks": rows, "labels": labels})
    assert "| proxy | 1 of 1 (21 to 100 %) | 0 of 1 (0 to 79 %) |" in text
    assert "| 5 % | 1 of 1 (21 to 100 %) | 15 of 20 (53 to 89 %) | 1 of 1 (21 to 100 %) |" in text
    assert "| 0 % | 0 of 1 (0 to 79 %) | 0 of 20 (0 to 16 %) | 0 of 1 (0 to 79 %) |" in text
    assert "Not found: none." in text
