"""Frequencies of the torus [−1, 1)^d: e^{iπ⟨m, x⟩}, m an integer vector."""

from __future__ import annotations

import itertools
import math

import numpy as np

from testbed import PopulationSpectrum, UnsuitableError

LARGEST = 2_000_000  # vectors of a box that are listed


def half_box(dim: int, largest: int) -> np.ndarray:
    """One of each pair ±m of the integer vectors |m_i| ≤ largest, and 0, (count, dim)."""
    count = (2 * largest + 1) ** dim
    if count > LARGEST:
        raise UnsuitableError(
            f"found {count} frequencies up to {largest} in dimension {dim}, expected at most "
            f"{LARGEST}; lower the kernel's frequencies or the dimension"
        )
    axes = np.meshgrid(*[np.arange(-largest, largest + 1)] * dim, indexing="ij")
    box = np.stack(axes, -1).reshape(-1, dim)
    return box[len(box) // 2 :]  # the box is symmetric, 0 stands in its middle


def frequencies_of(spectrum: PopulationSpectrum, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The half box that a torus kernel's levels |m|² list, (count, dim), and each one's |m|²."""
    half = half_box(dim, math.isqrt(int(spectrum.degree.max()) // dim))
    shell = (half**2).sum(1)
    listed = spectrum.degree.astype(int)
    counts = 2 * np.bincount(shell, minlength=listed.max() + 1)[listed] - (listed == 0)
    if counts.sum() != 2 * len(half) - 1 or not np.array_equal(counts, spectrum.multiplicity):
        raise UnsuitableError(
            f"found a spectrum on the torus with {spectrum.multiplicity.sum():g} modes, expected "
            "all integer frequencies of a box, by their squared length"
        )
    return half, shell


def series(
    frequencies: np.ndarray, sine: np.ndarray, cosine: np.ndarray, reach: int
) -> dict[tuple[float, ...], complex]:
    """Fourier coefficients F(m) of Σ_i s_i sin(π⟨a_i, x⟩) + c_i cos(π⟨a_i, x⟩) on [−1, 1)^d.

    A coordinate of a frequency a that is no whole number spreads over m with sinc(a − m), here for
    |m| ≤ reach. frequencies (terms, d).
    """
    coefficients: dict[tuple[float, ...], complex] = {}
    for a, s, c in zip(frequencies, sine, cosine, strict=True):
        for sign, weight in ((1, c / 2 - 0.5j * s), (-1, c / 2 + 0.5j * s)):
            near = [_spread(sign * coordinate, reach) for coordinate in a]
            for choice in itertools.product(*near):
                m = tuple(number for number, _ in choice)
                value = weight * math.prod(share for _, share in choice)
                coefficients[m] = coefficients.get(m, 0) + value
    return coefficients


def _spread(coordinate: float, reach: int) -> list[tuple[float, float]]:
    if coordinate == round(coordinate):
        return [(float(coordinate), 1.0)]
    m = np.arange(-reach, reach + 1.0)
    return list(zip(m.tolist(), np.sinc(coordinate - m).tolist(), strict=True))


def mean_square(frequencies: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> float:
    """∫ f² under the uniform law, f as in `series`: products of waves are waves of sums and
    differences, whose mean is Π_j sinc."""
    minus = np.sinc(frequencies[:, None] - frequencies[None]).prod(-1)  # (terms, terms)
    plus = np.sinc(frequencies[:, None] + frequencies[None]).prod(-1)
    cosines = cosine @ (minus + plus) @ cosine
    return float(cosines + sine @ (minus - plus) @ sine) / 2
