"""Make the stored example of the current format: ``python tests/bundle/formats/make.py``. It never overwrites one.

It holds every kind of transform and of model, so that a later reader shows that it still reads all of them.
"""

import sys
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))

from customers import rows
from mlwright import bundle
from mlwright.core.clock import Deadline
from mlwright.data.schema import Kind
from mlwright.lifecycle.build import build, prepare
from mlwright.lifecycle.project import Project
from mlwright.search import TrialResult

TRIALS = [
    ("dummy", "native", {}),
    ("linear", "linear", {"alpha": 1.0}),
    ("lightgbm", "native", {"num_leaves": 4, "learning_rate": 0.2}),
    ("catboost", "encoded", {"depth": 3, "learning_rate": 0.2}),
]
WORDS = ("slow line", "good price", "calls often", "never answers", "moved house")


def table() -> pa.Table:
    """Return customers with a note of a few words and a city of many levels."""
    made = rows(200)
    for number, row in enumerate(made):
        row["charges"] = None if row["charges"] == "" else row["charges"]
        row["city"] = f"city {number % 40}"
        row["note"] = f"{WORDS[number % 5]} and {WORDS[number // 5 % 5]}"
    return pa.Table.from_pylist(made)


def main() -> None:
    """Replay four small trials and write what they give, with equal weights."""
    project = Project(name="stored", task_target="churned", data_kinds={"note": str(Kind.TEXT)})
    prepared = prepare(table(), project)
    folds = len(prepared.split.folds)
    replay = [
        TrialResult.from_json(
            {
                "number": number,
                "model": model,
                "view": view,
                "params": params,
                "link": "identity",
                "score": 0.5,
                "fold_scores": [0.5] * folds,
                "n_iterations": [5] * folds if model != "linear" else [500] * folds,
            }
        )
        for number, (model, view, params) in enumerate(TRIALS)
    ]
    from mlwright.search import study

    study._blend = lambda _data, results, _covered: {r.trial.number: 1 / len(results) for r in results}
    contents = build(prepared, project, Deadline(1e9), lineage={}, replay=replay).contents
    bundle.write(contents, Path(__file__).parent / str(bundle.FORMAT))


if __name__ == "__main__":
    main()
