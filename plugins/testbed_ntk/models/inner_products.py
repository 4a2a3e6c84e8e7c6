"""Kernels of inner products by their power series."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import Design, ParameterError, PopulationSpectrum, parameter, space_of
from testbed_ntk.models.base import FormulaKernel, population
from testbed_ntk.numerics import kernels, profiles
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.profiles import Profile

GAUSSIAN = ("gaussian", "anisotropic gaussian")


@frozen(kw_only=True)
class Polynomial(FormulaKernel):
    """(scale·⟨x, x'⟩ + offset)^degree."""

    name = "ntk.polynomial"

    degree: int = parameter(2, help="degree", ge=1)
    scale: float = parameter(1.0, help="factor of the inner product", gt=0)
    offset: float = parameter(1.0, help="constant added to it", ge=0)

    def kernel(self, dim: int) -> Kernel:
        return kernels.polynomial(self.degree, self.scale, self.offset)

    def profile(self, dim: int) -> Profile:
        return profiles.polynomial_profile(self.degree, self.scale, self.offset)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """Degree 1 has a spectrum on Gaussian points too: the one of a linear kernel."""
        if self.degree == 1 and population(design) in GAUSSIAN:
            return linear_spectrum(design, self.scale, self.offset)
        return super().population_spectrum(design)

    def trace(self, design: Design) -> float:
        if self.degree == 1 and population(design) in GAUSSIAN:
            return spectrum_sum(self.population_spectrum(design))
        return super().trace(design)


@frozen(kw_only=True)
class DotProduct(FormulaKernel):
    """Σ_j a_j ⟨x, x'⟩^j. It is a kernel in every dimension only if no coefficient is negative; a
    violation shows as a negative eigenvalue on data."""

    name = "ntk.dot-product"

    coefficients: tuple[float, ...] = parameter(
        (1.0, 1.0), help="a₀, a₁, a₂, …: coefficients of the powers of ⟨x, x'⟩"
    )

    def __attrs_post_init__(self) -> None:
        if not any(self.coefficients):
            raise ParameterError(
                f"found {self.coefficients!r}", "a non-zero one", parameter="coefficients"
            )

    def kernel(self, dim: int) -> Kernel:
        return kernels.power_series(self.coefficients)

    def profile(self, dim: int) -> Profile:
        return profiles.series_profile(self.coefficients)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """Degree 1 has a spectrum on Gaussian points too: the one of a linear kernel."""
        if len(self.coefficients) == 2 and population(design) in GAUSSIAN:
            return linear_spectrum(design, self.coefficients[1], self.coefficients[0])
        return super().population_spectrum(design)

    def trace(self, design: Design) -> float:
        if len(self.coefficients) == 2 and population(design) in GAUSSIAN:
            return spectrum_sum(self.population_spectrum(design))
        return super().trace(design)


def linear_spectrum(design: Design, scale: float, offset: float) -> PopulationSpectrum:
    """scale·⟨x, x'⟩ + offset on Gaussian points: the constant, of degree 0, and the coordinates, in
    one eigenspace of degree 1 or, on anisotropic points, each in that of its index."""
    space = space_of(design)
    variances = np.array(space.variances or (space.scale**2,))
    count = np.full(len(variances), (space.dim or 1) / len(variances))
    degree = np.arange(1.0, len(variances) + 1)
    value, multiplicity = scale * variances, count
    if offset:
        value, multiplicity = np.append(offset, value), np.append(1.0, multiplicity)
        degree = np.append(0.0, degree)
    return PopulationSpectrum(value, multiplicity, degree)


def spectrum_sum(spectrum: PopulationSpectrum) -> float:
    """The sum of all eigenvalues, each counted with its multiplicity."""
    return float(spectrum.eigenvalue @ spectrum.multiplicity)
