"""Afterwards: how long what comes after a search is reckoned to take, with clocks that tick as they are told."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from mlwright import sklearn as estimators
from mlwright.core.clock import Deadline
from mlwright.lifecycle import afterwards
from mlwright.lifecycle.afterwards import Detail, seconds_after, seconds_to_search
from mlwright.lifecycle.prepared import prepare
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


def intervals(data, step, n_rows=N_ROWS):
    """Seven intervals of the metric and one of each other, of which 200 rows took a tick."""
    return (len(for_task(data.task.kind, plain=True)) - 1 + 7) * step * n_rows / 200


def test_an_estimator_reckons_with_what_it_does_itself():
    data = prepared()
    proof = N_ROWS * (5e-5 + 4e-6 * 3)
    # Nothing is registered and no groups are looked at.
    own = seconds_after(data, Detail(), rough=True, clock=ticking(LOOP))
    assert own == pytest.approx(0.5 + proof + intervals(data, LOOP))
    a_run = seconds_after(data, Detail(), clock=ticking(LOOP))
    assert a_run == pytest.approx(1.8 + proof + 1.3e-6 * N_ROWS * 3 + intervals(data, LOOP))
    named = seconds_after(data, Detail(), 2, clock=ticking(LOOP))
    assert named == pytest.approx(a_run + 2 * 0.3)


@pytest.mark.parametrize(("step", "slowness"), [(LOOP / 4, 1), (LOOP * 2, 2), (LOOP * 20, 3)])
def test_a_slower_machine_keeps_more_time_up_to_three_times_as_much(step, slowness):
    data = prepared()
    fixed = 0.5 + N_ROWS * (5e-5 + 4e-6 * 3)
    found = seconds_after(data, Detail(), rough=True, clock=ticking(step))
    assert found == pytest.approx(slowness * fixed + intervals(data, step))


def test_a_search_has_what_is_left_of_the_budget_and_at_least_half_of_it():
    data = prepared(0.25)
    now = iter([0.0, 10.0, 0.0, 0.1, 0.0, 0.9])
    after = seconds_after(data, Detail(), rough=True, clock=ticking(LOOP))
    for budget, left in ((600.0, 590.0 - after), (0.4, 0.1), (0.4, 0.0)):
        deadline = Deadline(budget, lambda: next(now))
        found = seconds_to_search(deadline, data, Detail(), rough=True, clock=ticking(LOOP))
        assert found == pytest.approx(left)


def test_intervals_are_reckoned_as_what_the_jackknife_does_on_all_rows_and_parts(monkeypatch):
    """Against a metric whose jackknife takes as long as its rows and parts are many."""
    now = [0.0]

    class Metered:
        def without_each(self, y, predicted, part, n_parts):
            assert part.max() == min(len(y), n_parts) - 1
            now[0] += 1e-6 * len(y) * n_parts

    monkeypatch.setattr(afterwards, "of", lambda task: Metered())
    data = prepared(n=20_000)
    for parts in (50, 200):
        found = afterwards._interval_seconds(data.task, 20_000, parts, lambda: now[0])
        n_intervals = len(for_task(data.task.kind, plain=True)) - 1 + 7
        assert found == pytest.approx(n_intervals * 1e-6 * 20_000 * parts)


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
