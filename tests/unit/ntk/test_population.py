"""Ranked population eigenvalues against multiplicities written out, trace and samples."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.contract.components import PopulationSpectrum
from testbed.contract.grids import Grid
from testbed.planning.fitting import theory_objection
from testbed_basics.designs.points import Gaussian, Sphere, Torus
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.linear import Linear
from testbed_ntk import models
from testbed_ntk.theories.population import PopulationEigenvalues, ranked
from tests.helpers.cells import make_cell, run_cell

RANKS = Grid(tuple(range(1, 26)))


def predicted(model, design):
    cell = make_cell(design, Linear(), model, GradientFlow(), (1.0,), [])
    return PopulationEigenvalues(modes=RANKS).predict(cell, (1.0,))["population_eigenvalue"]


def test_every_eigenvalue_stands_as_often_as_its_multiplicity():
    spectrum = PopulationSpectrum(
        np.array([0.5, 2.0, 0.25]), np.array([2.0, 1.0, 3.0]), np.arange(3.0)
    )
    np.testing.assert_array_equal(
        ranked(spectrum, np.arange(1, 8)), [2, 0.5, 0.5, 0.25, 0.25, 0.25, np.nan]
    )


def test_published_values_of_the_two_layer_kernel():
    """μ₀ … μ₆ = 1/2, 1/3, .078125, 0, .0052083, 0, .0014038 with 2k + 1 each, odd ones left out."""
    normalised = models.ReluTangent(first_variance=1.0)
    result = predicted(normalised, Sphere(dim=3, n=10))
    expected = [0.5] + 3 * [1 / 3] + 5 * [0.078125] + 9 * [0.0052083333] + 7 * [0.00140380859]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "design"),
    [
        (models.ReluTangent(depth=2, bias_variance=0.1), Sphere(dim=3, n=600, n_test=2)),
        (models.Laplace(), Sphere(dim=4, n=600, n_test=2)),
        (models.Torus(smoothness=2.0, frequencies=8), Torus(dim=2, n=600, n_test=2)),
    ],
)
def test_a_large_sample_shows_them(model, design):
    """Of K/n: the mean over each eigenspace, where the splitting within it cancels. The worst of 12
    was off by 3.6%; a wrong multiplicity moves one by 30% and more."""
    metrics = [Eigenvalues(modes=RANKS)]
    result = run_cell(design, Linear(), model, GradientFlow(), (1.0,), metrics, replicates=2)
    sampled, expected = result["eigenvalue"].mean(0)[0], predicted(model, design)
    levels = np.unique(expected.round(12))[1:]  # the last may be cut off
    assert len(levels) >= 3
    for level in levels:
        inside = np.isclose(expected, level)
        assert sampled[inside].mean() == pytest.approx(level, rel=0.06)


def test_it_says_where_nothing_is_known():
    cell = make_cell(Gaussian(dim=3, n=10), Linear(), models.Laplace(), GradientFlow(), (1.0,), [])
    assert "gaussian" in (theory_objection(PopulationEigenvalues(modes=RANKS), cell) or "")
