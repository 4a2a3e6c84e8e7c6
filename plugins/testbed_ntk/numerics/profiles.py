"""Inner-product kernels on the unit sphere as analytic functions k(t) of the cosine t.

A complex-valued implementation in addition to the tiles: the population spectrum is computed from
these, and must not inherit a mistake of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from testbed import UnsuitableError

Elementwise = Callable[[np.ndarray], np.ndarray]
ACTIVATIONS: dict[str, Elementwise] = {
    "erf": lambda h: special.erf(h),
    "gelu": lambda h: h * special.ndtr(h),
    "linear": lambda h: h,
    "quadratic": np.square,
    "sigmoid": lambda h: special.expit(h),
    "tanh": np.tanh,
}
HERMITE = 1500  # coefficients of an activation
REACH, NODES = 13.0, 4001  # of their quadrature: e^{−z²/4} vanishes, √HERMITE is resolved
UNRESOLVED = 1e-4  # relative size of what the last one adds to Ė, beyond which it is unknown
EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)
REACHED, MOST_TERMS = 600, 2**14  # degree to which a Gaussian's power series serves; its terms


class Profile(NamedTuple):
    """k(t), analytic for |t| < 1; its power series where that is known in closed form."""

    value: Callable[[np.ndarray], np.ndarray]
    coefficients: np.ndarray | None = None  # (terms,)
    missing: float = 0.0  # Σ |a_j| of the terms that `coefficients` leaves out


@lru_cache(maxsize=64)
def network_profile(
    weight: tuple[float, ...], bias: tuple[float, ...], tangent: bool, activation: str = "relu"
) -> Profile:
    """Σ^L or Θ^L of a network on unit inputs; `weight` and `bias` from input to output."""
    if activation != "relu":
        return _smooth_profile(weight, bias, tangent, ACTIVATIONS[activation])

    def profile(t: np.ndarray) -> np.ndarray:
        q, sigma = weight[0] + bias[0], weight[0] * t + bias[0]
        theta = sigma
        for layer_weight, layer_bias in zip(weight[1:], bias[1:], strict=True):
            c = sigma / q
            c = c if np.iscomplexobj(c) else np.clip(c, -1, 1)
            angle = np.arccos(-c)  # π − arccos c
            sigma = layer_weight * q * (c * angle + np.sqrt((1 - c) * (1 + c))) / (2 * np.pi)
            sigma = sigma + layer_bias
            theta = sigma + layer_weight * angle / (2 * np.pi) * theta
            q = layer_weight * q / 2 + layer_bias
        return theta if tangent else sigma

    return Profile(profile)


def _smooth_profile(
    weight: Sequence[float], bias: Sequence[float], tangent: bool, sigma: Elementwise
) -> Profile:
    """The same by Hermite series: with c the correlation of layer ℓ − 1 and a_j = E σ(√q z)h_j(z),
    E = Σ a_j² c^j and Ė = (1/q) Σ j a_j² c^{j−1} (arXiv:1602.05897)."""
    q = weight[0] + bias[0]
    layers = []
    for layer_weight, layer_bias in zip(weight[1:], bias[1:], strict=True):
        energy = np.square(hermite_coefficients(sigma, q))
        layers.append((energy, np.arange(1, len(energy)) * energy[1:] / q, 1 / q))
        q = layer_weight * energy.sum() + layer_bias

    def profile(t: np.ndarray) -> np.ndarray:
        covariance = weight[0] * t + bias[0]
        theta = covariance
        behind = zip(weight[1:], bias[1:], layers, strict=True)
        for layer_weight, layer_bias, (energy, slope, scale) in behind:
            c = covariance * scale
            covariance = layer_weight * np.polynomial.polynomial.polyval(c, energy) + layer_bias
            if tangent:
                rise = np.polynomial.polynomial.polyval(c, slope)
                theta = covariance + layer_weight * rise * theta
        return theta if tangent else covariance

    return Profile(profile)


def hermite_coefficients(sigma: Elementwise, q: float) -> np.ndarray:
    """a_j = E σ(√q z) h_j(z), z ~ N(0, 1), h_j orthonormal, up to the last above rounding, (J,).

    By the trapezoidal rule on h_j(z)e^{−z²/4} and σ(√q z)e^{−z²/4}, neither of which is large.
    UnsuitableError where the coefficients have not decayed: for tanh from q = 50 or so.

    >>> hermite_coefficients(np.square, 1.0).round(6)
    array([1.      , 0.      , 1.414214])
    """
    z, step = np.linspace(-REACH, REACH, NODES, retstep=True)
    half = np.exp(-(z**2) / 4)
    target = step / np.sqrt(2 * np.pi) * half * sigma(np.sqrt(q) * z)
    coefficients = np.empty(HERMITE)
    before, now = np.zeros_like(z), half
    for j in range(HERMITE):
        coefficients[j] = target @ now
        before, now = now, (z * now - np.sqrt(j) * before) / np.sqrt(j + 1)
    size = np.abs(coefficients).max()
    if HERMITE**2 * np.abs(coefficients[-2:]).max() ** 2 > UNRESOLVED * size**2:
        raise UnsuitableError(
            f"found a variance of {q:.3g} before the activation, whose population spectrum takes "
            f"more than {HERMITE} Hermite coefficients; lower the weight or bias variances"
        )
    return coefficients[: np.flatnonzero(np.abs(coefficients) > 4 * EPS * size)[-1] + 1]


def matern_profile(nu: float, bandwidth: float) -> Profile:
    """Matérn, 2^{1−ν}/Γ(ν) u^ν K_ν(u) with u = √(2ν)‖x − x'‖/ℓ, at ‖x − x'‖ = √(2 − 2t)."""

    def profile(t: np.ndarray) -> np.ndarray:
        u = np.sqrt(2 * nu) * np.sqrt(2 - 2 * t) / bandwidth
        positive = np.where(u == 0, 1.0, u)
        bessel = np.exp((1 - nu) * np.log(2) - special.gammaln(nu) - positive) * special.kve(
            nu, positive
        )
        return np.where(u == 0, 1.0, positive**nu * bessel)

    return Profile(profile)


def rational_quadratic_profile(alpha: float, bandwidth: float) -> Profile:
    """(1 + (1 − t)/(αℓ²))^{−α}."""
    return Profile(lambda t: (1 + (1 - t) / (alpha * bandwidth**2)) ** -alpha)


def rbf_profile(bandwidth: float) -> Profile:
    """exp((t − 1)/ℓ²) = Σ_j a_j t^j, a_j = P(N = j) for N Poisson of mean z = 1/ℓ².

    The terms of μ_k fall from √(k² + 4z²) on, by four and more at each second j. Below ℓ = 0.011
    there would be too many: P(N ≥ terms) is then `missing`.
    """
    rate = 1 / bandwidth**2
    terms = min(int(np.hypot(REACHED, 2 * rate)) + 64, MOST_TERMS)
    j = np.arange(terms)
    coefficients = np.exp(j * np.log(rate) - special.gammaln(j + 1) - rate)
    missing = max(
        float(special.gammainc(terms, rate)), TINY
    )  # terms that underflow are missing too
    return Profile(lambda t: np.exp((t - 1) * rate), coefficients, missing)


def polynomial_profile(degree: int, scale: float, offset: float) -> Profile:
    """(scale·t + offset)^degree."""
    power = np.polynomial.Polynomial([offset, scale]) ** degree
    return series_profile(power.coef.tolist())


def series_profile(coefficients: Sequence[float]) -> Profile:
    """Σ_j a_j t^j."""
    series = np.asarray(coefficients, dtype=float)
    return Profile(np.polynomial.Polynomial(series), series)


# --- combinations ---------------------------------------------------------------------------------


def scaled(profile: Profile, factor: float) -> Profile:
    """factor·k, factor ≥ 0."""
    series = profile.coefficients
    return Profile(
        lambda t: factor * profile.value(t),
        None if series is None else factor * series,
        factor * profile.missing,
    )


def added(first: Profile, second: Profile) -> Profile:
    """k₁ + k₂."""

    def value(t: np.ndarray) -> np.ndarray:
        return first.value(t) + second.value(t)

    left, right = first.coefficients, second.coefficients
    if left is None or right is None:
        return Profile(value)
    both = np.polynomial.polynomial.polyadd(left, right)
    return _up_to_the_missing(value, both, first.missing + second.missing, (first, second))


def multiplied(first: Profile, second: Profile) -> Profile:
    """k₁k₂; power series multiply by convolution."""

    def value(t: np.ndarray) -> np.ndarray:
        return first.value(t) * second.value(t)

    left, right = first.coefficients, second.coefficients
    if left is None or right is None:
        return Profile(value)
    sizes = float(np.abs(left).sum()), float(np.abs(right).sum())
    missing = first.missing * (sizes[1] + second.missing) + second.missing * sizes[0]
    return _up_to_the_missing(value, np.convolve(left, right), missing, (first, second))


def _up_to_the_missing(
    value: Elementwise, coefficients: np.ndarray, missing: float, parts: Sequence[Profile]
) -> Profile:
    """A power series, cut before the first power at which a part may lack a term."""
    ends = [len(part.coefficients) for part in parts if part.coefficients is not None]
    lacking = [end for end, part in zip(ends, parts, strict=True) if part.missing]
    end = min(lacking, default=len(coefficients))
    return Profile(value, coefficients[:end], missing + float(np.abs(coefficients[end:]).sum()))
