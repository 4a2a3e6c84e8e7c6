"""Theories beside their simulation, on examples of their own, at three settings each.

Sizes are small and seeds fixed. Means over replicates are compared at four standard errors plus the
theory's own accuracy where it is approximate: exact theories give a false alarm in less than 0.01%
of comparisons. Rates, whose statements are for growing n, are compared with slopes of exact risks.
"""

from __future__ import annotations

import numpy as np
import pytest

from testbed.contract.grids import Grid
from testbed.running.execute import draw_problem
from testbed_adaptive.models.directional import Directional
from testbed_adaptive.theories.population_flow import EscapeTime, PopulationFlow
from testbed_basics.designs.points import Gaussian, Sphere, Torus
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import SingleIndex
from testbed_basics.targets.linear import Linear
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models.inner_products import Polynomial
from testbed_ntk.models.stationary import Laplace
from testbed_ntk.models.torus import Torus as TorusKernel
from testbed_ntk.models.wide_networks import ReluTangent
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_ntk.theories.learning_curves import DeterministicEquivalent, PolynomialBarrier
from testbed_ntk.theories.population import PopulationEigenvalues
from testbed_ntk.theories.random_features import RandomFeatureEquivalent
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.targets.signals import Power, SparsePower
from testbed_sequence.theories.sequences import ExpectedRisk, Rates, SpanBounds
from tests.helpers.cells import make_cell, run_cell

FLOW, RIDGE = GradientFlow(), SpectralFilter(filter="ridge")
TIMES = (1.0, 10.0, 100.0)
RELU = ReluTangent(bias_variance=0.1)
SEQUENCE = GaussianSequence(n=100, modes=50)


def sphere(**fields):
    return Sphere(**{"dim": 5, "n": 40, "n_test": 60, "noise": 0.3, **fields})


EXPECTED = [
    (ExpectedRisk(), SEQUENCE, Power(p=1.0), Fixed(gamma=1.5), FLOW, 0.0),
    (ExpectedRisk(), SEQUENCE, SparsePower(p=1.0, q=2.0), Diagonal(gamma=1.5), FLOW, 0.0),
    (ExpectedRisk(), SEQUENCE, Power(p=2.0), Diagonal(gamma=2.0, depth=1, b0=0.3), FLOW, 0.0),
    (DeterministicEquivalent(), sphere(n=80), Linear(), RELU, RIDGE, 0.05),
    (DeterministicEquivalent(), sphere(dim=8), Linear(), Laplace(), RIDGE, 0.05),
    (
        DeterministicEquivalent(),
        Torus(dim=2, n=60, n_test=60, noise=0.3),
        Linear(),
        TorusKernel(smoothness=2.0, frequencies=4),
        RIDGE,
        0.05,
    ),
    (
        RandomFeatureEquivalent(),
        Gaussian(dim=20, n=60, n_test=60, noise=0.3),
        Linear(),
        RandomFeatures(width=40, activation="linear"),
        RIDGE,
        0.08,
    ),
    (RandomFeatureEquivalent(), sphere(n=60), Linear(), RandomFeatures(width=90), RIDGE, 0.08),
    (RandomFeatureEquivalent(), sphere(dim=8), Linear(), RandomFeatures(width=60), RIDGE, 0.08),
]


@pytest.mark.parametrize(("theory", "design", "target", "model", "optimizer", "accuracy"), EXPECTED)
def test_means_of_replicates_are_as_expected(theory, design, target, model, optimizer, accuracy):
    cell = make_cell(design, target, model, optimizer, TIMES, [])
    expected = np.asarray(theory.predict(cell, TIMES)["excess_risk"])
    result = run_cell(design, target, model, optimizer, TIMES, [ExcessRisk()], replicates=120)
    mean = result["excess_risk"].mean(0)
    error = result["excess_risk"].std(0, ddof=1) / 120**0.5
    assert (np.abs(mean - expected) < 4 * error + accuracy * expected).all(), (mean, expected)


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [(RELU, RIDGE), (Laplace(), FLOW), (Polynomial(degree=2), SpectralFilter(filter="cutoff"))],
)
def test_means_over_the_noise_are_as_expected_given_the_inputs(model, optimizer):
    design, count = sphere(n=20), 120
    cell = make_cell(design, Linear(), model, optimizer, TIMES, [])
    expected = np.stack(
        [
            BiasVariance().predict(cell, TIMES, draw_problem(cell, r))["excess_risk"]
            for r in range(count)
        ]
    )
    result = run_cell(design, Linear(), model, optimizer, TIMES, [ExcessRisk()], replicates=count)
    separate = result["excess_risk"] - expected
    assert (np.abs(separate.mean(0)) < 4 * separate.std(0, ddof=1) / count**0.5 + 1e-12).all()


@pytest.mark.parametrize(
    ("model", "p", "q"),
    [
        (Fixed(gamma=1.5), 1.0, 1.0),
        (Fixed(gamma=2.0), 2.0, 1.5),
        (Diagonal(gamma=2.0), 1.0, 2.0),
    ],
)
def test_rates_are_the_slopes_of_expected_risks(model, p, q):
    """At the best of 60 times, n = 2000 and 32000: slopes within .1, logarithms included."""
    best, times = [], np.geomspace(1.0, 1e6, 60)
    for n in (2000, 32000):
        modes = int(4 * n ** (q / (p + 1)) + 4 * n ** (q / (p + q)))
        design = GaussianSequence(n=n, modes=min(modes, 60_000))
        cell = make_cell(design, SparsePower(p=p, q=q), model, FLOW, times, [])
        best.append(ExpectedRisk().predict(cell, times)["excess_risk"].min())
    slope = np.log(best[1] / best[0]) / np.log(16)
    assert slope == pytest.approx(float(Rates().predict(cell, ())["risk_exponent"]), abs=0.1)


@pytest.mark.parametrize("n", [10, 300, 10_000])
def test_span_bounds_hold(n):
    cell = make_cell(GaussianSequence(n=n, modes=100), Power(p=1.0), Fixed(gamma=1.5), FLOW, [], [])
    truth, noise = np.arange(1.0, 101) ** -2.0, 1 / n  # θ*² of p = 1
    tail = np.append(np.cumsum(truth[::-1])[::-1], 0.0)
    best = (np.arange(101) * noise + tail).min()
    bounds = SpanBounds().predict(cell, ())
    assert bounds["lower"] <= best <= bounds["upper"]


@pytest.mark.parametrize("model", [RELU, Laplace(), Polynomial(degree=2)])
def test_eigenvalues_of_large_samples_are_near_the_population_s(model):
    design, ranks = sphere(n=800, dim=3, n_test=1), Grid((1.0, 2.0, 3.0, 4.0))
    cell = make_cell(design, Linear(), model, RIDGE, (1.0,), [])
    expected = PopulationEigenvalues(modes=ranks).predict(cell, ())["population_eigenvalue"]
    metric = Eigenvalues(modes=ranks)
    result = run_cell(design, Linear(), model, RIDGE, (1.0,), [metric], replicates=1)
    assert result["eigenvalue"].reshape(-1) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("coefficients", [(0.0, 1.0), (0.0, 0.0, 1.0), (0.0, 0.5, 0.5)])
def test_training_on_many_points_follows_the_population_flow(coefficients):
    """Relative to ‖f*‖²: deviations at n = 4000, d = 4 are of order d/n and √(d/n)."""
    design, times = Gaussian(dim=4, n=4000, n_test=1), (0.5, 1.0, 2.0)
    parts = (design, SingleIndex(coefficients=coefficients), Directional(), FLOW)
    expected = PopulationFlow().predict(make_cell(*parts, times, []), times)["excess_risk"]
    result = run_cell(*parts, times, [ExcessRisk()], replicates=8)["excess_risk"].mean(0)
    energy = sum(g**2 for g in coefficients)
    assert np.abs(result - expected).max() < 0.08 * energy


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_escape_times_tend_to_the_population_flow_s(exponent):
    """ρ(0) = 1e−3 for r₀ = 1, where a constant is left out of ln(1/ρ), and .05 above."""
    overlap = 1e-3 if exponent == 1 else 0.05
    target = SingleIndex(coefficients=(0.0,) * exponent + (1.0,))
    cell = make_cell(
        Gaussian(dim=9, n=9), target, Directional(initial_overlap=overlap), FLOW, (1.0,), []
    )
    law = float(EscapeTime().predict(cell, ())["escape_time"])
    flow = float(PopulationFlow().predict(cell, (1.0,))["escape_time"])
    assert law == pytest.approx(flow, rel=0.2)


@pytest.mark.parametrize("dim", [10, 20, 30])
def test_no_kernel_method_comes_below_the_barrier(dim):
    """n = d^1.4: degree 1 can be learned, degree 2 not; o(1) is allowed to be 15% here."""
    design = Sphere(dim=dim, n=round(dim**1.4), n_test=200)
    target = Gegenbauer(degrees=(1, 2))
    cell = make_cell(design, target, RELU, RIDGE, (1e4,), [])
    barrier = float(PolynomialBarrier().predict(cell, ())["barrier"])
    result = run_cell(design, target, RELU, RIDGE, (1e2, 1e4, 1e6), [ExcessRisk()], replicates=5)
    assert result["excess_risk"].mean(0).min() > 0.85 * barrier
