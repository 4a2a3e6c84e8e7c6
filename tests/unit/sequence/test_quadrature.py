"""Expected risks by quadrature: against a rule of even panels, and against published values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.special import roots_legendre

from testbed_sequence.numerics.diagonal_flow import coordinate_estimate, diagonal_flow
from testbed_sequence.theories.quadrature import (
    _Problem as Problem,
    coordinate_risk,
    expected_risk,
    expected_risk_fixed,
)

TIMES = np.array([1.0, 30.0, 1000.0, 3e4])
CASES = [  # truth, λ, depth: signal, weak signal, none; large, small and tiny eigenvalues
    (1.0, 1.0, 0), (0.05, 0.01, 0), (0.0, 1e-6, 0),
    (1.0, 1.0, 1), (0.05, 0.01, 1), (0.0, 1e-6, 1),
    (0.3, 0.1, 3), (0.0, 0.5, 3),
]  # fmt: skip


def even_panels(truth, eigenvalue, deviation, b0, depth):
    """The same integral on panels of 0.02 over ξ/ε ∈ [−9, 9], eight nodes each: slow and plain."""
    edges = np.linspace(-9, 9, 901)
    point, weight = roots_legendre(8)
    x = ((edges[1:] + edges[:-1])[:, None] / 2 + 0.01 * point).ravel()
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * np.tile(0.01 * weight, 900)
    z = torch.from_numpy(truth + deviation * x)
    same = [torch.full_like(z, value) for value in (eigenvalue, b0)]
    estimate = coordinate_estimate(z, *same, depth, torch.from_numpy(TIMES))[0].numpy()
    return ((estimate - truth) ** 2) @ density


@pytest.mark.parametrize(("truth", "eigenvalue", "depth"), CASES)
def test_graded_panels_agree_with_even_ones(truth, eigenvalue, depth):
    deviation = 0.01
    b0 = deviation ** (1 / (depth + 2))
    problem = Problem(deviation, b0, depth, TIMES)
    result = coordinate_risk(np.array([truth]), np.array([eigenvalue]), problem)[0]
    expected = even_panels(truth, eigenvalue, deviation, b0, depth)
    np.testing.assert_allclose(result, expected, rtol=2e-5)


@pytest.mark.parametrize("depth", [0, 1])
def test_coordinates_without_truth_are_interpolated_as_well_as_computed(depth):
    eigenvalue = np.arange(1.0, 401) ** -1.5
    original = expected_risk(np.zeros(400), eigenvalue, 1e-4, 0.1, depth, TIMES)
    problem = Problem(0.01, 0.1, depth, TIMES)
    parts = coordinate_risk(np.zeros(400), eigenvalue, problem).sum(0)
    np.testing.assert_allclose(original, parts, rtol=1e-5)


def test_without_noise_the_risk_is_the_flow_of_the_truth():
    truth, eigenvalue = np.array([0.5, 0.0, 0.1]), np.array([1.0, 0.3, 0.1])
    result = expected_risk(truth, eigenvalue, 0.0, 0.5, 1, TIMES)
    path = diagonal_flow(torch.from_numpy(truth), torch.from_numpy(eigenvalue), 0.5, 1, TIMES)
    np.testing.assert_allclose(result, ((path.theta.numpy() - truth) ** 2).sum(-1), rtol=1e-12)


def test_fixed_features_have_their_closed_form_and_monte_carlo_agrees():
    """Four comparisons at 4.5 standard errors: false alarm below 1e-4."""
    rng = np.random.Generator(np.random.Philox(8))
    truth, eigenvalue = 1 / np.arange(1.0, 21), np.arange(1.0, 21) ** -2
    result = expected_risk_fixed(truth, eigenvalue, 0.04, TIMES)
    z = truth + 0.2 * rng.standard_normal((20_000, 20))
    shrunk = 1 - np.exp(-np.outer(TIMES, eigenvalue))
    risks = ((shrunk[:, None] * z - truth) ** 2).sum(-1)
    error = risks.std(1) / np.sqrt(20_000)
    assert (np.abs(risks.mean(1) - result) < 4.5 * error).all()


def test_deep_coordinates_have_the_value_of_a_tight_integration():
    """D = 1, n = 1e4, b₀ = ε^{1/3}, λ = 0.01, z = 0.3, t = 50: known from DOP853 at rtol 1e-11."""
    first = torch.ones(1, dtype=torch.float64)
    b0 = 1e-2 ** (1 / 3)
    path = diagonal_flow(0.3 * first, 0.01 * first, b0, 1, [50.0])
    assert float(path.theta) == pytest.approx(0.2999975869, abs=5e-11)
    assert float(path.a * path.b) == pytest.approx(0.4576149255, abs=5e-11)

    def field(_, state):
        a, b, beta = state
        residual = 0.3 - a * b * beta
        return [b * beta * residual, a * beta * residual, a * b * residual]

    end = solve_ivp(field, (0, 50), [0.1, b0, 0.0], "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    np.testing.assert_allclose([float(path.a), float(path.b), float(path.beta)], end, rtol=1e-8)
