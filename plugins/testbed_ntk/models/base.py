"""Kernel regression: the base of all kernel models."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import frozen

from testbed import (
    Design,
    DoesNotApply,
    DualModel,
    HasPopulationRisk,
    HasPopulationSpectrum,
    HasProfile,
    PopulationSpectrum,
    Problem,
    Risk,
    Space,
    UnsuitableError,
)
from testbed.numerics.weighted_gram import WeightedGram
from testbed_ntk.numerics.exact_risk import TorusForms, ZonalForms
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.profiles import Profile
from testbed_ntk.numerics.random_start import RandomStart
from testbed_ntk.numerics.sphere import SphereSpectrum, sphere_spectrum

if TYPE_CHECKING:
    from torch import Tensor

Prepared = Mapping[str, Any]
"""The entries of a DualModel, `kernel`, and `forms` for the risk under the design's law."""

RELIABLE = 1e-3  # relative error beyond which a degree's eigenvalue is left out


def decay_on_sphere(model: FormulaKernel, order: float, space: Space) -> float:
    """β of λ_j ≍ j^{−β} on S^{d−1}, for a kernel like (1 − t)^ν near t = 1 of order ν.

    It has μ_k ≍ k^{−(d−1+2ν)}, each with ≍ k^{d−2} modes, hence β = (d − 1 + 2ν)/(d − 1).
    """
    if space.kind != "sphere" or space.dim is None:
        raise DoesNotApply(f"the eigenvalues of {model.name} on {space} are not known")
    try:
        zonal = model.profile(space.dim) is not None
    except UnsuitableError:
        zonal = True  # it has a profile, but no computable spectrum
    if not zonal:
        raise DoesNotApply(f"{model.name} with these parameters is not a function of the cosine")
    return (space.dim - 1 + 2 * order) / (space.dim - 1)


@frozen(kw_only=True)
class FormulaKernel(DualModel, HasPopulationSpectrum, HasPopulationRisk, HasProfile):
    """f_t = f₀ + k(·, X) α_t: α̇ = W(y − f₀ − Kα), W the loss weights, 1/n for regression.

    f₀ = 0 except for random starts of wide networks. Not offered itself: its subclasses give the
    kernel, and where it is known the profile on the sphere.
    """

    references: ClassVar[tuple[str, ...]] = ("arXiv:1806.07572",)

    def kernel(self, dim: int) -> Kernel:
        """The kernel on inputs of `dim` numbers."""
        raise NotImplementedError

    def profile(self, dim: int) -> Profile | None:
        """k as a function of the cosine on the unit sphere of R^dim; None if k depends on more."""
        return None

    # --- training ---------------------------------------------------------------------------------

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        prepared = super().prepare(drawn, problem)
        x = problem.train.x
        kernel = self.kernel(x[0].numel())
        initial = None if drawn is None else self.initial_function(drawn, problem)
        return {**prepared, "kernel": kernel, "forms": self.forms(kernel, x), "initial": initial}

    def initial_function(self, drawn: Any, problem: Problem) -> RandomStart:
        """f₀ at the training and test points, from what was drawn."""
        raise NotImplementedError

    def forms(self, kernel: Kernel, x: Tensor) -> ZonalForms | TorusForms:
        """The quadratic forms from which `population_risk` is computed."""
        profile = functools.partial(self.profile, x[0].numel())
        return ZonalForms(self.name, profile, kernel, x)

    def weighted_gram(self, x: Tensor, root: Tensor) -> WeightedGram:
        kernel = self.kernel(x[0].numel())
        return WeightedGram(self.name, x, root, lambda: gram_matrix(kernel, x, root))

    def cross(self, prepared: Prepared, x: Tensor) -> Tensor:
        return cross_matrix(prepared["kernel"], x, prepared["gram"].x)

    # --- spectra ----------------------------------------------------------------------------------

    def gram(self, prepared: Prepared, params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return gram_matrix(prepared["kernel"], x)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """Eigenvalues under the design's law, by degree, as far as they are known to three digits;
        `trace` minus their sum belongs to the higher degrees.

        UnsuitableError if the first is not known, or if one is negative: it is then no kernel.
        """
        self._profile_on(design)
        return _on_sphere(self, design_dim(design))

    def population_risk(self, prepared: Prepared, params: Tensor, problem: Problem) -> Risk:
        forms: ZonalForms | TorusForms = prepared["forms"]
        return forms.risk(params, problem.expansion)

    def trace(self, design: Design) -> float:
        """∫ k(x, x), the sum of all eigenvalues under the design's law."""
        self._profile_on(design)
        return _value_at_one(self, design_dim(design))

    def _profile_on(self, design: Design) -> Profile:
        profile = self.profile(design_dim(design)) if population(design) == "sphere" else None
        if profile is None:
            raise UnsuitableError(
                f"{self.name}: found the design {design.name}, expected one whose population "
                f"spectrum is known for this kernel: {self.known_on}"
            )
        return profile

    @property
    def known_on(self) -> str:
        """The designs that `population_spectrum` covers."""
        return "sphere"


@functools.lru_cache(maxsize=64)
def _value_at_one(model: FormulaKernel, dim: int) -> float:
    """k(x, x) for unit inputs, computed once."""
    profile = model.profile(dim)
    assert profile is not None  # as the model has made sure
    return float(profile.value(np.ones(1))[0])


@functools.lru_cache(maxsize=64)
def _on_sphere(model: FormulaKernel, dim: int) -> PopulationSpectrum:
    """The population spectrum on S^{dim − 1}, computed once; its arrays are read-only."""
    profile = model.profile(dim)
    assert profile is not None  # as the model has made sure
    value, multiplicity = known_eigenvalues(sphere_spectrum(profile, dim))
    if not len(value):
        raise UnsuitableError(
            f"{model.name}: found an eigenvalue of degree 0 that is not known to three digits on "
            f"the sphere in {dim} dimensions, expected one above the rounding of k(x, x): the "
            "kernel is narrow compared with the distances there; widen it (bandwidth) or lower dim"
        )
    degree = int(value.argmin())
    if value[degree] < 0:
        raise UnsuitableError(
            f"{model.name}: found the eigenvalue {value[degree]:.3g} of degree {degree} on the "
            f"sphere in {dim} dimensions, expected none below 0: it is not a positive "
            "semidefinite kernel there; change its parameters"
        )
    spectrum = PopulationSpectrum(value, multiplicity, np.arange(float(len(value))))
    for array in spectrum:
        array.flags.writeable = False
    return spectrum


def known_eigenvalues(spectrum: SphereSpectrum) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and multiplicities up to the first degree whose eigenvalue is not known.

    A kernel without odd degrees shows only rounding there. Such an eigenvalue is a known 0 if
    its error is negligible against the next known eigenvalue: those of a true kernel fall from a
    degree to the second next (Schoenberg), so that a hidden one would be no smaller.

    >>> rounding = np.array([1e-16, 1e-16, 1e-16, 1e-16])
    >>> spectrum = SphereSpectrum(np.array([0.5, 0, 0.1, 0]), np.ones(4), rounding * 5, rounding)
    >>> known_eigenvalues(spectrum._replace(error=np.array([0.0, 1.0, 0.0, 1.0])))[0]
    array([0.5, 0. , 0.1])
    """
    reliable = spectrum.error < RELIABLE
    following = np.append(np.where(reliable, spectrum.eigenvalue, 0.0), 0.0)
    for k in range(len(reliable) - 1, -1, -1):  # the next reliable, positive eigenvalue
        following[k] = following[k] if following[k] > 0 else following[k + 1]
    hidden = np.maximum(spectrum.bound, np.abs(spectrum.eigenvalue))
    listed = reliable | (hidden < RELIABLE * following[1:])
    count = len(listed) if listed.all() else int(listed.argmin())
    value = np.where(reliable, spectrum.eigenvalue, 0.0)
    return value[:count], spectrum.multiplicity[:count]


def design_dim(design: Design) -> int:
    """The dimension of a design's inputs; 0 where it does not say."""
    space = design.space()
    return 0 if space is None or space.dim is None else space.dim


def population(design: Design) -> str | None:
    """The law of a design's points, where its orthogonal functions are known, else None."""
    space = design.space()
    return None if space is None else space.population
