"""A study keeps its time, goes on after a kill, replays to the same bits, and blends what helps."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info

from mlwright.core.clock import Deadline
from mlwright.core.errors import StoreError
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.data.values import Coded, take
from mlwright.execution import Local
from mlwright.metrics import get
from mlwright.models.base import FitContext
from mlwright.models.catboost import CatBoost
from mlwright.models.lightgbm import LightGBM
from mlwright.models.linear import Linear
from mlwright.models.mlp import MLP
from mlwright.search import (
    Journal,
    StudyData,
    Trial,
    TrialResult,
    memory,
    run_study,
)
from mlwright.search import study as study_module
from mlwright.search.blend import blend
from mlwright.search.costs import After, Costs, iterations_to_refit
from mlwright.search.fitter import Fitter
from mlwright.search.parameter_importance import parameter_importance
from mlwright.search.portfolio import BASELINES, CANDIDATES, portfolio
from mlwright.search.proposer import SPACES


def study_data(kind=TaskKind.BINARY, n=400, seed=0, n_folds=3):
    """A table whose target depends on a number, on its square and on a category."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=n), draw.normal(size=n)
    levels = ["red", "green", "blue", "grey"]
    c = draw.integers(0, 4, n).astype(np.int32)
    signal_ = a + b**2 - 1 + np.array([1.0, 0.0, -1.0, 0.5])[c]
    noisy = signal_ + draw.normal(scale=0.5, size=n)
    if kind is TaskKind.BINARY:
        y, labels, metric = (noisy > 0).astype(float), ("No", "Yes"), "roc_auc"
    elif kind is TaskKind.MULTICLASS:
        y, labels, metric = np.digitize(noisy, [-1.0, 1.0]).astype(float), ("low", "mid", "high"), "log_loss"
    else:
        y, labels, metric = np.exp(noisy), (), "rmse"
    schema = Schema(
        (
            Column("a", Kind.NUMERIC),
            Column("b", Kind.NUMERIC),
            Column("c", Kind.CATEGORICAL, levels=tuple(levels)),
        )
    )
    parts = np.array_split(draw.permutation(n), n_folds)
    folds = [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(parts[i])) for i in range(n_folds)]
    columns = {"a": a, "b": b, "c": Coded(c, levels)}
    return StudyData(columns, y, schema, Task(kind, "y", metric, labels), folds, seed)


def plan_of(study):
    """What decides a bundle's bytes, as one comparable value."""
    trials = [{k: v for k, v in result.to_json().items() if k != "told"} for result in study.results]
    return json.dumps(trials), study.weights


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION])
def test_the_blend_beats_both_baselines_on_new_rows(kind):
    data = study_data(kind)
    study = run_study(data, Deadline(60.0), most_trials=10, executor=Local(2))
    new = study_data(kind, n=2000, seed=1)
    predicted = study.ensemble.predict({view: plan.batch(new.columns) for view, plan in study.plans.items()})
    assert predicted.shape == (2000, data.task.n_outputs)
    matrices = {view: plan.batch(new.columns) for view, plan in study.baseline_plans.items()}
    if kind is TaskKind.BINARY:
        ours = roc_auc_score(new.y, predicted[:, 0])
        assert ours > 0.9
        assert ours > roc_auc_score(new.y, study.baselines["linear"].predict(matrices)[:, 0]) + 0.05
        assert roc_auc_score(new.y, study.baselines["dummy"].predict(matrices)[:, 0]) == 0.5
    elif kind is TaskKind.MULTICLASS:
        right = (predicted.argmax(axis=1) == new.y).mean()
        assert right > (study.baselines["linear"].predict(matrices).argmax(axis=1) == new.y).mean() + 0.05
        np.testing.assert_allclose(predicted.sum(axis=1), 1.0)
    else:

        def error(values):
            return np.sqrt(np.mean((values[:, 0] - new.y) ** 2))

        assert error(predicted) < error(study.baselines["linear"].predict(matrices))
        assert any(result.trial.link == "log" for result in study.results)
    assert set(study.baselines) == set(BASELINES)
    assert sum(study.weights.values()) == pytest.approx(1.0)
    assert not np.isnan(study.predicted).any()


def test_a_replay_gives_the_same_bits_without_the_clock():
    data = study_data(n=300)
    study = run_study(data, Deadline(6.0), most_trials=18, executor=Local(2))
    recorded = [TrialResult.from_json(json.loads(json.dumps(result.to_json()))) for result in study.results]
    again = run_study(data, Deadline(1e-9), replay=recorded, choices=study.choices, executor=Local(1))
    assert plan_of(again) == plan_of(study)
    assert [r.told for r in again.results] == [r.told for r in study.results]
    assert again.choices == study.choices
    for ours, theirs in zip(study.ensemble.states(), again.ensemble.states(), strict=True):
        assert ours.tree == theirs.tree
        assert ours.blobs == theirs.blobs
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, array in ours.arrays.items():
            np.testing.assert_array_equal(array, theirs.arrays[name])


def test_with_no_time_at_all_the_baselines_are_fitted():
    study = run_study(study_data(n=100), Deadline(0.0), executor=Local(1))
    assert {result.trial.model for result in study.results} == set(BASELINES)
    assert study.weights[1] == 1.0  # the linear model, not the dummy


def test_a_fit_that_is_stopped_by_the_clock_replays_to_the_same_bits():
    data = study_data(n=2000)
    study = run_study(data, Deadline(1.2), executor=Local(2))
    again = run_study(data, Deadline(np.inf), replay=study.results, choices=study.choices, executor=Local(2))
    assert plan_of(again) == plan_of(study)


def test_the_journal_gives_finished_trials_to_the_next_process(tmp_path):
    data = study_data(n=200)
    path = tmp_path / "study.jsonl"
    journal = Journal(path, "key")
    first = run_study(data, Deadline(600.0), most_trials=6, journal=journal, executor=Local(2))
    name = journal.study
    journal.close()
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:4]) + whole[4][:50])  # a kill while the fourth trial was written
    journal = Journal(path, "key")
    assert journal.study == name
    assert [result.trial.number for result in journal.results] == [0, 1, 2]
    heard = []
    second = run_study(
        data, Deadline(600.0), most_trials=6, journal=journal, executor=Local(2), listener=heard.append
    )
    journal.close()
    assert plan_of(second) == plan_of(first)
    np.testing.assert_array_equal(second.predicted, first.predicted)


def test_a_search_that_had_ended_gets_no_further_trials(tmp_path):
    data = study_data(n=100)
    journal = Journal(tmp_path / "study.jsonl", "key")
    first = run_study(data, Deadline(0.0), journal=journal, executor=Local(1))
    journal.close()
    journal = Journal(tmp_path / "study.jsonl", "key")
    again = run_study(data, Deadline(20.0), journal=journal, executor=Local(1))
    journal.close()
    assert plan_of(again) == plan_of(first)
    assert again.choices == first.choices


def test_a_study_is_run_by_one_process(tmp_path):
    journal = Journal(tmp_path / "study.jsonl", "key")
    with pytest.raises(StoreError, match="another process"):
        Journal(tmp_path / "study.jsonl", "key")
    journal.close()
    with pytest.raises(StoreError, match="another study"):
        Journal(tmp_path / "study.jsonl", "other key")


def test_a_killed_process_leaves_a_journal_that_can_be_read(tmp_path):
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import numpy as np
        from mlwright.search import Journal, Trial, TrialResult
        journal = Journal(Path(sys.argv[1]), "key")
        for number in range(10**6):
            trial = Trial(number, "dummy", "native")
            journal.add(TrialResult(trial, 0.5, (0.5,), (1,), 0.1, np.full((5000, 1), number, dtype=float)))
            if number == 3:
                print("go", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "j.jsonl")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "go\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    journal = Journal(tmp_path / "j.jsonl", "key")
    assert len(journal.results) >= 4
    for number, result in enumerate(journal.results):
        assert result.trial == Trial(number, "dummy", "native")
        assert (result.predicted == number).all()
    journal.finish("done")
    assert not (tmp_path / "j.jsonl").exists()


def test_rows_that_no_fold_validates_are_left_out_of_the_blend():
    data = study_data(n=300)
    windows = [(np.arange(100), np.arange(100, 200)), (np.arange(200), np.arange(200, 300))]
    study = run_study(
        StudyData(data.columns, data.y, data.schema, data.task, windows), Deadline(30.0), most_trials=5
    )
    assert np.isnan(study.predicted[:100]).all()
    assert not np.isnan(study.predicted[100:]).any()


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION])
def test_few_rows_get_no_configuration_that_cannot_split_them(kind):
    data = study_data(kind)
    few, some, many = (portfolio(data.task, data.schema, study_data(kind, n=n).y) for n in (20, 60, 1000))
    assert "lightgbm" not in {trial.model for trial in few}
    assert {t.params["min_data_in_leaf"] for t in some if t.model == "lightgbm"} == {5, 10}
    assert max(trial.params.get("depth", 0) for trial in some) == 6
    assert len(many) > len(some) > len(few)
    assert any(trial.params.get("depth", 0) == 8 for trial in many)


def test_every_portfolio_starts_with_the_baselines_and_numbers_its_trials():
    for kind in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION):
        data = study_data(kind)
        trials = portfolio(data.task, data.schema, data.y)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        assert tuple(trial.model for trial in trials[:2]) == BASELINES


def test_blas_has_one_thread_through_the_whole_study():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    class Watching(Local):
        seen: ClassVar[list] = []

        def map(self, function, items):
            def watched(item):
                result = function(item)
                self.seen.append(max(threads()))
                return result

            return super().map(watched, items)

    before = threads()
    run_study(study_data(n=200), Deadline(30.0), most_trials=3, executor=Watching(2))
    assert set(Watching.seen) == {1}
    assert threads() == before


def test_a_refit_takes_no_more_iterations_than_its_folds_and_is_made_once():
    data = study_data(TaskKind.MULTICLASS, n=300)
    study = run_study(data, Deadline(0.0), executor=Local(1))
    trial = study.results[1]
    (member,) = study.ensemble.members
    assert member.model.kind == trial.trial.model == "linear"
    assert 0 < member.model.n_iterations_ <= max(trial.n_iterations)
    assert study.baselines["linear"].members[0].model is member.model


def test_time_for_the_refit_is_kept_as_the_folds_say():
    data = study_data(n=400, n_folds=4)
    costs = Costs(400, 400, data.folds, 2, After())
    results = [
        TrialResult(Trial(i, model, "native"), 0.5, (0.5,), (1,), seconds, np.zeros((400, 1)))
        for i, (model, seconds) in enumerate([("dummy", 1.05), ("linear", 2.1), ("lightgbm", 10.5)])
    ]
    # Two folds at a time of 300 rows: a second of all folds is 1/2 * 4/3 = 2/3 s of one thread on 400 rows.
    # The boosting takes 7 s, the baselines 0.7 + 1.4 s on the other thread; each further second costs 1/3 s of refit.
    assert costs.time_for_trials(100.0, results) == pytest.approx((100 - 7) * 3 / 4)
    assert costs.time_for_trials(5.0, results) < 0
    costs = Costs(400, 400, data.folds, 2, After(1_000, 50_000))
    for of, seconds in {"native": 1e-3, 0: 0.0, 1: 1e-3, 2: 2e-3}.items():
        costs.note_row(of, seconds)
    # 1,000 rows of 4 ms each, and importances that are cut off at 5 s instead of 200 s.
    assert costs.time_for_trials(100.0, results) == pytest.approx((100 - 7 - 4 - 5) * 3 / 4)


def test_what_is_looked_at_afterwards_is_cut_to_the_time_that_is_left():
    data = study_data(n=400, n_folds=4)
    result = TrialResult(Trial(2, "lightgbm", "native"), 0.5, (0.5,), (1,), 10.5, np.zeros((400, 1)))
    costs = Costs(400, 400, data.folds, 2, After(1_000, 1_000))
    costs.note_row("native", 1e-3)
    costs.note_row(2, 2e-3)
    # The refit takes 7 s, 1,000 rows 3 s, and 1,000 shuffled ones 3 s as well.
    assert costs.detail(100.0, [result], []) == 100
    assert costs.detail(7.0 + 3.0 + 1.6, [result], []) == 50  # 53 in whole steps
    assert costs.detail(0.0, [result], []) == 10
    # Two seeds are on two threads, and rows take 5 s; with a baseline beside them, each thread has 1.4 s more.
    linear = replace(result, trial=Trial(1, "linear", "native"), seconds=4.2)
    assert costs.detail(7.0 + 5.0 + 2.65, [result], [], n_seeds=2) == 50
    assert costs.detail(7.0 + 1.4 + 5.0 + 2.65, [result], [linear], n_seeds=2) == 50


def test_refits_are_side_by_side_unless_one_has_all_threads():
    data = study_data(n=400, n_folds=4)
    costs = Costs(400, 400, data.folds, 2, After())
    assert costs.refitting([3.0, 2.0, 1.0], 2) == 3.0
    assert costs.refitting([3.0, 4.0, 1.0], 1) == 4.0
    assert costs.refitting([], 0) == 0.0
    costs = Costs(100_000, 100_000, data.folds, 2, After())
    assert costs.refitting([8.0, 1.0], 1) == 9.0
    assert costs.refitting([8.0, 1.0], 2) == 8.0


def test_a_baseline_in_the_blend_is_reckoned_up_once():
    data = study_data(n=400, n_folds=4)
    costs = Costs(400, 400, data.folds, 2, After())
    results = [
        TrialResult(Trial(i, model, "native"), 0.5, (0.5,), (1,), seconds, np.zeros((400, 1)))
        for i, (model, seconds) in enumerate([("dummy", 0.0), ("linear", 10.5), ("lightgbm", 10.5)])
    ]
    # Each takes 7 s of a thread: side by side, 7 s.
    assert costs.fits(7.1, results, results[1:])
    assert not costs.fits(6.9, results, results[1:])
    assert costs.fits(7.1, results, results[2:])


def test_baselines_are_refitted_beside_the_blend_and_are_those_of_a_refit_alone():
    data = study_data(n=300)
    study = run_study(data, Deadline(30.0), most_trials=3, executor=Local(2))
    fitter = Fitter(data, Local(2))
    fitter.use_folds(len(data.folds))
    linear, boosted = study.results[1], study.results[2]
    fitter.refit([(boosted, 1.0)], beside=[linear])
    fitted = []
    fitter._fitted = lambda trial, *_, **__: fitted.append(trial)  # nothing is fitted twice
    (member,) = fitter.refit([(linear, 1.0)])[0].members
    assert not fitted
    (alone,) = Fitter(data, Local(1)).refit([(linear, 1.0)])[0].members
    assert json.dumps(member.model.state().tree) == json.dumps(alone.model.state().tree)
    for name, values in alone.model.state().arrays.items():
        np.testing.assert_array_equal(member.model.state().arrays[name], values)


def test_a_score_without_meaning_survives_the_journal(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", "key")
    journal.add(
        TrialResult(Trial(0, "dummy", "native"), np.nan, (np.nan, 0.5), (1, 1), 0.1, np.zeros((4, 1)))
    )
    journal.close()
    journal = Journal(tmp_path / "j.jsonl", "key")
    (result,) = journal.results
    journal.close()
    np.testing.assert_equal((result.score, *result.fold_scores), (np.nan, np.nan, 0.5))


def test_a_class_that_no_fold_could_fit_still_gives_a_study():
    data = study_data(TaskKind.MULTICLASS, n=240)
    y = np.where(data.y == 2, 0.0, data.y)
    y[:2] = 2.0
    folds = [(np.arange(2, 240), np.arange(2)), (np.arange(120), np.arange(120, 240))]
    rare = StudyData(data.columns, y, data.schema, data.task, folds)
    study = run_study(rare, Deadline(60.0), most_trials=5, executor=Local(2))
    assert len({result.trial.model for result in study.results}) >= 4
    assert all(np.isfinite(result.score) for result in study.results)
    assert np.isfinite(study.predicted[120:]).all()
    np.testing.assert_allclose(study.predicted[120:].sum(axis=1), 1.0)


def test_the_number_of_workers_changes_no_prediction():
    data = study_data(n=400)
    new = study_data(n=200, seed=1).columns
    predicted = []
    for workers in (1, 3):
        study = run_study(data, Deadline(np.inf), most_trials=8, executor=Local(workers))
        plans = {view: plan.batch(new) for view, plan in study.plans.items()}
        predicted.append(study.ensemble.predict(plans))
    np.testing.assert_allclose(predicted[0], predicted[1], rtol=0, atol=1e-9)


def test_proposals_come_after_the_portfolio_and_lie_around_its_best():
    data = study_data(n=120, n_folds=2)
    n_planned = len(portfolio(data.task, data.schema, data.y))
    study = run_study(data, Deadline(np.inf), most_trials=n_planned + 6, executor=Local(2))
    proposed = [result.trial for result in study.results if result.trial.number >= n_planned]
    assert len(proposed) == 6
    known = [json.dumps(r.trial.params, sort_keys=True) for r in study.results[:n_planned]]
    for trial in proposed:
        assert json.dumps(trial.params, sort_keys=True) not in known
        for name, allowed in SPACES[trial.model].items():
            assert allowed.low <= trial.params[name] <= allowed.high
    again = run_study(data, Deadline(np.inf), most_trials=n_planned + 6, executor=Local(2))
    assert plan_of(again) == plan_of(study)


def test_a_hopeless_trial_is_given_up_after_its_first_folds_and_never_blended():
    data = study_data(n=400, n_folds=6)
    fitter = Fitter(data, Local(2))
    result = fitter.trial(Trial(7, "dummy", "linear"), Deadline(10.0), hopeless=0.9)
    assert not result.complete
    assert len(result.fold_scores) == 2
    assert np.isnan(result.predicted[data.folds[2][1]]).all()
    good = [fitter.trial(Trial(i, *rest), Deadline(10.0)) for i, rest in enumerate(GOOD)]
    assert blend(data, [*good, result], get("roc_auc"))[7] == 0.0
    again = fitter.trial(result.trial, Deadline(np.inf), result.n_iterations)
    np.testing.assert_array_equal(again.predicted, result.predicted)


GOOD = (("dummy", "linear"), ("linear", "linear"), ("lightgbm", "native", {"num_leaves": 4}))


@pytest.mark.parametrize("dear", [True, False])
def test_a_manner_of_boosting_that_fell_behind_is_not_tried_again_where_that_takes_long(monkeypatch, dear):
    names = ("dummy", "linear", "lightgbm", "lightgbm_extra_large", "lightgbm_extra", "lightgbm_large")
    planned = [
        Trial(number, each.model, each.view, dict(each.params), each.link)
        for number, each in enumerate(CANDIDATES[name] for name in names)
    ]
    monkeypatch.setattr(study_module, "portfolio", lambda *_: planned)
    if dear:
        monkeypatch.setattr(study_module, "_DEAR", -1.0)
    data = study_data(TaskKind.REGRESSION, n=900)
    a, b = data.columns["a"], data.columns["b"]
    # Splits drawn at random miss the edges.
    steps = replace(data, y=5.0 * ((a > 0.4) & (a < 0.6)) + 5.0 * ((b > 0.1) & (b < 0.3)))
    notes: list[str] = []

    def listen(event):
        notes.append(event.message)

    study = run_study(steps, Deadline(600.0), most_trials=6, executor=Local(2), listener=listen)
    tried = [result.trial.number for result in study.results][:6]
    assert tried == ([0, 1, 2, 3, 5, 6] if dear else [0, 1, 2, 3, 4, 5])
    assert any("trial 4 (lightgbm) left out: its like fell behind" in note for note in notes) is dear


def test_a_bag_is_the_mean_of_the_folds_models():
    data = study_data(n=300)
    bag = StudyData(data.columns, data.y, data.schema, data.task, data.folds, quality="bag")
    study = run_study(bag, Deadline(np.inf), most_trials=4, executor=Local(2))
    chosen = [number for number, weight in study.weights.items() if weight > 0]
    assert len(study.ensemble.members) == len(chosen) * len(data.folds)
    valid = data.folds[0][1]
    first = {view: plan for view, plan in study.plans.items() if view.endswith(".0")}
    matrices = {view: plan.batch(take(data.columns, valid)) for view, plan in first.items()}
    expected = sum(
        study.weights[number] * member.model.predict(matrices[member.view])
        for number, member in zip(chosen, study.ensemble.members[:: len(data.folds)], strict=True)
    )
    assert study.ensemble.calibration.before is None
    given = study.ensemble.calibration.apply(expected)
    np.testing.assert_allclose(study.predicted[valid], given, atol=1e-12)
    again = run_study(bag, Deadline(np.inf), replay=study.results, choices=study.choices, executor=Local(2))
    new = {view: plan.batch(data.columns) for view, plan in study.plans.items()}
    same = {view: plan.batch(data.columns) for view, plan in again.plans.items()}
    np.testing.assert_array_equal(study.ensemble.predict(new), again.ensemble.predict(same))


def test_weights_say_which_rows_a_study_learns_from():
    data = study_data(TaskKind.REGRESSION, n=400)
    y = np.where(np.arange(400) % 2, 5.0, -5.0)
    weights = np.where(np.arange(400) % 2, 1e-6, 1.0)
    weighed = StudyData(data.columns, y, data.schema, data.task, data.folds, weights=weights)
    study = run_study(weighed, Deadline(np.inf), most_trials=4, executor=Local(2))
    predicted = study.ensemble.predict({v: plan.batch(data.columns) for v, plan in study.plans.items()})
    np.testing.assert_allclose(predicted, -5.0, atol=0.2)


def test_numbers_of_smooth_learners_are_held_where_predictions_are():
    """Where later rows may go on beyond training, neither has bounds."""
    data = study_data(TaskKind.REGRESSION)
    for bounds, kind in (((0.0, 9.0), "winsorized_number"), (None, "scaled_number")):
        plan = Fitter(replace(data, bounds=bounds), Local(1)).matrices.plan("linear")
        assert [t.kind for t in plan.transforms if t.column == "a"] == [kind]


def test_a_long_table_is_searched_on_a_sample_and_refitted_on_more():
    data = study_data(n=2000)
    rows = np.arange(0, 2000, 4)
    long = StudyData(data.columns, data.y, data.schema, data.task, data.folds, rows=rows)
    study = run_study(long, Deadline(30.0), most_trials=4, executor=Local(2))
    assert not np.isnan(study.predicted[rows]).any()
    assert np.isnan(np.delete(study.predicted, rows, axis=0)).all()
    assert study.choices["refit_rows"] > len(rows)
    assert "sample of 500 of the 2,000 training rows" in study.notes[0]
    again = run_study(long, Deadline(np.inf), replay=study.results, choices=study.choices, executor=Local(2))
    for ours, theirs in zip(study.ensemble.states(), again.ensemble.states(), strict=True):
        assert ours.tree == theirs.tree


def test_further_seeds_share_a_members_weight():
    data = study_data(n=300)
    fitter = Fitter(data, Local(2))
    results = [fitter.trial(Trial(i, *rest), Deadline(10.0)) for i, rest in enumerate(GOOD[1:])]
    drawn = fitter.trial(Trial(5, "lightgbm", "native", {"feature_fraction": 0.5}), Deadline(10.0))
    ensemble, _ = fitter.refit([(results[0], 0.4), (drawn, 0.6)], n_seeds=3)
    assert [member.weight for member in ensemble.members] == pytest.approx([0.4, 0.2, 0.2, 0.2])
    states = [member.model.state() for member in ensemble.members[1:]]
    assert (
        len({bytes(json.dumps(sorted(s.blobs)), "utf-8") + b"".join(s.blobs.values()) for s in states}) == 3
    )


def test_a_trial_that_would_not_fit_into_memory_is_passed_over(monkeypatch):
    data = study_data(n=300)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    monkeypatch.setattr(
        "mlwright.search.fitter.goes_apart", lambda *_: False
    )  # for the baselines, to be quick
    heard = []
    study = run_study(data, Deadline(30.0), executor=Local(2), listener=heard.append)
    assert {result.trial.model for result in study.results} == set(BASELINES)
    assert any("would not fit into the memory" in event.message for event in heard)


def test_the_parameter_that_decides_is_found_to_be_important():
    draw = np.random.default_rng(0)
    results = []
    for number in range(60):
        params = {"learning_rate": draw.uniform(0.01, 0.2), "num_leaves": int(draw.integers(4, 100))}
        score = 0.8 - 10 * (params["learning_rate"] - 0.1) ** 2 + draw.normal() * 1e-4
        trial = Trial(number, "lightgbm", "native", params)
        results.append(TrialResult(trial, score, (score,), (10,), 1.0, np.zeros((1, 1))))
    shares = parameter_importance(results, get("roc_auc"))["lightgbm"]
    assert shares["learning_rate"] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)
    assert parameter_importance(results[:5], get("roc_auc")) == {}


def test_a_refit_grows_to_the_best_iteration_and_waits_for_no_better_one():
    data = study_data(n=400, n_folds=4)
    costs = Costs(400, 400, data.folds, 2, After())
    patient = TrialResult(
        Trial(2, "lightgbm", "native"),
        0.5,
        (0.5,) * 4,
        (100,) * 4,
        10.0,
        np.zeros((400, 1)),
        told={"fitting": 16.0, "grown": 800},
    )
    # A fold takes 4 s of its learner, all rows 4/3 of that if all were grown again: of it a quarter is not growing, half
    # of the rest is patience, and a tenth is looking at validated rows.
    all_rows = 4.0 * 4 / 3
    assert costs.refit_seconds(patient) == pytest.approx(all_rows * (0.25 + 0.75 * 0.9 / 2))
    further = replace(patient, told=patient.told | {"refit_iterations": 120})
    assert costs.refit_seconds(further) == pytest.approx(all_rows * (0.25 + 0.75 * 0.9 * 1.2 / 2))
    assert costs.refit_seconds(replace(patient, told={"fitting": 16.0})) == pytest.approx(all_rows)
    # One that does not grow takes as many iterations as its longest fold: here a third more than they all did.
    linear = replace(patient, trial=Trial(1, "linear", "native"), n_iterations=(50, 100, 50, 100))
    linear = replace(linear, told={"fitting": 16.0, "grown": 300})
    assert costs.refit_seconds(linear) == pytest.approx(all_rows * (0.25 + 0.75 * 0.9 * 4 / 3))
    # Of a trial that tells nothing, half of its time is that of a fold.
    assert costs.refit_seconds(replace(patient, told={})) == pytest.approx(5.0 * 4 / 3)
    # As many seconds of refit as this one took are kept for each second more.
    free = [
        replace(patient, trial=Trial(number, model, "native"), told={"fitting": 0.0})
        for number, model in enumerate(BASELINES)
    ]
    kept = costs.refit_seconds(patient)
    assert costs.time_for_trials(100.0, [*free, patient]) == pytest.approx((100 - kept) / (1 + kept / 10 / 2))


def test_a_refit_on_more_rows_grows_further():
    for kind, power in ((LightGBM, 0.6), (CatBoost, 1.0), (MLP, 0.25)):
        assert iterations_to_refit(kind, (100, 300), 1, 1.5) == round(200 * 1.5**power)
        # Of several classes the log loss is soon the worse for more.
        assert iterations_to_refit(kind, (100, 300), 3, 1.5) == round(200 * 1.5 ** (power / 2))
        # A fold of a hundredth is no guide to a hundred times its rows.
        assert iterations_to_refit(kind, (100, 300), 1, 100.0) == iterations_to_refit(
            kind, (100, 300), 1, 2.0
        )
    assert iterations_to_refit(Linear, (100, 300), 1, 1.5) == 300
    data = study_data(n=300, n_folds=3)
    study = run_study(data, Deadline(60.0), most_trials=3, executor=Local(2))
    boosted = next(r for r in study.results if r.trial.model == "lightgbm")
    assert boosted.refit_iterations == round(np.mean(boosted.n_iterations) * 1.5**0.6)


def test_a_fitted_trial_tells_what_its_refit_is_reckoned_by():
    data = study_data(n=400, n_folds=2)
    study = run_study(data, Deadline(60.0), most_trials=4, executor=Local(2))
    for result in study.results:
        told = result.told
        assert 0 <= told["fitting"] <= 2 * told["seconds"] + 0.01  # two side by side
        assert told["grown"] >= sum(result.n_iterations)
    nets = [r for r in study.results if r.trial.model == "mlp"]
    assert nets
    assert all(0 < len(r.told["curve"]) <= r.told["grown"] for r in nets)


def test_detail_is_given_up_before_members_are():
    data = study_data(n=400, n_folds=4)
    results = [
        TrialResult(Trial(i, model, "native"), 0.5, (0.5,), (1,), seconds, np.zeros((400, 1)))
        for i, (model, seconds) in enumerate([("dummy", 0.0), ("linear", 0.0), ("lightgbm", 10.0)])
    ]
    costs = Costs(400, 400, data.folds, 2, After(1_000, 1_000, seconds=2.0))
    costs.note_row(2, 3e-3)
    # 6.67 s of refit and 3 s of rows in any case; of the 2 s for importances a tenth.
    assert costs.fits(9.9, results, results[2:])
    assert not costs.fits(9.8, results, results[2:])


def test_a_rare_class_does_not_blow_boosting_up():
    # Three rows in a thousand are of the third class; a hurried trial takes large steps.
    draw = np.random.default_rng(0)
    X = draw.normal(size=(4_000, 4))
    y = (X[:, 0] > 0).astype(float)
    y[np.argsort(X[:, 1])[-12:]] = 2.0
    task = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))
    planned = portfolio(task, Schema(tuple(Column(f"x{i}", Kind.NUMERIC) for i in range(4))), y)
    params = next(trial.params for trial in planned if trial.model == "lightgbm")
    even = np.arange(len(y)) % 2 == 0
    context = FitContext(task, valid=(X[~even], y[~even]))
    score = get("log_loss").score

    def fitted(**params):
        return LightGBM(**params).fit(X[even], y[even], context)

    hurried = {**params, "learning_rate": 0.25}
    kept = score(y[~even], fitted(**hurried).predict(X[~even]), None)
    assert kept < 0.5 * score(y[~even], fitted(**{**hurried, "lambda_l2": 0.0}).predict(X[~even]), None)
