"""The neural net: its derivatives against finite differences, its losses against scikit-learn, its cost on wide tables."""

import numpy as np
import pytest
from scipy import special
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    log_loss,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_tweedie_deviance,
)
from sklearn.preprocessing import RobustScaler
from threadpoolctl import threadpool_limits

from mlwright.data.schema import Objective, Task, TaskKind
from mlwright.models.base import FitContext
from mlwright.models.mlp import MLP
from mlwright.models.mlp_losses import Loss
from mlwright.models.mlp_training import Network, Settings
from mlwright.models.robust_inputs import RobustInputs
from mlwright.testing.models import TASKS, same_bits, training

BINARY, MULTICLASS, REGRESSION = TASKS[:3]
SETTINGS = Settings((5, 4), 2, 0.0, 0.0, 0.0, 1, 1, None)


def losses(objective):
    """Return targets and weights of 30 rows, and the loss."""
    random = np.random.default_rng(0)
    targets = random.gamma(2.0, size=(30, 1))
    if objective is Objective.LOGISTIC:
        targets = (targets > 1.5).astype(float)
    if objective is Objective.SOFTMAX:
        targets = np.eye(3)[random.integers(0, 3, 30)]
    weights = random.uniform(0.5, 2, 30)
    return (
        targets.astype(np.float32),
        weights / weights.mean(),
        Loss(objective, np.zeros(targets.shape[1]), 0.8),
    )


@pytest.mark.parametrize("objective", [each for each in Objective if each is not Objective.RELATIVE])
def test_slope_is_the_derivative_of_the_value(objective):
    targets, weights, loss = losses(objective)
    scores = np.random.default_rng(1).normal(size=targets.shape)
    slope = loss.slope_for(targets[None], weights[None].astype(np.float32))(scores[None].astype(np.float32))[
        0
    ]
    for row, output in [(0, 0), (7, 0), (29, targets.shape[1] - 1)]:
        moved = [scores.copy(), scores.copy()]
        moved[0][row, output] -= 1e-4
        moved[1][row, output] += 1e-4
        low, high = (loss.value(each, targets, weights) for each in moved)
        assert slope[row, output] == pytest.approx((high - low) / 2e-4, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("objective", "want"),
    [
        (Objective.POISSON, mean_poisson_deviance),
        (Objective.GAMMA, mean_gamma_deviance),
        (Objective.TWEEDIE, lambda t, m, **w: mean_tweedie_deviance(t, m, power=1.5, **w)),
    ],
)
def test_differences_of_values_are_those_of_half_deviances(objective, want):
    targets, weights, loss = losses(objective)
    raw = np.random.default_rng(2).normal(size=(2, 30, 1))
    got = loss.value(raw[0], targets, weights) - loss.value(raw[1], targets, weights)
    ours = [want(targets[:, 0], np.exp(each[:, 0]), sample_weight=weights) / 2 for each in raw]
    assert got == pytest.approx(ours[0] - ours[1], rel=1e-6)


def test_values_of_classes_and_quantiles():
    targets, weights, loss = losses(Objective.SOFTMAX)
    raw = np.random.default_rng(3).normal(size=(30, 3))
    shares = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    assert loss.value(raw, targets, weights) == pytest.approx(
        log_loss(targets.argmax(axis=1), shares, sample_weight=weights)
    )
    targets, weights, loss = losses(Objective.QUANTILE)
    want = mean_pinball_loss(targets[:, 0], raw[:, 0], alpha=0.8, sample_weight=weights)
    assert loss.value(raw[:, :1], targets, weights) == pytest.approx(want)


def test_derivative_by_every_weight():
    """What back-propagation leaves as gradients, against differences of the nets' summed losses."""
    random = np.random.default_rng(4)
    network = Network([3, 5, 4, 1], 2, np.zeros(1), random)
    inputs = random.normal(size=(2, 8, 3)).astype(np.float32)
    targets = random.normal(size=(2, 8, 1)).astype(np.float32)
    loss = Loss(Objective.SQUARED, np.zeros(1))
    network.numbers += random.normal(size=len(network.numbers)).astype(np.float32) * 0.3
    numbers = network.numbers.copy()
    network.learn(inputs, loss.slope_for(targets, None), 0.0, SETTINGS, random)
    assert np.array_equal(network.numbers, numbers)  # at a rate of 0

    def total(values):
        parts = [part.astype(float) for part in network.views(values)]
        hidden = inputs * parts[0]
        for layer in range(3):
            hidden = hidden @ parts[1 + 2 * layer] + parts[2 + 2 * layer]
            hidden = hidden / (1 + np.exp(-hidden)) if layer < 2 else hidden
        return ((hidden - targets) ** 2).mean(axis=(1, 2)).sum() / 2

    for place in range(0, len(numbers), 3):
        moved = [numbers.astype(float), numbers.astype(float)]
        moved[0][place] -= 1e-5
        moved[1][place] += 1e-5
        want = (total(moved[1]) - total(moved[0])) / 2e-5
        assert network.gradients[place] == pytest.approx(want, rel=1e-3, abs=2e-5)


def test_inputs_are_scaled_as_by_robust_scaler():
    X = np.random.default_rng(5).gamma(1.0, size=(200, 3))
    scaled = RobustScaler().fit_transform(X)
    got = RobustInputs.learn(X).batch(X)
    np.testing.assert_allclose(got, scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-12)


def test_missing_and_constant_inputs():
    X = np.array([[1.0, 5, np.nan, 0], [2, 5, np.nan, 0], [3, 5, 1, 0], [2, 5, 2, 0], [np.inf, 5, 3, 1]])
    inputs = RobustInputs.learn(X)
    assert inputs.columns.tolist() == [0, 2, 3]
    assert inputs.flagged.tolist() == [2]
    got = inputs.batch(X)
    assert got[:, 3].tolist() == [1, 1, 0, 0, 0]
    assert got[0, 1] == 0
    assert got[4, 0] == 3  # infinite: the bound
    assert got[4, 2] == pytest.approx(2 / np.sqrt(1 + 4 / 9))  # a flag that is rarely set: half the range
    row, alone = np.zeros(4), np.zeros(4)
    fill = inputs.bind(row, alone)
    for values, want in zip(X, got, strict=True):
        row[:] = values
        fill()
        assert alone.tolist() == want.tolist()


@pytest.mark.parametrize("n_pieces", [0, 8])
def test_digits_better_than_linear(n_pieces):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(X))[:900]
    X, y = X[order], y[order].astype(float)
    task = Task(TaskKind.MULTICLASS, "y", "log_loss", tuple(range(10)))
    fit, judge = (X[:600], y[:600]), (X[600:], y[600:])
    valid = (X[500:600], y[500:600])
    model = MLP(n_pieces=n_pieces, width=64, max_iterations=25).fit(
        X[:500], y[:500], FitContext(task, valid=valid)
    )
    linear = LogisticRegression(C=0.01, max_iter=2000).fit(*fit)
    got = log_loss(judge[1], model.predict(judge[0]))
    assert got < log_loss(judge[1], linear.predict_proba(judge[0]))


def test_bends_where_a_line_cannot():
    X = np.linspace(-3, 3, 400)[:, None]
    y = 100 + 7 * np.sin(2 * X[:, 0])
    model = MLP(n_pieces=8, width=32, dropout=0.0).fit(X, y, FitContext(REGRESSION, n_iterations=120))
    assert np.sqrt(np.mean((model.predict(X)[:, 0] - y) ** 2)) < 1.0  # a line misses by 4.8


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_a_quantile_lies_where_it_should(quantile):
    random = np.random.default_rng(6)
    X = random.uniform(-1, 1, size=(2000, 1))
    y = 3 * X[:, 0] + random.normal(size=2000)
    task = Task(TaskKind.REGRESSION, "y", "pinball", quantile=quantile)
    model = MLP(width=16).fit(X[:1000], y[:1000], FitContext(task, n_iterations=30))
    assert np.mean(y[1000:] <= model.predict(X[1000:])[:, 0]) == pytest.approx(quantile, abs=0.06)


def test_rows_of_a_thousandth_weight_say_next_to_nothing():
    X, y = training(BINARY, 400)
    turned = np.where(np.arange(400) % 2 == 0, y, 1 - y)
    weights = np.where(np.arange(400) % 2 == 0, 1.0, 1e-3)
    model = MLP(width=16).fit(X, turned, FitContext(BINARY, weights=weights, n_iterations=30))
    assert np.mean((model.predict(X)[:, 0] > 0.5) == (y == 1)) > 0.85


def test_wide_tables_get_narrow_nets_and_zeros_are_skipped():
    random = np.random.default_rng(7)
    X = (random.random((60, 6000)) < 0.02).astype(float)
    y = random.integers(0, 2, 60).astype(float)
    model = MLP().fit(X, y, FitContext(BINARY, n_iterations=1))
    assert model.state().arrays["weights_0"].size <= 2**19
    alone = [model.predict_row(row) for row in X[:10]]
    np.testing.assert_allclose(alone, model.predict(X[:10]), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tells", [False, True], ids=["says what others say", "says what no other says"])
def test_a_rare_flag_counts_for_what_it_alone_tells(tells, seed):
    # Thirteen rows of class 0 have a flag. Their other columns say so already, or else they say the opposite.
    random = np.random.default_rng(seed)
    y = (np.arange(500) % 3 == 0).astype(float)
    X = np.column_stack([random.normal(0.8 * y[:, None], 1.0, (500, 8)), np.zeros(500)])
    rows = np.argsort(X.sum(axis=1))[:: -1 if tells else 1]
    X[rows[y[rows] == 0][:150:12], -1] = 1.0
    model = MLP().fit(X, y, FitContext(BINARY, n_iterations=20, seed=seed))
    ones = X[y == 1]
    flagged = np.column_stack([ones[:, :-1], np.ones(len(ones))])
    plain, turned = (np.median(special.logit(model.predict(rows))) for rows in (ones, flagged))
    assert plain > 1.5
    assert turned < plain - 2 if tells else abs(turned - plain) < 1


def test_threads_of_blas_do_not_move_predictions():
    X, y = training(MULTICLASS, 2000)
    model = MLP(n_pieces=8).fit(X, y, FitContext(MULTICLASS, n_iterations=2))
    with threadpool_limits(limits=1, user_api="blas"):
        one = model.predict(X)
    with threadpool_limits(limits=4, user_api="blas"):
        np.testing.assert_allclose(model.predict(X), one, rtol=1e-12)
        np.testing.assert_allclose([model.predict_row(row) for row in X[:20]], one[:20], rtol=1e-12)


def test_side_by_side_each_predicts_as_alone():
    X, y = training(MULTICLASS, 300)
    shapes = [{"n_layers": 1}, {"n_layers": 3, "n_pieces": 4}, {"n_layers": 2, "members": 3}, {"n_layers": 3}]
    context = FitContext(MULTICLASS, n_iterations=2)
    models = [MLP(width=16, **shape).fit(X, y, context) for shape in shapes]
    wild = X[:20].copy()
    wild[::3] = np.nan
    wild[1::3] *= 1e200
    row = np.zeros(X.shape[1])
    predict = MLP.together(models)(row)
    for row[:] in [*X[:20], *wild]:
        for got, model in zip(predict(), models, strict=True):
            np.testing.assert_allclose(got, model.predict(row[None])[0], rtol=1e-12)
    other = MLP(width=16).fit(X * 2, y, context)  # its inputs are scaled otherwise
    row[:] = X[0]
    for got, model in zip(MLP.together([models[0], other])(row)(), (models[0], other), strict=True):
        np.testing.assert_allclose(got, model.predict(X[:1])[0], rtol=1e-12)


def test_inputs_of_a_tiny_unit_stay_bounded():
    X = np.array([[0.0], [1.0], [2.0], [3.0]]) * 1e-90
    np.testing.assert_allclose(
        RobustInputs.learn(X).batch(np.array([[1.5e-90], [3e-90], [1e90], [-1e90]]))[:, 0],
        [0, 1 / np.hypot(1, 1 / 3), 3, -3],
        rtol=1e-12,
        atol=1e-12,
    )


def test_a_first_iteration_that_would_take_too_long_is_given_up():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(6_000, 3))
    y = (X[:, 0] > 0).astype(float)
    asked = []
    context = FitContext(
        BINARY, valid=(X, y), over_within=lambda seconds: asked.append(seconds) or True, seed=3
    )
    model = MLP(width=16).fit(X, y, context)
    assert len(asked) == 1
    assert asked[0] > 0
    assert model.n_iterations_ == 0
    # Once an iteration is there, only the clock stops it.
    asked.clear()
    context = FitContext(
        BINARY, valid=(X, y), over_within=lambda seconds: asked.append(seconds) or False, seed=3
    )
    assert MLP(width=16, max_iterations=3).fit(X, y, context).n_iterations_ > 0
    assert len(asked) == 1


def test_a_stopped_fit_keeps_what_whole_iterations_gave():
    X, y = training(BINARY, 1000)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3  # one question an iteration of 16 batches

    model = MLP(width=16).fit(X, y, FitContext(BINARY, valid=(X, y), stop=stop, seed=3))
    assert model.n_iterations_ == 3
    again = MLP(width=16).fit(X, y, FitContext(BINARY, n_iterations=3, seed=3))
    assert same_bits(model, again)
