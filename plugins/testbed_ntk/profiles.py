"""Inner-product kernels on the unit sphere as analytic functions k(t) of the cosine t.

A second, complex-valued implementation beside the tiles: the population spectrum is computed from
these, and must not inherit a mistake of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln


class Profile(NamedTuple):
    """k(t), analytic for |t| < 1; its power series where that is known in closed form."""

    value: Callable[[np.ndarray], np.ndarray]
    coefficients: np.ndarray | None = None  # (terms,)


def network_profile(weight: Sequence[float], bias: Sequence[float], tangent: bool) -> Profile:
    """Σ^L or Θ^L of a ReLU network on unit inputs; `weight` and `bias` from input to output."""

    def profile(t: np.ndarray) -> np.ndarray:
        q, sigma = weight[0] + bias[0], weight[0] * t + bias[0]
        theta = sigma
        for own_weight, own_bias in zip(weight[1:], bias[1:], strict=True):
            c = sigma / q
            c = c if np.iscomplexobj(c) else np.clip(c, -1, 1)
            angle = np.arccos(-c)  # π − arccos c
            sigma = own_weight * q * (c * angle + np.sqrt((1 - c) * (1 + c))) / (2 * np.pi)
            sigma = sigma + own_bias
            theta = sigma + own_weight * angle / (2 * np.pi) * theta
            q = own_weight * q / 2 + own_bias
        return theta if tangent else sigma

    return Profile(profile)


def matern_profile(nu: float, bandwidth: float) -> Profile:
    """Matérn of ν = 1/2 (Laplace: its own bandwidth), 3/2, 5/2 at ‖x − x'‖ = √(2 − 2t)."""

    def profile(t: np.ndarray) -> np.ndarray:
        u = np.sqrt(2 * nu) * np.sqrt(2 - 2 * t) / bandwidth
        return np.exp(-u) * {0.5: 1.0, 1.5: 1 + u, 2.5: 1 + u + u**2 / 3}[nu]

    return Profile(profile)


def rbf_profile(bandwidth: float, terms: int = 512) -> Profile:
    """exp((t − 1)/ℓ²)."""
    rate, j = 1 / bandwidth**2, np.arange(terms)
    coefficients = np.exp(j * np.log(rate) - gammaln(j + 1) - rate)
    return Profile(lambda t: np.exp((t - 1) * rate), coefficients)


def polynomial_profile(degree: int, scale: float, offset: float) -> Profile:
    """(scale·t + offset)^degree."""
    power = np.polynomial.Polynomial([offset, scale]) ** degree
    return series_profile(power.coef.tolist())


def series_profile(coefficients: Sequence[float]) -> Profile:
    """Σ_j a_j t^j."""
    known = np.asarray(coefficients, dtype=float)
    return Profile(np.polynomial.Polynomial(known), known)
