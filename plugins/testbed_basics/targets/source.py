"""Truths of a given smoothness with respect to a kernel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from attrs import frozen

from testbed import (
    Design,
    Example,
    HasPopulationSpectrum,
    HasSourceCondition,
    Mistake,
    Model,
    PopulationSpectrum,
    Rng,
    Sample,
    SourceCondition,
    Space,
    Target,
    UnsuitableError,
    has,
    inner_misfit,
    parameter,
)
from testbed_basics.targets.directions import unit_vectors
from testbed_basics.targets.inputs import Expansion, law, width
from testbed_basics.targets.lattice import frequencies_of
from testbed_basics.targets.zonal import ROWS, zonal_values, zonal_weights


class Levels(NamedTuple):
    """Energy by degree, increasing, of the levels that have any; both (levels,)."""

    degree: np.ndarray
    energy: np.ndarray


def source_levels(spectrum: PopulationSpectrum, smoothness: float) -> Levels:
    """E_k ∝ λ_k^s N_k/J_k, Σ E_k = 1; N_k modes have the eigenvalue λ_k, J_k at least that.

    Per mode j of decreasing eigenvalue this is f_j² ≍ λ_j^s/j, on the border of [H]^s: the sum
    Σ f_j² λ_j^{−s} grows like log j, and converges for each smaller smoothness. In large dimension
    N_k/J_k → 1, so that ‖P_k f*‖² ≍ λ_k^s ≍ d^{−ks}. Modes that the kernel does not list have no
    energy.
    """
    positive = np.flatnonzero(spectrum.eigenvalue > 0)
    order = positive[np.argsort(-spectrum.eigenvalue[positive], kind="stable")]
    multiplicity = spectrum.multiplicity[order]
    relative = spectrum.eigenvalue[order] / spectrum.eigenvalue[order[0]]
    energy = relative**smoothness * multiplicity / np.cumsum(multiplicity)
    kept = energy > 0  # energies that did not underflow
    degree, energy = spectrum.degree[order[kept]], energy[kept]
    back = np.argsort(degree)
    return Levels(degree[back], energy[back] / energy.sum())


@lru_cache(maxsize=16)
def _levels(kernel: Model, design: Design, smoothness: float) -> tuple[Levels, PopulationSpectrum]:
    if not has(kernel, HasPopulationSpectrum):
        raise UnsuitableError(
            f"source: found the kernel {kernel.name}, which has no population spectrum, expected "
            "one that has, on sphere or torus"
        )
    spectrum = kernel.population_spectrum(design)
    return source_levels(spectrum, smoothness), spectrum


@frozen(kw_only=True)
class Source(Target, HasSourceCondition):
    """A random f* in [H]^s of a kernel, H its reproducing kernel Hilbert space, with fixed energy
    in each of its eigenspaces: E_k = ‖P_k f*‖² ∝ λ_k^s N_k/J_k and Σ E_k = `energy`.

    λ_k is the kernel's k-th eigenvalue under the design's law, of multiplicity N_k, and J_k the
    number of modes whose eigenvalue is at least λ_k (see `source_levels`).

    On the sphere the part of degree k is Σ_i a_ki √N_k P_k(⟨w_i, x⟩) with Gaussian a and uniform
    w_i, scaled to the energy E_k exactly. On the torus the part of each |m|² is a Gaussian
    combination of sines and cosines of some of its frequencies, likewise. The expansion holds them.
    """

    name = "source"
    references = ("arXiv:2401.01270", "arXiv:2309.04268")

    kernel: Model = parameter(
        help='the kernel: a table with use, or "estimator:NAME"', role="truth_kernel"
    )
    smoothness: float = parameter(help="s of [H]^s; 1 is the kernel's own space H", gt=0)
    energy: float = parameter(1.0, help="‖f*‖², the energy in all", gt=0)
    directions: int = parameter(
        8, help="directions (sphere) or frequencies (torus) mixed in each eigenspace", ge=1
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"kernel": {"use": "ntk.relu"}, "smoothness": 1.0},
                {"design": {"use": "sphere"}, "model": {"use": "ntk.relu"}},
            ),
        )

    defined_on = ("sphere", "torus")

    def source_condition(self) -> SourceCondition:
        return SourceCondition(self.kernel, self.smoothness)

    def misfit(self, space: Space) -> Mistake | None:
        mistake = self.kind_misfit(space) or inner_misfit(self.kernel, space, "kernel")
        if mistake or space.design is None:
            return mistake
        try:
            _levels(self.kernel, space.design, self.smoothness)
        except UnsuitableError as error:
            return error.mistake.moved_to("kernel")
        return None

    def draw(self, rng: Rng, sample: Sample) -> dict[str, np.ndarray]:
        if law(sample) not in ("sphere", "torus"):
            raise UnsuitableError(
                f"source: found the design {law(sample)}, expected sphere or torus, where the "
                "eigenfunctions are known"
            )
        levels, spectrum = _levels(self.kernel, sample.design, self.smoothness)
        dim, generator = width(sample, self.name), rng("target")
        energies = {"degree": levels.degree, "energy": self.energy * levels.energy}
        if law(sample) == "torus":
            return energies | _waves(generator, energies, spectrum, dim, self.directions)
        directions = unit_vectors(generator, self.directions, dim)
        mixing = generator.standard_normal((len(levels.degree), self.directions))
        weights = zonal_weights(directions, mixing, energies["degree"], energies["energy"])
        return energies | {"directions": directions, "weights": weights}

    def values(self, drawn: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        if "directions" in drawn:
            return zonal_values(x, drawn["directions"], drawn["degree"], drawn["weights"])
        values = np.empty(len(x))
        for start in range(0, len(x), ROWS // 8):
            rows = slice(start, start + ROWS // 8)
            phase = np.pi * x[rows] @ drawn["frequencies"].T
            values[rows] = np.cos(phase) @ drawn["cosine"] + np.sin(phase) @ drawn["sine"]
        return values

    def expansion(self, drawn: dict[str, Any], sample: Sample) -> Expansion:
        return dict(drawn)


def _waves(
    generator: np.random.Generator,
    levels: Expansion,
    spectrum: PopulationSpectrum,
    dim: int,
    most: int,
) -> dict[str, np.ndarray]:
    """At most `most` frequencies of each |m|², and coefficients that give each its energy.

    √2cos and √2sin have mean square 1, so a level's energy is Σ (cosine² + sine²)/2; m = 0 has the
    constant alone.
    """
    half, shell = frequencies_of(spectrum, dim)
    order = np.lexsort((generator.random(len(half)), shell))
    first = np.searchsorted(shell[order], shell[order])
    chosen = order[np.arange(len(order)) - first < most]
    chosen = chosen[np.isin(shell[chosen], levels["degree"])]
    level = np.searchsorted(levels["degree"], shell[chosen])
    cosine, sine = generator.standard_normal((2, len(chosen)))
    sine[shell[chosen] == 0] = 0.0
    square = (cosine**2 + sine**2) * np.where(shell[chosen] == 0, 1.0, 0.5)
    energy = np.bincount(level, square, minlength=len(levels["degree"]))
    scale = np.sqrt(levels["energy"] / energy)[level]
    return {
        "frequencies": half[chosen].astype(float),
        "cosine": scale * cosine,
        "sine": scale * sine,
    }
