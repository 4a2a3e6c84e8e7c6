"""Rates of kernel regression against brute force and the spectra of kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.planning.fitting import theory_objection
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_ntk import models
from testbed_ntk.theories import learning_curves as theory, subject
from testbed_ntk.theories.exponents import (
    best_regularisation,
)
from tests.helpers.kernel_theory import NTK, cell, source, spectral


def test_rates_are_the_best_point_of_the_error_curve():
    for s in (0.5, 1.0, 3.0):
        for decay, order in ((1.5, 1.0), (2.0, math.inf), (1.2, 2.0)):
            theta = np.linspace(0, decay, 200_001)
            curve = np.minimum(min(s, 2 * order) * theta, 1 - theta / decay)
            risk, time = best_regularisation(s, decay, order)
            assert risk == pytest.approx(-curve.max(), abs=1e-4)
            assert time == pytest.approx(theta[curve.argmax()], abs=1e-4)


def test_ridge_saturates_at_smoothness_two():
    ridge, flow = (best_regularisation(4.0, 1.5, q)[0] for q in (1.0, math.inf))
    assert ridge == -0.75 and flow == pytest.approx(-6 / 7)
    assert best_regularisation(2.0, 1.5, 1.0) == best_regularisation(2.0, 1.5, math.inf)


@pytest.mark.parametrize(
    "model",
    [
        models.ReluTangent(depth=2, bias_variance=0.1),
        models.NetworkProcess(bias_variance=0.1),
        models.Laplace(),
        models.NetworkTangent(bias_variance=0.1),
        models.Matern(nu=0.8),
        models.Matern(nu=1.5),
        models.Matern(nu=2.5),
    ],
    ids=["relu", "nngp", "laplace", "network", "matern-0.8", "matern-3/2", "matern-5/2"],
)
def test_decay_exponents_are_those_of_the_computed_spectrum(model):
    actual = cell(Sphere(dim=3, n=100, noise=0.5), model=model)
    spectrum = model.population_spectrum(actual.design)
    rank = np.cumsum(spectrum.multiplicity)
    low, high = 40, min(120, len(rank) - 1)
    slope = np.log(spectrum.eigenvalue[high] / spectrum.eigenvalue[low])
    slope /= np.log(rank[high] / rank[low])
    assert subject.decay_exponent(actual.model, actual) == pytest.approx(-slope, rel=0.05)


def test_rates_read_the_cell():
    actual = cell(Sphere(dim=3, n=100, noise=0.5), source(3.0))
    ridge = theory.Rates().predict(actual, actual.times)
    assert ridge["risk_exponent"] == pytest.approx(-0.75)  # s̃ = 2, β = 3/2
    iterated = cell(
        actual.design, actual.target, optimizer=spectral("iterated-ridge", qualification=5.0)
    )
    flow = cell(actual.design, actual.target, optimizer=GradientFlow())
    for better in (iterated, flow):
        result = theory.Rates().predict(better, actual.times)
        assert result["risk_exponent"] == pytest.approx(-4.5 / 5.5)
    kernel = models.Torus(smoothness=1.5)
    torus = cell(Torus(dim=2, n=100, noise=0.5), source(1.0, kernel), kernel)
    assert theory.Rates().predict(torus, actual.times)["risk_exponent"] == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("design", "kernel", "model", "s"),
    [
        (Sphere(dim=3, n=100, noise=0.5), NTK, models.Matern(nu=2.5), 1.0),
        (Sphere(dim=3, n=100, noise=0.5), models.Matern(nu=2.5), models.Laplace(), 0.4),
        (
            Torus(dim=1, n=100, noise=0.5),
            models.Torus(smoothness=2.0, frequencies=400),
            models.Torus(smoothness=1.0, frequencies=400),
            0.5,
        ),
    ],
    ids=["ntk-in-matern", "matern-in-laplace", "torus"],
)
def test_smoothness_is_that_in_the_model_s_space(design, kernel, model, s):
    """f_j² ≍ j^{−a} and μ_j ≍ j^{−b}, by computed energies and eigenvalues: Σ f_j² μ_j^{−s'} is
    finite for s' < (a − 1)/b. Local slopes have come within 3% of their limits."""
    actual = cell(design, source(s, kernel), model)
    spectrum, energy = model.population_spectrum(design), subject.energies(actual)
    rank = np.cumsum(spectrum.multiplicity)
    low, high = 40, min(110, len(rank) - 1)
    ends = spectrum.degree[[low, high]]
    square = np.array([energy[degree] for degree in ends]) / spectrum.multiplicity[[low, high]]
    step = np.log(rank[high] / rank[low])
    a = -np.log(square[1] / square[0]) / step
    b = -np.log(spectrum.eigenvalue[high] / spectrum.eigenvalue[low]) / step
    assert subject.source_smoothness(actual) == pytest.approx((a - 1) / b, rel=0.05)


def test_rates_of_another_kernel_s_target_are_in_the_model_s_scale():
    # β = 3/2 for the NTK, 7/2 for Matérn 5/2: s = 1 counts as 3/7, and n^{−sβ/(sβ+1)} = n^{−0.6}
    actual = cell(Sphere(dim=3, n=100, noise=0.5), source(), models.Matern(nu=2.5))
    assert theory_objection(theory.Rates(), actual) is None
    result = theory.Rates().predict(actual, actual.times)
    assert result["risk_exponent"] == pytest.approx(-0.6)
    assert result["time_exponent"] == pytest.approx(3.5 / 2.5)


@pytest.mark.parametrize(
    ("kernel", "model", "s", "expected"),
    [
        (NTK, models.Matern(nu=2.5), 1.0, -0.6),
        (models.Matern(nu=1.5), models.Laplace(), 0.6, -0.6),
        (models.Laplace(), models.Matern(nu=1.5), 1.0, -0.6),
        (models.Matern(nu=1.5), models.Laplace(), 3.0, -0.75),  # s' = 5: ridge sees 2
    ],
    ids=["ntk-in-matern", "matern-in-laplace", "laplace-in-matern", "saturated"],
)
def test_rates_of_another_kernel_s_target_are_those_of_the_equivalent(kernel, model, s, expected):
    """Ridge's best risk by the deterministic equivalent between n = 64000 and 256000, on the two
    kernels' computed spectra: local exponents are then within .01 of their limits."""
    best, equivalent = [], theory.DeterministicEquivalent()
    for n in (64_000, 256_000):
        times = np.geomspace(1, 1e12, 400)
        actual = cell(Sphere(dim=3, n=n, noise=0.5), source(s, kernel), model, times=times)
        best.append(np.nanmin(equivalent.predict(actual, actual.times)["excess_risk"]))
    assert theory.Rates().predict(actual, actual.times)["risk_exponent"] == pytest.approx(expected)
    assert np.log(best[1] / best[0]) / np.log(4) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (cell(), r"no stated smoothness in [H]^s"),
        (cell(Sphere(dim=3, n=9), source()), "noise above 0"),
        (cell(target=source(), model=models.Rbf()), "ntk.rbf has no known decay of eigenvalues"),
        (
            cell(target=source(), model=models.NetworkTangent(activation="erf")),
            "erf networks do not decay",
        ),
        (cell(Torus(dim=2, n=9, noise=1.0), source()), "ntk.relu on points of the torus"),
        (
            cell(target=source(), optimizer=Adam(learning_rate=0.1)),
            "adam has no spectral algorithm",
        ),
        (
            cell(target=source(kernel=models.Rbf())),
            "of the target's kernel: ntk.rbf has no known decay",
        ),
        (
            cell(
                Sphere(dim=3, n=9, noise=1.0), source(kernel=models.Laplace()), models.ReluTangent()
            ),
            "ntk.relu never learns 0.0",
        ),
    ],
)
def test_where_rates_do_not_apply_they_say_why(model, reason):
    assert reason in theory_objection(theory.Rates(), model)
