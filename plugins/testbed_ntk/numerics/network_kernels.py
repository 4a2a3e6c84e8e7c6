"""Kernels of infinitely wide fully connected networks: NTK and NNGP, for every activation.

ReLU has tiles of its own, in which everything is divided by √(qq'): cosines alone decide, and the
diagonal is exact. Other activations take Σ itself through their dual activations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from testbed_ntk.numerics import composition
from testbed_ntk.numerics.dual_activations import DUALS, Dual
from testbed_ntk.numerics.kernels import Kernel, Points, flat, of_products

if TYPE_CHECKING:
    from torch import Tensor


class Layers(NamedTuple):
    """Variances of a fully connected network, layer by layer from the inputs to the output."""

    weight: tuple[float, ...]  # (L + 1,) σ_w² of each layer; the first multiplies ⟨x, x'⟩ as it is
    bias: tuple[float, ...]  # (L + 1,) σ_b²


def network(layers: Layers, activation: str, tangent: bool) -> Kernel:
    """NTK Θ^L or NNGP kernel Σ^L of a network of L hidden layers of this activation."""
    if activation == "relu":
        return relu_network(layers, tangent)
    return smooth_network(layers, DUALS[activation], tangent)


# --- activations with dual activations ------------------------------------------------------------


def smooth_network(layers: Layers, dual: Dual, tangent: bool) -> Kernel:
    """NTK Θ^L or NNGP kernel Σ^L of a network by its dual activation (arXiv:1806.07572, Thm 1).

    Σ⁰ = Θ⁰ = σ_w²⟨x, x'⟩ + σ_b²;  Σ^ℓ = σ_w² E + σ_b²,  Θ^ℓ = Σ^ℓ + σ_w² Ė Θ^{ℓ−1}, with
    E = E σ(u)σ(v) and Ė = E σ'(u)σ'(v) over pairs of the covariance Σ^{ℓ−1}.
    """

    def embed(x: Tensor, centre: Tensor) -> Points:
        rows = _first_layer(flat(x), layers)
        q = [rows.square().sum(1)]
        for weight, bias in zip(layers.weight[1:-1], layers.bias[1:-1], strict=True):
            q.append(weight * dual(q[-1], q[-1], q[-1]).value + bias)
        return Points(rows, q[0], torch.stack(q))

    def tile(inner: Tensor, left: Points, right: Points) -> Tensor:
        assert left.layers is not None and right.layers is not None
        theta = inner.clone() if tangent else None
        behind = zip(layers.weight[1:], layers.bias[1:], left.layers, right.layers, strict=True)
        for weight, bias, q, q_right in behind:
            moments = dual(inner, q[:, None], q_right)
            inner = moments.value.mul_(weight).add_(bias)
            if theta is not None:
                theta.mul_(moments.slope).mul_(weight).add_(inner)
        return inner if theta is None else theta

    return of_products(embed, tile)


def _first_layer(x: Tensor, layers: Layers) -> Tensor:
    """Rows whose inner products are Σ⁰: σ_w x, and σ_b where there is a bias."""
    rows = math.sqrt(layers.weight[0]) * x
    if layers.bias[0]:
        rows = torch.cat([rows, torch.full_like(x[:, :1], math.sqrt(layers.bias[0]))], 1)
    return rows


# --- ReLU -----------------------------------------------------------------------------------------


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

    return of_products(lambda x, centre: _network_points(flat(x), layers), tile)


def _network_points(x: Tensor, layers: Layers) -> Points:
    """Rows √(σ_w²) (x, σ_b/σ_w)/√q⁰ of unit length, and √q^ℓ of every layer, (L + 1, n)."""
    q = layers.weight[0] * x.square().sum(1) + layers.bias[0]
    roots = [q.sqrt()]
    for weight, bias in zip(layers.weight[1:], layers.bias[1:], strict=True):
        q = 0.5 * weight * q + bias
        roots.append(q.sqrt())
    zero = roots[0] == 0
    rows = _first_layer(x, layers) / torch.where(zero, 1.0, roots[0])[:, None]
    return Points(rows, (~zero).to(x.dtype), torch.stack(roots))


class _Factors(NamedTuple):
    """Per-point factors of a tile, where r = keep·keep' and b = shift·shift' of each layer."""

    keep: Tensor  # (L, a) √(½σ_w²q/q^ℓ) = √(1 − σ_b²/q^ℓ)
    shift: Tensor  # (L, a) σ_b/√q^ℓ
    scale: Tensor  # (a,) √q of the output


def _factors(points: Points, bias: Sequence[float]) -> _Factors:
    assert points.layers is not None
    roots = points.layers[1:]
    root = roots.new_tensor(bias[1:]).sqrt()[:, None]
    shift = root / torch.where(roots == 0, 1.0, roots)
    return _Factors((1 - shift.square()).clamp_min(0).sqrt(), shift, roots[-1])


def _network_tile(
    cosine: Tensor, left: _Factors, right: _Factors, bias: Sequence[float], tangent: bool
) -> Tensor:
    cosine.clamp_(-1, 1)
    theta = cosine.clone() if tangent else None
    for layer, variance in enumerate(bias[1:]):
        slope, cosine = _arc_cosines(cosine)
        if variance:
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
    sine = torch.square(cosine).neg_().add_(1).sqrt_()
    value = cosine.mul_(slope).add_(sine).mul_(1 / math.pi)
    return slope.mul_(1 / math.pi), value
