"""Kernels of differences: Laplace, Gaussian, Matérn, rational quadratic, periodic."""

from __future__ import annotations

from attrs import frozen

from testbed import HasEigenvalueDecay, Mistake, ParameterError, Space, UnsuitableError, parameter
from testbed_ntk.models.base import FormulaKernel, decay_on_sphere
from testbed_ntk.numerics import kernels, profiles
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.profiles import Profile


@frozen(kw_only=True)
class Stationary(FormulaKernel):
    """Base of the kernels of the difference x − x', with k(x, x) = σ²; no scenario can
    name it.

    Inputs are measured from a point near the mean of the training points: shifting all of them by
    the same vector changes the kernel only by the rounding of the shifted inputs.
    """

    bandwidth: float | tuple[float, ...] = parameter(
        1.0, help="length ℓ; or a list, one length for each coordinate", gt=0
    )
    variance: float = parameter(1.0, help="σ², the value k(x, x)", gt=0)

    def __attrs_post_init__(self) -> None:
        lengths = self.bandwidth if isinstance(self.bandwidth, tuple) else (self.bandwidth,)
        if not lengths or min(lengths) <= 0:
            raise ParameterError(
                f"found {self.bandwidth!r}", "numbers above 0", parameter="bandwidth"
            )

    def correlation(self) -> Kernel:
        """k/σ²."""
        raise NotImplementedError

    def misfit(self, space: Space) -> Mistake | None:
        lengths = self.bandwidth if isinstance(self.bandwidth, tuple) else ()
        if not lengths or space.dim in (None, len(lengths)):
            return self.kind_misfit(space)
        text = f"found {len(lengths)} lengths for points of {space.dim} coordinates"
        return self.kind_misfit(space) or Mistake("bandwidth", text, "one for each coordinate")

    def on_sphere(self, bandwidth: float) -> Profile | None:
        """k/σ² as a function of the cosine; None where k depends on more."""
        return None

    def kernel(self, dim: int) -> Kernel:
        if isinstance(self.bandwidth, tuple) and len(self.bandwidth) != dim:
            raise UnsuitableError(
                f"{self.name}: found {len(self.bandwidth)} lengths in bandwidth",
                f"{dim}, one for each coordinate of the inputs, or a single number for all",
            )
        return kernels.scaled(self.correlation(), self.variance)

    def profile(self, dim: int) -> Profile | None:
        if isinstance(self.bandwidth, tuple):
            return None
        correlation = self.on_sphere(self.bandwidth)
        return None if correlation is None else profiles.scaled(correlation, self.variance)

    @property
    def known_on(self) -> str:
        if isinstance(self.bandwidth, tuple):
            return "none; with a length for each coordinate it is not a function of the distance"
        return "sphere"


@frozen(kw_only=True)
class Laplace(Stationary, HasEigenvalueDecay):
    """σ² exp(−‖x − x'‖/ℓ), or σ² exp(−Σ_i |x_i − x'_i|/ℓ) with norm = "l1".

    With a list of lengths the coordinates are divided by theirs before the norm is taken.
    """

    name = "ntk.laplace"

    norm: str = parameter("l2", help="norm of the difference x − x'", choices=("l1", "l2"))

    def eigenvalue_decay(self, space: Space) -> float:
        return decay_on_sphere(self, 0.5, space)

    def correlation(self) -> Kernel:
        if self.norm == "l1":
            return kernels.laplace_of_sums(self.bandwidth)
        return kernels.laplace(self.bandwidth)

    def on_sphere(self, bandwidth: float) -> Profile | None:
        return profiles.matern_profile(0.5, bandwidth) if self.norm == "l2" else None

    @property
    def known_on(self) -> str:
        if self.norm == "l1":
            return "none; the norm l1 is not a function of the distance"
        return super().known_on


@frozen(kw_only=True)
class Rbf(Stationary):
    """σ² exp(−‖x − x'‖²/(2ℓ²)), or σ² exp(−½ Σ_i (x_i − x'_i)²/ℓ_i²)."""

    name = "ntk.rbf"

    def correlation(self) -> Kernel:
        return kernels.rbf(self.bandwidth)

    def on_sphere(self, bandwidth: float) -> Profile:
        return profiles.rbf_profile(bandwidth)


@frozen(kw_only=True)
class Matern(Stationary, HasEigenvalueDecay):
    """Matérn kernel of smoothness ν, σ² 2^{1−ν}/Γ(ν) u^ν K_ν(u) with u = √(2ν)‖x − x'‖/ℓ: σ²e^{−u}
    times 1, 1 + u or 1 + u + u²/3 for ν = 0.5, 1.5, 2.5. Half-integers ν are fast."""

    name = "ntk.matern"

    nu: float = parameter(1.5, help="smoothness ν; ntk.rbf is its limit", gt=0, le=20)

    def eigenvalue_decay(self, space: Space) -> float:
        return decay_on_sphere(self, self.nu, space)

    def correlation(self) -> Kernel:
        return kernels.matern(self.nu, self.bandwidth)

    def on_sphere(self, bandwidth: float) -> Profile:
        return profiles.matern_profile(self.nu, bandwidth)


@frozen(kw_only=True)
class RationalQuadratic(Stationary):
    """σ² (1 + ‖x − x'‖²/(2αℓ²))^{−α}, a mixture of Gaussian kernels of many lengths."""

    name = "ntk.rational-quadratic"

    alpha: float = parameter(1.0, help="exponent α; ntk.rbf is the limit α → ∞", gt=0)

    def correlation(self) -> Kernel:
        return kernels.rational_quadratic(self.alpha, self.bandwidth)

    def on_sphere(self, bandwidth: float) -> Profile:
        return profiles.rational_quadratic_profile(self.alpha, bandwidth)


@frozen(kw_only=True)
class Periodic(Stationary):
    """σ² exp(−2 Σ_i sin²(π(x_i − x'_i)/p)/ℓ²), of period p in every coordinate.

    scikit-learn's ExpSineSquared in one dimension; in several, scikit-learn
    takes the sine of the distance, which is not positive semidefinite.
    """

    name = "ntk.periodic"

    period: float = parameter(1.0, help="period p", gt=0)

    def correlation(self) -> Kernel:
        return kernels.periodic(self.period, self.bandwidth)

    @property
    def known_on(self) -> str:
        return "none; it is not a function of the distance"
