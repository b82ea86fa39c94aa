"""Afterwards: how long what comes after a search is reckoned to take, with clocks that tick as they are told."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from mlwright import sklearn as estimators
from mlwright.core.clock import Deadline
from mlwright.lifecycle.afterwards import Detail, seconds_after, seconds_to_search
from mlwright.lifecycle.build import prepare
from mlwright.lifecycle.project import Project
from mlwright.metrics import for_task

N_ROWS, LOOP = 400, 0.0018  # seconds that the probe of plain Python takes where the constants were measured


def prepared(holdout=0.0, n=N_ROWS):
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 3))
    table = pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x[:, 0] + random.normal(size=n)})
    return prepare(table, Project(task_target="y", task_holdout=holdout))


def ticking(step):
    """A clock on which as much time passes between any two looks."""
    looks = itertools.count()
    return lambda: next(looks) * step


def intervals(data, step, parts):
    """Seven intervals of the metric and one of each other, of which four parts took a tick."""
    return (len(for_task(data.task.kind, plain=True)) - 1 + 7) * step / 4 * parts


def test_an_estimator_reckons_with_what_it_does_itself():
    data = prepared()
    proof = N_ROWS * (5e-5 + 4e-6 * 3)
    # Nothing is registered and no groups are looked at; 50 parts of the jackknife instead of 200.
    own = seconds_after(data, Detail(), rough=True, clock=ticking(LOOP))
    assert own == pytest.approx(0.5 + proof + intervals(data, LOOP, 50))
    a_run = seconds_after(data, Detail(), clock=ticking(LOOP))
    assert a_run == pytest.approx(1.8 + proof + 1.3e-6 * N_ROWS * 3 + intervals(data, LOOP, 200))
    named = seconds_after(data, Detail(), 2, clock=ticking(LOOP))
    assert named == pytest.approx(a_run + 2 * 0.3)


@pytest.mark.parametrize(("step", "slowness"), [(LOOP / 4, 1), (LOOP * 2, 2), (LOOP * 20, 3)])
def test_a_slower_machine_keeps_more_time_up_to_three_times_as_much(step, slowness):
    data = prepared()
    fixed = 0.5 + N_ROWS * (5e-5 + 4e-6 * 3)
    found = seconds_after(data, Detail(), rough=True, clock=ticking(step))
    assert found == pytest.approx(slowness * fixed + intervals(data, step, 50))


def test_a_search_has_what_is_left_of_the_budget_and_at_least_half_of_it():
    data = prepared(0.25)
    now = iter([0.0, 10.0, 0.0, 0.1, 0.0, 0.9])
    after = seconds_after(data, Detail(), rough=True, clock=ticking(LOOP))
    for budget, left in ((600.0, 590.0 - after), (0.4, 0.1), (0.4, 0.0)):
        deadline = Deadline(budget, lambda: next(now))
        found = seconds_to_search(deadline, data, Detail(), rough=True, clock=ticking(LOOP))
        assert found == pytest.approx(left)


class ToldError(Exception):
    """Ends a fit once its search is told how long it has."""


def test_the_estimators_keep_that_and_no_share_of_their_budget(monkeypatch):
    budget, heard = 1e6, []

    def build(_prepared, _project, deadline, **_options):
        heard.append(deadline.seconds)
        raise ToldError

    monkeypatch.setattr(estimators, "build", build)
    x = np.random.default_rng(0).normal(size=(80, 2))
    for model, y in ((estimators.AutoRegressor, x[:, 0]), (estimators.AutoClassifier, x[:, 0] > 0)):
        with pytest.raises(ToldError):
            model(budget_s=budget).fit(x, y)
    # 6 % would be 60,000 s. What is kept are seconds, and reading took some too.
    assert all(budget - 1_000 < seconds < budget - 0.5 for seconds in heard)
    assert len(heard) == 2
