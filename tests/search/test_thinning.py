"""A blend is thinned until a clock is content, the price of it is told, and a replay needs no clock."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
from test_study import study_data

from mlwright import metrics
from mlwright.core.clock import Deadline
from mlwright.execution import Local
from mlwright.models.lightgbm import LightGBM
from mlwright.search import Trial, TrialResult, ending, run_study
from mlwright.search.blend import price
from mlwright.search.thinning import thin, with_larger_steps

A_MEMBER = 30.0


def slow(ensemble, plans):
    """A clock by which every member and every view takes as long, whatever its price."""
    return A_MEMBER * (len(ensemble.members) + len(plans))


@functools.cache
def studied(limit):
    """A study and its data; the tests share it."""
    data = replace(study_data(n=300), clock=slow, limit=limit)
    return data, run_study(data, Deadline(60.0), most_trials=12, executor=Local(2))


def test_a_blend_that_is_quick_enough_stays_as_it_is():
    data, study = studied(math.inf)
    plain = run_study(replace(data, clock=None), Deadline(60.0), most_trials=12, executor=Local(2))
    assert study.weights == plain.weights
    assert plain.latency is None
    took = slow(study.ensemble, study.plans)
    assert study.latency.measured == study.latency.first == took
    assert study.latency.score == study.latency.first_score
    assert "price_ns" not in study.choices


def test_a_slow_blend_is_thinned_and_replayed_to_the_same_bits_without_a_clock():
    data, whole = studied(math.inf)
    assert slow(whole.ensemble, whole.plans) > 2 * A_MEMBER
    data, study = studied(2 * A_MEMBER)
    assert slow(study.ensemble, study.plans) <= 2 * A_MEMBER
    assert study.latency.measured == 2 * A_MEMBER
    assert study.latency.first == slow(whole.ensemble, whole.plans)
    metric = metrics.of(data.task)
    assert study.latency.score == pytest.approx(metric.score(data.y, study.predicted))
    assert study.latency.first_score == pytest.approx(metric.score(data.y, whole.predicted), abs=2e-3)
    again = run_study(
        replace(data, clock=None),
        Deadline(1e-9),
        replay=study.results,
        choices=study.choices,
        executor=Local(1),
    )
    assert again.latency == study.latency
    assert again.weights == study.weights
    assert [s.blobs for s in again.ensemble.states()] == [s.blobs for s in study.ensemble.states()]


@pytest.mark.parametrize("slowness", [1.0, 2.0])
def test_a_limit_that_nobody_asked_for_grows_with_the_machine_s_slowness(slowness, monkeypatch):
    """A blend takes 100 microseconds of 60, or on a machine half as quick of 120."""
    monkeypatch.setattr(ending, "_MOST_THINNED", 1.0)
    data = replace(study_data(n=300), limit=60.0, slowness=lambda: slowness)
    data = replace(data, clock=lambda ensemble, _plans: 100.0 if len(ensemble.members) > 1 else 10.0)
    study = run_study(data, Deadline(60.0), most_trials=8, executor=Local(2))
    assert study.latency.first == 100.0
    assert ("price_ns" in study.choices) is (slowness == 1.0)
    assert (len(study.ensemble.members) == 1) is (slowness == 1.0)


@pytest.mark.parametrize("dear", [True, False])
def test_a_limit_that_nobody_asked_for_is_not_held_at_the_cost_of_the_model(dear, monkeypatch):
    """A clock that no blend contents would leave the cheapest one, which is worth less."""
    monkeypatch.setattr(ending, "_MOST_THINNED", 0.0 if dear else 1.0)
    data = replace(study_data(n=300), clock=slow, limit=2 * A_MEMBER, slowness=lambda: 1.0)
    study = run_study(data, Deadline(60.0), most_trials=8, executor=Local(2))
    assert ("price_ns" in study.choices) is not dear
    assert (study.latency.measured == study.latency.first) is dear
    again = run_study(replace(data, clock=None), Deadline(1e-9), replay=study.results, choices=study.choices)
    assert again.weights == study.weights


def test_no_step_is_made_once_the_time_is_over():
    asked = []

    def measure(choices):
        asked.append(choices)
        return 100.0

    thin({}, measure, price=50.0, limit=10.0, go_on=lambda: len(asked) < 3)
    assert len(asked) == 3


def test_seeds_go_before_members():
    def measure(choices):
        return 10.0 * choices["seeds"] + 40.0

    assert thin({"seeds": 2}, measure, price=50.0, limit=50.0) == {
        "seeds": 1,
        "latency_first_ns": 60_000,
        "latency_ns": 50_000,
    }


def test_where_nothing_holds_the_quickest_is_taken():
    def measure(choices):
        return max(30.0, choices.get("price_ns", 100_000) / 1000)

    told = thin({}, measure, price=100.0, limit=5.0)
    assert told["latency_ns"] == 30_000
    assert told["price_ns"] < 100_000


def result(number, model, params, iterations, score):
    trial = Trial(number, model, "native", params)
    return TrialResult(trial, score, (score,), (iterations,), 1.0, study_data(n=9).y[:, None])


def test_where_all_boosting_is_too_dear_the_best_is_tried_with_fewer_trees():
    metric = metrics.get("roc_auc")
    dear = [
        result(2, "lightgbm", {"learning_rate": 0.02, "num_leaves": 31}, 900, 0.8),
        result(3, "lightgbm", {"learning_rate": 0.05, "num_leaves": 31}, 600, 0.9),
    ]
    trial = with_larger_steps(dear, metric, 7, n_outputs=1, most=40.0)
    assert (trial.number, trial.params["num_leaves"]) == (7, 31)
    expected = 600 * 0.05 / trial.params["learning_rate"]  # as many steps of another size go as far
    assert LightGBM.price(trial.params, round(expected), 1) == pytest.approx(0.6 * 40.0, rel=0.05)
    cheap = result(4, "lightgbm", {"learning_rate": 0.2, "num_leaves": 31}, 40, 0.7)
    assert price(cheap, 1) < 40.0
    assert with_larger_steps([*dear, cheap], metric, 7, n_outputs=1, most=40.0) is None
    assert with_larger_steps([], metric, 7, n_outputs=1, most=40.0) is None
