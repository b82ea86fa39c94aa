"""Label noise: flipped labels are counted and named; where classes only overlap there is hardly ever an alarm."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlwright.data.findings import Severity
from mlwright.data.schema import Task, TaskKind
from mlwright.evaluate.label_noise import _fall, _limits, confident_joint, label_noise
from mlwright.evaluate.report import render
from mlwright.evaluate.unlikely_values import unlikely_values

CLASSES = Task(TaskKind.MULTICLASS, "kind", "log_loss", ("a", "b", "c", "d"))
BINARY = Task(TaskKind.BINARY, "left", "roc_auc", ("no", "yes"))


def out_of_fold(x, y):
    """Probabilities of a linear discriminant analysis in closed form, over four folds."""
    n_classes = int(y.max()) + 1
    chances = np.zeros((len(y), n_classes))
    for fold in range(4):
        fit, valid = np.arange(len(y)) % 4 != fold, np.arange(len(y)) % 4 == fold
        means = np.stack([x[fit & (y == k)].mean(axis=0) for k in range(n_classes)])
        within = x[fit] - means[y[fit]]
        weights = np.linalg.solve(within.T @ within / fit.sum(), means.T)
        prior = np.log(np.bincount(y[fit], minlength=n_classes) / fit.sum())
        score = x[valid] @ weights - 0.5 * (means * weights.T).sum(axis=1) + prior
        raised = np.exp(score - score.max(axis=1, keepdims=True))
        chances[valid] = raised / raised.sum(axis=1, keepdims=True)
    return chances[:, 1:] if n_classes == 2 else chances


def clusters(draw, n, n_classes):
    """Classes far from each other."""
    truth = draw.integers(0, n_classes, n)
    return draw.normal(size=(n, 5)) + 8 * np.eye(5)[truth], truth


def overlapping(draw, n, n_classes, *, steep, shift=0.0):
    """Classes drawn from probabilities that fall steadily from side to side."""
    x = draw.normal(size=(n, 5))
    score = steep * x @ draw.normal(size=(5, n_classes)) / np.sqrt(5)
    score[:, 0] += shift
    chances = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    return x, (draw.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(0, n_classes - 1)


def flipped(draw, truth, n_classes, share):
    wrong = draw.random(len(truth)) < share
    return np.where(wrong, (truth + draw.integers(1, n_classes, len(truth))) % n_classes, truth), wrong


def look(task, x, y):
    return label_noise(task, y.astype(float), out_of_fold(x, y), np.arange(1, len(y) + 1))


@pytest.mark.parametrize("task", [BINARY, CLASSES], ids=["binary", "classes"])
def test_flipped_labels_are_counted_and_named(task):
    n_classes, alarms, inside, shares = len(task.labels), 0, 0, []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        x, truth = clusters(draw, 1500, n_classes)
        y, wrong = flipped(draw, truth, n_classes, 0.1)
        found = look(task, x, y)
        alarms += found.alarm
        inside += found.low <= wrong.mean() <= found.high
        shares.append(found.share)
        rows = [suspect.row - 1 for suspect in found.suspects]
        assert len(rows) == 20
        assert wrong[rows].mean() >= 0.9
        assert (
            np.mean(
                [task.labels[truth[row]] == s.likely for row, s in zip(rows, found.suspects, strict=True)]
            )
            >= 0.9
        )
        assert all(task.labels[y[s.row - 1]] == s.given for s in found.suspects)
    assert alarms >= 18
    assert inside >= 18
    assert np.mean(shares) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("apart", lambda draw: clusters(draw, 800, 2)),
        ("overlapping", lambda draw: overlapping(draw, 800, 2, steep=2.5)),
        ("steep", lambda draw: overlapping(draw, 800, 2, steep=6.0)),
        ("flat", lambda draw: overlapping(draw, 800, 2, steep=1.0)),
        ("rare", lambda draw: overlapping(draw, 800, 2, steep=3.0, shift=2.5)),
        ("four", lambda draw: overlapping(draw, 800, 4, steep=4.0)),
        ("nothing", lambda draw: (draw.normal(size=(800, 5)), draw.integers(0, 2, 800))),
    ],
)
def test_honest_labels_hardly_ever_give_an_alarm(name, drawn):
    alarms = 0
    for seed in range(40):
        x, y = drawn(np.random.default_rng(seed))
        found = look(CLASSES if name == "four" else BINARY, x, y)
        alarms += found.alarm
        assert found.alarm or (found.low == 0.0 and found.finding is None)
    assert alarms <= 2


def test_overlap_with_flipped_labels_is_bracketed():
    alarms = inside = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        x, truth = overlapping(draw, 2500, 2, steep=8.0)
        y, wrong = flipped(draw, truth, 2, 0.1)
        found = look(BINARY, x, y)
        alarms += found.alarm
        inside += found.low <= wrong.mean() <= found.high
    assert alarms >= 14
    assert inside >= 18


def test_the_joint_is_that_of_the_paper():
    draw = np.random.default_rng(0)
    chances = draw.dirichlet(np.ones(4), 300)
    y = draw.integers(0, 3, 300)  # nobody is labelled as the last class
    joint, sure = confident_joint(y, chances)
    expected = np.zeros((4, 4), int)
    for row in range(300):
        reached = []
        for code in range(4):
            own = [chances[i][code] for i in range(300) if y[i] == code]
            if own and chances[row][code] >= sum(own) / len(own) - 1e-9:
                reached.append((chances[row][code], code))
        assert sure[row] == (max(reached)[1] if reached else -1)
        if reached:
            expected[y[row], max(reached)[1]] += 1
    assert joint.tolist() == expected.tolist()


def test_the_fall_is_the_slope_of_a_logistic_regression():
    draw = np.random.default_rng(1)
    odds = draw.exponential(size=600)
    wrong = draw.random(600) < 1 / (1 + np.exp(0.5 + 0.8 * odds))
    falls, error = _fall(wrong, np.zeros(600, int), odds)
    fit = LogisticRegression(C=np.inf, tol=1e-10).fit(((odds - odds.mean()) / odds.std())[:, None], wrong)
    assert falls == pytest.approx(-fit.coef_[0, 0], abs=1e-4)
    assert 0.05 < error < 0.2
    assert _limits(0, 10, 0.05) == (0.0, pytest.approx(1 - 0.05**0.1))


def test_few_rows_say_nothing_and_personal_labels_are_not_repeated():
    draw = np.random.default_rng(2)
    x, truth = clusters(draw, 1500, 2)
    y, _ = flipped(draw, truth, 2, 0.1)
    chances = out_of_fold(x, y)
    assert label_noise(BINARY, y[:90].astype(float), chances[:90], np.arange(90)) is None
    found = label_noise(BINARY, y.astype(float), chances, np.arange(1500), hidden=True)
    assert {(s.given, s.likely) for s in found.suspects} == {(None, None)}
    assert "yes" not in found.finding.what
    assert found.finding.severity is Severity.WARN


# --- numbers


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("normal", lambda draw, level: draw.normal(size=len(level))),
        ("heavy", lambda draw, level: draw.standard_t(3, len(level))),
        ("skewed", lambda draw, level: draw.lognormal(0, 1, len(level))),
        ("uneven", lambda draw, level: draw.normal(size=len(level)) * np.exp(level)),
        ("even", lambda draw, level: draw.uniform(-1, 1, len(level))),
    ],
)
def test_honest_numbers_are_hardly_ever_beyond_belief(name, noise):
    alarms = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        level = draw.normal(size=1500)
        alarms += unlikely_values("y", level + noise(draw, level), level, np.arange(1500)).alarm
    assert alarms <= 3, name


def test_slips_of_a_digit_are_named():
    draw = np.random.default_rng(3)
    level = draw.uniform(100, 400, 3000)
    y = level + 10 * draw.standard_t(5, 3000)
    slips = draw.permutation(3000)[:15]
    y[slips] *= 10
    found = unlikely_values("price", y, level, np.arange(1, 3001))
    assert {s.row - 1 for s in found.suspects} == set(slips.tolist())
    assert found.n_suspects == 15
    assert "15 values are" in found.finding.what
    assert unlikely_values("price", level, level, np.arange(3000)) is None


# --- in the report


def test_the_report_lists_the_rows_and_its_figures_are_those_of_the_json(binary_context):
    draw = np.random.default_rng(4)
    x, truth = clusters(draw, 1500, 2)
    y, _ = flipped(draw, truth, 2, 0.1)
    found = look(BINARY, x, y)
    page = render(replace(binary_context, parts=(found,)))
    tree = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert f'<data value="{tree["share"]:.12g}" data-path="parts.label_noise.share">' in page
    assert all(f">{s['row']:,}</th>" in page for s in tree["suspects"][:10])
    quiet = look(BINARY, x, truth)
    assert "no sign of wrong labels" in render(replace(binary_context, parts=(quiet,)))
    numbers = unlikely_values("y", x[:, 0], 0.5 * x[:, 0], np.arange(1500))
    assert "the others explains" in render(replace(binary_context, parts=(numbers,)))


def test_labels_from_outside_are_escaped(hostile):
    draw = np.random.default_rng(5)
    x, truth = clusters(draw, 800, 2)
    y, _ = flipped(draw, truth, 2, 0.1)
    page = render(replace(hostile, parts=(look(replace(BINARY, labels=("<b>x", "y")), x, y),)))
    assert "<b>x" not in page
