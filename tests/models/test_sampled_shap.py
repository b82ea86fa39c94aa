"""Shapley values of any function against the definition: all orders of few columns."""

import itertools

import numpy as np
import pytest

from mlwright.models.sampled_shap import sampled_shapley


def game(n_columns, n_rows=5, seed=0, cubes=1.0):
    """A function of a record and background rows with pairs of columns in it, and triples times `cubes`."""
    rng = np.random.default_rng(seed)
    record, rows = rng.normal(size=n_columns), rng.normal(size=(n_rows, n_columns))
    pairs = rng.normal(size=(n_columns, n_columns, 2))
    triples = rng.normal(size=(n_columns, n_columns, n_columns, 2)) * cubes

    def ask(known, row):
        X = np.where(known, record, rows[row])
        products = (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)
        threes = (products @ triples.reshape(n_columns**2, -1)).reshape(len(X), n_columns, 2)
        return products @ pairs.reshape(-1, 2) + (threes * X[:, :, None]).sum(axis=1)

    return ask, record, rows


def by_all_orders(ask, n_columns, n_rows):
    added = np.zeros((2, n_columns))
    orders = list(itertools.permutations(range(n_columns)))
    for row in range(n_rows):
        for order in orders:
            known = np.zeros((n_columns + 1, n_columns), dtype=bool)
            for step, column in enumerate(order, 1):
                known[step:, column] = True
            steps = np.diff(ask(known, np.full(n_columns + 1, row)), axis=0)
            added[:, list(order)] += steps.T
    return added / (len(orders) * n_rows)


def test_few_columns_are_exact():
    ask, _, rows = game(5)
    found = sampled_shapley(ask, np.ones((5, 5), dtype=bool), most=5 * 32, seed=0)
    assert found.is_exact
    assert (found.n_asked, found.errors.max()) == (5 * 32, 0.0)
    np.testing.assert_allclose(found.values, by_all_orders(ask, 5, len(rows)), atol=1e-9)


@pytest.mark.parametrize("most", [1, 300, 3000])
def test_what_was_drawn_adds_up_and_is_exact_for_pairs(most):
    ask, _, _ = game(8, cubes=0.0)
    differs = np.ones((5, 8), dtype=bool)
    exact = sampled_shapley(ask, differs, most=5 * 256, seed=0)
    found = sampled_shapley(ask, differs, most=most, seed=3)
    assert exact.is_exact
    assert found.is_exact == (most == 3000)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-9)
    assert found.errors.max() < 1e-9
    np.testing.assert_allclose(found.values.sum(axis=1), found.answer - found.base, atol=1e-9)
    everything = ask(np.ones((1, 8), dtype=bool), np.zeros(1, dtype=int))[0]
    np.testing.assert_allclose(found.answer, everything, atol=1e-9)


def test_the_standard_error_is_that_of_the_drawn():
    ask, _, _ = game(9, n_rows=16)
    differs = np.ones((16, 9), dtype=bool)
    exact = sampled_shapley(ask, differs, most=16 * 512, seed=0).values
    drawn = [sampled_shapley(ask, differs, most=16 * 66, seed=seed) for seed in range(120)]
    values, errors = np.array([one.values for one in drawn]), np.array([one.errors for one in drawn])
    assert not drawn[0].is_exact
    covered = np.abs(values - exact) <= 1.96 * errors
    assert 0.90 <= covered.mean() <= 0.97  # of 95 %: the errors themselves are told by few pairs
    spread = values.std(axis=0)
    assert np.abs(values.mean(axis=0) - exact).max() < 4 * (spread / np.sqrt(len(drawn))).max()
    np.testing.assert_allclose(np.sqrt((errors**2).mean(axis=0)), spread, rtol=0.25)


def test_columns_that_do_not_differ_add_nothing():
    ask, record, rows = game(12)
    rows[:, 4:] = record[4:]
    found = sampled_shapley(ask, rows != record, most=5 * 16, seed=0)
    assert found.is_exact
    assert np.abs(found.values[:, 4:]).max() == 0.0
    alike = sampled_shapley(ask, np.zeros((5, 12), dtype=bool), most=9, seed=0)
    assert alike.values.any() == 0
    np.testing.assert_allclose(alike.answer, alike.base)


def test_the_same_seed_gives_the_same_bits():
    ask, _, _ = game(11)
    differs = np.ones((5, 11), dtype=bool)
    one, two, other = (sampled_shapley(ask, differs, most=400, seed=seed) for seed in (1, 1, 2))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.values.tobytes() != other.values.tobytes()
