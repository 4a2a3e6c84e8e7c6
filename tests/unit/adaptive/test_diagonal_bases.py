"""Bases are orthonormal, in order, and know the truth's coefficients: by quadrature."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from testbed.numerics.trees import stack
from testbed.running.execute import draw_problem
from testbed_adaptive.numerics.bases import Given, HermiteProducts, Spherical, Waves
from testbed_adaptive.numerics.orders import exponents, frequencies
from testbed_adaptive.numerics.solid_harmonics import multiplicity
from testbed_basics.designs.points import Gaussian, Sphere, Torus
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import MultiIndex, SingleIndex
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_ntk.models import Laplace, Torus as TorusKernel
from tests.helpers.cells import make_cell


def torus_rule(dim, count):
    """Equispaced points: exact for frequencies below count."""
    axis = -1 + 2 * np.arange(count) / count
    points = np.array(list(itertools.product(axis, repeat=dim)))
    return points, np.full(len(points), 1 / len(points))


def sphere_rule(count):
    """Gauss–Legendre times equispaced angles on S²: exact for degrees below count."""
    height, weight = np.polynomial.legendre.leggauss(count)
    angle = 2 * np.pi * np.arange(2 * count) / (2 * count)
    root = np.sqrt(1 - height**2)
    points = np.stack(
        [np.outer(root, np.cos(angle)), np.outer(root, np.sin(angle)),
         np.outer(height, np.ones_like(angle))], -1,
    )  # fmt: skip
    return points.reshape(-1, 3), np.repeat(weight / 2, 2 * count) / (2 * count)


def gaussian_rule(dim, count, scale=1.0):
    """Products of Gauss–Hermite rules: exact for degrees below 2·count."""
    node, weight = np.polynomial.hermite_e.hermegauss(count)
    weight = weight / weight.sum()
    points = np.array(list(itertools.product(scale * node, repeat=dim)))
    return points, np.array([math.prod(w) for w in itertools.product(weight, repeat=dim)])


CASES = {
    "torus-1": (Waves(1, 9), torus_rule(1, 16)),
    "torus-2": (Waves(2, 40), torus_rule(2, 16)),
    "torus-even": (Waves(2, 8), torus_rule(2, 8)),
    "sphere-3": (Spherical(3, 36), sphere_rule(12)),
    "hermite-2": (HermiteProducts(2, 15), gaussian_rule(2, 8)),
    "hermite-3": (HermiteProducts(3, 20, 0.7), gaussian_rule(3, 6, 0.7)),
}


def values_at(basis, points):
    return basis.values(torch.from_numpy(points)[None])[0].numpy()


@pytest.mark.parametrize("name", CASES)
def test_bases_are_orthonormal_by_exact_quadrature(name):
    basis, (points, weight) = CASES[name]
    values = values_at(basis, points)
    np.testing.assert_allclose(
        values.T @ (weight[:, None] * values), np.eye(basis.modes), atol=1e-12
    )


@pytest.mark.parametrize("dim", [2, 4, 6])
def test_harmonics_in_other_dimensions_are_orthonormal_and_harmonic(dim):
    """The addition theorem Σ_j Y_j(x)Y_j(y) = N P_k(⟨x, y⟩), which fixes the space and its norm."""
    modes = sum(multiplicity(dim, k) for k in range(4))
    basis = Spherical(dim, modes)
    draw = np.random.Generator(np.random.Philox(1)).standard_normal((5, dim))
    x = draw / np.linalg.norm(draw, axis=1, keepdims=True)
    values, degree = values_at(basis, x), basis.degrees().numpy()
    for k in range(4):
        actual = values[:, degree == k]
        assert actual.shape[1] == multiplicity(dim, k)
        np.testing.assert_allclose((actual**2).sum(1), multiplicity(dim, k), rtol=1e-12)
    cosine = x @ x.T
    np.testing.assert_allclose(
        values[:, degree == 1] @ values[:, degree == 1].T, dim * cosine, atol=1e-12
    )
    second = (dim * cosine**2 - 1) / (dim - 1)  # P_2
    np.testing.assert_allclose(
        values[:, degree == 2] @ values[:, degree == 2].T, multiplicity(dim, 2) * second, atol=1e-10
    )


def test_levels_do_not_decrease_and_count_right():
    for basis, _ in CASES.values():
        level = basis.level()
        assert len(level) == basis.modes and bool((level.diff() >= 0).all())
    half = frequencies(3, 200)
    assert len({tuple(m) for m in half} | {tuple(-m) for m in half}) == 399
    # all of a full shell, by brute force
    box = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    assert ((half**2).sum(1) <= 6).sum() == (((box**2).sum(1) <= 6).sum() + 1) / 2
    place, degree = exponents(4, 35)  # 1 + 4 + 10 + 20
    assert np.bincount(degree.sum(1)).tolist() == [1, 4, 10, 20]
    assert (
        len({tuple(sorted(zip(p, r, strict=True))) for p, r in zip(place, degree, strict=True)})
        == 35
    )


TRUTHS = {
    "wave": (Torus(dim=2, n=3), Trigonometric(frequencies=((1.0, 2.0), (0.0, 0.0), (3.0,)),
             sine=(1.0, 0.0, -0.4), cosine=(0.5, 0.7, 0.3)), Waves(2, 60), torus_rule(2, 16)),
    "sphere": (Sphere(dim=3, n=3), Gegenbauer(degrees=(1, 3, 0), energies=(0.5, 2.0, 0.3),
               direction="drawn", directions=4), Spherical(3, 25), sphere_rule(10)),
    "source": (Sphere(dim=3, n=3), Source(kernel=Laplace(), smoothness=3.0),
               Spherical(3, 16), sphere_rule(80)),
    "torus-source": (Torus(dim=2, n=3), Source(kernel=TorusKernel(frequencies=5), smoothness=1.0),
                     Waves(2, 30), torus_rule(2, 16)),
    "single": (Gaussian(dim=3, n=3, scale=0.7), SingleIndex(coefficients=(0.3, 1.0, -0.5, 0.2),
               direction="drawn"), HermiteProducts(3, 35, 0.7), gaussian_rule(3, 8, 0.7)),
    "multi": (Gaussian(dim=3, n=3), MultiIndex(coefficients=(0.0, 1.0, 0.6), direction="drawn"),
              HermiteProducts(3, 10), gaussian_rule(3, 8)),
    "linear": (Gaussian(dim=4, n=3), Linear(decay=0.5), Given(4, 4), gaussian_rule(4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUTHS)
def test_coefficients_are_those_of_quadrature(name):
    design, target, basis, (points, weight) = TRUTHS[name]
    cell = make_cell(design, target, None, GradientFlow(), (1.0,), [], replicates=2)
    problem = stack([draw_problem(cell, replicate) for replicate in (0, 1)])
    result = basis.coefficients(problem).numpy()
    from testbed.contract.seeds import Streams

    for replicate in (0, 1):
        rng = Streams(cell.seed, replicate)
        sample = design.draw(rng)._replace(design=design)
        truth = target.values(target.draw(rng, sample), points)
        expected = values_at(basis, points).T @ (weight * truth)
        np.testing.assert_allclose(result[replicate], expected, atol=2e-9)


def test_waves_that_are_not_periodic_have_the_published_energies():
    """sin(7.5πx₁): .189 and .216 at m = 7 and 8, and a tail of 2/(π²M) (arXiv:2409.00894, Fig. 5);
    coefficients by Gauss–Legendre quadrature in one dimension."""
    cell = make_cell(Torus(dim=1, n=3), Trigonometric(), None, GradientFlow(), (1.0,), [])
    problem = stack([draw_problem(cell, 0)])
    basis = Waves(1, 201)
    result = basis.coefficients(problem)[0].numpy()
    node, weight = np.polynomial.legendre.leggauss(2000)
    expected = values_at(basis, node[:, None]).T @ (weight / 2 * np.sin(7.5 * np.pi * node))
    np.testing.assert_allclose(result, expected, atol=1e-12)
    energy = result[2::2] ** 2  # sines
    np.testing.assert_allclose(energy[[6, 7]], [0.189, 0.216], atol=6e-4)
    np.testing.assert_allclose(0.5 - (result**2).sum(), 2 / (np.pi**2 * 100), rtol=0.02)


def test_wrong_inputs_are_refused():
    outside = torch.full((1, 2, 2), 1.5, dtype=torch.float64)
    with pytest.raises(Exception, match="design torus"):
        Waves(2, 5).values(outside)
    with pytest.raises(Exception, match="design sphere"):
        Spherical(2, 5).values(outside)
