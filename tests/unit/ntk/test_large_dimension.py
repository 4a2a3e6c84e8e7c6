"""Exponents in large dimension against brute force and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.contract.components import Theory
from testbed.planning.fitting import theory_objection
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_ntk import models
from testbed_ntk.theories import learning_curves as theory
from testbed_ntk.theories.exponents import (
    best_in_dimension,
    minimax_in_dimension,
)
from tests.helpers.kernel_theory import Harmonics, Plain, cell, source, spectral


def brute_force_exponent(s: float, gamma: float, order: float) -> float:
    """r by optimising the regularisation d^{−θ} over the levels μ_k ≍ d^{−k}, N_k ≍ d^k.

    Ridge λ = d^{−θ} with its effective value: levels with μ_k ≥ κ are learned; bias² of level k is
    ‖P_k f*‖² ≍ d^{−ks} times (κ/μ_k)^{2q} for qualification q; variance N_k min(1, (μ_k/κ)²)/n.
    """
    best = -math.inf
    for theta in np.linspace(0, min(gamma, 8), 1601):  # κ = d^{−θ}, κ ≥ 1/n
        terms = []
        for k in range(14):
            learned = theta >= k
            saturated = -math.inf if math.isinf(order) else -2 * order * (theta - k)
            bias = -k * s + (saturated if learned else 0.0)
            variance = k - gamma + min(0.0, 2 * (theta - k))
            terms += [bias, variance]
        best = max(best, -max(terms))
    return best


@pytest.mark.parametrize("order", [0.5, 1.0, 1.7, 2.0, 4.0, math.inf])
@pytest.mark.parametrize("s", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_exponents_in_high_dimension_are_the_best_trade_off(s, order):
    """The grid of θ is at most 0.005 wide, and the exponent of bias has slope 2q there."""
    for gamma in np.arange(0.3, 5.0, 0.35):
        result = best_in_dimension(s, gamma, order)
        brute = brute_force_exponent(s, gamma, order)
        assert brute - 1e-9 <= result <= brute + 0.01


def published_ridge_exponent(s: float, gamma: float) -> float:
    """Ridge for s > 1, s̃ = min(s, 2), p = ⌊γ/(s̃ + 1)⌋ (arXiv:2401.01270): γ − p on
    [p(s̃+1), ps̃+p+1), (γ − p + ps̃ + 1)/2 on [ps̃+p+1, ps̃+p+2s̃−1), (p+1)s̃ beyond."""
    observed = min(s, 2.0)
    p = math.floor(gamma / (observed + 1))
    start = p * (observed + 1)
    if gamma < start + 1:
        return gamma - p
    return (
        (gamma - p + p * observed + 1) / 2
        if gamma < start + 2 * observed - 1
        else (p + 1) * observed
    )


def test_ridge_in_high_dimension_has_its_published_exponent():
    for gamma in np.arange(0.05, 8.0, 0.13):
        for s in (1.2, 1.5, 2.0, 3.0):
            expected = published_ridge_exponent(s, gamma)
            assert best_in_dimension(s, gamma, 1.0) == pytest.approx(expected)
        for s, order in ((0.4, 1.0), (1.0, 1.0), (2.0, 2.0)):  # s ≤ q: minimax
            expected = minimax_in_dimension(s, gamma)
            assert best_in_dimension(s, gamma, order) == pytest.approx(expected)


def test_the_plateau_is_flat_and_periodic():
    values = [minimax_in_dimension(1.0, gamma) for gamma in (1.0, 1.5, 2.0, 3.0, 3.5, 4.0)]
    assert values == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def test_large_dimension_reads_the_cell():
    actual = cell(Sphere(dim=20, gamma=2.0, noise=0.5), source(2.0))
    result = theory.LargeDimension().predict(actual, actual.times)
    assert result["dimension_exponent"] == pytest.approx(-1.5, abs=1e-3)
    assert result["minimax_exponent"] == pytest.approx(-2.0, abs=1e-3)
    assert theory_objection(theory.LargeDimension(), actual) is None
    odd = cell(actual.design, actual.target, models.ReluTangent())
    assert "vanish" in theory_objection(theory.LargeDimension(), odd)
    assert "sphere" in theory_objection(
        theory.LargeDimension(), cell(Torus(dim=2, n=9, noise=1.0), source())
    )


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (spectral("ridge"), -1.75),
        (spectral("iterated-ridge", qualification=1.0), -1.75),
        (spectral("iterated-ridge", qualification=2.0), -7 / 3),
        (spectral("flow"), -2.5),
        (spectral("cutoff"), -2.5),
        (spectral("heavy-ball", learning_rate=0.1, momentum=0.5), -2.5),
        (GradientFlow(), -2.5),
        (GradientDescent(learning_rate=0.1, momentum=0.9), -2.5),
    ],
)
def test_every_filter_has_the_exponent_of_its_qualification(optimizer, expected):
    actual = cell(Sphere(dim=100, gamma=2.5, noise=0.5), source(3.0), optimizer=optimizer)
    assert theory_objection(theory.LargeDimension(), actual) is None
    result = theory.LargeDimension().predict(actual, actual.times)
    assert result["dimension_exponent"] == pytest.approx(expected, abs=1e-3)
    assert result["minimax_exponent"] == pytest.approx(-2.5, abs=1e-3)


def test_targets_of_other_inner_product_kernels_keep_their_smoothness_in_high_dimension():
    design = Sphere(dim=20, gamma=2.0, noise=0.5)
    second = cell(design, source(2.0, models.Laplace()))
    assert theory_objection(theory.LargeDimension(), second) is None
    result = theory.LargeDimension().predict(second, second.times)
    assert result["dimension_exponent"] == pytest.approx(-1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"optimizer": Adam(learning_rate=0.1)}, "adam has no spectral algorithm"),
        ({"optimizer": spectral("iterated-ridge", qualification=0.4)}, "at least 0.5, not 0.4"),
        ({"target": source(2.0, models.ReluTangent())}, "ntk.relu has degrees up to γ"),
        ({"target": Harmonics()}, "tests.harmonics has no stated smoothness"),
        ({"model": models.Laplace(bandwidth=0.01)}, "is not known to three digits"),
    ],
)
def test_where_exponents_in_high_dimension_do_not_apply_they_say_why(changed, reason):
    parts = {"target": source(2.0), **changed}
    actual = cell(Sphere(dim=100, gamma=2.0, noise=0.5), **parts)
    assert reason in theory_objection(theory.LargeDimension(), actual)


def test_the_barrier_is_the_energy_beyond_the_learnable_degrees():
    barrier = theory.PolynomialBarrier()
    for gamma, expected in ((0.5, 1.5), (1.5, 0.5), (2.5, 0.0)):
        actual = cell(Sphere(dim=10, gamma=gamma))
        assert theory_objection(barrier, actual) is None
        assert barrier.predict(actual, actual.times)["barrier"] == pytest.approx(expected)
    assert "within 0.1 of a whole number" in theory_objection(
        barrier, cell(Sphere(dim=10, gamma=2.0))
    )
    assert "does not give its energy" in theory_objection(
        barrier, cell(Sphere(dim=10, gamma=1.5), target=Plain())
    )


def test_the_barrier_is_where_the_deterministic_equivalent_goes():
    # d → ∞ at n = d^1.5: ridge at its best time attains ‖P_{>1} f*‖²
    gaps = []
    for dim in (30, 300, 3000):
        actual = cell(Sphere(dim=dim, gamma=1.5), times=np.geomspace(1, 1e8, 30))
        risk = theory.DeterministicEquivalent().predict(actual, actual.times)["excess_risk"].min()
        gaps.append(risk - 0.5)
    assert abs(gaps[2]) < abs(gaps[1]) < abs(gaps[0]) and abs(gaps[2]) < 0.05


def test_every_theory_is_registered():
    import testbed_ntk

    assert all(issubclass(result, Theory) for result in testbed_ntk.testbed_theories())
    assert len(testbed_ntk.testbed_models()) == 13
