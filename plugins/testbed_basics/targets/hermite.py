"""Truths of one or a few directions, by Hermite polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    POINTS,
    Example,
    HasIndexForm,
    IndexForm,
    Mistake,
    ParameterError,
    Rng,
    Sample,
    Space,
    Target,
    narrow_misfit,
    parameter,
)
from testbed_basics.targets.directions import WHERE, frame
from testbed_basics.targets.inputs import Expansion, columns, deviation, expansion_of, law, width
from testbed_basics.targets.zonal import profile_energies


def hermite_sum(coefficients: tuple[float, ...], z: np.ndarray) -> np.ndarray:
    """Σ_r g_r h_r(z), h_r = He_r/√r! orthonormal under N(0, 1):
    h_{r+1} = (z h_r − √r h_{r−1})/√(r+1).

    >>> float(hermite_sum((0.0, 0.0, 2**0.5), np.array(3.0)))  # z² − 1
    8.0
    """
    before, now = np.zeros_like(z), np.ones_like(z)
    total = np.zeros_like(z)
    for r, coefficient in enumerate(coefficients):
        total += coefficient * now
        before, now = now, (z * now - np.sqrt(r) * before) / np.sqrt(r + 1)
    return total


@frozen(kw_only=True)
class MultiIndex(Target, HasIndexForm):
    """f*(x) = q^{−1/2} Σ_i Σ_r g_r h_r(z_i), z_i = ⟨w_i, x⟩/σ_x, over q orthonormal directions w_i.

    h_r are the normalised probabilists' Hermite polynomials and σ_x the standard deviation of one
    coordinate under the design (1/√d on the sphere, 1/√3 on the torus, the scale of Gaussian
    points, else 1), so that z has variance 1 everywhere. For Gaussian points the energy at degree
    r ≥ 1 is g_r², whatever q; the least such r is the information exponent.
    """

    name = "multi-index"
    references = ("arXiv:2511.09425", "arXiv:2003.10431")

    coefficients: tuple[float, ...] = parameter(
        (0.0, 1.0), help="g₀, g₁, g₂, …: coefficients of the normalised Hermite polynomials"
    )
    direction: str = parameter(
        "first", help="the first axes, or drawn for each replicate", choices=WHERE
    )
    directions: int = parameter(2, help="number q of orthonormal directions", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"coefficients": [0.0, 1.0]}),)

    def __attrs_post_init__(self) -> None:
        if not any(self.coefficients):
            coefficients = list(self.coefficients)
            raise ParameterError(
                f"found {coefficients}", "at least one that is not 0", parameter="coefficients"
            )

    defined_on = POINTS

    def index_form(self) -> IndexForm:
        return IndexForm(self.coefficients, self.directions)

    def misfit(self, space: Space) -> Mistake | None:
        words = f"{self.directions} orthonormal directions"
        advice = "lower their number, or raise the design's dim"
        narrow = narrow_misfit(space, self.directions, words, "directions", advice)
        return self.kind_misfit(space) or narrow

    def draw(self, rng: Rng, sample: Sample) -> dict[str, Any]:
        dim = width(sample, self.name)
        directions = frame(self.direction, rng("target"), self.directions, dim)
        return {"directions": directions, "deviation": deviation(sample, self.name)}

    def values(self, drawn: dict[str, Any], x: np.ndarray) -> np.ndarray:
        z = columns(x, self.name) @ drawn["directions"].T / drawn["deviation"]  # (n, q)
        return hermite_sum(self.coefficients, z).sum(1) / np.sqrt(z.shape[1])

    def expansion(self, drawn: dict[str, Any], sample: Sample) -> Expansion:
        expansion: Expansion = {"directions": drawn["directions"]}
        if law(sample) == "gaussian":  # where the polynomials are orthonormal
            expansion["hermite"] = np.array(self.coefficients, dtype=float)
            expansion["deviation"] = np.array(drawn["deviation"], dtype=float)
        return expansion | expansion_of(self._energies(drawn, sample))

    def _energies(self, drawn: dict[str, Any], sample: Sample) -> dict[float, float]:
        count = len(drawn["directions"])
        if law(sample) == "gaussian":
            return {r: g**2 * (1 if r else count) for r, g in enumerate(self.coefficients)}
        if law(sample) == "sphere":
            energies = profile_energies(
                lambda t: hermite_sum(self.coefficients, t / drawn["deviation"]),
                len(self.coefficients) - 1,
                drawn["directions"],
            )
            return dict(enumerate(energies.tolist()))
        if law(sample) == "hypercube" and self.direction == "first":
            low, high = hermite_sum(self.coefficients, np.array([-1.0, 1.0]))
            return {0: count * (high + low) ** 2 / 4, 1: (high - low) ** 2 / 4}
        return {}


@frozen(kw_only=True)
class SingleIndex(MultiIndex):
    """f*(x) = Σ_r g_r h_r(z), z = ⟨w, x⟩/σ_x: `multi-index` with one direction."""

    name = "single-index"

    directions: int = parameter(1, help="number of directions; one", ge=1, le=1, sweepable=False)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"coefficients": [0.0, 1.0]}),)
