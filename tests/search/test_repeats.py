"""What did best on one draw of the folds is fitted on another one, and both blends are averaged where that helps."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlwright.core.clock import Deadline
from mlwright.data.schema import Column, Kind, Schema, Task, TaskKind
from mlwright.execution import Local
from mlwright.metrics import get
from mlwright.search import Journal, StudyData, Trial, TrialResult, run_study
from mlwright.search import study as study_module
from mlwright.search.conform import conform
from mlwright.search.repeats import blend_repeated, can_repeat, to_repeat

N_ROWS, N_FOLDS = 240, 3
RMSE = get("rmse")


def drawn(random, n):
    order = random.permutation(n)
    return tuple(
        (np.sort(order[np.arange(n) % N_FOLDS != k]), np.sort(order[k::N_FOLDS])) for k in range(N_FOLDS)
    )


def rows(random, n):
    """Return columns and a number that a line and a bend explain."""
    x, z = random.normal(size=(2, n))
    return {"x": x, "z": z}, x + np.abs(z) + random.normal(scale=0.5, size=n)


def study_data(random):
    """Return rows with two draws of their folds."""
    columns, y = rows(random, N_ROWS)
    schema = Schema((Column("x", Kind.NUMERIC), Column("z", Kind.NUMERIC)))
    folds, repeated = drawn(random, N_ROWS), drawn(random, N_ROWS)
    task = Task(TaskKind.REGRESSION, "y", "rmse")
    return StudyData(columns, y, schema, task, folds, repeated=repeated)


@pytest.fixture
def data():
    return study_data(np.random.default_rng(3))


@pytest.fixture
def short(monkeypatch):
    """A portfolio of seven, and no proposals."""
    plan = study_module.portfolio
    monkeypatch.setattr(study_module, "portfolio", lambda *args: plan(*args)[:7])
    monkeypatch.setattr(study_module, "_FEWEST_PROPOSALS", 0)
    monkeypatch.setattr(study_module, "_ROWS_A_PROPOSAL", 10**9)


def result(data, number, error, *, repeat=0, model="mlp", seconds=1.0):
    """A trial of which every row is as far off, upwards where the number is even."""
    predicted = (data.y + (error if number % 2 == 0 else -error))[:, None]
    trial = Trial(number, model, "linear", repeat=repeat)
    return TrialResult(trial, error, (error,) * N_FOLDS, (3,) * N_FOLDS, seconds, predicted)


def test_the_best_are_repeated_on_folds_of_their_own_and_both_draws_have_half_of_the_weight(data, short):
    study = run_study(data, Deadline(60.0), executor=Local(2))
    first = [r for r in study.results if not r.trial.repeat]
    again = [r for r in study.results if r.trial.repeat]
    best = sorted((r for r in first if r.trial.model != "dummy"), key=lambda r: r.score)
    assert [(r.trial.model, r.trial.view, r.trial.params) for r in again] == [
        (r.trial.model, r.trial.view, r.trial.params) for r in best[:8]
    ]
    assert [r.trial.number for r in study.results] == list(range(len(study.results)))
    for one in (
        again
    ):  # its scores are of the second draw, and each row is predicted by the model that did not see it
        scores = [RMSE.score(data.y[valid], one.predicted[valid]) for _, valid in data.repeated]
        assert one.fold_scores == pytest.approx(scores)
    halves = [sum(study.weights[r.trial.number] for r in draw) for draw in (first, again)]
    assert halves == pytest.approx([0.5, 0.5])
    mean = sum(w * r.predicted for r in study.results if (w := study.weights[r.trial.number]) > 0)
    np.testing.assert_allclose(study.predicted, mean)
    assert len(study.ensemble.members) == sum(weight > 0 for weight in study.weights.values())


def test_what_was_repeated_replays_to_the_same_bits(data, short):
    study = run_study(data, Deadline(60.0), executor=Local(2))
    recorded = [TrialResult.from_json(json.loads(json.dumps(r.to_json()))) for r in study.results]
    again = run_study(data, Deadline(1e-9), replay=recorded, choices=study.choices, executor=Local(1))
    assert again.weights == study.weights
    np.testing.assert_array_equal(again.predicted, study.predicted)
    for ours, theirs in zip(study.ensemble.states(), again.ensemble.states(), strict=True):
        assert (ours.tree, ours.blobs) == (theirs.tree, theirs.blobs)
        assert all(np.array_equal(array, theirs.arrays[name]) for name, array in ours.arrays.items())


@pytest.mark.parametrize("n_kept", [5, 9])
def test_a_killed_search_goes_on_to_the_same_repeats(data, short, tmp_path, n_kept):
    """Five trials: the portfolio is not through; nine: some have been repeated."""
    path = tmp_path / "study.jsonl"
    journal = Journal(path, "key")
    whole = run_study(data, Deadline(60.0), journal=journal, executor=Local(2))
    journal.close()
    assert sum(r.trial.repeat for r in whole.results) == 6
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + n_kept]))
    journal = Journal(path, "key")
    again = run_study(data, Deadline(60.0), journal=journal, executor=Local(2))
    journal.close()
    assert [r.trial for r in again.results] == [r.trial for r in whole.results]
    assert again.weights == whole.weights


def test_intervals_made_of_both_draws_hold_new_rows_as_often_as_they_say(short):
    """Six tables of 240 rows: 90 in a hundred, give or take what so few rows leave to chance, and as many as with one draw."""
    random, held, with_one = np.random.default_rng(0), [], []

    def share(data, columns, y):
        study = run_study(data, Deadline(60.0), executor=Local(2))
        assert bool(data.repeated) == any(
            study.weights[r.trial.number] > 0 for r in study.results if r.trial.repeat
        )
        matrices = {view: plan.batch(columns) for view, plan in study.plans.items()}
        low, high = conform(data.y, study.misses, data.task).ends(study.ensemble.predict(matrices)[:, 0])
        return np.mean((low <= y) & (y <= high))

    for _ in range(6):
        data, new = study_data(random), rows(random, 4000)
        held.append(share(data, *new))
        with_one.append(share(replace(data, repeated=()), *new))
    assert abs(np.mean(held) - 0.9) <= 3 * np.std(held) / np.sqrt(len(held))
    assert abs(np.mean(held) - np.mean(with_one)) < 0.01


def test_without_a_second_draw_nothing_is_repeated(data, short):
    for without in (replace(data, repeated=()), replace(data, quality="bag")):
        study = run_study(without, Deadline(60.0), executor=Local(2))
        assert not any(r.trial.repeat for r in study.results)
        assert sum(study.weights.values()) == pytest.approx(1.0)


def test_folds_are_drawn_again_only_where_all_of_the_first_draw_were_used(data):
    assert can_repeat(data, N_FOLDS)
    assert not can_repeat(data, N_FOLDS - 1)  # there was no time for all of them
    assert not can_repeat(replace(data, rows=np.arange(100)), N_FOLDS)


def test_as_many_of_the_best_are_repeated_as_there_is_time_for(data):
    results = [result(data, n, 10.0 - n, seconds=2.0) for n in range(10)]
    numbers = [r.trial.number for r in to_repeat(results, RMSE, np.inf)]
    assert numbers == [9, 8, 7, 6, 5, 4, 3, 2]
    assert [r.trial.number for r in to_repeat(results, RMSE, 11.0)] == [9, 8, 7, 6, 5]
    assert to_repeat(results, RMSE, 7.0) == []  # a choice among three is none
    assert len(to_repeat(results[:3], RMSE, 7.0)) == 3
    assert to_repeat([], RMSE, 7.0) == []
    odd = [result(data, 0, 0.1, model="dummy"), replace(result(data, 1, 0.1), complete=False)]
    assert len(to_repeat([*results, *odd, result(data, 2, 0.1, repeat=1)], RMSE, np.inf)) == 8
    assert to_repeat(odd, RMSE, np.inf) == []


def test_the_second_blend_counts_only_where_it_helps_and_is_not_too_dear(data):
    # The first is too high by 1 everywhere; the second too low by as much, or by more than the mean can mend.
    first, good, bad = result(data, 2, 1.0), result(data, 3, 1.0, repeat=1), result(data, 5, 4.0, repeat=1)
    dummy = result(data, 0, 9.0, model="dummy")
    assert blend_repeated(data, [dummy, first, good], RMSE) == {0: 0.0, 2: 0.5, 3: 0.5}
    assert blend_repeated(data, [dummy, first, bad], RMSE) == {0: 0.0, 2: 1.0, 5: 0.0}
    assert blend_repeated(data, [dummy, first], RMSE) == {0: 0.0, 2: 1.0}
    assert blend_repeated(replace(data, latency=5.0), [dummy, first, good], RMSE) == {0: 0.0, 2: 1.0, 3: 0.0}
    failed = replace(good, complete=False)
    assert blend_repeated(data, [dummy, first, failed], RMSE) == {0: 0.0, 2: 1.0, 3: 0.0}
