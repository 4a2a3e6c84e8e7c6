"""Eigenvalues of inner-product kernels on the unit sphere S^{d−1}.

μ_k = Γ(d/2)/(√π Γ((d−1)/2)) ∫_{−1}^{1} k(t) P_k(t) (1 − t²)^{(d−3)/2} dt, with P_k the Gegenbauer
polynomial of P_k(1) = 1 and multiplicity N(d, k) = C(k+d−1, k) − C(k+d−3, k−2), and Σ N μ = k(1).

Two routes, chosen degree by degree by their own error estimates. In the angle, t = cos θ, the
integrand is smooth and Gauss–Legendre converges fast, but loses all digits where μ_k √N(d, k) is
below rounding: at high degree in high dimension. There the power series k(t) = Σ a_j t^j helps,
whose terms are not negative:

μ_k = Σ_{j ≥ k, j − k even} a_j · j! Γ(d/2) / (2^j ((j−k)/2)! Γ((j+k+d)/2)).

Müller, Spherical Harmonics (1966); Azevedo and Menegatto, J. Math. Anal. Appl. 411 (2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from scipy import special

from testbed_ntk.numerics.profiles import Elementwise, Profile

TERMS = 4096  # of the power series
SAMPLES = 16 * TERMS  # of the profile on the circle that gives them
EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)


class SphereSpectrum(NamedTuple):
    """Eigenvalues by degree, multiplicities, and error estimates, each (degrees,)."""

    eigenvalue: np.ndarray
    multiplicity: np.ndarray
    error: np.ndarray  # relative; 1 where the eigenvalue is below its bound and listed as 0
    bound: np.ndarray  # absolute


def multiplicities(dim: int, degrees: int) -> np.ndarray:
    """N(d, k) for k = 0 … degrees − 1, exact up to 2⁵³.

    >>> multiplicities(3, 4)
    array([1., 3., 5., 7.])
    """
    return np.fromiter(map(float, islice(_counts(dim), degrees)), float, degrees)


def _counts(dim: int) -> Iterator[int]:
    """(2k + d − 2)/(k + d − 2) · C(k + d − 2, k) for k = 0, 1, …, in integers of any size."""
    yield 1
    choices = 1
    for k in count(1):
        choices = choices * (dim - 2 + k) // k  # C(k + d − 2, k)
        yield 2 if dim == 2 else choices * (2 * k + dim - 2) // (k + dim - 2)


def largest_degree(dim: int) -> int:
    """Degrees computed: many in few dimensions, where single modes matter to high degree; as many
    as leave multiplicities finite in high ones."""
    return {2: 600, 3: 600, 4: 400, 5: 200}.get(dim, 100 if dim <= 1000 else 60)


def sphere_spectrum(profile: Profile, dim: int, degrees: int | None = None) -> SphereSpectrum:
    """μ_k and N(d, k), k = 0 … degrees − 1, of k(⟨x, x'⟩) under the uniform law on S^{d−1}.

    >>> from testbed_ntk.numerics.profiles import series_profile
    >>> sphere_spectrum(series_profile([0.0, 0.0, 1.0]), 3, 3).eigenvalue.round(6)
    array([0.333333, 0.      , 0.133333])
    """
    listed = largest_degree(dim) if degrees is None else degrees
    multiplicity = multiplicities(dim, listed)
    size = max(float(np.abs(profile.value(np.ones(1)))[0]), EPS)
    direct = by_quadrature(profile, dim, listed)
    direct_error = 32 * EPS * size / np.sqrt(multiplicity)
    series, series_error = by_series(profile, dim, listed)
    value = np.where(series_error <= direct_error, series, direct)
    error = np.minimum(series_error, direct_error)
    noise = (np.abs(value) <= error) & (error > 0)
    relative = np.where(noise, 1.0, error / np.where(value == 0, 1.0, np.abs(value)))
    return SphereSpectrum(np.where(noise, 0.0, value), multiplicity, relative, error)


# --- in the angle ---------------------------------------------------------------------------------


def by_quadrature(profile: Profile, dim: int, degrees: int) -> np.ndarray:
    """μ_k by Gauss–Legendre in the angle; rounding leaves an error of about eps·k(1)/√N(d, k).

    The measure sin^{d−2}θ dθ has width 1/√d, so the interval shrinks with it.
    """
    t, density, polynomials = _quadrature(dim, degrees)
    return polynomials @ (density * profile.value(t))


@lru_cache(maxsize=8)
def _quadrature(dim: int, degrees: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines, the density at each times its weight, and all polynomials there, which the kernels
    of one sphere share; nobody may write to them."""
    half = min(np.pi / 2, np.sqrt(2 * (40 + 2 * degrees) / max(dim - 2, 1)))
    nodes, weights = _legendre(degrees + 300)
    t = np.sin(half * nodes)
    log_density = (dim - 2) * np.log(np.cos(half * nodes))
    log_density += special.gammaln(dim / 2) - special.gammaln((dim - 1) / 2)
    density = half * weights * np.exp(log_density) / np.sqrt(np.pi)
    return t, density, gegenbauer(t, dim, degrees)


@cache
def _legendre(size: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return nodes, weights


def gegenbauer(t: np.ndarray, dim: int, degrees: int) -> np.ndarray:
    """P_k(t) with P_k(1) = 1, (degrees, points): (k+d−2)P_{k+1} = (2k+d−2)tP_k − kP_{k−1}."""
    rows = [np.ones_like(t), t]
    for k in range(1, degrees - 1):
        ahead = (2 * k + dim - 2) * t * rows[k] - k * rows[k - 1]
        rows.append(ahead / (k + dim - 2))
    return np.stack(rows[:degrees])


# --- by the power series --------------------------------------------------------------------------


def taylor_coefficients(profile: Profile) -> tuple[np.ndarray, float]:
    """a_j of k(t) = Σ a_j t^j, j < TERMS, and how far each may be off.

    Where the profile does not know them, by Cauchy's integral on a circle inside the unit disc, by
    FFT; coefficients below rounding are set to 0.
    """
    if profile.coefficients is not None:
        return profile.coefficients, 0.0
    return _on_circle(profile.value)


@lru_cache(maxsize=8)
def _on_circle(profile: Elementwise) -> tuple[np.ndarray, float]:
    """The coefficients of a function, which spheres of all dimensions share; read-only."""
    radius = 10 ** (-1 / TERMS)
    circle = radius * np.exp(2j * np.pi * np.arange(SAMPLES) / SAMPLES)
    values = profile(circle)
    coefficients = np.fft.fft(values).real[:TERMS] / SAMPLES / radius ** np.arange(TERMS)
    noise = 40 * EPS * float(np.abs(values).max())
    coefficients = np.where(np.abs(coefficients) > noise, coefficients, 0.0)
    coefficients.flags.writeable = False
    return coefficients, noise


def by_series(profile: Profile, dim: int, degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """μ_k from the power series, and their errors: rounding, and what the terms left out add."""
    coefficients, noise = taylor_coefficients(profile)
    values, errors = np.zeros(degrees), np.full(degrees, _left_out(profile, dim))
    exact = profile.coefficients is not None
    log_moment = _LogMoments(dim, len(coefficients), degrees)
    for k in range(min(degrees, len(coefficients))):
        moments = np.exp(log_moment.of_degree(k))
        terms = coefficients[k::2] * moments
        values[k] = terms.sum()
        errors[k] += 4 * EPS * np.abs(terms).sum()
        if not exact:
            # the second half of the terms bounds what a decay of 1/j² or faster leaves out
            half = len(terms) // 2
            tail = np.abs(terms[half:]).sum() if moments.argmax() < half else np.inf
            errors[k] += tail + noise * moments.sum()
    return values, errors


def _left_out(profile: Profile, dim: int) -> float:
    """The largest share that the terms which a profile leaves out can add to a degree: |∫ t^j P_k|
    ≤ ∫ |t|^j, which falls with j. At least what underflows, where there are such terms."""
    if profile.coefficients is None or not profile.missing:
        return 0.0
    j = len(profile.coefficients)
    log_first = special.gammaln(j + 1) + special.gammaln(dim / 2) - j * np.log(2)
    log_first -= special.gammaln(j / 2 + 1) + special.gammaln((j + dim) / 2)
    return max(profile.missing * float(np.exp(log_first)), TINY)


class _LogMoments:
    """log of ∫ t^j P_k(t) under the law of one coordinate of the sphere, from tables of log Γ that
    all degrees share."""

    def __init__(self, dim: int, powers: int, degrees: int) -> None:
        j = np.arange(powers)
        self.top = special.gammaln(j + 1) + special.gammaln(dim / 2) - j * np.log(2)
        self.factorials = special.gammaln(np.arange(powers // 2 + 1) + 1.0)
        self.half = special.gammaln((np.arange(powers + degrees) + dim) / 2)

    def of_degree(self, k: int) -> np.ndarray:
        """The logarithms for j = k, k + 2, …; the other moments are 0."""
        top = self.top[k::2]
        return top - self.factorials[: len(top)] - self.half[2 * k :: 2][: len(top)]
