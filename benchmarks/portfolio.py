"""Portfolio: in which order the search should try its configurations, measured, with tables left out.

    python portfolio.py measure --data TABLES --out FOLDER [--tables development]
    python portfolio.py order FOLDER [--budgets 10 20 40 80 160] [--rows 0 5000]

``measure`` fits every configuration of `mlwright.search.portfolio` on every table, as the search would: over the folds,
then on all training rows. It keeps out-of-fold and test predictions with what they took, one file each, and goes on
where it was stopped. It takes hours. What something took is counted in seconds of the processor, over the cores that fit
side by side, so that other work on the machine does not change it.

``order`` looks for the order in which, over all tables and budgets, the blend of what fits into the budget loses least
to the best that is known for the table: step by step, the configuration that lowers the mean regret most is put next.
The regret is in parts of the distance from the dummy to that best, on the test rows. An order that was chosen without a
table is then judged on that table; that figure, and not the one of all tables together, says what to expect.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from records import markdown, say, write_machine
from tables_list import names

from mlwright import metrics
from mlwright.core.clock import Deadline
from mlwright.core.types import Floats
from mlwright.data.read import read
from mlwright.data.schema import Task
from mlwright.data.target import target_values
from mlwright.data.values import Columns, take
from mlwright.execution import Local
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project
from mlwright.metrics.base import Metric
from mlwright.search.blend import Selection, price
from mlwright.search.fitter import Fitter, StudyData
from mlwright.search.portfolio import BASELINES, CANDIDATES, Configuration, ordered, portfolio
from mlwright.search.trial import Trial

MOST_KEPT = 3_000  # rows of each sort whose predictions are kept; the blend is simulated on them
FIXED_SECONDS, FIXED_SHARE = 1.0, 0.12  # of a budget, for what is neither trial nor refit
MEMBERS = 6
BLEND_STEPS = 12
LOG = "+log"


# Measuring


def trials_of(data: StudyData) -> dict[str, Trial]:
    """Return every configuration that fits the table, by name.

    Twins in logarithms are there where the portfolio has any.
    """
    logs = any(trial.link == "log" for trial in portfolio(data.task, data.schema, data.y))
    found = {}
    for name, made in CANDIDATES.items():
        if made.fits(data.task, data.schema, len(data.y)):
            found[name] = Trial(len(found), made.model, made.view, dict(made.params), made.link)
    if logs:
        for name, trial in [item for item in found.items() if item[1].model != "dummy"]:
            found[name + LOG] = replace(trial, number=len(found), link="log")
    return found


def _said(made: Trial | Configuration) -> str:
    return json.dumps([made.model, made.view, dict(made.params), made.link], sort_keys=True)


def study_data(table: str, folder: Path, seed: int) -> tuple[StudyData, Columns, Floats]:
    """Return the training rows as a study has them, the test rows' columns, and the test target."""
    import tables

    data = tables.load(table, folder, seed)
    project = Project(name="portfolio", task_target=data.target, task_kind=data.task, task_seed=seed)
    prepared = prepare(read(data.train), project, test=read(data.test), refuse=False)
    assert prepared.test is not None  # it was given
    y = target_values(prepared.table, prepared.task)
    rows = prepared.split.train
    study = StudyData(
        take(prepared.table.columns(), rows),
        y[rows],
        prepared.table.schema,
        prepared.task,
        prepared.split.folds,
        seed,
    )
    return study, prepared.test.columns(), target_values(prepared.test, prepared.task)


def measure(table: str, folder: Path, out: Path, *, seed: int, longest: float) -> None:
    """Fit what is not there yet for one table."""
    from threadpoolctl import threadpool_limits

    place = out / table
    place.mkdir(parents=True, exist_ok=True)
    asked = {name: _said(made) for name, made in CANDIDATES.items()}
    if (place / "table.json").exists():
        told = json.loads((place / "table.json").read_text())
        if told["asked"] == asked and all((place / f"{name}.json").exists() for name in told["names"]):
            return
    data, test, test_y = study_data(table, folder, seed)
    found = trials_of(data)
    draw = np.random.default_rng(0)
    covered = np.unique(np.concatenate([valid for _, valid in data.folds]))
    kept = np.sort(draw.choice(covered, min(MOST_KEPT, len(covered)), replace=False))
    shown = np.sort(draw.choice(len(test_y), min(MOST_KEPT, len(test_y)), replace=False))
    np.savez(place / "rows.npz", y=data.y[kept], test_y=test_y[shown])
    told = {"task": data.task.to_json(), "rows": len(data.y), "names": list(found), "asked": asked}
    (place / "table.json").write_text(json.dumps(told, indent=1))
    fitter = Fitter(data, Local())
    made_views: set[str] = set()
    with threadpool_limits(limits=1, user_api="blas"):
        for name, trial in found.items():
            if _measured(place / f"{name}.json", trial):
                continue
            if (
                trial.view not in made_views
            ):  # the matrices, so that they are not counted as the first trial's
                _measure_view(fitter, trial.view, place)
                made_views.add(trial.view)
            try:
                told = _measure_trial(fitter, trial, place / name, kept, test, shown, longest)
            except Exception as error:  # noqa: BLE001 - hours of measuring go on; the file tells, `order` leaves it out
                told = {"failed": f"{type(error).__name__}: {error}", "trial": trial.to_json()}
            (place / f"{name}.json").write_text(json.dumps(told))
            say(f"{table} {name}: {told.get('failed', told)}")


def _measured(path: Path, trial: Trial) -> bool:
    """Return whether the very same configuration is there; one whose parameters have changed is measured again."""
    return path.exists() and _said(Trial(**json.loads(path.read_text())["trial"])) == _said(trial)


def _measure_view(fitter: Fitter, view: str, place: Path) -> None:
    """Time what the folds' matrices of a view take: a dummy on them takes nothing else."""
    start = time.process_time()
    result = fitter.trial(Trial(10**6, "dummy", view), Deadline(math.inf))
    seconds = (time.process_time() - start) / fitter.executor.workers
    path = place / f"{view}.view.json"
    if not path.exists():
        path.write_text(json.dumps({"seconds": round(seconds, 4)}))
    fitter.refit([(result, 1.0)])  # the matrix of all rows, for the same reason


def _measure_trial(
    fitter: Fitter,
    trial: Trial,
    path: Path,
    kept: np.ndarray,
    test: Columns,
    shown: np.ndarray,
    longest: float,
) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        start = time.process_time()
        result = fitter.trial(trial, Deadline(longest))
        seconds = (time.process_time() - start) / fitter.executor.workers
        start = time.process_time()
        ensemble, plans = fitter.refit([(result, 1.0)])
        refit = time.process_time() - start
    predicted = ensemble.predict({view: plan.batch(take(test, shown)) for view, plan in plans.items()})
    np.savez(
        path.with_name(path.name + ".npz"),
        folds=result.predicted[kept].astype(np.float32),
        test=predicted.astype(np.float32),
    )
    return {
        "score": result.score,
        "seconds": round(seconds, 4),
        "refit_seconds": round(refit, 4),
        "price_us": round(price(result, fitter.data.task.n_outputs), 3),
        "cut": result.seconds >= 0.98 * longest,
        "iterations": list(result.n_iterations),
        "trial": trial.to_json(),
    }


# Ordering


@dataclass(slots=True)
class Bench:
    """What was measured on one table, and what blends of it reach."""

    table: str
    metric: Metric
    y: Floats
    test_y: Floats
    folds: dict[str, Floats]
    test: dict[str, Floats]
    told: dict[str, dict[str, Any]]
    views: dict[str, float]
    present: list[str]
    rows: int = 0
    workers: int = 2
    gains: dict[frozenset[str], float] = field(default_factory=dict)
    best: float = -math.inf
    dummy: float = 0.0

    def fitting(self, order: Sequence[str], budget: float) -> frozenset[str]:
        """Return what of an order the search has fitted when its time is over, with the refit kept in hand."""
        left = budget * (1 - FIXED_SHARE) - FIXED_SECONDS
        used, views, chosen, refits = 0.0, set(), [], []
        for name in [*BASELINES, *(n for n in order if n not in BASELINES)]:
            if name not in self.told:
                continue
            told, view = self.told[name], self.told[name]["trial"]["view"]
            more = told["seconds"] + (0.0 if view in views else self.views.get(view, 0.0))
            costs = sorted([*refits, told["refit_seconds"]], reverse=True)[:MEMBERS]
            refit = max(sum(costs) / self.workers, costs[0])
            if name in BASELINES or used + more + refit <= left:
                used += more
                views.add(view)
                chosen.append(name)
                refits.append(told["refit_seconds"])
        return frozenset(chosen)

    def gain(self, chosen: frozenset[str]) -> float:
        """Return what the blend of the chosen reaches on the test rows."""
        if chosen not in self.gains:
            members = sorted(chosen - {"dummy"}) or ["dummy"]
            selection = Selection(
                self.y,
                [self.folds[name] for name in members],
                self.metric,
                prices=np.array([self.told[name]["price_us"] for name in members]),
                views=[self.told[name]["trial"]["view"] for name in members],
                most=1000.0,
            )
            shares = selection.trimmed(selection.choose(np.arange(len(self.y)), BLEND_STEPS))
            blended = sum((self.test[members[i]] * share for i, share in shares.items()), np.float64(0.0))
            self.gains[chosen] = self.metric.gain(self.test_y, np.asarray(blended, dtype=np.float64))
        return self.gains[chosen]

    def regret(self, order: Sequence[str], budget: float) -> float:
        """Return the distance to the best known, in parts of that from the dummy; 1 at most."""
        lost = (self.best - self.gain(self.fitting(order, budget))) / max(self.best - self.dummy, 1e-12)
        return float(min(1.0, max(0.0, lost)))


def benches(folder: Path, workers: int) -> list[Bench]:
    """Read all tables that are measured, at least in part."""
    found = []
    for path in sorted(folder.glob("*/table.json")):
        place, told = path.parent, json.loads(path.read_text())
        done = {
            name: json.loads((place / f"{name}.json").read_text())
            for name in told["names"]
            if (place / f"{name}.json").exists()
        }
        done = {name: each for name, each in done.items() if "failed" not in each}
        if not set(BASELINES) <= set(done):
            say(f"{place.name} is left out: its baselines are not measured yet")
            continue
        rows = np.load(place / "rows.npz", allow_pickle=False)
        arrays = {name: np.load(place / f"{name}.npz", allow_pickle=False) for name in done}
        views = {
            p.name.removesuffix(".view.json"): json.loads(p.read_text()) for p in place.glob("*.view.json")
        }
        bench = Bench(
            place.name,
            metrics.get(Task.from_json(told["task"]).metric),
            rows["y"],
            rows["test_y"],
            {name: each["folds"].astype(np.float64) for name, each in arrays.items()},
            {name: each["test"].astype(np.float64) for name, each in arrays.items()},
            done,
            {view: each["seconds"] for view, each in views.items()},
            _present(told),
            told["rows"],
            workers,
        )
        bench.dummy = bench.metric.gain(bench.test_y, bench.test["dummy"])
        singles = [bench.gain(frozenset({name})) for name in done]
        bench.best = max([*singles, bench.gain(frozenset(done)), bench.gain(frozenset(done) - {"linear"})])
        found.append(bench)
    return found


def _present(told: dict[str, Any]) -> list[str]:
    """Return the order of now for a table that was measured, maybe when there was another one."""
    logs = any(name.endswith(LOG) for name in told["names"])
    return [name + LOG if link == "log" else name for name, link in ordered(told["rows"], logs=logs)]


def mean_regret(tables: Sequence[Bench], order: Sequence[str], budgets: Sequence[float]) -> float:
    """Return the mean over tables and budgets."""
    return float(np.mean([table.regret(order, budget) for table in tables for budget in budgets]))


def greedy_order(tables: Sequence[Bench], budgets: Sequence[float], positions: int) -> list[str]:
    """Return the order that lowers the mean regret most at each step; of equals the quickest is next.

    After `positions` steps the others follow by what they took.
    """
    every = sorted({name for table in tables for name in table.told} - set(BASELINES))
    took = {n: float(np.mean([t.told[n]["seconds"] for t in tables if n in t.told])) for n in every}
    order: list[str] = []
    while len(order) < min(positions, len(every)):
        left = [name for name in every if name not in order]
        scored = {name: mean_regret(tables, [*order, name], budgets) for name in left}
        order.append(min(left, key=lambda name: (round(scored[name], 9), took[name], name)))
    return order + sorted((name for name in every if name not in order), key=lambda name: (took[name], name))


def judge(tables: list[Bench], budgets: list[float], positions: int) -> dict[str, Any]:
    """Choose on all tables; judge by leaving each out; beside it the present order."""
    order = greedy_order(tables, budgets, positions)
    say("order: " + " ".join(order))
    left_out = {}
    for table in tables:
        others = [other for other in tables if other is not table]
        if others:
            chosen = greedy_order(others, budgets, positions)
            left_out[table.table] = {f"{b:g}": table.regret(chosen, b) for b in budgets}
            say(f"without {table.table}: {' '.join(chosen[:6])}")
    present = {t.table: {f"{b:g}": t.regret(t.present, b) for b in budgets} for t in tables}
    steps = [
        {"name": name}
        | {f"{b:g}": float(np.mean([t.regret(order[: i + 1], b) for t in tables])) for b in budgets}
        for i, name in enumerate(order)
    ]
    return {"order": order, "steps": steps, "left_out": left_out, "present": present, "budgets": budgets}


def report(found: dict[str, Any]) -> str:
    """Return Markdown."""
    heads = [f"{budget:g}" for budget in found["budgets"]]

    def share(value: float) -> str:
        return f"{100 * value:.2f}"

    def means(by_table: dict[str, dict[str, float]]) -> list[str]:
        return [
            share(float(np.mean([row[h] for row in by_table.values()]))) if by_table else "" for h in heads
        ]

    steps = markdown(
        ["next", *(f"{h} s" for h in heads)],
        [[s["name"], *(share(s[h]) for h in heads)] for s in found["steps"]],
    )
    judged = markdown(
        ["order", *(f"{h} s" for h in heads)],
        [["chosen without the table", *means(found["left_out"])], ["present", *means(found["present"])]],
    )
    return (
        f"Mean regret in percent of the distance from the dummy to the best, by budget, over {len(found['present'])} "
        f"tables, after each step:\n\n{steps}\n\nJudged on tables that were left out:\n\n{judged}"
    )


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("measure", help="fit what is not measured yet")
    made.add_argument("--data", type=Path, required=True, help="folder of tables with manifest.json")
    made.add_argument("--out", type=Path, required=True, help="folder that grows, one folder a table")
    made.add_argument(
        "--tables", nargs="+", default=["development"], help="names or groups (default: development)"
    )
    made.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    made.add_argument(
        "--longest", type=float, default=120, help="seconds of one configuration's folds (default 120)"
    )
    told = verbs.add_parser("order", help="choose an order and judge it")
    told.add_argument("folder", type=Path)
    told.add_argument("--budgets", nargs="+", type=float, default=[10, 20, 40, 80, 160], help="seconds")
    told.add_argument("--positions", type=int, default=12, help="places chosen by regret (default 12)")
    told.add_argument("--cores", type=int, default=2, help="that fit side by side (default 2)")
    told.add_argument(
        "--rows", nargs=2, type=int, default=[0, 10**9], help="only tables with so many to train on"
    )
    told.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> None:
    """Do what the command line says."""
    options = arguments().parse_args()
    if options.verb == "measure":
        write_machine(options.out / "measured.csv", {})
        for table in names(options.tables):
            measure(table, options.data, options.out, seed=options.seed, longest=options.longest)
        return
    least, most = options.rows
    tables = [each for each in benches(options.folder, options.cores) if least <= each.rows < most]
    if not tables:
        raise SystemExit(f"{options.folder} holds no such table: `portfolio.py measure` first")
    found = judge(tables, options.budgets, options.positions)
    print(json.dumps(found, indent=1) if options.json else report(found))


if __name__ == "__main__":
    main()
