"""Arc-cosine kernels composed over layers, as one polynomial of the angle.

Without biases the kernels of a ReLU network of L hidden layers are ‖x‖‖x'‖ times functions of the
angle θ between inputs alone. They are not analytic in cos θ, but they are in θ on the whole of
[0, π]: at θ = 0 each layer maps θ to an analytic θ', and at θ = π to π/2 plus a cube. A polynomial
of some thirty terms therefore equals them to rounding, for one arc sine instead of an arc cosine
and a square root in every layer.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from torch import Tensor

NODES = 64
LARGEST = 42  # degree: rounding in the coefficient of T_k comes back (1 + √2)^k times
ROUNDING = 3e-15  # of the value at θ = 0
SERIES = 0.5  # angle below which sin θ − θ cos θ is summed as a series


def layer_by_layer(angle: np.ndarray, depth: int, tangent: bool) -> np.ndarray:
    """Σ^L, or Θ^L, of unit inputs at these angles, divided by √(q q') of the output.

    c^ℓ = κ₁(c^{ℓ−1}), Θ^ℓ = c^ℓ + κ₀(c^{ℓ−1}) Θ^{ℓ−1} (arXiv:1806.07572), in terms of v = 1 − c,
    for which v^ℓ = v − (sin θ − θ cos θ)/π: small angles keep all their digits.
    """
    versine = 2 * np.sin(angle / 2) ** 2
    theta = 1 - versine
    for _ in range(depth):
        slope = 1 - angle / math.pi
        versine = versine - _sine_minus_product(angle) / math.pi
        angle = 2 * np.arcsin(np.sqrt(versine / 2))
        theta = theta * slope + (1 - versine)
    return theta if tangent else 1 - versine


def _sine_minus_product(angle: np.ndarray) -> np.ndarray:
    """sin θ − θ cos θ without cancellation: Σ_k (−1)^{k+1} 2k θ^{2k+1}/(2k + 1)!."""
    k = np.arange(1, 10)[:, None]
    factorials = np.cumprod(np.arange(1.0, 20))[2 * k]
    series = ((-1.0) ** (k + 1) * 2 * k * angle ** (2 * k + 1) / factorials).sum(0)
    return np.where(angle < SERIES, series, np.sin(angle) - angle * np.cos(angle))


@functools.lru_cache(maxsize=64)
def coefficients(depth: int, tangent: bool) -> tuple[float, ...] | None:
    """Of the powers of u = 2θ/π − 1 ∈ [−1, 1], constant first, of the shortest polynomial that is
    the kernel to rounding; None where that takes too many terms (from some twenty layers on).

    Their absolute sum is near the kernel's value at θ = 0, so that Horner's rule loses nothing.

    >>> len(coefficients(3, True)) < 40
    True
    """
    dense = np.linspace(-1.0, 1.0, 1001)
    expected = layer_by_layer((dense + 1) * math.pi / 2, depth, tangent)
    series = _chebyshev(depth, tangent)
    for degree in range(16, LARGEST + 1):
        powers = chebyshev.cheb2poly(series[: degree + 1])
        error = np.abs(np.polynomial.polynomial.polyval(dense, powers) - expected).max()
        if error <= ROUNDING * expected[0]:
            return tuple(powers.tolist())
    return None


def _chebyshev(depth: int, tangent: bool) -> np.ndarray:
    """Chebyshev coefficients in u by interpolation, (NODES,), each correct to rounding: angles of
    the cosines are reduced as integers."""
    odd, j = 2 * np.arange(NODES) + 1, np.arange(NODES)
    cosines = np.cos(math.pi / (2 * NODES) * (j[:, None] * odd % (4 * NODES)))
    values = layer_by_layer((cosines[1] + 1) * math.pi / 2, depth, tangent)
    coefficients = 2 / NODES * (cosines @ values)
    coefficients[0] /= 2
    return coefficients


def of_cosines(cosine: Tensor, powers: Sequence[float]) -> Tensor:
    """The polynomial at the angles of cosines in [−1, 1], which are overwritten."""
    rescaled = [power * (-2 / math.pi) ** k for k, power in enumerate(powers)]  # u = −2 arcsin(c)/π
    angle = cosine.asin_()
    *lower, second, last = cosine.new_tensor(rescaled).unbind()
    total = torch.mul(angle, last).add_(second)
    for power in reversed(lower):
        torch.addcmul(power, total, angle, out=total)
    return total
