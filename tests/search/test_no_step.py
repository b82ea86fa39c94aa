"""No step: a fit that the clock stops before it has learned anything counts as none; a baseline makes one step."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_study import study_data

from mlwright.core.clock import Deadline
from mlwright.data.schema import TaskKind
from mlwright.execution import Local
from mlwright.metrics import of
from mlwright.models.base import FitContext
from mlwright.models.mlp import MLP
from mlwright.search import TrialResult, run_study
from mlwright.search.apart import fit_apart, stop_by
from mlwright.search.conform import conform
from mlwright.search.fitter import Fitter
from mlwright.search.trial import Trial


@pytest.fixture(autouse=True)
def no_mercy(monkeypatch):
    """Baselines get no time beyond their deadline, as where reading the columns has taken it all."""
    monkeypatch.setattr("mlwright.search.fitter._BASELINE_SECONDS", (0.0, 0.0))


def test_the_first_question_is_answered_no_where_a_step_must_be_made():
    patient, strict = (stop_by(lambda: True, must_step=must) for must in (True, False))
    assert [patient() for _ in range(3)] == [False, True, True]
    assert strict()
    assert not stop_by(lambda: False, must_step=False)()


@pytest.mark.parametrize("model", ["linear", "kernel", "mlp"])
def test_a_trial_that_made_no_step_has_predicted_nothing(model):
    result = Fitter(study_data(n=200), Local(1)).trial(Trial(7, model, "linear"), Deadline(0.0))
    assert result.told["failed"] == "its time was over before its first step"
    assert (result.complete, result.n_iterations, result.fold_scores) == (False, (), ())
    assert np.isnan(result.predicted).all()


def test_one_fold_without_a_step_is_enough(monkeypatch):
    fitter, real = Fitter(study_data(n=200), Local(1)), Fitter._fold

    def late(self, trial, index, deadline, waves_left, iterations):
        return real(self, trial, index, Deadline(0.0) if index == 2 else deadline, waves_left, iterations)

    monkeypatch.setattr(Fitter, "_fold", late)
    result = fitter.trial(Trial(7, "linear", "linear"), Deadline(60.0))
    assert not result.complete
    assert np.isnan(result.predicted).all()


def of_a_number(metric):
    """A table whose target is nearly linear; with these metrics the fit has steps to be asked between."""
    data = study_data(TaskKind.REGRESSION, n=200, n_folds=2)
    y = np.exp(data.columns["a"] / 2) if metric == "poisson_deviance" else data.columns["a"] * 2
    y = y * np.random.default_rng(9).uniform(0.9, 1.1, len(y))
    return replace(data, y=y, task=replace(data.task, metric=metric))


@pytest.mark.parametrize(
    "data",
    [
        study_data(TaskKind.BINARY, n=200, n_folds=2),
        study_data(TaskKind.MULTICLASS, n=200, n_folds=2),
        of_a_number("rmse"),
        of_a_number("mae"),
        of_a_number("poisson_deviance"),
    ],
    ids=lambda data: data.task.metric,
)
def test_a_baseline_makes_at_least_one_step(data):
    fitter, metric = Fitter(data, Local(2)), of(data.task)
    dummy, linear = (
        fitter.trial(Trial(i, m, "linear"), Deadline(0.0)) for i, m in enumerate(("dummy", "linear"))
    )
    assert linear.complete
    assert min(linear.n_iterations) >= 1
    assert linear.gain(metric) > dummy.gain(metric)


def test_what_nothing_can_be_learned_from_is_no_fit_without_a_step():
    data = study_data(n=200)
    data.y[:] = 0.0  # one class: the best constant at once, in whatever time
    result = Fitter(data, Local(1)).trial(Trial(7, "linear", "linear"), Deadline(60.0))
    assert result.complete
    assert set(result.n_iterations) == {0}


def test_a_replay_makes_what_an_older_run_recorded():
    again = Fitter(study_data(n=200), Local(1)).trial(Trial(7, "linear", "linear"), Deadline(0.0), (0, 0, 0))
    assert again.complete
    assert np.isfinite(again.predicted).all()


def test_without_time_the_sets_hold_new_rows_as_often_as_they_say():
    held = []
    for seed in range(6):
        data = study_data(n=600, seed=2 * seed)
        study = run_study(data, Deadline(0.0), executor=Local(1))
        assert [r.trial.model for r in study.results if r.complete] == ["dummy", "linear"]
        new = study_data(n=2000, seed=2 * seed + 1)
        made = conform(data.y, study.misses, data.task)
        plans = {view: plan.batch(new.columns) for view, plan in study.plans.items()}
        sets = made.members(study.ensemble.predict(plans))
        held.append(sets[np.arange(len(new.y)), new.y.astype(int)].mean())
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_a_study_with_such_a_trial_replays_to_the_same_bits(monkeypatch):
    data, real = study_data(n=200), Fitter.trial

    def stopped(self, trial, deadline, iterations=None, **options):
        deadline = Deadline(0.0) if trial.model == "mlp" and iterations is None else deadline
        return real(self, trial, deadline, iterations, **options)

    monkeypatch.setattr(Fitter, "trial", stopped)
    study = run_study(data, Deadline(np.inf), most_trials=5, executor=Local(2))
    failed = next(r for r in study.results if r.trial.model == "mlp")
    assert study.weights[failed.trial.number] == 0.0
    assert any("before its first step" in note for note in study.notes)
    recorded = [
        TrialResult.from_json(json.loads(json.dumps(r.to_json()).replace("NaN", "null")))
        for r in study.results
    ]
    again = run_study(data, Deadline(np.inf), replay=recorded, choices=study.choices, executor=Local(2))
    assert json.dumps([r.to_json() for r in again.results]) == json.dumps(
        [r.to_json() for r in study.results]
    )
    assert again.weights == study.weights


def test_a_fit_in_a_process_of_its_own_steps_where_it_must(monkeypatch):
    monkeypatch.setattr("mlwright.search.apart._GRACE", 300.0)  # a busy machine may be long in starting it
    data = study_data(n=100)
    X = np.column_stack([data.columns["a"], data.columns["b"]])
    context = FitContext(data.task)
    steps = [
        fit_apart("linear", {}, X, data.y, context, left=0.0, must_step=must).n_iterations_
        for must in (True, False)
    ]
    assert steps[0] >= 1
    assert steps[1] == 0


def test_a_trial_that_gives_up_before_its_first_step_has_predicted_nothing(monkeypatch):
    def fit(self, X, y, context):
        assert not context.over_within(1.0)
        assert context.over_within(1e9)
        self.n_iterations_ = 0
        return self

    monkeypatch.setattr(MLP, "fit", fit)
    result = Fitter(study_data(n=200), Local(1)).trial(Trial(7, "mlp", "linear"), Deadline(600.0))
    assert result.told["failed"] == "its time was over before its first step"
