"""Conformance kit for models: what every member of `mlwright.core.kinds.MODELS` must keep.

`cases` gives ``(id, function)`` pairs, ids as ``member:check``; each function raises `AssertionError` if the member
breaks the rule. A test suite runs them all::

    @pytest.mark.parametrize("case", [pytest.param(f, id=i) for i, f in cases()])
    def test_conforms(case):
        case()
"""

# ruff: noqa: S101, D401 - a conformance kit speaks in assertions, and a check's docstring is the rule that it checks

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwright.bundle.state import State
from mlwright.core import kinds
from mlwright.core.errors import BundleContentError
from mlwright.core.files import canonical_json
from mlwright.core.types import Floats
from mlwright.data.schema import Task, TaskKind
from mlwright.metrics import of
from mlwright.models.base import FitContext, Model
from mlwright.models.dummy import Dummy

__all__ = [
    "CHECKS",
    "PARAMS",
    "TASKS",
    "Make",
    "cases",
    "constant",
    "missing",
    "objectives",
    "refuses",
    "repeats",
    "replays",
    "round_trip",
    "rows",
    "same_bits",
    "shapes",
    "slim",
    "stops",
    "threads",
    "training",
    "two_rows",
    "unseen_class",
    "weighs",
]

Make = Callable[[], Model]

TASKS: tuple[Task, ...] = (
    Task(TaskKind.BINARY, "y", "log_loss", ("no", "yes")),
    Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c")),
    Task(TaskKind.REGRESSION, "y", "rmse"),
    Task(TaskKind.ANOMALY, "", "stability"),
    Task(TaskKind.CLUSTER, "", "stability", (1, 2, 3)),
)

PARAMS: dict[str, dict[str, Any]] = {
    "catboost": {"learning_rate": 0.3, "depth": 3},
    "consensus": {},
    "discriminant": {"alpha": 0.5},
    "density_clusters": {"min_share": 0.05},
    "dummy": {},
    "ecod": {},
    "gaussian_mixture": {"covariance": "full"},
    "isolation_forest": {"n_trees": 20, "max_samples": 64},
    "kernel": {"n_centres": 40},
    "k_means": {"n_init": 3},
    "lightgbm": {"learning_rate": 0.3, "num_leaves": 7, "bagging_fraction": 0.8, "feature_fraction": 0.7},
    "linear": {"alpha": 0.5},
    "mlp": {"width": 16, "max_iterations": 10, "n_pieces": 4},
    "neighbour_distance": {"n_neighbours": 5, "n_centres": 100},
}
"""Hyperparameters that keep the kit quick."""

_HEAVY = ("lightgbm", "catboost", "sklearn", "scipy", "pandas")


def training(task: Task, n_rows: int = 240, seed: int = 0) -> tuple[Floats, Floats]:
    """Return a matrix with missing cells and a constant column, and a target that depends on it."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, 5))
    X[:, 3] = random.integers(0, 4, n_rows)
    X[:, 4] = 1.0
    raw = 2 * X[:, 0] - X[:, 1] + (X[:, 3] == 2) + 0.5 * random.normal(size=n_rows)
    X[random.random(n_rows) < 0.1, 1] = np.nan
    if not task.kind.has_classes:
        return X, raw * 10 + 100
    cuts = [0.0] if task.kind is TaskKind.BINARY else [-1.0, 1.0]
    return X, np.digitize(raw, cuts).astype(np.float64)


def same_bits(one: Model, other: Model) -> bool:
    """Whether two fitted models hold the same state, byte by byte."""
    a, b = one.state(), other.state()
    return (
        canonical_json(a.tree) == canonical_json(b.tree)
        and a.blobs == b.blobs
        and a.arrays.keys() == b.arrays.keys()
        and all(a.arrays[key].tobytes() == b.arrays[key].tobytes() for key in a.arrays)
    )


def _fitted(make: Make, task: Task, *, threads: int = 1, seed: int = 0) -> tuple[Model, Floats]:
    X, y = training(task)
    return make().fit(X, y, FitContext(task, n_iterations=12, threads=threads, seed=seed)), X


def _sound(model: Model, X: Floats, task: Task) -> Floats:
    predicted = model.predict(X)
    assert predicted.shape == (len(X), task.n_outputs)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    if task.kind.has_classes or task.kind is TaskKind.CLUSTER:
        assert predicted.min() >= 0
        assert predicted.max() <= 1
    if task.kind is TaskKind.MULTICLASS:
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-12)
    if task.kind is TaskKind.CLUSTER:  # a row that belongs to none has 0 throughout
        total = predicted.sum(axis=1)
        np.testing.assert_allclose(total, np.round(total), atol=1e-12)
    return predicted


def _odd(X: Floats) -> Floats:
    """Return rows of missing, huge, tiny and never seen numbers."""
    odd = X[:12].copy()
    odd[0] = np.nan
    odd[1], odd[2] = 1e300, -1e300
    odd[3], odd[4] = 1e-320, -0.0
    odd[5, 3], odd[6, 3] = 77.0, -1.0
    return odd


def shapes(make: Make, task: Task) -> None:
    """Predictions have their shape and are finite; probabilities lie in 0..1 and sum to 1; no rows give no rows."""
    model, X = _fitted(make, task)
    _sound(model, X, task)
    assert model.predict(X[:0]).shape == (0, task.n_outputs)


def repeats(make: Make, task: Task) -> None:
    """The same seed gives the same bits."""
    assert same_bits(_fitted(make, task, seed=7)[0], _fitted(make, task, seed=7)[0])


def threads(make: Make, task: Task) -> None:
    """One thread and two give the same bits."""
    assert same_bits(_fitted(make, task, threads=1)[0], _fitted(make, task, threads=2)[0])


def rows(make: Make, task: Task) -> None:
    """The row path equals the batch path, on odd numbers too; bound to a row, alone or together, it gives equal bits."""
    model, X = _fitted(make, task)
    other = _fitted(make, task, seed=1)[0]
    own = np.zeros(X.shape[1])
    bound, both = model.bind(own), type(model).together([model, other])(own)
    for table in (X[:60], _odd(X)):
        predicted = model.predict(table)
        alone = np.array([model.predict_row(row) for row in table])
        np.testing.assert_allclose(alone, predicted, rtol=1e-12, atol=1e-12)
        for row, want in zip(table, alone.tolist(), strict=True):
            own[:] = row
            assert list(bound()) == want
            first, second = both()
            np.testing.assert_allclose(first, want, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(second, other.predict_row(row), rtol=1e-12, atol=1e-12)


def round_trip(make: Make, task: Task) -> None:
    """What is built from the state predicts the same bits, and has the same state."""
    model, X = _fitted(make, task)
    again = type(model).from_state(model.state())
    assert same_bits(model, again)
    assert again.n_iterations_ == model.n_iterations_
    table = np.concatenate([X, _odd(X)])
    assert model.predict(table).tobytes() == again.predict(table).tobytes()


def missing(make: Make, task: Task) -> None:
    """A column that is missing throughout can be trained on and predicted."""
    X, y = training(task)
    X[:, 2] = np.nan
    model = make().fit(X, y, FitContext(task, n_iterations=5))
    _sound(model, np.full_like(X[:3], np.nan), task)


def constant(make: Make, task: Task) -> None:
    """With constant columns alone a model gives about the mean or the shares; without a target the same for all."""
    _, y = training(task)
    X = np.ones((len(y), 2))
    predicted = _sound(make().fit(X, y, FitContext(task, n_iterations=5)), X, task)
    assert np.ptp(predicted, axis=0).max() == 0
    if not task.kind.needs_target:
        return
    several = task.kind is TaskKind.MULTICLASS
    want = np.bincount(y.astype(int)) / len(y) if several else np.array([y.mean()])
    np.testing.assert_allclose(predicted[0], want, rtol=1e-3)


def two_rows(make: Make, task: Task) -> None:
    """Two rows, of one class or of two, are enough for a sound model."""
    X, _ = training(task)
    for y in (np.array([0.0, 0.0]), np.array([0.0, 1.0])):
        model = make().fit(X[:2], y, FitContext(task, n_iterations=3))
        predicted = _sound(model, X[:5], task)
        if y[1] == 0 and task.kind is TaskKind.BINARY:
            assert predicted.max() < 0.5


def unseen_class(make: Make, task: Task) -> None:
    """A class of the task that the rows lack gets next to no probability, with validation rows of it too."""
    X, y = training(task)
    kept = y != 1
    model = make().fit(X[kept], y[kept], FitContext(task, valid=(X, y)))
    assert _sound(model, X, task)[:, 1].max() < 1e-6


def stops(make: Make, task: Task) -> None:
    """A stop that says yes at once still leaves a sound model, quickly."""
    asked = []

    def stop() -> bool:
        asked.append(1)
        return True

    X, y = training(task)
    model = make().fit(X, y, FitContext(task, valid=(X, y), stop=stop))
    _sound(model, X, task)
    assert model.n_iterations_ <= 1
    assert len(asked) <= 3


def replays(make: Make, task: Task) -> None:
    """A fit that stopped early is given again, bit by bit, by its number of iterations."""
    X, y = training(task)
    valid = training(task, 120, seed=1)
    early = make().fit(X, y, FitContext(task, valid=valid, seed=5))
    again = make().fit(X, y, FitContext(task, n_iterations=early.n_iterations_, threads=2, seed=5))
    assert same_bits(early, again)


_OBJECTIVES = ("mae", "mape", "pinball", "poisson_deviance", "gamma_deviance", "tweedie_deviance", "rmse")


def objectives(make: Make, task: Task) -> None:
    """Every loss that the learner has gives a sound model that is better than the best constant, by weighted rows."""
    X, y = training(task, 120)
    y = np.exp((y - 100) / 20)
    weights = np.random.default_rng(3).uniform(0.5, 2.0, len(y))
    for name in _OBJECTIVES:
        asked = Task(task.kind, task.target, name, quantile=0.8 if name == "pinball" else None)
        if not type(make()).fits(asked):
            continue
        context = FitContext(asked, n_iterations=20, weights=weights)
        model = make().fit(X, y, context)
        again = type(model).from_state(model.state())
        predicted = _sound(again, X, asked)
        assert predicted.tobytes() == model.predict(X).tobytes()
        alone = np.array([again.predict_row(row) for row in X[:20]])
        np.testing.assert_allclose(alone, predicted[:20], rtol=1e-12)
        constant, metric = Dummy().fit(X, y, context).predict(X), of(asked)
        assert metric.gain(y, predicted, weights) >= metric.gain(y, constant, weights), name


def weighs(make: Make, task: Task) -> None:
    """Where columns say nothing, the weighted mean or the weighted shares are predicted."""
    _, y = training(task)
    heavy = y == y[0] if task.kind.has_classes else y > np.median(y)
    weights = np.where(heavy, 4.0, 1.0)
    flat = np.ones((len(y), 2))
    predicted = make().fit(flat, y, FitContext(task, n_iterations=20, weights=weights)).predict(flat)
    shares = np.bincount(y.astype(int), weights) if task.kind.has_classes else np.zeros(1)
    if task.kind is TaskKind.REGRESSION:
        want = np.array([np.average(y, weights=weights)])
    else:
        want = shares[-task.n_outputs :] / shares.sum()
    np.testing.assert_allclose(predicted[0], want, rtol=1e-3, atol=1e-6)


def refuses(make: Make, task: Task) -> None:
    """A state with a part missing, cut, of another type or out of range is refused with `BundleContentError`."""
    model, _ = _fitted(make, task)
    for what, bad in _broken(model.state()):
        try:
            type(model).from_state(bad)
        except BundleContentError:
            continue
        raise AssertionError(f"a state was let through: {what}")


def _broken(state: State) -> Iterator[tuple[str, State]]:
    for key in ("kind", "params", "n_columns", "n_outputs", "n_iterations"):
        yield f"no {key}", State({k: v for k, v in state.tree.items() if k != key}, state.arrays, state.blobs)
    changes = {
        "kind": "other",
        "params": {"unknown": 1},
        "n_columns": -1,
        "n_outputs": state.tree["n_outputs"] + 1,
        "n_iterations": "1",
    }
    for key, value in changes.items():
        yield f"{key} = {value}", State({**state.tree, key: value}, state.arrays, state.blobs)
    for name, array in state.arrays.items():
        for what, other in _broken_arrays(array):
            yield f"{name}: {what}", State(state.tree, {**state.arrays, name: other}, state.blobs)
        yield (
            f"no {name}",
            State(state.tree, {k: v for k, v in state.arrays.items() if k != name}, state.blobs),
        )
    for name, blob in state.blobs.items():
        for what, other in (
            ("empty", b""),
            ("half", blob[: len(blob) // 2]),
            ("tail", blob + b"\n"),
            ("not text", b"\xff" + blob),
        ):
            yield f"{name}: {what}", State(state.tree, state.arrays, {**state.blobs, name: other})
        yield f"no {name}", State(state.tree, state.arrays)


def _broken_arrays(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "other type", array.astype(np.int16)
    yield "one axis more", array[None]
    yield "one row less", array[:-1]
    if array.dtype.kind == "f":
        other = array.copy()
        other.flat[0] = np.nan
        yield "NaN", other
    else:
        for value in (-1, np.iinfo(array.dtype).max):
            other = array.copy()
            other.flat[0] = value
            yield f"holds {value}", other


def slim(make: Make, task: Task) -> None:
    """Loading and predicting in a fresh process imports no training package."""
    model, X = _fitted(make, task)
    state = model.state()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "tree.json").write_bytes(canonical_json(state.tree))
        np.savez(path / "arrays.npz", rows=X[:5], **state.arrays)  # pyrefly: ignore
        for name, blob in state.blobs.items():
            (path / f"blob.{name}").write_bytes(blob)
        code = (
            "import json, pathlib, sys, numpy as np\n"
            "from mlwright.bundle.state import State\n"
            "from mlwright.core.kinds import MODELS, load\n"
            "folder = pathlib.Path(sys.argv[1])\n"
            "arrays = dict(np.load(folder / 'arrays.npz', allow_pickle=False))\n"
            "rows = arrays.pop('rows')\n"
            "tree = json.loads((folder / 'tree.json').read_text())\n"
            "blobs = {p.name[5:]: p.read_bytes() for p in folder.glob('blob.*')}\n"
            "model = load(MODELS, tree['kind'], family='model').from_state(State(tree, arrays, blobs))\n"
            "print(json.dumps([model.predict(rows).tolist(), model.predict_row(rows[0]),\n"
            f"    [m for m in {_HEAVY!r} if m in sys.modules]]))\n"
        )
        done = subprocess.run(  # noqa: S603  our own interpreter and our own code
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=False, timeout=120
        )
    assert done.returncode == 0, done.stderr
    predicted, row, loaded = msgspec.json.decode(done.stdout)
    assert loaded == [], f"imports {loaded}"
    assert predicted == model.predict(X[:5]).tolist()
    assert row == list(model.predict_row(X[0]))


CHECKS: tuple[Callable[[Make, Task], None], ...] = (
    shapes,
    repeats,
    threads,
    rows,
    round_trip,
    missing,
    constant,
    two_rows,
    unseen_class,
    stops,
    replays,
    objectives,
    weighs,
    refuses,
    slim,
)


_ONLY = {
    "objectives": (TaskKind.REGRESSION,),
    "weighs": (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION),
    "unseen_class": (TaskKind.MULTICLASS,),
    "slim": (TaskKind.BINARY, TaskKind.ANOMALY, TaskKind.CLUSTER),
}


def cases() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield ``(id, check)`` for each member, check and task; ids as ``member:check:task``."""
    for kind in kinds.MODELS:
        learner = kinds.load(kinds.MODELS, kind, family="model")
        make, tasks = partial(learner, **PARAMS[kind]), [task for task in TASKS if learner.fits(task)]
        for check in CHECKS:
            for task in [task for task in tasks if task.kind in _ONLY.get(check.__name__, TaskKind)]:
                yield f"{kind}:{check.__name__}:{task.kind}", partial(check, make, task)
