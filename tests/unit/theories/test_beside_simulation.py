"""Theories beside their simulation, on examples of their own, at three settings each.

Sizes are small and seeds fixed. Means over replicates are compared at four standard errors plus the
theory's own accuracy where it is approximate: exact theories give a false alarm in less than 0.01%
of comparisons. Rates, whose statements are for growing n, are compared with slopes of exact risks.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from testbed.contract.grids import Grid
from testbed.loading import load_registry
from testbed.running.execute import draw_problem
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_adaptive.models.directional import Directional
from testbed_adaptive.theories.population_flow import EscapeTime, PopulationFlow
from testbed_adaptive.theories.rates import Rates as AdaptiveRates
from testbed_basics.designs.points import Gaussian, Sphere, Torus
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import SingleIndex
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models.inner_products import Polynomial
from testbed_ntk.models.stationary import Laplace
from testbed_ntk.models.torus import Torus as TorusKernel
from testbed_ntk.models.wide_networks import ReluTangent
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_ntk.theories.learning_curves import (
    DeterministicEquivalent,
    LargeDimension,
    PolynomialBarrier,
    Rates as KernelRates,
)
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
DEEP = ReluTangent(depth=2, first_variance=1.0, bias_variance=0.1)
SEQUENCE = GaussianSequence(n=100, modes=50)
COMPARED: Counter[str] = Counter()
"""How many settings each theory is compared at."""


def beside(theory, settings):
    """The settings, counted for a theory."""
    COMPARED[theory.name] += len(settings)
    return settings


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
for _theory, *_setting in EXPECTED:
    beside(_theory, [_setting])


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
    beside(
        BiasVariance,
        [
            (RELU, RIDGE),
            (Laplace(), FLOW),
            (Polynomial(degree=2), SpectralFilter(filter="cutoff")),
        ],
    ),
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
    beside(
        Rates,
        [
            (Fixed(gamma=1.5), 1.0, 1.0),
            (Fixed(gamma=2.0), 2.0, 1.5),
            (Diagonal(gamma=2.0), 1.0, 2.0),
        ],
    ),
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


@pytest.mark.parametrize("n", beside(SpanBounds, [10, 300, 10_000]))
def test_span_bounds_hold(n):
    cell = make_cell(GaussianSequence(n=n, modes=100), Power(p=1.0), Fixed(gamma=1.5), FLOW, [], [])
    truth, noise = np.arange(1.0, 101) ** -2.0, 1 / n  # θ*² of p = 1
    tail = np.append(np.cumsum(truth[::-1])[::-1], 0.0)
    best = (np.arange(101) * noise + tail).min()
    bounds = SpanBounds().predict(cell, ())
    assert bounds["lower"] <= best <= bounds["upper"]


@pytest.mark.parametrize(
    "model", beside(PopulationEigenvalues, [RELU, Laplace(), Polynomial(degree=2)])
)
def test_eigenvalues_of_large_samples_are_near_the_population_s(model):
    design, ranks = sphere(n=800, dim=3, n_test=1), Grid((1.0, 2.0, 3.0, 4.0))
    cell = make_cell(design, Linear(), model, RIDGE, (1.0,), [])
    expected = PopulationEigenvalues(modes=ranks).predict(cell, ())["population_eigenvalue"]
    metric = Eigenvalues(modes=ranks)
    result = run_cell(design, Linear(), model, RIDGE, (1.0,), [metric], replicates=1)
    assert result["eigenvalue"].reshape(-1) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    "coefficients", beside(PopulationFlow, [(0.0, 1.0), (0.0, 0.0, 1.0), (0.0, 0.5, 0.5)])
)
def test_training_on_many_points_follows_the_population_flow(coefficients):
    """Relative to ‖f*‖²: deviations at n = 4000, d = 4 are of order d/n and √(d/n)."""
    design, times = Gaussian(dim=4, n=4000, n_test=1), (0.5, 1.0, 2.0)
    parts = (design, SingleIndex(coefficients=coefficients), Directional(), FLOW)
    expected = PopulationFlow().predict(make_cell(*parts, times, []), times)["excess_risk"]
    result = run_cell(*parts, times, [ExcessRisk()], replicates=8)["excess_risk"].mean(0)
    energy = sum(g**2 for g in coefficients)
    assert np.abs(result - expected).max() < 0.08 * energy


@pytest.mark.parametrize("exponent", beside(EscapeTime, [1, 2, 3]))
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


@pytest.mark.parametrize("dim", beside(PolynomialBarrier, [10, 20, 30]))
def test_no_kernel_method_comes_below_the_barrier(dim):
    """n = d^1.4: degree 1 can be learned, degree 2 not; o(1) is allowed to be 15% here."""
    design = Sphere(dim=dim, n=round(dim**1.4), n_test=200)
    target = Gegenbauer(degrees=(1, 2))
    cell = make_cell(design, target, RELU, RIDGE, (1e4,), [])
    barrier = float(PolynomialBarrier().predict(cell, ())["barrier"])
    result = run_cell(design, target, RELU, RIDGE, (1e2, 1e4, 1e6), [ExcessRisk()], replicates=5)
    assert result["excess_risk"].mean(0).min() > 0.85 * barrier


def best_risk(design, target, model, optimizer, times, replicates):
    """The least mean risk over the times."""
    values = run_cell(
        design, target, model, optimizer, times, [ExcessRisk()], replicates=replicates
    )
    return values["excess_risk"].mean(0).min()


@pytest.mark.parametrize(
    ("smoothness", "filter_name"),
    beside(KernelRates, [(1.0, "ridge"), (0.5, "flow"), (2.0, "flow")]),
)
def test_rates_of_kernels_are_the_slopes_of_simulated_risks(smoothness, filter_name):
    """n = 64 and 512 on the circle, 12 replicates: slopes within .1, standard errors are .03."""
    kernel = TorusKernel(smoothness=1.0, frequencies=200)
    target, optimizer = (
        Source(kernel=kernel, smoothness=smoothness),
        SpectralFilter(filter=filter_name),
    )
    times = np.geomspace(1.0, 1e5, 26)
    designs = [Torus(dim=1, n=n, n_test=200, noise=0.5) for n in (64, 512)]
    first, last = (best_risk(design, target, kernel, optimizer, times, 12) for design in designs)
    cell = make_cell(designs[0], target, kernel, optimizer, times, [])
    exponent = float(KernelRates().predict(cell, ())["risk_exponent"])
    assert np.log(last / first) / np.log(8) == pytest.approx(exponent, abs=0.1)


@pytest.mark.parametrize(
    ("smoothness", "growth"), beside(LargeDimension, [(1.0, 1.5), (0.5, 1.8), (2.0, 1.5)])
)
def test_exponents_in_the_dimension_are_the_slopes_of_the_equivalent(smoothness, growth):
    """d = 1000 and 8000, where no simulation reaches; the equivalent is compared with replicates
    above. Slopes within .15, which constants in n/d^γ leave."""
    times, risks = np.geomspace(1.0, 1e9, 60), []
    for dim in (1000, 8000):
        design = Sphere(dim=dim, n=round(dim**growth), noise=1.0)
        cell = make_cell(design, Source(kernel=DEEP, smoothness=smoothness), DEEP, RIDGE, times, [])
        risks.append(DeterministicEquivalent().predict(cell, times)["excess_risk"].min())
    exponent = float(LargeDimension().predict(cell, ())["dimension_exponent"])
    assert np.log(risks[1] / risks[0]) / np.log(8) == pytest.approx(exponent, abs=0.15)


@pytest.mark.parametrize(
    ("frequency", "depth"), beside(AdaptiveRates, [(0.5, 0), (0.5, 1), (1.5, 0)])
)
def test_rates_of_learned_kernels_are_near_the_slopes_of_simulated_risks(frequency, depth):
    """Waves whose power law begins at the first coefficients, n = 40 and 160, four replicates. The
    rates leave out logarithms, which such n do not outgrow: within .25."""
    model = DiagonalKernel(basis="torus", gamma=1.0, depth=depth)
    target, times = Trigonometric(frequencies=((frequency,),)), np.geomspace(0.5, 100.0, 9)
    designs = [Torus(dim=1, n=n, n_test=200, noise=1.0) for n in (40, 160)]
    first, last = (best_risk(design, target, model, FLOW, times, 4) for design in designs)
    exponent = float(
        AdaptiveRates().predict(make_cell(designs[0], target, model, FLOW, times, []), ())[
            "risk_exponent"
        ]
    )
    assert np.log(last / first) / np.log(4) == pytest.approx(exponent, abs=0.25)


def test_every_shipped_theory_is_compared_at_three_settings():
    assert set(COMPARED) == set(load_registry().names("theory"))
    assert min(COMPARED.values()) >= 3
