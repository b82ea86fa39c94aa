"""The kernel model against scikit-learn's exact kernel methods."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from mlwright.models.base import FitContext
from mlwright.models.kernel import Kernel
from mlwright.models.linear import Linear
from mlwright.models.robust_inputs import RobustInputs
from mlwright.testing.models import TASKS

BINARY, _, REGRESSION = TASKS[:3]


def test_with_all_rows_as_centres_it_is_kernel_ridge():
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 4))
    y = np.sin(X[:, 0]) + X[:, 1] ** 2
    centred = y - y.mean()
    y = np.concatenate(
        [centred, -centred]
    )  # a mean of 0, so that the ridge's free intercept has nothing to add
    X = np.concatenate([X, 3 - X])
    # Wide apart: every direction of the kernel matrix is kept.
    model = Kernel(alpha=0.3, n_centres=1000, width=0.05, inputs=0).fit(X, y, FitContext(REGRESSION))
    inputs = RobustInputs.learn(X).batch(X)
    gamma = 1 / float(model.state().arrays["width"][0])
    assert len(model.state().arrays["centres"]) == 120
    exact = KernelRidge(alpha=0.3, kernel="rbf", gamma=gamma).fit(inputs, y)
    np.testing.assert_allclose(model.predict(X)[:, 0], exact.predict(inputs), atol=0.02)


def test_similarities_are_gaussian():
    random = np.random.default_rng(1)
    X, y = random.normal(size=(200, 3)), random.normal(size=200)
    model = Kernel(n_centres=20).fit(X, y, FitContext(REGRESSION))
    arrays = model.state().arrays
    similar = RBF(np.sqrt(arrays["width"][0] / 2))(RobustInputs.learn(X).batch(X), arrays["centres"])
    want = similar @ arrays["weights"] + RobustInputs.learn(X).batch(X) @ arrays["slopes"] + arrays["bias"]
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-9, atol=1e-9)


def test_width_is_a_share_of_the_typical_distance():
    X = np.random.default_rng(2).normal(size=(500, 3))
    widths = [
        Kernel(width=width, n_centres=5).fit(X, X[:, 0], FitContext(REGRESSION)).state().arrays["width"][0]
        for width in (1.0, 2.0)
    ]
    inputs = RobustInputs.learn(X).batch(X)
    distances = ((inputs[:, None] - inputs[None]) ** 2).sum(axis=2)
    assert widths[0] == pytest.approx(np.median(distances[distances > 0]), rel=0.15)
    assert widths[1] == pytest.approx(2 * widths[0])


def test_moons_are_told_apart_where_a_line_cannot():
    X, y = make_moons(600, noise=0.15, random_state=0)
    y = y.astype(float)
    right = {}
    for kind in (Kernel, Linear):
        model = kind().fit(X[:300], y[:300], FitContext(BINARY))
        right[kind] = np.mean((model.predict(X[300:])[:, 0] > 0.5) == y[300:])
    assert right[Kernel] > 0.95 > 0.9 > right[Linear]


def test_straight_lines_go_on_where_no_row_is_near():
    X = np.linspace(-1, 1, 200)[:, None]
    far = np.array([[1.8]])  # inputs are bounded: what is followed is the bound's curve, not the line itself
    models = [Kernel(inputs=share).fit(X, X[:, 0], FitContext(REGRESSION)) for share in (0, 3.0)]
    alone, beside = (model.predict(far)[0, 0] for model in models)
    assert beside > 1.1
    assert beside > alone + 0.1


def test_many_inputs_have_few_centres():
    X = np.random.default_rng(3).normal(size=(80, 4096))
    model = Kernel().fit(X, X[:, 0], FitContext(REGRESSION))
    assert model.state().arrays["centres"].shape == (64, 4096)
