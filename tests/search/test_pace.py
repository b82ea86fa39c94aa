"""Fewer folds and larger steps where time is short; all folds and the steps as given where it is not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mlwright.core.clock import Deadline
from mlwright.core.events import silent
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.execution import Local
from mlwright.models.lightgbm import LightGBM
from mlwright.search import StudyData, Trial, TrialResult, run_study
from mlwright.search.costs import After, Costs
from mlwright.search.fitter import Fitter
from mlwright.search.pace import Paced, folds_in_time, paced
from mlwright.search.portfolio import portfolio
from mlwright.search.study import _Study
from mlwright.search.study_data import fewer_folds, folds_note

_LONG = 4_000


def study_data(n=_LONG, n_folds=5, share=0.5):
    """Two numbers and a class of this share, in folds."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=n), draw.normal(size=n)
    noisy = a * b + draw.normal(size=n)
    y = (noisy > np.quantile(noisy, 1 - share)).astype(float)
    schema = Schema((Column("a", Kind.NUMERIC), Column("b", Kind.NUMERIC)))
    parts = np.array_split(draw.permutation(n), n_folds)
    folds = [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(parts[i])) for i in range(n_folds)]
    task = Task(TaskKind.BINARY, "y", "roc_auc", ("No", "Yes"))
    return StudyData({"a": a, "b": b}, y, schema, task, folds, 0)


class Timed(Fitter):
    """A fitter whose probes say what the test says, by the learner."""

    def __init__(self, data, seconds, workers=2, *, before=0.0):
        super().__init__(data, Local(workers))
        self.seconds, self.before = seconds, before

    def probe(self, trial, at_most=math.inf):
        return self.before, self.seconds[trial.model]


def n_folds(data, left, *, an_iteration=0.01, workers=2):
    """Return the folds that are taken with so many seconds left."""
    fitter = Timed(data, {"lightgbm": an_iteration, "catboost": an_iteration}, workers)
    return folds_in_time(fitter, portfolio(data.task, data.schema, data.y), left)


def test_short_time_means_fewer_folds_and_whole_rounds_of_the_workers():
    data = study_data()
    # 25 trials of 300 iterations of 0.01 s in half of the time: a round takes 150 s of it.
    assert n_folds(data, 460.0) == 5
    assert n_folds(data, 440.0) == 4
    assert n_folds(data, 290.0) == 2
    assert n_folds(data, 1.0) == 2
    assert n_folds(data, 290.0, workers=8) == 5
    assert n_folds(data, math.inf) == 5


def test_many_rows_are_validated_in_whole_rounds_unless_time_is_abundant():
    many, few = study_data(16_000, n_folds=3), study_data(14_000, n_folds=3)
    # A round takes 150 s of half of the time; three folds on two workers are two of them.
    assert n_folds(few, 310.0) == 3
    assert n_folds(many, 310.0) == 2
    assert n_folds(many, 1100.0) == 2
    assert n_folds(many, 1300.0) == 3
    assert n_folds(many, 310.0, workers=3) == 3
    assert n_folds(many, math.inf) == 3


def test_with_hardly_any_time_nothing_is_probed():
    """Loading the learner and fitting a few of its trees would take most of what there is."""
    data = study_data()
    fitter = Fitter(data, Local(2))
    fitter.probe = lambda trial, **_: pytest.fail(f"{trial} was probed")
    assert folds_in_time(fitter, portfolio(data.task, data.schema, data.y), 3.0) == 2


@pytest.mark.parametrize(("n_rows", "share", "expected"), [(1_000, 0.5, 5), (2_400, 0.5, 4), (4_000, 0.1, 5)])
def test_folds_are_kept_where_fewer_would_validate_too_few_rows(n_rows, share, expected):
    # 1,500 are wanted: 1,000 have no such part; of 2,400 four folds validate 1,920; a tenth of 4,000 counts as 1,600 rows,
    # of which four folds would validate 1,280.
    assert n_folds(study_data(n_rows, share=share), 1.0) == expected


def test_the_folds_that_fit_on_most_rows_are_kept_in_their_order():
    folds = [(np.arange(k), np.arange(k, k + 5)) for k in (10, 20, 30, 40)]
    assert [len(fit) for fit, _ in fewer_folds(folds, 2)] == [30, 40]
    equal = [(np.arange(10), np.full(1, k)) for k in range(4)]
    assert [int(valid[0]) for _, valid in fewer_folds(equal, 2)] == [0, 1]


def test_a_study_on_fewer_folds_says_so_and_replays_to_the_same_bits(monkeypatch):
    monkeypatch.setattr("mlwright.search.study.folds_in_time", lambda *_: 2)
    data = study_data(1_000)
    study = run_study(data, Deadline(60.0), most_trials=5, executor=Local(2))
    assert {len(result.fold_scores) for result in study.results} == {2}
    assert "trials were judged on 2 of the 5 folds, so that more of them ended in time" in study.notes
    validated = np.sort(np.concatenate([valid for _, valid in data.folds[:2]]))
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(study.predicted[:, 0])), validated)
    monkeypatch.undo()
    again = run_study(data, Deadline(0.0), replay=study.results, choices=study.choices, executor=Local(1))
    np.testing.assert_array_equal(again.predicted, study.predicted)
    assert again.notes == study.notes
    assert folds_note(data, 5) == ()


def result_of(number, model, seconds, *, rate=0.05, iterations=(200, 200), score=0.8):
    """A finished trial."""
    draw = np.random.default_rng(number)
    params = {"learning_rate": rate} if model in ("lightgbm", "catboost") else {}
    return TrialResult(
        Trial(number, model, "native", params),
        score,
        (score, score),
        iterations,
        seconds,
        draw.random((_LONG, 1)),
        told={"seconds": seconds},
    )


def test_what_lightgbm_needed_says_how_long_the_next_will_take():
    fitter = Timed(study_data(n_folds=2), {"lightgbm": 0.01, "catboost": 0.01})
    trial = Trial(3, "catboost", "encoded", {"learning_rate": 0.05})
    # LightGBM needed 10 / 0.05 iterations; CatBoost twice as many, and 3 / 0.05 until it knows: 460 of 0.01 s.
    known = [result_of(2, "lightgbm", 1.0)]
    assert paced(fitter, trial, known, 5.0).trial == trial
    assert paced(fitter, trial, known, 5.0).seconds == pytest.approx(4.6)
    larger = paced(fitter, trial, known, 2.3).trial
    assert larger is not None
    assert larger.params["learning_rate"] == pytest.approx(0.1)
    assert paced(fitter, trial, known, 0.3).trial is None
    quick = [result_of(2, "lightgbm", 1.0, iterations=(10, 10))]
    assert paced(fitter, trial, quick, 2.3).trial == trial


def test_what_the_clock_cut_off_says_that_the_next_will_take_longer():
    fitter = Timed(study_data(n_folds=2), {"catboost": 0.01})
    trial = Trial(3, "catboost", "encoded", {"learning_rate": 0.05})
    curve = [
        (0, 2.0),
        (50, 1.2),
        (100, 1.024),
        (150, 1.01),
        (200, 1.0),
    ]  # 0.024 in the last half: 2.4 times as long
    cut_off = replace(result_of(2, "lightgbm", 1.0), told={"curve": curve, "grown": 400})
    assert paced(fitter, trial, [cut_off], 60.0).seconds == pytest.approx((2.4 * 20 + 3) / 0.05 * 0.01)
    ended = replace(cut_off, told={"curve": curve, "grown": 500})
    assert paced(fitter, trial, [ended], 60.0).seconds == pytest.approx(4.6)


def test_what_comes_before_the_first_iteration_is_no_time_to_grow_in():
    trial, known = Trial(3, "catboost", "encoded", {"learning_rate": 0.05}), [result_of(2, "lightgbm", 1.0)]
    fitter = Timed(study_data(n_folds=2), {"catboost": 0.01}, before=0.4)
    assert paced(fitter, trial, known, 5.1).trial == trial
    assert paced(fitter, trial, known, 5.1).seconds == pytest.approx(5.0)
    larger = paced(fitter, trial, known, 2.7).trial  # 2.3 s for 4.6 s of iterations
    assert larger is not None
    assert larger.params["learning_rate"] == pytest.approx(0.1)
    assert paced(fitter, trial, known, 0.4).trial is None


def test_views_that_are_not_there_yet_are_reckoned_up():
    data = study_data(n_folds=5)
    fitter = Fitter(data, Local(2))
    assert fitter.matrices.seconds_to_prepare("native") == 0.0  # nothing is known
    fitter.matrices.of("native", 0)
    a_fold = fitter.costs.view_seconds["native"] * len(data.folds[0][0])
    assert fitter.matrices.seconds_to_prepare("native") == pytest.approx(2 * a_fold)
    for index in range(1, 5):
        fitter.matrices.of("native", index)
    assert fitter.matrices.seconds_to_prepare("native") == 0.0


def test_a_probe_that_takes_longer_than_the_trial_may_is_given_up(monkeypatch):
    fitter = Fitter(study_data(n_folds=2), Local(2))
    trial = Trial(3, "lightgbm", "native", {"learning_rate": 0.05})
    fitted = []
    kept = LightGBM.fit
    monkeypatch.setattr(LightGBM, "fit", lambda self, *given: fitted.append(1) or kept(self, *given))
    before, an_iteration = fitter.probe(trial)
    assert before >= 0
    assert 0 <= an_iteration < math.inf
    assert len(fitted) == 3
    assert paced(fitter, trial, [result_of(2, "catboost", 1.0)], 0.0) == Paced(None, math.inf)
    assert len(fitted) == 4
    # The first that boosts is fitted in any case, with the largest steps, until the clock stops it.
    told = paced(fitter, trial, [result_of(1, "linear", 1.0)], 0.0)
    assert told.trial == replace(trial, params={"learning_rate": 0.25})


def test_time_is_kept_for_the_blend_and_not_for_the_dearest():
    data = study_data(n_folds=2)
    costs = Costs(_LONG, _LONG, data.folds, 2, After())
    results = [
        result_of(0, "dummy", 0.0),
        result_of(1, "linear", 0.0),
        result_of(2, "lightgbm", 20.0),
        result_of(3, "catboost", 1.0),
    ]
    # Folds of one half, both at a time: a second of them is 2 s of one thread on all rows.
    assert costs.time_for_trials(100.0, results) == pytest.approx((100 - 40.0) / 2)
    assert costs.time_for_trials(60.0, results, most_kept=24.0) == pytest.approx((60 - 24.0) / 2)
    assert costs.time_for_trials(100.0, results, results[3:]) == pytest.approx((100 - 1.15 * 2) / 2)
    assert costs.fits(39.0, results, results[3:])
    assert not costs.fits(39.0, results, results[2:3])


def test_a_member_that_there_is_no_time_to_refit_is_left_out_and_a_replay_leaves_it_out(monkeypatch):
    data = study_data(600, n_folds=2)
    answers = iter([False])
    for name in ("_PRICE", "_LEAST_WEIGHT"):  # a blend of several, also of this little table
        monkeypatch.setattr(f"mlwright.search.blend.{name}", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Costs, "fits", lambda *_: next(answers, True))
        study = run_study(data, Deadline(60.0), most_trials=6, executor=Local(2))
    assert next(answers, None) is None  # so there was a blend of several
    kept = {int(name.removeprefix("kept_trial_")) for name in study.choices if name.startswith("kept_trial_")}
    members = {r.trial.number for r in study.results if study.weights[r.trial.number] > 0}
    assert members
    assert members <= kept | {0, 1}  # a baseline is refitted in any case
    assert any(r.trial.number > 1 and r.trial.number not in kept for r in study.results)
    again = run_study(data, Deadline(0.0), replay=study.results, choices=study.choices, executor=Local(1))
    assert again.weights == study.weights
    np.testing.assert_array_equal(again.predicted, study.predicted)


def test_a_learner_whose_time_was_too_little_is_not_begun_with_less(monkeypatch):
    data = study_data(n=400)
    fitter = Fitter(data, Local(1))
    study = _Study(data, Deadline(60.0), fitter, None, silent)
    net = Trial(2, "mlp", "linear")
    begun = []

    def over(trial, deadline, **_):
        begun.append(deadline.seconds)
        nothing = np.full((len(data.y), 1), np.nan)
        return TrialResult(trial, np.nan, (), (), deadline.seconds, nothing, complete=False)

    monkeypatch.setattr(fitter, "trial", over)
    assert study._fit(net).n_iterations == ()
    assert study._fit(replace(net, number=3)) is None
    assert study.refused == 1
    study.deadline = Deadline(600.0)
    assert study._fit(replace(net, number=4)) is not None
    assert begun[1] > begun[0]
