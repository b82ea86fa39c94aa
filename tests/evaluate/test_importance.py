"""Permutation importance against scikit-learn's and the known answer of a linear problem."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression

from mlwright.data.values import Coded
from mlwright.evaluate.importance import permutation_importance
from mlwright.metrics import get


def test_a_linear_problem_has_the_known_importance():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(2000, 3))
    y = 3 * X[:, 0] + X[:, 1] + draw.normal(0, 0.1, 2000)
    model = LinearRegression().fit(X, y)
    columns = {"strong": X[:, 0], "weak": X[:, 1], "none": X[:, 2]}
    found = permutation_importance(
        lambda c: model.predict(np.column_stack(list(c.values())))[:, None], columns, y, get("r2"), seed=0
    )
    assert [item.column for item in found] == ["strong", "weak", "none"]
    # The loss of R2 of a shuffled column is 2 b^2 var(x) / var(y).
    assert found[0].mean == pytest.approx(2 * 9 / 10.01, rel=0.05)
    assert found[1].mean == pytest.approx(2 * 1 / 10.01, rel=0.15)
    assert found[2].mean == pytest.approx(0, abs=1e-3)
    oracle = sklearn_importance(model, X, y, scoring="r2", n_repeats=5, random_state=0)
    assert [item.mean for item in found] == pytest.approx(oracle.importances_mean, rel=0.1, abs=1e-3)
    assert all(item.low <= item.mean <= item.high for item in found)


def test_strings_are_shuffled_too_and_inputs_stay_as_they_are():
    draw = np.random.default_rng(1)
    codes = draw.integers(-1, 3, 900).astype(np.int32)
    columns = {"noise": draw.normal(size=900), "city": Coded(codes, ["a", "b", "c"])}
    y = np.array([0.2, 0.1, 0.9, 0.4])[codes + 1] * 10
    before = codes.copy()
    sizes = []

    def predict(given):
        sizes.append(len(given["noise"]))
        assert given["city"].levels == ["a", "b", "c"]
        return (np.array([0.2, 0.1, 0.9, 0.4])[given["city"].codes + 1] * 10)[:, None]

    found = permutation_importance(predict, columns, y, get("rmse"), seed=0, n_repeats=3, max_rows=500)
    spread = np.sqrt(2) * np.std(y)  # the error of one shuffled value against another
    assert [item.column for item in found] == ["city", "noise"]
    assert found[0].mean == pytest.approx(spread, rel=0.1)
    assert found[1].mean == 0
    assert sizes == [500, 3000]  # the rows themselves, then three shuffles of each column in one call
    assert np.array_equal(codes, before)


def test_equal_seeds_give_equal_figures_whatever_the_other_columns():
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=(2, 300))

    def run(columns, seed):
        found = permutation_importance(lambda c: c["a"][:, None], columns, a, get("mae"), seed=seed)
        return {item.column: item for item in found}

    assert run({"a": a, "b": b}, 0) == run({"a": a, "b": b}, 0)
    assert run({"b": b, "a": a}, 0)["a"] == run({"a": a}, 0)["a"]
    assert run({"a": a}, 1)["a"] != run({"a": a}, 0)["a"]


@pytest.mark.parametrize("n_columns", [1, 100, 900])
def test_work_is_bounded_by_counts(n_columns):
    asked = [0]

    def predict(given):
        asked[0] += len(given["0"])
        return given["0"][:, None]

    columns = {str(i): np.arange(3000.0) for i in range(n_columns)}
    found = permutation_importance(predict, columns, np.arange(3000.0), get("mae"), seed=0)
    assert len(found) == n_columns
    assert asked[0] <= 410_000
    assert found[0].column == "0"
    assert found[0].mean > 0


def test_wide_tables_are_asked_in_a_few_calls_and_say_the_same():
    draw = np.random.default_rng(3)
    columns = {f"x{i}": draw.normal(size=400) for i in range(300)} | {
        "city": Coded(draw.integers(-1, 3, 400).astype(np.int32), ["a", "b", "c"])
    }
    y = columns["x7"] + columns["city"].codes
    calls = []

    def predict(given):
        calls.append(len(given["x7"]))
        return (given["x7"] + given["city"].codes)[:, None]

    found = permutation_importance(predict, columns, y, get("mae"), seed=0)
    assert len(calls) < 100
    assert {item.column for item in found if item.mean > 0} == {"x7", "city"}
    few = {name: columns[name] for name in ("city", "x7")}
    again = permutation_importance(predict, few, y, get("mae"), seed=0, n_repeats=3)
    assert again == found[:2]


def test_no_columns_have_no_importance():
    assert permutation_importance(lambda c: np.zeros((3, 1)), {}, np.zeros(3), get("mae"), seed=0) == []


def covered(n_units, rows_a_unit, *, told):
    """How often the interval holds the importance of a known model, of rows that come in equal groups."""
    hits = []
    truth = (
        np.sqrt(1 + 2 * 4) - 1
    )  # the root of the mean square: the noise alone, and with twice the variance of 2x
    for seed in range(200):
        draw = np.random.default_rng(seed)
        units = np.repeat(np.arange(n_units), rows_a_unit)
        x, noise = draw.normal(size=(2, n_units))[:, units]
        found = permutation_importance(
            lambda c: 2 * c["x"][:, None],
            {"x": x},
            2 * x + noise,
            get("rmse"),
            units=units if told else None,
            seed=seed,
        )
        hits.append(found[0].low <= truth <= found[0].high)
    return np.mean(hits)


def test_intervals_cover():
    assert 0.91 <= covered(300, 1, told=False) <= 0.985
    assert 0.90 <= covered(150, 6, told=True) <= 0.985
    assert covered(150, 6, told=False) < 0.85  # rows that belong together know less than they seem to


def test_few_rows_tell_the_range_of_the_repeats():
    draw = np.random.default_rng(0)
    columns = {"x": draw.normal(size=15)}
    (found,) = permutation_importance(lambda c: c["x"][:, None], columns, columns["x"], get("rmse"), seed=0)
    assert 0 < found.low < found.mean < found.high
