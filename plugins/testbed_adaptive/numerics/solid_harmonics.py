"""Orthonormal spherical harmonics in every dimension, as homogeneous polynomials."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@lru_cache(maxsize=4096)
def multiplicity(dim: int, degree: int) -> int:
    """N(d, k) = C(k + d − 1, k) − C(k + d − 3, k − 2), the harmonics of degree k on S^{d−1}.

    >>> [multiplicity(3, k) for k in range(4)]
    [1, 3, 5, 7]
    """
    less = math.comb(degree + dim - 3, degree - 2) if degree > 1 else 0
    return math.comb(degree + dim - 1, degree) - less


def harmonics(x: Tensor, last: int) -> list[Tensor]:
    """Harmonic polynomials of the degrees 0 … last at points x (…, d), each (…, N(d, k)).

    Orthonormal under the uniform law on S^{d−1}. From d − 1 to d dimensions (Müller, Spherical
    Harmonics, 1966): for each Y_l of degree l in the first d − 1 coordinates,

        Y_l(x') r^{k−l} √N(d + 2l, k − l) P_{k−l}(x_d/r; d + 2l)/√c,   c = E(1 − x_d²)^l on S^{d−1},

    P_k(·; d) the Gegenbauer polynomial of dimension d with P_k(1) = 1, whose law of one coordinate
    in dimension d + 2l is that of x_d reweighted by (1 − x_d²)^l.
    """
    dim = x.shape[-1]
    if dim == 1:
        ones = torch.ones_like(x)
        return [ones, x, *(x[..., :0] for _ in range(2, last + 1))][: last + 1]
    if dim == 2:
        return _circle(x, last)
    below = harmonics(x[..., :-1], last)
    height, square = x[..., -1:], x.square().sum(-1, keepdim=True)
    parts: list[list[Tensor]] = [[] for _ in range(last + 1)]
    for lower, inner in enumerate(below):
        scale = math.exp(-0.5 * _log_moment(dim, lower))
        for step, profile in enumerate(_gegenbauer(height, square, dim + 2 * lower, last - lower)):
            norm = scale * math.sqrt(multiplicity(dim + 2 * lower, step))
            parts[lower + step].append(norm * inner * profile)
    return [torch.cat(part, -1) for part in parts]


def _circle(x: Tensor, last: int) -> list[Tensor]:
    """1, and √2 times real and imaginary parts of (x₁ + ix₂)^k."""
    harmonics = [torch.ones_like(x[..., :1])]
    real, imaginary = torch.ones_like(x[..., :1]), torch.zeros_like(x[..., :1])
    first, second = x[..., :1], x[..., 1:]
    for _ in range(last):
        real, imaginary = real * first - imaginary * second, real * second + imaginary * first
        harmonics.append(math.sqrt(2) * torch.cat([real, imaginary], -1))
    return harmonics


def _log_moment(dim: int, power: int) -> float:
    """log E(1 − x_d²)^l = log Γ((d−1)/2 + l)Γ(d/2)/(Γ((d−1)/2)Γ(d/2 + l))."""
    half, less = dim / 2, (dim - 1) / 2
    up = math.lgamma(less + power) - math.lgamma(less)
    return up - math.lgamma(half + power) + math.lgamma(half)


def _gegenbauer(height: Tensor, square: Tensor, dim: int, last: int) -> list[Tensor]:
    """r^k P_k(x_d/r), k = 0 … last: (k + d − 2)P_{k+1} = (2k + d − 2)x_d P_k − k r² P_{k−1}."""
    polynomials = [torch.ones_like(height), height]
    for k in range(1, last):
        ahead = (2 * k + dim - 2) * height * polynomials[k] - k * square * polynomials[k - 1]
        polynomials.append(ahead / (k + dim - 2))
    return polynomials[: last + 1]
