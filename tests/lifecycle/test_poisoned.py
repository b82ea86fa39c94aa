"""Nothing that a model is made of has seen the test rows: with nonsense in their place the same model comes out.

What describes the table as it was read, its schema's ranges and levels, is of all rows; what was fitted is not.
"""

import numpy as np
import pyarrow as pa

from mlwright.core.clock import Deadline
from mlwright.core.files import canonical_json
from mlwright.lifecycle.build import build
from mlwright.lifecycle.prepared import prepare
from mlwright.lifecycle.project import Project

N = 200
DRAW = np.random.default_rng(3)
WORDS = np.array(["rain", "sun", "wind", "snow", "fog", "hail"])


def table():
    x = DRAW.normal(size=(N, 3))
    signal = x[:, 0] + 0.5 * x[:, 1] + 0.5 * DRAW.normal(size=N)
    return {
        "amount": np.where(DRAW.random(N) < 0.1, np.nan, np.round(x[:, 0], 2)),
        "size": x[:, 1],
        "plan": np.array(["basic", "more", "full"])[DRAW.integers(0, 3, N)],
        "since": (1_600_000_000 + 86_400 * DRAW.integers(0, 900, N)).astype("datetime64[s]"),
        "note": np.array([" ".join(DRAW.choice(WORDS, 5)) + f" {i}" for i in range(N)]),
        "y": np.where(signal > 0, "yes", "no"),
    }


def poisoned(data, rows):
    """Return the table with other values in `rows`: of the kinds that the columns have, but far off, and shuffled."""
    made = {name: values.copy() for name, values in data.items()}
    made["amount"][rows] = 1e6 * DRAW.normal(size=len(rows)).round(3)
    made["size"][rows] = -1e9 + DRAW.random(len(rows))
    made["plan"][rows] = np.resize(np.array(["poison", "venom", "full"]), len(rows)).astype(
        made["plan"].dtype
    )
    made["since"][rows] = np.datetime64("1990-01-01") + np.arange(len(rows)).astype("timedelta64[D]")
    made["note"][rows] = [f"arsenic {i} strychnine hemlock curare" for i in rows]
    made["y"][rows] = np.where(made["y"][rows] == "yes", "no", "yes")
    return made


def bytes_of(state):
    """Return a fitted part as comparable bytes."""
    arrays = {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in state.arrays.items()}
    return canonical_json(state.tree), arrays, dict(state.blobs)


def made_of(data):
    """Return the test rows, what the model is made of, and its score."""
    project = Project(task_target="y", task_split="random", task_trials=3, task_latency="1s")
    raw = pa.table({name: pa.array(values) for name, values in data.items()})
    prepared = prepare(raw, project, refuse=False)
    built = build(prepared, project, Deadline(np.inf), lineage={"data": "", "test": None}, rough=True)
    contents = built.contents
    parts = {
        "plan": bytes_of(contents.plan),
        "models": [bytes_of(state) for state in contents.models],
        "ensemble": canonical_json(contents.ensemble),
        "calibration": canonical_json(contents.calibration),
        "conformal": canonical_json(contents.conformal),
        "reference": canonical_json(contents.reference),
        "trials": canonical_json([t | {"told": None} for t in contents.lineage["trials"]]),
        "task": canonical_json(contents.task),
        "out of fold": built.study.predicted.tobytes(),
    }
    return prepared.split.test, parts, built.evaluation.score.estimate


def test_nonsense_in_the_test_rows_changes_nothing_but_the_score():
    data = table()
    rows, honest, score = made_of(data)
    same_rows, other, worse = made_of(poisoned(data, rows))
    assert np.array_equal(rows, same_rows)
    assert len(rows) == N // 5
    for name, part in honest.items():
        assert part == other[name], name
    assert score != worse  # the poison was there to be seen
    # And the comparison would show a single row that trains.
    trained = np.setdiff1d(np.arange(N), rows)
    _, other, _ = made_of(poisoned(data, trained[:1]))
    assert honest["plan"] != other["plan"]
    assert honest["models"] != other["models"]
