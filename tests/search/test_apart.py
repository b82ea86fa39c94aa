"""A fit in a process of its own has the same bits, and its death is a failed trial of a run that goes on."""

import functools
import json
import os
import signal

import numpy as np
import pytest
from test_study import plan_of, study_data

from mlwright.core.clock import Deadline
from mlwright.core.errors import MlwrightError
from mlwright.execution import Local
from mlwright.models.base import FitContext
from mlwright.models.lightgbm import LightGBM
from mlwright.search import Journal, Trial, TrialResult, memory, run_study
from mlwright.search.apart import FitError, fit_apart
from mlwright.search.fitter import Fitter

PARAMS = {"learning_rate": 0.1, "num_leaves": 7, "feature_fraction": 0.7}


def context_of(data, valid=None, **more):
    weights = np.random.default_rng(0).random(len(data.y)) + 0.5
    return FitContext(data.task, (2,), valid=valid, weights=weights, seed=3, **more)


def matrix_of(data):
    codes = data.columns["c"].codes.astype(float)
    return np.column_stack([data.columns["a"], data.columns["b"], codes])


def test_a_fit_apart_has_the_bits_of_one_that_is_made_here():
    data = study_data(n=300)
    X = matrix_of(data)
    valid = X[:80], data.y[:80]
    apart = fit_apart("lightgbm", PARAMS, X, data.y, context_of(data, valid, valid_weights=np.ones(80)))
    here = LightGBM(**PARAMS).fit(X, data.y, context_of(data, valid, valid_weights=np.ones(80)))
    np.testing.assert_array_equal(apart.predict(X), here.predict(X))
    assert apart.state().blobs == here.state().blobs
    assert apart.n_iterations_ == here.n_iterations_
    assert list(apart.curve_) == [tuple(point) for point in here.curve_]


def test_what_a_learner_cannot_fit_is_told():
    data = study_data(n=60)
    with pytest.raises(FitError, match="Error: "):
        fit_apart("lightgbm", PARAMS, matrix_of(data)[:, :1], data.y[:7], context_of(data, n_iterations=3))


def killed(monkeypatch, *numbers):
    """Have the fits of these trials made apart, and killed as soon as they have started."""
    deadly = functools.partial(fit_apart, started=lambda pid: os.kill(pid, signal.SIGKILL))
    monkeypatch.setattr("mlwright.search.fitter.fit_apart", deadly)
    monkeypatch.setattr("mlwright.search.fitter.goes_apart", lambda _, trial: trial.number in numbers)


def test_a_fit_that_is_killed_is_a_failed_trial_and_the_study_goes_on(tmp_path, monkeypatch):
    data, heard = study_data(n=200), []
    plain = run_study(data, Deadline(np.inf), most_trials=5, executor=Local(2))
    killed(monkeypatch, 2)
    journal = Journal(tmp_path / "study.jsonl", "key")
    study = run_study(
        data, Deadline(np.inf), most_trials=5, journal=journal, executor=Local(2), listener=heard.append
    )
    journal.close()
    failed = study.results[2]
    assert "signal 9" in failed.told["failed"]
    assert (failed.complete, failed.fold_scores, study.weights[2]) == (False, (), 0.0)
    assert np.isnan(failed.predicted).all()
    assert [r.trial.model for r in study.results] == [r.trial.model for r in plain.results]
    assert all(r.complete for r in study.results if r is not failed)
    assert any("trial 2 (lightgbm) failed" in event.message for event in heard)
    assert "signal 9" in study.notes[0]
    journal = Journal(tmp_path / "study.jsonl", "key")
    assert "signal 9" in journal.results[2].told["failed"]  # no second try where the run goes on
    journal.close()
    recorded = [
        TrialResult.from_json(json.loads(json.dumps(r.to_json()).replace("NaN", "null")))
        for r in study.results
    ]
    again = run_study(data, Deadline(np.inf), replay=recorded, choices=study.choices, executor=Local(1))
    assert plan_of(again) == plan_of(study)
    new = study_data(n=50, seed=1).columns
    one, two = (s.ensemble.predict({v: p.batch(new) for v, p in s.plans.items()}) for s in (study, again))
    np.testing.assert_array_equal(one, two)


def test_a_refit_that_fails_leaves_its_trial_out_and_replays_so(monkeypatch):
    data = study_data(n=200)
    refit = Fitter.refit

    def failing(self, chosen, **options):
        if any(result.trial.number == 2 for result, _ in chosen):
            raise FitError("memory ran out", 2)
        return refit(self, chosen, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "refit", failing)
        study = run_study(data, Deadline(np.inf), most_trials=3, executor=Local(2))
    assert study.results[2].told["failed"] == "fitted on all rows, memory ran out"
    assert study.weights[2] == 0.0
    assert sum(study.weights.values()) == pytest.approx(1.0)
    again = run_study(data, Deadline(np.inf), replay=study.results, choices=study.choices, executor=Local(2))
    assert plan_of(again) == plan_of(study)


def test_a_learner_that_raises_is_a_failed_trial_but_a_fault_of_the_call_is_raised(monkeypatch):
    data = study_data(n=200)
    for error, told in ((ValueError("odd\ntable"), "ValueError: odd"), (MemoryError(), "memory ran out")):

        def fit(*_, error=error):
            raise error

        monkeypatch.setattr(LightGBM, "fit", fit)
        result = Fitter(data, Local(2)).trial(Trial(2, "lightgbm", "native"), Deadline(np.inf))
        assert result.told["failed"] == told

    def refuse(*_):
        raise MlwrightError("no such thing")

    monkeypatch.setattr(LightGBM, "fit", refuse)
    with pytest.raises(MlwrightError, match="no such thing"):
        Fitter(data, Local(2)).trial(Trial(2, "lightgbm", "native"), Deadline(np.inf))


def test_only_fits_that_may_take_much_of_the_memory_go_apart(monkeypatch):
    data = study_data(n=300)
    trial = Trial(2, "catboost", "native")
    needed = memory.fit_bytes(data, trial)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * needed)
    assert memory.goes_apart(data, trial)
    assert not memory.goes_apart(data, Trial(0, "dummy", "linear"))
    assert memory.fits_into_memory(data, trial)
    monkeypatch.setattr(memory, "available_bytes", lambda: 5 * needed)
    assert not memory.goes_apart(data, trial)
