"""Exact energy by degree of polynomials in d coordinates, under laws that have degrees.

A polynomial is a dict from exponents (e_1, …, e_p) to coefficients; it may name fewer coordinates
than there are.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

Terms = dict[tuple[int, ...], float]
Energies = dict[float, float]


def _add(sum_: Terms, terms: Terms, factor: float = 1.0) -> None:
    for exponents, coefficient in terms.items():
        sum_[exponents] = sum_.get(exponents, 0.0) + factor * coefficient


# --- uniform on the sphere S^{d−1} ----------------------------------------------------------------


def sphere_energies(terms: Terms, dim: int) -> Energies:
    """‖P_k p‖² on S^{d−1}, by harmonic decomposition in Fischer's inner product [p, q] = p(∂)q.

    A homogeneous p of degree k + 2i has one harmonic part h of degree k, p = … + |x|^{2i} h + …,
    and Δ^i p has the same up to the factor Π_{l≤i} 2l(d + 2k + 2l − 2). The harmonic part of a
    homogeneous g is Hg = Σ_i c_i |x|^{2i} Δ^i g, c_i = (−1)^i / (2^i i! Π_{l≤i} (d + 2k − 2 − 2l)),
    [g, |x|^{2i} Δ^i g] = [Δ^i g, Δ^i g] since Δ is adjoint to |x|², and ∫ (Hg)² is
    [g, Hg] / Π_{l<k} (d + 2l). Axler, Bourdon and Ramey, Harmonic Function Theory, chapter 5.

    >>> energies = sphere_energies({(2,): 1.0}, 3)  # x₁² = 1/3 + (x₁² − 1/3), mean square 1/5
    >>> {degree: round(energy, 6) for degree, energy in energies.items()}
    {0: 0.111111, 1: 0.0, 2: 0.088889}
    """
    parts: dict[int, Terms] = defaultdict(dict)
    for exponents, coefficient in terms.items():
        _add(parts[sum(exponents)], {exponents: coefficient})
    top = max(parts, default=0)
    energies: Energies = {}
    for k in range(top + 1):
        gathered: Terms = {}
        for degree in range(k, top + 1, 2):
            steps = (degree - k) // 2
            factor = math.prod(
                2 * step * (dim + 2 * k + 2 * step - 2) for step in range(1, steps + 1)
            )
            _add(gathered, _laplacian(parts.get(degree, {}), steps), 1 / factor)
        energies[k] = _harmonic_square(gathered, k, dim)
    return energies


def _laplacian(terms: Terms, times: int) -> Terms:
    """Δ^times."""
    for _ in range(times):
        derived: Terms = {}
        for exponents, coefficient in terms.items():
            for axis, e in enumerate(exponents):
                if e >= 2:
                    lowered = (*exponents[:axis], e - 2, *exponents[axis + 1 :])
                    _add(derived, {lowered: coefficient * e * (e - 1)})
        terms = derived
    return terms


def _harmonic_square(terms: Terms, degree: int, dim: int) -> float:
    """∫ (Hg)² over the sphere, g homogeneous of this degree."""
    total = 0.0
    factor = 1.0
    for i in range(degree // 2 + 1):
        if i:
            factor *= -1 / (2 * i * (dim + 2 * degree - 2 - 2 * i))
        lowered = _laplacian(terms, i)
        total += factor * sum(
            c**2 * math.prod(math.factorial(e) for e in exponents)
            for exponents, c in lowered.items()
        )
    # rounding of the alternating sum
    return max(total, 0.0) / math.prod(dim + 2 * step for step in range(degree))


# --- Gaussian and hypercube -----------------------------------------------------------------------


def gaussian_energies(terms: Terms, scale: float) -> Energies:
    """Σ of squared Hermite coefficients by total degree, x = scale·z, z ~ N(0, I):
    z^e = Σ_{r = e − 2i} e!/(2^i i! √r!) h_r.

    >>> energies = gaussian_energies({(2,): 1.0}, 1.0)  # z² = 1 + √2 h₂
    >>> {degree: round(energy, 12) for degree, energy in energies.items()}
    {0: 1.0, 2: 2.0}
    """
    hermite: Terms = {}
    for exponents, coefficient in terms.items():
        factors = [list(_hermite(e)) for e in exponents]
        for choice in itertools.product(*factors):
            degrees = tuple(r for r, _ in choice)
            value = math.prod(c for _, c in choice)
            _add(hermite, {degrees: coefficient * scale ** sum(exponents) * value})
    energies: Energies = defaultdict(float)
    for degrees, value in hermite.items():
        energies[sum(degrees)] += value**2
    return dict(sorted(energies.items()))


def _hermite(exponent: int) -> list[tuple[int, float]]:
    """(r, coefficient of h_r in z^exponent)."""
    return [
        (
            exponent - 2 * i,
            math.factorial(exponent)
            / (2**i * math.factorial(i) * math.sqrt(math.factorial(exponent - 2 * i))),
        )
        for i in range(exponent // 2, -1, -1)
    ]


def hypercube_energies(terms: Terms) -> Energies:
    """Σ of squared Fourier–Walsh coefficients by the number of coordinates: x_j² = 1."""
    parities: Terms = {}
    for exponents, coefficient in terms.items():
        _add(parities, {tuple(e % 2 for e in exponents): coefficient})
    energies: Energies = defaultdict(float)
    for parity, value in parities.items():
        energies[sum(parity)] += value**2
    return dict(sorted(energies.items()))
