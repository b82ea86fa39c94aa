"""The blend finds the best mix, pays for latency, and is calibrated only where that helps new rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from mlwright.core.errors import BundleContentError
from mlwright.data.schema import Task, TaskKind
from mlwright.metrics import get
from mlwright.models.calibration import Isotonic, LeastChance, Temperature, from_json
from mlwright.search.blend import Selection
from mlwright.search.calibrate import calibrate

BINARY = Task(TaskKind.BINARY, "y", "log_loss", ("No", "Yes"))
THREE = Task(TaskKind.MULTICLASS, "y", "log_loss", ("a", "b", "c"))


def selection(y, predictions, metric, *, prices=None, views=None, **more):
    prices = np.zeros(len(predictions)) if prices is None else np.array(prices)
    return Selection(
        y, predictions, get(metric), prices=prices, views=views or ["one"] * len(predictions), **more
    )


def test_the_greedy_choice_finds_the_best_mix():
    random = np.random.default_rng(0)
    y = random.normal(size=4000)
    noise = random.normal(size=(4000, 3))
    good, other, bad = (y[:, None] + noise[:, i : i + 1] * s for i, s in enumerate((1.0, 1.0, 5.0)))
    shares = selection(y, [good, other, bad], "rmse").choose(np.arange(4000))
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == pytest.approx(0.5, abs=0.06)  # independent errors of equal size weigh the same
    assert shares[2] < 0.08


def test_of_equals_the_first_is_taken():
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    p = np.array([[0.1], [0.7], [0.6], [0.4], [0.9]])
    assert selection(y, [p, p.copy()], "log_loss").choose(np.arange(5)).tolist() == [1.0, 0.0]
    assert selection(y, [1 - p, p], "log_loss").choose(np.arange(5)).tolist() == [0.0, 1.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["rmse", "mae", "r2"]))
def test_the_mix_is_never_worse_than_the_best_alone(seed, name):
    random = np.random.default_rng(seed)
    y = random.normal(size=30)
    candidates = [y[:, None] + random.normal(size=(30, 1)) * s for s in (0.5, 1, 2)]
    shares = selection(y, candidates, name).choose(np.arange(30), n_steps=10)
    mixed = sum(w * c for w, c in zip(shares, candidates, strict=True))
    assert get(name).gain(y, mixed) >= max(get(name).gain(y, c) for c in candidates) - 1e-12


def test_a_member_that_hardly_helps_must_be_cheap():
    random = np.random.default_rng(1)
    y = random.normal(size=3000)
    bad = y[:, None] + random.normal(size=(3000, 1)) * 3.0
    errors = random.normal(size=(2, 3000, 1))
    good, twin = y[:, None] + errors[0], y[:, None] + 0.9 * errors[0] + 0.19**0.5 * errors[1]
    cheap = selection(y, [bad, good, twin], "rmse", prices=[1.0, 1.0, 1.0]).choose(np.arange(3000))
    dear = selection(y, [bad, good, twin], "rmse", prices=[1.0, 1.0, 4000.0]).choose(np.arange(3000))
    assert cheap[2] > 0
    assert dear[2] == 0


def test_a_latency_that_is_told_is_kept_where_it_can_be():
    random = np.random.default_rng(2)
    y = random.normal(size=2000)
    three = [y[:, None] + random.normal(size=(2000, 1)) for _ in range(3)]
    tight = selection(y, three, "rmse", prices=[30.0, 31.0, 32.0], most=65.0)
    assert np.count_nonzero(tight.choose(np.arange(2000))) == 2
    other_views = selection(y, three, "rmse", prices=[30.0, 31.0, 32.0], views=["a", "b", "c"], most=63.9)
    assert (
        np.count_nonzero(other_views.choose(np.arange(2000))) == 1
    )  # a further matrix row has a price as well
    nothing = selection(y, three, "rmse", prices=[30.0, 31.0, 32.0], most=5.0)
    assert nothing.choose(np.arange(2000)).tolist() == [
        1.0,
        0.0,
        0.0,
    ]  # the cheapest, as something must answer


def test_what_is_light_goes_to_what_predicts_most_like_it():
    y = np.zeros(4)
    column = np.array([[1.0], [-1.0], [2.0], [0.0]])
    made = selection(y, [column, column * 1.1, -column, -column * 1.1], "rmse")
    assert made.trimmed(np.array([0.5, 0.02, 0.48, 0.0])) == pytest.approx({0: 0.52, 2: 0.48})
    assert made.trimmed(np.array([0.5, 0.0, 0.47, 0.03])) == pytest.approx({0: 0.5, 2: 0.5})
    assert made.trimmed(np.array([0.0, 0.0, 0.0, 0.0])) == {0: 1.0}
    assert made.trimmed(np.array([0.02, 0.0, 0.02, 0.0])) == pytest.approx({0: 0.5, 2: 0.5})


def test_of_many_that_are_alike_and_light_one_stands_for_all():
    """Ten boosters with 5 % each are half of the blend, and not nothing beside one net with the other half."""
    random = np.random.default_rng(3)
    y = random.normal(size=500)
    boosted = y + random.normal(size=500)
    twins = [(boosted + 0.05 * random.normal(size=500))[:, None] for _ in range(10)]
    net = (y + random.normal(size=500))[:, None]
    got = selection(y, [*twins, net], "rmse").trimmed(np.array([0.05] * 10 + [0.5]))
    assert got[10] == pytest.approx(0.5)
    assert sum(weight for number, weight in got.items() if number < 10) == pytest.approx(0.5)
    assert len(got) <= 5
    assert min(got.values()) >= 0.08


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([1, 3]), st.floats(10.0, 200.0))
def test_a_trimmed_blend_is_whole_small_and_as_cheap_as_asked(seed, n, n_outputs, most):
    random = np.random.default_rng(seed)
    predictions = [random.normal(size=(40, n_outputs)) for _ in range(n)]
    y = random.normal(size=40) if n_outputs == 1 else random.integers(3, size=40).astype(float)
    prices = random.uniform(1, 80, n)
    made = selection(y, predictions, "rmse" if n_outputs == 1 else "log_loss", prices=prices, most=most)
    shares = random.dirichlet(np.full(n, 0.5)) * (random.random(n) < 0.8)
    got = made.trimmed(shares)
    assert sum(got.values()) == pytest.approx(1.0)
    assert max(got.values()) <= 1.0  # to the last bit: a bundle holds no weight above 1
    assert 1 <= len(got) <= 5
    assert len(got) == 1 or min(got.values()) >= (0.08 if n_outputs == 1 else 0.04)
    assert len(got) == 1 or sum(prices[i] for i in got) <= most
    assert set(got) <= set(np.flatnonzero(shares)) or not shares.any()


def overconfident(n, factor, seed=0):
    draw = np.random.default_rng(seed)
    odds = draw.normal(size=n)
    return (draw.random(n) < expit(odds)).astype(float), expit(odds * factor).reshape(-1, 1)


def test_a_temperature_undoes_what_was_pushed_too_far():
    y, predicted = overconfident(4000, 3.0)
    found = calibrate(y, predicted, Task(TaskKind.BINARY, "y", "roc_auc", ("No", "Yes"))).before
    assert isinstance(found, Temperature)
    best = minimize_scalar(
        lambda t: log_loss(y, expit(logit(predicted[:, 0]) / t)), bounds=(0.2, 9), method="bounded"
    )
    assert found.factor == pytest.approx(best.x, rel=1e-3)
    np.testing.assert_allclose(found.apply(predicted)[:, 0], expit(logit(predicted[:, 0]) / found.factor))


def test_classes_are_scaled_by_the_softmax_of_their_logarithms():
    draw = np.random.default_rng(3)
    scores = draw.normal(size=(3000, 3))
    y = np.array([draw.choice(3, p=p) for p in softmax(scores, axis=1)], dtype=float)
    predicted = softmax(scores * 2.5, axis=1)
    found = calibrate(y, predicted, THREE).before
    assert found.factor == pytest.approx(2.5, abs=0.2)
    np.testing.assert_allclose(
        found.apply(predicted), softmax(np.log(predicted) / found.factor, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(found.apply(predicted).sum(axis=1), 1.0)


def test_what_is_calibrated_already_is_left_alone():
    kept = sum(calibrate(*overconfident(1000, 1.0, seed), BINARY).before is not None for seed in range(40))
    assert kept <= 2
    y, predicted = overconfident(40, 3.0)
    assert calibrate(y, predicted, BINARY).before is None  # too few rows to be sure
    assert calibrate(y, y.reshape(-1, 1), Task(TaskKind.REGRESSION, "y", "rmse")) is None


def test_a_bent_curve_is_straightened_by_isotonic_regression():
    draw = np.random.default_rng(4)
    true = draw.random(8000)
    y = (draw.random(8000) < true).astype(float)
    predicted = np.where(true < 0.5, true * 0.2, 0.9 + true * 0.1).reshape(-1, 1)
    found = calibrate(y, predicted, BINARY).before
    assert isinstance(found, Isotonic)
    expected = IsotonicRegression(out_of_bounds="clip").fit(predicted[:, 0], y).predict(predicted[:, 0])
    assert np.abs(found.apply(predicted)[:, 0] - expected).mean() < 0.01
    ranked = calibrate(y, predicted, Task(TaskKind.BINARY, "y", "roc_auc", ("No", "Yes")))
    assert not isinstance(ranked.before, Isotonic)  # it makes ties, which cost ranks


@pytest.mark.parametrize("n_classes", [2, 3, 30])
def test_no_class_is_impossible_and_all_else_stays(n_classes):
    """What is said keeps its order and sums to one; a class said to be impossible has a chance of one in the square of the rows."""
    draw = np.random.default_rng(n_classes)
    y = draw.integers(n_classes, size=40).astype(float)
    said = softmax(draw.normal(size=(40, n_classes)) * 300, axis=1)
    said = said[:, 1:] if n_classes == 2 else said
    task = (
        BINARY
        if n_classes == 2
        else Task(TaskKind.MULTICLASS, "y", "log_loss", tuple(map(str, range(n_classes))))
    )
    got = calibrate(y, said, task).apply(said)
    whole = np.hstack([1 - got, got]) if n_classes == 2 else got
    assert said.min() < 1e-90
    assert whole.min() == pytest.approx(1 / 40**2)
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(got, said, atol=n_classes / 40**2)
    far = said > 1e-9  # nearer to none they are equal to the last bit
    for before, after, clear in zip(said, got, far, strict=True):
        assert (np.argsort(before[clear]) == np.argsort(after[clear])).all()


def test_the_temperature_is_that_of_the_chances_that_are_given():
    """They leave something to a surprise, so a few surprises do not blunt what is right otherwise."""
    y, predicted = overconfident(4000, 0.4)
    predicted[:20, 0] = np.where(y[:20] > 0.5, 1e-15, 1 - 1e-15)
    found = calibrate(y, predicted, Task(TaskKind.BINARY, "y", "roc_auc", ("No", "Yes")))
    least = 1 / 4000**2

    def loss(factor):
        return log_loss(y, least + (1 - 2 * least) * expit(logit(predicted[:, 0]) / factor))

    best = minimize_scalar(
        loss, bounds=(0.2, 1.0), method="bounded"
    ).x  # beyond lies a second valley, less deep
    assert loss(best) < loss(9.0)
    assert found.before.factor == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize(
    "made",
    [
        Temperature(0.7),
        Isotonic(np.array([0.0, 0.2, 0.9]), np.array([0.05, 0.3, 0.8])),
        LeastChance(1e-4),
        LeastChance(1e-4, Temperature(0.7)),
    ],
    ids=["temperature", "isotonic", "least chance", "both"],
)
def test_one_row_and_many_give_the_same_and_survive_a_manifest(made):
    again = from_json(made.to_json(), 1)
    values = np.concatenate([np.linspace(0, 1, 101), np.random.default_rng(0).random(50), [1e-300]])
    many = again.apply(values.reshape(-1, 1))[:, 0]
    np.testing.assert_allclose(many, [again.apply_row([v])[0] for v in values.tolist()], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(many, made.apply(values.reshape(-1, 1))[:, 0])
    assert (np.diff(many[:101]) >= 0).all()


def test_many_classes_in_one_row_and_in_many():
    rows = np.random.default_rng(0).dirichlet([0.1] * 4, size=50)
    for made in (Temperature(1.7), LeastChance(1e-4), LeastChance(1e-4, Temperature(1.7))):
        np.testing.assert_allclose(
            made.apply(rows), [made.apply_row(row) for row in rows.tolist()], atol=1e-12
        )
        again = from_json(made.to_json(), 4)
        assert again.apply(rows).tobytes() == made.apply(rows).tobytes()


@pytest.mark.parametrize(
    "tree",
    [
        {"kind": "temperature", "factor": 0.0},
        {"kind": "temperature", "factor": float("nan")},
        {"kind": "temperature", "factor": True},
        {"kind": "temperature", "factor": 1.0, "more": 1},
        {"kind": "os:system", "factor": 1.0},
        {"kind": "isotonic", "knots": [0.0, 0.0], "values": [0.0, 1.0]},
        {"kind": "isotonic", "knots": [0.0, 1.0], "values": [1.0, 0.0]},
        {"kind": "isotonic", "knots": [0.0, 2.0], "values": [0.0, 1.0]},
        {"kind": "isotonic", "knots": [0.0], "values": [0.0]},
        {"kind": "isotonic", "knots": "01", "values": [0.0, 1.0]},
        {"kind": "isotonic", "knots": [i / 5000 for i in range(5000)], "values": [0.5] * 5000},
        {"kind": "least_chance", "least": 0.0, "before": None},
        {"kind": "least_chance", "least": 0.5, "before": None},
        {"kind": "least_chance", "least": float("nan"), "before": None},
        {"kind": "least_chance", "least": "0.1", "before": None},
        {"kind": "least_chance", "least": 0.1},
        {"kind": "least_chance", "least": 0.1, "before": {"kind": "temperature", "factor": 0.0}},
        {
            "kind": "least_chance",
            "least": 0.1,
            "before": {"kind": "least_chance", "least": 0.1, "before": None},
        },
        [1, 2],
        "temperature",
    ],
)
def test_a_malformed_calibration_is_refused(tree):
    with pytest.raises(BundleContentError, match="calibration"):
        from_json(tree, 1)


def test_an_isotonic_curve_is_for_two_classes():
    with pytest.raises(BundleContentError, match="calibration"):
        from_json({"kind": "isotonic", "knots": [0.0, 1.0], "values": [0.0, 1.0]}, 3)
