"""The variance by its formula, the eigenvalues by quadrature, and the curve beside simulation."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.special import roots_hermitenorm
from testbed_gaussian_process.learning_curve import average_variance, eigenvalues

import testbed


def gaussian(x, z, length=1.0):
    square = ((x[:, None] - z[None]) ** 2).sum(-1)
    return np.exp(-square / (2 * length**2))


def test_the_variance_is_that_of_the_conditional_normal_law():
    rng = np.random.default_rng(1)
    x, y, probe = rng.normal(size=(12, 2)), rng.normal(size=12), rng.normal(size=(5, 2))
    model = testbed.make("gaussian-process.regression", length=0.8, noise=0.2)
    fitted = model.fit(x, y, np.full(12, 1 / 12), 0)
    cross = gaussian(probe, x, 0.8)
    solved = np.linalg.solve(gaussian(x, x, 0.8) + 0.04 * np.eye(12), cross.T)
    _, deviation = fitted.predict(probe, return_std=True)
    np.testing.assert_allclose(deviation**2, 1 - (cross * solved.T).sum(1), rtol=1e-9)


@pytest.mark.parametrize("length", [0.5, 2.0])
def test_the_eigenvalues_are_those_of_the_integral_operator(length):
    points, weight = roots_hermitenorm(150)
    root = np.sqrt(weight / weight.sum())
    matrix = root[:, None] * gaussian(1.5 * points[:, None], 1.5 * points[:, None], length) * root
    expected = eigh(matrix, eigvals_only=True)[::-1][:8]
    value, count = eigenvalues(dim=1, scale=1.5, length=length)
    np.testing.assert_allclose(value[:8], expected, rtol=1e-6)
    assert (count == 1).all()


def test_the_curve_begins_at_the_trace_and_ends_at_zero():
    value, count = eigenvalues(dim=3, scale=1.0, length=1.0)
    assert average_variance(value, count, 0, 0.1) == pytest.approx(1.0)
    assert average_variance(value, count, 10**7, 0.1) < 1e-3


def test_the_curve_is_near_the_simulation(tmp_path):
    from testbed.loading import load_registry

    scenario = testbed.load_scenario(load_registry().scenarios()["gaussian-process"])
    group = testbed.run(scenario, tmp_path)["process"]
    measured = group["posterior_variance"].mean("replicate")
    predicted = group["posterior_variance__learning_curve"]
    np.testing.assert_allclose(predicted.squeeze(), measured.squeeze(), rtol=0.12)
