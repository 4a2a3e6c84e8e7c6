"""Kernels of inner products by their power series."""

from __future__ import annotations

from attrs import frozen

from testbed.contract.parameters import parameter
from testbed.errors import ParameterError
from testbed_ntk.models.base import KernelModel
from testbed_ntk.numerics import kernels, profiles
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.profiles import Profile


@frozen(kw_only=True)
class Polynomial(KernelModel):
    """(scale·⟨x, x'⟩ + offset)^degree."""

    name = "ntk.polynomial"

    degree: int = parameter(2, help="degree", ge=1)
    scale: float = parameter(1.0, help="factor of the inner product", gt=0)
    offset: float = parameter(1.0, help="constant added to it", ge=0)

    def kernel(self, dim: int) -> Kernel:
        return kernels.polynomial(self.degree, self.scale, self.offset)

    def profile(self, dim: int) -> Profile:
        return profiles.polynomial_profile(self.degree, self.scale, self.offset)


@frozen(kw_only=True)
class DotProduct(KernelModel):
    """Σ_j a_j ⟨x, x'⟩^j from its coefficients; none may be negative for a kernel in every
    dimension, and data show a violation as a negative eigenvalue."""

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
