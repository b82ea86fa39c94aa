"""Fairness: figures by group against scikit-learn, a biased target flagged, a fair one not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from trust_draws import BINARY, CLASSES, NUMBER, predictions

from mlwright.data.schema import Column, Kind
from mlwright.data.values import Coded
from mlwright.evaluate.cuts import Condition
from mlwright.evaluate.fairness import CLEAR, FEW, FLAGGED, compare_groups

SEX = Column("sex", Kind.CATEGORICAL)


def sexes(codes):
    return {"sex": Coded(codes.astype(np.int32), ["female", "male"])}


def fitted(seed, bias, *, numbers=False, n_rows=3000):
    """Return truth, predictions and groups of test rows: a model fitted on a target that `bias` turns against one group."""
    draw = np.random.default_rng(seed)
    sex = draw.integers(0, 2, n_rows)
    x = draw.normal(size=(n_rows, 3))
    merit = x @ [1.0, 0.7, 0.0] - bias * (sex == 0)
    y = (
        merit + draw.normal(size=n_rows)
        if numbers
        else (draw.random(n_rows) < 1 / (1 + np.exp(-merit))).astype(float)
    )
    seen, half = np.column_stack([x, sex]), n_rows // 2
    if numbers:
        told = LinearRegression().fit(seen[:half], y[:half]).predict(seen[half:])
    else:
        told = LogisticRegression().fit(seen[:half], y[:half]).predict_proba(seen[half:])[:, 1]
    return y[half:], told[:, None], sex[half:]


@pytest.mark.parametrize("numbers", [False, True], ids=["classes", "number"])
def test_a_biased_target_is_flagged_and_a_fair_one_is_not(numbers):
    task = NUMBER if numbers else BINARY
    flagged = {}
    for bias, seeds in ((1.2, range(20)), (0.0, range(40))):
        flagged[bias] = 0
        for seed in seeds:
            y, told, sex = fitted(seed, bias, numbers=numbers)
            found = compare_groups(task, y, told, SEX, sexes(sex))
            flagged[bias] += found.verdict == FLAGGED
            if bias:
                first = found.comparisons[0]
                assert first.criterion == ("level" if numbers else "four_fifths")
    assert flagged[1.2] >= 18
    assert flagged[0.0] <= 1


def test_many_small_groups_of_a_fair_model_are_not_flagged():
    false = 0
    for seed in range(30):
        draw = np.random.default_rng(seed)
        y, told = predictions(BINARY, draw, 900)
        groups = {"town": Coded(draw.integers(0, 10, 900).astype(np.int32), [f"t{i}" for i in range(10)])}
        false += compare_groups(BINARY, y, told, Column("town", Kind.CATEGORICAL), groups).verdict == FLAGGED
    assert false <= 1


def test_figures_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    y, told = predictions(BINARY, draw, 1500)
    sex = draw.integers(0, 2, 1500)
    found = compare_groups(BINARY, y, told, SEX, sexes(sex))
    called = told[:, 0] >= 0.5
    for group in found.groups:
        own = sex == (group.condition.level == "male")
        assert group.n_rows == own.sum()
        figures = {name: part.estimate for name, part in group.figures.items()}
        assert figures == pytest.approx(
            {
                "selection": called[own].mean(),
                "true_positive": recall_score(y[own], called[own]),
                "false_positive": recall_score(1 - y[own], called[own], pos_label=0)
                and 1 - recall_score(y[own], called[own], pos_label=0),
                "precision": precision_score(y[own], called[own]),
                "right": accuracy_score(y[own], called[own]),
                "calibration": told[own, 0].mean() - y[own].mean(),
            }
        )
        assert group.score.estimate == pytest.approx(roc_auc_score(y[own], told[own, 0]))
        assert all(part.low <= part.estimate <= part.high for part in group.figures.values())
    assert len(found.comparisons) == 6  # two groups are compared once


def test_figures_of_numbers_are_plain_means():
    y, told, sex = fitted(3, 0.5, numbers=True)
    found = compare_groups(NUMBER, y, told, SEX, sexes(sex))
    for group in found.groups:
        own = sex == (group.condition.level == "male")
        error = told[own, 0] - y[own]
        figures = {name: part.estimate for name, part in group.figures.items()}
        wanted = {"level": told[own, 0].mean(), "bias": error.mean(), "absolute_error": np.abs(error).mean()}
        assert figures == pytest.approx(wanted)


def test_classes_are_compared_one_by_one():
    draw = np.random.default_rng(4)
    y, told = predictions(CLASSES, draw, 3000)
    sex = draw.integers(0, 2, 3000)
    told[sex == 0, 2] *= 0.2  # the third class is hardly called in one group
    told /= told.sum(axis=1, keepdims=True)
    found = compare_groups(CLASSES, y, told, SEX, sexes(sex))
    flagged = {(each.criterion, each.about) for each in found.comparisons if each.verdict == FLAGGED}
    assert ("four_fifths", "c") in flagged
    assert ("true_positive", "c") in flagged
    assert ("four_fifths", "a") not in flagged


def test_few_rows_are_not_judged():
    y, told = predictions(BINARY, np.random.default_rng(5), 60)
    found = compare_groups(BINARY, y, told, SEX, sexes(np.arange(60) > 12))
    assert found.verdict == FEW
    constant = compare_groups(BINARY, y, told, SEX, sexes(np.zeros(60)))
    assert (constant.verdict, constant.groups) == (FEW, ())


def test_an_age_is_cut_in_ranges_and_missing_is_a_group():
    draw = np.random.default_rng(6)
    age = np.where(draw.random(2000) < 0.1, np.nan, draw.integers(18, 90, 2000))
    found = compare_groups(
        BINARY, *predictions(BINARY, draw, 2000), Column("age", Kind.NUMERIC), {"age": age}
    )
    ranges = [group.condition for group in found.groups]
    assert ranges[-1] == Condition("age")
    assert [part.low for part in ranges[:-1]] == sorted(part.low for part in ranges[:-1])
    assert len(ranges) == 5
    assert found.verdict == CLEAR
    assert sum(group.n_rows for group in found.groups) == 2000


def test_groups_beyond_twelve_are_counted_only():
    draw = np.random.default_rng(7)
    town = draw.choice(20, 2000, p=np.arange(20, 0, -1) / 210).astype(np.int32)
    column = Column("town", Kind.CATEGORICAL)
    table = {"town": Coded(town, [f"t{i}" for i in range(20)])}
    found = compare_groups(BINARY, *predictions(BINARY, draw, 2000), column, table)
    assert len(found.groups) == 12
    assert found.n_other == 2000 - sum(group.n_rows for group in found.groups)


def test_customers_with_many_rows_count_once():
    """The same rows eight times are no more knowledge: what a few rows cannot say, their copies cannot."""
    y, told, sex = (np.repeat(part, 8, axis=0) for part in fitted(8, 0.6, n_rows=300))
    clusters = np.repeat(np.arange(150), 8)
    plain = compare_groups(BINARY, y, told, SEX, sexes(sex))
    counted = compare_groups(BINARY, y, told, SEX, sexes(sex), clusters=clusters)
    wide = {each.criterion: each.gap.high - each.gap.low for each in counted.comparisons}
    narrow = {each.criterion: each.gap.high - each.gap.low for each in plain.comparisons}
    assert all(wide[name] > 1.8 * narrow[name] for name in wide)


def test_weights_count():
    y, told, sex = fitted(9, 0.0)
    weights = np.where((sex == 0) & (told[:, 0] >= 0.5), 0.01, 1.0)
    assert compare_groups(BINARY, y, told, SEX, sexes(sex)).verdict == CLEAR
    assert compare_groups(BINARY, y, told, SEX, sexes(sex), weights=weights).verdict == FLAGGED


def test_a_threshold_is_the_tasks():
    y, told, sex = fitted(10, 0.0)
    low = compare_groups(replace(BINARY, threshold=0.01), y, told, SEX, sexes(sex))
    assert all(group.figures["selection"].estimate > 0.95 for group in low.groups)
