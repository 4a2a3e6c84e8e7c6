"""Polynomials in the coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import POINTS, Mistake, ParameterError, Sample, Space, Target, narrow_misfit, parameter
from testbed_basics.targets.harmonics import (
    Terms,
    gaussian_energies,
    hypercube_energies,
    sphere_energies,
)
from testbed_basics.targets.inputs import Expansion, columns, expansion_of, law, scale, width


@frozen(kw_only=True)
class Polynomial(Target):
    """f*(x) = Σ_i c_i Π_j x_j^{e_ij}.

    `exponents = [[1, 1], [0, 0, 3]]` with `coefficients = [1.0, −2.0]` is x₁x₂ − 2x₃³; a row may
    stop early. The energy by degree is exact on sphere, hypercube and for Gaussian points.
    """

    name = "polynomial"

    exponents: tuple[tuple[int, ...], ...] = parameter(
        help="exponents of the coordinates x₁, x₂, …, one list for each monomial"
    )
    coefficients: tuple[float, ...] | None = parameter(
        None, help="coefficient of each monomial; 1 unless given"
    )

    def __attrs_post_init__(self) -> None:
        if not self.exponents or any(e < 0 for row in self.exponents for e in row):
            raise ParameterError(
                f"found {[list(row) for row in self.exponents]}",
                "a list of exponents, none negative, for each monomial",
                parameter="exponents",
            )
        if self.coefficients is not None and len(self.coefficients) != len(self.exponents):
            raise ParameterError(
                f"found {len(self.coefficients)}",
                f"{len(self.exponents)}, one for each monomial",
                parameter="coefficients",
            )

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        last = max(
            (axis for row in self.exponents for axis, e in enumerate(row, 1) if e), default=1
        )
        words = f"an exponent of the coordinate x{last}"
        narrow = narrow_misfit(space, last, words, "exponents", "raise the design's dim")
        return self.kind_misfit(space) or narrow

    @property
    def terms(self) -> Terms:
        """Exponents, filled up to equal length, with their coefficients."""
        longest = max(map(len, self.exponents))
        terms: Terms = {}
        coefficients = self.coefficients or (1.0,) * len(self.exponents)
        for row, coefficient in zip(self.exponents, coefficients, strict=True):
            filled = (*row, *(0,) * (longest - len(row)))
            terms[filled] = terms.get(filled, 0.0) + coefficient
        return terms

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        rows = columns(x, self.name, max(map(len, self.exponents)))
        total = np.zeros(len(rows))
        for exponents, coefficient in self.terms.items():
            monomial = np.full(len(rows), coefficient)
            for axis, exponent in enumerate(exponents):
                monomial *= rows[:, axis] ** exponent
            total += monomial
        return total

    def expansion(self, drawn: Any, sample: Sample) -> Expansion:
        if law(sample) == "sphere":
            return expansion_of(sphere_energies(self.terms, width(sample, self.name)))
        if law(sample) == "gaussian":
            return expansion_of(gaussian_energies(self.terms, scale(sample)))
        if law(sample) == "hypercube":
            return expansion_of(hypercube_energies(self.terms))
        return {}
