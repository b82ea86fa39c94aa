"""Effects of known groups: as good as the textbook's, none where there are none, and what is claimed of them holds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlwright.data.schema import Task, TaskKind
from mlwright.search import known_groups as module
from mlwright.search.known_groups import known_groups

NUMBERS = Task(TaskKind.REGRESSION, "y", "rmse")
TWO = Task(TaskKind.BINARY, "y", "log_loss", ("no", "yes"))
THREE = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))


def drawn(seed, *, deviation, n_groups=150, most=12):
    """Return codes of groups of 1 to `most` rows, their effects, and a draw."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_groups), random.integers(1, most + 1, n_groups))
    return random.permutation(codes), random.normal(scale=deviation, size=n_groups), random


def numbers(seed, *, deviation, noise=1.0):
    """Return values whose model knows all but the group, its predictions, the codes and the effects."""
    codes, effects, random = drawn(seed, deviation=deviation)
    known = random.normal(size=len(codes))
    y = known + effects[codes] + random.normal(scale=noise, size=len(codes))
    return y, known[:, None], codes, effects


def classes(seed, *, deviation):
    codes, effects, random = drawn(seed, deviation=deviation)
    margin = random.normal(size=len(codes))
    y = (random.random(len(codes)) < 1 / (1 + np.exp(-margin - effects[codes]))).astype(float)
    return y, 1 / (1 + np.exp(-margin))[:, None], codes, effects


def found(y, predicted, codes, task, **more):
    return known_groups(y, predicted, codes, task, fitted=(np.arange(len(y)), predicted), **more)


def test_values_are_as_good_as_with_the_true_variances():
    """The oracle is the best linear unbiased predictor of a random intercept whose variances are known."""
    ours, best, none = [], [], []
    for seed in range(20):
        y, predicted, codes, effects = numbers(seed, deviation=1.0)
        told = found(y, predicted, codes, NUMBERS)
        rows = np.bincount(codes)
        textbook = np.bincount(codes, y - predicted[:, 0]) / (rows + 1.0)  # noise / deviation, squared
        ours.append(np.mean((told.effects[:, 0] - effects) ** 2))
        best.append(np.mean((textbook - effects) ** 2))
        none.append(np.mean(effects**2))
    assert np.mean(ours) < 1.05 * np.mean(best)
    assert np.mean(ours) < 0.3 * np.mean(none)


def test_intercepts_of_classes_are_those_of_a_penalised_regression():
    y, _, codes, _ = classes(3, deviation=1.0)
    n_groups, variance = codes.max() + 1, 0.7
    family = module._Classes(1)
    flat = np.zeros((len(y), 1))
    got = family._fit(y, flat, codes, np.ones(len(y)), n_groups, variance)[:, 0]
    oracle = LogisticRegression(C=variance, fit_intercept=False, tol=1e-10, max_iter=10_000)
    oracle.fit(np.eye(n_groups)[codes], y)
    np.testing.assert_allclose(got, oracle.coef_[0], atol=1e-5)


def test_several_classes_follow_their_groups():
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(120), 8)
    liked = random.integers(0, 3, 120)
    y = np.where(random.random(len(codes)) < 0.6, liked[codes], random.integers(0, 3, len(codes)))
    predicted = np.full((len(y), 3), 1 / 3)
    told = found(y.astype(float), predicted, codes, THREE)
    assert told.scale == "score"
    assert (told.effects.argmax(axis=1) == liked).mean() > 0.9
    assert told.after < 0.9 * told.before


@pytest.mark.parametrize("make", [numbers, classes], ids=["numbers", "classes"])
def test_where_groups_have_no_effect_none_is_found(make):
    task = NUMBERS if make is numbers else TWO
    false = sum(
        found(y, predicted, codes, task) is not None
        for y, predicted, codes, _ in (make(seed, deviation=0.0) for seed in range(200))
    )
    assert false <= 4  # of 200; 1.2 are to be expected of a normal's 2.5 standard errors


@pytest.mark.parametrize("make", [numbers, classes], ids=["numbers", "classes"])
def test_the_score_that_is_claimed_holds_for_further_rows(make):
    """What is said of rows judged by the others of their group comes true for new rows of as large a group."""
    task = NUMBERS if make is numbers else TWO
    claimed, came = [], []
    for seed in range(20):
        y, predicted, codes, _ = make(seed, deviation=2.5)
        new = np.zeros(len(y), bool)
        _, first = np.unique(codes, return_index=True)
        new[first[np.bincount(codes) > 2]] = True
        told = found(y[~new], predicted[~new], codes[~new], task)
        offset = told.effects[codes[new]]
        if task is NUMBERS:
            came.append(np.mean((y[new] - (predicted[new] + offset)[:, 0]) ** 2) ** 0.5)
        else:
            odds = np.log(predicted[new] / (1 - predicted[new])) + offset
            chance = 1 / (1 + np.exp(-odds))[:, 0]
            came.append(-np.mean(np.where(y[new] > 0, np.log(chance), np.log(1 - chance))))
        claimed.append(told.after)
    assert np.mean(claimed) == pytest.approx(np.mean(came), rel=0.05)


def test_weights_count_as_rows_do():
    y, predicted, codes, _ = numbers(1, deviation=2.0)
    random = np.random.default_rng(0)
    counts = random.integers(1, 4, len(y))
    told = found(y, predicted, codes, NUMBERS, weights=counts.astype(float))
    doubled = found(y, predicted, codes, NUMBERS, weights=2.0 * counts)
    np.testing.assert_allclose(told.effects, doubled.effects)
    heavy = np.where(np.arange(len(y)) % 2 == 0, 1e6, 1e-6)
    light = found(y, predicted, codes, NUMBERS, weights=heavy)
    half = np.arange(0, len(y), 2)
    alone = known_groups(
        y[half], predicted[half], codes[half], NUMBERS, fitted=(np.arange(len(half)), predicted[half])
    )
    both = np.isin(np.arange(len(light.effects)), codes[half])
    np.testing.assert_allclose(
        light.effects[both], alone.effects[both[: len(alone.effects)].nonzero()[0]], atol=0.2
    )


def test_rows_of_no_group_and_rows_that_no_fold_judged_are_left_out():
    y, predicted, codes, effects = numbers(5, deviation=3.0)
    codes = codes.copy()
    codes[:40] = -1
    predicted = predicted.copy()
    predicted[40:80] = np.nan
    fitted = np.nan_to_num(predicted)
    told = known_groups(y, predicted, codes, NUMBERS, fitted=(np.arange(80, len(y)), fitted[80:]))
    present = np.unique(codes[80:][codes[80:] >= 0])
    absent = np.setdiff1d(np.arange(len(told.effects)), present)
    assert told.n_groups == len(present)
    assert not told.effects[absent].any()
    assert np.corrcoef(told.effects[present, 0], effects[present])[0, 1] > 0.9


@pytest.mark.parametrize(
    "task",
    [
        Task(TaskKind.REGRESSION, "y", "mae"),
        Task(TaskKind.REGRESSION, "y", "poisson_deviance"),
        Task(TaskKind.REGRESSION, "y", "rmse", exposure="years"),
        Task(TaskKind.MULTICLASS, "y", "quadratic_kappa", (1, 2, 3)),
    ],
    ids=str,
)
def test_losses_on_which_misses_do_not_add_up_are_left_alone(task):
    y, predicted, codes, _ = numbers(0, deviation=3.0)
    assert found(np.abs(y), predicted, codes, task) is None


def test_a_target_that_is_the_groups_own_is_not_remembered():
    """Whoever knows the group knows the answer already; more rows of it may well have another one."""
    codes, effects, _ = drawn(0, deviation=1.0)
    y = (effects > 0).astype(float)[codes]
    assert found(y, np.full((len(y), 1), 0.5), codes, TWO) is None


@pytest.mark.parametrize(("n_groups", "is_enough"), [(9, False), (10, True)])
def test_a_handful_of_groups_is_too_few(n_groups, is_enough):
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(n_groups), 30)
    predicted = random.normal(size=(len(codes), 1))
    y = predicted[:, 0] + np.where(codes % 2, 3.0, -3.0) + random.normal(size=len(codes))
    assert (found(y, predicted, codes, NUMBERS) is not None) == is_enough
