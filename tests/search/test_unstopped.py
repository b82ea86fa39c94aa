"""Unstopped: predictions out of fold that are not too sure hold new rows as often as the sets made of them say."""

import numpy as np

from mlwright.core.clock import Deadline
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.execution import Local
from mlwright.search import StudyData, Trial, run_study
from mlwright.search.conform import conform
from mlwright.search.fitter import Fitter
from mlwright.search.unstopped import affordable, reserve, unstopped

N_FOLDS, N_COLUMNS = 8, 5
TASK = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
SCHEMA = Schema(tuple(Column(f"x{i}", Kind.NUMERIC) for i in range(N_COLUMNS)))
BOOSTED = Trial(2, "lightgbm", "native", {"learning_rate": 0.2, "min_data_in_leaf": 5})


def rows(random, n):
    """Return columns and classes that one of the columns says little of."""
    x = random.normal(size=(n, N_COLUMNS))
    y = np.digitize(x[:, 0] + 1.5 * random.logistic(size=n), [-1.0, 1.0]).astype(float)
    return {f"x{i}": x[:, i] for i in range(N_COLUMNS)}, y


def study_data(random, n, **options):
    columns, y = rows(random, n)
    parts = np.array_split(random.permutation(n), N_FOLDS)
    folds = [(np.setdiff1d(np.arange(n), part), np.sort(part)) for part in parts]
    return StudyData(columns, y, SCHEMA, TASK, folds, **options)


def held(data, predicted, model, columns, y):
    made = conform(data.y, predicted, data.task)
    ensemble, plans = model
    outputs = ensemble.predict({view: plan.batch(columns) for view, plan in plans.items()})
    return made.strict(outputs)[np.arange(len(y)), y.astype(int)].mean()


def test_sets_of_stopped_models_hold_too_little_and_of_unstopped_ones_enough():
    """Over five tables of 320 rows; the sets of a class of some hundred rows hold up to 1 % more than they say."""
    random = np.random.default_rng(0)
    stopped, even = [], []
    for _ in range(5):
        data = study_data(random, 320)
        fitter = Fitter(data, Local(1))
        result = fitter.trial(BOOSTED, Deadline(np.inf))
        model, new = fitter.refit([(result, 1.0)]), rows(random, 4000)
        stopped.append(held(data, result.predicted, model, *new))
        even.append(held(data, unstopped(fitter, [(result, 1.0)]), model, *new))
    error = np.std(even) / np.sqrt(len(even))
    assert np.mean(stopped) < 0.88
    assert 0.9 - 2.5 * error <= np.mean(even) <= 0.91 + 2.5 * error


def test_a_study_keeps_them_where_folds_are_small_and_replays_them():
    data = study_data(np.random.default_rng(1), 120)
    study = run_study(data, Deadline(60.0), most_trials=3, executor=Local(1))
    assert study.choices["unstopped"] == 1
    assert study.misses is study.unstopped
    assert np.isfinite(study.unstopped).all()
    again = run_study(data, Deadline(1e-9), replay=study.results, choices=study.choices, executor=Local(1))
    np.testing.assert_array_equal(again.unstopped, study.unstopped)
    without = run_study(data, Deadline(1e-9), replay=study.results, choices={}, executor=Local(1))
    assert without.misses is without.predicted


def test_where_folds_are_large_or_time_is_short_nothing_is_fitted_again():
    few, many = (study_data(np.random.default_rng(2), n) for n in (120, 3000))
    fitter = Fitter(few, Local(1))
    result = fitter.trial(BOOSTED, Deadline(np.inf))
    assert affordable(few, [(result, 1.0)], 60.0)
    assert not affordable(few, [(result, 1.0)], 0.0)
    assert not affordable(many, [(result, 1.0)], 60.0)
    linear = fitter.trial(Trial(1, "linear", "linear", {}), Deadline(np.inf))
    assert not affordable(few, [(linear, 1.0)], 60.0)
    np.testing.assert_array_equal(unstopped(fitter, [(linear, 1.0)]), linear.predicted)
    assert 0 < reserve(few, [result, linear], 1e6) == result.seconds
    assert reserve(few, [result], result.seconds) == 0.15 * result.seconds
    assert reserve(many, [result], 60.0) == 0.0
