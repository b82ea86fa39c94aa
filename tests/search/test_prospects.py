"""What fell behind is known by its like, and what the clock cut off by its curve; the most promising has one more, longer fit."""

from dataclasses import replace

import numpy as np
import pytest

from mlwright.core.clock import Deadline
from mlwright.core.events import silent
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.execution import Local
from mlwright.metrics import get
from mlwright.models.mlp import MLP
from mlwright.search import Journal, StudyData, Trial, TrialResult, run_study
from mlwright.search import study as study_module
from mlwright.search.fitter import Fitter
from mlwright.search.prospects import far_from_its_end, left_behind, most_promising, times_longer
from mlwright.search.study import _Study

LOSS = get("log_loss")
FLAT = [(0, 2.0), (10, 1.2), (20, 1.001), (30, 1.0), (40, 1.0)]
STEEP = [(0, 2.0), (10, 1.8), (20, 1.6), (30, 1.4), (40, 1.2)]


def result(number, model, score, *, view="native", curve=FLAT, went_on=0, seconds=4.0, **params):
    """A trial on two folds, whose best iteration was the fortieth; the dummy's loss is 2."""
    told = {"curve": curve, "grown": 80 + 2 * went_on}
    trial = Trial(number, model, view, params)
    return TrialResult(trial, score, (score, score), (40, 40), seconds, np.zeros((4, 1)), told=told)


BASELINES = [result(0, "dummy", 2.0, view="linear"), result(1, "linear", 1.8, view="linear")]


def test_a_curve_says_how_much_longer_a_trial_would_have_needed():
    assert times_longer(result(2, "mlp", 1.2, curve=STEEP)) == 8.0  # half of the way down in the last half
    assert times_longer(result(2, "mlp", 1.0)) == 1.0
    slow = [*STEEP[:2], (20, 1.22), (30, 1.21), (40, 1.196)]  # 0.024 of 0.804
    assert times_longer(result(2, "mlp", 1.196, curve=slow)) == pytest.approx(2.985, abs=1e-3)
    assert far_from_its_end(result(2, "mlp", 1.196, curve=slow))


@pytest.mark.parametrize(
    "given",
    [
        {"curve": STEEP, "went_on": 10},  # it was patient: the best iteration was long ago
        {"curve": STEEP[-4:]},
        {"curve": []},
        {"curve": [(i, 1.0 + i / 10) for i in range(6)]},  # it never fell
    ],
)
def test_what_came_to_its_end_or_has_no_curve_needs_no_longer(given):
    assert times_longer(result(2, "mlp", 1.2, **given)) == 1.0


def test_a_learner_that_fell_behind_on_these_columns_is_known_by_its_like():
    results = [*BASELINES, result(2, "lightgbm", 1.0), result(3, "catboost", 1.12, view="encoded")]
    again = Trial(4, "catboost", "encoded", {"depth": 8})
    assert left_behind(again, results, LOSS)  # 0.12 of a way of 1 from the best to the dummy
    assert not left_behind(replace(again, view="native"), results, LOSS)
    assert not left_behind(Trial(4, "lightgbm", "native"), results, LOSS)
    near = [*results[:3], replace(results[3], score=1.08)]
    assert not left_behind(again, near, LOSS)
    assert not left_behind(again, [*results, result(5, "catboost", 1.08, view="encoded")], LOSS)
    assert not left_behind(Trial(1, "linear", "linear"), results, LOSS)  # a baseline is fitted in any case
    assert left_behind(Trial(4, "linear", "linear", {"alpha": 30.0}), results, LOSS)
    assert not left_behind(again, BASELINES, LOSS)


def test_what_one_booster_loses_by_a_manner_others_would_lose():
    extra = {"extra_trees": True}
    results = [*BASELINES, result(2, "lightgbm", 1.0), result(3, "lightgbm", 1.03, **extra)]
    assert left_behind(Trial(4, "lightgbm", "encoded", extra), results, LOSS)
    assert not left_behind(Trial(4, "lightgbm", "encoded"), results, LOSS)
    logs = [
        *results[:3],
        replace(result(3, "catboost", 1.5), trial=Trial(3, "catboost", "native", link="log")),
    ]
    assert not left_behind(Trial(4, "lightgbm", "encoded", link="log"), logs, LOSS)  # no catboost without it
    assert left_behind(Trial(5, "lightgbm", "encoded", link="log"), [*logs, result(4, "catboost", 1.4)], LOSS)


def test_the_most_promising_was_cut_off_and_would_be_by_far_the_best():
    results = [
        *BASELINES,
        result(2, "lightgbm", 1.1),
        result(3, "catboost", 1.9, view="encoded", curve=STEEP),  # promises 1.85
        result(4, "mlp", 1.2, view="linear", curve=STEEP),  # promises 0.8
    ]
    assert most_promising(results, LOSS, []) is results[4]
    assert most_promising(results[:4], LOSS, []) is None
    assert most_promising(BASELINES, LOSS, []) is None
    hardly = [*results[:4], result(4, "mlp", 1.4, view="linear", curve=STEEP)]  # promises 1.1
    assert most_promising(hardly, LOSS, []) is None
    assert most_promising([*results[:4], replace(results[4], complete=False)], LOSS, []) is None


def test_nothing_is_fitted_longer_before_each_learner_that_grows_was_tried():
    results = [*BASELINES, result(2, "lightgbm", 1.2, curve=STEEP)]
    net, other = Trial(3, "mlp", "linear"), Trial(3, "lightgbm", "encoded")
    assert most_promising(results, LOSS, [other, net]) is None
    assert most_promising(results, LOSS, [other]) is results[2]
    assert most_promising(results, LOSS, [other, Trial(4, "discriminant", "linear")]) is results[2]


def study_data(n=240):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, n))
    y = (a * b + draw.normal(scale=0.5, size=n) > 0).astype(float)
    schema = Schema((Column("a", Kind.NUMERIC), Column("b", Kind.NUMERIC)))
    order = draw.permutation(n)
    folds = [(np.sort(order[np.arange(n) % 3 != k]), np.sort(order[k::3])) for k in range(3)]
    return StudyData(
        {"a": a, "b": b}, y, schema, Task(TaskKind.BINARY, "y", "log_loss", ("No", "Yes")), folds
    )


@pytest.mark.parametrize(
    ("left", "allowed", "expected"),
    [
        (10.0, 4.0, True),  # 9 s are more than 1.5 times 4, and 5.4 afterwards less than twice as long
        (20.0, 4.0, False),  # there will be time enough after the next as well
        (20.0, 12.0, True),
        (6.0, 2.0, False),
    ],
)
def test_it_is_fitted_when_there_is_time_for_it_but_not_for_long(monkeypatch, left, allowed, expected):
    data = study_data()
    study = _Study(data, Deadline(60.0), Fitter(data, Local(1)), None, silent)
    study.results += [*BASELINES, result(2, "mlp", 1.2, view="linear", curve=STEEP, width=64)]
    study.planned = [*study.planned[:2], Trial(2, "mlp", "linear"), Trial(3, "linear", "linear")]
    monkeypatch.setattr(study, "_time_left", lambda: left)
    monkeypatch.setattr(study, "_allowed", lambda _: allowed)
    again = study._again(study.planned[3])
    assert again == (Trial(4, "mlp", "linear", {"width": 64}) if expected else None)


def test_a_longer_fit_has_nearly_all_of_the_time_and_comes_once(monkeypatch, tmp_path):
    plan = study_module.portfolio
    monkeypatch.setattr(study_module, "portfolio", lambda *args: plan(*args)[:5])
    monkeypatch.setattr(study_module, "_MUCH_LONGER", np.inf)

    def the_third(results, *_):
        return next((r for r in results if r.trial.number == 2), None)

    monkeypatch.setattr(study_module, "most_promising", the_third)
    seconds = {}
    kept = Fitter.trial

    def noted(self, trial, deadline, *given, **told):
        seconds.setdefault(trial.number, deadline.seconds)
        return kept(self, trial, deadline, *given, **told)

    monkeypatch.setattr(Fitter, "trial", noted)
    journal = Journal(tmp_path / "study.jsonl", "key")
    heard = []
    study = run_study(
        study_data(),
        Deadline(36_000.0),  # of which the study takes next to nothing, on the slowest machine as well
        most_trials=6,
        journal=journal,
        executor=Local(2),
        listener=lambda event: heard.append(event.message),
    )
    journal.close()
    assert [message.partition(":")[0] for message in heard if "for longer" in message] == ["trial 5"]
    numbers = [r.trial.number for r in study.results]
    assert numbers == [0, 1, 2, 5, 3, 4]
    longer, first = study.results[3].trial, study.results[2].trial
    assert (longer.model, longer.view, longer.params) == (first.model, first.view, first.params)
    assert seconds[5] > 0.7 * 36_000 > 1.5 * seconds[3]
    journal = Journal(tmp_path / "study.jsonl", "key")
    resumed = run_study(study_data(), Deadline(36_000.0), most_trials=6, journal=journal, executor=Local(2))
    journal.close()
    replayed = run_study(
        study_data(), Deadline(0.0), replay=study.results, choices=study.choices, executor=Local(1)
    )
    for other in (resumed, replayed):
        assert [r.trial.number for r in other.results] == numbers
        np.testing.assert_array_equal(other.predicted, study.predicted)


def test_a_net_that_was_cut_off_is_not_begun_again_with_less(monkeypatch):
    data = study_data()
    fitter = Fitter(data, Local(1))
    study = _Study(data, Deadline(60.0), fitter, None, silent)
    net = Trial(2, "mlp", "linear")
    monkeypatch.setattr(MLP, "prepare", lambda: None)
    allowed = [4.0]
    monkeypatch.setattr(study, "_allowed", lambda _: allowed[0])
    monkeypatch.setattr(fitter, "trial", lambda trial, *_, **__: result(2, "mlp", 1.2, curve=STEEP))
    study._fit(net)
    assert study.too_little["mlp"] == pytest.approx(3.6)  # it took 4 s
    allowed[0] = 3.5
    assert study._fit(replace(net, number=3)) is None
    allowed[0] = 3.7
    assert study._fit(replace(net, number=4)) is not None
