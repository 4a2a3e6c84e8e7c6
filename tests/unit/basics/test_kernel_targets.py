"""Targets of a kernel: their energies, norms, and what the kernel cannot see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.testing import Points
from testbed_basics.designs.points import Sphere
from testbed_basics.targets.kernel_function import KernelFunction
from testbed_basics.targets.source import Source, source_levels
from tests.helpers.kernels import NoSpectrum, SphereKernel, TorusKernel
from tests.helpers.targets import GAUSSIAN, SPHERE, TORUS, drawn, energies


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 3.0])
def test_source_energies_are_those_of_the_definition(smoothness):
    """E_k ∝ λ_k^s N_k/J_k by a loop over single modes, on the sphere and on the torus."""
    cases = [(SphereKernel(levels=4), Sphere(dim=3, n=2)), (TorusKernel(), TORUS)]
    for kernel, design in cases:
        reference = energies(Source(kernel=kernel, smoothness=smoothness, energy=1.5), design)
        spectrum = kernel.population_spectrum(design)
        levels = sorted(zip(*spectrum, strict=True), reverse=True)
        modes, wanted = 0, {}
        for eigenvalue, multiplicity_, degree in levels:
            modes += multiplicity_
            wanted[degree] = eigenvalue**smoothness * multiplicity_ / modes
        total = sum(wanted.values())
        for degree, energy in wanted.items():
            assert math.isclose(reference[degree], 1.5 * energy / total, rel_tol=1e-12)


def test_source_lies_on_the_border_of_its_space():
    """Per mode f_j² = λ_j^s/j: the energy beyond a mode falls like λ^s, up to a constant."""
    kernel, design = SphereKernel(levels=400, decay=3.0), Sphere(dim=3, n=2)
    levels = source_levels(kernel.population_spectrum(design), 1.5)
    beyond = levels.energy[::-1].cumsum()[::-1]
    slope = np.polyfit(np.log(levels.degree[20:100] + 1), np.log(beyond[20:100]), 1)[0]
    assert abs(slope + 3.0 * 1.5) < 0.1


def test_source_in_large_dimension_follows_the_eigenvalues():
    """N_k/J_k → 1: E_k/E_0 → λ_k^s, whatever the dimension."""
    kernel, design = SphereKernel(levels=4), Sphere(dim=10_000, n=2, n_test=2)
    reference = energies(Source(kernel=kernel, smoothness=1.0), design)
    for k in range(4):
        assert math.isclose(reference[k] / reference[0], (1 + k) ** -3.0, rel_tol=1e-3)


def test_source_leaves_out_what_the_kernel_cannot_see():
    class Odd(SphereKernel):
        def population_spectrum(self, design):
            spectrum = super().population_spectrum(design)
            return spectrum._replace(eigenvalue=spectrum.eigenvalue * (spectrum.degree != 3))

    reference = energies(Source(kernel=Odd(), smoothness=1.0), SPHERE)
    assert 3.0 not in reference and math.isclose(sum(reference.values()), 1.0)


def test_kernel_function_has_the_norm_asked_for():
    """‖f‖_H² = Σ_k E_k/λ_k, from the energies by degree."""
    for kernel, design in ((SphereKernel(), SPHERE), (TorusKernel(), TORUS)):
        reference = energies(KernelFunction(kernel=kernel, norm=3.0), design)
        spectrum = kernel.population_spectrum(design)
        norm = sum(
            reference[degree] / value
            for value, degree in zip(spectrum.eigenvalue, spectrum.degree, strict=True)
        )
        assert math.isclose(norm, 9.0, rel_tol=1e-9)


def test_kernel_function_takes_any_kernel_and_any_design():
    target = KernelFunction(kernel=NoSpectrum(), centres=4)
    assert drawn(target, GAUSSIAN)[2] == {} and drawn(target, SPHERE)[2] == {}
    result, sample, _ = drawn(target, Points(n=6, dim=2))
    assert np.array_equal(result["centres"], sample.x[:4])
