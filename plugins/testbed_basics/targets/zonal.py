"""Functions of ⟨w, x⟩ on the unit sphere S^{d−1}: Gegenbauer polynomials and their sums.

P_k is the Gegenbauer polynomial with P_k(1) = 1, N(d, k) the number of spherical harmonics of
degree k. For unit w, v the functions √N P_k(⟨w, ·⟩) have mean square 1 and the inner product
∫ √N P_k(⟨w, x⟩) √N P_k(⟨v, x⟩) = P_k(⟨w, v⟩) (reproducing property; Müller, Spherical Harmonics,
1966), so that the mean square of every combination is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import linalg

ROWS = 4096  # points treated at once, so that memory stays small


def multiplicity(dim: int, degree: int) -> float:
    """N(d, k) = (2k + d − 2)/(k + d − 2)·C(k + d − 2, k), exact up to 2⁵³.

    >>> [multiplicity(3, k) for k in range(4)]
    [1.0, 3.0, 5.0, 7.0]
    """
    if degree == 0:
        return 1.0
    if dim == 2:
        return 2.0
    count = math.comb(degree + dim - 2, degree) * (2 * degree + dim - 2)
    return float(count // (degree + dim - 2))


def gegenbauer(t: np.ndarray, dim: int, last: int) -> Iterator[np.ndarray]:
    """P_0(t), …, P_last(t): (k + d − 2) P_{k+1} = (2k + d − 2) t P_k − k P_{k−1}."""
    before, now = np.ones_like(t), np.ones_like(t)
    yield now
    for k in range(last):
        if k == 0:
            before, now = now, np.array(t)
        else:
            ahead = ((2 * k + dim - 2) * t * now - k * before) / (k + dim - 2)
            before, now = now, ahead
        yield now


def coordinate_rule(dim: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights, (count,) each, of the law of one coordinate of the uniform point on
    S^{d−1}, density ∝ (1 − t²)^{(d−3)/2}: exact for polynomials of degree 2·count − 1.

    Golub and Welsch (1969): eigenvalues and first components of the matrix of t on the normalised
    P_k, whose recurrence needs no Γ function and so holds in every dimension.
    """
    k = np.arange(1.0, count)
    up = np.where(k == 1, 1.0, (k + dim - 3) / np.maximum(2 * k + dim - 4, 1))
    nodes, vectors = linalg.eigh_tridiagonal(np.zeros(count), np.sqrt(up * k / (2 * k + dim - 2)))
    return nodes, vectors[0] ** 2


def profile_energies(
    profile: Callable[[np.ndarray], np.ndarray], degree: int, directions: np.ndarray
) -> np.ndarray:
    """‖P_k f‖² for k = 0 … degree of f = q^{−1/2} Σ_i φ(⟨w_i, x⟩), φ a polynomial of that degree.

    With c_k = E[φ(t) P_k(t)] each term has the part c_k N P_k(⟨w_i, x⟩) of degree k, hence
    ‖P_k f‖² = N c_k² Σ_ij P_k(⟨w_i, w_j⟩)/q. `directions` (q, d).
    """
    count, dim = directions.shape
    nodes, weights = coordinate_rule(dim, degree + 1)
    coefficients = [p @ (weights * profile(nodes)) for p in gegenbauer(nodes, dim, degree)]
    overlaps = gegenbauer(np.clip(directions @ directions.T, -1, 1), dim, degree)
    return np.array(
        [
            multiplicity(dim, k) * c**2 * p.sum() / count
            for k, (c, p) in enumerate(zip(coefficients, overlaps, strict=True))
        ]
    )


def zonal_weights(
    directions: np.ndarray, mixing: np.ndarray, degrees: np.ndarray, energies: np.ndarray
) -> np.ndarray:
    """c_ki such that Σ_i c_ki P_k(⟨w_i, x⟩) has the mean square E_k exactly:
    c_k = a_k √(E_k N_k / a_kᵀ P_k(WWᵀ) a_k), a the mixing.

    `directions` (q, d), `mixing` and the result (levels, q), increasing `degrees` (levels,).
    """
    dim, wanted = directions.shape[1], {int(degree): i for i, degree in enumerate(degrees)}
    weights = np.zeros_like(mixing)
    overlaps = np.clip(directions @ directions.T, -1, 1)
    for k, p in enumerate(gegenbauer(overlaps, dim, max(wanted))):
        if k in wanted:
            row = wanted[k]
            a = mixing[row]
            weights[row] = a * np.sqrt(energies[row] * multiplicity(dim, k) / (a @ p @ a))
    return weights


def zonal_values(
    x: np.ndarray, directions: np.ndarray, degrees: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Σ_k Σ_i c_ki P_k(⟨w_i, x⟩) at points of the sphere, (n, d) → (n,)."""
    dim, wanted = directions.shape[1], {int(degree): i for i, degree in enumerate(degrees)}
    values = np.zeros(len(x))
    for start in range(0, len(x), ROWS):
        t = np.clip(x[start : start + ROWS] @ directions.T, -1, 1)
        for k, p in enumerate(gegenbauer(t, dim, max(wanted))):
            if k in wanted:
                values[start : start + ROWS] += p @ weights[wanted[k]]
    return values
