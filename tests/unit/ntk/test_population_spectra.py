"""Population spectra of kernels: counted, compared with a sample, and refused where unknown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen

from testbed.contract.components import Design
from testbed.contract.spaces import Space
from testbed.errors import UnsuitableError
from testbed_ntk import models
from testbed_ntk.numerics.gram import gram_matrix


@frozen(kw_only=True)
class Law(Design):
    name = "tests.law"
    shape: str
    dim: int = 2

    def space(self):
        return Space(self.shape, self.dim, "uniform")

    def draw(self, rng):
        raise AssertionError("a population spectrum needs no sample")


def test_torus_eigenvalues_count_every_frequency_once():
    design = Law(shape="torus")
    model = models.Torus(smoothness=1.5, frequencies=6)
    result = model.population_spectrum(design)
    axis = np.arange(-6, 7) ** 2
    shells = (axis[:, None] + axis).ravel()
    np.testing.assert_array_equal(result.degree, np.unique(shells))
    np.testing.assert_array_equal(result.multiplicity, np.unique(shells, return_counts=True)[1])
    np.testing.assert_allclose(result.eigenvalue, (1 + np.unique(shells)) ** -1.5)
    # ∫ k(x, x) is the kernel's constant diagonal
    x = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    assert model.trace(design) == pytest.approx(float(gram_matrix(model.kernel(2), x)))


@pytest.mark.parametrize("model", [models.Laplace(), models.ReluTangent(first_variance=1.0)])
def test_empirical_eigenvalues_approach_those_of_the_population(model):
    design = Law(shape="sphere", dim=3)
    spectrum = model.population_spectrum(design)
    x = np.random.default_rng(5).standard_normal((1200, 3))
    x = torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))
    value = torch.linalg.eigvalsh(gram_matrix(model.kernel(3), x) / 1200).flip(0).numpy()
    np.testing.assert_allclose(value[0], spectrum.eigenvalue[0], rtol=0.02)
    np.testing.assert_allclose(value[1:4].mean(), spectrum.eigenvalue[1], rtol=0.03)
    np.testing.assert_allclose(value[4:9].mean(), spectrum.eigenvalue[2], rtol=0.05)
    total = (spectrum.eigenvalue * spectrum.multiplicity).sum()
    assert total == pytest.approx(model.trace(design), rel=5e-3)


def test_an_unknown_population_spectrum_says_what_is_known():
    with pytest.raises(UnsuitableError, match=r"design tests\.law.*sphere"):
        models.Rbf().population_spectrum(Law(shape="hypercube"))
    with pytest.raises(UnsuitableError, match=r"design tests\.law.*torus"):
        models.Torus().population_spectrum(Law(shape="hypercube"))
