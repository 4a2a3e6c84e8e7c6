"""Kernel values against check values, random networks, scikit-learn and definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from sklearn.gaussian_process.kernels import Matern, RationalQuadratic
from sklearn.metrics.pairwise import laplacian_kernel, polynomial_kernel, rbf_kernel

from testbed_ntk.numerics import kernels
from testbed_ntk.numerics.gram import TILE, cross_matrix, diagonal, gram_matrix
from testbed_ntk.numerics.network_kernels import Layers, kappa0, kappa1, relu_network

COSINES = [-1.0, -0.5, 0.0, 0.3, 0.5, 0.9, 1.0]


def points(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, dim)))


def on_circle(cosines: list[float]) -> torch.Tensor:
    u = torch.tensor(cosines, dtype=torch.float64)
    return torch.stack([u, (1 - u.square()).sqrt()], 1)


def normalised(depth: int) -> Layers:
    return Layers((1.0, *(2.0,) * depth), (0.0,) * (depth + 1))


def test_two_layer_ntk_has_its_published_values():
    pole = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    result = cross_matrix(relu_network(normalised(1), True), pole, on_circle(COSINES))[0]
    expected = [0.0, -0.05766889, 0.31830989, 0.66184029, 0.94233111, 1.68032874, 2.0]
    np.testing.assert_allclose(result, expected, atol=5e-9)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_diagonal_is_depth_plus_one_for_unit_inputs(depth):
    x = points(20, 3)
    x = x / x.norm(dim=1, keepdim=True)
    result = gram_matrix(relu_network(normalised(depth), True), x).diagonal()
    np.testing.assert_allclose(result, depth + 1.0, rtol=1e-15 * 4)


def test_wide_two_layer_networks_have_their_exact_limit():
    # ½‖x‖‖x'‖(κ₁ + uκ₀) without bias; E(S) + Ė(S)S, S = ⟨x, x'⟩ + 1, with one
    x = points(6, 4)
    norms = x.norm(dim=1)
    u = (x @ x.T / norms[:, None] / norms).clamp(-1, 1)
    plain = 0.5 * norms[:, None] * norms * (kappa1(u) + u * kappa0(u))
    result = gram_matrix(relu_network(Layers((1.0, 1.0), (0.0, 0.0)), True), x)
    np.testing.assert_allclose(result, plain, rtol=1e-7)  # arccos near the diagonal
    s = x @ x.T + 1
    q = s.diagonal().sqrt()
    c = (s / q[:, None] / q).clamp(-1, 1)
    biased = 0.5 * q[:, None] * q * kappa1(c) + 0.5 * kappa0(c) * s
    result = gram_matrix(relu_network(Layers((1.0, 1.0), (1.0, 0.0)), True), x)
    np.testing.assert_allclose(result, biased, rtol=1e-7)


def test_arc_cosine_kernels_are_gaussian_expectations():
    for u in (-0.7, 0.2, 0.95):
        root = math.sqrt(1 - u * u)

        def wedge(power: int, u: float = u, root: float = root) -> float:
            def value(angle: float) -> float:
                return (math.cos(angle) * (u * math.cos(angle) + root * math.sin(angle))) ** power

            # polar coordinates: the directions in which both neurons are active
            area = integrate.quad(value, -math.asin(u), math.pi / 2, epsabs=1e-12)[0]
            return area * {0: 1.0, 1: 2.0}[power] / (2 * math.pi)  # ∫ r^{2p+1} e^{−r²/2} dr

        cosine = torch.tensor(u, dtype=torch.float64)
        assert wedge(0) == pytest.approx(0.5 * float(kappa0(cosine)), abs=1e-10)
        assert wedge(1) == pytest.approx(0.5 * float(kappa1(cosine)), abs=1e-10)


def random_network_kernels(x: torch.Tensor, layers: Layers, width: int, rng) -> torch.Tensor:
    """NNGP sample σ_w²/m h hᵀ + σ_b² and empirical NTK of one random network, (2, n, n)."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape))

    sizes = [x.shape[1], *(width,) * (len(layers.weight) - 1), 1]
    scales = [layers.weight[0], *(w / width for w in layers.weight[1:])]
    params = [(normal(sizes[i + 1], sizes[i]), normal(sizes[i + 1])) for i in range(len(sizes) - 1)]

    def hidden(params, point):
        for (w, b), scale, bias in zip(params[:-1], scales[:-1], layers.bias[:-1], strict=True):
            point = (math.sqrt(scale) * w @ point + math.sqrt(bias) * b).relu()
        return point

    def network(params, point):
        w, b = params[-1]
        out = math.sqrt(scales[-1]) * w @ hidden(params, point) + math.sqrt(layers.bias[-1]) * b
        return out[0]

    rows = [torch.func.grad(network)(params, point) for point in x]
    flat = torch.stack([torch.cat([leaf.flatten() for pair in r for leaf in pair]) for r in rows])
    h = torch.stack([hidden(params, point) for point in x])
    return torch.stack([scales[-1] * h @ h.T + layers.bias[-1], flat @ flat.T])


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_random_networks_of_two_hidden_layers_average_to_the_kernels(bias):
    layers = Layers((0.5, 1.5, 2.0), (bias, 0.5 * bias, bias))
    x, rng = points(4, 3, 1), np.random.default_rng(2)
    draws = torch.stack([random_network_kernels(x, layers, 192, rng) for _ in range(150)])
    mean, error = draws.mean(0), draws.std(0) / math.sqrt(150)
    for index, tangent in ((0, False), (1, True)):
        exact = gram_matrix(relu_network(layers, tangent), x)
        # four standard errors, and a bias of order 1/width
        assert bool(((mean[index] - exact).abs() <= 4 * error[index] + 0.01 * exact.max()).all())
        assert float((error[index] / exact.max()).max()) < 0.03


def test_classical_kernels_agree_with_scikit_learn():
    x, z = points(7, 3), points(5, 3, 1)
    pairs = [
        (kernels.rbf(1.3), rbf_kernel(x, z, gamma=0.5 / 1.3**2)),
        (kernels.matern(0.5, 1.3), Matern(1.3, nu=0.5)(x.numpy(), z.numpy())),
        (kernels.matern(1.5, 1.3), Matern(1.3, nu=1.5)(x.numpy(), z.numpy())),
        (kernels.matern(2.5, 1.3), Matern(1.3, nu=2.5)(x.numpy(), z.numpy())),
        (kernels.matern(0.8, 1.3), Matern(1.3, nu=0.8)(x.numpy(), z.numpy())),
        (kernels.matern(3.5, 1.3), Matern(1.3, nu=3.5)(x.numpy(), z.numpy())),
        (kernels.rational_quadratic(0.7, 1.3), RationalQuadratic(1.3, 0.7)(x.numpy(), z.numpy())),
        (kernels.laplace(1.3), Matern(1.3, nu=0.5)(x.numpy(), z.numpy())),
        (kernels.polynomial(3, 0.7, 1.1), polynomial_kernel(x, z, 3, 0.7, 1.1)),
        (kernels.power_series([1.1**2, 2 * 1.1, 1.0]), polynomial_kernel(x, z, 2, 1.0, 1.1)),
    ]
    for kernel, expected in pairs:
        np.testing.assert_allclose(cross_matrix(kernel, x, z), expected, rtol=1e-12)
    for nu in (0.8, 2.0, 12.5, 19.7):  # 1 at distance 0, and nowhere more than that
        near = torch.tensor([[0.0], [1e-12], [1e-5], [1.0], [900.0]], dtype=torch.float64)
        decay = cross_matrix(kernels.matern(nu, 1.0), near[:1], near)[0]
        assert decay[0] == 1 and bool((decay.diff() <= 1e-14).all()) and decay[-1] < 1e-6
    line, second = x[:, :1], z[:, :1]  # ‖·‖₁ and ‖·‖₂ agree in one dimension
    result = cross_matrix(kernels.laplace(2.0), line, second)
    np.testing.assert_allclose(result, laplacian_kernel(line, second, gamma=0.5), rtol=1e-12)


@pytest.mark.parametrize(("dim", "largest"), [(1, 5), (2, 3)])
def test_torus_features_are_orthonormal_and_sum_to_the_kernel(dim, largest):
    frequencies = kernels.half_lattice(dim, largest)
    assert len(frequencies) == ((2 * largest + 1) ** dim - 1) // 2
    side = np.arange(2 * largest + 1) * 2 / (2 * largest + 1) - 1  # exact for these degrees
    grid = torch.from_numpy(np.stack(np.meshgrid(*[side] * dim), -1).reshape(-1, dim))
    features = kernels.torus_features(grid, frequencies)
    np.testing.assert_allclose(
        features.T @ features / len(grid), np.eye(features.shape[1]), atol=1e-12
    )
    x, z = points(4, dim), points(3, dim, 1)
    axes = np.meshgrid(*[np.arange(-largest, largest + 1)] * dim, indexing="ij")
    every = np.stack(axes, -1).reshape(-1, dim)  # all m: Σ λ_m cos(π⟨m, x − x'⟩)
    weight = (1.0 + (every**2).sum(1)) ** -1.5
    separate = x.numpy()[:, None, :] - z.numpy()
    expected = np.cos(np.pi * separate @ every.T) @ weight
    np.testing.assert_allclose(cross_matrix(kernels.torus(dim, largest, 1.5), x, z), expected)


@pytest.mark.parametrize(
    "kernel",
    [relu_network(Layers((0.02, 2.0, 2.0), (0.0, 0.1, 0.0)), True), kernels.laplace(9.0)],
    ids=["relu", "laplace"],
)
def test_gram_matrices_of_several_tiles_are_symmetric_to_the_bit_and_exact_on_the_diagonal(kernel):
    x = points(2 * TILE + 37, 50)
    gram = gram_matrix(kernel, x)
    assert torch.equal(gram, gram.T)
    np.testing.assert_allclose(gram.diagonal(), diagonal(kernel, x), rtol=1e-14)
    away = ~torch.eye(len(x), dtype=torch.bool)
    np.testing.assert_allclose(gram[away], cross_matrix(kernel, x, x)[away], rtol=1e-12)
    root = torch.rand(len(x), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weighted = gram_matrix(kernel, x, root)
    assert torch.equal(weighted, weighted.T)
    np.testing.assert_allclose(weighted, root[:, None] * gram * root, rtol=1e-13)


def test_points_at_the_origin_and_float32_are_no_trouble():
    x = torch.cat([torch.zeros(1, 3), points(3, 3).float()])
    gram = gram_matrix(relu_network(normalised(3), True), x)
    assert gram.dtype == torch.float32 and bool(torch.isfinite(gram).all())
    assert bool((gram[0] == 0).all())
    np.testing.assert_allclose(
        gram[1:, 1:], gram_matrix(relu_network(normalised(3), True), x[1:].double()), rtol=2e-6
    )
