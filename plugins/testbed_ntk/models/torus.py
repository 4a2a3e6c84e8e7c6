"""The kernel of the torus, by its explicit features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from testbed import (
    Design,
    DoesNotApply,
    HasEigenvalueDecay,
    Mistake,
    PopulationSpectrum,
    Space,
    UnsuitableError,
    parameter,
)
from testbed_ntk.models.base import FormulaKernel, design_dim, population
from testbed_ntk.numerics import kernels
from testbed_ntk.numerics.exact_risk import TorusForms
from testbed_ntk.numerics.kernels import Kernel

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 200_000  # largest number of features; more would fill the memory


@frozen(kw_only=True)
class Torus(FormulaKernel, HasEigenvalueDecay):
    """Σ_m (1 + |m|²)^{−r} e_m(x) e_m(x') on [−1, 1)^d over frequencies |m_i| ≤ M, with
    e_m = 1, √2cos(π⟨m, x⟩), √2sin(π⟨m, x⟩), m over one of each pair ±m."""

    name = "ntk.torus"
    references = ("arXiv:2409.00894",)

    smoothness: float = parameter(1.0, help="exponent r of λ_m = (1 + |m|²)^{−r}", gt=0)
    frequencies: int = parameter(32, help="largest frequency M of a coordinate", ge=1)

    defined_on = ("torus",)

    def eigenvalue_decay(self, space: Space) -> float:
        if space.kind != "torus" or space.dim is None:
            raise DoesNotApply(f"the eigenvalues of {self.name} on {space} are not known")
        return 2 * self.smoothness / space.dim

    def misfit(self, space: Space) -> Mistake | None:
        count = (2 * self.frequencies + 1) ** (space.dim or 1)
        if self.kind_misfit(space) or count <= FEATURES:
            return self.kind_misfit(space)
        text = f"found {count} functions of {self.frequencies} frequencies in dimension {space.dim}"
        return Mistake("frequencies", text, f"at most {FEATURES}", "lower frequencies, or dim")

    def kernel(self, dim: int) -> Kernel:
        count = (2 * self.frequencies + 1) ** dim
        if count > FEATURES:
            raise UnsuitableError(
                f"ntk.torus: found {count} features for {self.frequencies} frequencies in "
                f"dimension {dim}",
                f"at most {FEATURES}",
                "lower frequencies",
            )
        return kernels.torus(dim, self.frequencies, self.smoothness)

    def forms(self, kernel: Kernel, x: Tensor) -> TorusForms:
        return TorusForms(self.frequencies, self.smoothness, x)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """λ = (1 + |m|²)^{−r} with the number of m of each |m|²; the degree is |m|²."""
        shell, count = self._shells(design)
        return PopulationSpectrum((1.0 + shell) ** -self.smoothness, count, shell)

    def trace(self, design: Design) -> float:
        shell, count = self._shells(design)
        return float(((1.0 + shell) ** -self.smoothness * count).sum())

    def _shells(self, design: Design) -> tuple[Any, Any]:
        if population(design) != "torus":
            self._profile_on(design)
        single = np.zeros(self.frequencies**2 + 1)
        single[np.arange(self.frequencies + 1) ** 2] = 2.0
        single[0] = 1.0
        counts = np.ones(1)
        for _ in range(design_dim(design)):
            counts = np.convolve(counts, single)
        shell = np.flatnonzero(counts)
        return shell.astype(float), counts[shell]

    @property
    def known_on(self) -> str:
        return "torus"
