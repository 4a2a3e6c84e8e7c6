"""The kernels that a scenario can name."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from testbed.components import Design, PopulationSpectrum, Rng
from testbed.errors import UnsuitableError
from testbed.parameters import parameter
from testbed.values import Problem
from testbed_ntk import kernels, network_kernels, profiles
from testbed_ntk.base import KernelModel, design_dim
from testbed_ntk.exact_risk import TorusForms
from testbed_ntk.gram import gram_matrix
from testbed_ntk.kernels import Kernel
from testbed_ntk.network_kernels import Layers
from testbed_ntk.profiles import Profile
from testbed_ntk.random_start import RandomStart, standard_normals

FEATURES = 200_000  # of the torus kernel, beyond which they fill the memory


@frozen(kw_only=True)
class WideNetwork(KernelModel):
    """Base of the kernels of infinitely wide fully connected networks; not offered itself.

    Σ⁰ = Θ⁰ = σ_w²⟨x, x'⟩/d + σ_b²; Σ^ℓ = σ_w² E + σ_b²; Θ^ℓ = Σ^ℓ + σ_w² Ė Θ^{ℓ−1}, where E and Ė
    are E σ(u)σ(v) and E σ'(u)σ'(v) over Gaussian pairs of covariance Σ^{ℓ−1}. The two-layer network
    m^{−1/2} Σ a σ(⟨w, x⟩ + b) of standard Gaussian parameters has first_variance = 1,
    output_variance = 1 and, with a bias b, bias_variance = 1 and output_bias_variance = 0.

    A network whose start is not symmetric begins at a random function, f₀ ~ GP(0, Σ^L): then
    f_t = f₀ + k(·, X) φ_t (y − f₀), and replicates are an ensemble of such networks
    (arXiv:1902.06720, equations 14–16).
    """

    tangent: ClassVar[bool] = True  # Θ^L; Σ^L otherwise
    references = ("arXiv:1806.07572", "arXiv:1711.00165")

    depth: int = parameter(1, help="number L of hidden layers", ge=1)
    weight_variance: float = parameter(2.0, help="σ_w² of every layer without its own", gt=0)
    bias_variance: float = parameter(0.0, help="σ_b² of every layer", ge=0)
    first_variance: float | None = parameter(
        None,
        help="factor of ⟨x, x'⟩ in the first layer; weight_variance/d unless given "
        "(1: the normalised form, for unit inputs)",
        gt=0,
    )
    output_variance: float | None = parameter(
        None, help="σ_w² of the output layer; weight_variance unless given", gt=0
    )
    output_bias_variance: float | None = parameter(
        None, help="σ_b² of the output layer; bias_variance unless given", ge=0
    )
    initial: str = parameter(
        "zero",
        help='f₀: "zero", as with a symmetric start, or "process", drawn from GP(0, Σ) for each '
        "replicate and output, and known at training and test points only",
        choices=("zero", "process"),
    )

    def layers(self, dim: int) -> Layers:
        """Variances of every layer, from the first to the output."""
        first = self.weight_variance / dim if self.first_variance is None else self.first_variance
        output = self.weight_variance if self.output_variance is None else self.output_variance
        last = self.bias_variance
        last = last if self.output_bias_variance is None else self.output_bias_variance
        inner = self.depth - 1
        return Layers(
            (first, *(self.weight_variance,) * inner, output),
            (self.bias_variance, *(self.bias_variance,) * inner, last),
        )

    def kernel(self, dim: int) -> Kernel:
        name: str = getattr(self, "activation", "relu")
        return network_kernels.network(self.layers(dim), name, self.tangent)

    def profile(self, dim: int) -> Profile:
        name: str = getattr(self, "activation", "relu")
        return profiles.network_profile(*self.layers(dim), self.tangent, name)

    def supports(self, capability: str) -> str | None:
        if capability == "population_risk" and self.initial == "process":
            return f"{self.name} knows its random start at training and test points only"
        return super().supports(capability)

    def draw(self, rng: Rng, problem: Problem) -> np.ndarray | None:
        """Standard normals, (points, training or test, outputs)."""
        if self.initial == "zero":
            return None
        counts = len(problem.train.weight), len(problem.test.weight)
        return standard_normals(rng("model"), *counts)

    def initial_function(self, drawn: Tensor, problem: Problem) -> RandomStart:
        self._expect_finite(problem.test.x, "test inputs")
        return RandomStart(self.name, self.process(problem), drawn, problem)

    def process(self, problem: Problem) -> Kernel:
        """Σ^L, the covariance of f₀."""
        name: str = getattr(self, "activation", "relu")
        return network_kernels.network(self.layers(problem.train.x[0].numel()), name, False)

    def initial_covariance(self, problem: Problem) -> np.ndarray | None:
        """Σ^L of f₀ at training and then test points, (n + m, n + m); None where f₀ = 0."""
        if self.initial == "zero":
            return None
        x = torch.cat([problem.train.x, problem.test.x]).double()
        found: np.ndarray = gram_matrix(self.process(problem), x).cpu().numpy()
        return found


def _activation() -> Any:
    return parameter(
        "relu",
        help="activation σ of the hidden layers; tanh and sigmoid take a hundred times as long",
        choices=("erf", "gelu", "linear", "quadratic", "relu", "sigmoid", "tanh"),
    )


@frozen(kw_only=True)
class ReluTangent(WideNetwork):
    """Neural tangent kernel Θ^L of a fully connected ReLU network."""

    name = "ntk.relu"


@frozen(kw_only=True)
class NetworkTangent(WideNetwork):
    """Neural tangent kernel Θ^L of a fully connected network of any activation.

    `networks.two-layer` tends to it with first_variance = 1 and output_variance = 1, `networks.mlp`
    if weight_variance is its own besides; with biases there, bias_variance = 1 and
    output_bias_variance = 0. Quadratic is σ(h) = h².
    """

    name = "ntk.network"
    references = ("arXiv:1806.07572", "arXiv:1602.05897")

    activation: str = _activation()


@frozen(kw_only=True)
class NetworkProcess(WideNetwork):
    """Covariance Σ^L of the Gaussian process that a wide network starts as (NNGP kernel)."""

    name = "ntk.nngp"
    tangent = False

    activation: str = _activation()


@frozen(kw_only=True)
class Stationary(KernelModel):
    """Base of the kernels of the difference x − x', with k(x, x) = σ²; not offered itself.

    Inputs are measured from near the mean of the training points: shifting all of them by the same
    vector changes nothing but the digits that the inputs themselves have lost.
    """

    bandwidth: float | tuple[float, ...] = parameter(
        1.0, help="length ℓ; or a list, one length for each coordinate", gt=0
    )
    variance: float = parameter(1.0, help="σ², the value k(x, x)", gt=0)

    def __attrs_post_init__(self) -> None:
        lengths = self.bandwidth if isinstance(self.bandwidth, tuple) else (self.bandwidth,)
        if not lengths or min(lengths) <= 0:
            raise ValueError(f"bandwidth: found {self.bandwidth!r}, expected numbers above 0")

    def correlation(self) -> Kernel:
        """k/σ²."""
        raise NotImplementedError

    def on_sphere(self, bandwidth: float) -> Profile | None:
        """k/σ² as a function of the cosine; None where it is none."""
        return None

    def kernel(self, dim: int) -> Kernel:
        if isinstance(self.bandwidth, tuple) and len(self.bandwidth) != dim:
            raise UnsuitableError(
                f"{self.name}: found {len(self.bandwidth)} lengths in bandwidth, expected {dim}, "
                "one for each coordinate of the inputs, or a single number for all"
            )
        return kernels.scaled(self.correlation(), self.variance)

    def profile(self, dim: int) -> Profile | None:
        if isinstance(self.bandwidth, tuple):
            return None
        found = self.on_sphere(self.bandwidth)
        return None if found is None else profiles.scaled(found, self.variance)

    @property
    def known_on(self) -> str:
        if isinstance(self.bandwidth, tuple):
            return "none; with a length for each coordinate it is no function of the distance"
        return "sphere"


@frozen(kw_only=True)
class Laplace(Stationary):
    """σ² exp(−‖x − x'‖/ℓ), or σ² exp(−Σ_i |x_i − x'_i|/ℓ) with norm = "l1".

    With a list of lengths the coordinates are divided by theirs before the norm is taken.
    """

    name = "ntk.laplace"

    norm: str = parameter("l2", help="norm of the difference x − x'", choices=("l1", "l2"))

    def correlation(self) -> Kernel:
        if self.norm == "l1":
            return kernels.laplace_of_sums(self.bandwidth)
        return kernels.laplace(self.bandwidth)

    def on_sphere(self, bandwidth: float) -> Profile | None:
        return profiles.matern_profile(0.5, bandwidth) if self.norm == "l2" else None

    @property
    def known_on(self) -> str:
        if self.norm == "l1":
            return "none; the norm l1 is no function of the distance"
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
class Matern(Stationary):
    """Matérn kernel of smoothness ν, σ² 2^{1−ν}/Γ(ν) u^ν K_ν(u) with u = √(2ν)‖x − x'‖/ℓ: σ²e^{−u}
    times 1, 1 + u or 1 + u + u²/3 for ν = 0.5, 1.5, 2.5. Half-integers are the fast ones."""

    name = "ntk.matern"

    nu: float = parameter(1.5, help="smoothness ν; ntk.rbf is its limit", gt=0, le=20)

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

    scikit-learn's ExpSineSquared in one dimension; in several that one takes the sine of the
    distance, which is not positive semidefinite.
    """

    name = "ntk.periodic"

    period: float = parameter(1.0, help="period p", gt=0)

    def correlation(self) -> Kernel:
        return kernels.periodic(self.period, self.bandwidth)

    @property
    def known_on(self) -> str:
        return "none; it is no function of the distance"


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
            raise ValueError(f"coefficients: found {self.coefficients!r}, expected a non-zero one")

    def kernel(self, dim: int) -> Kernel:
        return kernels.power_series(self.coefficients)

    def profile(self, dim: int) -> Profile:
        return profiles.series_profile(self.coefficients)


@frozen(kw_only=True)
class Torus(KernelModel):
    """Σ_m (1 + |m|²)^{−r} e_m(x) e_m(x') on [−1, 1)^d over frequencies |m_i| ≤ M, with
    e_m = 1, √2cos(π⟨m, x⟩), √2sin(π⟨m, x⟩), m over one of each pair ±m."""

    name = "ntk.torus"
    references = ("arXiv:2409.00894",)

    smoothness: float = parameter(1.0, help="exponent r of λ_m = (1 + |m|²)^{−r}", gt=0)
    frequencies: int = parameter(32, help="largest frequency M of a coordinate", ge=1)

    def kernel(self, dim: int) -> Kernel:
        count = (2 * self.frequencies + 1) ** dim
        if count > FEATURES:
            raise UnsuitableError(
                f"ntk.torus: found {count} features for {self.frequencies} frequencies in "
                f"dimension {dim}, expected at most {FEATURES}; lower frequencies"
            )
        return kernels.torus(dim, self.frequencies, self.smoothness)

    def forms(self, kernel: Kernel, x: Tensor) -> TorusForms:
        return TorusForms(self.frequencies, self.smoothness, x)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """λ = (1 + |m|²)^{−r} with the number of m of each |m|², which stands as the degree."""
        shell, count = self._shells(design)
        return PopulationSpectrum((1.0 + shell) ** -self.smoothness, count, shell)

    def trace(self, design: Design) -> float:
        shell, count = self._shells(design)
        return float(((1.0 + shell) ** -self.smoothness * count).sum())

    def _shells(self, design: Design) -> tuple[Any, Any]:
        if design.name != "torus":
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


# --- sums and products ----------------------------------------------------------------------------


@frozen(kw_only=True)
class Combination(KernelModel):
    """Base of what is made of two kernels, each of which may be made of others; not offered itself.

    The route is its own; those of its parts play no role.
    """

    first: KernelModel = parameter(
        help="a kernel: a table with use = …, sums and products included"
    )
    second: KernelModel = parameter(help="another")

    def __attrs_post_init__(self) -> None:
        named: tuple[tuple[str, Any], ...] = (("first", self.first), ("second", self.second))
        for name, part in named:
            if not isinstance(part, KernelModel):
                raise ValueError(
                    f"{name}: found {part.name}, expected a kernel of a known formula, such as "
                    "ntk.rbf or ntk.relu"
                )

    def combined(self, first: Profile, second: Profile) -> Profile:
        """The profile, from those of the parts."""
        raise NotImplementedError

    def profile(self, dim: int) -> Profile | None:
        first, second = self.first.profile(dim), self.second.profile(dim)
        return None if first is None or second is None else self.combined(first, second)

    @property
    def known_on(self) -> str:
        parts = {part.name: part.known_on for part in (self.first, self.second)}
        if set(parts.values()) == {"sphere"}:
            return "sphere"
        told = "; ".join(f"{name}: {known}" for name, known in parts.items())
        return f"sphere, where each of its parts is known there ({told})"


@frozen(kw_only=True)
class Sum(Combination):
    """w₁k₁ + w₂k₂ of two kernels; more by a sum within the sum.

    A constant is ntk.dot-product with coefficients = [1.0].
    """

    name = "ntk.sum"
    references = ()

    weights: tuple[float, ...] = parameter((1.0, 1.0), help="w₁ and w₂, at least 0")

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if len(self.weights) != 2 or min(self.weights) < 0 or not any(self.weights):
            raise ValueError(
                f"weights: found {self.weights!r}, expected two numbers at least 0, one of them "
                "above it"
            )

    def kernel(self, dim: int) -> Kernel:
        return kernels.weighted_sum(self.first.kernel(dim), self.second.kernel(dim), self.weights)

    def combined(self, first: Profile, second: Profile) -> Profile:
        own, other = self.weights
        return profiles.added(profiles.scaled(first, own), profiles.scaled(second, other))


@frozen(kw_only=True)
class Product(Combination):
    """k₁k₂ of two kernels; more by a product within the product.

    ntk.dot-product with coefficients = [c] as one of them scales the other by c.
    """

    name = "ntk.product"
    references = ()

    def kernel(self, dim: int) -> Kernel:
        return kernels.pointwise_product(self.first.kernel(dim), self.second.kernel(dim))

    def combined(self, first: Profile, second: Profile) -> Profile:
        return profiles.multiplied(first, second)
