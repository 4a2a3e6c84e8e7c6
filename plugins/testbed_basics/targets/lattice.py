"""Frequencies of the torus [−1, 1)^d: e^{iπ⟨m, x⟩}, m an integer vector."""

from __future__ import annotations

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
) -> tuple[np.ndarray, np.ndarray]:
    """The integer vectors m, (count, d), and the Fourier coefficients F(m), (count,), of
    Σ_i s_i sin(π⟨a_i, x⟩) + c_i cos(π⟨a_i, x⟩) on [−1, 1)^d.

    A coordinate of a frequency a that is no whole number spreads over m with sinc(a − m), here for
    |m| ≤ reach. frequencies (terms, d).
    """
    vectors, coefficients = [], []
    for a, s, c in zip(frequencies, sine, cosine, strict=True):
        for sign, weight in ((1, c / 2 - 0.5j * s), (-1, c / 2 + 0.5j * s)):
            m, share = _spread(sign * a, reach)
            vectors.append(m)
            coefficients.append(weight.real * share + 1j * (weight.imag * share))
    return summed(np.concatenate(vectors), np.concatenate(coefficients))


def _spread(frequency: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The integer vectors over which e^{iπ⟨a, x⟩} spreads, (count, d), and its share at each."""
    axes = [
        np.array([a]) if a == round(a) else np.arange(-reach, reach + 1.0)
        for a in frequency.tolist()
    ]
    vectors = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    share = np.ones(())
    for a, axis in zip(frequency, axes, strict=True):
        share = share[..., None] * (np.ones(1) if len(axis) == 1 else np.sinc(a - axis))
    return vectors, share.ravel()


def summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of keys in the order of their first appearance, with the sum of their values.

    >>> summed(np.array([[2.0], [1.0], [2.0]]), np.array([1.0, 2.0, 4.0]))
    (array([[2.],
           [1.]]), array([5., 2.]))
    """
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()  # some versions of NumPy give it a second axis
    total = np.bincount(group, values.real)
    if np.iscomplexobj(values):
        total = total + 1j * np.bincount(group, values.imag)
    order = np.argsort(first)
    return keys[first[order]], total[order]


def mean_square(frequencies: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> float:
    """∫ f² under the uniform law, f as in `series`: products of waves are waves of sums and
    differences, whose mean is Π_j sinc."""
    minus = np.sinc(frequencies[:, None] - frequencies[None]).prod(-1)  # (terms, terms)
    plus = np.sinc(frequencies[:, None] + frequencies[None]).prod(-1)
    cosines = cosine @ (minus + plus) @ cosine
    return float(cosines + sine @ (minus - plus) @ sine) / 2
