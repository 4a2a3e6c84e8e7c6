"""The equivalent of random-feature ridge regression: published values, limits, and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.planning.fitting import theory_objection
from testbed_basics.designs.points import AnisotropicGaussian, Gaussian, Hypercube, Sphere
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models import DotProduct, NetworkProcess, Polynomial
from testbed_ntk.theories.deterministic_equivalent import Levels, ridge_errors
from testbed_ntk.theories.learning_curves import DeterministicEquivalent
from testbed_ntk.theories.random_features import (
    RandomFeatureEquivalent,
    feature_errors,
    sphere_levels,
)
from tests.helpers.cells import make_cell, run_cell

INDEX = np.arange(1.0, 401)
POWER = Levels(INDEX**-1.5, np.ones(400), INDEX**-2)  # λ_i = i^−1.5, v_i = i^−1
RIDGE = SpectralFilter(filter="ridge")
POINTS = AnisotropicGaussian(dim=400, n=100, n_test=500, decay=1.5, noise=0.3)
TRUTH = Linear(decay=0.25)  # v_i = β_i λ_i^½ = i^−1
REFERENCE = [  # n, k, δ, σ, γ, κ, test error, and a simulation of 200 with its standard error
    (100, 50, 0.1, 0.3, 0.0100564593, 0.00170942662, 0.262330, 0.2629, 0.0020),
    (100, 200, 0.1, 0.3, 0.00446522187, 0.0029814459, 0.187333, 0.1892, 0.0012),
    (100, 100, 0.01, 0.3, 0.00305904821, 0.000553086631, 0.405753, 0.3992, 0.0045),
    (50, 400, 0.1, 0.3, 0.0108161315, 0.00974168836, 0.200865, 0.2034, 0.0018),
    (200, 100, 0.001, 0.5, 0.00212183495, 9.95331004e-6, 0.563110, 0.5683, 0.0039),
    (100, 1000, 0.1, 0.3, 0.00386087401, 0.00358255533, 0.164143, 0.1656, 0.0009),
]


@pytest.mark.parametrize("row", REFERENCE)
def test_values_of_an_independent_solution(row):
    n, width, ridge, noise, gamma, kappa, test, simulated, error = row
    result = feature_errors(POWER, n, width, ridge, noise)
    assert result.gamma == pytest.approx(gamma, rel=1e-8)
    assert result.kappa == pytest.approx(kappa, rel=1e-8)
    assert result.test == pytest.approx(test, abs=6e-7)
    assert abs(result.test - simulated) < 2 * error


@pytest.mark.parametrize("ridge", [0.1, 1e-3, 0.0])
def test_many_features_are_the_kernel(ridge):
    result = feature_errors(POWER, 100, 1e9, ridge, 0.3)
    assert result.test == pytest.approx(ridge_errors(POWER, 100, ridge, 0.3).test, rel=1e-6)


@pytest.mark.parametrize("width", [30, 90, 110, 300])
def test_no_ridge_is_the_limit_of_small_ones(width):
    """As an infinite error is at as many features as samples."""
    result = feature_errors(POWER, 100, width, 0.0, 0.3)
    assert result.test == pytest.approx(feature_errors(POWER, 100, width, 1e-9, 0.3).test, rel=1e-4)
    assert math.isinf(feature_errors(POWER, 100, 100, 0.0, 0.3).test)
    assert feature_errors(POWER, 100, 100, 1e-9, 0.3).test > 10


def test_fewer_modes_than_samples_and_features_are_least_squares():
    """σ²/(1 − p/n), that of least squares on p coordinates up to its −1 in n − p − 1."""
    smaller = Levels(np.ones(1), np.array([20.0]), np.ones(1), outside=0.0)
    result = feature_errors(smaller, 100, 60, 0.0, 0.5)
    assert result.test == pytest.approx(0.25 / (1 - 20 / 100))


def test_an_infinite_ridge_predicts_nothing():
    result = feature_errors(POWER, 100, 60, math.inf, 0.3)
    assert result.test == pytest.approx(float(POWER.energy.sum()) + 0.09)


@pytest.mark.parametrize("width", [50, 100, 400])
@pytest.mark.parametrize("times", [(1000.0,), (1e5, math.inf)], ids=["ridge", "little"])
def test_linear_features_of_gaussian_points_follow_it(width, times):
    """The exact setting of the theory, simulated: 30 replicates, within four standard errors and
    3%; no mean exists at as many features as points without ridge."""
    model = RandomFeatures(width=width, activation="linear")
    cell = make_cell(POINTS, TRUTH, model, RIDGE, times, [])
    theory = RandomFeatureEquivalent()
    assert theory_objection(theory, cell) is None
    expected = theory.predict(cell, times)["excess_risk"]
    risk = run_cell(POINTS, TRUTH, model, RIDGE, times, [ExcessRisk()], replicates=30)
    mean, error = risk["excess_risk"].mean(0), risk["excess_risk"].std(0, ddof=1) / 30**0.5
    if width == 100 and math.isinf(times[-1]):
        assert math.isinf(expected[-1])
        expected, mean, error = expected[:-1], mean[:-1], error[:-1]
    assert (np.abs(mean - expected) < 4 * error + 0.03 * expected).all()


@pytest.mark.parametrize(
    ("activation", "bias"),
    [("relu", False), ("tanh", False), ("gelu", False), ("quadratic", False), ("erf", True)],
)
def test_the_spectrum_on_the_sphere_is_that_of_the_kernel_of_infinite_width(activation, bias):
    """By Gauss's rules over directions and lengths here, by dual activations there."""
    kernel = NetworkProcess(
        depth=1, activation=activation, first_variance=1.0, output_variance=1.0,
        bias_variance=float(bias), output_bias_variance=0.0,
    )  # fmt: skip
    design = Sphere(dim=6, n=10)
    reference = kernel.population_spectrum(design).eigenvalue[:8]
    levels = sphere_levels(activation, bias, 6, {1.0: 1.0})
    np.testing.assert_allclose(
        levels.eigenvalue[: len(reference)], reference, rtol=1e-6, atol=1e-12
    )
    trace = float(levels.eigenvalue @ levels.multiplicity) + levels.tail
    assert trace == pytest.approx(kernel.trace(design), rel=1e-6)
    assert levels.energy.tolist() == [0.0, 1.0, *[0.0] * (len(levels.energy) - 2)]


@pytest.mark.parametrize("width", [20, 60, 150])
def test_relu_features_on_the_sphere_follow_it(width):
    """Gaussian equivalence: 60 points, 60 replicates, within four standard errors and 8%."""
    design, times = Sphere(dim=8, n=60, n_test=500, noise=0.3), (50.0, 1e4)
    model = RandomFeatures(width=width)
    cell = make_cell(design, Linear(), model, RIDGE, times, [])
    expected = RandomFeatureEquivalent().predict(cell, times)["excess_risk"]
    risk = run_cell(design, Linear(), model, RIDGE, times, [ExcessRisk()], replicates=60)
    mean, error = risk["excess_risk"].mean(0), risk["excess_risk"].std(0, ddof=1) / 60**0.5
    assert (np.abs(mean - expected) < 4 * error + 0.08 * expected).all()


def test_what_it_does_not_cover_is_refused():
    def reason(design, model, optimizer=RIDGE, target=None):
        cell = make_cell(design, target or Linear(), model, optimizer, (1.0,), [])
        return theory_objection(RandomFeatureEquivalent(), cell) or ""

    linear = RandomFeatures(width=5, activation="linear")
    shifted = RandomFeatures(width=5, activation="linear", bias=True)
    assert "ntk.polynomial has no random features" in reason(POINTS, Polynomial(degree=1))
    assert "not flow" in reason(POINTS, linear, SpectralFilter())
    assert "no other activations" in reason(POINTS, RandomFeatures(width=5))
    assert "no other activations" in reason(POINTS, shifted)
    assert "not hypercube" in reason(Hypercube(dim=4, n=9), linear)
    assert reason(Gaussian(dim=4, n=9), linear) == ""
    assert reason(Sphere(dim=4, n=9), RandomFeatures(width=5, bias=True)) == ""


@pytest.mark.parametrize(
    "model", [Polynomial(degree=1, offset=0.0), DotProduct(coefficients=(0.0, 1.0))]
)
def test_linear_kernels_have_their_equivalent_on_gaussian_points(model):
    """n = 200, d = 800, variances j^−1.5, β_j = j^−0.75, σ = 0.1, δ = n/316.2: .00235, and .00238 ±
    .00005 simulated elsewhere. On isotropic points least squares, and one eigenspace."""
    design = AnisotropicGaussian(dim=800, n=200, decay=1.5, noise=0.1)
    cell = make_cell(design, Linear(decay=0.75), model, RIDGE, (316.2278,), [])
    theory = DeterministicEquivalent()
    assert theory_objection(theory, cell) is None
    (result,) = theory.predict(cell, cell.times)["excess_risk"]
    assert result == pytest.approx(0.0023548, rel=1e-4)
    round_points = Gaussian(dim=40, n=100, noise=0.5, scale=2.0)
    cell = make_cell(round_points, Linear(decay=0.0), model, RIDGE, (math.inf,), [])
    (test,) = theory.predict(cell, cell.times)["test_error"]
    assert test == pytest.approx(0.25 / (1 - 40 / 100))


def test_anisotropic_points_have_the_variances_that_they_state():
    design = AnisotropicGaussian(dim=5, n=20000, decay=2.0, scale=1.5)
    x = design.points(np.random.default_rng(0), 20000)
    assert design.variances[0] == 2.25 and design.variances[4] == 2.25 / 25
    np.testing.assert_allclose(x.var(0), design.variances, rtol=0.05)
