"""Dual activations: E σ(u)σ(v) and E σ'(u)σ'(v) of Gaussian pairs, for all activations but ReLU.

(u, v) ~ N(0, [[q, s], [s, q']]). The second is the derivative of the first in s, and the two are
all that the kernels of a wide network take of its activation (Daniely, Frostig and Singer 2016,
arXiv:1602.05897).

Closed forms: erf by an arc sine (Williams, Neural Computation 10 (1998)), GELU by Stein's lemma, h²
and h by Isserlis' theorem. Hyperbolic tangent and sigmoid have none, but they are mixtures of error
functions, tanh(h) = ∫ erf(h/(k√2)) g(k) dk with g the density of Kolmogorov's distribution, since
the logistic law is that scale mixture of normals (Stefanski, Statistics & Probability Letters 11
(1991)). The trapezoidal rule in log k is within 1.5e−12 of tanh, relatively, at every h: unlike a
Hermite series it serves inputs of any length.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


class Moments(NamedTuple):
    """The moments of an activation on a pair (u, v), each of the shape that s, q and q' broadcast
    to."""

    value: Tensor  # E σ(u)σ(v)
    slope: Tensor  # E σ'(u)σ'(v)


Dual: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Moments]"  # s, q, q' → moments

STEP = 0.15  # of the trapezoidal rule in log k
REACH = (-1.75, 1.5)  # log k where the density is above rounding
NEGLIGIBLE = 1e-13  # pairs of parts whose weight is less are left out
TERMS = 40  # of the density's theta series; SciPy's kstwobign.pdf is off by 1e−8 around k = 0.85


def linear(s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
    """σ(h) = h.

    >>> one = torch.ones(())
    >>> float(linear(0.5 * one, one, one).value)
    0.5
    """
    return Moments(s.clone(), torch.ones_like(s))


def quadratic(s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
    """σ(h) = h²."""
    return Moments(q * q_right + 2 * s.square(), 4 * s)


def gelu(s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
    """σ(h) = h·P(N(0, 1) ≤ h)."""
    both = (1 + q) * (1 + q_right)
    root = (both - s.square()).sqrt()
    angle = torch.asin(s / both.sqrt())
    share = 1 / (1 + q) + 1 / (1 + q_right) - 1
    mixed = (q * q_right + share * s.square()) / root
    value = s / 4 + (s * angle + mixed) / (2 * math.pi)
    rise = angle + (s + 2 * share * s + mixed * s / root) / root
    return Moments(value, 0.25 + rise / (2 * math.pi))


class ErfMixture(NamedTuple):
    """σ(h) = constant + Σ_k weight_k erf(scale_k h)."""

    constant: float
    weight: tuple[float, ...]  # (K,)
    scale: tuple[float, ...]  # (K,)

    def dual(self, s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
        """Of each pair of parts, with c = 2ab s/√((1 + 2a²q)(1 + 2b²q')):
        E erf(au) erf(bv) = (2/π) arcsin c."""
        parts = list(zip(self.weight, self.scale, strict=True))
        value, slope = torch.full_like(s, self.constant**2), torch.zeros_like(s)
        for (weight, a), (partner, b) in itertools.product(parts, parts):
            if weight * partner * max(1.0, 2 * a * b) < NEGLIGIBLE:
                continue
            factor = 2 / math.pi * weight * partner
            left, right = 2 * a * (1 + 2 * a * a * q).rsqrt(), b * (1 + 2 * b * b * q_right).rsqrt()
            cosine = (s * left).mul_(right).clamp_(-1, 1)
            inverse_sine = (
                cosine.square().neg_().add_(1).clamp_min_(torch.finfo(s.dtype).tiny).rsqrt_()
            )
            slope.add_(inverse_sine.mul_(factor * left).mul_(right))
            value.add_(cosine.asin_(), alpha=factor)
        return Moments(value, slope)


@functools.cache
def tanh_mixture() -> tuple[np.ndarray, np.ndarray]:
    """Weights and scales 1/(k√2), (K,), of tanh as a mixture of error functions.

    >>> weight, scale = tanh_mixture()
    >>> len(weight), bool(abs(weight.sum() - 1) < 2e-12)
    (22, True)
    """
    k, n = np.exp(np.arange(*REACH, STEP)), np.arange(1, TERMS)[:, None]
    density = -8 * k * ((-1.0) ** n * n**2 * np.exp(-2 * n**2 * k**2)).sum(0)
    return STEP * k * density, 1 / (math.sqrt(2) * k)


def tanh(s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
    """σ(h) = tanh(h)."""
    weight, scale = tanh_mixture()
    return ErfMixture(0.0, tuple(weight.tolist()), tuple(scale.tolist())).dual(s, q, q_right)


def sigmoid(s: Tensor, q: Tensor, q_right: Tensor) -> Moments:
    """σ(h) = 1/(1 + e^{−h}) = ½ + ½ tanh(h/2)."""
    weight, scale = tanh_mixture()
    half = tuple((weight / 2).tolist()), tuple((scale / 2).tolist())
    return ErfMixture(0.5, *half).dual(s, q, q_right)


DUALS: dict[str, Dual] = {
    "erf": ErfMixture(0.0, (1.0,), (1.0,)).dual,
    "gelu": gelu,
    "linear": linear,
    "quadratic": quadratic,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
