"""Kernels as functions of inner products, ready to be computed tile by tile.

A kernel is two pure functions: `embed` maps inputs to rows whose inner products are all it needs,
`tile` turns a block of those inner products into kernel values, in place. On the diagonal of a
Gram matrix the inner product is replaced by `Points.square`, so that k(x, x) is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from testbed_ntk import composition


class Points(NamedTuple):
    """Inputs as a kernel sees them."""

    rows: Tensor  # (n, p) their inner products enter the tiles
    square: Tensor  # (n,) the exact inner product of a row with itself
    layers: Tensor | None = None  # (statistics, n) of networks: factors of each layer


class Kernel(NamedTuple):
    """k(x, x') = tile(⟨rows, rows'⟩, points, points')."""

    embed: Callable[[Tensor], Points]  # (n, …) inputs → points
    tile: Callable[[Tensor, Points, Points], Tensor]  # (a, b) inner products → (a, b) values


def flat(x: Tensor) -> Tensor:
    """Inputs as a matrix: (n,) → (n, 1), (n, h, w) → (n, h·w)."""
    return x.reshape(x.shape[0], -1)


# --- networks -------------------------------------------------------------------------------------


def kappa0(cosine: Tensor) -> Tensor:
    """κ₀(u) = (π − arccos u)/π, the arc-cosine kernel of order 0 (Cho and Saul 2009).

    >>> kappa0(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return torch.acos(-cosine) / math.pi


def kappa1(cosine: Tensor) -> Tensor:
    """κ₁(u) = [u(π − arccos u) + √(1 − u²)]/π, the arc-cosine kernel of order 1.

    >>> kappa1(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    return (cosine * torch.acos(-cosine) + (1 - cosine.square()).clamp_min(0).sqrt()) / math.pi


class Layers(NamedTuple):
    """Variances of a fully connected ReLU network, layer by layer from the inputs to the output."""

    weight: tuple[float, ...]  # (L + 1,) σ_w² of each layer; the first multiplies ⟨x, x'⟩ as it is
    bias: tuple[float, ...]  # (L + 1,) σ_b²


def relu_network(layers: Layers, tangent: bool) -> Kernel:
    """NTK Θ^L or NNGP kernel Σ^L of a ReLU network of L hidden layers (arXiv:1806.07572, Thm 1).

    Σ⁰ = Θ⁰ = σ_w²⟨x, x'⟩ + σ_b²;  Σ^ℓ = σ_w² E + σ_b²,  Θ^ℓ = Σ^ℓ + σ_w² Ė Θ^{ℓ−1}, where with
    q = Σ^{ℓ−1}(x, x) and c = Σ^{ℓ−1}(x, x')/√(qq'):  E = ½√(qq') κ₁(c),  Ė = ½κ₀(c).

    The tiles hold everything divided by √(q^ℓ q'^ℓ): then c^ℓ = r κ₁(c^{ℓ−1}) + b and
    Θ^ℓ = c^ℓ + r κ₀(c^{ℓ−1}) Θ^{ℓ−1}, with r = 1 and b = 0 exactly where there is no bias. Without
    biases behind the first layer that is a function of the angle alone, and computed as one.
    """
    depth = len(layers.bias) - 1
    powers = None if any(layers.bias[1:]) else composition.coefficients(depth, tangent)

    def tile(inner: Tensor, left: Points, right: Points) -> Tensor:
        if powers is not None:
            assert left.layers is not None and right.layers is not None
            value = composition.of_cosines(inner.clamp_(-1, 1), powers)
            return value.mul_(left.layers[-1][:, None]).mul_(right.layers[-1])
        factors = _factors(left, layers.bias), _factors(right, layers.bias)
        return _network_tile(inner, *factors, layers.bias, tangent)

    return Kernel(lambda x: _network_points(flat(x), layers), tile)


def _network_points(x: Tensor, layers: Layers) -> Points:
    """Rows √(σ_w²) (x, σ_b/σ_w)/√q⁰ of unit length, and √q^ℓ of every layer, (L + 1, n)."""
    q = layers.weight[0] * x.square().sum(1) + layers.bias[0]
    roots = [q.sqrt()]
    for weight, bias in zip(layers.weight[1:], layers.bias[1:], strict=True):
        q = 0.5 * weight * q + bias
        roots.append(q.sqrt())
    rows = math.sqrt(layers.weight[0]) * x
    if layers.bias[0]:
        rows = torch.cat([rows, torch.full_like(x[:, :1], math.sqrt(layers.bias[0]))], 1)
    zero = roots[0] == 0
    rows = rows / torch.where(zero, 1.0, roots[0])[:, None]
    return Points(rows, (~zero).to(x.dtype), torch.stack(roots))


class _Factors(NamedTuple):
    """Per-point factors of a tile, where r = keep·keep' and b = shift·shift' of each layer."""

    keep: Tensor  # (L, a) √(½σ_w²q/q^ℓ) = √(1 − σ_b²/q^ℓ)
    shift: Tensor  # (L, a) σ_b/√q^ℓ
    scale: Tensor  # (a,) √q of the output


def _factors(points: Points, bias: Sequence[float]) -> _Factors:
    assert points.layers is not None
    roots = points.layers[1:]
    own = roots.new_tensor(bias[1:]).sqrt()[:, None]
    shift = own / torch.where(roots == 0, 1.0, roots)
    return _Factors((1 - shift.square()).clamp_min(0).sqrt(), shift, roots[-1])


def _network_tile(
    cosine: Tensor, left: _Factors, right: _Factors, bias: Sequence[float], tangent: bool
) -> Tensor:
    cosine.clamp_(-1, 1)
    theta = cosine.clone() if tangent else None
    for layer, own in enumerate(bias[1:]):
        slope, cosine = _arc_cosines(cosine)
        if own:
            ratio = left.keep[layer][:, None] * right.keep[layer]
            cosine.mul_(ratio).add_(left.shift[layer][:, None] * right.shift[layer]).clamp_(-1, 1)
            slope.mul_(ratio)
        if theta is not None:
            theta.mul_(slope).add_(cosine)
    value = cosine if theta is None else theta
    return value.mul_(left.scale[:, None]).mul_(right.scale)


def _arc_cosines(cosine: Tensor) -> tuple[Tensor, Tensor]:
    """κ₀ and κ₁ of a tile, which is overwritten."""
    slope = torch.neg(cosine).acos_()  # π − arccos c
    rest = torch.square(cosine).neg_().add_(1).sqrt_()
    value = cosine.mul_(slope).add_(rest).mul_(1 / math.pi)
    return slope.mul_(1 / math.pi), value


# --- radial kernels -------------------------------------------------------------------------------


def radial(profile: Callable[[Tensor], Tensor]) -> Kernel:
    """k(x, x') = profile(‖x − x'‖²); the profile may overwrite its argument."""

    def embed(x: Tensor) -> Points:
        return Points(flat(x), flat(x).square().sum(1))

    def tile(inner: Tensor, left: Points, right: Points) -> Tensor:
        squares = inner.mul_(-2).add_(left.square[:, None]).add_(right.square).clamp_min_(0)
        return profile(squares)

    return Kernel(embed, tile)


def rbf(bandwidth: float) -> Kernel:
    """exp(−‖x − x'‖²/(2ℓ²))."""
    return radial(lambda squares: squares.mul_(-0.5 / bandwidth**2).exp_())


def laplace(bandwidth: float) -> Kernel:
    """exp(−‖x − x'‖/ℓ)."""
    return radial(lambda squares: squares.sqrt_().mul_(-1 / bandwidth).exp_())


def matern(nu: float, bandwidth: float) -> Kernel:
    """Matérn kernel, u = √(2ν)‖x − x'‖/ℓ: e^{−u}; (1 + u)e^{−u}; (1 + u + u²/3)e^{−u} for
    ν = 1/2, 3/2, 5/2 (Rasmussen and Williams 2006, equation 4.17)."""

    def profile(squares: Tensor) -> Tensor:
        u = squares.sqrt_().mul_(math.sqrt(2 * nu) / bandwidth)
        decay = torch.exp(-u)
        if nu == 0.5:
            return decay
        return decay.mul_(1 + u if nu == 1.5 else 1 + u + u.square() / 3)

    return radial(profile)


# --- inner-product kernels and features -----------------------------------------------------------


def inner_product(profile: Callable[[Tensor], Tensor]) -> Kernel:
    """k(x, x') = profile(⟨x, x'⟩)."""

    def embed(x: Tensor) -> Points:
        return Points(flat(x), flat(x).square().sum(1))

    return Kernel(embed, lambda inner, left, right: profile(inner))


def polynomial(degree: int, scale: float, offset: float) -> Kernel:
    """(scale·⟨x, x'⟩ + offset)^degree."""
    return inner_product(lambda inner: inner.mul_(scale).add_(offset).pow_(degree))


def power_series(coefficients: Sequence[float]) -> Kernel:
    """Σ_j a_j ⟨x, x'⟩^j by Horner's rule."""

    def profile(inner: Tensor) -> Tensor:
        total = torch.full_like(inner, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total.mul_(inner).add_(coefficient)
        return total

    return inner_product(profile)


def half_lattice(dim: int, largest: int) -> list[tuple[int, ...]]:
    """One of every pair {m, −m} of non-zero integer vectors with |m_i| ≤ largest: those whose first
    non-zero entry is positive; ordered by |m|², then lexicographically."""
    zero = (0,) * dim
    half = [m for m in product(range(-largest, largest + 1), repeat=dim) if m > zero]
    return sorted(half, key=lambda m: (sum(own * own for own in m), m))


def torus_features(x: Tensor, frequencies: Sequence[tuple[int, ...]]) -> Tensor:
    """1, then √2cos(π⟨m, x⟩), √2sin(π⟨m, x⟩) for each m: orthonormal on [−1, 1)^d, (n, 1 + 2M)."""
    m = torch.tensor(frequencies, dtype=x.dtype, device=x.device).reshape(len(frequencies), -1)
    if not frequencies:
        return torch.ones_like(x[:, :1])
    phase = math.pi * (flat(x) @ m.mT)  # (n, M)
    waves = math.sqrt(2) * torch.stack([phase.cos(), phase.sin()], 2)
    return torch.cat([torch.ones_like(phase[:, :1]), waves.flatten(1)], 1)


def torus_eigenvalues(frequencies: Sequence[tuple[int, ...]], smoothness: float) -> list[float]:
    """λ_m = (1 + |m|²)^{−r} in the order of `torus_features`: each but the first twice."""
    values = [(1.0 + sum(own * own for own in m)) ** -smoothness for m in frequencies]
    return [1.0, *(value for value in values for _ in range(2))]


def torus(dim: int, largest: int, smoothness: float) -> Kernel:
    """Σ_m λ_m e_m(x) e_m(x') over |m_i| ≤ largest, λ_m = (1 + |m|²)^{−r}."""
    frequencies = half_lattice(dim, largest)
    scales = [math.sqrt(value) for value in torus_eigenvalues(frequencies, smoothness)]

    def embed(x: Tensor) -> Points:
        rows = torus_features(x, frequencies) * x.new_tensor(scales)
        return Points(rows, rows.square().sum(1))

    return Kernel(embed, lambda inner, left, right: inner)
