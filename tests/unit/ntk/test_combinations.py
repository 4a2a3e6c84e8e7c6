"""Sums and products of kernels: values, spectra, and what may not be combined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import kernels as peers

from testbed.errors import ScenarioError, UnsuitableError
from testbed.planning.files import read_scenario
from testbed.planning.fitting import theory_objection
from testbed.runs import checked_plan
from testbed_basics.designs.points import Sphere
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk import models
from testbed_ntk.numerics import profiles
from testbed_ntk.numerics.gram import TILE, cross_matrix, diagonal, gram_matrix
from testbed_ntk.theories.learning_curves import DeterministicEquivalent

GAUSSIAN = models.Rbf(bandwidth=1.3)
ROUGH = models.Matern(nu=0.5, bandwidth=2.0)
TANGENT = models.ReluTangent(first_variance=1.0, bias_variance=0.1)
NESTED = models.Sum(
    first=models.Product(first=GAUSSIAN, second=ROUGH),
    second=models.Sum(first=models.DotProduct(coefficients=(1.0,)), second=TANGENT),
    weights=(0.5, 3.0),
)


def points(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, dim)))


def on_sphere(count: int, dim: int) -> torch.Tensor:
    x = points(count, dim)
    return x / x.norm(dim=1, keepdim=True)


def sphere(dim=3):
    return Sphere(dim=dim, n=4)


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_sums_and_products_are_scikit_learns(shift):
    x, z = points(9, 3) + shift, points(6, 3, 1) + shift
    smooth, rough = peers.RBF(1.3), peers.Matern(2.0, nu=0.5)
    pairs = [
        (models.Sum(first=GAUSSIAN, second=ROUGH), smooth + rough),
        (models.Sum(first=GAUSSIAN, second=ROUGH, weights=(2.0, 0.3)), 2.0 * smooth + 0.3 * rough),
        (models.Product(first=GAUSSIAN, second=ROUGH), smooth * rough),
        (
            models.Product(
                first=models.DotProduct(coefficients=(0.7,)),
                second=models.Sum(first=GAUSSIAN, second=ROUGH),
            ),
            0.7 * (smooth + rough),
        ),
    ]
    for model, peer in pairs:
        result = cross_matrix(model.kernel(3), x, z)
        expected = peer((x - shift).numpy(), (z - shift).numpy())  # exact: the peer loses digits
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_gram_matrices_of_combinations_are_symmetric_to_the_bit_and_exact_on_the_diagonal():
    x, kernel = points(2 * TILE + 37, 5), NESTED.kernel(5)
    gram = gram_matrix(kernel, x)
    assert torch.equal(gram, gram.T)
    tangent = diagonal(TANGENT.kernel(5), x)
    np.testing.assert_allclose(gram.diagonal(), 0.5 + 3.0 * (1.0 + tangent), rtol=1e-15 * 4)
    actual, rough, net = (gram_matrix(item.kernel(5), x) for item in (GAUSSIAN, ROUGH, TANGENT))
    expected = 0.5 * actual * rough + 3.0 * (1.0 + net)  # up to 100, and may cancel
    np.testing.assert_allclose(gram, expected, rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(cross_matrix(kernel, x[:3], x)[:, 3:], gram[:3, 3:], rtol=1e-12)


def test_lengths_of_parts_and_kernels_of_the_torus_may_be_combined():
    x = points(12, 2)
    parts = (models.Torus(frequencies=3), models.Rbf(bandwidth=(0.5, 2.0), variance=1.7))
    actual, second = (gram_matrix(part.kernel(2), x) for part in parts)
    result = gram_matrix(models.Product(first=parts[0], second=parts[1]).kernel(2), x)
    np.testing.assert_allclose(result, actual * second, rtol=1e-13)


# --- spectra --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [3, 10])
def test_the_spectrum_of_a_sum_is_the_sum_of_spectra(dim):
    design, count = sphere(dim), 9
    actual, second = (part.population_spectrum(design).eigenvalue for part in (GAUSSIAN, TANGENT))
    model = models.Sum(first=GAUSSIAN, second=TANGENT, weights=(2.0, 0.5))
    result = model.population_spectrum(design)
    expected = 2.0 * actual[:count] + 0.5 * second[:count]
    np.testing.assert_allclose(result.eigenvalue[:count], expected, rtol=1e-6)
    parts = 2.0 * GAUSSIAN.trace(design) + 0.5 * TANGENT.trace(design)
    assert model.trace(design) == pytest.approx(parts)


def test_products_of_gaussian_and_of_polynomial_kernels_are_such_kernels():
    design = sphere(10)
    pairs = [
        (models.Rbf(bandwidth=0.6), models.Rbf(bandwidth=0.8), models.Rbf(bandwidth=0.48)),
        (models.Polynomial(), models.Polynomial(degree=3), models.Polynomial(degree=5)),
    ]
    for first, second, item in pairs:
        result = models.Product(first=first, second=second).population_spectrum(design)
        expected = item.population_spectrum(design)
        count = min(len(result.eigenvalue), len(expected.eigenvalue), 20)
        np.testing.assert_allclose(
            result.eigenvalue[:count], expected.eigenvalue[:count], rtol=1e-10, atol=0
        )


def test_combinations_know_which_terms_their_parts_leave_out():
    design, narrow = sphere(3), 0.005  # 1/ℓ² = 40000, more terms than are kept
    plain = models.Rbf(bandwidth=narrow).population_spectrum(design).eigenvalue
    scaled = models.Rbf(bandwidth=narrow, variance=2.5)
    half = models.Sum(first=scaled, second=scaled, weights=(0.5, 0.3))
    wide = 2**0.5 * narrow
    square = models.Product(first=models.Rbf(bandwidth=wide), second=models.Rbf(bandwidth=wide))
    for model, factor in ((scaled, 2.5), (half, 2.0), (square, 1.0)):
        result = model.population_spectrum(design).eigenvalue
        np.testing.assert_allclose(result[:100], factor * plain[:100], rtol=1e-7)


def test_the_power_series_of_combinations_bound_what_they_leave_out():
    short = profiles.Profile(lambda t: 1 + t + t**9 / 8, np.array([1.0, 1.0]), 0.125)
    long = profiles.series_profile([0.5, 0.0, 2.0])
    for result, kept, missing in (
        (profiles.scaled(short, 2.0), [2.0, 2.0], 0.25),
        (profiles.added(short, long), [1.5, 1.0], 2.125),
        (profiles.multiplied(short, long), [0.5, 0.5], 0.125 * 2.5 + 4.0),
        (profiles.multiplied(long, long), [0.25, 0.0, 2.0, 0.0, 4.0], 0.0),
    ):
        np.testing.assert_array_equal(result.coefficients, kept)
        assert result.missing == missing
        original = float(result.value(np.ones(1))[0])
        assert sum(kept) + missing >= original == pytest.approx(sum(kept) + missing)


def test_empirical_eigenvalues_of_combinations_approach_the_population():
    design, x = sphere(3), on_sphere(1200, 3)
    for model in (NESTED, models.Product(first=TANGENT, second=ROUGH)):
        spectrum = model.population_spectrum(design)
        value = torch.linalg.eigvalsh(gram_matrix(model.kernel(3), x) / 1200).flip(0).numpy()
        # sampling errors as of the single kernels, of three and five eigenvalues of a degree
        np.testing.assert_allclose(value[0], spectrum.eigenvalue[0], rtol=0.02)
        np.testing.assert_allclose(value[1:4].mean(), spectrum.eigenvalue[1], rtol=0.03)
        np.testing.assert_allclose(value[4:9].mean(), spectrum.eigenvalue[2], rtol=0.05)


def test_a_part_without_spectrum_is_named():
    parts = (models.Laplace(norm="l1"), models.Torus(frequencies=2))
    for part, reference in zip(parts, ("none; the norm l1", "torus"), strict=True):
        for kind in (models.Sum, models.Product):
            model = kind(first=GAUSSIAN, second=part)
            with pytest.raises(UnsuitableError, match=rf"{kind.name}.*{part.name}: {reference}"):
                model.population_spectrum(sphere())


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 2.0, 3.0), (1.0, -0.1), (0.0, 0.0)])
def test_weights_are_two_and_not_negative(weights):
    with pytest.raises(ValueError, match=r"weights: found .* expected two numbers at least 0"):
        models.Sum(first=GAUSSIAN, second=ROUGH, weights=weights)


def test_only_kernels_are_combined():
    network = TwoLayerNetwork(width=8)
    with pytest.raises(ValueError, match=r"second: found networks\.two-layer; expected a kernel"):
        models.Product(first=GAUSSIAN, second=network)


# --- in scenarios ---------------------------------------------------------------------------------

TEXT = """
format = 1
name = "combined"
times = [1.0]
[design]
use = "sphere"
dim = 4
n = 20
noise = 0.1
[target]
use = "source"
smoothness = 1.0
kernel = "estimator:kernel"
[[estimator]]
name = "kernel"
optimizer = {{ use = "spectral-filter", filter = "ridge" }}
[estimator.model]
use = "ntk.sum"
weights = [2.0, 0.5]
first = {{ use = "ntk.rbf" }}
[estimator.model.second]
use = "ntk.product"
first = {{ {first} }}
second = {{ use = "ntk.relu" }}
[[estimator]]
name = "swept"
optimizer = {{ use = "spectral-filter", filter = "ridge" }}
[estimator.model]
use = "ntk.sum"
first = {{ use = "ntk.rbf", bandwidth = {{ values = [0.5, 1.0, 2.0] }} }}
second = {{ use = "ntk.laplace", variance = 0.2 }}
[[metric]]
use = "excess-risk"
[[theory]]
use = "ntk.deterministic-equivalent"
"""


def planned(first: str):
    return checked_plan(read_scenario(TEXT.format(first=first), "combined.toml"))


def test_scenarios_nest_kernels_and_sweep_their_parameters():
    cells = planned('use = "ntk.polynomial", degree = 2').cells
    first = cells[0]
    assert first.model == models.Sum(
        first=models.Rbf(),
        second=models.Product(first=models.Polynomial(), second=models.ReluTangent()),
        weights=(2.0, 0.5),
    )
    swept = {cell.model.first.bandwidth for cell in cells if cell.estimator == "swept"}
    assert swept == {0.5, 1.0, 2.0}
    assert theory_objection(DeterministicEquivalent(), first) is None


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            'use = "networks.two-layer", width = 4',
            "$.estimator[0].model.second.first: found networks.two-layer; expected a kernel",
        ),
        (
            'use = "ntk.rbf", bandwidth = [1.0, 2.0]',
            "found 2 lengths for points of 4 coordinates",
        ),
        ('use = "ntk.torus", frequencies = 40', "found ntk.torus on points of the unit sphere"),
    ],
)
def test_what_is_no_part_is_refused_at_planning(first, message):
    with pytest.raises(ScenarioError) as caught:
        planned(first)
    assert message in str(caught.value)
